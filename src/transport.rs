//! Requests to the API and the facts of their answers. What an answer means is the core's.
//!
//! Rule: whatever a page has made of `fetch` (patches, polyfills, mock servers), a request ends
//! with facts or with no answer, and never with an exception or a panic. So every promise is
//! awaited here: gloo-net's `send` and `text` panic where one is rejected with what is no `Error`.

use std::rc::Rc;

use gloo_net::http;
use js_sys::{Function, Promise};
use session_keeper_core::{
    Body, CANDIDATES, Challenge, Classified, Duration, Outcome, Probe, Response, ServerFacts,
    UnixMillis,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, Headers, Request, RequestCache, RequestCredentials, RequestInit, RequestRedirect,
    ResponseType,
};

use crate::json::{self, get};
use crate::options::{Auth, HealthCredentials, Options};
use crate::refresh::Attempt;
use crate::{clock, global, record};

#[wasm_bindgen]
extern "C" {
    /// Not `Window.fetch` of web-sys, which takes for granted that it is there and does not throw.
    #[wasm_bindgen(catch, js_name = fetch)]
    pub(crate) fn fetch_url(url: &str, init: &RequestInit) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch_request(request: &JsValue) -> Result<JsValue, JsValue>;

    /// `Object.prototype.toString`: the class of a value, whatever realm made it.
    #[wasm_bindgen(catch, js_namespace = ["Object", "prototype", "toString"], js_name = call)]
    fn tag(value: &JsValue) -> Result<String, JsValue>;

    /// What web-sys does not know yet.
    #[wasm_bindgen(extends = RequestInit)]
    type KeepaliveInit;

    #[wasm_bindgen(method, setter)]
    fn set_keepalive(this: &KeepaliveInit, keepalive: bool);
}

/// How a request ended, with the body for whom it may concern.
pub(crate) struct Received {
    pub(crate) outcome: Outcome,
    pub(crate) body: JsValue,
    /// The header that the options name for it, in cookie mode.
    pub(crate) csrf: Option<String>,
}

impl Received {
    /// The page's own function gave no request to send.
    const NOT_SENT: Self = Self { outcome: Outcome::NotSent, body: JsValue::UNDEFINED, csrf: None };
    const NO_ANSWER: Self =
        Self { outcome: Outcome::NoAnswer, body: JsValue::UNDEFINED, csrf: None };
}

/// One request to send.
pub(crate) struct Outgoing {
    pub(crate) options: Rc<Options>,
    pub(crate) probe: Probe,
    pub(crate) token: Option<String>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) signal: Option<AbortSignal>,
}

/// Sends one request, before it returns unless the app's function is asked first, and reads the
/// answer; `on_headers` is called when its head is here. Why none came is never told apart by the
/// error, because engines differ in names and texts; but where the app's own function failed,
/// nothing was sent.
pub(crate) fn send(request: Outgoing, on_headers: impl FnOnce()) -> impl Future<Output = Received> {
    let started = start(&request);
    async move {
        let received = async {
            let response = match started? {
                Started::Fetching(response) => settle(&response).await?,
                Started::Authorizing(request) => match settle(&request).await {
                    // `fetch(undefined)` would ask for `/undefined`.
                    Ok(request) if request.is_object() => settle(&fetch_request(&request)?).await?,
                    Ok(_) | Err(_) => return Ok(Received::NOT_SENT),
                },
                Started::Failed => return Ok(Received::NOT_SENT),
            };
            let response = genuine(response)?;
            on_headers();
            // Before anything else, because a proxy of a response fails here and not by throwing.
            let content = settle(&response.text()?.into()).await?;
            let content = content.as_string().ok_or(JsValue::UNDEFINED)?;
            Ok::<_, JsValue>(read(&request, response, &content))
        };
        received.await.unwrap_or(Received::NO_ANSWER)
    }
}

enum Started {
    Fetching(JsValue),
    Authorizing(JsValue),
    /// The app's own function threw.
    Failed,
}

