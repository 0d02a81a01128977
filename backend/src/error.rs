//! Every way to refuse a request: status, code, sentence, headers.
//!
//! Rule: 401 is for credentials that were checked and refused. A store that could not be asked is
//! 503.
//!
//! It deliberately puts nothing of the request into an answer or a log line.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use session_keeper_tokens::SessionId;

use crate::cookies::csrf_header;
use crate::store::StoreError;

/// Long enough for a disk or a database to come back, short enough for a person who waits.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why a token is refused. All but one are answered alike: which of them it is concerns the
/// operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The route wants a token and got none.
    NothingPresented,
    /// Nothing that we could have handed out.
    Malformed,
    /// Signed by somebody else, or with a key that is gone.
    WrongSignature,
    /// Never there, signed out, revoked, or cleaned up.
    Unknown,
    /// Its time is over.
    Expired,
    /// Its successor took over.
    Superseded,
    /// It is bound to another network.
    AddressChanged,
    /// Nobody used the session for longer than the operator allows.
    Idle,
    /// The user was removed.
    UserRemoved,
}

impl Refusal {
    pub(crate) fn presented_something(self) -> bool {
        self != Self::NothingPresented
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingPresented => "no token was sent",
            Self::Malformed => "what was sent is no token",
            Self::WrongSignature => "the signature is not by a key of ours",
            Self::Unknown => "there is no such session",
            Self::Expired => "the session has expired",
            Self::Superseded => "a newer token took its place",
            Self::AddressChanged => "the session is bound to another address",
            Self::Idle => "the session was not used for too long",
            Self::UserRemoved => "the user was removed",
        })
    }
}

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(crate) enum ApiError {
    /// The token was looked up and is not valid, or there is nothing that could be looked up.
    Refused(Refusal),
    /// The name and the password do not belong together.
    InvalidCredentials,
    /// The refresh token is not good, or not good any more.
    InvalidGrant,
    /// A request with a cookie and without this session's CSRF token. The answer tells it: who may
    /// read answers may read it there as well as in `/auth/me`.
    CsrfFailed(SessionId),
    /// Another site's page made the request.
    ForeignOrigin,
    /// Too many requests; so long until the next.
    RateLimited(Duration),
    /// The user has no such session.
    NoSuchSession,
    /// The client has to change the request.
    InvalidRequest(StatusCode, &'static str),
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    /// Ours, and it may pass by itself. The cause is for the log.
    Unavailable(Arc<str>),
    /// The API behind this server did not answer, or refused this server's own token. The cause is
    /// for the log.
    UpstreamFailed(Arc<str>),
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

    pub(crate) fn upstream(cause: &str) -> Self {
        Self::UpstreamFailed(Arc::from(cause))
    }

    pub(crate) fn internal(cause: &str) -> Self {
        Self::Internal(Arc::from(cause))
    }

    /// Why the token was refused, if that is what happened.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            Self::InvalidCredentials
            | Self::InvalidGrant
            | Self::CsrfFailed(_)
            | Self::ForeignOrigin
            | Self::RateLimited(_)
            | Self::NoSuchSession
            | Self::InvalidRequest(..)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge
            | Self::Unavailable(_)
            | Self::UpstreamFailed(_)
            | Self::Internal(_) => None,
        }
    }

    /// For an answer that a layer or an extractor made without us.
    pub(crate) fn from_status(status: StatusCode) -> Self {
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

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::InvalidGrant => StatusCode::BAD_REQUEST,
            Self::CsrfFailed(_) | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoSuchSession => StatusCode::NOT_FOUND,
            Self::InvalidRequest(status, _) => *status,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamFailed(_) => StatusCode::BAD_GATEWAY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::AddressChanged) => "address_changed",
            Self::Refused(_) => "invalid_token",
            Self::InvalidCredentials => "invalid_credentials",
            Self::InvalidGrant => "invalid_grant",
            Self::CsrfFailed(_) => "csrf_failed",
            Self::ForeignOrigin => "foreign_origin",
            Self::RateLimited(_) => "rate_limited",
            Self::NoSuchSession => "no_such_session",
            Self::InvalidRequest(..) => "invalid_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Unavailable(_) => "store_unavailable",
            Self::UpstreamFailed(_) => "upstream_failed",
            Self::Internal(_) => "internal",
        }
    }

    pub(crate) fn message(&self) -> &'static str {
        match self {
            // Word for word what people who hunt this bug search for.
            Self::Refused(Refusal::AddressChanged) => {
                "the session is bound to another address: sign in again"
            }
            Self::Refused(_) => "Invalid or expired token",
            Self::InvalidCredentials => "wrong username or password",
            Self::InvalidGrant => "Invalid or expired refresh token",
            Self::CsrfFailed(_) => {
                "send the csrf_token of the sign-in or of /auth/me (or the __Host-csrf cookie's \
                 value) as X-CSRF-Token"
            }
            Self::ForeignOrigin => {
                "a page of another origin sent this request: list it with --allow-origin"
            }
            Self::RateLimited(_) => "too many requests: wait as long as Retry-After says",
            Self::NoSuchSession => "you have no such session",
            Self::InvalidRequest(_, message) => message,
            Self::NotFound => "no such path: check the base URL and the paths",
            Self::MethodNotAllowed => "this path takes other methods: see the Allow header",
            Self::PayloadTooLarge => "the body is over 64 KiB: send less",
            Self::Unavailable(_) => "the store cannot be asked: try again in 5 s",
            Self::UpstreamFailed(_) => "the API behind this server does not answer: try again",
            Self::Internal(_) => "an error of the server: its log says more",
        }
    }

    pub(crate) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let bearer = HeaderValue::from_static("Bearer");
        // The repeat of a refused request may then meet another worker than this connection's.
        let close = (CONNECTION, HeaderValue::from_static("close"));
        match self {
            Self::Refused(Refusal::NothingPresented) => vec![(WWW_AUTHENTICATE, bearer), close],
            Self::Refused(Refusal::AddressChanged) => {
                let challenge = r#"Bearer error="invalid_token", error_description="address""#;
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static(challenge)), close]
            }
            Self::Refused(_) => {
                let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
                vec![(WWW_AUTHENTICATE, challenge), close]
            }
            // RFC 9110 section 15.5.2: no 401 without a challenge.
            Self::InvalidCredentials => vec![(WWW_AUTHENTICATE, bearer)],
            Self::Unavailable(_) => {
                vec![(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))]
            }
            // Rounded up: whoever waits that long is not told to wait again.
            Self::RateLimited(wait) => {
                let seconds = wait.as_millis().div_ceil(1000);
                let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                vec![(RETRY_AFTER, HeaderValue::from(seconds))]
            }
            Self::CsrfFailed(session) => vec![csrf_header(session)],
            Self::InvalidRequest(StatusCode::REQUEST_TIMEOUT, _) => vec![close],
            Self::InvalidRequest(..)
            | Self::InvalidGrant
            | Self::ForeignOrigin
            | Self::NoSuchSession
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge
            | Self::UpstreamFailed(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    /// What the operator is told beyond the access line.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable(cause) | Self::UpstreamFailed(cause) | Self::Internal(cause) => {
                Some(cause)
            }
            Self::Refused(_)
            | Self::InvalidCredentials
            | Self::InvalidGrant
            | Self::CsrfFailed(_)
            | Self::ForeignOrigin
            | Self::RateLimited(_)
            | Self::NoSuchSession
            | Self::InvalidRequest(..)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge => None,
        }
    }
}

impl IntoResponse for ApiError {
    /// Leaves the body to the `render` middleware, which knows who answers.
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
