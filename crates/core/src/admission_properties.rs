//! What holds for every sequence of facts about the requests of the app.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Report(AppRequest, AppEvent),
    Proof,
    Check(CheckResult, u64),
    Server(Reachability, Option<u64>),
    Session(Option<SessionView>),
    Refresh(Refresh),
    Stop,
}

fn requests() -> impl Strategy<Value = AppRequest> {
    let replay = select(std::vec![Replay::Never, Replay::AfterUnauthorized, Replay::Always]);
    let destination = select(std::vec![Destination::Api, Destination::OtherOrigin]);
    (0_u32..6, replay, destination, 0_u32..3, proptest::option::of(1_u32..4)).prop_map(
        |(id, replay, destination, resource, sent_with)| {
            let id = AppRequestId(id);
            AppRequest { id, replay, destination, resource, sent_with }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let events = select(std::vec![Ready, NoResponse, Unavailable, Unauthorized, Closed]);
    let results = select(std::vec![
        CheckResult::Accepted,
        CheckResult::Inconclusive,
        CheckResult::Undecidable,
    ]);
    let states = select(std::vec![Reachability::Unknown, Reachability::Awake, Reachability::Away]);
    let session = (1_u32..4, any::<bool>(), any::<bool>()).prop_map(
        |(generation, is_suspect, has_run_out)| SessionView { generation, is_suspect, has_run_out },
    );
    let refresh = select(std::vec![Refresh::Expected, Refresh::Unavailable]);
    let step = prop_oneof![
        6 => (0_u64..20_000).prop_map(Step::Wait),
        8 => (requests(), events).prop_map(|(request, event)| Step::Report(request, event)),
        2 => Just(Step::Proof),
        2 => (results, 0_u64..15_000).prop_map(|(result, age)| Step::Check(result, age)),
        2 => (states, proptest::option::of(0_u64..5_000)).prop_map(|(it, at)| Step::Server(it, at)),
        2 => proptest::option::of(session).prop_map(Step::Session),
        1 => refresh.prop_map(Step::Refresh),
        1 => Just(Step::Stop),
    ];
    proptest::collection::vec(step, 1..80)
}

/// Does one step. `waiting`: since when each request waits without an end in between.
fn take(desk: &mut Desk, step: Step, waiting: &mut BTreeMap<u32, Instant>) {
    let now = desk.context.now;
    match step {
        Step::Wait(ms) => {
            // The timer fires when it should.
            let end = now.plus(Duration::from_millis(ms));
            while let Some(due) = desk.admission.next_timeout().filter(|due| *due <= end) {
                desk.context.now = desk.context.now.max(due);
                settle(desk, waiting);
                assert_ne!(desk.admission.next_timeout(), Some(due), "it spins");
            }
            desk.context.now = end;
        }
        Step::Report(request, event) => {
            let action = desk.report(request, event);
            if action.is_none() && event != Closed {
                waiting.entry(request.id.0).or_insert(now);
            } else {
                waiting.remove(&request.id.0);
            }
            let must_not = event == Unavailable && request.replay != Replay::Always;
            assert!(!(must_not && action == Some(Send)), "something was done twice");
        }
        Step::Proof => desk.admission.server_proven(),
        Step::Check(result, age) => {
            let generation = desk.context.session.map(|session| session.generation);
            let sent = now.minus(Duration::from_millis(age));
            desk.admission.checked(generation, sent, now, result);
        }
        Step::Server(server, at) => {
            desk.context.server = server;
            desk.context.next_probe = at.map(|at| now.plus(Duration::from_millis(at)));
        }
        Step::Session(session) => desk.context.session = session,
        Step::Refresh(refresh) => desk.context.refresh = refresh,
        Step::Stop => {
            desk.context.is_running = false;
            settle(desk, waiting);
            assert!(waiting.is_empty(), "somebody waits for a keeper that has stopped");
            desk.context.is_running = true;
        }
    }
    settle(desk, waiting);
}

fn settle(desk: &mut Desk, waiting: &mut BTreeMap<u32, Instant>) {
    for (id, _) in desk.admission.run(&desk.context) {
        assert!(waiting.remove(&id.0).is_some(), "answered twice");
    }
    let (now, wait) = (desk.context.now, desk.context.options.wait);
    for (id, since) in waiting.iter() {
        assert!(now.since(*since) < wait, "request {id} waits beyond its bound");
    }
    assert!(waiting.len() <= desk.context.options.max_waiting, "too many wait");
    assert_eq!(waiting.is_empty(), desk.admission.next_timeout().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_request_that_waits_is_answered_once_and_within_its_bound(steps in steps()) {
        let mut desk = Desk::new();
        desk.context.options.max_waiting = 4;
        let mut waiting = BTreeMap::new();
        for step in steps {
            take(&mut desk, step, &mut waiting);
        }
        take(&mut desk, Step::Wait(90_000), &mut waiting);
        prop_assert!(waiting.is_empty(), "{waiting:?}");
    }
}
