//! What the app chooses for the shell: addresses, credential, store. What decides something is
//! in [`session_keeper_core::Options`].
//!
//! The choices stay in an object of the page and are read where they are needed: a field for
//! each would be a kilobyte of moving and freeing strings.

use core::fmt;

use session_keeper_core::{Credential, OriginRelation};
use wasm_bindgen::JsValue;

use crate::js::{self, get, set, set_text, text};

/// The choices of one keeper, for Rust front ends. The npm package checks its own in `js/`.
pub struct Options {
    /// What decides. Its `credential`, `tell_sign_out` and `reach` follow from what is below.
    pub core: session_keeper_core::Options,
    object: JsValue,
}

/// Where the record is kept.
#[derive(Clone, Debug)]
pub enum Persist {
    /// `localStorage`: outlives the browser.
    Local,
    /// `sessionStorage`: outlives a reload.
    Session,
    /// Nothing outlives the page.
    Memory,
    /// An object with `get`, `set` and `remove`.
    Adapter(JsValue),
}

/// The address is no absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsError;

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of the API must be an absolute http or https URL")
    }
}

impl core::error::Error for OptionsError {}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults for an API at this address: a bearer token kept in `localStorage`, verified
    /// at `/auth/me`, pings to `/api/health`. Paths are appended to the address.
    ///
    /// # Errors
    /// When the address is no absolute `http` or `https` URL.
    pub fn new(base_url: &str) -> Result<Self, OptionsError> {
        let (scheme, rest) = base_url.split_once("://").ok_or(OptionsError)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if !matches!(scheme, "http" | "https") || authority.is_empty() || authority.contains('@') {
            return Err(OptionsError);
        }
        let origin = [scheme, "://", &authority.to_ascii_lowercase()].concat();
        let object = js::object();
        set_text(&object, "base", base_url.trim_end_matches('/'));
        set_text(&object, "origin", &origin);
        set_text(&object, "name", &["session-keeper:", &origin].concat());
        set_text(&object, "healthPath", "/api/health");
        set_text(&object, "verifyPath", "/auth/me");
        set_text(&object, "scheme", "Bearer");
        set_text(&object, "persist", "local");
        Ok(Self { core: session_keeper_core::Options::default(), object })
    }

    /// The key of the record. Two keepers of one name in a browser share a session.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.with("name", &name.into())
    }

    /// The path that is pinged.
    #[must_use]
    pub fn health_path(self, path: &str) -> Self {
        self.with("healthPath", &path.into())
    }

    /// The path that verifies the token.
    #[must_use]
    pub fn verify_path(self, path: &str) -> Self {
        self.with("verifyPath", &path.into())
    }

    /// The path that is told of a sign-out (POST), so that the server forgets the token too.
    #[must_use]
    pub fn sign_out_path(self, path: &str) -> Self {
        self.with("signOutPath", &path.into())
    }

    /// The word before the token in `Authorization`.
    #[must_use]
    pub fn scheme(self, scheme: &str) -> Self {
        self.with("scheme", &scheme.into())
    }

    /// A cookie proves the user; the record holds no secret.
    #[must_use]
    pub fn cookie(self) -> Self {
        self.with("scheme", &JsValue::UNDEFINED)
    }

    /// A function of the page that gets each request and returns the one to send, at once or
    /// with a promise.
    #[must_use]
    pub fn authorize(self, authorize: &JsValue) -> Self {
        self.with("authorize", authorize)
    }

    /// A function of the page that reads answers of the verify path: gets the response and its
    /// parsed body, returns `"valid"`, `"rejected"` or nothing.
    #[must_use]
    pub fn classify(self, classify: &JsValue) -> Self {
        self.with("classify", classify)
    }

    /// Where the record is kept.
    #[must_use]
    pub fn persist(self, persist: &Persist) -> Self {
        match persist {
            Persist::Local => self.with("persist", &"local".into()),
            Persist::Session => self.with("persist", &"session".into()),
            Persist::Memory => self.with("persist", &"memory".into()),
            Persist::Adapter(adapter) => self.with("adapter", adapter),
        }
    }

    fn with(self, key: &str, value: &JsValue) -> Self {
        set(&self.object, key, value);
        self
    }

    /// The object of the npm package's face: the same names, and the numbers that decide in
    /// `numbers`, in the order of `toNumbers` in `js/src/options.ts`, NaN where there is none.
    #[cfg(feature = "npm")]
    pub(crate) fn from_face(object: JsValue) -> Self {
        use session_keeper_core::{
            AppRequestOptions, Chance, Confirm, Duration, HealthOptions, OnUnauthorized,
            VerifyOptions, WhenHidden,
        };
        let numbers = get(&object, "numbers");
        let number = |at: &str| js::number(&numbers, at);
        let length = |at: &str| Duration::from_millis(number(at).unwrap_or(0));
        let core = session_keeper_core::Options {
            health: number("0").map(|_| HealthOptions {
                every: length("0"),
                timeout: length("1"),
                wake_timeout: length("2"),
                hidden_for: length("3"),
                when_hidden: match number("4") {
                    Some(1) => WhenHidden::Pause,
                    Some(2) => WhenHidden::Always,
                    _ => WhenHidden::Ping,
                },
            }),
            verify: VerifyOptions {
                every: length("5"),
                timeout: length("6"),
                retries: length("7").as_millis() as u8,
                retry_delay: length("8"),
                when_idle: number("9").map(|_| length("9")),
            },
            confirm: match get(&numbers, "10").as_f64() {
                Some(most) if most > 0.0 => Confirm::Below(Chance::of(most)),
                _ => Confirm::Immediate,
            },
            credential: Credential::Token,
            tell_sign_out: false,
            reach: OriginRelation::SameOrigin,
            app_requests: AppRequestOptions {
                wait: length("11"),
                max_waiting: number("12").unwrap_or(0) as usize,
                on_unauthorized: match number("13") {
                    Some(1) => OnUnauthorized::Pass,
                    _ => OnUnauthorized::Settle,
                },
            },
        };
        Self { core, object }
    }

    /// What the core is told, with what follows from the other choices.
    pub(crate) fn settle(&mut self) -> session_keeper_core::Options {
        let mut core = core::mem::take(&mut self.core);
        core.tell_sign_out = self.text("signOutPath").is_some();
        if self.text("scheme").is_none() && !self.get("authorize").is_function() {
            core.credential = Credential::Cookie;
        }
        if text(&js::window(), "origin") != self.text("origin") {
            core.reach = OriginRelation::CrossOrigin;
        }
        core
    }

    /// Whether a record without a token is none.
    pub(crate) fn needs_token(&self) -> bool {
        self.text("scheme").is_some() && !self.get("authorize").is_function()
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        text(&self.object, key)
    }

    pub(crate) fn get(&self, key: &str) -> JsValue {
        get(&self.object, key)
    }
}
