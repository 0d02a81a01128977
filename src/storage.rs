//! Where the record is kept. A store that fails is left for memory: less comfort, never a logout.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::Storage as WebStorage;

use crate::js;
use crate::options::Persist;

/// The store of one keeper.
#[derive(Clone)]
pub(crate) struct Storage {
    key: Rc<str>,
    place: Rc<RefCell<Place>>,
}

enum Place {
    Web(WebStorage, &'static str),
    Adapter(JsValue),
    Memory(Option<String>),
}

/// What an adapter answered: at once, or with a promise.
pub(crate) enum Reply<T> {
    Now(Result<T, JsValue>),
    Later(Promise),
}

impl Storage {
    pub(crate) fn new(key: &str, persist: &Persist) -> Self {
        let place = match persist {
            Persist::Local => web("localStorage", "local"),
            Persist::Session => web("sessionStorage", "session"),
            Persist::Memory => Place::Memory(None),
            Persist::Adapter(adapter) => Place::Adapter(adapter.clone()),
        };
        Self { key: key.into(), place: Rc::new(RefCell::new(place)) }
    }

    /// The word for the place, as in the debug view.
    pub(crate) fn name(&self) -> &'static str {
        match &*self.place.borrow() {
            Place::Web(_, name) => name,
            Place::Adapter(_) => "adapter",
            Place::Memory(_) => "memory",
        }
    }

    pub(crate) fn read(&self) -> Reply<Option<String>> {
        let adapter = match &*self.place.borrow() {
            Place::Web(storage, _) => return Reply::Now(storage.get_item(&self.key)),
            Place::Memory(record) => return Reply::Now(Ok(record.clone())),
            Place::Adapter(adapter) => adapter.clone(),
        };
        reply(call(&adapter, "get", &[self.key()]), |value| value.as_string())
    }

    pub(crate) fn write(&self, record: &str) -> Reply<()> {
        let adapter = match &mut *self.place.borrow_mut() {
            Place::Web(storage, _) => return Reply::Now(storage.set_item(&self.key, record)),
            Place::Memory(kept) => {
                *kept = Some(record.into());
                return Reply::Now(Ok(()));
            }
            Place::Adapter(adapter) => adapter.clone(),
        };
        reply(call(&adapter, "set", &[self.key(), record.into()]), |_| ())
    }

    pub(crate) fn erase(&self) -> Reply<()> {
        let adapter = match &mut *self.place.borrow_mut() {
            Place::Web(storage, _) => return Reply::Now(storage.remove_item(&self.key)),
            Place::Memory(kept) => {
                *kept = None;
                return Reply::Now(Ok(()));
            }
            Place::Adapter(adapter) => adapter.clone(),
        };
        reply(call(&adapter, "remove", &[self.key()]), |_| ())
    }

    /// The store took nothing: from here on the record lives as long as the page.
    pub(crate) fn fall_back(&self, record: Option<String>) {
        *self.place.borrow_mut() = Place::Memory(record);
    }

    fn key(&self) -> JsValue {
        (&*self.key).into()
    }
}

/// Blocked storage throws at the mere mention of it (cookies refused, sandboxed frames).
fn web(property: &str, name: &'static str) -> Place {
    let storage = web_sys::window().map(|window| js::get(&window, property));
    match storage.and_then(|storage| storage.dyn_into().ok()) {
        Some(storage) => Place::Web(storage, name),
        None => Place::Memory(None),
    }
}

fn call(adapter: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = js::get(adapter, method).dyn_into()?;
    function.apply(adapter, &arguments.iter().collect())
}

fn reply<T>(answer: Result<JsValue, JsValue>, read: impl Fn(JsValue) -> T) -> Reply<T> {
    match answer {
        Ok(value) if value.has_type::<Promise>() => Reply::Later(value.unchecked_into()),
        other => Reply::Now(other.map(read)),
    }
}
