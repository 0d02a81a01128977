use std::cell::{Cell, RefCell};
use std::rc::Rc;

use session_keeper_core::{Body, Challenge, Classified, Duration, Outcome, Probe, Response};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{filled, script};
use crate::js;
use crate::options::Options;
use crate::transport::{self, Ended, Watch};

#[derive(Clone, Default)]
struct Rejection {
    head: Rc<Cell<bool>>,
    outcome: Rc<RefCell<Option<Outcome>>>,
}

impl Watch for Rejection {
    fn answering(&self) {
        self.head.set(true);
    }
    fn ended(&self, ended: Ended) {
        *self.outcome.borrow_mut() = Some(ended.outcome);
    }
}

fn page_origin() -> String {
    js::text(&js::window(), "origin").expect("a page has an origin")
}

/// Sends by a `fetch` of the test's own; what was asked is left in `window.asked`.
async fn exchange(options: Options, probe: Probe, answer: &str) -> (Outcome, bool) {
    script("window.real ??= window.fetch");
    script(&format!(
        "window.fetch = async (url, init) => {{
           const request = url instanceof Request ? url : new Request(url, init);
           window.asked = {{ url: request.url, method: request.method, init,
             headers: Object.fromEntries(request.headers),
             credentials: request.credentials, redirect: request.redirect, cache: request.cache }};
           return {answer};
         }}"
    ));
    let heard = Rejection::default();
    let signal = js::get(&js::make("AbortController", &[]), "signal");
    let options = Box::leak(Box::new(options));
    let watch = Box::new(heard.clone());
    transport::send(options, probe, Some("canary-token"), &signal, watch);
    let outcome = filled(&heard.outcome).await;
    script("window.fetch = window.real");
    (outcome, heard.head.get())
}

fn options() -> Options {
    Options::new(&page_origin()).expect("the page's own address is one")
}

async fn answered(probe: Probe, answer: &str) -> Response {
    match exchange(options(), probe, answer).await {
        (Outcome::Response(response), true) => response,
        other => panic!("no response: {other:?}"),
    }
}

fn asked(key: &str) -> JsValue {
    js::get(&js::get(&js::window(), "asked"), key)
}

#[wasm_bindgen_test]
async fn a_ping_carries_no_credential_and_nothing_that_costs_a_preflight() {
    answered(Probe::Health, "new Response('ok')").await;
    let headers = asked("headers");
    assert_eq!(js::text(&headers, "accept").as_deref(), Some("application/json"));
    assert!(js::get(&headers, "authorization").is_undefined());
    assert!(js::get(&headers, "x-background").is_undefined());
    assert_eq!(asked("credentials").as_string().as_deref(), Some("omit"));
    assert_eq!(asked("cache").as_string().as_deref(), Some("no-store"));
}

#[wasm_bindgen_test]
async fn a_verification_carries_the_token_and_is_marked_on_the_same_origin_only() {
    answered(Probe::Verify, "new Response('{}')").await;
    let headers = asked("headers");
    assert_eq!(js::text(&headers, "authorization").as_deref(), Some("Bearer canary-token"));
    assert_eq!(js::text(&headers, "x-background").as_deref(), Some("1"));
    assert_eq!(asked("redirect").as_string().as_deref(), Some("manual"));
    let from_other_tab = Options::new("https://api.example.com/v1/").expect("it is an address");
    exchange(from_other_tab, Probe::Verify, "new Response('{}')").await;
    assert!(js::get(&asked("headers"), "x-background").is_undefined());
    assert_eq!(asked("url").as_string().as_deref(), Some("https://api.example.com/v1/auth/me"));
}

