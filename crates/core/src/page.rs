//! What is known of the page: whether somebody looks, whether it can act at all.

use crate::options::{HealthOptions, WhenHidden};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// What happens to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PageEvent {
    /// Somebody is looking.
    Visible,
    /// Nobody is looking.
    Hidden,
    /// The browser believes that there is a network.
    Online,
    /// The browser knows that there is none.
    Offline,
    /// Frozen, in the back/forward cache, or not yet shown (prerendering): no requests, no timers.
    Suspended,
    /// Back from there.
    Resumed,
    /// Somebody touched the page.
    UserActivity,
}

#[derive(Debug)]
pub(crate) struct Page {
    hidden_since: Option<Instant>,
    user_activity: Instant,
    /// What comes next was put off until then.
    pub(crate) paused_until: Instant,
    pub(crate) presence: Presence,
    pub(crate) network: Network,
}

/// Whether the page can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    /// Frozen, cached or prerendering: nothing is sent and no timer runs.
    Suspended,
}

/// What the browser says of the network. `Up` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Up,
    Down,
}

impl Page {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            hidden_since: None,
            user_activity: now,
            paused_until: now,
            presence: Presence::Here,
            network: Network::Up,
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, event: PageEvent) {
        match event {
            PageEvent::Visible => {
                self.hidden_since = None;
                self.user_activity = now;
            }
            PageEvent::Hidden => self.hidden_since = self.hidden_since.or(Some(now)),
            PageEvent::Online => self.network = Network::Up,
            PageEvent::Offline => self.network = Network::Down,
            PageEvent::Suspended => self.presence = Presence::Suspended,
            PageEvent::Resumed => self.presence = Presence::Here,
            PageEvent::UserActivity => self.user_activity = now,
        }
    }

    pub(crate) const fn is_hidden(&self) -> bool {
        self.hidden_since.is_some()
    }

    /// A background request that is due then, unless nobody has looked for too long.
    pub(crate) fn allows(&self, due: Instant, health: Option<&HealthOptions>) -> Option<Instant> {
        let (Some(since), Some(health)) = (self.hidden_since, health) else { return Some(due) };
        let allowed = match health.when_hidden {
            WhenHidden::Always => true,
            WhenHidden::Pause => false,
            WhenHidden::Ping => due < since.plus(health.hidden_for),
        };
        allowed.then_some(due)
    }

    /// A periodic verification that is due then, unless nobody has touched the page for too long.
    pub(crate) fn in_use(&self, due: Instant, when_idle: Option<Duration>) -> Option<Instant> {
        let in_use = when_idle.is_none_or(|idle| due < self.user_activity.plus(idle));
        in_use.then_some(due)
    }

    /// How long the first request after `online`, a wake from sleep or a resume waits: a million
    /// browsers wake at nine o'clock.
    pub(crate) fn spread_delay(&self, rng: &mut Rng) -> Duration {
        let most = if self.is_hidden() { Duration::from_secs(30) } else { Duration::from_secs(5) };
        rng.between(Duration::ZERO, most)
    }
}
