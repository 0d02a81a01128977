//! Any bytes as one of the server's files, a signed token, or a word that people write.
//!
//! Rule: the first byte says as what, so that one input is tried as one thing. The promises that
//! are held are the backend's own, in its `fuzzing`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_keeper_backend::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind {
        b't' => fuzzing::token_file(bytes),
        b'u' => fuzzing::user_file(bytes),
        b'k' => fuzzing::key_file(bytes),
        b's' => as_text(bytes, fuzzing::signed_token),
        b'p' => {
            let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
            fuzzing::signed_token_of([(); 3].map(|()| parts.next().unwrap_or_default()));
        }
        b'c' => {
            if let [high, low, byte] = *bytes {
                fuzzing::changed_token(usize::from(u16::from_be_bytes([high, low])), byte);
            }
        }
        _ => as_text(bytes, fuzzing::words),
    }
});

fn as_text(bytes: &[u8], work: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        work(text);
    }
}
