//! The routes, and what all answers have in common.
//!
//! Rule: the order of the layers is the contract. From outside: the access line sees everything;
//! `no-store` and CORS mark everything; errors are written; panics become errors; then the routes.
//!
//! It deliberately does not know sockets: tests call [`app`] without one.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_keeper_tokens::{Lifetime, UnixMillis};
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::Clock;
use crate::commands::CommandError;
use crate::config::{Origin, ServeOptions, StoreChoice};
use crate::error::{ApiError, render};
use crate::identity::Identity;
use crate::store::{FileStore, MemoryStore, Store};
use crate::tags::Tags;
use crate::users::Users;
use crate::{auth, body, cors, health, log, tags};

/// A path is the client's text: this much of it is enough to find the line.
const MAX_LOGGED_PATH: usize = 200;

/// The whole API for pages of `origins`.
pub fn app(backend: Arc<Backend>, origins: &[Origin]) -> Router {
    Router::new()
        .route("/api/health", get(health::health))
        .route("/auth/login", post(auth::login))
        .route("/auth/me", get(auth::me))
        .route("/auth/logout", post(auth::logout))
        .route("/api/tags", get(tags::list).post(tags::add))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::clone(&backend))
        .layer(DefaultBodyLimit::max(body::MAX_BYTES))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(backend, render))
        .layer(cors::layer(origins))
        .layer(map_response(forbid_caching))
        .layer(from_fn(log_access))
}

/// What the routes share.
pub struct Backend {
    identity: Identity,
    started: Instant,
    clock: Clock,
    lifetime: Lifetime,
    store: Store,
    users: Users,
    tags: Tags,
}

impl Backend {
    /// Opens the files that `options` name. Fails where one cannot be used.
    pub fn open(options: &ServeOptions, clock: Clock) -> Result<Self, CommandError> {
        let users = Users::open(&options.users)?;
        if users.is_empty()? {
            let path = options.users.display();
            log::line(format_args!(
                "nobody can sign in yet: session-keeper-backend user add NAME --users {path}"
            ));
        }
        Ok(Self {
            identity: Identity::new(options.instance.clone())?,
            started: Instant::now(),
            clock,
            lifetime: options.token_lifetime.unwrap_or_default(),
            store: open_store(&options.store)?,
            users,
            tags: Tags::open(&options.tags)?,
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn open_store(choice: &StoreChoice) -> Result<Store, CommandError> {
    match choice {
        StoreChoice::Memory => {
            log::line(format_args!(
                "WARNING: sessions are in memory only: every restart signs everybody out; \
                 use --store file:PATH"
            ));
            Ok(Store::Memory(MemoryStore::default()))
        }
        StoreChoice::File(path) => Ok(Store::File(Arc::new(FileStore::open(path)?))),
    }
}

async fn log_access(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(MAX_LOGGED_PATH).collect();
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis());
    log::line(format_args!("{method} {path} {status} {ms} ms"));
    response
}

async fn forbid_caching(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The panic's own text is on stderr already, by the panic hook.
fn answer_panic(_payload: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a handler panicked").into_response()
}
