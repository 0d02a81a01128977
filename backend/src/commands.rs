//! The subcommands, from parsed options to done or a reason.
//!
//! Rule: stdout carries what a script would read, stderr what a person would; an error says what to
//! do.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime;
use tracing::{info, warn};

use crate::app::{Backend, app};
use crate::clock::{self, Clock};
use crate::config::{
    Command, InvalidSettings, KeyCommand, ServeOptions, StoreChoice, TokenCommand, UserCommand,
    check,
};
use crate::keys::{self, KeyError};
use crate::serve::serve;
use crate::store::{Begin, Reads, StoreError, Whose, open};
use crate::users::{self, Added, Existing, OpenError, UserName};
use crate::workers::{self, Worker};
use crate::{logging, metrics};

/// What has expired is refused all the same; this only makes room.
const CLEANED_UP_EACH: Duration = Duration::from_secs(60);

/// What expired by a clock that is wrong would be gone for good. A machine that slept has a jump
/// too, and loses nothing by waiting.
const JUMP: Duration = Duration::from_secs(60 * 60);
const CLOCK_IS_MENDED_IN: Duration = Duration::from_secs(60 * 60);

/// A password over this is a file piped in by mistake.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// Does what the command says.
pub fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(options) => {
            let _log = logging::start(&options.watching);
            run_server(&options)
        }
        Command::User(UserCommand::Add { name, users, password_stdin, replace }) => {
            let name = UserName::parse(&name).map_err(CommandError::InvalidInput)?;
            let password = if password_stdin { read_password()? } else { ask_password()? };
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            match users::add(&users, name, &password, existing)? {
                Added::New => println!("added"),
                Added::Replaced => {
                    println!("replaced");
                    eprintln!("the sessions go on: `token revoke --user NAME` ends them");
                }
                Added::ExistsAlready => return Err(CommandError::UserExists),
            }
            Ok(())
        }
        Command::Token(TokenCommand::Revoke { user, all: _, store }) => {
            let _log = logging::start_for_a_command();
            let whose = user.map_or(Whose::All, Whose::User);
            let revoked = revoke(&store, &whose)?;
            info!(target: logging::AUDIT, event = "revoked", whose = %whose, tokens = revoked);
            println!("revoked {revoked}");
            Ok(())
        }
        Command::Key(KeyCommand::Rotate { key_file }) => {
            if !key_file.exists() {
                return Err(CommandError::NoKeys(key_file));
            }
            let _log = logging::start_for_a_command();
            let older = keys::rotate(&key_file, clock::system_now())?;
            println!("rotated: {older} older keys stay good until their tokens expire");
            Ok(())
        }
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub enum CommandError {
    /// An argument or a password is wrong; the sentence says how.
    InvalidInput(&'static str),
    /// There is such a user.
    UserExists,
    /// There is no such file of sessions.
    NoStore(PathBuf),
    /// There is no such file of keys.
    NoKeys(PathBuf),
    /// The settings do not go together, or a key is none; the sentence says which.
    Settings(String),
    /// A worker ended before it could serve; its own words are on stderr.
    WorkerFailed,
    /// A file cannot be used; the sentence says which.
    Store(String),
    /// No password could be read.
    Password(io::Error),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The system gives no random bytes, threads or signals.
    System(io::Error),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput(sentence) => f.write_str(sentence),
            Self::UserExists => {
                f.write_str("there is such a user: use --replace to change the password")
            }
            Self::NoStore(path) => {
                let path = path.display();
                write!(f, "{path} does not exist: name the server's store with --store")
            }
            Self::NoKeys(path) => {
                let path = path.display();
                write!(f, "{path} does not exist: name the server's keys with --key-file")
            }
            Self::Settings(sentence) => f.write_str(sentence),
            Self::WorkerFailed => f.write_str("a worker cannot serve; its own words stand above"),
            Self::Store(sentence) => f.write_str(sentence),
            Self::Password(error) => {
                write!(
                    f,
                    "cannot read a password: {error}; without a terminal use --password-stdin"
                )
            }
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another --listen")
            }
            Self::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Random(error) => error.into(),
        }
    }
}

