//! Every state of a session and every kind of input, as one table to be read by a human.
//!
//! `UPDATE_MATRIX=1 cargo test -p session-keeper-core matrix` writes it again; a change of it is
//! a change of behaviour.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::world::*;
use crate::{
    Body, Challenge, Classified, Effect, Input, Message, Notice, Options, Outcome, PageEvent,
    Probe, Record, RequestId, Response,
};

const TABLE: &str = include_str!("matrix.txt");

/// A way into one state, with the request whose answer is fed there.
struct Stage {
    name: &'static str,
    enter: fn() -> World,
}

const STAGES: [Stage; 8] = [
    Stage { name: "restoring", enter: restoring },
    Stage { name: "restoring (cookie)", enter: restoring_by_cookie },
    Stage { name: "restoring (acquiring)", enter: acquiring },
    Stage { name: "signed-out", enter: signed_out },
    Stage { name: "unverified", enter: unverified },
    Stage { name: "signed-in", enter: signed_in },
    Stage { name: "suspect", enter: suspect },
    Stage { name: "signed-in, stopped", enter: stopped },
];

/// What is fed: an input, an answer to the open request of a kind, or a record to be read.
enum Fed {
    Input(Input),
    Answer(Probe, Outcome),
    Late(Outcome),
    Record(Record),
    Due,
}

/// What may lead out of a session, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    Stay,
    End,
}

fn restoring() -> World {
    let mut world = World::new(Options::default());
    world.store_answers = false;
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Start);
    world
}

fn restoring_by_cookie() -> World {
    let mut world = World::new(cookie());
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Start);
    world.pass(100);
    world
}

/// Nobody is signed in, and the app is asked for a token.
fn acquiring() -> World {
    let mut world = World::new(Options { acquire: true, ..Options::default() });
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Start);
    world.pass(100);
    world
}

fn signed_out() -> World {
    let mut world = signed_in();
    let _ = world.input(Input::SignOut);
    world
}

fn unverified() -> World {
    let mut world = World::new(Options::default());
    world.record = active(3);
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Start);
    world.pass(100);
    world
}

fn signed_in() -> World {
    let mut world = World::new(Options::default());
    world.record = active(3);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Verify);
    let _ = world.input(Input::Unanswered);
    world
}

fn suspect() -> World {
    let mut world = World::new(Options::default());
    world.record = active(3);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    world.script.push_back(answers(rejected("a", "1")));
    world.server_says(&Reply::Silence);
    // A ping that is under way when the confirmation begins.
    let _ = world.input(Input::Unanswered);
    let _ = world.input(Input::Verify);
    world.pass(6_400);
    world
}

fn stopped() -> World {
    let mut world = signed_in();
    let _ = world.input(Input::Stop);
    world
}

fn rows() -> Vec<(String, May, Fed)> {
    let mut rows = Vec::new();
    let mut add = |name: &str, may, fed| rows.push((String::from(name), may, fed));
    for (name, input) in [
        ("Start", Input::Start),
        ("Stop", Input::Stop),
        ("Timeout, early", Input::Timeout),
        ("SignIn", sign_in()),
        ("Verify", Input::Verify),
        ("Report 401", Input::Report { status: 401 }),
        ("Report 403", Input::Report { status: 403 }),
        ("Unanswered", Input::Unanswered),
        ("StoreFailed", Input::StoreFailed),
        ("Told", Input::TabMessage(Message::Written)),
    ] {
        add(name, May::Stay, Fed::Input(input));
    }
    add("Timeout, due", May::Stay, Fed::Due);
    add("SignOut", May::End, Fed::Input(Input::SignOut));
    for event in [
        PageEvent::Visible,
        PageEvent::Hidden,
        PageEvent::Online,
        PageEvent::Offline,
        PageEvent::Suspended,
        PageEvent::Resumed,
        PageEvent::UserActivity,
    ] {
        add(&format!("Page {}", event.name()), May::Stay, Fed::Input(Input::Page(event)));
    }
    for (name, may, record) in [
        ("Record older", May::Stay, active(2)),
        ("Record ours", May::Stay, active(3)),
        ("Record newer", May::Stay, active(4)),
        ("Tombstone older", May::Stay, tombstone(2)),
        ("Tombstone ours", May::End, tombstone(3)),
        ("Tombstone newer", May::End, tombstone(4)),
        ("Record absent", May::Stay, Record::Absent),
        ("Record corrupt", May::Stay, Record::Corrupt),
        ("Record foreign", May::Stay, Record::Foreign),
        ("Record unreadable", May::Stay, Record::Unreadable),
    ] {
        add(name, may, Fed::Record(record));
    }
    for (name, may, outcome) in outcomes() {
        add(&format!("verify {name}"), may, Fed::Answer(Probe::Verify, outcome));
        if !name.starts_with("classified") {
            add(&format!("health {name}"), May::Stay, Fed::Answer(Probe::Health, outcome));
        }
        if ["200 object", "401 strong", "no answer"].contains(&name.as_str()) {
            add(&format!("late {name}"), May::Stay, Fed::Late(outcome));
        }
    }
    rows.sort_by_key(|(_, _, fed)| match fed {
        Fed::Input(_) | Fed::Due => 0,
        Fed::Record(_) => 1,
        Fed::Answer(Probe::Verify, _) => 2,
        Fed::Answer(..) => 3,
        Fed::Late(_) => 4,
    });
    rows
}

