//! Any request against the whole app, with the tokens of a user who is signed in at hand.
//!
//! Rule: whatever is sent, the answer is ours and no 5xx, every error is JSON with a code, and no
//! answer repeats what was presented. The CSRF token is told where a page of another origin of the
//! same site has to learn it: as `csrf_token` of an answer that accepts the session, nowhere else.
//!
//! An input is lines: a method and a path, then header lines by one letter, then after `=` the
//! body. `$a`, `$s`, `$c` and `$r` stand for tokens that no corpus could hold. Signing in is left
//! out: each password takes as long as a thousand other requests.

#![no_main]

mod world;

use axum::http::{Request, StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

use crate::world::{Answer, World};

const HEADERS: [(u8, &str); 9] = [
    (b'a', "authorization"),
    (b'c', "cookie"),
    (b'f', "x-forwarded-for"),
    (b'p', "x-forwarded-proto"),
    (b'x', "x-csrf-token"),
    (b'u', "user-agent"),
    (b'b', "x-background"),
    (b'o', "origin"),
    (b't', "content-type"),
];

fuzz_target!(|bytes: &[u8]| World::with(bytes, |world| {
    world.begin();
    let Some(request) = read(bytes, world) else { return };
    let is_head = request.method() == "HEAD";
    let answer = world.send(request);
    check(&answer, is_head);
    let body = without_csrf_token(&answer);
    let shows = |secret: &str| body.contains(secret);
    assert!(!world.tokens().iter().any(|token| shows(token)), "an answer repeats a token");
}));

fn check(answer: &Answer, is_head: bool) {
    let Answer { status, headers, body } = answer;
    assert!(!status.is_server_error(), "{status}: {body}");
    assert!(headers.contains_key("cache-control") || !headers.contains_key("content-type"));
    if *status == StatusCode::UNAUTHORIZED {
        assert!(headers.contains_key("www-authenticate"), "a 401 without a challenge");
    }
    if status.is_client_error() && !is_head {
        let error: Value = serde_json::from_str(body).expect("errors are JSON");
        let says = ["code", "message", "instance", "boot"].map(|key| error[key].is_string());
        assert_eq!(says, [true; 4], "{body}");
    }
}

/// The body of an answer that accepts, without the one member that may hold a token.
fn without_csrf_token(answer: &Answer) -> String {
    let Answer { status, body, .. } = answer;
    let members = serde_json::from_str::<Map<String, Value>>(body);
    match members {
        Ok(mut members) if *status == StatusCode::OK => {
            members.remove("csrf_token");
            Value::Object(members).to_string()
        }
        _ => body.clone(),
    }
}

/// The request that the lines describe, if it is one.
fn read(bytes: &[u8], world: &World) -> Option<Request<Vec<u8>>> {
    let mut rest = bytes;
    let first = next_line(&mut rest);
    let space = first.iter().position(|byte| *byte == b' ')?;
    let uri = Uri::try_from(world.fill_in(&first[space + 1..])).ok()?;
    if uri.path() == "/auth/login" {
        return None;
    }
    let mut request = Request::builder().method(&first[..space]).uri(uri);
    while let Some((kind, _)) = rest.split_first() {
        if *kind == b'=' {
            return request.body(world.fill_in(&rest[1..])).ok();
        }
        let line = next_line(&mut rest);
        let Some((kind, value)) = line.split_first() else { continue };
        if *kind == b'w' {
            world.wait(std::str::from_utf8(value).ok()?.parse().ok()?);
        }
        if let Some((_, name)) = HEADERS.iter().find(|(known, _)| known == kind) {
            request = request.header(*name, world.fill_in(value));
        }
    }
    request.body(Vec::new()).ok()
}

fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    line
}
