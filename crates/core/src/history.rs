//! What happened, for whoever asks why: a ring of entries without a secret, a body, a query
//! string or a user.
//!
//! An entry is data. Its sentence is made outside, from the code and the fields.

use alloc::vec::Vec;

use crate::event::{Event, FieldVisitor};
use crate::label::Label;
use crate::time::UnixMillis;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entry {
    /// When, by the wall clock.
    pub at: UnixMillis,
    /// What.
    pub event: Event,
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

/// The last entries. Enough for a night of pings in an outage to still show its beginning would
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
