use session_keeper_core::{Record, Rule, SignOutReason, UnixMillis};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{js, record};

const ORIGIN: &str = "https://api.example.com";
const LIVE: &str = include_str!("../../tests/formats/record.json");
const TOMBSTONE: &str = include_str!("../../tests/formats/tombstone.json");

fn read(text: &str) -> Record {
    record::read(&js::parse(text).unwrap_or(JsValue::NULL), ORIGIN, true)
}

fn compact(text: &str) -> String {
    let parsed = js::parse(text).expect("a fixture is JSON");
    js_sys::JSON::stringify(&parsed).expect("and stays it").into()
}

#[wasm_bindgen_test]
fn the_record_of_the_fixture_is_read_as_it_is_documented() {
    let Record::Live { generation, expires_at, verified_at } = read(LIVE) else {
        panic!("the fixture is a session");
    };
    assert_eq!((generation.number, generation.token_id.0), (3, 0x9f3c_5a1b_2d4e_6f70));
    assert_eq!(expires_at, Some(UnixMillis(1_764_294_800_000)));
    assert_eq!(verified_at, Some(UnixMillis(1_763_690_300_000)));
}

#[wasm_bindgen_test]
fn a_record_is_written_as_the_fixture_and_keeps_what_it_does_not_know() {
    let Record::Live { generation, expires_at, verified_at } = read(LIVE) else {
        panic!("the fixture is a session");
    };
    let object = js::parse(LIVE).expect("the fixture is JSON");
    let written = record::write_live(&object, ORIGIN, generation, expires_at, verified_at);
    assert_eq!(written.as_string(), Some(compact(LIVE)));
    js::set_text(&object, "added_later", "stays");
    let written = record::write_live(&object, ORIGIN, generation, expires_at, verified_at);
    assert!(written.as_string().is_some_and(|text| text.contains("\"added_later\":\"stays\"")));
}

#[wasm_bindgen_test]
fn the_tombstone_of_the_fixture_is_read_and_written_as_it_is_documented() {
    let Record::Tombstone { generation, sign_out, undelivered } = read(TOMBSTONE) else {
        panic!("the fixture is a sign-out");
    };
    assert_eq!((sign_out.reason, sign_out.rule), (SignOutReason::Rejected, Some(Rule::Instances)));
    assert_eq!((sign_out.refusals.len(), undelivered), (2, true));
    let written = record::write_tombstone(ORIGIN, generation, &sign_out, undelivered);
    assert_eq!(written.as_string(), Some(compact(TOMBSTONE)));
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
    let object = js::parse(&marker).expect("it is still JSON");
    assert!(matches!(record::read(&object, ORIGIN, false), Record::Live { .. }));
}
