//! Refreshing the token: when the next attempt goes out, and what the answers add up to (gate 3).
//!
//! Rule: only the server's own rejection of a refresh is evidence, and it is believed when it was
//! repeated. Everything else is no verdict: the attempt is repeated, with the same attempt id,
//! further and further apart. Knows no token, no clock and no schedule of the rest.

use alloc::vec::Vec;

use crate::answer::{Body, Outcome, Response};
use crate::backend::MIN_BURST_GAP;
use crate::challenge::Challenge;
use crate::confirm::WARM_UP;
use crate::label::Label;
use crate::options::Confirm;
use crate::requests::TokenHandle;
use crate::rng::Rng;
use crate::session::{RejectedAnswer, TokenFacts};
use crate::time::{Duration, Instant};

/// After an answer that did not help, and before a 401 leads to another refresh: a server that
/// hands out tokens which have run out must not get a storm.
pub(crate) const REST: Duration = Duration::from_secs(10);
/// Between two refreshes in any case, however short a token lives.
pub(crate) const MIN_GAP: Duration = Duration::from_secs(1);
/// The longest pause between attempts without a verdict.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A token that a 401 has brought and that nobody has accepted for so long may have run out by now:
/// few live shorter, and a request is given up after 90 s.
const UNPROVEN: Duration = Duration::from_secs(120);
/// Refreshes in a row that brought the same token, until a 401 for it counts: one may be an answer
/// out of a cache.
const USELESS: u8 = 2;
/// Rejections that are believed; the second must be as far apart as a burst of a confirmation.
const ENOUGH: usize = 2;
/// Boot ids that begin the rejections again.
const MAX_RESTARTS: u8 = 2;

/// Names one attempt to refresh one token. It is stored before it is sent and stays the same until
/// there is an answer with a newer token, so that a server which knows it (RFC 9700 asks servers to
/// detect reuse) can hand out the same successor again after a lost answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AttemptId(pub u64);

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RefreshAnswer {
    /// The facts of the answer.
    pub outcome: Outcome,
    /// Whether the answer has the error code `invalid_grant` (RFC 6749 section 5.2).
    pub is_invalid_grant: bool,
    /// What was handed out.
    pub token: Option<NewToken>,
}

/// A newer token, or the expiry of a newer cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NewToken {
    /// Which one; the shell keeps it.
    pub token: TokenHandle,
    /// What is known of it.
    pub facts: TokenFacts,
    /// Whether it is the very token that was to be refreshed.
    pub is_same: bool,
}

impl RefreshAnswer {
    /// No answer at all.
    pub const NONE: Self =
        Self { outcome: Outcome::NoAnswer, is_invalid_grant: false, token: None };
}

/// What one answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Refreshed(NewToken),
    /// The server says that the session cannot be refreshed any more.
    Rejected {
        status: u16,
    },
    /// No verdict, and the next attempt may do better.
    Unavailable,
    /// No verdict, and nothing will change by itself: the path, the client or the answer is wrong.
    Unusable,
}

/// What a refresh has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gain {
    /// A token that is good for a while.
    Newer,
    /// One that has run out already, or is about to.
    Old,
    /// The one that there was.
    Same,
}

/// Whether a newer token may be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// Nothing is to be expected, or not soon.
    None,
    /// No refresh that works is known: whoever waits should not, but the session is kept.
    Unlikely,
    /// A refresh is under way, waits for its next attempt, or may start.
    Good,
}

#[derive(Debug, Default)]
pub(crate) struct Refresher {
    under_way: Option<UnderWay>,
    /// A 401 was received for the present token, or the app asked for a newer one.
    wanted: Option<Want>,
    /// No attempt before that.
    not_before: Instant,
    /// What `Retry-After` forbids, whatever hurries the attempt.
    floor: Instant,
    /// The last pause; none while nothing has failed.
    delay: Option<Duration>,
    is_unusable: bool,
    refreshed_at: Option<Instant>,
    /// The present token came of a refresh because of a 401, and was not accepted since.
    is_unproven: bool,
    /// The last ones in a row that brought no better token.
    useless: u8,
    /// Restarts of the server that were seen between rejections of the present token.
    restarts: u8,
    rejections: Vec<Rejected>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    sent: Instant,
    /// The page slept meanwhile: a rejection is about another time (gate 1).
    is_interrupted: bool,
}

