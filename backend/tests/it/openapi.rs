//! The OpenAPI document against the app: the same routes, the same answers, the same codes.
//!
//! Rule: whatever an answer shows is in the document, and whatever the document promises is shown,
//! but for the few things that [`UNPROVOKED`] gives a reason for. Bodies are held against their
//! schemas by schemathesis (`tests/api`).

use std::collections::BTreeSet;
use std::fs;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use session_keeper_backend::{OPENAPI, served};

use crate::support::{Answer, App, Files, PASSWORD};

/// What no test here can bring about, and why.
const UNPROVOKED: [(&str, &str); 4] = [
    ("/api/upstream/{path} 200", "it takes a server behind: tests/api/upstream.test.mjs has one"),
    ("jwks.json 503", "it takes a key file that is gone: `signed` does it"),
    ("408", "a body takes 20 s to be too slow, by the real clock"),
    ("internal", "it is a bug: none is known"),
];

const WIRE: &str = include_str!("../../../docs/wire.md");

/// `METHOD path status`, as the document and the answers are compared.
type Statuses = BTreeSet<String>;

#[test]
fn the_document_lists_what_is_served_and_nothing_else() {
    let document = document();
    let paths = document["paths"].as_object().expect("there are paths");
    let listed: BTreeSet<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path has methods");
            methods.keys().map(move |method| (path.as_str(), method.as_str()))
        })
        .collect();
    assert_eq!(listed, BTreeSet::from_iter(served()));
}

