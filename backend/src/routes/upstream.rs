//! `/api/upstream/…`: the API behind this server, for signed-in users, with this server's token.
//!
//! Rule 1: nothing of the user's credentials goes there, and nothing of this server's comes back:
//! what may pass is listed, and everything else is left out.
//! Rule 2: a refusal of this server's token is no refusal of the user's: a 401 of the API is a 502
//! here, or the keeper would sign users out for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{
    ACCEPT, ACCEPT_LANGUAGE, ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LANGUAGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::timeout;

use crate::auth::SignedIn;
use crate::backend::Backend;
use crate::body::Raw;
use crate::error::ApiError;
use crate::render::PassedOn;
use crate::upstream::{Upstream, UpstreamToken};

/// What `openapi.json` lists.
pub(crate) const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

const PREFIX: &str = "/api/upstream/";

/// Below the bound of any request of ours.
const MAX_TIME: Duration = Duration::from_secs(30);

/// An answer is held in memory, once for each request.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

const TO_UPSTREAM: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    RANGE,
    HeaderName::from_static("idempotency-key"),
];
const FROM_UPSTREAM: [HeaderName; 8] = [
    CONTENT_TYPE,
    CONTENT_LANGUAGE,
    CONTENT_DISPOSITION,
    CONTENT_RANGE,
    ACCEPT_RANGES,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
];

pub(crate) async fn pass_on(
    State(backend): State<Arc<Backend>>,
    _user: SignedIn,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, ApiError> {
    let upstream = backend.upstream().ok_or(ApiError::NotFound)?;
    let call = Call { target: target(upstream.base(), &uri)?, method, headers, body };
    let answered = timeout(MAX_TIME, call.answer(upstream)).await;
    answered.unwrap_or_else(|_| Err(ApiError::upstream("the API does not answer")))
}

struct Call {
    target: Uri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    async fn answer(&self, upstream: &Upstream) -> Result<Response, ApiError> {
        let token = upstream.token().await?;
        let answer = self.send(upstream, &token).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return to_answer(answer);
        }
        // Ended there before its time. A 401 means that nothing was done, so it is sent once more.
        upstream.reject(&token);
        let token = upstream.token().await?;
        to_answer(self.send(upstream, &token).await?)
    }

    async fn send(
        &self,
        upstream: &Upstream,
        token: &UpstreamToken,
    ) -> Result<Response<Bytes>, ApiError> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        for name in &TO_UPSTREAM {
            if let Some(value) = self.headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| ApiError::internal("a token that cannot be sent"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let answer = upstream.client().request(request).await;
        let answer = answer.map_err(|_| ApiError::upstream("the API cannot be reached"))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body
            .map_err(|_| ApiError::upstream("the answer of the API broke off, or is over 8 MiB"))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// What the user gets of an answer.
fn to_answer(answer: Response<Bytes>) -> Result<Response, ApiError> {
    let (parts, body) = answer.into_parts();
    let status = parts.status;
    let is_ours_to_solve =
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let is_redirect = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    if is_ours_to_solve || is_redirect || status.is_server_error() {
        return Err(ApiError::upstream(&format!("the API answers {}", status.as_u16())));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for name in &FROM_UPSTREAM {
        if let Some(value) = parts.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.extensions_mut().insert(PassedOn);
    Ok(response)
}

/// Below the base and nowhere else: servers differ in what they make of dots and slashes that are
/// escaped.
fn target(base: &Uri, uri: &Uri) -> Result<Uri, ApiError> {
    const REFUSED: &str = "a path with dots or escaped slashes is not passed on: write it plainly";
    let rest = uri.path().strip_prefix(PREFIX).ok_or(ApiError::NotFound)?;
    let lower = rest.to_ascii_lowercase();
    let is_escaped = ["%2e", "%2f", "%5c", "%00", "\\"].iter().any(|part| lower.contains(part));
    let has_dots = rest.split('/').any(|segment| matches!(segment, "." | ".."));
    if is_escaped || has_dots {
        return Err(ApiError::invalid(REFUSED));
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}/{rest}{query}", base.path().trim_end_matches('/'));
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| ApiError::invalid(REFUSED))?);
    Uri::from_parts(parts).map_err(|_| ApiError::invalid(REFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base() {
        let base: Uri = "https://api.example/v2/".parse().expect("it is an address");
        let of = |text: &str| {
            let uri = text.parse().expect("it arrives as a path");
            target(&base, &uri).ok().map(|uri| uri.to_string())
        };
        for (path, expected) in [
            ("/api/upstream/nodes/7?x=1&y=%2F", "https://api.example/v2/nodes/7?x=1&y=%2F"),
            ("/api/upstream//evil.example/x", "https://api.example/v2//evil.example/x"),
            ("/api/upstream/a%20b", "https://api.example/v2/a%20b"),
        ] {
            assert_eq!(of(path).as_deref(), Some(expected));
        }
        for path in ["../x", "a/../../x", "%2e%2e/x", "a%2Fb", "..%5cx", "a/./b", "%00"] {
            assert_eq!(of(&format!("/api/upstream/{path}")), None, "{path}");
        }
    }
}
