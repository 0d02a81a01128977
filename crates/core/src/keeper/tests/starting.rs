//! A page that is loaded while the server starts: its store may not be ready, and says 401.

use super::world::*;
use crate::{Duration, Input, Options, Response, SessionState};

/// What the server answers `secs` seconds after its start.
fn up_for(secs: u64, response: Response) -> Reply {
    let mut response = response;
    response.server.uptime = Some(Duration::from_secs(secs));
    answers(response)
}

/// Loads a page with a session and tells whether it was lost within nine seconds.
fn lost(uptime: u64) -> bool {
    let mut world = World::new(Options::default());
    world.record = active(1);
    world.health = up_for(uptime, well("a", "1"));
    world.verify = up_for(uptime, rejected("a", "1"));
    let _ = world.input(Input::Start);
    world.pass(9_000);
    world.verify = answers(well("a", "1"));
    world.pass(10_000);
    world.session() == SessionState::SignedOut
}

#[test]
fn refusals_of_a_store_that_is_not_ready_when_the_page_is_loaded_end_nothing() {
    assert!(!lost(0));
    assert!(!lost(3));
}

#[test]
fn refusals_of_a_server_that_has_been_running_are_believed_as_usual() {
    assert!(lost(3_600));
}
