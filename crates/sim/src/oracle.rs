//! The guarantees, checked after every step by somebody who knows the truth.
//!
//! G2 promises its times for a server that answers a page that somebody looks at, so its clock
//! runs only while nothing is in the way: any disturbance starts it again.

use session_keeper_core::{Probe, RequestId, ServerState, SessionState};

use crate::mix::Refuses;
use crate::tally::Tally;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// No false sign-out.
    G1,
    /// No missed sign-out.
    G2,
    /// Nothing hangs.
    G4,
    /// A late answer changes nothing newer.
    G6,
    /// Refresh tokens are sent one at a time, once, and not without end.
    Refresh,
    /// Tabs agree, and one of them asks for all.
    Tabs,
    /// The server is not asked more often than it can take.
    Pace,
    /// A world without faults settles.
    Liveness,
}

/// A guarantee that was broken, and how.
pub(crate) type Verdict = Result<(), (Guarantee, String)>;

/// The longest that a request without an answer may stay open.
const HELD: u64 = 90_000;
/// The longest between two regular verifications, with its ten percent and a trip.
const REGULAR: u64 = 335_000;
/// A refresh comes before a suspicion, and may rest because the last one changed nothing.
const REFRESHED: u64 = 90_000;
/// The slowest probe of a server that was away for long, and a trip.
const NOTICED: u64 = 150_000;
/// Two requests in each 6 s of a confirmation, pings of a server that wakes, checks that the app
/// asked for, and a page that is loaded again in the middle of it.
const BUSY: u64 = 60;

/// A request as the shell sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) request: RequestId,
    pub(crate) probe: Probe,
    /// On the keeper's own line of time.
    pub(crate) sent: u64,
    /// The network lost it.
    pub(crate) doomed: bool,
}

/// One moment, with the truth.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) now: u64,
    /// The keeper's line of time.
    pub(crate) line: u64,
    pub(crate) session: SessionState,
    pub(crate) server: ServerState,
    /// The session's token is dead.
    pub(crate) ended: bool,
    /// The page is not frozen.
    pub(crate) can_act: bool,
    /// Somebody looks at a page that runs.
    pub(crate) attended: bool,
    /// The server is up and so is the way to it.
    pub(crate) reachable: bool,
    /// The server asked for patience until then.
    pub(crate) patient_until: u64,
    /// The keeper wants to be woken.
    pub(crate) waits: bool,
    /// Signed out and without pings there is nothing to do.
    pub(crate) may_rest: bool,
    /// What the server says proves it awake.
    pub(crate) proves_itself: bool,
    pub(crate) open: &'a [Open],
    /// The server has rejected the refresh of a session that is over.
    pub(crate) refresh_rejected: bool,
    /// Tokens run out and are refreshed.
    pub(crate) is_refreshed: bool,
    /// There are other tabs.
    pub(crate) is_shared: bool,
    pub(crate) rejects: Refuses,
    /// There is a health path, so that a weak rejection can be proven.
    pub(crate) pings: bool,
    /// There and back, at the longest.
    pub(crate) round_trip: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Since when nothing is in the way of a request.
    clear_since: u64,
    /// The same, and the keeper knows it.
    calm_since: u64,
    was_clear: bool,
    was_calm: bool,
    suspect: Option<Suspect>,
    /// The same of a refresh that was rejected.
    refresh_rejected: Option<Suspect>,
    /// The backend contradicted itself: two minutes are allowed.
    caught: bool,
    /// The token was accepted once. Until then nothing is known of it, whatever is of the backend.
    accepted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    since: u64,
    calm_before: u64,
}

impl Oracle {
    /// Something happened that nobody can be blamed for.
    pub(crate) fn disturb(&mut self, now: u64) {
        self.clear_since = self.clear_since.max(now);
        self.calm_since = self.calm_since.max(now);
    }

    pub(crate) const fn refuted(&mut self) {
        self.caught = true;
    }

    /// The page was loaded again: what it knew is gone, but for what is kept of the backend.
    pub(crate) const fn reloaded(&mut self) {
        self.suspect = None;
        self.refresh_rejected = None;
    }

    pub(crate) fn check(&mut self, view: &View<'_>, tally: &mut Tally) -> Verdict {
        self.watch(view);
        nothing_hangs(view)?;
        if view.is_shared {
            // What a follower learns depends on the leader, which may be frozen or asleep.
            return Ok(());
        }
        self.end_is_not_missed(view, tally)?;
        self.server_is_noticed(view)
    }

    fn watch(&mut self, view: &View<'_>) {
        let doomed = view.open.iter().any(|open| open.doomed);
        let reachable = view.reachable && !doomed && view.now >= view.patient_until;
        let clear = view.attended && reachable && !view.may_rest;
        let calm = clear && (!view.proves_itself || view.server == ServerState::Awake);
        // What was in the way at the last step was so until this one.
        if !(clear && self.was_clear) {
            self.clear_since = self.clear_since.max(view.now);
        }
        if !(calm && self.was_calm) {
            self.calm_since = self.calm_since.max(view.now);
        }
        (self.was_clear, self.was_calm) = (clear, calm);
        self.accepted = match view.session {
            SessionState::SignedIn => true,
            SessionState::SignedOut => false,
            SessionState::Restoring | SessionState::Unverified | SessionState::Suspect => {
                self.accepted
            }
        };
        let begins =
            Suspect { since: view.now, calm_before: view.now.saturating_sub(self.calm_since) };
        self.refresh_rejected =
            view.refresh_rejected.then(|| self.refresh_rejected.unwrap_or(begins));
        self.suspect = match (view.session, self.suspect) {
            (SessionState::Suspect, None) => Some(begins),
            (SessionState::Suspect, known) => known,
            _ => None,
        };
    }

