//! The app's own requests, as `keeper.fetch` sends them: what fails is reported to the keeper,
//! which says whether it is sent again or given back.

use session_keeper_core::{
    AppAction, AppEvent, AppRequest, AppRequestId, Body, Destination, Input, Outcome, Probe,
    Replay, ServerState,
};

use crate::event::Event;
use crate::families::Token;
use crate::network::Path;
use crate::oracle::Verdict;
use crate::server::Handling;
use crate::tab::TabId;
use crate::world::World;
use crate::{Guarantee, world::status};

/// There and back.
const TRIP: u64 = 50;
const PATHS: u64 = 3;
/// Before the keeper has taken the report.
const NOT_YET: u64 = u64::MAX;

/// The requests that have failed and were not given back.
#[derive(Debug, Default)]
pub(crate) struct App {
    last_id: u32,
    open: Vec<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    request: AppRequest,
    token: Option<Token>,
    /// When it was first reported, on the keeper's line.
    reported: Option<u64>,
    is_waiting: bool,
    is_unauthorized: bool,
}

impl App {
    /// The page is loaded again, and its requests are gone with it.
    pub(crate) fn reloaded(&mut self) {
        self.open.clear();
    }
}

impl World {
    /// The app asks for something, with the token.
    pub(crate) fn app_asks(&mut self, tab: TabId) -> Verdict {
        let next = self.now + self.rng.between(20_000, 600_000);
        self.future.at(next, Event::AppAsks { tab });
        if self.tabs[tab].keeper.generation().is_none() || !self.view(tab).attended {
            return Ok(());
        }
        // A page asks for several things at once.
        for _ in 0..self.rng.between(1, 3) {
            self.tabs[tab].app.last_id += 1;
            let id = AppRequestId(self.tabs[tab].app.last_id);
            let replay = match self.rng.between(0, 2) {
                0 => Replay::AfterUnauthorized,
                _ => Replay::Always,
            };
            let request = AppRequest {
                id,
                replay,
                destination: Destination::Api,
                resource: self.rng.between(1, PATHS) as u32,
                sent_with: None,
            };
            let (token, reported) = (None, None);
            let pending =
                Pending { request, token, reported, is_waiting: false, is_unauthorized: false };
            self.tabs[tab].app.open.push(pending);
            self.tally.app_requests += 1;
            if self.tabs[tab].keeper.may_send() {
                self.app_sends(tab, request.id)?;
            } else {
                self.app_reports(tab, request, AppEvent::Ready)?;
            }
        }
        self.app_wants_newer_token(tab)
    }

    /// Sends one of them, and reports what it meets.
    pub(crate) fn app_sends(&mut self, tab: TabId, id: AppRequestId) -> Verdict {
        if let Some(until) = self.machine.napping_until {
            self.future.at(until + 1, Event::AppSends { tab, request: id });
            return Ok(());
        }
        let here = &mut self.tabs[tab];
        let (generation, token) = (here.keeper.generation(), here.token());
        let Some(pending) = here.app.open.iter_mut().find(|it| it.request.id == id) else {
            return Ok(());
        };
        pending.request.sent_with = generation.map(session_keeper_core::Generation::tag);
        pending.token = token;
        let (request, token) = (pending.request, pending.token);
        let Some(outcome) = self.app_meets(token) else {
            // It is held for ever: whoever asked gives up.
            return self.app_reports(tab, request, AppEvent::Closed);
        };
        let event = match status(&outcome) {
            None => AppEvent::NoResponse,
            Some(401) => AppEvent::Unauthorized,
            Some(502..=504) => AppEvent::Unavailable,
            Some(_) => AppEvent::Closed,
        };
        let is_proof = matches!(&outcome, Outcome::Response(it) if it.body == Body::Object);
        let is_known = self.tabs[tab].keeper.snapshot().server == ServerState::Awake;
        if status(&outcome) == Some(200) && is_proof && !is_known {
            self.feed(tab, Input::AppProof)?;
        }
        self.app_reports(tab, request, event)
    }

    /// What becomes of a request: its outcome, or nothing while the server holds it.
    fn app_meets(&mut self, token: Option<Token>) -> Option<Outcome> {
        if self.network.path != Path::Clear {
            return Some(Outcome::NoAnswer);
        }
        match self.server.handle(self.now, Probe::Verify, token, &mut self.rng) {
            Handling::Answer(response) => Some(Outcome::Response(response)),
            Handling::Refuse => Some(Outcome::NoAnswer),
            Handling::Hold(_) => None,
        }
    }

    fn app_reports(&mut self, tab: TabId, request: AppRequest, event: AppEvent) -> Verdict {
        let open = &mut self.tabs[tab].app.open;
        if event == AppEvent::Closed {
            open.retain(|it| it.request.id != request.id);
        }
        for pending in open {
            if pending.request.id == request.id {
                pending.is_waiting = true;
                pending.reported = pending.reported.or(Some(NOT_YET));
                pending.is_unauthorized = event == AppEvent::Unauthorized;
            }
        }
        self.feed(tab, Input::AppRequest { request, event })?;
        // With the report the keeper has learned what time it is.
        let line = self.tabs[tab].line();
        let reported = self.tabs[tab].app.open.iter_mut().filter_map(|it| it.reported.as_mut());
        reported.filter(|at| **at == NOT_YET).for_each(|at| *at = line);
        Ok(())
    }

    /// The keeper has decided.
    pub(crate) fn app_goes_on(
        &mut self,
        tab: TabId,
        id: AppRequestId,
        action: AppAction,
    ) -> Verdict {
        let here = &mut self.tabs[tab];
        let Some(at) = here.app.open.iter().position(|it| it.request.id == id) else {
            return Err((Guarantee::G6, format!("{action:?} for a request that is over")));
        };
        let pending = &mut here.app.open[at];
        if !core::mem::take(&mut pending.is_waiting) {
            return Err((Guarantee::G6, format!("{action:?} for a request that does not wait")));
        }
        if action == AppAction::Send {
            self.future.at(self.now + TRIP, Event::AppSends { tab, request: id });
            return Ok(());
        }
        let Pending { token, is_unauthorized, .. } = here.app.open.swap_remove(at);
        let is_alive = token.is_some_and(|token| self.server.knows(token));
        let is_good = token.is_some_and(|token| self.server.accepts(token, self.now));
        if is_unauthorized && is_alive && here.keeper.snapshot().signed_in() == Some(true) {
            self.tally.app_false_401s += u64::from(is_good);
            self.tally.app_expired_401s += u64::from(!is_good);
        }
        Ok(())
    }

    /// Every request that waits is answered within its bound (G4). A page that cannot act answers
    /// when it can.
    pub(crate) fn app_waits_within_bounds(&self, tab: TabId) -> Verdict {
        let here = &self.tabs[tab];
        if here.page.frozen || self.machine.is_asleep() {
            return Ok(());
        }
        let line = here.line();
        let wait = self.mix.options().app_requests.wait.as_millis();
        let late = |it: &&Pending| {
            it.is_waiting && it.reported.is_some_and(|at| line >= at.saturating_add(wait))
        };
        match here.app.open.iter().find(late) {
            Some(late) => Err((Guarantee::G4, format!("{late:?} waits beyond its bound"))),
            None => Ok(()),
        }
    }
}
