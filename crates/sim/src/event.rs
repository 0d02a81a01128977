//! What is going to happen, in order of time.

use std::collections::BTreeMap;

use session_keeper_core::{AppRequestId, Input, RequestId};

use crate::renewal::Answer;
use crate::tab::{Outgoing, TabId};

/// One thing that is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A request reaches the server.
    Arrives { tab: TabId, outgoing: Outgoing },
    /// An answer reaches the page.
    Answered { tab: TabId, request: RequestId, answer: Answer },
    /// An answer that belongs to no request any more reaches the page.
    Strays { tab: TabId, request: RequestId, answer: Answer },
    /// A message or a `storage` event reaches a tab.
    Hears { tab: TabId, input: Input },
    /// The lock is the tab's.
    Locked { tab: TabId },
    /// A fault begins.
    Faults(Fault),
    /// A fault is over; the tab is one where the fault is a page's.
    Ends(Fault, TabId),
    /// The user of a page that shows the login form signs in.
    SignsIn { tab: TabId },
    /// The app asks the server for something with the token.
    AppAsks { tab: TabId },
    /// A request of the app is sent again.
    AppSends { tab: TabId, request: AppRequestId },
}

/// The faults that begin at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    ServerSleeps,
    Restart,
    Revoke,
    Offline,
    Portal,
    Nap,
    Hide,
    Freeze,
    ClockJump,
    Reload,
    SignOut,
}

impl Fault {
    pub(crate) const ALL: [Self; 11] = [
        Self::ServerSleeps,
        Self::Restart,
        Self::Revoke,
        Self::Offline,
        Self::Portal,
        Self::Nap,
        Self::Hide,
        Self::Freeze,
        Self::ClockJump,
        Self::Reload,
        Self::SignOut,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ServerSleeps => "server-sleeps",
            Self::Restart => "restart",
            Self::Revoke => "revoke",
            Self::Offline => "offline",
            Self::Portal => "portal",
            Self::Nap => "machine-sleeps",
            Self::Hide => "hide",
            Self::Freeze => "freeze",
            Self::ClockJump => "clock-jump",
            Self::Reload => "reload",
            Self::SignOut => "sign-out",
        }
    }
}

/// The future. Two things of one moment happen in the order in which they were foreseen.
#[derive(Debug, Default)]
pub(crate) struct Future {
    coming: BTreeMap<(u64, u64), Event>,
    foreseen: u64,
}

impl Future {
    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.foreseen += 1;
        self.coming.insert((time, self.foreseen), event);
    }

    pub(crate) fn next_time(&self) -> Option<u64> {
        self.coming.keys().next().map(|(time, _)| *time)
    }

    pub(crate) fn take(&mut self) -> Option<Event> {
        self.coming.pop_first().map(|(_, event)| event)
    }

    /// Takes out the answers that a request still gets.
    pub(crate) fn recall(&mut self, from: TabId, id: RequestId) -> Vec<(u64, Answer)> {
        let mut recalled = Vec::new();
        self.coming.retain(|(time, _), event| match event {
            Event::Answered { tab, request, answer } if (*tab, *request) == (from, id) => {
                recalled.push((*time, *answer));
                false
            }
            _ => true,
        });
        recalled
    }

    /// Nothing that was to come about the page or by chance comes any more.
    pub(crate) fn forget(&mut self, unwanted: impl Fn(&Event) -> bool) {
        self.coming.retain(|_, event| !unwanted(event));
    }
}
