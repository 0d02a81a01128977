//! What `js/` calls. Options come checked and complete from there (`js/src/options.ts`); a wrong
//! one is its bug.
//!
//! Functions with a handle instead of an exported class: a class brings its own counting, its
//! freeing and a registry for it, for a driver that lives as long as its page.

#![allow(unreachable_pub, reason = "wasm-bindgen exports public functions only")]

use std::cell::RefCell;

use session_keeper_core::{Input, UnixMillis};
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

/// A request of the app got no answer.
#[wasm_bindgen]
pub fn unanswered(handle: usize) {
    driver(handle).take(Input::Unanswered);
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
