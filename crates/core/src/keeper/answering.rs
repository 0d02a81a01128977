//! Requests out, answers in: what every answer means for the server's axis.

use alloc::vec::Vec;

use super::noticing::was_up;
use super::{Keeper, Life, Session};
use crate::answer::{self, Availability, Outcome, Probe, Response};
use crate::backend::MIN_BURST_GAP;
use crate::confirm::{Corroboration, WARM_UP};
use crate::diagnosis::DiagnosisTracker;
use crate::effect::Effect;
use crate::generation::Generation;
use crate::history::{Event, Origin};
use crate::instances::Boot;
use crate::options::HealthOptions;
use crate::requests::{Limits, Overdue, Request, RequestId, Requests};
use crate::server::{Recovery, ResponseSource};
use crate::time::{Duration, Instant};

/// `Retry-After` is a floor; a server with a wrong clock must not silence us for hours.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);
/// Requests of the app that fail start at most one check in this time (G2).
pub(super) const HINT_EVERY: Duration = Duration::from_secs(10);

/// A request this young was not sent to a server that was away.
const JUST_SENT: Duration = Duration::from_secs(1);
/// Answers of one burst come together; a hanging one must not hold the others up.
const REST_OF_A_BURST: Duration = Duration::from_secs(2);

/// When the health path is asked next.
#[derive(Debug, Default)]
pub(super) struct Ping {
    pub(super) due: Option<Instant>,
    /// What `Retry-After` forbids, whatever else hurries the ping.
    not_before: Instant,
    hinted: Option<Instant>,
    pub(super) answered: Option<Instant>,
}

impl Keeper {
    /// When the next ping goes out; `None` while one is under way or nobody looks.
    #[must_use]
    pub fn next_ping(&self) -> Option<Instant> {
        let health = self.options.health.as_ref()?;
        if self.life != Life::Running || self.requests.any(Probe::Health) {
            return None;
        }
        let due = self.ping.due?.max(self.ping.not_before);
        // A refusal that waits for a corroboration is worth a ping that nobody sees.
        if self.waits_for_health() {
            // One corroboration for the whole burst, unless the rest of it is slow.
            let rest = self.requests.any(Probe::Verify);
            let due = if rest { due.plus(REST_OF_A_BURST) } else { due };
            return Some(due.max(self.requests.available_at(Requests::MAX, self.window())));
        }
        let due = if self.server.is_bad() {
            // One is left for the verification that follows a good answer.
            due.max(self.requests.available_at(Requests::MAX - 1, self.window()))
        } else if self.is_confirming() {
            // The bursts keep the server awake, and it has to bear them as well.
            return self.asks_who_rejects();
        } else {
            due
        };
        self.page.allows(due, Some(health))
    }

    /// The time in which a server that fails gets three requests at most: shorter where the app
    /// asked for quicker repeats.
    pub(super) fn window(&self) -> Duration {
        MIN_BURST_GAP.min(self.options.verify.retry_delay.times(3))
    }

    pub(super) fn send_ping(&mut self, out: &mut Vec<Effect>) {
        self.send(Probe::Health, None, out);
    }

    pub(super) fn send(
        &mut self,
        probe: Probe,
        generation: Option<Generation>,
        out: &mut Vec<Effect>,
    ) {
        let health = self.options.health.as_ref();
        let hold = health.map_or(HealthOptions::default().wake_timeout, |it| it.wake_timeout);
        let answer = match (probe, health) {
            (Probe::Health, Some(health)) => health.timeout,
            _ => self.options.verify.timeout,
        };
        let limits = Limits { answer, hold: hold.max(answer) };
        let request = self.requests.open(probe, generation, self.now(), limits);
        out.push(Effect::Send { request, probe, generation });
    }

    pub(super) fn abort(&mut self, probe: Probe, out: &mut Vec<Effect>) {
        while let Some(request) = self.requests.close_any(probe) {
            out.push(Effect::Abort { request });
        }
    }

