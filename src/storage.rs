//! Where the record is kept: the browser's storage, the app's adapter, or memory.
//!
//! Rule: what is older than the newest write must not be found by the next page. Memory covers a
//! store only while that takes nothing: each write tries the store first, a record that cannot be
//! replaced is erased, and where even that fails it is tried again at the next chance.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Promise;
use session_keeper_core::{LeaseRecord, TabId};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::options::{Options, Persist};
use crate::{global, record};

#[wasm_bindgen]
extern "C" {
    /// What the app gave as `persist`; it may throw, and answer at once or with a promise.
    #[derive(Clone)]
    type Adapter;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Adapter, key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn set(this: &Adapter, key: &str, record: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn remove(this: &Adapter, key: &str) -> Result<JsValue, JsValue>;

    /// What `await` waits for, of whatever class.
    type Thenable;

    #[wasm_bindgen(method, getter, catch)]
    fn then(this: &Thenable) -> Result<JsValue, JsValue>;
}

/// The store of one keeper.
pub(crate) struct Storage {
    key: String,
    store: Store,
    /// What was written last in this page.
    latest: RefCell<Option<Latest>>,
    /// Counts writes, so that one which ends late is told from the newest.
    writes: Cell<u32>,
    /// How many an adapter has not answered yet.
    in_flight: Cell<u32>,
    /// The newest write that the store has taken.
    taken: Cell<u32>,
    /// Whether the store failed last, for the debug view.
    is_failing: Cell<bool>,
}

enum Store {
    /// Looked up each time: blocked storage throws at its mere mention (cookies refused, sandboxed
    /// frames), and may be allowed again while the page lives.
    Web(Area),
    Adapter(Adapter),
    /// Nothing outlives the page.
    Memory,
}

#[derive(Clone, Copy)]
enum Area {
    Local,
    Session,
}

/// A record's text, or none.
type Record = Option<Rc<str>>;

struct Latest {
    record: Record,
    /// Whether the store has taken it.
    is_saved: bool,
}

/// What a store says when it is read: at once, or later.
pub(crate) enum Answer {
    Now(Result<Record, Failed>),
    Later(Promise),
}

/// Told that the store does not take a record.
pub(crate) type OnFailure = Box<dyn FnOnce()>;

/// The store threw or rejected.
#[derive(Debug)]
pub(crate) struct Failed;

impl Storage {
    pub(crate) fn new(options: &Options) -> Self {
        let store = match &options.persist {
            _ if !global::is_page() => Store::Memory,
            Persist::Local => Store::Web(Area::Local),
            Persist::Session => Store::Web(Area::Session),
            Persist::Memory => Store::Memory,
            Persist::Adapter(adapter) => Store::Adapter(adapter.clone().unchecked_into()),
        };
        Self {
            key: options.name.clone(),
            store,
            latest: RefCell::default(),
            writes: Cell::default(),
            in_flight: Cell::default(),
            taken: Cell::default(),
            is_failing: Cell::default(),
        }
    }

    /// The word for the place, as in the debug view.
    pub(crate) fn name(&self) -> &'static str {
        match &self.store {
            _ if self.is_failing.get() => "memory",
            Store::Web(area) if area.storage().is_err() => "memory",
            Store::Web(Area::Local) => "local",
            Store::Web(Area::Session) => "session",
            Store::Adapter(_) => "adapter",
            Store::Memory => "memory",
        }
    }

    /// The newest record: what the store holds, unless it has not taken a newer one.
    pub(crate) fn read(&self) -> Answer {
        match &self.store {
            Store::Web(area) => Answer::Now(self.newest(area.get(&self.key))),
            Store::Adapter(adapter) => match adapter.get(&self.key) {
                Ok(promise) if is_thenable(&promise) => Answer::Later(Promise::resolve(&promise)),
                answer => Answer::Now(self.read_answer(answer)),
            },
            Store::Memory => Answer::Now(self.newest(Ok(None))),
        }
    }

    /// What an adapter's answer comes to.
    pub(crate) fn read_answer(&self, answer: Result<JsValue, JsValue>) -> Result<Record, Failed> {
        self.newest(answer.map(|stored| stored.as_string()).map_err(|_| Failed))
    }

    /// Writes a record, or erases what is there. Calls back where the store does not take it.
    pub(crate) fn write(self: &Rc<Self>, record: Record, on_failure: Option<OnFailure>) {
        let serial = self.writes.get().wrapping_add(1);
        self.writes.set(serial);
        *self.latest.borrow_mut() = Some(Latest { record: record.clone(), is_saved: false });
        match &self.store {
            Store::Web(area) => {
                let put = |record: Option<&str>| area.put(&self.key, record).is_ok();
                // Erasing what is older also makes room for what is newer.
                let is_saved = put(record.as_deref())
                    || (record.is_some() && put(None) && put(record.as_deref()));
                self.finish(serial, is_saved);
                report(is_saved, on_failure);
            }
            Store::Adapter(adapter) => {
                let this = Rc::clone(self);
                let adapter = adapter.clone();
                let answer = adapter.put(&self.key, record.as_deref());
                self.in_flight.set(self.in_flight.get() + 1);
                spawn_local(async move {
                    let is_newest = || this.writes.get() == serial;
                    let mut is_saved = settled(answer).await.is_ok();
                    if !is_saved && record.is_some() && is_newest() {
                        let is_erased = settled(adapter.put(&this.key, None)).await.is_ok();
                        if is_erased && is_newest() {
                            let again = adapter.put(&this.key, record.as_deref());
                            is_saved = settled(again).await.is_ok();
                        }
                    }
                    this.in_flight.set(this.in_flight.get() - 1);
                    this.finish(serial, is_saved);
                    report(is_saved, on_failure);
                });
            }
            Store::Memory => {}
        }
    }

    /// Tries again to save what the store has not taken, unless another tab has written since.
    pub(crate) fn retry(self: &Rc<Self>) {
        if !self.has_unsaved() || self.in_flight.get() > 0 {
            return;
        }
        match self.read() {
            Answer::Now(newest) => self.save_again(newest),
            Answer::Later(promise) => {
                let this = Rc::clone(self);
                spawn_local(async move {
                    let answer = JsFuture::from(promise).await;
                    this.save_again(this.read_answer(answer));
                });
            }
        }
    }

    /// What is kept of the backend: in the browser's own stores only. An adapter may have room for
    /// one record, and what is not kept is learned again.
    pub(crate) fn read_backend(&self) -> Option<String> {
        let Store::Web(area) = &self.store else { return None };
        area.get(&self.backend_key()).ok()?
    }

    pub(crate) fn write_backend(&self, record: &str) {
        if let Store::Web(area) = &self.store {
            let _ = area.put(&self.backend_key(), Some(record));
        }
    }

    /// Whether another tab has written a record that this one must not be written over.
    pub(crate) fn holds_newer(&self, record: &str) -> bool {
        let Store::Web(Area::Local) = &self.store else { return false };
        let stored = Area::Local.get(&self.key);
        stored.ok().flatten().is_some_and(|stored| !record::may_replace(record, &stored))
    }

    /// The lease of the tab that asks the server, where the store is shared.
    pub(crate) fn read_lease(&self) -> Option<LeaseRecord> {
        let Store::Web(area) = &self.store else { return None };
        record::read_lease(&area.get(&self.lease_key()).ok()??)
    }

    pub(crate) fn write_lease(&self, lease: &LeaseRecord) -> Result<(), Failed> {
        let Store::Web(area) = &self.store else { return Err(Failed) };
        area.put(&self.lease_key(), Some(&record::write_lease(lease)))
    }

    /// Removes the lease, unless another tab has it.
    pub(crate) fn release_lease(&self, tab: TabId) {
        if let Store::Web(area) = &self.store
            && self.read_lease().is_some_and(|lease| lease.tab == tab)
        {
            let _ = area.put(&self.lease_key(), None);
        }
    }

    pub(crate) fn lease_key(&self) -> String {
        [&*self.key, "#lease"].concat()
    }

    fn backend_key(&self) -> String {
        [&*self.key, "#backend"].concat()
    }

    fn has_unsaved(&self) -> bool {
        let is_memory = matches!(self.store, Store::Memory);
        !is_memory && self.latest.borrow().as_ref().is_some_and(|latest| !latest.is_saved)
    }

    /// Of what the store holds and what it has not taken. Another tab may have written since.
    fn newest(&self, stored: Result<Option<String>, Failed>) -> Result<Record, Failed> {
        match &*self.latest.borrow() {
            Some(Latest { record, is_saved: false }) => {
                let stored = stored.unwrap_or_default();
                let is_newer = record::order(stored.as_deref()) > record::order(record.as_deref());
                Ok(if is_newer { stored.map(Rc::from) } else { record.clone() })
            }
            Some(_) | None => stored.map(|stored| stored.map(Rc::from)),
        }
    }

    fn save_again(self: &Rc<Self>, newest: Result<Record, Failed>) {
        let unsaved = self.latest.borrow().as_ref().map(|latest| latest.record.clone());
        match (newest, unsaved) {
            (Ok(newest), Some(unsaved)) if newest == unsaved => self.write(unsaved, None),
            (Ok(_), _) => *self.latest.borrow_mut() = None,
            (Err(Failed), _) => {}
        }
    }

    fn finish(self: &Rc<Self>, serial: u32, is_saved: bool) {
        if serial == self.writes.get() {
            self.is_failing.set(!is_saved);
            if let Some(latest) = &mut *self.latest.borrow_mut() {
                latest.is_saved = is_saved;
            }
        }
        if is_saved && serial > self.taken.get() {
            self.taken.set(serial);
        } else if is_saved {
            // It ended after a newer one, and has replaced it.
            let latest = self.latest.borrow().as_ref().map(|latest| latest.record.clone());
            if let Some(record) = latest {
                self.write(record, None);
            }
        }
    }
}

