//! Who is on the other end of a connection.
//!
//! Rule 1: what a proxy says of its client is believed of as many proxies as the operator named,
//! counted from the nearest one; everything before them is the client's own text, and no byte of it
//! changes what is read of theirs.
//! Rule 2: an address that a proxy should have written and that cannot be read is unknown. It is
//! never the proxy's own: that would be a fresh rate limit, and an address that no token is bound
//! to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The other end of the socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    Known(IpAddr),
    /// A proxy of ours is in front and did not say.
    Unknown,
}

impl Address {
    /// For what cannot be decided without it.
    pub(crate) fn known(self) -> Result<IpAddr, ApiError> {
        match self {
            Self::Known(address) => Ok(address),
            Self::Unknown => Err(ApiError::invalid(
                "the client's address is unknown: the proxy must write it into X-Forwarded-For",
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: Address,
    /// Whether the client's connection was https, as a proxy of ours says.
    pub(crate) is_https: bool,
}

impl Client {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let nobody = Self { address: Address::Unknown, is_https: false };
        extensions.get().copied().unwrap_or(nobody)
    }

    fn read(headers: &HeaderMap, peer: IpAddr, proxies: u8) -> Self {
        let Some(nth) = usize::from(proxies).checked_sub(1) else {
            return Self { address: Address::Known(peer), is_https: false };
        };
        let address = match item_from_end(nth, headers, X_FORWARDED_FOR) {
            Some(item) => parse_address(item).map_or(Address::Unknown, Address::Known),
            // No proxy wrote anything: the request came past them, from the machine itself.
            None if !headers.contains_key(X_FORWARDED_FOR) => Address::Known(peer),
            None => Address::Unknown,
        };
        let proto = item_from_end(nth, headers, X_FORWARDED_PROTO);
        // A proxy that sets one value for the whole chain writes it once.
        let proto = proto.or_else(|| item_from_end(0, headers, X_FORWARDED_PROTO));
        Self { address, is_https: proto.is_some_and(|proto| proto.eq_ignore_ascii_case(b"https")) }
    }
}

/// Some gateways write the port too, and brackets around IPv6.
fn parse_address(item: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(item).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The list item that `nth` others stand behind. By bytes: what the client wrote in front of it may
/// be no text.
fn item_from_end<'a>(nth: usize, headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(name).iter().map(|value| value.as_bytes());
    let items: Vec<&[u8]> = lines.flat_map(|line| line.split(|&byte| byte == b',')).collect();
    items.iter().rev().nth(nth).map(|item| item.trim_ascii())
}

/// Tells the routes who asks.
pub(crate) async fn client_middleware(
    State(trusted_proxies): State<u8>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let peer = peer.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let client = Client::read(request.headers(), peer, trusted_proxies);
    request.extensions_mut().insert(client);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_is_believed_nothing_where_no_proxy_is_named() {
        let headers = headers(&[(X_FORWARDED_FOR, b"192.0.2.1"), (X_FORWARDED_PROTO, b"https")]);
        let client = Client::read(&headers, peer(), 0);
        assert_eq!((client.address, client.is_https), (Address::Known(peer()), false));
    }

    #[test]
    fn the_address_is_what_the_outermost_of_our_proxies_saw() {
        let headers = headers(&[
            (X_FORWARDED_FOR, b"6.6.6.6, 192.0.2.1"),
            (X_FORWARDED_FOR, b"10.0.0.1"),
            (X_FORWARDED_PROTO, b"https"),
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
            assert_eq!(parse_address(text.as_bytes()), address.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_the_client_wrote_does_not_hide_what_the_proxy_wrote() {
        for line in [&b"\xff, 192.0.2.1"[..], b"unknown,192.0.2.1", b",,\x80,192.0.2.1"] {
            let client = Client::read(&headers(&[(X_FORWARDED_FOR, line)]), peer(), 1);
            assert_eq!(client.address.to_string(), "192.0.2.1", "{line:?}");
        }
        let apart = headers(&[(X_FORWARDED_FOR, b"\xff"), (X_FORWARDED_FOR, b"192.0.2.1")]);
        assert_eq!(Client::read(&apart, peer(), 1).address.to_string(), "192.0.2.1");
    }

    #[test]
    fn an_address_that_cannot_be_read_is_unknown_and_never_the_proxys() {
        for line in [&b"unknown"[..], b"\xff", b"", b"192.0.2.1, _hidden", b"[[::1]]", b"1.2.3"] {
            let client = Client::read(&headers(&[(X_FORWARDED_FOR, line)]), peer(), 1);
            assert_eq!(client.address, Address::Unknown, "{line:?}");
        }
        let short = headers(&[(X_FORWARDED_FOR, b"192.0.2.1")]);
        assert_eq!(Client::read(&short, peer(), 2).address, Address::Unknown, "one of two");
    }

    fn peer() -> IpAddr {
        "127.0.0.9".parse().expect("it is an address")
    }

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).expect("such bytes arrive"));
        }
        headers
    }
}
