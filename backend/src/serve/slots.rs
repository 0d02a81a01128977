//! How many connections there are, and how many of each client.
//!
//! Rule: one client never has so many that none are left for the others. Of IPv6 the network counts
//! as a client: its addresses are free.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_keeper_tokens::network_of;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Slots {
    all: Arc<Semaphore>,
    of_one: usize,
    counts: Arc<Mutex<HashMap<u128, usize>>>,
}

impl Slots {
    pub(super) fn new(all: usize, of_one: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, counts: Arc::default() }
    }

    /// Until there is one for somebody.
    pub(super) async fn wait_for_any(&self) {
        // Given back at once: only the loop that calls this takes any.
        let free = self.all.acquire().await;
        drop(free.expect("the semaphore is never closed"));
    }

    /// `None`: the client has all that it may have.
    pub(super) fn take(&self, client: IpAddr) -> Option<Slot> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let client = network_of(client);
        let mut counts = lock(&self.counts);
        let count = counts.entry(client).or_default();
        if *count >= self.of_one {
            return None;
        }
        *count += 1;
        Some(Slot { client, counts: Arc::clone(&self.counts), _permit: permit })
    }
}

/// One connection's. Given back when it is dropped.
pub(super) struct Slot {
    client: u128,
    counts: Arc<Mutex<HashMap<u128, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

fn lock(counts: &Mutex<HashMap<u128, usize>>) -> MutexGuard<'_, HashMap<u128, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_connections_for_the_others() {
        let slots = Slots::new(3, 2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("it is one"));
        let (first, _second) = (slots.take(one), slots.take(one));
        assert!(first.is_some() && slots.take(one).is_none());
        let third = slots.take(other);
        assert!(third.is_some() && slots.take(other).is_none(), "there are three for all");
        drop((first, third));
        assert!(slots.take(one).is_some());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let slots = Slots::new(9, 1);
        let take = |text: &str| slots.take(text.parse().expect("it is an address"));
        let _first = take("2001:db8:0:1::1");
        assert!(take("2001:db8:0:1:ffff::2").is_none());
        assert!(take("2001:db8:0:2::1").is_some());
    }
}
