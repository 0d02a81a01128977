//! The requests of the app on their way through the core: who waits for which decision.
//!
//! Rule: each request that was reported gets one decision, and none after it was closed.

use std::cell::RefCell;

use session_keeper_core::{AppAction, AppRequestId};

/// Told what to do with one request.
pub(crate) type OnAction = Box<dyn FnOnce(AppAction)>;

/// The requests that wait for a decision of the core.
#[derive(Default)]
pub(crate) struct AppRequests(RefCell<Vec<(AppRequestId, OnAction)>>);

impl AppRequests {
    pub(crate) fn wait(&self, request: AppRequestId, on_action: OnAction) {
        self.0.borrow_mut().push((request, on_action));
    }

    /// Calls whoever waits; without a borrow, because the app's code may run then.
    pub(crate) fn decided(&self, request: AppRequestId, action: AppAction) {
        if let Some(on_action) = self.take(request) {
            on_action(action);
        }
    }

    pub(crate) fn take(&self, request: AppRequestId) -> Option<OnAction> {
        let waiting = &mut *self.0.borrow_mut();
        let at = waiting.iter().position(|(id, _)| *id == request)?;
        Some(waiting.swap_remove(at).1)
    }
}
