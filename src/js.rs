//! Plain objects of the page, read and made property by property: `serde-wasm-bindgen` would be
//! 16 KB of the package.
//!
//! Each function is compiled once and never inlined: there are over a hundred calls, and every
//! one inlined is fifty bytes in every browser.

use js_sys::{Function, Object, Reflect};
use session_keeper_core::UnixMillis;
use wasm_bindgen::{JsCast as _, JsValue};

/// The property, or `undefined` where the object has none, throws, or is none.
#[inline(never)]
pub(crate) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

#[inline(never)]
pub(crate) fn text(object: &JsValue, key: &str) -> Option<String> {
    get(object, key).as_string()
}

/// A whole number that is not negative and that a double holds exactly (2^53).
#[inline(never)]
pub(crate) fn number(object: &JsValue, key: &str) -> Option<u64> {
    let value = get(object, key).as_f64()?;
    let whole = value as u64;
    (value >= 0.0 && whole as f64 == value && whole <= 1 << 53).then_some(whole)
}

pub(crate) fn moment(object: &JsValue, key: &str) -> Option<UnixMillis> {
    number(object, key).map(UnixMillis)
}

#[inline(never)]
pub(crate) fn function(object: &JsValue, key: &str) -> Option<Function> {
    let value = get(object, key);
    value.is_function().then(|| value.unchecked_into())
}

#[inline(never)]
pub(crate) fn is_true(object: &JsValue, key: &str) -> bool {
    get(object, key).is_truthy()
}

#[inline(never)]
pub(crate) fn set(object: &Object, key: &str, value: &JsValue) {
    // Fails only for frozen objects and foreign proxies; these are our own.
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}

#[inline(never)]
pub(crate) fn set_text(object: &Object, key: &str, value: &str) {
    set(object, key, &JsValue::from_str(value));
}

#[inline(never)]
pub(crate) fn set_number(object: &Object, key: &str, value: f64) {
    set(object, key, &JsValue::from_f64(value));
}

/// Milliseconds are whole, and exact for 285,000 years.
#[inline(never)]
pub(crate) fn set_moment(object: &Object, key: &str, value: Option<UnixMillis>) {
    if let Some(value) = value {
        set_number(object, key, value.0 as f64);
    }
}

#[inline(never)]
pub(crate) fn set_flag(object: &Object, key: &str, value: bool) {
    set(object, key, &JsValue::from_bool(value));
}

#[inline(never)]
pub(crate) fn parse(text: &str) -> Option<JsValue> {
    js_sys::JSON::parse(text).ok()
}
