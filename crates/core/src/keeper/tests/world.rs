//! A shell of virtual time around one keeper: fires its one timer, answers its requests from a
//! script, keeps its record. It decides nothing and checks one thing of its own: that no effect
//! names a request that was never sent.

use std::collections::VecDeque;
use std::vec::Vec;

use crate::{
    AttemptId, BackendRecord, Body, Challenge, Confirm, Credential, Duration, Effect, Entry, Event,
    Generation, HealthOptions, Input, Keeper, Label, LeaseRecord, NewToken, Notice, Now, Options,
    Outcome, PageEvent, Probe, ReadId, Record, RefreshAnswer, RequestId, Response, ServerFacts,
    ServerState, SessionState, SignOut, StoredSession, TokenFacts, TokenHandle, TokenId,
    UnixMillis,
};

/// Some day in 2025.
pub(super) const WALL: u64 = 1_760_000_000_000;
/// How long an answer travels.
pub(super) const TRIP: u64 = 50;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Answer(Response),
    /// Refused, reset, blocked.
    Fails,
    /// The app's own function failed before it was sent.
    NotSent,
    /// Taken and never answered.
    Silence,
    /// Answered after this many milliseconds.
    Slow(u64, Response),
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) request: RequestId,
    pub(super) probe: Probe,
}

pub(super) struct World {
    pub(super) keeper: Keeper,
    pub(super) health: Reply,
    pub(super) verify: Reply,
    pub(super) sign_out: Reply,
    /// What the server does with a refresh.
    pub(super) refresh: Reply,
    /// The token that comes with a success.
    pub(super) new_token: Option<TokenFacts>,
    pub(super) is_same: bool,
    pub(super) is_invalid_grant: bool,
    /// What the app's function that acquires a token comes to, and the token.
    pub(super) acquire: Reply,
    pub(super) acquired: Option<TokenFacts>,
    /// Each refresh, by when it was sent, with its token and attempt.
    pub(super) refreshes: Vec<(u64, Generation, AttemptId)>,
    /// The facts of the token that was handed over last.
    handed: TokenFacts,
    pub(super) candidates: [Reply; crate::CANDIDATES.len()],
    /// Answers of verify that come before the usual one.
    pub(super) script: VecDeque<Reply>,
    pub(super) record: Record,
    pub(super) backend: Option<BackendRecord>,
    pub(super) lease: Option<LeaseRecord>,
    pub(super) store_answers: bool,
    /// Whether no other tab has the lock.
    pub(super) grants_locks: bool,
    /// Each read of the store, oldest first.
    pub(super) reads: Vec<ReadId>,
    pub(super) open: Vec<Open>,
    /// Each request, by when it was sent.
    pub(super) sent: Vec<(u64, Probe, Option<Generation>)>,
    /// Each order with its moment.
    pub(super) orders: Vec<(u64, Effect)>,
    mono: u64,
    wall: u64,
    /// When the keeper last learned the time.
    reported: u64,
    coming: Vec<(u64, Input)>,
}

impl World {
    /// A world in which nothing has happened: the server is well and the store is empty.
    pub(super) fn new(options: Options) -> Self {
        Self::with_seed(options, 7)
    }

    pub(super) fn with_seed(options: Options, seed: u64) -> Self {
        Self {
            keeper: Keeper::new(options, seed),
            health: Reply::Answer(well("a", "1")),
            verify: Reply::Answer(well("a", "1")),
            sign_out: Reply::Answer(status(204)),
            refresh: Reply::Answer(nameless()),
            new_token: Some(TokenFacts::default()),
            is_same: false,
            is_invalid_grant: false,
            acquire: Reply::Silence,
            acquired: None,
            refreshes: Vec::new(),
            handed: TokenFacts::default(),
            candidates: core::array::from_fn(|_| Reply::Answer(status(404))),
            script: VecDeque::new(),
            record: Record::Absent,
            backend: None,
            lease: None,
            store_answers: true,
            grants_locks: true,
            reads: Vec::new(),
            open: Vec::new(),
            sent: Vec::new(),
            orders: Vec::new(),
            mono: 1_000,
            wall: WALL,
            reported: 1_000,
            coming: Vec::new(),
        }
    }

    /// Started with a session on record, verified, a second later.
    pub(super) fn signed_in(options: Options) -> Self {
        let mut world = Self::new(options);
        world.record = active(1);
        world.input(Input::Start);
        world.pass(1_000);
        assert_eq!(world.session(), SessionState::SignedIn);
        world
    }

    /// The same on a backend that names nothing and that nobody knows.
    pub(super) fn nameless() -> Self {
        Self::nameless_with(Options::default())
    }

