//! A restart that loses everybody's token, for many users at once: what the server has to serve.

use session_keeper_core::{
    Body, Effect, Generation, Input, Label, Options, Outcome, Probe, Record, Response, ServerFacts,
    SessionState, StoredSession, TokenId,
};

use super::harness::{Harness, Server};
use crate::rng::Rng;

/// When the restart begins: every page is in its rhythm by then.
const RESTART: u64 = 600_000;
/// How long is watched after it.
const AFTER: u64 = 300_000;

/// What the restart looks like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many users.
    pub users: u64,
    /// How long nothing answers.
    pub outage_ms: u64,
    /// Whether the backend names itself.
    pub named: bool,
}

/// What the server had to bear.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The most requests of one user in any 6 s.
    pub most_in_six: u64,
    /// Users with more than three.
    pub over: u64,
    /// Requests of all users in the busiest second, as a multiple of the usual rate.
    pub peak: f64,
    /// Milliseconds from the server's return until half of all users were signed out.
    pub half: u64,
    /// The same for all but one in a hundred.
    pub nearly_all: u64,
    /// Users who were not signed out in the time that was watched.
    pub left: u64,
}

struct Restarting {
    plan: Plan,
}

impl Server for Restarting {
    fn answer(&mut self, now: u64, probe: Probe) -> Outcome {
        if (RESTART..RESTART + self.plan.outage_ms).contains(&now) {
            return Outcome::NoAnswer;
        }
        let is_new_process = now >= RESTART;
        let status = if is_new_process && probe == Probe::Verify { 401 } else { 200 };
        let name = |new: &str, old: &str| Label::new(if is_new_process { new } else { old });
        let server = if self.plan.named {
            let (boot, instance) = (name("b2", "b1"), name("i2", "i1"));
            ServerFacts { boot, instance, ..ServerFacts::default() }
        } else {
            ServerFacts::default()
        };
        Outcome::Response(Response { status, body: Body::Object, server, ..Response::default() })
    }
}

/// Runs the plan from one seed.
#[must_use]
pub fn measure(plan: Plan, seed: u64) -> Figures {
    let mut rng = Rng::new(seed);
    let mut figures = Figures::default();
    let mut seconds = vec![0_u64; ((RESTART + AFTER) / 1_000) as usize + 1];
    let mut ends = Vec::new();
    for _ in 0..plan.users {
        let (sent, end) = active(plan, &mut rng);
        for at in &sent {
            seconds[(*at / 1_000) as usize] += 1;
        }
        let most = busiest(&sent);
        figures.most_in_six = figures.most_in_six.max(most);
        figures.over += u64::from(most > 3);
        match end {
            Some(end) => ends.push(end.saturating_sub(RESTART + plan.outage_ms)),
            None => figures.left += 1,
        }
    }
    ends.sort_unstable();
    let calm = (RESTART / 1_000 - 300) as usize..(RESTART / 1_000) as usize;
    let usual = seconds[calm].iter().sum::<u64>() as f64 / 300.0;
    let peak = seconds[(RESTART / 1_000) as usize..].iter().max().copied().unwrap_or(0);
    figures.peak = peak as f64 / usual;
    let at = |share: usize| ends.get(ends.len() * share / 100).copied().unwrap_or(0);
    (figures.half, figures.nearly_all) = (at(50), at(99));
    figures
}

/// One user: when requests were sent, and when the session ended.
fn active(plan: Plan, rng: &mut Rng) -> (Vec<u64>, Option<u64>) {
    let mut harness = Harness::new(Options::default(), rng.draw(), Restarting { plan });
    // Everybody opened the page at another moment.
    harness.now = rng.between(0, 300_000);
    let generation = Generation::new(1, TokenId(1)).expect("one is in range");
    harness.record = Record::Session(StoredSession::new(generation));
    let mut sent = Vec::new();
    let mut end = None;
    let mut app_asks = RESTART + plan.outage_ms + rng.between(0, 60_000);
    let mut orders = harness.feed(Input::Start);
    while harness.now < RESTART + AFTER {
        let requests = orders.iter().filter(|order| matches!(order, Effect::Send { .. })).count();
        sent.extend((0..requests).map(|_| harness.now));
        if end.is_none() && harness.keeper.snapshot().session == SessionState::SignedOut {
            end = Some(harness.now);
        }
        orders = if harness.now >= app_asks {
            app_asks += rng.between(1_000, 60_000);
            harness.feed(Input::Report { status: 401 })
        } else {
            harness.step(app_asks.min(RESTART + AFTER)).unwrap_or_default()
        };
    }
    (sent, end)
}

fn busiest(sent: &[u64]) -> u64 {
    let until = |from: u64| sent.iter().filter(|at| (from..from + 6_000).contains(*at)).count();
    let after = sent.iter().filter(|at| **at >= RESTART);
    after.map(|from| until(*from) as u64).max().unwrap_or(0)
}
