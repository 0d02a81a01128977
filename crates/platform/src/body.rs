//! The one body type of every answer, and the broken connection as an error.
//!
//! Rule: an error from a service or a body is how a connection is broken on purpose; hyper then
//! closes it without finishing the answer. Knows nothing of who answers or why.

use std::fmt;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

/// What each part of the platform answers with.
pub(crate) type Answer = Response<AnswerBody>;
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, Broken>;

/// Why a connection is closed with no answer, or in the middle of one.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The current mode or a fault asks for it.
    OnPurpose,
    /// The backend broke its own connection.
    Backend(hyper::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPurpose => f.write_str("connection dropped on purpose"),
            Self::Backend(error) => write!(f, "the backend broke its connection: {error}"),
        }
    }
}

impl std::error::Error for Broken {}

/// A short answer of the platform's own, never cached.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(full(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(crate) fn text(status: StatusCode, sentence: &str) -> Answer {
    answer(status, "text/plain; charset=utf-8", format!("{sentence}\n"))
}

pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    answer(status, "application/json", value.to_string())
}

pub(crate) fn full(bytes: Bytes) -> AnswerBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
