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
mod fetch;
mod global;
mod json;
mod keeper;
mod lock;
#[cfg(feature = "npm")]
mod npm_options;
mod options;
mod page;
#[cfg(feature = "npm")]
mod panic;
mod record;
mod refresh;
#[cfg(not(feature = "npm"))]
mod refresh_path;
mod storage;
mod tabs;
mod tokens;
mod transport;
#[cfg(feature = "npm")]
mod view;

pub use fetch::{CrossOriginRedirects, FetchError, FetchOptions, Retry};
pub use keeper::{Keeper, Token};
pub use options::{HealthCredentials, Options, OptionsError, Persist};
#[cfg(not(feature = "npm"))]
pub use refresh_path::RefreshFormat;
pub use session_keeper_core::{
    AppRequestOptions, Cause, Chance, Confirm, Credential, Diagnosis, Duration, Entry, Event,
    FieldVisitor, HealthOptions, Instant, Label, Level, Notice, OnUnauthorized, RefreshOptions,
    RejectedAnswer, Rule, ServerState, SessionState, SignOut, SignOutReason, Snapshot, UnixMillis,
    VerifyOptions, WhenHidden,
};

/// A maintained allocator made for wasm: `docs/adr/0003-panics-and-memory.md` has the figures.
#[cfg(all(feature = "npm", target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(feature = "serde")]
pub use session_keeper_core::{Step, Trace, Transcript};

#[cfg(all(test, target_arch = "wasm32"))]
mod tests;
