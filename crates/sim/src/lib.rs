//! The simulated world: a browser tab with the real core, a server that does what servers do,
//! and oracles that know the truth. Hours in milliseconds, everything from one seed.
//!
//! The seed picks which faults there are as well as when they fault (swarm testing: Groce et al.
//! 2012), so that one fault cannot hide behind another. A run either ends with a [`Tally`] or
//! with a [`Failure`] that carries the seed and the last things that happened; the same seed
//! fails again at the same step.
//!
//! ```
//! use session_keeper_sim::{Plan, run};
//!
//! let tally = run(&Plan::of(1).hours(1)).expect("this seed passes");
//! assert_eq!(tally.false_sign_outs, 0);
//! assert!(tally.verifications > 0);
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the world reacts to what it models; everything else is everything else"
)]

mod app;
pub mod bench;
mod event;
mod families;
mod faults;
mod mix;
mod network;
mod oracle;
mod refresh;
mod renewal;
mod rng;
mod server;
mod sharing;
mod shell;
mod tab;
mod tally;
mod world;

pub use oracle::Guarantee;
pub use tally::{Failure, Tally};
pub use world::run;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How many hours pass.
    pub hours: u64,
    /// Whether tokens run out.
    pub tokens: Tokens,
    /// How many tabs share the session.
    pub tabs: usize,
    /// Whether anything goes wrong.
    pub weather: Weather,
    /// A break in the world that an oracle must notice.
    pub sabotage: Sabotage,
    /// Whether each step is printed as it happens.
    pub trace: Trace,
}

impl Plan {
    /// Four hours of a seed, in an honest and silent world.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        let (tokens, sabotage) = (Tokens::Lasting, Sabotage::None);
        Self {
            seed,
            hours: 4,
            tokens,
            tabs: 1,
            weather: Weather::Faults,
            sabotage,
            trace: Trace::Kept,
        }
    }

    /// The same with tokens that run out and are refreshed.
    #[must_use]
    pub const fn refreshed(self) -> Self {
        Self { tokens: Tokens::Refreshed, ..self }
    }

    /// Nothing goes wrong, and somebody looks at every tab.
    #[must_use]
    pub const fn quiet(self) -> Self {
        Self { weather: Weather::Quiet, ..self }
    }

    /// So many tabs.
    #[must_use]
    pub const fn tabs(self, tabs: usize) -> Self {
        Self { tabs, ..self }
    }

    /// Another length.
    #[must_use]
    pub const fn hours(self, hours: u64) -> Self {
        Self { hours, ..self }
    }
}

/// Whether anything goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// What the seed has drawn.
    Faults,
    /// Nothing.
    Quiet,
}

/// What tokens the server hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// They are good until the session ends.
    Lasting,
    /// They run out, and a refresh brings newer ones.
    Refreshed,
}

/// A deliberate break: an oracle that nothing can trip proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// An honest world.
    None,
    /// The server rejects tokens that it knows.
    LyingServer,
    /// The keeper never hears a rejection.
    DeafKeeper,
    /// The keeper hears the first rejection of a confirmation and no other.
    ForgetfulKeeper,
    /// The shell keeps requests open that the keeper gave up.
    LeakyShell,
    /// Answers that belong to nothing are taken for answers to the request at hand.
    ConfusedShell,
    /// The server never comes back.
    DeadServer,
    /// The shell does not write an attempt down.
    ForgetfulStore,
    /// No tab reads the lease of another.
    LostLeases,
    /// The keeper does not hear the second rejection of a refresh.
    DeafRefresh,
    /// The shell does not carry out what is decided about requests of the app.
    ForgottenRequests,
}

/// Where the steps of a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The last ones are kept for a failure.
    Kept,
    /// Each is printed too.
    Printed,
}
