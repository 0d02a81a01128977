//! Gate 4: is the refusal stable? What one suspicion has gathered, and when it is enough.
//!
//! Refusals come in bursts. Requests of one burst may share a connection and so a worker, which
//! is why a burst counts once however many refusals it holds. Where the backend names its
//! instances, all of them must refuse; where it does not, statistics decide (`backend.rs`).

use alloc::vec::Vec;

use crate::answer::Grade;
use crate::backend::{APART, Backend, Mind, Refused};
use crate::chance::Chance;
use crate::history::{Origin, Why};
use crate::instances::Instances;
use crate::options::Confirm;
use crate::session::{Refusal, Rule};
use crate::time::{Duration, Instant};

/// After a wake-up or a restart a store or a key may not be ready: the last refusal must come at
/// least this long after the server was proven awake.
pub(crate) const WARM: Duration = Duration::from_secs(10);
/// When the next burst would come later than this a suspicion ends the session, whatever is still
/// open: G2 promises 60 s, and its answer and a health probe take their time.
const LIMIT: Duration = Duration::from_secs(58);
/// The same for a backend that was caught contradicting itself, 120 s, and for weak refusals that
/// no health path can back: a platform that answers 401 while it wakes does so for 90 s at most.
const LONG_LIMIT: Duration = Duration::from_secs(118);
/// Bursts further apart have lost some between them, which says nothing of the next.
const SLOWEST: Duration = Duration::from_secs(9);
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
    pub(crate) backend: &'a Backend,
    pub(crate) token: Token,
    pub(crate) confirm: Confirm,
}

/// Why the refusals are to be believed, and how likely that is wrong where it was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) chance: Option<Chance>,
}

/// A refusal with the moments that matter: when the question was asked, and when its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) asked: Instant,
    pub(crate) came: Instant,
    pub(crate) refusal: Refusal,
}

/// What is known of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// It was accepted before, or may have been.
    Current,
    /// It was handed over in this page and never accepted: what others say of the backend is no
    /// reason to doubt a token that it has just issued.
    New,
    /// It has run out, by the server's clock.
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
    /// Refused bursts, and when the last of them was asked.
    bursts: u32,
    burst_asked: Instant,
    /// How far apart the last two were.
    cycle: Duration,
    span: Option<Span>,
    by_instance: Vec<(Origin, Span)>,
    /// Weak refusals that wait for the health path's proof.
    waiting: Vec<Heard>,
    /// How much those that count prove: only the strongest do.
    proof: Proof,
    /// Why nothing speaks for it, when nothing does.
    void: Why,
}

