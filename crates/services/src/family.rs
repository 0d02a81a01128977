//! A server with the processes that it has started, and signals to all of them.
//!
//! Rule: a pause or a kill leaves none out. PostgreSQL's processes are each a group of their own,
//! so that a signal to the server's group would reach one of them; they are found as its children
//! in `/proc`. Where there is none (not Linux) only the first process is paused, and the others
//! end when they see that it is gone.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Signals take microseconds; a process in the kernel's hands (a slow disk) takes longer.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// Stops the clock for all of them; returns when none runs any more.
pub(crate) fn pause(server: Pid) -> io::Result<()> {
    // The parent first: once it stands still, no child is born that the list would miss.
    halt(server)?;
    for child in children(server) {
        halt(child)?;
    }
    Ok(())
}

/// Lets them go on.
pub(crate) fn resume(server: Pid) {
    for pid in children(server).into_iter().chain([server]) {
        send(pid, Signal::CONT);
    }
}

/// SIGKILL for all of them; returns when none is left, though the server is still to be reaped.
pub(crate) fn kill(server: Pid) -> io::Result<()> {
    pause(server)?;
    let all: Vec<Pid> = children(server).into_iter().chain([server]).collect();
    for pid in &all {
        send(*pid, Signal::KILL);
    }
    all.into_iter().try_for_each(|pid| wait_until(pid, "ZX"))
}

/// An error means that it has ended already.
pub(crate) fn send(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

fn halt(pid: Pid) -> io::Result<()> {
    send(pid, Signal::STOP);
    wait_until(pid, "TtZX")
}

fn wait_until(pid: Pid, states: &str) -> io::Result<()> {
    let start = Instant::now();
    while stat(&pid.to_string()).is_some_and(|stat| !states.contains(stat.state)) {
        if start.elapsed() > SIGNAL_LIMIT {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a signal had no effect"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn children(server: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| {
        let pid = Pid::from_raw(name.parse().ok()?)?;
        (stat(&name)?.parent == server.as_raw_nonzero().get()).then_some(pid)
    });
    pids.collect()
}

struct Stat {
    state: char,
    parent: i32,
}

/// None for a process that is gone.
fn stat(pid: &str) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `PID (NAME) STATE PARENT …`, where the name may hold spaces and brackets.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.chars().next()?;
    Some(Stat { state, parent: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = parse("7 (a) b 1 (c) S 42 7 7 0").expect("it has what is read");
        assert_eq!((stat.state, stat.parent), ('S', 42));
    }
}
