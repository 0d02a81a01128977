//! The session's axis: what is known of it, and how it ended.

use alloc::vec::Vec;

use crate::answer::Grade;
use crate::chance::Chance;
use crate::label::Label;
use crate::label::Origin;
use crate::refresher::AttemptId;
use crate::server::ServerState;
use crate::time::{Duration, UnixMillis};

/// What is known of the session. Nothing about the server alone ever changes whether the user is
/// signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SessionState {
    /// Nothing has been read yet.
    Restoring,
    /// There is none.
    SignedOut,
    /// A token is there and could not be checked yet.
    Unverified,
    /// The server has accepted the token.
    SignedIn,
    /// A 401 has been seen and is being confirmed.
    Suspect,
}

impl SessionState {
    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restoring => "restoring",
            Self::SignedOut => "signed-out",
            Self::Unverified => "unverified",
            Self::SignedIn => "signed-in",
            Self::Suspect => "suspect",
        }
    }
}

/// What kind of token it is, as far as its text tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TokenKind {
    /// It means something to the server's store only.
    #[default]
    Opaque,
    /// The server signs it (RFC 7519) and needs its key to know it again.
    Signed,
}

/// What is known of a token without looking into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct TokenFacts {
    /// When it runs out, as far as it is known.
    pub expires_at: Option<UnixMillis>,
    /// For how long it was issued, where that is known: `expires_in` (RFC 6749 section 5.1), or
    /// `exp − iat` of a JWT. Counted from when it was handed over, it needs no clock of the
    /// server.
    pub lifetime: Option<Duration>,
    /// What kind it is.
    pub kind: TokenKind,
    /// Whether a refresh token came along.
    pub has_refresh_token: bool,
    /// The attempt to refresh it that was made or is about to be made.
    pub refresh_attempt: Option<AttemptId>,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SignOutReason {
    /// The server really said no.
    Rejected,
    /// The server said no to a token that is known to have run out.
    Expired,
    /// The app ended it.
    User,
    /// Nobody touched the app for as long as it asked for.
    Idle,
    /// It lasted as long as the app asked for.
    Age,
}

impl SignOutReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Rejected, Self::Expired, Self::User, Self::Idle, Self::Age];

    /// The word on the public face and in the tombstone.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::User => "user",
            Self::Idle => "idle",
            Self::Age => "age",
        }
    }
}

/// Why the rejections were believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rule {
    /// Every instance seen in the last 10 min rejected twice over, 6 s apart.
    Instances,
    /// A good token would hardly have been rejected so often: the chance is below the app's bound.
    Chance,
    /// The time limit of a confirmation was reached.
    Limit,
    /// The app asked for the usual rule.
    Immediate,
    /// The token had run out and was rejected twice.
    Expired,
    /// The server rejected the refresh twice, 6 s apart.
    RefreshRejected,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 6] = [
        Self::Instances,
        Self::Chance,
        Self::Limit,
        Self::Immediate,
        Self::Expired,
        Self::RefreshRejected,
    ];

    /// The word on the public face and in the tombstone.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Chance => "chance",
            Self::Limit => "limit",
            Self::Immediate => "immediate",
            Self::Expired => "expired",
            Self::RefreshRejected => "refresh-rejected",
        }
    }
}

/// One rejection that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RejectedAnswer {
    /// When its answer came, by the wall clock.
    pub at: UnixMillis,
    /// Its status.
    pub status: u16,
    /// How much it proves.
    pub grade: Grade,
    /// Who rejected.
    pub instance: Option<Label>,
    /// Under which boot id.
    pub boot: Option<Label>,
}

impl RejectedAnswer {
    /// Two replicas may have the same name under boot ids of their own.
    pub(crate) const fn origin(&self) -> Origin {
        Origin { instance: self.instance, boot: self.boot }
    }
}

/// The end of a session, with the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SignOut {
    /// Why.
    pub reason: SignOutReason,
    /// When, by the wall clock.
    pub at: UnixMillis,
    /// Whether another tab ended it.
    pub from_other_tab: bool,
    /// Why the rejections were believed; none where nothing was rejected.
    pub rule: Option<Rule>,
    /// How likely a good token would have been rejected so often; none where instances decided.
    pub chance: Option<Chance>,
    /// The rejections that counted, oldest first.
    pub rejections: Vec<RejectedAnswer>,
}

/// What is known at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    /// The session.
    pub session: SessionState,
    /// The server.
    pub server: ServerState,
    /// When the token runs out, as far as it is known.
    pub expires_at: Option<UnixMillis>,
    /// When the token was last verified.
    pub last_verified_at: Option<UnixMillis>,
    /// When the last session ended, while there is no newer one.
    pub signed_out_at: Option<UnixMillis>,
}

impl Snapshot {
    /// Whether the user is signed in; `None` while that is not known yet.
    #[must_use]
    pub const fn signed_in(&self) -> Option<bool> {
        match self.session {
            SessionState::Restoring => None,
            SessionState::SignedOut => Some(false),
            SessionState::Unverified | SessionState::SignedIn | SessionState::Suspect => Some(true),
        }
    }
}
