//! What holds for every sequence of facts, sensible or not.

use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::select;

use super::world::*;
use crate::{
    AppEvent, AppRequest, AppRequestId, Classified, Destination, Effect, Input, Keeper, Message,
    NewToken, Notice, Now, Options, Outcome, PageEvent, Probe, ReadId, Record, RefreshAnswer,
    RefreshOptions, Replay, RequestId, Response, SessionState, TokenFacts, TokenHandle, TokenKind,
    UnixMillis, WhenHidden,
};

/// The longest that a request may be held, and that a body may take.
const HELD: u64 = 90_000;
const BODY: u64 = 10_000;

/// One step of a browser that does anything at any time.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, without a timer.
    Wait(u64),
    /// The machine sleeps, or the wall clock is set.
    Jump(i64),
    /// The timer fires when it should.
    Due,
    Broadcast(Input),
    /// The n-th of the open requests is answered.
    Answer(usize, Outcome),
    /// A request that may never have been is answered.
    Stray(u32, Outcome),
    Read(Record),
}

fn peaceful() -> Vec<Outcome> {
    let mut outcomes: Vec<Response> = [0, 200, 204, 302, 304, 403, 404, 408, 419, 429, 500, 540]
        .into_iter()
        .flat_map(|code| [html(code), status(code)])
        .collect();
    outcomes.extend([well("a", "1"), well("b", "1"), well("c", "2"), nameless()]);
    outcomes.extend([patient(429, 200), patient(503, 9_999), challenged_by_a_proxy()]);
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().map(Outcome::Response).collect();
    outcomes.push(Outcome::NoAnswer);
    outcomes
}

fn any_outcome() -> Vec<Outcome> {
    let classified = Response { classified: Some(Classified::Rejected), ..html(200) };
    let rejections =
        [rejected("a", "1"), rejected("c", "2"), status(401), weakly_rejected(), classified];
    let mut outcomes = peaceful();
    for response in rejections {
        // Often enough that sessions end.
        outcomes.extend([Outcome::Response(response), Outcome::Response(response)]);
    }
    outcomes
}

fn peaceful_inputs() -> Vec<Input> {
    let mut inputs: Vec<Input> = [
        PageEvent::Visible,
        PageEvent::Hidden,
        PageEvent::Online,
        PageEvent::Offline,
        PageEvent::Suspended,
        PageEvent::Resumed,
        PageEvent::UserActivity,
    ]
    .map(Input::Page)
    .into();
    inputs.extend([Input::Start, Input::Stop, Input::Timeout, Input::Verify]);
    inputs.extend([Input::Report { status: 401 }, Input::Unanswered, Input::StoreFailed]);
    let failures = [AppEvent::NoResponse, AppEvent::Unavailable, AppEvent::Unauthorized];
    for (id, event) in failures.into_iter().chain([AppEvent::Closed]).enumerate() {
        let request = AppRequest {
            id: AppRequestId(id as u32),
            replay: Replay::Always,
            destination: Destination::Api,
            resource: 1,
            sent_with: Some(1),
        };
        inputs.push(Input::AppRequest { request, event });
    }
    inputs.push(Input::SignIn {
        token: Some(TokenHandle(1)),
        facts: TokenFacts {
            expires_at: Some(UnixMillis(WALL + 60_000)),
            lifetime: Some(secs(60)),
            kind: TokenKind::Opaque,
            has_refresh_token: true,
            refresh_attempt: None,
        },
    });
    inputs.push(Input::Refresh);
    inputs.push(Input::TabMessage(Message::Written));
    inputs
}

fn steps(violent: bool) -> impl Strategy<Value = Vec<Step>> {
    let mut inputs = peaceful_inputs();
    let mut records = std::vec![active(1), active(2), active(9)];
    records.extend([Record::Absent, Record::Corrupt, Record::Foreign, Record::Unreadable]);
    let outcomes = if violent { any_outcome() } else { peaceful() };
    if violent {
        inputs.push(Input::SignOut);
        records.extend([tombstone(1), tombstone(2), tombstone(9)]);
    }
    let step = prop_oneof![
        4 => (0_u64..40_000).prop_map(Step::Wait),
        1 => (-7_200_000_i64..7_200_000).prop_map(Step::Jump),
        8 => Just(Step::Due),
        3 => select(inputs).prop_map(Step::Broadcast),
        8 => (0_usize..4, select(outcomes.clone())).prop_map(|(n, it)| Step::Answer(n, it)),
        1 => (0_u32..40, select(outcomes)).prop_map(|(n, it)| Step::Stray(n, it)),
        3 => select(records).prop_map(Step::Read),
    ];
    prop::collection::vec(step, 1..120)
}

