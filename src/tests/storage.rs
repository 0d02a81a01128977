use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{pause, script};
use crate::options::{Options, Persist};
use crate::storage::{Answer, Storage};

const OLD: &str =
    r#"{"v":1,"origin":"o","generation":1,"token_id":"0000000000000001","token":"a"}"#;
const NEW: &str =
    r#"{"v":1,"origin":"o","generation":2,"token_id":"0000000000000002","token":"b"}"#;
const END: &str =
    r#"{"v":1,"origin":"o","generation":2,"token_id":"0000000000000002","signed_out":{}}"#;

fn storage(persist: Persist) -> Rc<Storage> {
    let options = Options::new("http://127.0.0.1:9").expect("it is an address");
    Rc::new(Storage::new(&options.named("key").persist(persist)))
}

fn adapter(source: &str) -> Persist {
    Persist::Adapter(script(source))
}

fn write(place: &Rc<Storage>, record: &str) {
    place.write(Some(record.into()), None);
}

/// What is read at once; `Err` where the store failed.
fn read(place: &Storage) -> Result<Option<String>, ()> {
    match place.read() {
        Answer::Now(record) => record.map(|it| it.map(|it| it.to_string())).map_err(|_| ()),
        Answer::Later(_) => panic!("it answered with a promise"),
    }
}

/// Makes the web storage of the page refuse writes, and erasing too; returns what undoes it.
fn full(also_erasing: bool) -> impl Drop {
    struct Undo;
    impl Drop for Undo {
        fn drop(&mut self) {
            script("Object.assign(Storage.prototype, window.kept)");
        }
    }
    script(
        "window.kept ??= { setItem: Storage.prototype.setItem, removeItem: Storage.prototype.removeItem };
         window.refuse = () => { throw new DOMException('full', 'QuotaExceededError') };
         Storage.prototype.setItem = window.refuse",
    );
    if also_erasing {
        script("Storage.prototype.removeItem = window.refuse");
    }
    Undo
}

fn stored() -> Option<String> {
    script("localStorage.getItem('key')").as_string()
}

#[wasm_bindgen_test]
fn what_is_written_is_read_back_and_erased_from_either_web_storage() {
    for (persist, name) in [(Persist::Local, "local"), (Persist::Session, "session")] {
        let place = storage(persist.clone());
        assert_eq!(place.name(), name);
        write(&place, "one");
        assert_eq!(read(&storage(persist)), Ok(Some("one".into())));
        place.write(None, None);
        assert_eq!(read(&place), Ok(None));
    }
}

#[wasm_bindgen_test]
fn a_store_that_throws_is_told_apart_from_an_empty_one() {
    let place = storage(adapter("({ get() { throw 1 }, set() {}, remove() {} })"));
    assert_eq!(read(&place), Err(()));
    assert_eq!(read(&storage(adapter("({ get() {}, set() {}, remove() {} })"))), Ok(None));
}

#[wasm_bindgen_test]
fn blocked_web_storage_is_memory_until_it_is_allowed_again() {
    script(
        "localStorage.clear();
         window.__local = Object.getOwnPropertyDescriptor(window, 'localStorage');
         Object.defineProperty(window, 'localStorage',
           { configurable: true, get() { throw new DOMException('no', 'SecurityError') } })",
    );
    let place = storage(Persist::Local);
    let before = (place.name(), read(&place));
    write(&place, OLD);
    let during = (place.name(), read(&place));
    script("Object.defineProperty(window, 'localStorage', window.__local)");
    assert_eq!(before, ("memory", Err(())));
    assert_eq!(during, ("memory", Ok(Some(OLD.into()))));
    place.retry();
    assert_eq!((place.name(), stored()), ("local", Some(OLD.into())));
}

#[wasm_bindgen_test]
fn a_record_that_cannot_be_replaced_is_erased_so_that_it_never_comes_back() {
    script("localStorage.clear()");
    let place = storage(Persist::Local);
    write(&place, OLD);
    let refusal = full(false);
    write(&place, NEW);
    assert_eq!((place.name(), read(&place)), ("memory", Ok(Some(NEW.into()))));
    write(&place, END);
    assert_eq!(read(&place), Ok(Some(END.into())));
    drop(refusal);
    assert_eq!(stored(), None, "the next page finds nobody");
}

#[wasm_bindgen_test]
fn what_could_not_even_be_erased_is_overwritten_at_the_next_chance() {
    script("localStorage.clear()");
    let place = storage(Persist::Local);
    write(&place, OLD);
    let refusal = full(true);
    write(&place, END);
    place.retry();
    drop(refusal);
    assert_eq!(stored().as_deref(), Some(OLD), "the store takes nothing yet");
    place.retry();
    assert_eq!((place.name(), stored().as_deref()), ("local", Some(END)));
}

