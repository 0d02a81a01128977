//! One page in virtual time: a keeper, its record, and a server that answers in an instant.

use std::collections::VecDeque;

use session_keeper_core::{
    BackendRecord, Effect, Input, Keeper, Now, Options, Outcome, Probe, Record, StoredSession,
    TokenFacts,
};

/// Answers requests. A harness has one token at a time, so that none needs to be told apart.
pub(crate) trait Server {
    fn answer(&mut self, now: u64, probe: Probe) -> Outcome;
}

/// There and back.
const TRIP: u64 = 50;
const EPOCH: u64 = 1_760_000_000_000;

pub(crate) struct Harness<S> {
    pub(crate) keeper: Keeper,
    pub(crate) server: S,
    /// Milliseconds since the keeper was made.
    pub(crate) now: u64,
    pub(crate) record: Record,
    pub(crate) backend: Option<BackendRecord>,
    reported: u64,
    coming: VecDeque<(u64, Input)>,
}

/// What a step ordered.
pub(crate) type Orders = Vec<Effect>;

impl<S: Server> Harness<S> {
    pub(crate) fn new(options: Options, seed: u64, server: S) -> Self {
        Self {
            keeper: Keeper::new(options, seed),
            server,
            now: 0,
            record: Record::Absent,
            backend: None,
            reported: 0,
            coming: VecDeque::new(),
        }
    }

    /// The page is loaded again: a new keeper finds what was kept.
    pub(crate) fn reload(&mut self, options: Options, seed: u64) {
        self.keeper = Keeper::new(options, seed);
        self.now = 0;
        self.reported = 0;
        self.coming.clear();
    }

    pub(crate) fn feed(&mut self, input: Input) -> Orders {
        let now = Now::from_millis(self.now, EPOCH + self.now);
        self.reported = self.now;
        let orders = self.keeper.handle_input(now, input);
        for order in &orders {
            self.carry_out(order);
        }
        orders
    }

    /// Lets the next thing handle_event, no later than `end`; nothing where there is none.
    pub(crate) fn step(&mut self, end: u64) -> Option<Orders> {
        let core = &self.keeper;
        let timer =
            core.next_timeout().map(|(at, _)| self.reported + at.since(core.now()).as_millis());
        let answer = self.coming.front().map(|(at, _)| *at);
        let next = timer.into_iter().chain(answer).min().filter(|at| *at <= end);
        let Some(next) = next else {
            self.now = end;
            return None;
        };
        self.now = next.max(self.now);
        let input = match answer {
            Some(at) if at <= self.now => self.coming.pop_front().map(|(_, input)| input),
            _ => None,
        };
        Some(self.feed(input.unwrap_or(Input::Timeout)))
    }

    fn carry_out(&mut self, order: &Effect) {
        match order {
            Effect::Send { request, probe, .. } => {
                let outcome = self.server.answer(self.now, *probe);
                let answer = Input::Answer { request: *request, outcome };
                self.coming.push_back((self.now + TRIP, answer));
            }
            Effect::ReadRecord { read } => {
                // Stores answer at once, before anything else happens.
                self.coming.push_front((
                    self.now,
                    Input::Record { read: *read, record: self.record.clone() },
                ));
            }
            Effect::ReadBackend => {
                if let Some(kept) = self.backend {
                    self.coming.push_front((self.now, Input::Backend(kept)));
                }
            }
            Effect::StoreBackend(kept) => self.backend = Some(*kept),
            Effect::Store { generation, expires_at, verified_at } => {
                let facts = TokenFacts { expires_at: *expires_at, ..TokenFacts::default() };
                let verified_at = *verified_at;
                self.record = Record::Session(StoredSession {
                    facts,
                    verified_at,
                    ..StoredSession::new(*generation)
                });
            }
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let (generation, sign_out) = (*generation, sign_out.clone());
                self.record = Record::Tombstone { generation, sign_out, undelivered: *undelivered };
            }
            _ => {}
        }
    }
}
