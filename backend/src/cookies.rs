//! The cookies that carry a session, and the fence that keeps other sites from using them.
//!
//! Rule 1: a token is in an HttpOnly cookie only, and all cookies have names that browsers accept
//! from this very host over https alone (`__Host-`, RFC 6265bis section 4.1.3): no sibling can set
//! another session's. Such cookies go to every path.
//! Rule 2: a request that changes something and is authenticated by a cookie must repeat the
//! session's CSRF token in a header, which no other site can read or send. A page of the API's own
//! host reads it from a cookie, any other page that may call the API from the answers
//! (`csrf_token`, and the header of the same name as the request's, also where one was missing).
//! Rule 3: with `SameSite=None` the cookies are `Partitioned`: browsers that block third parties'
//! cookies keep them for each site that embeds the API.
//!
//! It deliberately does not know what a session is worth.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use session_keeper_tokens::SessionId;

use crate::config::SameSite;

/// Carries the access token.
const SESSION: &str = "__Host-session";
/// Carries the refresh token.
const REFRESH: &str = "__Host-refresh";
/// For the page to read and send back.
const CSRF: &str = "__Host-csrf";
/// Where the page sends it back, and where answers give it to pages of other hosts.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// A cookie to set: which, its value, and how long it lasts.
pub(crate) struct Cookie<'a> {
    name: &'static str,
    value: &'a str,
    seconds: u64,
    scripts: Scripts,
}

#[derive(PartialEq)]
enum Scripts {
    MayRead,
    MayNot,
}

impl<'a> Cookie<'a> {
    pub(crate) fn session(token: &'a str, seconds: u64) -> Self {
        Self { name: SESSION, value: token, seconds, scripts: Scripts::MayNot }
    }

    pub(crate) fn refresh(token: &'a str, seconds: u64) -> Self {
        Self { name: REFRESH, value: token, seconds, scripts: Scripts::MayNot }
    }

    pub(crate) fn csrf(token: &'a str, seconds: u64) -> Self {
        Self { name: CSRF, value: token, seconds, scripts: Scripts::MayRead }
    }

    /// What takes all of them away.
    pub(crate) fn none() -> [Cookie<'static>; 3] {
        [Cookie::session("", 0), Cookie::refresh("", 0), Cookie::csrf("", 0)]
    }

    /// The header that sets it (RFC 6265bis section 4.1).
    pub(crate) fn header(&self, same_site: SameSite) -> (HeaderName, HeaderValue) {
        let Self { name, value, seconds, scripts } = self;
        let same_site = match same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        let http_only = if *scripts == Scripts::MayNot { "; HttpOnly" } else { "" };
        let partitioned = if same_site == "None" { "; Partitioned" } else { "" };
        let limits =
            format!("Path=/; Max-Age={seconds}; Secure; SameSite={same_site}{partitioned}");
        let text = format!("{name}={value}; {limits}{http_only}");
        let value = HeaderValue::try_from(text);
        (SET_COOKIE, value.expect("tokens and names are of letters, digits, - _ and ."))
    }
}

/// The header that gives a page the session's CSRF token.
pub(crate) fn csrf_header(session: &SessionId) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(session.csrf_token());
    (CSRF_HEADER, value.expect("it is base64url"))
}

/// The token in the session's cookie. Two cookies of one name are none that could be believed.
pub(crate) fn session_in(headers: &HeaderMap) -> Option<&[u8]> {
    one_named(headers, SESSION)
}

/// The token in the refresh cookie.
pub(crate) fn refresh_in(headers: &HeaderMap) -> Option<&[u8]> {
    one_named(headers, REFRESH)
}

/// By bytes: another cookie of this host may hold anything, and is nobody's sign-out.
fn one_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lists = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut values = lists
        .flat_map(|list| list.split(|&byte| byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// Whether a request with the session's cookie has the session's CSRF token, where it needs one.
pub(crate) fn csrf_valid(method: &Method, headers: &HeaderMap, session: &SessionId) -> bool {
    // Safe methods change nothing (RFC 9110 section 9.2.1), and CORS keeps their answers.
    if method.is_safe() {
        return true;
    }
    let mut values = headers.get_all(CSRF_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => session.is_csrf_token(value.as_bytes()),
        (Some(_), Some(_)) | (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_two_are_none() {
        let headers = |lines: &[&'static str]| {
            let pairs = lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line)));
            pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
        };
        let one = headers(&["a=b; __Host-session=xyz; c=d"]);
        assert_eq!(session_in(&one), Some(&b"xyz"[..]));
        let mut odd = headers(&["__Host-session=xyz"]);
        let name = HeaderValue::from_bytes(b"name=J\xfcrgen").expect("browsers send such");
        odd.append(COOKIE, name);
        assert_eq!(session_in(&odd), Some(&b"xyz"[..]));
        let two = headers(&["__Host-session=xyz", "__Host-session=abc"]);
        assert_eq!(session_in(&two), None);
        assert_eq!(session_in(&headers(&["__Host-sessions=xyz; x__Host-session=y"])), None);
    }

    #[test]
    fn a_change_needs_the_sessions_own_csrf_token() {
        let session = SessionId::from([7; 16]);
        let mut headers = HeaderMap::new();
        assert!(csrf_valid(&Method::GET, &headers, &session));
        assert!(!csrf_valid(&Method::POST, &headers, &session));
        let token = HeaderValue::try_from(session.csrf_token()).expect("it is ASCII");
        headers.insert(CSRF_HEADER, token);
        assert!(csrf_valid(&Method::POST, &headers, &session));
        assert!(!csrf_valid(&Method::POST, &headers, &SessionId::from([8; 16])));
    }

    #[test]
    fn scripts_may_read_the_csrf_token_and_no_other() {
        let shown = |cookie: Cookie<'_>| {
            let (_, value) = cookie.header(SameSite::Strict);
            value.to_str().expect("it is ASCII").to_owned()
        };
        let session = shown(Cookie::session("t", 60));
        assert_eq!(
            session,
            "__Host-session=t; Path=/; Max-Age=60; Secure; SameSite=Strict; HttpOnly"
        );
        let (_, embedded) = Cookie::session("t", 60).header(SameSite::None);
        let embedded = embedded.to_str().expect("it is ASCII").to_owned();
        assert!(embedded.contains("SameSite=None; Partitioned"), "{embedded}");
        assert!(!session.contains("Partitioned"));
        assert!(shown(Cookie::refresh("t", 60)).ends_with("HttpOnly"));
        assert!(!shown(Cookie::csrf("t", 60)).contains("HttpOnly"));
    }
}
