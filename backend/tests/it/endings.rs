//! What else ends sessions: removed users, changed passwords, a sign-in in the same browser, too
//! many of them, and nobody using them.

use std::process::Output;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, App, Files, PASSWORD, Server, until};

const STORE: [&str; 2] = ["--store", "file"];

#[test]
fn a_user_who_is_removed_has_no_session_and_cannot_sign_in() {
    let files = Files::with_ada();
    // With the store of the server, and with one that is not: the server notices by itself.
    for store in ["file", "sqlite"] {
        run(&files, &["user", "add", "bob", "--password-stdin"]);
        let server = Server::start_with(&files, &[&STORE[..], &["--refresh"]].concat());
        let signed_in = sign_in(&server, "bob");
        let access = signed_in["access_token"].as_str().expect("there is one").to_owned();
        assert_eq!(server.get("/auth/me", &access).status, StatusCode::OK);
        let removed = files.program(&["user", "remove", "bob", "--store", store]);
        assert_eq!(removed.status.success(), store == "file", "{removed:?}");
        until("the removed user is refused", || {
            server.get("/auth/me", &access).status == StatusCode::UNAUTHORIZED
        });
        let body = json!({ "refresh_token": signed_in["refresh_token"] });
        assert_eq!(server.post("/auth/refresh", "none", &body).code(), "invalid_grant");
        let body = json!({ "username": "bob", "password": PASSWORD });
        assert_eq!(server.post("/auth/login", "none", &body).code(), "invalid_credentials");
    }
}

#[test]
fn a_new_password_ends_the_sessions_unless_told_otherwise() {
    let files = Files::with_ada();
    let server = Server::start_with(&files, &STORE);
    let token = server.login();
    let change = |more: &[&str]| {
        let line = ["user", "set-password", "ada", "--password-stdin", "--store", "file"];
        let output = files.program_with_input(&[&line, more].concat(), PASSWORD);
        assert!(output.status.success(), "{output:?}");
    };
    change(&["--keep-sessions"]);
    assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK);
    change(&[]);
    assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
    server.login();
}

#[test]
fn an_account_is_unlocked_and_users_are_listed() {
    let files = Files::with_ada();
    run(&files, &["user", "add", "bob", "--password-stdin"]);
    let listed = files.program(&["user", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "ada\nbob\n");
    let server = Server::start_with(&files, &[&STORE[..], &["--login-attempts", "2"]].concat());
    let try_with = |password: &str| {
        let body = json!({ "username": "ada", "password": password });
        server.post("/auth/login", "none", &body).status.as_u16()
    };
    assert_eq!([try_with("wrong"), try_with("wrong"), try_with(PASSWORD)], [401, 401, 429]);
    let unlock = files.program(&["user", "unlock", "ADA", "--store", "file"]);
    assert!(unlock.status.success(), "{unlock:?}");
    assert_eq!(try_with(PASSWORD), 200);
    for command in ["unlock", "remove"] {
        let refused = files.program(&["user", command, "nobody", "--store", "file"]);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && stderr.contains("no such user"), "{stderr}");
    }
}

#[test]
fn one_name_is_one_account_however_it_is_written() {
    let files = Files::with_ada();
    for spelling in ["ADA", " ada ", "Ada"] {
        let output = files
            .program_with_input(&["user", "add", spelling, "--password-stdin"], "another password");
        assert!(!output.status.success(), "{spelling}: {output:?}");
    }
    let server = Server::start_with(&files, &STORE);
    let signed_in = sign_in(&server, " Ada ");
    assert_eq!(signed_in["user"]["username"], "ada", "as it was added");
}

#[tokio::test]
async fn signing_in_again_in_one_browser_ends_the_session_that_it_had() {
    let app = App::open(&Files::with_ada()).await;
    let sign_in = async |headers: &[(&str, &str)], cookie: bool| {
        let body = json!({ "username": "ada", "password": PASSWORD, "cookie": cookie });
        let mut request = Request::post("/auth/login").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(body.to_string().into()).expect("it is valid")).await
    };
    let other = cookie_of(&sign_in(&[], true).await);
    let first = cookie_of(&sign_in(&[], true).await);
    // By the body it is an app beside it, and no other session of the browser.
    sign_in(&[("cookie", &first)], false).await;
    assert_eq!(me(&app, &first).await.status, StatusCode::OK);
    let second = cookie_of(&sign_in(&[("cookie", &first)], true).await);
    assert_eq!(me(&app, &first).await.code(), "invalid_token");
    for cookie in [&second, &other] {
        assert_eq!(me(&app, cookie).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_session_beyond_the_limit_ends_the_oldest() {
    let app = App::open_with(&Files::with_ada(), &["--sessions-per-user", "2"]).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        app.advance(Duration::from_secs(1));
        tokens.push(app.login().await);
    }
    let mut statuses = Vec::new();
    for token in &tokens {
        statuses.push(app.get("/auth/me", token).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 200, 200]);
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_a_keeper_does_not_keep_it() {
    let idle = ["--idle-seconds", "600"];
    let app = App::open_with(&Files::with_ada(), &idle).await;
    let token = app.login().await;
    for _ in 0..3 {
        app.advance(Duration::from_secs(599));
        assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK, "it is used");
    }
    for _ in 0..2 {
        app.advance(Duration::from_secs(299));
        assert_eq!(background(&app, &token).await.status, StatusCode::OK);
    }
    app.advance(Duration::from_secs(2));
    assert_eq!(background(&app, &token).await.code(), "invalid_token");
    assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_refresh_is_no_use_of_a_session_that_nobody_uses() {
    let more = ["--idle-seconds", "600", "--refresh", "--access-seconds", "300"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    let refresh = async |token: &Value| {
        app.post("/auth/refresh", "none", &json!({ "refresh_token": token })).await
    };
    let mut tokens = app.try_login("ada", PASSWORD).await.json();
    for _ in 0..3 {
        app.advance(Duration::from_secs(290));
        let access = tokens["access_token"].as_str().expect("there is one").to_owned();
        assert_eq!(app.get("/auth/me", &access).await.status, StatusCode::OK);
        tokens = refresh(&tokens["refresh_token"]).await.json();
    }
    for _ in 0..2 {
        app.advance(Duration::from_secs(290));
        tokens = refresh(&tokens["refresh_token"]).await.json();
    }
    app.advance(Duration::from_secs(20));
    assert_eq!(refresh(&tokens["refresh_token"]).await.code(), "invalid_grant");
}

async fn background(app: &App, token: &str) -> Answer {
    let request = Request::get("/auth/me").header("x-background", "1");
    let request = request.header("authorization", format!("Bearer {token}"));
    app.send(request.body(Body::empty()).expect("it is valid")).await
}

async fn me(app: &App, cookie: &str) -> Answer {
    let request = Request::get("/auth/me").header("cookie", cookie);
    app.send(request.body(Body::empty()).expect("it is valid")).await
}

fn cookie_of(answer: &Answer) -> String {
    let line = answer.header("set-cookie").expect("it signs in by cookie");
    line.split(';').next().unwrap_or_default().to_owned()
}

fn sign_in(server: &Server, name: &str) -> Value {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer = server.post("/auth/login", "none", &body);
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

fn run(files: &Files, line: &[&str]) -> Output {
    let output = files.program_with_input(line, PASSWORD);
    assert!(output.status.success(), "{output:?}");
    output
}
