//! The driver: carries out what the core decides. The one file that knows every capability.
//!
//! Rule: an input is taken only when the effects of the one before are carried out, and no
//! borrow is held while the page's code runs, so a handler may call back in as it likes.

use std::cell::{Cell, RefCell};

use gloo_timers::callback::Timeout;
use session_keeper_core as core;
use session_keeper_core::{
    AppEvent, AppRequest, Effect, Generation, Input, Notice, Probe, ReadId, Record, RequestId,
    TokenHandle, UnixMillis,
};
use wasm_bindgen::JsValue;

use crate::app_requests::{AppRequests, OnAction};
use crate::options::Options;
use crate::page::{self, Listener};
use crate::storage::Storage;
use crate::transport::{self, Ended, Watch};
use crate::{clock, entropy, js, record};

/// `setTimeout` fires at once for more than 2^31-1 ms.
const TIMER_MOST: u64 = i32::MAX as u64;

/// Lives as long as its page: closures, requests and timers hold it, and a count of them all and
/// the code that frees it at zero would be two kilobytes of every page. A stopped one that is
/// dropped leaves about 30 KB behind, most of it its history.
pub(crate) struct Driver {
    options: Options,
    core: RefCell<core::Keeper>,
    storage: Storage,
    own: RefCell<Own>,
    app_requests: AppRequests,
    busy: Cell<bool>,
    notify: Box<dyn Fn(&Notice)>,
}

/// What the driver holds for the core.
#[derive(Default)]
struct Own {
    inbox: Vec<Order>,
    /// The page's objects that hold tokens, by generation.
    held: Vec<(Generation, JsValue)>,
    /// What the app handed over and the core has not stored yet.
    handed: JsValue,
    /// What was read last and the core has not adopted yet.
    found: JsValue,
    /// The body of the answer at hand.
    body: JsValue,
    user: JsValue,
    /// The page's AbortController of each request.
    under_way: Vec<(RequestId, JsValue)>,
    timer: Option<Timeout>,
    listener: Option<Listener>,
}

enum Order {
    Take(Input),
    SignIn { token: JsValue, user: JsValue, expires_at: Option<UnixMillis> },
    Answer(RequestId, Ended),
}

/// What becomes of the record before, where a new one cannot be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failed {
    Leave,
    /// A full store may still forget: the token must not outlive the sign-out.
    Erase,
}

