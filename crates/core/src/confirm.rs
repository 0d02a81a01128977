//! Gate 4: is the rejection stable? What one confirmation has gathered, and when it is enough.
//!
//! Rejections come in bursts. Requests of one burst may share a connection and so a worker, which
//! is why a burst counts once however many rejections it holds. Where the backend names its
//! instances, all of them must refuse; where it does not, statistics decide (`backend.rs`).

use alloc::vec::Vec;

use crate::answer::Grade;
use crate::backend::{HistoryUse, MIN_BURST_GAP, Rejected};
use crate::chance::Chance;
use crate::confirm_context::{ConfirmContext, ServerHealth, Token};
use crate::event::Reason;
use crate::label::Origin;
use crate::options::Confirm;
use crate::session::{RejectedAnswer, Rule};
use crate::time::{Duration, Instant};

/// After a wake-up or a restart a store or a key may not be ready: the last rejection must come at
/// least this long after the server was proven awake.
pub(crate) const WARM_UP: Duration = Duration::from_secs(10);
/// When the next burst would come later than this a confirmation ends the session, whatever is still
/// open: G2 promises 60 s, and its answer and a health probe take their time.
const LIMIT: Duration = Duration::from_secs(58);
/// The same for a backend that was caught contradicting itself, 120 s, and for weak ones that
/// no health path can back: a platform that answers 401 while it wakes does so for 90 s at most.
const LONG_LIMIT: Duration = Duration::from_secs(118);
/// Bursts further apart have lost some between them, which says nothing of the next.
const SLOWEST: Duration = Duration::from_secs(9);
/// How long checks that lead to nothing go on every 6 s; then one each 30 s is enough.
const FAST_RETRY_PERIOD: Duration = Duration::from_secs(120);
/// The pace after that.
const SLOW_INTERVAL: Duration = Duration::from_secs(30);
/// A new process is known this late where only the health path tells of it.
const KNOWN_LATE: Duration = Duration::from_secs(15);
/// How many rejections are kept as evidence; the first ones and the last one tell the story.
const KEPT: usize = 16;

/// Why the rejections are to be believed, and how likely that is wrong where it was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    pub(crate) rule: Rule,
    pub(crate) chance: Option<Chance>,
}

/// A rejection with the moments that matter: when the question was asked, and when its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    pub(crate) sent_at: Instant,
    pub(crate) received_at: Instant,
    /// Its body is a page, as a platform or a proxy sends one.
    pub(crate) is_page: bool,
    pub(crate) rejection: RejectedAnswer,
}

#[derive(Debug)]
pub(crate) struct Confirmation {
    /// The first rejection: what was asked later can refute it.
    since: Instant,
    /// The time limit counts from here: a night asleep or a dead server is no time in which the
    /// token was rejected.
    answering_since: Instant,
    last_burst: Instant,
    /// A floor that the server asked for.
    not_before: Instant,
    /// The page could not run until then, or must not yet.
    paused_until: Instant,
    rejections: Vec<RejectedAnswer>,
    counted: u32,
    /// Rejected bursts, and when the last of them was asked.
    bursts: u32,
    burst_asked: Instant,
    /// How far apart the last two were.
    cycle: Duration,
    span: Option<Span>,
    by_instance: Vec<(Origin, Span)>,
    /// Weak rejections that wait for the health path's corroboration.
    waiting: Vec<Rejection>,
    /// How much those that count prove: only the strongest do.
    corroboration: Corroboration,
    /// The health path can prove nothing, or there is none.
    unprovable: bool,
    /// Why nothing speaks for it, when nothing does.
    void: Reason,
}

/// Who stands behind the rejections that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Corroboration {
    /// They are the server's own.
    Direct,
    /// The health path proved the server awake meanwhile.
    Health,
    /// There is no health path.
    Missing,
}

/// From the first counted rejection to the last.
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
        self.last.since(self.first) >= MIN_BURST_GAP
    }
}

