//! Lines for the operator, on stderr.
//!
//! Rule: nothing that is handed in holds a token, a password or a query string; stdout carries one
//! line only, the address, for whoever started the server.
//!
//! The sentences are searched for by people who hunt lost sessions, so they stay word for word.
//! What happened to sessions is logged with the target `audit`, one line for each event.

use std::io;

use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, WatchOptions};

/// What sessions go through, one line each: `event`, and of `user`, `session`, `address`, `reason`
/// what is known.
pub(crate) const AUDIT: &str = "audit";

/// From here on, what is traced is written. A second call changes nothing.
#[must_use = "what is not written yet is written when it is dropped"]
pub(crate) fn start(options: &WatchOptions) -> WorkerGuard {
    begin(options.log_level, options.log_format)
}

/// The same for a command that ends at once: what it warns of, and what it changed.
#[must_use = "what is not written yet is written when it is dropped"]
pub(crate) fn start_for_a_command() -> WorkerGuard {
    begin(Level::INFO, LogFormat::Text)
}

fn begin(level: Level, format: LogFormat) -> WorkerGuard {
    // What libraries say at these levels is about their insides.
    let ours =
        Targets::new().with_target("session_keeper_backend", level).with_target(AUDIT, level);
    // On a thread of its own, and lines are left out when too many wait: a log that nobody reads
    // must not keep the server from answering.
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(io::stderr());
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let layer = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // Tests start several servers in one process.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    guard
}
