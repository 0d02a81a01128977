//! The tokens of the session: the page's objects that hold them, by generation.
//!
//! Rule: a token stays in its object until a request needs it, and nothing here prints.

use session_keeper_core::{Generation, NewToken, TokenFacts, TokenHandle, UnixMillis};
use wasm_bindgen::JsValue;

use crate::{clock, json, record};

/// The session's tokens and those that the app has just handed over.
#[derive(Default)]
pub(crate) struct Tokens {
    by_generation: Vec<(Generation, JsValue)>,
    /// The core has not decided about them yet.
    pending: Vec<Pending>,
    last_handle: u32,
}

/// What was handed over, by the app or by a refresh.
pub(crate) struct Pending {
    handle: TokenHandle,
    pub(crate) object: JsValue,
    pub(crate) user: User,
}

/// Whose token it is.
pub(crate) enum User {
    /// A newer token of the same session.
    Same,
    Given(Option<JsValue>),
}

impl Tokens {
    /// Keeps what was handed over until the core has decided about it.
    pub(crate) fn hand_over(
        &mut self,
        object: JsValue,
        expires_at: Option<UnixMillis>,
        user: User,
    ) -> (TokenHandle, TokenFacts) {
        json::set_moment(&object, "saved_at", Some(clock::wall()));
        let facts = record::facts(&object, expires_at);
        self.last_handle = self.last_handle.wrapping_add(1);
        let handle = TokenHandle(self.last_handle);
        self.pending.push(Pending { handle, object, user });
        (handle, facts)
    }

    /// The same for what a refresh or the app brought, which holds `expires_at`; `is_same` where the
    /// token did not change.
    pub(crate) fn renew(&mut self, object: JsValue, is_same: bool, user: User) -> NewToken {
        let expires_at = json::moment(&object, "expires_at");
        let (token, facts) = self.hand_over(object, expires_at, user);
        NewToken { token, facts, is_same }
    }

    pub(crate) fn take_pending(&mut self, handle: TokenHandle) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.handle == handle)?;
        Some(self.pending.swap_remove(at))
    }

    pub(crate) fn keep(&mut self, generation: Generation, object: JsValue) {
        self.by_generation.push((generation, object));
    }

    /// The object that holds the token of a generation.
    pub(crate) fn get(&self, generation: Generation) -> Option<JsValue> {
        let (_, object) = self.by_generation.iter().find(|(of, _)| *of == generation)?;
        Some(object.clone())
    }

    pub(crate) fn forget(&mut self, generation: Generation) {
        self.by_generation.retain(|(of, _)| *of != generation);
    }

    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn count(&self) -> usize {
        self.by_generation.len()
    }
}
