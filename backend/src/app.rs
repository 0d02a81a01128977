//! The routes, and what all answers have in common.
//!
//! Rule: the order of the layers is the contract. From outside: the client is known; the access
//! line sees everything; CORS, and headers that hold for all answers; errors are written; other
//! sites' pages are refused; panics and what takes too long become errors; then the routes.
//!
//! It deliberately does not know sockets: tests call [`app`] without one.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::info;

use crate::backend::Backend;
use crate::client::{Client, client_middleware};
use crate::config::Origin;
use crate::cors::X_REQUEST_ID;
use crate::cross_origin::cross_origin_middleware;
use crate::error::ApiError;
use crate::render::render;
use crate::response_cookies::cookie_middleware;
use crate::routes::{health, jwks, ready, tags, upstream};
use crate::{auth, body, cors};

/// A path is the client's text: this much of it is enough to find the line.
const MAX_LOGGED_PATH: usize = 200;

/// Longer than a body may take and a queue of sign-ins lasts. What is not answered by then hangs.
const MAX_TIME: Duration = Duration::from_secs(45);

/// What each answer says to browsers beside its content. This is an API: none of its answers is a
/// page, a script or an image of anybody.
const HEADERS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'",
    ),
];
/// Two years, for this host alone (RFC 6797 section 6.1): what else is under its name is not ours
/// to decide on.
const HSTS: (HeaderName, &str) =
    (HeaderName::from_static("strict-transport-security"), "max-age=63072000");

/// The description of the API (OpenAPI 3.1).
pub const OPENAPI: &str = include_str!("../openapi.json");

/// A path, the methods it takes, and what serves it.
type Route = (&'static str, &'static [&'static str], MethodRouter<Arc<Backend>>);

/// Each path, with the methods it takes and what serves it. `openapi.json` lists the same, and a
/// test holds the two against each other.
fn routes() -> [Route; 14] {
    const GET: &[&str] = &["get"];
    const POST: &[&str] = &["post"];
    [
        ("/api/health", GET, get(health::health)),
        ("/api/ready", GET, get(ready::ready)),
        ("/auth/login", POST, post(auth::login)),
        ("/auth/me", GET, get(auth::me)),
        ("/auth/refresh", POST, post(auth::refresh)),
        ("/auth/logout", POST, post(auth::logout)),
        ("/auth/logout-everywhere", POST, post(auth::logout_everywhere)),
        ("/auth/sessions", GET, get(auth::list_sessions)),
        ("/auth/sessions/{id}", &["delete"], delete(auth::end_session)),
        ("/api/tags", &["get", "post"], get(tags::list).post(tags::add)),
        ("/api/debug/token", GET, get(auth::debug_token)),
        (UPSTREAM_ROUTE, upstream::METHODS, passed_on()),
        ("/api/openapi.json", GET, get(openapi)),
        ("/.well-known/jwks.json", GET, get(jwks::jwks)),
    ]
}

const UPSTREAM_ROUTE: &str = "/api/upstream/{*path}";

fn passed_on() -> MethodRouter<Arc<Backend>> {
    use upstream::pass_on;
    get(pass_on).post(pass_on).put(pass_on).patch(pass_on).delete(pass_on)
}

/// Path and method of everything that is served.
pub fn served() -> Vec<(&'static str, &'static str)> {
    let paths = routes().into_iter();
    let documented = |path| if path == UPSTREAM_ROUTE { "/api/upstream/{path}" } else { path };
    paths
        .flat_map(|(path, methods, _)| {
            methods.iter().map(move |method| (documented(path), *method))
        })
        .collect()
}

/// The whole API for pages of `origins`.
pub fn app(backend: Arc<Backend>, origins: &[Origin]) -> Router {
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, _, service)| router.route(path, service))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::clone(&backend))
        .layer(DefaultBodyLimit::max(body::MAX_BYTES))
        // One call with all of them, the outermost first: each call would box every route once
        // more, and each request would copy all the boxes.
        .layer((
            from_fn_with_state(backend.trusted_proxies(), client_middleware),
            from_fn_with_state(Arc::clone(&backend), note_access),
            cors::layer(origins),
            from_fn(security_headers),
            from_fn(cookie_middleware),
            from_fn_with_state(backend, render),
            from_fn_with_state(Arc::from(origins), cross_origin_middleware),
            CatchPanicLayer::custom(answer_panic),
            from_fn(bound_time),
        ))
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI)
}

async fn note_access(
    State(backend): State<Arc<Backend>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(MAX_LOGGED_PATH).collect();
    let Client { address, .. } = Client::of(request.extensions());
    let id = backend.identity().next_request_id();
    let mut response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    backend.metrics().count_request(status, took);
    info!(address = %address, request = &*id, "{method} {path} {status} {} ms", took.as_millis());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

async fn security_headers(request: Request, next: Next) -> Response {
    let is_https = Client::of(request.extensions()).is_https;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // With those of CORS and of the route: growing step by step would move them all each time.
    headers.reserve(14);
    for (name, value) in HEADERS.into_iter().chain(is_https.then_some(HSTS)) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn bound_time(request: Request, next: Next) -> Response {
    match timeout(MAX_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::unavailable("a request took too long").into_response(),
    }
}

/// The panic's own text is on stderr already, by the panic hook.
fn answer_panic(_payload: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a handler panicked").into_response()
}
