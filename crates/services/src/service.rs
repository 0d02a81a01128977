//! One server through its lives: started, stopped, killed, started again.
//!
//! Rule: the port and the data stay the same from the first start to the drop, and every wait is
//! bounded and for a fact.

use std::env;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tempfile::TempDir;

use crate::error::ServiceError;
use crate::family;
use crate::guardian::{Guardian, Invocation};
use crate::store::Store;

/// PostgreSQL makes its files in a second or two, and replays its log after a kill; a machine that
/// builds meanwhile takes much longer.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Somebody else may take a free port before the server does. Three times in a row is another
/// reason.
const PORTS: usize = 3;
const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u16 = 10_000;
const PORT_TRIES: usize = 50;
const SAID_LINES: usize = 8;

/// A server on 127.0.0.1 that ends, with its folder, when this is dropped or its process dies.
#[derive(Debug)]
pub struct Service {
    store: Store,
    folder: TempDir,
    guardian: Guardian,
    port: u16,
    url: String,
    server: Option<Child>,
}

/// A service for a test that is left out where the server is not installed; it says so on stderr.
///
/// # Panics
///
/// With any other error; and in CI, which has `CI` in its environment, because a test that is left
/// out there is never run at all.
#[must_use]
pub fn unless_missing(started: Result<Service, ServiceError>) -> Option<Service> {
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    match started {
        Ok(service) => Some(service),
        Err(error @ ServiceError::Missing { .. }) if !is_ci => {
            eprintln!("left out: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

impl Service {
    /// An empty Redis that answers.
    pub fn redis() -> Result<Self, ServiceError> {
        Self::first(Store::redis()?)
    }

    /// An empty PostgreSQL that answers. Run by root, it belongs to the user `postgres` or
    /// `nobody`, who must be able to reach the temporary folder.
    pub fn postgres() -> Result<Self, ServiceError> {
        Self::first(Store::postgres()?)
    }

    /// `redis://127.0.0.1:PORT` or `postgres://postgres@127.0.0.1:PORT/postgres`; it stays.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the server listens, on 127.0.0.1; it stays.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server again and waits until it answers; does nothing where it runs.
    pub fn start(&mut self) -> Result<(), ServiceError> {
        if self.running().is_ok() {
            return Ok(());
        }
        let serve = self.store.serve(self.folder.path(), self.port);
        let pid = self.launch(&serve)?;
        let (store, folder, port) = (&self.store, self.folder.path(), self.port);
        let start = Instant::now();
        loop {
            if let Some(status) = ended(&mut self.server)? {
                let said = self.said();
                self.forget()?;
                return Err(ServiceError::Ended { what: self.store.name(), status, said });
            }
            if store.answers(folder, port, pid) {
                return Ok(());
            }
            if start.elapsed() > START_LIMIT {
                let said = self.said();
                self.kill()?;
                return Err(ServiceError::TooSlow { what: "a start", limit: START_LIMIT, said });
            }
            thread::sleep(POLL);
        }
    }

    /// Ends the server in order, its clients' connections with it; does nothing where it does not
    /// run. One that is paused goes on for that.
    pub fn stop(&mut self) -> Result<(), ServiceError> {
        let Ok(server) = self.running() else {
            return Ok(());
        };
        family::send(server, self.store.stop_signal());
        family::resume(server);
        if self.wait(STOP_LIMIT)?.is_some() {
            return Ok(());
        }
        let said = self.said();
        self.kill()?;
        Err(ServiceError::TooSlow { what: "a stop", limit: STOP_LIMIT, said })
    }

    /// SIGKILL for all of the server's processes at once, as a power cut; does nothing where it
    /// does not run.
    pub fn kill(&mut self) -> Result<(), ServiceError> {
        let Ok(server) = self.running() else {
            return Ok(());
        };
        family::kill(server).map_err(ServiceError::io("kill the server"))?;
        self.wait(STOP_LIMIT).map(drop)
    }

    /// Makes the server hang: it neither answers nor refuses until it is resumed.
    pub fn pause(&mut self) -> Result<(), ServiceError> {
        let server = self.running()?;
        family::pause(server).map_err(ServiceError::io("pause the server"))
    }

    /// Ends a pause; what came in meanwhile is answered late.
    pub fn resume(&mut self) -> Result<(), ServiceError> {
        self.running().map(family::resume)
    }

    fn first(store: Store) -> Result<Self, ServiceError> {
        let prefix = format!("session-keeper-{}-", store.name());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
        let folder = folder.map_err(ServiceError::io("make a temporary folder"))?;
        let prepare = store.prepare(folder.path())?;
        let guardian = Guardian::over(folder.path(), store.account());
        let guardian = guardian.map_err(ServiceError::io("start the guardian, /bin/sh"))?;
        let url = String::new();
        let mut service = Self { store, folder, guardian, port: 0, url, server: None };
        if let Some(prepare) = prepare {
            service.prepare(&prepare)?;
        }
        for _ in 1..PORTS {
            match service.start_on_free_port() {
                Err(ServiceError::Ended { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(service),
            }
        }
        service.start_on_free_port().map(|()| service)
    }

    fn start_on_free_port(&mut self) -> Result<(), ServiceError> {
        self.port = free_port().map_err(ServiceError::io("find a free port"))?;
        self.url = self.store.url(self.port);
        self.start()
    }

    fn prepare(&mut self, invocation: &Invocation) -> Result<(), ServiceError> {
        self.launch(invocation)?;
        match self.wait(START_LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(ServiceError::Ended { what: "initdb", status, said: self.said() }),
            None => {
                let said = self.said();
                Err(ServiceError::TooSlow { what: "initdb", limit: START_LIMIT, said })
            }
        }
    }

    /// Gives the pid.
    fn launch(&mut self, invocation: &Invocation) -> Result<u32, ServiceError> {
        let log = self.folder.path().join("log");
        let log = File::create(log).map_err(ServiceError::io("write the server's log"))?;
        let child = self.guardian.start(invocation, self.folder.path(), log);
        let child = child.map_err(ServiceError::io("start the server"))?;
        let pid = child.id();
        self.server = Some(child);
        Ok(pid)
    }

    /// A server that has ended by itself does not run.
    fn running(&mut self) -> Result<Pid, ServiceError> {
        if ended(&mut self.server)?.is_some() {
            self.forget()?;
        }
        let id = self.server.as_ref().and_then(|server| i32::try_from(server.id()).ok());
        id.and_then(Pid::from_raw).ok_or(ServiceError::NotRunning)
    }

    /// None when it has not ended in time.
    fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ServiceError> {
        let start = Instant::now();
        loop {
            if let Some(status) = ended(&mut self.server)? {
                self.forget()?;
                return Ok(Some(status));
            }
            if start.elapsed() > limit {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    fn forget(&mut self) -> Result<(), ServiceError> {
        self.server = None;
        self.guardian.forget().map_err(ServiceError::io("reach the guardian, /bin/sh"))
    }

    fn said(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SAID_LINES)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.guardian.end();
        if let Some(server) = &mut self.server {
            // The guardian has killed it, unless somebody has killed the guardian.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn ended(server: &mut Option<Child>) -> Result<Option<ExitStatus>, ServiceError> {
    let Some(server) = server else {
        return Ok(None);
    };
    server.try_wait().map_err(ServiceError::io("look after the server"))
}

/// Below those that systems hand out by themselves: a port of theirs might be some connection's
/// own end when the server comes back to it.
fn free_port() -> io::Result<u16> {
    let mut tries = 0;
    loop {
        // Each `RandomState` is another one.
        let random = RandomState::new().build_hasher().finish() % u64::from(PORT_COUNT);
        let port = FIRST_PORT + u16::try_from(random).expect("it is below a u16");
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) if tries == PORT_TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_none_that_the_system_hands_out() {
        let port = free_port().expect("some port is free");
        assert!((FIRST_PORT..FIRST_PORT + PORT_COUNT).contains(&port), "{port}");
    }
}
