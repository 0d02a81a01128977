//! Runs other programs, one line for each before it starts.
//!
//! Rule: what a program prints is shown when it failed, or at once with `--verbose`; and nothing is
//! silent for longer than `HEARTBEAT`, because CI systems end what looks dead.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::workspace::Workspace;

const HEARTBEAT: Duration = Duration::from_secs(15);

/// Runs programs and keeps their output.
#[derive(Debug)]
pub(crate) struct Runner {
    verbose: bool,
    /// Cargo draws its own progress bar where somebody can see it.
    watched: bool,
    logs: PathBuf,
}

impl Runner {
    pub(crate) fn new(workspace: &Workspace, verbose: bool) -> Result<Self, Failure> {
        let logs = workspace.scratch("logs");
        fs::create_dir_all(&logs).map_err(|error| Failure::io("make", &logs, &error))?;
        Ok(Self { verbose, watched: io::stderr().is_terminal(), logs })
    }

    /// Runs to the end; a program that fails is a `Failure::Step` whose output has been shown.
    pub(crate) fn run(&self, step: &str, command: &mut Command) -> Result<(), Failure> {
        println!("  {step} …");
        if self.verbose {
            return self.finish(step, command, None);
        }
        let log = self.log_of(step);
        let file = File::create(&log).map_err(|error| Failure::io("write", &log, &error))?;
        let copy = file.try_clone().map_err(|error| Failure::io("write", &log, &error))?;
        command.stdin(Stdio::null()).stdout(file);
        if !(self.watched && is_cargo(command)) {
            command.stderr(copy);
        }
        self.finish(step, command, Some(&log))
    }

    /// Runs quietly and hands back what was printed.
    pub(crate) fn read(&self, step: &str, command: &mut Command) -> Result<String, Failure> {
        let output = command.output().map_err(|error| unstartable(command, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        Err(Failure::Step { step: step.into(), status: output.status.to_string() })
    }

    fn finish(&self, step: &str, command: &mut Command, log: Option<&Path>) -> Result<(), Failure> {
        let mut child = command.spawn().map_err(|error| unstartable(command, &error))?;
        let status = thread::scope(|scope| {
            let (ended, news) = mpsc::channel::<()>();
            scope.spawn(move || report_life(step, log, &news));
            let status = child.wait();
            drop(ended);
            status
        });
        let status = status.map_err(|error| unstartable(command, &error))?;
        if status.success() {
            return Ok(());
        }
        if let Some(output) = log.and_then(|log| fs::read(log).ok()) {
            eprintln!("{}", String::from_utf8_lossy(&output).trim_end());
        }
        Err(Failure::Step { step: step.into(), status: status.to_string() })
    }

    fn log_of(&self, step: &str) -> PathBuf {
        let name = step.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        self.logs.join(format!("{name}.log"))
    }
}

/// Ends when the other end of `news` is dropped.
fn report_life(step: &str, log: Option<&Path>, news: &mpsc::Receiver<()>) {
    let start = Instant::now();
    while news.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
        let last = log.and_then(last_line).unwrap_or_default();
        println!("  {step} … {} s {last}", start.elapsed().as_secs());
    }
}

fn last_line(log: &Path) -> Option<String> {
    let output = fs::read(log).ok()?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(80).collect())
}

fn is_cargo(command: &Command) -> bool {
    Path::new(command.get_program()).file_stem() == Some(OsStr::new("cargo"))
}

fn unstartable(command: &Command, error: &io::Error) -> Failure {
    Failure::Io(format!("cannot run {}: {error}", Path::new(command.get_program()).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_something_on_it_shows_progress() {
        let log = std::env::temp_dir().join(format!("xtask-last-line-{}", std::process::id()));
        fs::write(&log, "Compiling a\n   Compiling b\n\n").expect("the temp folder is writable");
        assert_eq!(last_line(&log).as_deref(), Some("Compiling b"));
        fs::remove_file(&log).expect("just written");
    }
}
