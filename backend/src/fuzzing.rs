//! What parses the server's files and signed tokens, within reach of the fuzz targets.
//!
//! Rule: each function takes any bytes, and panics only where a promise of a parser is broken: what
//! was read is written and read again as the same, and nothing counts as signed that was not.
//!
//! It deliberately touches no file, and is in no build but that of `fuzz/`.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_keeper_tokens::{Device, Lifetime, Session, SessionId, Token, UnixMillis};

use crate::clock;
use crate::config::{JwtAlgorithm, Origin, StoreChoice};
use crate::keys::{self, Checked, Keys, Ring};
use crate::store::Rows;
use crate::users::{self, UserName};

/// The file of sessions.
pub fn token_file(bytes: &[u8]) {
    comes_back::<Rows>(bytes);
}

/// The file of users.
pub fn user_file(bytes: &[u8]) {
    comes_back::<users::Rows>(bytes);
}

/// The file of signing keys. Whatever is a key must sign, and its own signature must count.
pub fn key_file(bytes: &[u8]) {
    comes_back::<Ring>(bytes);
    let Ok(ring) = serde_json::from_slice::<Ring>(bytes) else { return };
    // What the file refuses, the server refuses at its start.
    let Ok(secrets) = ring.secrets().collect::<Result<Vec<_>, _>>() else { return };
    if secrets.is_empty() {
        return;
    }
    // One algorithm: the other one's signatures take a thousand times as long.
    let keys = Keys::fixed(JwtAlgorithm::Hs256, secrets);
    let signed = sign(&keys, &Token::from_random([7; 32]));
    assert!(csrf_valid(&keys, &signed), "a signature of ours is refused");
}

/// A signed token, by keys that nobody else has.
pub fn signed_token(text: &str) {
    for algorithm in [JwtAlgorithm::Hs256, JwtAlgorithm::Eddsa] {
        let keys = Keys::fixed(algorithm, [vec![1; 32], vec![2; 32]]);
        assert!(!csrf_valid(&keys, text), "a signature counts that nobody made");
    }
}

/// The same of its three parts, as they are before base64 makes them hard to guess.
pub fn signed_token_of(parts: [&[u8]; 3]) {
    signed_token(&parts.map(Base64UrlUnpadded::encode_string).join("."));
}

/// A token of ours, with one byte of it changed.
pub fn changed_token(place: usize, byte: u8) {
    let keys = Keys::fixed(JwtAlgorithm::Hs256, [vec![1; 32]]);
    let signed = sign(&keys, &Token::from_random([7; 32]));
    let mut changed = signed.clone().into_bytes();
    let place = place % changed.len();
    changed[place] = byte;
    let Ok(changed) = String::from_utf8(changed) else { return };
    assert_eq!(csrf_valid(&keys, &changed), changed == signed, "two texts are one token");
}

/// Times, names and addresses: what people and files write.
pub fn words(text: &str) {
    if let Ok(time) = clock::parse_iso(text) {
        assert_eq!(clock::parse_iso(&clock::iso(time)), Ok(time));
    }
    // None of them may panic, and none has a second spelling to hold it to.
    drop((UserName::parse(text), text.parse::<StoreChoice>(), text.parse::<Origin>()));
}

fn comes_back<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again = serde_json::from_slice::<T>(&written);
    assert!(again.is_ok_and(|again| again == read), "what was written is read as something else");
}

fn sign(keys: &Keys, token: &Token) -> String {
    let now = UnixMillis(1_900_000_000_000);
    let id = SessionId::from([3; 16]);
    let session = Session::begin(id, "ada", Device::default(), now, Lifetime::default());
    keys.sign(token, &session, now).expect("there is a key")
}

fn csrf_valid(keys: &Keys, text: &str) -> bool {
    matches!(keys::check(Some(keys), text).expect("no file is asked"), Checked::Good(_))
}
