//! The requests of the app, as the core knows them: by id and by facts, without URL, body or token.

use crate::time::Duration;

/// Names a request of the app between the core and the shell, which counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppRequestId(pub u32);

/// The facts about one request of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppRequest {
    /// Which one.
    pub id: AppRequestId,
    /// When it may be sent again.
    pub replay: Replay,
    /// Where it goes.
    pub destination: Destination,
    /// A number that stands for its path: equal for requests to the same path.
    pub resource: u32,
    /// The [tag](crate::Generation::tag) of the generation whose credential it carried when it was
    /// last sent.
    pub sent_with: Option<u32>,
}

/// When a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Replay {
    /// Never: its body was a stream, which is used up.
    Never,
    /// After a 401 and with a newer token: the server has not carried it out.
    AfterUnauthorized,
    /// Whenever it failed: its method is safe (RFC 9110 section 9.2.1), or the app allows it.
    Always,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Destination {
    /// The API, whose availability the keeper watches.
    Api,
    /// Another origin that may receive the credential.
    OtherOrigin,
}

/// What happened to a request of the app. A request that is answered at its first attempt by
/// anything but 401, 502, 503 or 504 is never reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppEvent {
    /// It is about to be sent and has to ask first: see
    /// [`Keeper::may_send`](crate::Keeper::may_send).
    Ready,
    /// It got no response.
    NoResponse,
    /// It was answered 502, 503 or 504.
    Unavailable,
    /// It was answered 401.
    Unauthorized,
    /// After a report it was answered by something else, or the app aborted it.
    Closed,
}

/// What the shell does with a request of the app that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppAction {
    /// Send it (again), with the credential of now.
    Send,
    /// Give the app the last response, or the last error.
    Deliver,
    /// Give the app an error: too many requests are waiting.
    Refuse,
}

/// How the requests of the app are treated.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct AppRequestOptions {
    /// How long one request waits in all, from its first failure on.
    pub wait: Duration,
    /// How many may wait at once.
    pub max_waiting: usize,
    /// What happens to a 401.
    pub on_unauthorized: OnUnauthorized,
}

impl Default for AppRequestOptions {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(90),
            max_waiting: 100,
            on_unauthorized: OnUnauthorized::Settle,
        }
    }
}

/// What happens to a 401 for the current token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OnUnauthorized {
    /// It is held until a verification has decided whether the session is over.
    #[default]
    Settle,
    /// It is given to the app at once.
    Pass,
}
