//! The prober: what is known of the server, and when the health path is asked next.
//!
//! Rule: one server, one opinion. A path that fails alone moves nothing. Knows nothing of sessions.

use crate::answer::{Availability, Body, Outcome, Probe, Reading, Response};
use crate::freshness::Freshness;
use crate::options::Options;
use crate::page::{Network, Page};
use crate::paths::{Failure, Paths};
use crate::rng::Rng;
use crate::server::{Recovery, ResponseSource, Server};
use crate::time::{Clock, Duration, Instant, UnixMillis};

/// Requests of the app that fail start at most one probe in this time (G2).
pub(crate) const HINT_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Prober {
    pub(crate) server: Server,
    pub(crate) paths: Paths,
    pub(crate) freshness: Freshness,
    due: Option<Instant>,
    /// What `Retry-After` forbids, whatever else hurries the ping.
    not_before: Instant,
    hinted: Option<Instant>,
    /// When the health path last answered, or was given up.
    answered: Option<Instant>,
    /// It has answered as a health path does, in this page.
    is_proper: bool,
    /// Since when it answers as one that is not there, or that wants a credential.
    misplaced_since: Option<Instant>,
    /// It wants a credential, so that it proves nothing behind a wall.
    wants_credential: bool,
}

/// What an answer, or its absence, says of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sign {
    pub(crate) availability: Availability,
    pub(crate) failure: Failure,
    pub(crate) source: ResponseSource,
    /// `Retry-After`, as a floor.
    pub(crate) retry_after: Duration,
    /// Something answered that is no page.
    pub(crate) is_answer: bool,
}

/// What follows from a sign.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Nothing, or another state of the server.
    Moved,
    /// An outage ended.
    Recovered(Recovery),
    /// The path fails although the server has proven itself otherwise: it moves nothing.
    Alone,
}

/// What decides besides the sign itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbeContext<'a> {
    pub(crate) now: Instant,
    pub(crate) wall: UnixMillis,
    pub(crate) options: &'a Options,
    pub(crate) network: Network,
    pub(crate) hidden: bool,
    /// Rejections are being confirmed, by bursts that keep the server awake as well.
    pub(crate) confirming: bool,
}

impl<'a> ProbeContext<'a> {
    pub(crate) fn new(options: &'a Options, clock: &Clock, page: &Page, confirming: bool) -> Self {
        Self {
            now: clock.now(),
            wall: clock.wall(),
            options,
            network: page.network,
            hidden: page.is_hidden(),
            confirming,
        }
    }
}

impl Sign {
    /// A request that is held tells of a platform that wakes the server.
    pub(crate) const HELD: Self = Self {
        availability: Availability::Waking,
        failure: Failure::Held,
        source: ResponseSource::Platform,
        retry_after: Duration::ZERO,
        is_answer: false,
    };

    pub(crate) fn of(
        probe: Probe,
        availability: Availability,
        outcome: &Outcome,
        retry_after: Duration,
    ) -> Self {
        let is_answer = matches!(outcome, Outcome::Response(it) if it.body != Body::Html);
        let is_response = matches!(outcome, Outcome::Response(_));
        let failure = if is_response { Failure::Answer } else { Failure::NetworkError };
        Self { availability, failure, source: source(probe, outcome), retry_after, is_answer }
    }
}

impl Prober {
    pub(crate) fn new() -> Self {
        Self {
            server: Server::new(),
            paths: Paths::default(),
            freshness: Freshness::default(),
            due: None,
            not_before: Instant::default(),
            hinted: None,
            answered: None,
            is_proper: false,
            misplaced_since: None,
            wants_credential: false,
        }
    }

