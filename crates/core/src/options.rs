//! What the app may choose, with the defaults of the design.

use crate::app_request::AppRequestOptions;
use crate::chance::Chance;
use crate::time::Duration;

/// All choices that decide something. Paths, origins and keys are the shell's.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct Options {
    /// Pings, or `None`: verification is then the only probe.
    pub health: Option<HealthOptions>,
    /// Verification of the token.
    pub verify: VerifyOptions,
    /// How a rejection is confirmed.
    pub confirm: Confirm,
    /// What proves the user to the server.
    pub credential: Credential,
    /// Whether the server is told of a sign-out.
    pub tell_sign_out: bool,
    /// Where the server is, as browsers see it.
    pub origin_relation: OriginRelation,
    /// How the token is refreshed, or `None`: it is used until the server refuses it.
    pub refresh: Option<RefreshOptions>,
    /// Whether the app can get a token without the user.
    pub acquire: bool,
    /// The requests of the app.
    pub app_requests: AppRequestOptions,
    /// Whether other tabs share the record and can be told of it.
    pub is_shared: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            health: Some(HealthOptions::default()),
            verify: VerifyOptions::default(),
            confirm: Confirm::default(),
            credential: Credential::default(),
            tell_sign_out: false,
            origin_relation: OriginRelation::default(),
            refresh: None,
            acquire: false,
            app_requests: AppRequestOptions::default(),
            is_shared: false,
        }
    }
}

/// Refreshing the token.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RefreshOptions {
    /// How long ahead of its expiry the token is refreshed; at most half of its life. `None`: a
    /// twelfth of its life, at most one hour.
    pub margin: Option<Duration>,
    /// Whether it takes a refresh token: a cookie, or a function of the app's, may do without.
    pub needs_token: bool,
}

/// What proves the user to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Credential {
    /// A token that the app hands over at sign-in.
    #[default]
    Token,
    /// A cookie that scripts cannot read: only the server knows whether it is there.
    Cookie,
}

/// Where the server is, as browsers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OriginRelation {
    /// On the page's own origin.
    #[default]
    SameOrigin,
    /// Elsewhere: the browser may keep its answers to itself (CORS).
    CrossOrigin,
}

/// How a rejection is confirmed before it ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Confirm {
    /// Until the chance that a good token would have been rejected so often is below this one. In
    /// force where the backend names no instances: where it does, all of them must refuse.
    Below(Chance),
    /// The first one that passes gates 1 to 3 is believed.
    Immediate,
}

impl Default for Confirm {
    /// Below one in a thousand.
    fn default() -> Self {
        Self::Below(Chance::of(0.001))
    }
}

/// The keep-alive pings.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct HealthOptions {
    /// Between pings, spread by ±10 %.
    pub every: Duration,
    /// After this long without an answer the server counts as waking.
    pub timeout: Duration,
    /// The longest that a request is held open.
    pub wake_timeout: Duration,
    /// What happens while the page is hidden.
    pub when_hidden: WhenHidden,
    /// How long a hidden page goes on.
    pub hidden_for: Duration,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            wake_timeout: Duration::from_secs(90),
            when_hidden: WhenHidden::Ping,
            hidden_for: Duration::from_secs(600),
        }
    }
}

/// What happens to pings and periodic verifications while the page is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum WhenHidden {
    /// They go on for `hidden_for`: a forgotten tab would burn a free plan's hours.
    Ping,
    /// They stop at once.
    Pause,
    /// They go on.
    Always,
}

/// The verification of the token.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct VerifyOptions {
    /// Between verifications, spread by ±10 %.
    pub every: Duration,
    /// After this long without an answer the server counts as waking.
    pub timeout: Duration,
    /// Repeats after the first attempt when there was no answer of the app.
    pub retries: u8,
    /// The shortest delay before a repeat; the longest is four times it.
    pub retry_delay: Duration,
    /// No periodic verification when nobody has touched the page this long.
    pub when_idle: Option<Duration>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            timeout: Duration::from_secs(10),
            retries: 3,
            retry_delay: Duration::from_secs(2),
            when_idle: None,
        }
    }
}
