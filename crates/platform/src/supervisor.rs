//! Decides when the backend runs: asleep after idling, woken by traffic, stopped and broken by
//! order.
//!
//! Rule: one task owns the process and is the only one to change its state; everybody else reads
//! the published status and asks. A wish to wake names the state that it saw, so that one which
//! comes late changes nothing. Knows nothing of HTTP.

use std::future;
use std::process::ExitStatus;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::process::{Backend, BackendCommand, BackendError, say};
use crate::settings::{Settings, SettingsChange};
use crate::status::{Phase, Status};
use crate::traffic::{OpenRequest, Traffic};

/// What can be done to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ends the process; the next traffic wakes it.
    Sleep,
    /// Ends the process; it stays down until it is woken by order.
    Stop,
    /// Begins waking it.
    Wake,
    /// Ends the process and starts another at once.
    Restart,
    /// SIGKILL.
    Kill,
    /// A restart that finds no token file.
    RestartLosingTokens,
    /// Removes all tokens from the store, as an administrator would.
    Revoke,
}

/// The way to ask for something and to see what is.
#[derive(Clone)]
pub(crate) struct Handle {
    orders: mpsc::Sender<Order>,
    wanted: Arc<watch::Sender<u64>>,
    settings: Arc<watch::Sender<Settings>>,
    status: watch::Receiver<Status>,
    traffic: Arc<Traffic>,
}

struct Order {
    action: Action,
    done: oneshot::Sender<Result<(), BackendError>>,
}

impl Handle {
    /// Carries out `action` and returns when it is done. None: the platform is shutting down.
    pub(crate) async fn order(&self, action: Action) -> Option<Result<(), BackendError>> {
        let (done, outcome) = oneshot::channel();
        self.orders.send(Order { action, done }).await.ok()?;
        outcome.await.ok()
    }

    /// Traffic that met a sleeping backend. Does nothing when `seen` is no longer the state.
    pub(crate) fn want_awake(&self, seen: &Status) {
        self.wanted.send_replace(seen.epoch);
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        *self.settings.borrow()
    }

    pub(crate) fn configure(&self, change: SettingsChange) {
        self.settings.send_modify(|settings| settings.apply(change));
    }

    /// Both as they change.
    pub(crate) fn watch(&self) -> (watch::Receiver<Status>, watch::Receiver<Settings>) {
        (self.status.clone(), self.settings.subscribe())
    }

    /// Counts as traffic until it is dropped.
    pub(crate) fn open_request(&self) -> OpenRequest {
        self.traffic.open()
    }
}

/// Owns the process.
pub(crate) struct Supervisor {
    command: BackendCommand,
    backend: Option<Backend>,
    phase_since: Instant,
    orders: mpsc::Receiver<Order>,
    wanted: watch::Receiver<u64>,
    settings: watch::Receiver<Settings>,
    status: watch::Sender<Status>,
    traffic: Arc<Traffic>,
}

enum Event {
    Ordered(Order),
    Wanted(u64),
    SettingsChanged,
    Ended(Option<ExitStatus>),
    Due,
    HandlesGone,
}

impl Supervisor {
    /// Nothing runs until the first order.
    pub(crate) fn new(command: BackendCommand, settings: Settings) -> (Self, Handle) {
        let (orders, orders_in) = mpsc::channel(16);
        let (wanted, wanted_in) = watch::channel(0);
        let (settings, settings_in) = watch::channel(settings);
        let (status, status_out) = watch::channel(Status::first());
        let traffic = Arc::new(Traffic::new());
        let supervisor = Self {
            command,
            backend: None,
            phase_since: Instant::now(),
            orders: orders_in,
            wanted: wanted_in,
            settings: settings_in,
            status,
            traffic: Arc::clone(&traffic),
        };
        let handle = Handle {
            orders,
            wanted: Arc::new(wanted),
            settings: Arc::new(settings),
            status: status_out,
            traffic,
        };
        (supervisor, handle)
    }

