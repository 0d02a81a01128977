//! Redis through its lives.

use std::time::Duration;

use session_keeper_services::{Service, ServiceError, unless_missing};

use crate::wire::{connect, eventually, redis, refuses, timed_out};

/// Long enough for any server that answers at all.
const A_WHILE: Duration = Duration::from_millis(500);

#[test]
fn redis_answers_as_soon_as_it_is_started() {
    let Some(service) = unless_missing(Service::redis()) else { return };
    assert_eq!(service.url(), format!("redis://127.0.0.1:{}", service.port()));
    assert_eq!(redis(&connect(service.port()), "PING").expect("it answers"), "+PONG");
}

#[test]
fn two_at_once_have_data_of_their_own() {
    let Some(one) = unless_missing(Service::redis()) else { return };
    let Some(mut other) = unless_missing(Service::redis()) else { return };
    redis(&connect(one.port()), "SET a 1").expect("it answers");
    // What it has in memory says nothing of the files that it reads.
    other.kill().expect("it dies");
    other.start().expect("it starts");
    assert_eq!(redis(&connect(other.port()), "EXISTS a").expect("it answers"), ":0");
}

#[test]
fn a_stopped_redis_refuses_and_keeps_its_port_and_data() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    let (port, url) = (service.port(), service.url().to_owned());
    assert_eq!(redis(&connect(port), "SET user alice").expect("it answers"), "+OK");
    service.stop().expect("it stops");
    assert!(refuses(port));
    service.start().expect("it starts");
    assert_eq!((service.port(), service.url()), (port, url.as_str()));
    assert_eq!(redis(&connect(port), "GET user").expect("it answers"), "alice");
}

#[test]
fn what_redis_acknowledged_is_there_after_a_kill() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    let connection = connect(service.port());
    assert_eq!(redis(&connection, "SET user alice").expect("it answers"), "+OK");
    service.kill().expect("it dies");
    assert!(refuses(service.port()));
    service.start().expect("it starts");
    assert_eq!(redis(&connect(service.port()), "GET user").expect("it answers"), "alice");
}

#[test]
fn a_paused_redis_hangs_and_answers_late() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    let connection = connect(service.port());
    service.pause().expect("it runs");
    // The kernel still accepts for it.
    let late = connect(service.port());
    late.set_read_timeout(Some(A_WHILE)).expect("it is above zero");
    assert!(timed_out(&redis(&late, "PING")));
    service.resume().expect("it runs");
    assert_eq!(redis(&late, "PING").expect("it answers"), "+PONG");
    assert_eq!(redis(&connection, "PING").expect("it answers"), "+PONG");
}

#[test]
fn a_paused_redis_can_be_stopped() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    service.pause().expect("it runs");
    service.stop().expect("it stops");
    assert!(refuses(service.port()));
}

#[test]
fn orders_to_a_server_that_is_there_already_or_gone_do_no_harm() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    service.start().expect("it runs already");
    service.stop().expect("it stops");
    service.stop().expect("it has stopped already");
    service.kill().expect("it has stopped already");
    assert!(matches!(service.pause(), Err(ServiceError::NotRunning)));
}

#[test]
fn a_server_that_ended_by_itself_can_be_started_again() {
    let Some(mut service) = unless_missing(Service::redis()) else { return };
    // It says nothing more, so this is an error of the connection.
    let _ = redis(&connect(service.port()), "SHUTDOWN");
    eventually("it refuses", || refuses(service.port()));
    // It refuses a little before it has ended.
    eventually("it starts", || service.start().is_ok() && !refuses(service.port()));
    assert_eq!(redis(&connect(service.port()), "PING").expect("it answers"), "+PONG");
}

#[test]
fn a_dropped_redis_is_gone() {
    let Some(service) = unless_missing(Service::redis()) else { return };
    let port = service.port();
    drop(service);
    eventually("it refuses", || refuses(port));
}
