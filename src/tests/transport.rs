use std::cell::Cell;
use std::rc::Rc;

use session_keeper_core::{
    Body, Challenge, Classified, Duration, Outcome, Probe, Response, ServerFacts, UnixMillis,
};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::AbortController;

use super::script;
use crate::options::{Csrf, HealthCredentials, Options};
use crate::transport::{self, Outgoing};
use crate::{global, json};

fn page_origin() -> String {
    global::origin().expect("a page has an origin")
}

/// Sends by a `fetch` of the test's own; what was asked is left in `window.asked`. Returns how it
/// ended, and whether a head of an answer was seen.
async fn exchange(options: Options, probe: Probe, answer: &str) -> (Outcome, bool) {
    let fetch = format!(
        "async (url, init) => {{
           const request = url instanceof Request ? url : new Request(url, init);
           window.asked = {{ url: request.url, method: request.method,
             headers: Object.fromEntries(request.headers), keepalive: request.keepalive,
             credentials: request.credentials, redirect: request.redirect, cache: request.cache }};
           return {answer};
         }}"
    );
    exchange_by(options, probe, &fetch).await
}

async fn exchange_by(options: Options, probe: Probe, fetch: &str) -> (Outcome, bool) {
    script(&format!("window.real ??= window.fetch; window.fetch = {fetch}"));
    let head = Rc::new(Cell::new(false));
    let seen = Rc::clone(&head);
    let controller = AbortController::new().expect("browsers have it");
    let request = Outgoing {
        options: Rc::new(options),
        probe,
        token: Some("canary-token".into()),
        attempt: None,
        signal: Some(controller.signal()),
    };
    let received = transport::send(request, move || seen.set(true)).await;
    script("window.fetch = window.real");
    (received.outcome, head.get())
}

fn elsewhere() -> Options {
    Options::new("https://api.example.com/v1/").expect("it is an address")
}

fn function(source: &str) -> js_sys::Function {
    script(source).unchecked_into()
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
    json::get(&script("window.asked"), key)
}

fn asked_text(key: &str) -> Option<String> {
    asked(key).as_string()
}

#[wasm_bindgen_test]
async fn a_ping_carries_no_token_and_nothing_that_costs_a_preflight() {
    answered(Probe::Health, "new Response('ok')").await;
    let headers = asked("headers");
    assert_eq!(json::text(&headers, "accept").as_deref(), Some("application/json"));
    assert!(json::get(&headers, "authorization").is_undefined());
    assert!(json::get(&headers, "x-background").is_undefined());
    assert_eq!(asked_text("cache").as_deref(), Some("no-store"));
}

#[wasm_bindgen_test]
async fn cookies_travel_as_with_the_apps_own_requests_and_a_ping_prolongs_no_session() {
    let with = |credentials| options().health_credentials(credentials);
    let other = "https://health.example.com/ping";
    for (options, probe, expected) in [
        (options(), Probe::Health, "same-origin"),
        (options(), Probe::Verify, "same-origin"),
        (options().sign_out_path("/out"), Probe::SignOut, "same-origin"),
        (options().cookie(), Probe::Health, "omit"),
        (options().cookie(), Probe::Verify, "include"),
        (options().cookie().sign_out_path("/out"), Probe::SignOut, "include"),
        (with(HealthCredentials::Include), Probe::Health, "include"),
        (with(HealthCredentials::SameOrigin).cookie(), Probe::Health, "same-origin"),
        (with(HealthCredentials::Omit), Probe::Health, "omit"),
        (with(HealthCredentials::Include).health_path(other), Probe::Health, "omit"),
    ] {
        exchange(options, probe, "new Response('{}')").await;
        assert_eq!(asked_text("credentials").as_deref(), Some(expected), "{probe:?}");
    }
}

