//! Cookies that the check of a session leaves for the answer, whatever the route answers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::header::SET_COOKIE;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// Header lines for the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseCookies(Arc<Mutex<Vec<(HeaderName, HeaderValue)>>>);

impl ResponseCookies {
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    pub(crate) fn add(&self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(headers);
    }

    fn take(&self) -> Vec<(HeaderName, HeaderValue)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Adds to the answer what was left for it.
pub(crate) async fn cookie_middleware(mut request: Request, next: Next) -> Response {
    let cookies = ResponseCookies::default();
    request.extensions_mut().insert(cookies.clone());
    let mut response = next.run(request).await;
    // A route that sets cookies itself, as the sign-out does, knows better.
    if !response.headers().contains_key(SET_COOKIE) {
        response.headers_mut().extend(cookies.take());
    }
    response
}
