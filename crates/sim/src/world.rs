//! The world: the tabs of one browser with their shells, moved from one event to the next.

use std::collections::{BTreeSet, VecDeque};

use session_keeper_core::{
    Effect, Generation, Input, Keeper, Options, Outcome, Probe, RequestId, Response, SessionState,
    TokenId, UnixMillis,
};

use crate::event::{Event, Fault, Future};
use crate::families::Family;
use crate::mix::{Mix, Refuses};
use crate::network::{Network, Path};
use crate::oracle::{self, Open, Verdict, View};
use crate::refresh::Attempts;
use crate::renewal::{Answer, RefreshFaults, Renewal};
use crate::rng::Rng;
use crate::server::{Handling, Server};
use crate::sharing::{Lock, SharingFaults};
use crate::tab::{Held, Outgoing, Storage, Tab, TabId};
use crate::tally::{Failure, Tally};
use crate::{Guarantee, Plan, Sabotage, Tokens, Weather};

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
    pub(crate) server: Server,
    pub(crate) network: Network,
    pub(crate) tally: Tally,
    pub(crate) future: Future,
    pub(crate) now: u64,
    pub(crate) machine: Machine,
    pub(crate) storage: Storage,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) sharing: SharingFaults,
    pub(crate) lock: Lock,
    /// Tabs whose write another tab's record forbade.
    pub(crate) refused_writes: Vec<TabId>,
    /// Sessions that the user ended.
    pub(crate) signed_out_families: BTreeSet<Family>,
    pub(crate) attempts: Attempts,
    pub(crate) patient_until: u64,
    /// When the requests of the last minute were sent.
    pub(crate) sent: VecDeque<u64>,
    pub(crate) transcript: VecDeque<String>,
}

/// The machine that the browser runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) napping_since: u64,
    pub(crate) napping_until: Option<u64>,
    /// How long it slept in all: its monotonic clock stood still.
    pub(crate) napped: u64,
    pub(crate) wall_offset: i64,
}

impl Machine {
    pub(crate) const fn is_asleep(&self) -> bool {
        self.napping_until.is_some()
    }
}