#[wasm_bindgen_test]
async fn a_sign_out_outlives_the_page_and_proves_that_a_page_of_ours_sent_it() {
    let csrf = || Csrf {
        header: "x-xsrf-token".into(),
        send: function("(request) => (request.headers.set('x-xsrf-token', 'a='), fetch(request))"),
        learn: function("() => {}"),
        forget: function("() => {}"),
    };
    for (csrf, expected) in [(Some(csrf()), Some("a=")), (None, None)] {
        let sent = Options { csrf, ..elsewhere().cookie().sign_out_path("/out") };
        exchange(sent, Probe::SignOut, "new Response('')").await;
        let header = json::text(&asked("headers"), "x-xsrf-token");
        assert_eq!((header.as_deref(), asked("keepalive")), (expected, JsValue::TRUE));
        assert_eq!(asked_text("method").as_deref(), Some("POST"));
    }
    let token = Options { csrf: Some(csrf()), ..options().sign_out_path("/out") };
    exchange(token, Probe::SignOut, "new Response('')").await;
    assert!(json::get(&asked("headers"), "x-xsrf-token").is_undefined(), "it is for cookies");
    exchange(options(), Probe::Verify, "new Response('{}')").await;
    assert_eq!(asked("keepalive"), JsValue::FALSE);
}

#[wasm_bindgen_test]
async fn a_whole_url_is_asked_as_it_is_and_gets_the_credential() {
    let options = options().verify_path("https://auth.example.com/me");
    exchange(options, Probe::Verify, "new Response('{}')").await;
    assert_eq!(asked_text("url").as_deref(), Some("https://auth.example.com/me"));
    let headers = asked("headers");
    assert_eq!(json::text(&headers, "authorization").as_deref(), Some("Bearer canary-token"));
    assert!(json::get(&headers, "x-background").is_undefined(), "it would cost a preflight");
}

#[wasm_bindgen_test]
async fn a_verification_carries_the_token_and_is_marked_on_the_same_origin_only() {
    answered(Probe::Verify, "new Response('{}')").await;
    let headers = asked("headers");
    assert_eq!(json::text(&headers, "authorization").as_deref(), Some("Bearer canary-token"));
    assert_eq!(json::text(&headers, "x-background").as_deref(), Some("1"));
    assert_eq!(asked_text("redirect").as_deref(), Some("manual"));
    let from_other_tab = Options::new("https://api.example.com/v1/").expect("it is an address");
    exchange(from_other_tab, Probe::Verify, "new Response('{}')").await;
    assert!(json::get(&asked("headers"), "x-background").is_undefined());
    assert_eq!(asked_text("url").as_deref(), Some("https://api.example.com/v1/auth/me"));
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
        ("'{\"status\":401}'", "application/problem+json; charset=utf-8", Body::Problem),
        ("'{\"code\":401,\"msg\":\"token expired\"}'", "application/json", Body::ErrorObject),
        ("'{\"code\":\"invalid\"}'", "application/json", Body::Object),
        ("'{\"code\":5123,\"name\":\"a customer\"}'", "application/json", Body::Object),
        ("'{\"error\":{}}'", "application/json", Body::ErrorObject),
        ("'{\"error\":null}'", "application/json", Body::Object),
        ("'{\"success\":false}'", "application/json", Body::ErrorObject),
        ("'{\"authenticated\":false}'", "application/json", Body::ErrorObject),
        ("'{\"authenticated\":true}'", "application/json", Body::Object),
        ("'401'", "text/plain", Body::Other),
        ("'{\"a\":'", "application/json", Body::Other),
    ] {
        let answer = format!("new Response({body}, {{ headers: {{ 'content-type': '{kind}' }} }})");
        assert_eq!(answered(Probe::Verify, &answer).await.body, expected, "{answer}");
    }
}

#[wasm_bindgen_test]
async fn a_problem_names_no_instance_and_tells_no_time() {
    let problem = r#"new Response(
        '{"type":"about:blank","instance":"/auth/me","boot":"b1","now":5,"uptime":1}',
        { status: 401, headers: { "content-type": "application/problem+json" } })"#;
    let response = answered(Probe::Verify, problem).await;
    assert_eq!((response.status, response.body), (401, Body::Problem));
    assert_eq!(response.server, ServerFacts::default());
}

