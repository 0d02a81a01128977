//! Where audit lines go.
//!
//! Rule: a line waits for a place in the queue, and not for longer than [`LONGEST_WAIT`]: a
//! terminal that was stopped by Ctrl-S must not stop the server. What is left out is counted, and
//! said in the next line that gets through.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tracing_subscriber::fmt::MakeWriter;

/// Some seconds of a busy server.
const QUEUED: usize = 4096;
const LONGEST_WAIT: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(2);
const FLUSH_WAIT: Duration = Duration::from_secs(1);

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// How many lines were left out since the start of the process.
pub(super) fn dropped_lines() -> usize {
    DROPPED.load(Ordering::Relaxed)
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Hands lines to a thread of its own.
pub(super) struct AuditSink {
    queue: SyncSender<Message>,
    /// The last line waited in vain: the next ones do not wait until one gets through.
    is_stalled: AtomicBool,
}

impl AuditSink {
    pub(super) fn start(to: impl Write + Send + 'static) -> Self {
        let (queue, lines) = sync_channel(QUEUED);
        thread::spawn(move || write_all(&lines, to));
        Self { queue, is_stalled: AtomicBool::new(false) }
    }

    pub(super) fn guard(&self) -> FlushGuard {
        FlushGuard { queue: self.queue.clone() }
    }

    fn send(&self, line: Vec<u8>) {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut message = Message::Line(line);
        loop {
            message = match self.queue.try_send(message) {
                Ok(()) => return self.is_stalled.store(false, Ordering::Relaxed),
                Err(TrySendError::Full(message)) => message,
                Err(TrySendError::Disconnected(_)) => break,
            };
            if self.is_stalled.load(Ordering::Relaxed) || Instant::now() >= deadline {
                break;
            }
            thread::sleep(POLL);
        }
        self.is_stalled.store(true, Ordering::Relaxed);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'a> MakeWriter<'a> for AuditSink {
    type Writer = AuditLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        AuditLine(self)
    }
}

/// One line, which comes in one piece.
pub(super) struct AuditLine<'a>(&'a AuditSink);

impl Write for AuditLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits when it is dropped until what was sent before is written, for a second at most.
#[derive(Debug)]
pub(super) struct FlushGuard {
    queue: SyncSender<Message>,
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let (done, is_done) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // A reader that has stalled gets no more of it.
            let _ = is_done.recv_timeout(FLUSH_WAIT);
        }
    }
}

fn write_all(lines: &Receiver<Message>, mut to: impl Write) {
    let mut reported = dropped_lines();
    for message in lines {
        let outcome = match message {
            Message::Line(line) => to.write_all(&line).and_then(|()| to.flush()),
            Message::Flush(done) => {
                // Whoever asked may have given up.
                let _ = done.send(());
                continue;
            }
        };
        if outcome.is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let dropped = dropped_lines();
        if dropped > reported {
            let lost = dropped - reported;
            if writeln!(to, "audit: {lost} audit lines were left out: nobody read them").is_ok() {
                reported = dropped;
            }
        }
    }
}

/// Opens the file of the audit log, and makes it where there is none. What is there already and is
/// no log of ours is left alone.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let mut first = String::new();
    let is_readable = BufReader::new(&file).read_line(&mut first).is_ok();
    if is_readable && (first.is_empty() || first.contains(super::AUDIT)) {
        return Ok(file);
    }
    Err(io::Error::other("the file is there and is no audit log: name another one"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::{Arc, Mutex};

    use tempfile::TempDir;

    use super::*;

    /// Takes nothing until it is let go.
    struct Stalled(Arc<Mutex<Vec<u8>>>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics with it").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_left_out_is_counted_and_said_and_nobody_waits_for_each_line() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = AuditSink::start(Stalled(Arc::clone(&written)));
        let before = dropped_lines();
        let stalled = written.lock().expect("nobody panicked");
        let started = Instant::now();
        for _ in 0..QUEUED + 1000 {
            sink.send(b"audit: event\n".to_vec());
        }
        assert!(started.elapsed() < Duration::from_secs(5), "only the first one waits");
        let dropped = dropped_lines() - before;
        // One line is in the hands of the thread that writes.
        assert!((998..=1000).contains(&dropped), "{dropped}");
        drop(stalled);
        drop(sink.guard());
        // The queue was full: the flush had no place, so ask until there is one.
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            drop(sink.guard());
            let text = String::from_utf8(written.lock().expect("nobody panicked").clone());
            if text.expect("it is text").contains("audit lines were left out") {
                return;
            }
        }
        panic!("nobody was told");
    }

    #[test]
    fn a_file_that_is_no_audit_log_is_left_alone() {
        let folder = TempDir::new().expect("there is a folder for temporary files");
        let path = folder.path().join("audit.log");
        drop(open(&path).expect("it is made"));
        fs::write(&path, "2030 INFO audit: event=\"signed_in\"\n").expect("it is ours");
        drop(open(&path).expect("it is one"));
        fs::write(&path, "root:x:0:0\n").expect("it is ours");
        assert!(open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("root:x:0:0\n"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).expect("it is ours");
        assert!(open(&link).is_err(), "no link is followed");
    }
}
