//! PostgreSQL through its lives. Each takes seconds to be made, so that few tests hold much.

use std::time::Duration;

use session_keeper_services::{Service, unless_missing};

use crate::wire::{Session, connect, eventually, refuses, ssl_request, timed_out};

/// Long enough for any server that answers at all.
const A_WHILE: Duration = Duration::from_millis(500);

#[test]
fn postgres_answers_and_is_gone_when_dropped() {
    let Some(service) = unless_missing(Service::postgres()) else { return };
    let port = service.port();
    assert_eq!(service.url(), format!("postgres://postgres@127.0.0.1:{port}/postgres"));
    let answer = ssl_request(&connect(port)).expect("it answers");
    assert!(['N', 'S'].contains(&answer), "{answer}");
    drop(service);
    eventually("it refuses", || refuses(port));
}

#[test]
fn postgres_keeps_its_port_and_data_over_a_stop_and_a_kill() {
    let Some(mut service) = unless_missing(Service::postgres()) else { return };
    let port = service.port();
    // It stays open: a pool's connections do not keep the server from stopping.
    let mut session = Session::open(port).expect("it answers");
    session.query("CREATE TABLE users (name text)").expect("it answers");
    session.query("INSERT INTO users VALUES ('alice')").expect("it answers");
    service.stop().expect("it stops");
    assert!(refuses(port));
    service.start().expect("it starts");
    let mut session = Session::open(port).expect("it answers");
    session.query("INSERT INTO users VALUES ('bob')").expect("it answers");
    service.kill().expect("it dies");
    assert!(refuses(port));
    service.start().expect("it starts");
    assert_eq!(service.port(), port);
    let mut session = Session::open(port).expect("it answers");
    let rows = session.query("SELECT name FROM users").expect("it answers");
    assert!(rows.contains("alice") && rows.contains("bob"), "{rows:?}");
}

#[test]
fn a_paused_postgres_hangs_for_those_who_come_and_those_who_are_there() {
    let Some(mut service) = unless_missing(Service::postgres()) else { return };
    let mut session = Session::open(service.port()).expect("it answers");
    session.set_patience(A_WHILE);
    service.pause().expect("it runs");
    let newcomer = connect(service.port());
    newcomer.set_read_timeout(Some(A_WHILE)).expect("it is above zero");
    assert!(timed_out(&ssl_request(&newcomer)));
    assert!(timed_out(&session.query("SELECT 1")));
    service.resume().expect("it runs");
    let mut session = Session::open(service.port()).expect("it answers");
    session.query("SELECT 1").expect("it answers");
    service.pause().expect("it runs");
    service.kill().expect("it dies, paused as it is");
    assert!(refuses(service.port()));
}

#[test]
fn postgres_syncs_what_it_commits() {
    let Some(service) = unless_missing(Service::postgres()) else { return };
    let mut session = Session::open(service.port()).expect("it answers");
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = session.query(&format!("SHOW {setting}")).expect("it answers");
        assert!(value.ends_with("on"), "{setting}: {value:?}");
    }
}
