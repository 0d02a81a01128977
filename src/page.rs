//! What happens to the page: visibility, network, freezing, the back/forward cache, activity.

use session_keeper_core::PageEvent;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Document, EventTarget, PageTransitionEvent, StorageEvent, Window};

use crate::global::window;

const WINDOW_EVENTS: [&str; 8] =
    ["online", "offline", "pagehide", "pageshow", "pointerdown", "keydown", "focus", "storage"];
const DOCUMENT_EVENTS: [&str; 4] = ["visibilitychange", "freeze", "resume", "prerenderingchange"];

#[wasm_bindgen]
extern "C" {
    /// What is newer than web-sys.
    #[wasm_bindgen(extends = Document)]
    type PrerenderingDocument;

    #[wasm_bindgen(method, getter)]
    fn prerendering(this: &PrerenderingDocument) -> Option<bool>;

    /// A server and some workers have no `navigator` or one without `onLine`.
    #[wasm_bindgen(extends = Window)]
    type PageWindow;

    #[wasm_bindgen(method, getter)]
    fn navigator(this: &PageWindow) -> Option<PageNavigator>;

    type PageNavigator;

    #[wasm_bindgen(method, getter, js_name = onLine)]
    fn on_line(this: &PageNavigator) -> Option<bool>;
}

/// What the page tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Page(PageEvent),
    /// Somebody turned to the page.
    Focus,
    /// Another tab changed what is stored under this key, or cleared everything.
    Storage {
        key: Option<String>,
    },
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    callback: Closure<dyn FnMut(web_sys::Event)>,
}

/// Everything that holds for the page at this moment, as if it had just happened: a keeper that
/// was stopped while the page was away has missed that it is back.
pub(crate) fn present() -> [PageEvent; 3] {
    let document = window().document();
    let is_prerendering = document
        .and_then(|document| document.unchecked_ref::<PrerenderingDocument>().prerendering())
        .unwrap_or(false);
    let navigator = window().unchecked_ref::<PageWindow>().navigator();
    let is_offline = navigator.and_then(|navigator| navigator.on_line()) == Some(false);
    [
        if is_prerendering { PageEvent::Suspended } else { PageEvent::Resumed },
        if is_offline { PageEvent::Offline } else { PageEvent::Online },
        visibility(),
    ]
}

impl Listener {
    /// Calls back for each event.
    pub(crate) fn new(handle: impl Fn(Event) + 'static) -> Self {
        let callback = Closure::new(move |event: web_sys::Event| {
            if let Some(event) = read(&event) {
                handle(event);
            }
        });
        let listener = Self { callback };
        // In the capture phase, so that a page that stops an event hides nothing from us.
        listener.each(|target, name, callback| {
            target.add_event_listener_with_callback_and_bool(name, callback, true)
        });
        listener
    }

    fn each(&self, apply: impl Fn(&EventTarget, &str, &js_sys::Function) -> Result<(), JsValue>) {
        let callback = self.callback.as_ref().unchecked_ref();
        let window = window();
        let document = window.document();
        let window: Option<&EventTarget> = Some(&window);
        let document: Option<&EventTarget> = document.as_deref().map(AsRef::as_ref);
        let on_window = WINDOW_EVENTS.map(|name| (window, name));
        let on_document = DOCUMENT_EVENTS.map(|name| (document, name));
        for (target, name) in on_window.into_iter().chain(on_document) {
            if let Some(target) = target {
                // Fails only where a page has replaced the method by one that throws.
                let _ = apply(target, name, callback);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.each(|target, name, callback| {
            target.remove_event_listener_with_callback_and_bool(name, callback, true)
        });
    }
}

fn read(event: &web_sys::Event) -> Option<Event> {
    Some(Event::Page(match event.type_().as_str() {
        "focus" => return is_of_window(event).then_some(Event::Focus),
        "storage" => {
            return Some(Event::Storage { key: event.unchecked_ref::<StorageEvent>().key() });
        }
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "pagehide" | "freeze" => PageEvent::Suspended,
        // The first one of each page is no return.
        "pageshow" if !event.unchecked_ref::<PageTransitionEvent>().persisted() => return None,
        "pageshow" | "resume" | "prerenderingchange" => PageEvent::Resumed,
        "visibilitychange" => visibility(),
        _ => PageEvent::UserActivity,
    }))
}

/// In the capture phase the focus of each field comes by as well.
fn is_of_window(event: &web_sys::Event) -> bool {
    event.target().is_some_and(|target| *target == **window())
}

fn visibility() -> PageEvent {
    let is_hidden = window().document().is_some_and(|document| document.hidden());
    if is_hidden { PageEvent::Hidden } else { PageEvent::Visible }
}
