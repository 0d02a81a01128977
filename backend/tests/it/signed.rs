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
async fn another_algorithm_or_none_goes_on_with_the_tokens_of_before() {
    for (one, other) in [("eddsa", "hs256"), ("hs256", "eddsa")] {
        let files = Files::with_ada();
        let token = open(&files, one).await.login().await;
        for app in [open(&files, other).await, App::open(&files).await] {
            assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK, "{one}");
        }
        let app = open(&files, other).await;
        let ended = app.post("/auth/logout", &token, &Value::Null).await;
        assert_eq!(ended.status, StatusCode::NO_CONTENT);
        for app in [open(&files, one).await, App::open(&files).await] {
            assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
        }
    }
}

#[tokio::test]
async fn a_token_that_can_never_be_checked_again_is_refused() {
    let files = Files::with_ada();
    let token = open(&files, "eddsa").await.login().await;
    fs::remove_file(files.path("keys.json")).expect("it is ours");
    // Signing is off, and there is no key that anybody could put back.
    let app = App::open(&files).await;
    assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_token_says_nothing_of_keys_before_its_signature_was_checked() {
    for algorithm in ALGORITHMS {
        let files = Files::with_ada();
        let app = open(&files, algorithm).await;
        let token = app.login().await;
        let [header, claims, signature] = parts_of(&token);
        let forged = header_with_kid(&header, "0123456789abcdef");
        for wrong in [
            format!("{forged}.{claims}.{signature}"),
            format!("{forged}.{claims}.{}", "A".repeat(signature.len())),
            format!("{}.{claims}.{signature}", header_with_kid(&header, "no key at all")),
        ] {
            let answer = app.get("/auth/me", &wrong).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "invalid_token"));
        }
        assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_rotated_cookie_whose_key_is_missing_is_503_and_never_401() {
    let files = Files::with_ada();
    let more = ["--jwt", "eddsa", "--rotate-after-seconds", "600", "--token-seconds", "3600"];
    let app = App::open_with(&files, &more).await;
    let body = serde_json::json!({ "username": "ada", "password": PASSWORD, "cookie": true });
    let signed_in = app.post("/auth/login", "none", &body).await;
    let cookie = signed_in.header("set-cookie").and_then(|line| line.split(';').next());
    let cookie = cookie.expect("a sign-in sets it").to_owned();
    let me = async |app: &App| {
        let request = axum::http::Request::get("/auth/me").header("cookie", &cookie);
        app.send(request.body(axum::body::Body::empty()).expect("it is valid")).await
    };
    app.advance(std::time::Duration::from_secs(600));
    assert!(me(&app).await.header("set-cookie").is_some(), "it was rotated");
    fs::remove_file(files.path("keys.json")).expect("it is ours");
    let other = App::open_with(&files, &more).await;
    other.advance(std::time::Duration::from_secs(600));
    assert_eq!(me(&other).await.code(), "store_unavailable", "the key may be put back");
}

#[tokio::test]
async fn the_public_keys_check_the_tokens_and_say_who_they_are_for() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};
    let files = Files::with_ada();
    let claims = ["--jwt-issuer", "https://api.example", "--jwt-audience", "nodes"];
    let more = [&["--jwt", "eddsa"][..], &claims].concat();
    let app = App::open_with(&files, &more).await;
    let token = app.login().await;
    assert!(files.program(&["key", "rotate"]).status.success());
    let keys = app.get("/.well-known/jwks.json", "none").await.json();
    let keys = keys["keys"].as_array().expect("they are listed");
    assert_eq!(keys.len(), 2, "also those of before");
    let kid = kid_of(&token);
    let key = keys.iter().find(|key| key["kid"] == *kid).expect("it is listed");
    let x = key["x"].as_str().expect("it is text");
    let x: [u8; 32] =
        Base64UrlUnpadded::decode_vec(x).ok().and_then(|x| x.try_into().ok()).expect("it is a key");
    let [header, body, signature] = parts_of(&token);
    let signature = Base64UrlUnpadded::decode_vec(&signature).expect("it is base64url");
    let signature = Signature::from_slice(&signature).expect("it is a signature");
    let key = VerifyingKey::from_bytes(&x).expect("it is a key");
    key.verify(format!("{header}.{body}").as_bytes(), &signature).expect("it is signed by it");
    assert_eq!(
        (&claims_of(&token)["iss"], &claims_of(&token)["aud"]),
        (&Value::from("https://api.example"), &Value::from("nodes"))
    );
    for app in [open(&files, "hs256").await, App::open(&files).await] {
        assert_eq!(app.get("/.well-known/jwks.json", "none").await.code(), "not_found");
    }
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

fn parts_of(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("a JWT has three parts")
}

fn header_with_kid(header: &str, kid: &str) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let mut changed = part_of(header, 0);
    changed["kid"] = kid.into();
    Base64UrlUnpadded::encode_string(changed.to_string().as_bytes())
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
