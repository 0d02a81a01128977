//! The server's decisions about session tokens: what a token is, what is stored of it, when it is
//! refused, and what takes its place.
//!
//! Rule 1: a token leaves memory only towards its owner; what is stored, looked up and compared is
//! its hash.
//! Rule 2: the same row at the same time gets the same verdict, whoever asks; there is no clock in
//! here.
//!
//! It deliberately does not know where rows are kept, what time it is, where random bytes come
//! from, how signatures are made, or HTTP beyond the header values that it reads.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attempts;
mod device;
mod hex;
mod refresh;
mod rotation;
mod session;
mod time;
mod token;

pub use attempts::{Attempts, Limit, attempt_key};
pub use device::Device;
pub use hex::InvalidHex;
pub use refresh::{Refresh, RefreshPolicy, is_due, is_superseded, is_unused, refresh};
pub use rotation::{Attempt, Rotation, Sealed, Seed};
pub use session::{
    Binding, KEPT_AFTER_EXPIRY, KeyId, Kind, Session, SessionId, Verdict, network_of, verify,
};
pub use time::{InvalidLifetime, Lifetime, UnixMillis};
pub use token::{Presented, Token, TokenHash};
