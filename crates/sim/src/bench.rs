//! Figures of the core by itself, on servers that do one thing: `bench-verdict` prints them.
//!
//! Unlike in the world of the seeds nothing faults here but what is measured, so that a rate can
//! be counted and compared with the one that the core names.

mod harness;
pub mod stampede;
pub mod verdict;
