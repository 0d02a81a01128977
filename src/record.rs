//! The record: what one app of this browser keeps between pages. Format in `docs/formats.md`.
//!
//! Rule: what is no record of this version and this origin is told apart here and trusted
//! nowhere else. The token stays inside the page's object; nothing in Rust that prints holds it.

use js_sys::{Array, JSON};
use session_keeper_core::{
    BackendRecord, Chance, Duration, Generation, Grade, Label, PROTOCOL, Record, RejectedAnswer,
    Rule, SignOut, SignOutReason, StoredSession, TokenFacts, TokenId, TokenKind, UnixMillis,
};
use wasm_bindgen::JsValue;

use crate::js::{self, get, number, set, set_moment, set_number, set_text, text};

/// More thousandths of a draw than the core ever counts.
const MOST_DRAWS: u64 = 300_000;

/// Reads what the store holds for a keeper of `origin`, from the parsed object.
pub(crate) fn read(object: &JsValue, origin: &str, needs_token: bool) -> Record {
    let version = number(object, "v");
    let named = text(object, "origin");
    let of_another = named.as_deref().is_some_and(|named| named != origin);
    if of_another || version.is_some_and(|version| version > PROTOCOL.into()) {
        return Record::Foreign;
    }
    let (Some(_), Some(_), Some(generation)) = (version, named, generation(object)) else {
        return Record::Corrupt;
    };
    let ended = get(object, "signed_out");
    if ended.is_object() {
        let undelivered = js::is_true(object, "undelivered");
        return sign_out(&ended).map_or(Record::Corrupt, |sign_out| Record::Tombstone {
            generation,
            sign_out,
            undelivered,
        });
    }
    if needs_token && text(object, "token").is_none_or(|token| token.is_empty()) {
        return Record::Corrupt;
    }
    Record::Session(StoredSession {
        generation,
        facts: facts(object, moment(object, "expires_at")),
        saved_at: moment(object, "saved_at"),
        verified_at: moment(object, "verified_at"),
    })
}

/// What is known of the token that an object of the page holds.
pub(crate) fn facts(object: &JsValue, expires_at: Option<UnixMillis>) -> TokenFacts {
    let lifetime = number(object, "lifetime").map(Duration::from_millis);
    TokenFacts { expires_at, lifetime, kind: kind(object) }
}

/// A JWT (RFC 7519) is told by its look: its header is a JSON object, which begins so in base64.
pub(crate) fn kind(object: &JsValue) -> TokenKind {
    let token = text(object, "token").unwrap_or_default();
    if token.starts_with("eyJ") { TokenKind::Signed } else { TokenKind::Opaque }
}

/// What is kept of the backend, from the parsed object.
pub(crate) fn read_backend(object: &JsValue, origin: &str) -> Option<BackendRecord> {
    let is_ours = text(object, "origin").as_deref() == Some(origin);
    if !is_ours || number(object, "v") != Some(PROTOCOL.into()) {
        return None;
    }
    let count = |key| number(object, key).map(|count| count.min(MOST_DRAWS) as u32);
    Some(BackendRecord {
        boot: label(object, "boot"),
        accepted: count("accepted")?,
        rejected: count("refused")?,
        at: moment(object, "at")?,
    })
}

pub(crate) fn write_backend(origin: &str, record: &BackendRecord) -> JsValue {
    let object = js::object();
    set_number(&object, "v", PROTOCOL.into());
    set_text(&object, "origin", origin);
    set_label(&object, "boot", record.boot.as_ref());
    set_number(&object, "accepted", record.accepted.into());
    set_number(&object, "refused", record.rejected.into());
    set_moment(&object, "at", Some(record.at));
    stringify(&object)
}

/// Writes the session into the object that holds its token.
pub(crate) fn write_live(
    object: &JsValue,
    origin: &str,
    generation: Generation,
    expires_at: Option<UnixMillis>,
    verified_at: Option<UnixMillis>,
) -> JsValue {
    identify(object, origin, generation);
    set_moment(object, "expires_at", expires_at);
    set_moment(object, "verified_at", verified_at);
    stringify(object)
}

/// A sign-out as it is written.
pub(crate) fn write_tombstone(
    origin: &str,
    generation: Generation,
    end: &SignOut,
    undelivered: bool,
) -> JsValue {
    let object = js::object();
    identify(&object, origin, generation);
    let ended = js::object();
    set_text(&ended, "reason", end.reason.name());
    set_moment(&ended, "at", Some(end.at));
    write_evidence(&ended, end);
    set(&object, "signed_out", &ended);
    if undelivered {
        js::set_flag(&object, "undelivered", true);
    }
    stringify(&object)
}

