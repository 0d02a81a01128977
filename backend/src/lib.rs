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
mod command_error;
mod commands;
mod config;
mod cookies;
mod cors;
mod cross_origin;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod keys;
mod limits;
mod logging;
mod metrics;
mod passwords;
mod render;
mod response_cookies;
mod routes;
mod serve;
pub mod store;
mod tags;
mod upstream;
mod users;
mod workers;

pub use app::{OPENAPI, app, served};
pub use backend::Backend;
pub use clock::Clock;
pub use command_error::CommandError;
pub use commands::run;
pub use config::{
    ClientAuth, ClientCredentials, Command, Fault, InvalidSettings, JwtAlgorithm, KeyCommand,
    LimitOptions, Listen, LogFormat, Options, Origin, PasswordOptions, SameSite, ServeOptions,
    StoreChoice, StoreOption, TokenCommand, TokenOptions, UpstreamCommand, UpstreamOptions,
    UserCommand, UsersOption, WatchOptions,
};
pub use identity::Start;
pub use session_keeper_tokens as tokens;
