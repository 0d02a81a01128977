//! Cookie sessions: what browsers are told to keep, the fence against other sites, and rotation on
//! activity.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, App, Files, PASSWORD};

#[tokio::test]
async fn a_cookie_sign_in_shows_scripts_the_csrf_token_and_no_other() {
    let app = App::open(&Files::with_ada()).await;
    let answer = sign_in(&app).await;
    assert!(answer.json().get("access_token").is_none(), "{answer:?}");
    assert_eq!(answer.json()["user"], json!({ "username": "ada" }));
    let lines = set_cookies(&answer);
    let session = lines.iter().find(|line| line.starts_with("__Host-session=")).expect("it is set");
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/;", "Max-Age=604800"]
    {
        assert!(session.contains(attribute), "{attribute} in {session}");
    }
    assert!(!session.contains("Domain"), "__Host- cookies have none: {session}");
    let csrf = lines.iter().find(|line| line.starts_with("__Host-csrf=")).expect("it is set");
    assert!(csrf.contains("; Secure") && !csrf.contains("HttpOnly"), "{csrf}");
}

#[tokio::test]
async fn a_cookie_signs_in_as_a_header_does() {
    let app = App::open(&Files::with_ada()).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let me = browser.send(&app, "GET", "/auth/me", Csrf::Left).await;
    assert_eq!(me.json()["username"], "ada");
}

