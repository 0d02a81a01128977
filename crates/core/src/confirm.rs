//! Gate 4: is the refusal stable? What one suspicion has gathered, and when it is enough.
//!
//! Refusals come in bursts. Requests of one burst may share a connection and so a worker, which
//! is why a burst counts once however many refusals it holds, and why bursts are further apart
//! than the usual keep-alive (gunicorn keeps a connection for 2 s, uvicorn for 5 s).

use alloc::vec::Vec;

use crate::answer::Grade;
use crate::instances::Instances;
use crate::label::Label;
use crate::options::Confirm;
use crate::session::{Refusal, Rule};
use crate::time::{Duration, Instant};

/// Between bursts.
const APART: Duration = Duration::from_secs(6);
/// After a wake-up or a restart a store or a key may not be ready: the last refusal must come at
/// least this long after the server was proven awake.
pub(crate) const WARM: Duration = Duration::from_secs(10);
/// At this age a suspicion ends the session whatever is still open: one burst earlier than the
/// 60 s of G2, which must have room for the burst that is refused.
const LIMIT: Duration = Duration::from_secs(54);
/// The same for a backend that was caught disagreeing with itself: 120 s.
const LIMIT_DISAGREEING: Duration = Duration::from_secs(114);
/// How long checks that lead to nothing go on every 6 s; then one each 30 s is enough.
const BRISK_FOR: Duration = Duration::from_secs(120);
/// The pace after that.
const CALM: Duration = Duration::from_secs(30);
/// How many refusals are kept as evidence; the first ones and the last one tell the story.
const KEPT: usize = 16;

/// What decides besides the refusals themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) now: Instant,
    pub(crate) instances: &'a Instances,
    pub(crate) woken: Option<Instant>,
    pub(crate) backend: Backend,
    pub(crate) token: Token,
    pub(crate) confirm: Confirm,
}

/// What is known of the backend's mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// It never contradicted itself.
    Agreeing,
    /// A 401 of it was refuted by a 2xx for the same token.
    Disagreeing,
}

/// Whether the token is known to have run out, by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Current,
    RunOut,
}

/// Whether the server answers as it should while it is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Bad,
}

#[derive(Debug)]
pub(crate) struct Suspicion {
    /// The first refusal: what was asked later can refute it.
    since: Instant,
    /// The time limit counts from here: a night asleep or a dead server is no time in which the
    /// token was refused.
    answering_since: Instant,
    last_burst: Instant,
    /// A floor that the server asked for.
    not_before: Instant,
    /// The page could not run until then, or must not yet.
    rests_until: Instant,
    refusals: Vec<Refusal>,
    counted: u32,
    span: Option<Span>,
    by_instance: Vec<(Label, Span)>,
    /// Weak refusals that wait for the health path's proof, with the moment they came.
    waiting: Vec<(Instant, Refusal)>,
}

/// From the first counted refusal to the last.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: Instant,
    last: Instant,
}

impl Span {
    fn stretch(span: Option<Self>, now: Instant) -> Self {
        Self { first: span.map_or(now, |span| span.first), last: now }
    }

    fn is_apart(self) -> bool {
        self.last.since(self.first) >= APART
    }
}

impl Suspicion {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            answering_since: now,
            last_burst: now,
            not_before: now,
            rests_until: now,
            refusals: Vec::new(),
            counted: 0,
            span: None,
            by_instance: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Takes a refusal that passed gates 1 and 2.
    pub(crate) fn refused(&mut self, now: Instant, refusal: Refusal) {
        match refusal.grade {
            Grade::Strong => self.count(now, refusal),
            Grade::Weak => self.waiting.push((now, refusal)),
        }
    }

