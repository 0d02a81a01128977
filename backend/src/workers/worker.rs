//! The worker's side: its socket, its ties to the parent, its reports.

use std::env;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::backend::Backend;
use crate::identity::Start;

/// The environment variable with the start that the worker belongs to.
pub(super) const START: &str = "SESSION_KEEPER_START";
/// The environment variable with the parent's process id.
pub(super) const PARENT: &str = "SESSION_KEEPER_PARENT";
/// What a worker says when it serves.
pub(super) const READY: &str = "ready";

/// Scrapes come each 15 s or so.
const REPORTED_EACH: Duration = Duration::from_secs(1);

/// This process, as a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) start: Option<Start>,
    pub(crate) listener: TcpListener,
}

impl Worker {
    /// Ties this process to the parent that started it, and takes the socket.
    pub(crate) fn begin() -> io::Result<Self> {
        die_with_parent()?;
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        if parent != env::var(PARENT).ok() {
            return Err(io::Error::other("--worker is for the server's own use: leave it out"));
        }
        let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
        let start = env::var(START).ok().and_then(|text| Start::parse(&text));
        Ok(Self { start, listener })
    }

    /// Says that it serves, and from then on what was counted.
    pub(crate) fn report(backend: Arc<Backend>) -> io::Result<()> {
        say(READY)?;
        tokio::spawn(async move {
            let mut ticks = interval(REPORTED_EACH);
            let mut last = None;
            loop {
                ticks.tick().await;
                let counts = Some(backend.counts());
                if counts == last {
                    continue;
                }
                let line = serde_json::to_string(&counts).expect("counts are numbers");
                // A parent that is gone ends this process anyway.
                let _ = say(&line);
                last = counts;
            }
        });
        Ok(())
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Where there is no such signal (not Linux), an orderly end of the parent is all there is.
#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    let kill = rustix::process::Signal::KILL;
    Ok(rustix::process::set_parent_process_death_signal(Some(kill))?)
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}
