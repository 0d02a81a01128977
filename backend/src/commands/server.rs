//! `serve`, in this process or over workers, and `init`.
//!
//! Rule: SIGTERM is obeyed from the first moment on, also while a store is waited for. As the first
//! process of a container, this one would not end by it unless it asked to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime;
use tracing::{info, warn};

use crate::app::app;
use crate::backend::Backend;
use crate::clock::{self, Clock};
use crate::command_error::CommandError;
use crate::config::{ServeOptions, check};
use crate::error::ApiError;
use crate::metrics;
use crate::serve::{ConnectionLimits, Ended, ErrorBody, Served, serve};
use crate::workers::{self, Worker, announce};

/// What has expired is refused all the same; this only makes room.
const CLEANED_UP_EACH: Duration = Duration::from_secs(60);

/// What expired by a clock that is wrong would be gone for good. A machine that slept has a jump
/// too, and loses nothing by waiting.
const JUMP: Duration = Duration::from_secs(60 * 60);
const CLOCK_SETTLES_IN: Duration = Duration::from_secs(60 * 60);

pub(super) fn run(options: &ServeOptions) -> Result<(), CommandError> {
    if workers::are_wanted(options) {
        check(options)?;
        // The workers' lives are tied to the thread that starts them: this one.
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        return runtime.map_err(CommandError::System)?.block_on(async {
            let (listener, address) = bind(options).await?;
            let listener = listener.into_std().map_err(CommandError::System)?;
            let reports = Arc::new(workers::Reports::default());
            let sums = Arc::clone(&reports);
            serve_metrics(options, move || sums.sum()).await?;
            workers::supervise(options, &listener, address, &reports).await
        });
    }
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::System)?;
    let outcome = runtime.block_on(serve_here(options));
    // A file operation that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Makes what a server with `--store-must-exist` must find.
pub(super) fn init(options: &ServeOptions) -> Result<(), CommandError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let opened = Backend::open(options, None, Clock::system());
    runtime.map_err(CommandError::System)?.block_on(opened)?;
    if !options.users.exists() {
        crate::users::make_file(&options.users)?;
    }
    println!("ready for serve --store-must-exist");
    Ok(())
}

/// Serves in this process, alone or as a worker.
async fn serve_here(options: &ServeOptions) -> Result<(), CommandError> {
    let mut ended = Ended::listen().map_err(CommandError::System)?;
    let worker = options.worker.map(|_| Worker::begin()).transpose();
    let worker = worker.map_err(CommandError::System)?;
    let start = worker.as_ref().and_then(|worker| worker.start.clone());
    let backend = tokio::select! {
        opened = Backend::open(options, start, Clock::system()) => Arc::new(opened?),
        () = ended.wait() => return Ok(()),
    };
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let who = backend.identity();
    info!("Version {version}, boot {}, instance {}, PID {pid}", who.boot, who.instance);
    tokio::spawn(clean_up(Arc::clone(&backend)));
    let to_warm = Arc::clone(&backend);
    tokio::spawn(async move {
        if let Some(upstream) = to_warm.upstream() {
            upstream.warm_up().await;
        }
    });
    let served = Served {
        app: app(Arc::clone(&backend), &options.allowed_origins),
        limits: ConnectionLimits::of_api(
            options.limits.connections_per_address,
            options.limits.trusted_proxies,
        ),
        error_body: error_body(&backend),
    };
    match worker {
        Some(worker) => {
            worker.listener.set_nonblocking(true).map_err(CommandError::System)?;
            let listener = TcpListener::from_std(worker.listener).map_err(CommandError::System)?;
            let ready = || Worker::report(backend);
            serve(listener, served, &mut ended, ready).await.map_err(CommandError::System)
        }
        None => {
            let (listener, address) = bind(options).await?;
            let counts = move || backend.counts();
            serve_metrics(options, counts).await?;
            let ready = || announce(address);
            serve(listener, served, &mut ended, ready).await.map_err(CommandError::System)
        }
    }
}

async fn bind(options: &ServeOptions) -> Result<(TcpListener, SocketAddr), CommandError> {
    let address = options.address();
    let listener = TcpListener::bind(address.as_str())
        .await
        .map_err(|error| CommandError::Listen(address.to_string(), error))?;
    let bound = listener.local_addr().map_err(CommandError::System)?;
    Ok((listener, bound))
}

async fn serve_metrics(
    options: &ServeOptions,
    counts: impl Fn() -> metrics::Counts + Clone + Send + Sync + 'static,
) -> Result<(), CommandError> {
    let served = metrics::serve(options.watching.metrics, counts).await;
    served.map_err(|(address, error)| CommandError::Listen(address.to_string(), error))
}

/// What hyper refuses by itself looks like every other error.
fn error_body(backend: &Arc<Backend>) -> ErrorBody {
    let identity = backend.identity().clone();
    Arc::new(move |status: StatusCode| {
        let error = ApiError::from_status(status);
        json!({
            "code": error.code(), "message": error.message(),
            "instance": identity.instance, "boot": identity.boot,
        })
        .to_string()
    })
}

async fn clean_up(backend: Arc<Backend>) {
    let mut ticks = tokio::time::interval(CLEANED_UP_EACH);
    let mut last = (Instant::now(), clock::system_now());
    let mut trusted_from = Instant::now();
    loop {
        ticks.tick().await;
        let now = (Instant::now(), clock::system_now());
        let jump = now.1.since(last.1).saturating_sub(now.0.duration_since(last.0));
        if jump > JUMP {
            warn!(
                "the clock jumped ahead by {} s: nothing is cleaned up for a while",
                jump.as_secs()
            );
            trusted_from = now.0 + CLOCK_SETTLES_IN;
        }
        last = now;
        if now.0 >= trusted_from {
            backend.clean_up().await;
        }
    }
}
