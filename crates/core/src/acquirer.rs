//! Acquiring a token without the user: when the app's function may be asked again.
//!
//! Rule: at most one attempt in 10 s, and further apart while nothing comes of them. A token that
//! the server does not accept is nothing. Knows no session and no token.

use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Between two attempts: a function that brings tokens which nobody accepts must not get a storm.
const REST: Duration = Duration::from_secs(10);
/// The longest pause between attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Acquirer {
    /// No attempt before that, whatever hurries it.
    rests_until: Instant,
    /// What the backoff or `Retry-After` says.
    not_before: Instant,
    /// The last pause; none while nothing has failed.
    delay: Option<Duration>,
    /// The app has said no, which holds until there was a session.
    is_declined: bool,
}

impl Acquirer {
    /// When the next attempt may go out; `None` where the app has said no.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        (!self.is_declined).then(|| self.rests_until.max(self.not_before))
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.rests_until = now.plus(REST);
    }

    /// Nothing came, or a token of which nobody knows yet whether the server accepts it. Returns
    /// the pause before the next attempt.
    pub(crate) fn postpone(
        &mut self,
        now: Instant,
        retry_after: Duration,
        rng: &mut Rng,
    ) -> Duration {
        let before = self.delay.unwrap_or(REST);
        let delay = rng.decorrelated(REST, MAX_BACKOFF, before);
        self.delay = Some(delay);
        let pause = delay.max(retry_after);
        self.not_before = now.plus(pause);
        pause
    }

    /// The app has said that there is no token to be had.
    pub(crate) const fn declined(&mut self) {
        self.is_declined = true;
    }

    /// A session began, whoever began it: a no from before says nothing of what follows it.
    pub(crate) const fn session_began(&mut self) {
        self.is_declined = false;
    }

    /// The server accepted the token of now.
    pub(crate) fn accepted(&mut self) {
        if self.delay.take().is_some() {
            self.not_before = self.rests_until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn attempts_without_a_use_are_ten_seconds_apart_and_a_minute_at_most() {
        let (mut acquirer, mut rng) = (Acquirer::default(), Rng::new(1));
        let mut now = at(0);
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            acquirer.begin(now);
            let pause = acquirer.postpone(now, Duration::ZERO, &mut rng);
            assert!((REST..=MAX_BACKOFF).contains(&pause));
            longest = longest.max(pause);
            now = acquirer.next_attempt().expect("it is asked again");
        }
        assert!(longest > Duration::from_secs(40), "the pauses grow");
    }

    #[test]
    fn a_no_holds_until_there_was_a_session() {
        let mut acquirer = Acquirer::default();
        acquirer.begin(at(0));
        acquirer.declined();
        assert_eq!(acquirer.next_attempt(), None);
        acquirer.session_began();
        assert_eq!(acquirer.next_attempt(), Some(at(10)));
    }

    #[test]
    fn an_accepted_token_ends_the_backoff_and_the_rest_stays() {
        let (mut acquirer, mut rng) = (Acquirer::default(), Rng::new(1));
        acquirer.begin(at(0));
        acquirer.postpone(at(1), Duration::from_secs(200), &mut rng);
        assert_eq!(acquirer.next_attempt(), Some(at(201)));
        acquirer.accepted();
        assert_eq!(acquirer.next_attempt(), Some(at(10)));
    }
}
