//! Starts a platform in a folder of its own and speaks HTTP to it, byte by byte.
//!
//! Rule: waits for facts, with a deadline that only a broken platform meets.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a-secret-of-the-tests";
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A running platform; ended with its backend when dropped.
pub(crate) struct Platform {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) api_port: u16,
    folder: PathBuf,
}

/// What came back before the connection ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Platform {
    /// Wakes in no time and never sleeps, unless `options` say otherwise.
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = folder();
        for (file, text) in [
            ("www/index.html", "{{platform-secret}} {{api-origin}}"),
            ("www/deep/app.mjs", "export {};"),
            ("www/.hidden", "hidden"),
            ("package/index.js", "// {{platform-secret}}"),
            ("secret.txt", "outside"),
        ] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("make a folder");
            fs::write(path, text).expect("write a file");
        }
        let mut process = command(&folder).args(options).spawn().expect("start the platform");
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let mut next = || lines.next().expect("a line").expect("readable");
        let port_in = |line: &str| {
            let digits = line.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
            digits.parse().expect("a port")
        };
        let port = port_in(next().strip_prefix("demo: http://127.0.0.1").expect("demo line"));
        let api_port = port_in(next().strip_prefix("api: http://127.0.0.1").expect("api line"));
        assert_eq!(next(), format!("control: {port} ready"));
        Self { process, port, api_port, folder }
    }

    pub(crate) fn data(&self, file: &str) -> PathBuf {
        self.folder.join("data").join(file)
    }

    pub(crate) fn www(&self) -> PathBuf {
        self.folder.join("www")
    }

    pub(crate) fn state(&self) -> Value {
        self.control("GET", "/__platform/state", "").json()
    }

    pub(crate) fn requests(&self) -> Value {
        self.control("GET", "/__platform/requests", "").json()
    }

    /// Carries out an order that must succeed and returns the state after it.
    pub(crate) fn order(&self, order: &Value) -> Value {
        let answer = self.control("POST", "/__platform/do", &order.to_string());
        assert_eq!(answer.status, 200, "{order}: {}", answer.text());
        answer.json()
    }

    pub(crate) fn act(&self, action: &str) -> Value {
        self.order(&json!({ "action": action }))
    }

    pub(crate) fn fault(&self, path: &str, times: u32, answer: Value) {
        self.order(&json!({ "action": "fault", "path": path, "times": times, "answer": answer }));
    }

    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let secret = format!("X-Platform-Secret: {SECRET}\r\n");
        request(self.port, method, path, &secret, body).expect("the control answers")
    }

    pub(crate) fn fetch(&self, path: &str) -> Option<Answer> {
        request(self.port, "GET", path, "", "")
    }

    /// Does nothing when it has ended and the test knows it.
    pub(crate) fn signal(&mut self, signal: &str) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let pid = self.process.id().to_string();
            Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        }
    }

    /// Waits until the state says `name`.
    pub(crate) fn wait_for(&self, name: &str) -> Value {
        wait(|| Some(self.state()).filter(|state| state["state"] == name))
    }

    /// The backend's own word for which process it is.
    pub(crate) fn backend_pid(&self) -> u64 {
        let answer = self.fetch("/api/health").expect("health answers");
        answer.json()["pid"].as_u64().expect("a pid")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // In good order where it can be: nobody may collect what an ended platform leaves behind.
        self.signal("-TERM");
        let deadline = Instant::now() + DEADLINE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(own, _): &&(String, String)| own.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

/// One request on a connection of its own; none when it broke before the answer was whole.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Answer> {
    let host = if headers.starts_with("Host:") {
        String::new()
    } else {
        format!("Host: 127.0.0.1:{port}\r\n")
    };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = connect(port)?;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// None: refused by the kernel.
pub(crate) fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    Some(stream)
}

/// A connection that stays open for several requests.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    port: u16,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        Self { reader: BufReader::new(connect(port).expect("a connection")), port }
    }

    pub(crate) fn send(&mut self, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port);
        self.reader.get_mut().write_all(head.as_bytes()).expect("written");
    }

    /// The head of the next answer; empty when the connection ended.
    pub(crate) fn read_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).unwrap_or(0) == 0 {
                break;
            }
        }
        head
    }

    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("bytes of the body");
        bytes
    }

    /// Reads one whole answer.
    pub(crate) fn fetch(&mut self, path: &str) -> Answer {
        self.send(path);
        let head = self.read_head();
        let mut answer = parse_head(&head).expect("an answer");
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        answer.body = self.read_bytes(length.expect("a length"));
        answer
    }

    /// Closed or reset, with nothing more to read; a time-out is neither.
    pub(crate) fn is_ended(&mut self) -> bool {
        match self.reader.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// True when nothing at all comes for `time`; no proof of never, but of not at once.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(time)).expect("a time limit");
        let silent = self.reader.fill_buf().is_err();
        self.reader.get_ref().set_read_timeout(Some(DEADLINE)).expect("a time limit");
        silent
    }

    pub(crate) fn close(self) {
        let _ = self.reader.get_ref().shutdown(Shutdown::Both);
    }
}

/// Asks again until there is something.
pub(crate) fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_alive(pid: u64) -> bool {
    // A zombie has ended, only nobody has looked.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

/// A platform's command with all that it needs, not started.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-keeper-platform"));
    command.args(["--backend", env!("CARGO_BIN_EXE_stand-in-backend")]);
    command.arg("--www").arg(folder.join("www")).arg("--package").arg(folder.join("package"));
    command.arg("--data").arg(folder.join("data"));
    command.args(["--port", "0", "--wake-ms", "0", "--user", "ada:pass:word"]);
    command.env("PLATFORM_SECRET", SECRET).stdout(Stdio::piped());
    command
}

fn folder() -> PathBuf {
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let name = format!("platform-{}-{number}", process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let mut answer = parse_head(&String::from_utf8_lossy(&bytes[..end]))?;
    answer.body = bytes[end..].to_vec();
    let announced: Option<usize> =
        answer.header("content-length").and_then(|length| length.parse().ok());
    announced.is_none_or(|length| length == answer.body.len()).then_some(answer)
}

fn parse_head(head: &str) -> Option<Answer> {
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
    };
    Some(Answer { status, headers: lines.filter_map(header).collect(), body: Vec::new() })
}