fn options() -> impl Strategy<Value = Options> {
    let hidden_modes = select(std::vec![WhenHidden::Ping, WhenHidden::Pause, WhenHidden::Always]);
    (0..9, hidden_modes).prop_map(|(kind, when_hidden)| {
        let mut options = hidden(when_hidden);
        match kind {
            0 => options.health = None,
            1 => options = cookie(),
            2 => options = at_once(),
            4 => options.refresh = Some(RefreshOptions { margin: None, needs_token: true }),
            5 => {
                options = cookie();
                options.refresh = Some(RefreshOptions { margin: None, needs_token: false });
            }
            6 => {
                options.refresh = Some(RefreshOptions { margin: None, needs_token: true });
                options.acquire = true;
            }
            7 => options = Options { acquire: true, ..cookie() },
            3 => options.tell_sign_out = true,
            _ => {}
        }
        options
    })
}

/// The shell of a browser that follows no script, with what must hold after every step.
struct Run {
    keeper: Keeper,
    reads: Vec<ReadId>,
    mono: u64,
    wall: u64,
    life: bool,
    here: bool,
    hidden: bool,
    /// The requests under way, each with its last moment.
    open: Vec<(RequestId, Probe, u64)>,
    trace: Vec<Effect>,
    sent_last: u64,
}

impl Run {
    fn new(options: Options) -> Self {
        let keeper = Keeper::new(options, 3);
        let (open, trace) = (Vec::new(), Vec::new());
        let (life, here, hidden) = (false, true, false);
        Self {
            keeper,
            reads: Vec::new(),
            mono: 0,
            wall: WALL,
            life,
            here,
            hidden,
            open,
            trace,
            sent_last: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => {
                self.mono += ms;
                self.wall += ms;
            }
            Step::Jump(ms) => self.wall = self.wall.saturating_add_signed(ms),
            Step::Due => {
                if let Some((at, _)) = self.keeper.next_timeout() {
                    let ms = at.since(self.keeper.now()).as_millis();
                    self.mono += ms;
                    self.wall += ms;
                    self.input(Input::Timeout);
                }
            }
            Step::Broadcast(input) => self.input(input),
            Step::Answer(n, outcome) => {
                if let Some((request, Probe::Refresh, _)) = self.open.get(n).copied() {
                    let answer = token_answer(outcome);
                    self.input(Input::RefreshAnswer { request, answer });
                } else if let Some((request, Probe::Acquire, _)) = self.open.get(n).copied() {
                    let answer = token_answer(outcome);
                    self.input(Input::AcquireAnswer { request, answer });
                } else if let Some((request, ..)) = self.open.get(n).copied() {
                    self.open[n].2 = u64::MAX;
                    self.input(Input::Answering { request });
                    let bound = self.line() + BODY;
                    self.open
                        .iter_mut()
                        .filter(|(id, ..)| *id == request)
                        .for_each(|it| it.2 = bound);
                    self.input(Input::Answer { request, outcome });
                }
            }
            Step::Stray(n, outcome) => {
                self.input(Input::Answer { request: RequestId(n), outcome });
            }
            Step::Read(record) => {
                self.input(Input::TabMessage(Message::Written));
                let read = self.reads.last().copied().unwrap_or(ReadId(1));
                self.input(Input::Record { read, record });
            }
        }
    }

    fn input(&mut self, input: Input) {
        match &input {
            Input::Start => self.life = true,
            Input::Stop => self.life = false,
            Input::Page(PageEvent::Suspended) => self.here = false,
            Input::Page(PageEvent::Resumed) => self.here = true,
            Input::Page(PageEvent::Hidden) => self.hidden = true,
            Input::Page(PageEvent::Visible) => self.hidden = false,
            Input::Answer { request, .. }
            | Input::RefreshAnswer { request, .. }
            | Input::AcquireAnswer { request, .. } => {
                self.open.retain(|(id, ..)| id != request);
            }
            _ => {}
        }
        let effects = self.keeper.handle_input(Now::from_millis(self.mono, self.wall), input);
        for effect in &effects {
            match effect {
                Effect::Send { request, probe, .. } => {
                    assert!(request.0 as u64 > self.sent_last, "an id was used twice");
                    self.sent_last = request.0.into();
                    self.open.push((*request, *probe, self.line() + HELD));
                }
                Effect::Refresh { request, .. } => {
                    assert!(u64::from(request.0) > self.sent_last, "an id was used twice");
                    self.sent_last = request.0.into();
                    self.open.push((*request, Probe::Refresh, self.line() + HELD));
                }
                Effect::Acquire { request } => {
                    assert!(u64::from(request.0) > self.sent_last, "an id was used twice");
                    self.sent_last = request.0.into();
                    self.open.push((*request, Probe::Acquire, self.line() + HELD));
                }
                Effect::ReadRecord { read } => self.reads.push(*read),
                Effect::Abort { request } => self.open.retain(|(id, ..)| id != request),
                _ => {}
            }
        }
        self.trace.extend(effects);
        self.check();
    }