    fn end_is_not_missed(&self, view: &View<'_>, tally: &mut Tally) -> Verdict {
        if !view.ended {
            return Ok(());
        }
        let calm = view.now.saturating_sub(self.calm_since);
        if let Some(rejected) = self.refresh_rejected {
            let undisturbed = calm >= view.now - rejected.since;
            let is_known = undisturbed && rejected.calm_before >= 15_000;
            let seconds = if is_known { 8 } else { 20 };
            return in_time("rejected", seconds, calm.min(view.now - rejected.since), view, tally);
        }
        let Some(suspect) = self.suspect else {
            let active = matches!(view.session, SessionState::SignedIn | SessionState::Unverified);
            let regular = REGULAR + if view.is_refreshed { REFRESHED } else { 0 };
            if active && calm > regular + view.round_trip {
                return broken(
                    Guarantee::G2,
                    format!("a dead token was not checked for {calm} ms"),
                );
            }
            return Ok(());
        };
        let undisturbed = calm >= view.now - suspect.since;
        let known_long = undisturbed && suspect.calm_before >= 15_000;
        let seconds = match view.rejects {
            // Without a health path only an accepted answer tells whose the names are.
            Refuses::Named if !self.accepted || !view.pings => 60,
            Refuses::Named if known_long => 8,
            Refuses::Named => 20,
            Refuses::Weakly if !view.pings => 120,
            Refuses::Nameless | Refuses::Weakly if self.caught => 120,
            Refuses::Nameless | Refuses::Weakly => 60,
        };
        in_time("suspect", seconds, calm.min(view.now - suspect.since), view, tally)
    }

    fn server_is_noticed(&self, view: &View<'_>) -> Verdict {
        let clear = view.now.saturating_sub(self.clear_since);
        // Where a refresh comes before the next verification, only pings find out.
        let noticed = NOTICED + if view.is_refreshed { 2 * REFRESHED } else { 0 };
        if view.proves_itself && view.server != ServerState::Awake && clear > noticed {
            return broken(Guarantee::G2, format!("a server that is up is unseen for {clear} ms"));
        }
        Ok(())
    }
}

/// A session that is over lasted that long since the page could know it, undisturbed.
fn in_time(state: &str, seconds: u64, took: u64, view: &View<'_>, tally: &mut Tally) -> Verdict {
    let longest = tally.longest.entry(seconds).or_default();
    *longest = (*longest).max(took);
    // A weak rejection waits for a ping, and a page's timers come a little late.
    let allowed = seconds * 1_000 + 3 * view.round_trip + 500;
    if took > allowed {
        return broken(Guarantee::G2, format!("{state} for {took} ms of {allowed} allowed"));
    }
    Ok(())
}

fn nothing_hangs(view: &View<'_>) -> Verdict {
    let hangs = |open: &&Open| view.can_act && view.line >= open.sent + HELD;
    if let Some(open) = view.open.iter().find(hangs) {
        return broken(Guarantee::G4, format!("{:?} is open beyond its bound", open.request));
    }
    let pings = view.open.iter().filter(|open| open.probe == Probe::Health).count();
    if pings > 1 {
        return broken(Guarantee::G4, format!("{pings} pings at once"));
    }
    if view.attended && !view.waits && !view.may_rest {
        return broken(Guarantee::G4, "a page that runs waits for nothing".into());
    }
    Ok(())
}

/// A session was ended by the keeper: did the server end it?
pub(crate) fn sign_out_is_true(ended: bool, by_user: bool) -> Verdict {
    if ended || by_user { Ok(()) } else { broken(Guarantee::G1, "the session was alive".into()) }
}

/// A rejection reached the keeper.
pub(crate) fn refusal_is_suspected(session: SessionState) -> Verdict {
    match session {
        SessionState::Suspect | SessionState::SignedOut => Ok(()),
        SessionState::Restoring | SessionState::Unverified | SessionState::SignedIn => {
            broken(Guarantee::G2, "a refusal did not lead to a suspicion".into())
        }
    }
}

/// An answer that belongs to nothing any more had these effects.
pub(crate) fn stray_is_ignored(effects: usize) -> Verdict {
    if effects == 0 { Ok(()) } else { broken(Guarantee::G6, "a stray answer was heard".into()) }
}

/// So many requests in 6 s of a confirmation.
pub(crate) fn confirmation_is_borne(in_six_seconds: u64) -> Verdict {
    if in_six_seconds <= 3 {
        return Ok(());
    }
    broken(Guarantee::Pace, format!("{in_six_seconds} requests in 6 s of a confirmation"))
}

pub(crate) fn pace_is_borne(in_a_minute: u64, tabs: u64) -> Verdict {
    if in_a_minute <= BUSY * tabs {
        return Ok(());
    }
    broken(Guarantee::Pace, format!("{in_a_minute} requests in a minute"))
}

/// The world was healed some time ago.
pub(crate) fn all_is_settled(view: &View<'_>) -> Verdict {
    let settled = match view.session {
        SessionState::SignedIn => !view.ended,
        SessionState::SignedOut => true,
        SessionState::Restoring | SessionState::Unverified | SessionState::Suspect => false,
    };
    if settled && (view.may_rest || view.server == ServerState::Awake) {
        return Ok(());
    }
    let (session, server) = (view.session, view.server);
    broken(Guarantee::Liveness, format!("a healed world stays {session:?} and {server:?}"))
}

fn broken(guarantee: Guarantee, message: String) -> Verdict {
    Err((guarantee, message))
}
