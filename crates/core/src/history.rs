//! What happened, for whoever asks why: a ring of entries without a secret, a body, a query
//! string or a user.
//!
//! An entry is data. Its sentence is made outside, from the code and the fields.

use alloc::vec::Vec;

use crate::answer::{CANDIDATES, Grade, Probe};
use crate::diagnosis::Diagnosis;
use crate::input::PageEvent;
use crate::label::Label;
use crate::outlook::Basis;
use crate::requests::RequestId;
use crate::server::ServerState;
use crate::session::{Rule, SignOutReason};
use crate::time::{Duration, UnixMillis};

/// How loud an entry is on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each ping.
    Debug,
    /// What people who hunt a bug look for.
    Info,
    /// Odd, and borne.
    Warn,
    /// The developer's to mend.
    Error,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the wall clock.
    pub at: UnixMillis,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its code, and the fields are named where they are told")]
pub enum Event {
    Started,
    Stopped,
    KeepAlive { every: Duration },
    Restored,
    NoRecord,
    NoUser { status: u16 },
    RecordCorrupt,
    RecordForeign,
    StoreFailed,
    SignedIn,
    Answered { probe: Probe, request: RequestId, status: u16, took: Duration, facts: Origin },
    Unanswered { probe: Probe, request: RequestId, took: Duration },
    Held { probe: Probe, request: RequestId },
    GivenUp { probe: Probe, request: RequestId },
    Periodic,
    Retry { attempt: u8, of: u8, wait: Duration },
    Kept { why: Reason, status: Option<u16> },
    Verified { facts: Origin },
    Suspect { status: u16, limit: Duration, basis: Basis },
    Rejected { grade: Grade, status: u16, facts: Origin },
    RejectionIgnored { why: Reason },
    Refuted { rejections: u32 },
    SignedOut { reason: SignOutReason, rule: Option<Rule>, from_other_tab: bool },
    SignOutTold,
    SignOutRefused { status: u16 },
    Server { state: ServerState, before: ServerState },
    Rebooted { boot: Label },
    Slept { for_: Duration },
    Page(PageEvent),
    WrongPath { status: u16, candidate: Option<u8> },
    Misconfigured { probe: Probe, status: u16 },
    Diagnosed(Diagnosis),
}

/// Who answered, where the backend names itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which instance.
    pub instance: Option<Label>,
    /// Under which boot id.
    pub boot: Option<Label>,
}

/// Why a session was kept, or a refusal did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its name")]
pub enum Reason {
    Hint,
    Network,
    NoAnswer,
    NotOurs,
    Forbidden,
    WrongPath,
    NoVerdict,
    Busy,
    AskedBefore,
    NewerSession,
    ServerNotAwake,
    Restarted,
    Stale,
    ErrorShape,
    Redirected,
}

