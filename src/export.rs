//! What `js/` calls. Options come checked and complete from there, as `js/src/options.ts` packs
//! them; a wrong one is its bug.

use session_keeper_core::{
    Confirm, Credential, Duration, HealthOptions, Input, UnixMillis, VerifyOptions, WhenHidden,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Driver;
use crate::js::{self, get, text};
use crate::options::{Auth, Options, Persist};
use crate::view;

/// One keeper, as the face of the npm package drives it.
#[wasm_bindgen]
#[allow(missing_debug_implementations, reason = "formatting code is a kilobyte, and JS has none")]
pub struct Core(&'static Driver);

#[wasm_bindgen]
impl Core {
    /// `notify` is called with the name of the news and an object.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, numbers: &[f64], notify: JsValue) -> Self {
        let notify = move |notice: &_| {
            let (name, detail) = view::notice(notice);
            // The face lets nothing out; were it to throw, the step goes on all the same.
            js::apply(&notify, &JsValue::NULL, &[&JsValue::from_str(name), &detail]);
        };
        Self(Driver::new(read(options, numbers), Box::new(notify)))
    }

    /// Starts to keep the session.
    pub fn start(&self) {
        self.0.start();
    }

    /// Stops.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Begins a session. `token` holds `token` and perhaps `refresh_token`; `expires_at` is in
    /// milliseconds, NaN where it is not known.
    pub fn sign_in(&self, token: JsValue, user: JsValue, expires_at: f64) {
        let expires_at = (expires_at >= 0.0).then_some(UnixMillis(expires_at as u64));
        self.0.sign_in(token, user, expires_at);
    }

    /// Ends the session.
    pub fn sign_out(&self) {
        self.0.take(Input::SignOut);
    }

    /// Checks now.
    pub fn verify(&self) {
        self.0.take(Input::Verify);
    }

    /// A request of the app was answered.
    pub fn report(&self, status: u16) {
        self.0.take(Input::Report { status });
    }

    /// A request of the app got no answer.
    pub fn unanswered(&self) {
        self.0.take(Input::Unanswered);
    }

    /// The value of `Authorization`.
    pub fn credential(&self) -> Option<String> {
        self.0.credential()
    }

    /// What is known now.
    pub fn snapshot(&self) -> JsValue {
        view::snapshot(self.0)
    }

    /// What happened.
    pub fn history(&self) -> js_sys::Array {
        view::history(self.0)
    }

    /// For the debug view.
    pub fn debug(&self) -> JsValue {
        view::debug(self.0)
    }
}

/// Words and functions by name; numbers in the order of `NUMBERS` in `js/src/options.ts`, NaN
/// where the choice is none.
fn read(object: &JsValue, numbers: &[f64]) -> Options {
    let word = |key: &str| text(object, key).unwrap_or_default();
    let value = |key: &str| Some(get(object, key)).filter(|value| !value.is_undefined());
    let number = |index: usize| numbers.get(index).copied().filter(|number| *number >= 0.0);
    let length = |index| Duration::from_millis(number(index).unwrap_or(0.0) as u64);
    let core = session_keeper_core::Options {
        health: number(0).map(|_| HealthOptions {
            every: length(0),
            timeout: length(1),
            wake_timeout: length(2),
            hidden_for: length(3),
            when_hidden: match number(4) {
                Some(1.0) => WhenHidden::Pause,
                Some(2.0) => WhenHidden::Always,
                _ => WhenHidden::Ping,
            },
        }),
        verify: VerifyOptions {
            every: length(5),
            timeout: length(6),
            retries: length(7).as_millis() as u8,
            retry_delay: length(8),
            when_idle: number(9).map(|_| length(9)),
        },
        confirm: if number(10).is_some() { Confirm::Immediate } else { Confirm::Stable },
        // The driver follows what proves the user and whether there is a sign-out path.
        credential: Credential::Token,
        tell_sign_out: false,
    };
    Options {
        core,
        base: word("base"),
        origin: word("origin"),
        name: word("name"),
        health_path: word("healthPath"),
        verify_path: word("verifyPath"),
        sign_out_path: text(object, "signOutPath"),
        auth: match (value("authorize"), text(object, "scheme")) {
            (Some(authorize), _) => Auth::Custom(authorize),
            (None, Some(scheme)) => Auth::Bearer { scheme },
            (None, None) => Auth::Cookie,
        },
        persist: match (value("adapter"), word("persist").as_str()) {
            (Some(adapter), _) => Persist::Adapter(adapter),
            (None, "local") => Persist::Local,
            (None, "session") => Persist::Session,
            (None, _) => Persist::Memory,
        },
        classify: value("classify"),
        csrf: text(object, "csrfHeader").zip(value("csrf")),
    }
}
