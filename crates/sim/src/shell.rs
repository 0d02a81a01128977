//! The tab's shell: tells the keeper facts, carries out what it orders, keeps its record, and
//! writes down what was said.

use session_keeper_core::{
    Effect, Generation, Input, Notice, Now, Probe, Record, RequestId, SessionState, SignOutReason,
    StoredSession, TokenFacts,
};

use crate::event::Event;
use crate::network::Transit;
use crate::oracle::{self, Open, Verdict};
use crate::world::{EPOCH, World, status};
use crate::{Guarantee, Sabotage, Trace};

/// How much of a run a failure tells.
const TOLD: usize = 60;

impl World {
    /// Tells the keeper one fact and carries out what it orders.
    pub(crate) fn feed(&mut self, input: Input) -> Result<Vec<Effect>, (Guarantee, String)> {
        let wall = (EPOCH + self.now).saturating_add_signed(self.wall_offset);
        let now = Now::from_millis(self.now - self.napped, wall);
        self.told_at = self.now;
        let most = if self.page.hidden { 60_000 } else { 50 };
        self.lateness = self.rng.between(0, most);
        let before = self.keeper.snapshot().signed_in();
        let text = brief(&input);
        let generation = self.keeper.generation();
        let effects = self.keeper.handle_input(now, input);
        self.write_down(&text, &effects);
        for effect in &effects {
            self.carry_out(effect, generation)?;
        }
        let reported = effects.iter().any(|it| matches!(it, Effect::Notify(Notice::SignedOut(_))));
        if before == Some(true) && self.keeper.snapshot().signed_in() != Some(true) && !reported {
            return Err((Guarantee::G1, "a session ended and nobody was told why".into()));
        }
        for effect in &effects {
            if let Effect::ReadRecord { read } = effect {
                self.feed(Input::Record { read: *read, record: self.record.clone() })?;
            }
        }
        if let Some(backend) = self.backend
            && effects.contains(&Effect::ReadBackend)
        {
            self.feed(Input::Backend(backend))?;
        }
        self.app_waits_within_bounds()?;
        Ok(effects)
    }

    fn carry_out(&mut self, effect: &Effect, before: Option<Generation>) -> Verdict {
        match effect {
            Effect::Send { request, probe, generation } => {
                return self.send(*request, *probe, *generation);
            }
            Effect::Abort { request } if self.plan.sabotage != Sabotage::LeakyShell => {
                self.open.retain(|open| open.request != *request);
                for (time, outcome) in self.future.recall(*request) {
                    // The network does not know that nobody listens any more.
                    if self.rng.in_thousand(self.mix.strays) {
                        self.future.at(time, Event::Strays { request: *request, outcome });
                    }
                }
            }
            Effect::UseToken { generation, .. } => self.server.issue(generation.token_id),
            Effect::Store { generation, expires_at, verified_at } => {
                let facts = TokenFacts { expires_at: *expires_at, ..TokenFacts::default() };
                let verified_at = *verified_at;
                self.record = Record::Session(StoredSession {
                    facts,
                    verified_at,
                    ..StoredSession::new(*generation)
                });
            }
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let (generation, sign_out) = (*generation, sign_out.clone());
                let undelivered = *undelivered;
                self.record = Record::Tombstone { generation, sign_out, undelivered };
            }
            Effect::StoreBackend(record) => self.backend = Some(*record),
            Effect::AppRequest { request, action } => {
                return self.app_goes_on(*request, *action);
            }
            Effect::Notify(Notice::SignedOut(sign_out)) => {
                let by_user = self.signing_out && sign_out.reason == SignOutReason::User;
                let ended = before.is_none_or(|it| !self.server.knows(it.token_id));
                self.tally.sign_outs += u64::from(!by_user);
                self.tally.false_sign_outs += u64::from(!by_user && !ended);
                let back = self.now + self.rng.between(5_000, 300_000);
                self.future.at(back, Event::SignsIn);
                return oracle::sign_out_is_true(ended, by_user);
            }
            Effect::Notify(Notice::Logged(entry)) if entry.event.code() == "refuted" => {
                self.tally.refuted += 1;
                self.oracle.refuted();
            }
            Effect::Notify(Notice::Logged(entry)) if entry.event.code() == "verified" => {
                self.tally.accepted += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn send(
        &mut self,
        request: RequestId,
        probe: Probe,
        generation: Option<Generation>,
    ) -> Verdict {
        match probe {
            Probe::Health => self.tally.pings += 1,
            Probe::Verify | Probe::SignOut | Probe::Candidate(_) | Probe::Refresh => {
                self.tally.verifications += 1
            }
        }
        self.sent.push_back(self.now);
        while self.sent.front().is_some_and(|at| at + 60_000 <= self.now) {
            self.sent.pop_front();
        }
        let minute = self.sent.len() as u64;
        self.tally.busiest_minute = self.tally.busiest_minute.max(minute);
        let transit = self.network.send(&mut self.rng);
        let doomed = !matches!(transit, Transit::Reaches { .. });
        let sent = self.line();
        self.open.push(Open { request, probe, sent, doomed });
        match transit {
            Transit::Reaches { after } => {
                let arrives = Event::Arrives { request, probe, generation };
                self.future.at(self.now + after, arrives);
            }
            Transit::Fails { after, outcome } => {
                self.future.at(self.now + after, Event::Answered { request, outcome });
            }
            Transit::Vanishes => {}
        }
        let suspect = self.keeper.snapshot().session == SessionState::Suspect;
        let recent = self.open_times.iter().filter(|at| **at + 6_000 > sent).count() as u64 + 1;
        self.open_times.push_back(sent);
        if self.open_times.len() > 8 {
            self.open_times.pop_front();
        }
        if suspect {
            self.tally.most_in_six = self.tally.most_in_six.max(recent);
            oracle::confirmation_is_borne(recent)?;
        }
        oracle::pace_is_borne(minute)
    }

    fn write_down(&mut self, input: &str, effects: &[Effect]) {
        let snapshot = self.keeper.snapshot();
        let words: Vec<String> = effects.iter().filter_map(word).collect();
        let (session, server) = (snapshot.session.name(), snapshot.server.name());
        let seconds = self.now as f64 / 1_000.0;
        let line = format!("{seconds:>10.3} {session}/{server} {input} -> {}", words.join(", "));
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

fn brief(input: &Input) -> String {
    match input {
        Input::Answer { request, outcome } => {
            let answer = status(outcome).map_or("nothing".into(), |status| status.to_string());
            format!("answer to {}: {answer}", request.0)
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
        Effect::Notify(_) | Effect::Broadcast(_) => None,
        Effect::Send { request, probe, .. } => Some(format!("send {} {}", probe.name(), request.0)),
        other => Some(format!("{other:?}")),
    }
}
