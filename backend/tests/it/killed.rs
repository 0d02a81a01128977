//! The server killed in the middle of writes, 40 times on each store: no token that was
//! acknowledged is lost, and none that was ended comes back. `KILLS=200` makes it 200 times.
//!
//! Rule: what a client was told counts. What was under way at the kill may have happened or not,
//! and nothing is claimed of it.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::stores::place::{Kind, Place};
use crate::support::{
    Answer, Files, PASSWORD, Server, UNLIMITED, request_text, try_read_answer, until,
};

const KILLS: usize = 40;
const CLIENTS: u32 = 3;

/// So many of those that were accepted are asked for again after each kill, the newest first.
const REMEMBERED: usize = 24;

macro_rules! for_each_lasting_kind {
    ($($name:ident: $kind:ident),*) => {
        $(
            #[test]
            fn $name() {
                a_killed_server_loses_and_revives_nothing(Kind::$kind);
            }
        )*
    };
}
for_each_lasting_kind!(file: File, sqlite: Sqlite, postgres: Postgres, redis: Redis);

fn a_killed_server_loses_and_revives_nothing(kind: Kind) {
    let Some(place) = Place::shared(kind) else { return };
    let files = Files::with_cheap_ada();
    let told = Mutex::new(Told::default());
    let dice = Dice::new();
    let mut sums = [0; 2];
    let kills = kills();
    for round in 0..=kills {
        let store = place.argument();
        let more = [&UNLIMITED[..], &["--refresh", "--store", &store]].concat();
        let server = Server::start_with(&files, &more);
        let mut past = std::mem::take(&mut *told.lock().expect("no client panicked"));
        sums = [sums[0] + past.live.len(), sums[1] + past.ended.len()];
        past.assert_known_to(&server, &format!("{kind:?}, round {round}"));
        past.forget_the_oldest();
        *told.lock().expect("no client panicked") = past;
        // By what was done and not by the clock alone, or a busy machine would kill before
        // anything.
        let (kill_at, kill_after) = (dice.roll(12), Duration::from_micros(dice.roll(10_000)));
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let (address, told, dice) = (server.address().to_owned(), &told, &dice);
                let done = &done;
                scope.spawn(move || {
                    while work(&address, told, dice).is_some() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            until("some work is done", || done.load(Ordering::Relaxed) >= kill_at);
            // Chance decides what the kill interrupts: that is what the rounds are for.
            thread::sleep(kill_after);
            server.kill();
        });
    }
    let [live, ended] = sums;
    eprintln!("{kind:?}: {kills} kills; {live} accepted and {ended} ended tokens asked for again");
    assert!(live > kills / 2 && ended > kills / 10, "too little was under way: {live} and {ended}");
}

fn kills() -> usize {
    std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().expect("KILLS is a number"))
}

/// What clients were told.
#[derive(Default)]
struct Told {
    live: VecDeque<String>,
    ended: VecDeque<String>,
}

impl Told {
    fn assert_known_to(&self, server: &Server, when: &str) {
        for token in &self.live {
            let answer = server.get("/auth/me", token);
            assert_eq!(answer.status, StatusCode::OK, "lost: {when}");
        }
        for token in &self.ended {
            let answer = server.get("/auth/me", token);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "revived: {when}");
        }
    }

    fn forget_the_oldest(&mut self) {
        for list in [&mut self.live, &mut self.ended] {
            list.drain(..list.len().saturating_sub(REMEMBERED));
        }
    }
}

/// Signs in, and then by chance refreshes, signs out, or leaves it. `None`: the server is gone.
fn work(address: &str, told: &Mutex<Told>, dice: &Dice) -> Option<()> {
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    let pair = ask(address, "/auth/login", "none", &credentials)?.json();
    let access = text(&pair, "access_token");
    told.lock().ok()?.live.push_back(access.clone());
    match dice.roll(3) {
        0 => {
            let wish = json!({ "refresh_token": text(&pair, "refresh_token") });
            let next = ask(address, "/auth/refresh", "none", &wish)?.json();
            told.lock().ok()?.live.push_back(text(&next, "access_token"));
        }
        1 => {
            // From here on it may be over: nothing is claimed of it until the answer is there.
            told.lock().ok()?.live.retain(|live| *live != access);
            let answer = ask(address, "/auth/logout", &access, &Value::Null)?;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
            told.lock().ok()?.ended.push_back(access);
        }
        _ => {}
    }
    Some(())
}

fn ask(address: &str, path: &str, token: &str, body: &Value) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let text = request_text("POST", path, token, &body.to_string(), "close");
    stream.write_all(text.as_bytes()).ok()?;
    let answer = try_read_answer(&mut BufReader::new(stream))?;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
    Some(answer)
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}

/// Chance, from a seed that a failure can name: xorshift (Marsaglia 2003).
struct Dice(AtomicU64);

impl Dice {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the system has random bytes");
        Self(AtomicU64::new(u64::from_ne_bytes(seed) | 1))
    }

    /// From 0 to below `sides`.
    fn roll(&self, sides: u64) -> u64 {
        let mut next = self.0.load(Ordering::Relaxed);
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        self.0.store(next, Ordering::Relaxed);
        next % sides
    }
}
