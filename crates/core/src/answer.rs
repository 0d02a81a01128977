//! The table of answers: what one answer says about the server and about the session.
//!
//! Rule: this file reads, it never acts, and it does not know what came before. Only
//! [`Verdict::Rejected`] can ever become a sign-out, and only after four gates.

use crate::challenge::Challenge;
use crate::label::Label;
use crate::time::{Duration, UnixMillis};

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Probe {
    /// The health path, without the credential.
    Health,
    /// The verify path, with the credential.
    Verify,
    /// The sign-out path, with the credential of the session that ended.
    SignOut,
    /// One of [`CANDIDATES`], by its index, with the credential: asked once where the verify path
    /// is not there, so that the error names the right one.
    Candidate(u8),
    /// The refresh path, or the app's function in its place.
    Refresh,
    /// The app's function that gets a token without the user.
    Acquire,
}

/// Where backends usually answer who the user is, most usual first.
pub const CANDIDATES: [&str; 6] =
    ["/auth/me", "/api/auth/me", "/users/me", "/me", "/api/me", "/auth/user"];

/// One of [`CANDIDATES`], by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Candidate(pub u8);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time, and it is copied rarely")]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// A response, its body read to the end.
    Response(Response),
    /// No response, or one whose body broke off: refused, reset, blocked by CORS, aborted.
    NoAnswer,
    /// Nothing was sent, because the app's own function failed: no evidence about the network.
    NotSent,
}

/// The facts of one response. The default is an empty 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct ServerFacts {
    /// One worker or machine.
    pub instance: Option<Label>,
    /// Made again at each start.
    pub boot: Option<Label>,
    /// The server's clock.
    pub now: Option<UnixMillis>,
    /// How long it has been running.
    pub uptime: Option<Duration>,
}

/// What the app's `classify` says of an answer of the verify path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Classified {
    /// The session is good.
    Valid,
    /// The session was rejected; goes through the gates like a 401.
    Rejected,
}

/// How much a rejection proves about who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Grade {
    /// JSON, or a readable `error="invalid_token"`.
    Strong,
    /// Empty, text, HTML or a bare challenge: counts only when the health path proves that the
    /// server itself is awake.
    Weak,
    /// A challenge that asks for a password (Basic, Digest): counts as a weak one where the health
    /// path proves the server awake meanwhile, and for nothing where there is none to ask.
    Password,
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
    /// Rejected, to be confirmed.
    Rejected(Grade),
    /// A 401 that is no evidence.
    Void,
    /// 403: the app's business.
    Forbidden,
    /// 404: the path is wrong.
    NotFound,
    /// No answer of the app; repeat.
    NoAnswer,
    /// A page; repeat.
    Unproven,
    /// A redirect; repeat.
    Redirected,
    /// A 2xx with a JSON object that says that something went wrong.
    ErrorShape,
    /// An answer that says nothing about the session.
    Inconclusive,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Server,
    /// Its date is old, and nothing tells yet whether that is the clock of this device.
    Unclear,
    /// A store in between.
    Stored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) availability: Availability,
    pub(crate) verdict: Verdict,
    /// Whether a health path that answers so can prove that the server itself is behind a weak
    /// 401: a wall in front of everything cannot.
    pub(crate) corroborates: bool,
    /// The health path answers as one that is wrong, or that wants a credential.
    pub(crate) misplaced: bool,
    /// The health path answers, and can prove nothing: it is not there, it leads elsewhere, or a
    /// page, a limit or a cache speaks in its place. That is no sign of a server that wakes.
    pub(crate) proves_nothing: bool,
}

impl Reading {
    /// The same answer out of a store: it may have been true once.
    pub(crate) fn without_proof(self, source: Source) -> Self {
        let verdict = match self.verdict {
            Verdict::Rejected(_) => Verdict::Void,
            Verdict::NoAnswer => Verdict::NoAnswer,
            Verdict::Valid
            | Verdict::Void
            | Verdict::Forbidden
            | Verdict::NotFound
            | Verdict::Unproven
            | Verdict::Redirected
            | Verdict::ErrorShape
            | Verdict::Inconclusive => Verdict::Inconclusive,
        };
        // A store that answers again and again hides a server that may be away.
        let is_stored = source == Source::Stored;
        let availability = if is_stored { Availability::Waking } else { Availability::Nothing };
        Self { availability, verdict, corroborates: false, misplaced: false, proves_nothing: true }
    }
}

/// Whether the verify path accepts the token and speaks for a server whose health path never
/// answered as one: then that path is wrong, and else a platform answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    Yes,
    No,
}