/// Who stands behind the refusals that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proof {
    /// They are the server's own.
    Own,
    /// The health path proved the server awake meanwhile.
    ByHealth,
    /// There is no health path.
    None,
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
            bursts: 0,
            burst_asked: now,
            cycle: APART,
            span: None,
            by_instance: Vec::new(),
            waiting: Vec::new(),
            proof: Proof::Own,
            void: Why::ServerNotAwake,
        }
    }

    /// Takes a refusal that passed gates 1 and 2.
    pub(crate) fn refused(&mut self, heard: Heard) {
        match heard.refusal.grade {
            Grade::Strong => self.count(heard, Proof::Own),
            Grade::Weak => self.waiting.push(heard),
        }
    }

    /// Whether weak refusals wait for the health path.
    pub(crate) fn needs_health(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The health path proved the server awake by an answer to a question asked at `asked`, or
    /// there is none to ask.
    pub(crate) fn proven(&mut self, asked: Instant, proof: Proof) {
        while let Some(at) = self.waiting.iter().position(|heard| heard.came <= asked) {
            let heard = self.waiting.remove(at);
            self.count(heard, proof);
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

    pub(crate) const fn why_groundless(&self) -> Why {
        self.void
    }

    fn count(&mut self, Heard { asked, came, refusal }: Heard, proof: Proof) {
        if self.counted > 0 && proof > self.proof {
            // What a proxy says adds nothing to what the server itself has said.
            return;
        }
        if proof < self.proof {
            self.count_anew();
        }
        self.proof = proof;
        if self.counted == 0 || asked.since(self.burst_asked) >= APART {
            if self.counted > 0 {
                self.cycle = asked.since(self.burst_asked).min(SLOWEST);
            }
            self.bursts += 1;
            self.burst_asked = asked;
        }
        self.counted += 1;
        self.span = Some(Span::stretch(self.span, came));
        if refusal.instance.is_some() {
            let origin = refusal.origin();
            let known = self.by_instance.iter_mut().find(|(known, _)| *known == origin);
            match known {
                Some((_, span)) => span.last = came,
                None => self.by_instance.push((origin, Span::stretch(None, came))),
            }
        }
        if self.refusals.len() == KEPT {
            self.refusals.pop();
        }
        self.refusals.push(refusal);
    }

    /// What counted so far is told, and counts no more.
    fn count_anew(&mut self) {
        (self.counted, self.bursts, self.span) = (0, 0, None);
        self.by_instance.clear();
    }

    /// Why the refusals are to be believed now, if they are.
    pub(crate) fn verdict(&self, setting: Setting<'_>) -> Option<Finding> {
        let span = self.span?;
        let by = |rule| Some(Finding { rule, chance: None });
        if setting.confirm == Confirm::Immediate {
            return by(Rule::Immediate);
        }
        // One refusal without a name among others must not stand in for an instance that was
        // never asked.
        let named = !self.by_instance.is_empty() && self.proof == Proof::Own;
        // Workers that were heard may all refuse a token that only another one knows: until it was
        // accepted once, that it is unknown to those proves nothing.
        let named = named && setting.token != Token::New;
        let chance = (!named).then(|| self.chance(setting, span));
        let warm = setting.woken.is_none_or(|woken| span.last >= woken.plus(WARM));
        if warm && span.is_apart() {
            if setting.token == Token::RunOut {
                return by(Rule::Expired);
            }
            if named && setting.instances.are_known() && self.all_instances(setting) {
                return by(Rule::Instances);
            }
            if let (Some(chance), Confirm::Below(most)) = (chance, setting.confirm)
                && chance < setting.backend.bound(most)
                && self.bursts >= 2
                && self.proof != Proof::None
            {
                return Some(Finding { rule: Rule::Chance, chance: Some(chance) });
            }
        }
        let long = setting.backend.contradicts_itself() || self.proof == Proof::None;
        let limit = if long { LONG_LIMIT } else { LIMIT };
        let next = span.last.plus(self.cycle);
        let over = next.since(self.answering_since) > limit;
        over.then_some(Finding { rule: Rule::Limit, chance })
    }

    /// How likely a good token would have been refused so often.
    fn chance(&self, setting: Setting<'_>, span: Span) -> Chance {
        let known = self.proof == Proof::Own && setting.token != Token::New;
        let mind = if known { Mind::Known } else { Mind::Unknown };
        setting
            .backend
            .chance(mind, Refused { bursts: self.bursts, span: span.last.since(span.first) })
    }

    fn all_instances(&self, setting: Setting<'_>) -> bool {
        setting.instances.lately(setting.now).all(|seen| {
            let refused = self.by_instance.iter().find(|(origin, _)| *origin == seen.origin());
            refused.is_some_and(|(_, span)| span.is_apart())
        })
    }

    /// When to ask again; not before `closed`, when the connections of the burst before are closed.
    pub(crate) fn next_burst(
        &self,
        woken: Option<Instant>,
        server: Mood,
        closed: Instant,
    ) -> Instant {
        let next = self.last_burst.plus(if self.is_brisk(server) { APART } else { CALM });
        let next = if self.last_burst == Instant::default() { next } else { next.max(closed) };
        // A second burst before the server is warm could not settle anything.
        let warm = woken.filter(|_| self.counted == 1).map_or(next, |woken| woken.plus(WARM));
        next.max(warm).max(self.not_before).max(self.rests_until)
    }

    /// How many requests a burst may hold, of `spare` ones that the server can bear: a weak
    /// refusal asks for a health probe too, and where nothing comes of it one is enough.
    pub(crate) fn burst_size(&self, spare: usize, server: Mood) -> usize {
        let asks_health = self.needs_health() || self.proof == Proof::ByHealth;
        let most = if self.is_brisk(server) { spare } else { 1 };
        most.saturating_sub(usize::from(asks_health)).max(1)
    }

    /// By the burst before, not by the clock: the answer must not change while it is waited for.
    fn is_brisk(&self, server: Mood) -> bool {
        server == Mood::Well && self.last_burst.since(self.answering_since) < BRISK_FOR
    }

    pub(crate) const fn burst_sent(&mut self, now: Instant) {
        self.last_burst = now;
    }

    /// The server asks for patience; a floor, not a verdict.
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.not_before = self.not_before.max(at);
    }

    /// The page could not run: what was refused before is about another time (gate 1), nothing is
    /// asked before `at`, and the limit counts from there.
    pub(crate) fn interrupted(&mut self, at: Instant) {
        self.rests_until = at;
        self.answering_since = at;
        self.waiting.clear();
        self.count_anew();
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
        let last_burst = Instant::default();
        *self = Self { since, last_burst, void: Why::Restarted, ..Self::new(now) };
    }

    /// Whether an answer to a question asked at `asked` can refute: one that was asked before the
    /// first refusal may have been answered before the session ended.
    pub(crate) fn is_refuted_by(&self, asked: Instant) -> bool {
        asked >= self.since
    }

    /// Whether refusals name the instance that they are of.
    pub(crate) fn is_named(&self) -> bool {
        self.refusals.iter().any(|refusal| refusal.instance.is_some())
    }

    pub(crate) fn began_after(&self, at: Instant) -> bool {
        self.since > at
    }

    pub(crate) const fn counted(&self) -> u32 {
        self.counted
    }

    /// Refused bursts that were the server's own, as far as anybody can tell.
    pub(crate) fn bursts_of_the_server(&self) -> u32 {
        if self.proof == Proof::None { 0 } else { self.bursts }
    }

    /// Whether all that counted came before the server was ready, by `woken`.
    pub(crate) fn is_of_a_cold_server(&self, woken: Option<Instant>) -> bool {
        let (Some(span), Some(woken)) = (self.span, woken) else { return false };
        span.last < woken.plus(WARM)
    }

    /// Whether that instance alone refused.
    pub(crate) fn is_of_one_instance(&self, accepting: Origin) -> bool {
        matches!(self.by_instance.as_slice(), [(origin, _)] if *origin == accepting)
    }

    pub(crate) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
