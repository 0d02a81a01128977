//! The page's global object, typed, and what it is: asked by all, knows nobody.

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Window;

#[wasm_bindgen]
extern "C" {
    /// Not [`web_sys::window`], which asks `instanceof Window`: test environments such as
    /// happy-dom have a window of another class.
    #[wasm_bindgen(thread_local_v2, js_name = globalThis)]
    static WINDOW: Window;

    #[wasm_bindgen(extends = Window)]
    type GlobalScope;

    #[wasm_bindgen(method, getter)]
    fn origin(this: &GlobalScope) -> Option<String>;
}

pub(crate) fn window() -> Window {
    WINDOW.with(Clone::clone)
}

/// The page's origin; none where the environment has no such thing.
pub(crate) fn origin() -> Option<String> {
    window().unchecked_ref::<GlobalScope>().origin()
}

/// Whether this is a page: a server and a worker have no document.
pub(crate) fn is_page() -> bool {
    // Compiled for a server there is no JavaScript to ask.
    cfg!(target_arch = "wasm32") && window().document().is_some()
}
