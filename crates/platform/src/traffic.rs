//! How long nobody has used the backend.
//!
//! Rule: a request that is still open is use, however long it takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) struct Traffic {
    seen: Mutex<Seen>,
}

struct Seen {
    open: usize,
    last: Instant,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self { seen: Mutex::new(Seen { open: 0, last: Instant::now() }) }
    }

    pub(crate) fn open(self: &Arc<Self>) -> OpenRequest {
        self.seen().open += 1;
        OpenRequest { traffic: Arc::clone(self) }
    }

    /// A backend that has just started is not idle yet.
    pub(crate) fn restart_idling(&self) {
        self.seen().last = Instant::now();
    }

    pub(crate) fn idle_for(&self) -> Duration {
        let seen = self.seen();
        if seen.open > 0 { Duration::ZERO } else { seen.last.elapsed() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends its use of the backend when dropped.
pub(crate) struct OpenRequest {
    traffic: Arc<Traffic>,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut seen = self.traffic.seen();
        seen.open -= 1;
        seen.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_request_is_use_until_it_ends() {
        let traffic = Arc::new(Traffic::new());
        let first = traffic.open();
        let second = traffic.open();
        drop(first);

        assert_eq!(traffic.idle_for(), Duration::ZERO);
        drop(second);
        assert_eq!(traffic.seen().open, 0);
    }
}