fn report(is_saved: bool, on_failure: Option<OnFailure>) {
    if let Some(on_failure) = on_failure.filter(|_| !is_saved) {
        on_failure();
    }
}

impl Area {
    fn storage(self) -> Result<web_sys::Storage, Failed> {
        let window = global::window();
        let storage = match self {
            Self::Local => window.local_storage(),
            Self::Session => window.session_storage(),
        };
        storage.ok().flatten().ok_or(Failed)
    }

    fn get(self, key: &str) -> Result<Option<String>, Failed> {
        self.storage()?.get_item(key).map_err(|_| Failed)
    }

    fn put(self, key: &str, record: Option<&str>) -> Result<(), Failed> {
        let storage = self.storage()?;
        let done = match record {
            Some(record) => storage.set_item(key, record),
            None => storage.remove_item(key),
        };
        done.map_err(|_| Failed)
    }
}

impl Adapter {
    fn put(&self, key: &str, record: Option<&str>) -> Result<JsValue, JsValue> {
        match record {
            Some(record) => self.set(key, record),
            None => self.remove(key),
        }
    }
}

async fn settled(answer: Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(&answer?)).await
}

fn is_thenable(value: &JsValue) -> bool {
    let then = value.unchecked_ref::<Thenable>().then();
    then.is_ok_and(|then| then.is_function())
}
