//! The record is read: a session is restored, another tab's sign-in or sign-out is followed.
//!
//! Rule: an absent record is never a sign-out, and what is older than what is known changes
//! nothing.

use alloc::vec::Vec;

use super::{Keeper, Life, Session};
use crate::answer::Probe;
use crate::effect::{Effect, Notice};
use crate::event::Event;
use crate::input::{Record, StoredSession};
use crate::options::Credential;
use crate::reads::Answered;
use crate::refresher::{Gain, REST};
use crate::requests::ReadId;
use crate::session::{SignOut, SignOutReason, TokenFacts};
use crate::time::UnixMillis;

/// Whether somebody has signed in or out since the record could not be read in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LateRecord {
    /// Its answer would come too late.
    #[default]
    Unwanted,
    /// Nobody has decided anything: late is better than never.
    Wanted,
    /// The app has signed out meanwhile: what comes is over.
    SignedOut,
}

impl Keeper {
    pub(super) fn read_record(&mut self, out: &mut Vec<Effect>) {
        if self.life == Life::Running
            && let Some(read) = self.reads.ask(self.now())
        {
            out.push(Effect::ReadRecord { read });
        }
    }

    pub(super) fn handle_record(&mut self, read: ReadId, record: Record, out: &mut Vec<Effect>) {
        match self.reads.take(read, self.now()) {
            Answered::Awaited => {
                self.take_record(read, record, out);
                self.evaluate_pending(out);
            }
            Answered::Outdated => {
                self.take_record(read, record, out);
                self.read_record(out);
            }
            // Where nothing was read yet, an older answer is better than none as well.
            Answered::Late | Answered::Unknown => self.take_late(read, record, out),
        }
    }

    /// The store has answered after its bound. Its record is older than whatever was decided here
    /// since, and decides itself where nothing was.
    fn take_late(&mut self, read: ReadId, record: Record, out: &mut Vec<Effect>) {
        let is_over = matches!(record, Record::Tombstone { undelivered: true, .. });
        match (self.late_record, &self.session) {
            (LateRecord::Wanted, Session::Active(_)) if is_over && self.asks_the_server() => {
                // A cookie was verified back in before its sign-out was known.
                self.note_newest(&record);
                self.end(SignOutReason::User, None, Vec::new(), out);
            }
            (LateRecord::Wanted, Session::SignedOut | Session::Restoring)
                if is_over || matches!(record, Record::Session(_)) =>
            {
                self.session = Session::Restoring;
                self.take_record(read, record, out);
                self.verify_schedule.now(self.now());
            }
            (LateRecord::SignedOut, Session::SignedOut) => self.take_record(read, record, out),
            (LateRecord::Unwanted | LateRecord::Wanted | LateRecord::SignedOut, _) => {
                self.note_newest(&record);
            }
        }
        self.late_record = LateRecord::Unwanted;
    }

    fn note_newest(&mut self, record: &Record) {
        if let Record::Session(StoredSession { generation, .. })
        | Record::Tombstone { generation, .. } = record
        {
            self.newest = self.newest.max(Some(*generation));
        }
    }

    /// The store has not answered in time.
    pub(super) fn run_overdue_read(&mut self, out: &mut Vec<Effect>) {
        if !self.reads.give_up(self.now()) {
            return;
        }
        if matches!(self.session, Session::Restoring) && self.pending_command.is_none() {
            self.late_record = LateRecord::Wanted;
        }
        // The id does not matter: nothing is taken from a record that cannot be read.
        self.take_record(ReadId(0), Record::Unreadable, out);
        self.evaluate_pending(out);
    }

    fn take_record(&mut self, read: ReadId, record: Record, out: &mut Vec<Effect>) {
        match &self.session {
            Session::Restoring => {
                self.restore(read, &record, out);
                out.push(Effect::Notify(Notice::Restored));
            }
            Session::SignedOut => {
                self.heed_sign_out(&record);
                self.follow_sign_in(read, &record, out);
            }
            Session::Active(_) => self.compare(read, &record, out),
        }
        self.note_newest(&record);
        self.run_pending(out);
    }

