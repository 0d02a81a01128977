//! The table of answers: what one answer says about the server and about the session.
//!
//! Rule: this file reads, it never acts, and it does not know what came before. Only
//! [`Verdict::Refused`] can ever become a sign-out, and only after four gates.

use crate::challenge::Challenge;
use crate::label::Label;
use crate::time::{Duration, UnixMillis};

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The health path, without the credential.
    Health,
    /// The verify path, with the credential.
    Verify,
    /// The sign-out path, with the credential of the session that ended.
    SignOut,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time, and it is copied rarely")]
pub enum Outcome {
    /// A response, its body read to the end.
    Response(Response),
    /// No response, or one whose body broke off: refused, reset, blocked by CORS, aborted.
    NoAnswer,
}

/// The facts of one response. The default is an empty 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status; 0 for a response that a page may not look into.
    pub status: u16,
    /// Redirected, or a redirect that was not followed.
    pub redirected: bool,
    /// What the body is.
    pub body: Body,
    /// What `WWW-Authenticate` says.
    pub challenge: Challenge,
    /// `Retry-After`, from now.
    pub retry_after: Option<Duration>,
    /// `Age` (RFC 9111 section 5.1): a cache answered, not the server.
    pub age: Option<Duration>,
    /// `Date` (RFC 9110 section 6.6.1), where the page may read it.
    pub date: Option<UnixMillis>,
    /// What the server says of itself.
    pub server: ServerFacts,
    /// What the app's `classify` made of it.
    pub classified: Option<Classified>,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: 200,
            redirected: false,
            body: Body::Empty,
            challenge: Challenge::Unreadable,
            retry_after: None,
            age: None,
            date: None,
            server: ServerFacts::default(),
            classified: None,
        }
    }
}

/// What a body is; what is in it stays in the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON object.
    Object,
    /// A JSON object that says that something went wrong: `{"code":401}`, `{"error":…}`,
    /// `{"success":false}`, `{"authenticated":false}`.
    ErrorObject,
    /// `application/problem+json` (RFC 9457). Its members have their own meaning: `instance` is
    /// the path of the request there, and names no worker.
    Problem,
    /// JSON, but no object.
    Json,
    /// A page.
    Html,
    /// Anything else.
    Other,
}

/// What a body tells of the server that sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// One worker or machine.
    pub instance: Option<Label>,
    /// Made anew at each start.
    pub boot: Option<Label>,
    /// The server's clock.
    pub now: Option<UnixMillis>,
    /// How long it has been running.
    pub uptime: Option<Duration>,
}

/// What the app's `classify` says of an answer of the verify path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classified {
    /// The session is good.
    Valid,
    /// The session was refused; goes through the gates like a 401.
    Rejected,
}

/// How much a refusal proves about who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// JSON, or a readable `error="invalid_token"`.
    Strong,
    /// Empty, text, HTML or a bare challenge: counts only when the health path proves that the
    /// server itself is awake.
    Weak,
}

/// What an answer says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It proved itself.
    Awake,
    /// It is not ready, or something in between answered.
    Waking,
    /// Its network or its owner must act.
    Unreachable,
    /// Nothing came; how long nothing has come decides.
    Silent,
    /// This answer proves nothing either way.
    Nothing,
}

/// What an answer of the verify path says about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Good.
    Valid,
    /// Refused, to be confirmed.
    Rejected(Grade),
    /// A 401 that is no evidence.
    Void,
    /// 403: the app's business.
    Forbidden,
    /// 404: the path is wrong.
    NotFound,
    /// No answer of the app; repeat.
    NoAnswer,
    /// A 2xx without proof or a redirect; repeat.
    Unproven,
    /// An answer that says nothing about the session.
    Inconclusive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) availability: Availability,
    pub(crate) verdict: Verdict,
}

/// Reads one answer by the table.
pub(crate) fn read(probe: Probe, outcome: &Outcome) -> Reading {
    let (availability, verdict) = match outcome {
        Outcome::NoAnswer => (Availability::Silent, Verdict::NoAnswer),
        Outcome::Response(response) => match probe {
            Probe::Health => (read_health(response), Verdict::Inconclusive),
            Probe::Verify => read_verify(response),
            Probe::SignOut => (Availability::Nothing, read_sign_out(response)),
        },
    };
    Reading { availability, verdict }
}

/// Health carries no credential, so a 401 or 403 there is of something in between, and a 404 is
/// a platform that has no instance (Render says so while it deploys).
fn read_health(response: &Response) -> Availability {
    if response.redirected {
        return Availability::Waking;
    }
    match response.status {
        200..=299 if response.body != Body::Html => Availability::Awake,
        429 => Availability::Awake,
        407 | 511 | 540 => Availability::Unreachable,
        _ => Availability::Waking,
    }
}

/// A sign-out is heard by whoever answers at all, unless it says that it could not listen.
const fn read_sign_out(response: &Response) -> Verdict {
    match response.status {
        429 | 500..=599 => Verdict::NoAnswer,
        _ => common(response).1,
    }
}

fn read_verify(response: &Response) -> (Availability, Verdict) {
    if let Some(classified) = response.classified {
        return match classified {
            Classified::Valid => (Availability::Awake, Verdict::Valid),
            Classified::Rejected => rejection(response),
        };
    }
    if response.redirected {
        return (Availability::Waking, Verdict::Unproven);
    }
    match (response.status, response.body) {
        (200..=299, Body::Object) => (Availability::Awake, Verdict::Valid),
        (200..=299, Body::Html) => (Availability::Waking, Verdict::Unproven),
        (401, _) => rejection(response),
        (403, _) => (Availability::Awake, Verdict::Forbidden),
        (404, _) => (Availability::Awake, Verdict::NotFound),
        (429, _) => (Availability::Awake, Verdict::Inconclusive),
        _ => common(response),
    }
}

/// The rows that mean the same on every path.
const fn common(response: &Response) -> (Availability, Verdict) {
    match response.status {
        // A response that a page may not look into.
        0 => (Availability::Waking, Verdict::Unproven),
        408 | 421 | 425 | 502 | 503 | 504 | 520..=530 => (Availability::Waking, Verdict::NoAnswer),
        407 | 511 | 540 => (Availability::Unreachable, Verdict::NoAnswer),
        _ => (Availability::Nothing, Verdict::Inconclusive),
    }
}

/// Gate 2: is it from our server?
fn rejection(response: &Response) -> (Availability, Verdict) {
    let json =
        matches!(response.body, Body::Object | Body::ErrorObject | Body::Problem | Body::Json);
    match response.challenge {
        Challenge::Foreign | Challenge::Survivable => {
            (if json { Availability::Awake } else { Availability::Nothing }, Verdict::Void)
        }
        Challenge::InvalidToken => (Availability::Awake, Verdict::Rejected(Grade::Strong)),
        Challenge::Unreadable if json => (Availability::Awake, Verdict::Rejected(Grade::Strong)),
        Challenge::Bare if json => (Availability::Awake, Verdict::Rejected(Grade::Weak)),
        Challenge::Unreadable | Challenge::Bare => {
            (Availability::Nothing, Verdict::Rejected(Grade::Weak))
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