#[test]
fn the_description_of_the_wire_names_every_route_and_every_code() {
    for (path, method) in served() {
        let route = format!("`{} {path}`", method.to_uppercase());
        assert!(WIRE.contains(&route), "docs/wire.md has no {route}");
    }
    for code in codes() {
        assert!(WIRE.contains(&format!("`{code}`")), "docs/wire.md has no `{code}`");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let references = OPENAPI.match_indices("\"$ref\": \"#").map(|(start, mark)| {
        let rest = &OPENAPI[start + mark.len()..];
        rest.split('"').next().expect("it is closed")
    });
    for pointer in references {
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let app = App::open(&Files::empty()).await;
    let answer = app.send(plain("GET", "/api/openapi.json")).await;
    assert_eq!(answer.text, OPENAPI);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn what_is_answered_is_documented_and_what_is_documented_is_answered() {
    let mut seen = Seen::default();
    let files = Files::with_ada();
    for (path, method) in served() {
        everybody_asks(&mut seen, &files, method, path).await;
    }
    limits_are_met(&mut seen, &files).await;
    the_refresh_is_off(&mut seen, &files).await;
    refreshes_are_too_many(&mut seen, &files).await;
    the_client_is_elsewhere(&mut seen, &files).await;
    the_client_is_unknown(&mut seen, &files).await;
    foreign_pages_ask(&mut seen, &files).await;
    let excused = |what: &str| UNPROVOKED.iter().any(|(name, _)| what.ends_with(name));
    let documented = documented();
    let undocumented: Vec<_> = seen.statuses.difference(&documented).collect();
    assert!(undocumented.is_empty(), "answered, not documented: {undocumented:#?}");
    let missing = documented.difference(&seen.statuses);
    let missing: Vec<_> = missing.filter(|what| !excused(what)).collect();
    assert!(missing.is_empty(), "documented, not answered: {missing:#?}");
    let known = codes();
    let unknown: Vec<_> = seen.codes.difference(&known).collect();
    assert!(unknown.is_empty(), "codes that the document does not know: {unknown:#?}");
    let unused = known.difference(&seen.codes).filter(|code| !excused(code));
    let unused: Vec<_> = unused.collect();
    assert!(unused.is_empty(), "codes that nothing is answered with: {unused:#?}");
}

/// What the answers showed.
#[derive(Default)]
struct Seen {
    statuses: Statuses,
    codes: BTreeSet<String>,
}

impl Seen {
    /// `path` as the document has it.
    async fn ask(&mut self, app: &App, path: &str, request: Request<Body>) -> Answer {
        let method = request.method().clone();
        let answer = app.send(request).await;
        // Of a method that no path takes, the document says nothing.
        if answer.status != 405 {
            self.statuses.insert(format!("{method} {path} {}", answer.status.as_u16()));
        }
        if answer.status.is_client_error() || answer.status.is_server_error() {
            self.codes.insert(answer.code());
        }
        answer
    }
}

/// A route, asked with everything on: without a credential, with good and bad ones, with bodies of
/// all kinds, by the wrong method, and without its store.
async fn everybody_asks(seen: &mut Seen, files: &Files, method: &str, path: &str) {
    let url = "http://127.0.0.1:9";
    let upstream = ["--upstream-url", url, "--upstream-token-url", url];
    let more = [&["--refresh", "--debug-token", "--jwt", "eddsa"][..], &upstream[..]].concat();
    let app = App::open_with(files, &more).await;
    let method = Method::try_from(method.to_uppercase().as_str()).expect("it is one");
    seen.ask(&app, path, plain("PATCH", path)).await;
    let mut signed_in = SignedIn::new(&app).await;
    for credential in ["nothing", "Bearer wrong", "cookie", "cookie and csrf", "Bearer"] {
        for body in bodies(path) {
            let request = signed_in.request(&method, path, credential);
            let request = request.body(signed_in.fill_in(body)).expect("it is valid");
            let answer = seen.ask(&app, path, request).await;
            if answer.status.is_success() && method != Method::GET {
                // The session may be over, or the token used up.
                signed_in = SignedIn::new(&app).await;
            }
        }
        let request = signed_in.request(&method, path, credential);
        let mut not_json = request.body(Body::from("a=b")).expect("it is valid");
        not_json.headers_mut().remove("content-type");
        seen.ask(&app, path, not_json).await;
    }
    let signed_in = SignedIn::new(&app).await;
    fs::remove_file(files.store()).expect("it is ours");
    fs::create_dir(files.store()).expect("the name is free");
    for body in bodies(path) {
        let request = signed_in.request(&method, path, "Bearer");
        seen.ask(&app, path, request.body(signed_in.fill_in(body)).expect("it is valid")).await;
    }
    fs::remove_dir(files.store()).expect("it is empty");
}

/// Bodies for a route: none, what it cannot understand, and what it can.
fn bodies(path: &str) -> Vec<String> {
    let good = match path {
        "/auth/login" => vec![
            json!({ "username": "ada", "password": PASSWORD }),
            json!({ "username": "ada", "password": "wrong" }),
        ],
        "/auth/refresh" => vec![
            json!({ "refresh_token": "$refresh" }),
            json!({ "refresh_token": "A".repeat(43) }),
            json!({}),
        ],
        "/auth/logout" => vec![json!({ "refresh_token": "$refresh" }), json!([])],
        "/auth/logout-everywhere" | "/api/upstream/{path}" => vec![json!({})],
        "/api/tags" => vec![json!({ "name": "north" }), json!({ "name": "" })],
        _ => return vec![String::new()],
    };
    let too_large = format!("\"{}\"", "x".repeat(64 * 1024));
    good.iter().map(Value::to_string).chain([String::new(), "{".to_owned(), too_large]).collect()
}

async fn limits_are_met(seen: &mut Seen, files: &Files) {
    let more = ["--login-attempts", "1", "--token-requests-per-minute", "1"];
    let app = App::open_with(files, &more).await;
    let signed_in = SignedIn::new(&app).await;
    for (path, method) in served() {
        app.get("/auth/me", &signed_in.access).await;
        let method = Method::try_from(method.to_uppercase().as_str()).expect("it is one");
        let request = signed_in.request(&method, path, "Bearer");
        seen.ask(&app, path, request.body(Body::empty()).expect("it is valid")).await;
    }
    for _ in 0..2 {
        let body = json!({ "username": "bob", "password": "wrong" }).to_string();
        let request = signed_in.request(&Method::POST, "/auth/login", "nothing");
        seen.ask(&app, "/auth/login", request.body(body.into()).expect("it is valid")).await;
    }
}

async fn the_refresh_is_off(seen: &mut Seen, files: &Files) {
    let app = App::open(files).await;
    let signed_in = SignedIn::new(&app).await;
    for (path, method) in [("/auth/refresh", Method::POST), ("/api/debug/token", Method::GET)] {
        let request = signed_in.request(&method, path, "nothing");
        let answer = seen.ask(&app, path, request.body(Body::from("{}")).expect("valid")).await;
        assert_eq!(answer.code(), "not_found");
    }
    for (path, method) in served().into_iter().filter(|(path, _)| path.contains("upstream")) {
        let method = Method::try_from(method.to_uppercase().as_str()).expect("it is one");
        let request = signed_in.request(&method, path, "Bearer");
        let answer = seen.ask(&app, path, request.body(Body::empty()).expect("valid")).await;
        assert_eq!(answer.code(), "not_found", "there is no API behind");
    }
}

async fn refreshes_are_too_many(seen: &mut Seen, files: &Files) {
    let app = App::open_with(files, &["--refresh"]).await;
    let mut refresh = SignedIn::new(&app).await.refresh;
    while let Some(token) = refresh {
        let body = json!({ "refresh_token": token }).to_string();
        let request = Request::post("/auth/refresh").header("content-type", "application/json");
        let request = request.body(body.into()).expect("it is valid");
        let answer = seen.ask(&app, "/auth/refresh", request).await.json();
        refresh = answer["refresh_token"].as_str().map(str::to_owned);
    }
}

async fn the_client_is_elsewhere(seen: &mut Seen, files: &Files) {
    let more = ["--bind-address", "--trusted-proxies", "1"];
    let app = App::open_with(files, &more).await;
    let signed_in = SignedIn::new(&app).await;
    let request = signed_in.request(&Method::GET, "/auth/me", "Bearer");
    let request = request.header("x-forwarded-for", "192.0.2.7").body(Body::empty());
    seen.ask(&app, "/auth/me", request.expect("it is valid")).await;
}

/// A session that is bound to an address, asked for by a proxy that names none.
async fn the_client_is_unknown(seen: &mut Seen, files: &Files) {
    let more = ["--bind-address", "--trusted-proxies", "1"];
    let app = App::open_with(files, &more).await;
    let signed_in = SignedIn::new(&app).await;
    for (path, method) in served() {
        let method = Method::try_from(method.to_uppercase().as_str()).expect("it is one");
        let request = signed_in.request(&method, path, "Bearer");
        let request = request.header("x-forwarded-for", "unknown").body(Body::empty());
        seen.ask(&app, path, request.expect("it is valid")).await;
    }
}

async fn foreign_pages_ask(seen: &mut Seen, files: &Files) {
    let app = App::open_with(files, &["--refresh", "--debug-token"]).await;
    let signed_in = SignedIn::new(&app).await;
    for (path, method) in served() {
        let method = Method::try_from(method.to_uppercase().as_str()).expect("it is one");
        let request = signed_in.request(&method, path, "cookie and csrf");
        let request = request.header("sec-fetch-site", "cross-site").body(Body::empty());
        let answer = seen.ask(&app, path, request.expect("it is valid")).await;
        assert!(answer.headers.get("set-cookie").is_none(), "{method} {path}: {answer:?}");
    }
}

/// What a user has after signing in twice: by the body, and by cookies.
struct SignedIn {
    access: String,
    refresh: Option<String>,
    cookies: String,
    session: String,
}

impl SignedIn {
    async fn new(app: &App) -> Self {
        let sign_in = async |cookie: bool| {
            let body = json!({ "username": "ada", "password": PASSWORD, "cookie": cookie });
            let request = Request::post("/auth/login").header("content-type", "application/json");
            app.send(request.body(body.to_string().into()).expect("it is valid")).await
        };
        let (tokens, browser) = (sign_in(false).await, sign_in(true).await);
        let lines = browser.headers.get_all("set-cookie").iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()?.split(';').next());
        let tokens = tokens.json();
        let access = tokens["access_token"].as_str().expect("there is one").to_owned();
        let sessions = app.get("/auth/sessions", &access).await.json();
        // A limited token cannot list them, and needs none.
        let session = sessions["sessions"][0]["id"].as_str().unwrap_or("none").to_owned();
        let refresh = tokens["refresh_token"].as_str().map(str::to_owned);
        Self { access, refresh, cookies: pairs.collect::<Vec<_>>().join("; "), session }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        credential: &str,
    ) -> axum::http::request::Builder {
        // One id that there is, and one that there is not.
        let id = if credential == "Bearer" { &*self.session } else { "none" };
        let path = path.replace("{id}", id).replace("{path}", "nodes");
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        match credential {
            "Bearer" => request.header("authorization", format!("Bearer {}", self.access)),
            "cookie" => request.header("cookie", &self.cookies),
            "cookie and csrf" => {
                let csrf =
                    self.cookies.split("csrf=").nth(1).and_then(|rest| rest.split(';').next());
                let csrf = csrf.expect("a sign-in sets it");
                request.header("cookie", &self.cookies).header("x-csrf-token", csrf)
            }
            "nothing" => request,
            other => request.header("authorization", other),
        }
    }

    fn fill_in(&self, body: String) -> Body {
        Body::from(body.replace("$refresh", self.refresh.as_deref().unwrap_or_default()))
    }
}

fn documented() -> Statuses {
    let document = document();
    let responses = served().into_iter().flat_map(|(path, method)| {
        let responses = &document["paths"][path][method]["responses"];
        let statuses = responses.as_object().expect("there are answers").keys().cloned();
        let method = method.to_uppercase();
        statuses.map(move |status| format!("{method} {path} {status}")).collect::<Vec<_>>()
    });
    responses.collect()
}

/// The codes of errors that the document knows.
fn codes() -> BTreeSet<String> {
    let document = document();
    let codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"].as_array();
    let codes = codes.expect("they are listed").iter();
    codes.map(|code| code.as_str().expect("they are words").to_owned()).collect()
}

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("the document is JSON")
}

fn plain(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("it is valid")
}