    pub(super) fn handle_answer(
        &mut self,
        id: RequestId,
        outcome: &Outcome,
        out: &mut Vec<Effect>,
    ) {
        let Some(request) = self.requests.close(id) else { return };
        self.answered = self.now();
        if request.probe == Probe::Health {
            self.ping.answered = Some(self.now());
        }
        let reading = answer::read(request.probe, outcome);
        let took = self.now().since(request.sent);
        let (probe, request_id) = (request.probe, request.id);
        let mut boot = Boot::Known;
        let boot_before = self.backend.record().boot;
        let source = source(probe, outcome);
        match outcome {
            Outcome::NoAnswer => {
                self.log(out, Event::Unanswered { probe, request: request_id, took });
            }
            Outcome::Response(response) => {
                let (status, facts) = (response.status, origin(response));
                let event = Event::Answered { probe, request: request_id, status, took, facts };
                self.log(out, event);
                if reading.availability == Availability::Awake {
                    boot = self.learn(probe, response, out);
                }
            }
        }
        let was_held = request.is_held() || request.was_held_unseen(self.now());
        if request.was_held_unseen(self.now()) {
            self.log(out, Event::Held { probe, request: request_id });
            self.apply_availability(
                &request,
                Availability::Waking,
                ResponseSource::Platform,
                Duration::ZERO,
            );
        }
        let retry_after = retry_after(outcome);
        let recovery = self.apply_availability(&request, reading.availability, source, retry_after);
        let recovered = recovery.is_some();
        let mut slow = None;
        if let Outcome::Response(response) = outcome {
            let held_since = was_held.then_some(request.sent);
            // The same start before and after: it did not sleep.
            let is_same = boot_before.is_some() && boot_before == response.server.boot;
            slow = (was_held && (is_same || was_up(response, took))).then_some(took);
            if let Some(recovery) = recovery.filter(|_| !is_same) {
                self.note_wake_up(recovery, held_since, response, out);
            }
        }
        match probe {
            Probe::Health => {
                self.note_health(outcome, slow, out);
                self.handle_health(&request, reading.availability, out);
            }
            Probe::Verify => self.handle_verdict(&request, reading.verdict, outcome, out),
            Probe::SignOut => self.handle_revocation_answer(&request, outcome, retry_after, out),
        }
        if probe == Probe::Health && (recovered || boot == Boot::Changed) {
            // A check that went out this moment meets the server that is back.
            let just = self.now().minus(JUST_SENT);
            let is_asked = recovered && self.requests.any_since(Probe::Verify, just);
            self.on_server_back(is_asked, out);
        }
        if recovered {
            self.revocation.expedite(self.now());
        }
    }

    /// What the server says of itself, in an answer that proves it awake.
    fn learn(&mut self, probe: Probe, response: &Response, out: &mut Vec<Effect>) -> Boot {
        let now = self.now();
        if let Some(server_now) = response.server.now {
            self.clock.learn(server_now);
            if let Some(found) = self.clock.skew().and_then(DiagnosisTracker::skewed) {
                self.diagnose(out, found);
            }
        }
        let boot = self.instances.see(now, probe, &response.server);
        let (id, uptime) = (response.server.boot, response.server.uptime);
        self.backend.see(boot, id, uptime, self.clock.wall());
        // Workers that each make an id of their own take turns, and nothing fails between them.
        let is_restart = self.server.is_bad() || self.instances.is_restart();
        if boot == Boot::Changed
            && is_restart
            && let Some(found) = self.diagnosis_tracker.restarted(now)
        {
            self.diagnose(out, found);
        }
        // A page that is loaded while the server starts meets a store that is not ready yet.
        match (boot, response.server.uptime) {
            (Boot::First | Boot::Changed, Some(uptime)) if uptime < WARM_UP => {
                self.server.started(now.minus(uptime));
            }
            (Boot::Changed, None) => self.server.started(now),
            (Boot::First | Boot::Changed | Boot::Known, _) => {}
        }
        if boot == Boot::Changed {
            if let Some(confirmation) = self.confirmation() {
                confirmation.start_over(now);
            }
            if let Some(boot) = response.server.boot {
                self.log(out, Event::Rebooted { boot });
            }
        }
        boot
    }

    /// Moves the server's axis and sets the next ping. Returns the bad spell that ended with it.
    fn apply_availability(
        &mut self,
        request: &Request,
        availability: Availability,
        source: ResponseSource,
        retry_after: Duration,
    ) -> Option<Recovery> {
        let now = self.now();
        let by_health = request.probe == Probe::Health;
        let ignored = match request.probe {
            Probe::Health => false,
            // A verify path that never proves itself while health is fine is misconfigured or
            // overloaded by itself: then health alone decides, or the two would take turns for
            // ever.
            Probe::Verify => self.options.health.is_some() && self.verify_schedule.fails_alone(),
            // The same turns, for a path that may be wrong or blocked by itself.
            Probe::SignOut => true,
        };
        let availability = if ignored && availability != Availability::Awake {
            Availability::Nothing
        } else {
            availability
        };
        if by_health {
            self.ping.not_before = now.plus(retry_after);
        }
        let mut recovery = None;
        match availability {
            Availability::Nothing => {}
            Availability::Awake => {
                self.admission.server_proven();
                recovery = self.server.proven(now, request.probe, self.clock.wall());
                let recovered = recovery.is_some();
                if let Some(confirmation) = self.confirmation().filter(|_| recovered) {
                    confirmation.answered_again(now);
                }
                // The bursts of a confirmation keep the server awake as well as a ping does.
                if by_health || recovered || self.is_confirming() {
                    let every = self.ping_every();
                    let pause = self.rng.spread(every).max(retry_after);
                    self.ping.due = Some(now.plus(pause));
                }
            }
            Availability::Waking | Availability::Unreachable | Availability::Silent => {
                self.server.failed(now, source, availability, self.page.network);
                let delay = self.server.next_delay(now, self.page.is_hidden(), &mut self.rng);
                let at = now.plus(delay.max(retry_after));
                let due = self.ping.due.filter(|due| !by_health && *due < at);
                self.ping.due = Some(due.unwrap_or(at));
            }
        }
        recovery
    }

