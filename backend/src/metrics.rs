//! What is counted, and how Prometheus reads it.
//!
//! Rule: counters only go up, and are summed over all workers: a scrape that met one worker by
//! chance would see them fall.
//!
//! It deliberately holds no label that a client could choose: each would be a series for ever.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::info;

use crate::logging;
use crate::serve::{ConnectionLimits, ErrorBody, Served, serve_for_ever};

/// What can be counted, with its name and help text.
macro_rules! counters {
    ($($(#[doc = $help:literal])* $variant:ident => $name:literal),* $(,)?) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Counter {
            $($(#[doc = $help])* $variant,)*
        }

        const COUNTERS: &[(&str, &str)] = &[$(($name, concat!($($help),*))),*];
    };
}

counters! {
    /// Access tokens handed out at a sign-in.
    TokensIssued => "tokens_issued_total",
    /// Tokens found in the store at the start.
    TokensLoaded => "tokens_loaded_total",
    /// Requests whose token was valid.
    TokensVerified => "tokens_verified_total",
    /// Requests whose token was refused.
    TokensRefused => "tokens_refused_total",
    /// Tokens dropped because their time was over.
    TokensExpired => "tokens_expired_total",
    /// Tokens ended by a sign-out, a revocation or a reuse.
    TokensRevoked => "tokens_revoked_total",
    /// Pairs of tokens handed out for a refresh token.
    TokensRefreshed => "tokens_refreshed_total",
    /// Refresh tokens that came back after their successor was handed out.
    RefreshReused => "tokens_refresh_reused_total",
    /// Sign-ins with a wrong name or password.
    LoginsRefused => "logins_refused_total",
    /// Requests over a limit.
    RateLimited => "rate_limited_total",
    /// Requests for which the store could not be asked.
    StoreUnavailable => "store_unavailable_total",
    /// Tokens that the API behind this server handed out to it.
    UpstreamTokens => "upstream_tokens_total",
    /// Lines of the log that were left out because nobody read them.
    LogLinesDropped => "log_lines_dropped_total",
    /// Audit lines that were left out because nobody read them.
    AuditLinesDropped => "audit_lines_dropped_total",
}

/// The upper ends of the buckets of a request's duration, in milliseconds.
const BUCKETS_MS: [u64; 8] = [1, 5, 25, 100, 500, 2_500, 10_000, 30_000];
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The counts of one process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counters: [AtomicU64; COUNTERS.len()],
    statuses: [AtomicU64; STATUS_CLASSES.len()],
    buckets: [AtomicU64; BUCKETS_MS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    pub(crate) fn add(&self, counter: Counter, many: usize) {
        let many = u64::try_from(many).unwrap_or(u64::MAX);
        self.counters[counter as usize].fetch_add(many, Ordering::Relaxed);
    }

    /// For what is counted elsewhere.
    pub(crate) fn set(&self, counter: Counter, many: usize) {
        let many = u64::try_from(many).unwrap_or(u64::MAX);
        self.counters[counter as usize].store(many, Ordering::Relaxed);
    }

    pub(crate) fn count_request(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(2).min(STATUS_CLASSES.len() - 1);
        self.statuses[class].fetch_add(1, Ordering::Relaxed);
        let ms = took.as_millis();
        let bucket = BUCKETS_MS.iter().position(|&end| ms < u128::from(end));
        self.buckets[bucket.unwrap_or(BUCKETS_MS.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counts {
        let read = |atomics: &[AtomicU64]| {
            atomics.iter().map(|atomic| atomic.load(Ordering::Relaxed)).collect()
        };
        // They are counted where they are dropped, for all of this process.
        let dropped = [
            (Counter::LogLinesDropped, logging::dropped_log_lines()),
            (Counter::AuditLinesDropped, logging::dropped_audit_lines()),
        ];
        dropped.into_iter().for_each(|(counter, lines)| self.set(counter, lines));
        Counts {
            counters: read(&self.counters),
            statuses: read(&self.statuses),
            buckets: read(&self.buckets),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

/// The counts of one process at one moment, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    counters: Vec<u64>,
    statuses: Vec<u64>,
    buckets: Vec<u64>,
    micros: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |sums: &mut Vec<u64>, more: &[u64]| {
            sums.resize(sums.len().max(more.len()), 0);
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        };
        sum(&mut self.counters, &other.counters);
        sum(&mut self.statuses, &other.statuses);
        sum(&mut self.buckets, &other.buckets);
        self.micros = self.micros.saturating_add(other.micros);
    }

    /// The text that Prometheus reads (exposition format 0.0.4).
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let at = |list: &[u64], index: usize| list.get(index).copied().unwrap_or(0);
        for (index, (name, help)) in COUNTERS.iter().enumerate() {
            let count = at(&self.counters, index);
            line(&mut text, format_args!("# HELP {name}{help}\n# TYPE {name} counter"));
            line(&mut text, format_args!("{name} {count}"));
        }
        let name = "http_requests_total";
        line(&mut text, format_args!("# HELP {name} Requests answered.\n# TYPE {name} counter"));
        for (index, class) in STATUS_CLASSES.iter().enumerate() {
            let count = at(&self.statuses, index);
            line(&mut text, format_args!("{name}{{status=\"{class}\"}} {count}"));
        }
        let name = "http_request_duration_seconds";
        let help = "How long requests took.";
        line(&mut text, format_args!("# HELP {name} {help}\n# TYPE {name} histogram"));
        let mut sum = 0;
        for (index, end) in BUCKETS_MS.iter().enumerate() {
            sum += at(&self.buckets, index);
            let end = Duration::from_millis(*end).as_secs_f64();
            line(&mut text, format_args!("{name}_bucket{{le=\"{end}\"}} {sum}"));
        }
        sum += at(&self.buckets, BUCKETS_MS.len());
        let seconds = Duration::from_micros(self.micros).as_secs_f64();
        line(&mut text, format_args!("{name}_bucket{{le=\"+Inf\"}} {sum}"));
        line(&mut text, format_args!("{name}_sum {seconds}\n{name}_count {sum}"));
        text
    }
}

/// Answers scrapes on an address of their own, where one is asked for: what is counted is for the
/// operator, and the API's address for everybody.
pub(crate) async fn serve(
    address: Option<SocketAddr>,
    counts: impl Fn() -> Counts + Clone + Send + Sync + 'static,
) -> Result<(), (SocketAddr, io::Error)> {
    let Some(address) = address else { return Ok(()) };
    let listener = TcpListener::bind(address).await.map_err(|error| (address, error))?;
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    let answer = move || {
        let text = counts().render();
        async move { (kind, text) }
    };
    let app = Router::new().route("/metrics", get(answer));
    info!("Metrics on http://{}/metrics", listener.local_addr().unwrap_or(address));
    let limits = ConnectionLimits::of_metrics();
    let error_body: ErrorBody = Arc::new(|status| format!("{{\"status\":{}}}", status.as_u16()));
    tokio::spawn(serve_for_ever(listener, Served { app, limits, error_body }));
    Ok(())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes what it is given");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_workers_are_summed() {
        let [one, other] = [Metrics::default(), Metrics::default()];
        one.count(Counter::TokensIssued);
        other.add(Counter::TokensIssued, 2);
        other.count_request(401, Duration::from_millis(7));
        let mut sum = Counts::default();
        sum.add(&one.snapshot());
        sum.add(&other.snapshot());
        let text = sum.render();
        for line in [
            "# HELP tokens_issued_total Access tokens handed out at a sign-in.",
            "tokens_issued_total 3",
            "tokens_revoked_total 0",
            "http_requests_total{status=\"4xx\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.005\"} 0",
            "http_request_duration_seconds_bucket{le=\"0.025\"} 1",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 1",
            "http_request_duration_seconds_sum 0.007",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn an_informational_status_is_counted_somewhere_and_panics_nowhere() {
        let metrics = Metrics::default();
        for status in [0, 100, 204, 999] {
            metrics.count_request(status, Duration::ZERO);
        }
        assert_eq!(metrics.snapshot().statuses.iter().sum::<u64>(), 4);
    }
}
