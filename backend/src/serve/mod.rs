//! The sockets: accepts, serves and lets go of connections.
//!
//! Rule 1: everything is bounded, on every listener alike: how many connections, how many of one
//! client, how long a header takes and how long it is, how long the end takes.
//! Rule 2: what is in flight at SIGTERM is finished.
//!
//! It deliberately does not know what is served.

mod error_bodies;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::client::Peer;
use error_bodies::ErrorBodies;
pub(crate) use error_bodies::ErrorBody;
use slots::{Slot, Slots};

/// Below the usual limit of 1024 open files; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 900;

/// Browsers open six to a host. What is left of all is for the others.
const MAX_OF_ONE_ADDRESS: usize = 200;

/// A scraper needs one.
const MAX_FOR_METRICS: usize = 32;

/// A client that connects has something to ask. Slow phones send it within a second or two.
const FIRST_HEADER_TIME: Duration = Duration::from_secs(10);

/// hyper counts idle time as the next header's. Keep-alive pings come each 30 s (±10 %): a
/// connection that closes about then makes every other ping a network error.
const HEADER_TIME: Duration = Duration::from_secs(75);

/// hyper's least is 8 KiB; proxies in front allow as much.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Platforms kill 10 s after SIGTERM or later.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    all: usize,
    of_one_address: usize,
}

impl ConnectionLimits {
    /// For the API. Where all connections are a proxy's there is no limit for one address, unless
    /// the operator sets one.
    pub(crate) fn of_api(of_one_address: Option<u16>, trusted_proxies: u8) -> Self {
        let usual = if trusted_proxies > 0 { MAX_CONNECTIONS } else { MAX_OF_ONE_ADDRESS };
        let of_one_address = of_one_address.map_or(usual, usize::from);
        Self { all: MAX_CONNECTIONS, of_one_address }
    }

    /// For the metrics.
    pub(crate) fn of_metrics() -> Self {
        Self { all: MAX_FOR_METRICS, of_one_address: MAX_FOR_METRICS / 2 }
    }
}

/// What is served, and how.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) app: Router,
    pub(crate) limits: ConnectionLimits,
    /// What is answered to what is no HTTP request.
    pub(crate) error_body: ErrorBody,
}

/// Serves until `ended`. `ready` runs when connections are accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    served: Served,
    ended: &mut Ended,
    ready: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    ready()?;
    tokio::select! {
        never = accept_all(&listener, &served, Some(&graceful)) => match never {},
        () = ended.wait() => {}
    }
    drop(listener);
    info!("shutting down: finishing what is in flight");
    if timeout(SHUTDOWN_TIME, graceful.shutdown()).await.is_err() {
        warn!("requests were still in flight after 5 s: given up");
    }
    Ok(())
}

/// Serves for as long as it is polled.
pub(crate) async fn serve_for_ever(listener: TcpListener, served: Served) {
    match accept_all(&listener, &served, None).await {}
}

enum Never {}

async fn accept_all(
    listener: &TcpListener,
    served: &Served,
    graceful: Option<&GracefulShutdown>,
) -> Never {
    let slots = Slots::new(served.limits.all, served.limits.of_one_address);
    loop {
        slots.wait_for_any().await;
        match listener.accept().await {
            Ok((stream, peer)) => match slots.take(peer.ip()) {
                Some(slot) => serve_connection(stream, peer, slot, served, graceful),
                // Closed at once: it would only wait, and the others with it.
                None => drop(stream),
            },
            Err(error) => {
                // Out of file descriptors, mostly: trying at once would only burn the processor.
                error!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// SIGTERM or SIGINT.
pub(crate) struct Ended {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ended {
    pub(crate) fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    served: &Served,
    graceful: Option<&GracefulShutdown>,
) {
    // Answers are one small write: waiting for more to send along only delays them.
    let _ = stream.set_nodelay(true);
    let app = TowerToHyperService::new(served.app.clone());
    let has_asked = Arc::new(Notify::new());
    let asks = Arc::clone(&has_asked);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        asks.notify_one();
        request.extensions_mut().insert(Peer(peer));
        app.call(request)
    });
    let stream = ErrorBodies::new(stream, peer, Arc::clone(&served.error_body));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.map(GracefulShutdown::watcher);
    tokio::spawn(async move {
        let connection = async {
            // A client that went away or timed out: nobody is left to be told.
            match watched {
                Some(watcher) => drop(watcher.watch(connection).await),
                None => drop(connection.await),
            }
        };
        let mut connection = pin!(connection);
        let is_silent = tokio::select! {
            () = &mut connection => return,
            () = has_asked.notified() => false,
            () = sleep(FIRST_HEADER_TIME) => true,
        };
        if !is_silent {
            connection.await;
        }
        drop(slot);
    });
}
