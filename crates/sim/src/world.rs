//! The world: one tab with its shell, moved from one event to the next.

use std::collections::VecDeque;

use session_keeper_core::{
    BackendRecord, Effect, Generation, Input, Keeper, Label, Outcome, Probe, Record, RequestId,
    Response, SessionState, StoredSession, TokenId,
};

use crate::app::App;
use crate::event::{Event, Fault, Future};
use crate::mix::{Mix, Refuses};
use crate::network::{Network, Path};
use crate::oracle::{self, Open, Oracle, Verdict, View};
use crate::rng::Rng;
use crate::server::{Handling, Server};
use crate::tally::{Failure, Tally};
use crate::{Guarantee, Plan, Sabotage};

/// The true time at the beginning, in milliseconds since 1970.
pub(crate) const EPOCH: u64 = 1_760_000_000_000;
const HOUR: u64 = 3_600_000;
/// How long a healed world may take to settle: a slow probe, a regular verification, a
/// confirmation.
const SETTLES: u64 = 600_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) mix: Mix,
    pub(crate) rng: Rng,
    pub(crate) keeper: Keeper,
    pub(crate) server: Server,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) tally: Tally,
    pub(crate) future: Future,
    pub(crate) app: App,
    pub(crate) now: u64,
    pub(crate) page: Page,
    pub(crate) record: Record,
    /// What is kept of the backend.
    pub(crate) backend: Option<BackendRecord>,
    pub(crate) open: Vec<Open>,
    pub(crate) patient_until: u64,
    pub(crate) wall_offset: i64,
    /// How long the machine slept in all: its monotonic clock stood still.
    pub(crate) napped: u64,
    pub(crate) told_at: u64,
    pub(crate) lateness: u64,
    heard_boot: Option<Label>,
    pub(crate) signing_out: bool,
    pub(crate) sent: VecDeque<u64>,
    /// The same on the keeper's line of time, the last few.
    pub(crate) open_times: VecDeque<u64>,
    pub(crate) transcript: VecDeque<String>,
}

/// The page, as the browser has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page {
    pub(crate) hidden: bool,
    pub(crate) frozen: bool,
    pub(crate) napping_since: u64,
    pub(crate) napping_until: Option<u64>,
}

