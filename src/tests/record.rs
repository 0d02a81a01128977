use session_keeper_core::{
    Chance, Record, Rule, SignOutReason, StoredSession, TokenKind, UnixMillis,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{json, record};

const ORIGIN: &str = "https://api.example.com";
const LIVE: &str = include_str!("../../tests/formats/record.json");
const TOMBSTONE: &str = include_str!("../../tests/formats/tombstone.json");
const BACKEND: &str = include_str!("../../tests/formats/backend.json");

fn read(text: &str) -> Record {
    record::read(&json::parse(text).unwrap_or(JsValue::NULL), ORIGIN, true)
}

fn compact(text: &str) -> String {
    let parsed = json::parse(text).expect("a fixture is JSON");
    js_sys::JSON::stringify(&parsed).expect("and stays it").into()
}

#[wasm_bindgen_test]
fn the_record_of_the_fixture_is_read_as_it_is_documented() {
    let Record::Session(StoredSession { generation, facts, verified_at, saved_at }) = read(LIVE)
    else {
        panic!("the fixture is a session");
    };
    assert_eq!(saved_at, Some(UnixMillis(1_763_690_000_000)));
    assert_eq!((generation.number, generation.token_id.0), (3, 0x9f3c_5a1b_2d4e_6f70));
    assert_eq!(facts.expires_at, Some(UnixMillis(1_764_294_800_000)));
    assert_eq!(verified_at, Some(UnixMillis(1_763_690_300_000)));
}

#[wasm_bindgen_test]
fn a_record_is_written_as_the_fixture_and_keeps_what_it_does_not_know() {
    let Record::Session(StoredSession { generation, facts, verified_at, .. }) = read(LIVE) else {
        panic!("the fixture is a session");
    };
    let expires_at = facts.expires_at;
    let object = json::parse(LIVE).expect("the fixture is JSON");
    let written = record::write_live(&object, ORIGIN, generation, expires_at, verified_at);
    assert_eq!(written, compact(LIVE));
    json::set(&object, "added_later", "stays");
    let written = record::write_live(&object, ORIGIN, generation, expires_at, verified_at);
    assert!(written.contains("\"added_later\":\"stays\""));
}

#[wasm_bindgen_test]
fn the_tombstone_of_the_fixture_is_read_and_written_as_it_is_documented() {
    let Record::Tombstone { generation, sign_out, undelivered } = read(TOMBSTONE) else {
        panic!("the fixture is a sign-out");
    };
    assert_eq!((sign_out.reason, sign_out.rule), (SignOutReason::Rejected, Some(Rule::Instances)));
    assert_eq!((sign_out.rejections.len(), undelivered), (2, true));
    let written = record::write_tombstone(ORIGIN, generation, &sign_out, undelivered);
    assert_eq!(written, compact(TOMBSTONE));
}

#[wasm_bindgen_test]
fn what_is_no_record_is_corrupt_and_never_a_sign_out() {
    for text in ["", "null", "7", "[]", "{}", "not json", r#"{"v":1}"#] {
        assert_eq!(read(text), Record::Corrupt, "{text}");
    }
    for (of, right, wrong) in [
        (LIVE, "\"v\"", "\"w\""),
        (LIVE, "\"origin\"", "\"from\""),
        (LIVE, "\"generation\": 3", "\"generation\": 0"),
        (LIVE, "\"generation\": 3", "\"generation\": 2147483649"),
        (LIVE, "\"generation\": 3", "\"generation\": 1.5"),
        (LIVE, "9f3c", "zz3c"),
        (LIVE, "9f3c", "9f3"),
        (LIVE, "9f3c", "+f3c"),
        (LIVE, "\"token\"", "\"no\""),
        (LIVE, "\"opaque-or-jwt\"", "7"),
        (TOMBSTONE, "rejected", "bored"),
    ] {
        assert!(of.contains(right));
        assert_eq!(read(&of.replacen(right, wrong, 1)), Record::Corrupt, "{wrong}");
    }
}

#[wasm_bindgen_test]
fn a_record_of_another_origin_or_a_newer_version_is_foreign() {
    assert_eq!(read(&LIVE.replace("api.example.com", "evil.example.com")), Record::Foreign);
    assert_eq!(read(&LIVE.replace("\"v\": 1", "\"v\": 2")), Record::Foreign);
}

#[wasm_bindgen_test]
fn in_cookie_mode_a_record_without_a_token_is_a_session() {
    let marker = LIVE.replace("\"token\":", "\"no\":");
    let object = json::parse(&marker).expect("it is still JSON");
    assert!(matches!(record::read(&object, ORIGIN, false), Record::Session(_)));
}

#[wasm_bindgen_test]
fn the_backends_record_of_the_fixture_is_read_and_written_as_it_is_documented() {
    let object = json::parse(BACKEND).expect("the fixture is JSON");
    let kept = record::read_backend(&object, ORIGIN).expect("the fixture is a record");
    assert_eq!((kept.accepted, kept.rejected), (12_500, 3_000));
    assert_eq!(kept.at, UnixMillis(1_763_690_300_000));
    assert_eq!(record::write_backend(ORIGIN, &kept), compact(BACKEND));
}

#[wasm_bindgen_test]
fn what_is_no_record_of_this_backend_tells_nothing_of_it() {
    for (right, wrong) in [
        ("\"v\": 1", "\"v\": 2"),
        ("api.example.com", "other.example"),
        ("\"accepted\": 12500", "\"accepted\": -1"),
        ("\"refused\": 3000", "\"refused\": \"many\""),
        ("\"at\"", "\"to\""),
    ] {
        assert!(BACKEND.contains(right), "the fixture has no {right}");
        let object = json::parse(&BACKEND.replace(right, wrong)).expect("still JSON");
        assert_eq!(record::read_backend(&object, ORIGIN), None, "{wrong}");
    }
    for text in ["null", "7", "[]", "{}"] {
        let object = json::parse(text).expect("it is JSON");
        assert_eq!(record::read_backend(&object, ORIGIN), None, "{text}");
    }
    let forged = json::parse(&BACKEND.replace("12500", "9007199254740991")).expect("still JSON");
    let kept = record::read_backend(&forged, ORIGIN).expect("a number");
    assert_eq!(kept.accepted, 300_000, "a count that leaps ahead is clamped");
}

#[wasm_bindgen_test]
fn a_signed_token_is_told_from_an_opaque_one_by_its_look() {
    for (token, kind) in [
        ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln", TokenKind::Signed),
        ("a.b.c", TokenKind::Opaque),
        ("opaque", TokenKind::Opaque),
        ("", TokenKind::Opaque),
    ] {
        let object = json::object();
        json::set(&object, "token", token);
        assert_eq!(record::facts(&object, None).kind, kind, "{token}");
    }
}

#[wasm_bindgen_test]
fn the_chance_of_a_sign_out_is_written_and_read() {
    let text =
        TOMBSTONE.replace("\"rule\": \"instances\"", "\"rule\": \"chance\", \"chance\": 0.00042");
    let Record::Tombstone { sign_out, .. } = read(&text) else { panic!("it is a sign-out") };
    assert_eq!(sign_out.rule, Some(Rule::Chance));
    assert_eq!(sign_out.chance.map(Chance::as_f64), Some(0.000_42));
}

#[wasm_bindgen_test]
fn of_two_records_the_later_generation_is_newer_and_of_one_its_end() {
    let next = LIVE.replace("\"generation\": 3", "\"generation\": 4");
    let rising = [None, Some("not json"), Some(LIVE), Some(TOMBSTONE), Some(&*next)];
    let orders = rising.map(record::order);
    assert!(orders.is_sorted(), "{orders:?}");
    assert!(orders[1] < orders[2] && orders[2] < orders[3] && orders[3] < orders[4]);
}
