//! What `js/` calls. Options come normalized and checked from there; a wrong one is its bug.

use js_sys::{Function, Object};
use session_keeper_core::{Confirm, Duration, HealthOptions, UnixMillis, WhenHidden};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::{Keeper, Token};
use crate::js::{function, get, is_true, number, text};
use crate::options::{Auth, Csrf, Options, Persist};
use crate::view;

/// One keeper, as the face of the npm package drives it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core(Keeper);

#[wasm_bindgen]
impl Core {
    /// `notify` is called with the name of the news and an object.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, notify: Function) -> Self {
        Self(Keeper::new(read(options), move |notice| {
            let (name, detail) = view::notice(notice);
            // The face lets nothing out; were it to throw, the step goes on all the same.
            let _ = notify.call2(&JsValue::NULL, &name.into(), &detail);
        }))
    }

    /// Starts to keep the session.
    pub fn start(&self) {
        self.0.start();
    }

    /// Stops.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Begins a session; `expires_at` in milliseconds.
    pub fn sign_in(
        &self,
        token: &str,
        refresh: Option<String>,
        expires_at: Option<f64>,
        user: JsValue,
    ) {
        let mut token = Token::new(token).with_user(user);
        if let Some(refresh) = refresh {
            token = token.with_refresh(&refresh);
        }
        if let Some(at) = expires_at {
            token = token.expiring_at(UnixMillis(at as u64));
        }
        self.0.sign_in(token);
    }

    /// Ends the session.
    pub fn sign_out(&self) {
        self.0.sign_out();
    }

    /// Checks now.
    pub fn verify(&self) {
        self.0.verify();
    }

    /// A request of the app was answered.
    pub fn report(&self, status: u16) {
        self.0.report(status);
    }

    /// A request of the app got no answer.
    pub fn unanswered(&self) {
        self.0.unanswered();
    }

    /// The value of `Authorization`.
    pub fn credential(&self) -> Option<String> {
        self.0.credential()
    }

    /// What is known now.
    pub fn snapshot(&self) -> Object {
        view::snapshot(&self.0)
    }

    /// What happened.
    pub fn history(&self) -> js_sys::Array {
        view::history(&self.0)
    }

    /// For the debug view.
    pub fn debug(&self) -> Object {
        view::debug(&self.0)
    }
}

fn read(object: &JsValue) -> Options {
    let word = |key: &str| text(object, key).unwrap_or_default();
    let mut options = Options::at(word("base"), word("origin"));
    options.name = word("name");
    options.verify_path = word("verifyPath");
    options.sign_out_path = text(object, "signOutPath");
    options.auth = match (function(object, "auth"), word("auth").as_str()) {
        (Some(authorize), _) => Auth::Custom(authorize),
        (None, "cookie") => Auth::Cookie,
        _ => Auth::Bearer { scheme: word("scheme") },
    };
    let persist = get(object, "persist");
    options.persist = match persist.as_string().as_deref() {
        Some("local") => Persist::Local,
        Some("session") => Persist::Session,
        Some(_) => Persist::Memory,
        None => Persist::Adapter(persist),
    };
    options.classify = function(object, "classify");
    let csrf = get(object, "csrf");
    options.csrf = text(&csrf, "cookie")
        .zip(text(&csrf, "header"))
        .map(|(cookie, header)| Csrf { cookie, header });
    read_core(object, &mut options);
    options
}

fn read_core(object: &JsValue, options: &mut Options) {
    let length = |from: &JsValue, key: &str| number(from, key).map(Duration::from_millis);
    let core = &mut options.core;
    let health = get(object, "health");
    core.health = health.is_object().then(|| {
        let usual = HealthOptions::default();
        options.health_path = text(&health, "path").unwrap_or_default();
        HealthOptions {
            every: length(&health, "everyMs").unwrap_or(usual.every),
            timeout: length(&health, "timeoutMs").unwrap_or(usual.timeout),
            wake_timeout: length(&health, "wakeTimeoutMs").unwrap_or(usual.wake_timeout),
            when_hidden: match text(&health, "whenHidden").as_deref() {
                Some("pause") => WhenHidden::Pause,
                Some("always") => WhenHidden::Always,
                _ => WhenHidden::Ping,
            },
            hidden_for: length(&health, "hiddenForMs").unwrap_or(usual.hidden_for),
        }
    });
    let verify = get(object, "verify");
    let usual = &mut core.verify;
    usual.every = length(&verify, "everyMs").unwrap_or(usual.every);
    usual.timeout = length(&verify, "timeoutMs").unwrap_or(usual.timeout);
    usual.retries = number(&verify, "retries").map_or(usual.retries, |count| count as u8);
    usual.retry_delay = length(&verify, "retryDelayMs").unwrap_or(usual.retry_delay);
    usual.when_idle = length(&verify, "whenIdleMs");
    if is_true(object, "immediate") {
        core.confirm = Confirm::Immediate;
    }
}