/// Why a refresh is wanted at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// The app asked for a newer token.
    App,
    /// The server has refused the token.
    Unauthorized,
}

#[derive(Clone, Copy, Debug)]
struct Rejected {
    received_at: Instant,
    answer: RejectedAnswer,
}

impl Refresher {
    /// Another session, or another tab's token: what was known is about an older one.
    pub(crate) fn reset(&mut self) {
        let Self { floor, .. } = *self;
        *self = Self { floor, ..Self::default() };
    }

    pub(crate) fn want(&mut self, want: Want) {
        self.wanted = self.wanted.max(Some(want));
    }

    /// Whether somebody waits for a newer token, whatever the age of the present one.
    pub(crate) const fn wanted(&self) -> Option<Want> {
        self.wanted
    }

    /// No newer token is to be had for now. Returns whether one was wanted.
    pub(crate) const fn give_up_want(&mut self) -> bool {
        self.wanted.take().is_some()
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the refresh has failed since it last succeeded.
    pub(crate) const fn has_failed(&self) -> bool {
        self.delay.is_some()
    }

    /// When the next attempt goes out; `due` is when the token is to be refreshed by its age.
    pub(crate) fn next_attempt(&self, due: Option<Instant>) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let is_pending = self.wanted.is_some() || !self.rejections.is_empty();
        let due = if is_pending { Instant::default() } else { due? };
        Some(due.max(self.not_before).max(self.floor))
    }

    /// Whether a newer token may be expected for a token that was refused, or has run out.
    pub(crate) fn prospect(&self, now: Instant, has_run_out: bool) -> Prospect {
        if self.is_unusable {
            return Prospect::Unlikely;
        }
        if self.under_way.is_some() || self.wanted.is_some() || self.delay.is_some() {
            return Prospect::Good;
        }
        if has_run_out || self.useless > 0 {
            // A 401 says nothing new: only the next refresh can.
            return match self.not_before > now {
                true if has_run_out || self.useless < USELESS => Prospect::Unlikely,
                true => Prospect::None,
                false => Prospect::Good,
            };
        }
        // A refresh whose token the server refuses as well has not helped.
        let unproven = if self.is_unproven { UNPROVEN } else { REST };
        let rests = self.refreshed_at.is_some_and(|at| now.since(at) < unproven);
        if rests { Prospect::None } else { Prospect::Good }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.under_way = Some(UnderWay { sent: now, is_interrupted: false });
    }

    /// How long ago the attempt under way was sent.
    pub(crate) fn took(&self, now: Instant) -> Duration {
        self.under_way.map_or(Duration::ZERO, |under_way| now.since(under_way.sent))
    }

    /// The page could not run: what was asked or answered before is about another time.
    pub(crate) fn interrupt(&mut self) {
        self.rejections.clear();
        if let Some(under_way) = &mut self.under_way {
            under_way.is_interrupted = true;
        }
    }

    /// The server is back: ask now what failed before.
    pub(crate) fn expedite(&mut self, now: Instant) {
        if self.delay.is_some() && !self.is_unusable && self.rejections.is_empty() {
            self.not_before = self.not_before.min(now);
        }
    }

    /// A verification accepted the present token.
    pub(crate) fn accepted(&mut self) {
        (self.is_unproven, self.useless) = (false, 0);
        self.wanted = self.wanted.filter(|want| *want != Want::Unauthorized);
    }

    /// A newer token is here. Returns whether it was wanted because of a 401.
    pub(crate) fn refreshed(&mut self, now: Instant, gain: Gain) -> bool {
        let by_401 = self.wanted == Some(Want::Unauthorized);
        // It may have run out while the page slept.
        let is_old = self.under_way.is_some_and(|under_way| under_way.is_interrupted);
        let gain = if is_old { gain.max(Gain::Old) } else { gain };
        let pause = if gain == Gain::Newer { MIN_GAP } else { REST };
        *self = Self {
            refreshed_at: Some(now),
            useless: match gain {
                Gain::Newer => 0,
                Gain::Old => 1,
                Gain::Same => self.useless.saturating_add(1),
            },
            is_unproven: by_401 || self.is_unproven,
            not_before: now.plus(pause),
            ..Self::default()
        };
        by_401
    }

