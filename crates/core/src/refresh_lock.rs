//! The lock under which one tab at a time refreshes: a second guard beside the lease, for the
//! moment in which two tabs believe that they lead.
//!
//! Rule: it is waited for no longer than [`WAIT`] (G4). A tab that was killed in the middle left
//! its attempt's id in the record, and whoever goes on repeats that very attempt.

use crate::time::{Duration, Instant};

/// How long a lock is waited for that another tab does not give back.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct RefreshLock(State);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Asked {
        at: Instant,
    },
    /// This tab has it, or goes on without it.
    Held {
        since: Instant,
    },
}

/// What comes next for a tab that wants to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The lock is to be asked for.
    Ask,
    Wait,
    /// The record is to have been read since then.
    Refresh {
        read_since: Instant,
    },
}

impl RefreshLock {
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        match self.0 {
            State::Free => {
                self.0 = State::Asked { at: now };
                Next::Ask
            }
            State::Asked { at } if now < at.plus(WAIT) => Next::Wait,
            State::Asked { .. } => {
                self.0 = State::Held { since: now };
                Next::Refresh { read_since: now }
            }
            State::Held { since } => Next::Refresh { read_since: since },
        }
    }

    /// The lock is this tab's.
    pub(crate) fn granted(&mut self, now: Instant) {
        if matches!(self.0, State::Asked { .. }) {
            self.0 = State::Held { since: now };
        }
    }

    /// Not before that there is anything to do, while it is waited for.
    pub(crate) fn not_before(&self) -> Instant {
        match self.0 {
            State::Asked { at } => at.plus(WAIT),
            State::Free | State::Held { .. } => Instant::default(),
        }
    }

    /// Nothing is to be refreshed any more. Returns whether it is to be given back.
    pub(crate) fn release(&mut self) -> bool {
        core::mem::take(&mut self.0) != State::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_tab_refreshes_under_the_lock_and_with_a_record_that_it_read_under_it() {
        let mut lock = RefreshLock::default();
        assert_eq!(lock.next(at(0)), Next::Ask);
        assert_eq!(lock.next(at(1)), Next::Wait);
        lock.granted(at(2));
        assert_eq!(lock.next(at(2)), Next::Refresh { read_since: at(2) });
        assert!(lock.release() && !lock.release());
        lock.granted(at(3));
        assert!(!lock.release(), "it was given back before it was granted");
    }

    #[test]
    fn a_lock_that_nobody_gives_back_is_waited_for_thirty_seconds() {
        let mut lock = RefreshLock::default();
        lock.next(at(0));
        assert_eq!(lock.not_before(), at(30));
        assert_eq!(lock.next(at(29)), Next::Wait);
        assert_eq!(lock.next(at(30)), Next::Refresh { read_since: at(30) });
    }
}
