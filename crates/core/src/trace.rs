//! Everything that a keeper was told, and when: the same inputs give the same effects, so a trace
//! from the field can be replayed elsewhere.
//!
//! Rule: an input holds no token, no body and no user, and so neither does a trace.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::input::Input;
use crate::keeper::Keeper;
use crate::options::Options;
use crate::session::Snapshot;
use crate::time::Now;

/// The life of one keeper.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Trace {
    /// What the app chose.
    pub options: Options,
    /// What the keeper's random numbers came from.
    pub seed: u64,
    /// What it was told, oldest first.
    pub steps: Vec<Step>,
}

/// One input with the time at which it came.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// What both clocks said.
    pub now: Now,
    /// What happened.
    pub input: Input,
}

/// What a replay comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// A line for each input, and one for each effect of it.
    pub text: String,
    /// What is known at the end.
    pub snapshot: Snapshot,
}

impl Trace {
    /// A trace without a step.
    #[must_use]
    pub const fn new(options: Options, seed: u64) -> Self {
        Self { options, seed, steps: Vec::new() }
    }

    /// Tells a new keeper the same, and writes down what it orders.
    #[must_use]
    pub fn replay(&self) -> Transcript {
        let mut keeper = Keeper::new(self.options.clone(), self.seed);
        let mut text = String::new();
        let start = self.steps.first().map_or(0, |step| step.now.monotonic.as_millis());
        for Step { now, input } in &self.steps {
            let ms = now.monotonic.as_millis().saturating_sub(start);
            // A string takes every write.
            let _ = writeln!(text, "+{ms} ms {input:?}");
            for effect in keeper.handle_input(*now, input.clone()) {
                let _ = writeln!(text, "    {effect:?}");
            }
        }
        Transcript { text, snapshot: keeper.snapshot() }
    }
}
