//! The lease: which of the tabs that share a record asks the server for all of them.
//!
//! Rule: correct with no leader, one, or two; a leader only saves requests. What the store holds
//! decides, and it is read before it is written. A lease ends by its holder's own clock as well,
//! so a tab that could not run leads no longer until it has read the store again.

use crate::rng::Rng;
use crate::time::{Duration, Instant, UnixMillis};

/// A random id of one tab, drawn when its page starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TabId(pub u64);

/// The lease as the store holds it, for all tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeaseRecord {
    /// Who holds it.
    pub tab: TabId,
    /// From 1 to [`LeaseRecord::MAX_EPOCH`]; one more with each tab that takes it.
    pub epoch: u32,
    /// When it runs out, unless it is renewed.
    pub expires_at: UnixMillis,
    /// Whether somebody looks at its holder.
    pub is_visible: bool,
}

impl LeaseRecord {
    /// The largest epoch that is believed: what leaps past it is no lease.
    pub const MAX_EPOCH: u32 = 1 << 31;
}

/// A visible tab's timers are on time, so its crash is noticed soon.
const VISIBLE: Term = Term { length: Duration::from_secs(15), renewed: Duration::from_secs(5) };
/// Browsers run the timers of a hidden page once a minute.
const HIDDEN: Term = Term { length: Duration::from_secs(150), renewed: Duration::from_secs(60) };
/// Two tabs that take the lease at the same moment know of each other after this.
const SETTLED: Duration = Duration::from_millis(250);
/// Hidden tabs take a free lease up to this much later than a visible one.
const SPREAD: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Term {
    length: Duration,
    renewed: Duration,
}

impl Term {
    const fn of(is_visible: bool) -> Self {
        if is_visible { VISIBLE } else { HIDDEN }
    }
}

/// The tab that reads the lease, at that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) now: Instant,
    pub(crate) wall: UnixMillis,
    pub(crate) is_visible: bool,
    /// Whether it takes the place of a hidden leader.
    pub(crate) preempts: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Lease {
    role: Role,
    tab: TabId,
    /// The highest that was seen.
    epoch: u32,
    is_reading: bool,
    /// The newest lease of another tab, and until when it holds, however often it is read.
    seen: Option<(LeaseRecord, Instant)>,
    /// A leader that did not answer; its lease does not count.
    distrusted: Option<TabId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    /// The record is this tab's own: nobody else can ask.
    #[default]
    Alone,
    /// The store has not been read yet.
    Unknown,
    Leader {
        since: Instant,
        until: Instant,
        renew_at: Instant,
    },
    Follower {
        of: TabId,
        until: Instant,
    },
    /// Nobody holds it.
    Vacant {
        take_at: Instant,
    },
}

impl Lease {
    /// From now on there may be other tabs.
    pub(crate) fn share(&mut self, tab: TabId) {
        *self = Self { role: Role::Unknown, tab, ..Self::default() };
    }

    pub(crate) const fn is_shared(&self) -> bool {
        !matches!(self.role, Role::Alone)
    }

    /// Whether the store has not been read since the page started, or came back.
    pub(crate) const fn is_starting(&self) -> bool {
        matches!(self.role, Role::Unknown)
    }

    pub(crate) const fn tab(&self) -> TabId {
        self.tab
    }

    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether this tab asks the server.
    pub(crate) fn leads(&self, now: Instant) -> bool {
        match self.role {
            Role::Alone => true,
            Role::Leader { until, .. } => now < until,
            Role::Unknown | Role::Follower { .. } | Role::Vacant { .. } => false,
        }
    }

    /// When it is certain that no other tab took the lease at the same moment.
    pub(crate) fn settles_at(&self) -> Instant {
        match self.role {
            Role::Leader { since, .. } => since.plus(SETTLED),
            Role::Alone | Role::Unknown | Role::Follower { .. } | Role::Vacant { .. } => {
                Instant::default()
            }
        }
    }

    /// The tab that asks the server in place of this one.
    pub(crate) const fn leader(&self) -> Option<TabId> {
        match self.role {
            Role::Follower { of, .. } => Some(of),
            Role::Alone | Role::Unknown | Role::Leader { .. } | Role::Vacant { .. } => None,
        }
    }

