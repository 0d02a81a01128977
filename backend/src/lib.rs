//! The reference backend: signs users in, keeps their sessions over restarts, and refuses a token
//! only when it knows that it is refused.
//!
//! Rule 1: a token is handed out only after its session is stored.
//! Rule 2: a 401 means that the store was asked and had no valid session; everything else that goes
//! wrong is another status. The routes and answers are in `docs/wire.md`.
//!
//! It deliberately does not know the browser's half, nor the platform that starts and stops it.

#![forbid(unsafe_code)]

mod app;
mod auth;
mod backend;
mod body;
mod client;
mod clock;
mod commands;
mod config;
mod cookies;
mod cors;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod identity;
mod keys;
mod limits;
mod logging;
mod metrics;
mod serve;
pub mod store;
mod tags;
mod users;
mod workers;

pub use app::{Backend, OPENAPI, app, served};
pub use clock::Clock;
pub use commands::{CommandError, run};
pub use config::{
    Command, Fault, InvalidSettings, JwtAlgorithm, KeyCommand, LimitOptions, LogFormat, Options,
    Origin, SameSite, ServeOptions, StoreChoice, TokenCommand, TokenOptions, UserCommand,
    WatchOptions,
};
pub use identity::Start;
pub use session_keeper_tokens as tokens;