    /// No verdict. Returns the pause before the next attempt.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        finding: Finding,
        retry_after: Duration,
        low: Duration,
        rng: &mut Rng,
    ) -> Duration {
        self.under_way = None;
        self.is_unusable = finding == Finding::Unusable;
        let low = if self.is_unusable { low.max(REST) } else { low };
        let before = self.delay.unwrap_or(low);
        let delay = rng.decorrelated(low, MAX_BACKOFF.max(low), before);
        self.delay = Some(delay);
        self.not_before = now.plus(delay);
        self.floor = now.plus(retry_after);
        delay.max(retry_after)
    }

    /// The server rejected the refresh token. Returns whether that is believed now.
    pub(crate) fn rejected(
        &mut self,
        now: Instant,
        answer: RejectedAnswer,
        confirm: Confirm,
        woken: Option<Instant>,
    ) -> bool {
        let Some(UnderWay { sent, is_interrupted }) = self.under_way.take() else { return false };
        self.is_unusable = false;
        self.delay = self.delay.or(Some(MIN_GAP));
        let warm = woken.map(|woken| woken.plus(WARM_UP));
        self.not_before = now.plus(MIN_BURST_GAP).max(warm.unwrap_or_default());
        if is_interrupted {
            return false;
        }
        self.note_restart(answer.boot);
        self.rejections.push(Rejected { received_at: now, answer });
        if confirm == Confirm::Immediate {
            return true;
        }
        let first = self.rejections[0].received_at;
        // A store or a key may not be ready right after a start.
        let is_warm = warm.is_none_or(|warm| sent >= warm);
        let is_apart = sent.since(first) >= MIN_BURST_GAP;
        let many = self.rejections.len() >= ENOUGH && is_apart && is_warm;
        if !many && self.rejections.len() > ENOUGH {
            self.rejections.remove(1);
        }
        many
    }

    /// What a server said before it started again is about another time: its store may not have
    /// been ready, and that twice. A few times only, because some workers make a boot id each.
    fn note_restart(&mut self, boot: Option<Label>) {
        let before = self.rejections.last().and_then(|last| last.answer.boot);
        let is_restart = before.zip(boot).is_some_and(|(before, boot)| before != boot);
        if is_restart && self.restarts < MAX_RESTARTS {
            self.restarts += 1;
            self.rejections.clear();
        }
    }

    /// The rejections that counted, oldest first.
    pub(crate) fn take_evidence(&mut self) -> Vec<RejectedAnswer> {
        let rejections = core::mem::take(&mut self.rejections);
        rejections.into_iter().map(|Rejected { answer, .. }| answer).collect()
    }
}

/// Reads the answer to a refresh. `is_cookie`: there is no token to hand out, and a success of the
/// API is enough.
pub(crate) fn read(answer: &RefreshAnswer, is_cookie: bool) -> Finding {
    let Outcome::Response(response) = &answer.outcome else { return Finding::Unavailable };
    let Response { status, body, challenge, .. } = response;
    if response.redirected || *status == 0 {
        return Finding::Unusable;
    }
    let is_wall =
        matches!(challenge, Challenge::Foreign | Challenge::Password | Challenge::Survivable);
    match (status, body) {
        (_, Body::Html) => Finding::Unavailable,
        (200..=299, Body::ErrorObject) if is_cookie => Finding::Unusable,
        (200..=299, _) => answer.token.map_or(Finding::Unusable, Finding::Refreshed),
        (400, _) if answer.is_invalid_grant => Finding::Rejected { status: *status },
        (401, _) if !is_wall => Finding::Rejected { status: *status },
        (401 | 403 | 407 | 408 | 421 | 425 | 429 | 500..=599, _) => Finding::Unavailable,
        _ => Finding::Unusable,
    }
}

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
