//! What the keeper promises, through its public face, in virtual time.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for; everything else is everything else"
)]

mod acquiring;
mod app_requests;
mod browser;
mod diagnosing;
mod gate_three;
mod knowing;
mod matrix;
mod ordinary;
mod pace;
mod page;
mod pinging;
mod properties;
mod refreshing;
mod restoring;
mod reviewed;
mod signing_out;
mod starting;
mod suspecting;
mod tabs;
mod verifying;
mod weighing;
mod world;
