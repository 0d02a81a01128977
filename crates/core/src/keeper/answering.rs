//! Requests out, answers in: what every answer means for the server's axis.

use alloc::vec::Vec;

use super::noticing::was_up;
use super::verifying::Next;
use super::{Keeper, Life, Session};
use crate::answer::Source;
use crate::answer::{self, Availability, Body, Outcome, Probe, Response, Verdict};
use crate::backend::MIN_BURST_GAP;
use crate::confirm::Corroboration;
use crate::effect::Effect;
use crate::event::{Event, Reason};
use crate::generation::Generation;
use crate::instances::Boot;
use crate::label::Origin;
use crate::message::TabRequest;
use crate::options::HealthOptions;
use crate::prober::{Change, ProbeContext, Sign};
use crate::refresher::Finding;
use crate::requests::{Limits, Overdue, Request, RequestId, Requests};
use crate::server::Recovery;
use crate::time::{Duration, Instant};

/// `Retry-After` is a floor; a server with a wrong clock must not silence us for hours.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);

/// A request this young was not sent to a server that was away.
const JUST_SENT: Duration = Duration::from_secs(1);
/// A proof by verification or by the app this young still speaks for the server.
const PROOF_IS_RECENT: Duration = Duration::from_secs(30);
/// Answers of one burst come together; a hanging one must not hold the others up.
const REST_OF_A_BURST: Duration = Duration::from_secs(2);

