//! The server's axis: its state, its outages, and when to ask it again.
//!
//! Rule: nothing here knows that there is a session.

use crate::answer::{Availability, Probe};
use crate::page::Network;
use crate::rng::Rng;
use crate::time::{Duration, Instant, UnixMillis};

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ServerState {
    /// Nothing is known yet.
    Unknown,
    /// It proved itself.
    Awake,
    /// It is not ready yet, and is expected to be.
    Waking,
    /// It has been silent too long to be only waking, or somebody else must act.
    Unreachable,
    /// The browser has no network.
    Offline,
}

impl ServerState {
    /// Every one, in order.
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::Awake, Self::Waking, Self::Unreachable, Self::Offline];

    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Awake => "awake",
            Self::Waking => "waking",
            Self::Unreachable => "unreachable",
            Self::Offline => "offline",
        }
    }
}

/// Silence this long is no wake-up any more: platforms take 30 to 90 s.
const WAKING: Duration = Duration::from_secs(120);
/// While a wake-up is likely the server is asked often, but never more often than this.
const EAGER: Pace = Pace { low: Duration::from_secs(2), high: Duration::from_secs(6) };
/// How long a wake-up is likely.
const EAGER_FOR: Duration = Duration::from_secs(90);
/// After that, while somebody is looking.
const PATIENT: Pace = Pace { low: Duration::from_secs(2), high: Duration::from_secs(30) };
/// When nobody is looking, after ten minutes, or where somebody else must act first.
const SLOW: Pace = Pace { low: Duration::from_secs(30), high: Duration::from_secs(120) };
/// How long somebody who looks is likely to wait.
const PATIENT_FOR: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
struct Pace {
    low: Duration,
    high: Duration,
}

#[derive(Debug)]
pub(crate) struct Server {
    state: ServerState,
    outage: Option<Outage>,
    woken: Option<Instant>,
    last_awake: Option<UnixMillis>,
    proven_at: Option<Instant>,
    /// The last answer said that its network or its owner must act.
    owner_must_act: bool,
}

/// A time of bad answers, from the first of them to the first good one.
#[derive(Debug)]
struct Outage {
    since: Instant,
    delay: Duration,
    /// Something answered for the server, or held a request: a platform that wakes it up.
    platform: bool,
    /// Something answered with a page, which may be the app's own.
    page: bool,
    /// Something else failed than a health path that is missing: no answer, or an error.
    hard: bool,
}

impl Outage {
    const fn begun(since: Instant) -> Self {
        Self { since, delay: EAGER.low, platform: false, page: false, hard: false }
    }
}

/// Who a bad answer may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseSource {
    /// A platform that wakes the server up.
    Platform,
    /// The same, or the app's own page on a path that is wrong.
    Page,
    /// Nobody, perhaps: the health path answers as one that is not there.
    MissingPath,
    /// Anybody: a path may be wrong, or odd by itself.
    Unknown,
}

/// An outage that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    pub(crate) since: Instant,
    /// A platform answered or held requests meanwhile.
    pub(crate) by_platform: bool,
    /// When the server last proved itself before it.
    pub(crate) proven_before: Option<Instant>,
}

impl Server {
    pub(crate) const fn new() -> Self {
        Self {
            state: ServerState::Unknown,
            outage: None,
            woken: None,
            last_awake: None,
            proven_at: None,
            owner_must_act: false,
        }
    }

    pub(crate) const fn state(&self) -> ServerState {
        self.state
    }

    pub(crate) const fn last_awake(&self) -> Option<UnixMillis> {
        self.last_awake
    }

    pub(crate) const fn proven_at(&self) -> Option<Instant> {
        self.proven_at
    }

    pub(crate) const fn is_bad(&self) -> bool {
        self.outage.is_some()
    }

    /// When it was proven awake after an outage or a restart, if it ever had one.
    pub(crate) const fn woken(&self) -> Option<Instant> {
        self.woken
    }

    /// It started at that moment, or is only known since then.
    pub(crate) const fn started(&mut self, at: Instant) {
        self.woken = Some(at);
    }

    /// Takes a proof. Returns the outage that ends with it.
    pub(crate) fn proven(&mut self, now: Instant, by: Probe, wall: UnixMillis) -> Option<Recovery> {
        let ended = self.outage.take();
        if ended.is_some() {
            self.woken = Some(now);
        }
        self.state = ServerState::Awake;
        self.owner_must_act = false;
        self.last_awake = Some(wall);
        let proven_before = self.proven_at.replace(now);
        let recovery = |Outage { since, platform, page, .. }| Recovery {
            since,
            // A path that is wrong does not become right.
            by_platform: platform || page && by == Probe::Health,
            proven_before,
        };
        ended.map(recovery)
    }

