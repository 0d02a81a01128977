//! The events, declared once: the variant, its code, how loud it is and its fields follow from
//! one list. `js/src/events.json` holds the same list for the face; a test keeps the two equal.

use crate::answer::{CANDIDATES, Candidate, Grade, Probe};
use crate::confirm_context::Basis;
use crate::diagnosis::Diagnosis;
use crate::label::{Label, Origin};
use crate::page::PageEvent;
use crate::requests::RequestId;
use crate::server::ServerState;
use crate::session::{Rule, SignOutReason};
use crate::time::Duration;

/// How loud an entry is on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Level {
    /// Each ping.
    Debug,
    /// What people who hunt a bug look for.
    Info,
    /// Odd, and tolerated.
    Warn,
    /// The developer's to fix.
    Error,
}

/// Why a session was kept, or a rejection did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its name")]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    NotSent,
}

/// Takes the fields of an event, one at a time. A word comes with its index among its kind, so
/// that the npm package carries the words once, in its face.
pub trait FieldVisitor {
    /// A count, or milliseconds where the name says so; yes and no are 1 and 0.
    fn number(&mut self, name: &'static str, number: u64);
    /// One of a fixed set of words.
    fn word(&mut self, name: &'static str, index: u8, word: &'static str);
    /// A name that the server gave itself.
    fn label(&mut self, name: &'static str, label: &Label);
}

/// `Variant { field as "name": Type, … } = "code", Level;` An optional field that may be missing
/// stands last, because the face tells fields by their position.
macro_rules! events {
    ($(
        $variant:ident { $($field:ident as $name:literal: $type:ty),* } = $code:literal, $level:ident;
    )*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is its code, and its fields have names")]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum Event {
            $($variant { $($field: $type),* },)*
        }

        /// Code and level of each event, in the order of [`Event::index`].
        const TABLE: &[(&str, Level)] = &[$(($code, Level::$level)),*];

        #[derive(Clone, Copy)]
        enum Index { $($variant),* }

        impl Event {
            /// Its index among the events: the number by which the npm package's face knows it.
            #[must_use]
            pub const fn index(&self) -> u8 {
                match self {
                    $(Self::$variant { .. } => Index::$variant as u8,)*
                }
            }

            /// Visits each field.
            pub fn visit_fields(&self, visitor: &mut impl FieldVisitor) {
                match self {
                    $(Self::$variant { $($field),* } => { $($field.visit($name, visitor);)* })*
                }
            }
        }
    };
}

events! {
    Started {} = "started", Info;
    Stopped {} = "stopped", Info;
    KeepAlive { every as "ms": Duration } = "keep-alive", Info;
    Restored {} = "restored", Info;
    NoRecord {} = "no-record", Info;
    NoUser { status as "status": u16 } = "no-user", Info;
    RecordCorrupt {} = "record-corrupt", Warn;
    RecordForeign {} = "record-foreign", Warn;
    StoreFailed {} = "store-failed", Warn;
    SignedIn {} = "signed-in", Info;
    Answered {
        probe as "probe": Probe,
        request as "request": RequestId,
        took as "ms": Duration,
        status as "status": u16,
        facts as "": Origin
    } = "answered", Debug;
    Unanswered {
        probe as "probe": Probe,
        request as "request": RequestId,
        took as "ms": Duration
    } = "unanswered", Debug;
    Held { probe as "probe": Probe, request as "request": RequestId } = "held", Info;
    GivenUp { probe as "probe": Probe, request as "request": RequestId } = "given-up", Info;
    Periodic {} = "periodic", Info;
    Retry { attempt as "attempt": u8, of as "of": u8, wait as "ms": Duration } = "retry", Info;
    Kept { why as "why": Reason, status as "status": Option<u16> } = "kept", Info;
    Verified { facts as "": Origin } = "verified", Info;
    Suspect {
        status as "status": u16,
        limit as "ms": Duration,
        basis as "basis": Basis
    } = "suspect", Warn;
    Rejected { grade as "grade": Grade, status as "status": u16, facts as "": Origin }
        = "rejected", Info;
    RejectionIgnored { why as "why": Reason } = "rejection-ignored", Info;
    Refuted { rejections as "refusals": u32 } = "refuted", Warn;
    SignedOut {
        reason as "reason": SignOutReason,
        from_other_tab as "fromOtherTab": bool,
        rule as "rule": Option<Rule>
    } = "signed-out", Info;
    SignOutTold {} = "sign-out-told", Info;
    SignOutRejected { status as "status": u16 } = "sign-out-rejected", Error;
    Server { state as "state": ServerState, before as "before": ServerState } = "server", Info;
    Rebooted { boot as "boot": Label } = "rebooted", Info;
    Slept { length as "ms": Duration } = "slept", Info;
    Page { event as "event": PageEvent } = "page", Debug;
    WrongPath { status as "status": u16, candidate as "candidate": Option<Candidate> }
        = "wrong-path", Error;
    Misconfigured { probe as "probe": Probe, status as "status": u16 } = "misconfigured", Error;
    Diagnosed { found as "": Diagnosis } = "diagnosis", Warn;
    Refreshed {} = "refreshed", Info;
    RefreshFailed {
        is_usable as "usable": bool,
        wait as "ms": Duration,
        status as "status": Option<u16>
    } = "refresh-failed", Info;
    RefreshRejected { status as "status": u16 } = "refresh-rejected", Warn;
    AcquireFailed {
        is_usable as "usable": bool,
        wait as "ms": Duration,
        status as "status": Option<u16>
    } = "acquire-failed", Info;
    AcquireDeclined {} = "acquire-declined", Info;
    Leading { epoch as "epoch": u32 } = "leading", Debug;
}

impl Event {
    /// The kebab-case code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        TABLE[self.index() as usize].0
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
        // Neither the path nor the answer will change by itself.
        if let Self::RefreshFailed { is_usable: false, .. }
        | Self::AcquireFailed { is_usable: false, .. } = self
        {
            return Level::Error;
        }
        TABLE[self.index() as usize].1
    }
}

