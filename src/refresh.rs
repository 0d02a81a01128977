//! One attempt to refresh the token: by the API's path, or by the app's function. What the answer
//! means is the core's.
//!
//! Rule: whatever the function does, an attempt ends with an answer or with none. Tokens stay
//! inside the page's objects.

use std::fmt;
use std::rc::Rc;

use js_sys::{Function, encode_uri_component};
use session_keeper_core::{AttemptId, Body, Classified, Outcome, Probe, Response};
use wasm_bindgen::JsValue;
use web_sys::AbortSignal;

use crate::json::{self, get, set, text};
use crate::options::{Auth, Options};
use crate::transport::{self, Content, Outgoing, Received};

/// How the token is refreshed.
pub(crate) struct Refresh {
    pub(crate) way: Way,
    /// Makes a record of an answer's body: `token`, `refresh_token`, `expires_at`, `lifetime`.
    pub(crate) read: Option<Function>,
}

/// Who is asked for a newer token.
pub(crate) enum Way {
    /// The API, at this path.
    Path { path: String, format: RefreshFormat },
    /// The app.
    Function(Function),
}

/// What is sent to the refresh path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RefreshFormat {
    /// `{ "refresh_token", "attempt" }` as JSON.
    #[default]
    Json,
    /// A form (RFC 6749 section 6).
    OAuth {
        /// `client_id`, for servers that want one.
        client_id: Option<String>,
    },
}

/// One attempt.
pub(crate) struct Attempt {
    pub(crate) options: Rc<Options>,
    /// The object of the page that holds the token.
    pub(crate) token: Option<JsValue>,
    pub(crate) id: AttemptId,
    pub(crate) signal: Option<AbortSignal>,
}

/// How an attempt ended.
pub(crate) struct Refreshed {
    pub(crate) outcome: Outcome,
    pub(crate) is_invalid_grant: bool,
    /// What the record holds from now on, where a newer token came.
    pub(crate) object: Option<JsValue>,
    pub(crate) is_same: bool,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}

/// An attempt's id as it is sent and stored: 16 hex digits.
pub(crate) fn attempt_id(id: AttemptId) -> String {
    format!("{:016x}", id.0)
}

pub(crate) async fn send(attempt: Attempt, on_headers: impl FnOnce()) -> Refreshed {
    let Some(Refresh { way, read }) = &attempt.options.refresh else {
        return Refreshed::NO_ANSWER;
    };
    let received = match way {
        Way::Path { format, .. } => {
            let content = content(&attempt, format);
            transport::send(outgoing(&attempt, content), on_headers).await
        }
        Way::Function(function) => ask(&attempt, function, on_headers).await,
    };
    let Received { outcome, body } = received;
    let code = |key| text(&body, key).is_some_and(|code| code == "invalid_grant");
    let is_invalid_grant = code("error") || code("code");
    let is_success =
        matches!(outcome, Outcome::Response(Response { status: 200..=299, classified: None, .. }));
    let object = if is_success { new_object(&attempt, read.as_ref(), &body) } else { None };
    let is_same = object.as_ref().is_some_and(|new| is_same(&attempt, new));
    Refreshed { outcome, is_invalid_grant, object, is_same }
}

impl Refreshed {
    const NO_ANSWER: Self =
        Self { outcome: Outcome::NoAnswer, is_invalid_grant: false, object: None, is_same: false };
}

fn outgoing(attempt: &Attempt, content: Option<Content>) -> Outgoing {
    let (options, signal) = (Rc::clone(&attempt.options), attempt.signal.clone());
    Outgoing { options, probe: Probe::Refresh, token: None, content, signal }
}

fn refresh_token(attempt: &Attempt) -> Option<String> {
    text(attempt.token.as_ref()?, "refresh_token")
}