#[wasm_bindgen_test]
async fn the_facts_of_a_refusal_are_read() {
    let rejection = r#"new Response('{"code":"invalid_token","instance":"w1","boot":"b1","now":5}',
        { status: 401, headers: { "content-type": "application/json", "retry-after": "7",
          "www-authenticate": 'Bearer error="invalid_token"' } })"#;
    let response = answered(Probe::Verify, rejection).await;
    assert_eq!((response.status, response.body), (401, Body::Object));
    assert_eq!(response.challenge, Challenge::InvalidToken);
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(response.server.instance.map(|it| it.as_str().len()), Some(2));
    assert_eq!(response.server.now.map(|now| now.0), Some(5));
}

#[wasm_bindgen_test]
async fn bodies_are_told_apart() {
    for (body, kind, expected) in [
        ("''", "text/plain", Body::Empty),
        ("' \\n '", "application/json", Body::Empty),
        ("'<!doctype html>'", "text/plain", Body::Html),
        ("'{}'", "Text/HTML; charset=utf-8", Body::Html),
        ("'{\"a\":1}'", "text/plain", Body::Object),
        ("'[1]'", "application/json", Body::Json),
        ("'null'", "application/problem+json", Body::Json),
        ("'401'", "text/plain", Body::Other),
        ("'{\"a\":'", "application/json", Body::Other),
    ] {
        let answer = format!("new Response({body}, {{ headers: {{ 'content-type': '{kind}' }} }})");
        assert_eq!(answered(Probe::Verify, &answer).await.body, expected, "{answer}");
    }
}

#[wasm_bindgen_test]
async fn a_date_to_retry_after_is_read_against_the_date_of_the_same_answer() {
    let answer = "new Response('', { status: 503, headers: {
        'retry-after': 'Sun, 06 Nov 1994 08:49:57 GMT', date: 'Sun, 06 Nov 1994 08:49:37 GMT' } })";
    let response = answered(Probe::Health, answer).await;
    assert_eq!(response.retry_after, Some(Duration::from_secs(20)));
}

#[wasm_bindgen_test]
async fn a_fetch_that_fails_and_a_body_that_breaks_off_are_no_answer() {
    let rejected = exchange(options(), Probe::Health, "Promise.reject(new TypeError('x'))").await;
    assert_eq!(rejected, (Outcome::NoAnswer, false));
    let broken = "new Response(new ReadableStream({ pull(it) { it.error(new Error('reset')) } }))";
    assert_eq!(exchange(options(), Probe::Verify, broken).await, (Outcome::NoAnswer, true));
}

#[wasm_bindgen_test]
async fn the_app_may_authorize_each_request_itself() {
    let authorize =
        script("(async (request) => { request.headers.set('x-signed', 'yes'); return request })");
    let custom = || options().authorize(&authorize);
    exchange(custom(), Probe::Verify, "new Response('{}')").await;
    assert_eq!(js::text(&asked("headers"), "x-signed").as_deref(), Some("yes"));
    exchange(custom(), Probe::Health, "new Response('{}')").await;
    assert!(js::get(&asked("headers"), "x-signed").is_undefined());
    for broken in ["(() => { throw new Error('key') })", "(async () => { throw 1 })"] {
        let options = options().authorize(&script(broken));
        let ended = exchange(options, Probe::Verify, "new Response('{}')").await;
        assert_eq!(ended, (Outcome::NoAnswer, false), "{broken}");
    }
}

#[wasm_bindgen_test]
async fn the_app_may_classify_an_answer_and_may_throw_at_it() {
    for (classify, said) in [
        ("(() => 'valid')", Some(Classified::Valid)),
        (
            "((response, body) => body.user === null ? 'rejected' : null)",
            Some(Classified::Rejected),
        ),
        ("(() => { throw new Error('bug') })", None),
        ("(() => 'perhaps')", None),
    ] {
        let options = options().classify(&script(classify));
        let answer = "new Response('{\"user\":null}')";
        match exchange(options, Probe::Verify, answer).await.0 {
            Outcome::Response(response) => assert_eq!(response.classified, said, "{classify}"),
            Outcome::NoAnswer => panic!("no response"),
        }
    }
}