    /// Runs until `shutdown`; the backend is gone when it returns, whatever was under way.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.run_until_unused() => {}
        }
        if let Some(backend) = self.backend.take() {
            backend.kill().await;
        }
    }

    async fn run_until_unused(&mut self) {
        loop {
            match self.next_event().await {
                Event::Ordered(order) => {
                    let outcome = self.handle_order(order.action).await;
                    // Whoever asked may have left; it is carried out all the same.
                    let _ = order.done.send(outcome);
                }
                Event::Wanted(epoch) => self.handle_wanted(epoch),
                Event::SettingsChanged => {}
                Event::Ended(status) => self.handle_end(status),
                Event::Due => self.handle_due().await,
                Event::HandlesGone => return,
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let due = self.next_due();
        let Self { backend, orders, wanted, settings, .. } = self;
        let ended = async {
            match backend {
                Some(backend) => backend.ended().await,
                None => future::pending().await,
            }
        };
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            status = ended => Event::Ended(status),
            order = orders.recv() => order.map_or(Event::HandlesGone, Event::Ordered),
            Ok(()) = wanted.changed() => Event::Wanted(*wanted.borrow()),
            Ok(()) = settings.changed() => Event::SettingsChanged,
            () = timer => Event::Due,
        }
    }

    async fn handle_order(&mut self, action: Action) -> Result<(), BackendError> {
        let phase = self.phase();
        match action {
            Action::Sleep | Action::Kill if phase == Phase::Down => {}
            Action::Sleep => self.stop_into(Phase::Asleep).await,
            Action::Stop => self.stop_into(Phase::Down).await,
            Action::Kill => {
                self.enter(Phase::Asleep);
                if let Some(backend) = self.backend.take() {
                    backend.kill().await;
                }
            }
            Action::Wake => {
                if matches!(phase, Phase::Asleep | Phase::Down) {
                    self.enter(Phase::Waking);
                }
            }
            Action::Restart => {
                self.stop_into(Phase::Waking).await;
                self.start().await?;
            }
            Action::RestartLosingTokens => {
                self.stop_into(Phase::Waking).await;
                let lost = self.command.lose_tokens().await;
                self.start().await?;
                lost?;
            }
            Action::Revoke => self.command.revoke_tokens().await?,
        }
        Ok(())
    }

    fn handle_wanted(&mut self, epoch: u64) {
        let current = self.status.borrow().epoch;
        if self.phase() == Phase::Asleep && epoch == current {
            self.enter(Phase::Waking);
        }
    }

    fn handle_end(&mut self, status: Option<ExitStatus>) {
        let how = status.map_or("unknown status".to_owned(), |status| status.to_string());
        say(&format!("platform: the backend ended by itself ({how}); the next request wakes it"));
        self.backend = None;
        self.enter(Phase::Asleep);
    }

    async fn handle_due(&mut self) {
        match self.phase() {
            Phase::Waking => {
                if let Err(error) = self.start().await {
                    say(&format!("platform: {error}"));
                }
            }
            Phase::Running(_) => {
                let idle = self.settings.borrow().idle;
                if idle.is_some_and(|idle| self.traffic.idle_for() >= idle) {
                    self.stop_into(Phase::Asleep).await;
                }
            }
            Phase::Asleep | Phase::Down => {}
        }
    }

    /// Computed from the state, so that a changed setting holds at once.
    fn next_due(&self) -> Option<Instant> {
        let settings = *self.settings.borrow();
        match self.phase() {
            Phase::Waking => Some(self.phase_since + settings.wake),
            Phase::Running(_) => {
                let idle = settings.idle?;
                Some(Instant::now() + idle.saturating_sub(self.traffic.idle_for()))
            }
            Phase::Asleep | Phase::Down => None,
        }
    }

    async fn start(&mut self) -> Result<(), BackendError> {
        self.enter(Phase::Waking);
        match self.command.start().await {
            Ok(backend) => {
                self.traffic.restart_idling();
                let (address, pid) = (backend.address, backend.pid());
                self.backend = Some(backend);
                self.phase_since = Instant::now();
                self.status.send_modify(|status| status.run(address, pid));
                Ok(())
            }
            Err(error) => {
                self.enter(Phase::Asleep);
                Err(error)
            }
        }
    }

    /// The phase comes first: no new request may reach a process that is about to end.
    async fn stop_into(&mut self, phase: Phase) {
        self.enter(phase);
        if let Some(backend) = self.backend.take() {
            backend.stop().await;
        }
    }

    fn phase(&self) -> Phase {
        self.status.borrow().phase
    }

    fn enter(&mut self, phase: Phase) {
        self.phase_since = Instant::now();
        self.status.send_modify(|status| status.enter(phase));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::WhileWaking;

    #[test]
    fn a_wish_that_belongs_to_an_earlier_sleep_wakes_nothing() {
        let command = BackendCommand::new("backend".into(), "data".into(), Vec::new());
        let settings = Settings {
            idle: None,
            wake: Duration::ZERO,
            while_waking: WhileWaking::Hold,
            retry_after: Duration::ZERO,
        };
        let (mut supervisor, handle) =
            Supervisor::new(command.expect("a test has a file of its own"), settings);
        supervisor.enter(Phase::Asleep);
        let earlier = handle.status().epoch;
        supervisor.enter(Phase::Asleep);

        supervisor.handle_wanted(earlier);
        assert_eq!(supervisor.phase(), Phase::Asleep);

        supervisor.handle_wanted(handle.status().epoch);
        assert_eq!(supervisor.phase(), Phase::Waking);
    }
}
