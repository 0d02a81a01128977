//! Who is on the other end of a connection, and what is added to the answer on the way out.
//!
//! Rule: what a proxy says of its client is believed of as many proxies as the operator named, from
//! the nearest on; everything before them is the client's own text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::Backend;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The other end of the socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether the client's connection was https, as a proxy of ours tells.
    pub(crate) is_https: bool,
}

impl Client {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let nobody = Self { address: Ipv4Addr::UNSPECIFIED.into(), is_https: false };
        extensions.get().copied().unwrap_or(nobody)
    }

    fn read(headers: &HeaderMap, peer: IpAddr, proxies: u8) -> Self {
        let Some(nth) = usize::from(proxies).checked_sub(1) else {
            return Self { address: peer, is_https: false };
        };
        let forwarded = last_but(nth, headers, X_FORWARDED_FOR);
        let address = forwarded.and_then(parse_address).unwrap_or(peer);
        let proto = last_but(nth, headers, X_FORWARDED_PROTO);
        // A proxy that sets one value for the whole chain writes it once.
        let proto = proto.or_else(|| last_but(0, headers, X_FORWARDED_PROTO));
        Self { address, is_https: proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https")) }
    }
}

/// Some gateways write the port too, and brackets around IPv6.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The list item that so many proxies have written behind.
fn last_but<'a>(nth: usize, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let items: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    items.iter().rev().nth(nth).copied()
}

/// Header lines for the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<Vec<(HeaderName, HeaderValue)>>>);

impl Outbox {
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    pub(crate) fn add(&self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(headers);
    }

    fn take(&self) -> Vec<(HeaderName, HeaderValue)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells the routes who asks, and adds to the answer what they left in the outbox.
pub(crate) async fn introduce(
    State(backend): State<Arc<Backend>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let peer = peer.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let client = Client::read(request.headers(), peer, backend.trusted_proxies());
    let outbox = Outbox::default();
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(outbox.clone());
    let mut response = next.run(request).await;
    // A route that sets cookies itself, as the sign-out does, knows better.
    if !response.headers().contains_key(SET_COOKIE) {
        response.headers_mut().extend(outbox.take());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_believed_nothing_where_no_proxy_is_named() {
        let headers = headers(&[(X_FORWARDED_FOR, "192.0.2.1"), (X_FORWARDED_PROTO, "https")]);
        let client = Client::read(&headers, peer(), 0);
        assert_eq!((client.address, client.is_https), (peer(), false));
    }

    #[test]
    fn the_address_is_what_the_outermost_of_our_proxies_saw() {
        let headers = headers(&[
            (X_FORWARDED_FOR, "6.6.6.6, 192.0.2.1"),
            (X_FORWARDED_FOR, "10.0.0.1"),
            (X_FORWARDED_PROTO, "https"),
        ]);
        let seen = |proxies| Client::read(&headers, peer(), proxies).address.to_string();
        assert_eq!((seen(1), seen(2)), ("10.0.0.1".into(), "192.0.2.1".into()));
        assert!(Client::read(&headers, peer(), 2).is_https);
    }

    #[test]
    fn a_port_behind_the_address_is_left_out() {
        for (text, address) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(parse_address(text), address.parse().ok(), "{text}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_the_peers() {
        let headers = headers(&[(X_FORWARDED_FOR, "unknown")]);
        assert_eq!(Client::read(&headers, peer(), 1).address, peer());
    }

    fn peer() -> IpAddr {
        "127.0.0.9".parse().expect("it is an address")
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }
}
