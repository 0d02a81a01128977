//! Requests that a page of another site makes a browser send, with the cookies of its user.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, App, Files, ORIGIN, PASSWORD};

/// The headers of a browser whose page is elsewhere, and of one that does not send
/// `Sec-Fetch-Site`.
const FOREIGN: [&[(&str, &str)]; 4] = [
    &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "same-site"), ("origin", "https://evil.app.example")],
    &[("sec-fetch-site", "cross-site"), ("origin", "null")],
    &[("origin", "https://evil.example")],
];

#[tokio::test]
async fn a_foreign_form_with_a_refresh_token_ends_no_session_and_erases_no_cookie() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let (attackers, victim) = (sign_in(&app, false).await, sign_in(&app, true).await);
    let cookies = cookies_of(&victim);
    let refresh = attackers.json()["refresh_token"].clone();
    let body = json!({ "refresh_token": refresh, "x": "=" }).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
        for foreign in FOREIGN.iter().chain([&&[][..]]) {
            let is_program = foreign.is_empty();
            let mut request = Request::post("/auth/logout").header("cookie", header(&cookies));
            request = request.header("content-type", content_type);
            for (name, value) in *foreign {
                request = request.header(*name, *value);
            }
            if is_program && content_type == "application/json" {
                continue;
            }
            let answer = app.send(request.body(body.clone().into()).expect("it is valid")).await;
            let expected = if is_program { 415 } else { 403 };
            assert_eq!(answer.status.as_u16(), expected, "{content_type} {foreign:?}: {answer:?}");
            assert!(answer.headers.get("set-cookie").is_none(), "{answer:?}");
        }
    }
    let access = attackers.json()["access_token"].as_str().expect("there is one").to_owned();
    assert_eq!(app.get("/auth/me", &access).await.status, StatusCode::OK);
    assert_eq!(me(&app, &cookies, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_out_by_a_token_of_the_body_erases_no_cookie() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let (tokens, browser) = (sign_in(&app, false).await, sign_in(&app, true).await);
    let body = json!({ "refresh_token": tokens.json()["refresh_token"] });
    let request = Request::post("/auth/logout").header("content-type", "application/json");
    let request = request.header("cookie", header(&cookies_of(&browser)));
    // The cookie of this browser is another session's, and without its CSRF token no credential.
    let refused = app.send(request.body(body.to_string().into()).expect("it is valid")).await;
    assert_eq!(refused.code(), "csrf_failed");
    let access = tokens.json()["access_token"].as_str().expect("there is one").to_owned();
    let ended = app.post("/auth/logout", &access, &Value::Null).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert!(ended.headers.get("set-cookie").is_none(), "{ended:?}");
}

#[tokio::test]
async fn nothing_is_changed_for_a_foreign_page_and_everything_for_a_listed_one() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let browser = sign_in(&app, true).await;
    let cookies = cookies_of(&browser);
    let tag = json!({ "name": "north" }).to_string();
    let post = async |headers: &[(&str, &str)]| {
        let mut request = Request::post("/api/tags").header("content-type", "application/json");
        request = request.header("cookie", header(&cookies)).header("host", "api.example");
        request = request.header("x-csrf-token", &cookies["__Host-csrf"]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(tag.clone().into()).expect("it is valid")).await
    };
    for foreign in FOREIGN {
        let answer = post(foreign).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "foreign_origin"));
        assert_eq!(answer.header("x-csrf-token"), None);
        let answer = me(&app, &cookies, foreign).await;
        assert_eq!(answer.code(), "foreign_origin", "its cookies are not read either");
    }
    for ours in [
        &[("sec-fetch-site", "same-origin"), ("origin", "https://api.example")][..],
        &[("origin", "https://api.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", ORIGIN)],
        &[("origin", ORIGIN)],
        &[],
    ] {
        assert_eq!(post(ours).await.status, StatusCode::CREATED, "{ours:?}");
        assert_eq!(me(&app, &cookies, ours).await.status, StatusCode::OK, "{ours:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_host_gets_the_csrf_token_in_each_answer_that_it_needs_it_from() {
    let app = App::open_with(&Files::with_ada(), &["--refresh"]).await;
    let signed_in = sign_in(&app, true).await;
    let mut cookies = cookies_of(&signed_in);
    let csrf = cookies["__Host-csrf"].clone();
    let refresh = async |cookies: &BTreeMap<String, String>| {
        let request = Request::post("/auth/refresh").header("content-type", "application/json");
        let request = request.header("cookie", header(cookies)).header("x-csrf-token", &csrf);
        app.send(request.body("{}".into()).expect("it is valid")).await
    };
    let refreshed = refresh(&cookies).await;
    cookies = cookies_of(&refreshed);
    for answer in [signed_in, refreshed, me(&app, &cookies, &[]).await] {
        assert_eq!(answer.json()["csrf_token"], *csrf, "{answer:?}");
        assert_eq!(answer.header("x-csrf-token"), Some(&*csrf));
    }
    let bearer = sign_in(&app, false).await;
    assert!(bearer.json().get("csrf_token").is_none(), "it is for cookies");
    let access = bearer.json()["access_token"].as_str().expect("there is one").to_owned();
    assert!(app.get("/auth/me", &access).await.json().get("csrf_token").is_none());
}

#[tokio::test]
async fn cookies_for_pages_of_other_sites_are_partitioned_also_when_they_are_erased() {
    let app = App::open_with(&Files::with_ada(), &["--cookie-same-site", "none"]).await;
    let signed_in = sign_in(&app, true).await;
    let cookies = cookies_of(&signed_in);
    let request = Request::post("/auth/logout").header("cookie", header(&cookies));
    let request = request.header("x-csrf-token", &cookies["__Host-csrf"]).body(Body::empty());
    let ended = app.send(request.expect("it is valid")).await;
    for answer in [&signed_in, &ended] {
        for line in lines(answer) {
            assert!(line.contains("; Secure; SameSite=None; Partitioned"), "{line}");
        }
    }
    assert_eq!(lines(&ended).len(), 3);
}

#[tokio::test]
async fn a_body_is_an_object_and_no_list_of_its_fields() {
    let app = App::open(&Files::with_ada()).await;
    for body in [json!(["ada", PASSWORD]), json!("ada"), Value::Null] {
        assert_eq!(app.post("/auth/login", "none", &body).await.code(), "invalid_request");
    }
}

async fn sign_in(app: &App, cookie: bool) -> Answer {
    let body = json!({ "username": "ada", "password": PASSWORD, "cookie": cookie });
    let request = Request::post("/auth/login").header("content-type", "application/json");
    let answer = app.send(request.body(body.to_string().into()).expect("it is valid")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer
}

async fn me(app: &App, cookies: &BTreeMap<String, String>, more: &[(&str, &str)]) -> Answer {
    let mut request = Request::get("/auth/me").header("cookie", header(cookies));
    request = request.header("host", "api.example");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::empty()).expect("it is valid")).await
}

fn lines(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    lines.map(|line| line.to_str().expect("ours are ASCII").to_owned()).collect()
}

fn cookies_of(answer: &Answer) -> BTreeMap<String, String> {
    let pair = |line: String| {
        let (name, rest) = line.split_once('=').expect("a cookie has a name");
        (name.to_owned(), rest.split(';').next().unwrap_or_default().to_owned())
    };
    lines(answer).into_iter().map(pair).collect()
}

fn header(cookies: &BTreeMap<String, String>) -> String {
    let pairs = cookies.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}
