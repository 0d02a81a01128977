//! Limits and conditions that are no verdict: sign-ins, requests of a token, the client's address;
//! and the headers that hold for all answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::support::{Answer, App, Files, PASSWORD, token_in};

#[tokio::test]
async fn an_account_is_limited_after_ten_failures_whether_or_not_it_exists() {
    let app = App::open(&Files::with_ada()).await;
    for name in ["ada", "nobody"] {
        for _ in 0..10 {
            assert_eq!(app.try_login(name, "wrong").await.code(), "invalid_credentials");
        }
        let limited = app.try_login(name, PASSWORD).await;
        assert_limited(&limited, 900);
        assert_eq!(limited.header("www-authenticate"), None);
    }
    app.advance(Duration::from_secs(900));
    token_in(&app.try_login("ada", PASSWORD).await);
}

#[tokio::test]
async fn a_sign_in_that_succeeds_forgives_the_failures_before_it() {
    let app = App::open(&Files::with_ada()).await;
    for _ in 0..3 {
        for _ in 0..9 {
            assert_eq!(app.try_login("ada", "wrong").await.code(), "invalid_credentials");
        }
        app.login().await;
    }
}

#[tokio::test]
async fn an_address_is_limited_over_all_accounts_and_no_other_address_with_it() {
    let more = ["--trusted-proxies", "1", "--login-attempts-per-address", "3"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    for name in ["a", "b", "c"] {
        let answer = login_from(&app, "192.0.2.1", name, "wrong").await;
        assert_eq!(answer.code(), "invalid_credentials");
    }
    assert_limited(&login_from(&app, "192.0.2.1", "ada", PASSWORD).await, 900);
    token_in(&login_from(&app, "192.0.2.2", "ada", PASSWORD).await);
}

#[tokio::test]
async fn an_address_that_is_limited_locks_no_account() {
    let more = ["--trusted-proxies", "1", "--login-attempts-per-address", "2"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    for _ in 0..20 {
        login_from(&app, "192.0.2.1", "ada", "wrong").await;
    }
    token_in(&login_from(&app, "192.0.2.2", "ada", PASSWORD).await);
}

#[tokio::test]
async fn an_office_that_signs_in_rightly_is_not_limited() {
    let more = ["--login-attempts-per-address", "3", "--login-attempts", "3"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    for _ in 0..10 {
        app.login().await;
    }
}

#[tokio::test]
async fn a_token_over_its_limit_is_told_to_wait_and_not_that_it_is_wrong() {
    let more = ["--token-requests-per-minute", "2"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    let (one, other) = (app.login().await, app.login().await);
    for _ in 0..2 {
        assert_eq!(app.get("/auth/me", &one).await.status, StatusCode::OK);
    }
    assert_limited(&app.get("/auth/me", &one).await, 60);
    assert_eq!(app.get("/auth/me", &other).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(60));
    assert_eq!(app.get("/auth/me", &one).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_bound_token_is_refused_elsewhere_with_a_reason_of_its_own() {
    for more in [&["--bind-address", "--trusted-proxies", "1"][..], &["--trusted-proxies", "1"]] {
        let app = App::open_with(&Files::with_ada(), more).await;
        let token = token_in(&login_from(&app, "192.0.2.1", "ada", PASSWORD).await);
        assert_eq!(me_from(&app, "192.0.2.1", &token).await.status, StatusCode::OK);
        let elsewhere = me_from(&app, "192.0.2.2", &token).await;
        if more.contains(&"--bind-address") {
            assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED);
            assert_eq!(elsewhere.code(), "address_changed");
        } else {
            assert_eq!(elsewhere.status, StatusCode::OK, "off by default");
        }
        assert_eq!(me_from(&app, "192.0.2.1", &token).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_cannot_choose_its_address_where_no_proxy_is_trusted() {
    let app = App::open_with(&Files::with_ada(), &["--bind-address"]).await;
    let token = token_in(&login_from(&app, "192.0.2.1", "ada", PASSWORD).await);
    assert_eq!(me_from(&app, "192.0.2.2", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_no_other_client() {
    let more = ["--trusted-proxies", "1", "--login-attempts-per-address", "2"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    for address in ["unknown", "not an address"] {
        assert_eq!(login_from(&app, address, "ada", "wrong").await.code(), "invalid_credentials");
    }
    // One count for all of them, and none of its own for each or for the proxy.
    assert_limited(&login_from(&app, "_hidden", "ada", PASSWORD).await, 900);
    let odd = Request::post("/auth/login")
        .header("content-type", "application/json")
        .header("x-forwarded-for", &b"\xff, 192.0.2.9"[..]);
    let body = json!({ "username": "ada", "password": "wrong" }).to_string();
    let answer = app.send(odd.body(body.into()).expect("such bytes arrive")).await;
    assert_eq!(answer.code(), "invalid_credentials", "the proxy's own entry counts");
}

#[tokio::test]
async fn a_bound_token_is_good_from_no_address_that_cannot_be_read() {
    let more = ["--bind-address", "--trusted-proxies", "1"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    let refused = login_from(&app, "unknown", "ada", PASSWORD).await;
    assert_eq!(refused.code(), "invalid_request", "nothing that it could be bound to");
    let token = token_in(&login_from(&app, "192.0.2.1", "ada", PASSWORD).await);
    for address in ["unknown", "192.0.2.1, unknown", "[[::1]]"] {
        let answer = me_from(&app, address, &token).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address}: no verdict, and no entry");
    }
    assert_eq!(me_from(&app, "unknown, 192.0.2.1", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_tells_browsers_that_it_is_no_page() {
    let app = App::open(&Files::with_ada()).await;
    for path in ["/api/health", "/auth/me", "/nowhere"] {
        let answer = app.get(path, "wrong").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
}

#[tokio::test]
async fn browsers_are_bound_to_https_where_a_trusted_proxy_says_it_is() {
    let files = Files::with_ada();
    for (more, proto, is_bound) in [
        (&["--trusted-proxies", "1"][..], "https", true),
        (&["--trusted-proxies", "1"], "http", false),
        (&[], "https", false),
    ] {
        let app = App::open_with(&files, more).await;
        let request = Request::get("/api/health").header("x-forwarded-proto", proto);
        let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
        let bound = answer.header("strict-transport-security").is_some();
        assert_eq!(bound, is_bound, "{more:?} {proto}");
    }
}

#[tokio::test]
async fn the_debug_view_is_404_unless_it_is_asked_for_and_shows_no_token() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    assert_eq!(app.get("/api/debug/token", &token).await.code(), "not_found");
    let app = App::open_with(&files, &["--debug-token"]).await;
    let good = app.get("/api/debug/token", &token).await;
    assert!(!good.text.contains(&token), "{good:?}");
    let info = &good.json()["token_info"];
    assert_eq!((&info["has_token"], &info["is_valid"]), (&json!(true), &json!(true)));
    assert_eq!(info["expires_in"], 604_800);
    let bad = app.get("/api/debug/token", "wrong").await;
    assert_eq!(bad.status, StatusCode::OK, "a view is no verdict");
    assert_eq!(bad.json()["token_info"]["is_valid"], false);
    let none = Request::get("/api/debug/token").body(Body::empty()).expect("it is valid");
    assert_eq!(app.send(none).await.json()["token_info"]["has_token"], false);
}

fn assert_limited(answer: &Answer, seconds: u64) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limited"));
    let wait = answer.header("retry-after").and_then(|text| text.parse().ok());
    assert_eq!(wait, Some(seconds));
}

async fn login_from(app: &App, address: &str, name: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "password": password });
    let request = Request::post("/auth/login")
        .header("content-type", "application/json")
        .header("x-forwarded-for", address);
    app.send(request.body(Body::from(body.to_string())).expect("it is valid")).await
}

async fn me_from(app: &App, address: &str, token: &str) -> Answer {
    let request = Request::get("/auth/me")
        .header("authorization", format!("Bearer {token}"))
        .header("x-forwarded-for", address);
    app.send(request.body(Body::empty()).expect("it is valid")).await
}
