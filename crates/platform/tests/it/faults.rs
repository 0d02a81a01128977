//! Answers in place of the backend's.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Connection, Platform, request};

fn statuses(platform: &Platform, path: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| platform.fetch(path).expect("an answer").status).collect()
}

#[test]
fn a_fault_answers_as_often_as_it_should_and_only_its_path() {
    let platform = Platform::start(&[]);
    let headers = json!({ "content-type": "application/json", "retry-after": "3" });
    let answer = json!({ "status": 429, "headers": headers, "body": "{\"slow\":true}" });
    platform.fault("/auth/me", 2, answer);

    let first = platform.fetch("/auth/me?query").expect("an answer");
    assert_eq!((first.status, first.header("retry-after")), (429, Some("3")));
    assert_eq!(first.json(), json!({ "slow": true }));
    assert_eq!(statuses(&platform, "/api/health", 1), [200]);
    assert_eq!(statuses(&platform, "/auth/me", 2), [429, 401]);
}

#[test]
fn faults_of_one_path_follow_each_other_and_an_exact_path_goes_first() {
    let platform = Platform::start(&[]);
    platform.order(&json!({ "action": "fault", "path": "*", "answer": { "status": 204 } }));
    platform.fault("/auth/me", 1, json!({ "status": 403 }));
    platform.fault("/auth/me", 1, json!({ "status": 404 }));

    assert_eq!(statuses(&platform, "/auth/me", 4), [403, 404, 204, 204]);

    platform.order(&json!({ "action": "fault", "path": "*", "answer": { "status": 500 } }));
    assert_eq!(statuses(&platform, "/api/health", 1), [500]);
    platform.act("clear");
    assert_eq!(statuses(&platform, "/api/health", 1), [200]);
}

#[test]
fn a_fault_neither_wakes_the_backend_nor_keeps_it_awake() {
    let platform = Platform::start(&[]);
    platform.act("sleep");
    platform.order(&json!({ "action": "fault", "path": "*", "answer": {} }));

    assert_eq!(statuses(&platform, "/api/health", 2), [200, 200]);

    assert_eq!(platform.state()["state"], "asleep");
    assert_eq!(platform.requests()[1]["status"], 200);
}

#[test]
fn a_readable_fault_lets_the_preflight_pass_and_is_not_used_up_by_it() {
    let platform = Platform::start(&[]);
    platform.fault("/auth/me", 1, json!({ "status": 403, "cors": true }));
    let origin = "Origin: http://a.example\r\n";
    let preflight = format!("{origin}Access-Control-Request-Method: GET\r\n");

    let allowed = request(platform.api_port, "OPTIONS", "/auth/me", &preflight, "");
    let answer = request(platform.api_port, "GET", "/auth/me", origin, "").expect("an answer");

    let allowed = allowed.expect("an answer");
    assert_eq!(allowed.status, 204);
    let headers = allowed.header("access-control-allow-headers").unwrap_or_default();
    assert!(headers.contains("authorization"));
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a.example"));
    assert!(answer.header("access-control-expose-headers").is_some());
    assert_eq!(statuses(&platform, "/auth/me", 1), [401]);
}

#[test]
fn an_opaque_fault_meets_the_preflight_too_and_has_no_cors_header() {
    let platform = Platform::start(&[]);
    platform.fault("/auth/me", 1, json!({ "status": 403 }));
    let preflight = "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\n";

    let answer = request(platform.api_port, "OPTIONS", "/auth/me", preflight, "");

    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    assert_eq!(statuses(&platform, "/auth/me", 1), [401]);
}

#[test]
fn a_dropped_request_gets_no_byte() {
    let platform = Platform::start(&[]);
    platform.fault("/auth/me", 1, json!({ "drop": true }));
    let mut browser = Connection::open(platform.port);

    browser.send("/auth/me");

    assert!(browser.is_ended());
    assert_eq!(platform.requests()[0]["status"], json!(null));
}

#[test]
fn a_body_that_breaks_off_is_announced_longer_than_it_comes_and_the_connection_is_dropped() {
    let platform = Platform::start(&[]);
    let answer = json!({ "status": 200, "body": "0123456789", "breakAfterBytes": 4 });
    platform.fault("/auth/me", 1, answer);
    let mut browser = Connection::open(platform.port);

    browser.send("/auth/me");

    assert!(browser.read_head().to_lowercase().contains("content-length: 10\r\n"));
    assert_eq!(browser.read_bytes(4), b"0123");
    assert!(browser.is_ended());
}

#[test]
fn a_stalled_body_is_announced_longer_than_it_comes_and_stays_open() {
    let platform = Platform::start(&[]);
    let answer = json!({ "status": 200, "body": "0123456789", "stallAfterBytes": 4 });
    platform.fault("/auth/me", 1, answer);
    let mut browser = Connection::open(platform.port);

    browser.send("/auth/me");

    assert!(browser.read_head().to_lowercase().contains("content-length: 10\r\n"));
    assert_eq!(browser.read_bytes(4), b"0123");
    assert!(browser.is_silent_for(Duration::from_millis(200)));
}

#[test]
fn an_endless_body_comes_in_chunks_without_end() {
    let platform = Platform::start(&[]);
    platform.fault("/auth/me", 1, json!({ "body": "{", "endless": true }));
    let mut browser = Connection::open(platform.port);

    browser.send("/auth/me");

    assert!(browser.read_head().to_lowercase().contains("transfer-encoding: chunked"));
    assert!(browser.read_bytes(2_000).starts_with(b"1\r\n{\r\n"));
}

#[test]
fn late_headers_come_late() {
    let platform = Platform::start(&[]);
    platform.fault("/auth/me", 1, json!({ "status": 200, "headersAfterMs": 400 }));
    let mut browser = Connection::open(platform.port);

    browser.send("/auth/me");

    assert!(browser.is_silent_for(Duration::from_millis(200)));
    assert!(browser.read_head().starts_with("HTTP/1.1 200"));
}
