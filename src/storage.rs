//! Where the record is kept. A store that fails is left for memory: less comfort, never a logout.

use std::cell::RefCell;

use wasm_bindgen::JsValue;

use crate::js;
use crate::options::Options;

/// The store of one keeper.
pub(crate) struct Storage {
    key: JsValue,
    place: RefCell<Place>,
}

#[derive(Clone)]
struct Place {
    name: &'static str,
    kept: Kept,
}

#[derive(Clone)]
enum Kept {
    /// In an object of the page, by the methods with these names.
    Outside {
        store: JsValue,
        methods: [&'static str; 3],
    },
    Memory(JsValue),
}

const WEB: [&str; 3] = ["getItem", "setItem", "removeItem"];
const ADAPTER: [&str; 3] = ["get", "set", "remove"];

impl Storage {
    pub(crate) fn new(options: &Options) -> Self {
        let adapter = options.get("adapter");
        let (name, store, methods) = if adapter.is_object() {
            ("adapter", adapter, ADAPTER)
        } else {
            match options.text("persist").as_deref() {
                Some("local") => ("local", web("localStorage"), WEB),
                Some("session") => ("session", web("sessionStorage"), WEB),
                _ => ("memory", JsValue::NULL, WEB),
            }
        };
        let place = if store.is_object() {
            Place { name, kept: Kept::Outside { store, methods } }
        } else {
            Place { name: "memory", kept: Kept::Memory(JsValue::NULL) }
        };
        Self { key: options.get("name"), place: RefCell::new(place) }
    }

    /// The word for the place, as in the debug view.
    pub(crate) fn name(&self) -> &'static str {
        self.place.borrow().name
    }

    /// What is kept, a promise of it, or nothing where the store failed.
    pub(crate) fn read(&self) -> Option<JsValue> {
        self.ask(0, None)
    }

    pub(crate) fn write(&self, record: &JsValue) -> Option<JsValue> {
        self.ask(1, Some(record))
    }

    pub(crate) fn erase(&self) -> Option<JsValue> {
        self.ask(2, Some(&JsValue::NULL))
    }

    /// What is kept of the backend: in the browser's own stores only. An adapter may have room for
    /// one record, and what is not kept is learned again.
    pub(crate) fn read_backend(&self) -> JsValue {
        self.ask_beside(0, &JsValue::UNDEFINED)
    }

    pub(crate) fn write_backend(&self, record: &JsValue) {
        self.ask_beside(1, record);
    }

    #[inline(never)]
    fn ask_beside(&self, verb: usize, record: &JsValue) -> JsValue {
        let place = self.place.borrow();
        let (Kept::Outside { store, methods: WEB }, Some(key)) =
            (&place.kept, self.key.as_string())
        else {
            return JsValue::UNDEFINED;
        };
        let key = JsValue::from_str(&[&*key, "#backend"].concat());
        js::call(store, WEB[verb], &[&key, record]).unwrap_or(JsValue::UNDEFINED)
    }

    /// The store took nothing: from here on the record lives as long as the page.
    pub(crate) fn fall_back(&self, record: JsValue) {
        *self.place.borrow_mut() = Place { name: "memory", kept: Kept::Memory(record) };
    }

    fn ask(&self, verb: usize, record: Option<&JsValue>) -> Option<JsValue> {
        // Cloned, because an adapter is the page's code and may call back in.
        let kept = self.place.borrow().kept.clone();
        match (kept, record) {
            (Kept::Outside { store, methods }, None) => {
                js::call(&store, methods[verb], &[&self.key])
            }
            (Kept::Outside { store, methods }, Some(record)) => {
                js::call(&store, methods[verb], &[&self.key, record])
            }
            (Kept::Memory(record), None) => Some(record),
            (Kept::Memory(_), Some(record)) => {
                self.fall_back(record.clone());
                Some(JsValue::UNDEFINED)
            }
        }
    }
}

/// Blocked storage throws at the mere mention of it (cookies refused, sandboxed frames); then
/// this is `undefined`.
fn web(property: &str) -> JsValue {
    js::get(&js::window(), property)
}
