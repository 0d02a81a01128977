//! The record: what one app of this browser keeps between pages. Format in `docs/formats.md`.
//!
//! Rule: what is no record of this version and this origin is told apart here and trusted
//! nowhere else. The token leaves this file only inside a [`Secret`].

use js_sys::{Array, JSON, Object};
use session_keeper_core::{
    Generation, Grade, Label, PROTOCOL, Record, Refusal, Rule, SignOut, SignOutReason, TokenId,
    UnixMillis,
};
use wasm_bindgen::JsValue;

use crate::js::{
    get, is_true, moment, number, parse, set, set_flag, set_moment, set_number, set_text, text,
};

/// A token. Has no `Debug` and no `Display`: nothing that prints can hold one.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

/// The token with what came along with it.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    pub(crate) token: Option<Secret>,
    pub(crate) refresh: Option<Secret>,
    pub(crate) saved_at: Option<UnixMillis>,
}

/// What was found, with the token that the core must not see.
pub(crate) struct Found {
    pub(crate) record: Record,
    pub(crate) tokens: Tokens,
}

/// Reads what the store holds for a keeper of `origin`.
pub(crate) fn read(stored: Option<&str>, origin: &str, needs_token: bool) -> Found {
    let found = |record| Found { record, tokens: Tokens::default() };
    let Some(stored) = stored else { return found(Record::Absent) };
    let Some(object) = parse(stored) else { return found(Record::Corrupt) };
    let version = number(&object, "v");
    let of_another = text(&object, "origin").is_some_and(|named| named != origin);
    if of_another || version.is_some_and(|version| version > PROTOCOL.into()) {
        return found(Record::Foreign);
    }
    if version.is_none() || text(&object, "origin").is_none() {
        return found(Record::Corrupt);
    }
    let Some(generation) = generation(&object) else { return found(Record::Corrupt) };
    let ended = get(&object, "signed_out");
    if !ended.is_undefined() {
        let undelivered = is_true(&object, "undelivered");
        return found(sign_out(&ended).map_or(Record::Corrupt, |sign_out| Record::Tombstone {
            generation,
            sign_out,
            undelivered,
        }));
    }
    let token = text(&object, "token").filter(|token| !token.is_empty()).map(Secret);
    if needs_token && token.is_none() {
        return found(Record::Corrupt);
    }
    let refresh = text(&object, "refresh_token").map(Secret);
    let saved_at = moment(&object, "saved_at");
    let expires_at = moment(&object, "expires_at");
    let verified_at = moment(&object, "verified_at");
    let record = Record::Live { generation, expires_at, verified_at };
    Found { record, tokens: Tokens { token, refresh, saved_at } }
}

/// The session as it is written.
pub(crate) fn write_live(
    origin: &str,
    generation: Generation,
    tokens: &Tokens,
    expires_at: Option<UnixMillis>,
    verified_at: Option<UnixMillis>,
) -> String {
    let object = base(origin, generation);
    if let Some(token) = &tokens.token {
        set_text(&object, "token", &token.0);
    }
    if let Some(refresh) = &tokens.refresh {
        set_text(&object, "refresh_token", &refresh.0);
    }
    set_moment(&object, "saved_at", tokens.saved_at);
    set_moment(&object, "expires_at", expires_at);
    set_moment(&object, "verified_at", verified_at);
    stringify(&object)
}

/// A sign-out as it is written.
pub(crate) fn write_tombstone(
    origin: &str,
    generation: Generation,
    end: &SignOut,
    undelivered: bool,
) -> String {
    let object = base(origin, generation);
    let ended = Object::new();
    set_text(&ended, "reason", end.reason.name());
    set_moment(&ended, "at", Some(end.at));
    write_evidence(&ended, end);
    set(&object, "signed_out", &ended);
    if undelivered {
        set_flag(&object, "undelivered", true);
    }
    stringify(&object)
}

/// `rule` and `refusals`, as in the tombstone and on the public face.
pub(crate) fn write_evidence(object: &Object, end: &SignOut) {
    if let Some(rule) = end.rule {
        set_text(object, "rule", rule.name());
    }
    let refusals = Array::new();
    for refusal in &end.refusals {
        let item = Object::new();
        set_moment(&item, "at", Some(refusal.at));
        set_number(&item, "status", refusal.status.into());
        set_text(&item, "grade", refusal.grade.name());
        if let Some(instance) = &refusal.instance {
            set_text(&item, "instance", instance.as_str());
        }
        if let Some(boot) = &refusal.boot {
            set_text(&item, "boot", boot.as_str());
        }
        refusals.push(&item);
    }
    set(object, "refusals", &refusals);
}

/// A token id as it is written: 16 hex digits.
pub(crate) fn token_id(id: TokenId) -> String {
    // Not by `format!`, whose machinery is a kilobyte that nothing else in the package needs.
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    (0..16).rev().map(|n| char::from(DIGITS[(id.0 >> (n * 4)) as usize & 15])).collect()
}

fn base(origin: &str, generation: Generation) -> Object {
    let object = Object::new();
    set_number(&object, "v", PROTOCOL.into());
    set_text(&object, "origin", origin);
    set_number(&object, "generation", generation.number.into());
    set_text(&object, "token_id", &token_id(generation.token_id));
    object
}

fn stringify(object: &Object) -> String {
    // Fails only for cycles and BigInts, of which we make none.
    JSON::stringify(object).map(String::from).unwrap_or_default()
}

fn generation(object: &JsValue) -> Option<Generation> {
    let number = u32::try_from(number(object, "generation")?).ok()?;
    let id = text(object, "token_id").filter(|id| id.len() == 16)?;
    Generation::new(number, TokenId(u64::from_str_radix(&id, 16).ok()?))
}

fn sign_out(object: &JsValue) -> Option<SignOut> {
    let reason = text(object, "reason")?;
    let reasons = [
        SignOutReason::Rejected,
        SignOutReason::Expired,
        SignOutReason::User,
        SignOutReason::Idle,
        SignOutReason::Age,
    ];
    let rules = [Rule::Instances, Rule::Repeated, Rule::Limit, Rule::Immediate, Rule::Expired];
    let rule = text(object, "rule");
    Some(SignOut {
        reason: reasons.into_iter().find(|known| known.name() == reason)?,
        at: moment(object, "at")?,
        elsewhere: false,
        rule: rules.into_iter().find(|known| rule.as_deref() == Some(known.name())),
        refusals: refusals(&get(object, "refusals")),
    })
}

fn refusals(list: &JsValue) -> Vec<Refusal> {
    if !Array::is_array(list) {
        return Vec::new();
    }
    let label = |item: &JsValue, key: &str| Label::new(&text(item, key)?);
    let read = |item: JsValue| {
        let grade = text(&item, "grade")?;
        Some(Refusal {
            at: moment(&item, "at")?,
            status: number(&item, "status")? as u16,
            grade: if grade == Grade::Weak.name() { Grade::Weak } else { Grade::Strong },
            instance: label(&item, "instance"),
            boot: label(&item, "boot"),
        })
    };
    Array::from(list).iter().take(16).filter_map(read).collect()
}
