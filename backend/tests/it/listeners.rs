//! The sockets: what one client can take of them, and what is no request.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Files, Server, read_answer, request_text, until};

#[test]
fn one_client_with_silent_connections_stops_nobody_else() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--connections-per-address", "20"]);
    let (_, port) = server.address().rsplit_once(':').expect("it has a port");
    // Linux takes all of 127.0.0.0/8 for itself: this client is another one.
    let silent: Vec<TcpStream> = (0..1000).map_while(|_| server.try_connect()).collect();
    assert!(silent.len() > 900, "the system lets them connect");
    let mut other = server.connect_from([127, 0, 0, 2], port.parse().expect("it is a number"));
    let started = Instant::now();
    let text = request_text("GET", "/api/health", "none", "", "close");
    other.write_all(text.as_bytes()).expect("the server reads");
    let answer = read_answer(&mut BufReader::new(other));
    assert_eq!(answer.status.as_u16(), 200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_connection_that_says_nothing_is_closed_and_one_that_asked_may_wait() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--metrics", "127.0.0.1:0"]);
    let line = server.wait_for_line("Metrics on http://");
    let (_, address) = line.split_once("http://").expect("the line has the address");
    let address = address.trim_end().trim_end_matches("/metrics").to_owned();
    let mut asked = server.connect();
    let text = request_text("GET", "/api/health", "none", "", "keep-alive");
    asked.write_all(text.as_bytes()).expect("the server reads");
    let mut asked = BufReader::new(asked);
    assert_eq!(read_answer(&mut asked).status.as_u16(), 200);
    let started = Instant::now();
    let silent = [server.connect(), TcpStream::connect(&address).expect("it listens")];
    for mut stream in silent {
        // The beginning of a header is not one.
        stream.write_all(b"GET /api/hea").expect("it is taken");
        stream.set_read_timeout(Some(Duration::from_secs(40))).expect("it is not zero");
        let read = stream.read(&mut [0; 1]);
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
    asked.get_mut().write_all(text.as_bytes()).expect("the connection is open");
    assert_eq!(read_answer(&mut asked).status.as_u16(), 200);
}

#[test]
fn the_metrics_have_limits_too() {
    let files = Files::with_cheap_ada();
    let server = Server::start_with(&files, &["--metrics", "127.0.0.1:0"]);
    let line = server.wait_for_line("Metrics on http://");
    let (_, address) = line.split_once("http://").expect("the line has the address");
    let address = address.trim_end().trim_end_matches("/metrics");
    let mut open: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    let mut last = open.pop().expect("there are forty");
    last.set_read_timeout(Some(Duration::from_secs(20))).expect("it is not zero");
    assert!(matches!(last.read(&mut [0; 1]), Ok(0) | Err(_)), "it was one too many");
    drop(open);
    until("there is room again", || {
        let scrape = std::panic::catch_unwind(|| Server::get_at(address, "/metrics", "none"));
        scrape.is_ok_and(|answer| answer.status.as_u16() == 200)
    });
}

#[test]
fn what_is_no_request_is_refused_in_json() {
    let files = Files::with_cheap_ada();
    let server = Server::start(&files);
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20 * 1024));
    for (bytes, status) in [("no request at all\r\n\r\n", 400), (&*long, 431)] {
        let mut stream = server.connect();
        // The server may close before it has read all.
        let _ = stream.write_all(bytes.as_bytes());
        let answer = read_answer(&mut BufReader::new(stream));
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.code(), "invalid_request");
        assert!(answer.json()["boot"].is_string(), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_name_can_be_listened_on_and_platforms_set_the_port() {
    let files = Files::with_cheap_ada();
    let named = Server::start_without_address(&files, &[("LISTEN", "localhost:0")]);
    assert_eq!(named.get("/api/health", "none").status.as_u16(), 200);
    // Below the ports that the system hands out: no other test is given it.
    let port = (10_000 + std::process::id() % 20_000).to_string();
    let served = Server::start_without_address(&files, &[("PORT", &port)]);
    assert_eq!(served.address(), format!("0.0.0.0:{port}"));
    let health = Server::get_at(&format!("127.0.0.1:{port}"), "/api/health", "none");
    assert_eq!(health.status.as_u16(), 200);
    let check = files.program_with_env(&["check"], &[("PORT", &port)]);
    assert!(check.status.success(), "{check:?}");
    std::fs::remove_file(files.path("auth_tokens.sqlite")).expect("it is ours");
    until("the store is missed", || {
        !files.program_with_env(&["check"], &[("PORT", &port)]).status.success()
    });
    assert_eq!(
        Server::get_at(&format!("127.0.0.1:{port}"), "/api/ready", "x").status.as_u16(),
        503
    );
}
