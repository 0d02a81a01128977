//! Which faults a seed has, and how often they fault.

use session_keeper_core::{HealthOptions, Options, VerifyOptions, WhenHidden};

use crate::renewal::Renewal;
use crate::rng::Rng;

/// What a sleeping server's platform does with requests until the server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Holds them.
    Held,
    /// Refuses the connection.
    Rejected,
    /// 502 with a page.
    BadGateway,
    /// 503 with `Retry-After`.
    Unavailable,
    /// 200 with a page that says to wait.
    Page,
    /// 401 with a page.
    LoginPage,
}

/// How the server says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refuses {
    /// As the reference backend: JSON, `invalid_token`, its instance and boot id.
    Named,
    /// JSON without names.
    Nameless,
    /// Text and a bare Bearer challenge.
    Weakly,
}

/// The faults of one seed. Rates are per thousand hours; 0 is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) rejects: Refuses,
    /// How platforms answer for a server that wakes.
    pub(crate) wake: Wake,
    pub(crate) idle_ms: u64,
    pub(crate) sleeps: u64,
    pub(crate) restarts: u64,
    /// Starts, in a thousand, that lose all tokens.
    pub(crate) forgetful: u64,
    /// How long a fresh server rejects everybody: its store is not there yet. Less than the 6 s
    /// between two bursts, for a page that is loaded meanwhile cannot know how fresh it is; and
    /// only where it names its boot, for two restarts in a row look like one mind otherwise.
    pub(crate) unready_ms: u64,
    pub(crate) revokes: u64,
    pub(crate) latency_ms: u64,
    /// Requests, in a thousand, that are lost.
    pub(crate) loss: u64,
    pub(crate) offline: u64,
    pub(crate) portals: u64,
    pub(crate) naps: u64,
    pub(crate) hides: u64,
    pub(crate) freezes: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) reloads: u64,
    pub(crate) sign_outs: u64,
    /// Answers, in a thousand, that come again or after their request was given up.
    pub(crate) strays: u64,
    pub(crate) when_hidden: WhenHidden,
    pub(crate) pings: bool,
    /// How tokens are refreshed; otherwise they never run out.
    pub(crate) renewal: Option<Renewal>,
}

impl Mix {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let rate = |rng: &mut Rng, most: u64| {
            if rng.in_thousand(500) { rng.between(most / 10, most) } else { 0 }
        };
        let wake = rng.pick(&[
            Wake::Held,
            Wake::Rejected,
            Wake::BadGateway,
            Wake::Unavailable,
            Wake::Page,
            Wake::LoginPage,
        ]);
        let rejects = rng.pick(&[
            Refuses::Named,
            Refuses::Named,
            Refuses::Named,
            Refuses::Nameless,
            Refuses::Weakly,
        ]);
        let unready = rejects == Refuses::Named && rng.in_thousand(500);
        Self {
            rejects,
            wake,
            idle_ms: rng.between(60_000, 900_000),
            sleeps: rate(rng, 3_000),
            restarts: rate(rng, 4_000),
            forgetful: rate(rng, 600),
            unready_ms: if unready { rng.between(500, 5_000) } else { 0 },
            revokes: rate(rng, 2_000),
            latency_ms: rng.between(5, 400),
            loss: rate(rng, 80),
            offline: rate(rng, 3_000),
            portals: rate(rng, 1_000),
            naps: rate(rng, 1_000),
            hides: rate(rng, 4_000),
            freezes: rate(rng, 1_500),
            clock_jumps: rate(rng, 1_000),
            reloads: rate(rng, 1_500),
            sign_outs: rate(rng, 500),
            strays: rate(rng, 200),
            when_hidden: rng.pick(&[WhenHidden::Ping, WhenHidden::Pause, WhenHidden::Always]),
            // Without a health path only time tells a platform's login page from the server's no:
            // two wake-ups with nothing but silence between them would be too long a time.
            pings: wake == Wake::LoginPage || rng.in_thousand(900),
            renewal: None,
        }
    }

    /// The same where nothing goes wrong.
    pub(crate) const fn quiet(self) -> Self {
        Self {
            rejects: Refuses::Named,
            idle_ms: u64::MAX / 2,
            sleeps: 0,
            restarts: 0,
            unready_ms: 0,
            revokes: 0,
            latency_ms: 50,
            loss: 0,
            offline: 0,
            portals: 0,
            naps: 0,
            hides: 0,
            freezes: 0,
            clock_jumps: 0,
            reloads: 0,
            sign_outs: 0,
            strays: 0,
            pings: true,
            ..self
        }
    }

    pub(crate) fn options(&self) -> Options {
        let when_hidden = self.when_hidden;
        let health = HealthOptions { when_hidden, ..HealthOptions::default() };
        Options {
            health: self.pings.then_some(health),
            verify: VerifyOptions::default(),
            ..self.renewal.map_or_else(Options::default, |renewal| renewal.options())
        }
    }
}
