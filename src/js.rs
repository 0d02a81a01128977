//! The page's values, handled one property and one call at a time.
//!
//! Each function is compiled once and never inlined, and takes names instead of having one
//! import for each of them: a typed binding costs about 150 bytes of wasm and glue per method,
//! and there are a hundred places. What that saves is in `docs/adr/0002-callbacks.md`.

use js_sys::{Array, Function, Object, Promise, Reflect};
use session_keeper_core::UnixMillis;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
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

#[inline(never)]
pub(crate) fn is_true(object: &JsValue, key: &str) -> bool {
    get(object, key).is_truthy()
}

#[inline(never)]
pub(crate) fn set(object: &JsValue, key: &str, value: &JsValue) {
    // Fails only for frozen objects and foreign proxies; these are our own.
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}

#[inline(never)]
pub(crate) fn set_text(object: &JsValue, key: &str, value: &str) {
    set(object, key, &JsValue::from_str(value));
}

#[inline(never)]
pub(crate) fn set_number(object: &JsValue, key: &str, value: f64) {
    set(object, key, &JsValue::from_f64(value));
}

/// Milliseconds are whole, and exact for 285,000 years.
#[inline(never)]
pub(crate) fn set_moment(object: &JsValue, key: &str, value: Option<UnixMillis>) {
    if let Some(value) = value {
        set_number(object, key, value.0 as f64);
    }
}

#[inline(never)]
pub(crate) fn set_flag(object: &JsValue, key: &str, value: bool) {
    set(object, key, &JsValue::from_bool(value));
}

#[inline(never)]
pub(crate) fn object() -> JsValue {
    Object::new().into()
}

#[inline(never)]
pub(crate) fn parse(text: &str) -> Option<JsValue> {
    js_sys::JSON::parse(text).ok()
}

/// Calls a method by its name, or nothing where it throws or is none.
#[inline(never)]
pub(crate) fn call(object: &JsValue, method: &str, arguments: &[&JsValue]) -> Option<JsValue> {
    let method = get(object, method);
    apply(&method, object, arguments)
}

/// Calls a function, or nothing where it throws or is none.
#[inline(never)]
pub(crate) fn apply(function: &JsValue, this: &JsValue, arguments: &[&JsValue]) -> Option<JsValue> {
    if !function.is_function() {
        return None;
    }
    function.unchecked_ref::<Function>().apply(this, &list(arguments)).ok()
}

/// An object of a class that the page has, or `undefined` where it has none or will not make one.
#[inline(never)]
pub(crate) fn make(class: &str, arguments: &[&JsValue]) -> JsValue {
    let class = get(&window(), class);
    if !class.is_function() {
        return JsValue::UNDEFINED;
    }
    Reflect::construct(class.unchecked_ref::<Function>(), &list(arguments))
        .unwrap_or(JsValue::UNDEFINED)
}

#[inline(never)]
fn list(items: &[&JsValue]) -> Array {
    let list = Array::new();
    for item in items {
        list.push(item);
    }
    list
}

/// Calls back once with what a promise came to, or nothing where it was rejected. A value that
/// is no promise counts as kept.
#[inline(never)]
pub(crate) fn then(value: &JsValue, done: Box<dyn FnOnce(Option<JsValue>)>) {
    // Both outcomes by one callback, which frees itself when it is called; of two callbacks the
    // one that never is would stay.
    let settled = Promise::all_settled(&list(&[value]));
    let callback = Closure::once_into_js(move |list: JsValue| {
        let outcome = get(&list, "0");
        let kept = text(&outcome, "status").as_deref() == Some("fulfilled");
        done(kept.then(|| get(&outcome, "value")));
    });
    call(&settled, "then", &[&callback]);
}

/// Whether there is something to wait for.
#[inline(never)]
pub(crate) fn is_promise(value: &JsValue) -> bool {
    get(value, "then").is_function()
}

#[inline(never)]
pub(crate) fn window() -> JsValue {
    GLOBAL_THIS.with(Clone::clone)
}

#[wasm_bindgen]
extern "C" {
    /// `js_sys::global` looks for four names; every browser of the baseline has this one.
    #[wasm_bindgen(thread_local_v2, js_name = globalThis)]
    static GLOBAL_THIS: JsValue;
}
