//! The face's table of events is the core's.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::*;
use crate::diagnosis::Cause;

const FACE: &str = include_str!("../../../js/src/events.json");

/// One of each, in the order of their places.
fn one_of_each() -> Vec<Event> {
    let (probe, request, facts) = (Probe::Verify, RequestId(1), Origin::default());
    let (status, ms) = (401, Duration::from_millis(5));
    let boot = Label::new("b").expect("one letter is a name");
    vec![
        Event::Started {},
        Event::Stopped {},
        Event::KeepAlive { every: ms },
        Event::Restored {},
        Event::NoRecord {},
        Event::NoUser { status },
        Event::RecordCorrupt {},
        Event::RecordForeign {},
        Event::StoreFailed {},
        Event::SignedIn {},
        Event::Answered { probe, request, status, took: ms, facts },
        Event::Unanswered { probe, request, took: ms },
        Event::Held { probe, request },
        Event::GivenUp { probe, request },
        Event::Periodic {},
        Event::Retry { attempt: 1, of: 3, wait: ms },
        Event::Kept { why: Reason::Network, status: Some(status) },
        Event::Verified { facts },
        Event::Suspect { status, limit: ms, basis: Basis::Unknown },
        Event::Rejected { grade: Grade::Strong, status, facts },
        Event::RejectionIgnored { why: Reason::NewerSession },
        Event::Refuted { rejections: 2 },
        Event::SignedOut {
            reason: SignOutReason::Rejected,
            rule: Some(Rule::Instances),
            from_other_tab: false,
        },
        Event::SignOutTold {},
        Event::SignOutRejected { status },
        Event::Server { state: ServerState::Awake, before: ServerState::Waking },
        Event::Rebooted { boot },
        Event::Slept { length: ms },
        Event::Page { event: PageEvent::Hidden },
        Event::WrongPath { status, candidate: Some(Candidate(1)) },
        Event::Misconfigured { probe, status },
        Event::Diagnosed {
            found: Diagnosis {
                probe: Some(probe),
                candidate: Some(Candidate(1)),
                ..Diagnosis::of(Cause::WrongPath)
            },
        },
        Event::Refreshed {},
        Event::RefreshFailed { is_usable: true, wait: ms, status: Some(503) },
        Event::RefreshRejected { status },
        Event::AcquireFailed { is_usable: true, wait: ms, status: Some(503) },
        Event::AcquireDeclined {},
        Event::Leading { epoch: 1 },
    ]
}

/// The names of the numbers and words, in the order in which they are told.
#[derive(Default)]
struct Names(String);

impl FieldVisitor for Names {
    fn number(&mut self, name: &'static str, _: u64) {
        write!(self.0, " {name}").expect("a string takes all");
    }
    fn word(&mut self, name: &'static str, _: u8, _: &'static str) {
        self.number(name, 0);
    }
    fn label(&mut self, _: &'static str, _: &Label) {}
}

#[test]
fn the_faces_table_of_events_is_the_cores() {
    let mut rows = Vec::new();
    for (index, event) in one_of_each().iter().enumerate() {
        assert_eq!(usize::from(event.index()), index);
        let mut names = Names::default();
        event.visit_fields(&mut names);
        let (code, level) = TABLE[index];
        rows.push(alloc::format!("\"{code} {}{}\"", level as u8, names.0));
    }
    assert_eq!(rows.len(), TABLE.len());
    let table: Vec<&str> = rows.iter().map(String::as_str).collect();
    let flat: String = FACE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&table.join(", ")), "js/src/events.json must hold: {table:#?}");
}

#[test]
fn the_faces_words_are_the_cores() {
    let probes = [
        Probe::Health,
        Probe::Verify,
        Probe::SignOut,
        Probe::Candidate(0),
        Probe::Refresh,
        Probe::Acquire,
    ];
    let grades = [Grade::Strong, Grade::Weak, Grade::Password];
    let kinds: [(&str, Vec<&str>); 10] = [
        ("probe", probes.map(Probe::name).into()),
        ("grade", grades.map(Grade::name).into()),
        ("reason", SignOutReason::ALL.map(SignOutReason::name).into()),
        ("rule", Rule::ALL.map(Rule::name).into()),
        ("state", ServerState::ALL.map(ServerState::name).into()),
        ("why", Reason::ALL.map(Reason::name).into()),
        ("cause", Cause::ALL.map(Cause::name).into()),
        ("basis", Basis::ALL.map(Basis::name).into()),
        ("candidate", CANDIDATES.into()),
        ("event", PageEvent::ALL.map(PageEvent::name).into()),
    ];
    let flat: String = FACE.split_whitespace().collect::<Vec<_>>().join(" ");
    for (kind, words) in kinds {
        let row = alloc::format!("\"{kind}\": \"{}\"", words.join(" "));
        assert!(flat.contains(&row), "js/src/events.json must hold {row}");
    }
}
