//! Reads of the store: one at a time, each with an id and a bound.
//!
//! Rule: an old answer never stands for a newer one, and a store that does not answer holds
//! nothing up (G4). Knows nothing of what a record means.

use crate::requests::ReadId;
use crate::time::{Duration, Instant};

/// A store that takes longer counts as unreadable. Its answer is still worth having.
const BOUND: Duration = Duration::from_secs(2);
/// How old a read may be for what is about to be sent: a sign-out in another tab a second ago is
/// as good as one that happens now.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Reads {
    last: u32,
    open: Option<Open>,
    /// The newest read that went past its bound.
    late: Option<ReadId>,
    /// When the last read that ended had been asked for.
    asked_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    read: ReadId,
    asked_at: Instant,
    bound: Duration,
    /// Something happened since it was asked for that it may not know of.
    again: bool,
}

/// What an answer of the store belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The read that is waited for.
    Awaited,
    /// The same, but something happened since it was asked for: ask again.
    Outdated,
    /// A read that went past its bound.
    Late,
    /// None that matters.
    Unknown,
}

impl Reads {
    /// Asks for the record, unless a read is open: then it is asked for again afterwards.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<ReadId> {
        if let Some(open) = &mut self.open {
            open.again = open.asked_at < now;
            return None;
        }
        self.last = self.last.wrapping_add(1);
        let read = ReadId(self.last);
        // A store that hangs is asked, because it may come back, and not waited for again.
        let bound = if self.late.is_some() { Duration::ZERO } else { BOUND };
        self.open = Some(Open { read, asked_at: now, bound, again: false });
        Some(read)
    }

    pub(crate) fn take(&mut self, read: ReadId, now: Instant) -> Answered {
        if let Some(open) = self.open.take_if(|open| open.read == read) {
            self.late = None;
            self.asked_at = Some(open.asked_at);
            return if open.again { Answered::Outdated } else { Answered::Awaited };
        }
        if self.late.take_if(|late| *late == read).is_some() {
            self.asked_at = Some(now);
            return Answered::Late;
        }
        Answered::Unknown
    }

    /// Whether the open read is past its bound; it is waited for no longer.
    pub(crate) fn give_up(&mut self, now: Instant) -> bool {
        let Some(open) = self.open.take_if(|open| open.asked_at.plus(open.bound) <= now) else {
            return false;
        };
        self.late = Some(open.read);
        self.asked_at = Some(now);
        true
    }

    /// Forgets the open read: the page could not run meanwhile.
    pub(crate) fn reset(&mut self) -> bool {
        self.open.take().is_some()
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a read is past its bound, so that nobody knows what the store holds.
    pub(crate) const fn is_late(&self) -> bool {
        self.late.is_some()
    }

    /// Whether the record was read so recently that a request may rely on it.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.asked_at.is_some_and(|at| now.since(at) < FRESH)
    }

    /// Whether a read has ended that was asked for at that moment or later.
    pub(crate) fn was_asked_since(&self, since: Instant) -> bool {
        self.asked_at.is_some_and(|at| at >= since)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.asked_at.plus(open.bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn an_answer_belongs_to_the_read_that_it_names() {
        let mut reads = Reads::default();
        let first = reads.ask(at(0)).expect("nothing is open");
        assert_eq!(reads.take(ReadId(first.0 + 1), at(9)), Answered::Unknown);
        assert_eq!(reads.take(first, at(9)), Answered::Awaited);
        assert_eq!(reads.take(first, at(9)), Answered::Unknown, "an answer is taken once");
    }

    #[test]
    fn what_happens_while_a_read_is_open_asks_for_another() {
        let mut reads = Reads::default();
        let first = reads.ask(at(0)).expect("nothing is open");
        assert_eq!(reads.ask(at(1)), None);
        assert_eq!(reads.take(first, at(9)), Answered::Outdated);
    }

    #[test]
    fn a_store_that_hangs_is_waited_for_once_and_its_late_answer_is_known() {
        let mut reads = Reads::default();
        let first = reads.ask(at(0)).expect("nothing is open");
        assert!(!reads.give_up(at(1)));
        assert!(reads.give_up(at(2)));
        let second = reads.ask(at(3)).expect("nothing is open");
        assert_eq!(reads.next_timeout(), Some(at(3)), "it hangs: nobody waits for it again");
        assert!(reads.give_up(at(3)));
        assert_eq!(reads.take(first, at(9)), Answered::Unknown, "a newer read was asked for");
        assert_eq!(reads.take(second, at(9)), Answered::Late);
        reads.ask(at(9));
        assert_eq!(reads.next_timeout(), Some(at(11)), "it has come back");
    }

    #[test]
    fn a_record_is_fresh_for_a_second_from_when_it_was_asked_for() {
        let mut reads = Reads::default();
        assert!(!reads.is_fresh(at(0)));
        let read = reads.ask(at(10)).expect("nothing is open");
        reads.take(read, at(9));
        assert!(reads.is_fresh(at(10)) && !reads.is_fresh(at(11)));
    }
}
