//! Which pages may call the API, and what they may read of its answers.
//!
//! Rule: errors carry the same headers as everything else. An error that a page cannot read looks
//! like a dead network, and a browser that meets one keeps its user waiting for nothing.
//!
//! `Access-Control-Allow-Credentials` is for cookie sessions, and for the named origins only: a
//! list, never a wildcard. What changes anything needs the CSRF token beside the cookie.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Origin;
use crate::cookies::CSRF_HEADER;

/// Two hours is the longest that Chromium remembers a preflight.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// Names a request in the access log, and in the answer for whoever reports a failure.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Marks a request that nobody's action caused.
pub(crate) const X_BACKGROUND: HeaderName = HeaderName::from_static("x-background");

/// Answers preflights, and marks answers for the pages of `origins`.
pub(crate) fn layer(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.header_value().clone())))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, X_BACKGROUND, CSRF_HEADER])
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, DATE, CSRF_HEADER, X_REQUEST_ID])
        .max_age(MAX_AGE)
}
