//! What happens to the page: visibility, network, freezing, the back/forward cache, touches.

use session_keeper_core::PageEvent;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{Document, Event, EventTarget, PageTransitionEvent, VisibilityState, Window};

use crate::js;

const ON_WINDOW: [&str; 4] = ["online", "offline", "pagehide", "pageshow"];
const ON_DOCUMENT: [&str; 4] = ["visibilitychange", "freeze", "resume", "prerenderingchange"];
const TOUCHES: [&str; 2] = ["pointerdown", "keydown"];

/// Listens until it is dropped.
pub(crate) struct Listener {
    closure: Closure<dyn FnMut(Event)>,
    targets: Vec<(EventTarget, &'static str)>,
}

/// The window, where there is one with a document: a server and a worker have none.
pub(crate) fn window() -> Option<Window> {
    web_sys::window().filter(|window| window.document().is_some())
}

/// What holds for the page at this moment, as if it had just happened.
pub(crate) fn present() -> Vec<PageEvent> {
    let Some((window, document)) = both() else { return Vec::new() };
    let mut facts = vec![visibility(&document)];
    if !js::is_true(&js::get(&window, "navigator"), "onLine") {
        facts.push(PageEvent::Offline);
    }
    if is_prerendering(&document) {
        facts.push(PageEvent::Away);
    }
    facts
}

impl Listener {
    /// Calls back for each event. Touches are told only where somebody asks for them.
    pub(crate) fn new(touches: bool, mut tell: impl FnMut(PageEvent) + 'static) -> Option<Self> {
        let (window, document) = both()?;
        let closure = Closure::new(move |event: Event| {
            if let Some(fact) = read(&event) {
                tell(fact);
            }
        });
        let touched: &[&'static str] = if touches { &TOUCHES } else { &[] };
        let on_window = ON_WINDOW.iter().chain(touched);
        let targets: Vec<(EventTarget, &'static str)> = on_window
            .map(|name| (EventTarget::from(window.clone()), *name))
            .chain(ON_DOCUMENT.iter().map(|name| (EventTarget::from(document.clone()), *name)))
            .collect();
        for (target, name) in &targets {
            let callback = closure.as_ref().unchecked_ref();
            // In the capture phase, so that a page that stops an event hides nothing from us.
            let _ = target.add_event_listener_with_callback_and_bool(name, callback, true);
        }
        Some(Self { closure, targets })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for (target, name) in &self.targets {
            let callback = self.closure.as_ref().unchecked_ref();
            let _ = target.remove_event_listener_with_callback_and_bool(name, callback, true);
        }
    }
}

fn both() -> Option<(Window, Document)> {
    let window = web_sys::window()?;
    let document = window.document()?;
    Some((window, document))
}

fn read(event: &Event) -> Option<PageEvent> {
    let persisted = || {
        let event: &PageTransitionEvent = event.unchecked_ref();
        event.persisted()
    };
    Some(match event.type_().as_str() {
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "pagehide" | "freeze" => PageEvent::Away,
        // The first one of each page is no return.
        "pageshow" => persisted().then_some(PageEvent::Back)?,
        "resume" | "prerenderingchange" => PageEvent::Back,
        "visibilitychange" => visibility(&web_sys::window()?.document()?),
        _ => PageEvent::Touched,
    })
}

fn visibility(document: &Document) -> PageEvent {
    if document.visibility_state() == VisibilityState::Hidden {
        PageEvent::Hidden
    } else {
        PageEvent::Visible
    }
}

fn is_prerendering(document: &Document) -> bool {
    js::is_true(document, "prerendering")
}
