//! The sockets: accepts, serves and lets go of connections.
//!
//! Rule: everything is bounded: how many connections, how long a header takes and how long it is,
//! how long the end takes. What is in flight at SIGTERM is finished.
//!
//! It deliberately does not know what is served.

use std::io;
use std::net::SocketAddr;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::client::Peer;

/// Below the usual limit of 1024 open files; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 900;

/// hyper counts idle time as the next header's. Keep-alive pings come each 30 s (±10 %): a
/// connection that closes about then makes every other ping a network error.
const HEADER_TIME: Duration = Duration::from_secs(75);

/// hyper's least is 8 KiB; proxies in front allow as much.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Platforms kill 10 s after SIGTERM or later.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT. `ready` runs when connections are accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    ready: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let mut ended = Ended::listen()?;
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    ready()?;
    loop {
        tokio::select! {
            (stream, peer, slot) = accept(&listener, &slots) => {
                serve_connection(stream, peer, slot, &app, &graceful);
            }
            () = ended.wait() => break,
        }
    }
    drop(listener);
    info!("shutting down: finishing what is in flight");
    if timeout(SHUTDOWN_TIME, graceful.shutdown()).await.is_err() {
        warn!("requests were still in flight after 5 s: given up");
    }
    Ok(())
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

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) => {
                // Out of file descriptors, mostly: trying at once would only burn the processor.
                error!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    app: &Router,
    graceful: &GracefulShutdown,
) {
    // Answers are one small write: waiting for more to send along only delays them.
    let _ = stream.set_nodelay(true);
    let app = TowerToHyperService::new(app.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        app.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that went away or timed out: nobody is left to be told.
        let _ = connection.await;
        drop(slot);
    });
}