impl Driver {
    pub(crate) fn new(mut options: Options, notify: Box<dyn Fn(&Notice)>) -> &'static Self {
        let decisive = options.settle();
        let core = core::Keeper::new(decisive, entropy::seed());
        Box::leak(Box::new(Self {
            core: RefCell::new(core),
            storage: Storage::new(&options),
            options,
            own: RefCell::default(),
            app_requests: AppRequests::default(),
            busy: Cell::new(false),
            notify,
        }))
    }

    pub(crate) fn start(&'static self) {
        if !page::exists() || self.own.borrow().listener.is_some() {
            return;
        }
        let listener = Listener::new(Box::new(|event| self.take(Input::Page(event))));
        self.own.borrow_mut().listener = Some(listener);
        for fact in page::present() {
            self.take(Input::Page(fact));
        }
        self.take(Input::Start);
    }

    pub(crate) fn stop(&'static self) {
        let listener = self.own.borrow_mut().listener.take();
        drop(listener);
        self.take(Input::Stop);
    }

    /// `token` is an object of the page with `token` and perhaps `refresh_token`.
    pub(crate) fn sign_in(
        &'static self,
        token: JsValue,
        user: JsValue,
        expires_at: Option<UnixMillis>,
    ) {
        self.order(Order::SignIn { token, user, expires_at });
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&core::Keeper) -> T) -> T {
        look(&self.core.borrow())
    }

    pub(crate) fn user(&self) -> JsValue {
        self.own.borrow().user.clone()
    }

    pub(crate) fn storage_name(&self) -> &'static str {
        self.storage.name()
    }

    /// The object that holds the session's token, while there is a session.
    pub(crate) fn token(&self) -> JsValue {
        let generation = self.core.borrow().generation();
        generation.map_or(JsValue::UNDEFINED, |generation| self.held(generation))
    }

    /// The value of `Authorization`.
    pub(crate) fn credential(&self) -> Option<String> {
        if self.options.get("authorize").is_function() {
            return None;
        }
        Some([&*self.options.text("scheme")?, " ", &js::text(&self.token(), "token")?].concat())
    }

    pub(crate) fn take(&'static self, input: Input) {
        self.order(Order::Take(input));
    }

    /// Reports what happened to a request of the app; `on_action` is told what to do with it.
    pub(crate) fn report(&'static self, request: AppRequest, event: AppEvent, on_action: OnAction) {
        self.app_requests.wait(request.id, on_action);
        self.take(Input::AppRequest { request, event });
    }

    /// The request is over: nobody waits for a decision any more.
    pub(crate) fn close_app_request(&'static self, request: AppRequest) {
        self.app_requests.take(request.id);
        self.take(Input::AppRequest { request, event: AppEvent::Closed });
    }

    fn order(&'static self, order: Order) {
        self.own.borrow_mut().inbox.push(order);
        if self.busy.replace(true) {
            return;
        }
        while let Some(order) = self.next_order() {
            let input = self.unpack(order);
            let effects = self.core.borrow_mut().handle_input(clock::now(), input);
            for effect in effects {
                self.carry_out(effect);
            }
        }
        self.arm();
        self.busy.set(false);
    }

    fn next_order(&self) -> Option<Order> {
        let inbox = &mut self.own.borrow_mut().inbox;
        (!inbox.is_empty()).then(|| inbox.remove(0))
    }

    fn unpack(&self, order: Order) -> Input {
        let own = &mut *self.own.borrow_mut();
        match order {
            Order::Take(input) => input,
            Order::SignIn { token, user, expires_at } => {
                js::set_moment(&token, "saved_at", Some(clock::wall()));
                own.handed = token;
                own.user = user;
                let facts = record::facts(&own.handed, expires_at);
                Input::SignIn { token: Some(TokenHandle(0)), facts }
            }
            Order::Answer(request, ended) => {
                own.body = ended.body;
                Input::Answer { request, outcome: ended.outcome }
            }
        }
    }

    fn carry_out(&'static self, effect: Effect) {
        match effect {
            Effect::Send { request, probe, generation } => self.send(request, probe, generation),
            Effect::Abort { request } => {
                if let Some(controller) = self.close(request) {
                    js::call(&controller, "abort", &[]);
                }
            }
            Effect::ReadRecord { read } => {
                let answer = self.storage.read();
                self.when(answer, read);
            }
            Effect::ReadBackend => {
                let stored = self.storage.read_backend().as_string();
                if let Some(object) = stored.and_then(|stored| js::parse(&stored))
                    && let Some(kept) = record::read_backend(&object, &self.origin())
                {
                    self.take(Input::Backend(kept));
                }
            }
            Effect::StoreBackend(kept) => {
                self.storage.write_backend(&record::write_backend(&self.origin(), &kept));
            }
            Effect::UseStoredToken { generation, .. } => {
                let own = &mut *self.own.borrow_mut();
                own.held.push((generation, own.found.clone()));
                own.user = JsValue::UNDEFINED;
            }
            Effect::UseToken { generation, .. } => {
                let own = &mut *self.own.borrow_mut();
                own.held.push((generation, own.handed.clone()));
            }
            Effect::DropToken { .. } => {}
            Effect::Store { generation, expires_at, verified_at } => {
                self.store(generation, expires_at, verified_at);
            }
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let origin = &self.origin();
                let tombstone = record::write_tombstone(origin, generation, &sign_out, undelivered);
                let answer = self.storage.write(&tombstone);
                self.mind(answer, tombstone, Failed::Erase);
                self.own.borrow_mut().user = JsValue::UNDEFINED;
                if !undelivered {
                    self.forget(generation);
                }
            }
            Effect::SetUser { .. } => {
                let own = &mut *self.own.borrow_mut();
                own.user = own.body.clone();
            }
            Effect::Forget { generation } => self.forget(generation),
            Effect::EraseRecord => {
                let answer = self.storage.erase();
                self.mind(answer, JsValue::NULL, Failed::Leave);
            }
            // Other tabs are told by the issue that brings them.
            Effect::Broadcast(_) => {}
            Effect::AppRequest { request, action } => self.app_requests.decided(request, action),
            Effect::Notify(notice) => (self.notify)(&notice),
        }
    }

    fn send(&'static self, request: RequestId, probe: Probe, generation: Option<Generation>) {
        let controller = js::make("AbortController", &[]);
        let signal = js::get(&controller, "signal");
        self.own.borrow_mut().under_way.push((request, controller));
        let held = generation.map_or(JsValue::UNDEFINED, |generation| self.held(generation));
        let token = js::text(&held, "token");
        let watch = Box::new(Sent { driver: self, request });
        transport::send(&self.options, probe, token.as_deref(), &signal, watch);
    }

    fn close(&self, request: RequestId) -> Option<JsValue> {
        let under_way = &mut self.own.borrow_mut().under_way;
        let at = under_way.iter().position(|(id, _)| *id == request)?;
        Some(under_way.swap_remove(at).1)
    }

    /// Goes on when the store has answered: at once, unless it answered with a promise.
    fn when(&'static self, answer: Option<JsValue>, read: ReadId) {
        match answer {
            Some(promise) if js::is_promise(&promise) => {
                js::then(&promise, Box::new(move |answer| self.found(answer, read)));
            }
            answer => self.found(answer, read),
        }
    }

    fn found(&'static self, answer: Option<JsValue>, read: ReadId) {
        let record = |record| self.take(Input::Record { read, record });
        let Some(answer) = answer else { return record(Record::Unreadable) };
        let Some(stored) = answer.as_string() else {
            return record(Record::Absent);
        };
        let object = js::parse(&stored).unwrap_or(JsValue::NULL);
        let found = record::read(&object, &self.origin(), self.options.needs_token());
        self.own.borrow_mut().found = object;
        self.take(Input::Record { read, record: found });
    }

    fn store(
        &'static self,
        generation: Generation,
        expires_at: Option<UnixMillis>,
        verified_at: Option<UnixMillis>,
    ) {
        let object = {
            let own = &mut *self.own.borrow_mut();
            let held = own.held.iter().find(|(of, _)| *of == generation);
            held.map_or_else(js::object, |(_, object)| object.clone())
        };
        let origin = &self.origin();
        let record = record::write_live(&object, origin, generation, expires_at, verified_at);
        self.write(record);
    }

    fn origin(&self) -> String {
        self.options.text("origin").unwrap_or_default()
    }

    fn write(&'static self, record: JsValue) {
        let answer = self.storage.write(&record);
        self.mind(answer, record, Failed::Leave);
    }

    /// A store that fails is left for memory, and nothing is lost while the page lives.
    fn mind(&'static self, answer: Option<JsValue>, record: JsValue, failed: Failed) {
        match answer {
            None => {
                if failed == Failed::Erase {
                    self.storage.erase();
                }
                self.storage.fall_back(record);
                self.take(Input::StoreFailed);
            }
            Some(promise) if js::is_promise(&promise) => {
                let settled = move |answer: Option<JsValue>| {
                    if answer.is_none() {
                        self.mind(None, record, failed);
                    }
                };
                js::then(&promise, Box::new(settled));
            }
            Some(_) => {}
        }
    }

    fn forget(&self, generation: Generation) {
        self.own.borrow_mut().held.retain(|(of, _)| *of != generation);
    }

    fn held(&self, generation: Generation) -> JsValue {
        let own = self.own.borrow();
        let found = own.held.iter().find(|(of, _)| *of == generation);
        found.map_or(JsValue::UNDEFINED, |(_, object)| object.clone())
    }

    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn tokens_held(&self) -> usize {
        self.own.borrow().held.len()
    }

    /// Arms the one timer for the core's next deadline.
    fn arm(&'static self) {
        let wait = self.look(|core| {
            let (at, _) = core.next_timeout()?;
            Some(at.since(core.now()).as_millis().min(TIMER_MOST) as u32)
        });
        let timer = wait.map(|wait| Timeout::new(wait, || self.take(Input::Timeout)));
        self.own.borrow_mut().timer = timer;
    }
}

/// One request on its way, for the transport.
struct Sent {
    driver: &'static Driver,
    request: RequestId,
}

impl Watch for Sent {
    fn answering(&self) {
        self.driver.take(Input::Answering { request: self.request });
    }

    fn ended(&self, ended: Ended) {
        // An aborted request is closed already, and whatever comes of it is ignored.
        if self.driver.close(self.request).is_some() {
            self.driver.order(Order::Answer(self.request, ended));
        }
    }
}
