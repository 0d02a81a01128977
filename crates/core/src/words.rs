//! The words of the public face for what is told in entries.

use crate::answer::{Grade, Probe};
use crate::event::Reason;
use crate::page::PageEvent;

impl Reason {
    /// Every one, in order.
    pub const ALL: [Self; 16] = [
        Self::Hint,
        Self::Network,
        Self::NoAnswer,
        Self::NotOurs,
        Self::Forbidden,
        Self::WrongPath,
        Self::NoVerdict,
        Self::Busy,
        Self::AskedBefore,
        Self::NewerSession,
        Self::ServerNotAwake,
        Self::Restarted,
        Self::Stale,
        Self::ErrorShape,
        Self::Redirected,
        Self::NotSent,
    ];

    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Network => "network",
            Self::NoAnswer => "no-answer",
            Self::NotOurs => "not-ours",
            Self::Forbidden => "forbidden",
            Self::WrongPath => "wrong-path",
            Self::NoVerdict => "no-verdict",
            Self::Busy => "busy",
            Self::AskedBefore => "asked-before",
            Self::NewerSession => "newer-session",
            Self::ServerNotAwake => "server-not-awake",
            Self::Restarted => "restarted",
            Self::Stale => "stale",
            Self::ErrorShape => "error-shape",
            Self::Redirected => "redirected",
            Self::NotSent => "not-sent",
        }
    }
}

impl Grade {
    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
            Self::Password => "password",
        }
    }
}

impl Probe {
    /// Its index among the words of its kind.
    #[must_use]
    pub const fn index(self) -> u8 {
        match self {
            Self::Health => 0,
            Self::Verify => 1,
            Self::SignOut => 2,
            Self::Candidate(_) => 3,
            Self::Refresh => 4,
            Self::Acquire => 5,
        }
    }

    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Verify => "verify",
            Self::SignOut => "sign-out",
            Self::Candidate(_) => "candidate",
            Self::Refresh => "refresh",
            Self::Acquire => "acquire",
        }
    }
}

impl PageEvent {
    /// Every one, in order.
    pub const ALL: [Self; 7] = [
        Self::Visible,
        Self::Hidden,
        Self::Online,
        Self::Offline,
        Self::Suspended,
        Self::Resumed,
        Self::UserActivity,
    ];

    /// The word on the public face.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Hidden => "hidden",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::UserActivity => "user-activity",
        }
    }
}