/// Reads one answer by the table.
pub(crate) fn read(probe: Probe, outcome: &Outcome, accepted: Accepted) -> Reading {
    let reading = |availability, verdict| Reading {
        availability,
        verdict,
        corroborates: availability == Availability::Awake,
        misplaced: false,
        proves_nothing: false,
    };
    match (outcome, probe) {
        (Outcome::NoAnswer, _) => reading(Availability::Silent, Verdict::NoAnswer),
        (Outcome::NotSent, _) => reading(Availability::Nothing, Verdict::Inconclusive),
        (Outcome::Response(response), Probe::Health) => {
            let status = response.status;
            let availability = read_health(response, accepted);
            let misplaced = matches!(status, 401 | 403 | 404 | 405) && !response.redirected;
            let corroborates = availability == Availability::Awake && !matches!(status, 401 | 403);
            // A 401 or 403 that is no JSON may be the wall that says 401 to everything.
            let is_wall = matches!(status, 401 | 403) && !response.body.is_json();
            let is_page = status < 300 && response.body == Body::Html;
            let proves_nothing = !corroborates
                && !is_wall
                && (misplaced || response.redirected || is_page || status == 429);
            Reading {
                misplaced,
                corroborates,
                proves_nothing,
                ..reading(availability, Verdict::Inconclusive)
            }
        }
        (Outcome::Response(response), Probe::Verify | Probe::Candidate(_)) => {
            let (availability, verdict) = read_verify(response);
            reading(availability, verdict)
        }
        (Outcome::Response(_), Probe::SignOut | Probe::Refresh | Probe::Acquire) => {
            reading(Availability::Nothing, Verdict::Inconclusive)
        }
    }
}

fn read_health(response: &Response, accepted: Accepted) -> Availability {
    if response.redirected {
        return Availability::Waking;
    }
    let is_page = response.body == Body::Html;
    match response.status {
        200..=299 if !is_page => Availability::Awake,
        429 if is_page => Availability::Nothing,
        429 => Availability::Awake,
        // An API without this path, or one that wants a credential for it. What is no JSON may be
        // a platform's own (Render says 404 while it deploys), unless verification is accepted.
        401 | 403 | 404 | 405 => match (response.body.is_json(), accepted) {
            (true, _) => Availability::Awake,
            (false, Accepted::Yes) if is_page => Availability::Nothing,
            (false, Accepted::Yes) => Availability::Awake,
            (false, Accepted::No) => Availability::Waking,
        },
        407 | 511 | 540 => Availability::Unreachable,
        _ => Availability::Waking,
    }
}

fn read_verify(response: &Response) -> (Availability, Verdict) {
    // The app knows its backend: its word goes before the gates' reading.
    match response.classified {
        Some(Classified::Valid) => return (Availability::Awake, Verdict::Valid),
        Some(Classified::Rejected) => {
            return (Availability::Awake, Verdict::Rejected(Grade::Strong));
        }
        None => {}
    }
    // A response that a page may not look into has no status.
    if response.redirected || response.status == 0 {
        return (Availability::Waking, Verdict::Redirected);
    }
    match (response.status, response.body) {
        (200..=299, Body::Object) => (Availability::Awake, Verdict::Valid),
        (200..=299, Body::ErrorObject | Body::Problem) => {
            (Availability::Nothing, Verdict::ErrorShape)
        }
        (401, _) => rejection(response),
        // A platform that was stopped, a firewall: not the API speaking.
        (200..=299 | 403 | 404, Body::Html) => (Availability::Waking, Verdict::Unproven),
        (403, _) => (Availability::Awake, Verdict::Forbidden),
        (404, _) => (Availability::Awake, Verdict::NotFound),
        (429, Body::Html) => (Availability::Nothing, Verdict::Inconclusive),
        (429, _) => (Availability::Awake, Verdict::Inconclusive),
        (408 | 421 | 425 | 502..=504 | 520..=530, _) => (Availability::Waking, Verdict::NoAnswer),
        (407 | 511 | 540, _) => (Availability::Unreachable, Verdict::NoAnswer),
        _ => (Availability::Nothing, Verdict::Inconclusive),
    }
}

/// Gate 2: is it from our server?
fn rejection(response: &Response) -> (Availability, Verdict) {
    let json = response.body.is_json();
    let by_body = if json { Availability::Awake } else { Availability::Nothing };
    match response.challenge {
        Challenge::Foreign | Challenge::Survivable => (by_body, Verdict::Void),
        Challenge::Password => (Availability::Nothing, Verdict::Rejected(Grade::Password)),
        Challenge::InvalidToken => (Availability::Awake, Verdict::Rejected(Grade::Strong)),
        Challenge::Unreadable if json => (Availability::Awake, Verdict::Rejected(Grade::Strong)),
        Challenge::Unreadable | Challenge::Bare => (by_body, Verdict::Rejected(Grade::Weak)),
    }
}

impl Body {
    /// Whether it is JSON of any shape.
    #[must_use]
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Object | Self::ErrorObject | Self::Problem | Self::Json)
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
