//! What the page sees: plain objects made of the core's data.

use js_sys::Array;
use session_keeper_core::{Entry, FieldVisitor, Instant, Label, Notice, SignOut};
use wasm_bindgen::JsValue;

use crate::driver::Driver;
use crate::json::{self, set, set_moment};
use crate::record;

/// `{ session, server, signedIn, … }`; what is not known is left out.
pub(crate) fn snapshot(driver: &Driver) -> JsValue {
    let object = json::object();
    driver.with_core(|core| {
        let now = core.snapshot();
        set(&object, "session", now.session.name());
        set(&object, "server", now.server.name());
        if let Some(signed_in) = now.signed_in() {
            set(&object, "signedIn", signed_in);
        }
        set(&object, "user", driver.user());
        set_moment(&object, "expiresAt", now.expires_at);
        set_moment(&object, "lastVerifiedAt", now.last_verified_at);
        if let Some(end) = core.sign_out() {
            set(&object, "signOut", sign_out(end));
        }
    });
    object
}

fn sign_out(end: &SignOut) -> JsValue {
    let object = json::object();
    set(&object, "reason", end.reason.name());
    set_moment(&object, "at", Some(end.at));
    set(&object, "fromOtherTab", end.from_other_tab);
    let evidence = json::object();
    record::write_evidence(&evidence, end);
    set(&object, "evidence", evidence);
    object
}

/// The name of the news and what it carries.
pub(crate) fn notice(notice: &Notice) -> (&'static str, JsValue) {
    let object = json::object();
    let name = match notice {
        Notice::Changed => "change",
        Notice::Restored => "restored",
        Notice::Settled => "settled",
        Notice::Refreshed => "refresh",
        Notice::NotRefreshed => "unrefreshed",
        Notice::Forbidden => {
            set(&object, "status", 403.0);
            "forbidden"
        }
        Notice::SignedIn { from_other_tab } => {
            set(&object, "fromOtherTab", *from_other_tab);
            "signin"
        }
        Notice::SignedOut(end) => return ("signout", sign_out(end)),
        Notice::Server { state, since } => {
            set(&object, "state", state.name());
            set_moment(&object, "since", Some(*since));
            "server"
        }
        Notice::Logged(logged) => return ("log", entry(logged)),
    };
    (name, object)
}

pub(crate) fn history(driver: &Driver) -> Array {
    let list = Array::new();
    driver.with_core(|core| {
        for logged in core.history() {
            list.push(&entry(logged));
        }
    });
    list
}

/// `{ at, n: [index, …], instance, boot }`: `n` holds the event's index and its details as
/// numbers, which `js/src/events.json` names.
fn entry(entry: &Entry) -> JsValue {
    let object = json::object();
    set_moment(&object, "at", Some(entry.at));
    let numbers = Array::new();
    numbers.push(&entry.event.index().into());
    let mut details = Details { object, numbers };
    entry.event.visit_fields(&mut details);
    set(&details.object, "n", details.numbers);
    details.object
}

struct Details {
    object: JsValue,
    numbers: Array,
}

impl FieldVisitor for Details {
    fn number(&mut self, _: &'static str, number: u64) {
        self.numbers.push(&JsValue::from_f64(number as f64));
    }

    fn word(&mut self, name: &'static str, index: u8, _: &'static str) {
        self.number(name, index.into());
    }

    fn label(&mut self, name: &'static str, label: &Label) {
        record::set_label(&self.object, name, Some(label));
    }
}

/// What the debug view adds to the snapshot: milliseconds, which the face turns into its words.
pub(crate) fn debug(driver: &Driver) -> JsValue {
    let object = json::object();
    driver.with_core(|core| {
        let wait = |key: &str, at: Option<Instant>| {
            if let Some(at) = at {
                set(&object, key, at.since(core.now()).as_millis() as f64);
            }
        };
        wait("nextPing", core.next_ping());
        wait("nextVerification", core.next_verification());
        wait("nextRefresh", core.next_refresh());
        set(&object, "runOut", core.has_run_out());
        set(&object, "leader", core.leads());
        set_moment(&object, "lastAwakeAt", core.last_awake_at());
        record::set_label(&object, "boot", core.boot());
        let instances = Array::new();
        for instance in core.instances() {
            instances.push(&instance.as_str().into());
        }
        set(&object, "instances", instances);
        if let Some(generation) = core.generation() {
            set(&object, "tokenId", record::token_id(generation.token_id));
        }
    });
    set(&object, "storage", driver.storage_name());
    if let Some(token) = driver.token() {
        set(&object, "savedAt", json::get(&token, "saved_at"));
    }
    object
}
