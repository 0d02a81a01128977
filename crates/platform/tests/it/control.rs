//! Who may use the control, and what it says.

use std::fs;

use serde_json::json;

use crate::harness::{Platform, SECRET, request};

fn state_with(platform: &Platform, headers: &str) -> u16 {
    request(platform.port, "GET", "/__platform/state", headers, "").expect("an answer").status
}

#[test]
fn the_control_is_for_the_demo_of_this_run_only() {
    let platform = Platform::start(&[]);
    let port = platform.port;
    let secret = format!("X-Platform-Secret: {SECRET}\r\n");
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n{secret}");
    assert_eq!(state_with(&platform, &own), 200);

    assert_eq!(state_with(&platform, ""), 403);
    assert_eq!(state_with(&platform, "X-Platform-Secret: a-secret-of-the-test\r\n"), 403);
    assert_eq!(state_with(&platform, "X-Platform-Secret: A-secret-of-the-tests\r\n"), 403);
    let rebound = format!("Host: evil.example:{port}\r\n{secret}");
    assert_eq!(state_with(&platform, &rebound), 403);
    let without_port = format!("Host: localhost\r\n{secret}");
    assert_eq!(state_with(&platform, &without_port), 403);
    let foreign = format!("{secret}Origin: https://evil.example\r\n");
    assert_eq!(state_with(&platform, &foreign), 403);
    let api = format!("{secret}Origin: http://127.0.0.1:{}\r\n", platform.api_port);
    assert_eq!(state_with(&platform, &api), 403);
}

#[test]
fn an_order_without_the_secret_changes_nothing() {
    let platform = Platform::start(&[]);
    let body = json!({ "action": "stop" }).to_string();

    let answer = request(platform.port, "POST", "/__platform/do", "", &body).expect("an answer");

    assert_eq!(answer.status, 403);
    assert_eq!(platform.state()["state"], "running");
}

#[test]
fn the_api_port_has_no_control() {
    let platform = Platform::start(&[]);
    let secret = format!("X-Platform-Secret: {SECRET}\r\n");

    let path = "/__platform/state";
    let answer = request(platform.api_port, "GET", path, &secret, "").expect("an answer");

    assert_eq!((answer.status, answer.text().as_str()), (404, "{}"), "the backend answered");
}

#[test]
fn a_wrong_order_names_its_field_and_changes_nothing() {
    let platform = Platform::start(&[]);
    let before = platform.state();

    for (order, named) in [
        (json!({ "action": "configure", "wakeMs": 5, "idelMs": 1 }), "idelMs"),
        (json!({ "action": "configure", "whileWaking": "splash", "wakeMs": "5" }), "wakeMs"),
        (json!({ "action": "explode" }), "explode"),
        (json!({ "action": "stop", "hard": true }), "hard"),
    ] {
        let answer = platform.control("POST", "/__platform/do", &order.to_string());
        assert_eq!(answer.status, 400);
        let sentence = answer.json()["error"].as_str().map(str::to_owned);
        assert!(sentence.is_some_and(|sentence| sentence.contains(named)), "{}", answer.text());
    }

    assert_eq!(platform.state(), before);
}

#[test]
fn the_state_says_what_was_configured() {
    let platform = Platform::start(&[]);
    let before = platform.state();

    let state = platform.order(&json!({
        "action": "configure", "idleMs": 60_000, "wakeMs": 250, "whileWaking": "splash",
    }));

    let expected = json!({
        "state": "running", "pid": before["pid"], "starts": 1, "whileWaking": "splash",
        "idleMs": 60_000, "wakeMs": 250, "sinceMs": before["sinceMs"],
    });
    assert_eq!(state, expected);
}

#[test]
fn the_log_says_that_there_was_a_credential_and_never_which() {
    let platform = Platform::start(&[]);
    let headers =
        "Authorization: Bearer hush-token\r\nX-Background: 1\r\nOrigin: http://a.example\r\n";
    request(platform.api_port, "GET", "/auth/me?key=hush-query", headers, "").expect("an answer");
    request(platform.port, "GET", "/api/health", "Cookie: sid=hush-cookie\r\n", "")
        .expect("an answer");
    platform.fetch("/api/health").expect("an answer");
    platform.fetch("/").expect("the page");

    let requests = platform.requests();

    assert!(!requests.to_string().contains("hush"));
    let requests = requests.as_array().expect("a list");
    assert_eq!(requests.len(), 3, "pages and the control are not in it");
    let first = &requests[0];
    assert_eq!((&first["method"], &first["path"]), (&json!("GET"), &json!("/auth/me")));
    assert_eq!((&first["status"], &first["credential"]), (&json!(401), &json!(true)));
    assert_eq!(
        (&first["background"], &first["origin"]),
        (&json!(true), &json!("http://a.example"))
    );
    assert_eq!(requests[1]["credential"], true);
    assert_eq!(requests[2]["credential"], false);
    assert_eq!(requests[2]["origin"], json!(null));
}

#[test]
fn the_log_can_be_cleared() {
    let platform = Platform::start(&[]);
    platform.fetch("/api/health").expect("an answer");

    platform.control("DELETE", "/__platform/requests", "");

    assert_eq!(platform.requests(), json!([]));
}

#[test]
fn an_action_that_fails_says_so() {
    let platform = Platform::start(&[]);
    // A folder in the token file's place cannot be deleted as a file, nor written as one.
    fs::create_dir(platform.data("auth_tokens.sqlite")).expect("make a folder");

    for action in ["restart-losing-tokens", "revoke"] {
        let order = json!({ "action": action }).to_string();
        let answer = platform.control("POST", "/__platform/do", &order);
        assert_eq!(answer.status, 500, "{action}");
        assert!(answer.json()["error"].is_string());
    }

    assert_eq!(platform.state()["state"], "running");
}
