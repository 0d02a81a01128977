//! A visitor of whom nothing is known: with a cookie only the server can tell whether there is a
//! session.
//!
//! Rule: nobody is told of the end of a session that never was.

use alloc::vec::Vec;

use super::Keeper;
use super::verifying::{Next, status};
use crate::answer::Source;
use crate::answer::{Grade, Outcome, Probe, Verdict};
use crate::effect::Effect;
use crate::event::Event;
use crate::requests::Request;
use crate::server::ServerState;
use crate::time::{Duration, Instant};

/// Answers that show no user, and not the API's own word either: so many are enough where the
/// server is fine, and so long a time where it seems to wake up.
const ENOUGH_ANSWERS: u8 = 3;
const LONG_ENOUGH: Duration = Duration::from_secs(120);

/// What a visitor of whom nothing is known has been answered.
#[derive(Debug, Default)]
pub(super) struct Visitor {
    answers: u8,
    since: Option<Instant>,
}

impl Visitor {
    /// Takes an answer that shows no user. Returns whether there is none, as far as can be told.
    fn answered(&mut self, now: Instant, is_awake: bool) -> bool {
        self.answers = self.answers.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let is_enough = self.answers >= ENOUGH_ANSWERS;
        is_enough && (is_awake || now.since(since) >= LONG_ENOUGH)
    }
}

impl Keeper {
    /// With a cookie that nobody knows of yet: whether the answer may begin or deny a session. A
    /// 401 that is not the API's own tells nothing while the server is not known to be awake.
    pub(super) fn is_about_somebody(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Valid | Verdict::Rejected(Grade::Strong) => true,
            Verdict::Rejected(Grade::Weak | Grade::Password) => {
                self.prober.server.state() == ServerState::Awake || self.options.health.is_none()
            }
            Verdict::Void
            | Verdict::Forbidden
            | Verdict::NotFound
            | Verdict::NoAnswer
            | Verdict::Unproven
            | Verdict::Redirected
            | Verdict::ErrorShape
            | Verdict::Inconclusive => false,
        }
    }

    /// No session is known, and the answer shows none. What the API itself says ends the
    /// question, silently: nobody was signed in. Anything else is asked again soon.
    pub(super) fn handle_nobody(
        &mut self,
        request: &Request,
        verdict: Verdict,
        outcome: &Outcome,
        freshness: Source,
        out: &mut Vec<Effect>,
    ) {
        let status = status(outcome).unwrap_or(0);
        let is_awake =
            self.prober.server.state() == ServerState::Awake || self.options.health.is_none();
        let shows_no_user = match verdict {
            Verdict::Forbidden | Verdict::NotFound | Verdict::ErrorShape => true,
            Verdict::Redirected => is_awake,
            Verdict::Inconclusive if freshness == Source::Server => {
                matches!(status, 200..=299 | 400..=499) && status != 429
            }
            Verdict::Void
            | Verdict::NoAnswer
            | Verdict::Unproven
            | Verdict::Inconclusive
            | Verdict::Valid
            | Verdict::Rejected(_) => false,
        };
        // Silence, a limit and a server that fails say nothing about anybody.
        let is_answer = verdict != Verdict::NoAnswer && status != 429 && status < 500;
        let shows_no_user =
            shows_no_user || is_answer && self.visitor.answered(self.now(), is_awake);
        if shows_no_user {
            if verdict == Verdict::NotFound {
                self.log(out, Event::WrongPath { status, candidate: None });
                self.diagnose_path(Probe::Verify, status, None, out);
            }
            self.log(out, Event::NoUser { status });
            self.enter_nobody(out);
        } else if matches!(verdict, Verdict::NoAnswer | Verdict::Unproven | Verdict::Redirected) {
            self.retry(request, verdict, Some(status), out);
        } else {
            self.schedule_next(Next::Soon);
            self.resolve_waiters(request, out);
        }
    }
}
