//! What one request to the backend meets: a fault, the backend, or the front of a platform whose
//! backend is not running.
//!
//! Rule: only traffic that would reach the backend wakes it; while it is not running, the current
//! mode answers, and a held request is let go after a bounded time.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::body::{Answer, Broken, text};
use crate::faults::Faults;
use crate::request_log::RequestLog;
use crate::settings::WhileWaking;
use crate::status::{Phase, Status};
use crate::supervisor::Handle;
use crate::upstream::{NotPassedOn, Upstream};

/// A little more than the longest that real platforms hold a request (75 s) and that the keeper
/// waits (90 s), so that both are met before this one.
const HOLD_LIMIT: Duration = Duration::from_secs(100);
/// A process that ended is noticed within milliseconds; a backend that does not accept
/// connections for longer than this is broken in a way of its own.
const END_NOTICED: Duration = Duration::from_secs(2);

/// What all connections share.
pub(crate) struct Proxy {
    pub(crate) supervisor: Handle,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
}

/// One connection's way to the backend.
#[derive(Clone)]
pub(crate) struct ProxyConnection {
    proxy: Arc<Proxy>,
    upstream: Arc<Mutex<Upstream>>,
}

/// What a wait for the backend came to.
enum Change {
    Seen,
    TooLate,
    ShutDown,
}

impl ProxyConnection {
    pub(crate) fn new(proxy: Arc<Proxy>) -> Self {
        Self { proxy, upstream: Arc::default() }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Broken> {
        let entry = self.proxy.log.begin(&request);
        let answer = match self.proxy.faults.take(&request) {
            Some(fault) => fault.give(&request).await,
            None => self.answer_from_behind(request).await,
        };
        if let Ok(answer) = &answer {
            self.proxy.log.answered(entry, answer.status());
        }
        answer
    }

    async fn answer_from_behind(&self, mut request: Request<Incoming>) -> Result<Answer, Broken> {
        let supervisor = &self.proxy.supervisor;
        let held_until = Instant::now() + HOLD_LIMIT;
        loop {
            let status = supervisor.status();
            if let Phase::Running(address) = status.phase {
                let open = supervisor.open_request();
                let mut upstream = self.upstream.lock().await;
                request = match upstream.pass_on(address, request, open).await {
                    Ok(answer) => return Ok(answer),
                    Err(NotPassedOn::Broken(broken)) => return Err(broken),
                    Err(NotPassedOn::NoConnection(request)) => *request,
                };
                match self.change_of(&status, Instant::now() + END_NOTICED).await {
                    Change::Seen => continue,
                    Change::TooLate | Change::ShutDown => return Err(Broken::OnPurpose),
                }
            }
            if status.phase == Phase::Asleep {
                supervisor.want_awake(&status);
            }
            let settings = supervisor.settings();
            if let Some(answer) = settings.while_waking.answer(settings.retry_after) {
                return Ok(answer);
            }
            if settings.while_waking == WhileWaking::Refuse {
                return Err(Broken::OnPurpose);
            }
            match self.change_of(&status, held_until).await {
                Change::Seen => {}
                Change::TooLate => {
                    let sentence = "The service did not start in time.";
                    return Ok(text(StatusCode::GATEWAY_TIMEOUT, sentence));
                }
                Change::ShutDown => return Err(Broken::OnPurpose),
            }
        }
    }

    /// Waits for another state than `seen` or for other settings.
    async fn change_of(&self, seen: &Status, deadline: Instant) -> Change {
        let (mut status, mut settings) = self.proxy.supervisor.watch();
        let changed = async {
            tokio::select! {
                changed = status.wait_for(|now| now.epoch != seen.epoch) => changed.is_ok(),
                changed = settings.changed() => changed.is_ok(),
            }
        };
        match timeout_at(deadline, changed).await {
            Ok(true) => Change::Seen,
            Ok(false) => Change::ShutDown,
            Err(_) => Change::TooLate,
        }
    }
}
