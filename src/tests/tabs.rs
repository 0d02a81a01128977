//! What tabs post to each other and keep of the lease.

use session_keeper_core::{
    CheckResult, Duration, Generation, LeaseRecord, Message, ServerState, SessionId, TabId,
    TabRequest, TabState, TokenId, UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{filled, script};
use crate::json;
use crate::record;
use crate::tabs::Channel;
use std::cell::RefCell;
use std::rc::Rc;

fn state() -> TabState {
    let generation = Generation::new(3, TokenId(7)).map(|it| it.of_session(SessionId(5)));
    TabState {
        from: TabId(9),
        is_answer: true,
        generation,
        is_verified: true,
        is_suspect: true,
        server: ServerState::Waking,
        proven: Some(Duration::from_millis(30)),
        check: Some((CheckResult::Inconclusive, Duration::from_millis(40))),
        verified_at: Some(UnixMillis(1_763_690_300_000)),
        settled: Some(Duration::from_millis(50)),
        refresh_failed: true,
        with_user: true,
    }
}

/// Posts on one channel and gives what another one of the same name was told.
async fn posted(message: Message, user: &JsValue) -> (Message, JsValue) {
    let slot = Rc::new(RefCell::new(None));
    let told = Rc::clone(&slot);
    let name = "tabs-test";
    let listener = Channel::open(name, move |message, user| {
        *told.borrow_mut() = Some((message, user));
    });
    let sender = Channel::open(name, |_, _| {}).expect("the browser has channels");
    sender.post(message, user);
    let found = filled(&slot).await;
    drop(listener);
    found
}

#[wasm_bindgen_test]
async fn a_message_arrives_as_it_was_posted_with_the_user_only_where_it_belongs() {
    let user = script("({ name: \"ada\" })");
    for message in [
        Message::Written,
        Message::Request(TabRequest::Unauthorized),
        Message::State(state()),
        Message::State(TabState { generation: None, check: None, settled: None, ..state() }),
    ] {
        let (told, with) = posted(message, &user).await;
        assert_eq!(told, message);
        assert_eq!(with.is_object(), matches!(message, Message::State(_)));
    }
}

#[wasm_bindgen_test]
async fn a_user_that_cannot_be_cloned_does_not_hold_the_message_up() {
    let user = script("({ name: \"ada\", greet() {} })");
    let (told, with) = posted(Message::State(state()), &user).await;
    assert_eq!(told, Message::State(state()));
    assert!(with.is_undefined());
}

#[wasm_bindgen_test]
fn what_is_no_lease_is_none() {
    let lease =
        LeaseRecord { tab: TabId(1), epoch: 2, expires_at: UnixMillis(3), is_visible: true };
    assert_eq!(record::read_lease(&record::write_lease(&lease)), Some(lease));
    let object = json::parse(&record::write_lease(&lease)).expect("it is JSON");
    for (key, value) in [("v", JsValue::from(2)), ("tab", 1.into()), ("epoch", (-1).into())] {
        let garbled = json::parse(&json::stringify(&object)).expect("it is JSON");
        json::set(&garbled, key, value);
        assert_eq!(record::read_lease(&json::stringify(&garbled)), None, "{key}");
    }
    assert_eq!(record::read_lease("rubbish"), None);
}
