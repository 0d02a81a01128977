//! The record: what one app of this browser keeps between pages. Format in `docs/formats.md`.
//!
//! Rule: what is no record of this version and this origin is told apart here and trusted
//! nowhere else. The token stays inside the page's object; nothing in Rust that prints holds it.

use js_sys::Array;
use session_keeper_core::{
    AttemptId, BackendRecord, Chance, Duration, Generation, Grade, Label, LeaseRecord, PROTOCOL,
    Record, RejectedAnswer, Rule, SessionId, SignOut, SignOutReason, StoredSession, TabId,
    TokenFacts, TokenId, TokenKind, UnixMillis,
};
use wasm_bindgen::JsValue;

use crate::json::{self, get, moment, number, set, set_moment, text};

/// More thousandths of a sample than the core ever counts.
const MAX_SAMPLES: u64 = 300_000;

/// More than the core ever keeps.
const MAX_REJECTIONS: u32 = 16;

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
        let undelivered = get(object, "undelivered").is_truthy();
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
    let has_refresh_token = text(object, "refresh_token").is_some_and(|token| !token.is_empty());
    let refresh_attempt = read_hex(object, "refresh_attempt").map(AttemptId);
    TokenFacts { expires_at, lifetime, kind: kind(object), has_refresh_token, refresh_attempt }
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
    let count = |key| number(object, key).map(|count| count.min(MAX_SAMPLES) as u32);
    Some(BackendRecord {
        boot: label(object, "boot"),
        accepted: count("accepted")?,
        rejected: count("refused")?,
        at: moment(object, "at")?,
    })
}

pub(crate) fn write_backend(origin: &str, record: &BackendRecord) -> String {
    let object = json::object();
    set(&object, "v", PROTOCOL);
    set(&object, "origin", origin);
    set_label(&object, "boot", record.boot.as_ref());
    set(&object, "accepted", record.accepted);
    set(&object, "refused", record.rejected);
    set_moment(&object, "at", Some(record.at));
    json::stringify(&object)
}

/// Writes the session into the object that holds its token.
pub(crate) fn write_live(
    object: &JsValue,
    origin: &str,
    generation: Generation,
    expires_at: Option<UnixMillis>,
    verified_at: Option<UnixMillis>,
) -> String {
    identify(object, origin, generation);
    set_moment(object, "expires_at", expires_at);
    set_moment(object, "verified_at", verified_at);
    json::stringify(object)
}

/// A sign-out as it is written.
pub(crate) fn write_tombstone(
    origin: &str,
    generation: Generation,
    end: &SignOut,
    undelivered: bool,
) -> String {
    let object = json::object();
    identify(&object, origin, generation);
    let ended = json::object();
    set(&ended, "reason", end.reason.name());
    set_moment(&ended, "at", Some(end.at));
    write_evidence(&ended, end);
    set(&object, "signed_out", ended);
    if undelivered {
        set(&object, "undelivered", true);
    }
    json::stringify(&object)
}

/// `rule`, `chance` and `refusals`, as in the tombstone and on the public face.
pub(crate) fn write_evidence(object: &JsValue, end: &SignOut) {
    if let Some(rule) = end.rule {
        set(object, "rule", rule.name());
    }
    if let Some(chance) = end.chance {
        set(object, "chance", chance.as_f64());
    }
    let rejections = Array::new();
    for rejection in &end.rejections {
        let item = json::object();
        set_moment(&item, "at", Some(rejection.at));
        set(&item, "status", rejection.status);
        set(&item, "grade", rejection.grade.name());
        set_label(&item, "instance", rejection.instance.as_ref());
        set_label(&item, "boot", rejection.boot.as_ref());
        rejections.push(&item);
    }
    set(object, "refusals", rejections);
}

pub(crate) fn set_label(object: &JsValue, key: &str, label: Option<&Label>) {
    if let Some(label) = label {
        set(object, key, label.as_str());
    }
}

pub(crate) fn label(object: &JsValue, key: &str) -> Option<Label> {
    Label::new(&text(object, key)?)
}

/// A token id as it is written.
pub(crate) fn token_id(id: TokenId) -> String {
    hex(id.0)
}

/// 16 hex digits.
pub(crate) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

/// Which of two records is newer: the one of the later generation, and of one generation its end.
/// Whatever is no record is older than each.
pub(crate) fn order(record: Option<&str>) -> Option<(u32, bool)> {
    let (Generation { number, .. }, is_sign_out) = identity(record?)?;
    Some((number, is_sign_out))
}

/// Whether the one record may be written over the other.
pub(crate) fn may_replace(record: &str, stored: &str) -> bool {
    let (Some((new, is_sign_out)), Some((old, old_is_sign_out))) =
        (identity(record), identity(stored))
    else {
        return true;
    };
    new.may_replace(is_sign_out, old, old_is_sign_out)
}

fn identity(record: &str) -> Option<(Generation, bool)> {
    let object = json::parse(record)?;
    Some((generation(&object)?, get(&object, "signed_out").is_object()))
}

fn identify(object: &JsValue, origin: &str, generation: Generation) {
    set(object, "v", PROTOCOL);
    set(object, "origin", origin);
    set_generation(object, generation);
}

pub(crate) fn set_generation(object: &JsValue, generation: Generation) {
    set(object, "generation", generation.number);
    set(object, "token_id", token_id(generation.token_id));
    // A session begins with its first token, whose id is enough to name it.
    let is_first = generation.session_id.0 == generation.token_id.0;
    let session_id = (!is_first).then(|| hex(generation.session_id.0));
    set(object, "session_id", session_id.map_or(JsValue::UNDEFINED, JsValue::from));
}

/// A record of a version that knew no `session_id` began its session with its token.
pub(crate) fn generation(object: &JsValue) -> Option<Generation> {
    let number = u32::try_from(number(object, "generation")?).ok()?;
    let generation = Generation::new(number, TokenId(read_hex(object, "token_id")?))?;
    let session_id = read_hex(object, "session_id").map(SessionId);
    Some(session_id.map_or(generation, |session_id| generation.of_session(session_id)))
}

pub(crate) fn read_hex(object: &JsValue, key: &str) -> Option<u64> {
    let digits = text(object, key).filter(|it| it.len() == 16 && !it.starts_with('+'))?;
    u64::from_str_radix(&digits, 16).ok()
}

/// The lease of the tab that asks the server.
pub(crate) fn write_lease(lease: &LeaseRecord) -> String {
    let object = json::object();
    set(&object, "v", PROTOCOL);
    set(&object, "tab", hex(lease.tab.0));
    set(&object, "epoch", lease.epoch);
    set_moment(&object, "expires_at", Some(lease.expires_at));
    set(&object, "visible", lease.is_visible);
    json::stringify(&object)
}

pub(crate) fn read_lease(lease: &str) -> Option<LeaseRecord> {
    let object = json::parse(lease)?;
    if number(&object, "v") != Some(PROTOCOL.into()) {
        return None;
    }
    Some(LeaseRecord {
        tab: TabId(read_hex(&object, "tab")?),
        epoch: u32::try_from(number(&object, "epoch")?).ok()?,
        expires_at: moment(&object, "expires_at")?,
        is_visible: get(&object, "visible").is_truthy(),
    })
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

fn rejections(list: &JsValue) -> Vec<RejectedAnswer> {
    let mut rejections = Vec::new();
    // What is no list has no such items, and `at` and `status` are asked of each.
    for index in 0..MAX_REJECTIONS {
        let item = get(list, &index.to_string());
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