    /// Whether weak refusals wait for the health path.
    pub(crate) fn needs_health(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The health path proved the server awake by an answer to a question asked at `asked`.
    pub(crate) fn health_proven(&mut self, asked: Instant) {
        while let Some(at) = self.waiting.iter().position(|(came, _)| *came <= asked) {
            let (came, refusal) = self.waiting.remove(at);
            self.count(came, refusal);
        }
    }

    /// The health path answered without a proof: what waited for it counts for nothing.
    pub(crate) fn health_failed(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing speaks for this suspicion any more.
    pub(crate) fn is_groundless(&self) -> bool {
        self.refusals.is_empty() && self.waiting.is_empty()
    }

    fn count(&mut self, at: Instant, refusal: Refusal) {
        self.counted += 1;
        self.span = Some(Span::stretch(self.span, at));
        if let Some(instance) = &refusal.instance {
            let known = self.by_instance.iter_mut().find(|(name, _)| name == instance);
            match known {
                Some((_, span)) => span.last = at,
                None => self.by_instance.push((*instance, Span::stretch(None, at))),
            }
        }
        if self.refusals.len() == KEPT {
            self.refusals.pop();
        }
        self.refusals.push(refusal);
    }

    /// The rule by which the refusals are to be believed now, if one is met.
    pub(crate) fn verdict(&self, setting: Setting<'_>) -> Option<Rule> {
        let span = self.span?;
        if setting.confirm == Confirm::Immediate {
            return Some(Rule::Immediate);
        }
        let warm = setting.woken.is_none_or(|woken| span.last >= woken.plus(WARM));
        if warm && span.is_apart() {
            if setting.token == Token::RunOut {
                return Some(Rule::Expired);
            }
            // One refusal without a name among others must not stand in for an instance that
            // was never asked.
            let named = !self.by_instance.is_empty();
            if !named && setting.backend == Backend::Agreeing {
                return Some(Rule::Repeated);
            }
            if named && setting.instances.are_known() && self.all_instances(setting) {
                return Some(Rule::Instances);
            }
        }
        let limit = match setting.backend {
            Backend::Agreeing => LIMIT,
            Backend::Disagreeing => LIMIT_DISAGREEING,
        };
        (span.last.since(self.answering_since) >= limit).then_some(Rule::Limit)
    }

    fn all_instances(&self, setting: Setting<'_>) -> bool {
        setting.instances.lately(setting.now).all(|seen| {
            let refused = self.by_instance.iter().find(|(name, _)| *name == seen.instance);
            refused.is_some_and(|(_, span)| span.is_apart())
        })
    }

    /// When to ask again.
    pub(crate) fn next_burst(&self, woken: Option<Instant>, server: Mood) -> Instant {
        // By the burst before, not by the clock: the answer must not change while it is waited for.
        let brisk = server == Mood::Well && self.last_burst.since(self.answering_since) < BRISK_FOR;
        let next = self.last_burst.plus(if brisk { APART } else { CALM });
        // A second burst before the server is warm could not settle anything.
        let warm = woken.filter(|_| self.counted == 1).map_or(next, |woken| woken.plus(WARM));
        next.max(warm).max(self.not_before).max(self.rests_until)
    }

    /// How many requests the burst at hand may hold: with the health probe that a weak refusal
    /// asks for at most three in any 6 s, for a million users who all lost their token.
    pub(crate) const BURST: usize = 2;

    pub(crate) const fn burst_sent(&mut self, now: Instant) {
        self.last_burst = now;
    }

    /// The server asks for patience; a floor, not a verdict.
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.not_before = self.not_before.max(at);
    }

    /// The page could not run: nothing is asked before `at`, and the limit counts from there.
    pub(crate) fn interrupted(&mut self, at: Instant) {
        self.rests_until = at;
        self.answering_since = at;
    }

    /// The server is back after a bad spell: the bursts before it are long past.
    pub(crate) fn hurry(&mut self) {
        self.last_burst = Instant::default();
    }

    /// The first good answer after a bad spell: the limit counts from there.
    pub(crate) fn answered_again(&mut self, now: Instant) {
        self.answering_since = now;
    }

    /// The server started anew: what its predecessor said is about another process.
    pub(crate) fn start_over(&mut self, now: Instant) {
        let since = self.since;
        *self = Self { since, last_burst: Instant::default(), ..Self::new(now) };
    }

    /// Whether an answer to a question asked at `asked` can refute: one that was asked before the
    /// first refusal may have been answered before the session ended.
    pub(crate) fn is_refuted_by(&self, asked: Instant) -> bool {
        asked >= self.since
    }

    pub(crate) const fn counted(&self) -> u32 {
        self.counted
    }

    pub(crate) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
