//! Becomes the backend's process, after tying its life to the platform's.
//!
//! Rule: a backend never outlives its platform, even one killed by SIGKILL. The kernel's
//! parent-death signal must be asked for by the child itself; doing it here, in a fresh process
//! that then becomes the backend, needs no unsafe code between fork and exec, and keeps the pid.
//! The signal is bound to the thread that forks, so the platform starts processes from its main
//! thread only. Where there is no such signal (not Linux), an orderly end is all there is.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The first argument that asks for this instead of the platform itself.
pub(crate) const LAUNCH: &str = "launch-backend";

/// The arguments that make this binary become `program`.
pub(crate) fn arguments(program: &Path) -> [OsString; 3] {
    [LAUNCH.into(), std::process::id().to_string().into(), program.into()]
}

/// Becomes the program named by `arguments`; returns only when that failed.
pub(crate) fn launch(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        eprintln!("error: {LAUNCH} is for the platform's own use; start the platform without it");
        return ExitCode::from(2);
    };
    if let Err(error) = die_with_parent() {
        eprintln!("error: cannot tie the backend's life to the platform's: {error}");
        return ExitCode::FAILURE;
    }
    let current = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if current != Some(parent) {
        // The platform died before the signal was asked for.
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("error: cannot start the backend {}: {error}", program.display());
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> std::io::Result<()> {
    let kill = rustix::process::Signal::KILL;
    Ok(rustix::process::set_parent_process_death_signal(Some(kill))?)
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> std::io::Result<()> {
    Ok(())
}