    fn line(&self) -> u64 {
        self.keeper.now().since(crate::Instant::default()).as_millis()
    }

    fn check(&self) {
        let line = self.line();
        let pings = self.open.iter().filter(|(_, probe, _)| *probe == Probe::Health).count();
        assert!(pings <= 1, "{pings} pings at once");
        assert!(self.open.len() <= 5, "{} requests at once", self.open.len());
        if !self.life || !self.here {
            // A sign-out goes on without its page, and a refresh to its end: its answer may be
            // the only copy of a token.
            let goes_on = |probe| matches!(probe, Probe::SignOut | Probe::Refresh | Probe::Acquire);
            let asks = self.open.iter().any(|(_, probe, _)| !goes_on(*probe));
            assert!(!asks, "a request of a page that cannot act");
            assert_eq!(self.keeper.next_timeout(), None);
            return;
        }
        let refreshes = self.open.iter().filter(|(_, probe, _)| *probe == Probe::Refresh).count();
        assert!(refreshes <= 1, "{refreshes} refreshes at once");
        let acquires = self.open.iter().filter(|(_, probe, _)| *probe == Probe::Acquire).count();
        assert!(acquires <= 1, "{acquires} attempts to acquire at once");
        let is_restarted = |probe| matches!(probe, Probe::Refresh | Probe::Acquire);
        for (id, _, bound) in self.open.iter().filter(|(_, probe, _)| !is_restarted(*probe)) {
            assert!(line < *bound, "{id:?} is open beyond its bound");
        }
        let signed_in = self.keeper.snapshot().signed_in() == Some(true);
        if signed_in && !self.hidden {
            assert!(self.keeper.next_timeout().is_some(), "it will never act again");
        }
        if let Some((at, timer)) = self.keeper.next_timeout() {
            assert!(at > self.keeper.now(), "it spins: {timer:?}");
        }
    }
}

/// A success brings a token, as long as it is one.
fn token_answer(outcome: Outcome) -> RefreshAnswer {
    let is_success = matches!(outcome, Outcome::Response(Response { status: 200, .. }));
    let facts =
        TokenFacts { lifetime: Some(secs(60)), has_refresh_token: true, ..TokenFacts::default() };
    let token = NewToken { token: TokenHandle(2), facts, is_same: false };
    let token = is_success.then_some(token);
    RefreshAnswer { outcome, is_invalid_grant: false, token }
}

fn run(options: &Options, steps: &[Step]) -> Run {
    let mut run = Run::new(options.clone());
    run.input(Input::Start);
    for step in steps {
        run.step(step.clone());
    }
    run
}

fn thorough() -> ProptestConfig {
    ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(thorough())]

    #[test]
    fn whatever_happens_the_keeper_neither_panics_nor_spins_nor_falls_silent(
        options in options(), steps in steps(true),
    ) {
        run(&options, &steps);
    }

    #[test]
    fn the_same_seed_and_the_same_facts_give_the_same_orders(
        options in options(), steps in steps(true),
    ) {
        prop_assert_eq!(run(&options, &steps).trace, run(&options, &steps).trace);
    }

    #[test]
    fn without_a_refusal_a_tombstone_or_the_user_no_session_ever_ends(
        options in options(), steps in steps(false),
    ) {
        let mut run = Run::new(options);
        run.input(Input::Start);
        let mut signed_in = false;
        for step in steps {
            run.step(step);
            let state = run.keeper.snapshot().session;
            prop_assert!(state != SessionState::Suspect, "suspected without a refusal");
            let now = run.keeper.snapshot().signed_in();
            prop_assert!(!signed_in || now == Some(true), "the session ended");
            signed_in = now == Some(true);
        }
        let ended = run.trace.iter().any(|it| {
            matches!(it, Effect::Notify(Notice::SignedOut(_)) | Effect::WriteTombstone { .. })
        });
        prop_assert!(!ended);
    }
}
