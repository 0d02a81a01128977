//! The answers that hyper gives by itself, to what is no HTTP request or has too long a header, in
//! the words of the API.
//!
//! Rule: nothing else is touched. hyper writes such an answer as a head without a content type and
//! with `content-length: 0`; no answer of ours looks so.
//!
//! hyper has no hook for them (1.12): this looks at what is written.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::info;

/// The JSON for a status.
pub(crate) type ErrorBody = Arc<dyn Fn(StatusCode) -> String + Send + Sync>;

/// A connection.
pub(super) struct ErrorBodies {
    stream: TcpStream,
    peer: SocketAddr,
    body: ErrorBody,
    /// What is written in the place of hyper's answer, and how much of it is.
    instead: Option<(Vec<u8>, usize)>,
}

impl ErrorBodies {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, body: ErrorBody) -> Self {
        Self { stream, peer, body, instead: None }
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, written)) = &mut self.instead {
            if *written == bytes.len() {
                self.instead = None;
                break;
            }
            let stream = Pin::new(&mut self.stream);
            *written += ready!(stream.poll_write(context, &bytes[*written..]))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether `bytes` is an answer of hyper's own, whose place another one takes.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(status) = status_of_bare_error(bytes) else { return false };
        let body = (self.body)(status);
        info!(address = %self.peer.ip(), "what was sent is no request: {}", status.as_u16());
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\
             \r\n{body}",
            body.len()
        );
        self.instead = Some((answer.into_bytes(), 0));
        true
    }
}

/// Of what is the whole of a bodiless answer of hyper's.
fn status_of_bare_error(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    if !matches!(status[0], b'4' | b'5') || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let is_bare = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\ncontent-type:");
    is_bare.then(|| StatusCode::from_bytes(status).ok()).flatten()
}

impl AsyncRead for ErrorBodies {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ErrorBodies {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        if self.replace(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        if let [only] = slices
            && self.replace(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_error_is_hypers_own() {
        let of = |text: &str| status_of_bare_error(text.as_bytes()).map(|status| status.as_u16());
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                    content-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(of(bare), Some(431));
        for other in [
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