fn outcomes() -> Vec<(String, May, Outcome)> {
    let with =
        |response: Response, classified| Response { classified: Some(classified), ..response };
    let named: [(&str, May, Response); 11] = [
        ("200 object", May::Stay, well("a", "1")),
        ("200 object, new boot", May::Stay, well("n", "2")),
        ("200 html", May::Stay, html(200)),
        ("200 other", May::Stay, Response { body: Body::Other, ..Response::default() }),
        ("redirect", May::Stay, Response { redirected: true, ..html(302) }),
        ("401 strong", May::End, rejected("a", "1")),
        ("401 weak", May::End, weakly_rejected()),
        ("401 proxy", May::Stay, challenged_by_a_proxy()),
        ("401 scope", May::Stay, Response { challenge: Challenge::Survivable, ..status(401) }),
        ("classified valid", May::Stay, with(html(302), Classified::Valid)),
        ("classified rejected", May::End, with(well("a", "1"), Classified::Rejected)),
    ];
    let mut all: Vec<(String, May, Outcome)> = named
        .into_iter()
        .map(|(name, may, response)| (name.into(), may, Outcome::Response(response)))
        .collect();
    for code in [0, 204, 304] {
        let response = Response { body: Body::Empty, ..status(code) };
        all.push((format!("{code}"), May::Stay, Outcome::Response(response)));
    }
    for code in [403, 404, 408, 419, 500, 502, 511, 540] {
        all.push((format!("{code}"), May::Stay, Outcome::Response(status(code))));
    }
    for code in [429, 503] {
        let response = Outcome::Response(patient(code, 60));
        all.push((format!("{code} in 60 s"), May::Stay, response));
    }
    all.push(("no answer".into(), May::Stay, Outcome::NoAnswer));
    all
}

fn feed(world: &mut World, fed: &Fed) -> Option<Vec<Effect>> {
    let before = world.orders.len();
    match fed {
        Fed::Input(input) => drop(world.input(input.clone())),
        Fed::Due => {
            let (at, _) = world.keeper.next_timeout()?;
            world.stall(at.since(world.keeper.now()).as_millis());
            let _ = world.input(Input::Timeout);
        }
        Fed::Answer(probe, outcome) => {
            let request = world.open_request(*probe)?;
            let outcome = *outcome;
            let _ = world.input(Input::Answer { request, outcome });
        }
        Fed::Late(outcome) => {
            let outcome = *outcome;
            let _ = world.input(Input::Answer { request: RequestId(u32::MAX), outcome });
        }
        Fed::Record(record) => {
            world.record = record.clone();
            if !core::mem::replace(&mut world.store_answers, true) {
                world.store_answers_in(0);
            } else {
                let _ = world.input(Input::TabMessage(Message::Written));
            }
        }
    }
    // The store's answer belongs to the step.
    world.pass(1);
    Some(world.orders[before..].iter().map(|(_, effect)| effect.clone()).collect())
}

fn word(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Send { probe, .. } => format!("send {}", probe.name()),
        Effect::Abort { .. } => "abort".into(),
        Effect::Acquire { .. } => "acquire".into(),
        Effect::ReadRecord { .. } => "read".into(),
        Effect::UseStoredToken { generation, .. } => format!("adopt {}", generation.number),
        Effect::Store { generation, .. } => format!("store {}", generation.number),
        Effect::WriteTombstone { generation, sign_out, .. } => {
            let rule = sign_out.rule.map_or("none", |rule| rule.name());
            format!("bury {} {} {rule}", generation.number, sign_out.reason.name())
        }
        Effect::Forget { generation } => format!("forget {}", generation.number),
        Effect::EraseRecord => "erase".into(),
        Effect::Notify(Notice::SignedIn { .. }) => "signed-in!".into(),
        Effect::Notify(Notice::SignedOut(_)) => "signed-out!".into(),
        Effect::Notify(Notice::Forbidden) => "forbidden!".into(),
        Effect::Notify(Notice::Settled) => "settled".into(),
        _ => return None,
    })
}

fn render() -> String {
    let mut table = String::new();
    for Stage { name, enter } in STAGES {
        table.push_str(&format!("{name}\n"));
        for (row, _, fed) in rows() {
            let mut world = enter();
            let Some(effects) = feed(&mut world, &fed) else { continue };
            let snapshot = world.keeper.snapshot();
            let (session, server) = (snapshot.session.name(), snapshot.server.name());
            let words: Vec<String> = effects.iter().filter_map(word).collect();
            let line = format!("  {row:<28}{session:<12}{server:<13}{}", words.join(", "));
            table.push_str(line.trim_end());
            table.push('\n');
        }
    }
    table
}

#[test]
fn the_matrix_of_states_and_inputs_is_as_it_was_reviewed() {
    let table = render();
    if std::env::var_os("UPDATE_MATRIX").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/keeper/tests/matrix.txt");
        std::fs::write(path, &table).expect("the source folder can be written to");
        return;
    }
    for (line, (is, was)) in table.lines().zip(TABLE.lines()).enumerate() {
        assert_eq!(is, was, "line {} changed; UPDATE_MATRIX=1 writes it again", line + 1);
    }
    assert_eq!(table.lines().count(), TABLE.lines().count());
}

#[test]
fn nothing_but_a_401_a_sign_out_or_a_tombstone_leads_out_of_a_session() {
    for Stage { name, enter } in STAGES {
        for (row, may, fed) in rows() {
            let mut world = enter();
            if world.keeper.snapshot().signed_in() != Some(true) {
                continue;
            }
            if feed(&mut world, &fed).is_none() {
                continue;
            }
            let kept = world.keeper.snapshot().signed_in() == Some(true);
            assert!(kept || may == May::End, "{row} ended the session in {name}");
        }
    }
}
