//! The two listening sockets and what is behind each path.
//!
//! Rule: both are on loopback only. The front port has pages, control and backend; the API's port
//! has the backend alone, and its socket is really closed while connections are to be refused.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::body::{Answer, Broken, text};
use crate::control::{Control, DemoOrigins};
use crate::pages::Pages;
use crate::process::say;
use crate::proxy::{Proxy, ProxyConnection};
use crate::settings::WhileWaking;
use crate::status::Phase;

/// Longer than the keeper's 30 s between pings: a connection that is closed just as the next ping
/// goes out would look like a fault that nobody asked for.
const IDLE_CONNECTION: Duration = Duration::from_secs(120);
/// Between attempts after a passing failure (no file descriptors, a port not free again yet).
const RETRY: Duration = Duration::from_millis(100);

/// A test that opens connections by the hundred must not see refusals that nobody asked for.
const BACKLOG: u32 = 1024;

/// Binds a loopback port; 0 picks a free one.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the last run may linger on the port.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

/// What is behind the front port.
pub(crate) struct Front {
    pub(crate) demo: DemoOrigins,
    pub(crate) control: Control,
    pub(crate) pages: Pages,
    pub(crate) proxy: Arc<Proxy>,
}

impl Front {
    /// Serves until it is dropped.
    pub(crate) async fn serve(self, listener: TcpListener) -> Infallible {
        let front = Arc::new(self);
        loop {
            let Some(stream) = accept(&listener).await else { continue };
            let connection = ProxyConnection::new(Arc::clone(&front.proxy));
            let front = Arc::clone(&front);
            serve_connection(stream, move |request| {
                let (front, connection) = (Arc::clone(&front), connection.clone());
                async move { front.answer(&connection, request).await }
            });
        }
    }

    async fn answer(
        &self,
        connection: &ProxyConnection,
        request: Request<Incoming>,
    ) -> Result<Answer, Broken> {
        let path = request.uri().path();
        if path.starts_with("/__platform/") {
            return Ok(self.control.answer(request).await);
        }
        if path.starts_with("/api/") || path.starts_with("/auth/") {
            return connection.answer(request).await;
        }
        // The start page holds the secret: a foreign name that leads here must not read it.
        if !self.demo.is_host(request.headers()) {
            let sentence = "The demo is at 127.0.0.1 or localhost with its port only.";
            return Ok(text(StatusCode::FORBIDDEN, sentence));
        }
        Ok(self.pages.answer(&request).await)
    }
}

/// Serves the API's port until it is dropped. While connections are refused the socket is closed;
/// only a sleeping backend's stays open, and drops what comes, because what the kernel refuses
/// could not wake it.
pub(crate) async fn serve_api(proxy: Arc<Proxy>, listener: TcpListener) -> io::Result<Infallible> {
    let port = listener.local_addr()?.port();
    let (mut status, mut settings) = proxy.supervisor.watch();
    let mut listening = Some(listener);
    loop {
        let phase = status.borrow_and_update().phase;
        let mode = settings.borrow_and_update().while_waking;
        let refuses = mode == WhileWaking::Refuse && matches!(phase, Phase::Waking | Phase::Down);
        listening = match listening {
            _ if refuses => None,
            Some(listener) => Some(listener),
            None => Some(bind_again(port).await),
        };
        let accepted = async {
            match &listening {
                Some(listener) => accept(listener).await,
                None => std::future::pending().await,
            }
        };
        let stream = tokio::select! {
            biased;
            Ok(()) = status.changed() => continue,
            Ok(()) = settings.changed() => continue,
            stream = accepted => stream,
        };
        let Some(stream) = stream else { continue };
        let connection = ProxyConnection::new(Arc::clone(&proxy));
        serve_connection(stream, move |request| {
            let connection = connection.clone();
            async move { connection.answer(request).await }
        });
    }
}

async fn bind_again(port: u16) -> TcpListener {
    loop {
        match bind(port) {
            Ok(listener) => return listener,
            Err(error) => say(&format!("platform: port {port} cannot be reopened yet: {error}")),
        }
        sleep(RETRY).await;
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            say(&format!("platform: a connection was not accepted: {error}"));
            sleep(RETRY).await;
            None
        }
    }
}

fn serve_connection<S, F>(stream: TcpStream, answer: S)
where
    S: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Answer, Broken>> + Send + 'static,
{
    // Small answers wait for nothing; without it only latency suffers.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE_CONNECTION);
    let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
    tokio::spawn(async move {
        // An error is a connection that broke: on purpose, with the backend, or by the browser.
        let _ = connection.await;
    });
}
