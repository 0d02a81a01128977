//! What the page sees: plain objects made of the core's data.

use js_sys::{Array, Object};
use session_keeper_core::{Entry, Instant, Level, Notice, SignOut, Value};
use wasm_bindgen::JsValue;

use crate::driver::Keeper;
use crate::js::{set, set_flag, set_moment, set_number, set_text};
use crate::record;

/// `{ session, server, signedIn, … }`; what is not known is left out.
pub(crate) fn snapshot(keeper: &Keeper) -> Object {
    let now = keeper.snapshot();
    let object = Object::new();
    set_text(&object, "session", now.session.name());
    set_text(&object, "server", now.server.name());
    if let Some(signed_in) = now.signed_in() {
        set_flag(&object, "signedIn", signed_in);
    }
    set(&object, "user", &keeper.user());
    set_moment(&object, "expiresAt", now.expires_at);
    set_moment(&object, "lastVerifiedAt", now.last_verified_at);
    set_moment(&object, "lastAwakeAt", now.last_awake_at);
    if let Some(end) = keeper.last_sign_out() {
        set(&object, "signOut", &sign_out(&end));
    }
    object
}

fn sign_out(end: &SignOut) -> Object {
    let object = Object::new();
    set_text(&object, "reason", end.reason.name());
    set_moment(&object, "at", Some(end.at));
    set_flag(&object, "elsewhere", end.elsewhere);
    let evidence = Object::new();
    record::write_evidence(&evidence, end);
    set(&object, "evidence", &evidence);
    object
}

/// The name of the news and what it carries.
pub(crate) fn notice(notice: &Notice) -> (&'static str, Object) {
    let object = Object::new();
    let name = match notice {
        Notice::Changed => "change",
        Notice::Settled => "settled",
        Notice::Forbidden => {
            set_number(&object, "status", 403.0);
            "forbidden"
        }
        Notice::SignedIn { elsewhere } => {
            set_flag(&object, "elsewhere", *elsewhere);
            "signin"
        }
        Notice::SignedOut(end) => return ("signout", sign_out(end)),
        Notice::Server { state, since } => {
            set_text(&object, "state", state.name());
            set_moment(&object, "since", Some(*since));
            "server"
        }
        Notice::Logged(logged) => return ("log", entry(logged)),
    };
    (name, object)
}

pub(crate) fn history(keeper: &Keeper) -> Array {
    let list = Array::new();
    keeper.look(|core| {
        for logged in core.history() {
            list.push(&entry(logged));
        }
    });
    list
}

fn entry(entry: &Entry) -> Object {
    let object = Object::new();
    set_moment(&object, "at", Some(entry.at));
    set_text(&object, "code", entry.event.code());
    let level = match entry.event.level() {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    set_text(&object, "level", level);
    entry.event.tell(&mut |(name, value)| match value {
        Value::Word(word) => set_text(&object, name, word),
        Value::Number(number) => set_number(&object, name, number as f64),
        Value::Flag(flag) => set_flag(&object, name, flag),
    });
    object
}

/// What the debug view adds to the snapshot: milliseconds, which the face turns into its words.
pub(crate) fn debug(keeper: &Keeper) -> Object {
    let object = Object::new();
    keeper.look(|core| {
        let mut wait = |key: &str, at: Option<Instant>| {
            if let Some(at) = at {
                set_number(&object, key, at.since(core.now()).as_millis() as f64);
            }
        };
        wait("nextPing", core.next_ping());
        wait("nextVerification", core.next_round());
        set_flag(&object, "runOut", core.has_run_out());
        if let Some(boot) = core.boot() {
            set_text(&object, "boot", boot.as_str());
        }
        let instances = Array::new();
        for instance in core.instances() {
            instances.push(&JsValue::from_str(instance.as_str()));
        }
        set(&object, "instances", &instances);
        if let Some(generation) = core.generation() {
            set_text(&object, "tokenId", &record::token_id(generation.token_id));
        }
    });
    set_text(&object, "storage", keeper.storage_name());
    set_moment(&object, "savedAt", keeper.saved_at());
    object
}