/// Takes the details of an entry, one at a time. A word comes with its place among its kind, so
/// that the npm package carries the words once, in its face.
pub trait FieldVisitor {
    /// A count, or milliseconds where the name says so; yes and no are 1 and 0.
    fn number(&mut self, name: &'static str, number: u64);
    /// One of a fixed set of words.
    fn word(&mut self, name: &'static str, place: u8, word: &'static str);
    /// A name that the server gave itself.
    fn label(&mut self, name: &'static str, label: &Label);
}

/// Code and level of each event, in the order of [`Event::place`].
const EVENT_INFO: [(&str, Level); 32] = [
    ("started", Level::Info),
    ("stopped", Level::Info),
    ("keep-alive", Level::Info),
    ("restored", Level::Info),
    ("no-record", Level::Info),
    ("no-user", Level::Info),
    ("record-corrupt", Level::Warn),
    ("record-foreign", Level::Warn),
    ("store-failed", Level::Warn),
    ("signed-in", Level::Info),
    ("answered", Level::Debug),
    ("unanswered", Level::Debug),
    ("held", Level::Info),
    ("given-up", Level::Info),
    ("periodic", Level::Info),
    ("retry", Level::Info),
    ("kept", Level::Info),
    ("verified", Level::Info),
    ("suspect", Level::Warn),
    ("refused", Level::Info),
    ("refusal-void", Level::Info),
    ("refuted", Level::Warn),
    ("signed-out", Level::Info),
    ("sign-out-told", Level::Info),
    ("sign-out-refused", Level::Error),
    ("server", Level::Info),
    ("rebooted", Level::Info),
    ("slept", Level::Info),
    ("page", Level::Debug),
    ("wrong-path", Level::Error),
    ("misconfigured", Level::Error),
    ("diagnosis", Level::Warn),
];

impl Event {
    /// Its place among the events: the number by which the npm package's face knows it.
    #[must_use]
    pub const fn place(&self) -> u8 {
        match self {
            Self::Started => 0,
            Self::Stopped => 1,
            Self::KeepAlive { .. } => 2,
            Self::Restored => 3,
            Self::NoRecord => 4,
            Self::NoUser { .. } => 5,
            Self::RecordCorrupt => 6,
            Self::RecordForeign => 7,
            Self::StoreFailed => 8,
            Self::SignedIn => 9,
            Self::Answered { .. } => 10,
            Self::Unanswered { .. } => 11,
            Self::Held { .. } => 12,
            Self::GivenUp { .. } => 13,
            Self::Periodic => 14,
            Self::Retry { .. } => 15,
            Self::Kept { .. } => 16,
            Self::Verified { .. } => 17,
            Self::Suspect { .. } => 18,
            Self::Rejected { .. } => 19,
            Self::RejectionIgnored { .. } => 20,
            Self::Refuted { .. } => 21,
            Self::SignedOut { .. } => 22,
            Self::SignOutTold => 23,
            Self::SignOutRefused { .. } => 24,
            Self::Server { .. } => 25,
            Self::Rebooted { .. } => 26,
            Self::Slept { .. } => 27,
            Self::Page(_) => 28,
            Self::WrongPath { .. } => 29,
            Self::Misconfigured { .. } => 30,
            Self::Diagnosed(_) => 31,
        }
    }

    /// The kebab-case code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        EVENT_INFO[self.place() as usize].0
    }

    /// How loud it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        // What people look for must stand there without asking for more.
        if matches!(self, Self::SignedOut { rule: Some(_), .. }) {
            return Level::Warn;
        }
        // An answer that nobody expects of a verify path is somebody's bug.
        if matches!(self, Self::Kept { why: Reason::NoVerdict, .. }) {
            return Level::Error;
        }
        EVENT_INFO[self.place() as usize].1
    }

