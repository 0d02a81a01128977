//! Lines for the operator, on stderr, and the audit log, there or in a file of its own.
//!
//! Rule 1: nothing that is handed in holds a token, a password or a query string; stdout carries
//! one line only, the address, for whoever started the server.
//! Rule 2: a log that nobody reads keeps nobody waiting for long. Lines of the log are left out
//! when too many wait; audit lines wait a moment first. Both are counted, and the metrics show it.
//!
//! The sentences are searched for by people who hunt lost sessions, so they stay word for word.
//! What happened to sessions is logged with the target `audit`, one line for each event, whatever
//! the level is. Texts are quoted, so that no user name looks like another field.

mod audit;

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, WatchOptions};
use audit::AuditSink;

/// What sessions go through, one line each: `event`, and of `user`, `session`, `address`, `reason`
/// what is known.
pub(crate) const AUDIT: &str = "audit";

static LOG_LINES_DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Writes what waits when it is dropped.
#[must_use = "what is not written yet is written when it is dropped"]
#[derive(Debug)]
pub(crate) struct LogGuard {
    _lines: WorkerGuard,
    _audit: audit::FlushGuard,
}

/// From here on, what is traced is written. A second call changes nothing.
pub(crate) fn start(options: &WatchOptions) -> io::Result<LogGuard> {
    begin(options.log_level, options.log_format, options.audit_file.as_ref())
}

/// The same for a command that ends at once: what it warns of, and what it changed.
pub(crate) fn start_for_a_command() -> io::Result<LogGuard> {
    begin(Level::INFO, LogFormat::Text, None)
}

/// How many lines of the log were left out.
pub(crate) fn dropped_log_lines() -> usize {
    LOG_LINES_DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// How many audit lines were left out.
pub(crate) fn dropped_audit_lines() -> usize {
    audit::dropped_lines()
}

fn begin(level: Level, format: LogFormat, audit_file: Option<&PathBuf>) -> io::Result<LogGuard> {
    // What libraries say at these levels is about their insides.
    let ours = Targets::new().with_target("session_keeper_backend", level);
    let audited = Targets::new().with_target(AUDIT, Level::INFO);
    let (writer, lines_guard) = NonBlockingBuilder::default().lossy(true).finish(io::stderr());
    let dropped = writer.error_counter();
    let sink = match audit_file {
        Some(path) => AuditSink::start(audit::open(path)?),
        None => AuditSink::start(io::stderr()),
    };
    let audit_guard = sink.guard();
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let audit = fmt::layer().with_writer(sink).with_ansi(false);
    let (lines, audit) = match format {
        LogFormat::Text => (lines.boxed(), audit.boxed()),
        LogFormat::Json => (lines.json().boxed(), audit.json().boxed()),
    };
    let registry = tracing_subscriber::registry();
    let layers = registry.with(lines.with_filter(ours)).with(audit.with_filter(audited));
    // Tests start several servers in one process.
    if layers.try_init().is_ok() {
        let _ = LOG_LINES_DROPPED.set(dropped);
    }
    Ok(LogGuard { _lines: lines_guard, _audit: audit_guard })
}
