//! What a request meets while the backend is not running.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Connection, Platform, connect, request, wait};

fn sleeping(mode: &str) -> Platform {
    let platform = Platform::start(&[]);
    // Long enough that only an order or a changed setting ends the waking.
    platform.order(&json!({ "action": "configure", "whileWaking": mode, "wakeMs": 3_600_000 }));
    platform.act("sleep");
    platform
}

fn finish_waking(platform: &Platform) {
    platform.order(&json!({ "action": "configure", "wakeMs": 0 }));
}

#[test]
fn a_held_request_is_answered_by_the_woken_backend() {
    let platform = sleeping("hold");
    let mut held = Connection::open(platform.port);
    held.send("/api/health");
    platform.wait_for("waking");
    assert!(held.is_silent_for(Duration::from_millis(100)));

    finish_waking(&platform);

    assert!(held.read_head().starts_with("HTTP/1.1 200"));
    let state = platform.state();
    assert_eq!((&state["state"], &state["starts"]), (&json!("running"), &json!(2)));
}

#[test]
fn a_held_request_that_is_given_up_leaves_nothing_behind() {
    let platform = sleeping("hold");
    let mut held = Connection::open(platform.port);
    held.send("/api/health?abandoned");
    platform.wait_for("waking");
    held.close();

    finish_waking(&platform);

    platform.wait_for("running");
    assert_eq!(platform.requests()[0]["status"], json!(null));
}

#[test]
fn every_mode_answers_as_named_and_wakes_the_backend_without_a_cors_header() {
    for (mode, status, content_type) in [
        ("bad-gateway", 502, "text/html; charset=utf-8"),
        ("unavailable", 503, "text/plain; charset=utf-8"),
        ("splash", 200, "text/html; charset=utf-8"),
        ("unauthorized-page", 401, "text/html; charset=utf-8"),
    ] {
        let platform = sleeping(mode);
        platform.order(&json!({ "action": "configure", "retryAfterSeconds": 7 }));
        for port in [platform.port, platform.api_port] {
            let origin = format!("Origin: http://127.0.0.1:{}\r\n", platform.port);
            let answer = request(port, "GET", "/auth/me", &origin, "").expect("an answer");

            assert_eq!(
                (answer.status, answer.header("content-type")),
                (status, Some(content_type))
            );
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(answer.header("retry-after"), (status == 503).then_some("7"));
        }
        assert_eq!(platform.state()["state"], "waking", "{mode}");
        finish_waking(&platform);
        platform.wait_for("running");
        assert_eq!(platform.fetch("/api/health").map(|answer| answer.status), Some(200));
    }
}

#[test]
fn in_refuse_mode_the_kernel_refuses_connections_until_the_backend_runs() {
    let platform = sleeping("refuse");

    // A sleeping backend is woken by the connection that it drops.
    assert!(request(platform.api_port, "GET", "/api/health", "", "").is_none());
    platform.wait_for("waking");
    wait(|| connect(platform.api_port).is_none().then_some(()));
    assert!(platform.fetch("/api/health").is_none());

    finish_waking(&platform);
    platform.wait_for("running");
    let answer = wait(|| request(platform.api_port, "GET", "/api/health", "", ""));
    assert_eq!(answer.status, 200);
    platform.act("stop");
    wait(|| connect(platform.api_port).is_none().then_some(()));
}

#[test]
fn a_kept_connection_is_dropped_in_refuse_mode() {
    let platform = Platform::start(&[]);
    platform.order(&json!({ "action": "configure", "whileWaking": "refuse" }));
    let mut kept = Connection::open(platform.api_port);
    assert_eq!(kept.fetch("/api/health").status, 200);
    platform.act("stop");

    kept.send("/api/health");

    assert!(kept.is_ended());
}

#[test]
fn an_idle_backend_is_put_to_sleep_and_traffic_wakes_it() {
    let platform = Platform::start(&["--idle-ms", "300"]);
    let before = platform.state()["pid"].as_u64();

    platform.wait_for("asleep");

    assert_ne!(Some(platform.backend_pid()), before);
    assert_eq!(platform.state()["starts"], 2);
}

#[test]
fn the_control_and_the_pages_are_no_traffic() {
    let platform = Platform::start(&["--idle-ms", "300"]);

    // Asking for the state and a page again and again must not keep it awake.
    wait(|| {
        platform.fetch("/").expect("the page");
        Some(platform.state()).filter(|state| state["state"] == "asleep")
    });

    assert_eq!(platform.state()["starts"], 1);
}

#[test]
fn a_request_under_way_keeps_the_backend_awake() {
    let platform = Platform::start(&["--idle-ms", "200"]);
    let mut open = Connection::open(platform.port);
    open.send("/api/half");
    assert!(open.read_head().starts_with("HTTP/1.1 200"));
    assert_eq!(open.read_bytes(4), b"half");

    // Several times the idle limit: silence proves that the process was not ended.
    assert!(open.is_silent_for(Duration::from_secs(1)));

    assert_eq!(platform.state()["state"], "running");
    open.close();
    platform.wait_for("asleep");
}

#[test]
fn a_stopped_backend_stays_down_until_it_is_woken_by_order() {
    let platform = sleeping("bad-gateway");
    platform.act("stop");

    assert_eq!(platform.fetch("/api/health").map(|answer| answer.status), Some(502));
    assert_eq!(platform.act("sleep")["state"], "down");
    assert_eq!(platform.act("kill")["state"], "down");

    assert_eq!(platform.act("wake")["state"], "waking");
    finish_waking(&platform);
    platform.wait_for("running");
}

#[test]
fn held_requests_are_let_go_at_shutdown() {
    let mut platform = sleeping("hold");
    let mut held = Connection::open(platform.port);
    held.send("/api/health");
    platform.wait_for("waking");

    platform.signal("-TERM");

    assert!(held.is_ended());
    assert!(platform.process.wait().expect("it ends").success());
}
