//! What `js/` calls. Options come checked and complete from there (`js/src/options.ts`); a wrong
//! one is its bug.

#![allow(unreachable_pub, reason = "wasm-bindgen exports public items only")]
#![allow(missing_debug_implementations, reason = "scripts do not print by Debug")]

#[cfg(feature = "trace")]
mod traced;

use std::rc::Rc;

use js_sys::Function;
use session_keeper_core::{
    AppAction, AppEvent, AppRequest, AppRequestId, Destination, Input, Replay, UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Driver;
use crate::npm_options::NpmOptions;
use crate::options::Options;
use crate::{panic, view};

/// Hands message and place of each panic to `report`. To be called once.
#[wasm_bindgen]
pub fn on_panic(report: Function) {
    panic::install(report);
}

/// One keeper of the page, freed with its last reference there.
#[wasm_bindgen]
pub struct Core(Rc<Driver>);

#[wasm_bindgen]
impl Core {
    /// `notify` is called with the name of the news and an object.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &NpmOptions, notify: Function) -> Self {
        let notify = move |notice: &_| {
            let (name, detail) = view::notice(notice);
            // The face lets nothing out; were it to throw, the step goes on all the same.
            let _ = notify.call2(&JsValue::UNDEFINED, &name.into(), &detail);
        };
        let driver = Driver::new(Options::from(options), Box::new(notify));
        #[cfg(feature = "trace")]
        traced::remember(&driver);
        Self(driver)
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
        self.0.sign_in(token, Some(user), expires_at);
    }

    /// The same session with a newer token: an object like that of `sign_in`, with `expires_at`.
    pub fn renew(&self, token: JsValue) {
        self.0.renew(token);
    }

    /// Asks for a newer token now.
    pub fn refresh(&self) {
        self.0.dispatch(Input::Refresh);
    }

    /// For how many milliseconds the token is still good; NaN where that is not known, or where it
    /// cannot be refreshed.
    pub fn refreshable_for(&self) -> f64 {
        let remaining = |core: &session_keeper_core::Keeper| {
            core.token_remaining().filter(|_| core.can_refresh())
        };
        self.0.with_core(remaining).map_or(f64::NAN, |it| it.as_millis() as f64)
    }

    /// Ends the session.
    pub fn sign_out(&self) {
        self.0.dispatch(Input::SignOut);
    }

    /// Checks now.
    pub fn verify(&self) {
        self.0.dispatch(Input::Verify);
    }

    /// A request of the app was answered.
    pub fn report(&self, status: u16) {
        self.0.dispatch(Input::Report { status });
    }

    /// A request of the app to the API's origin was answered as only the API itself does.
    pub fn app_proof(&self) {
        self.0.dispatch(Input::AppProof);
    }

    /// The tag of the generation whose credential a request of the app carries when it is sent
    /// now, 0 where there is no session; -1 less where the request has to be reported as ready
    /// first.
    pub fn admit(&self) -> f64 {
        self.0.with_core(|core| {
            let tag = core.generation().map_or(0.0, |generation| generation.tag().into());
            if core.may_send() { tag } else { -1.0 - tag }
        })
    }

    /// Something happened to a request of the app: `event` and `kind` count as `js/src/fetch.ts`
    /// does. `on_action` is called once with 0 to send it, 1 to deliver it, 2 to refuse it; never
    /// after the request was closed.
    pub fn report_request(
        &self,
        id: u32,
        event: u8,
        kind: u8,
        resource: u32,
        sent_with: u32,
        on_action: Function,
    ) {
        let request = AppRequest {
            id: AppRequestId(id),
            replay: match kind & 3 {
                0 => Replay::Never,
                1 => Replay::AfterUnauthorized,
                _ => Replay::Always,
            },
            destination: if kind & 4 == 0 { Destination::Api } else { Destination::OtherOrigin },
            resource,
            sent_with: (sent_with > 0).then_some(sent_with),
        };
        let event = match event {
            0 => AppEvent::Ready,
            1 => AppEvent::NoResponse,
            2 => AppEvent::Unavailable,
            3 => AppEvent::Unauthorized,
            _ => return self.0.close_app_request(request),
        };
        let on_action = move |action: AppAction| {
            // The face lets nothing out.
            let _ = on_action.call1(&JsValue::UNDEFINED, &(action as u8).into());
        };
        self.0.report(request, event, Box::new(on_action));
    }

    /// The value of `Authorization`, or nothing.
    pub fn credential(&self) -> Option<String> {
        self.0.credential()
    }

    /// What is known now.
    pub fn snapshot(&self) -> JsValue {
        view::snapshot(&self.0)
    }

    /// What happened.
    pub fn history(&self) -> JsValue {
        view::history(&self.0).into()
    }

    /// For the debug view.
    pub fn debug(&self) -> JsValue {
        view::debug(&self.0)
    }

    /// To be called from a task of its own after an error that nobody caught: then no step can be
    /// under way, unless a trap or an exception has cut it off.
    pub fn check(&self) {
        assert!(!self.0.is_dispatching(), "a step was not carried out to its end");
    }
}
