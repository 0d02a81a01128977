//! Several workers on one port: they answer alike, replace each other, end together, and are
//! counted together.

use std::collections::BTreeSet;
use std::process::Command;

use axum::http::StatusCode;
use serde_json::Value;

use crate::stores::place::{Kind, Place};
use crate::support::{Answer, Files, Server, UNLIMITED, until};

/// So many requests meet every worker but by an accident of one in thousands.
const MANY: usize = 60;

macro_rules! on_each_lasting_kind {
    ($($name:ident: $kind:ident, $workers:literal);* $(;)?) => {
        $(
            #[test]
            fn $name() {
                a_session_is_known_to_all_workers_at_once(Kind::$kind, $workers);
            }
        )*
    };
}
on_each_lasting_kind! {
    two_on_a_file: File, 2;
    four_on_a_file: File, 4;
    two_on_sqlite: Sqlite, 2;
    four_on_sqlite: Sqlite, 4;
    two_on_postgres: Postgres, 2;
    four_on_postgres: Postgres, 4;
    two_on_redis: Redis, 2;
    four_on_redis: Redis, 4;
}

fn a_session_is_known_to_all_workers_at_once(kind: Kind, workers: usize) {
    let Some(place) = Place::shared(kind) else { return };
    let files = Files::with_cheap_ada();
    let (store, count) = (place.argument(), workers.to_string());
    let more = [&UNLIMITED[..], &["--store", &store, "--workers", &count]].concat();
    let server = Server::start_with(&files, &more);
    let token = server.login();
    let (mut instances, mut boots) = (BTreeSet::new(), BTreeSet::new());
    until("every worker answered", || {
        let answer = server.get("/auth/me", &token);
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        instances.insert(text(&answer.json(), "instance"));
        boots.insert(text(&answer.json(), "boot"));
        instances.len() == workers
    });
    assert_eq!(boots.len(), 1, "one start has one boot id");
    assert_eq!(server.post("/auth/logout", &token, &Value::Null).status, StatusCode::NO_CONTENT);
    for _ in 0..MANY {
        assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
    }
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_nobody_is_signed_out() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--workers", "2"]);
    let token = server.login();
    let before = workers_of(&server);
    assert_eq!(before.len(), 2);
    let uptime = |answer: &Answer| answer.json()["uptime"].as_f64().expect("it is a number");
    let before_kill = uptime(&server.get("/api/health", "none"));
    signal("KILL", before[0]);
    server.wait_for_line("another takes its place");
    until("the other takes its place", || {
        let now = workers_of(&server);
        now.len() == 2 && now != before
    });
    for _ in 0..MANY {
        assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK);
        let now = uptime(&server.get("/api/health", "none"));
        assert!(now > before_kill, "a worker that is replaced is no restart: {now}");
    }
}

#[test]
fn no_worker_outlives_the_server_not_even_one_that_is_killed() {
    for how in ["TERM", "KILL"] {
        let files = Files::with_cheap_ada();
        let server = Server::start_with(&files, &["--workers", "2"]);
        let workers = workers_of(&server);
        signal(how, server.pid());
        until("all have ended", || workers.iter().all(|pid| !is_running(*pid)));
    }
}

#[test]
fn a_worker_that_cannot_serve_is_no_server_and_says_why() {
    let files = Files::with_cheap_ada();
    std::fs::create_dir(files.path("folder")).expect("the name is free");
    let store = "file:data/folder";
    let line = ["serve", "--listen", "127.0.0.1:0", "--workers", "2", "--store", store];
    let output = files.program(&line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("cannot use data/folder"), "{stderr}");
    assert!(output.stdout.is_empty(), "it never listened");
}

#[test]
fn first_starts_of_a_file_store_with_workers_do_not_get_in_each_others_way() {
    for round in 0..30 {
        let files = Files::with_cheap_ada();
        let more = ["--workers", "3", "--store", "file", "--jwt", "eddsa"];
        let server = Server::start_with(&files, &more);
        let health = server.get("/api/health", "none");
        assert_eq!(health.status, StatusCode::OK, "round {round}");
    }
}

