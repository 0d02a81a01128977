//! JSON bodies, bounded in size and time.
//!
//! Rule: what is refused is refused with a sentence of ours. The parser's own may quote the body,
//! and that may be a password.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::ApiError;

/// The largest body that any route reads: a sign-in is some hundred bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The slowest honest phone sends 64 KiB in it; a client that sends a byte a minute does not.
const MAX_TIME: Duration = Duration::from_secs(20);

/// What a route reads.
pub(crate) trait Input: DeserializeOwned {
    /// The sentence for a body that is something else.
    const EXPECTED: &'static str;
}

/// A body that was read and has the shape that the route wants.
pub(crate) struct Body<T>(pub(crate) T);

/// A body that was read, whatever is in it.
pub(crate) struct Raw(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match timeout(MAX_TIME, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::PayloadTooLarge)
            }
            Ok(Err(_)) => Err(ApiError::invalid("the body ended early: send it again")),
            Err(_) => {
                let status = StatusCode::REQUEST_TIMEOUT;
                Err(ApiError::InvalidRequest(status, "the body came too slowly"))
            }
        }
    }
}

impl<T: Input, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // Also a fence: a foreign page can send no JSON without a preflight.
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let Raw(bytes) = Raw::from_request(request, state).await?;
        // serde would take the fields in order from an array too.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::invalid(T::EXPECTED));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|_| ApiError::invalid(T::EXPECTED))
    }
}

/// For a route that needs no body: what is sent all the same is JSON.
pub(crate) fn require_json(headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if body.is_empty() || is_json(headers) { Ok(()) } else { Err(not_json()) }
}

fn not_json() -> ApiError {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    ApiError::InvalidRequest(status, "send Content-Type: application/json")
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}
