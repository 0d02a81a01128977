//! How the tokens of a seed are refreshed, and what goes wrong on the way.

use session_keeper_core::{
    AppRequestOptions, Body, Duration, NewToken, Options, Outcome, Probe, RefreshOptions, Response,
    TokenFacts, TokenHandle, UnixMillis,
};

use crate::families::{Rotation, Token};
use crate::rng::Rng;

const HOUR: u64 = 3_600_000;

/// The refreshing of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    pub(crate) rotation: Rotation,
    pub(crate) told: Told,
    pub(crate) rejects_by: RejectsBy,
    /// How long an access token lives.
    pub(crate) life_ms: u64,
    /// How far the server's clock is off.
    pub(crate) clock_ms: i64,
    /// How long a request of the app waits in all.
    pub(crate) wait_ms: u64,
    pub(crate) faults: RefreshFaults,
}

/// What a server tells of a token's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `expires_in`.
    Lifetime,
    /// A JWT's `iat` and `exp`.
    Signed,
    /// A date by its own clock.
    Date,
    Nothing,
}

/// How a refresh is rejected for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectsBy {
    Unauthorized,
    /// 400 `invalid_grant` (RFC 6749 section 5.2).
    InvalidGrant,
}

/// What goes wrong with refreshes, in a thousand of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RefreshFaults {
    /// Carried out, and the answer is lost.
    pub(crate) lost: u64,
    /// Carried out, and the answer takes up to 100 s.
    pub(crate) slow: u64,
    /// 429 with `Retry-After`.
    pub(crate) busy: u64,
    /// 403, 5xx or a page.
    pub(crate) failing: u64,
    /// 404, or a success without a token.
    pub(crate) unusable: u64,
    /// The old token again, or one that has run out already.
    pub(crate) useless: u64,
    /// Carried out, and the server restarts before it has answered.
    pub(crate) crashes: u64,
    /// The page is loaded again in the middle.
    pub(crate) reloads: u64,
    /// The lid is closed in the middle.
    pub(crate) naps: u64,
    /// Whether the app asks for newer tokens, in a thousand of its visits.
    pub(crate) wanted: u64,
}

/// What a server does with one refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Lost,
    Slow,
    Busy,
    Failing,
    Unusable,
    SameToken,
    RunOut,
    Crash,
}

impl Renewal {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let rate = |rng: &mut Rng, most: u64| {
            if rng.in_thousand(400) { rng.between(most / 10, most) } else { 0 }
        };
        let rotations =
            [Rotation::Remembers, Rotation::Remembers, Rotation::Strict, Rotation::None];
        let told = rng.pick(&[Told::Lifetime, Told::Signed, Told::Date, Told::Nothing]);
        let hours = if rng.in_thousand(300) { rng.between(0, 24 * HOUR) as i64 } else { 0 };
        Self {
            rotation: rng.pick(&rotations),
            told,
            rejects_by: rng.pick(&[RejectsBy::Unauthorized, RejectsBy::InvalidGrant]),
            // What tells nothing of its expiry lives longer than a request takes.
            life_ms: if rng.in_thousand(200) && told != Told::Nothing {
                rng.between(10_000, 300_000)
            } else {
                rng.between(300_000, HOUR)
            },
            clock_ms: if hours > 0 { hours - 12 * HOUR as i64 } else { 0 },
            wait_ms: rng.pick(&[5_000, 30_000, 90_000]),
            faults: RefreshFaults {
                lost: rate(rng, 300),
                slow: rate(rng, 300),
                busy: rate(rng, 300),
                failing: rate(rng, 500),
                unusable: rate(rng, 200),
                useless: rate(rng, 200),
                crashes: rate(rng, 200),
                reloads: rate(rng, 100),
                naps: rate(rng, 50),
                wanted: rate(rng, 200),
            },
        }
    }

    pub(crate) fn options(&self) -> Options {
        let wait = Duration::from_millis(self.wait_ms);
        Options {
            refresh: Some(RefreshOptions { margin: None, needs_token: true }),
            app_requests: AppRequestOptions { wait, ..AppRequestOptions::default() },
            ..Options::default()
        }
    }

    pub(crate) fn mood(&self, rng: &mut Rng) -> Mood {
        let it = &self.faults;
        let useless = if rng.in_thousand(500) { Mood::SameToken } else { Mood::RunOut };
        let moods = [
            (it.lost, Mood::Lost),
            (it.slow, Mood::Slow),
            (it.busy, Mood::Busy),
            (it.failing, Mood::Failing),
            (it.unusable, Mood::Unusable),
            (it.useless, useless),
            (it.crashes, Mood::Crash),
        ];
        let drawn = moods.into_iter().find(|(cases, _)| rng.in_thousand(*cases));
        drawn.map_or(Mood::Well, |(_, mood)| mood)
    }
}

/// What a server hands out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) token: Token,
    pub(crate) told: Told,
    /// How long it is still good.
    pub(crate) left_ms: u64,
    /// How long it was issued for.
    pub(crate) life_ms: u64,
    /// By the server's clock.
    pub(crate) expires_at: UnixMillis,
    /// It is the token that there was.
    pub(crate) is_same: bool,
}

impl Grant {
    /// What a page knows of the token, which gets it at `wall` by its own clock.
    pub(crate) fn facts(&self, wall: UnixMillis) -> TokenFacts {
        let (left, life) =
            (Duration::from_millis(self.left_ms), Duration::from_millis(self.life_ms));
        let (expires_at, lifetime) = match self.told {
            Told::Lifetime => (Some(UnixMillis(wall.0 + self.left_ms)), Some(left)),
            Told::Signed => (Some(self.expires_at), Some(life)),
            Told::Date => (Some(self.expires_at), None),
            Told::Nothing => (None, None),
        };
        TokenFacts { expires_at, lifetime, has_refresh_token: true, ..TokenFacts::default() }
    }

    pub(crate) fn new_token(&self, token: TokenHandle, facts: TokenFacts) -> NewToken {
        NewToken { token, facts, is_same: self.is_same }
    }
}

/// An answer on its way to a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) probe: Probe,
    pub(crate) outcome: Outcome,
    pub(crate) is_invalid_grant: bool,
    pub(crate) grant: Option<Grant>,
}

impl Answer {
    pub(crate) const fn of(probe: Probe, outcome: Outcome) -> Self {
        Self { probe, outcome, is_invalid_grant: false, grant: None }
    }

    /// Not a page of whatever stands in front of it.
    pub(crate) const fn is_of_the_api(&self) -> bool {
        matches!(&self.outcome, Outcome::Response(it) if !matches!(it.body, Body::Html))
    }

    /// A refresh was answered, and brought nothing that is newer.
    pub(crate) fn changes_nothing(&self) -> bool {
        let Outcome::Response(response) = &self.outcome else { return false };
        let is_unusable = matches!(response.status, 200 | 404) && self.is_of_the_api();
        self.grant.map_or(is_unusable, |grant| grant.is_same)
    }
}

/// An answer to a refresh that says neither yes nor no.
pub(crate) fn no_verdict(mood: Mood, signed: Response, rng: &mut Rng) -> Response {
    let page = Response { body: Body::Html, ..Response::default() };
    match mood {
        Mood::Busy => {
            let retry_after = Some(Duration::from_secs(rng.between(1, 120)));
            Response { status: 429, retry_after, ..signed }
        }
        Mood::Failing => match rng.between(0, 3) {
            0 => Response { status: 403, ..signed },
            1 => Response { status: 500, ..signed },
            2 => Response { status: 503, ..page },
            _ => page,
        },
        _ => Response { status: rng.pick(&[200, 404]), ..signed },
    }
}
