//! The backend as a process: starting it, ending it, and running its subcommands.
//!
//! Rule: whatever is started here ends with the platform, and every wait is bounded. Knows the
//! backend's command line and nothing of when it should run.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::launch;
use crate::options::SECRET_VARIABLE;

/// A debug build that hashes passwords on a busy machine starts in a few seconds; one that is
/// silent for this long never will.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A little more than the 5 s that the backend takes at most to finish what is in flight.
const STOP_LIMIT: Duration = Duration::from_secs(6);
const SUBCOMMAND_LIMIT: Duration = Duration::from_secs(20);

const READY_LINE: &str = "listening on http://";

/// How the backend is started: its binary, its files, who may call it.
pub(crate) struct BackendCommand {
    platform: PathBuf,
    program: PathBuf,
    data: PathBuf,
    store: Option<OsString>,
    args: Vec<OsString>,
    origins: Vec<String>,
}

/// Why the backend did not do what was asked of it.
#[derive(Debug)]
pub(crate) enum BackendError {
    /// The binary cannot be run.
    NotStarted(io::Error),
    /// It ended without doing it; its own words are on stderr.
    Ended(ExitStatus),
    /// It did not do it in time.
    TooSlow(Duration),
    /// It said something else where it should say where it listens.
    UnknownReadyLine,
    /// The tokens could not be deleted.
    TokensNotDeleted(io::Error),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => {
                write!(f, "the backend cannot be run: {error}; check --backend")
            }
            Self::Ended(status) => {
                write!(f, "the backend gave up ({status}); its own words are on stderr")
            }
            Self::TooSlow(limit) => {
                write!(f, "the backend was not ready within {} s", limit.as_secs())
            }
            Self::UnknownReadyLine => {
                write!(f, "the backend's first line on stdout is not `{READY_LINE}ADDRESS:PORT`")
            }
            Self::TokensNotDeleted(error) => write!(f, "the tokens stay: {error}"),
        }
    }
}

impl std::error::Error for BackendError {}

impl BackendCommand {
    /// Fails only when the platform's own binary cannot be found again.
    pub(crate) fn new(program: PathBuf, data: PathBuf, origins: Vec<String>) -> io::Result<Self> {
        let platform = std::env::current_exe()?;
        Ok(Self { platform, program, data, store: None, args: Vec::new(), origins })
    }

    /// With sessions kept elsewhere than in a file of its own, and with more arguments for `serve`.
    pub(crate) fn with(self, store: Option<OsString>, args: Vec<OsString>) -> Self {
        Self { store, args, ..self }
    }

    /// Starts the server and waits until it listens.
    pub(crate) async fn start(&self) -> Result<Backend, BackendError> {
        let mut command = prepared(&self.platform);
        command.args(launch::arguments(&self.program));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--store").arg(self.store());
        command.arg("--users").arg(self.data.join("users.json"));
        command.arg("--tags").arg(self.data.join("tags.json"));
        for origin in &self.origins {
            command.arg("--allow-origin").arg(origin);
        }
        command.args(&self.args);
        // A group of its own: Ctrl-C on the terminal is for the platform to handle, and what the
        // backend forks ends with it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(BackendError::NotStarted)?;
        pass_on_stderr(&mut child);
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let ready = timeout(START_LIMIT, lines.next_line()).await;
        let first = match ready {
            Ok(line) => line.ok().flatten(),
            Err(_) => {
                end(&mut child).await;
                return Err(BackendError::TooSlow(START_LIMIT));
            }
        };
        let Some(line) = first else {
            let status = end(&mut child).await.ok_or(BackendError::UnknownReadyLine)?;
            return Err(BackendError::Ended(status));
        };
        let address = line.strip_prefix(READY_LINE).and_then(|rest| rest.trim().parse().ok());
        let Some(address) = address else {
            end(&mut child).await;
            return Err(BackendError::UnknownReadyLine);
        };
        tokio::spawn(pass_on(lines.into_inner()));
        Ok(Backend { child, address })
    }

    /// Makes or replaces a user.
    pub(crate) async fn add_user(&self, name: &str, password: &str) -> Result<(), BackendError> {
        let mut command = prepared(&self.program);
        command.args(["user", "add", name, "--replace", "--password-stdin"]);
        // A demo's password is written on its page.
        command.args(["--allow-weak-password", "--users"]);
        command.arg(self.data.join("users.json"));
        run(command, password.as_bytes()).await
    }

    /// Removes every token from the store, whether or not the server runs.
    pub(crate) async fn revoke_tokens(&self) -> Result<(), BackendError> {
        let mut command = prepared(&self.program);
        command.args(["token", "revoke", "--all", "--allow-none", "--store"]).arg(self.store());
        run(command, b"").await
    }

    /// Deletes the database of tokens, as a deployment on a fresh disk would. A store that is
    /// elsewhere is emptied. Only while the backend is stopped.
    pub(crate) async fn lose_tokens(&self) -> Result<(), BackendError> {
        if self.store.is_some() {
            return self.revoke_tokens().await;
        }
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.database().into_os_string();
            path.push(suffix);
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BackendError::TokensNotDeleted(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn database(&self) -> PathBuf {
        self.data.join("auth_tokens.sqlite")
    }

    fn store(&self) -> OsString {
        if let Some(store) = &self.store {
            return store.clone();
        }
        let mut store = OsString::from("sqlite:");
        store.push(self.database());
        store
    }
}

/// A backend that listens.
pub(crate) struct Backend {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Backend {
    /// None once it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// SIGTERM, and SIGKILL for one that does not finish in time.
    pub(crate) async fn stop(mut self) {
        if let Some(pid) = group(&self.child) {
            // An error means that it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            say("platform: the backend did not stop in time and is killed");
        }
        end(&mut self.child).await;
    }

    /// SIGKILL at once.
    pub(crate) async fn kill(mut self) {
        end(&mut self.child).await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        kill_group(&self.child);
    }
}

/// One line on stderr; a stderr that nobody reads stops nothing.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(io::stderr(), "{line}");
}

fn prepared(program: &Path) -> Command {
    let mut command = Command::new(program);
    // The control's secret is none of the backend's business.
    command.kill_on_drop(true).stderr(Stdio::piped()).env_remove(SECRET_VARIABLE);
    command
}

async fn run(mut command: Command, input: &[u8]) -> Result<(), BackendError> {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(BackendError::NotStarted)?;
    pass_on_stderr(&mut child);
    let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
    let finished = timeout(SUBCOMMAND_LIMIT, async {
        // One that ends without reading its input says why by its exit status.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        child.wait().await
    });
    match finished.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(BackendError::Ended(status)),
        Ok(Err(error)) => Err(BackendError::NotStarted(error)),
        Err(_) => Err(BackendError::TooSlow(SUBCOMMAND_LIMIT)),
    }
}

async fn end(child: &mut Child) -> Option<ExitStatus> {
    kill_group(child);
    child.wait().await.ok()
}

fn kill_group(child: &Child) {
    if let Some(pid) = group(child) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn group(child: &Child) -> Option<Pid> {
    child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
}

fn pass_on_stderr(child: &mut Child) {
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pass_on(BufReader::new(stderr)));
    }
}

async fn pass_on<R: AsyncRead + Unpin>(output: BufReader<R>) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        say(&format!("backend: {line}"));
    }
}
