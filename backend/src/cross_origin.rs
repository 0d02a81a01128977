//! The fence against other sites' pages: a browser sends the cookies of this host, and posts what
//! looks like a form, for any page that asks it to.
//!
//! Rule 1: what changes something is refused where a page made the request that is neither of this
//! origin nor of a listed one. `Sec-Fetch-Site` says it; browsers that do not send it (before 2023)
//! send `Origin`. Programs send neither, and carry no cookies of anybody.
//! Rule 2: such a page's request is no session's either, whatever its method: it could rotate a
//! cookie, or keep an idle session alive.
//!
//! It is the rule of Go's `http.CrossOriginProtection`. The CSRF token stays: it holds where a
//! proxy drops these headers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Origin;
use crate::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who made a request, as far as its browser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initiator {
    /// A page of this origin or of a listed one, or no page at all.
    Ours,
    /// A page of another origin.
    Foreign,
}

impl Initiator {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self::Foreign)
    }

    fn read(headers: &HeaderMap, allowed: &[Origin]) -> Self {
        let origin = headers.get(ORIGIN);
        if origin.is_some_and(|origin| allowed.iter().any(|one| one.header_value() == origin)) {
            return Self::Ours;
        }
        match (headers.get(SEC_FETCH_SITE).map(|value| value.as_bytes()), origin) {
            (Some(b"same-origin" | b"none"), _) | (None, None) => Self::Ours,
            (Some(_), _) => Self::Foreign,
            (None, Some(origin)) => {
                let host = headers.get(HOST).map(|value| value.as_bytes()).unwrap_or_default();
                let mut parts = origin.as_bytes().splitn(2, |&byte| byte == b'/');
                let of_origin = parts.nth(1).and_then(|rest| rest.strip_prefix(b"/"));
                if of_origin == Some(host) { Self::Ours } else { Self::Foreign }
            }
        }
    }
}

/// Refuses what a foreign page would change, and notes for the rest who made the request.
pub(crate) async fn cross_origin_middleware(
    State(allowed): State<Arc<[Origin]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let initiator = Initiator::read(request.headers(), &allowed);
    // Safe methods change nothing (RFC 9110 section 9.2.1).
    if initiator == Initiator::Foreign && !request.method().is_safe() {
        return ApiError::ForeignOrigin.into_response();
    }
    request.extensions_mut().insert(initiator);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_of_another_site_is_told_from_ours_and_from_programs() {
        let (own, listed, other) =
            ("https://api.example", "https://app.example", "https://evil.example");
        for (origin, site, expected) in [
            (None, None, Initiator::Ours),
            (Some(own), Some("same-origin"), Initiator::Ours),
            (None, Some("none"), Initiator::Ours),
            (Some(listed), Some("same-site"), Initiator::Ours),
            (Some(listed), Some("cross-site"), Initiator::Ours),
            (Some(other), Some("cross-site"), Initiator::Foreign),
            (Some(other), Some("same-site"), Initiator::Foreign),
            (Some("null"), Some("cross-site"), Initiator::Foreign),
            (None, Some("cross-site"), Initiator::Foreign),
            (None, Some("of the future"), Initiator::Foreign),
            (Some(own), None, Initiator::Ours),
            (Some(other), None, Initiator::Foreign),
            (Some("null"), None, Initiator::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("api.example"));
            let mut add = |name, value: Option<&'static str>| {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)))
            };
            add(ORIGIN, origin);
            add(SEC_FETCH_SITE, site);
            let allowed = ["https://app.example".parse().expect("it is an origin")];
            assert_eq!(Initiator::read(&headers, &allowed), expected, "{origin:?} {site:?}");
        }
    }
}
