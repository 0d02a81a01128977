//! The requests of the app: what the keeper tells [`Admission`](crate::admission::Admission) of
//! the session and the server, and the checks that it makes for those that wait.

use alloc::vec::Vec;

use super::{Keeper, Life, Session};
use crate::admission::{CheckResult, Context, Reachability, Refresh, SessionView};
use crate::answer::{Probe, Verdict};
use crate::app_request::{AppEvent, AppRequest, Destination};
use crate::effect::Effect;
use crate::generation::Generation;
use crate::requests::Request;
use crate::server::ServerState;

impl Keeper {
    /// Whether a request of the app may be sent now. Otherwise it is reported as
    /// [`AppEvent::Ready`], and an [`Effect::AppRequest`] says when.
    #[must_use]
    pub fn may_send(&self) -> bool {
        let is_old = self.refresh() == Refresh::Expected && self.has_run_out();
        !is_old && !self.awaits_record()
    }

    pub(super) fn handle_app_request(
        &mut self,
        request: AppRequest,
        event: AppEvent,
        out: &mut Vec<Effect>,
    ) {
        let generation = self.generation().map(Generation::tag);
        match event {
            AppEvent::Unauthorized if request.sent_with == generation => {
                // A refresh comes first (gate 3): see `run_refresh`.
                if self.refresh() == Refresh::Unavailable {
                    self.handle_report(401, out);
                }
            }
            AppEvent::NoResponse | AppEvent::Unavailable => {
                if request.destination == Destination::Api {
                    self.handle_unanswered(out);
                }
            }
            AppEvent::Unauthorized | AppEvent::Ready | AppEvent::Closed => {}
        }
        let context = self.admission_context();
        if let Some(action) = self.admission.handle(request, event, &context) {
            out.push(Effect::AppRequest { request: request.id, action });
        }
    }

    /// Runs at the end of each step, so that an app learns of a sign-out before it gets the 401.
    pub(super) fn run_admission(&mut self, out: &mut Vec<Effect>) {
        let context = self.admission_context();
        for (request, action) in self.admission.run(&context) {
            out.push(Effect::AppRequest { request, action });
        }
    }

    /// A 401 that waits is settled by a verification that was sent after it came. One that was
    /// under way then says nothing, and the limit of one in 10 s may have put the next one off.
    pub(super) fn schedule_check_for_app(&mut self, out: &mut Vec<Effect>) {
        self.run_admission(out);
        if self.admission.awaits_verdict_since().is_none() {
            return;
        }
        let is_decided_elsewhere = match &self.session {
            Session::Active(_) => self.is_confirming() || self.is_suspect_elsewhere(),
            Session::Restoring | Session::SignedOut => true,
        };
        let is_under_way = self.requests.any(Probe::Verify)
            || self.admission.wants_refresh(&self.admission_context());
        if is_decided_elsewhere || is_under_way || self.prober.server.is_bad() {
            return;
        }
        let now = self.now();
        self.verify_schedule.check_for_app(now);
    }

    /// What a verification of the current token came to, for the 401s that wait.
    pub(super) fn note_check(&mut self, request: &Request, verdict: Verdict, status: Option<u16>) {
        let result = match verdict {
            Verdict::Valid => CheckResult::Accepted,
            Verdict::Forbidden | Verdict::NotFound | Verdict::ErrorShape => {
                CheckResult::Undecidable
            }
            // A busy server is asked again when it may be.
            Verdict::Inconclusive if status != Some(429) => CheckResult::Inconclusive,
            // The server is there, and says nothing that decides.
            Verdict::Void | Verdict::Unproven | Verdict::Redirected
                if self.prober.server.state() == ServerState::Awake =>
            {
                CheckResult::Inconclusive
            }
            Verdict::Inconclusive
            | Verdict::NoAnswer
            | Verdict::Unproven
            | Verdict::Redirected
            | Verdict::Void
            | Verdict::Rejected(_) => return,
        };
        let generation = request.generation.map(Generation::tag);
        self.admission.checked(generation, request.sent, self.now(), result);
        self.note_check_for_tabs(request.generation, request.sent, result);
    }

    pub(super) fn admission_context(&self) -> Context {
        let session = self.active().map(|active| SessionView {
            generation: active.generation.tag(),
            is_suspect: self.awaits_end() || self.is_confirming() || self.is_suspect_elsewhere(),
            has_run_out: self.has_run_out(),
        });
        let (probe, next) = match self.options.health {
            // The leader was asked for one.
            _ if self.is_following() => (Probe::Health, Some(self.now())),
            Some(_) if !self.prober.paths.is_failing(Probe::Health) => {
                (Probe::Health, self.next_ping())
            }
            // It goes out as soon as the record is read.
            Some(_) | None if self.reads.is_open() => (Probe::Verify, Some(self.now())),
            Some(_) | None => (Probe::Verify, self.next_verification()),
        };
        Context {
            options: self.options.app_requests,
            now: self.now(),
            is_running: self.life == Life::Running,
            session,
            server: match self.prober.server.state() {
                ServerState::Unknown => Reachability::Unknown,
                ServerState::Awake => Reachability::Awake,
                ServerState::Waking | ServerState::Unreachable | ServerState::Offline => {
                    Reachability::Away
                }
            },
            next_probe: if self.requests.any(probe) { Some(self.now()) } else { next },
            awaits_record: self.awaits_record(),
            refresh: self.refresh(),
        }
    }

    /// Whether the record is being read that may hold the token, or one is being acquired.
    fn awaits_record(&self) -> bool {
        let waits = self.reads.is_open() || self.awaits_acquired();
        matches!(self.session, Session::Restoring) && waits
    }
}