#[wasm_bindgen_test]
async fn the_age_and_the_date_of_an_answer_are_told() {
    let answer = "new Response('{}', { headers: { age: '90',
        date: 'Sun, 06 Nov 1994 08:49:37 GMT' } })";
    let response = answered(Probe::Verify, answer).await;
    assert_eq!(response.age, Some(Duration::from_secs(90)));
    assert_eq!(response.date, Some(UnixMillis(784_111_777_000)));
    let odd = "new Response('{}', { headers: { age: 'old', date: 'today' } })";
    let response = answered(Probe::Verify, odd).await;
    assert_eq!((response.age, response.date), (None, None));
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
async fn whatever_fetch_comes_to_is_an_answer_or_none_and_never_a_crash() {
    let none = (Outcome::NoAnswer, false);
    let broken = (Outcome::NoAnswer, true);
    for (fetch, expected) in [
        ("() => Promise.reject('text')", none),
        ("() => Promise.reject(undefined)", none),
        ("() => { throw 'at once' }", none),
        ("undefined", none),
        ("async () => undefined", none),
        ("async () => null", none),
        ("async () => 7", none),
        ("async () => ({ ok: true, status: 200, json: async () => ({}) })", none),
        ("async () => ({ status: 200, text: async () => '{}' })", none),
        ("async () => new Proxy(new Response('{}'), {})", broken),
        ("async () => new Response(new ReadableStream({ pull(it) { it.error(7) } }))", broken),
        (
            "async () => new Response(new ReadableStream({ pull(it) { it.error('reset') } }))",
            broken,
        ),
    ] {
        assert_eq!(exchange_by(options(), Probe::Verify, fetch).await, expected, "{fetch}");
    }
}

#[wasm_bindgen_test]
async fn a_response_of_a_frame_and_one_without_a_promise_are_read_as_any_other() {
    let of_a_frame = "(() => {
        const frame = document.body.appendChild(document.createElement('iframe'));
        return new frame.contentWindow.Response('{\"code\":1}', { status: 401 });
    })()";
    let (outcome, _) = exchange(options(), Probe::Verify, of_a_frame).await;
    let Outcome::Response(response) = outcome else { panic!("no response: {outcome:?}") };
    assert_eq!((response.status, response.redirected), (401, false));
    assert_eq!(response.body, Body::Object);
    let not_awaited = "() => new Response('{}')";
    let (outcome, _) = exchange_by(options(), Probe::Verify, not_awaited).await;
    assert!(matches!(outcome, Outcome::Response(_)));
}

#[wasm_bindgen_test]
async fn the_app_may_authorize_each_request_itself() {
    let authorize =
        function("(async (request) => { request.headers.set('x-signed', 'yes'); return request })");
    let custom = || options().authorize(authorize.clone());
    exchange(custom(), Probe::Verify, "new Response('{}')").await;
    assert_eq!(json::text(&asked("headers"), "x-signed").as_deref(), Some("yes"));
    exchange(custom(), Probe::Health, "new Response('{}')").await;
    assert!(json::get(&asked("headers"), "x-signed").is_undefined());
    for broken in [
        "(() => { throw new Error('key') })",
        "(async () => { throw 1 })",
        "(() => {})",
        "(async () => null)",
    ] {
        let options = options().authorize(function(broken));
        let ended = exchange(options, Probe::Verify, "new Response('{}')").await;
        assert_eq!(ended, (Outcome::NotSent, false), "{broken}");
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
        let options = options().classify(function(classify));
        let answer = "new Response('{\"user\":null}')";
        match exchange(options, Probe::Verify, answer).await.0 {
            Outcome::Response(response) => assert_eq!(response.classified, said, "{classify}"),
            Outcome::NoAnswer | Outcome::NotSent => panic!("no response"),
        }
    }
}
