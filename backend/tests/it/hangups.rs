//! Clients that hang up in the middle of a sign-in: what they cost, and what the log says of them.

use std::io::Write;
use std::thread;

use serde_json::json;

use crate::support::{Files, Server, UNLIMITED, request_text, until};

const ABORTED: usize = 1000;

/// What a server may keep of a thousand of them.
const MAX_KEPT_KB: u64 = 100 * 1024;

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_sign_ins_that_hang_up_cost_no_memory_and_each_that_counted_is_audited() {
    let files = Files::with_ada();
    let more = [&UNLIMITED[..], &["--store", "memory", "--metrics", "127.0.0.1:0"]].concat();
    let more = [&more[..], &["--audit-file", "audit.log"]].concat();
    let server = Server::start_with(&files, &more);
    // The buffers that hashing needs are there from the first ones on.
    for _ in 0..4 {
        server.login();
    }
    let before = resident_kb(server.pid());
    let body = json!({ "username": "ada", "password": "wrong" }).to_string();
    let text = request_text("POST", "/auth/login", "none", &body, "close");
    for _ in 0..ABORTED / 50 {
        let mut streams: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for stream in &mut streams {
            stream.write_all(text.as_bytes()).expect("the server reads");
        }
    }
    // One that stays gets its answer after all of them.
    server.login();
    let after = resident_kb(server.pid());
    eprintln!("{ABORTED} aborted sign-ins: {before} KB before, {after} KB after");
    assert!(after < before + MAX_KEPT_KB, "{before} KB before, {after} KB after");
    let counted = |event: &str| {
        let log = std::fs::read_to_string(files.path("").with_file_name("audit.log"));
        log.unwrap_or_default().matches(&format!("event=\"{event}\"")).count()
    };
    // Whoever got a slot was counted, and the work went on without its client.
    until("the last ones are audited", || counted("sign_in_refused") > 0);
    assert_eq!(counted("signed_in"), 5);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sign_in_with_the_right_password_that_hangs_up_begins_no_session_and_is_audited() {
    let files = Files::with_ada();
    let server = Server::start_with(&files, &["--store", "file", "--audit-file", "audit.log"]);
    let body = json!({ "username": "ada", "password": crate::support::PASSWORD }).to_string();
    let text = request_text("POST", "/auth/login", "none", &body, "close");
    let log = || {
        let log = std::fs::read_to_string(files.path("").with_file_name("audit.log"));
        log.unwrap_or_default()
    };
    until("one hangs up while its password is checked", || {
        let mut stream = server.connect();
        stream.write_all(text.as_bytes()).expect("the server reads");
        // Long enough to be read, and less than a hash takes.
        thread::sleep(std::time::Duration::from_millis(5));
        drop(stream);
        log().contains("event=\"sign_in_abandoned\" user=\"ada\"")
    });
    let begun = log().matches("event=\"signed_in\"").count();
    let store = std::fs::read_to_string(files.store()).expect("there is one");
    assert_eq!(store.matches("\"username\"").count(), begun, "each session was somebody's");
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says so");
    line.split_ascii_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("it is a number")
}
