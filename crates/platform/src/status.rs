//! What the supervisor publishes of the backend's life.
//!
//! Rule: each change of phase is another epoch, so that a wish that belongs to an earlier one can
//! be told from a new one.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::settings::Settings;

/// Where the backend is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Listens at this address.
    Running(SocketAddr),
    /// Not running; traffic wakes it.
    Asleep,
    /// On its way up.
    Waking,
    /// Not running; only an order wakes it.
    Down,
}

/// What is known of the backend at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) phase: Phase,
    pub(crate) pid: Option<u32>,
    pub(crate) starts: u32,
    pub(crate) since_ms: u64,
    pub(crate) epoch: u64,
}

impl Status {
    /// Before anything was started.
    pub(crate) fn first() -> Self {
        Self { phase: Phase::Down, pid: None, starts: 0, since_ms: unix_ms(), epoch: 1 }
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.since_ms = unix_ms();
        }
        self.phase = phase;
        self.pid = None;
        self.epoch += 1;
    }

    pub(crate) fn run(&mut self, address: SocketAddr, pid: Option<u32>) {
        self.enter(Phase::Running(address));
        self.pid = pid;
        self.starts += 1;
    }

    /// The control's view. `sinceMs` is when the state began, in milliseconds since 1970.
    pub(crate) fn to_json(&self, settings: &Settings) -> Value {
        json!({
            "state": self.phase.name(),
            "pid": self.pid,
            "starts": self.starts,
            "whileWaking": settings.while_waking.name(),
            "idleMs": settings.idle.map_or(0, |idle| idle.as_millis() as u64),
            "wakeMs": settings.wake.as_millis() as u64,
            "sinceMs": self.since_ms,
        })
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Down => "down",
        }
    }
}

pub(crate) fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
