//! What happened, for whoever asks why: a ring of entries without a secret, a body, a query
//! string or a user.
//!
//! An entry is data. Its sentence is made outside, from the code and the fields.

use alloc::collections::VecDeque;

use crate::answer::{Grade, Probe};
use crate::input::PageEvent;
use crate::label::Label;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the wall clock.
    pub at: UnixMillis,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its code, and the fields are named where they are told")]
pub enum Event {
    Started,
    Stopped,
    KeepAlive { every: Duration },
    Restored,
    NoRecord,
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
    Kept { why: &'static str, status: Option<u16> },
    Verified { facts: Origin },
    Suspect { status: u16 },
    Refused { grade: Grade, status: u16, facts: Origin },
    RefusalVoid { why: &'static str },
    Refuted { refusals: u32 },
    SignedOut { reason: SignOutReason, rule: Option<Rule>, elsewhere: bool },
    SignOutTold,
    Server { state: ServerState, before: ServerState },
    Rebooted { boot: Label },
    Slept { for_: Duration },
    Page(PageEvent),
    WrongPath { status: u16 },
    Misconfigured { probe: Probe, status: u16 },
}

/// Who answered, where the backend names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which instance.
    pub instance: Option<Label>,
    /// Under which boot id.
    pub boot: Option<Label>,
}

/// One detail of an entry.
pub type Field<'a> = (&'static str, Value<'a>);

/// The value of a detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A word.
    Word(&'a str),
    /// A count, or milliseconds where the name says so.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl Event {
    /// The kebab-case code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::KeepAlive { .. } => "keep-alive",
            Self::Restored => "restored",
            Self::NoRecord => "no-record",
            Self::RecordCorrupt => "record-corrupt",
            Self::RecordForeign => "record-foreign",
            Self::StoreFailed => "store-failed",
            Self::SignedIn => "signed-in",
            Self::Answered { .. } => "answered",
            Self::Unanswered { .. } => "unanswered",
            Self::Held { .. } => "held",
            Self::GivenUp { .. } => "given-up",
            Self::Periodic => "periodic",
            Self::Retry { .. } => "retry",
            Self::Kept { .. } => "kept",
            Self::Verified { .. } => "verified",
            Self::Suspect { .. } => "suspect",
            Self::Refused { .. } => "refused",
            Self::RefusalVoid { .. } => "refusal-void",
            Self::Refuted { .. } => "refuted",
            Self::SignedOut { .. } => "signed-out",
            Self::SignOutTold => "sign-out-told",
            Self::Server { .. } => "server",
            Self::Rebooted { .. } => "rebooted",
            Self::Slept { .. } => "slept",
            Self::Page(_) => "page",
            Self::WrongPath { .. } => "wrong-path",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }

    /// How loud it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Answered { .. } | Self::Unanswered { .. } | Self::Page(_) => Level::Debug,
            Self::RecordCorrupt
            | Self::RecordForeign
            | Self::StoreFailed
            | Self::Refuted { .. }
            | Self::SignedOut { rule: Some(_), .. } => Level::Warn,
            Self::WrongPath { .. } | Self::Misconfigured { .. } => Level::Error,
            Self::Started
            | Self::Stopped
            | Self::KeepAlive { .. }
            | Self::Restored
            | Self::NoRecord
            | Self::SignedIn
            | Self::Held { .. }
            | Self::GivenUp { .. }
            | Self::Periodic
            | Self::Retry { .. }
            | Self::Kept { .. }
            | Self::Verified { .. }
            | Self::Suspect { .. }
            | Self::Refused { .. }
            | Self::RefusalVoid { .. }
            | Self::SignedOut { rule: None, .. }
            | Self::SignOutTold
            | Self::Server { .. }
            | Self::Rebooted { .. }
            | Self::Slept { .. } => Level::Info,
        }
    }

    /// Tells each detail, by name.
    pub fn tell<'a>(&'a self, field: &mut dyn FnMut(Field<'a>)) {
        use Value::{Flag, Number, Word};
        let ms = |length: &Duration| Number(length.as_millis());
        match self {
            Self::KeepAlive { every } => field(("ms", ms(every))),
            Self::Held { probe, request } | Self::GivenUp { probe, request } => {
                field(("probe", Word(probe.name())));
                field(("request", Number(request.0.into())));
            }
            Self::Answered { probe, request, status, took, facts } => {
                field(("probe", Word(probe.name())));
                field(("request", Number(request.0.into())));
                field(("status", Number((*status).into())));
                field(("ms", ms(took)));
                facts.tell(field);
            }
            Self::Unanswered { probe, request, took } => {
                field(("probe", Word(probe.name())));
                field(("request", Number(request.0.into())));
                field(("ms", ms(took)));
            }
            Self::Retry { attempt, of, wait } => {
                field(("attempt", Number((*attempt).into())));
                field(("of", Number((*of).into())));
                field(("ms", ms(wait)));
            }
            Self::Kept { why, status } => {
                field(("why", Word(why)));
                if let Some(status) = status {
                    field(("status", Number((*status).into())));
                }
            }
            Self::Verified { facts } => facts.tell(field),
            Self::Suspect { status } | Self::WrongPath { status } => {
                field(("status", Number((*status).into())));
            }
            Self::Refused { grade, status, facts } => {
                field(("grade", Word(grade.name())));
                field(("status", Number((*status).into())));
                facts.tell(field);
            }
            Self::RefusalVoid { why } => field(("why", Word(why))),
            Self::Refuted { refusals } => field(("refusals", Number((*refusals).into()))),
            Self::SignedOut { reason, rule, elsewhere } => {
                field(("reason", Word(reason.name())));
                if let Some(rule) = rule {
                    field(("rule", Word(rule.name())));
                }
                field(("elsewhere", Flag(*elsewhere)));
            }
            Self::Server { state, before } => {
                field(("state", Word(state.name())));
                field(("before", Word(before.name())));
            }
            Self::Rebooted { boot } => field(("boot", Word(boot.as_str()))),
            Self::Slept { for_ } => field(("ms", ms(for_))),
            Self::Page(event) => field(("event", Word(event.name()))),
            Self::Misconfigured { probe, status } => {
                field(("probe", Word(probe.name())));
                field(("status", Number((*status).into())));
            }
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

impl Origin {
    fn tell<'a>(&'a self, field: &mut dyn FnMut(Field<'a>)) {
        if let Some(instance) = &self.instance {
            field(("instance", Value::Word(instance.as_str())));
        }
        if let Some(boot) = &self.boot {
            field(("boot", Value::Word(boot.as_str())));
        }
    }
}

impl Grade {
    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
        }
    }
}

impl Probe {
    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Verify => "verify",
            Self::SignOut => "sign-out",
        }
    }
}

impl PageEvent {
    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Hidden => "hidden",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Away => "away",
            Self::Back => "back",
            Self::Touched => "touched",
        }
    }
}

impl core::fmt::Display for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.event.code())?;
        let mut result = Ok(());
        self.event.tell(&mut |(name, value)| {
            result = result.and_then(|()| match value {
                Value::Word(word) => write!(f, " {name}={word}"),
                Value::Number(number) => write!(f, " {name}={number}"),
                Value::Flag(flag) => write!(f, " {name}={flag}"),
            });
        });
        result
    }
}

/// The last entries. Enough for a night of pings in a bad spell to still show its beginning would
/// be megabytes; 200 show the last hour of a quiet day and the whole of a sign-out.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
}

impl History {
    pub(crate) const MOST: usize = 200;

    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() == Self::MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