    /// Tells each detail.
    pub fn visit_fields(&self, visitor: &mut impl FieldVisitor) {
        match self {
            Self::KeepAlive { every } => visitor.number("ms", every.as_millis()),
            Self::Held { probe, request } | Self::GivenUp { probe, request } => {
                visit_request(visitor, *probe, *request);
            }
            Self::Answered { probe, request, status, took, facts } => {
                visit_request(visitor, *probe, *request);
                visitor.number("ms", took.as_millis());
                visitor.number("status", (*status).into());
                facts.visit_fields(visitor);
            }
            Self::Unanswered { probe, request, took } => {
                visit_request(visitor, *probe, *request);
                visitor.number("ms", took.as_millis());
            }
            Self::Retry { attempt, of, wait } => {
                visitor.number("attempt", (*attempt).into());
                visitor.number("of", (*of).into());
                visitor.number("ms", wait.as_millis());
            }
            Self::Kept { why, status } => {
                visitor.word("why", *why as u8, why.name());
                if let Some(status) = status {
                    visitor.number("status", (*status).into());
                }
            }
            Self::Verified { facts } => facts.visit_fields(visitor),
            Self::SignOutRefused { status } | Self::NoUser { status } => {
                visitor.number("status", (*status).into());
            }
            Self::Suspect { status, limit, basis } => {
                visitor.number("status", (*status).into());
                visitor.number("ms", limit.as_millis());
                visitor.word("basis", *basis as u8, basis.name());
            }
            Self::WrongPath { status, candidate } => {
                visitor.number("status", (*status).into());
                visit_candidate(visitor, *candidate);
            }
            Self::Rejected { grade, status, facts } => {
                visitor.word("grade", *grade as u8, grade.name());
                visitor.number("status", (*status).into());
                facts.visit_fields(visitor);
            }
            Self::RejectionIgnored { why } => visitor.word("why", *why as u8, why.name()),
            Self::Refuted { rejections } => visitor.number("refusals", (*rejections).into()),
            Self::SignedOut { reason, rule, from_other_tab } => {
                visitor.word("reason", *reason as u8, reason.name());
                visitor.number("fromOtherTab", (*from_other_tab).into());
                if let Some(rule) = rule {
                    visitor.word("rule", *rule as u8, rule.name());
                }
            }
            Self::Server { state, before } => {
                visitor.word("state", *state as u8, state.name());
                visitor.word("before", *before as u8, before.name());
            }
            Self::Rebooted { boot } => visitor.label("boot", boot),
            Self::Slept { for_ } => visitor.number("ms", for_.as_millis()),
            Self::Page(event) => visitor.word("event", *event as u8, event.name()),
            Self::Misconfigured { probe, status } => {
                visitor.word("probe", probe.index(), probe.name());
                visitor.number("status", (*status).into());
            }
            Self::Diagnosed(diagnosis) => diagnosis.visit_fields(visitor),
            Self::Started
            | Self::Stopped
            | Self::Restored
            | Self::NoRecord
            | Self::RecordCorrupt
            | Self::RecordForeign
            | Self::StoreFailed
            | Self::SignedIn
            | Self::Periodic
            | Self::SignOutTold => {}
        }
    }
}

fn visit_request(visitor: &mut impl FieldVisitor, probe: Probe, request: RequestId) {
    visitor.word("probe", probe.index(), probe.name());
    visitor.number("request", request.0.into());
}

fn visit_candidate(visitor: &mut impl FieldVisitor, candidate: Option<u8>) {
    if let Some((index, path)) =
        candidate.and_then(|index| Some((index, *CANDIDATES.get(usize::from(index))?)))
    {
        visitor.word("candidate", index, path);
    }
}

impl Origin {
    fn visit_fields(&self, visitor: &mut impl FieldVisitor) {
        if let Some(instance) = &self.instance {
            visitor.label("instance", instance);
        }
        if let Some(boot) = &self.boot {
            visitor.label("boot", boot);
        }
    }
}

impl Diagnosis {
    fn visit_fields(&self, visitor: &mut impl FieldVisitor) {
        visitor.word("cause", self.cause as u8, self.cause.name());
        visitor.number("count", self.count.into());
        visitor.number("ms", self.length.as_millis());
        visitor.number("status", self.status.into());
        if let Some(probe) = self.probe {
            visitor.word("probe", probe.index(), probe.name());
        }
        visit_candidate(visitor, self.candidate);
    }
}

impl core::fmt::Display for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.event.code())?;
        let mut line = Line { f, result: Ok(()) };
        self.event.visit_fields(&mut line);
        line.result
    }
}

struct Line<'a, 'b> {
    f: &'a mut core::fmt::Formatter<'b>,
    result: core::fmt::Result,
}

impl FieldVisitor for Line<'_, '_> {
    fn number(&mut self, name: &'static str, number: u64) {
        self.result = self.result.and_then(|()| write!(self.f, " {name}={number}"));
    }

    fn word(&mut self, name: &'static str, _: u8, word: &'static str) {
        self.result = self.result.and_then(|()| write!(self.f, " {name}={word}"));
    }

    fn label(&mut self, name: &'static str, label: &Label) {
        self.result = self.result.and_then(|()| write!(self.f, " {name}={}", label.as_str()));
    }
}

/// The last entries. Enough for a night of pings in a bad spell to still show its beginning would
/// be megabytes; 200 show the last hour of a quiet day and the whole of a sign-out.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<Entry>,
}

impl History {
    pub(crate) const MAX: usize = 200;

    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() == Self::MAX {
            self.entries.remove(0);
        }
        self.entries.push(entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
