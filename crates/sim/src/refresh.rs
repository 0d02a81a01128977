//! Refreshes in the world: sent, carried out and answered, with what an oracle must know of them.

use std::collections::BTreeMap;

use session_keeper_core::{AttemptId, Generation, Input, Outcome, Probe, RefreshAnswer, RequestId};

use crate::event::Event;
use crate::event::Fault;
use crate::families::{Rotation, Token};
use crate::oracle::Verdict;
use crate::renewal::Answer;
use crate::server::Refreshing;
use crate::tab::{Outgoing, Tab, TabId};
use crate::world::{World, status};
use crate::{Guarantee, Sabotage};

/// The core's rest after an answer that changed nothing.
const REST: u64 = 10_000;

/// Each refresh token that was sent, with its attempt.
pub(crate) type Attempts = BTreeMap<Token, AttemptId>;

/// What an oracle knows of one keeper's refreshes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RefreshWatch {
    /// No new attempt before that, on the keeper's line of time.
    quiet_until: u64,
    /// The server has rejected the refresh of a session that is over, and the page knows.
    pub(crate) is_rejected: bool,
}

impl Tab {
    /// The page could not run: a refresh goes on, and its bound begins again.
    pub(crate) fn restart_refresh(&mut self) {
        let line = self.line();
        let refreshes = self.open.iter_mut().filter(|open| open.probe == Probe::Refresh);
        refreshes.for_each(|open| open.sent = line);
        // What was rejected before is about another time.
        self.refresh_watch.is_rejected = false;
    }
}

impl World {
    pub(crate) fn send_refresh(
        &mut self,
        tab: TabId,
        request: RequestId,
        generation: Generation,
        attempt: AttemptId,
    ) -> Verdict {
        self.tally.refreshes += 1;
        let here = &self.tabs[tab];
        let Some(token) = here.tokens.get(generation).map(|held| held.token) else {
            return Err((Guarantee::Refresh, "a refresh without a token".into()));
        };
        if here.open.iter().any(|open| open.probe == Probe::Refresh) {
            return Err((Guarantee::Refresh, "two refreshes at once".into()));
        }
        let line = here.line();
        if line < here.refresh_watch.quiet_until {
            let early = here.refresh_watch.quiet_until - line;
            let message = format!("an attempt {early} ms too early after one that changed nothing");
            return Err((Guarantee::Refresh, message));
        }
        if *self.attempts.entry(token).or_insert(attempt) != attempt {
            let message = format!("{token:?} is sent again with another attempt id");
            return Err((Guarantee::Refresh, message));
        }
        if let Some(renewal) = self.mix.renewal {
            let soon = self.now + self.rng.between(0, 3_000);
            if self.rng.in_thousand(renewal.faults.reloads) {
                self.future.at(soon, Event::Faults(Fault::Reload));
            }
            if self.rng.in_thousand(renewal.faults.naps) {
                self.future.at(soon, Event::Faults(Fault::Nap));
            }
        }
        let (token, attempt) = (Some(token), Some(attempt));
        self.transmit(tab, Outgoing { request, probe: Probe::Refresh, token, attempt })
    }

    /// What was handed over is written again, with the attempt.
    pub(crate) fn store_attempt(&mut self, tab: TabId, generation: Generation, id: AttemptId) {
        if self.plan.sabotage == Sabotage::ForgetfulStore {
            return;
        }
        if let Some(held) = self.tabs[tab].tokens.get_mut(generation) {
            held.facts.refresh_attempt = Some(id);
            let held = *held;
            self.write_session(tab, generation, held);
        }
    }

