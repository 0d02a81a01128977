//! A folder of files, the app on them, and the program on them.
//!
//! Rule: each test has a folder of its own and ports of the system's choice: all run at once.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use session_keeper_backend::tokens::UnixMillis;
use session_keeper_backend::{Backend, ClientCredentials, Clock, Command as Chosen, Options, app};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::http::with_token;
pub(crate) use crate::http::{read_answer, request_text, try_read_answer};

pub(crate) const ORIGIN: &str = "https://app.example";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A kill in the middle of a sign-in leaves its attempt counted, and tests share stores.
pub(crate) const UNLIMITED: [&str; 4] =
    ["--login-attempts", "1000000", "--login-attempts-per-address", "1000000"];

/// Longer than anything takes on a busy machine; whoever reaches it has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for a server's files. Lives as long as the last app on it.
#[derive(Clone)]
pub(crate) struct Files(Arc<TempDir>);

impl Files {
    pub(crate) fn empty() -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        Self(Arc::new(folder))
    }

    /// With the user `ada`.
    pub(crate) fn with_ada() -> Self {
        let files = Self::empty();
        let added = files.program_with_input(&["user", "add", "ada", "--password-stdin"], PASSWORD);
        assert!(added.status.success(), "{added:?}");
        files
    }

    /// With the user `ada`, whose password costs next to nothing to check: for tests that sign in
    /// thousands of times.
    pub(crate) fn with_cheap_ada() -> Self {
        let files = Self::empty();
        let params = Params::new(8, 1, 1, None).expect("they are the least that there are");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"salt of the test");
        let hash = hash.expect("the password is short").to_string();
        let users = json!({ "ada": { "password": hash } });
        std::fs::create_dir(files.path("")).expect("the folder is empty");
        std::fs::write(files.path("users.json"), users.to_string()).expect("the folder is ours");
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("data").join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("auth_tokens.json")
    }

    /// The names beside the store.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).expect("the folder is there");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        names.map(|name| name.into_string().expect("the names are ASCII")).collect()
    }

    /// Runs the program in the folder to its end.
    pub(crate) fn program(&self, arguments: &[&str]) -> Output {
        self.program_with_input(arguments, "")
    }

    pub(crate) fn program_with_env(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(env.iter().copied());
        command.output().expect("the program ends")
    }

    pub(crate) fn program_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A program that has refused its arguments reads no input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    /// Runs the program in the folder, and does not wait for anything.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program starts")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_session-keeper-backend"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }
}

/// The app on a folder, with a clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    clock: Arc<AtomicU64>,
    _files: Files,
}

impl App {
    pub(crate) async fn open(files: &Files) -> Self {
        Self::open_with(files, &[]).await
    }

    pub(crate) async fn open_with(files: &Files, more: &[&str]) -> Self {
        Self::open_on(files, &format!("file:{}", files.store().display()), more).await
    }

    pub(crate) async fn open_with_memory(files: &Files) -> Self {
        Self::open_on(files, "memory", &[]).await
    }

    pub(crate) async fn open_on(files: &Files, store: &str, more: &[&str]) -> Self {
        let paths = ["users.json", "tags.json", "keys.json"].map(|name| files.path(name));
        let [users, tags, keys] = paths.each_ref().map(|path| path.to_str().expect("it is UTF-8"));
        let mut line = vec!["session-keeper-backend", "serve", "--allow-origin", ORIGIN];
        line.extend(["--store", store, "--users", users, "--tags", tags, "--key-file", keys]);
        line.extend(more);
        let mut options = Options::try_parse_from(line).expect("the options are valid");
        if let Chosen::Serve(options) = &mut options.command
            && options.upstream.url.is_some()
        {
            // Tests run at once, and none may change the environment that all of them share.
            let (id, secret) = ("backend".to_owned(), "s3cret".to_owned());
            options.upstream.client = Some(ClientCredentials { id, secret });
            options.upstream.token_file = Some(files.path("upstream.json"));
        }
        let Chosen::Serve(options) = options.command else { panic!("the command is serve") };
        let clock = Arc::new(AtomicU64::new(1_900_000_000_000));
        let hand = Arc::clone(&clock);
        let clock_of_app = Clock::from_fn(move || UnixMillis(hand.load(Ordering::SeqCst)));
        let backend = Backend::open(&options, None, clock_of_app).await;
        let backend = backend.expect("the files can be opened");
        Self {
            router: app(Arc::new(backend), &options.allowed_origins),
            clock,
            _files: files.clone(),
        }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).expect("tests advance by days at most");
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the app never fails");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the body is in memory").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("bodies are UTF-8");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(with_token("GET", path, token).body(Body::empty()).expect("it is valid")).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        let request = with_token("POST", path, token).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("it is valid")).await
    }

    pub(crate) async fn try_login(&self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        let request = Request::post("/auth/login").header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("it is valid")).await
    }

    pub(crate) async fn login(&self) -> String {
        token_in(&self.try_login("ada", PASSWORD).await)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("our headers are ASCII"))
    }
}