    /// Takes what the tab says that asks the server in place of this one.
    pub(crate) fn adopt(&mut self, state: ServerState, now: Instant, wall: UnixMillis) {
        match state {
            ServerState::Awake => {
                self.proven(now, Probe::Verify, wall);
            }
            ServerState::Unknown => self.outage = None,
            ServerState::Waking | ServerState::Unreachable | ServerState::Offline => {
                self.outage.get_or_insert(Outage::begun(now));
            }
        }
        self.state = state;
    }

    /// Takes a sign that is no proof.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        by: ResponseSource,
        availability: Availability,
        network: Network,
    ) {
        let outage = self.outage.get_or_insert(Outage::begun(now));
        outage.platform |= availability == Availability::Waking && by == ResponseSource::Platform;
        outage.page |= availability == Availability::Waking && by == ResponseSource::Page;
        self.owner_must_act = availability == Availability::Unreachable;
        outage.hard |= by != ResponseSource::MissingPath;
        let age = now.since(outage.since);
        let only_missing = !outage.hard && age >= WAKING;
        self.state = match availability {
            // Nothing but "no such path" for so long: the path is wrong, and nothing is known of
            // the server.
            Availability::Waking if only_missing => ServerState::Unknown,
            Availability::Waking => ServerState::Waking,
            Availability::Unreachable => ServerState::Unreachable,
            Availability::Silent if network == Network::Down => ServerState::Offline,
            Availability::Silent if age < WAKING => ServerState::Waking,
            Availability::Silent => ServerState::Unreachable,
            Availability::Awake | Availability::Nothing => self.state,
        };
    }

    /// How long to wait before the next probe of an outage.
    pub(crate) fn next_delay(&mut self, now: Instant, hidden: bool, rng: &mut Rng) -> Duration {
        let Some(outage) = &mut self.outage else { return EAGER.low };
        let age = now.since(outage.since);
        let pace = if hidden || self.owner_must_act || age >= PATIENT_FOR {
            SLOW
        } else if age < EAGER_FOR {
            EAGER
        } else {
            PATIENT
        };
        outage.delay = rng.decorrelated(pace.low, pace.high, outage.delay);
        outage.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    fn delay(server: &mut Server, now: Instant, hidden: bool) -> u64 {
        server.next_delay(now, hidden, &mut Rng::new(now.since(at(0)).as_millis())).as_millis()
    }

    #[test]
    fn silence_is_a_wake_up_for_two_minutes_and_then_an_unreachable_server() {
        let mut server = Server::new();
        server.failed(at(0), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert_eq!(server.state(), ServerState::Waking);
        server.failed(at(119), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert_eq!(server.state(), ServerState::Waking);
        server.failed(at(120), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert_eq!(server.state(), ServerState::Unreachable);
    }

    #[test]
    fn a_good_answer_ends_the_outage_and_the_next_one_starts_again() {
        let mut server = Server::new();
        server.failed(at(0), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert!(server.proven(at(200), Probe::Health, UnixMillis(1)).is_some());
        assert!(server.proven(at(230), Probe::Health, UnixMillis(2)).is_none());
        server.failed(at(260), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert_eq!(server.state(), ServerState::Waking);
    }

    #[test]
    fn offline_takes_both_the_browsers_word_and_a_network_error() {
        let mut server = Server::new();
        server.failed(at(0), ResponseSource::Unknown, Availability::Silent, Network::Down);
        assert_eq!(server.state(), ServerState::Offline);
        server.failed(at(1), ResponseSource::Unknown, Availability::Waking, Network::Down);
        assert_eq!(server.state(), ServerState::Waking);
    }

    #[test]
    fn a_server_that_wakes_is_asked_every_two_to_six_seconds_for_ninety() {
        let mut server = Server::new();
        server.failed(at(0), ResponseSource::Unknown, Availability::Silent, Network::Up);
        for secs in 0..90 {
            assert!((2_000..=6_000).contains(&delay(&mut server, at(secs), false)));
        }
        let later: u64 =
            (90..600).map(|secs| delay(&mut server, at(secs), false)).max().unwrap_or(0);
        assert!((20_000..=30_000).contains(&later));
        assert!((30_000..=120_000).contains(&delay(&mut server, at(600), false)));
    }

    #[test]
    fn nobody_who_looks_away_asks_often_and_nobody_asks_often_where_the_owner_must_act() {
        let mut server = Server::new();
        server.failed(at(0), ResponseSource::Unknown, Availability::Silent, Network::Up);
        assert!((30_000..=120_000).contains(&delay(&mut server, at(1), true)));
        let mut paused = Server::new();
        paused.failed(at(0), ResponseSource::Unknown, Availability::Unreachable, Network::Up);
        assert!((30_000..=120_000).contains(&delay(&mut paused, at(1), false)));
    }
}