#[test]
fn sigterm_is_obeyed_while_workers_start() {
    let files = Files::with_cheap_ada();
    // Somebody else holds the lock: the workers wait for it, for 5 s each time.
    let lock = std::fs::File::create(files.path("auth_tokens.sqlite.lock")).expect("it is ours");
    lock.lock().expect("nobody else has it");
    let line = ["serve", "--listen", "127.0.0.1:0", "--workers", "2"];
    let mut server = files.spawn(&line);
    until("the workers have started", || children_of(server.id()).len() == 2);
    let started = std::time::Instant::now();
    signal("TERM", server.id());
    let ended = server.wait().expect("it ends");
    assert!(ended.success(), "{ended:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn workers_that_cannot_be_kept_running_end_the_server_with_a_reason() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--workers", "2", "--store", "file"]);
    let token = server.login();
    std::fs::remove_file(files.store()).expect("it is ours");
    std::fs::create_dir(files.store()).expect("the name is free");
    for pid in workers_of(&server) {
        signal("KILL", pid);
    }
    let (well, stderr) = server.wait();
    assert!(!well && stderr.contains("no worker could be kept running"), "{stderr}");
    assert!(stderr.contains("cannot use data/auth_tokens.json"), "their own words: {stderr}");
    drop(token);
}

#[test]
fn workers_that_share_no_tokens_are_refused_unless_the_fault_is_asked_for() {
    let files = Files::with_cheap_ada();
    let line = ["serve", "--workers", "2", "--store", "memory"];
    let refused = files.program(&line);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && stderr.contains("--fault unshared-tokens"), "{stderr}");
    let server = Server::start_with(&files, &["--workers", "2", "--fault", "unshared-tokens"]);
    server.wait_for_line("FAULT on purpose: UnsharedTokens");
    assert_is_known_to_some(&server);
}

#[test]
fn workers_that_read_the_file_once_know_their_own_tokens_only() {
    let files = Files::with_cheap_ada();
    let fault = ["--store", "file", "--workers", "2", "--fault", "file-read-once"];
    let server = Server::start_with(&files, &fault);
    assert_is_known_to_some(&server);
}

#[test]
fn a_reload_loop_has_another_boot_id_each_time_and_keeps_the_tokens() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--fault", "reload-loop:1"]);
    let token = server.login();
    let mut boots = BTreeSet::new();
    until("it was reloaded twice", || {
        // In between it answers nobody.
        if let Some(answer) = server.try_get("/auth/me", &token) {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            boots.insert(text(&answer.json(), "boot"));
        }
        boots.len() == 3
    });
}

#[test]
fn metrics_are_summed_over_workers_and_never_fall() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--workers", "2", "--metrics", "127.0.0.1:0"]);
    let line = server.wait_for_line("Metrics on http://");
    let (_, address) = line.split_once("http://").expect("the line has the address");
    let address = address.trim_end().trim_end_matches("/metrics");
    let token = server.login();
    for _ in 0..MANY {
        server.get("/auth/me", &token);
    }
    let verified = || {
        let text = Server::get_at(address, "/metrics", "none").text;
        let line = text.lines().find_map(|line| line.strip_prefix("tokens_verified_total "));
        line.and_then(|count| count.parse::<usize>().ok()).unwrap_or_default()
    };
    until("all are counted", || verified() == MANY);
    for pid in workers_of(&server) {
        signal("KILL", pid);
    }
    until("both were replaced", || server.try_get("/auth/me", &token).is_some());
    until("what the ended ones counted is still there", || verified() > MANY);
    assert_eq!(server.try_get("/metrics", &token).map(|answer| answer.status.as_u16()), Some(404));
}

fn assert_is_known_to_some(server: &Server) {
    let token = server.login();
    let mut statuses = BTreeSet::new();
    until("one worker accepts the token and another refuses it", || {
        statuses.insert(server.get("/auth/me", &token).status);
        statuses.len() == 2
    });
    assert_eq!(statuses, BTreeSet::from([StatusCode::OK, StatusCode::UNAUTHORIZED]));
}

fn workers_of(server: &Server) -> Vec<u32> {
    children_of(server.pid())
}

fn children_of(pid: u32) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &pid.to_string()]).output();
    let output = output.expect("pgrep runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.parse().expect("pgrep prints numbers")).collect()
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    // One that nobody has waited for yet has ended all the same.
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}
