//! The sockets: accepts, serves and lets go of connections.
//!
//! Rule: everything is bounded: how many connections, how long a header takes and how long it is,
//! how long the end takes. What is in flight at SIGTERM is finished.
//!
//! It deliberately does not know what is served.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::log;

/// Below the usual limit of 1024 open files; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 900;

/// hyper counts idle time as the next header's. Keep-alive pings come each 30 s (±10 %): a
/// connection that closes about then makes every other ping a network error.
const HEADER_TIME: Duration = Duration::from_secs(75);

/// hyper's least is 8 KiB; proxies in front allow as much.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Platforms kill 10 s after SIGTERM or later.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn serve(listener: TcpListener, app: Router) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    announce(&listener)?;
    loop {
        tokio::select! {
            (stream, slot) = accept(&listener, &slots) => {
                serve_connection(stream, slot, &app, &graceful);
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(listener);
    log::line(format_args!("shutting down: finishing what is in flight"));
    if timeout(SHUTDOWN_TIME, graceful.shutdown()).await.is_err() {
        log::line(format_args!("requests were still in flight after 5 s: given up"));
    }
    Ok(())
}

/// The one line on stdout: whoever started the server waits for it, and learns the port from it.
fn announce(listener: &TcpListener) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
    stdout.flush()
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                // Out of file descriptors, mostly: trying at once would only burn the processor.
                log::line(format_args!("cannot accept a connection: {error}"));
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    app: &Router,
    graceful: &GracefulShutdown,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that went away or timed out: nobody is left to be told.
        let _ = connection.await;
        drop(slot);
    });
}