/// What a field of an event may be.
trait Field {
    fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor);
}

macro_rules! numbers {
    ($($type:ty: |$it:ident| $number:expr;)*) => {
        $(impl Field for $type {
            fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor) {
                let $it = *self;
                visitor.number(name, $number);
            }
        })*
    };
}

numbers! {
    u8: |it| it.into();
    u16: |it| it.into();
    u32: |it| it.into();
    bool: |it| it.into();
    Duration: |it| it.as_millis();
    RequestId: |it| it.0.into();
}

macro_rules! words {
    ($($type:ty: |$it:ident| $index:expr;)*) => {
        $(impl Field for $type {
            fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor) {
                let $it = *self;
                visitor.word(name, $index, $it.name());
            }
        })*
    };
}

words! {
    Probe: |it| it.index();
    Reason: |it| it as u8;
    Basis: |it| it as u8;
    Grade: |it| it as u8;
    SignOutReason: |it| it as u8;
    Rule: |it| it as u8;
    ServerState: |it| it as u8;
    PageEvent: |it| it as u8;
}

impl<T: Field> Field for Option<T> {
    fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor) {
        if let Some(it) = self {
            it.visit(name, visitor);
        }
    }
}

impl Field for Candidate {
    fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor) {
        if let Some(path) = CANDIDATES.get(usize::from(self.0)) {
            visitor.word(name, self.0, path);
        }
    }
}

impl Field for Label {
    fn visit(&self, name: &'static str, visitor: &mut impl FieldVisitor) {
        visitor.label(name, self);
    }
}

impl Field for Origin {
    fn visit(&self, _: &'static str, visitor: &mut impl FieldVisitor) {
        self.instance.visit("instance", visitor);
        self.boot.visit("boot", visitor);
    }
}

impl Field for Diagnosis {
    fn visit(&self, _: &'static str, visitor: &mut impl FieldVisitor) {
        visitor.word("cause", self.cause as u8, self.cause.name());
        self.count.visit("count", visitor);
        self.length.visit("ms", visitor);
        self.status.visit("status", visitor);
        self.probe.visit("probe", visitor);
        self.candidate.visit("candidate", visitor);
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
