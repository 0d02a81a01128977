//! Admission: which requests of the app wait, which are sent again and which are given back.
//!
//! Rule: every request that waits is answered, at the latest when `wait` has passed since it first
//! failed, or when the keeper stops. What may change something on the server is sent again only
//! after a 401 and with a newer token. Only requests that failed are known here; the others cost
//! nothing. Knows no URL, no body and no token.

use alloc::vec::Vec;

use crate::app_request::{
    AppAction, AppEvent, AppRequest, AppRequestId, AppRequestOptions, Destination, OnUnauthorized,
    Replay,
};
use crate::time::{Duration, Instant};

/// Attempts after the first one while the server wakes up.
const OUTAGE_RESENDS: u8 = 3;
/// Attempts with a newer token: one for the token that was refreshed meanwhile, and one for a
/// token that lives so short that it ran out again on the way.
const NEWER_TOKEN_RESENDS: u8 = 2;
/// Where the server counts as awake a proof comes this soon, or the failure is the request's own.
const PROOF_WITHIN: Duration = Duration::from_secs(2);
/// A verification this old still speaks for the token; a newer one may not be due (G2).
const RECENT: Duration = Duration::from_secs(10);
/// Verifications without a verdict before a 401 is given to the app: a store that is down for a
/// moment makes some backends say 401, and one that is misconfigured says nothing else for ever.
const MAX_INCONCLUSIVE: u8 = 3;
/// An app has few paths that refuse a good token; the oldest are forgotten.
const MAX_REFUSING: usize = 16;

/// What the rest of the keeper knows at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) options: AppRequestOptions,
    pub(crate) now: Instant,
    pub(crate) is_running: bool,
    /// None while there is no session, or none is known of.
    pub(crate) session: Option<SessionView>,
    pub(crate) server: Reachability,
    /// The record that may hold the token is being read.
    pub(crate) awaits_record: bool,
    /// When the next request goes out that can prove the server awake; now while one is under way.
    pub(crate) next_probe: Option<Instant>,
    pub(crate) refresh: Refresh,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionView {
    /// The generation's tag.
    pub(crate) generation: u32,
    /// A 401 of a verification is being confirmed.
    pub(crate) is_suspect: bool,
    /// The token is known to have run out.
    pub(crate) has_run_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reachability {
    Unknown,
    Awake,
    Away,
}

/// Whether a newer token may be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// None is configured, or it can do nothing for this session.
    Unavailable,
    /// One is under way, waits for its next attempt, or starts as soon as a request wants it.
    Expected,
}

/// What one verification of the current token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CheckResult {
    /// The server accepted it.
    Accepted,
    /// Nothing that decides, this time.
    Inconclusive,
    /// Nothing that decides, and nothing will: the path is wrong, or forbidden to this user.
    Undecidable,
}

