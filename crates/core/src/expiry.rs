//! How long a token is still good, by each clock that can be believed.
//!
//! Rule: the local wall clock alone never makes a token run out. It is believed as a difference
//! (how long ago the token was handed over), and as a date only to refresh a token ahead of time,
//! which ends nothing.

use crate::session::TokenFacts;
use crate::time::{Duration, UnixMillis};

/// The longest margin that is chosen by itself.
const MAX_MARGIN: Duration = Duration::from_secs(3_600);
/// The margin where it is not known for how long the token was issued.
const USUAL_MARGIN: Duration = Duration::from_secs(60);
/// The default margin is this part of the token's life: a 12 h token is used for 11 h.
const MARGIN_PART: u64 = 12;
/// An expiry this close to the end of the lifetime was counted on this device.
const COUNTED_WITHIN: u64 = 2_000;

/// The facts of a token whose answer took that long: its life began on the server, at the earliest
/// when it was asked for.
pub(crate) fn begun_earlier(facts: TokenFacts, took: Duration, wall: UnixMillis) -> TokenFacts {
    let took = took.as_millis();
    if took <= COUNTED_WITHIN {
        return facts;
    }
    let less = |from: u64| from.saturating_sub(took);
    let lifetime = facts.lifetime.map(|of| Duration::from_millis(less(of.as_millis())));
    let expiry = Expiry { facts, saved_at: Some(wall), wall, server_wall: None };
    let expires_at = match (facts.expires_at, expiry.told_expiry()) {
        (Some(UnixMillis(at)), None) => Some(UnixMillis(less(at))),
        (_, told) => told,
    };
    TokenFacts { expires_at, lifetime, ..facts }
}

/// A token's facts and the clocks of one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) facts: TokenFacts,
    pub(crate) saved_at: Option<UnixMillis>,
    pub(crate) wall: UnixMillis,
    pub(crate) server_wall: Option<UnixMillis>,
}

impl Expiry {
    /// Whether the token is known to have run out: by the server's clock, or because it was
    /// handed over on this device longer ago than it was issued for.
    pub(crate) fn has_run_out(&self) -> bool {
        self.known() == Some(Duration::ZERO)
    }

    /// Whether it has run out by the server's clock, whatever its age.
    pub(crate) fn has_run_out_by_server(&self) -> bool {
        self.told_expiry().zip(self.server_wall).is_some_and(|(at, now)| at <= now)
    }

