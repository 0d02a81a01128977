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
    let mut asked = 0;
    for id in ids {
        world.refresh = answers(rejected(id, id));
        asked += 1;
        let _ = world.until(60_000, |it| it.refreshes.len() == asked || !it.sign_outs().is_empty());
        world.pass(500);
    }
    assert_eq!(world.sign_outs().len(), 1);
}
