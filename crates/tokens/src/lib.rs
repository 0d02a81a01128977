//! The server's decisions about session tokens: what a token is, what is stored of it, when it is
//! refused.
//!
//! Rule 1: a token leaves memory only towards its owner; what is stored, looked up and compared is
//! its hash.
//! Rule 2: the same row at the same time gets the same verdict, whoever asks; there is no clock in
//! here.
//!
//! It deliberately does not know where rows are kept, what time it is, where random bytes come
//! from, or HTTP beyond the one header value that carries a token. Rotation with reuse detection
//! belongs beside [`verify`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod session;
mod token;

pub use session::{InvalidLifetime, Lifetime, Session, UnixMillis, Verdict, drop_expired, verify};
pub use token::{InvalidHash, Presented, Token, TokenHash, read_authorization};