    fn restore(&mut self, read: ReadId, record: &Record, out: &mut Vec<Effect>) {
        match record {
            Record::Session(stored) => {
                self.log(out, Event::Restored {});
                self.use_stored(read, stored, out);
                return;
            }
            Record::Tombstone { generation, sign_out, undelivered } => {
                self.sign_out = Some(sign_out.clone());
                self.ended = Some(*generation);
                if *undelivered && self.options.credential == Credential::Cookie {
                    // Nothing is verified back in before the server has been told of the sign-out.
                    self.forget_acquiring(out);
                    self.enter_signed_out(out);
                    self.schedule_revocation(*generation, out);
                    return;
                }
            }
            Record::Absent => self.log(out, Event::NoRecord {}),
            Record::Corrupt => {
                self.log(out, Event::RecordCorrupt {});
                out.push(Effect::EraseRecord);
            }
            Record::Foreign => self.log(out, Event::RecordForeign {}),
            Record::Unreadable => self.log(out, Event::StoreFailed {}),
        }
        if !self.asks_the_server() {
            self.enter_nobody(out);
        }
    }

    /// Signed out here; a record that is newer than that is another tab's sign-in. An older one
    /// is a tombstone that the store did not take.
    fn follow_sign_in(&mut self, read: ReadId, record: &Record, out: &mut Vec<Effect>) {
        if let Record::Session(stored) = record
            && self.late_record == LateRecord::SignedOut
        {
            // The user signed out while the store was still silent.
            self.late_record = LateRecord::Unwanted;
            self.use_stored(read, stored, out);
            self.end(SignOutReason::User, None, Vec::new(), out);
        } else if let Record::Session(stored) = record
            && let Some(ended) = self.ended
            && ended.session_id == stored.generation.session_id
        {
            if let Some(sign_out) = self.sign_out.clone() {
                // A tab that verified or refreshed this session at the same moment has written
                // over the tombstone: browsers do not order what two pages write.
                let undelivered = self.revocation.next().is_some();
                out.push(Effect::WriteTombstone { generation: ended, sign_out, undelivered });
            }
        } else if let Record::Session(stored) = record
            && self.is_news(stored)
        {
            self.log(out, Event::SignedIn {});
            self.follow(read, stored, out);
        }
    }

    /// Signed in here: whoever wrote last has the word, unless what is there is older.
    fn compare(&mut self, read: ReadId, record: &Record, out: &mut Vec<Effect>) {
        let Some(active) = self.active() else { return };
        let (ours, facts, verified_at) = (active.generation, active.facts, active.verified_at);
        let expires_at = facts.expires_at;
        let store = Effect::Store { generation: ours, expires_at, verified_at };
        match record {
            Record::Session(stored) if stored.generation == ours => {
                let (stored, ours) = (*stored, facts);
                self.compare_same(&stored, ours, verified_at, store, out);
            }
            Record::Session(stored) if ours.may_replace(false, stored.generation, false) => {
                self.restore_written(store, out);
            }
            Record::Session(stored) if stored.generation.session_id == ours.session_id => {
                self.adopt_refreshed(read, stored, out);
            }
            Record::Session(stored) => {
                self.abort(Probe::Verify, out);
                self.abort(Probe::Refresh, out);
                out.push(Effect::Forget { generation: ours });
                self.follow(read, stored, out);
            }
            Record::Tombstone { generation, sign_out, .. }
                if generation.may_replace(true, ours, false) =>
            {
                let (reason, rule) = (sign_out.reason, sign_out.rule);
                let ended = *generation;
                self.leave(SignOut { from_other_tab: true, ..sign_out.clone() }, out);
                self.ended = self.ended.max(Some(ended));
                self.log(out, Event::SignedOut { reason, rule, from_other_tab: true });
            }
            Record::Tombstone { .. } => self.restore_written(store, out),
            // An absent record is never a sign-out: it is written back.
            Record::Absent | Record::Corrupt => out.push(store),
            Record::Foreign | Record::Unreadable => {}
        }
    }

