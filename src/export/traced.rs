//! What the demo page saves: everything that the page's last keeper was told.

#![allow(unreachable_pub, reason = "wasm-bindgen exports public items only")]

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Driver;

thread_local! {
    static LAST: RefCell<Weak<Driver>> = const { RefCell::new(Weak::new()) };
}

pub(super) fn remember(driver: &Rc<Driver>) {
    LAST.set(Rc::downgrade(driver));
}

/// The trace of the last keeper as JSON, for `cargo xtask replay`. As text, because a script would
/// round its seed.
#[wasm_bindgen]
pub fn trace() -> Option<String> {
    let driver = LAST.with_borrow(Weak::upgrade)?;
    serde_json::to_string(&driver.trace()).ok()
}
