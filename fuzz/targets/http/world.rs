//! The app in memory, a user of it, and the user's tokens: made once, and made again when an input
//! may have used them up.
//!
//! Rule: the time is the same at the beginning of each input.

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::Value;
use session_keeper_backend::{Backend, Clock, Command, Options, app};
use session_keeper_tokens::UnixMillis;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const NOW: u64 = 1_900_000_000_000;
/// The password is `fuzz`; the costs are the least there are, because it is checked often.
const USERS: &str = concat!(
    r#"{ "ada": { "password": "$argon2id$v=19$m=8,t=1,p=1$"#,
    r#"c2FsdHNhbHRzYWx0c2FsdA$pllDnSIY1r+fHzGL+0ECfrZYBOtRXDcKoq+RX2XEO88" } }"#
);
const LINE: &str = "x serve --store memory --bind-address --trusted-proxies 2 --debug-token \
                    --jwt hs256 --login-attempts 4000000000 \
                    --login-attempts-per-address 4000000000 \
                    --token-requests-per-minute 1000000 --allow-origin https://app.example";

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// `$a`, `$s`, `$c`, `$r`.
#[derive(Default)]
struct Tokens(Vec<(u8, String)>);

pub(crate) struct World {
    runtime: Runtime,
    app: Router,
    clock: Arc<AtomicU64>,
    tokens: Tokens,
    are_used_up: bool,
    files: TempDir,
}

thread_local! {
    static REFRESHING: RefCell<World> = RefCell::new(World::open(&["--refresh"]));
    static ROTATING: RefCell<World> = RefCell::new(World::open(&["--rotate-after-seconds", "60"]));
}

impl World {
    /// With refresh tokens where the input names one: what is refreshed is not rotated.
    pub(crate) fn with(input: &[u8], work: impl FnOnce(&mut Self)) {
        let world = if input.windows(2).any(|two| two == b"$r") { &REFRESHING } else { &ROTATING };
        world.with_borrow_mut(work);
    }

    /// With tokens that are good.
    pub(crate) fn begin(&mut self) {
        self.clock.store(NOW, Ordering::SeqCst);
        if self.are_used_up {
            self.tidy_up();
            let in_body = self.sign_in(false);
            let in_cookies = self.sign_in(true);
            let body: Value = serde_json::from_str(&in_body.body).expect("it is JSON");
            let access = body["access_token"].as_str().expect("a sign-in has it").to_owned();
            let named = |letter, name| Some((letter, cookie(&in_cookies, name)?));
            let named = [
                named(b's', "session="),
                named(b'c', "csrf="),
                // Of the same session as the CSRF token, and good in a body too.
                named(b'r', "refresh="),
            ];
            let access = Some((b'a', access));
            self.tokens = Tokens([access].into_iter().chain(named).flatten().collect());
            self.are_used_up = false;
        }
    }

    /// Thousands of tags and sessions would make each request of a later input a slow one.
    fn tidy_up(&mut self) {
        fs::write(self.files.path().join("tags.json"), "{}").expect("the folder is ours");
        let body: Value = serde_json::from_str(&self.sign_in(false).body).expect("it is JSON");
        let bearer = format!("Bearer {}", body["access_token"].as_str().expect("there is one"));
        let request = Request::post("/auth/logout-everywhere").header("authorization", bearer);
        let answer = self.send(request.body(Vec::new()).expect("it is valid"));
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    }

    pub(crate) fn send(&mut self, request: Request<Vec<u8>>) -> Answer {
        // Anything else may have ended the session, or taken the token's place.
        let is_harmless = request.method() == "GET" && self.clock.load(Ordering::SeqCst) == NOW;
        self.are_used_up |= !is_harmless;
        let app = self.app.clone();
        self.runtime.block_on(async {
            let response = app.oneshot(request.map(Body::from)).await.expect("it never fails");
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.expect("the body is in memory").to_bytes();
            let body = String::from_utf8(bytes.to_vec()).expect("bodies are UTF-8");
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }

    pub(crate) fn wait(&self, seconds: u32) {
        self.clock.fetch_add(u64::from(seconds) * 1000, Ordering::SeqCst);
    }

    /// The text with the tokens in their places.
    pub(crate) fn fill_in(&self, text: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(text.len());
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            let next = bytes.as_slice().first().filter(|_| *byte == b'$');
            match self.tokens.0.iter().find(|(letter, _)| Some(letter) == next) {
                Some((_, token)) => {
                    filled.extend(token.as_bytes());
                    bytes.next();
                }
                None => filled.push(*byte),
            }
        }
        filled
    }

    /// What no answer may show.
    pub(crate) fn tokens(&self) -> Vec<&str> {
        self.tokens.0.iter().map(|(_, token)| &**token).collect()
    }

    fn open(more: &[&str]) -> Self {
        let files = TempDir::new().expect("the system has a folder for temporary files");
        let path = |name: &str| files.path().join(name).to_str().expect("it is UTF-8").to_owned();
        fs::write(path("users.json"), USERS).expect("the folder is ours");
        let words = LINE.split_whitespace().chain(more.iter().copied());
        let mut line: Vec<String> = words.map(str::to_owned).collect();
        for (option, name) in
            [("--users", "users.json"), ("--tags", "tags.json"), ("--key-file", "keys.json")]
        {
            line.extend([option.to_owned(), path(name)]);
        }
        let options = Options::try_parse_from(line).expect("the options are valid");
        let Command::Serve(options) = options.command else { panic!("the command is serve") };
        let clock = Arc::new(AtomicU64::new(NOW));
        let hand = Arc::clone(&clock);
        let clock_of_app = Clock::from_fn(move || UnixMillis(hand.load(Ordering::SeqCst)));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives a runtime what it needs");
        let backend = runtime.block_on(Backend::open(&options, None, clock_of_app));
        let backend = Arc::new(backend.expect("the files can be opened"));
        let app = app(backend, &options.allowed_origins);
        let tokens = Tokens::default();
        Self { runtime, app, clock, tokens, are_used_up: true, files }
    }

    fn sign_in(&mut self, cookie: bool) -> Answer {
        let body = format!(r#"{{"username": "ada", "password": "fuzz", "cookie": {cookie}}}"#);
        let request = Request::post("/auth/login").header("content-type", "application/json");
        let answer = self.send(request.body(body.into()).expect("it is valid"));
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }
}

/// Of the cookie whose name ends so, whatever browsers are to hold of it.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let lines = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.filter_map(|line| line.split(';').next());
    pairs.filter_map(|pair| Some(pair.split_once(name)?.1.to_owned())).next()
}
