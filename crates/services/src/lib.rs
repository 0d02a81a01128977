//! Real Redis and PostgreSQL servers for tests, each with a port and a folder of its own.
//!
//! Rule: nothing outlives its owner, neither process nor folder, even when the owner is killed by
//! SIGKILL; and a server that was started again has its port and its data again. It knows how the
//! servers are started and asked whether they are there, and nothing of what is kept in them.
//!
//! Everything blocks. The binary of this package is the same for tests in other languages.

#![forbid(unsafe_code)]

mod error;
mod family;
mod find;
mod guardian;
mod postgres;
mod redis;
mod service;
mod store;

pub use error::ServiceError;
pub use service::{Service, unless_missing};
