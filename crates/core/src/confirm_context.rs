//! What a confirmation is judged by, besides the rejections that it holds itself.

use crate::backend::Backend;
use crate::instances::Instances;
use crate::options::Confirm;
use crate::time::Instant;

/// What decides besides the rejections themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfirmContext<'a> {
    pub(crate) now: Instant,
    pub(crate) instances: &'a Instances,
    pub(crate) woken: Option<Instant>,
    pub(crate) backend: &'a Backend,
    pub(crate) token: Token,
    pub(crate) confirm: Confirm,
}

/// What is known of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// It was accepted before, or may have been.
    Current,
    /// It was handed over in this page and never accepted: what others say of the backend is no
    /// reason to doubt a token that it has just issued.
    New,
    /// It has run out, by the server's clock.
    RunOut,
}

/// Whether the server answers as it should while it is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerHealth {
    Well,
    Bad,
}

/// What decides how long a confirmation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Basis {
    /// The app wants the first 401 to be believed.
    Immediate,
    /// The token is known to have run out.
    Expired,
    /// The backend names its instances, and they are known.
    Instances,
    /// The backend has been consistent so far.
    Consistent,
    /// The backend has just started or woken up.
    JustStarted,
    /// Nothing is known of the backend yet.
    Unknown,
    /// There is no health path that could prove the server awake.
    NoHealth,
    /// The backend was caught rejecting a token that is good.
    Inconsistent,
}

impl Basis {
    /// Every one, in order.
    pub const ALL: [Self; 8] = [
        Self::Immediate,
        Self::Expired,
        Self::Instances,
        Self::Consistent,
        Self::JustStarted,
        Self::Unknown,
        Self::NoHealth,
        Self::Inconsistent,
    ];

    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Expired => "expired",
            Self::Instances => "instances",
            Self::Consistent => "consistent",
            Self::JustStarted => "just-started",
            Self::Unknown => "unknown",
            Self::NoHealth => "no-health",
            Self::Inconsistent => "inconsistent",
        }
    }
}