    /// When the next ping is due, whatever stands in its way.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        Some(self.due?.max(self.not_before))
    }

    pub(crate) const fn ping_at(&mut self, at: Instant) {
        self.due = Some(at);
    }

    pub(crate) fn ping_no_later_than(&mut self, at: Instant) {
        self.due = self.due.map(|due| due.min(at));
    }

    pub(crate) const fn health_answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    pub(crate) const fn last_answer_of_health(&self) -> Option<Instant> {
        self.answered
    }

    /// Takes a sign of one of the two paths, and sets the next ping.
    pub(crate) fn handle_sign(
        &mut self,
        probe: Probe,
        sign: &Sign,
        context: &ProbeContext<'_>,
        rng: &mut Rng,
    ) -> Change {
        let now = context.now;
        let by_health = probe == Probe::Health;
        if by_health {
            self.not_before = now.plus(sign.retry_after);
        }
        match sign.availability {
            Availability::Nothing => {
                if sign.is_answer {
                    self.paths.answered(probe, now);
                }
                if by_health {
                    self.schedule(sign.retry_after, context, rng);
                }
                Change::Moved
            }
            Availability::Awake => self.handle_proof(probe, sign.retry_after, context, rng),
            Availability::Waking | Availability::Unreachable | Availability::Silent => {
                self.handle_failure(probe, sign, context, rng)
            }
        }
    }

    fn handle_proof(
        &mut self,
        probe: Probe,
        floor: Duration,
        context: &ProbeContext<'_>,
        rng: &mut Rng,
    ) -> Change {
        self.paths.proven(probe, context.now);
        let recovery = self.server.proven(context.now, probe, context.wall);
        // The bursts of a confirmation keep the server awake as well as a ping does.
        if probe == Probe::Health || recovery.is_some() || context.confirming {
            self.schedule(floor, context, rng);
        }
        recovery.map_or(Change::Moved, Change::Recovered)
    }

    fn handle_failure(
        &mut self,
        probe: Probe,
        sign: &Sign,
        context: &ProbeContext<'_>,
        rng: &mut Rng,
    ) -> Change {
        let now = context.now;
        let by_health = probe == Probe::Health;
        self.paths.failed(probe, sign.failure, now);
        if self.paths.fails_alone(probe) {
            // The other path speaks for the server, and is asked soon in case that it has gone
            // meanwhile.
            if by_health {
                self.schedule(sign.retry_after, context, rng);
            } else if context.options.health.is_some() {
                self.hint(now);
            }
            return Change::Alone;
        }
        self.server.failed(now, sign.source, sign.availability, context.network);
        let delay = self.server.next_delay(now, context.hidden, rng);
        let at = now.plus(delay.max(sign.retry_after));
        let due = self.due.filter(|due| !by_health && *due < at);
        self.due = Some(due.unwrap_or(at));
        Change::Moved
    }

    /// An answer of the app's own requests, that only the API itself can have given.
    pub(crate) fn handle_app_proof(
        &mut self,
        context: &ProbeContext<'_>,
        rng: &mut Rng,
    ) -> Option<Recovery> {
        self.paths.proven_by_app(context.now);
        let recovery = self.server.proven(context.now, Probe::Verify, context.wall)?;
        self.schedule(Duration::ZERO, context, rng);
        Some(recovery)
    }

    /// A probe soon, but at most one in 10 s by such hints. Returns whether one may go out.
    pub(crate) fn hint(&mut self, now: Instant) -> bool {
        let is_due = self.hinted.is_none_or(|at| now.since(at) >= HINT_EVERY);
        if is_due {
            self.hinted = Some(now);
            self.due = Some(now);
        }
        is_due
    }

    /// Reads how the health path answers. `accepted`: when a verification was last accepted.
    pub(crate) fn note_health(
        &mut self,
        response: &Response,
        reading: &Reading,
        now: Instant,
        accepted: Option<Instant>,
    ) {
        self.is_proper |= reading.corroborates && response.status < 300;
        let since = self.misplaced_since.unwrap_or(now);
        self.misplaced_since = (reading.misplaced && !self.is_proper).then_some(since);
        // A verification that was accepted meanwhile tells a path that wants a credential from a
        // wall in front of everything.
        let is_ours = accepted.is_some_and(|at| at >= since);
        self.wants_credential = matches!(response.status, 401 | 403) && is_ours;
    }

    /// Whether the health path has answered as one, in this page.
    pub(crate) const fn is_proper(&self) -> bool {
        self.is_proper
    }

    /// Whether the health path answers as one that is not there.
    pub(crate) const fn is_misplaced(&self) -> bool {
        self.misplaced_since.is_some()
    }

    /// Whether the health path can prove that the server itself is awake.
    pub(crate) fn health_is_usable(&self, options: &Options, now: Instant) -> bool {
        options.health.is_some()
            && !self.wants_credential
            && !(self.paths.is_silent(Probe::Health) && self.is_blocked(now))
    }

    /// Whether the health path fails alone again and again, in whatever way.
    pub(crate) fn is_blocked(&self, now: Instant) -> bool {
        self.paths.is_blocked(Probe::Health, now).is_some()
    }

    /// The next ping of a server that is well. A path that is wrong or blocked is asked as rarely
    /// as verification: it keeps nothing awake, and may be fixed.
    fn schedule(&mut self, floor: Duration, context: &ProbeContext<'_>, rng: &mut Rng) {
        let Some(health) = &context.options.health else { return };
        let is_useless =
            self.is_misplaced() || self.wants_credential || self.is_blocked(context.now);
        let every = if is_useless { context.options.verify.every } else { health.every };
        let pause = rng.spread(every).max(floor);
        self.due = Some(context.now.plus(pause));
    }
}

