//! What `js/` calls. Options come checked and complete from there (`js/src/options.ts`); a wrong
//! one is its bug.
//!
//! Functions with a handle instead of an exported class: a class brings its own counting, its
//! freeing and a registry for it, for a driver that lives as long as its page.

#![allow(unreachable_pub, reason = "wasm-bindgen exports public functions only")]

use std::cell::RefCell;

use session_keeper_core::{
    AppAction, AppEvent, AppRequest, AppRequestId, Destination, Input, Replay, UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Driver;
use crate::js;
use crate::options::Options;
use crate::view;

thread_local! {
    static DRIVERS: RefCell<Vec<&'static Driver>> = const { RefCell::new(Vec::new()) };
}

/// Makes a keeper and returns its handle. `notify` is called with the name of the news and an
/// object.
#[wasm_bindgen]
pub fn open(options: JsValue, notify: JsValue) -> usize {
    let notify = move |notice: &_| {
        let (name, detail) = view::notice(notice);
        // The face lets nothing out; were it to throw, the step goes on all the same.
        js::apply(&notify, &JsValue::NULL, &[&JsValue::from_str(name), &detail]);
    };
    let driver = Driver::new(Options::from_face(options), Box::new(notify));
    DRIVERS.with_borrow_mut(|drivers| {
        drivers.push(driver);
        drivers.len() - 1
    })
}

/// The keeper of a handle that `open` returned.
#[inline(never)]
fn driver(handle: usize) -> &'static Driver {
    DRIVERS.with_borrow(|drivers| drivers[handle])
}

/// Starts to keep the session.
#[wasm_bindgen]
pub fn start(handle: usize) {
    driver(handle).start();
}

/// Stops.
#[wasm_bindgen]
pub fn stop(handle: usize) {
    driver(handle).stop();
}

/// Begins a session. `token` holds `token` and perhaps `refresh_token`; `expires_at` is in
/// milliseconds, NaN where it is not known.
#[wasm_bindgen]
pub fn sign_in(handle: usize, token: JsValue, user: JsValue, expires_at: f64) {
    let expires_at = (expires_at >= 0.0).then_some(UnixMillis(expires_at as u64));
    driver(handle).sign_in(token, user, expires_at);
}

/// Ends the session.
#[wasm_bindgen]
pub fn sign_out(handle: usize) {
    driver(handle).take(Input::SignOut);
}

/// Checks now.
#[wasm_bindgen]
pub fn verify(handle: usize) {
    driver(handle).take(Input::Verify);
}

/// A request of the app was answered.
#[wasm_bindgen]
pub fn report(handle: usize, status: u16) {
    driver(handle).take(Input::Report { status });
}

/// The tag of the generation whose credential a request of the app carries when it is sent now, 0
/// where there is no session; -1 less where the request has to be reported as ready first.
#[wasm_bindgen]
pub fn admit(handle: usize) -> f64 {
    driver(handle).look(|core| {
        let tag = core.generation().map_or(0.0, |generation| generation.tag().into());
        if core.may_send() { tag } else { -1.0 - tag }
    })
}

/// Something happened to a request of the app: `event` and `kind` count as `js/src/fetch.ts`
/// does. `on_action` is called once with 0 to send it, 1 to deliver it, 2 to refuse it; never
/// after the request was closed.
#[wasm_bindgen]
pub fn report_request(
    handle: usize,
    id: u32,
    event: u8,
    kind: u8,
    resource: u32,
    sent_with: u32,
    on_action: JsValue,
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
        _ => return driver(handle).close_app_request(request),
    };
    let on_action = move |action: AppAction| {
        let action = f64::from(action as u8);
        js::apply(&on_action, &JsValue::NULL, &[&JsValue::from_f64(action)]);
    };
    driver(handle).report(request, event, Box::new(on_action));
}

/// The value of `Authorization`, or nothing.
#[wasm_bindgen]
pub fn credential(handle: usize) -> JsValue {
    match driver(handle).credential() {
        Some(credential) => JsValue::from_str(&credential),
        None => JsValue::UNDEFINED,
    }
}

/// What is known now.
#[wasm_bindgen]
pub fn snapshot(handle: usize) -> JsValue {
    view::snapshot(driver(handle))
}

/// What happened.
#[wasm_bindgen]
pub fn history(handle: usize) -> JsValue {
    view::history(driver(handle)).into()
}

/// For the debug view.
#[wasm_bindgen]
pub fn debug(handle: usize) -> JsValue {
    view::debug(driver(handle))
}