impl CheckResult {
    /// Every one, in order.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Inconclusive, Self::Undecidable];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Inconclusive => "inconclusive",
            Self::Undecidable => "undecidable",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Check {
    generation: Option<u32>,
    sent: Instant,
    concluded: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Admission {
    entries: Vec<Entry>,
    /// How often the server has proven itself awake.
    proofs: u32,
    /// The last verification that accepted the token.
    accepted: Option<Check>,
    /// Resources that answered 401 though a verification accepted the same token.
    refusing: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    request: AppRequest,
    deadline: Instant,
    stage: Stage,
    outage_resends: u8,
    newer_token_resends: u8,
    /// The server was away at some moment of its life.
    was_away: bool,
    /// It was sent again because the token was accepted a moment before its 401.
    sent_on_recent: bool,
    /// It was sent again because the token was accepted after its 401.
    sent_on_verdict: bool,
    inconclusive: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is with the shell.
    Sent,
    /// It is not sent yet: its token is being read, or has run out and a newer one is expected.
    AwaitsToken,
    /// It waits for a proof that the server is awake. Proofs are counted, because two of them may
    /// have the same moment.
    AwaitsServer { since: Instant, proofs: u32, bound: Option<Instant> },
    /// It waits for the verdict on its 401.
    AwaitsVerdict { since: Instant },
}

impl Stage {
    const fn is_waiting(self) -> bool {
        !matches!(self, Self::Sent)
    }

    const fn bound(self) -> Option<Instant> {
        if let Self::AwaitsServer { bound, .. } = self { bound } else { None }
    }

    const fn awaits_verdict_since(self) -> Option<Instant> {
        if let Self::AwaitsVerdict { since } = self { Some(since) } else { None }
    }
}

impl Admission {
    /// Takes what happened to one request. Returns what to do with it, unless it waits.
    pub(crate) fn handle(
        &mut self,
        request: AppRequest,
        event: AppEvent,
        context: &Context,
    ) -> Option<AppAction> {
        let mut entry = self.take(request, context);
        entry.stage = match event {
            AppEvent::Closed => {
                if entry.sent_on_recent || entry.sent_on_verdict {
                    self.refusing.retain(|resource| *resource != request.resource);
                }
                return None;
            }
            AppEvent::Ready => Stage::AwaitsToken,
            AppEvent::Unauthorized => Stage::AwaitsVerdict { since: context.now },
            AppEvent::NoResponse | AppEvent::Unavailable => {
                let bound = Some(context.now.plus(PROOF_WITHIN));
                Stage::AwaitsServer { since: context.now, proofs: self.proofs, bound }
            }
        };
        let waiting = self.entries.iter().filter(|it| it.stage.is_waiting()).count();
        let action = self.decide(&mut entry, context);
        if action.is_none() && waiting >= context.options.max_waiting {
            return Some(AppAction::Refuse);
        }
        if action != Some(AppAction::Deliver) {
            self.entries.push(entry);
        }
        action
    }

    /// What has become of those that wait, oldest first.
    pub(crate) fn run(&mut self, context: &Context) -> Vec<(AppRequestId, AppAction)> {
        let mut actions = Vec::new();
        for mut entry in core::mem::take(&mut self.entries) {
            let action = self.decide(&mut entry, context);
            actions.extend(action.map(|action| (entry.request.id, action)));
            if action != Some(AppAction::Deliver) {
                self.entries.push(entry);
            }
        }
        actions
    }

    /// When waiting ends for somebody without anything else happening.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let waiting = self.entries.iter().filter(|entry| entry.stage.is_waiting());
        waiting
            .map(|entry| match entry.stage.bound() {
                Some(bound) => bound.min(entry.deadline),
                None => entry.deadline,
            })
            .min()
    }

    /// The server has proven itself awake.
    pub(crate) const fn server_proven(&mut self) {
        self.proofs = self.proofs.wrapping_add(1);
    }

    /// A verification of this generation, sent then, has ended.
    pub(crate) fn checked(
        &mut self,
        generation: Option<u32>,
        sent: Instant,
        now: Instant,
        result: CheckResult,
    ) {
        if result == CheckResult::Accepted {
            if self.accepted.is_some_and(|before| before.generation != generation) {
                self.refusing.clear();
            }
            self.accepted = Some(Check { generation, sent, concluded: now });
            return;
        }
        for entry in &mut self.entries {
            if entry.stage.awaits_verdict_since().is_some_and(|since| sent >= since) {
                entry.inconclusive = match result {
                    CheckResult::Undecidable => MAX_INCONCLUSIVE,
                    CheckResult::Inconclusive | CheckResult::Accepted => entry.inconclusive + 1,
                };
            }
        }
    }

    /// Since when the last request waits for a verification that must be newer than that.
    pub(crate) fn awaits_verdict_since(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.stage.awaits_verdict_since()).max()
    }

    /// Whether a request wants a newer token than the one of this generation.
    pub(crate) fn wants_refresh(&self, context: &Context) -> bool {
        self.entries.iter().any(|entry| match entry.stage {
            Stage::AwaitsToken => !context.awaits_record,
            Stage::AwaitsVerdict { .. } => self.hopes_for_refresh(entry, context),
            Stage::Sent | Stage::AwaitsServer { .. } => false,
        })
    }

    fn take(&mut self, request: AppRequest, context: &Context) -> Entry {
        let at = self.entries.iter().position(|entry| entry.request.id == request.id);
        let known = at.map(|at| self.entries.remove(at));
        known.map_or_else(|| Entry::new(request, context), |entry| Entry { request, ..entry })
    }

    fn decide(&mut self, entry: &mut Entry, context: &Context) -> Option<AppAction> {
        let is_over = !context.is_running || entry.deadline <= context.now;
        let action = match entry.stage {
            Stage::Sent => return None,
            Stage::AwaitsToken => {
                let has_run_out = context.session.is_some_and(|session| session.has_run_out);
                let is_old = has_run_out && context.refresh == Refresh::Expected;
                let waits = is_old || context.awaits_record;
                (is_over || !waits).then_some(AppAction::Send)
            }
            Stage::AwaitsServer { .. } | Stage::AwaitsVerdict { .. } if is_over => {
                Some(AppAction::Deliver)
            }
            Stage::AwaitsServer { since, proofs, .. } => {
                self.decide_outage(entry, since, proofs, context)
            }
            Stage::AwaitsVerdict { since } => self.decide_unauthorized(entry, since, context),
        };
        if action == Some(AppAction::Send) {
            entry.stage = Stage::Sent;
        }
        action
    }

