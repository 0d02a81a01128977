//! Gate 3: what a 401 counts where a refresh might still help.

use super::refreshing::{lives, options, sign_in_for};
use super::world::*;
use crate::{
    Input, Notice, Probe, Response, Rule, ServerFacts, SessionState, TokenFacts, TokenHandle,
    UnixMillis,
};

const HOUR: u64 = 3_600_000;

impl World {
    fn has_refreshed(&self) -> usize {
        self.notices().filter(|notice| **notice == Notice::Refreshed).count()
    }
}

/// A token of which nothing is told, so that only a 401 says that it ran out.
fn untold() -> TokenFacts {
    TokenFacts { has_refresh_token: true, ..TokenFacts::default() }
}

fn signed_in_with(facts: TokenFacts) -> World {
    let mut world = World::new(options());
    world.server_says(&answers(well("a", "1")));
    world.new_token = Some(facts);
    let _ = world.input(Input::Start);
    world.pass(100);
    let _ = world.input(Input::SignIn { token: Some(TokenHandle(1)), facts });
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    world
}

#[test]
fn a_token_that_has_run_out_already_is_refused_and_nobody_is_signed_out() {
    let mut world = signed_in_with(lives(60_000));
    world.new_token = Some(lives(0));
    world.verify = answers(rejected("a", "1"));
    world.pass(600_000);
    assert_eq!(world.sign_outs(), []);
    world.new_token = Some(lives(60_000));
    world.verify = answers(well("a", "1"));
    world.pass(15_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert!(!world.keeper.has_run_out());
}

#[test]
fn the_old_token_once_more_ends_nothing_and_a_second_time_is_believed() {
    let mut world = signed_in_with(untold());
    world.is_same = true;
    world.verify = answers(rejected("a", "1"));
    let start = world.now();
    let _ = world.input(Input::Verify);
    world.until(1_000, |it| it.has_refreshed() == 1).expect("a 401 is answered by a refresh");
    world.pass(9_000);
    assert_ne!(world.session(), SessionState::Suspect);
    world.until(20_000, |it| !it.sign_outs().is_empty()).expect("it is over in the end");
    assert_eq!(world.sent_since(start, Probe::Refresh).len(), 2);
    assert_eq!(world.sign_outs()[0].rule, Some(Rule::Instances));
}

#[test]
fn a_refreshed_token_that_was_never_verified_may_have_run_out_two_minutes_later() {
    let mut world = signed_in_with(untold());
    world.script.push_back(answers(rejected("a", "1")));
    world.verify = Reply::Fails;
    let _ = world.input(Input::Verify);
    world.until(1_000, |it| it.has_refreshed() == 1).expect("a 401 is answered by a refresh");
    world.pass(HOUR);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.until(5_000, |it| it.has_refreshed() == 2).expect("it may have run out");
    world.verify = answers(well("a", "1"));
    world.pass(20_000);
    assert_eq!((world.sign_outs().len(), world.session()), (0, SessionState::SignedIn));
}

#[test]
fn a_token_that_came_while_the_page_slept_is_refreshed_again_before_a_401_for_it_counts() {
    let mut world = signed_in_with(untold());
    world.refresh = Reply::Slow(2_000, well("a", "1"));
    let _ = world.input(Input::Refresh);
    world.until(1_000, |it| it.refreshes.len() == 1).expect("it is sent");
    world.script.push_back(Reply::Fails);
    world.verify = answers(rejected("a", "1"));
    world.sleep(8 * HOUR);
    world.until(3_000, |it| it.has_refreshed() == 1).expect("it is taken");
    let _ = world.input(Input::Verify);
    world.until(30_000, |it| it.has_refreshed() == 2).expect("it is refreshed again");
    world.verify = answers(well("a", "1"));
    world.pass(10_000);
    assert_eq!((world.sign_outs().len(), world.session()), (0, SessionState::SignedIn));
}

#[test]
fn the_life_of_a_token_begins_when_it_was_asked_for() {
    let mut world = signed_in_with(lives(120_000));
    world.refresh = Reply::Slow(60_000, well("a", "1"));
    let _ = world.input(Input::Refresh);
    world.until(61_000, |it| it.has_refreshed() == 1).expect("it is refreshed");
    world.refresh = Reply::Fails;
    world.pass(59_000);
    assert!(!world.keeper.has_run_out());
    world.pass(2_000);
    let _ = world.input(Input::Timeout);
    assert!(world.keeper.has_run_out());
}

#[test]
fn the_life_of_a_token_that_tells_a_date_too_begins_when_it_was_asked_for() {
    let mut world = signed_in_with(lives(120_000));
    world.refresh = Reply::Slow(60_000, well("a", "1"));
    // Counted by the shell when the answer comes.
    let expires_at = Some(UnixMillis(world.wall() + 60_000 + 120_000));
    world.new_token = Some(TokenFacts { expires_at, ..lives(120_000) });
    let _ = world.input(Input::Refresh);
    world.until(61_000, |it| it.has_refreshed() == 1).expect("it is refreshed");
    let told = world.keeper.snapshot().expires_at.expect("it is known").0;
    assert!(told.abs_diff(world.wall() + 60_000) < 1_000);
}

#[test]
fn the_clock_of_the_server_that_made_a_token_tells_when_it_runs_out() {
    let mut world = World::new(options());
    let now = world.wall() + 5 * HOUR;
    let expires_at = Some(UnixMillis(now));
    world.server_says(&Reply::Fails);
    let _ = world.input(Input::Start);
    world.pass(100);
    let _ = world.input(Input::SignIn { token: Some(TokenHandle(1)), facts: lives(60_000) });
    let server = ServerFacts { now: Some(UnixMillis(now)), ..facts("a", "1") };
    world.refresh = answers(Response { server, ..well("a", "1") });
    world.new_token = Some(TokenFacts { expires_at, ..untold() });
    let _ = world.input(Input::Refresh);
    world.until(5_000, |it| it.has_refreshed() == 1).expect("it is refreshed");
    assert!(world.keeper.has_run_out());
}

#[test]
fn a_refresh_path_that_is_wrong_is_asked_once_in_ten_seconds_though_the_server_is_back() {
    let mut world = signed_in_with(lives(60_000));
    world.refresh = answers(status(404));
    world.new_token = None;
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    world.pass(100);
    let sent = world.now();
    world.script.push_back(Reply::Fails);
    let _ = world.input(Input::Verify);
    world.until(1_000, |it| it.server() == crate::ServerState::Waking).expect("it is away");
    let _ = world.input(Input::AppProof);
    world.pass(1_000);
    assert_eq!(world.server(), crate::ServerState::Awake);
    assert_eq!(world.refreshes.len(), 1, "{} ms later", world.now() - sent);
    world.until(60_000, |it| it.refreshes.len() == 2).expect("it is asked again");
}

#[test]
fn a_refresh_that_is_due_in_a_confirmation_keeps_its_pace() {
    let mut world = World::new(options());
    world.server_says(&answers(nameless()));
    world.new_token = Some(lives(30_000));
    let _ = world.input(Input::Start);
    let _ = world.input(sign_in_for(30_000));
    world.pass(20_000);
    let _ = world.input(Input::Refresh);
    world.until(1_000, |it| it.has_refreshed() == 1).expect("it is refreshed");
    // Ten seconds later it would be refreshed first; until it is due the bursts go on.
    world.verify = answers(status(401));
    let start = world.now();
    let _ = world.input(Input::Verify);
    world.pass(40_000);
    assert_eq!(world.sent_since(start, Probe::Refresh).len(), 1);
    let all = [Probe::Verify, Probe::Health, Probe::Refresh];
    let mut sent: std::vec::Vec<u64> =
        all.into_iter().flat_map(|probe| world.sent_since(start, probe)).collect();
    sent.sort_unstable();
    assert!(sent.windows(4).all(|four| four[3] - four[0] >= 5_900), "{sent:?}");
}

#[test]
fn rejections_of_a_refresh_before_and_after_a_restart_are_no_two() {
    let mut world = signed_in_with(lives(60_000));
    world.refresh = answers(rejected("a", "1"));
    world.new_token = None;
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    world.pass(1_000);
    // Its store is not there yet, once more.
    world.refresh = answers(rejected("b", "2"));
    world.until(10_000, |it| it.refreshes.len() == 2).expect("it is sent");
    world.pass(1_000);
    assert_eq!(world.sign_outs(), []);
    world.until(20_000, |it| !it.sign_outs().is_empty()).expect("it is over");
    let boots: std::vec::Vec<_> = world.sign_outs()[0]
        .rejections
        .iter()
        .map(|it| it.boot.map(|it| it.as_str().len()))
        .collect();
    assert_eq!((boots.len(), world.refreshes.len()), (2, 3), "and the evidence names who said so");
    assert!(boots.iter().all(Option::is_some));
}

#[test]
fn boot_ids_that_change_with_every_rejection_put_a_sign_out_off_but_not_for_ever() {
    let mut world = signed_in_with(lives(60_000));
    world.new_token = None;
    let ids = ["1", "2", "3", "4", "5", "6"];
    for (before, id) in ids.into_iter().enumerate() {
        world.refresh = answers(rejected(id, id));
        let asked = before + 1;
        let _ = world.until(60_000, |it| it.refreshes.len() == asked || !it.sign_outs().is_empty());
        world.pass(500);
    }
    assert_eq!(world.sign_outs().len(), 1);
}
