//! The backend as a process: ended, started again, broken, and passed through to.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::json;

use crate::harness::{Connection, Platform, command, is_alive, request, wait};

#[test]
fn a_restart_answers_when_another_process_listens() {
    let platform = Platform::start(&[]);
    let before = platform.backend_pid();

    let state = platform.act("restart");

    assert_eq!((&state["state"], &state["starts"]), (&json!("running"), &json!(2)));
    assert_eq!(state["pid"].as_u64(), Some(platform.backend_pid()));
    assert_ne!(platform.backend_pid(), before);
    assert!(!is_alive(before));
}

#[test]
fn a_killed_backend_breaks_its_requests_and_is_woken_by_the_next() {
    let platform = Platform::start(&[]);
    let before = platform.backend_pid();
    let mut answering = Connection::open(platform.port);
    answering.send("/api/half");
    answering.read_head();
    assert_eq!(answering.read_bytes(4), b"half");
    let mut waiting = Connection::open(platform.port);
    waiting.send("/api/silent");
    wait(|| platform.requests().to_string().contains("/api/silent").then_some(()));

    assert_eq!(platform.act("kill")["state"], "asleep");

    assert!(answering.is_ended());
    assert!(waiting.is_ended());
    assert!(!is_alive(before));
    assert_ne!(platform.backend_pid(), before);
}

#[test]
fn a_backend_that_ends_by_itself_is_woken_by_the_next_request() {
    let platform = Platform::start(&[]);
    let before = platform.backend_pid();

    assert!(platform.fetch("/api/die").is_none());

    platform.wait_for("asleep");
    assert_ne!(platform.backend_pid(), before);
}

#[test]
fn tokens_survive_a_restart_and_are_lost_or_revoked_by_order() {
    let platform = Platform::start(&[]);
    let sign_in = || request(platform.port, "POST", "/auth/login", "", "{}").expect("signed in");
    let verify = || platform.fetch("/auth/me").expect("an answer").status;
    sign_in();

    platform.act("restart");
    assert_eq!(verify(), 200);

    let before = platform.state()["pid"].clone();
    platform.act("revoke");
    assert_eq!((verify(), &platform.state()["pid"]), (401, &before));

    sign_in();
    assert_eq!(verify(), 200);
    let state = platform.act("restart-losing-tokens");
    assert_eq!((verify(), &state["state"]), (401, &json!("running")));
    assert_ne!(state["pid"], before);
}

#[test]
fn the_backend_ends_with_the_platform_however_that_ends() {
    for how in ["-TERM", "-INT", "-KILL"] {
        let mut platform = Platform::start(&[]);
        let backend = platform.backend_pid();

        platform.signal(how);

        platform.process.wait().expect("it ends");
        wait(|| (!is_alive(backend)).then_some(()));
    }
}

#[test]
fn the_backend_is_given_the_demos_origins_and_its_users_but_not_the_secret() {
    let platform = Platform::start(&["--allow-origin", "https://app.example.com"]);

    let health = platform.fetch("/api/health").expect("an answer").json();

    let port = platform.port;
    let origins =
        format!("http://127.0.0.1:{port} http://localhost:{port} https://app.example.com");
    assert_eq!(health["origins"], origins);
    assert_eq!(health["leaked"], false);
    let users = fs::read_to_string(platform.data("users.json")).expect("users");
    assert_eq!(users, "ada pass:word");
}

#[test]
fn bodies_pass_both_ways_and_headers_of_the_connection_stay_on_it() {
    let platform = Platform::start(&[]);
    let large = "0123456789".repeat(100_000);
    let echo = request(platform.port, "POST", "/api/echo", "", &large).expect("an answer");
    assert_eq!(echo.text(), large);

    let headers = "X-Kept: 1\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nConnection: X-Hop\r\n";
    let seen = request(platform.api_port, "GET", "/api/head", headers, "").expect("an answer");
    let seen = seen.text().to_lowercase();
    assert!(seen.contains("x-kept: 1"));
    assert!(
        !seen.contains("keep-alive") && !seen.contains("x-hop") && !seen.contains("connection")
    );

    let health = Connection::open(platform.port).fetch("/api/health");
    assert_eq!((health.header("keep-alive"), health.header("connection")), (None, None));
}

#[test]
fn one_connection_here_is_one_connection_there_until_the_backend_closes_it() {
    let platform = Platform::start(&[]);
    let mut browser = Connection::open(platform.port);
    let first = browser.fetch("/api/health").json()["connection"].clone();
    assert_eq!(browser.fetch("/api/health").json()["connection"], first);
    assert_ne!(platform.fetch("/api/health").expect("health").json()["connection"], first);

    let refused = browser.fetch("/auth/me");

    assert_eq!((refused.status, refused.header("connection")), (401, Some("close")));
    assert!(browser.is_ended());
}

#[test]
fn a_kept_connection_reaches_the_backend_of_the_next_start() {
    let platform = Platform::start(&[]);
    let mut browser = Connection::open(platform.port);
    let before = browser.fetch("/api/health").json()["pid"].clone();

    platform.act("restart");

    assert_ne!(browser.fetch("/api/health").json()["pid"], before);
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let platform = Platform::start(&[]);
    let folder = platform.www();
    let folder = folder.parent().expect("the platform's folder");

    let output = command(folder).args(["--port", &port]).output().expect("it runs");

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains(&format!("port {port} is taken; choose another with --port N")),
        "{said}"
    );
}

#[test]
fn a_backend_that_does_not_start_is_an_error_that_names_the_option() {
    let platform = Platform::start(&[]);
    let folder = platform.www();
    let folder = folder.parent().expect("the platform's folder");

    let mut missing = command(folder);
    let output = missing.args(["--backend", "missing-binary"]).stdin(Stdio::null()).output();

    let said = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
    assert!(said.contains("check --backend"), "{said}");
    assert!(!said.contains("pass:word"));
}