#[wasm_bindgen_test]
fn erasing_makes_room_for_what_replaces_it() {
    let source = "({ held: 'old', get() { return this.held }, remove() { this.held = null },
        set(key, record) { if (this.held) throw new Error('full'); this.held = record } })";
    script(&format!("window.tight = {source}; localStorage.clear()"));
    script(
        "window.kept ??= { setItem: Storage.prototype.setItem, removeItem: Storage.prototype.removeItem };
         localStorage.setItem('key', 'old');
         Storage.prototype.setItem = function (key, record) {
           if (this.getItem(key)) throw new DOMException('full', 'QuotaExceededError');
           window.kept.setItem.call(this, key, record);
         }",
    );
    let place = storage(Persist::Local);
    write(&place, NEW);
    script("Object.assign(Storage.prototype, window.kept)");
    assert_eq!((place.name(), stored().as_deref()), ("local", Some(NEW)));
}

#[wasm_bindgen_test]
fn what_another_tab_wrote_since_is_newer_than_what_did_not_fit() {
    script("localStorage.clear()");
    let place = storage(Persist::Local);
    let refusal = full(false);
    write(&place, OLD);
    drop(refusal);
    script(&format!("localStorage.setItem('key', '{NEW}')"));
    assert_eq!(read(&place), Ok(Some(NEW.into())));
    place.retry();
    assert_eq!(stored().as_deref(), Some(NEW), "and it is not overwritten");
}

#[wasm_bindgen_test]
async fn an_adapter_may_answer_with_a_promise() {
    let place =
        storage(adapter("({ async get(key) { return 'of ' + key }, set() {}, remove() {} })"));
    let Answer::Later(promise) = place.read() else { panic!("it answers with a promise") };
    let answer = JsFuture::from(promise).await;
    let record = place.read_answer(answer).expect("it was kept");
    assert_eq!(record.as_deref(), Some("of key"));
}

#[wasm_bindgen_test]
async fn a_promise_that_is_rejected_is_a_store_that_failed() {
    let place =
        storage(adapter("({ get() { return Promise.reject('quota') }, set() {}, remove() {} })"));
    let Answer::Later(promise) = place.read() else { panic!("it answers with a promise") };
    let answer = JsFuture::from(promise).await;
    assert!(place.read_answer(answer).is_err());
}

/// An adapter whose answers the test gives: `calls` holds what was asked, `settle[n]` ends it.
fn held_adapter() -> Persist {
    script("window.calls = []; window.settle = []; window.held = null");
    adapter(
        "({ get: async () => window.held,
            set(key, record) { return ask('set', () => { window.held = record }) },
            remove(key) { return ask('remove', () => { window.held = null }) } });
         function ask(name, act) {
           window.calls.push(name);
           return new Promise((done, fail) => window.settle.push((ok) => ok ? done(act()) : fail(1)));
         }",
    )
}

async fn settle(call: usize, ok: bool) {
    script(&format!("window.settle[{call}]({ok})"));
    pause().await;
}

fn held() -> JsValue {
    script("window.held")
}

#[wasm_bindgen_test]
async fn a_write_that_ends_late_does_not_replace_a_newer_one() {
    let place = storage(held_adapter());
    write(&place, NEW);
    write(&place, END);
    settle(1, true).await;
    assert_eq!(held().as_string().as_deref(), Some(END));
    settle(0, true).await;
    assert_eq!(held().as_string().as_deref(), Some(NEW), "the adapter was slow");
    settle(2, true).await;
    assert_eq!(held().as_string().as_deref(), Some(END), "and the newest is written again");
}

#[wasm_bindgen_test]
async fn writes_that_end_in_their_order_are_written_once() {
    let place = storage(held_adapter());
    write(&place, OLD);
    write(&place, NEW);
    write(&place, END);
    for call in 0..3 {
        settle(call, true).await;
    }
    assert_eq!(held().as_string().as_deref(), Some(END));
    assert_eq!(script("window.calls.length").as_f64(), Some(3.0));
}

#[wasm_bindgen_test]
async fn an_adapter_that_refuses_a_record_is_asked_to_erase_the_one_before() {
    script("window.told = false");
    let place = storage(held_adapter());
    script(&format!("window.held = '{OLD}'"));
    let told = || script("window.told").is_truthy();
    place.write(Some(END.into()), Some(Box::new(|| drop(script("window.told = true")))));
    settle(0, false).await;
    settle(1, true).await;
    assert!(held().is_null() && !told(), "it is asked once more");
    settle(2, false).await;
    assert!(told());
    let calls = script("window.calls.join()").as_string();
    assert_eq!((calls.as_deref(), place.name()), (Some("set,remove,set"), "memory"));
}

#[wasm_bindgen_test]
async fn a_value_that_is_no_promise_but_can_be_waited_for_is_waited_for() {
    let thenable = "({ get: () => ({ then(done) { done('late') } }), set() {}, remove() {} })";
    let place = storage(adapter(thenable));
    let Answer::Later(promise) = place.read() else { panic!("it can be waited for") };
    let answer = JsFuture::from(Promise::from(JsValue::from(promise))).await;
    assert_eq!(place.read_answer(answer).expect("kept").as_deref(), Some("late"));
}