fn start(request: &Outgoing) -> Result<Started, JsValue> {
    let by_page = request.options.by_page(request.probe);
    if let (Some(by_page), Some(attempt)) = (by_page, &request.attempt) {
        return Ok(Started::Fetching(by_page.send(attempt, request.signal.as_ref())?));
    }
    let (url, init) = build(request)?;
    match &request.options.auth {
        Auth::App(authorize) if request.probe != Probe::Health => {
            let request = Request::new_with_str_and_init(&url, &init)?;
            let authorized = authorize.call1(&JsValue::UNDEFINED, &request);
            Ok(authorized.map_or(Started::Failed, Started::Authorizing))
        }
        Auth::Cookie => match &request.options.csrf {
            // Page and API may be two origins of one site, so it is not asked where the API is.
            Some(csrf) if request.probe == Probe::SignOut => {
                let request = Request::new_with_str_and_init(&url, &init)?;
                Ok(Started::Fetching(csrf.send.call1(&JsValue::UNDEFINED, &request)?))
            }
            Some(_) | None => Ok(Started::Fetching(fetch_url(&url, &init)?)),
        },
        Auth::App(_) | Auth::Token { .. } => Ok(Started::Fetching(fetch_url(&url, &init)?)),
    }
}

/// A response, also of another realm such as a frame's. gloo-net and web-sys take for granted
/// what is checked here.
pub(crate) fn genuine(value: JsValue) -> Result<web_sys::Response, JsValue> {
    value.dyn_into::<web_sys::Response>().or_else(|value| match tag(&value)?.as_str() {
        "[object Response]" => Ok(value.unchecked_into()),
        _ => Err(value),
    })
}

/// Waits for a promise of any realm, or takes a plain value as it is.
async fn settle(value: &JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(value)).await
}

fn build(request: &Outgoing) -> Result<(String, RequestInit), JsValue> {
    let Outgoing { options, probe, signal, .. } = request;
    let init = RequestInit::new();
    init.set_cache(RequestCache::NoStore);
    // A redirect is never a verdict, and following one could carry the credential away.
    init.set_redirect(RequestRedirect::Manual);
    init.set_credentials(credentials(options, *probe));
    init.set_headers_headers(&headers(request)?);
    init.set_signal(signal.as_ref());
    let path = match probe {
        Probe::Health => &*options.health_path,
        Probe::Verify => &*options.verify_path,
        Probe::Candidate(index) => CANDIDATES.get(usize::from(*index)).copied().unwrap_or_default(),
        Probe::SignOut => {
            init.set_method("POST");
            // It outlives the page, which often goes to its login form at once.
            init.unchecked_ref::<KeepaliveInit>().set_keepalive(true);
            options.sign_out_path.as_deref().unwrap_or_default()
        }
        // The page's function sends it.
        Probe::Refresh | Probe::Acquire => "",
    };
    Ok((options.url(path), init))
}

/// Cookies travel as with the app's own requests: gateways and sticky sessions live on them. In
/// cookie mode a ping must not prolong the session.
fn credentials(options: &Options, probe: Probe) -> RequestCredentials {
    let is_cookie = matches!(options.auth, Auth::Cookie);
    if probe != Probe::Health {
        let include = RequestCredentials::Include;
        return if is_cookie { include } else { RequestCredentials::SameOrigin };
    }
    // Another server's pings get no credential, whatever is said of the API's.
    let is_ours = options.is_at(&options.health_path, &options.origin);
    match options.health_credentials {
        Some(HealthCredentials::Include) if is_ours => RequestCredentials::Include,
        Some(HealthCredentials::SameOrigin) => RequestCredentials::SameOrigin,
        None if !is_cookie => RequestCredentials::SameOrigin,
        Some(HealthCredentials::Include | HealthCredentials::Omit) | None => {
            RequestCredentials::Omit
        }
    }
}

fn headers(request: &Outgoing) -> Result<Headers, JsValue> {
    let Outgoing { options, probe, token, .. } = request;
    let headers = Headers::new()?;
    headers.set("Accept", "application/json")?;
    if *probe == Probe::Health {
        return Ok(headers);
    }
    if let (Auth::Token { scheme }, Some(token)) = (&options.auth, token) {
        headers.set("Authorization", &[&**scheme, " ", token].concat())?;
    }
    let is_here = |origin: String| options.is_at(&options.verify_path, &origin);
    if *probe != Probe::SignOut && global::origin().is_some_and(is_here) {
        // A server can leave verifications out of its idle timeout. Elsewhere the header would
        // cost a preflight of its own.
        headers.set("X-Background", "1")?;
    }
    Ok(headers)
}

