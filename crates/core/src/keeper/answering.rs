//! Requests out, answers in: what every answer means for the server's axis.

use alloc::vec::Vec;

use super::{Keeper, Life, Session};
use crate::answer::{self, Outcome, Probe, Response, Sign};
use crate::confirm::{Backend, WARM};
use crate::effect::Effect;
use crate::generation::Generation;
use crate::history::{Event, Origin};
use crate::instances::Boot;
use crate::options::HealthOptions;
use crate::requests::{Limits, Overdue, Request, RequestId};
use crate::time::{Duration, Instant};

/// `Retry-After` is a floor; a server with a wrong clock must not silence us for hours.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);
/// Requests of the app that fail start at most one check in this time (G2).
pub(super) const HINT_EVERY: Duration = Duration::from_secs(10);

/// When the health path is asked next.
#[derive(Debug, Default)]
pub(super) struct Ping {
    pub(super) due: Option<Instant>,
    /// What `Retry-After` forbids, whatever else hurries the ping.
    not_before: Instant,
    hinted: Option<Instant>,
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
        // A refusal that waits for a proof is worth a ping that nobody sees.
        if self.waits_for_health() { Some(due) } else { self.page.allows(due, Some(health)) }
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
        let reading = answer::read(request.probe, outcome);
        let took = self.now().since(request.sent);
        let (probe, request_id) = (request.probe, request.id);
        let mut boot = Boot::Known;
        match outcome {
            Outcome::NoAnswer => {
                self.log(out, Event::Unanswered { probe, request: request_id, took });
            }
            Outcome::Response(response) => {
                let (status, facts) = (response.status, origin(response));
                let event = Event::Answered { probe, request: request_id, status, took, facts };
                self.log(out, event);
                if reading.sign == Sign::Awake {
                    boot = self.learn(response, out);
                }
            }
        }
        if request.was_held_unseen(self.now()) {
            self.log(out, Event::Held { probe, request: request_id });
            self.take_sign(&request, Sign::Waking, Duration::ZERO);
        }
        let retry_after = retry_after(outcome);
        let recovered = self.take_sign(&request, reading.sign, retry_after);
        match probe {
            Probe::Health => self.handle_health(&request, reading.sign, out),
            Probe::Verify => self.handle_verdict(&request, reading.verdict, outcome, out),
            Probe::SignOut => self.handle_delivery(&request, reading.verdict, retry_after, out),
        }
        if probe == Probe::Health && (recovered || boot == Boot::Changed) {
            self.sign_of_life(out);
        }
        if recovered {
            self.hurry_delivery();
        }
    }

    /// What the server says of itself, in an answer that proves it awake.
    fn learn(&mut self, response: &Response, out: &mut Vec<Effect>) -> Boot {
        let now = self.now();
        if let Some(server_now) = response.server.now {
            self.clock.learn(server_now);
        }
        let boot = self.instances.see(now, &response.server);
        // A page that is loaded while the server starts meets a store that is not ready yet.
        match (boot, response.server.uptime) {
            (Boot::First | Boot::Changed, Some(uptime)) if uptime < WARM => {
                self.server.started(now.minus(uptime));
            }
            (Boot::Changed, None) => self.server.started(now),
            (Boot::First | Boot::Changed | Boot::Known, _) => {}
        }
        if boot == Boot::Changed {
            self.backend = Backend::Agreeing;
            if let Some(suspicion) = self.suspicion() {
                suspicion.start_over(now);
            }
            if let Some(boot) = response.server.boot {
                self.log(out, Event::Rebooted { boot });
            }
        }
        boot
    }

    /// Moves the server's axis and sets the next ping. Returns whether a bad spell ended.
    fn take_sign(&mut self, request: &Request, sign: Sign, retry_after: Duration) -> bool {
        let now = self.now();
        let by_health = request.probe == Probe::Health;
        let ignored = match request.probe {
            Probe::Health => false,
            // A verify path that never proves itself while health is fine is misconfigured or
            // overloaded by itself: then health alone decides, or the two would take turns for
            // ever.
            Probe::Verify => self.options.health.is_some() && self.round.is_fruitless(),
            // The same turns, for a path that may be wrong or blocked by itself.
            Probe::SignOut => true,
        };
        let sign = if ignored && sign != Sign::Awake { Sign::Nothing } else { sign };
        if by_health {
            self.ping.not_before = now.plus(retry_after);
        }
        let mut recovered = false;
        match sign {
            Sign::Nothing => {}
            Sign::Awake => {
                recovered = self.server.proven(now, self.clock.wall());
                if let Some(suspicion) = self.suspicion().filter(|_| recovered) {
                    suspicion.answered_again(now);
                }
                if by_health || recovered {
                    let every = self.ping_every();
                    let pause = self.rng.spread(every).max(retry_after);
                    self.ping.due = Some(now.plus(pause));
                }
            }
            Sign::Waking | Sign::Unreachable | Sign::Silent => {
                self.server.failed(now, sign, self.page.network);
                let delay = self.server.next_delay(now, self.page.is_hidden(), &mut self.rng);
                let at = now.plus(delay.max(retry_after));
                let due = self.ping.due.filter(|due| !by_health && *due < at);
                self.ping.due = Some(due.unwrap_or(at));
            }
        }
        recovered
    }

    fn ping_every(&self) -> Duration {
        self.options.health.as_ref().map_or(Duration::ZERO, |health| health.every)
    }

    fn handle_health(&mut self, request: &Request, sign: Sign, out: &mut Vec<Effect>) {
        let asked = request.sent;
        let Some(suspicion) = self.suspicion() else { return };
        if sign == Sign::Awake {
            suspicion.health_proven(asked);
        } else {
            suspicion.health_failed();
        }
        if suspicion.needs_health() {
            // This ping was asked before the refusal that waits for it.
            self.ping.due = Some(self.now());
        }
        self.judge(out);
    }

    /// Requests past their bound: held ones go on, the others are given up.
    pub(super) fn run_overdue(&mut self, out: &mut Vec<Effect>) {
        while let Some((request, overdue)) = self.requests.overdue(self.now()) {
            let (probe, id) = (request.probe, request.id);
            match overdue {
                Overdue::Held => {
                    self.log(out, Event::Held { probe, request: id });
                    self.take_sign(&request, Sign::Waking, Duration::ZERO);
                }
                Overdue::GivenUp => {
                    self.log(out, Event::GivenUp { probe, request: id });
                    out.push(Effect::Abort { request: id });
                    self.take_sign(&request, Sign::Waking, Duration::ZERO);
                    self.give_up(&request, out);
                }
            }
        }
    }

    fn give_up(&mut self, request: &Request, out: &mut Vec<Effect>) {
        let verdict = answer::Verdict::NoAnswer;
        match request.probe {
            Probe::Health => self.handle_health(request, Sign::Waking, out),
            Probe::Verify => self.handle_verdict(request, verdict, &Outcome::NoAnswer, out),
            Probe::SignOut => self.handle_delivery(request, verdict, Duration::ZERO, out),
        }
    }

    /// A request of the app got no answer: ask the server soon, not at each of them.
    pub(super) fn handle_unanswered(&mut self) {
        let now = self.now();
        let rested = self.ping.hinted.is_none_or(|at| now.since(at) >= HINT_EVERY);
        if rested && !self.server.is_bad() {
            self.ping.hinted = Some(now);
            self.ping.due = Some(now);
        }
    }

    /// Somebody looks again: a probe at the pace of a hidden page would keep them waiting.
    pub(super) fn look_again(&mut self) {
        if self.page.rests_until > self.now() {
            self.put_off();
        }
        if !self.server.is_bad() {
            return;
        }
        let at = self.now().plus(self.page.settle(&mut self.rng));
        self.ping.due = self.ping.due.map(|due| due.min(at));
        if self.options.health.is_none() {
            self.round.no_later_than(at);
        }
    }

    /// The server is there again, or another one is.
    fn sign_of_life(&mut self, out: &mut Vec<Effect>) {
        if let Some(suspicion) = self.suspicion() {
            suspicion.hurry();
        }
        if !matches!(self.session, Session::SignedOut) {
            self.verify_at_sign_of_life(out);
        }
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
