//! Entries read as lines, and the last ones are kept.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::*;
use crate::event::Event;
use crate::time::Duration;

#[test]
fn an_entry_reads_as_a_line() {
    let event = Event::Retry { attempt: 1, of: 3, wait: Duration::from_secs(2) };
    let entry = Entry { at: UnixMillis(0), event };
    assert_eq!(entry.to_string(), "retry attempt=1 of=3 ms=2000");
}

#[test]
fn the_history_keeps_the_last_entries() {
    let mut history = History::default();
    for at in 0..History::MAX as u64 + 5 {
        history.add(Entry { at: UnixMillis(at), event: Event::Started {} });
    }
    let kept: Vec<u64> = history.iter().map(|entry| entry.at.0).collect();
    assert_eq!((kept.len(), kept[0]), (History::MAX, 5));
}