/// What platforms answer for a server that wakes; a path may be wrong or odd by itself.
fn source(probe: Probe, outcome: &Outcome) -> ResponseSource {
    match outcome {
        Outcome::Response(response) if probe == Probe::Health => match response.status {
            404 | 405 => ResponseSource::MissingPath,
            status if status < 300 => ResponseSource::Page,
            _ => ResponseSource::Platform,
        },
        Outcome::Response(_) | Outcome::NoAnswer | Outcome::NotSent => ResponseSource::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ServerState;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    fn feed(prober: &mut Prober, secs: u64, probe: Probe, availability: Availability) -> Change {
        let options = Options::default();
        let context = ProbeContext {
            now: at(secs),
            wall: UnixMillis(secs * 1_000),
            options: &options,
            network: Network::Up,
            hidden: false,
            confirming: false,
        };
        let outcome = match availability {
            Availability::Silent => Outcome::NoAnswer,
            Availability::Awake
            | Availability::Waking
            | Availability::Unreachable
            | Availability::Nothing => Outcome::Response(Response::default()),
        };
        let sign = Sign::of(probe, availability, &outcome, Duration::ZERO);
        prober.handle_sign(probe, &sign, &context, &mut Rng::new(1))
    }

    #[test]
    fn a_server_that_is_well_is_pinged_every_thirty_seconds() {
        let mut prober = Prober::new();
        feed(&mut prober, 0, Probe::Health, Availability::Awake);
        assert_eq!(prober.server.state(), ServerState::Awake);
        assert!(prober.next_timeout().is_some_and(|due| due >= at(27) && due <= at(33)));
    }

    #[test]
    fn a_path_that_fails_alone_moves_nothing_and_lets_the_other_one_be_asked_soon() {
        let mut prober = Prober::new();
        feed(&mut prober, 0, Probe::Health, Availability::Awake);
        feed(&mut prober, 1, Probe::Verify, Availability::Silent);
        assert_eq!(prober.server.state(), ServerState::Waking, "the server may have gone");
        let back = feed(&mut prober, 3, Probe::Health, Availability::Awake);
        assert!(matches!(back, Change::Recovered(_)));
        let alone = feed(&mut prober, 5, Probe::Verify, Availability::Silent);
        assert!(matches!(alone, Change::Alone));
        assert_eq!(prober.server.state(), ServerState::Awake);
        assert_eq!(prober.next_timeout(), Some(at(5)));
    }

    #[test]
    fn hints_start_one_probe_in_ten_seconds() {
        let mut prober = Prober::new();
        let hinted = (0..30).filter(|secs| prober.hint(at(*secs))).count();
        assert_eq!(hinted, 3);
    }

    #[test]
    fn retry_after_is_a_floor_for_whatever_hurries_the_ping() {
        let mut prober = Prober::new();
        let options = Options::default();
        let context = ProbeContext {
            now: at(0),
            wall: UnixMillis(0),
            options: &options,
            network: Network::Up,
            hidden: false,
            confirming: false,
        };
        let sign = Sign { retry_after: Duration::from_secs(60), ..Sign::HELD };
        prober.handle_sign(Probe::Health, &sign, &context, &mut Rng::new(1));
        prober.ping_at(at(1));
        assert_eq!(prober.next_timeout(), Some(at(60)));
    }
}