impl Keeper {
    /// When the next ping goes out; `None` while one is under way or nobody looks.
    #[must_use]
    pub fn next_ping(&self) -> Option<Instant> {
        let health = self.options.health.as_ref()?;
        if self.life != Life::Running || self.requests.any(Probe::Health) || !self.leads() {
            return None;
        }
        let due = self.prober.next_timeout()?;
        // A rejection that waits for a corroboration is worth a ping that nobody sees.
        if self.waits_for_health() {
            // One corroboration for the whole burst, unless the rest of it is slow.
            let rest = self.requests.any(Probe::Verify);
            let due = if rest { due.plus(REST_OF_A_BURST) } else { due };
            return Some(due.max(self.requests.available_at(Requests::MAX, self.window())));
        }
        let due = if self.prober.server.is_bad() {
            // One is left for the verification that follows a good answer.
            due.max(self.requests.available_at(Requests::MAX - 1, self.window()))
        } else if self.is_confirming() && !self.has_telling_health() {
            // It proved nothing so far, and is asked now and then whether it does.
            due.max(self.requests.available_at(Requests::MAX, self.window()))
        } else if self.is_confirming() {
            // The bursts keep the server awake, and it has to serve them as well.
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
        let limits = self.limits(probe);
        let request = self.requests.open(probe, generation, self.now(), limits);
        if probe == Probe::Verify {
            self.note_verification_sent();
        }
        out.push(Effect::Send { request, probe, generation });
    }

    pub(super) fn limits(&self, probe: Probe) -> Limits {
        let health = self.options.health.as_ref();
        let hold = health.map_or(HealthOptions::default().wake_timeout, |it| it.wake_timeout);
        let answer = match (probe, health) {
            (Probe::Health, Some(health)) => health.timeout,
            _ => self.options.verify.timeout,
        };
        Limits { answer, hold: hold.max(answer) }
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
        if *outcome == Outcome::NotSent {
            return self.handle_not_sent(&request, out);
        }
        match request.probe {
            Probe::Health | Probe::Verify => self.handle_probe(&request, outcome, out),
            Probe::SignOut => {
                self.log_answer(&request, outcome, out);
                self.handle_revocation_answer(&request, outcome, retry_after(outcome), out);
            }
            Probe::Candidate(index) => {
                self.log_answer(&request, outcome, out);
                self.handle_candidate(index, outcome, out);
            }
            // Its answers come by an input of their own.
            Probe::Refresh => self.refresh_failed(outcome, Finding::Unavailable, out),
            Probe::Acquire => self.acquire_failed(outcome, Finding::Unavailable, out),
        }
    }

    /// An answer of one of the two paths that tell how the server is.
    fn handle_probe(&mut self, request: &Request, outcome: &Outcome, out: &mut Vec<Effect>) {
        let probe = request.probe;
        if probe == Probe::Health {
            self.prober.health_answered(self.now());
        }
        let freshness = self.observe_source(request, outcome);
        let mut reading = answer::read(probe, outcome, self.accepted());
        if freshness != Source::Server {
            reading = reading.without_proof(freshness);
        }
        self.log_answer(request, outcome, out);
        let took = self.now().since(request.sent);
        let boot_before = self.backend.record().boot;
        let mut boot = Boot::Known;
        if let Outcome::Response(response) = outcome
            && reading.availability == Availability::Awake
        {
            boot = self.learn(request, response, reading.verdict, out);
        }
        let was_held = request.is_held() || request.was_held_unseen(self.now());
        if request.was_held_unseen(self.now()) {
            self.log(out, Event::Held { probe, request: request.id });
            self.held(request, out);
        }
        let sign = Sign::of(probe, reading.availability, outcome, retry_after(outcome));
        let recovery = self.handle_sign(probe, &sign, out);
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
        self.note_source(probe, freshness, out);
        self.note_wall(probe, outcome, out);
        if probe == Probe::Health {
            self.note_health(outcome, &reading, slow, out);
            self.handle_health(request, reading.corroborates, reading.proves_nothing, out);
        } else {
            self.handle_verdict(request, reading.verdict, outcome, freshness, out);
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

    pub(super) fn log_answer(
        &mut self,
        request: &Request,
        outcome: &Outcome,
        out: &mut Vec<Effect>,
    ) {
        let (probe, request_id) = (request.probe, request.id);
        let took = self.now().since(request.sent);
        let event = match outcome {
            Outcome::NotSent => return,
            Outcome::NoAnswer => Event::Unanswered { probe, request: request_id, took },
            Outcome::Response(response) => {
                let (status, facts) = (response.status, origin(response));
                Event::Answered { probe, request: request_id, status, took, facts }
            }
        };
        self.log(out, event);
    }

    /// Moves the server's axis and sets the next ping. Returns the outage that ended with it.
    fn handle_sign(
        &mut self,
        probe: Probe,
        sign: &Sign,
        out: &mut Vec<Effect>,
    ) -> Option<Recovery> {
        let confirming = self.is_confirming();
        let context = ProbeContext::new(&self.options, &self.clock, &self.page, confirming);
        let change = self.prober.handle_sign(probe, sign, &context, &mut self.rng);
        if sign.availability == Availability::Awake {
            self.admission.server_proven();
            self.note_proof_for_tabs();
        }
        match change {
            Change::Moved => None,
            Change::Alone => {
                self.note_blocked(probe, out);
                if probe == Probe::Health {
                    self.check_in_place_of_health();
                }
                None
            }
            Change::Recovered(recovery) => {
                let now = self.now();
                if let Some(confirmation) = self.confirmation() {
                    confirmation.answered_again(now);
                }
                Some(recovery)
            }
        }
    }

    /// Whether the health path can prove that the server itself is awake.
    pub(super) fn health_is_usable(&self) -> bool {
        self.prober.health_is_usable(&self.options, self.now())
    }

    /// `proves_nothing`: the path answers, and never will prove that the server itself is behind
    /// a weak 401. It must not hold a verdict up for ever.
    fn handle_health(
        &mut self,
        request: &Request,
        corroborates: bool,
        proves_nothing: bool,
        out: &mut Vec<Effect>,
    ) {
        let asked = request.sent;
        let is_useless = proves_nothing || !self.health_is_usable();
        let is_blocked = self.prober.is_blocked(self.now());
        let Some(confirmation) = self.confirmation() else { return };
        if corroborates {
            confirmation.proven(asked, Corroboration::Health);
        } else if is_useless || is_blocked && !confirmation.waits_for_page() {
            confirmation.proven(asked, Corroboration::Missing);
        } else {
            // A platform that wakes the server answers both paths in its place.
            confirmation.health_failed();
        }
        if confirmation.needs_health() {
            // This ping was asked before the rejection that waits for it.
            self.prober.ping_at(self.now());
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
                    self.held(&request, out);
                }
                Overdue::GivenUp => {
                    self.log(out, Event::GivenUp { probe, request: id });
                    out.push(Effect::Abort { request: id });
                    if !request.is_held() {
                        // A body that never ends; one that was held has told this already.
                        self.held(&request, out);
                    }
                    self.give_up(&request, out);
                }
            }
        }
    }

    /// A request that is held tells of a server that is waking.
    fn held(&mut self, request: &Request, out: &mut Vec<Effect>) {
        match request.probe {
            Probe::Health | Probe::Verify => {
                self.handle_sign(request.probe, &Sign::HELD, out);
            }
            // Their paths may be wrong or blocked by themselves.
            Probe::SignOut | Probe::Candidate(_) | Probe::Refresh | Probe::Acquire => {}
        }
    }

    /// The app's own function failed, and nothing is known of the server: tried again with a
    /// backoff.
    fn handle_not_sent(&mut self, request: &Request, out: &mut Vec<Effect>) {
        match request.probe {
            Probe::Verify if request.generation == self.generation() => {
                self.inconclusive(request, Reason::NotSent, None, Next::Soon, out);
            }
            // A newer session is asked about by a request of its own.
            Probe::Verify => {}
            Probe::Health
            | Probe::SignOut
            | Probe::Candidate(_)
            | Probe::Refresh
            | Probe::Acquire => {
                self.unanswered(request, &Outcome::NotSent, out);
            }
        }
    }

    fn give_up(&mut self, request: &Request, out: &mut Vec<Effect>) {
        self.unanswered(request, &Outcome::NoAnswer, out);
    }

    /// A request that came to no answer.
    fn unanswered(&mut self, request: &Request, silence: &Outcome, out: &mut Vec<Effect>) {
        match request.probe {
            Probe::Health => self.handle_health(request, false, false, out),
            Probe::Verify => {
                self.handle_verdict(request, Verdict::NoAnswer, silence, Source::Server, out);
            }
            Probe::SignOut => {
                self.handle_revocation_answer(request, silence, Duration::ZERO, out);
            }
            Probe::Candidate(index) => self.handle_candidate(index, silence, out),
            Probe::Refresh => self.refresh_failed(silence, Finding::Unavailable, out),
            Probe::Acquire => self.acquire_failed(silence, Finding::Unavailable, out),
        }
    }

    /// A request of the app got no answer: ask the server soon, not at each of them.
    pub(super) fn handle_unanswered(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        let is_hinted = !self.prober.server.is_bad() && self.prober.hint(now);
        let by_health = self.options.health.is_some();
        if is_hinted {
            self.ask_leader(TabRequest::Probe, out);
        }
        if is_hinted && (!by_health || self.prober.paths.is_failing(Probe::Health)) {
            // Verification is the only probe that tells, and `Retry-After` holds for it as well.
            self.verify_schedule.at(now);
        }
    }

    /// The health path fails alone, so verification is what tells whether the server is there. A
    /// path that fails for ever is pinged as rarely as verification is made.
    fn check_in_place_of_health(&mut self) {
        let now = self.now();
        if !self.prober.paths.other_is_recent(Probe::Health, now, PROOF_IS_RECENT) {
            self.verify_schedule.no_later_than(now);
        }
    }

    /// An answer of the app's own requests to the API, that only the API itself can have given.
    pub(super) fn handle_app_proof(&mut self, out: &mut Vec<Effect>) {
        if self.life != Life::Running {
            return;
        }
        self.admission.server_proven();
        let confirming = self.is_confirming();
        let context = ProbeContext::new(&self.options, &self.clock, &self.page, confirming);
        if self.prober.handle_app_proof(&context, &mut self.rng).is_some() {
            self.on_server_back(false, out);
            self.revocation.expedite(self.now());
        }
    }

    /// Somebody looks again: a probe at the pace of a hidden page would keep them waiting.
    pub(super) fn on_visible(&mut self) {
        if self.page.paused_until > self.now() {
            self.postpone();
        }
        if !self.prober.server.is_bad() {
            return;
        }
        let at = self.now().plus(self.page.spread_delay(&mut self.rng));
        self.prober.ping_no_later_than(at);
        if self.options.health.is_none() {
            self.verify_schedule.no_later_than(at);
        }
    }

    /// The server is there again, or another one is.
    fn on_server_back(&mut self, is_asked: bool, out: &mut Vec<Effect>) {
        self.refresher.expedite(self.now());
        if let Some(confirmation) = self.confirmation() {
            confirmation.expedite();
        }
        if !is_asked && !matches!(self.session, Session::SignedOut) {
            self.verify_when_back(out);
        }
    }
}

pub(super) fn retry_after(outcome: &Outcome) -> Duration {
    let Outcome::Response(response) = outcome else { return Duration::ZERO };
    response.retry_after.unwrap_or(Duration::ZERO).min(RETRY_AFTER_MOST)
}

/// Who says that it answered; only both names together name somebody.
pub(super) fn origin(response: &Response) -> Origin {
    let server = &response.server;
    if response.body == Body::Problem || server.boot.is_none() {
        return Origin::default();
    }
    Origin { instance: server.instance, boot: server.boot }
}