impl From<InvalidSettings> for CommandError {
    fn from(error: InvalidSettings) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<KeyError> for CommandError {
    fn from(error: KeyError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<getrandom::Error> for CommandError {
    fn from(error: getrandom::Error) -> Self {
        Self::System(error.into())
    }
}

fn run_server(options: &ServeOptions) -> Result<(), CommandError> {
    if workers::are_wanted(options) {
        check(options)?;
        // The workers' lives are tied to the thread that starts them: this one.
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        return runtime.map_err(CommandError::System)?.block_on(workers::supervise(options));
    }
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::System)?;
    let outcome = runtime.block_on(serve_here(options));
    // A file operation that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Serves in this process, alone or as a worker.
async fn serve_here(options: &ServeOptions) -> Result<(), CommandError> {
    let worker = options.worker.map(|_| Worker::begin()).transpose();
    let worker = worker.map_err(CommandError::System)?;
    let start = worker.as_ref().and_then(|worker| worker.start.clone());
    let backend = Arc::new(Backend::open(options, start, Clock::system()).await?);
    let app = app(Arc::clone(&backend), &options.allowed_origins);
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let who = backend.identity();
    info!("Version {version}, boot {}, instance {}, PID {pid}", who.boot, who.instance);
    tokio::spawn(clean_up(Arc::clone(&backend)));
    match worker {
        Some(worker) => {
            worker.listener.set_nonblocking(true).map_err(CommandError::System)?;
            let listener = TcpListener::from_std(worker.listener).map_err(CommandError::System)?;
            let ready = || Worker::report(backend);
            serve(listener, app, ready).await.map_err(CommandError::System)
        }
        None => {
            let listener = TcpListener::bind(options.listen)
                .await
                .map_err(|error| CommandError::Listen(options.listen, error))?;
            let counts = move || backend.metrics().snapshot();
            metrics::serve(options.watching.metrics, counts).await?;
            let address = listener.local_addr().map_err(CommandError::System)?;
            serve(listener, app, || announce(address)).await.map_err(CommandError::System)
        }
    }
}

/// The one line on stdout: whoever started the server waits for it, and learns the port from it.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

async fn clean_up(backend: Arc<Backend>) {
    let mut ticks = tokio::time::interval(CLEANED_UP_EACH);
    let mut last = (Instant::now(), clock::system_now());
    let mut trusted_from = Instant::now();
    loop {
        ticks.tick().await;
        let now = (Instant::now(), clock::system_now());
        let jump = now.1.since(last.1).saturating_sub(now.0.duration_since(last.0));
        if jump > JUMP {
            warn!(
                "the clock jumped ahead by {} s: nothing is cleaned up for a while",
                jump.as_secs()
            );
            trusted_from = now.0 + CLOCK_IS_MENDED_IN;
        }
        last = now;
        if now.0 >= trusted_from {
            backend.clean_up().await;
        }
    }
}

/// A running server notices at its next verification.
fn revoke(choice: &StoreChoice, whose: &Whose) -> Result<usize, CommandError> {
    match choice {
        StoreChoice::Memory => {
            return Err(CommandError::InvalidInput(
                "a memory store belongs to its server: restart the server instead",
            ));
        }
        StoreChoice::File(path) | StoreChoice::Sqlite(path) if !path.exists() => {
            return Err(CommandError::NoStore(path.clone()));
        }
        StoreChoice::File(_)
        | StoreChoice::Sqlite(_)
        | StoreChoice::Postgres(_)
        | StoreChoice::Redis(_) => {}
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let revoked = runtime.map_err(CommandError::System)?.block_on(async {
        let store = open(choice, Reads::EachChange, Begin::MustExist).await?;
        // What had expired was no session any more, and is not counted.
        store.clean_up(clock::system_now()).await?;
        store.remove(whose).await
    });
    Ok(revoked?)
}

/// The first line of stdin, or all of it where it has no line end.
fn read_password() -> Result<String, CommandError> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_PASSWORD_BYTES + 1);
    let length = stdin.read_to_string(&mut text).map_err(CommandError::Password)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_PASSWORD_BYTES) {
        return Err(CommandError::InvalidInput(
            "the password is over 4096 bytes: use a shorter one",
        ));
    }
    check_password(text.lines().next().unwrap_or_default())
}

fn ask_password() -> Result<String, CommandError> {
    let password = rpassword::prompt_password("Password: ").map_err(CommandError::Password)?;
    let again = rpassword::prompt_password("Once more: ").map_err(CommandError::Password)?;
    if password != again {
        return Err(CommandError::InvalidInput("the two passwords differ: try again"));
    }
    check_password(&password)
}

fn check_password(password: &str) -> Result<String, CommandError> {
    if password.is_empty() {
        return Err(CommandError::InvalidInput("the password is empty: give one"));
    }
    Ok(password.to_owned())
}