    /// How long it is still good, as far as that can be told. Nothing where the local clock and
    /// the token contradict each other.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.known().or_else(|| {
            let (at, _) = self.facts.expires_at.zip(self.life())?;
            Some(at.since(self.wall))
        })
    }

    /// How long from now the token is to be refreshed ahead of its expiry. `spread` takes up to a
    /// quarter more of the margin, so that browsers which signed in together do not stay in step.
    pub(crate) fn refresh_in(&self, margin: Option<Duration>, spread: u8) -> Option<Duration> {
        let margin = self.margin(margin).as_millis();
        let margin = margin.saturating_add(margin / 1_024 * u64::from(spread));
        let remaining = self.remaining()?.as_millis();
        Some(Duration::from_millis(remaining.saturating_sub(margin)))
    }

    /// A margin that leaves less than half of the token's life would refresh without end.
    fn margin(&self, chosen: Option<Duration>) -> Duration {
        let Some(life) = self.life() else { return chosen.unwrap_or(USUAL_MARGIN) };
        let part = |of| Duration::from_millis(life.as_millis() / of);
        let margin = chosen.unwrap_or_else(|| part(MARGIN_PART).min(MAX_MARGIN));
        margin.min(part(2))
    }

    fn life(&self) -> Option<Duration> {
        self.facts.lifetime.or_else(|| {
            let (at, saved_at) = self.facts.expires_at.zip(self.saved_at)?;
            (at > saved_at).then(|| at.since(saved_at))
        })
    }

    /// By the clock of the server, and by the age of the token: the shorter.
    fn known(&self) -> Option<Duration> {
        let by_server = self.told_expiry().zip(self.server_wall).map(|(at, now)| at.since(now));
        let by_age = self.facts.lifetime.zip(self.saved_at).map(|(lifetime, saved_at)| {
            let age = self.wall.since(saved_at).as_millis();
            Duration::from_millis(lifetime.as_millis().saturating_sub(age))
        });
        match (by_server, by_age) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The expiry, unless it was counted on this device from `expires_in`: then it is a date of
    /// this device's clock, and must not be held against the server's.
    fn told_expiry(&self) -> Option<UnixMillis> {
        let at = self.facts.expires_at?;
        let counted = self.facts.lifetime.zip(self.saved_at).map(|(lifetime, saved_at)| {
            let end = saved_at.0.saturating_add(lifetime.as_millis());
            end.abs_diff(at.0) <= COUNTED_WITHIN
        });
        if counted == Some(true) { None } else { Some(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: u64 = 1_760_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn expiry(expires_at: Option<u64>, lifetime: Option<u64>, now: u64) -> Expiry {
        let facts = TokenFacts {
            expires_at: expires_at.map(UnixMillis),
            lifetime: lifetime.map(Duration::from_millis),
            ..TokenFacts::default()
        };
        let saved_at = Some(UnixMillis(SAVED));
        Expiry { facts, saved_at, wall: UnixMillis(now), server_wall: None }
    }

    fn refresh_in(expiry: &Expiry, margin: Option<u64>) -> Option<u64> {
        let margin = margin.map(Duration::from_millis);
        expiry.refresh_in(margin, 0).map(Duration::as_millis)
    }

    #[test]
    fn a_twelve_hour_token_is_used_for_eleven_hours_and_a_minute_for_55_seconds() {
        let twelve = expiry(Some(SAVED + 12 * HOUR), Some(12 * HOUR), SAVED);
        assert_eq!(refresh_in(&twelve, None), Some(11 * HOUR));
        let a_month = expiry(None, Some(720 * HOUR), SAVED);
        assert_eq!(refresh_in(&a_month, None), Some(719 * HOUR));
        assert_eq!(refresh_in(&expiry(None, Some(60_000), SAVED), None), Some(55_000));
        assert_eq!(twelve.refresh_in(None, 255).map(Duration::as_millis), Some(38_703_675));
    }

    #[test]
    fn a_margin_longer_than_half_of_the_life_is_cut() {
        assert_eq!(refresh_in(&expiry(None, Some(6_000), SAVED), Some(60_000)), Some(3_000));
        assert_eq!(refresh_in(&expiry(None, Some(6_000), SAVED), Some(1_000)), Some(5_000));
    }

    #[test]
    fn a_lifetime_needs_no_clock_of_the_server() {
        let token = expiry(Some(SAVED + HOUR), Some(HOUR), SAVED + HOUR);
        assert!(token.has_run_out());
        let two_hours_off = Some(UnixMillis(SAVED + 2 * HOUR));
        let fresh =
            Expiry { server_wall: two_hours_off, ..expiry(Some(SAVED + HOUR), Some(HOUR), SAVED) };
        assert!(!fresh.has_run_out(), "the expiry was counted by this device's clock");
    }

    #[test]
    fn what_the_server_told_is_held_against_the_servers_clock() {
        let told = expiry(Some(SAVED + 3 * HOUR), None, SAVED);
        let server_wall = Some(UnixMillis(SAVED + 2 * HOUR));
        let token = Expiry { server_wall, ..told };
        assert_eq!(token.remaining(), Some(Duration::from_millis(HOUR)));
        let server_wall = Some(UnixMillis(SAVED + 3 * HOUR));
        assert!(Expiry { server_wall, ..told }.has_run_out());
    }

    #[test]
    fn the_local_clock_alone_makes_nothing_run_out_but_may_lead_to_an_early_refresh() {
        let token = expiry(Some(SAVED + HOUR), None, SAVED + HOUR);
        assert!(!token.has_run_out());
        assert_eq!(token.remaining(), Some(Duration::ZERO));
        let contradictory = expiry(Some(SAVED - HOUR), None, SAVED);
        assert_eq!(contradictory.remaining(), None);
        assert_eq!(refresh_in(&expiry(None, None, SAVED), None), None);
    }

    #[test]
    fn a_century_and_the_end_of_numbers_are_times_too() {
        let century = 100 * 365 * 24 * HOUR;
        assert_eq!(refresh_in(&expiry(None, Some(century), SAVED), None), Some(century - HOUR));
        assert!(refresh_in(&expiry(Some(u64::MAX), Some(u64::MAX), SAVED), None).is_some());
        assert_eq!(refresh_in(&expiry(None, Some(0), SAVED), None), Some(0));
    }
}