    /// A request that met a server which is away is sent again once it is back; how another
    /// origin fares nobody here knows.
    fn decide_outage(
        &self,
        entry: &mut Entry,
        since: Instant,
        proofs: u32,
        context: &Context,
    ) -> Option<AppAction> {
        let AppRequest { replay, destination, .. } = entry.request;
        let is_replayable = replay == Replay::Always && destination == Destination::Api;
        if !is_replayable || entry.outage_resends == 0 {
            return Some(AppAction::Deliver);
        }
        entry.was_away |= context.server == Reachability::Away;
        if proofs != self.proofs {
            // A server that was awake all along fails by itself: once more, and the app is told.
            entry.outage_resends = if entry.was_away { entry.outage_resends - 1 } else { 0 };
            return Some(AppAction::Send);
        }
        let bound = since.plus(PROOF_WITHIN);
        let (bound, is_hopeless) = match context.server {
            Reachability::Away => (None, false),
            Reachability::Unknown => (None, context.next_probe.is_none()),
            Reachability::Awake => {
                let comes = context.next_probe.is_some_and(|at| at <= bound);
                (Some(bound), bound <= context.now || !comes)
            }
        };
        entry.stage = Stage::AwaitsServer { since, proofs, bound };
        is_hopeless.then_some(AppAction::Deliver)
    }

    /// A 401 reaches the app only where the session is over or this resource alone rejects.
    fn decide_unauthorized(
        &mut self,
        entry: &mut Entry,
        since: Instant,
        context: &Context,
    ) -> Option<AppAction> {
        let Some(session) = context.session else { return Some(AppAction::Deliver) };
        let AppRequest { replay, resource, sent_with, .. } = entry.request;
        if sent_with != Some(session.generation) {
            if replay == Replay::Never || entry.newer_token_resends == 0 {
                return Some(AppAction::Deliver);
            }
            entry.newer_token_resends -= 1;
            return Some(AppAction::Send);
        }
        if self.hopes_for_refresh(entry, context) {
            return None;
        }
        if context.options.on_unauthorized == OnUnauthorized::Pass {
            return Some(AppAction::Deliver);
        }
        if session.is_suspect {
            return None;
        }
        let accepted = self.accepted.filter(|check| check.generation == sent_with);
        if accepted.is_some_and(|check| check.sent >= since) {
            if replay == Replay::Always && !entry.sent_on_verdict {
                entry.sent_on_verdict = true;
                return Some(AppAction::Send);
            }
            self.note_refusing(resource);
            return Some(AppAction::Deliver);
        }
        if entry.inconclusive >= MAX_INCONCLUSIVE {
            return Some(AppAction::Deliver);
        }
        let is_recent = accepted.is_some_and(|check| context.now.since(check.concluded) < RECENT);
        if !is_recent {
            return None;
        }
        if entry.sent_on_verdict {
            self.note_refusing(resource);
            return Some(AppAction::Deliver);
        }
        if replay == Replay::Always && !entry.sent_on_recent {
            entry.sent_on_recent = true;
            return Some(AppAction::Send);
        }
        self.refusing.contains(&resource).then_some(AppAction::Deliver)
    }

    /// A 401 for the current token is answered by a refresh first (gate 3), unless the request
    /// was rejected with a refreshed one already, or its resource rejects every token.
    fn hopes_for_refresh(&self, entry: &Entry, context: &Context) -> bool {
        let AppRequest { resource, sent_with, .. } = entry.request;
        let has_run_out = context.session.is_some_and(|session| session.has_run_out);
        context.refresh == Refresh::Expected
            && context.session.map(|session| session.generation) == sent_with
            && entry.newer_token_resends == NEWER_TOKEN_RESENDS
            && (has_run_out || !self.refusing.contains(&resource))
    }

    fn note_refusing(&mut self, resource: u32) {
        self.refusing.retain(|known| *known != resource);
        if self.refusing.len() >= MAX_REFUSING {
            self.refusing.remove(0);
        }
        self.refusing.push(resource);
    }
}

impl Entry {
    const fn new(request: AppRequest, context: &Context) -> Self {
        Self {
            request,
            deadline: context.now.plus(context.options.wait),
            stage: Stage::Sent,
            outage_resends: OUTAGE_RESENDS,
            newer_token_resends: NEWER_TOKEN_RESENDS,
            was_away: false,
            sent_on_recent: false,
            sent_on_verdict: false,
            inconclusive: 0,
        }
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
