use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{filled, script};
use crate::js;
use crate::options::{Options, Persist};
use crate::storage::Storage;

fn storage(persist: &Persist) -> Storage {
    let options = Options::new("http://127.0.0.1:9").expect("it is an address");
    Storage::new(&options.named("key").persist(persist))
}

fn text(answer: Option<JsValue>) -> Option<String> {
    answer.and_then(|answer| answer.as_string())
}

#[wasm_bindgen_test]
fn what_is_written_is_read_back_and_erased_from_either_web_storage() {
    for (persist, name) in [(Persist::Local, "local"), (Persist::Session, "session")] {
        let place = storage(&persist);
        assert_eq!(place.name(), name);
        assert!(place.write(&"one".into()).is_some());
        assert_eq!(text(storage(&persist).read()), Some("one".into()));
        place.erase();
        assert_eq!(text(place.read()), None);
    }
}

#[wasm_bindgen_test]
fn a_store_that_throws_is_told_apart_from_an_empty_one() {
    let adapter = script("({ get() { throw 1 }, set() { throw 2 }, remove() { throw 3 } })");
    let place = storage(&Persist::Adapter(adapter));
    assert!(place.read().is_none());
    assert!(place.write(&"one".into()).is_none());
    assert!(place.erase().is_none());
}

#[wasm_bindgen_test]
fn blocked_web_storage_is_memory() {
    script(
        "window.__local = Object.getOwnPropertyDescriptor(window, 'localStorage');
         Object.defineProperty(window, 'localStorage',
           { configurable: true, get() { throw new DOMException('no', 'SecurityError') } })",
    );
    let place = storage(&Persist::Local);
    script("Object.defineProperty(window, 'localStorage', window.__local)");
    assert_eq!(place.name(), "memory");
    place.write(&"one".into());
    assert_eq!(text(place.read()), Some("one".into()));
}

#[wasm_bindgen_test]
fn a_store_that_failed_is_left_for_memory_with_what_it_did_not_take() {
    let adapter = script("({ get() { return 'old' }, set() { throw 1 }, remove() {} })");
    let place = storage(&Persist::Adapter(adapter));
    assert!(place.write(&"new".into()).is_none());
    place.fall_back("new".into());
    assert_eq!((place.name(), text(place.read())), ("memory", Some("new".into())));
}

#[wasm_bindgen_test]
async fn an_adapter_may_answer_with_a_promise() {
    let adapter = script("({ async get(key) { return 'of ' + key } })");
    let place = storage(&Persist::Adapter(adapter));
    let answer = place.read().expect("it did not throw");
    assert!(js::is_promise(&answer));
    let slot = Rc::new(RefCell::new(None));
    let filler = Rc::clone(&slot);
    js::then(&answer, Box::new(move |value| *filler.borrow_mut() = Some(text(value))));
    assert_eq!(filled(&slot).await, Some("of key".into()));
}

#[wasm_bindgen_test]
async fn a_promise_that_is_rejected_is_a_store_that_failed() {
    let adapter = script("({ get() { return Promise.reject(new Error('quota')) } })");
    let place = storage(&Persist::Adapter(adapter));
    let answer = place.read().expect("it did not throw");
    let slot = Rc::new(RefCell::new(None));
    let filler = Rc::clone(&slot);
    js::then(&answer, Box::new(move |value| *filler.borrow_mut() = Some(value.is_none())));
    assert!(filled(&slot).await);
}
