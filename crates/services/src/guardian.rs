//! Ties processes and a folder to the life of their owner.
//!
//! Rule: whatever was started here is gone after its owner, even one killed by SIGKILL. A library
//! can do nothing in the process that it starts before that becomes the server, and has no binary
//! of its own to become; so a shell waits beside for the end of a pipe that the owner alone
//! holds open. It knows pids and a folder, and not what they are for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

const SHELL: &str = "/bin/sh";
const GUARDIAN: &str = include_str!("guardian.sh");
/// Becomes the program only when told to, which is after the guardian knows its pid. An owner that
/// dies in between says nothing, and the program never starts.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;

/// Whom to run a process as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A program with its arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// The shell that waits for its owner's end.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
    /// None only while it ends.
    line: Option<ChildStdin>,
    account: Option<Account>,
}

impl Guardian {
    /// Watches over the folder from here on.
    pub(crate) fn over(folder: &Path, account: Option<Account>) -> io::Result<Self> {
        // The server's account and not ours: who is root in a container may do less to the shared
        // memory of others than they may themselves.
        let mut shell = shell(GUARDIAN, account);
        shell.arg(folder).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn()?;
        let line = shell.stdin.take();
        Ok(Self { shell, line, account })
    }

    /// Starts a process that ends with the owner; what it prints goes to the log.
    pub(crate) fn start(
        &mut self,
        invocation: &Invocation,
        folder: &Path,
        log: File,
    ) -> io::Result<Child> {
        let mut gate = shell(GATE, self.account);
        gate.arg(&invocation.program).args(&invocation.arguments);
        gate.current_dir(folder).stdout(log.try_clone()?).stderr(log);
        let mut child = gate.spawn()?;
        let told = self.tell(&child.id().to_string()).and_then(|()| {
            let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
            stdin.write_all(b"go\n")
        });
        if let Err(error) = told {
            // Without its word, the gate ends by itself.
            drop(child.stdin.take());
            child.wait()?;
            return Err(error);
        }
        Ok(child)
    }

    /// What was started has ended, and its pid may soon be somebody else's.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.tell("none")
    }

    /// Does what happens at the owner's end, and waits until it has happened.
    pub(crate) fn end(&mut self) {
        drop(self.line.take());
        // An error means that somebody else waited for it, and it has ended.
        let _ = self.shell.wait();
    }

    fn tell(&mut self, word: &str) -> io::Result<()> {
        match &mut self.line {
            Some(line) => line.write_all(format!("{word}\n").as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// In a group of its own: Ctrl-C on the terminal is for the owner to handle.
fn shell(script: &str, account: Option<Account>) -> Command {
    let mut shell = Command::new(SHELL);
    shell.args(["-c", script, "sh"]).process_group(0).stdin(Stdio::piped());
    if let Some(Account { uid, gid }) = account {
        shell.uid(uid).gid(gid);
    }
    shell
}
