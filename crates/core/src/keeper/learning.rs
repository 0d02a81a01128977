//! What an answer of the server's own says of the server: its names, its clock, its start.
//!
//! Rule: only what the server itself says counts, and not what merely has the same name.

use alloc::vec::Vec;

use super::Keeper;
use crate::answer::Source;
use crate::answer::{Accepted, Outcome, Probe, Response, Verdict};
use crate::confirm::WARM_UP;
use crate::diagnosis::DiagnosisTracker;
use crate::effect::Effect;
use crate::event::Event;
use crate::instances::Boot;
use crate::requests::Request;
use crate::time::{Duration, UnixMillis};

impl Keeper {
    /// Whether a success comes from the server. A 401 that a store answers with is told by its
    /// age alone: its date may be the first that is seen.
    pub(super) fn observe_source(&mut self, request: &Request, outcome: &Outcome) -> Source {
        let Outcome::Response(response) = outcome else { return Source::Server };
        let took = self.now().since(request.sent).as_millis();
        let wall = UnixMillis(self.clock.wall().0.saturating_sub(took));
        let freshness = match request.probe {
            Probe::Health => &mut self.prober.freshness,
            Probe::Verify
            | Probe::SignOut
            | Probe::Candidate(_)
            | Probe::Refresh
            | Probe::Acquire => &mut self.verify_freshness,
        };
        let source = freshness.observe(response, request.sent, wall);
        let is_success = (200..300).contains(&response.status);
        let by_date = response.age.is_none_or(|age| age == Duration::ZERO);
        if by_date && !is_success { Source::Server } else { source }
    }

    /// Whether the verify path speaks for a server whose health path never did.
    pub(super) fn accepted(&self) -> Accepted {
        let is_fine = self.was_accepted() && !self.prober.paths.is_failing(Probe::Verify);
        if is_fine && !self.prober.is_proper() { Accepted::Yes } else { Accepted::No }
    }

    /// What the server says of itself, in an answer that proves it awake.
    pub(super) fn learn(
        &mut self,
        request: &Request,
        response: &Response,
        verdict: Verdict,
        out: &mut Vec<Effect>,
    ) -> Boot {
        let (now, probe) = (self.now(), request.probe);
        let server = self.names.own(probe, verdict, response);
        if let Some(server_now) = server.now.or(response.date) {
            self.clock.learn(server_now);
            if let Some(found) = self.clock.skew().and_then(DiagnosisTracker::skewed) {
                self.diagnose(out, found);
            }
        }
        let boot = self.instances.see(request.sent, now, probe, &server);
        let (id, uptime) = (server.boot, server.uptime);
        self.backend.see(boot, id, uptime, self.clock.wall());
        // Workers that each make an id of their own take turns, and nothing fails between them.
        let is_restart = self.prober.server.is_bad() || self.instances.is_restart();
        if boot == Boot::Changed
            && is_restart
            && let Some(found) = self.diagnosis_tracker.restarted(now)
        {
            self.diagnose(out, found);
        }
        // A page that is loaded while the server starts meets a store that is not ready yet.
        match (boot, server.uptime) {
            (Boot::First | Boot::Changed, Some(uptime)) if uptime < WARM_UP => {
                self.prober.server.started(now.minus(uptime));
            }
            (Boot::Changed, None) => self.prober.server.started(now),
            (Boot::First | Boot::Changed | Boot::Known, _) => {}
        }
        if boot == Boot::Changed {
            if let Some(confirmation) = self.confirmation() {
                confirmation.start_over(now);
            }
            if let Some(boot) = server.boot {
                self.log(out, Event::Rebooted { boot });
            }
        }
        boot
    }
}
