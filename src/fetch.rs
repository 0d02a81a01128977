//! `fetch` for Rust front ends: adds the credential and carries out what the core decides for a
//! request that failed. The same as `js/src/fetch.ts` and `outgoing.ts` for scripts.
//!
//! Rule: the credential goes to the API's origins only, and no redirect carries it to another
//! unless the app allows that for this request. Decides nothing about waiting.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use js_sys::{Function, Promise};
use session_keeper_core::{
    AppAction, AppEvent, AppRequest, Destination, Generation, Input, Replay, ServerState,
};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, Request, RequestCredentials, RequestInit, RequestMode, RequestRedirect, Response,
    ResponseType,
};

use crate::driver::Driver;
use crate::options::Auth;
use crate::{clock, global, transport};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch_with(request: &Request, init: &RequestInit) -> core::result::Result<JsValue, JsValue>;
}

/// What the app allows for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchOptions {
    /// Whether it may be sent again.
    pub retry: Retry,
    /// What happens to a redirect to another origin.
    pub cross_origin_redirects: CrossOriginRedirects,
}

/// Whether a request may be sent again after an outage or a 401 that was refuted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// GET, HEAD and OPTIONS only (RFC 9110 section 9.2.1).
    #[default]
    SafeMethods,
    /// Whatever its method.
    Always,
}

/// What happens to a redirect to another origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrossOriginRedirects {
    /// The request ends with [`FetchError::Redirected`].
    #[default]
    Reject,
    /// The browser follows it, as downloads from a store behind signed addresses need it. It
    /// removes `Authorization` there since Chromium 119, Firefox 111 and Safari 16.1; older ones
    /// send it on.
    Follow,
}

/// Why a request came to no response.
#[derive(Clone, Debug)]
pub enum FetchError {
    /// The browser or the app's abort signal rejected it; holds what `fetch` rejected with.
    Rejected(JsValue),
    /// The app's function that authorizes requests failed, so nothing was sent; holds what it threw
    /// or returned in place of a request.
    NotSent(JsValue),
    /// A redirect would have carried the credential to another origin.
    Redirected,
    /// More requests than `max_waiting` of the options wait for the server already.
    TooManyWaiting,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected(_) => "the request got no response",
            Self::NotSent(_) => "the app's own function gave no request to send",
            Self::Redirected => {
                "a redirect to another origin is not followed with a credential: use its target"
            }
            Self::TooManyWaiting => "too many requests wait for the server already",
        })
    }
}

impl core::error::Error for FetchError {}

impl From<JsValue> for FetchError {
    fn from(error: JsValue) -> Self {
        Self::Rejected(error)
    }
}

type Result<T> = core::result::Result<T, FetchError>;

/// Sends a request of the app, as often as the core says.
pub(crate) async fn send(
    driver: &Rc<Driver>,
    request: Request,
    allowed: FetchOptions,
) -> Result<Response> {
    let options = &driver.options;
    if !global::is_page() || !options.may_know_credential(&request.url()) {
        return response(fetch_with(&request, &RequestInit::new())?).await;
    }
    let mut pending = Pending::new(driver, &request, allowed);
    if !driver.with_core(|core| core.may_send()) {
        pending.decide(AppEvent::Ready).await?;
    }
    loop {
        pending.facts.sent_with = driver.with_core(|core| core.generation().map(Generation::tag));
        let outcome = attempt(driver, &request, allowed).await;
        if let Ok(response) = &outcome
            && pending.facts.destination == Destination::Api
            && driver.with_core(|core| core.snapshot().server != ServerState::Awake)
            && is_proof(response)
        {
            driver.dispatch(Input::AppProof);
        }
        let Some(event) = event_of(&outcome, &request, pending.facts.destination) else {
            return outcome;
        };
        match pending.decide(event).await? {
            AppAction::Send => {}
            AppAction::Deliver | AppAction::Refuse => return outcome,
        }
    }
}

/// JSON that is fresh comes from the API: platforms answer for it with pages.
fn is_proof(response: &Response) -> bool {
    let header = |name| response.headers().get(name).ok().flatten();
    // A service worker answers from its store with the date of then.
    let is_old = header("Date")
        .and_then(|date| clock::parse_date(&date))
        .is_some_and(|date| clock::wall().0.saturating_sub(date.0) > 60_000);
    let kind = header("Content-Type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim_ascii_end();
    let is_json = essence.ends_with("/json") || essence.ends_with("+json");
    response.ok() && !response.redirected() && is_json && !is_old && header("Age").is_none()
}

/// What the core has to know of; nothing where the answer is the app's.
fn event_of(
    outcome: &Result<Response>,
    request: &Request,
    destination: Destination,
) -> Option<AppEvent> {
    let is_api = destination == Destination::Api && !request.signal().aborted();
    match outcome {
        Ok(response) => match response.status() {
            // Its credential is the app's own.
            401 if has_own_credential(request) => None,
            401 => Some(AppEvent::Unauthorized),
            502..=504 if is_api => Some(AppEvent::Unavailable),
            _ => None,
        },
        Err(FetchError::Rejected(_)) if is_api => Some(AppEvent::NoResponse),
        Err(_) => None,
    }
}

/// A request that may have been reported to the core. Whatever happens to the future of `fetch`,
/// the core learns when it is over.
struct Pending<'a> {
    driver: &'a Rc<Driver>,
    facts: AppRequest,
    signal: AbortSignal,
    is_reported: bool,
}

