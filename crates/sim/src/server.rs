//! The server and its platform: sleeps, wakes, restarts, forgets, revokes.

use std::collections::BTreeSet;

use session_keeper_core::{
    Body, Challenge, Duration, Label, Probe, Response, ServerFacts, UnixMillis,
};

use crate::mix::{Mix, Refuses, Wake};
use crate::rng::Rng;

/// A token, as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Up { since: u64 },
    Asleep,
    Starting { until: u64, wake: Wake },
}

/// What becomes of a request at the platform's door.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time")]
pub(crate) enum Handling {
    Answer(Response),
    Refuse,
    /// Nothing until then; then it is handled.
    Hold(u64),
}

#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    boot: u64,
    tokens: BTreeSet<Token>,
    issued: u64,
    last_asked: u64,
    mix: Mix,
    /// Refuses tokens that it knows.
    pub(crate) lies: bool,
}

impl Server {
    pub(crate) fn new(mix: Mix, lies: bool) -> Self {
        let process = Process::Up { since: 0 };
        Self { process, boot: 1, tokens: BTreeSet::new(), issued: 0, last_asked: 0, mix, lies }
    }

    pub(crate) fn issue(&mut self) -> Token {
        self.issued += 1;
        self.tokens.insert(Token(self.issued));
        Token(self.issued)
    }

    pub(crate) fn revoke(&mut self, token: Token) {
        self.tokens.remove(&token);
    }

    /// The truth: whether the session is still there.
    pub(crate) fn knows(&self, token: Token) -> bool {
        self.tokens.contains(&token)
    }

    /// Up, and its store too.
    pub(crate) fn is_well(&self, now: u64) -> bool {
        matches!(self.process, Process::Up { since } if now >= since + self.mix.unready_ms)
    }

    pub(crate) fn falls_asleep(&mut self) {
        self.process = Process::Asleep;
    }

    pub(crate) fn restarts(&mut self, now: u64, rng: &mut Rng) {
        let until = now + rng.between(0, 10_000);
        self.process = Process::Starting { until, wake: Wake::Rejected };
        self.start_anew(rng);
    }

    /// It is up from here on, whatever it was doing.
    pub(crate) fn heal(&mut self, now: u64) {
        if !matches!(self.process, Process::Up { .. }) {
            self.process = Process::Up { since: now };
        }
        self.mix.idle_ms = u64::MAX / 2;
        self.mix.unready_ms = 0;
    }

    /// A request at the door.
    pub(crate) fn handle(
        &mut self,
        now: u64,
        probe: Probe,
        token: Option<Token>,
        rng: &mut Rng,
    ) -> Handling {
        self.pass(now, rng);
        self.last_asked = now;
        match self.process {
            Process::Up { since } => Handling::Answer(self.answer(now, since, probe, token)),
            Process::Asleep => unreachable!("a request at the door wakes the server"),
            Process::Starting { until, wake } => match wake {
                Wake::Held => Handling::Hold(until),
                Wake::Rejected => Handling::Refuse,
                Wake::BadGateway => Handling::Answer(page(502)),
                Wake::Unavailable => {
                    let retry_after = Some(Duration::from_secs(rng.between(1, 20)));
                    Handling::Answer(Response { retry_after, ..page(503) })
                }
                Wake::Page => Handling::Answer(page(200)),
                Wake::LoginPage => Handling::Answer(page(401)),
            },
        }
    }

    fn pass(&mut self, now: u64, rng: &mut Rng) {
        if matches!(self.process, Process::Up { .. }) && now > self.last_asked + self.mix.idle_ms {
            self.process = Process::Asleep;
        }
        if self.process == Process::Asleep {
            let until = now + rng.between(3_000, 88_000);
            self.process = Process::Starting { until, wake: self.mix.wake };
            self.start_anew(rng);
        }
        if let Process::Starting { until, .. } = self.process
            && now >= until
        {
            self.process = Process::Up { since: until };
        }
    }

    fn start_anew(&mut self, rng: &mut Rng) {
        self.boot += 1;
        if rng.in_thousand(self.mix.forgetful) {
            self.tokens.clear();
        }
    }

    fn answer(&self, now: u64, since: u64, probe: Probe, token: Option<Token>) -> Response {
        let ready = now >= since + self.mix.unready_ms;
        let known = token.is_some_and(|token| self.tokens.contains(&token));
        match probe {
            Probe::Health => self.signed(200, now),
            Probe::Verify if known && ready && !self.lies => self.signed(200, now),
            Probe::SignOut if known => self.signed(204, now),
            Probe::Verify
            | Probe::SignOut
            | Probe::Candidate(_)
            | Probe::Refresh
            | Probe::Acquire => self.rejection(now),
        }
    }

    fn rejection(&self, now: u64) -> Response {
        let signed = self.signed(401, now);
        match self.mix.rejects {
            Refuses::Named => Response { challenge: Challenge::InvalidToken, ..signed },
            Refuses::Nameless => signed,
            Refuses::Weakly => Response { body: Body::Other, challenge: Challenge::Bare, ..signed },
        }
    }

    fn signed(&self, status: u16, now: u64) -> Response {
        let named = self.mix.rejects == Refuses::Named;
        let name = |kind: &str| Label::new(&format!("{kind}{}", self.boot)).filter(|_| named);
        let (instance, boot) = (name("worker-"), name("boot-"));
        let now = Some(UnixMillis(crate::world::EPOCH + now));
        let server = ServerFacts { instance, boot, now, ..ServerFacts::default() };
        Response { status, body: Body::Object, server, ..Response::default() }
    }
}

fn page(status: u16) -> Response {
    Response { status, body: Body::Html, ..Response::default() }
}
