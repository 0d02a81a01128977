use std::cell::RefCell;
use std::rc::Rc;

use session_keeper_core::{Duration, Notice, SessionState, SignOutReason};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{filled, pause, script};
use crate::options::{Options, Persist};
use crate::{Keeper, Token};

fn options(name: &str) -> Options {
    Options::new("http://127.0.0.1:9").expect("it is an address").named(name)
}

fn quiet(options: Options) -> Keeper {
    Keeper::new(options, |_| {})
}

#[wasm_bindgen_test]
fn a_session_outlives_the_keeper_that_began_it() {
    script("localStorage.clear()");
    let first = quiet(options("outlives"));
    first.start();
    first.sign_in(Token::new("kept").with_refresh("also"));
    first.stop();
    let second = quiet(options("outlives"));
    second.start();
    assert_eq!(second.snapshot().session, SessionState::Unverified);
    assert_eq!(second.credential().as_deref(), Some("Bearer kept"));
    second.stop();
}

#[wasm_bindgen_test]
fn a_sign_out_is_on_record_for_the_next_page_and_the_token_is_gone() {
    script("localStorage.clear()");
    let first = quiet(options("ends"));
    first.start();
    first.sign_in(Token::new("canary-token"));
    first.sign_out();
    assert_eq!(first.credential(), None);
    let stored = script("JSON.stringify(Object.entries(localStorage))").as_string();
    assert!(stored.is_some_and(|stored| !stored.contains("canary")));
    let second = quiet(options("ends"));
    second.start();
    assert_eq!(second.snapshot().session, SessionState::SignedOut);
    assert_eq!(second.last_sign_out().map(|end| end.reason), Some(SignOutReason::User));
    first.stop();
    second.stop();
}

#[wasm_bindgen_test]
fn a_second_sign_in_replaces_the_token_of_the_first() {
    script("localStorage.clear()");
    let keeper = quiet(options("replaces"));
    keeper.start();
    keeper.sign_in(Token::new("first"));
    keeper.sign_in(Token::new("second"));
    assert_eq!(keeper.credential().as_deref(), Some("Bearer second"));
    assert_eq!(keeper.driver().tokens_held(), 1);
    keeper.sign_out();
    assert_eq!(keeper.driver().tokens_held(), 0);
    keeper.stop();
}

#[wasm_bindgen_test]
fn a_corrupt_record_is_erased_and_the_store_stays_in_use() {
    script("localStorage.clear(); localStorage.setItem('broken', '{nonsense')");
    let keeper = quiet(options("broken"));
    keeper.start();
    assert_eq!(keeper.snapshot().session, SessionState::SignedOut);
    assert!(script("localStorage.getItem('broken')").is_null());
    keeper.sign_in(Token::new("new"));
    assert!(script("localStorage.getItem('broken')").is_string());
    keeper.stop();
}

#[wasm_bindgen_test]
fn a_handler_may_call_back_in() {
    script("localStorage.clear()");
    let slot: Rc<RefCell<Option<Keeper>>> = Rc::default();
    let handle = Rc::clone(&slot);
    let keeper = Keeper::new(options("calls-back"), move |notice| {
        let keeper = handle.borrow().clone();
        if let (Notice::SignedIn { .. }, Some(keeper)) = (notice, keeper) {
            let _ = keeper.snapshot();
            keeper.sign_out();
        }
    });
    *slot.borrow_mut() = Some(keeper.clone());
    keeper.start();
    keeper.sign_in(Token::new("short-lived"));
    assert_eq!(keeper.snapshot().session, SessionState::SignedOut);
    keeper.stop();
    slot.borrow_mut().take();
}

#[wasm_bindgen_test]
async fn an_adapter_that_throws_means_memory_and_no_crash() {
    let adapter = script("({ get() { throw 1 }, set() { throw 2 }, remove() { throw 3 } })");
    let settled: Rc<RefCell<Option<()>>> = Rc::default();
    let visitor = Rc::clone(&settled);
    let options = options("throws").persist(Persist::Adapter(adapter));
    let keeper = Keeper::new(options, move |notice| {
        if matches!(notice, Notice::Logged(entry) if entry.event.code() == "store-failed") {
            *visitor.borrow_mut() = Some(());
        }
    });
    keeper.start();
    filled(&settled).await;
    keeper.sign_in(Token::new("in-memory"));
    assert_eq!(keeper.credential().as_deref(), Some("Bearer in-memory"));
    keeper.stop();
}

#[wasm_bindgen_test]
async fn a_stopped_keeper_frees_all_that_it_held_when_it_is_dropped() {
    script("localStorage.clear(); window.real = window.fetch");
    for (fetch, persist) in [
        // Nothing ever answers, neither the server nor the store.
        (
            "() => new Promise(() => {})",
            "({ get: () => new Promise(() => {}), set() {}, remove() {} })",
        ),
        (
            "async () => new Response('{}')",
            "({ get: async () => null, async set() {}, async remove() {} })",
        ),
    ] {
        script(&format!("window.fetch = {fetch}"));
        for persist in [Persist::Local, Persist::Adapter(script(persist))] {
            let keeper = quiet(options("freed").persist(persist));
            keeper.start();
            keeper.sign_in(Token::new("token"));
            keeper.verify();
            pause().await;
            keeper.stop();
            let weak = Rc::downgrade(keeper.driver());
            drop(keeper);
            assert!(weak.upgrade().is_none(), "{fetch}");
            script("window.dispatchEvent(new Event('online'))");
        }
    }
    script("window.fetch = window.real");
}

