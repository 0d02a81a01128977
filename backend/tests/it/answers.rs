//! What every answer has in common: the form of errors, challenges, CORS, no caching.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::support::{Answer, App, Files, ORIGIN, PASSWORD};

const UNKNOWN_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn every_error_is_json_with_a_code_and_says_who_answers() {
    let app = App::open(&Files::with_ada()).await;
    let health = app.send(plain("GET", "/api/health")).await.json();
    let too_large = format!(r#"{{"username": "{}"}}"#, "x".repeat(64 * 1024));
    let cases = [
        (plain("GET", "/nowhere"), 404, "not_found"),
        (plain("GET", "/"), 404, "not_found"),
        (plain("PUT", "/auth/me"), 405, "method_not_allowed"),
        (plain("GET", "/auth/login"), 405, "method_not_allowed"),
        (plain("GET", "/auth/me"), 401, "invalid_token"),
        (plain("POST", "/auth/logout"), 401, "invalid_token"),
        (plain("GET", "/api/tags"), 401, "invalid_token"),
        (login_with(""), 400, "invalid_request"),
        (login_with("{"), 400, "invalid_request"),
        (login_with("[]"), 400, "invalid_request"),
        (login_with(r#"{"username": "ada"}"#), 400, "invalid_request"),
        (login_with(r#"{"username": "ada", "password": 1}"#), 400, "invalid_request"),
        (login_with(&too_large), 413, "payload_too_large"),
        (plain("POST", "/auth/login"), 415, "invalid_request"),
    ];
    for (request, status, code) in cases {
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{asked}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{asked}");
        assert_eq!(answer.json()["boot"], health["boot"], "{asked}");
        assert_eq!(answer.json()["instance"], health["instance"], "{asked}");
        assert!(answer.json()["message"].is_string(), "{asked}");
    }
}

#[tokio::test]
async fn a_refused_body_is_not_quoted() {
    let app = App::open(&Files::with_ada()).await;
    let answer = app.send(login_with(r#"{"username": "ada", "password": 31415926}"#)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.text.contains("31415926"), "{answer:?}");
}

#[tokio::test]
async fn a_refused_token_is_challenged_as_wire_md_says() {
    let app = App::open(&Files::with_ada()).await;
    assert_eq!(UNKNOWN_TOKEN.len(), app.login().await.len());
    for token in [UNKNOWN_TOKEN, "not-a-token", ""] {
        let answer = app.get("/auth/me", token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["message"], "Invalid or expired token");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_challenged_without_an_error() {
    let app = App::open(&Files::with_ada()).await;
    let basic = Request::get("/auth/me").header("authorization", "Basic YWRhOnB3");
    let basic = basic.body(Body::empty()).expect("it is valid");
    for request in [plain("GET", "/auth/me"), basic] {
        let answer = app.send(request).await;
        assert_eq!(answer.code(), "invalid_token");
        assert_eq!(answer.json()["message"], "Invalid or expired token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_valid_token_beside_a_second_header_is_refused() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    let request = Request::get("/auth/me")
        .header("authorization", format!("Bearer {token}"))
        .header("authorization", format!("Bearer {UNKNOWN_TOKEN}"));
    let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_preflight_from_a_named_origin_is_answered_without_credentials() {
    let app = App::open(&Files::with_ada()).await;
    let answer = app.send(preflight(ORIGIN)).await;
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    let allowed = answer.header("access-control-allow-headers").map(str::to_ascii_lowercase);
    assert_eq!(allowed.as_deref(), Some("authorization,content-type,x-background,x-csrf-token"));
    assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,PUT,PATCH,DELETE"));
}

#[tokio::test]
async fn another_origin_is_told_nothing() {
    let app = App::open(&Files::with_ada()).await;
    let preflight = app.send(preflight("https://evil.example")).await;
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    let refusal = from_origin(&app, "/auth/me", "https://evil.example").await;
    assert_eq!(refusal.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_page_can_read_errors_and_the_headers_that_the_keeper_needs() {
    let app = App::open(&Files::with_ada()).await;
    for (path, status) in [("/auth/me", 401), ("/nowhere", 404), ("/auth/login", 405)]
        .into_iter()
        .chain([("/api/health", 200)])
    {
        let answer = from_origin(&app, path, ORIGIN).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{path}");
        let exposed = answer.header("access-control-expose-headers").map(str::to_ascii_lowercase);
        let expected = "www-authenticate,retry-after,date,x-csrf-token,x-request-id";
        assert_eq!(exposed.as_deref(), Some(expected), "{path}");
    }
}

#[tokio::test]
async fn no_answer_may_be_cached() {
    let app = App::open(&Files::with_ada()).await;
    let token = app.login().await;
    let answers = [
        app.send(plain("GET", "/api/health")).await,
        app.get("/auth/me", &token).await,
        app.get("/auth/me", UNKNOWN_TOKEN).await,
        app.get("/nowhere", &token).await,
        app.try_login("ada", PASSWORD).await,
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    }
}

#[tokio::test]
async fn health_needs_neither_credential_nor_store() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    std::fs::remove_dir_all(files.path("")).expect("the folder is ours");
    let answer = app.send(plain("GET", "/api/health")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let health = answer.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["instance"], "1");
    assert_eq!(health["now"], 1_900_000_000_000_u64);
    assert!(health["uptime"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{health}");
    assert_eq!(health["boot"].as_str().map(str::len), Some(32));
}

#[tokio::test]
async fn each_start_has_a_boot_id_of_its_own() {
    let files = Files::with_ada();
    let (one, other) =
        (App::open(&files).await, App::open_with(&files, &["--instance", "worker-2"]).await);
    let one = one.send(plain("GET", "/api/health")).await.json();
    let other = other.send(plain("GET", "/api/health")).await.json();
    assert_ne!(one["boot"], other["boot"]);
    assert_eq!(other["instance"], "worker-2");
}

async fn from_origin(app: &App, path: &str, origin: &str) -> Answer {
    let request = Request::get(path).header("origin", origin);
    app.send(request.body(Body::empty()).expect("it is valid")).await
}

fn preflight(origin: &str) -> Request<Body> {
    Request::options("/auth/me")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization,x-background")
        .body(Body::empty())
        .expect("it is valid")
}

fn plain(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("it is valid")
}

fn login_with(body: &str) -> Request<Body> {
    // A proxy or a client library may add the character set.
    Request::post("/auth/login")
        .header("content-type", "application/json; charset=utf-8")
        .body(Body::from(body.to_owned()))
        .expect("it is valid")
}