    pub(super) fn nameless_with(options: Options) -> Self {
        let mut world = Self::new(options);
        world.server_says(&answers(nameless()));
        world.record = active(1);
        world.input(Input::Start);
        world.pass(1_000);
        assert_eq!(world.session(), SessionState::SignedIn);
        world
    }

    pub(super) fn input(&mut self, input: Input) -> Vec<Effect> {
        let now = Now::from_millis(self.mono, self.wall);
        self.reported = self.mono;
        self.open.retain(|open| !is_end_of(&input, open.request));
        match &input {
            Input::SignIn { facts, .. } => self.handed = *facts,
            Input::Renew(NewToken { facts, .. }) => self.handed = *facts,
            Input::RefreshAnswer { answer: RefreshAnswer { token: Some(new), .. }, .. }
            | Input::AcquireAnswer { answer: RefreshAnswer { token: Some(new), .. }, .. } => {
                self.handed = new.facts;
            }
            _ => {}
        }
        let effects = self.keeper.handle_input(now, input);
        for effect in &effects {
            self.orders.push((self.mono, effect.clone()));
            self.carry_out(effect);
        }
        effects
    }

    /// Lets time pass, timers fire and answers come.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.mono + ms;
        for _ in 0..100_000 {
            let Some(next) = self.next_step().filter(|at| *at <= end) else {
                self.advance(end);
                return;
            };
            self.step(next);
        }
        panic!("the keeper spins: it wants to be woken again and again at {}", self.mono);
    }

    /// When the next timer fires or the next answer comes.
    pub(super) fn next_step(&self) -> Option<u64> {
        let timer = self.keeper.next_timeout();
        let timer = timer.map(|(at, _)| self.reported + at.since(self.keeper.now()).as_millis());
        let answer = self.coming.iter().map(|(at, _)| *at).min();
        timer.into_iter().chain(answer).min()
    }

    /// One timer or answer, at that moment.
    pub(super) fn step(&mut self, at: u64) -> Vec<Effect> {
        self.advance(at.max(self.mono));
        match self.coming.iter().position(|(at, _)| *at <= self.mono) {
            Some(at) => {
                let (_, input) = self.coming.remove(at);
                self.input(input)
            }
            None => self.input(Input::Timeout),
        }
    }

    /// Something comes from outside, so much later.
    pub(super) fn comes(&mut self, ms: u64, input: Input) {
        self.coming.push((self.mono + ms, input));
    }

    /// Lets time pass until the fact holds, and tells how long that took.
    pub(super) fn until(&mut self, most: u64, fact: impl Fn(&Self) -> bool) -> Option<u64> {
        let start = self.mono;
        while !fact(self) {
            if self.mono - start >= most {
                return None;
            }
            self.pass(10);
        }
        Some(self.mono - start)
    }

    /// The machine sleeps: only the wall clock goes on.
    pub(super) fn sleep(&mut self, ms: u64) {
        self.wall += ms;
    }

    /// Time passes and no timer fires.
    pub(super) fn stall(&mut self, ms: u64) {
        self.advance(self.mono + ms);
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_clock(&mut self, by: i64) {
        self.wall = self.wall.saturating_add_signed(by);
    }

    pub(super) fn page(&mut self, event: PageEvent) {
        let _ = self.input(Input::Page(event));
    }

    /// Both paths say the same from here on.
    pub(super) fn server_says(&mut self, reply: &Reply) {
        self.health = reply.clone();
        self.verify = reply.clone();
    }

    pub(super) fn now(&self) -> u64 {
        self.mono
    }

    pub(super) fn wall(&self) -> u64 {
        self.wall
    }

    pub(super) fn session(&self) -> SessionState {
        self.keeper.snapshot().session
    }

    pub(super) fn server(&self) -> ServerState {
        self.keeper.snapshot().server
    }

    /// When requests of this kind were sent, from `since` on.
    pub(super) fn sent_since(&self, since: u64, probe: Probe) -> Vec<u64> {
        let sent = self.sent.iter().filter(|(at, kind, _)| *at >= since && *kind == probe);
        sent.map(|(at, ..)| *at).collect()
    }

    pub(super) fn sign_outs(&self) -> Vec<SignOut> {
        self.notices()
            .filter_map(|notice| match notice {
                Notice::SignedOut(sign_out) => Some(sign_out.clone()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.orders.iter().filter_map(|(_, effect)| match effect {
            Effect::Notify(notice) => Some(notice),
            _ => None,
        })
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.notices().filter_map(|notice| match notice {
            Notice::Logged(Entry { event, .. }) => Some(event),
            _ => None,
        })
    }

    pub(super) fn has_logged(&self, code: &str) -> bool {
        self.events().any(|event| event.code() == code)
    }

    pub(super) fn open_request(&self, probe: Probe) -> Option<RequestId> {
        self.open.iter().find(|open| open.probe == probe).map(|open| open.request)
    }

    /// The store answers the newest read with what it holds now.
    pub(super) fn store_answers_in(&mut self, ms: u64) {
        let Some(read) = self.reads.last() else { return };
        let answer = Input::Record { read: *read, record: self.record.clone() };
        self.coming.push((self.mono + ms, answer));
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Send { request, probe, generation } => {
                self.sent.push((self.mono, *probe, *generation));
                let (request, probe) = (*request, *probe);
                self.open.push(Open { request, probe });
                self.answer(request, probe);
            }
            Effect::Abort { request } => {
                let known = self.orders.iter().any(|(_, order)| match order {
                    Effect::Send { request: sent, .. }
                    | Effect::Refresh { request: sent, .. }
                    | Effect::Acquire { request: sent } => sent == request,
                    _ => false,
                });
                assert!(known, "{request:?} was aborted and never sent");
                self.open.retain(|open| open.request != *request);
                self.coming.retain(|(_, input)| !is_about(input, *request));
            }
            Effect::ReadRecord { read } => {
                self.reads.push(*read);
                if self.store_answers {
                    self.store_answers_in(1);
                }
            }
            Effect::Store { generation, expires_at, verified_at } => {
                let (generation, verified_at) = (*generation, *verified_at);
                let (before, saved_at) = match &self.record {
                    Record::Session(stored) if stored.generation == generation => {
                        (stored.facts, stored.saved_at)
                    }
                    _ => (self.handed, Some(UnixMillis(self.wall))),
                };
                let facts = TokenFacts { expires_at: *expires_at, ..before };
                self.record =
                    Record::Session(StoredSession { generation, facts, saved_at, verified_at });
            }
            Effect::StoreAttempt { generation, attempt } => {
                if let Record::Session(stored) = &mut self.record
                    && stored.generation == *generation
                {
                    stored.facts.refresh_attempt = Some(*attempt);
                }
            }
            Effect::Refresh { request, generation, attempt } => {
                self.refreshes.push((self.mono, *generation, *attempt));
                self.ask_the_app(*request, Probe::Refresh, Some(*generation));
            }
            Effect::Acquire { request } => self.ask_the_app(*request, Probe::Acquire, None),
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let (generation, sign_out) = (*generation, sign_out.clone());
                let undelivered = *undelivered;
                self.record = Record::Tombstone { generation, sign_out, undelivered };
            }
            Effect::ReadBackend => {
                let kept = self.backend.map(Input::Backend);
                self.coming.extend(kept.map(|input| (self.mono + 1, input)));
            }
            Effect::StoreBackend(record) => self.backend = Some(*record),
            Effect::Lock if self.grants_locks => self.coming.push((self.mono, Input::Locked)),
            Effect::ReadLease => self.coming.push((self.mono, Input::Lease(self.lease))),
            Effect::WriteLease(lease) => self.lease = Some(*lease),
            Effect::ReleaseLease(tab) => {
                self.lease.take_if(|lease| lease.tab == *tab);
            }
            Effect::EraseRecord => self.record = Record::Absent,
            _ => {}
        }
    }

    fn answer(&mut self, request: RequestId, probe: Probe) {
        let usual = match probe {
            Probe::Health => &self.health,
            Probe::Verify => &self.verify,
            Probe::SignOut => &self.sign_out,
            Probe::Candidate(index) => &self.candidates[usize::from(index)],
            Probe::Refresh | Probe::Acquire => unreachable!("they have orders of their own"),
        };
        let scripted = if probe == Probe::Verify { self.script.pop_front() } else { None };
        let (trip, outcome) = match scripted.unwrap_or_else(|| usual.clone()) {
            Reply::Answer(response) => (TRIP, Outcome::Response(response)),
            Reply::Slow(trip, response) => (trip, Outcome::Response(response)),
            Reply::Fails => (TRIP, Outcome::NoAnswer),
            Reply::NotSent => (0, Outcome::NotSent),
            Reply::Silence => return,
        };
        self.coming.push((self.mono + trip, Input::Answer { request, outcome }));
    }

    fn ask_the_app(&mut self, request: RequestId, probe: Probe, generation: Option<Generation>) {
        self.sent.push((self.mono, probe, generation));
        self.open.push(Open { request, probe });
        let is_refresh = probe == Probe::Refresh;
        let (reply, token) = if is_refresh {
            (self.refresh.clone(), self.new_token)
        } else {
            (self.acquire.clone(), self.acquired)
        };
        let Some((trip, answer)) = self.token_answer(reply, token) else { return };
        let input = if is_refresh {
            Input::RefreshAnswer { request, answer }
        } else {
            Input::AcquireAnswer { request, answer }
        };
        self.coming.push((self.mono + trip, input));
    }

    fn token_answer(
        &self,
        reply: Reply,
        token: Option<TokenFacts>,
    ) -> Option<(u64, RefreshAnswer)> {
        let (trip, outcome) = match reply {
            Reply::Answer(response) => (TRIP, Outcome::Response(response)),
            Reply::Slow(trip, response) => (trip, Outcome::Response(response)),
            Reply::Fails => (TRIP, Outcome::NoAnswer),
            Reply::NotSent => (0, Outcome::NotSent),
            Reply::Silence => return None,
        };
        let (handle, is_same) = (TokenHandle(9), self.is_same);
        let token = token.map(|facts| NewToken { token: handle, facts, is_same });
        let is_invalid_grant = self.is_invalid_grant;
        Some((trip, RefreshAnswer { outcome, is_invalid_grant, token }))
    }

    pub(super) fn advance(&mut self, to: u64) {
        self.wall += to - self.mono;
        self.mono = to;
    }
}

fn is_about(input: &Input, id: RequestId) -> bool {
    is_end_of(input, id) || matches!(input, Input::Answering { request } if *request == id)
}

fn is_end_of(input: &Input, id: RequestId) -> bool {
    matches!(
        input,
        Input::Answer { request, .. }
            | Input::RefreshAnswer { request, .. }
            | Input::AcquireAnswer { request, .. }
        if *request == id
    )
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn generation(number: u32) -> Generation {
    Generation::new(number, TokenId(u64::from(number))).expect("it is in range")
}

pub(super) fn stored(number: u32) -> StoredSession {
    StoredSession::new(generation(number))
}

/// A sign-in with a token of which nothing is known.
pub(super) fn sign_in() -> Input {
    Input::SignIn { token: Some(TokenHandle(1)), facts: TokenFacts::default() }
}

/// A session on record.
pub(super) fn active(number: u32) -> Record {
    Record::Session(stored(number))
}

pub(super) fn facts(instance: &str, boot: &str) -> ServerFacts {
    let (instance, boot) = (Label::new(instance), Label::new(boot));
    ServerFacts { instance, boot, ..ServerFacts::default() }
}

/// A JSON object of a named instance.
pub(super) fn well(instance: &str, boot: &str) -> Response {
    Response { body: Body::Object, server: facts(instance, boot), ..Response::default() }
}

/// A JSON object of a backend that names nothing.
pub(super) fn nameless() -> Response {
    Response { body: Body::Object, ..Response::default() }
}

/// A JSON answer that names nothing.
pub(super) fn status(status: u16) -> Response {
    Response { status, ..nameless() }
}

pub(super) fn html(status: u16) -> Response {
    Response { status, body: Body::Html, ..Response::default() }
}

/// The reference backend's rejection.
pub(super) fn rejected(instance: &str, boot: &str) -> Response {
    let challenge = Challenge::InvalidToken;
    Response { status: 401, challenge, ..well(instance, boot) }
}

/// FastAPI's rejection without a body that proves anything.
pub(super) fn weakly_rejected() -> Response {
    let challenge = Challenge::Bare;
    Response { status: 401, body: Body::Other, challenge, ..Response::default() }
}

/// A proxy's.
pub(super) fn challenged_by_a_proxy() -> Response {
    let challenge = Challenge::Foreign;
    Response { status: 401, body: Body::Html, challenge, ..Response::default() }
}

pub(super) fn patient(status: u16, secs: u64) -> Response {
    let retry_after = Some(Duration::from_secs(secs));
    Response { status, body: Body::Object, retry_after, ..Response::default() }
}

pub(super) fn answers(response: Response) -> Reply {
    Reply::Answer(response)
}

pub(super) fn cookie() -> Options {
    Options { credential: Credential::Cookie, ..Options::default() }
}

pub(super) fn without_health() -> Options {
    Options { health: None, ..Options::default() }
}

pub(super) fn hidden(when_hidden: crate::WhenHidden) -> Options {
    let health = HealthOptions { when_hidden, ..HealthOptions::default() };
    Options { health: Some(health), ..Options::default() }
}

pub(super) fn at_once() -> Options {
    Options { confirm: Confirm::Immediate, ..Options::default() }
}

pub(super) fn tombstone(number: u32) -> Record {
    let sign_out = SignOut {
        reason: crate::SignOutReason::User,
        at: UnixMillis(WALL),
        from_other_tab: false,
        rule: None,
        chance: None,
        rejections: Vec::new(),
    };
    Record::Tombstone { generation: generation(number), sign_out, undelivered: false }
}
