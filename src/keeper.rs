//! The keeper as a Rust front end uses it.

use std::fmt;
use std::rc::Rc;

use session_keeper_core::{Duration, Entry, Input, Notice, SignOut, Snapshot, UnixMillis};
use wasm_bindgen::JsValue;

use crate::driver::Driver;
use crate::fetch::{self, FetchError, FetchOptions};
use crate::json;
use crate::options::Options;

/// A token as the app hands it over.
pub struct Token {
    token: String,
    refresh: Option<String>,
    user: Option<JsValue>,
    expires_at: Option<UnixMillis>,
    lifetime: Option<Duration>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

impl Token {
    /// An opaque token or a JWT.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            refresh: None,
            user: None,
            expires_at: None,
            lifetime: None,
        }
    }

    /// When it runs out, if that is known. Informs only: the local clock ends no session.
    #[must_use]
    pub fn expiring_at(self, at: UnixMillis) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// For how long it was issued (`expires_in`): needs no clock of the server.
    #[must_use]
    pub fn living_for(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// The refresh token that came along.
    #[must_use]
    pub fn with_refresh(self, refresh: &str) -> Self {
        Self { refresh: Some(refresh.to_owned()), ..self }
    }

    fn object(&self) -> JsValue {
        let object = json::object();
        json::set(&object, "token", &*self.token);
        if let Some(refresh) = &self.refresh {
            json::set(&object, "refresh_token", &**refresh);
        }
        if let Some(lifetime) = self.lifetime {
            json::set(&object, "lifetime", lifetime.as_millis() as f64);
        }
        object
    }

    /// Who signed in, until a verified body says it.
    #[must_use]
    pub fn with_user(self, user: JsValue) -> Self {
        Self { user: Some(user), ..self }
    }
}

/// Keeps one session of one page. Cheap to clone: clones are the same keeper, and it is gone with
/// the last of them.
#[derive(Clone)]
pub struct Keeper(Rc<Driver>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    /// A keeper that does nothing until it is started. News arrive by `notify`, after the state
    /// is what they say; it may call the keeper.
    #[must_use]
    pub fn new(options: Options, notify: impl Fn(&Notice) + 'static) -> Self {
        Self(Driver::new(options, Box::new(notify)))
    }

    /// Restores the session and starts to keep it. Twice is once; without a document never.
    pub fn start(&self) {
        self.0.start();
    }

    /// Stops pings and verifications; the session stays where it is stored.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Begins a session.
    pub fn sign_in(&self, token: Token) {
        if !crate::global::is_page() {
            return;
        }
        self.0.sign_in(token.object(), token.user, token.expires_at);
    }

    /// A newer token of the same session, which the server handed out by itself.
    pub fn renew(&self, token: &Token) {
        if !crate::global::is_page() {
            return;
        }
        let object = token.object();
        json::set_moment(&object, "expires_at", token.expires_at);
        self.0.renew(object);
    }

    /// Asks for a newer token now; [`Notice::Refreshed`] follows, or [`Notice::NotRefreshed`]
    /// where none is to be had for now.
    pub fn refresh(&self) {
        self.0.dispatch(Input::Refresh);
    }

    /// Ends the session here and at once, also offline.
    pub fn sign_out(&self) {
        self.0.dispatch(Input::SignOut);
    }

    /// Checks now; [`Notice::Settled`] follows.
    pub fn verify(&self) {
        self.0.dispatch(Input::Verify);
    }

    /// An answer that the app got elsewhere: a 401 starts the check and is never evidence itself.
    pub fn report(&self, status: u16) {
        self.0.dispatch(Input::Report { status });
    }

    /// A request of the app got no answer.
    pub fn unanswered(&self) {
        self.0.dispatch(Input::Unanswered);
    }

    /// Sends a request with the credential, where it goes to an origin that may know it.
    ///
    /// A request that may be sent again (GET, HEAD, OPTIONS, or as `allowed` says) waits out an
    /// outage of the API and is sent up to three more times. A 401 for the current token is held
    /// until a verification has decided: where the token is accepted, such a request is sent once
    /// more, and any other gets its 401; where the session is over, the 401 is handed out after
    /// [`Notice::SignedOut`]. All of it is bounded by `app_requests` of the options, 90 s by
    /// default, and ends at once with the abort signal of the request.
    ///
    /// Takes a [`web_sys::Request`], or one of gloo-net.
    ///
    /// # Errors
    /// [`FetchError::Rejected`] where the browser got no response, [`FetchError::Redirected`] and
    /// [`FetchError::TooManyWaiting`].
    pub async fn fetch(
        &self,
        request: impl Into<web_sys::Request>,
        allowed: FetchOptions,
    ) -> Result<web_sys::Response, FetchError> {
        fetch::send(&self.0, request.into(), allowed).await
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.with_core(|core| core.snapshot())
    }

    /// The last sign-out, while there is no newer session.
    #[must_use]
    pub fn last_sign_out(&self) -> Option<SignOut> {
        self.0.with_core(|core| core.sign_out().cloned())
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        self.0.with_core(|core| core.history().copied().collect())
    }

    /// All that the keeper was told so far, for `cargo xtask replay`: no token, no body, no user.
    /// It grows with each input, a few a minute.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn trace(&self) -> session_keeper_core::Trace {
        self.0.trace()
    }

    /// The value of `Authorization` for requests to the API, in bearer mode while there is a
    /// session. For the API's origin only.
    #[must_use]
    pub fn credential(&self) -> Option<String> {
        self.0.credential()
    }

    /// Who is signed in: what the last verified body or the sign-in said, else `undefined`.
    #[must_use]
    pub fn user(&self) -> JsValue {
        self.0.user()
    }

    /// Where the record is kept: `local`, `session`, `adapter`, or `memory`, also while the store
    /// is blocked or full.
    #[must_use]
    pub fn storage(&self) -> &'static str {
        self.0.storage_name()
    }

    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn driver(&self) -> &Rc<Driver> {
        &self.0
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use session_keeper_core::SessionState;

    use super::*;

    #[test]
    fn on_a_server_every_method_is_harmless() {
        let options = Options::new("https://api.example.com").expect("it is an address");
        let keeper = Keeper::new(options, |_| panic!("there are no news"));
        keeper.start();
        keeper.sign_in(Token::new("token").with_refresh("refresh"));
        keeper.verify();
        keeper.report(401);
        keeper.sign_out();
        keeper.stop();
        assert_eq!(keeper.snapshot().session, SessionState::Restoring);
        assert_eq!((keeper.credential(), keeper.storage()), (None, "memory"));
    }
}
