//! Several processes on one port.
//!
//! Rule 1: the parent owns the socket, and serves nothing on it. A worker that ends is replaced;
//! what waits in the socket's queue waits for another worker.
//! Rule 2: all workers of one start share its boot id, and are told apart by their number.
//! Rule 3: no worker outlives the parent, not even one that is killed.
//!
//! A worker is this program again, with `--worker N`: the socket is its stdin, and on stdout it
//! says that it is ready, and then what it counted.

mod reports;
mod worker;

use std::collections::{BTreeSet, VecDeque};
use std::env;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::command_error::CommandError;
use crate::config::{Fault, ServeOptions};
use crate::identity::{Start, random_boot};
use crate::serve::Ended;

pub(crate) use reports::Reports;
pub(crate) use worker::Worker;

/// A worker finishes what is in flight within 5 s.
const END_TIME: Duration = Duration::from_secs(7);

/// A worker that ended while it served is replaced at once; one that could not even start not so
/// soon: it would burn the processor.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Some 40 s, in which a disk or a database may come back.
const MAX_TRIES: u32 = 8;

/// How long a server that is reloaded answers nobody.
const RELOAD_GAP: Duration = Duration::from_millis(1500);

/// The one line on stdout: whoever started the server waits for it, and learns the port from it.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

/// Runs the workers until SIGTERM or SIGINT, which are obeyed at any time. Gives an error where one
/// cannot start at all, and where none can be kept running.
pub(crate) async fn supervise(
    options: &ServeOptions,
    listener: &TcpListener,
    address: SocketAddr,
    reports: &Arc<Reports>,
) -> Result<(), CommandError> {
    let mut ended = Ended::listen().map_err(CommandError::System)?;
    let mut announced = Some(address);
    let reload = options.reloads_each();
    loop {
        let mut pool = WorkerPool::new(options, listener, reports)?;
        tokio::select! {
            started = pool.start(options.workers) => {
                if let Err(error) = started {
                    pool.end().await;
                    return Err(error);
                }
            }
            () = ended.wait() => {
                pool.end().await;
                return Ok(());
            }
        }
        if let Some(address) = announced.take() {
            announce(address).map_err(CommandError::System)?;
        }
        let reloaded = async {
            match reload {
                Some(each) => sleep(each).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended.wait() => {
                pool.end().await;
                return Ok(());
            }
            outcome = pool.keep() => {
                pool.end().await;
                return outcome;
            }
            () = reloaded => {
                warn!("FAULT on purpose: reloading, as a server that watches files does");
                pool.end().await;
            }
        }
        tokio::select! {
            () = ended.wait() => return Ok(()),
            () = sleep(RELOAD_GAP) => {}
        }
    }
}

/// Why a worker is started.
#[derive(Clone, Copy, PartialEq)]
enum Spawn {
    /// The server starts.
    Initial,
    /// Another one has ended.
    Replacement,
}

/// The workers of one start.
struct WorkerPool<'a> {
    listener: &'a TcpListener,
    reports: &'a Arc<Reports>,
    start: Start,
    /// `--fault random-key`: what this start signs with.
    key: Option<String>,
    pids: Vec<Option<Pid>>,
    running: JoinSet<(u16, io::Result<ExitStatus>)>,
    ready: (mpsc::Sender<u16>, mpsc::Receiver<u16>),
}

impl<'a> WorkerPool<'a> {
    fn new(
        options: &ServeOptions,
        listener: &'a TcpListener,
        reports: &'a Arc<Reports>,
    ) -> Result<Self, CommandError> {
        let has_own_key = options.has(Fault::RandomKey);
        let key = if has_own_key { Some(random_boot()? + &random_boot()?) } else { None };
        Ok(Self {
            listener,
            reports,
            start: Start::now()?,
            key,
            pids: vec![None; usize::from(options.workers) + 1],
            running: JoinSet::new(),
            ready: mpsc::channel(64),
        })
    }

