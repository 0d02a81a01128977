//! A tab's shell: tells the keeper facts, carries out what it orders, keeps its record, and writes
//! down what was said.

use session_keeper_core::{
    Effect, Generation, Input, Notice, Now, PageEvent, Probe, Record, RequestId, SessionState,
    SignOut, SignOutReason,
};

use crate::event::Event;
use crate::families::Token;
use crate::network::Transit;
use crate::oracle::{self, Open, Verdict};
use crate::renewal::Answer;
use crate::tab::{Held, Outgoing, TabId};
use crate::world::{EPOCH, World, status};
use crate::{Guarantee, Sabotage, Trace};

/// How much of a run a failure tells.
const TOLD: usize = 60;

impl World {
    /// Tells the keeper one fact and carries out what it orders.
    pub(crate) fn feed(
        &mut self,
        tab: TabId,
        input: Input,
    ) -> Result<Vec<Effect>, (Guarantee, String)> {
        let now = self.clocks();
        let most = if self.tabs[tab].page.hidden { 60_000 } else { 50 };
        let lateness = self.rng.between(0, most);
        let here = &mut self.tabs[tab];
        (here.told_at, here.lateness) = (self.now, lateness);
        let before = here.keeper.snapshot().signed_in();
        let text = brief(&input);
        let token = here.token();
        let resumed = matches!(input, Input::Page(PageEvent::Resumed));
        let effects = here.keeper.handle_input(now, input);
        if resumed || effects.iter().any(|it| is_logged(it, "slept")) {
            here.restart_refresh();
        }
        let after = here.keeper.snapshot().signed_in();
        self.write_down(tab, &text, &effects);
        for effect in &effects {
            self.carry_out(tab, effect, token)?;
        }
        let reported = effects.iter().any(|it| matches!(it, Effect::Notify(Notice::SignedOut(_))));
        if before == Some(true) && after != Some(true) && !reported {
            return Err((Guarantee::G1, "a session ended and nobody was told why".into()));
        }
        if self.refused_writes.contains(&tab) {
            self.refused_writes.retain(|it| *it != tab);
            self.feed(tab, Input::RecordChanged)?;
        }
        for effect in &effects {
            if *effect == Effect::ReadLease {
                let lease = self.storage.lease.or(self.tabs[tab].own_lease);
                self.feed(tab, Input::Lease(lease))?;
            }
            if let Effect::ReadRecord { read } = effect {
                self.tabs[tab].tokens.loaded(*read, self.storage.held);
                let record = self.storage.record.clone();
                self.feed(tab, Input::Record { read: *read, record })?;
            }
        }
        if let Some(backend) = self.storage.backend
            && effects.contains(&Effect::ReadBackend)
        {
            self.feed(tab, Input::Backend(backend))?;
        }
        self.app_waits_within_bounds(tab)?;
        Ok(effects)
    }

    /// What the platform's clocks say.
    pub(crate) fn clocks(&self) -> Now {
        let wall = (EPOCH + self.now).saturating_add_signed(self.machine.wall_offset);
        Now::from_millis(self.now - self.machine.napped, wall)
    }