/// Runs one seed to its end, or to the first guarantee that breaks.
///
/// # Errors
/// The guarantee that was broken, with the steps that led there.
pub fn run(plan: &Plan) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(*plan);
    match world.active() {
        Ok(()) => {
            world.tally.hours = plan.hours;
            Ok(world.tally)
        }
        Err((guarantee, message)) => {
            let mut transcript = vec![format!("{:?}", world.mix)];
            transcript.extend(world.transcript);
            Err(Box::new(Failure { seed: plan.seed, guarantee, message, transcript }))
        }
    }
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed);
        let mix = Mix::of(&mut rng);
        let generation = Generation { number: 1, token_id: TokenId(1) };
        let mut server = Server::new(mix, plan.sabotage == Sabotage::LyingServer);
        server.issue(generation.token_id);
        Self {
            plan,
            mix,
            keeper: Keeper::new(mix.options(), rng.draw()),
            network: Network::new(&mix),
            rng,
            server,
            oracle: Oracle::default(),
            tally: Tally::default(),
            future: Future::default(),
            app: App::default(),
            now: 0,
            page: Page::default(),
            record: Record::Session(StoredSession::new(generation)),
            backend: None,
            open: Vec::new(),
            patient_until: 0,
            wall_offset: 0,
            napped: 0,
            told_at: 0,
            lateness: 0,
            heard_boot: None,
            signing_out: false,
            sent: VecDeque::new(),
            open_times: VecDeque::new(),
            transcript: VecDeque::new(),
        }
    }

    fn active(&mut self) -> Verdict {
        for fault in Fault::ALL {
            self.schedule_fault(fault);
        }
        self.future.at(20_000, Event::AppAsks);
        self.feed(Input::Start)?;
        self.pass(self.plan.hours * HOUR)?;
        self.heal()?;
        self.pass(self.now + SETTLES)?;
        oracle::all_is_settled(&self.view())
    }

    /// Lets things handle_event until that moment.
    fn pass(&mut self, end: u64) -> Verdict {
        loop {
            let timer = self.next_timer();
            let coming = self.future.next_time();
            let Some(next) = timer.into_iter().chain(coming).min().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = next.max(self.now);
            self.tally.steps += 1;
            if self.tally.steps > 100_000 * (self.plan.hours + 1) {
                return Err((Guarantee::G4, "the keeper spins".into()));
            }
            if self.page.napping_until.is_some_and(|until| until <= self.now) {
                self.wake_up()?;
            } else if coming.is_some_and(|at| at <= self.now) {
                if let Some(event) = self.future.take() {
                    self.handle_event(event)?;
                }
            } else {
                self.feed(Input::Timeout)?;
            }
            let mut oracle = core::mem::take(&mut self.oracle);
            let mut tally = core::mem::take(&mut self.tally);
            let verdict = oracle.check(&self.view(), &mut tally);
            (self.oracle, self.tally) = (oracle, tally);
            verdict?;
        }
    }

    /// When the shell's one timer fires, a little late; a machine that sleeps fires none.
    fn next_timer(&self) -> Option<u64> {
        if self.page.napping_until.is_some() {
            return self.page.napping_until;
        }
        let (at, _) = self.keeper.next_timeout()?;
        Some(self.told_at + at.since(self.keeper.now()).as_millis() + self.lateness)
    }

    fn handle_event(&mut self, event: Event) -> Verdict {
        match event {
            Event::Arrives { request, probe, generation } => {
                self.arrive(request, probe, generation);
                Ok(())
            }
            Event::Answered { request, outcome } => self.deliver(request, outcome),
            Event::Strays { request, outcome } => self.stray(request, outcome),
            Event::Faults(fault) => self.fault(fault),
            Event::Ends(fault) => self.end(fault),
            Event::SignsIn => self.sign_in(),
            Event::AppAsks => self.app_asks(),
            Event::AppSends { request } => self.app_sends(request),
        }
    }

    fn arrive(&mut self, request: RequestId, probe: Probe, generation: Option<Generation>) {
        let token = generation.map(|generation| generation.token_id);
        let outcome = match self.server.handle(self.now, probe, token, &mut self.rng) {
            Handling::Answer(response) => Outcome::Response(response),
            Handling::Refuse => Outcome::NoAnswer,
            Handling::Hold(until) => {
                let arrives = Event::Arrives { request, probe, generation };
                self.future.at(until + 1, arrives);
                return;
            }
        };
        match self.network.bring(&mut self.rng) {
            Some(after) => {
                self.future.at(self.now + after, Event::Answered { request, outcome });
            }
            None => {
                self.open
                    .iter_mut()
                    .filter(|it| it.request == request)
                    .for_each(|it| it.doomed = true);
            }
        }
    }

    fn deliver(&mut self, request: RequestId, outcome: Outcome) -> Verdict {
        if let Some(until) = self.page.napping_until {
            self.future.at(until + 1, Event::Answered { request, outcome });
            return Ok(());
        }
        let Some(open) = self.open.iter().find(|open| open.request == request).copied() else {
            return self.stray(request, outcome);
        };
        self.open.retain(|open| open.request != request);
        self.take_note(open, &outcome);
        if self.rng.in_thousand(self.mix.strays) {
            let again = self.now + self.rng.between(0, 120_000);
            self.future.at(again, Event::Strays { request, outcome });
        }
        let is_refusal = open.probe == Probe::Verify && status(&outcome) == Some(401);
        let was_live = self.keeper.snapshot().signed_in() == Some(true);
        let heard = self.as_heard(is_refusal, outcome);
        let effects = self.feed(Input::Answer { request, outcome: heard })?;
        let dropped = effects.contains(&Effect::Abort { request });
        if is_refusal && was_live && !dropped {
            self.tally.rejections += 1;
            return oracle::refusal_is_suspected(self.keeper.snapshot().session);
        }
        Ok(())
    }

    /// What the oracle must know of an answer: it may be one that nobody can act on.
    fn take_note(&mut self, open: Open, outcome: &Outcome) {
        let Outcome::Response(response) = outcome else {
            return self.oracle.disturb(self.now);
        };
        if let Some(wait) = response.retry_after {
            self.patient_until = self.patient_until.max(self.now + wait.as_millis());
        }
        let boot = response.server.boot;
        let is_new = boot.is_some() && boot != self.heard_boot;
        if open.doomed || is_new {
            self.heard_boot = boot.or(self.heard_boot);
            self.oracle.disturb(self.now);
        }
    }

    fn as_heard(&self, is_refusal: bool, outcome: Outcome) -> Outcome {
        let suspect = self.keeper.snapshot().session == SessionState::Suspect;
        let deaf = match self.plan.sabotage {
            Sabotage::DeafKeeper => is_refusal,
            Sabotage::ForgetfulKeeper => is_refusal && suspect,
            _ => false,
        };
        if !deaf {
            return outcome;
        }
        Outcome::Response(Response { status: 500, ..Response::default() })
    }

    fn stray(&mut self, request: RequestId, outcome: Outcome) -> Verdict {
        if self.page.napping_until.is_some() || self.open.iter().any(|it| it.request == request) {
            return Ok(());
        }
        // What is due anyway is not the stray's doing.
        self.feed(Input::Timeout)?;
        let request = match (self.plan.sabotage, self.open.first()) {
            (Sabotage::ConfusedShell, Some(open)) => open.request,
            _ => request,
        };
        self.tally.strays += 1;
        let effects = self.feed(Input::Answer { request, outcome })?;
        oracle::stray_is_ignored(effects.len())
    }

    fn heal(&mut self) -> Verdict {
        self.future.forget(|it| {
            let goes_on = matches!(it, Event::AppAsks | Event::AppSends { .. });
            !(goes_on || matches!(it, Event::Arrives { .. } | Event::Answered { .. }))
        });
        self.network.heal();
        self.server.heal(self.now);
        if self.plan.sabotage == Sabotage::DeadServer {
            self.network.path = Path::Cut;
        }
        self.show()
    }

    pub(crate) fn line(&self) -> u64 {
        self.keeper.now().since(session_keeper_core::Instant::default()).as_millis()
    }

    /// The user signs out, and the oracle knows that.
    pub(crate) fn sign_out(&mut self) -> Verdict {
        self.signing_out = true;
        let reported = self.feed(Input::SignOut);
        self.signing_out = false;
        reported.map(drop)
    }

    pub(crate) fn view(&self) -> View<'_> {
        let snapshot = self.keeper.snapshot();
        let token = self.keeper.generation().map(|generation| generation.token_id);
        let page = self.page;
        View {
            now: self.now,
            line: self.line(),
            session: snapshot.session,
            server: snapshot.server,
            ended: token.is_some_and(|token| !self.server.knows(token)),
            attended: !page.hidden && !page.frozen && page.napping_until.is_none(),
            reachable: self.server.is_well(self.now) && self.network.path == Path::Clear,
            patient_until: self.patient_until,
            waits: self.keeper.next_timeout().is_some(),
            may_rest: !self.mix.pings && snapshot.session == SessionState::SignedOut,
            proves_itself: self.mix.pings || self.mix.rejects != Refuses::Weakly,
            open: &self.open,
            rejects: self.mix.rejects,
            pings: self.mix.pings,
            round_trip: 2 * self.network.longest_trip(),
        }
    }
}

pub(crate) const fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Response(response) => Some(response.status),
        Outcome::NoAnswer => None,
    }
}
