//! Signed tokens: one key, kept and replaced with an overlap; and what is no token of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use axum::http::StatusCode;
use serde_json::Value;

use crate::support::{App, Files, PASSWORD, Server};

const ALGORITHMS: [&str; 2] = ["eddsa", "hs256"];

#[tokio::test]
async fn a_signed_token_verifies_and_outlives_the_app() {
    for algorithm in ALGORITHMS {
        let files = Files::with_ada();
        let token = open(&files, algorithm).await.login().await;
        assert_eq!(token.split('.').count(), 3, "{token}");
        let after = open(&files, algorithm).await;
        assert_eq!(after.get("/auth/me", &token).await.status, StatusCode::OK, "{algorithm}");
    }
}

#[tokio::test]
async fn the_key_is_made_once_and_is_nobody_elses_to_read() {
    let files = Files::with_ada();
    open(&files, "eddsa").await;
    let key = fs::read(files.path("keys.json")).expect("there is a key");
    open(&files, "eddsa").await;
    assert_eq!(fs::read(files.path("keys.json")).expect("there is a key"), key);
    let mode = fs::metadata(files.path("keys.json")).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_token_that_was_changed_or_signed_otherwise_is_refused() {
    for algorithm in ALGORITHMS {
        let files = Files::with_ada();
        let app = open(&files, algorithm).await;
        let token = app.login().await;
        let other = open(&Files::with_ada(), algorithm).await.login().await;
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("a JWT has three parts") };
        // {"typ":"JWT","alg":"none"}
        let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
        for wrong in [
            other,
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{header}.{claims}.{}", "A".repeat(signature.len())),
            format!("{header}.{claims}."),
            "a.b.c".to_owned(),
        ] {
            let answer = app.get("/auth/me", &wrong).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "invalid_token"));
        }
        assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_id_in_a_signed_token_is_no_token_by_itself() {
    let files = Files::with_ada();
    let app = open(&files, "hs256").await;
    let claims = claims_of(&app.login().await);
    let jti = claims["jti"].as_str().expect("there is an id");
    assert_eq!(app.get("/auth/me", jti).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_signed_token_is_refused_after_sign_out_and_from_its_expiry_on() {
    let files = Files::with_ada();
    let app = App::open_with(&files, &["--jwt", "eddsa", "--token-seconds", "60"]).await;
    let (out, late) = (app.login().await, app.login().await);
    app.post("/auth/logout", &out, &Value::Null).await;
    assert_eq!(app.get("/auth/me", &out).await.code(), "invalid_token");
    app.advance(std::time::Duration::from_secs(60));
    assert_eq!(app.get("/auth/me", &late).await.code(), "invalid_token");
}

#[tokio::test]
async fn tokens_from_before_signing_was_switched_on_stay_good() {
    let files = Files::with_ada();
    let token = App::open(&files).await.login().await;
    let app = open(&files, "eddsa").await;
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_algorithm_or_none_refuses_nobody_who_is_signed_in() {
    let files = Files::with_ada();
    let token = open(&files, "eddsa").await.login().await;
    for app in [open(&files, "hs256").await, App::open(&files).await] {
        assert_eq!(app.get("/auth/me", &token).await.code(), "store_unavailable");
    }
    let app = open(&files, "eddsa").await;
    app.post("/auth/logout", &token, &Value::Null).await;
    let other = open(&files, "hs256").await;
    assert_eq!(other.get("/auth/me", &token).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_rotated_key_signs_what_is_new_and_checks_what_is_old() {
    for algorithm in ALGORITHMS {
        let files = Files::with_ada();
        let app = open(&files, algorithm).await;
        let old = app.login().await;
        let rotated = files.program(&["key", "rotate"]);
        assert!(rotated.status.success(), "{rotated:?}");
        let new = app.login().await;
        assert_ne!(kid_of(&old), kid_of(&new), "a running server takes the new key");
        for token in [&old, &new] {
            assert_eq!(app.get("/auth/me", token).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_key_file_that_is_corrupt_or_gone_under_a_running_server_is_503_and_never_401() {
    let files = Files::with_ada();
    let app = open(&files, "eddsa").await;
    let token = app.login().await;
    let key = fs::read(files.path("keys.json")).expect("there is a key");
    for damage in [Some(&b"{ half"[..]), Some(b"{\"keys\": []}"), None] {
        match damage {
            Some(bytes) => fs::write(files.path("keys.json"), bytes).expect("it is ours"),
            None => fs::remove_file(files.path("keys.json")).expect("it is ours"),
        }
        let answer = app.get("/auth/me", &token).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "store_unavailable"));
        let answer = app.try_login("ada", PASSWORD).await;
        assert_eq!(answer.code(), "store_unavailable");
        fs::write(files.path("keys.json"), &key).expect("it is ours");
        assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_at_the_start_and_left_alone() {
    let files = Files::with_ada();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--jwt", "hs256"];
    let short = files.program_with_env(&serve, &[("SECRET_KEY", &"x".repeat(31))]);
    assert_refused(&short, "SECRET_KEY holds a key under 32 bytes");
    for (text, reason) in [
        ("{ half", "cannot understand data/keys.json"),
        (r#"{"keys": [{"secret": "c2hvcnQ", "created_at": "2030-01-01T00:00:00Z"}]}"#, "under 32"),
        (r#"{"keys": [{"secret": "!", "created_at": "2030-01-01T00:00:00Z"}]}"#, "no key"),
    ] {
        fs::write(files.path("keys.json"), text).expect("the folder is ours");
        assert_refused(&files.program(&serve), reason);
        assert_eq!(fs::read_to_string(files.path("keys.json")).ok().as_deref(), Some(text));
    }
}

#[test]
fn the_key_of_the_environment_goes_before_the_file_and_has_a_predecessor() {
    let files = Files::with_ada();
    let [old, new] = ["old key of 32 bytes, at the least", "new key of 32 bytes, at the least"];
    let start = |env: &[(&str, &str)]| Server::start_with_env(&files, &["--jwt", "hs256"], env);
    let server = start(&[("SECRET_KEY", old)]);
    let token = server.login();
    server.kill();
    assert!(!files.path("keys.json").exists());
    let server = start(&[("SECRET_KEY", new), ("SECRET_KEY_PREVIOUS", old)]);
    assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK);
    server.kill();
    let server = start(&[("SECRET_KEY", new)]);
    let answer = server.get("/auth/me", &token);
    assert_eq!(answer.code(), "store_unavailable", "a key that is missing is no verdict");
    server.wait_for_line("signed with a key that this server does not have");
    assert!(files.program(&["token", "revoke", "--all"]).status.success());
    assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
}

#[test]
fn a_random_key_is_another_at_each_start_and_says_so_loudly() {
    let files = Files::with_ada();
    let start = || Server::start_with(&files, &["--jwt", "eddsa", "--fault", "random-key"]);
    let server = start();
    server.wait_for_line("FAULT on purpose: RandomKey");
    let token = server.login();
    assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK);
    server.kill();
    assert_eq!(start().get("/auth/me", &token).code(), "invalid_token");
}

async fn open(files: &Files, algorithm: &str) -> App {
    App::open_with(files, &["--jwt", algorithm]).await
}

fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}

fn kid_of(token: &str) -> String {
    part_of(token, 0)["kid"].as_str().expect("the key is named").to_owned()
}

fn part_of(token: &str, nth: usize) -> Value {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let part = token.split('.').nth(nth).expect("a JWT has three parts");
    let bytes = Base64UrlUnpadded::decode_vec(part).expect("it is base64url");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

fn assert_refused(output: &std::process::Output, reason: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(reason), "{reason:?} in {stderr}");
}