    fn carry_out(&mut self, tab: TabId, effect: &Effect, before: Option<Token>) -> Verdict {
        match effect {
            Effect::Send { request, probe, generation } => {
                return self.send(tab, *request, *probe, *generation);
            }
            Effect::Refresh { request, generation, attempt } => {
                return self.send_refresh(tab, *request, *generation, *attempt);
            }
            Effect::StoreAttempt { generation, attempt } => {
                self.store_attempt(tab, *generation, *attempt);
            }
            Effect::Abort { request } if self.plan.sabotage != Sabotage::LeakyShell => {
                self.abort(tab, *request);
            }
            Effect::UseToken { token, generation } => {
                self.tabs[tab].tokens.use_handed(*token, *generation);
            }
            Effect::UseStoredToken { read, generation, .. } => {
                self.tabs[tab].tokens.use_loaded(*read, *generation);
            }
            Effect::DropToken { token } => self.tabs[tab].tokens.drop_handed(*token),
            Effect::Forget { generation } => self.tabs[tab].tokens.forget(*generation),
            Effect::Store { generation, expires_at, verified_at } => {
                let Some(held) = self.tabs[tab].tokens.get_mut(*generation) else {
                    return Err((Guarantee::G1, "a session is written without its token".into()));
                };
                (held.facts.expires_at, held.verified_at) = (*expires_at, *verified_at);
                let held = *held;
                self.write_session(tab, *generation, held);
            }
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let (generation, sign_out) = (*generation, sign_out.clone());
                let undelivered = *undelivered;
                let tombstone = Record::Tombstone { generation, sign_out, undelivered };
                if self.may_write(generation, true) {
                    self.storage.write_tombstone(tombstone);
                    self.tell_of_write(tab, &Input::RecordChanged);
                } else {
                    self.refused_writes.push(tab);
                }
                if !undelivered {
                    self.tabs[tab].tokens.forget(generation);
                }
            }
            Effect::WriteLease(lease) => self.write_lease(tab, *lease),
            Effect::ReleaseLease(holder) => self.release_lease(tab, *holder),
            Effect::Lock => self.ask_for_lock(tab),
            Effect::Unlock => self.unlock(tab),
            Effect::Broadcast(message) => self.broadcast(tab, *message),
            Effect::StoreBackend(record) => self.storage.backend = Some(*record),
            Effect::AppRequest { request, action }
                if self.plan.sabotage != Sabotage::ForgottenRequests =>
            {
                return self.app_goes_on(tab, *request, *action);
            }
            Effect::Notify(Notice::SignedOut(sign_out)) => {
                return self.signed_out(tab, sign_out, before);
            }
            effect if is_logged(effect, "refuted") => {
                self.tally.refuted += 1;
                self.tabs[tab].oracle.refuted();
            }
            effect if is_logged(effect, "verified") => self.tally.accepted += 1,
            Effect::Notify(Notice::Refreshed) => self.tally.refreshed += 1,
            _ => {}
        }
        Ok(())
    }

    /// Unless another tab has written what must stand.
    pub(crate) fn write_session(&mut self, tab: TabId, generation: Generation, held: Held) {
        if self.may_write(generation, false) {
            self.storage.store(generation, held);
            self.tell_of_write(tab, &Input::RecordChanged);
        } else {
            self.refused_writes.push(tab);
        }
    }

    fn abort(&mut self, tab: TabId, request: RequestId) {
        let here = &mut self.tabs[tab];
        let aborted = here.open.iter().position(|open| open.request == request);
        if let Some(open) = aborted.map(|at| here.open.remove(at))
            && open.probe == Probe::Refresh
        {
            here.refresh_watch.is_rejected = false;
        }
        for (time, answer) in self.future.recall(tab, request) {
            // The network does not know that nobody listens any more.
            if self.rng.in_thousand(self.mix.strays) {
                self.future.at(time, Event::Strays { tab, request, answer });
            }
        }
    }

    fn signed_out(&mut self, tab: TabId, sign_out: &SignOut, before: Option<Token>) -> Verdict {
        let by_user = self.tabs[tab].signing_out && sign_out.reason == SignOutReason::User;
        let family = before.and_then(|token| self.server.families.family(token));
        if by_user {
            self.signed_out_families.extend(family);
        }
        let by_user = by_user
            || sign_out.reason == SignOutReason::User
                && family.is_some_and(|family| self.signed_out_families.contains(&family));
        let ended = before.is_none_or(|token| !self.server.knows(token));
        self.tabs[tab].refresh_watch.is_rejected = false;
        self.tally.sign_outs += u64::from(!by_user);
        self.tally.false_sign_outs += u64::from(!by_user && !ended);
        let back = self.now + self.rng.between(5_000, 300_000);
        self.future.at(back, Event::SignsIn { tab });
        oracle::sign_out_is_true(ended, by_user)
    }

    fn send(
        &mut self,
        tab: TabId,
        request: RequestId,
        probe: Probe,
        generation: Option<Generation>,
    ) -> Verdict {
        match probe {
            Probe::Health => self.tally.pings += 1,
            Probe::Verify
            | Probe::SignOut
            | Probe::Candidate(_)
            | Probe::Refresh
            | Probe::Acquire => self.tally.verifications += 1,
        }
        let held = generation.and_then(|generation| self.tabs[tab].tokens.get(generation));
        let token = held.map(|held| held.token);
        self.transmit(tab, Outgoing { request, probe, token, attempt: None })
    }

    /// Puts a request on its way.
    pub(crate) fn transmit(&mut self, tab: TabId, outgoing: Outgoing) -> Verdict {
        let Outgoing { request, probe, .. } = outgoing;
        self.sent.push_back(self.now);
        while self.sent.front().is_some_and(|at| at + 60_000 <= self.now) {
            self.sent.pop_front();
        }
        let minute = self.sent.len() as u64;
        self.tally.busiest_minute = self.tally.busiest_minute.max(minute);
        let transit = self.network.send(&mut self.rng);
        let doomed = !matches!(transit, Transit::Reaches { .. });
        let here = &mut self.tabs[tab];
        let sent = here.line();
        here.open.push(Open { request, probe, sent, doomed });

        match transit {
            Transit::Reaches { after } => {
                self.future.at(self.now + after, Event::Arrives { tab, outgoing });
            }
            Transit::Fails { after, outcome } => {
                let answer = Answer::of(probe, outcome);
                self.future.at(self.now + after, Event::Answered { tab, request, answer });
            }
            Transit::Vanishes => {}
        }
        let here = &mut self.tabs[tab];
        let suspect = here.keeper.snapshot().session == SessionState::Suspect;
        let recent = here.sent.iter().filter(|at| **at + 6_000 > sent).count() as u64 + 1;
        here.sent.push_back(sent);
        if here.sent.len() > 8 {
            here.sent.pop_front();
        }
        if suspect {
            self.tally.most_in_six = self.tally.most_in_six.max(recent);
            oracle::confirmation_is_borne(recent)?;
        }
        oracle::pace_is_borne(minute, self.tabs.len() as u64)
    }

    fn write_down(&mut self, tab: TabId, input: &str, effects: &[Effect]) {
        let snapshot = self.tabs[tab].keeper.snapshot();
        let words: Vec<String> = effects.iter().filter_map(word).collect();
        let (session, server) = (snapshot.session.name(), snapshot.server.name());
        let seconds = self.now as f64 / 1_000.0;
        let name = if self.tabs.len() > 1 { format!("tab {tab} ") } else { String::new() };
        let words = words.join(", ");
        let line = format!("{seconds:>10.3} {name}{session}/{server} {input} -> {words}");
        self.note(line);
    }

    pub(crate) fn note(&mut self, line: String) {
        if self.plan.trace == Trace::Printed {
            println!("{line}");
        }
        if self.transcript.len() == TOLD {
            self.transcript.pop_front();
        }
        self.transcript.push_back(line);
    }
}