fn read(request: &Outgoing, response: web_sys::Response, content: &str) -> Received {
    let headers = http::Headers::from_raw(response.headers());
    let header = |name: &str| headers.get(name);
    let (kind, body) = recognize(&header("content-type").unwrap_or_default(), content);
    let date = header("date").as_deref().and_then(clock::parse_date);
    let classified = match (&request.options.classify, request.probe) {
        (Some(classify), Probe::Verify) => self::classify(classify, &response, &body),
        (Some(_) | None, _) => None,
    };
    let csrf = request.options.csrf.as_ref().and_then(|csrf| header(&csrf.header));
    let response = http::Response::from(response);
    // Responses that a page may not look into.
    let is_opaque = matches!(response.type_(), ResponseType::Opaque | ResponseType::Opaqueredirect);
    let challenge = header("www-authenticate");
    let facts = Response {
        status: response.status(),
        redirected: is_opaque || response.redirected(),
        body: kind,
        challenge: challenge.map_or(Challenge::Unreadable, |value| Challenge::read(&value)),
        retry_after: header("retry-after").and_then(|value| retry_after(&value, date)),
        age: header("age").as_deref().and_then(seconds),
        date,
        server: server_facts(kind, &body, date),
        classified,
    };
    Received { outcome: Outcome::Response(facts), body, csrf }
}

/// What a body tells of the server that sent it; a problem's members mean something else.
fn server_facts(kind: Body, body: &JsValue, date: Option<UnixMillis>) -> ServerFacts {
    if kind == Body::Problem {
        return ServerFacts { now: date, ..ServerFacts::default() };
    }
    let uptime = get(body, "uptime").as_f64();
    ServerFacts {
        instance: record::label(body, "instance"),
        boot: record::label(body, "boot"),
        // `Date` has whole seconds, which is enough to tell a clock that is off.
        now: json::moment(body, "now").or(date),
        uptime: uptime.map(|secs| Duration::from_millis((secs * 1_000.0) as u64)),
    }
}

fn classify(
    classify: &Function,
    response: &web_sys::Response,
    body: &JsValue,
) -> Option<Classified> {
    let said = classify.call2(&JsValue::UNDEFINED, response, body).ok()?;
    match said.as_string()?.as_str() {
        "valid" => Some(Classified::Valid),
        "rejected" => Some(Classified::Rejected),
        _ => None,
    }
}

fn recognize(content_type: &str, content: &str) -> (Body, JsValue) {
    let content_type = content_type.to_ascii_lowercase();
    // The words of a media type such as `application/problem+json; charset=utf-8`. By `contains`
    // it would be 3 KB gzip more, because nothing else looks for a text within a text.
    let is_of = |kind: &str| {
        content_type.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.ends_with(kind))
    };
    let start = content.trim_ascii_start().chars().next();
    let Some(start) = start else { return (Body::Empty, JsValue::UNDEFINED) };
    if start == '<' || is_of("html") {
        return (Body::Html, JsValue::UNDEFINED);
    }
    match json::parse(content) {
        Some(value) if start == '{' && is_of("problem") => (Body::Problem, value),
        Some(value) if start == '{' && is_error(&value) => (Body::ErrorObject, value),
        Some(value) if start == '{' => (Body::Object, value),
        Some(value) if is_of("json") => (Body::Json, value),
        Some(_) | None => (Body::Other, JsValue::UNDEFINED),
    }
}

/// The ways in which backends say with a 200 that something went wrong.
fn is_error(body: &JsValue) -> bool {
    let is_denied = |key| get(body, key) == JsValue::FALSE;
    let has_message =
        ["msg", "message", "detail"].into_iter().any(|key| get(body, key).as_string().is_some());
    // A code of its own beside a message, as many back ends have it: 50014, "401".
    let is_code =
        |code: u64| (400..600).contains(&code) || has_message && (40_000..60_000).contains(&code);
    let is_status = |key| {
        let text = get(body, key).as_string().filter(|_| has_message);
        let code = text.and_then(|text| text.parse().ok()).or_else(|| json::number(body, key));
        code.is_some_and(is_code)
    };
    ["error", "errors"].into_iter().any(|key| get(body, key).is_truthy())
        || ["success", "ok", "authenticated"].into_iter().any(is_denied)
        || ["code", "status", "statusCode"].into_iter().any(is_status)
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is read against the date of the same
/// response: the local clock may be hours off.
fn retry_after(value: &str, date: Option<UnixMillis>) -> Option<Duration> {
    seconds(value).or_else(|| {
        let until = clock::parse_date(value)?;
        Some(Duration::from_millis(until.0.saturating_sub(date.unwrap_or_else(clock::wall).0)))
    })
}

/// RFC 9110 section 10.2.3: digits alone. More than a header can mean counts as much.
fn seconds(value: &str) -> Option<Duration> {
    let value = value.trim_ascii();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(value.parse().unwrap_or(u32::MAX).into()))
}
