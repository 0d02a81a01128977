//! The demo's pages and the package's files.
//!
//! Rule: nothing outside the two folders is served, neither by a path nor by a link. The start
//! page alone learns the run's secret and the API's origin.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use hyper::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::body::{Answer, answer, full, text};

const PACKAGE_PREFIX: &str = "/session-keeper/";
const START_PAGE: &str = "index.html";

pub(crate) struct Pages {
    www: PathBuf,
    package: PathBuf,
    secret: String,
    api_origin: String,
}

impl Pages {
    /// Both folders must be real paths, without links.
    pub(crate) fn new(www: PathBuf, package: PathBuf, secret: String, api_origin: String) -> Self {
        Self { www, package, secret, api_origin }
    }

    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "Pages can only be read.");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        let path = request.uri().path();
        let (folder, rest) = match path.strip_prefix(PACKAGE_PREFIX) {
            Some(rest) => (&self.package, rest),
            None if path == "/" => (&self.www, START_PAGE),
            None => (&self.www, path.trim_start_matches('/')),
        };
        let Some(file) = locate(folder, rest).await else {
            return text(StatusCode::NOT_FOUND, "There is no such page.");
        };
        let Ok(bytes) = tokio::fs::read(&file).await else {
            return text(StatusCode::NOT_FOUND, "There is no such page.");
        };
        let bytes = if file == self.www.join(START_PAGE) { self.fill_in(bytes) } else { bytes };
        let mut page = answer(StatusCode::OK, content_type(&file), String::new());
        *page.body_mut() = full(bytes.into());
        let headers = page.headers_mut();
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        // Asked for again each time, but not `no-store`, which would keep a page that fetches with
        // it out of the back/forward cache.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        page
    }

    fn fill_in(&self, bytes: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(html) => html
                .replace("{{platform-secret}}", &self.secret)
                .replace("{{api-origin}}", &self.api_origin)
                .into_bytes(),
            Err(error) => error.into_bytes(),
        }
    }
}

/// The real file below `folder`; none for whatever is not clearly one.
async fn locate(folder: &Path, encoded: &str) -> Option<PathBuf> {
    let decoded = percent_decode(encoded)?;
    let mut path = folder.to_owned();
    for segment in decoded.split('/') {
        // A leading dot also hides what editors and tools leave behind.
        if segment.is_empty() || segment.starts_with('.') || segment.contains(['\\', '\0']) {
            return None;
        }
        path.push(segment);
    }
    let real = tokio::fs::canonicalize(path).await.ok()?;
    let is_file = tokio::fs::metadata(&real).await.ok()?.is_file();
    (is_file && real.starts_with(folder)).then_some(real)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt" | "md" | "ts") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_only_when_it_is_well_formed() {
        assert_eq!(percent_decode("a%20b").as_deref(), Some("a b"));
        assert_eq!(percent_decode("%252e").as_deref(), Some("%2e"));
        assert_eq!(percent_decode("%2"), None);
        assert_eq!(percent_decode("%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
    }
}
