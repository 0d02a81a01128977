//! The connection to the backend that stands behind one connection of a browser.
//!
//! Rule: one connection there for one here, so that what sticks to a connection on a real server
//! (a worker) sticks to it here; and what breaks there breaks here. Knows nothing of whether the
//! backend should be running.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::body::{Answer, Broken};
use crate::traffic::OpenRequest;

/// The requests of one connection come one after the other, so there is at most one sender.
#[derive(Default)]
pub(crate) struct Upstream {
    kept: Option<Kept>,
}

struct Kept {
    address: SocketAddr,
    sender: SendRequest<Incoming>,
}

/// Why a request was not passed on.
pub(crate) enum NotPassedOn {
    /// The backend does not accept connections; the request is untouched.
    NoConnection(Box<Request<Incoming>>),
    /// It broke the connection before it answered.
    Broken(Broken),
}

impl Upstream {
    /// Passes the request on and returns the answer with its body still streaming.
    pub(crate) async fn pass_on(
        &mut self,
        address: SocketAddr,
        request: Request<Incoming>,
        open: OpenRequest,
    ) -> Result<Answer, NotPassedOn> {
        let mut request = forwarded(request);
        if let Some(mut kept) = self.kept_for(address).await {
            match kept.sender.try_send_request(request).await {
                Ok(answer) => return Ok(self.answered(kept, answer, open)),
                // A kept connection may have been closed meanwhile: then nothing was sent.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(failed.into_error())),
                },
            }
        }
        let Ok(stream) = TcpStream::connect(address).await else {
            return Err(NotPassedOn::NoConnection(Box::new(request)));
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Its errors are those of the requests that it carries.
        tokio::spawn(connection);
        let mut kept = Kept { address, sender };
        let answer = kept.sender.send_request(request).await.map_err(broken)?;
        Ok(self.answered(kept, answer, open))
    }

    async fn kept_for(&mut self, address: SocketAddr) -> Option<Kept> {
        let mut kept = self.kept.take().filter(|kept| kept.address == address)?;
        kept.sender.ready().await.is_ok().then_some(kept)
    }

    fn answered(
        &mut self,
        kept: Kept,
        answer: hyper::Response<Incoming>,
        open: OpenRequest,
    ) -> Answer {
        let (mut head, body) = answer.into_parts();
        let closes = names(&head.headers).any(|name| name.eq_ignore_ascii_case("close"));
        remove_hop_by_hop(&mut head.headers);
        if closes {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else {
            self.kept = Some(kept);
        }
        head.version = Version::HTTP_11;
        Answer::from_parts(head, Streaming { body, _open: open }.boxed_unsync())
    }
}

fn broken(error: hyper::Error) -> NotPassedOn {
    NotPassedOn::Broken(Broken::Backend(error))
}

fn forwarded(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    if let Some(path) = head.uri.path_and_query() {
        let authority = head.uri.authority().map(|authority| authority.as_str().to_owned());
        head.uri = Uri::from(path.clone());
        let host = authority.and_then(|host| HeaderValue::from_str(&host).ok());
        if let Some(host) = host.filter(|_| !head.headers.contains_key(HOST)) {
            head.headers.insert(HOST, host);
        }
    }
    remove_hop_by_hop(&mut head.headers);
    head.headers.remove(EXPECT);
    head.version = Version::HTTP_11;
    Request::from_parts(head, body)
}

/// RFC 9110 section 7.6.1: what belongs to the connection stays on it.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = names(headers).filter_map(|name| name.parse().ok()).collect();
    let always = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// The backend's body; counts as traffic until it ends or nobody wants it.
struct Streaming {
    body: Incoming,
    _open: OpenRequest,
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map_err(Broken::Backend)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_stays_on_it() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Hop"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));

        remove_hop_by_hop(&mut headers);

        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["www-authenticate"]);
    }
}
