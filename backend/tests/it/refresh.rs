//! Refresh tokens: rotation, reuse, grace, repeats, and what they never outlive.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, App, Files, PASSWORD};

const ATTEMPT: &str = "attempt-0123456789abcdef";

#[tokio::test]
async fn a_refresh_token_is_handed_out_only_where_it_is_switched_on() {
    let app = App::open(&Files::with_ada()).await;
    let answer = app.try_login("ada", PASSWORD).await.json();
    assert!(answer.get("refresh_token").is_none(), "{answer}");
    let refused = refresh(&app, &json!({ "refresh_token": "x" })).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn beside_a_refresh_token_an_access_token_lasts_half_a_day() {
    let app = open(&[]).await;
    assert_eq!(app.try_login("ada", PASSWORD).await.json()["expires_in"], 43_200);
}

#[tokio::test]
async fn a_refresh_hands_out_a_new_pair_and_leaves_the_old_access_token_its_time() {
    let app = open(&[]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    app.advance(Duration::from_secs(60));
    let new = pair(&refresh(&app, &wish(&old, None)).await);
    assert_ne!((&old.access, &old.refresh), (&new.access, &new.refresh));
    for access in [&old.access, &new.access] {
        assert_eq!(app.get("/auth/me", access).await.status, StatusCode::OK);
    }
    app.advance(Duration::from_secs(43_200 - 60));
    assert_eq!(app.get("/auth/me", &old.access).await.code(), "invalid_token");
    assert_eq!(app.get("/auth/me", &new.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_ends_the_whole_session_and_no_other() {
    let app = open(&[]).await;
    let other = pair(&app.try_login("ada", PASSWORD).await);
    let stolen = pair(&app.try_login("ada", PASSWORD).await);
    let new = pair(&refresh(&app, &wish(&stolen, None)).await);
    assert_invalid_grant(&refresh(&app, &wish(&stolen, None)).await);
    for access in [&stolen.access, &new.access] {
        assert_eq!(app.get("/auth/me", access).await.code(), "invalid_token");
    }
    assert_invalid_grant(&refresh(&app, &wish(&new, None)).await);
    assert_eq!(app.get("/auth/me", &other.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_same_attempt_gets_the_same_pair_so_that_a_lost_answer_ends_nothing() {
    let app = open(&[]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    let lost = refresh(&app, &wish(&old, Some(ATTEMPT))).await;
    app.advance(Duration::from_secs(599));
    let again = refresh(&app, &wish(&old, Some(ATTEMPT))).await;
    assert_eq!(pair(&lost), pair(&again));
    assert_eq!(again.json()["expires_in"], 43_200 - 599);
    assert_eq!(app.get("/auth/me", &pair(&again).access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_that_was_lost_in_the_evening_is_had_again_in_the_morning() {
    let app = open(&[]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    let lost = refresh(&app, &wish(&old, Some(ATTEMPT))).await;
    app.advance(Duration::from_secs(14 * 60 * 60));
    let again = refresh(&app, &wish(&old, Some(ATTEMPT))).await;
    assert_eq!(pair(&lost), pair(&again));
    let next = pair(&refresh(&app, &wish(&pair(&again), Some("attempt-of-the-morning"))).await);
    assert_eq!(app.get("/auth/me", &next.access).await.status, StatusCode::OK);
    // It was used: whoever comes with it now holds a copy.
    assert_invalid_grant(&refresh(&app, &wish(&old, Some(ATTEMPT))).await);
    assert_eq!(app.get("/auth/me", &next.access).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_session_is_refreshed_sixty_times_an_hour_at_most_and_is_told_to_wait() {
    let app = open(&[]).await;
    let mut tokens = pair(&app.try_login("ada", PASSWORD).await);
    for _ in 0..60 {
        tokens = pair(&refresh(&app, &wish(&tokens, None)).await);
    }
    let limited = refresh(&app, &wish(&tokens, None)).await;
    assert_eq!((limited.status.as_u16(), limited.code().as_str()), (429, "rate_limited"));
    app.advance(Duration::from_secs(3_600));
    pair(&refresh(&app, &wish(&tokens, None)).await);
}

#[tokio::test]
async fn the_same_attempt_after_its_pair_was_used_and_another_attempt_at_once_are_a_reuse() {
    for (seconds, attempt) in [(600, ATTEMPT), (0, "another-attempt-of-somebody")] {
        let app = open(&[]).await;
        let old = pair(&app.try_login("ada", PASSWORD).await);
        let new = pair(&refresh(&app, &wish(&old, Some(ATTEMPT))).await);
        app.advance(Duration::from_secs(seconds));
        assert_eq!(app.get("/auth/me", &new.access).await.status, StatusCode::OK);
        assert_invalid_grant(&refresh(&app, &wish(&old, Some(attempt))).await);
        assert_eq!(app.get("/auth/me", &new.access).await.code(), "invalid_token");
    }
}

#[tokio::test]
async fn within_the_grace_window_two_tabs_get_the_same_pair() {
    let app = open(&["--refresh-grace-seconds", "30"]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    let one = pair(&refresh(&app, &wish(&old, Some("attempt-of-the-first-tab"))).await);
    app.advance(Duration::from_secs(29));
    let other = pair(&refresh(&app, &wish(&old, Some("attempt-of-the-second-tab"))).await);
    assert_eq!(one, other);
    app.advance(Duration::from_secs(1));
    assert_invalid_grant(&refresh(&app, &wish(&old, None)).await);
}

#[tokio::test]
async fn refreshes_of_one_moment_get_one_successor() {
    let app = open(&["--refresh-grace-seconds", "30"]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (app, wish) = (app.clone(), wish(&old, None));
        racing.spawn(async move { pair(&refresh(&app, &wish).await) });
    }
    let mut pairs = racing.join_all().await;
    pairs.dedup();
    assert_eq!(pairs.len(), 1, "one token has one successor");
}

#[tokio::test]
async fn nothing_that_is_refreshed_outlives_the_first_refresh_token() {
    let app = open(&["--token-seconds", "100000"]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    app.advance(Duration::from_secs(90_000));
    let answer = refresh(&app, &wish(&old, None)).await;
    assert_eq!(answer.json()["expires_in"], 10_000);
    app.advance(Duration::from_secs(10_000));
    assert_eq!(app.get("/auth/me", &pair(&answer).access).await.code(), "invalid_token");
    assert_invalid_grant(&refresh(&app, &wish(&pair(&answer), None)).await);
}

#[tokio::test]
async fn a_sign_out_ends_the_refresh_token_too() {
    let app = open(&[]).await;
    let tokens = pair(&app.try_login("ada", PASSWORD).await);
    app.post("/auth/logout", &tokens.access, &Value::Null).await;
    assert_invalid_grant(&refresh(&app, &wish(&tokens, Some(ATTEMPT))).await);
}

#[tokio::test]
async fn whoever_comes_back_after_the_access_token_expired_can_still_sign_out() {
    let app = open(&[]).await;
    let tokens = pair(&app.try_login("ada", PASSWORD).await);
    app.advance(Duration::from_secs(43_200));
    let none = app.post("/auth/logout", &tokens.access, &Value::Null).await;
    assert_eq!(none.code(), "invalid_token");
    let answer = app.post("/auth/logout", &tokens.access, &wish(&tokens, None)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_invalid_grant(&refresh(&app, &wish(&tokens, None)).await);
    let again = app.post("/auth/logout", &tokens.access, &wish(&tokens, None)).await;
    assert_eq!(again.code(), "invalid_token");
}

#[tokio::test]
async fn each_kind_of_token_is_good_for_its_own_path_only() {
    let app = open(&[]).await;
    let tokens = pair(&app.try_login("ada", PASSWORD).await);
    assert_eq!(app.get("/auth/me", &tokens.refresh).await.code(), "invalid_token");
    let swapped = json!({ "refresh_token": tokens.access });
    assert_invalid_grant(&refresh(&app, &swapped).await);
    assert_eq!(app.get("/auth/me", &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_wish_is_refused_with_a_sentence() {
    let app = open(&[]).await;
    let tokens = pair(&app.try_login("ada", PASSWORD).await);
    for (body, code) in [
        (json!({}), "invalid_request"),
        (json!({ "refresh_token": 7 }), "invalid_request"),
        (json!({ "refresh_token": tokens.refresh, "attempt": "short" }), "invalid_request"),
        (json!({ "refresh_token": "" }), "invalid_grant"),
        (json!({ "refresh_token": "a.b.c" }), "invalid_grant"),
    ] {
        let answer = refresh(&app, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{body}");
    }
    // None of them has used the token up.
    pair(&refresh(&app, &wish(&tokens, None)).await);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_refuses_no_refresh() {
    let files = Files::with_ada();
    let app = App::open_with(&files, &["--refresh"]).await;
    let tokens = pair(&app.try_login("ada", PASSWORD).await);
    let away = files.path("").with_file_name("away");
    std::fs::rename(files.path(""), &away).expect("it is ours");
    let answer = refresh(&app, &wish(&tokens, Some(ATTEMPT))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "store_unavailable"));
    std::fs::rename(&away, files.path("")).expect("it is ours");
    pair(&refresh(&app, &wish(&tokens, Some(ATTEMPT))).await);
}

#[tokio::test]
async fn the_store_holds_no_token_and_nothing_that_opens_without_one() {
    let files = Files::with_ada();
    let app = App::open_with(&files, &["--refresh"]).await;
    let old = pair(&app.try_login("ada", PASSWORD).await);
    let new = pair(&refresh(&app, &wish(&old, Some(ATTEMPT))).await);
    let text = std::fs::read_to_string(files.store()).expect("there is a store");
    for secret in [&old.access, &old.refresh, &new.access, &new.refresh, ATTEMPT] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[derive(Debug, PartialEq)]
struct Pair {
    access: String,
    refresh: String,
}

async fn open(more: &[&str]) -> App {
    App::open_with(&Files::with_ada(), &[&["--refresh"], more].concat()).await
}

async fn refresh(app: &App, body: &Value) -> Answer {
    app.post("/auth/refresh", "none", body).await
}

fn wish(pair: &Pair, attempt: Option<&str>) -> Value {
    match attempt {
        Some(attempt) => json!({ "refresh_token": pair.refresh, "attempt": attempt }),
        None => json!({ "refresh_token": pair.refresh }),
    }
}

fn pair(answer: &Answer) -> Pair {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = answer.json();
    let text = |name: &str| body[name].as_str().expect("a pair has both tokens").to_owned();
    Pair { access: text("access_token"), refresh: text("refresh_token") }
}

fn assert_invalid_grant(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_grant"));
    assert_eq!(answer.header("www-authenticate"), None);
}
