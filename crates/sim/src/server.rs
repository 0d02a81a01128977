//! The server and its platform: sleeps, wakes, restarts, forgets, revokes.

use session_keeper_core::{
    AttemptId, Body, Challenge, Duration, Label, Outcome, Probe, Response, ServerFacts, UnixMillis,
};

use crate::families::{Families, Rotation, Token};
use crate::mix::{Mix, Refuses, Wake};
use crate::renewal::{self, Answer, Grant, Mood, RefreshFaults, RejectsBy, Renewal, Told};
use crate::rng::Rng;

/// No token of a server without refreshing runs out.
const NEVER: u64 = u64::MAX / 2;

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

/// What the platform lets through.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time")]
enum Door {
    Open { since: u64 },
    Closed(Handling),
}

/// What becomes of a refresh at the platform's door.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time")]
pub(crate) enum Refreshing {
    /// This, so many milliseconds later.
    Answer(Answer, u64),
    /// Nothing comes back, whatever became of it.
    Lost,
    /// Nothing until then; then it is handled.
    Hold(u64),
}

#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    boot: u64,
    pub(crate) families: Families,
    last_asked: u64,
    was_same: bool,
    mix: Mix,
    /// Refuses tokens that it knows.
    pub(crate) lies: bool,
}

impl Server {
    pub(crate) fn new(mix: Mix, lies: bool) -> Self {
        let process = Process::Up { since: 0 };
        let rotation = mix.renewal.map_or(Rotation::None, |renewal| renewal.rotation);
        let mut families = Families::new(rotation);
        families.renews_repeats = mix.renewal.is_some_and(|it| it.told != Told::Lifetime);
        Self { process, boot: 1, families, last_asked: 0, was_same: false, mix, lies }
    }

    /// A sign-in.
    pub(crate) fn issue(&mut self, now: u64) -> Grant {
        let life = self.mix.renewal.map_or(NEVER, |renewal| renewal.life_ms);
        let token = self.families.begin(now + life);
        self.grant(now, token, false)
    }

    fn grant(&self, now: u64, token: Token, is_same: bool) -> Grant {
        let expires_at = self.families.expires_at(token).unwrap_or_default();
        let (told, life_ms) = self
            .mix
            .renewal
            .map_or((Told::Nothing, NEVER), |renewal| (renewal.told, renewal.life_ms));
        let left_ms = expires_at.saturating_sub(now);
        let expires_at = self.clock(expires_at);
        Grant { token, told, left_ms, life_ms, expires_at, is_same }
    }

    /// What its clock says at that moment.
    fn clock(&self, now: u64) -> UnixMillis {
        let off = self.mix.renewal.map_or(0, |renewal| renewal.clock_ms);
        UnixMillis((crate::world::EPOCH + now).saturating_add_signed(off))
    }

    pub(crate) fn revoke(&mut self, token: Token) {
        self.families.end(token);
    }

    /// The truth: whether the session is still there.
    pub(crate) fn knows(&self, token: Token) -> bool {
        self.families.is_alive(token)
    }

    /// Whether a request with the token is carried out.
    pub(crate) fn accepts(&self, token: Token, now: u64) -> bool {
        self.families.accepts(token, now)
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
        if let Some(renewal) = &mut self.mix.renewal {
            renewal.faults = RefreshFaults::default();
        }
    }

    /// A request at the door.
    pub(crate) fn handle(
        &mut self,
        now: u64,
        probe: Probe,
        token: Option<Token>,
        rng: &mut Rng,
    ) -> Handling {
        match self.open_door(now, rng) {
            Door::Open { since } => Handling::Answer(self.answer(now, since, probe, token)),
            Door::Closed(handling) => handling,
        }
    }

