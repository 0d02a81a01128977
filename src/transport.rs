//! Requests to the API and the facts of their answers. What an answer means is the core's.

use gloo_net::http::{Request, RequestBuilder, Response};
use js_sys::Promise;
use session_keeper_core as core;
use session_keeper_core::{Body, Challenge, Classified, Duration, Label, Probe, ServerFacts};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, RequestCache, RequestCredentials, RequestRedirect, ResponseType};

use crate::clock;
use crate::js::{moment, parse, text};
use crate::options::{Auth, Options};
use crate::record::Secret;

/// How a request ended, with the body for whom it may concern.
pub(crate) struct Ended {
    pub(crate) outcome: core::Outcome,
    pub(crate) body: JsValue,
}

/// Sends one request and reads its answer to the end. `on_head` is called when the head is here.
pub(crate) async fn exchange(
    options: &Options,
    probe: Probe,
    token: Option<&Secret>,
    signal: &AbortSignal,
    on_head: impl FnOnce(),
) -> Ended {
    match attempt(options, probe, token, signal, on_head).await {
        Some((response, body)) => Ended { outcome: core::Outcome::Response(response), body },
        // Never told apart by the error: engines differ in names and texts.
        None => Ended { outcome: core::Outcome::NoAnswer, body: JsValue::UNDEFINED },
    }
}

async fn attempt(
    options: &Options,
    probe: Probe,
    token: Option<&Secret>,
    signal: &AbortSignal,
    on_head: impl FnOnce(),
) -> Option<(core::Response, JsValue)> {
    let request = build(options, probe, token, signal)?;
    let request = match (&options.auth, probe) {
        (Auth::Custom(authorize), Probe::Verify | Probe::SignOut) => {
            let authorized = authorize.call1(&JsValue::NULL, &web_sys::Request::from(request));
            let authorized = settled(authorized.ok()?).await?;
            Request::from(authorized.dyn_into::<web_sys::Request>().ok()?)
        }
        _ => request,
    };
    let response = request.send().await.ok()?;
    on_head();
    read(options, probe, response).await
}

fn build(
    options: &Options,
    probe: Probe,
    token: Option<&Secret>,
    signal: &AbortSignal,
) -> Option<Request> {
    let path = match probe {
        Probe::Health => &options.health_path,
        Probe::Verify => &options.verify_path,
        Probe::SignOut => options.sign_out_path.as_ref()?,
    };
    let url = [options.base.as_str(), path].concat();
    let builder = match probe {
        Probe::SignOut => Request::post(&url),
        Probe::Health | Probe::Verify => Request::get(&url),
    };
    let with_credential = probe != Probe::Health;
    let credentials = if with_credential && matches!(options.auth, Auth::Cookie) {
        RequestCredentials::Include
    } else {
        // Also keeps the browser from asking for a password when a proxy says 401.
        RequestCredentials::Omit
    };
    let mut builder = builder
        .cache(RequestCache::NoStore)
        .redirect(RequestRedirect::Manual)
        .credentials(credentials)
        .abort_signal(Some(signal))
        .header("Accept", "application/json");
    if let (Auth::Bearer { scheme }, Some(token), true) = (&options.auth, token, with_credential) {
        builder = builder.header("Authorization", &[scheme, " ", &token.0].concat());
    }
    if with_credential && is_same_origin(options) {
        builder = mark(options, probe, builder);
    }
    builder.build().ok()
}

/// Headers that would cost a preflight of their own elsewhere.
fn mark(options: &Options, probe: Probe, builder: RequestBuilder) -> RequestBuilder {
    match (&options.csrf, probe) {
        (Some(csrf), Probe::SignOut) => match cookie(&csrf.cookie) {
            Some(value) => builder.header(&csrf.header, &value),
            None => builder,
        },
        // A server can leave verifications out of its idle timeout.
        (_, Probe::Verify) => builder.header("X-Background", "1"),
        _ => builder,
    }
}

fn is_same_origin(options: &Options) -> bool {
    let origin = web_sys::window().and_then(|window| text(&window, "origin"));
    origin.as_deref() == Some(&options.origin)
}

fn cookie(name: &str) -> Option<String> {
    let document = web_sys::window()?.document()?;
    let cookies = text(&document, "cookie")?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim_start().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

async fn read(
    options: &Options,
    probe: Probe,
    response: Response,
) -> Option<(core::Response, JsValue)> {
    // The app's `classify` is shown the page's own response.
    let raw = web_sys::Response::from(response);
    let response = Response::from(Clone::clone(&raw));
    let headers = response.headers();
    let content_type = headers.get("content-type").unwrap_or_default();
    let opaque = matches!(response.type_(), ResponseType::Opaqueredirect | ResponseType::Opaque);
    // The core bounds how long this may take; a body that broke off is no answer.
    let content = response.text().await.ok()?;
    let (body, value) = recognize(&content_type, &content);
    let classified = match (&options.classify, probe) {
        (Some(classify), Probe::Verify) => {
            let said = classify.call2(&JsValue::NULL, &raw, &value).ok();
            match said.and_then(|said| said.as_string()).as_deref() {
                Some("valid") => Some(Classified::Valid),
                Some("rejected") => Some(Classified::Rejected),
                _ => None,
            }
        }
        _ => None,
    };
    let label = |key: &str| Label::new(&text(&value, key)?);
    let facts = core::Response {
        status: response.status(),
        redirected: opaque || response.redirected(),
        body,
        challenge: headers
            .get("www-authenticate")
            .map_or(Challenge::Unreadable, |value| Challenge::read(&value)),
        retry_after: headers
            .get("retry-after")
            .and_then(|value| retry_after(&value, headers.get("date").as_deref())),
        server: ServerFacts {
            instance: label("instance"),
            boot: label("boot"),
            now: moment(&value, "now"),
        },
        classified,
    };
    Some((facts, value))
}

fn recognize(content_type: &str, content: &str) -> (Body, JsValue) {
    let start = content.bytes().find(|byte| !byte.is_ascii_whitespace());
    let Some(start) = start else { return (Body::Empty, JsValue::UNDEFINED) };
    if start == b'<' || mentions(content_type, b"html") {
        return (Body::Html, JsValue::UNDEFINED);
    }
    match parse(content) {
        Some(value) if start == b'{' => (Body::Object, value),
        Some(value) if mentions(content_type, b"json") => (Body::Json, value),
        _ => (Body::Other, JsValue::UNDEFINED),
    }
}

/// Without `str::contains`, whose searcher is three kilobytes.
fn mentions(content_type: &str, word: &[u8]) -> bool {
    content_type.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is read against the date of the same
/// response: the local clock may be hours off.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(secs) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(secs.into()));
    }
    let until = clock::parse_date(value)?;
    let from = date.and_then(clock::parse_date).unwrap_or_else(clock::wall);
    Some(Duration::from_millis(until.0.saturating_sub(from.0)))
}

/// What a function of the app returned, at once or with a promise.
async fn settled(value: JsValue) -> Option<JsValue> {
    if value.has_type::<Promise>() {
        return JsFuture::from(value.unchecked_into::<Promise>()).await.ok();
    }
    Some(value)
}
