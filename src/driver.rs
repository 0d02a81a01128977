//! The driver: carries out what the core decides. The one file that knows every capability.
//!
//! Rule: an input is taken only when the effects of the one before are carried out, and no
//! borrow is held while the page's code runs, so a handler may call back in as it likes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::Promise;
use session_keeper_core as core;
use session_keeper_core::{
    Credential, Effect, Entry, Generation, Input, Notice, Probe, RequestId, SignOut, Snapshot,
    UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

use crate::options::{Auth, Options};
use crate::page::{self, Listener};
use crate::record::{self, Secret, Tokens};
use crate::storage::{Reply, Storage};
use crate::transport::{self, Ended};
use crate::{clock, entropy};

/// `setTimeout` fires at once for more than 2^31-1 ms.
const TIMER_MOST: u64 = i32::MAX as u64;

/// A token as the app hands it over.
pub struct Token {
    tokens: Tokens,
    expires_at: Option<UnixMillis>,
    user: JsValue,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

impl Token {
    /// An opaque token or a JWT.
    #[must_use]
    pub fn new(token: &str) -> Self {
        let token = (!token.is_empty()).then(|| Secret(token.into()));
        let tokens = Tokens { token, ..Tokens::default() };
        Self { tokens, expires_at: None, user: JsValue::UNDEFINED }
    }

    /// When it runs out, if that is known. Informs only: the local clock ends no session.
    #[must_use]
    pub fn expiring_at(self, at: UnixMillis) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// The refresh token that came along.
    #[must_use]
    pub fn with_refresh(mut self, refresh: &str) -> Self {
        self.tokens.refresh = Some(Secret(refresh.into()));
        self
    }

    /// Who signed in, until a verified body says it.
    #[must_use]
    pub fn with_user(self, user: JsValue) -> Self {
        Self { user, ..self }
    }
}

/// Keeps one session of one page. Cheap to clone: clones are the same keeper.
#[derive(Clone)]
pub struct Keeper(Rc<Driver>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

struct Driver {
    options: Options,
    core: RefCell<core::Keeper>,
    inbox: RefCell<VecDeque<Order>>,
    busy: Cell<bool>,
    storage: Storage,
    held: RefCell<Vec<(Generation, Tokens)>>,
    handed: RefCell<Option<Tokens>>,
    found: RefCell<Tokens>,
    user: RefCell<JsValue>,
    candidate: RefCell<JsValue>,
    under_way: RefCell<Vec<(RequestId, AbortController)>>,
    timer: RefCell<Option<Timeout>>,
    listener: RefCell<Option<Listener>>,
    notify: Box<dyn Fn(&Notice)>,
}

enum Order {
    Take(Input),
    SignIn(Token),
    Answer(RequestId, Ended),
}

impl Keeper {
    /// A keeper that does nothing until it is started. News arrive by `notify`, after the state
    /// is what they say; it may call the keeper.
    #[must_use]
    pub fn new(mut options: Options, notify: impl Fn(&Notice) + 'static) -> Self {
        options.core.tell_sign_out = options.sign_out_path.is_some();
        options.core.credential = match options.auth {
            Auth::Cookie => Credential::Cookie,
            Auth::Bearer { .. } | Auth::Custom(_) => Credential::Token,
        };
        let core = core::Keeper::new(options.core.clone(), entropy::seed());
        Self(Rc::new(Driver {
            core: RefCell::new(core),
            inbox: RefCell::default(),
            busy: Cell::new(false),
            storage: Storage::new(&options.name, &options.persist),
            held: RefCell::default(),
            handed: RefCell::default(),
            found: RefCell::default(),
            user: RefCell::new(JsValue::UNDEFINED),
            candidate: RefCell::new(JsValue::UNDEFINED),
            under_way: RefCell::default(),
            timer: RefCell::default(),
            listener: RefCell::default(),
            notify: Box::new(notify),
            options,
        }))
    }

    /// Restores the session and starts to keep it. Twice is once; without a document never.
    pub fn start(&self) {
        if page::window().is_none() || self.0.listener.borrow().is_some() {
            return;
        }
        let weak = Rc::downgrade(&self.0);
        let touches = self.0.options.core.verify.when_idle.is_some();
        *self.0.listener.borrow_mut() = Listener::new(touches, move |event| {
            if let Some(driver) = weak.upgrade() {
                driver.take(Input::Page(event));
            }
        });
        for fact in page::present() {
            self.0.take(Input::Page(fact));
        }
        self.0.take(Input::Start);
    }

    /// Stops pings and verifications; the session stays where it is stored.
    pub fn stop(&self) {
        self.0.listener.borrow_mut().take();
        self.0.take(Input::Stop);
    }

    /// Begins a session.
    pub fn sign_in(&self, token: Token) {
        self.0.order(Order::SignIn(token));
    }

    /// Ends the session here and at once, also offline.
    pub fn sign_out(&self) {
        self.0.take(Input::SignOut);
    }

    /// Checks now; [`Notice::Settled`] follows.
    pub fn verify(&self) {
        self.0.take(Input::Verify);
    }

    /// An answer that the app got elsewhere: a 401 starts the check and is never evidence itself.
    pub fn report(&self, status: u16) {
        self.0.take(Input::Report { status });
    }

    /// A request of the app got no answer.
    pub fn unanswered(&self) {
        self.0.take(Input::Unanswered);
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.core.borrow().snapshot()
    }

    /// The last sign-out, while there is no newer session.
    #[must_use]
    pub fn last_sign_out(&self) -> Option<SignOut> {
        self.0.core.borrow().sign_out().cloned()
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        self.0.core.borrow().history().cloned().collect()
    }

    /// The value of `Authorization` for requests to the API, in bearer mode while there is a
    /// session. For the API's origin only.
    #[must_use]
    pub fn credential(&self) -> Option<String> {
        let Auth::Bearer { scheme } = &self.0.options.auth else { return None };
        let generation = self.0.core.borrow().generation()?;
        let token = self.0.tokens(generation).token?;
        Some([scheme, " ", &token.0].concat())
    }

    /// Who is signed in: what the last verified body or the sign-in said, else `undefined`.
    #[must_use]
    pub fn user(&self) -> JsValue {
        self.0.user.borrow().clone()
    }

    #[cfg(feature = "npm")]
    pub(crate) fn look<T>(&self, look: impl FnOnce(&core::Keeper) -> T) -> T {
        look(&self.0.core.borrow())
    }

    #[cfg(feature = "npm")]
    pub(crate) fn storage_name(&self) -> &'static str {
        self.0.storage.name()
    }

    #[cfg(feature = "npm")]
    pub(crate) fn saved_at(&self) -> Option<UnixMillis> {
        let generation = self.0.core.borrow().generation()?;
        self.0.tokens(generation).saved_at
    }
}

impl Driver {
    fn take(self: &Rc<Self>, input: Input) {
        self.order(Order::Take(input));
    }

    fn order(self: &Rc<Self>, order: Order) {
        self.inbox.borrow_mut().push_back(order);
        if self.busy.replace(true) {
            return;
        }
        while let Some(order) = self.next_order() {
            let input = match order {
                Order::Take(input) => input,
                Order::SignIn(token) => self.hand_over(token),
                Order::Answer(request, ended) => {
                    *self.candidate.borrow_mut() = ended.body;
                    Input::Answer { request, outcome: ended.outcome }
                }
            };
            let effects = self.core.borrow_mut().handle_input(clock::now(), input);
            for effect in effects {
                self.carry_out(effect);
            }
        }
        self.arm();
        self.busy.set(false);
    }

    fn next_order(&self) -> Option<Order> {
        self.inbox.borrow_mut().pop_front()
    }

    fn hand_over(&self, token: Token) -> Input {
        let Token { mut tokens, expires_at, user } = token;
        tokens.saved_at = Some(clock::wall());
        *self.handed.borrow_mut() = Some(tokens);
        *self.user.borrow_mut() = user;
        Input::SignIn { expires_at }
    }

    fn carry_out(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Send { request, probe, generation } => self.send(request, probe, generation),
            Effect::Abort { request } => {
                if let Some(controller) = self.close(request) {
                    controller.abort();
                }
            }
            Effect::ReadRecord => self.read_record(),
            Effect::Adopt { generation } => {
                let tokens = self.found.take();
                self.hold(generation, tokens);
                *self.user.borrow_mut() = JsValue::UNDEFINED;
            }
            Effect::Store { generation, expires_at, verified_at } => {
                if let Some(tokens) = self.handed.take() {
                    self.hold(generation, tokens);
                }
                let tokens = self.tokens(generation);
                let origin = &self.options.origin;
                self.write(record::write_live(
                    origin,
                    generation,
                    &tokens,
                    expires_at,
                    verified_at,
                ));
            }
            Effect::Bury { generation, sign_out, undelivered } => {
                let origin = &self.options.origin;
                self.write(record::write_tombstone(origin, generation, &sign_out, undelivered));
                if !undelivered {
                    self.forget(generation);
                }
                *self.user.borrow_mut() = JsValue::UNDEFINED;
            }
            Effect::TakeUser { .. } => {
                let body = self.candidate.replace(JsValue::UNDEFINED);
                *self.user.borrow_mut() = body;
            }
            Effect::Forget { generation } => self.forget(generation),
            Effect::EraseRecord => {
                let reply = self.storage.erase();
                self.mind(reply, None);
            }
            // Other tabs are told from the next version on.
            Effect::Tell(_) => {}
            Effect::Notify(notice) => (self.notify)(&notice),
        }
    }

    fn send(self: &Rc<Self>, request: RequestId, probe: Probe, generation: Option<Generation>) {
        // Missing only in browsers older than the baseline; the core's bounds end the wait.
        let Ok(controller) = AbortController::new() else { return };
        let signal = controller.signal();
        self.under_way.borrow_mut().push((request, controller));
        let token = generation.and_then(|generation| self.tokens(generation).token);
        let driver = Rc::clone(self);
        spawn_local(async move {
            let on_head = || driver.take(Input::Answering { request });
            let options = &driver.options;
            let ended = transport::exchange(options, probe, token.as_ref(), &signal, on_head).await;
            if driver.close(request).is_some() {
                driver.order(Order::Answer(request, ended));
            }
        });
    }

    fn close(&self, request: RequestId) -> Option<AbortController> {
        let mut under_way = self.under_way.borrow_mut();
        let at = under_way.iter().position(|(id, _)| *id == request)?;
        Some(under_way.swap_remove(at).1)
    }

    fn read_record(self: &Rc<Self>) {
        match self.storage.read() {
            Reply::Now(answer) => self.found(answer),
            Reply::Later(promise) => {
                let driver = Rc::clone(self);
                spawn_local(async move {
                    let answer = JsFuture::from(promise).await;
                    driver.found(answer.map(|value| value.as_string()));
                });
            }
        }
    }

    fn found(self: &Rc<Self>, answer: Result<Option<String>, JsValue>) {
        let Ok(stored) = answer else { return self.take(Input::Record(core::Record::Unreadable)) };
        let options = &self.options;
        let found = record::read(stored.as_deref(), &options.origin, options.needs_token());
        *self.found.borrow_mut() = found.tokens;
        self.take(Input::Record(found.record));
    }

    fn write(self: &Rc<Self>, record: String) {
        let reply = self.storage.write(&record);
        self.mind(reply, Some(record));
    }

    /// A store that fails is left for memory, and nothing is lost while the page lives.
    fn mind(self: &Rc<Self>, reply: Reply<()>, record: Option<String>) {
        match reply {
            Reply::Now(Ok(())) => {}
            Reply::Now(Err(_)) => self.fall_back(record),
            Reply::Later(promise) => {
                let driver = Rc::clone(self);
                spawn_local(async move {
                    if JsFuture::from(Promise::resolve(&promise)).await.is_err() {
                        driver.fall_back(record);
                    }
                });
            }
        }
    }

    fn fall_back(self: &Rc<Self>, record: Option<String>) {
        self.storage.fall_back(record);
        self.take(Input::StoreFailed);
    }

    fn tokens(&self, generation: Generation) -> Tokens {
        let held = self.held.borrow();
        let found = held.iter().find(|(of, _)| *of == generation);
        found.map(|(_, tokens)| tokens.clone()).unwrap_or_default()
    }

    fn hold(&self, generation: Generation, tokens: Tokens) {
        self.forget(generation);
        self.held.borrow_mut().push((generation, tokens));
    }

    fn forget(&self, generation: Generation) {
        self.held.borrow_mut().retain(|(of, _)| *of != generation);
    }

    /// Arms the one timer for the core's next deadline.
    fn arm(self: &Rc<Self>) {
        let core = self.core.borrow();
        let timer = core.next_timeout().map(|(at, _)| {
            let wait = at.since(core.now()).as_millis().min(TIMER_MOST) as u32;
            let weak = Rc::downgrade(self);
            Timeout::new(wait, move || {
                if let Some(driver) = weak.upgrade() {
                    driver.take(Input::Timeout);
                }
            })
        });
        *self.timer.borrow_mut() = timer;
    }
}
