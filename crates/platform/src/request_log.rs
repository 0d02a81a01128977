//! The last requests to the backend, for tests and the demo's timeline.
//!
//! Rule: says that a credential was there, never which; no query, no body.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::{AUTHORIZATION, COOKIE, ORIGIN};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::status::unix_ms;

/// A test of minutes at short intervals fits; more would only be scrolled past.
const KEPT: usize = 2_000;

#[derive(Default)]
pub(crate) struct RequestLog {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    kept: VecDeque<Entry>,
    /// The number of the first entry that is kept.
    first: u64,
}

struct Entry {
    at: u64,
    method: String,
    path: String,
    status: Option<u16>,
    credential: bool,
    background: bool,
    origin: Option<String>,
}

/// Which entry an answer belongs to.
#[derive(Clone, Copy)]
pub(crate) struct EntryNumber(u64);

impl RequestLog {
    /// Writes the request down before it is answered, so that one that is held is seen too.
    pub(crate) fn begin<B>(&self, request: &Request<B>) -> EntryNumber {
        let headers = request.headers();
        let text = |value: &hyper::header::HeaderValue| value.to_str().ok().map(str::to_owned);
        let entry = Entry {
            at: unix_ms(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            status: None,
            credential: headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE),
            background: headers.get("x-background").is_some_and(|value| value == "1"),
            origin: headers.get(ORIGIN).and_then(text),
        };
        let mut entries = self.entries();
        if entries.kept.len() == KEPT {
            entries.kept.pop_front();
            entries.first += 1;
        }
        entries.kept.push_back(entry);
        EntryNumber(entries.first + entries.kept.len() as u64 - 1)
    }

    /// Does nothing when the entry is gone.
    pub(crate) fn answered(&self, number: EntryNumber, status: StatusCode) {
        let mut entries = self.entries();
        let index = number.0.checked_sub(entries.first).and_then(|index| index.try_into().ok());
        if let Some(entry) = index.and_then(|index: usize| entries.kept.get_mut(index)) {
            entry.status = Some(status.as_u16());
        }
    }

    pub(crate) fn clear(&self) {
        let mut entries = self.entries();
        entries.first += entries.kept.len() as u64;
        entries.kept.clear();
    }

    /// Oldest first.
    pub(crate) fn to_json(&self) -> Value {
        self.entries().kept.iter().map(Entry::to_json).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "credential": self.credential,
            "background": self.background,
            "origin": self.origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Request<()> {
        Request::builder().uri(path).body(()).expect("a path is a URI")
    }

    #[test]
    fn an_answer_to_a_forgotten_request_changes_no_other_entry() {
        let log = RequestLog::default();
        let forgotten = log.begin(&request("/auth/me"));
        log.clear();
        log.begin(&request("/api/health"));

        log.answered(forgotten, StatusCode::UNAUTHORIZED);

        assert_eq!(log.to_json()[0]["status"], Value::Null);
    }

    #[test]
    fn the_oldest_entries_make_room() {
        let log = RequestLog::default();
        log.begin(&request("/oldest"));
        let mut last = EntryNumber(0);
        for _ in 0..KEPT {
            last = log.begin(&request("/newer"));
        }

        log.answered(last, StatusCode::OK);

        let kept = log.to_json();
        assert_eq!(kept.as_array().map(Vec::len), Some(KEPT));
        assert_eq!(kept[0]["path"], "/newer");
        assert_eq!(kept[KEPT - 1]["status"], 200);
    }
}
