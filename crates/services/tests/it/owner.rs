//! The binary, as the owner of a server: it obeys, and leaves nothing behind however it ends.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use session_keeper_services::{ServiceError, unless_missing};
use tempfile::TempDir;

use crate::processes::{descendants, is_gone};
use crate::wire::{connect, eventually, redis, refuses};

const BINARY: &str = env!("CARGO_BIN_EXE_session-keeper-services");
/// The server, its guardian.
const OF_REDIS: usize = 2;
/// The server, its guardian, and what every PostgreSQL has: checkpointer, writers.
const OF_POSTGRES: usize = 4;

#[test]
fn lines_lead_a_server_through_its_lives() {
    let Some(mut owner) = Owner::of("redis") else { return };
    let connection = connect(owner.port);
    redis(&connection, "SET user alice").expect("it answers");
    assert_eq!(owner.order("stop"), "done");
    assert!(refuses(owner.port));
    for order in ["start", "pause", "resume", "kill"] {
        assert_eq!(owner.order(order), "done", "{order}");
    }
    assert!(refuses(owner.port));
    assert!(owner.order("pause").starts_with("error: the server does not run"));
    assert!(owner.order("dance").starts_with("error: the orders are stop"));
    assert_eq!(owner.order("start"), "done");
    assert_eq!(redis(&connect(owner.port), "GET user").expect("it answers"), "alice");
}

#[test]
fn the_end_of_stdin_ends_everything() {
    for (store, least) in [("redis", OF_REDIS), ("postgres", OF_POSTGRES)] {
        let Some(owner) = Owner::of(store) else { return };
        let processes = owner.processes(least);
        let Owner { mut child, stdin, folder, port, .. } = owner;
        drop(stdin);
        assert!(child.wait().expect("it is ours").success());
        assert!(is_empty(&folder), "{store}: its folder stays");
        eventually("no process is left", || processes.iter().all(|pid| is_gone(*pid)));
        assert!(refuses(port));
    }
}

#[test]
fn an_owner_killed_by_sigkill_leaves_nothing() {
    for (store, least) in [("redis", OF_REDIS), ("postgres", OF_POSTGRES)] {
        let Some(owner) = Owner::of(store) else { return };
        owner.dies_and_leaves_nothing(least);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_shared_memory_of_a_killed_postgres_is_gone_too() {
    let Some(mut owner) = Owner::of("postgres") else { return };
    let segment = owner.segment();
    assert!(segments().contains(&segment), "{segment} is none");
    assert_eq!(owner.order("kill"), "done");
    owner.dies_and_leaves_nothing(1);
    assert!(!segments().contains(&segment), "{segment} stays");
}

#[test]
fn an_owner_killed_during_a_pause_leaves_nothing() {
    for (store, least) in [("redis", OF_REDIS), ("postgres", OF_POSTGRES)] {
        let Some(mut owner) = Owner::of(store) else { return };
        assert_eq!(owner.order("pause"), "done");
        owner.dies_and_leaves_nothing(least);
    }
}

#[test]
fn an_owner_killed_after_a_stop_leaves_no_folder() {
    let Some(mut owner) = Owner::of("redis") else { return };
    assert_eq!(owner.order("stop"), "done");
    // The guardian alone.
    owner.dies_and_leaves_nothing(1);
}

#[test]
fn a_binary_without_its_server_says_what_to_do() {
    let output = Command::new(BINARY)
        .arg("redis")
        .env("REDIS_SERVER", "/nowhere/redis-server")
        .output()
        .expect("the binary is built");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: REDIS_SERVER leads to /nowhere/redis-server"), "{said}");
}

/// The binary with a temporary folder of its own, to see what is left there.
struct Owner {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    folder: TempDir,
    port: u16,
}

impl Owner {
    fn of(store: &str) -> Option<Self> {
        let folder = TempDir::new().expect("the temp folder is writable");
        // PostgreSQL's own account is another one when we are root.
        let everyone = Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), everyone).expect("it is ours");
        let mut child = Command::new(BINARY)
            .arg(store)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let stdin = child.stdin.take().expect("it is a pipe");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it is text");
        if line.is_empty() {
            leave_out(child);
            return None;
        }
        let address = line.trim().strip_prefix("url: ").expect("its first line is the address");
        let address = address.trim_end_matches("/postgres");
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.expect("the address has a port");
        Some(Self { child, stdin, stdout, folder, port })
    }

    fn order(&mut self, order: &str) -> String {
        writeln!(self.stdin, "{order}").expect("it reads");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it is text");
        line.trim().to_owned()
    }

    /// Its server's processes and its guardian, which are at least so many.
    fn processes(&self, least: usize) -> Vec<u32> {
        eventually("its processes are there", || descendants(self.child.id()).len() >= least);
        descendants(self.child.id())
    }

    /// The id in the seventh line of PostgreSQL's own file.
    #[cfg(target_os = "linux")]
    fn segment(&self) -> String {
        let mut folders = fs::read_dir(self.folder.path()).expect("it is ours");
        let folder = folders.next().expect("the server has one").expect("it is ours");
        let file = fs::read_to_string(folder.path().join("data/postmaster.pid"));
        let file = file.expect("the server runs");
        let words = file.lines().nth(6).and_then(|line| line.split_whitespace().last());
        words.expect("it names its segment").to_owned()
    }

    fn dies_and_leaves_nothing(mut self, least: usize) {
        let processes = self.processes(least);
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
        eventually("no process is left", || processes.iter().all(|pid| is_gone(*pid)));
        // Not its port: another test's server may have it already.
        assert!(is_empty(&self.folder), "its folder stays");
    }
}

/// The ids of all shared memory in the system.
#[cfg(target_os = "linux")]
fn segments() -> Vec<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").expect("Linux has it");
    let ids = table.lines().filter_map(|line| line.split_whitespace().nth(1));
    ids.map(str::to_owned).collect()
}

/// Says why, or fails in CI.
fn leave_out(child: Child) {
    let output = child.wait_with_output().expect("it is ours");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("was not found"), "{said}");
    let missing = ServiceError::Missing { what: "the server", remedy: "see its own tests" };
    assert!(unless_missing(Err(missing)).is_none());
}

fn is_empty(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).expect("it is ours").next().is_none()
}
