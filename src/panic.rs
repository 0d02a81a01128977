//! Panics: message and place reach the page before the wasm traps, so that a crash in the field
//! can be reported. Our messages never carry values.

use js_sys::Function;
use wasm_bindgen::JsValue;

pub(crate) fn install(report: Function) {
    // The hook wants `Send` and `Sync`, which a value of the page has not; there is one thread.
    thread_local! {
        static REPORT: std::cell::OnceCell<Function> = const { std::cell::OnceCell::new() };
    }
    if REPORT.with(|slot| slot.set(report)).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        REPORT.with(|slot| {
            if let Some(report) = slot.get() {
                let _ = report.call1(&JsValue::UNDEFINED, &info.to_string().into());
            }
        });
    }));
}
