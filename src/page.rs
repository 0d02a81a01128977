//! What happens to the page: visibility, network, freezing, the back/forward cache, touches.

use session_keeper_core::PageEvent;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;

use crate::js;

const ON_WINDOW: [&str; 6] =
    ["online", "offline", "pagehide", "pageshow", "pointerdown", "keydown"];
const ON_DOCUMENT: [&str; 4] = ["visibilitychange", "freeze", "resume", "prerenderingchange"];

/// Listens until it is dropped.
pub(crate) struct Listener {
    callback: Closure<dyn FnMut(JsValue)>,
}

/// Whether this is a page: a server and a worker have no document.
pub(crate) fn exists() -> bool {
    document().is_object()
}

/// What holds for the page at this moment, as if it had just happened.
pub(crate) fn present() -> Vec<PageEvent> {
    let mut facts = vec![visibility()];
    if !js::is_true(&js::get(&js::window(), "navigator"), "onLine") {
        facts.push(PageEvent::Offline);
    }
    if js::is_true(&document(), "prerendering") {
        facts.push(PageEvent::Suspended);
    }
    facts
}

impl Listener {
    /// Calls back for each event.
    pub(crate) fn new(visit_fields: Box<dyn Fn(PageEvent)>) -> Self {
        let callback = Closure::new(move |event: JsValue| {
            if let Some(fact) = read(&event) {
                visit_fields(fact);
            }
        });
        let listener = Self { callback };
        listener.each("addEventListener");
        listener
    }

    fn each(&self, method: &str) {
        let callback = self.callback.as_ref();
        for (target, names) in [(js::window(), &ON_WINDOW[..]), (document(), &ON_DOCUMENT[..])] {
            for name in names {
                // In the capture phase, so that a page that stops an event hides nothing from us.
                js::call(&target, method, &[&JsValue::from_str(name), callback, &JsValue::TRUE]);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.each("removeEventListener");
    }
}

fn document() -> JsValue {
    js::get(&js::window(), "document")
}

fn read(event: &JsValue) -> Option<PageEvent> {
    let name = js::text(event, "type")?;
    Some(match name.as_str() {
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "pagehide" | "freeze" => PageEvent::Suspended,
        // The first one of each page is no return.
        "pageshow" if !js::is_true(event, "persisted") => return None,
        "pageshow" | "resume" | "prerenderingchange" => PageEvent::Resumed,
        "visibilitychange" => visibility(),
        _ => PageEvent::UserActivity,
    })
}

fn visibility() -> PageEvent {
    if js::is_true(&document(), "hidden") { PageEvent::Hidden } else { PageEvent::Visible }
}
