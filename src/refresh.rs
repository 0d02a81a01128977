//! Refreshing the token, and acquiring one without the user: the page's functions that do it, and
//! what their answers hold. What an answer means is the core's.
//!
//! Rule: tokens stay inside the page's objects, and nothing here prints.

use js_sys::Function;
use session_keeper_core::{AttemptId, Outcome};
use wasm_bindgen::JsValue;
use web_sys::AbortSignal;

use crate::json::get;
use crate::record;
#[cfg(not(feature = "npm"))]
use crate::refresh_path::RefreshPath;
use crate::transport::Received;

/// How the token is refreshed, or acquired.
pub(crate) struct Refresh {
    pub(crate) by: By,
    /// Whether it takes a refresh token.
    pub(crate) needs_token: bool,
}

pub(crate) enum By {
    /// Functions of the page.
    Page {
        /// Gets the object of the record, the attempt's id and a signal, and answers with a
        /// response or its promise. To acquire a token it gets neither record nor id.
        run: Function,
        /// Gets the body of the answer, the object of the record, and the CSRF token in the
        /// answer's header. Returns `record`, the object of the next record where the body has a
        /// token, `isSame`, `isInvalidGrant`, and `user`, of whom an acquired token is.
        read: Function,
    },
    #[cfg(not(feature = "npm"))]
    Path(RefreshPath),
}

/// An attempt that is about to be sent.
pub(crate) struct Attempt {
    pub(crate) token: JsValue,
    /// None where a token is acquired.
    pub(crate) id: Option<AttemptId>,
}

/// How an attempt ended.
pub(crate) struct Refreshed {
    pub(crate) outcome: Outcome,
    pub(crate) is_invalid_grant: bool,
    /// What the record holds from now on, where a newer token came.
    pub(crate) object: Option<JsValue>,
    pub(crate) is_same: bool,
    pub(crate) user: JsValue,
}

impl Refresh {
    pub(crate) fn send(
        &self,
        attempt: &Attempt,
        signal: Option<&AbortSignal>,
    ) -> Result<JsValue, JsValue> {
        match &self.by {
            By::Page { run, .. } => {
                let signal = signal.map(JsValue::from).unwrap_or_default();
                let id = attempt.id.map(|id| attempt_id(id).into()).unwrap_or_default();
                run.call3(&JsValue::UNDEFINED, &attempt.token, &id, &signal)
            }
            #[cfg(not(feature = "npm"))]
            By::Path(path) => path.send(attempt, signal),
        }
    }

    pub(crate) fn read(&self, old: &JsValue, received: Received) -> Refreshed {
        let read = match &self.by {
            By::Page { read, .. } => read,
            #[cfg(not(feature = "npm"))]
            By::Path(path) => return path.read(old, received),
        };
        let Received { outcome, body, csrf } = received;
        let csrf = csrf.map(JsValue::from).unwrap_or_default();
        let said = read.call3(&JsValue::UNDEFINED, &body, old, &csrf).unwrap_or_default();
        let is = |key| get(&said, key).is_truthy();
        Refreshed {
            outcome,
            is_invalid_grant: is("isInvalidGrant"),
            object: Some(get(&said, "record")).filter(JsValue::is_object),
            is_same: is("isSame"),
            user: get(&said, "user"),
        }
    }
}

/// An attempt's id as it is sent and stored.
pub(crate) fn attempt_id(id: AttemptId) -> String {
    record::hex(id.0)
}
