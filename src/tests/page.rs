use std::cell::RefCell;
use std::rc::Rc;

use session_keeper_core::PageEvent;
use wasm_bindgen_test::wasm_bindgen_test;

use super::script;
use crate::page::{self, Event, Listener};
use crate::{clock, entropy, global};

fn listen() -> (Listener, Rc<RefCell<Vec<Event>>>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let visitor = Rc::clone(&seen);
    (Listener::new(Box::new(move |event| visitor.borrow_mut().push(event))), seen)
}

#[wasm_bindgen_test]
fn what_happens_to_the_page_is_told_as_it_happens() {
    let (_listener, seen) = listen();
    for (source, event) in [
        ("window.dispatchEvent(new Event('online'))", PageEvent::Online),
        ("window.dispatchEvent(new Event('offline'))", PageEvent::Offline),
        ("window.dispatchEvent(new PageTransitionEvent('pagehide'))", PageEvent::Suspended),
        (
            "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
            PageEvent::Resumed,
        ),
        ("document.dispatchEvent(new Event('freeze'))", PageEvent::Suspended),
        ("document.dispatchEvent(new Event('resume'))", PageEvent::Resumed),
        ("document.dispatchEvent(new Event('prerenderingchange'))", PageEvent::Resumed),
        ("window.dispatchEvent(new Event('keydown'))", PageEvent::UserActivity),
    ] {
        script(source);
        assert_eq!(seen.borrow_mut().pop(), Some(Event::Page(event)), "{source}");
    }
}

#[wasm_bindgen_test]
fn the_first_pageshow_of_a_page_is_no_return() {
    let (_listener, seen) = listen();
    script("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }))");
    assert!(seen.borrow().is_empty());
}

#[wasm_bindgen_test]
fn a_page_that_stops_an_event_hides_nothing() {
    let (_listener, seen) = listen();
    script(
        "window.addEventListener('online', (event) => event.stopImmediatePropagation());
         window.dispatchEvent(new Event('online'))",
    );
    assert_eq!(*seen.borrow(), [Event::Page(PageEvent::Online)]);
}

#[wasm_bindgen_test]
fn nothing_is_seen_after_the_listener_is_gone() {
    let (listener, seen) = listen();
    drop(listener);
    script("window.dispatchEvent(new Event('online'))");
    assert!(seen.borrow().is_empty());
}

#[wasm_bindgen_test]
fn the_focus_of_the_page_is_told_and_that_of_a_field_is_not() {
    let (_listener, seen) = listen();
    script(
        "document.body.append(document.createElement('input'));
         document.querySelector('input').dispatchEvent(new Event('focus'));
         document.querySelector('input').remove()",
    );
    assert!(seen.borrow().is_empty());
    script("window.dispatchEvent(new Event('focus'))");
    assert_eq!(*seen.borrow(), [Event::Focus]);
}

#[wasm_bindgen_test]
fn what_another_tab_writes_is_told_with_its_key() {
    let (_listener, seen) = listen();
    script(
        "window.dispatchEvent(new StorageEvent('storage', { key: 'name' }));
         window.dispatchEvent(new StorageEvent('storage', { key: null }))",
    );
    let expected = [Event::Storage { key: Some("name".into()) }, Event::Storage { key: None }];
    assert_eq!(*seen.borrow(), expected);
}

#[wasm_bindgen_test]
fn the_present_says_all_that_a_stopped_keeper_may_have_missed() {
    assert!(global::is_page());
    let [presence, network, visibility] = page::present();
    assert_eq!((presence, network), (PageEvent::Resumed, PageEvent::Online));
    assert!(matches!(visibility, PageEvent::Visible | PageEvent::Hidden));
}

#[wasm_bindgen_test]
fn both_clocks_run_and_http_dates_are_read() {
    let now = clock::now();
    assert!(now.wall.0 > 1_700_000_000_000);
    let date = clock::parse_date("Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date.map(|date| date.0), Some(784_111_777_000));
    assert_eq!(clock::parse_date("soon"), None);
}

#[wasm_bindgen_test]
fn no_two_keepers_draw_in_step() {
    let seeds: Vec<u64> = (0..100).map(|_| entropy::seed()).collect();
    assert!(seeds.iter().all(|seed| seeds.iter().filter(|other| *other == seed).count() == 1));
    assert!(seeds.iter().any(|seed| seed >> 32 != 0) && seeds.iter().any(|seed| *seed as u32 != 0));
}
