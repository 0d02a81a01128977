//! Any bytes as a token, a header that carries one, an id, a hash, or a browser's name.
//!
//! Rule: what is read has one spelling, the one that is written.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use session_keeper_tokens::{
    Attempt, Binding, Device, Presented, Sealed, SessionId, Token, TokenHash, attempt_key,
};

fuzz_target!(|bytes: &[u8]| {
    header(bytes);
    token(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        texts(text);
    }
});

fn header(bytes: &[u8]) {
    match Presented::from_authorization(bytes) {
        Presented::Nothing => {
            let claims = bytes.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "));
            assert!(!claims, "a bearer token is none");
        }
        Presented::Malformed => {}
        Presented::Opaque(token) => assert!(bytes.ends_with(token.expose().as_bytes())),
        Presented::Signed(text) => {
            assert!(bytes.ends_with(text.as_bytes()) && text.split('.').count() == 3);
        }
    }
}

fn token(bytes: &[u8]) {
    let parsed = Token::parse(bytes);
    match Presented::from_token(bytes) {
        Presented::Opaque(token) => {
            assert_eq!(token.expose().as_bytes(), bytes, "a token has two spellings");
            assert_ne!(token.hash(), token.signed_hash());
        }
        Presented::Signed(_) | Presented::Malformed => assert!(parsed.is_none()),
        Presented::Nothing => panic!("a token that is sent is something"),
    }
    if let Some(bytes) = bytes.first_chunk() {
        let token = Token::from_random(*bytes);
        let again = Token::parse(token.expose().as_bytes()).expect("it reads what it writes");
        assert_eq!(again.hash(), token.hash());
    }
}

fn texts(text: &str) {
    comes_back::<TokenHash>(text);
    comes_back::<SessionId>(text);
    comes_back::<Binding>(text);
    comes_back::<Sealed>(text);
    comes_back::<Attempt>(text);
    if let Some(attempt) = Attempt::parse(text) {
        assert!((16..=64).contains(&text.len()), "an id of that length is none");
        assert!(attempt == Attempt::parse(text).expect("it was one"), "one attempt is two");
    }
    let device = Device::from_user_agent(text).to_string();
    let Ok(again) = device.parse::<Device>();
    assert_eq!(again.to_string(), device);
    let Ok(stored) = text.parse::<Device>();
    assert!(stored.to_string().len() < 40, "a device is two words of a list");
    assert_ne!(attempt_key("account", text), attempt_key("address", text));
}

fn comes_back<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text, "it has two spellings");
    }
}
