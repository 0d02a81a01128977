//! What tabs tell each other: facts and requests with a protocol version, never tokens.
//!
//! A message is a hint to read the record again, or shows what a leader shows; no session begins,
//! ends or is believed by one, so forged, stale and garbled ones do no harm. The format on the
//! channel is in `docs/formats.md`.

use crate::admission::CheckResult;
use crate::generation::Generation;
use crate::lease::TabId;
use crate::server::ServerState;
use crate::time::{Duration, UnixMillis};

/// The version of record, tombstone, lease and messages.
pub const PROTOCOL: u8 = 1;

/// One message: what a tab can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Message {
    /// The record was written: a sign-in, a refresh or a sign-out.
    Written,
    /// A tab that does not lead wants something of the one that does.
    Request(TabRequest),
    /// What the leader knows.
    State(TabState),
}

/// What a tab wants of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TabRequest {
    /// To be told what the leader knows.
    State,
    /// The app wants the token checked now.
    Verify,
    /// A 401 was received: the token is to be checked, at most once in 10 s.
    Check,
    /// The app wants a newer token.
    Refresh,
    /// A newer token is wanted because a 401 was received for the present one.
    Unauthorized,
    /// A request of the app got no answer: the server is to be asked whether it is there.
    Probe,
}

impl TabRequest {
    /// Every one, in order.
    pub const ALL: [Self; 6] =
        [Self::State, Self::Verify, Self::Check, Self::Refresh, Self::Unauthorized, Self::Probe];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Verify => "verify",
            Self::Check => "check",
            Self::Refresh => "refresh",
            Self::Unauthorized => "unauthorized",
            Self::Probe => "probe",
        }
    }
}

/// What a leader knows, for the tabs that do not ask the server themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TabState {
    /// Who tells it.
    pub from: TabId,
    /// Whether a tab has asked for it.
    pub is_answer: bool,
    /// The generation that it is about; none while there is no session.
    pub generation: Option<Generation>,
    /// The server has accepted its token.
    pub is_verified: bool,
    /// A 401 is being confirmed.
    pub is_suspect: bool,
    /// The server's state.
    pub server: ServerState,
    /// How long ago the server last proved itself awake.
    pub proven: Option<Duration>,
    /// What the last verification of this generation came to, and how long ago it was sent.
    pub check: Option<(CheckResult, Duration)>,
    /// When its token was last verified, as the record tells it or is about to.
    pub verified_at: Option<UnixMillis>,
    /// How long ago the last verification was sent that ended, whatever it came to.
    pub settled: Option<Duration>,
    /// The token could not be refreshed.
    pub refresh_failed: bool,
    /// Whether the user travels with it: after a verification, and where a tab has asked.
    pub with_user: bool,
}
