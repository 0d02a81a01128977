//! Which pages may call the API, and what they may read of its answers.
//!
//! Rule: errors carry the same headers as everything else. An error that a page cannot read looks
//! like a dead network, and a browser that meets one keeps its user waiting for nothing.
//!
//! No `Access-Control-Allow-Credentials`: the token travels in a header, and cookies have no
//! business here.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Origin;

/// Two hours is the longest that Chromium remembers a preflight.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// Marks a request that nobody's action caused.
const X_BACKGROUND: HeaderName = HeaderName::from_static("x-background");

/// Answers preflights, and marks answers for the pages of `origins`.
pub(crate) fn layer(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.header_value().clone())))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, X_BACKGROUND])
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, DATE])
        .max_age(MAX_AGE)
}
