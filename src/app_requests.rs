//! The requests of the app on their way through the core: who waits for which decision.
//!
//! Rule: each request that was reported gets one decision, and none after it was closed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use session_keeper_core::{AppAction, AppEvent, AppRequest, AppRequestId, Input};

use crate::driver::Driver;

/// Told what to do with one request.
pub(crate) type OnAction = Box<dyn FnOnce(AppAction)>;

/// The requests that wait for a decision of the core.
#[derive(Default)]
pub(crate) struct AppRequests {
    last_id: Cell<u32>,
    waiting: RefCell<Vec<(AppRequestId, OnAction)>>,
}

impl AppRequests {
    /// An id for one more request; scripts count their own.
    pub(crate) fn next_id(&self) -> AppRequestId {
        self.last_id.set(self.last_id.get().wrapping_add(1));
        AppRequestId(self.last_id.get())
    }

    fn wait(&self, request: AppRequestId, on_action: OnAction) {
        self.waiting.borrow_mut().push((request, on_action));
    }

    /// Calls whoever waits; without a borrow, because the app's code may run then.
    pub(crate) fn decided(&self, request: AppRequestId, action: AppAction) {
        if let Some(on_action) = self.take(request) {
            on_action(action);
        }
    }

    fn take(&self, request: AppRequestId) -> Option<OnAction> {
        let waiting = &mut *self.waiting.borrow_mut();
        let at = waiting.iter().position(|(id, _)| *id == request)?;
        Some(waiting.swap_remove(at).1)
    }
}

impl Driver {
    /// Reports what happened to a request of the app; `on_action` is told what to do with it.
    pub(crate) fn report(
        self: &Rc<Self>,
        request: AppRequest,
        event: AppEvent,
        on_action: OnAction,
    ) {
        self.app_requests.wait(request.id, on_action);
        self.dispatch(Input::AppRequest { request, event });
    }

    /// The request is over: nobody waits for a decision any more.
    pub(crate) fn close_app_request(self: &Rc<Self>, request: AppRequest) {
        self.app_requests.take(request.id);
        self.dispatch(Input::AppRequest { request, event: AppEvent::Closed });
    }
}
