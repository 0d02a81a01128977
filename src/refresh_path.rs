//! Refreshing at a path of the API, for Rust front ends. The npm package has its own in `js/`.
//!
//! Rule: what an answer means is the core's. Tokens stay inside the page's objects.

use wasm_bindgen::JsValue;
use web_sys::{
    AbortSignal, Headers, RequestCache, RequestCredentials, RequestInit, RequestRedirect,
};

use crate::json::{self, get, text};
use crate::refresh::{Attempt, Refreshed, attempt_id};
use crate::transport::{self, Received};

/// What is posted to the path that refreshes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshFormat {
    /// `{ "refresh_token", "attempt" }` as JSON; with a cookie the attempt alone.
    Json,
    /// A form as RFC 6749 section 6 has it, of a client without a secret.
    OAuth {
        /// `client_id`, where the server wants it.
        client_id: Option<String>,
    },
}

/// Where and how.
pub(crate) struct RefreshPath {
    pub(crate) url: String,
    pub(crate) format: RefreshFormat,
    pub(crate) is_cookie: bool,
}

const TOKENS: [&str; 5] = ["access_token", "accessToken", "access", "token", "key"];
const REFRESH_TOKENS: [&str; 3] = ["refresh_token", "refreshToken", "refresh"];
const LIFETIMES: [&str; 2] = ["expires_in", "expiresIn"];
/// More seconds than any clock holds.
const MAX_SECONDS: f64 = 8.64e12;

impl RefreshPath {
    pub(crate) fn send(
        &self,
        attempt: &Attempt,
        signal: Option<&AbortSignal>,
    ) -> Result<JsValue, JsValue> {
        let headers = Headers::new()?;
        headers.set("Accept", "application/json")?;
        let (kind, body) = self.body(attempt);
        headers.set("Content-Type", kind)?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_cache(RequestCache::NoStore);
        // Following one could carry the token away.
        init.set_redirect(RequestRedirect::Manual);
        init.set_credentials(if self.is_cookie {
            RequestCredentials::Include
        } else {
            RequestCredentials::SameOrigin
        });
        init.set_headers_headers(&headers);
        init.set_body(&body.into());
        init.set_signal(signal);
        transport::fetch_url(&self.url, &init)
    }

    fn body(&self, attempt: &Attempt) -> (&'static str, String) {
        let token = text(&attempt.token, "refresh_token").filter(|_| !self.is_cookie);
        match &self.format {
            RefreshFormat::Json => {
                let object = json::object();
                if let Some(token) = token {
                    json::set(&object, "refresh_token", token);
                }
                if let Some(id) = attempt.id {
                    json::set(&object, "attempt", attempt_id(id));
                }
                ("application/json", json::stringify(&object))
            }
            RefreshFormat::OAuth { client_id } => {
                let encode = |value: &str| String::from(js_sys::encode_uri_component(value));
                let token = encode(&token.unwrap_or_default());
                let mut form = ["grant_type=refresh_token&refresh_token=", &*token].concat();
                if let Some(id) = client_id {
                    form.push_str("&client_id=");
                    form.push_str(&encode(id));
                }
                ("application/x-www-form-urlencoded", form)
            }
        }
    }

    pub(crate) fn read(&self, old: &JsValue, received: Received) -> Refreshed {
        let Received { outcome, body, .. } = received;
        let token = first(&body, &TOKENS);
        let is_invalid_grant = ["error", "code"]
            .iter()
            .any(|key| text(&body, key).as_deref() == Some("invalid_grant"));
        let is_same = token.is_some() && token == text(old, "token");
        let object = (token.is_some() || self.is_cookie && body.is_object()).then(|| {
            let object = json::object();
            if let Some(token) = token.filter(|_| !self.is_cookie) {
                json::set(&object, "token", token);
            }
            // A server that hands out no other one means the present one (RFC 6749 section 6).
            let refresh_token =
                first(&body, &REFRESH_TOKENS).or_else(|| text(old, "refresh_token"));
            if let Some(refresh_token) = refresh_token {
                json::set(&object, "refresh_token", refresh_token);
            }
            if let Some(seconds) = LIFETIMES.iter().find_map(|key| seconds(&get(&body, key))) {
                json::set(&object, "lifetime", (seconds * 1_000.0).round());
            }
            object
        });
        Refreshed { outcome, is_invalid_grant, object, is_same, user: JsValue::UNDEFINED }
    }
}

/// The first of these members that is a text that a header takes.
fn first(body: &JsValue, keys: &[&str]) -> Option<String> {
    let is_token =
        |value: &String| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    keys.iter().find_map(|key| text(body, key).filter(is_token))
}

/// A number, also as the text that some servers make of it.
fn seconds(value: &JsValue) -> Option<f64> {
    let seconds = value.as_f64().or_else(|| value.as_string()?.parse().ok())?;
    (0.0..=MAX_SECONDS).contains(&seconds).then_some(seconds)
}
