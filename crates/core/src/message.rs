//! What tabs tell each other: facts with a protocol version, never tokens.
//!
//! A message is a hint to read the record again and nothing more, so forged, stale and garbled
//! ones change nothing. The format on the channel is in `docs/formats.md`.

use crate::generation::Generation;
use crate::server::ServerState;
use crate::time::UnixMillis;

/// The version of record, tombstone and messages.
pub const PROTOCOL: u8 = 1;

/// One message: what a tab can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Message {
    /// The record was written: a sign-in, a refresh or a sign-out.
    Written {
        /// The generation that it is about.
        generation: Generation,
    },
    /// A verification was accepted.
    Verified {
        /// For which generation.
        generation: Generation,
        /// When.
        at: UnixMillis,
    },
    /// The server's state is another one.
    Server {
        /// The state.
        state: ServerState,
        /// Since when.
        since: UnixMillis,
    },
}
