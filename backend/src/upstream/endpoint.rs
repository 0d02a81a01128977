//! The server that hands out tokens, asked for one (OAuth client credentials, RFC 6749 section
//! 4.4).
//!
//! Rule: the client's secret is in the request and nowhere else; what that server says of a failure
//! is reduced to its status and its error code.

use std::fmt;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, Uri};
use base64ct::{Base64, Encoding};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use session_keeper_tokens::UnixMillis;
use tokio::time::timeout;

use super::http::HttpClient;
use super::token::{ASSUMED_LIFE, UpstreamToken};
use crate::config::{ClientAuth, ClientCredentials, UpstreamOptions};

const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 64 * 1024;

/// Longer than any token lasts; a number beyond it is a mistake.
const LONGEST_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Who asks, and whom.
pub(super) struct TokenEndpoint {
    url: Uri,
    client: ClientCredentials,
    scope: Option<String>,
    client_auth: ClientAuth,
}

/// The answer (RFC 6749 section 5.1). Some servers write the number as a text.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl TokenEndpoint {
    /// The sentence says which setting is missing.
    pub(super) fn new(options: &UpstreamOptions) -> Result<Self, String> {
        let url = options.token_url.clone().ok_or("--upstream-url needs --upstream-token-url")?;
        let client = match &options.client {
            Some(client) => client.clone(),
            None => ClientCredentials::of_environment()
                .map_err(|name| format!("--upstream-url needs {name} in the environment"))?,
        };
        Ok(Self { url, client, scope: options.scope.clone(), client_auth: options.client_auth })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client.id
    }

    /// A new token. The error is for the log.
    pub(super) async fn ask(
        &self,
        client: &HttpClient,
        now: UnixMillis,
    ) -> Result<UpstreamToken, String> {
        let asked = timeout(MAX_TIME, async {
            let response = client.request(self.request()?).await;
            let response = response.map_err(|_| "it cannot be reached".to_owned())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            let body = body.map_err(|_| "its answer broke off or is too long".to_owned())?;
            Ok::<_, String>((status, body.to_bytes()))
        });
        let (status, body) = asked.await.map_err(|_| "it does not answer".to_owned())??;
        if !status.is_success() {
            let error = serde_json::from_slice::<ErrorAnswer>(&body).ok();
            let code = error.map(|answer| answer.error).filter(|code| is_code(code));
            let code = code.unwrap_or_else(|| "no error code".to_owned());
            return Err(format!("it answers {} ({code})", status.as_u16()));
        }
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| "its answer is no token (RFC 6749 section 5.1)".to_owned())?;
        to_token(answer, now)
    }

    fn request(&self) -> Result<Request<Full<axum::body::Bytes>>, String> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match self.client_auth {
            ClientAuth::Basic => {
                // Form-encoded first (RFC 6749 section 2.3.1).
                let pair = format!("{}:{}", encode(&self.client.id), encode(&self.client.secret));
                let value = format!("Basic {}", Base64::encode_string(pair.as_bytes()));
                let mut value =
                    HeaderValue::try_from(value).map_err(|_| "its secret cannot be sent")?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            ClientAuth::Body => {
                form.push(("client_id", &self.client.id));
                form.push(("client_secret", &self.client.secret));
            }
        }
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        request.body(Full::from(body)).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

fn to_token(answer: TokenAnswer, now: UnixMillis) -> Result<UpstreamToken, String> {
    if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token is no Bearer token (RFC 6750)".to_owned());
    }
    let is_sendable = |byte: u8| (0x21..=0x7e).contains(&byte);
    if answer.access_token.is_empty() || !answer.access_token.bytes().all(is_sendable) {
        return Err("its token cannot be sent in a header".to_owned());
    }
    let life = match answer.expires_in {
        None => ASSUMED_LIFE,
        Some(value) => {
            let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 1.0);
            let seconds = seconds.ok_or("its expires_in is no number of seconds")?;
            Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE)
        }
    };
    Ok(UpstreamToken::new(answer.access_token, now, now.after(life)))
}

/// An error code of RFC 6749 and not a text that somebody else chose for our log.
fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))
}

/// As forms are written (`application/x-www-form-urlencoded`).
fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_900_000_000_000);

    #[test]
    fn an_answer_is_a_bearer_token_and_a_life() {
        for (text, seconds) in [
            (r#"{"access_token":"t","token_type":"Bearer","expires_in":43200}"#, 43_200),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#, 60),
            (r#"{"access_token":"t"}"#, 3_600),
            (r#"{"access_token":"t","expires_in":1e300}"#, 7_776_000),
        ] {
            let token = read(text).expect("it is a token");
            assert_eq!(token.expires_in(NOW), seconds, "{text}");
        }
        for text in [
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"a b","expires_in":1}"#,
            r#"{"access_token":"t","token_type":"mac","expires_in":1}"#,
            r#"{"access_token":"t","expires_in":0}"#,
            r#"{"access_token":"t","expires_in":"soon"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_other_server_says_is_not_written_into_the_log() {
        assert!(is_code("invalid_client"));
        for text in ["", "invalid client", "x\nERROR", "UPPER", &"x".repeat(41)] {
            assert!(!is_code(text), "{text}");
        }
    }

    fn read(text: &str) -> Result<UpstreamToken, String> {
        to_token(serde_json::from_str(text).map_err(|error| error.to_string())?, NOW)
    }
}
