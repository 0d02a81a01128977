//! The lock under which one tab of a browser at a time refreshes (Web Locks, where there are any:
//! not on plain http).
//!
//! Rule: it is given back when it is dropped, and what cannot be locked goes on without.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, Window};

use crate::{global, json};

#[wasm_bindgen]
extern "C" {
    /// Test environments may have no `navigator`.
    #[wasm_bindgen(extends = Window)]
    type LockingWindow;

    #[wasm_bindgen(method, getter)]
    fn navigator(this: &LockingWindow) -> Option<LockingNavigator>;

    /// web-sys has it behind its unstable features.
    type LockingNavigator;

    #[wasm_bindgen(method, getter, catch)]
    fn locks(this: &LockingNavigator) -> Result<Option<LockManager>, JsValue>;

    type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &JsValue,
        granted: &Function,
    ) -> Result<Promise, JsValue>;
}

/// Held, or asked for, until it is dropped.
pub(crate) struct Lock {
    /// Resolves the promise that holds it, once it is held.
    release: Rc<RefCell<Option<Function>>>,
    controller: Option<AbortController>,
    /// Nobody waits for it any more.
    is_dropped: Rc<Cell<bool>>,
    _granted: Closure<dyn FnMut() -> Promise>,
}

impl Lock {
    /// Calls back when the lock is held, or when there is none to be had.
    pub(crate) fn ask(name: &str, on_granted: impl Fn() + 'static) -> Option<Self> {
        let navigator = global::window().unchecked_ref::<LockingWindow>().navigator();
        let locks = navigator.and_then(|navigator| navigator.locks().ok().flatten());
        let Some(locks) = locks else {
            on_granted();
            return None;
        };
        let on_granted = Rc::new(on_granted);
        let release = Rc::new(RefCell::new(None));
        let is_dropped = Rc::new(Cell::new(false));
        let (slot, tell) = (Rc::clone(&release), Rc::clone(&on_granted));
        let granted = Closure::new(move || {
            let held = Promise::new(&mut |resolve, _| *slot.borrow_mut() = Some(resolve));
            tell();
            held
        });
        let controller = AbortController::new().ok();
        let options = json::object();
        if let Some(controller) = &controller {
            json::set(&options, "signal", controller.signal());
        }
        match locks.request(name, &options, granted.as_ref().unchecked_ref()) {
            Ok(ended) => {
                let is_dropped = Rc::clone(&is_dropped);
                spawn_local(async move {
                    // Refused by the browser, as for an opaque origin.
                    if JsFuture::from(ended).await.is_err() && !is_dropped.get() {
                        on_granted();
                    }
                });
            }
            Err(_) => on_granted(),
        }
        Some(Self { release, controller, is_dropped, _granted: granted })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.is_dropped.set(true);
        let release = self.release.borrow_mut().take();
        match (release, &self.controller) {
            (Some(release), _) => drop(release.call0(&JsValue::UNDEFINED)),
            (None, Some(controller)) => controller.abort(),
            (None, None) => {}
        }
    }
}
