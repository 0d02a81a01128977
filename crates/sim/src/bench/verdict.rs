//! How often a good token is signed out, and how soon a dead one, on a backend whose workers each
//! know their own tokens and that names nothing.

use session_keeper_core::{
    Body, Effect, Input, Notice, Options, Outcome, Probe, RequestId, Response, SessionState,
    TokenFacts, TokenHandle,
};

use super::harness::{Harness, Server};
use crate::rng::Rng;

/// How requests find their worker.
#[derive(Clone, Copy, Debug)]
pub enum Dispatch {
    /// Each request by itself: a proxy that takes turns, or the kernel.
    Uniform,
    /// Each connection; one serves all requests that are less than 5 s apart.
    Connection,
    /// Each connection, some workers more often than others: shares in a thousand.
    Biased(&'static [u64]),
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many workers.
    pub workers: usize,
    /// How requests find them.
    pub dispatch: Dispatch,
    /// What is known of the backend when a day begins.
    pub history: History,
    /// How many verifications to make.
    pub verifications: u64,
    /// How many sessions to end for real.
    pub revocations: u64,
}

/// What is known of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Each day is a browser's first.
    None,
    /// A day has gone before.
    ADay,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Questions asked of a session that nobody suspected.
    pub verifications: u64,
    /// Of these, answered by a rejection: what the usual rule signs out.
    pub rejected: u64,
    /// Good tokens signed out.
    pub false_sign_outs: u64,
    /// Requests in confirmations, by how many confirmations.
    pub checks: u64,
    /// Suspicions of good tokens.
    pub suspicions: u64,
    /// Milliseconds from the question that met a real end to the sign-out.
    pub ends: Vec<u64>,
    /// The chance that each of those sign-outs named, where it named one.
    pub named: Vec<f64>,
}

/// Verifications of a user in a day of eight hours.
pub const A_DAY: u64 = 96;
const KEEP_ALIVE: u64 = 5_000;
/// Longer than any confirmation.
const TWO_HOURS: u64 = 7_200_000;

struct Workers {
    plan: Plan,
    rng: Rng,
    /// Which worker knows the token.
    home: usize,
    revoked: bool,
    /// The worker of the open connection, and when it was last used.
    connection: (usize, u64),
}

impl Workers {
    fn draw(&mut self) -> usize {
        if let Dispatch::Biased(shares) = self.plan.dispatch {
            let mut left = self.rng.between(0, shares.iter().sum::<u64>().saturating_sub(1));
            for (worker, share) in shares.iter().enumerate() {
                if left < *share {
                    return worker;
                }
                left -= share;
            }
        }
        self.rng.between(0, self.plan.workers as u64 - 1) as usize
    }

    fn meet(&mut self, now: u64) -> usize {
        let (worker, used) = self.connection;
        let is_open = used > 0 && now < used + KEEP_ALIVE;
        let stays = !matches!(self.plan.dispatch, Dispatch::Uniform) && is_open;
        let worker = if stays { worker } else { self.draw() };
        self.connection = (worker, now.max(1));
        worker
    }
}

impl Server for Workers {
    fn answer(&mut self, now: u64, probe: Probe) -> Outcome {
        let worker = self.meet(now);
        let rejects = probe == Probe::Verify && (self.revoked || worker != self.home);
        let status = if rejects { 401 } else { 200 };
        Outcome::Response(Response { status, body: Body::Object, ..Response::default() })
    }
}

/// Runs the plan from one seed.
#[must_use]
pub fn measure(plan: Plan, seed: u64) -> Figures {
    let mut figures = Figures::default();
    let mut rng = Rng::new(seed);
    while figures.verifications < plan.verifications {
        let mut user = User::new(plan, &mut rng);
        if plan.history == History::ADay {
            user.day(&mut Figures::default(), A_DAY);
            user.next_day(&mut rng);
        }
        user.day(&mut figures, A_DAY);
    }
    for _ in 0..plan.revocations {
        let mut user = User::new(plan, &mut rng);
        let lessons = if plan.history == History::ADay { A_DAY } else { 6 };
        user.day(&mut Figures::default(), lessons);
        user.ends(&mut figures);
    }
    figures
}

struct User {
    harness: Harness<Workers>,
    /// Questions to a session that nobody suspected, still unanswered.
    asked: Vec<RequestId>,
}

impl User {
    fn new(plan: Plan, rng: &mut Rng) -> Self {
        let own = Rng::new(rng.draw());
        let server = Workers { plan, rng: own, home: 0, revoked: false, connection: (0, 0) };
        let mut harness = Harness::new(Options::default(), rng.draw(), server);
        let _ = harness.feed(Input::Start);
        let mut user = Self { harness, asked: Vec::new() };
        let _ = user.harness.step(1);
        user.sign_in();
        user
    }

    fn next_day(&mut self, rng: &mut Rng) {
        self.harness.reload(Options::default(), rng.draw());
        self.asked.clear();
        let _ = self.harness.feed(Input::Start);
    }

    /// The login makes the token on the worker that it meets.
    fn sign_in(&mut self) {
        let now = self.harness.now;
        self.harness.server.home = self.harness.server.meet(now);
        let _ = self
            .harness
            .feed(Input::SignIn { token: Some(TokenHandle(1)), facts: TokenFacts::default() });
    }

    /// So many verifications with tokens that are always good.
    fn day(&mut self, figures: &mut Figures, verifications: u64) {
        let before = figures.verifications;
        while figures.verifications < before + verifications || self.is_suspect() {
            let was_suspect = self.is_suspect();
            let Some(orders) = self.harness.step(self.harness.now + TWO_HOURS) else { return };
            self.note(&orders, was_suspect, figures);
            if self.harness.keeper.snapshot().session == SessionState::SignedOut {
                figures.false_sign_outs += 1;
                self.sign_in();
            }
        }
    }

    fn note(&self, orders: &[Effect], was_suspect: bool, figures: &mut Figures) {
        if !was_suspect && self.is_suspect() {
            figures.suspicions += 1;
            figures.rejected += 1;
        }
        for order in orders {
            if let Effect::Send { probe: Probe::Verify, .. } = order {
                if self.is_suspect() {
                    figures.checks += 1;
                } else {
                    figures.verifications += 1;
                }
            }
        }
    }

    /// The session really ends, and a request of the app meets it.
    fn ends(&mut self, figures: &mut Figures) {
        self.harness.server.revoked = true;
        let start = self.harness.now;
        let mut orders = self.harness.feed(Input::Report { status: 401 });
        loop {
            for order in &orders {
                if let Effect::Notify(Notice::SignedOut(end)) = order {
                    figures.ends.push(self.harness.now - start);
                    figures.named.extend(end.chance.map(|chance| chance.as_f64()));
                    return;
                }
            }
            let Some(next) = self.harness.step(start + TWO_HOURS) else { return };
            orders = next;
        }
    }

    fn is_suspect(&self) -> bool {
        self.harness.keeper.snapshot().session == SessionState::Suspect
    }
}