impl Confirmation {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            answering_since: now,
            last_burst: now,
            not_before: now,
            paused_until: now,
            rejections: Vec::new(),
            counted: 0,
            bursts: 0,
            burst_asked: now,
            cycle: MIN_BURST_GAP,
            span: None,
            by_instance: Vec::new(),
            waiting: Vec::new(),
            corroboration: Corroboration::Direct,
            unprovable: false,
            void: Reason::ServerNotAwake,
        }
    }

    /// Takes a rejection that passed gates 1 and 2.
    pub(crate) fn rejected(&mut self, rejection: Rejection) {
        match rejection.rejection.grade {
            Grade::Strong => self.count(rejection, Corroboration::Direct),
            Grade::Weak | Grade::Password => self.waiting.push(rejection),
        }
    }

    /// Whether a page waits for the health path: something in front of the server may have sent
    /// it.
    pub(crate) fn waits_for_page(&self) -> bool {
        self.waiting.iter().any(|rejection| rejection.is_page)
    }

    /// Whether weak rejections wait for the health path.
    pub(crate) fn needs_health(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The health path proved the server awake by an answer to a question asked at `sent_at`, or
    /// there is none to ask.
    pub(crate) fn proven(&mut self, sent_at: Instant, corroboration: Corroboration) {
        while let Some(at) =
            self.waiting.iter().position(|rejection| rejection.received_at <= sent_at)
        {
            let mut rejection = self.waiting.remove(at);
            let is_password = rejection.rejection.grade == Grade::Password;
            if is_password && corroboration == Corroboration::Missing {
                // A wall in front of everything says the same, and nothing tells them apart.
                continue;
            }
            rejection.rejection.grade = Grade::Weak;
            self.count(rejection, corroboration);
        }
        match corroboration {
            Corroboration::Missing => self.unprovable = true,
            Corroboration::Health => self.unprovable = false,
            Corroboration::Direct => {}
        }
    }

    /// Whether the health path has shown that it can prove nothing: it is not waited for again.
    pub(crate) const fn is_unprovable(&self) -> bool {
        self.unprovable
    }

    /// The health path answered without a corroboration: what waited for it counts for nothing.
    pub(crate) fn health_failed(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing speaks for this confirmation any more.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.rejections.is_empty() && self.waiting.is_empty()
    }

    pub(crate) const fn why_unsupported(&self) -> Reason {
        self.void
    }

    fn count(
        &mut self,
        Rejection { sent_at, received_at, rejection, .. }: Rejection,
        corroboration: Corroboration,
    ) {
        if self.counted > 0 && corroboration > self.corroboration {
            // What a proxy says adds nothing to what the server itself has said.
            return;
        }
        if corroboration < self.corroboration {
            self.count_anew();
        }
        self.corroboration = corroboration;
        if self.counted == 0 || sent_at.since(self.burst_asked) >= MIN_BURST_GAP {
            if self.counted > 0 {
                self.cycle = sent_at.since(self.burst_asked).min(SLOWEST);
            }
            self.bursts += 1;
            self.burst_asked = sent_at;
        }
        self.counted += 1;
        self.span = Some(Span::stretch(self.span, received_at));
        if rejection.instance.is_some() {
            let origin = rejection.origin();
            let known = self.by_instance.iter_mut().find(|(known, _)| *known == origin);
            match known {
                Some((_, span)) => span.last = received_at,
                None => self.by_instance.push((origin, Span::stretch(None, received_at))),
            }
        }
        if self.rejections.len() == KEPT {
            self.rejections.pop();
        }
        self.rejections.push(rejection);
    }

    /// What counted so far is told, and counts no more.
    fn count_anew(&mut self) {
        (self.counted, self.bursts, self.span) = (0, 0, None);
        self.by_instance.clear();
    }

    /// Why the rejections are to be believed now, if they are.
    pub(crate) fn verdict(&self, context: ConfirmContext<'_>) -> Option<Conclusion> {
        let span = self.span?;
        let by = |rule| Some(Conclusion { rule, chance: None });
        if context.confirm == Confirm::Immediate {
            return by(Rule::Immediate);
        }
        // One rejection without a name among others must not stand in for an instance that was
        // never asked.
        let named = !self.by_instance.is_empty() && self.corroboration == Corroboration::Direct;
        // Workers that answered may all reject a token that only another one knows: until it was
        // accepted once, that it is unknown to those proves nothing.
        let named = named && context.token != Token::New;
        let chance = (!named).then(|| self.chance(context, span));
        let warm = context.woken.is_none_or(|woken| span.last >= woken.plus(WARM_UP));
        if warm && span.is_apart() {
            if context.token == Token::RunOut {
                return by(Rule::Expired);
            }
            if named && context.instances.are_known() && self.all_instances(context) {
                return by(Rule::Instances);
            }
            if let (Some(chance), Confirm::Below(most)) = (chance, context.confirm)
                && chance < context.backend.bound(most)
                && self.bursts >= 2
                && self.corroboration != Corroboration::Missing
            {
                return Some(Conclusion { rule: Rule::Chance, chance: Some(chance) });
            }
        }
        let long =
            context.backend.contradicts_itself() || self.corroboration == Corroboration::Missing;
        let limit = if long { LONG_LIMIT } else { LIMIT };
        let next = span.last.plus(self.cycle);
        let over = next.since(self.answering_since) > limit;
        over.then_some(Conclusion { rule: Rule::Limit, chance })
    }

    /// How likely a good token would have been rejected so often.
    fn chance(&self, context: ConfirmContext<'_>, span: Span) -> Chance {
        let known = self.corroboration == Corroboration::Direct && context.token != Token::New;
        let mind = if known { HistoryUse::Known } else { HistoryUse::Unknown };
        context
            .backend
            .chance(mind, Rejected { bursts: self.bursts, span: span.last.since(span.first) })
    }

    fn all_instances(&self, context: ConfirmContext<'_>) -> bool {
        context.instances.recent(context.now).all(|seen| {
            let rejected = self.by_instance.iter().find(|(origin, _)| *origin == seen.origin());
            rejected.is_some_and(|(_, span)| span.is_apart())
        })
    }

    /// When to ask again; not before `closed`, when the connections of the burst before are closed.
    pub(crate) fn next_burst(
        &self,
        woken: Option<Instant>,
        server: ServerHealth,
        closed: Instant,
    ) -> Instant {
        let next =
            self.last_burst.plus(if self.is_fast(server) { MIN_BURST_GAP } else { SLOW_INTERVAL });
        let next = if self.last_burst == Instant::default() { next } else { next.max(closed) };
        // A second burst before the server is warm could not settle anything.
        let warm = woken.filter(|_| self.counted == 1).map_or(next, |woken| woken.plus(WARM_UP));
        next.max(warm).max(self.not_before).max(self.paused_until)
    }

    /// How many requests a burst may hold, of `spare` ones that the server can take: a weak
    /// rejection asks for a health probe too, and where nothing comes of it one is enough.
    pub(crate) fn burst_size(&self, available: usize, server: ServerHealth) -> usize {
        let asks_health = self.needs_health() || self.corroboration == Corroboration::Health;
        let most = if self.is_fast(server) { available } else { 1 };
        most.saturating_sub(usize::from(asks_health)).max(1)
    }

    /// By the burst before, not by the clock: the answer must not change while it is waited for.
    fn is_fast(&self, server: ServerHealth) -> bool {
        server == ServerHealth::Well
            && self.last_burst.since(self.answering_since) < FAST_RETRY_PERIOD
    }

    pub(crate) const fn burst_sent(&mut self, now: Instant) {
        self.last_burst = now;
    }

    /// The server asks for patience; a floor, not a verdict.
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.not_before = self.not_before.max(at);
    }

    /// The page could not run: what was rejected before is about another time (gate 1), nothing is
    /// asked before `at`, and the limit counts from there.
    pub(crate) fn interrupted(&mut self, at: Instant) {
        self.paused_until = at;
        self.answering_since = at;
        self.waiting.clear();
        self.count_anew();
    }

    /// The server is back after an outage: the bursts before it are long past.
    pub(crate) fn expedite(&mut self) {
        self.last_burst = Instant::default();
    }

    /// The first good answer after an outage: the limit counts from there.
    pub(crate) fn answered_again(&mut self, now: Instant) {
        self.answering_since = now;
    }

    /// The server started again: what its predecessor said is about another process.
    pub(crate) fn start_over(&mut self, now: Instant) {
        let since = self.since;
        let last_burst = Instant::default();
        // The process may have started before the first rejection, and be known only now: then
        // the limit counts from that rejection.
        let is_young = now.since(self.answering_since) <= KNOWN_LATE;
        let answering_since = if is_young { self.answering_since } else { now };
        *self =
            Self { since, answering_since, last_burst, void: Reason::Restarted, ..Self::new(now) };
    }

    /// Whether an answer to a question asked at `sent_at` can refute: one that was asked before the
    /// first rejection may have been answered before the session ended.
    pub(crate) fn is_refuted_by(&self, sent_at: Instant) -> bool {
        sent_at >= self.since
    }

    /// Whether rejections name the instance that they are of.
    pub(crate) fn is_named(&self) -> bool {
        self.rejections.iter().any(|rejection| rejection.instance.is_some())
    }

    /// Whether it rests on rejections that prove nothing by themselves.
    pub(crate) fn is_weak(&self) -> bool {
        let first = self.rejections.first();
        !self.waiting.is_empty() || first.is_some_and(|first| first.grade == Grade::Weak)
    }

    pub(crate) fn began_after(&self, at: Instant) -> bool {
        self.since > at
    }

    pub(crate) const fn counted(&self) -> u32 {
        self.counted
    }

    /// Rejected bursts that were the server's own, as far as anybody can tell.
    pub(crate) fn bursts_of_the_server(&self) -> u32 {
        if self.corroboration == Corroboration::Missing { 0 } else { self.bursts }
    }

    /// Whether all that counted came before the server was ready, by `woken`.
    pub(crate) fn is_of_a_cold_server(&self, woken: Option<Instant>) -> bool {
        let (Some(span), Some(woken)) = (self.span, woken) else { return false };
        span.last < woken.plus(WARM_UP)
    }

    /// Whether that instance alone rejected.
    pub(crate) fn is_of_one_instance(&self, accepting: Origin) -> bool {
        matches!(self.by_instance.as_slice(), [(origin, _)] if *origin == accepting)
    }

    pub(crate) fn into_rejections(self) -> Vec<RejectedAnswer> {
        self.rejections
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
