//! The app's own requests, as `keeper.fetch` sends them: what fails is reported to the keeper,
//! which says whether it is sent again or given back.

use session_keeper_core::{
    AppAction, AppEvent, AppRequest, AppRequestId, Body, Destination, Input, Outcome, Probe,
    Replay, ServerState, TokenId,
};

use crate::event::Event;
use crate::network::Path;
use crate::oracle::Verdict;
use crate::server::Handling;
use crate::world::World;
use crate::{Guarantee, world::status};

/// The longest that a request waits in all: the core's default.
const WAIT: u64 = 90_000;
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
    token: Option<TokenId>,
    /// Since when it waits, on the keeper's line, while it does.
    waits_since: Option<u64>,
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
    pub(crate) fn app_asks(&mut self) -> Verdict {
        let next = self.now + self.rng.between(20_000, 600_000);
        self.future.at(next, Event::AppAsks);
        if self.keeper.generation().is_none() || !self.view().attended {
            return Ok(());
        }
        // A page asks for several things at once.
        for _ in 0..self.rng.between(1, 3) {
            self.app.last_id += 1;
            let replay = match self.rng.between(0, 2) {
                0 => Replay::AfterUnauthorized,
                _ => Replay::Always,
            };
            let request = AppRequest {
                id: AppRequestId(self.app.last_id),
                replay,
                destination: Destination::Api,
                resource: self.rng.between(1, PATHS) as u32,
                sent_with: None,
            };
            let (token, waits_since, is_unauthorized) = (None, None, false);
            self.app.open.push(Pending { request, token, waits_since, is_unauthorized });
            self.tally.app_requests += 1;
            self.app_sends(request.id)?;
        }
        Ok(())
    }

    /// Sends one of them, and reports what it meets.
    pub(crate) fn app_sends(&mut self, id: AppRequestId) -> Verdict {
        if let Some(until) = self.page.napping_until {
            self.future.at(until + 1, Event::AppSends { request: id });
            return Ok(());
        }
        let generation = self.keeper.generation();
        let Some(pending) = self.app.open.iter_mut().find(|it| it.request.id == id) else {
            return Ok(());
        };
        pending.request.sent_with = generation.map(session_keeper_core::Generation::tag);
        pending.token = generation.map(|generation| generation.token_id);
        let (request, token) = (pending.request, pending.token);
        let Some(outcome) = self.app_meets(token) else {
            // It is held for ever: whoever asked gives up.
            return self.app_reports(request, AppEvent::Closed);
        };
        let event = match status(&outcome) {
            None => AppEvent::NoResponse,
            Some(401) => AppEvent::Unauthorized,
            Some(502..=504) => AppEvent::Unavailable,
            Some(_) => AppEvent::Closed,
        };
        let is_proof = matches!(&outcome, Outcome::Response(it) if it.body == Body::Object);
        let is_known = self.keeper.snapshot().server == ServerState::Awake;
        if status(&outcome) == Some(200) && is_proof && !is_known {
            self.feed(Input::AppProof)?;
        }
        self.app_reports(request, event)
    }

    /// What becomes of a request: its outcome, or nothing while the server holds it.
    fn app_meets(&mut self, token: Option<TokenId>) -> Option<Outcome> {
        if self.network.path != Path::Clear {
            return Some(Outcome::NoAnswer);
        }
        match self.server.handle(self.now, Probe::Verify, token, &mut self.rng) {
            Handling::Answer(response) => Some(Outcome::Response(response)),
            Handling::Refuse => Some(Outcome::NoAnswer),
            Handling::Hold(_) => None,
        }
    }

    fn app_reports(&mut self, request: AppRequest, event: AppEvent) -> Verdict {
        if event == AppEvent::Closed {
            self.app.open.retain(|it| it.request.id != request.id);
        }
        for pending in &mut self.app.open {
            if pending.request.id == request.id {
                pending.waits_since = Some(NOT_YET);
                pending.is_unauthorized = event == AppEvent::Unauthorized;
            }
        }
        self.feed(Input::AppRequest { request, event })?;
        // With the report the keeper has learned what time it is.
        let line = self.line();
        let waiting = self.app.open.iter_mut().filter_map(|it| it.waits_since.as_mut());
        waiting.filter(|since| **since == NOT_YET).for_each(|since| *since = line);
        Ok(())
    }

    /// The keeper has decided.
    pub(crate) fn app_goes_on(&mut self, id: AppRequestId, action: AppAction) -> Verdict {
        let Some(at) = self.app.open.iter().position(|it| it.request.id == id) else {
            return Err((Guarantee::G6, format!("{action:?} for a request that is over")));
        };
        let pending = &mut self.app.open[at];
        if pending.waits_since.take().is_none() {
            return Err((Guarantee::G6, format!("{action:?} for a request that does not wait")));
        }
        if action == AppAction::Send {
            self.future.at(self.now + TRIP, Event::AppSends { request: id });
            return Ok(());
        }
        let Pending { token, is_unauthorized, .. } = self.app.open.swap_remove(at);
        let is_good = token.is_some_and(|token| self.server.knows(token));
        if is_unauthorized && is_good && self.keeper.snapshot().signed_in() == Some(true) {
            self.tally.app_false_401s += 1;
        }
        Ok(())
    }

    /// Every request that waits is answered within its bound (G4). A page that cannot act answers
    /// when it can.
    pub(crate) fn app_waits_within_bounds(&self) -> Verdict {
        if self.page.frozen || self.page.napping_until.is_some() {
            return Ok(());
        }
        let line = self.line();
        let late =
            |it: &&Pending| it.waits_since.is_some_and(|since| line >= since.saturating_add(WAIT));
        match self.app.open.iter().find(late) {
            Some(late) => Err((Guarantee::G4, format!("{late:?} waits beyond its bound"))),
            None => Ok(()),
        }
    }
}