/// `rule`, `chance` and `refusals`, as in the tombstone and on the public face.
pub(crate) fn write_evidence(object: &JsValue, end: &SignOut) {
    if let Some(rule) = end.rule {
        set_text(object, "rule", rule.name());
    }
    if let Some(chance) = end.chance {
        set_number(object, "chance", chance.as_f64());
    }
    let rejections = Array::new();
    for rejection in &end.rejections {
        let item = js::object();
        set_moment(&item, "at", Some(rejection.at));
        set_number(&item, "status", rejection.status.into());
        set_text(&item, "grade", rejection.grade.name());
        set_label(&item, "instance", rejection.instance.as_ref());
        set_label(&item, "boot", rejection.boot.as_ref());
        rejections.push(&item);
    }
    set(object, "refusals", &rejections);
}

#[inline(never)]
pub(crate) fn set_label(object: &JsValue, key: &str, label: Option<&Label>) {
    if let Some(label) = label {
        set(object, key, &text_of(label));
    }
}

/// Without `as_str`, whose check that ASCII is UTF-8 is half a kilobyte.
#[inline(never)]
pub(crate) fn text_of(label: &Label) -> JsValue {
    JsValue::from_str(&label.chars().collect::<String>())
}

#[inline(never)]
pub(crate) fn label(object: &JsValue, key: &str) -> Option<Label> {
    Label::new(&text(object, key)?)
}

pub(crate) fn moment(object: &JsValue, key: &str) -> Option<UnixMillis> {
    number(object, key).map(UnixMillis)
}

/// A token id as it is written: 16 hex digits.
pub(crate) fn token_id(id: TokenId) -> String {
    // Not by `format!`, whose machinery is a kilobyte that nothing else in the package needs.
    let digit = |n: u32| char::from(b"0123456789abcdef"[(id.0 >> (n * 4)) as usize & 15]);
    (0..16).rev().map(digit).collect()
}

fn identify(object: &JsValue, origin: &str, generation: Generation) {
    set_number(object, "v", PROTOCOL.into());
    set_text(object, "origin", origin);
    set_number(object, "generation", generation.number.into());
    set_text(object, "token_id", &token_id(generation.token_id));
}

fn stringify(object: &JsValue) -> JsValue {
    // Fails only for cycles and BigInts, of which we make none.
    JSON::stringify(object).map_or(JsValue::NULL, JsValue::from)
}

fn generation(object: &JsValue) -> Option<Generation> {
    let number = u32::try_from(number(object, "generation")?).ok()?;
    let id = text(object, "token_id").filter(|id| id.len() == 16)?;
    let id = id.bytes().try_fold(0, |id, byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(id << 4 | u64::from(digit))
    })?;
    Generation::new(number, TokenId(id))
}

fn sign_out(object: &JsValue) -> Option<SignOut> {
    let reason = text(object, "reason")?;
    let rule = text(object, "rule");
    Some(SignOut {
        reason: SignOutReason::ALL.into_iter().find(|known| known.name() == reason)?,
        at: moment(object, "at")?,
        from_other_tab: false,
        rule: Rule::ALL.into_iter().find(|known| rule.as_deref() == Some(known.name())),
        chance: get(object, "chance").as_f64().map(Chance::of),
        rejections: rejections(&get(object, "refusals")),
    })
}

/// A number below 100 as text, without the machinery that formats any.
fn index_of(index: u8) -> String {
    let digits = [index / 10, index % 10].map(|digit| char::from(b'0' + digit));
    digits.into_iter().skip(usize::from(index < 10)).collect()
}

fn rejections(list: &JsValue) -> Vec<RejectedAnswer> {
    let mut rejections = Vec::new();
    // What is no list has no such items, and `at` and `status` are asked of each.
    for index in 0..16 {
        let item = get(list, &index_of(index));
        let (Some(at), Some(status)) = (moment(&item, "at"), number(&item, "status")) else {
            continue;
        };
        let weak = text(&item, "grade").as_deref() == Some(Grade::Weak.name());
        rejections.push(RejectedAnswer {
            at,
            status: status as u16,
            grade: if weak { Grade::Weak } else { Grade::Strong },
            instance: label(&item, "instance"),
            boot: label(&item, "boot"),
        });
    }
    rejections
}
