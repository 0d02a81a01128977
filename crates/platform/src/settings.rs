//! What can be changed while the platform runs, and the answers given while the backend does not.
//!
//! Rule: none of these answers carries a CORS header, because they come from in front of the app.
//! Knows nothing of when they are given.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use serde::Deserialize;

use crate::body::{Answer, answer, text};

/// What a request meets while the backend is not running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhileWaking {
    /// Stays open and is passed on when the backend listens.
    Hold,
    /// The connection is refused, or dropped without an answer.
    Refuse,
    /// 502 and an HTML page.
    BadGateway,
    /// 503 with `Retry-After`.
    Unavailable,
    /// 200 and an HTML page, as of a platform that shows its own.
    Splash,
    /// 401 and an HTML page without a challenge, as of a gate in front of the app.
    UnauthorizedPage,
}

impl WhileWaking {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Refuse => "refuse",
            Self::BadGateway => "bad-gateway",
            Self::Unavailable => "unavailable",
            Self::Splash => "splash",
            Self::UnauthorizedPage => "unauthorized-page",
        }
    }

    /// The answer in place of the backend's; none for the modes that hold or drop.
    pub(crate) fn answer(self, retry_after: Duration) -> Option<Answer> {
        match self {
            Self::Hold | Self::Refuse => None,
            Self::BadGateway => Some(page(StatusCode::BAD_GATEWAY, "502 Bad Gateway")),
            Self::Unavailable => {
                let mut answer =
                    text(StatusCode::SERVICE_UNAVAILABLE, "The service is starting. Try again.");
                let seconds = HeaderValue::from(retry_after.as_secs());
                answer.headers_mut().insert(RETRY_AFTER, seconds);
                Some(answer)
            }
            Self::Splash => Some(page(StatusCode::OK, "Your app is waking up")),
            Self::UnauthorizedPage => Some(page(StatusCode::UNAUTHORIZED, "Sign in to continue")),
        }
    }
}

/// The settings of one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Without traffic this long the backend is put to sleep; `None`: never.
    pub(crate) idle: Option<Duration>,
    pub(crate) wake: Duration,
    pub(crate) while_waking: WhileWaking,
    pub(crate) retry_after: Duration,
}

/// Some of the settings, as a change names them. The inner `None` of `idle` means never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SettingsChange {
    pub(crate) idle: Option<Option<Duration>>,
    pub(crate) wake: Option<Duration>,
    pub(crate) while_waking: Option<WhileWaking>,
    pub(crate) retry_after: Option<Duration>,
}

/// Zero says never.
pub(crate) fn idle(idle_ms: u32) -> Option<Duration> {
    (idle_ms > 0).then(|| Duration::from_millis(idle_ms.into()))
}

impl Settings {
    pub(crate) fn apply(&mut self, change: SettingsChange) {
        self.idle = change.idle.unwrap_or(self.idle);
        self.wake = change.wake.unwrap_or(self.wake);
        self.while_waking = change.while_waking.unwrap_or(self.while_waking);
        self.retry_after = change.retry_after.unwrap_or(self.retry_after);
    }
}

fn page(status: StatusCode, title: &str) -> Answer {
    let html = format!(
        "<!doctype html>\n<html><head><title>{title}</title></head>\
         <body><h1>{title}</h1></body></html>\n"
    );
    answer(status, "text/html; charset=utf-8", html)
}
