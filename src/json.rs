//! Plain data of the page, property by property: records, bodies of answers, what the app sees.
//!
//! Rule: only for objects that are JSON or that we made. A browser's objects and the app's options
//! have types of their own (web-sys, `src/options.rs`), so that a misspelt name does not compile.

use js_sys::{JSON, Object, Reflect};
use session_keeper_core::UnixMillis;
use wasm_bindgen::JsValue;

/// The largest whole number that a double and all below it hold exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The property, or `undefined` where there is none or the value is no object.
pub(crate) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

pub(crate) fn text(object: &JsValue, key: &str) -> Option<String> {
    get(object, key).as_string()
}

/// A whole number that is not negative and that a double holds exactly.
pub(crate) fn number(object: &JsValue, key: &str) -> Option<u64> {
    let value = get(object, key).as_f64()?;
    let is_whole = value.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER).contains(&value);
    is_whole.then_some(value as u64)
}

pub(crate) fn moment(object: &JsValue, key: &str) -> Option<UnixMillis> {
    number(object, key).map(UnixMillis)
}

pub(crate) fn set(object: &JsValue, key: &str, value: impl Into<JsValue>) {
    // Fails only for frozen objects and proxies; these are our own.
    let _ = Reflect::set(object, &key.into(), &value.into());
}

/// Milliseconds are whole, and exact for 285,000 years.
pub(crate) fn set_moment(object: &JsValue, key: &str, value: Option<UnixMillis>) {
    if let Some(UnixMillis(value)) = value {
        set(object, key, value as f64);
    }
}

pub(crate) fn object() -> JsValue {
    Object::new().into()
}

pub(crate) fn parse(text: &str) -> Option<JsValue> {
    JSON::parse(text).ok()
}

pub(crate) fn stringify(object: &JsValue) -> String {
    // Fails only for cycles and BigInts, of which we make none.
    JSON::stringify(object).map_or_else(|_| String::new(), String::from)
}
