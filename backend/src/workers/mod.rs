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

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use crate::commands::{CommandError, announce};
use crate::config::{Fault, ServeOptions};
use crate::identity::{Start, random_boot};
use crate::metrics;
use crate::serve::Ended;

pub(crate) use reports::Reports;
pub(crate) use worker::Worker;

/// A worker finishes what is in flight within 5 s.
const END_TIME: Duration = Duration::from_secs(7);

/// A worker that ends sooner than this is not started again at once: it would burn the processor.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// How long a server that is reloaded answers nobody.
const RELOAD_GAP: Duration = Duration::from_millis(1500);

/// Runs the workers until SIGTERM or SIGINT. Gives an error where one cannot start at all.
pub(crate) async fn supervise(options: &ServeOptions) -> Result<(), CommandError> {
    let listener = TcpListener::bind(options.listen)
        .map_err(|error| CommandError::Listen(options.listen, error))?;
    let mut ended = Ended::listen().map_err(CommandError::System)?;
    let reports = Arc::new(Reports::default());
    let sums = Arc::clone(&reports);
    metrics::serve(options.watching.metrics, move || sums.sum()).await?;
    let mut announced = Some(listener.local_addr().map_err(CommandError::System)?);
    let reload = options.reloads_each();
    loop {
        let mut crew = Crew::start(options, &listener, &reports).await?;
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
                crew.end().await;
                return Ok(());
            }
            outcome = crew.keep() => return outcome,
            () = reloaded => {
                warn!("FAULT on purpose: reloading, as a server that watches files does");
                crew.end().await;
                sleep(RELOAD_GAP).await;
            }
        }
    }
}

/// Whose place a worker takes.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// Its own, at a start.
    FirstPlace,
    /// That of one that has ended.
    AnothersPlace,
}

/// The workers of one start.
struct Crew<'a> {
    listener: &'a TcpListener,
    reports: &'a Arc<Reports>,
    start: Start,
    /// `--fault random-key`: what this start signs with.
    key: Option<String>,
    pids: Vec<Option<Pid>>,
    running: JoinSet<(u16, Instant, io::Result<ExitStatus>)>,
    ready: (mpsc::Sender<u16>, mpsc::Receiver<u16>),
}

impl<'a> Crew<'a> {
    /// Starts all, and returns when all are ready.
    async fn start(
        options: &'a ServeOptions,
        listener: &'a TcpListener,
        reports: &'a Arc<Reports>,
    ) -> Result<Self, CommandError> {
        let has_own_key = options.has(Fault::RandomKey);
        let key = if has_own_key { Some(random_boot()? + &random_boot()?) } else { None };
        let mut crew = Self {
            listener,
            reports,
            start: Start::now()?,
            key,
            pids: vec![None; usize::from(options.workers) + 1],
            running: JoinSet::new(),
            ready: mpsc::channel(64),
        };
        for number in 1..=options.workers {
            crew.spawn(number, Takes::FirstPlace).map_err(CommandError::System)?;
        }
        for _ in 1..=options.workers {
            tokio::select! {
                Some(_) = crew.ready.1.recv() => {}
                Some(_) = crew.running.join_next() => {
                    crew.end().await;
                    return Err(CommandError::WorkerFailed);
                }
            }
        }
        info!("{} workers are ready", options.workers);
        Ok(crew)
    }

    /// Replaces workers that end, for as long as it is polled.
    async fn keep(&mut self) -> Result<(), CommandError> {
        loop {
            let Some(Ok((number, started, status))) = self.running.join_next().await else {
                return Err(CommandError::WorkerFailed);
            };
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            error!("worker {number} ended ({status}): another takes its place");
            if started.elapsed() < TOO_SHORT {
                sleep(TOO_SHORT).await;
            }
            while let Err(error) = self.spawn(number, Takes::AnothersPlace) {
                error!("worker {number} cannot be started: {error}; trying again");
                sleep(TOO_SHORT).await;
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

    fn spawn(&mut self, number: u16, takes: Takes) -> io::Result<()> {
        let socket = OwnedFd::from(self.listener.try_clone()?);
        // This very program, also after another one was put in its place.
        let program =
            if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { env::current_exe()? };
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).arg("--worker").arg(number.to_string());
        if takes == Takes::AnothersPlace {
            // A store or a key that is not there now was there before, and is not made anew.
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
        let started = Instant::now();
        self.running
            .spawn(async move { (number, started, attend(child, number, &reports, &ready).await) });
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