#[tokio::test]
async fn a_change_with_a_cookie_needs_the_csrf_token_and_is_never_401_without() {
    let app = App::open(&Files::with_ada()).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let tag = json!({ "name": "north" });
    for csrf in [Csrf::Left, Csrf::Wrong] {
        let answer = browser.send_body(&app, "POST", "/api/tags", csrf, &tag).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "csrf_failed"));
        assert_eq!(answer.header("x-csrf-token"), Some(&*browser.cookies["__Host-csrf"]));
    }
    let answer = browser.send_body(&app, "POST", "/api/tags", Csrf::Right, &tag).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let left = browser.send(&app, "POST", "/auth/logout", Csrf::Left).await;
    assert_eq!(left.code(), "csrf_failed");
    assert_eq!(browser.send(&app, "GET", "/auth/me", Csrf::Left).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_out_takes_the_cookies_away() {
    let app = App::open(&Files::with_ada()).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let answer = browser.send(&app, "POST", "/auth/logout", Csrf::Right).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(set_cookies(&answer).iter().all(|line| line.contains("Max-Age=0")), "{answer:?}");
    let refused = browser.send(&app, "GET", "/auth/me", Csrf::Left).await;
    assert_eq!(refused.code(), "invalid_token");
}

#[tokio::test]
async fn what_else_is_in_the_cookies_or_in_a_proxys_header_signs_nobody_out() {
    let app = App::open(&Files::with_ada()).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let odd = axum::http::HeaderValue::from_bytes(b"name=J\xfcrgen").expect("browsers send such");
    let request = browser.request("GET", "/auth/me").header("cookie", odd);
    let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let request = browser.request("GET", "/auth/me").header("authorization", "Basic YTpi");
    let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn a_sign_out_of_a_session_that_is_due_for_a_new_token_leaves_no_cookie() {
    let app = rotating().await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(600));
    let answer = browser.send(&app, "POST", "/auth/logout", Csrf::Right).await;
    assert!(set_cookies(&answer).iter().all(|line| line.contains("Max-Age=0")), "{answer:?}");
}

#[tokio::test]
async fn a_header_goes_before_a_cookie() {
    let app = App::open(&Files::with_ada()).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let request = browser.request("GET", "/auth/me").header("authorization", "Bearer wrong");
    let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cookie_session_is_refreshed_by_its_cookie_and_the_csrf_token() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    let before = browser.cookies.clone();
    let refused = browser.send_body(&app, "POST", "/auth/refresh", Csrf::Left, &json!({})).await;
    assert_eq!(refused.code(), "csrf_failed");
    // Where the access token has run out, no other answer tells it.
    assert_eq!(refused.header("x-csrf-token"), Some(&*browser.cookies["__Host-csrf"]));
    let answer = browser.send_body(&app, "POST", "/auth/refresh", Csrf::Right, &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_no_token_but_csrf(&answer, &browser);
    browser.take(&answer);
    for name in ["__Host-session", "__Host-refresh"] {
        assert_ne!(before[name], browser.cookies[name]);
    }
    assert_eq!(before["__Host-csrf"], browser.cookies["__Host-csrf"]);
    assert_eq!(browser.send(&app, "GET", "/auth/me", Csrf::Left).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_session_whose_access_token_expired_is_signed_out_by_the_refresh_cookie() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(43_200));
    let refused = browser.send(&app, "POST", "/auth/logout", Csrf::Left).await;
    assert_eq!(refused.code(), "csrf_failed");
    let answer = browser.send(&app, "POST", "/auth/logout", Csrf::Right).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let refresh = browser.send_body(&app, "POST", "/auth/refresh", Csrf::Right, &json!({})).await;
    assert_eq!(refresh.code(), "invalid_grant");
}

#[tokio::test]
async fn activity_gives_an_old_cookie_session_a_new_token() {
    let app = rotating().await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(599));
    assert!(set_cookies(&me(&browser, &app).await).is_empty());
    app.advance(Duration::from_secs(1));
    let answer = me(&browser, &app).await;
    let old = browser.cookies.clone();
    browser.take(&answer);
    assert_ne!(old["__Host-session"], browser.cookies["__Host-session"]);
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
    // It goes on for another lifetime.
    app.advance(Duration::from_secs(3_000));
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_with_a_new_cookie_that_is_lost_loses_nobody() {
    let app = rotating().await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(600));
    let lost = set_cookies(&me(&browser, &app).await);
    assert_eq!(lost.len(), 2);
    app.advance(Duration::from_secs(1_000));
    let again = me(&browser, &app).await;
    let value = |lines: &[String]| lines[0].split(';').next().map(str::to_owned);
    assert_eq!(value(&set_cookies(&again)), value(&lost), "the same successor");
    browser.take(&again);
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_cookie_is_refused_when_its_successor_was_used() {
    let app = rotating().await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(600));
    let old = browser.clone();
    browser.take(&me(&browser, &app).await);
    app.advance(Duration::from_secs(59));
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
    assert_eq!(me(&old, &app).await.status, StatusCode::OK, "requests may be under way");
    app.advance(Duration::from_secs(1));
    assert_eq!(me(&old, &app).await.code(), "invalid_token");
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_cookie_is_bound_to_the_address_as_the_first_was() {
    let more = ["--rotate-after-seconds", "600", "--token-seconds", "3600", "--bind-address"];
    let app = App::open_with(&Files::with_ada(), &more).await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(600));
    browser.take(&me(&browser, &app).await);
    assert_eq!(me(&browser, &app).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_background_verification_is_no_activity() {
    let app = rotating().await;
    let mut browser = Browser::default();
    browser.take(&sign_in(&app).await);
    app.advance(Duration::from_secs(1_200));
    let request = browser.request("GET", "/auth/me").header("x-background", "1");
    let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(set_cookies(&answer).is_empty(), "{answer:?}");
    let used = used_at(&browser, &app, Some("1")).await;
    assert_eq!(used, "2030-03-17T17:46:40.000Z", "the sign-in");
    let used = used_at(&browser, &app, None).await;
    assert_eq!(used, "2030-03-17T18:06:40.000Z", "this request");
}

async fn used_at(browser: &Browser, app: &App, background: Option<&str>) -> String {
    for _ in 0..2 {
        let mut request = browser.request("GET", "/auth/sessions");
        if let Some(value) = background {
            request = request.header("x-background", value);
        }
        let answer = app.send(request.body(Body::empty()).expect("it is valid")).await;
        if background.is_some()
            || answer.json()["sessions"][0]["used_at"] != "2030-03-17T17:46:40.000Z"
        {
            return answer.json()["sessions"][0]["used_at"].as_str().unwrap_or_default().to_owned();
        }
    }
    panic!("the use was not noted")
}

fn assert_no_token_but_csrf(answer: &Answer, browser: &Browser) {
    let mut body = answer.json();
    assert_eq!(body["csrf_token"], *browser.cookies["__Host-csrf"]);
    body["csrf_token"].take();
    assert_eq!(body.to_string().matches("token").count(), 1, "{body}");
}

#[tokio::test]
async fn a_request_that_changes_something_is_a_use_whatever_it_says_of_itself() {
    let app = App::open_with(&Files::with_ada(), &["--idle-seconds", "600"]).await;
    let token = app.login().await;
    let post = async |background: bool| {
        let mut request = Request::post("/api/tags").header("content-type", "application/json");
        request = request.header("authorization", format!("Bearer {token}"));
        if background {
            request = request.header("x-background", "1");
        }
        let body = json!({ "name": "north" }).to_string();
        app.send(request.body(body.into()).expect("it is valid")).await
    };
    for _ in 0..3 {
        app.advance(Duration::from_secs(599));
        assert_eq!(post(true).await.status, StatusCode::CREATED);
    }
    app.advance(Duration::from_secs(600));
    assert_eq!(post(false).await.code(), "invalid_token", "nobody used it for so long");
}

#[derive(Clone, Copy)]
enum Csrf {
    Left,
    Wrong,
    Right,
}

#[derive(Clone, Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn take(&mut self, answer: &Answer) {
        for line in set_cookies(answer) {
            let (name, value) = line.split_once('=').expect("a cookie has a name");
            let value = value.split(';').next().unwrap_or_default();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Request::builder().method(method).uri(path).header("cookie", pairs.join("; "))
    }

    async fn send(&self, app: &App, method: &str, path: &str, csrf: Csrf) -> Answer {
        self.send_body(app, method, path, csrf, &Value::Null).await
    }

    async fn send_body(
        &self,
        app: &App,
        method: &str,
        path: &str,
        csrf: Csrf,
        body: &Value,
    ) -> Answer {
        let mut request = self.request(method, path).header("content-type", "application/json");
        match csrf {
            Csrf::Left => {}
            Csrf::Wrong => request = request.header("x-csrf-token", "A".repeat(43)),
            Csrf::Right => request = request.header("x-csrf-token", &self.cookies["__Host-csrf"]),
        }
        app.send(request.body(Body::from(body.to_string())).expect("it is valid")).await
    }
}

async fn rotating() -> App {
    let more = ["--rotate-after-seconds", "600", "--token-seconds", "3600"];
    App::open_with(&Files::with_ada(), &more).await
}

async fn me(browser: &Browser, app: &App) -> Answer {
    browser.send(app, "GET", "/auth/me", Csrf::Left).await
}

async fn sign_in(app: &App) -> Answer {
    let body = json!({ "username": "ada", "password": PASSWORD, "cookie": true });
    let request = Request::post("/auth/login").header("content-type", "application/json");
    let answer = app.send(request.body(Body::from(body.to_string())).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer
}

fn set_cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    lines.map(|value| value.to_str().expect("our cookies are ASCII").to_owned()).collect()
}