/// Nothing where a cookie is refreshed.
fn content(attempt: &Attempt, format: &RefreshFormat) -> Option<Content> {
    if matches!(attempt.options.auth, Auth::Cookie) {
        return None;
    }
    let token = refresh_token(attempt);
    Some(match format {
        RefreshFormat::Json => {
            let object = json::object();
            set(&object, "refresh_token", token);
            set(&object, "attempt", attempt_id(attempt.id));
            Content { kind: "application/json", text: json::stringify(&object) }
        }
        RefreshFormat::OAuth { client_id } => {
            let mut form = String::from("grant_type=refresh_token&refresh_token=");
            form.push_str(&encoded(&token.unwrap_or_default()));
            if let Some(client_id) = client_id {
                form.push_str("&client_id=");
                form.push_str(&encoded(client_id));
            }
            Content { kind: "application/x-www-form-urlencoded", text: form }
        }
    })
}

fn encoded(text: &str) -> String {
    encode_uri_component(text).into()
}

/// The app's function, given `{ refreshToken, attempt, signal }`. It may answer with a response as
/// it came, with what a backend answers, or with `null`: the server says no.
async fn ask(attempt: &Attempt, function: &Function, on_headers: impl FnOnce()) -> Received {
    let given = json::object();
    set(&given, "refreshToken", refresh_token(attempt));
    set(&given, "attempt", attempt_id(attempt.id));
    set(&given, "signal", attempt.signal.clone());
    let answer = match function.call1(&JsValue::UNDEFINED, &given) {
        Ok(answer) => transport::settle(&answer).await,
        Err(error) => Err(error),
    };
    let Ok(answer) = answer else { return Received::NO_ANSWER };
    let said = |classified| Received {
        outcome: Outcome::Response(Response {
            body: Body::Object,
            classified,
            ..Response::default()
        }),
        body: answer.clone(),
    };
    if answer.is_null() {
        return said(Some(Classified::Rejected));
    }
    match transport::genuine(answer.clone()) {
        Ok(response) => {
            let request = outgoing(attempt, None);
            transport::receive(&request, response, on_headers).await.unwrap_or(Received::NO_ANSWER)
        }
        Err(_) => said(None),
    }
}

/// The record that the answer makes. A server that hands out no other refresh token means that
/// the present one stays good (RFC 6749 section 6).
fn new_object(attempt: &Attempt, read: Option<&Function>, body: &JsValue) -> Option<JsValue> {
    let object = match read {
        Some(read) => read.call1(&JsValue::UNDEFINED, body).ok()?,
        None => plain(body, attempt.options.needs_token())?,
    };
    if !object.is_object() {
        return None;
    }
    if text(&object, "refresh_token").is_none()
        && let Some(token) = refresh_token(attempt)
    {
        set(&object, "refresh_token", token);
    }
    Some(object)
}

fn is_same(attempt: &Attempt, new: &JsValue) -> bool {
    let token = text(new, "token");
    token.is_some() && attempt.token.as_ref().is_some_and(|old| text(old, "token") == token)
}

/// The usual spellings, for Rust front ends: the npm package's face reads more of them.
fn plain(body: &JsValue, needs_token: bool) -> Option<JsValue> {
    if cfg!(feature = "npm") {
        return None;
    }
    let first = |keys: &[&str]| keys.iter().find_map(|key| text(body, key));
    let token = first(&["access_token", "accessToken", "access", "token", "key"]);
    if needs_token && token.is_none() {
        return None;
    }
    let object = json::object();
    if let Some(token) = token {
        set(&object, "token", token);
    }
    if let Some(token) = first(&["refresh_token", "refreshToken", "refresh"]) {
        set(&object, "refresh_token", token);
    }
    let lifetime = ["expires_in", "expiresIn"].into_iter().find_map(|key| get(body, key).as_f64());
    if let Some(lifetime) = lifetime.filter(|lifetime| *lifetime >= 0.0) {
        set(&object, "lifetime", (lifetime * 1_000.0).round());
    }
    Some(object)
}