pub(crate) fn token_in(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["access_token"].as_str().expect("a sign-in has a token").to_owned()
}

/// Waits for a fact.
pub(crate) fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The program, serving. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    stderr: Receiver<String>,
}

impl Server {
    pub(crate) fn start(files: &Files) -> Self {
        Self::start_with(files, &[])
    }

    pub(crate) fn start_with(files: &Files, more: &[&str]) -> Self {
        Self::start_with_env(files, more, &[])
    }

    pub(crate) fn start_with_env(files: &Files, more: &[&str], env: &[(&str, &str)]) -> Self {
        let line = [&["serve", "--listen", "127.0.0.1:0"][..], more].concat();
        Self::spawn(files.command(&line), env)
    }

    /// Where the environment says.
    pub(crate) fn start_without_address(files: &Files, env: &[(&str, &str)]) -> Self {
        Self::spawn(files.command(&["serve"]), env)
    }

    fn spawn(mut command: Command, env: &[(&str, &str)]) -> Self {
        let mut child = command
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout can be read");
        let address = line.strip_prefix("listening on http://").map(str::trim_end);
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}")).to_owned();
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // A test that has ended wants no more lines.
            stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, address, stderr: receiver }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        stream
    }

    /// `None`: the system takes no more.
    pub(crate) fn try_connect(&self) -> Option<TcpStream> {
        TcpStream::connect(&self.address).ok()
    }

    /// From another address of this machine.
    pub(crate) fn connect_from(&self, address: [u8; 4], port: u16) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let stream = runtime.expect("the system has threads").block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("there are sockets");
            socket.bind((address, 0).into()).expect("it is an address of this machine");
            let stream = socket.connect(([127, 0, 0, 1], port).into()).await;
            stream.and_then(tokio::net::TcpStream::into_std)
        });
        let stream = stream.expect("the server listens");
        stream.set_nonblocking(false).expect("it is a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        stream
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.request("GET", path, token, "")
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.request("POST", path, token, &body.to_string())
    }

    pub(crate) fn login(&self) -> String {
        let body = json!({ "username": "ada", "password": PASSWORD });
        token_in(&self.post("/auth/login", "none", &body))
    }

    fn request(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let mut stream = self.connect();
        let text = request_text(method, path, token, body, "close");
        stream.write_all(text.as_bytes()).expect("the server reads");
        read_answer(&mut BufReader::new(stream))
    }

    /// `None`: nobody answers.
    pub(crate) fn try_get(&self, path: &str, token: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(request_text("GET", path, token, "", "close").as_bytes()).ok()?;
        try_read_answer(&mut BufReader::new(stream))
    }

    /// The same of whoever listens there.
    pub(crate) fn get_at(address: &str, path: &str, token: &str) -> Answer {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        let text = request_text("GET", path, token, "", "close");
        stream.write_all(text.as_bytes()).expect("it reads");
        read_answer(&mut BufReader::new(stream))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As the system does it to a process out of memory.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server ends");
    }

    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Reads stderr up to the line that contains `text`.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("stderr has no {text:?}: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the end. Returns whether it was a good one, and the rest of stderr.
    pub(crate) fn wait(mut self) -> (bool, String) {
        let ended = self.child.wait().expect("the server ends").success();
        let rest: Vec<String> = self.stderr.iter().collect();
        (ended, rest.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
