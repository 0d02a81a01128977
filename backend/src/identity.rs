//! Who answers: the boot, and the worker under it. The keeper decides by it whether every worker
//! refused a token.
//!
//! Rule: a boot id is new at every start of the server, and shared by all workers of that start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::system_now;

/// Stands in health, `/auth/me` and every error.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Identity {
    pub(crate) instance: String,
    pub(crate) boot: String,
    #[serde(skip)]
    requests: Arc<AtomicU64>,
}

impl Identity {
    pub(crate) fn new(instance: String, start: &Start) -> Self {
        Self { instance, boot: start.boot.clone(), requests: Arc::default() }
    }

    /// What a request is called in the log: unlike any other of this start, and cheap to make.
    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let boot = self.boot.get(..8).unwrap_or(&self.boot);
        format!("{boot}-{}-{:x}-{number:x}", self.instance, std::process::id())
    }
}

/// One start of the server, which all its workers share. A worker that is replaced is no restart,
/// so it takes over the id and the uptime.
#[derive(Debug, Clone)]
pub struct Start {
    boot: String,
    began: Instant,
}

impl Start {
    /// A new one.
    pub fn now() -> Result<Self, getrandom::Error> {
        Ok(Self { boot: random_boot()?, began: Instant::now() })
    }

    /// What a worker is given to know it by.
    pub(crate) fn describe(&self) -> String {
        let began = system_now().0.saturating_sub(millis(self.began.elapsed()));
        format!("{}:{began}", self.boot)
    }

    /// Reads what [`Start::describe`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (boot, began) = text.split_once(':')?;
        let ago = Duration::from_millis(system_now().0.saturating_sub(began.parse().ok()?));
        let began = Instant::now().checked_sub(ago)?;
        Some(Self { boot: boot.to_owned(), began })
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.began.elapsed()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A random id.
pub(crate) fn random_boot() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