    /// Starts all, and returns when all are ready.
    async fn start(&mut self, workers: u16) -> Result<(), CommandError> {
        for number in 1..=workers {
            self.spawn(number, Spawn::Initial).map_err(CommandError::System)?;
        }
        for _ in 1..=workers {
            tokio::select! {
                Some(_) = self.ready.1.recv() => {}
                Some(_) = self.running.join_next() => return Err(CommandError::WorkerFailed),
            }
        }
        info!("{workers} workers are ready");
        Ok(())
    }

    /// Replaces workers that end, for as long as it is polled. Where none of them serves and
    /// [`MAX_TRIES`] replacements in a row came to nothing, whoever started this server is told.
    async fn keep(&mut self) -> Result<(), CommandError> {
        let workers = u16::try_from(self.pids.len() - 1).unwrap_or(u16::MAX);
        let mut serving: BTreeSet<u16> = (1..=workers).collect();
        let mut failures = 0;
        let mut waiting: VecDeque<u16> = VecDeque::new();
        loop {
            let pause = restart_pause(failures);
            tokio::select! {
                Some(number) = self.ready.1.recv() => {
                    serving.insert(number);
                    failures = 0;
                }
                Some(Ok((number, status))) = self.running.join_next() => {
                    let status = status.map_or_else(|error| error.to_string(), |of| of.to_string());
                    error!("worker {number} ended ({status}): another takes its place");
                    if !serving.remove(&number) {
                        failures += 1;
                    }
                    if serving.is_empty() && failures >= MAX_TRIES {
                        return Err(CommandError::WorkersKeepFailing(failures));
                    }
                    waiting.push_back(number);
                }
                () = sleep(pause), if !waiting.is_empty() => {
                    for number in std::mem::take(&mut waiting) {
                        if let Err(error) = self.spawn(number, Spawn::Replacement) {
                            error!("worker {number} cannot be started: {error}; trying again");
                            failures += 1;
                            waiting.push_back(number);
                        }
                    }
                    if serving.is_empty() && failures >= MAX_TRIES {
                        return Err(CommandError::WorkersKeepFailing(failures));
                    }
                }
            }
        }
    }

    async fn end(&mut self) {
        for pid in self.pids.iter().flatten() {
            // An error means that it has ended already.
            let _ = kill_process(*pid, Signal::TERM);
        }
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout(END_TIME, all).await.is_err() {
            warn!("workers did not end in time, and are killed");
            self.running.shutdown().await;
        }
    }

    fn spawn(&mut self, number: u16, kind: Spawn) -> io::Result<()> {
        let socket = OwnedFd::from(self.listener.try_clone()?);
        // This very program, also after another one was put in its place.
        let program =
            if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { env::current_exe()? };
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).arg("--worker").arg(number.to_string());
        if kind == Spawn::Replacement {
            // A store or a key that is not there now was there before, and is not created again.
            command.arg("--replaces");
        }
        command
            .env(worker::START, self.start.describe())
            .env(worker::PARENT, std::process::id().to_string());
        if let Some(key) = &self.key {
            command.env("SECRET_KEY", key);
        }
        command.stdin(Stdio::from(socket)).stdout(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        self.pids[usize::from(number)] = pid;
        let (reports, ready) = (Arc::clone(self.reports), self.ready.0.clone());
        self.running.spawn(async move { (number, attend(child, number, &reports, &ready).await) });
        Ok(())
    }
}

/// Listens to a worker until it ends.
async fn attend(
    mut child: Child,
    number: u16,
    reports: &Reports,
    ready: &mpsc::Sender<u16>,
) -> io::Result<ExitStatus> {
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line == worker::READY {
                // Nobody waits for a worker that took another's place.
                let _ = ready.try_send(number);
            } else {
                reports.note(number, &line);
            }
        }
    }
    let status = child.wait().await;
    reports.close(number);
    status
}

/// Whether `options` ask for more than this one process.
pub(crate) fn are_wanted(options: &ServeOptions) -> bool {
    options.worker.is_none() && (options.workers > 1 || options.reloads_each().is_some())
}

/// How long to wait after so many replacements in a row that came to nothing.
fn restart_pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(8)).min(LONGEST_PAUSE),
    }
}