    pub(crate) fn refresh_arrives(
        &mut self,
        tab: TabId,
        outgoing: Outgoing,
        token: Token,
        attempt: AttemptId,
    ) -> Verdict {
        let reuses = self.server.families.reuses;
        match self.server.handle_refresh(self.now, token, attempt, &mut self.rng) {
            Refreshing::Answer(answer, later) => self.bring(tab, outgoing.request, answer, later),
            Refreshing::Lost => self.lose(tab, outgoing.request),
            Refreshing::Hold(until) => {
                self.future.at(until + 1, Event::Arrives { tab, outgoing });
            }
        }
        if self.server.families.reuses > reuses {
            self.tally.reuses += 1;
            self.disturb(self.now);
            // A server that remembers attempts calls nothing a reuse but a second attempt.
            if self.mix.renewal.is_some_and(|it| it.rotation == Rotation::Remembers) {
                return Err((Guarantee::Refresh, format!("{token:?} ends its own family")));
            }
        }
        Ok(())
    }

    /// The connection breaks, sooner or later, or the request is never answered.
    fn lose(&mut self, tab: TabId, request: RequestId) {
        self.doom(tab, request);
        if self.rng.in_thousand(700) {
            let at = self.now + self.rng.between(10, 20_000);
            let answer = Answer::of(Probe::Refresh, Outcome::NoAnswer);
            self.future.at(at, Event::Answered { tab, request, answer });
        }
    }

    pub(crate) fn refresh_answered(
        &mut self,
        tab: TabId,
        request: RequestId,
        answer: &Answer,
    ) -> Verdict {
        let before = self.tabs[tab].token();
        if self.plan.sabotage == Sabotage::DeafRefresh && self.tabs[tab].refresh_watch.is_rejected {
            return Ok(());
        }
        let input = self.input_of(tab, request, answer);
        self.feed(tab, input)?;
        let here = &mut self.tabs[tab];
        let line = here.line();
        let is_rejection = answer.is_invalid_grant
            || status(&answer.outcome) == Some(401) && answer.is_of_the_api();
        let is_over = before.is_some_and(|token| !self.server.knows(token));
        let is_signed_in = here.keeper.snapshot().signed_in() == Some(true);
        here.refresh_watch.is_rejected = is_rejection && is_over && is_signed_in;
        if let Some(token) = before.filter(|_| answer.grant.is_some_and(|grant| grant.is_same)) {
            // That attempt was answered, and the next one is another.
            self.attempts.remove(&token);
        }
        if answer.changes_nothing() || answer.grant.is_some() && here.keeper.has_run_out() {
            here.refresh_watch.quiet_until = line + REST;
            self.tally.useless += 1;
        }
        if !is_rejection || !is_over {
            here.oracle.disturb(self.now);
        }
        Ok(())
    }

    /// What a shell tells of an answer.
    pub(crate) fn input_of(&mut self, tab: TabId, request: RequestId, answer: &Answer) -> Input {
        let Answer { probe, outcome, is_invalid_grant, grant } = *answer;
        if probe != Probe::Refresh {
            return Input::Answer { request, outcome };
        }
        let wall = self.clocks().wall;
        let token = grant.map(|grant| {
            let held = crate::tab::Held::of(&grant, wall);
            grant.new_token(self.tabs[tab].tokens.hand_over(held), held.facts)
        });
        Input::RefreshAnswer { request, answer: RefreshAnswer { outcome, is_invalid_grant, token } }
    }

    /// The page runs again, and gets what came meanwhile.
    pub(crate) fn deliver_held_back(&mut self, tab: TabId) {
        for (request, answer) in core::mem::take(&mut self.tabs[tab].held_back) {
            self.future.at(self.now + 1, Event::Answered { tab, request, answer });
        }
    }

    /// The app asks for a newer token now and then, though it needs none.
    pub(crate) fn app_wants_newer_token(&mut self, tab: TabId) -> Verdict {
        let Some(renewal) = self.mix.renewal else { return Ok(()) };
        if self.rng.in_thousand(renewal.faults.wanted) && !self.machine.is_asleep() {
            return self.feed(tab, Input::Refresh).map(drop);
        }
        Ok(())
    }
}
