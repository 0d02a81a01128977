//! The shell's files in a real browser, one by one. Run by `cargo xtask test --only shell`.

mod fetch;
mod keeper;
mod page;
mod record;
#[cfg(not(feature = "npm"))]
mod refresh;
mod storage;
mod tabs;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_browser);

/// Runs a piece of script and returns what it comes to.
fn script(source: &str) -> JsValue {
    js_sys::eval(source).expect("the test's own script runs")
}

/// Waits until something was put into the slot by a callback; the runner's time-out is the bound.
async fn filled<T: Clone + 'static>(slot: &Rc<RefCell<Option<T>>>) -> T {
    loop {
        if let Some(value) = slot.borrow_mut().take() {
            return value;
        }
        pause().await;
    }
}

/// Lets the next task come: fetch and promises are settled in between.
async fn pause() {
    let turn = script("new Promise((done) => setTimeout(done, 0))");
    JsFuture::from(Promise::from(turn)).await.expect("a timer is never rejected");
}
