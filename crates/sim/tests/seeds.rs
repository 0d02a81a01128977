//! Two hundred seeds of the honest world, and a broken world for each oracle.

use session_keeper_sim::{Guarantee, Plan, Sabotage, Tally, run};

/// The first guarantee that breaks in a broken world, over a few seeds.
fn broken_by(sabotage: Sabotage) -> Vec<Guarantee> {
    let plans = (1..=60).map(|seed| Plan { sabotage, ..Plan::of(seed) });
    plans.filter_map(|plan| run(&plan).err()).map(|failure| failure.guarantee).collect()
}

#[test]
fn two_hundred_seeds_break_no_guarantee_and_meet_every_fault() {
    let mut tally = Tally::default();
    for seed in 1..=200 {
        match run(&Plan::of(seed)) {
            Ok(one) => tally.add(&one),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert_eq!(tally.false_sign_outs, 0);
    // A keeper that does nothing, or a world in which nothing happens, would pass too.
    assert!(tally.accepted > 1_000 && tally.sign_outs > 100, "{tally}");
    assert!(tally.refuted > 10 && tally.strays > 1_000, "{tally}");
    assert_eq!(tally.faults.len(), 11, "{tally}");
    assert!([8, 20, 60].iter().all(|bound| tally.longest.contains_key(bound)), "{tally}");
}

#[test]
fn a_seed_runs_the_same_way_again() {
    let once = run(&Plan::of(5)).expect("this seed passes").to_string();
    assert_eq!(run(&Plan::of(5)).expect("this seed passes").to_string(), once);
    assert_ne!(run(&Plan::of(6)).expect("this seed passes").to_string(), once);
}

#[test]
fn a_server_that_rejects_a_living_token_trips_the_oracle_of_false_sign_outs() {
    assert!(
        broken_by(Sabotage::LyingServer).iter().filter(|it| **it == Guarantee::G1).count() > 40
    );
}

#[test]
fn a_keeper_that_does_not_hear_rejections_trips_the_oracle_of_missed_sign_outs() {
    assert!(broken_by(Sabotage::DeafKeeper).contains(&Guarantee::G2));
    assert!(broken_by(Sabotage::ForgetfulKeeper).contains(&Guarantee::G2));
}

#[test]
fn a_request_that_stays_open_trips_the_oracle_of_hanging() {
    assert!(broken_by(Sabotage::LeakyShell).contains(&Guarantee::G4));
}

#[test]
fn a_stray_answer_that_is_seen_trips_the_oracle_of_late_answers() {
    assert!(broken_by(Sabotage::ConfusedShell).contains(&Guarantee::G6));
}

#[test]
fn a_server_that_never_comes_back_trips_the_oracle_of_liveness() {
    assert!(broken_by(Sabotage::DeadServer).contains(&Guarantee::Liveness));
}

#[test]
fn a_failure_names_its_seed_and_tells_what_led_there() {
    let plan = Plan { sabotage: Sabotage::LyingServer, ..Plan::of(3) };
    let failure = run(&plan).expect_err("the server lies");
    assert!(failure.headline().starts_with("seed 3: G1"));
    assert!(
        failure
            .transcript
            .iter()
            .any(|line| line.contains("suspect/awake") && line.contains("rejected"))
    );
}

#[test]
fn two_hundred_seeds_with_refreshed_tokens_break_no_guarantee() {
    let mut tally = Tally::default();
    for seed in 1..=200 {
        match run(&Plan::of(seed).refreshed()) {
            Ok(one) => tally.add(&one),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert_eq!(tally.false_sign_outs, 0);
    // Tokens run out and are replaced, and servers do what it takes to lose them.
    assert!(tally.refreshed > 2_000 && tally.refreshes > 2 * tally.refreshed, "{tally}");
    assert!(tally.useless > 100 && tally.reuses > 10 && tally.sign_outs > 100, "{tally}");
    // The refresh path fails for longer than a request may wait; otherwise nobody sees a 401.
    assert!(tally.app_expired_401s * 30 < tally.app_requests, "{tally}");
}

/// The first guarantee that breaks where tokens run out.
fn broken_refreshed(sabotage: Sabotage) -> Vec<(Guarantee, String)> {
    let plans = (1..=60).map(|seed| Plan { sabotage, ..Plan::of(seed).refreshed() });
    plans.filter_map(|plan| run(&plan).err()).map(|it| (it.guarantee, it.message)).collect()
}

#[test]
fn an_attempt_that_is_not_stored_trips_the_oracle_of_refresh_tokens_that_are_sent_twice() {
    let broken = broken_refreshed(Sabotage::ForgetfulStore);
    let is_twice = |(guarantee, message): &(Guarantee, String)| {
        *guarantee == Guarantee::Refresh && message.contains("another attempt id")
    };
    assert!(broken.iter().filter(|it| is_twice(it)).count() > 5, "{broken:?}");
}

#[test]
fn a_server_that_rejects_the_refresh_of_a_living_session_trips_the_oracle_of_false_sign_outs() {
    let broken = broken_refreshed(Sabotage::LyingServer);
    assert!(broken.iter().filter(|(it, _)| *it == Guarantee::G1).count() > 40, "{broken:?}");
}

#[test]
fn a_rejected_refresh_that_is_not_heard_trips_the_oracle_of_missed_sign_outs() {
    let broken = broken_refreshed(Sabotage::DeafRefresh);
    let is_missed = |(guarantee, message): &(Guarantee, String)| {
        *guarantee == Guarantee::G2 && message.contains("rejected for")
    };
    assert!(broken.iter().any(is_missed), "{broken:?}");
}

#[test]
fn a_request_of_the_app_that_is_forgotten_trips_the_oracle_of_waiting() {
    let broken = broken_refreshed(Sabotage::ForgottenRequests);
    let is_late = |(guarantee, message): &(Guarantee, String)| {
        *guarantee == Guarantee::G4 && message.contains("waits beyond its bound")
    };
    assert!(broken.iter().any(is_late), "{broken:?}");
}

#[test]
fn two_and_three_tabs_break_no_guarantee_and_agree_in_the_end() {
    let mut tally = Tally::default();
    for seed in 1..=60 {
        let plan = Plan::of(seed).tabs(2 + seed as usize % 2);
        for plan in [plan, plan.refreshed()] {
            match run(&plan.hours(2)) {
                Ok(one) => tally.add(&one),
                Err(failure) => panic!("{failure}"),
            }
        }
    }
    assert_eq!(tally.false_sign_outs, 0);
    assert!(tally.refreshed > 200 && tally.sign_outs > 100, "{tally}");
}

#[test]
fn a_lease_that_nobody_reads_trips_the_oracle_of_tabs() {
    let plan = Plan { sabotage: Sabotage::LostLeases, ..Plan::of(1) }.tabs(3).hours(1).quiet();
    let failure = run(&plan).expect_err("each of them takes the lease");
    assert_eq!(failure.guarantee, Guarantee::Tabs);
    assert!(failure.message.contains("3 tabs lead"), "{}", failure.message);
}

#[test]
fn ten_tabs_that_somebody_looks_at_ask_as_often_as_one() {
    let requests = |tabs| {
        let tally = run(&Plan::of(1).tabs(tabs).quiet().hours(1)).expect("nothing goes wrong");
        tally.pings + tally.verifications
    };
    let (one, ten) = (requests(1), requests(10));
    assert!(one > 100 && ten * 10 <= one * 11, "{one} of one tab, {ten} of ten");
}