    /// A refresh at the door.
    pub(crate) fn handle_refresh(
        &mut self,
        now: u64,
        token: Token,
        attempt: AttemptId,
        rng: &mut Rng,
    ) -> Refreshing {
        let since = match self.open_door(now, rng) {
            Door::Open { since } => since,
            Door::Closed(Handling::Answer(response)) => {
                return Refreshing::Answer(refresh_answer(response), 0);
            }
            Door::Closed(Handling::Refuse) => return Refreshing::Lost,
            Door::Closed(Handling::Hold(until)) => return Refreshing::Hold(until),
        };
        let Some(renewal) = self.mix.renewal else { return Refreshing::Lost };
        let mood = renewal.mood(rng);
        if matches!(mood, Mood::Busy | Mood::Failing | Mood::Unusable) {
            let response = renewal::no_verdict(mood, self.signed(200, now), rng);
            return Refreshing::Answer(refresh_answer(response), 0);
        }
        // One may come out of a cache; two in a row are believed.
        let again = core::mem::replace(&mut self.was_same, mood == Mood::SameToken);
        let mood = if again && mood == Mood::SameToken { Mood::Well } else { mood };
        // A store that is not there yet knows nobody.
        if now < since + self.mix.unready_ms || self.lies {
            return Refreshing::Answer(self.reject_refresh(now, &renewal), 0);
        }
        let is_fresh = self.families.is_alive(token) && !self.families.is_rotated(token);
        let is_same = mood == Mood::SameToken && is_fresh;
        // Without a word of its age it would only be a token that the server refuses.
        let has_run_out = mood == Mood::RunOut && renewal.told == Told::Lifetime;
        let life = if has_run_out { 0 } else { renewal.life_ms };
        let successor =
            if is_same { Some(token) } else { self.families.refresh(token, attempt, now, life) };
        let Some(successor) = successor else {
            return Refreshing::Answer(self.reject_refresh(now, &renewal), 0);
        };
        let grant = Some(self.grant(now, successor, is_same));
        let answer = Answer { grant, ..refresh_answer(self.signed(200, now)) };
        match mood {
            Mood::Lost => Refreshing::Lost,
            Mood::Crash => {
                self.restarts(now, rng);
                Refreshing::Lost
            }
            Mood::Slow => {
                let most = (renewal.life_ms / 2).min(100_000);
                Refreshing::Answer(answer, rng.between(1_000, most))
            }
            _ => Refreshing::Answer(answer, 0),
        }
    }

    fn reject_refresh(&self, now: u64, renewal: &Renewal) -> Answer {
        match renewal.rejects_by {
            RejectsBy::Unauthorized => refresh_answer(self.rejection(now)),
            RejectsBy::InvalidGrant => {
                Answer { is_invalid_grant: true, ..refresh_answer(self.signed(400, now)) }
            }
        }
    }

    /// Since when the server is up, or what its platform does with a request until it is.
    fn open_door(&mut self, now: u64, rng: &mut Rng) -> Door {
        self.pass(now, rng);
        self.last_asked = now;
        match self.process {
            Process::Up { since } => Door::Open { since },
            Process::Asleep => unreachable!("a request at the door wakes the server"),
            Process::Starting { until, wake } => Door::Closed(match wake {
                Wake::Held => Handling::Hold(until),
                Wake::Rejected => Handling::Refuse,
                Wake::BadGateway => Handling::Answer(page(502)),
                Wake::Unavailable => {
                    let retry_after = Some(Duration::from_secs(rng.between(1, 20)));
                    Handling::Answer(Response { retry_after, ..page(503) })
                }
                Wake::Page => Handling::Answer(page(200)),
                Wake::LoginPage => Handling::Answer(page(401)),
            }),
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
            self.families.end_all();
        }
    }

    fn answer(&mut self, now: u64, since: u64, probe: Probe, token: Option<Token>) -> Response {
        let ready = now >= since + self.mix.unready_ms;
        let known = token.is_some_and(|token| self.accepts(token, now));
        if let Some(token) = token.filter(|_| known && ready) {
            self.families.used(token);
        }
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
        let now = Some(self.clock(now));
        let server = ServerFacts { instance, boot, now, ..ServerFacts::default() };
        Response { status, body: Body::Object, server, ..Response::default() }
    }
}

const fn refresh_answer(response: Response) -> Answer {
    Answer::of(Probe::Refresh, Outcome::Response(response))
}

fn page(status: u16) -> Response {
    Response { status, body: Body::Html, ..Response::default() }
}
