//! session-keeper in a browser: your users stay signed in until the server really says no.
//!
//! This crate is the shell around [`session_keeper_core`]: one file for each capability of a
//! browser, and [`Keeper`] that carries out what the core decides. It decides nothing itself.
//! The npm package is made of it (feature `npm`); a Rust front end (Leptos, Yew, Dioxus) uses it
//! as it is:
//!
//! ```no_run
//! use session_keeper::{Keeper, Notice, Options, Token};
//!
//! let options = Options::new("https://api.example.com").expect("the address is a constant");
//! let keeper = Keeper::new(options, |notice| {
//!     if let Notice::SignedOut(end) = notice {
//!         // Show the login form, and why: end.reason.
//!     }
//! });
//! keeper.start();
//! keeper.sign_in(Token::new("from the login answer"));
//! ```
//!
//! It runs in a window with a document; everywhere else [`Keeper::start`] does nothing.

mod app_requests;
mod clock;
mod driver;
mod entropy;
#[cfg(feature = "npm")]
mod export;
mod js;
mod keeper;
mod options;
mod page;
mod record;
mod storage;
mod transport;
#[cfg(feature = "npm")]
mod view;

pub use keeper::{Keeper, Token};
pub use options::{Options, OptionsError, Persist};
pub use session_keeper_core::{
    Cause, Chance, Confirm, Credential, Diagnosis, Duration, Entry, Event, FieldVisitor,
    HealthOptions, Instant, Label, Level, Notice, RejectedAnswer, Rule, ServerState, SessionState,
    SignOut, SignOutReason, Snapshot, UnixMillis, VerifyOptions, WhenHidden,
};

/// Frees what it was given, unlike the smallest ones; 1 KB smaller than talc and 3 KB smaller than
/// the default. Its time grows with the number of holes, of which a keeper has a handful.
#[cfg(all(feature = "npm", target_arch = "wasm32"))]
#[allow(unsafe_code, reason = "wasm32-unknown-unknown without atomics has one thread")]
#[global_allocator]
// SAFETY: this target is built without atomics, so no second thread can reach it.
static ALLOCATOR: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

#[cfg(all(test, target_arch = "wasm32"))]
mod tests;
