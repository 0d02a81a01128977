//! HTTP by hand, over sockets: for what no client library would send.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use axum::http::{HeaderMap, Request};

use crate::support::Answer;

pub(crate) fn request_text(
    method: &str,
    path: &str,
    token: &str,
    body: &str,
    connection: &str,
) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: {connection}\r\n\
         \r\n{body}",
        body.len()
    )
}

/// Reads one answer of known length and nothing beyond it.
pub(crate) fn read_answer(stream: &mut BufReader<TcpStream>) -> Answer {
    try_read_answer(stream).expect("the server answers")
}

/// `None`: the server went away before its answer was whole.
pub(crate) fn try_read_answer(stream: &mut BufReader<TcpStream>) -> Option<Answer> {
    let mut next_line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        line.ends_with('\n').then(|| line.trim_end().to_owned())
    };
    let status_line = next_line()?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {status_line:?}"));
    let mut headers = HeaderMap::new();
    loop {
        let line = next_line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        let name: axum::http::HeaderName = name.parse().expect("the name is valid");
        headers.append(name, value.parse().expect("the value is valid"));
    }
    let length = headers.get("content-length").and_then(|value| value.to_str().ok());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("it is a number"))];
    stream.read_exact(&mut body).ok()?;
    Some(Answer { status, headers, text: String::from_utf8(body).expect("bodies are UTF-8") })
}

pub(crate) fn with_token(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"))
}
