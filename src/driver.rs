//! The driver: carries out what the core decides. The one file that knows every capability.
//!
//! Rule: an input is taken only when the effects of the one before are carried out, and no
//! borrow is held while the page's code runs, so a handler may call back in as it likes.

mod state;
mod tabs;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use gloo_timers::callback::Timeout;
use session_keeper_core as core;
use session_keeper_core::{
    AttemptId, Effect, Generation, Input, Notice, PageEvent, Probe, ReadId, Record, RequestId,
    UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

use self::state::{Answer, Command, PendingRequest, State};
use crate::app_requests::AppRequests;
use crate::options::{Auth, Csrf, Options};
use crate::page::{self, Event, Listener};
use crate::refresh::{self, Attempt};
use crate::storage::{self, Failed, Storage};
use crate::transport::{self, Outgoing};
use crate::{clock, entropy, global, json, record};

/// `setTimeout` fires at once for more than 2^31-1 ms.
const MAX_TIMEOUT: u64 = i32::MAX as u64;

/// One keeper's shell. Everything that it starts knows it weakly, so that a stopped one goes with
/// its last handle.
pub(crate) struct Driver {
    pub(crate) options: Rc<Options>,
    core: RefCell<core::Keeper>,
    storage: Rc<Storage>,
    /// Whether other tabs share the store and can be told.
    is_shared: bool,
    state: RefCell<State>,
    pub(crate) app_requests: AppRequests,
    is_dispatching: Cell<bool>,
    notify: Box<dyn Fn(&Notice)>,
    #[cfg(feature = "serde")]
    trace: RefCell<core::Trace>,
}

impl Driver {
    pub(crate) fn new(options: Options, notify: Box<dyn Fn(&Notice)>) -> Rc<Self> {
        let is_page = global::is_page();
        let origin = if is_page { global::origin() } else { None };
        // Where nothing is ever sent, nothing needs to be spread.
        let seed = if is_page { entropy::seed() } else { 0 };
        let mut decisive = options.decisive(origin.as_deref());
        let is_shared = is_page && options.is_shared() && crate::tabs::is_available(&options.name);
        decisive.is_shared = is_shared;
        Rc::new(Self {
            #[cfg(feature = "serde")]
            trace: RefCell::new(core::Trace::new(decisive.clone(), seed)),
            core: RefCell::new(core::Keeper::new(decisive, seed)),
            storage: Rc::new(Storage::new(&options)),
            is_shared,
            options: Rc::new(options),
            state: RefCell::default(),
            app_requests: AppRequests::default(),
            is_dispatching: Cell::new(false),
            notify,
        })
    }

    pub(crate) fn start(self: &Rc<Self>) {
        if !global::is_page() || self.state.borrow().listener.is_some() {
            return;
        }
        let weak = Rc::downgrade(self);
        let (record, lease) = (self.options.name.clone(), self.storage.lease_key());
        let listener = Listener::new(move |event| match event {
            Event::Page(event) => {
                if let Some(driver) = weak.upgrade() {
                    driver.set_channel(event);
                    driver.dispatch(Input::Page(event));
                }
            }
            Event::Focus => dispatch_to(&weak, Input::RecordChanged),
            // No key: everything was cleared.
            Event::Storage { key } => {
                if key.as_ref().is_none_or(|key| *key == record) {
                    dispatch_to(&weak, Input::RecordChanged);
                }
                if key.is_none_or(|key| key == lease) {
                    dispatch_to(&weak, Input::LeaseChanged);
                }
            }
        });
        self.state.borrow_mut().listener = Some(listener);
        for event in page::present() {
            self.set_channel(event);
            self.dispatch(Input::Page(event));
        }
        self.dispatch(Input::Start);
    }

    pub(crate) fn stop(self: &Rc<Self>) {
        let listener = self.state.borrow_mut().listener.take();
        drop(listener);
        self.dispatch(Input::Stop);
        let channel = self.state.borrow_mut().channel.take();
        drop(channel);
    }

    /// `token` is an object of the page with `token` and perhaps `refresh_token`.
    pub(crate) fn sign_in(
        self: &Rc<Self>,
        token: JsValue,
        user: Option<JsValue>,
        expires_at: Option<UnixMillis>,
    ) {
        self.take(Command::SignIn { token, user, expires_at });
    }

    /// The same session with a newer token; `token` holds `expires_at` as well.
    pub(crate) fn renew(self: &Rc<Self>, token: JsValue) {
        self.take(Command::Renew { token });
    }

    pub(crate) fn dispatch(self: &Rc<Self>, input: Input) {
        self.take(Command::Input(input));
    }

    #[cfg(feature = "serde")]
    pub(crate) fn trace(&self) -> core::Trace {
        self.trace.borrow().clone()
    }

    pub(crate) fn with_core<T>(&self, look: impl FnOnce(&core::Keeper) -> T) -> T {
        look(&self.core.borrow())
    }

    pub(crate) fn user(&self) -> JsValue {
        self.state.borrow().user.clone().unwrap_or_default()
    }

    pub(crate) fn storage_name(&self) -> &'static str {
        self.storage.name()
    }

    #[cfg(feature = "npm")]
    pub(crate) fn is_dispatching(&self) -> bool {
        self.is_dispatching.get()
    }

    /// The object that holds the session's token, while there is a session.
    pub(crate) fn token(&self) -> Option<JsValue> {
        let generation = self.core.borrow().generation()?;
        self.token_of(generation)
    }

    /// The value of `Authorization`.
    pub(crate) fn credential(&self) -> Option<String> {
        let Auth::Token { scheme } = &self.options.auth else { return None };
        Some([scheme, " ", &*json::text(&self.token()?, "token")?].concat())
    }

    fn take(self: &Rc<Self>, command: Command) {
        // A server keeps no session.
        if !global::is_page() {
            return;
        }
        self.state.borrow_mut().inbox.push_back(command);
        if self.is_dispatching.replace(true) {
            return;
        }
        while let Some(input) = self.next_input() {
            if is_chance_to_save(&input) {
                self.storage.retry();
            }
            let now = clock::now();
            #[cfg(feature = "serde")]
            self.trace.borrow_mut().steps.push(core::Step { now, input: input.clone() });
            let effects = self.core.borrow_mut().handle_input(now, input);
            for effect in effects {
                self.carry_out(effect);
            }
        }
        self.arm();
        self.is_dispatching.set(false);
    }

    fn next_input(&self) -> Option<Input> {
        self.state.borrow_mut().next_input()
    }

    fn carry_out(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Send { request, probe, generation } => {
                self.send(request, probe, generation, None);
            }
            Effect::Refresh { request, generation, attempt } => {
                self.send(request, Probe::Refresh, Some(generation), Some(attempt));
            }
            Effect::Acquire { request } => self.send(request, Probe::Acquire, None, None),
            Effect::StoreAttempt { generation, attempt } => {
                // A cookie that was never handed over has no object of its own.
                if let Some(object) = self.token_of(generation) {
                    json::set(&object, "refresh_attempt", refresh::attempt_id(attempt));
                    self.write(Some(json::stringify(&object)));
                }
            }
            Effect::Abort { request } => {
                if let Some(controller) = self.close(request).and_then(|open| open.controller) {
                    controller.abort();
                }
            }
            Effect::ReadRecord { read } => self.read_record(read),
            Effect::ReadBackend => self.read_backend(),
            Effect::StoreBackend(kept) => {
                self.storage.write_backend(&record::write_backend(&self.options.origin, &kept));
            }
            Effect::UseStoredToken { read, generation, keeps_user } => {
                self.state.borrow_mut().use_stored_token(read, generation, keeps_user);
                if !keeps_user {
                    self.forget_csrf();
                }
            }
            Effect::UseToken { token, generation } => {
                self.state.borrow_mut().use_token(token, generation);
            }
            Effect::DropToken { token } => drop(self.state.borrow_mut().tokens.take_pending(token)),
            Effect::Store { generation, expires_at, verified_at } => {
                let object = self.token_of(generation).unwrap_or_else(json::object);
                let origin = &self.options.origin;
                let record =
                    record::write_live(&object, origin, generation, expires_at, verified_at);
                self.write(Some(record));
            }
            Effect::WriteTombstone { generation, sign_out, undelivered } => {
                let origin = &self.options.origin;
                let tombstone = record::write_tombstone(origin, generation, &sign_out, undelivered);
                self.write(Some(tombstone));
                self.state.borrow_mut().user = None;
                if !undelivered {
                    self.forget(generation);
                }
            }
            Effect::SetUser { request } => self.set_user(request),
            Effect::Forget { generation } => self.forget(generation),
            Effect::EraseRecord => self.write(None),
            Effect::ReadLease => self.dispatch(Input::Lease(self.storage.read_lease())),
            Effect::WriteLease(lease) => self.write_lease(&lease),
            Effect::Lock => self.lock(),
            Effect::Unlock => self.unlock(),
            Effect::ReleaseLease(tab) => self.storage.release_lease(tab),
            Effect::UseLeadersUser { generation } => {
                self.state.borrow_mut().use_leaders_user(generation);
            }
            Effect::Broadcast(message) => self.broadcast(message),
            Effect::AppRequest { request, action } => self.app_requests.decided(request, action),
            Effect::Notify(notice) => (self.notify)(&notice),
        }
    }

    fn send(
        self: &Rc<Self>,
        id: RequestId,
        probe: Probe,
        generation: Option<Generation>,
        attempt: Option<AttemptId>,
    ) {
        let controller = AbortController::new().ok();
        let token = generation.and_then(|generation| self.token_of(generation)).unwrap_or_default();
        let outgoing = Outgoing {
            options: Rc::clone(&self.options),
            probe,
            token: json::text(&token, "token"),
            attempt: matches!(probe, Probe::Refresh | Probe::Acquire)
                .then(|| Attempt { token: token.clone(), id: attempt }),
            signal: controller.as_ref().map(AbortController::signal),
        };
        self.state.borrow_mut().in_flight.push(PendingRequest { id, probe, controller });
        let observer = Rc::downgrade(self);
        let weak = Weak::clone(&observer);
        let on_headers = move || dispatch_to(&observer, Input::Answering { request: id });
        let received = transport::send(outgoing, on_headers);
        spawn_local(async move {
            let received = received.await;
            // An aborted request is closed already, and whatever comes of it is ignored.
            if let Some(driver) = weak.upgrade()
                && driver.close(id).is_some()
            {
                driver.take(match driver.options.by_page(probe) {
                    Some(by_page) => {
                        Command::TokenAnswer(id, probe, by_page.read(&token, received))
                    }
                    None => Command::Received(id, received),
                });
            }
        });
    }

    fn close(&self, request: RequestId) -> Option<PendingRequest> {
        self.state.borrow_mut().close(request)
    }

    /// At once, unless the store answers with a promise.
    fn read_record(self: &Rc<Self>, read: ReadId) {
        match self.storage.read() {
            storage::Answer::Now(record) => self.on_record(read, record),
            storage::Answer::Later(promise) => {
                let weak = Rc::downgrade(self);
                spawn_local(async move {
                    let answer = JsFuture::from(promise).await;
                    if let Some(driver) = weak.upgrade() {
                        driver.on_record(read, driver.storage.read_answer(answer));
                    }
                });
            }
        }
    }

    fn read_backend(self: &Rc<Self>) {
        if let Some(object) = self.storage.read_backend().as_deref().and_then(json::parse)
            && let Some(kept) = record::read_backend(&object, &self.options.origin)
        {
            self.dispatch(Input::Backend(kept));
        }
    }

    fn on_record(self: &Rc<Self>, read: ReadId, stored: Result<Option<Rc<str>>, Failed>) {
        let (record, object) = match stored {
            Err(Failed) => (Record::Unreadable, None),
            Ok(None) => (Record::Absent, None),
            Ok(Some(stored)) => {
                let object = json::parse(&stored).unwrap_or_default();
                let Options { origin, .. } = &*self.options;
                (record::read(&object, origin, self.options.needs_token()), Some(object))
            }
        };
        self.take(Command::Loaded { read, record, object });
    }

    /// Nothing is lost while the page lives, whatever the store does.
    fn write(self: &Rc<Self>, record: Option<String>) {
        if record.as_ref().is_some_and(|record| self.storage.holds_newer(record)) {
            return self.dispatch(Input::RecordChanged);
        }
        let weak = Rc::downgrade(self);
        let on_failure = move || dispatch_to(&weak, Input::StoreFailed);
        self.storage.write(record.map(Rc::from), Some(Box::new(on_failure)));
    }

    /// The body of this answer is the user.
    fn set_user(&self, request: RequestId) {
        let answer = self.state.borrow_mut().take_answer(request);
        let user = answer.map(|Answer { body, csrf }| {
            if let Some(Csrf { learn, .. }) = &self.options.csrf {
                let csrf = csrf.map(JsValue::from).unwrap_or_default();
                // The page's function does not throw, and without it there is no token.
                let _ = learn.call2(&JsValue::UNDEFINED, &body, &csrf);
            }
            body
        });
        self.state.borrow_mut().user = user;
    }

    fn forget(&self, generation: Generation) {
        self.state.borrow_mut().tokens.forget(generation);
        // A session that has begun since keeps its own.
        if self.core.borrow().generation().is_none() {
            self.forget_csrf();
        }
    }

    fn forget_csrf(&self) {
        if let Some(Csrf { forget, .. }) = &self.options.csrf {
            let _ = forget.call0(&JsValue::UNDEFINED);
        }
    }

    fn token_of(&self, generation: Generation) -> Option<JsValue> {
        self.state.borrow().tokens.get(generation)
    }

    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn tokens_held(&self) -> usize {
        self.state.borrow().tokens.count()
    }

    /// Arms the one timer for the core's next deadline.
    fn arm(self: &Rc<Self>) {
        let wait = self.with_core(|core| {
            let (at, _) = core.next_timeout()?;
            Some(at.since(core.now()).as_millis().min(MAX_TIMEOUT) as u32)
        });
        let timer = wait.map(|wait| {
            let weak = Rc::downgrade(self);
            Timeout::new(wait, move || dispatch_to(&weak, Input::Timeout))
        });
        self.state.borrow_mut().timer = timer;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for PendingRequest { probe, controller, .. } in self.state.get_mut().in_flight.drain(..) {
            // A sign-out is still to reach the server.
            if let Some(controller) = controller.filter(|_| probe != Probe::SignOut) {
                controller.abort();
            }
        }
    }
}

fn dispatch_to(driver: &Weak<Driver>, input: Input) {
    if let Some(driver) = driver.upgrade() {
        driver.dispatch(input);
    }
}

/// Moments at which a store that took nothing may take it: not each key that is pressed.
fn is_chance_to_save(input: &Input) -> bool {
    matches!(input, Input::Timeout | Input::RecordChanged)
        || matches!(input, Input::Page(event) if *event != PageEvent::UserActivity)
}