impl<'a> Pending<'a> {
    fn new(driver: &'a Rc<Driver>, request: &Request, allowed: FetchOptions) -> Self {
        let is_replayable = allowed.retry == Retry::Always || is_safe(&request.method());
        let options = &driver.options;
        let is_api = options.is_at(&request.url(), &options.origin);
        let facts = AppRequest {
            id: driver.app_requests.next_id(),
            replay: if is_replayable { Replay::Always } else { Replay::AfterUnauthorized },
            destination: if is_api { Destination::Api } else { Destination::OtherOrigin },
            resource: resource(request),
            sent_with: None,
        };
        Self { driver, facts, signal: request.signal(), is_reported: false }
    }

    /// Waits for the core, or until the app aborts the request.
    async fn decide(&mut self, event: AppEvent) -> Result<AppAction> {
        if self.signal.aborted() {
            return Err(FetchError::Rejected(self.signal.reason()));
        }
        self.is_reported = true;
        let action = Rc::new(Cell::new(None));
        let mut on_abort = None;
        let decided = Promise::new(&mut |resolve, reject| {
            let slot = Rc::clone(&action);
            let on_action = move |action| {
                slot.set(Some(action));
                let _ = resolve.call0(&JsValue::UNDEFINED);
            };
            on_abort = Some(OnAbort::new(&self.signal, reject));
            self.driver.report(self.facts, event, Box::new(on_action));
        });
        JsFuture::from(decided).await?;
        match action.get() {
            Some(AppAction::Refuse) => Err(FetchError::TooManyWaiting),
            Some(action) => Ok(action),
            None => Ok(AppAction::Deliver),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.is_reported {
            self.driver.close_app_request(self.facts);
        }
    }
}

/// Rejects when the signal aborts; forgets it when dropped.
struct OnAbort {
    signal: AbortSignal,
    callback: Closure<dyn FnMut()>,
}

impl OnAbort {
    fn new(signal: &AbortSignal, reject: Function) -> Self {
        let watched = signal.clone();
        let callback = Closure::new(move || {
            let _ = reject.call1(&JsValue::UNDEFINED, &watched.reason());
        });
        let _ = signal.add_event_listener_with_callback("abort", callback.as_ref().unchecked_ref());
        Self { signal: signal.clone(), callback }
    }
}

impl Drop for OnAbort {
    fn drop(&mut self) {
        let callback = self.callback.as_ref().unchecked_ref();
        let _ = self.signal.remove_event_listener_with_callback("abort", callback);
    }
}

async fn attempt(driver: &Driver, request: &Request, allowed: FetchOptions) -> Result<Response> {
    let options = &driver.options;
    // The body of the one that was handed over must last for another attempt.
    let copy = request.clone()?;
    let is_safe = is_safe(&copy.method());
    let init = RequestInit::new();
    let mut is_bare = has_own_credential(request);
    let sent = match &options.auth {
        Auth::Cookie => {
            init.set_credentials(RequestCredentials::Include);
            let sent = Request::new_with_request_and_init(&copy, &init)?;
            return response(match &options.csrf {
                Some(csrf) if !is_safe && options.is_at(&sent.url(), &options.origin) => {
                    csrf.send.call1(&JsValue::UNDEFINED, &sent)?
                }
                Some(_) | None => fetch_with(&sent, &RequestInit::new())?,
            })
            .await;
        }
        Auth::Token { .. } => {
            match driver.credential() {
                Some(credential) if !is_bare => copy.headers().set("Authorization", &credential)?,
                Some(_) => {}
                None => is_bare = true,
            }
            copy
        }
        Auth::App(authorize) => {
            is_bare = false;
            authorized(authorize, &copy).await.map_err(FetchError::NotSent)?
        }
    };
    let follows = allowed.cross_origin_redirects == CrossOriginRedirects::Follow;
    if is_bare || follows || sent.redirect() != RequestRedirect::Follow {
        return response(fetch_with(&sent, &init)?).await;
    }
    reach_within(&sent, is_safe).await
}

async fn authorized(
    authorize: &Function,
    request: &Request,
) -> core::result::Result<Request, JsValue> {
    let authorized = authorize.call1(&JsValue::UNDEFINED, request)?;
    JsFuture::from(Promise::resolve(&authorized)).await?.dyn_into()
}

/// Sends a request whose redirects must not carry the credential to another origin.
async fn reach_within(sent: &Request, is_safe: bool) -> Result<Response> {
    let is_own = global::origin().is_some_and(|origin| sent.url().starts_with(&(origin + "/")));
    let within = RequestInit::new();
    within.set_mode(RequestMode::SameOrigin);
    // What changes nothing is asked again where the redirect leads; a second POST would be one
    // more.
    if !is_safe && is_own {
        return response(fetch_with(sent, &within)?).await;
    }
    let manual = RequestInit::new();
    manual.set_redirect(RequestRedirect::Manual);
    let answer = response(fetch_with(sent, &manual)?).await?;
    if answer.type_() != ResponseType::Opaqueredirect {
        return Ok(answer);
    }
    if is_own && let Ok(answer) = response(fetch_with(sent, &within)?).await {
        return Ok(answer);
    }
    if sent.signal().aborted() {
        return Err(FetchError::Rejected(sent.signal().reason()));
    }
    Err(FetchError::Redirected)
}

async fn response(promise: JsValue) -> Result<Response> {
    let value = JsFuture::from(Promise::resolve(&promise)).await?;
    Ok(transport::genuine(value)?)
}

fn has_own_credential(request: &Request) -> bool {
    request.headers().has("Authorization").unwrap_or(false)
}

fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// Stands for method and path, without query, in the core (FNV-1a).
fn resource(request: &Request) -> u32 {
    let url = request.url();
    let path = url.bytes().take_while(|byte| !matches!(byte, b'?' | b'#'));
    request
        .method()
        .bytes()
        .chain(path)
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
