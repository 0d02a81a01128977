//! What is going to happen, in order of time.

use std::collections::BTreeMap;

use session_keeper_core::{Generation, Outcome, Probe, RequestId};

/// One thing that is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A request reaches the server.
    Arrives { request: RequestId, probe: Probe, generation: Option<Generation> },
    /// An answer reaches the page.
    Answered { request: RequestId, outcome: Outcome },
    /// An answer that belongs to no request any more reaches the page.
    Strays { request: RequestId, outcome: Outcome },
    /// A fault strikes.
    Strikes(Strike),
    /// A fault is over.
    Ends(Strike),
    /// The user of a page that shows the login form signs in.
    SignsIn,
    /// The app asks the server for something with the token.
    AppAsks,
}

/// The faults that strike at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strike {
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

impl Strike {
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
    coming: BTreeMap<(u64, u64), Happening>,
    foreseen: u64,
}

impl Future {
    pub(crate) fn at(&mut self, time: u64, happening: Happening) {
        self.foreseen += 1;
        self.coming.insert((time, self.foreseen), happening);
    }

    pub(crate) fn next_time(&self) -> Option<u64> {
        self.coming.keys().next().map(|(time, _)| *time)
    }

    pub(crate) fn take(&mut self) -> Option<Happening> {
        self.coming.pop_first().map(|(_, happening)| happening)
    }

    /// Takes out the answers that a request still gets.
    pub(crate) fn recall(&mut self, id: RequestId) -> Vec<(u64, Outcome)> {
        let mut recalled = Vec::new();
        self.coming.retain(|(time, _), happening| match happening {
            Happening::Answered { request, outcome } if *request == id => {
                recalled.push((*time, *outcome));
                false
            }
            _ => true,
        });
        recalled
    }

    /// Nothing that was to come about the page or by chance comes any more.
    pub(crate) fn forget(&mut self, unwanted: impl Fn(&Happening) -> bool) {
        self.coming.retain(|_, happening| !unwanted(happening));
    }
}