fn is_logged(effect: &Effect, code: &str) -> bool {
    matches!(effect, Effect::Notify(Notice::Logged(entry)) if entry.event.code() == code)
}

fn brief(input: &Input) -> String {
    match input {
        Input::Answer { request, outcome } => {
            let answer = status(outcome).map_or("nothing".into(), |status| status.to_string());
            format!("answer to {}: {answer}", request.0)
        }
        Input::RefreshAnswer { request, answer } => {
            let status = status(&answer.outcome);
            let answered = status.map_or("nothing".into(), |status| status.to_string());
            let token = answer.token.map_or("", |_| " with a token");
            format!("answer to refresh {}: {answered}{token}", request.0)
        }
        Input::Record { record: Record::Session(stored), .. } => {
            format!("record {}", stored.generation.number)
        }
        Input::Record { record: Record::Tombstone { generation, .. }, .. } => {
            format!("tombstone {}", generation.number)
        }
        other => format!("{other:?}"),
    }
}

fn word(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Notify(Notice::Logged(entry)) => Some(entry.to_string()),
        Effect::Notify(_) => None,
        Effect::Refresh { request, generation, attempt } => {
            let (request, number) = (request.0, generation.number);
            Some(format!("refresh {number} by {request}, attempt {:x}", attempt.0))
        }
        Effect::Send { request, probe, .. } => Some(format!("send {} {}", probe.name(), request.0)),
        other => Some(format!("{other:?}")),
    }
}
