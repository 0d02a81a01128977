//! Every way to say no, and the one place that writes it.
//!
//! Rule 1: every error is JSON with `code`, `message`, `instance` and `boot`; [`render`] sees all
//! answers, so no route, extractor or layer can answer otherwise.
//! Rule 2: 401 is for credentials that were checked and refused. A store that could not be asked is
//! 503.
//!
//! It deliberately puts nothing of the request into an answer or a log line.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::Backend;
use crate::identity::Identity;
use crate::log;
use crate::store::StoreError;

/// Long enough for a disk or a database to come back, short enough for a person who waits.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(crate) enum ApiError {
    /// The token was looked up and is not valid, or is nothing that could be looked up.
    InvalidToken,
    /// The route wants a token and got none.
    NoToken,
    /// The name and the password do not belong together.
    InvalidCredentials,
    /// The client has to change the request.
    InvalidRequest(StatusCode, &'static str),
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    /// Ours, and it may pass by itself. The cause is for the log.
    Unavailable(Arc<str>),
    /// Ours, and a bug or a broken system. The cause is for the log.
    Internal(Arc<str>),
}

impl ApiError {
    pub(crate) fn invalid(message: &'static str) -> Self {
        Self::InvalidRequest(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unavailable(cause: &str) -> Self {
        Self::Unavailable(Arc::from(cause))
    }

    pub(crate) fn internal(cause: &str) -> Self {
        Self::Internal(Arc::from(cause))
    }

    /// For an answer that a layer or an extractor made without us.
    fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            status if status.is_client_error() => {
                Self::InvalidRequest(status, "this request cannot be understood")
            }
            status => Self::internal(status.as_str()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidToken | Self::NoToken | Self::InvalidCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::InvalidRequest(status, _) => *status,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken | Self::NoToken => "invalid_token",
            Self::InvalidCredentials => "invalid_credentials",
            Self::InvalidRequest(..) => "invalid_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Unavailable(_) => "store_unavailable",
            Self::Internal(_) => "internal",
        }
    }

    fn message(&self) -> &'static str {
        match self {
            // Word for word what people who hunt this bug search for.
            Self::InvalidToken | Self::NoToken => "Invalid or expired token",
            Self::InvalidCredentials => "wrong username or password",
            Self::InvalidRequest(_, message) => message,
            Self::NotFound => "no such path: check the base URL and the paths",
            Self::MethodNotAllowed => "this path takes other methods: see the Allow header",
            Self::PayloadTooLarge => "the body is over 64 KiB: send less",
            Self::Unavailable(_) => "the store cannot be asked: try again in 5 s",
            Self::Internal(_) => "an error of the server: its log says more",
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let bearer = HeaderValue::from_static("Bearer");
        // The repeat of a refused request may then meet another worker than this connection's.
        let close = (CONNECTION, HeaderValue::from_static("close"));
        match self {
            Self::InvalidToken => {
                let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
                vec![(WWW_AUTHENTICATE, challenge), close]
            }
            Self::NoToken => vec![(WWW_AUTHENTICATE, bearer), close],
            // RFC 9110 section 15.5.2: no 401 without a challenge.
            Self::InvalidCredentials => vec![(WWW_AUTHENTICATE, bearer)],
            Self::Unavailable(_) => {
                vec![(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))]
            }
            Self::InvalidRequest(StatusCode::REQUEST_TIMEOUT, _) => vec![close],
            Self::InvalidRequest(..)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge
            | Self::Internal(_) => Vec::new(),
        }
    }

    /// What the operator is told beyond the access line.
    fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => Some(cause),
            Self::InvalidToken
            | Self::NoToken
            | Self::InvalidCredentials
            | Self::InvalidRequest(..)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge => None,
        }
    }
}

impl IntoResponse for ApiError {
    /// Leaves the body to [`render`], which knows who answers.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(&error.to_string())
    }
}

impl From<getrandom::Error> for ApiError {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(&format!("no random bytes: {error}"))
    }
}

/// Writes the error that an answer stands for, whoever made it.
pub(crate) async fn render(
    State(backend): State<Arc<Backend>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => error,
        None if status.is_client_error() || status.is_server_error() => {
            ApiError::from_status(status)
        }
        None => return response,
    };
    if let Some(cause) = error.cause() {
        log::line(format_args!("{}: {cause}", error.code()));
    }
    let body = Body { code: error.code(), message: error.message(), identity: backend.identity() };
    let mut rendered = (error.status(), Json(body)).into_response();
    rendered.headers_mut().extend(error.headers());
    if let Some(methods) = response.headers().get(ALLOW) {
        rendered.headers_mut().insert(ALLOW, methods.clone());
    }
    rendered
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(flatten)]
    identity: &'a Identity,
}