    fn ping_every(&self) -> Duration {
        self.options.health.as_ref().map_or(Duration::ZERO, |health| health.every)
    }

    fn handle_health(
        &mut self,
        request: &Request,
        availability: Availability,
        out: &mut Vec<Effect>,
    ) {
        let asked = request.sent;
        let Some(confirmation) = self.confirmation() else { return };
        if availability == Availability::Awake {
            confirmation.proven(asked, Corroboration::Health);
        } else {
            confirmation.health_failed();
        }
        if confirmation.needs_health() {
            // This ping was asked before the refusal that waits for it.
            self.ping.due = Some(self.now());
        }
        self.evaluate(out);
    }

    /// Requests past their bound: held ones go on, the others are given up.
    pub(super) fn run_overdue(&mut self, out: &mut Vec<Effect>) {
        while let Some((request, overdue)) = self.requests.overdue(self.now()) {
            let (probe, id) = (request.probe, request.id);
            match overdue {
                Overdue::Held => {
                    self.log(out, Event::Held { probe, request: id });
                    self.apply_availability(
                        &request,
                        Availability::Waking,
                        ResponseSource::Platform,
                        Duration::ZERO,
                    );
                }
                Overdue::GivenUp => {
                    self.log(out, Event::GivenUp { probe, request: id });
                    out.push(Effect::Abort { request: id });
                    self.apply_availability(
                        &request,
                        Availability::Waking,
                        ResponseSource::Platform,
                        Duration::ZERO,
                    );
                    self.give_up(&request, out);
                }
            }
        }
    }

    fn give_up(&mut self, request: &Request, out: &mut Vec<Effect>) {
        let verdict = answer::Verdict::NoAnswer;
        match request.probe {
            Probe::Health => self.handle_health(request, Availability::Waking, out),
            Probe::Verify => self.handle_verdict(request, verdict, &Outcome::NoAnswer, out),
            Probe::SignOut => {
                self.handle_revocation_answer(request, &Outcome::NoAnswer, Duration::ZERO, out);
            }
        }
    }

    /// A request of the app got no answer: ask the server soon, not at each of them.
    pub(super) fn handle_unanswered(&mut self) {
        let now = self.now();
        let rested = self.ping.hinted.is_none_or(|at| now.since(at) >= HINT_EVERY);
        if !rested || self.server.is_bad() {
            return;
        }
        self.ping.hinted = Some(now);
        if self.options.health.is_some() {
            self.ping.due = Some(now);
        } else {
            // Verification is the only probe there is, and `Retry-After` holds for it as well.
            self.verify_schedule.at(now);
        }
    }

    /// Somebody looks again: a probe at the pace of a hidden page would keep them waiting.
    pub(super) fn on_visible(&mut self) {
        if self.page.paused_until > self.now() {
            self.postpone();
        }
        if !self.server.is_bad() {
            return;
        }
        let at = self.now().plus(self.page.spread_delay(&mut self.rng));
        self.ping.due = self.ping.due.map(|due| due.min(at));
        if self.options.health.is_none() {
            self.verify_schedule.no_later_than(at);
        }
    }

    /// The server is there again, or another one is.
    fn on_server_back(&mut self, is_asked: bool, out: &mut Vec<Effect>) {
        if let Some(confirmation) = self.confirmation() {
            confirmation.hurry();
        }
        if !is_asked && !matches!(self.session, Session::SignedOut) {
            self.verify_when_back(out);
        }
    }
}

/// What platforms answer for a server that wakes; a path may be wrong or odd by itself.
fn source(probe: Probe, outcome: &Outcome) -> ResponseSource {
    match outcome {
        Outcome::Response(response) if probe == Probe::Health && response.status != 404 => {
            if response.status < 300 {
                ResponseSource::Page
            } else {
                ResponseSource::Platform
            }
        }
        Outcome::Response(_) | Outcome::NoAnswer => ResponseSource::Unknown,
    }
}

pub(super) fn retry_after(outcome: &Outcome) -> Duration {
    let Outcome::Response(response) = outcome else { return Duration::ZERO };
    response.retry_after.unwrap_or(Duration::ZERO).min(RETRY_AFTER_MOST)
}

pub(super) fn origin(response: &Response) -> Origin {
    let server = &response.server;
    Origin { instance: server.instance, boot: server.boot }
}
