//! The program as a process: killed, terminated, restarted, and told by another process.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use axum::http::StatusCode;
use serde_json::json;

use crate::support::{Files, PASSWORD, Server, read_answer, request_text, token_in};

#[test]
fn a_killed_server_keeps_the_tokens_it_acknowledged() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let tokens = [server.login(), server.login()];
    let boot = server.get("/api/health", "none").json()["boot"].clone();
    server.kill();
    let server = Server::start(&files);
    for token in &tokens {
        let answer = server.get("/auth/me", token);
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_ne!(answer.json()["boot"], boot);
    }
}

#[test]
fn a_tag_from_before_a_kill_stands_beside_one_from_after() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let token = server.login();
    server.post("/api/tags", &token, &json!({ "name": "north" }));
    server.kill();
    let server = Server::start(&files);
    let answer = server.post("/api/tags", &token, &json!({ "name": "south" }));
    assert_eq!(answer.json(), json!({ "tags": ["north", "south"] }));
}

#[test]
fn a_running_server_notices_a_revocation() {
    let files = Files::with_ada();
    let added = files.program_with_input(&["user", "add", "bob", "--password-stdin"], PASSWORD);
    assert!(added.status.success());
    let server = Server::start(&files);
    let ada = server.login();
    let body = json!({ "username": "bob", "password": PASSWORD });
    let bob = token_in(&server.post("/auth/login", "none", &body));
    let revoked = files.program(&["token", "revoke", "--user", "ada"]);
    assert_eq!(String::from_utf8_lossy(&revoked.stdout), "revoked 1\n");
    assert_eq!(server.get("/auth/me", &ada).code(), "invalid_token");
    assert_eq!(server.get("/auth/me", &bob).status, StatusCode::OK);
    let revoked = files.program(&["token", "revoke", "--all"]);
    assert_eq!(String::from_utf8_lossy(&revoked.stdout), "revoked 1\n");
    assert_eq!(server.get("/auth/me", &bob).code(), "invalid_token");
}

#[test]
fn a_user_who_is_added_while_the_server_runs_can_sign_in() {
    let files = Files::empty();
    let server = Server::start(&files);
    server.wait_for_line("nobody can sign in yet");
    let added = files.program_with_input(&["user", "add", "ada", "--password-stdin"], PASSWORD);
    assert!(added.status.success());
    server.login();
}

#[test]
fn a_memory_store_says_loudly_that_it_forgets_and_forgets() {
    let files = Files::with_ada();
    let server = Server::start_with(&files, &["--store", "memory"]);
    server.wait_for_line("Token persistence disabled: sessions are in memory only");
    let token = server.login();
    assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK);
    server.kill();
    let server = Server::start_with(&files, &["--store", "memory"]);
    assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
}

#[test]
fn a_request_in_flight_at_sigterm_is_finished() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let body = json!({ "username": "ada", "password": PASSWORD }).to_string();
    let text = request_text("POST", "/auth/login", "none", &body, "keep-alive");
    let (begin, rest) = text.split_at(text.len() - 10);
    let mut stream = server.connect();
    stream.write_all(begin.as_bytes()).expect("the server reads");
    // An answer to a later connection proves that the earlier one was accepted.
    server.get("/api/health", "none");
    server.terminate();
    server.wait_for_line("shutting down");
    stream.write_all(rest.as_bytes()).expect("the server still reads");
    token_in(&read_answer(&mut BufReader::new(stream)));
    let (well, _) = server.wait();
    assert!(well);
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let mut stream = BufReader::new(server.connect());
    ask(&mut stream, "/api/health", "none");
    server.terminate();
    let (well, stderr) = server.wait();
    assert!(well);
    assert!(!stderr.contains("still in flight"), "{stderr}");
}

#[test]
fn a_refusal_closes_its_connection_and_nothing_else_does() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let token = server.login();
    let mut stream = BufReader::new(server.connect());
    for _ in 0..2 {
        ask(&mut stream, "/auth/me", &token);
        assert_eq!(read_answer(&mut stream).status, StatusCode::OK);
    }
    ask(&mut stream, "/auth/me", "refused");
    assert_eq!(read_answer(&mut stream).status, StatusCode::UNAUTHORIZED);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server closes");
    assert!(rest.is_empty());
}

#[test]
fn there_is_a_line_for_each_request_and_no_secret_in_any() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let token = server.login();
    server.get(&format!("/auth/me?token={token}"), &token);
    server.get("/auth/me", "refused-token");
    server.terminate();
    let (_, stderr) = server.wait();
    for line in ["POST /auth/login 200 ", "GET /auth/me 200 ", "GET /auth/me 401 "] {
        assert!(stderr.contains(line), "{line:?} in {stderr}");
    }
    for secret in [&token, "refused-token", PASSWORD, "token="] {
        assert!(!stderr.contains(secret), "{secret:?} in {stderr}");
    }
}

#[test]
fn the_cause_of_a_503_is_in_the_log_and_not_in_the_answer() {
    let files = Files::with_ada();
    let server = Server::start_with(&files, &["--store", "file"]);
    let token = server.login();
    std::fs::remove_file(files.store()).expect("it is ours");
    std::fs::create_dir(files.store()).expect("the name is free");
    let answer = server.get("/auth/me", &token);
    assert_eq!(answer.code(), "store_unavailable");
    assert!(!answer.text.contains("auth_tokens"), "{answer:?}");
    let line = server.wait_for_line("store_unavailable");
    assert!(line.contains("cannot read data/auth_tokens.json"), "{line}");
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    let mut stream = server.connect();
    let head = "POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the server reads");
    let chunk = format!("10001\r\n{}\r\n", " ".repeat(0x10001));
    stream.write_all(chunk.as_bytes()).expect("the server reads");
    let answer = read_answer(&mut BufReader::new(stream));
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "payload_too_large"));
}

fn ask(stream: &mut BufReader<TcpStream>, path: &str, token: &str) {
    let text = request_text("GET", path, token, "", "keep-alive");
    stream.get_mut().write_all(text.as_bytes()).expect("the server reads");
}