/// What wakes the world up next, but for what is foreseen.
#[derive(Clone, Copy, Debug)]
enum Waker {
    Machine,
    Timer(TabId),
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
        let mut mix = Mix::of(&mut rng);
        if plan.tokens == Tokens::Refreshed {
            mix.renewal = Some(Renewal::of(&mut rng));
        }
        if plan.weather == Weather::Quiet {
            mix = mix.quiet();
        }
        let generation = Generation::new(1, TokenId(1)).expect("one is in range");
        let mut server = Server::new(mix, plan.sabotage == Sabotage::LyingServer);
        let options = Options { is_shared: plan.tabs > 1, ..mix.options() };
        let sharing = if plan.tabs > 1 && plan.weather == Weather::Faults {
            SharingFaults::of(&mut rng)
        } else {
            SharingFaults::default()
        };
        let grant = server.issue(0);
        let mut storage = Storage::empty();
        storage.store(generation, Held::of(&grant, UnixMillis(EPOCH)));
        Self {
            plan,
            mix,
            tabs: (0..plan.tabs)
                .map(|_| Tab::new(Keeper::new(options.clone(), rng.draw())))
                .collect(),
            sharing,
            lock: Lock::default(),
            refused_writes: Vec::new(),
            signed_out_families: BTreeSet::new(),
            network: Network::new(&mix),
            rng,
            server,
            tally: Tally::default(),
            future: Future::default(),
            now: 0,
            machine: Machine::default(),
            storage,
            attempts: Attempts::new(),
            patient_until: 0,
            sent: VecDeque::new(),
            transcript: VecDeque::new(),
        }
    }

    fn active(&mut self) -> Verdict {
        for fault in Fault::ALL {
            self.schedule_fault(fault);
        }
        for tab in 0..self.tabs.len() {
            self.future.at(20_000, Event::AppAsks { tab });
            self.feed(tab, Input::Start)?;
        }
        self.pass(self.plan.hours * HOUR)?;
        self.heal()?;
        self.pass(self.now + SETTLES)?;
        (0..self.tabs.len()).try_for_each(|tab| oracle::all_is_settled(&self.view(tab)))?;
        self.tabs_agree()
    }

    /// Lets things happen until that moment.
    fn pass(&mut self, end: u64) -> Verdict {
        loop {
            let timer = self.next_timer();
            let coming = self.future.next_time();
            let at = timer.map(|(at, _)| at);
            let Some(next) = at.into_iter().chain(coming).min().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = next.max(self.now);
            self.tally.steps += 1;
            if self.tally.steps > 100_000 * (self.plan.hours + 1) {
                return Err((Guarantee::G4, "the keeper spins".into()));
            }
            if self.machine.napping_until.is_some_and(|until| until <= self.now) {
                self.wake_up()?;
            } else if coming.is_some_and(|at| at <= self.now) {
                if let Some(event) = self.future.take() {
                    self.handle_event(event)?;
                }
            } else if let Some((_, Waker::Timer(tab))) = timer {
                self.feed(tab, Input::Timeout)?;
            }
            (0..self.tabs.len()).try_for_each(|tab| self.check(tab))?;
        }
    }

    fn check(&mut self, tab: TabId) -> Verdict {
        let mut oracle = core::mem::take(&mut self.tabs[tab].oracle);
        let mut tally = core::mem::take(&mut self.tally);
        let verdict = oracle.check(&self.view(tab), &mut tally);
        (self.tabs[tab].oracle, self.tally) = (oracle, tally);
        verdict
    }

    /// When the first of the shells' timers fires, a little late; a machine that sleeps fires none.
    fn next_timer(&self) -> Option<(u64, Waker)> {
        if let Some(until) = self.machine.napping_until {
            return Some((until, Waker::Machine));
        }
        let timers = self.tabs.iter().enumerate().filter_map(|(tab, it)| {
            let (at, _) = it.keeper.next_timeout()?;
            let at = it.told_at + at.since(it.keeper.now()).as_millis() + it.lateness;
            Some((at, Waker::Timer(tab)))
        });
        timers.min_by_key(|(at, _)| *at)
    }

    fn handle_event(&mut self, event: Event) -> Verdict {
        match event {
            Event::Arrives { tab, outgoing } => self.arrive(tab, outgoing),
            Event::Answered { tab, request, answer } => self.deliver(tab, request, answer),
            Event::Strays { tab, request, answer } => self.stray(tab, request, answer),
            Event::Hears { tab, input } => self.hears(tab, input),
            Event::Locked { tab } => self.locked(tab),
            Event::Faults(fault) => self.fault(fault),
            Event::Ends(fault, tab) => self.end(fault, tab),
            Event::SignsIn { tab } => self.sign_in(tab),
            Event::AppAsks { tab } => self.app_asks(tab),
            Event::AppSends { tab, request } => self.app_sends(tab, request),
        }
    }

    fn arrive(&mut self, tab: TabId, outgoing: Outgoing) -> Verdict {
        let Outgoing { request, probe, token, attempt } = outgoing;
        if let Some((token, attempt)) = token.zip(attempt) {
            return self.refresh_arrives(tab, outgoing, token, attempt);
        }
        let outcome = match self.server.handle(self.now, probe, token, &mut self.rng) {
            Handling::Answer(response) => Outcome::Response(response),
            Handling::Refuse => Outcome::NoAnswer,
            Handling::Hold(until) => {
                self.future.at(until + 1, Event::Arrives { tab, outgoing });
                return Ok(());
            }
        };
        self.bring(tab, request, Answer::of(probe, outcome), 0);
        Ok(())
    }

    /// An answer sets out, so much later.
    pub(crate) fn bring(&mut self, tab: TabId, request: RequestId, answer: Answer, later: u64) {
        match self.network.bring(&mut self.rng) {
            Some(after) => {
                let at = self.now + after + later;
                self.future.at(at, Event::Answered { tab, request, answer });
            }
            None => self.doom(tab, request),
        }
    }

    /// Nothing comes back.
    pub(crate) fn doom(&mut self, tab: TabId, request: RequestId) {
        let open = self.tabs[tab].open.iter_mut();
        open.filter(|it| it.request == request).for_each(|it| it.doomed = true);
    }

    fn deliver(&mut self, tab: TabId, request: RequestId, answer: Answer) -> Verdict {
        if let Some(until) = self.machine.napping_until {
            self.future.at(until + 1, Event::Answered { tab, request, answer });
            return Ok(());
        }
        let here = &mut self.tabs[tab];
        let Some(at) = here.open.iter().position(|open| open.request == request) else {
            return self.stray(tab, request, answer);
        };
        if here.page.frozen {
            here.held_back.push((request, answer));
            return Ok(());
        }
        let open = here.open.remove(at);
        self.take_note(tab, open, &answer.outcome);
        if self.rng.in_thousand(self.mix.strays) {
            let again = self.now + self.rng.between(0, 120_000);
            self.future.at(again, Event::Strays { tab, request, answer });
        }
        if open.probe == Probe::Refresh {
            return self.refresh_answered(tab, request, &answer);
        }
        let outcome = answer.outcome;
        let is_refusal = open.probe == Probe::Verify && status(&outcome) == Some(401);
        let was_live = self.tabs[tab].keeper.snapshot().signed_in() == Some(true);
        let outcome = self.as_heard(tab, is_refusal, outcome);
        let effects = self.feed(tab, Input::Answer { request, outcome })?;
        let dropped = effects.contains(&Effect::Abort { request });
        if is_refusal && was_live && !dropped {
            self.tally.rejections += 1;
            // A refresh comes first (gate 3).
            let is_refreshing = self.tabs[tab].keeper.next_refresh().is_some()
                || self.tabs[tab].open.iter().any(|open| open.probe == Probe::Refresh);
            if !is_refreshing {
                return oracle::refusal_is_suspected(self.tabs[tab].keeper.snapshot().session);
            }
        }
        Ok(())
    }

    /// What the oracle must know of an answer: it may be one that nobody can act on.
    fn take_note(&mut self, tab: TabId, open: Open, outcome: &Outcome) {
        let here = &mut self.tabs[tab];
        let Outcome::Response(response) = outcome else {
            return here.oracle.disturb(self.now);
        };
        if let Some(wait) = response.retry_after {
            self.patient_until = self.patient_until.max(self.now + wait.as_millis());
        }
        let boot = response.server.boot;
        let is_new = boot.is_some() && boot != here.heard_boot;
        if open.doomed || is_new {
            here.heard_boot = boot.or(here.heard_boot);
            here.oracle.disturb(self.now);
        }
    }

    fn as_heard(&self, tab: TabId, is_refusal: bool, outcome: Outcome) -> Outcome {
        let suspect = self.tabs[tab].keeper.snapshot().session == SessionState::Suspect;
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

    fn stray(&mut self, tab: TabId, request: RequestId, answer: Answer) -> Verdict {
        let here = &self.tabs[tab];
        let is_open = here.open.iter().any(|it| it.request == request);
        if self.machine.is_asleep() || here.page.frozen && answer.grant.is_some() || is_open {
            return Ok(());
        }
        // What is due anyway is not the stray's doing.
        self.feed(tab, Input::Timeout)?;
        let request = match (self.plan.sabotage, self.tabs[tab].open.first()) {
            (Sabotage::ConfusedShell, Some(open)) => open.request,
            _ => request,
        };
        self.tally.strays += 1;
        let input = self.input_of(tab, request, &answer);
        let mut effects = self.feed(tab, input)?;
        // Whoever gets a token that nobody waits for lets go of it.
        // And what was due a moment ago may not be any more.
        effects.retain(|effect| !matches!(effect, Effect::DropToken { .. } | Effect::Unlock));
        oracle::stray_is_ignored(effects.len())
    }

    fn heal(&mut self) -> Verdict {
        self.future.forget(|it| {
            let goes_on = matches!(it, Event::AppAsks { .. } | Event::AppSends { .. });
            let is_ours = matches!(it, Event::Hears { .. } | Event::Locked { .. });
            !(goes_on || is_ours || matches!(it, Event::Arrives { .. } | Event::Answered { .. }))
        });
        self.network.heal();
        self.sharing = SharingFaults::default();
        self.server.heal(self.now);
        if let Some(renewal) = &mut self.mix.renewal {
            renewal.faults = RefreshFaults::default();
        }
        if self.plan.sabotage == Sabotage::DeadServer {
            self.network.path = Path::Cut;
        }
        self.show()
    }

    /// Something happened that nobody can be blamed for.
    pub(crate) fn disturb(&mut self, at: u64) {
        for tab in &mut self.tabs {
            tab.oracle.disturb(at);
        }
    }

    /// The user signs out, and the oracle knows that.
    pub(crate) fn sign_out(&mut self, tab: TabId) -> Verdict {
        self.tabs[tab].signing_out = true;
        let reported = self.feed(tab, Input::SignOut);
        self.tabs[tab].signing_out = false;
        reported.map(drop)
    }

    pub(crate) fn view(&self, tab: TabId) -> View<'_> {
        let here = &self.tabs[tab];
        let (snapshot, page) = (here.keeper.snapshot(), here.page);
        View {
            now: self.now,
            line: here.line(),
            session: snapshot.session,
            server: snapshot.server,
            ended: here.token().is_some_and(|token| !self.server.knows(token)),
            can_act: !page.frozen,
            attended: !page.hidden && !page.frozen && !self.machine.is_asleep(),
            reachable: self.server.is_well(self.now) && self.network.path == Path::Clear,
            patient_until: self.patient_until,
            waits: here.keeper.next_timeout().is_some(),
            may_rest: !self.mix.pings && snapshot.session == SessionState::SignedOut,
            proves_itself: self.mix.pings || self.mix.rejects != Refuses::Weakly,
            open: &here.open,
            refresh_rejected: here.refresh_watch.is_rejected,
            is_refreshed: self.mix.renewal.is_some(),
            is_shared: self.is_shared(),
            rejects: self.mix.rejects,
            pings: self.mix.pings,
            round_trip: 2 * self.network.longest_trip(),
        }
    }
}

pub(crate) const fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Response(response) => Some(response.status),
        Outcome::NoAnswer | Outcome::NotSent => None,
    }
}
