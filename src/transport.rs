//! Requests to the API and the facts of their answers. What an answer means is the core's.

use session_keeper_core::{
    Body, Challenge, Classified, Duration, Outcome, Probe, Response, ServerFacts,
};
use wasm_bindgen::JsValue;

use crate::js::{self, get, is_true, number, parse, set, set_text, text};
use crate::options::Options;
use crate::{clock, record};

/// How a request ended, with the body for whom it may concern.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) body: JsValue,
}

/// What a request tells: that the head of its answer is here, and how it ended.
pub(crate) trait Watch {
    fn answering(&self);
    fn ended(&self, ended: Ended);
}

/// Sends one request. Why none is answered is never told apart by the error: engines differ in
/// names and texts.
pub(crate) fn send(
    options: &'static Options,
    probe: Probe,
    token: Option<&str>,
    signal: &JsValue,
    watch: Box<dyn Watch>,
) {
    let (url, init) = build(options, probe, token, signal);
    let authorize = options.get("authorize");
    if probe == Probe::Health || !authorize.is_function() {
        return fetch(options, probe, &[&JsValue::from_str(&url), &init], watch);
    }
    let request = js::make("Request", &[&JsValue::from_str(&url), &init]);
    let authorized = js::apply(&authorize, &JsValue::NULL, &[&request]);
    let Some(authorized) = authorized else { return none(&*watch) };
    js::then(
        &authorized,
        Box::new(move |request| match request {
            Some(request) => fetch(options, probe, &[&request], watch),
            None => none(&*watch),
        }),
    );
}

fn none(watch: &dyn Watch) {
    watch.ended(Ended { outcome: Outcome::NoAnswer, body: JsValue::UNDEFINED });
}

fn fetch(options: &'static Options, probe: Probe, arguments: &[&JsValue], watch: Box<dyn Watch>) {
    let Some(answer) = js::call(&js::window(), "fetch", arguments) else { return none(&*watch) };
    js::then(
        &answer,
        Box::new(move |response| {
            let Some(response) = response else { return none(&*watch) };
            watch.answering();
            let Some(content) = js::call(&response, "text", &[]) else { return none(&*watch) };
            // The core bounds how long this may take; a body that broke off is no answer.
            js::then(
                &content,
                Box::new(move |content| match content.and_then(|content| content.as_string()) {
                    Some(content) => watch.ended(read(options, probe, &response, &content)),
                    None => none(&*watch),
                }),
            );
        }),
    );
}

fn build(
    options: &Options,
    probe: Probe,
    token: Option<&str>,
    signal: &JsValue,
) -> (String, JsValue) {
    let (path, method) = match probe {
        Probe::Health => ("healthPath", "GET"),
        Probe::Verify => ("verifyPath", "GET"),
        Probe::SignOut => ("signOutPath", "POST"),
    };
    let headers = js::object();
    set_text(&headers, "Accept", "application/json");
    let mut credentials = "omit";
    if probe != Probe::Health {
        match (options.text("scheme"), token) {
            (Some(scheme), Some(token)) => {
                set_text(&headers, "Authorization", &[&*scheme, " ", token].concat());
            }
            (None, _) => credentials = "include",
            (Some(_), None) => {}
        }
        if text(&js::window(), "origin") == options.text("origin") {
            mark(options, probe, &headers);
        }
    }
    let init = js::object();
    set_text(&init, "method", method);
    set_text(&init, "cache", "no-store");
    // A redirect is never a verdict, and following one could carry the credential away.
    set_text(&init, "redirect", "manual");
    // Omitting also keeps the browser from asking for a password when a proxy says 401.
    set_text(&init, "credentials", credentials);
    set(&init, "headers", &headers);
    set(&init, "signal", signal);
    let word = |key: &str| options.text(key).unwrap_or_default();
    ([word("base"), word(path)].concat(), init)
}

/// Headers that would cost a preflight of their own elsewhere.
fn mark(options: &Options, probe: Probe, headers: &JsValue) {
    if probe == Probe::Verify {
        // A server can leave verifications out of its idle timeout.
        set_text(headers, "-Background", "1");
    } else if let Some(header) = options.text("csrfHeader")
        && let Some(value) = js::apply(&options.get("csrf"), &JsValue::NULL, &[])
        && value.is_truthy()
    {
        set(headers, &header, &value);
    }
}

fn read(options: &Options, probe: Probe, response: &JsValue, content: &str) -> Ended {
    let headers = get(response, "headers");
    let header = |name: &str| {
        js::call(&headers, "get", &[&JsValue::from_str(name)]).and_then(|value| value.as_string())
    };
    let (kind, body) = recognize(&header("content-type").unwrap_or_default(), content);
    // "opaque" and "opaqueredirect": responses that a page may not look into.
    let opaque = text(response, "type").is_some_and(|kind| kind.starts_with('o'));
    let mut classified = None;
    if probe == Probe::Verify {
        let said = js::apply(&options.get("classify"), &JsValue::NULL, &[response, &body]);
        classified = match said.and_then(|said| said.as_string()).as_deref() {
            Some("valid") => Some(Classified::Valid),
            Some("rejected") => Some(Classified::Rejected),
            _ => None,
        };
    }
    let challenge = header("www-authenticate");
    let facts = Response {
        status: number(response, "status").unwrap_or(0) as u16,
        redirected: opaque || is_true(response, "redirected"),
        body: kind,
        challenge: challenge.map_or(Challenge::Unreadable, |value| Challenge::read(&value)),
        retry_after: header("retry-after")
            .and_then(|value| retry_after(&value, header("date").as_deref())),
        server: ServerFacts {
            instance: record::label(&body, "instance"),
            boot: record::label(&body, "boot"),
            // `Date` has whole seconds, which is enough to tell a clock that is off.
            now: record::moment(&body, "now").or_else(|| clock::parse_date(&header("date")?)),
            uptime: get(&body, "uptime")
                .as_f64()
                .map(|secs| Duration::from_millis((secs * 1_000.0) as u64)),
        },
        classified,
        age: None,
        date: None,
    };
    Ended { outcome: Outcome::Response(facts), body }
}

fn recognize(content_type: &str, content: &str) -> (Body, JsValue) {
    let start = content.bytes().find(|byte| !byte.is_ascii_whitespace());
    let Some(start) = start else { return (Body::Empty, JsValue::UNDEFINED) };
    if start == b'<' || mentions(content_type, b"html") {
        return (Body::Html, JsValue::UNDEFINED);
    }
    match parse(content) {
        Some(value) if start == b'{' => (Body::Object, value),
        Some(value) if mentions(content_type, b"json") => (Body::Json, value),
        _ => (Body::Other, JsValue::UNDEFINED),
    }
}

/// Without `str::contains`, whose searcher is three kilobytes.
fn mentions(content_type: &str, word: &[u8]) -> bool {
    content_type.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is read against the date of the same
/// response: the local clock may be hours off.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let digits = value.trim_ascii();
    let secs = digits.bytes().try_fold(0_u64, |secs, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10 && secs < 1 << 32).then(|| secs * 10 + u64::from(digit))
    });
    if let Some(secs) = secs.filter(|_| !digits.is_empty()) {
        return Some(Duration::from_secs(secs));
    }
    let until = clock::parse_date(value)?;
    let from = date.and_then(clock::parse_date).unwrap_or_else(clock::wall);
    Some(Duration::from_millis(until.0.saturating_sub(from.0)))
}