    /// What is stored is older than this tab's session: a tab that did not know of it has written
    /// over it.
    fn restore_written(&self, store: Effect, out: &mut Vec<Effect>) {
        if self.options.is_shared {
            out.push(store);
        }
    }

    /// The record is of this very token.
    fn compare_same(
        &mut self,
        stored: &StoredSession,
        facts: TokenFacts,
        verified_at: Option<UnixMillis>,
        store: Effect,
        out: &mut Vec<Effect>,
    ) {
        if let Some(active) = self.active_mut() {
            let generation = active.generation;
            if let (None, Some(attempt)) = (facts.refresh_attempt, stored.facts.refresh_attempt) {
                // Another tab's attempt with the same refresh token, or an older page's. What is
                // written here from now on must hold it too.
                active.facts.refresh_attempt = Some(attempt);
                out.push(Effect::StoreAttempt { generation, attempt });
            }
        }
        if verified_at > stored.verified_at {
            // A verification that is newer than what the store knows of is told there: a page
            // that is loaded later need not make it again.
            out.push(store);
        } else if !self.leads() {
            // Only then: this tab's own is the newest, though the clock was set back since.
            if let Some(active) = self.active_mut() {
                active.verified_at = verified_at.max(stored.verified_at);
            }
            self.adopt_verification(verified_at < stored.verified_at);
        }
    }

    /// Another tab has refreshed the token: the session, its user and what was verified stay.
    fn adopt_refreshed(&mut self, read: ReadId, stored: &StoredSession, out: &mut Vec<Effect>) {
        let Some(before) = self.generation() else { return };
        let StoredSession { generation, facts, saved_at, verified_at } = *stored;
        let was_asked = self.replace_token(generation, facts, saved_at, out);
        if let Some(active) = self.active_mut() {
            active.verified_at = active.verified_at.max(verified_at);
        }
        self.abort(Probe::Refresh, out);
        let (now, has_run_out) = (self.now(), self.has_run_out());
        if saved_at.is_some_and(|at| self.clock.wall().since(at) < REST) {
            let gain = if has_run_out { Gain::Old } else { Gain::Newer };
            self.refresher.refreshed(now, gain);
        } else {
            // It was made long before it is seen here: a 401 for it is no answer to a refresh.
            self.refresher.reset();
        }
        out.push(Effect::UseStoredToken { read, generation, keeps_user: true });
        out.push(Effect::Forget { generation: before });
        self.tell_refreshed(was_asked, out);
    }

    /// Another tab signed in: its session is ours.
    fn follow(&mut self, read: ReadId, stored: &StoredSession, out: &mut Vec<Effect>) {
        self.use_stored(read, stored, out);
        self.verify_schedule.reset(self.now());
        out.push(Effect::Notify(Notice::SignedIn { from_other_tab: true }));
    }

    fn use_stored(&mut self, read: ReadId, stored: &StoredSession, out: &mut Vec<Effect>) {
        let generation = stored.generation;
        self.forget_acquiring(out);
        out.push(Effect::UseStoredToken { read, generation, keeps_user: false });
        self.enter_active(stored);
    }

    /// Whether it is a session that is not known here. At the highest number two sign-ins share
    /// it, and the token's id tells them apart.
    fn is_news(&self, stored: &StoredSession) -> bool {
        self.newest.is_none_or(|newest| {
            let is_same_number = stored.generation.number == newest.number;
            stored.generation.number > newest.number
                || is_same_number && stored.generation != newest && newest.is_last()
        })
    }
}