#[wasm_bindgen_test]
async fn a_keeper_that_was_stopped_while_the_page_was_away_goes_on_when_it_is_back() {
    script(
        "localStorage.clear(); window.real = window.fetch; window.pings = 0;
         window.fetch = async () => (window.pings++, new Response('{}'))",
    );
    let mut chosen = options("comes-back");
    chosen.core.health.as_mut().expect("it is on").every = Duration::from_millis(250);
    let keeper = quiet(chosen);
    keeper.start();
    script("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    script("window.dispatchEvent(new Event('offline'))");
    keeper.stop();
    script("window.pings = 0");
    keeper.start();
    while script("window.pings").as_f64() < Some(2.0) {
        pause().await;
    }
    keeper.stop();
    script("window.fetch = window.real");
}

#[wasm_bindgen_test]
async fn an_adapter_that_answers_late_still_brings_its_session_back() {
    script(
        "window.held = null;
         window.late = { get: () => new Promise((done) => { window.answer = () => done(window.held) }),
           set(key, record) { window.held = record }, remove() { window.held = null } }",
    );
    let chosen = || options("late").persist(Persist::Adapter(script("window.late")));
    let first = quiet(chosen());
    first.start();
    script("window.answer()");
    pause().await;
    first.sign_in(Token::new("kept"));
    pause().await;
    first.stop();
    let settled: Rc<RefCell<Option<()>>> = Rc::default();
    let teller = Rc::clone(&settled);
    let second = Keeper::new(chosen(), move |notice| {
        if matches!(notice, Notice::Logged(entry) if entry.event.code() == "store-failed") {
            *teller.borrow_mut() = Some(());
        }
    });
    second.start();
    // The core waits for 2 s.
    filled(&settled).await;
    assert_eq!(second.snapshot().signed_in(), Some(false));
    script("window.answer()");
    while second.snapshot().signed_in() != Some(true) {
        pause().await;
    }
    assert_eq!(second.credential().as_deref(), Some("Bearer kept"));
    second.stop();
}

#[wasm_bindgen_test]
fn the_largest_generation_is_followed_by_one_that_can_be_read() {
    script("localStorage.clear()");
    let last = r#"{"v":1,"origin":"http://127.0.0.1:9","generation":2147483648,
        "token_id":"0000000000000001","token":"old"}"#;
    script(&format!("localStorage.setItem('largest', JSON.stringify({last}))"));
    let first = quiet(options("largest"));
    first.start();
    first.sign_in(Token::new("new"));
    first.stop();
    let second = quiet(options("largest"));
    second.start();
    assert_eq!(second.credential().as_deref(), Some("Bearer new"));
    second.stop();
}

#[wasm_bindgen_test]
fn a_change_by_another_tab_is_met_at_once() {
    script("localStorage.clear()");
    let keeper = quiet(options("two-tabs"));
    keeper.start();
    keeper.sign_in(Token::new("shared"));
    let other = quiet(options("two-tabs"));
    other.start();
    other.sign_out();
    script("window.dispatchEvent(new StorageEvent('storage', { key: 'unrelated' }))");
    assert_eq!(keeper.snapshot().signed_in(), Some(true));
    script("window.dispatchEvent(new StorageEvent('storage', { key: 'two-tabs' }))");
    assert_eq!(keeper.snapshot().signed_in(), Some(false));
    keeper.stop();
    other.stop();
}

/// Prints the trace, of which `tests/traces/` keeps one.
#[cfg(feature = "serde")]
#[wasm_bindgen_test]
async fn a_trace_replays_to_the_same_end_and_holds_no_secret() {
    script(
        "localStorage.clear(); window.real = window.fetch; window.status = 200; window.asked = 0;
         window.fetch = async (url) => (window.asked++, new Response(
           url.includes('health') ? '{\"status\":\"ok\"}' : '{\"user\":\"canary-user\"}', {
             status: url.includes('health') ? 200 : window.status,
             headers: { 'content-type': 'application/json' } }))",
    );
    let mut chosen = options("traced").verify_path("/auth/me");
    chosen.core.verify.every = Duration::from_millis(250);
    chosen.core.confirm = session_keeper_core::Confirm::Immediate;
    let keeper = quiet(chosen);
    keeper.start();
    keeper.sign_in(Token::new("canary-token"));
    while keeper.snapshot().session != SessionState::SignedIn {
        pause().await;
    }
    script("window.status = 401");
    while keeper.snapshot().signed_in() != Some(false) {
        pause().await;
    }
    let trace = keeper.trace();
    keeper.stop();
    script("window.fetch = window.real");
    let text = serde_json::to_string(&trace).expect("it is data");
    assert!(!text.contains("canary"), "{text}");
    wasm_bindgen_test::console_log!("{text}");
    let read: crate::Trace = serde_json::from_str(&text).expect("it was written so");
    let (replayed, first) = (read.replay(), trace.replay());
    assert_eq!(replayed, first);
    assert_eq!(replayed.snapshot.session, SessionState::SignedOut);
}

#[wasm_bindgen_test]
fn a_token_is_in_no_debug_text() {
    let token = Token::new("canary-token");
    assert!(!format!("{token:?}").contains("canary"));
}
