use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{filled, script};
use crate::js;
use crate::options::Persist;
use crate::storage::Storage;

fn text(answer: Option<JsValue>) -> Option<String> {
    answer.and_then(|answer| answer.as_string())
}

#[wasm_bindgen_test]
fn what_is_written_is_read_back_and_erased_from_either_web_storage() {
    for (persist, name) in [(Persist::Local, "local"), (Persist::Session, "session")] {
        let storage = Storage::new("keeper-test", &persist);
        assert_eq!(storage.name(), name);
        assert!(storage.write(&"one".into()).is_some());
        assert_eq!(text(Storage::new("keeper-test", &persist).read()), Some("one".into()));
        storage.erase();
        assert_eq!(text(storage.read()), None);
    }
}

#[wasm_bindgen_test]
fn a_store_that_throws_is_told_apart_from_an_empty_one() {
    let adapter = script("({ get() { throw 1 }, set() { throw 2 }, remove() { throw 3 } })");
    let storage = Storage::new("key", &Persist::Adapter(adapter));
    assert!(storage.read().is_none());
    assert!(storage.write(&"one".into()).is_none());
    assert!(storage.erase().is_none());
}

#[wasm_bindgen_test]
fn blocked_web_storage_is_memory() {
    script(
        "window.__local = Object.getOwnPropertyDescriptor(window, 'localStorage');
         Object.defineProperty(window, 'localStorage',
           { configurable: true, get() { throw new DOMException('no', 'SecurityError') } })",
    );
    let storage = Storage::new("key", &Persist::Local);
    script("Object.defineProperty(window, 'localStorage', window.__local)");
    assert_eq!(storage.name(), "memory");
    storage.write(&"one".into());
    assert_eq!(text(storage.read()), Some("one".into()));
}

#[wasm_bindgen_test]
fn a_store_that_failed_is_left_for_memory_with_what_it_did_not_take() {
    let adapter = script("({ get() { return 'old' }, set() { throw 1 }, remove() {} })");
    let storage = Storage::new("key", &Persist::Adapter(adapter));
    assert!(storage.write(&"new".into()).is_none());
    storage.fall_back("new".into());
    assert_eq!((storage.name(), text(storage.read())), ("memory", Some("new".into())));
}

#[wasm_bindgen_test]
async fn an_adapter_may_answer_with_a_promise() {
    let adapter = script("({ async get(key) { return 'of ' + key } })");
    let storage = Storage::new("key", &Persist::Adapter(adapter));
    let answer = storage.read().expect("it did not throw");
    assert!(js::is_promise(&answer));
    let slot = Rc::new(RefCell::new(None));
    let filler = Rc::clone(&slot);
    js::then(&answer, Box::new(move |value| *filler.borrow_mut() = Some(text(value))));
    assert_eq!(filled(&slot).await, Some("of key".into()));
}

#[wasm_bindgen_test]
async fn a_promise_that_is_rejected_is_a_store_that_failed() {
    let adapter = script("({ get() { return Promise.reject(new Error('quota')) } })");
    let storage = Storage::new("key", &Persist::Adapter(adapter));
    let answer = storage.read().expect("it did not throw");
    let slot = Rc::new(RefCell::new(None));
    let filler = Rc::clone(&slot);
    js::then(&answer, Box::new(move |value| *filler.borrow_mut() = Some(value.is_none())));
    assert!(filled(&slot).await);
}