    /// When the store is to be read again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self.role {
            _ if self.is_reading => None,
            Role::Alone => None,
            Role::Unknown => Some(Instant::default()),
            Role::Leader { renew_at, .. } => Some(renew_at),
            Role::Follower { until, .. } => Some(until),
            Role::Vacant { take_at } => Some(take_at),
        }
    }

    /// The store is being read.
    pub(crate) const fn reading(&mut self) {
        self.is_reading = true;
    }

    /// The leader did not answer: its lease is not waited for.
    pub(crate) fn distrust_leader(&mut self, now: Instant) {
        if let Role::Follower { of, .. } = self.role {
            self.distrusted = Some(of);
            self.role = Role::Vacant { take_at: now };
        }
    }

    /// The page cannot act from now on. Returns whether it led.
    pub(crate) fn release(&mut self) -> bool {
        let led = matches!(self.role, Role::Leader { .. });
        if self.is_shared() {
            self.role = Role::Unknown;
            self.is_reading = false;
        }
        led
    }

    /// The store takes no lease: every tab asks for itself.
    pub(crate) const fn unavailable(&mut self) {
        self.role = Role::Alone;
    }

    /// Takes what the store holds. Returns what to write in its place, if anything.
    pub(crate) fn handle_record(
        &mut self,
        record: Option<LeaseRecord>,
        reader: Reader,
        rng: &mut Rng,
    ) -> Option<LeaseRecord> {
        let Reader { now, wall, is_visible, preempts } = reader;
        self.is_reading = false;
        if !self.is_shared() {
            return None;
        }
        let record = record.filter(|it| (1..=LeaseRecord::MAX_EPOCH).contains(&it.epoch));
        self.epoch = self.epoch.max(record.map_or(0, |record| record.epoch));
        if let Some(theirs) = record.filter(|it| it.tab != self.tab)
            && let Some(until) = self.holds_until(theirs, now, wall)
            && Some(theirs.tab) != self.distrusted
            && (theirs.is_visible || !preempts)
        {
            self.role = Role::Follower { of: theirs.tab, until };
            return None;
        }
        let is_ours = record.is_some_and(|it| it.tab == self.tab && it.is_visible == is_visible);
        let since = match self.role {
            Role::Alone => return None,
            // Two tabs that see each other's writes late must not answer each with another one.
            Role::Leader { renew_at, .. } if is_ours && now < renew_at => return None,
            Role::Leader { since, until, .. } if now < until => since,
            Role::Follower { .. } | Role::Leader { .. } if !is_visible => {
                // Somebody may look at another tab: it comes first.
                self.role = Role::Vacant { take_at: now.plus(rng.between(Duration::ZERO, SPREAD)) };
                return None;
            }
            Role::Vacant { take_at } if !is_visible && now < take_at => return None,
            Role::Unknown | Role::Follower { .. } | Role::Leader { .. } | Role::Vacant { .. } => {
                self.epoch = self.epoch.saturating_add(1).min(LeaseRecord::MAX_EPOCH);
                now
            }
        };
        let Term { length, renewed } = Term::of(is_visible);
        self.distrusted = None;
        self.role = Role::Leader { since, until: now.plus(length), renew_at: now.plus(renewed) };
        let expires_at = wall.plus(length);
        Some(LeaseRecord { tab: self.tab, epoch: self.epoch, expires_at, is_visible })
    }

    /// Until when a lease of another tab holds, if it still does. One that lies further ahead than
    /// any tab writes was written by a clock that was set, or by somebody else: it holds for its
    /// usual length from when it was first read.
    fn holds_until(
        &mut self,
        theirs: LeaseRecord,
        now: Instant,
        wall: UnixMillis,
    ) -> Option<Instant> {
        let left = theirs.expires_at.since(wall).min(Term::of(theirs.is_visible).length);
        let until = match self.seen {
            Some((seen, until)) if seen == theirs => until.min(now.plus(left)),
            Some(_) | None => now.plus(left),
        };
        self.seen = Some((theirs, until));
        (until > now).then_some(until)
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
