//! A session's life: sign-in, verification, sign-out, expiry; and the resource that it protects.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{App, Files, PASSWORD};

#[tokio::test]
async fn a_sign_in_answers_with_a_token_that_verifies() {
    let app = App::open(&Files::with_ada()).await;
    let answer = app.try_login("ada", PASSWORD).await.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 604_800);
    assert_eq!(answer["user"], json!({ "username": "ada" }));
    let token = answer["access_token"].as_str().expect("there is a token");
    let me = app.get("/auth/me", token).await;
    assert_eq!(me.status, StatusCode::OK);
    assert_eq!(me.json()["username"], "ada");
    assert_eq!(me.json()["expires_at"], "2030-03-24T17:46:40.000Z");
    assert!(me.json()["boot"].is_string() && me.json()["instance"].is_string(), "{me:?}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let app = App::open(&Files::with_ada()).await;
    let mut wrong = app.try_login("ada", "wrong").await;
    let mut unknown = app.try_login("nobody", PASSWORD).await;
    // No two requests have the same id.
    for answer in [&mut wrong, &mut unknown] {
        assert!(answer.headers.remove("x-request-id").is_some());
    }
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.code(), "invalid_credentials");
    assert_eq!(wrong.text, unknown.text);
    assert_eq!(wrong.headers, unknown.headers);
}

#[tokio::test]
async fn an_unknown_user_costs_what_a_wrong_password_costs() {
    let app = App::open(&Files::with_ada()).await;
    let mut least = [Duration::MAX; 2];
    for _ in 0..5 {
        for (least, name) in least.iter_mut().zip(["ada", "nobody"]) {
            let started = Instant::now();
            assert_eq!(app.try_login(name, "wrong").await.code(), "invalid_credentials");
            *least = started.elapsed().min(*least);
        }
    }
    // Without the dummy the factor is over a hundred.
    let [known, unknown] = least;
    assert!(unknown * 4 > known && known * 4 > unknown, "{known:?} and {unknown:?}");
}

#[tokio::test]
async fn two_sign_ins_are_two_sessions() {
    let app = App::open(&Files::with_ada()).await;
    let (phone, laptop) = (app.login().await, app.login().await);
    assert_ne!(phone, laptop);
    assert_eq!(logout(&app, &phone).await, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/auth/me", &laptop).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_refused_after_sign_out() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    assert_eq!(logout(&app, &token).await, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
    assert_eq!(logout(&app, &token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_is_refused_from_its_expiry_on_and_not_before() {
    let app = App::open_with(&Files::with_ada(), &["--token-seconds", "60"]).await;
    let token = app.login().await;
    app.advance(Duration::from_millis(59_999));
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    app.advance(Duration::from_millis(1));
    assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
}

#[tokio::test]
async fn sessions_in_memory_live_as_those_on_disk_do() {
    let files = Files::with_ada();
    let app = App::open_with_memory(&files).await;
    let token = app.login().await;
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    assert_eq!(logout(&app, &token).await, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/auth/me", &token).await.code(), "invalid_token");
    assert!(!files.store().exists());
}

#[tokio::test]
async fn one_tag_and_then_another_are_both_there() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    let first = app.post("/api/tags", &token, &json!({ "name": "north" })).await;
    assert_eq!((first.status, first.json()), (StatusCode::CREATED, tags(&["north"])));
    let second = app.post("/api/tags", &token, &json!({ "name": "south" })).await;
    assert_eq!((second.status, second.json()), (StatusCode::CREATED, tags(&["north", "south"])));
    assert_eq!(app.get("/api/tags", &token).await.json(), tags(&["north", "south"]));
}

#[tokio::test]
async fn the_same_tag_twice_is_there_once() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    for _ in 0..2 {
        let answer = app.post("/api/tags", &token, &json!({ "name": "north" })).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::CREATED, tags(&["north"])));
    }
}

#[tokio::test]
async fn a_tag_has_1_to_64_characters() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    for (name, status) in [
        (String::new(), StatusCode::BAD_REQUEST),
        ("ü".repeat(64), StatusCode::CREATED),
        ("ü".repeat(65), StatusCode::BAD_REQUEST),
    ] {
        let answer = app.post("/api/tags", &token, &json!({ "name": name })).await;
        assert_eq!(answer.status, status, "{name}");
    }
}

#[tokio::test]
async fn tags_are_shown_to_their_owner_only() {
    let files = Files::with_ada();
    let added = files.program_with_input(&["user", "add", "bob", "--password-stdin"], PASSWORD);
    assert!(added.status.success());
    let app = App::open(&files).await;
    let ada = app.login().await;
    app.post("/api/tags", &ada, &json!({ "name": "north" })).await;
    let bob = crate::support::token_in(&app.try_login("bob", PASSWORD).await);
    assert_eq!(app.get("/api/tags", &bob).await.json(), tags(&[]));
}

async fn logout(app: &App, token: &str) -> StatusCode {
    app.post("/auth/logout", token, &Value::Null).await.status
}

fn tags(names: &[&str]) -> Value {
    json!({ "tags": names })
}
