//! Answers given in place of the backend's, word for word.
//!
//! Rule: a fault is taken once for each request that it answers and is gone when its times are
//! used up; a preflight that it lets pass is not counted. Never wakes the backend.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::sleep;

use crate::body::{Answer, Broken, full};
use crate::unending;

/// Which requests are answered, how often, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) path: FaultPath,
    /// `None`: until cleared.
    pub(crate) times: Option<u32>,
    pub(crate) answer: FaultAnswer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultPath {
    Any,
    Exact(String),
}

#[derive(Clone, Debug)]
pub(crate) struct FaultAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) cors: Cors,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

/// Whether a page of another origin may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cors {
    Readable,
    Opaque,
}

/// How the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    /// Sends this much of the body, has announced more, and goes silent.
    StallAfter(usize),
    /// The same, and then the connection is dropped.
    BreakAfter(usize),
    /// Small chunks without end.
    Endless,
    /// The connection is dropped without an answer.
    Drop,
}

#[derive(Default)]
pub(crate) struct Faults {
    waiting: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Faults of one path follow each other; one that would never end makes way for the next.
    pub(crate) fn add(&self, fault: Fault) {
        let mut waiting = self.waiting();
        waiting.retain(|old| old.times.is_some() || old.path != fault.path);
        waiting.push(fault);
    }

    pub(crate) fn clear(&self) {
        self.waiting().clear();
    }

    /// The answer for this request, if there is one: an exact path before any.
    pub(crate) fn take<B>(&self, request: &Request<B>) -> Option<FaultAnswer> {
        let mut waiting = self.waiting();
        let exact = |fault: &Fault| match &fault.path {
            FaultPath::Exact(path) => path == request.uri().path(),
            FaultPath::Any => false,
        };
        let index = waiting
            .iter()
            .position(exact)
            .or_else(|| waiting.iter().position(|fault| fault.path == FaultPath::Any))?;
        let fault = &mut waiting[index];
        let answer = fault.answer.clone();
        if is_preflight(request) && answer.cors == Cors::Readable {
            return Some(answer);
        }
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                waiting.remove(index);
            }
        }
        Some(answer)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultAnswer {
    /// Answers `request`; a preflight of an answer that may be read is let pass.
    pub(crate) async fn give<B>(self, request: &Request<B>) -> Result<Answer, Broken> {
        let origin = request.headers().get(ORIGIN).filter(|_| self.cors == Cors::Readable);
        if let Some(origin) = origin.filter(|_| is_preflight(request)) {
            return Ok(permit_preflight(origin));
        }
        sleep(self.delay).await;
        let announced = |length: usize| HeaderValue::from(length as u64);
        let mut headers = self.headers;
        let body = match self.ending {
            Ending::Drop => return Err(Broken::OnPurpose),
            Ending::Whole => full(self.body),
            Ending::Endless => unending::endless(self.body),
            Ending::StallAfter(bytes) | Ending::BreakAfter(bytes) => {
                let sent = self.body.slice(..bytes.min(self.body.len()));
                let length = self.body.len().max(sent.len() + 1);
                headers.insert(CONTENT_LENGTH, announced(length));
                let breaks = matches!(self.ending, Ending::BreakAfter(_));
                if breaks { unending::broken(sent) } else { unending::stalled(sent) }
            }
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = self.status;
        *answer.headers_mut() = headers;
        if let Some(origin) = origin {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        Ok(answer)
    }
}

/// As the reference backend exposes them.
const EXPOSED: &str = "WWW-Authenticate, Retry-After, Date";

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn permit_preflight(origin: &HeaderValue) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    let allowed = "authorization, content-type, x-background";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    answer
}
