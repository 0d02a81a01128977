//! A store that goes away under load and comes back: an outage never looks like a verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use axum::http::StatusCode;
use session_keeper_services::{Service, ServiceError, unless_missing};
use tempfile::TempDir;

use crate::support::{Answer, Files, Server, UNLIMITED, until};

const CLIENTS: usize = 4;

/// So many requests are answered during each outage before it ends.
const ANSWERED: usize = 40;

/// A store, and the ways in which it goes away.
trait Outage {
    fn argument(&self) -> String;
    fn ways(&self) -> &'static [&'static str];
    fn begin(&mut self, way: &str);
    fn end(&mut self, way: &str);
}

#[test]
fn postgres() {
    let Some(service) = unless_missing(Service::postgres()) else { return };
    a_store_that_goes_away_is_503_and_never_401(service);
}

#[test]
fn redis() {
    let Some(service) = unless_missing(Service::redis()) else { return };
    a_store_that_goes_away_is_503_and_never_401(service);
}

#[test]
fn sqlite() {
    a_store_that_goes_away_is_503_and_never_401(Folder::new("sqlite", "tokens.sqlite"));
}

#[test]
fn file() {
    a_store_that_goes_away_is_503_and_never_401(Folder::new("file", "tokens.json"));
}

fn a_store_that_goes_away_is_503_and_never_401(mut store: impl Outage) {
    let files = Files::with_cheap_ada();
    let argument = store.argument();
    let more = [&UNLIMITED[..], &["--workers", "2", "--store", &argument]].concat();
    let server = Server::start_with(&files, &more);
    let (token, address) = (server.login(), server.address());
    let ended = AtomicBool::new(false);
    let seen = Mutex::new(BTreeMap::<StatusCode, usize>::new());
    let statuses = || std::mem::take(&mut *seen.lock().expect("no client panicked"));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let answer = Server::get_at(address, "/auth/me", &token);
                    assert_is_no_verdict(&answer);
                    *seen.lock().expect("no client panicked").entry(answer.status).or_default() +=
                        1;
                }
            });
        }
        let finish = Finish(&ended);
        for way in store.ways() {
            until("the token is good", || statuses().contains_key(&StatusCode::OK));
            store.begin(way);
            until("requests are told to wait", || {
                let health = server.get("/api/health", "none");
                assert_eq!(health.status, StatusCode::OK, "health touches no store");
                let waiting = seen.lock().expect("no client panicked");
                waiting.get(&StatusCode::SERVICE_UNAVAILABLE) >= Some(&ANSWERED)
            });
            store.end(way);
            statuses();
            until("the token is good again", || statuses().contains_key(&StatusCode::OK));
        }
        drop(finish);
    });
    // The opposite: it can still be refused.
    assert_eq!(server.post("/auth/logout", &token, &serde_json::Value::Null).status, 204);
    assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
}

/// Ends the clients also where the test panics: it would wait for them for ever.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn assert_is_no_verdict(answer: &Answer) {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            assert_eq!(answer.code(), "store_unavailable");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        _ => panic!("an outage looks like a verdict: {answer:?}"),
    }
}

impl Outage for Service {
    fn argument(&self) -> String {
        self.url().to_owned()
    }

    fn ways(&self) -> &'static [&'static str] {
        &["stopped", "killed", "hanging"]
    }

    fn begin(&mut self, way: &str) {
        let outcome: Result<(), ServiceError> = match way {
            "stopped" => self.stop(),
            "killed" => self.kill(),
            _ => self.pause(),
        };
        outcome.expect("it was running");
    }

    fn end(&mut self, way: &str) {
        let outcome = if way == "hanging" { self.resume() } else { self.start() };
        outcome.expect("it comes back");
    }
}

/// A disk that goes away: a folder that gets another name.
struct Folder {
    kind: &'static str,
    path: PathBuf,
    folder: TempDir,
}

impl Folder {
    fn new(kind: &'static str, name: &str) -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        Self { kind, path: folder.path().join("disk").join(name), folder }
    }

    fn rename(&self, from: &str, to: &str) {
        let path = |name: &str| self.folder.path().join(name);
        fs::rename(path(from), path(to)).expect("it is ours");
    }
}

impl Outage for Folder {
    fn argument(&self) -> String {
        format!("{}:{}", self.kind, self.path.display())
    }

    fn ways(&self) -> &'static [&'static str] {
        &["away"]
    }

    fn begin(&mut self, way: &str) {
        self.rename("disk", way);
    }

    fn end(&mut self, way: &str) {
        self.rename(way, "disk");
    }
}
