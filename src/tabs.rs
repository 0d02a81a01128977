//! The other tabs: the channel on which they tell each other what they know. Format in
//! `docs/formats.md`.
//!
//! Rule: no token is ever posted. What is no message of this version is dropped here.

use session_keeper_core::{
    CheckResult, Duration, Message, PROTOCOL, ServerState, TabId, TabRequest, TabState,
};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};

use crate::json::{self, get, number, set, text};
use crate::record::{self, hex, read_hex};

#[wasm_bindgen]
extern "C" {
    /// Node's, which test environments with a document of their own lend out.
    #[wasm_bindgen(extends = BroadcastChannel)]
    type NodeChannel;

    /// Lets the process end though the channel is open; browsers have no such method.
    #[wasm_bindgen(method, catch)]
    fn unref(this: &NodeChannel) -> Result<(), JsValue>;
}

/// Open until it is dropped: an open channel keeps some browsers' pages out of the back/forward
/// cache.
pub(crate) struct Channel {
    channel: BroadcastChannel,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

/// Whether there are channels here: not for opaque origins, and not where somebody removed them.
pub(crate) fn is_available(name: &str) -> bool {
    BroadcastChannel::new(name).map(|channel| channel.close()).is_ok()
}

impl Channel {
    /// Calls back with each message of another tab and the user that came with it.
    pub(crate) fn open(
        name: &str,
        on_message: impl Fn(Message, JsValue) + 'static,
    ) -> Option<Self> {
        let channel = BroadcastChannel::new(name).ok()?;
        let on_message = Closure::new(move |event: MessageEvent| {
            let data = event.data();
            if let Some(message) = read(&data) {
                on_message(message, get(&data, "user"));
            }
        });
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let _ = channel.unchecked_ref::<NodeChannel>().unref();
        Some(Self { channel, _on_message: on_message })
    }

    pub(crate) fn post(&self, message: Message, user: &JsValue) {
        let object = write(message);
        if matches!(message, Message::State(TabState { with_user: true, .. })) {
            set(&object, "user", user);
            if self.channel.post_message(&object).is_ok() {
                return;
            }
            // The app's own user object may hold what cannot be cloned, such as a function.
            set(&object, "user", JsValue::UNDEFINED);
        }
        // Fails only on a channel that is closed.
        let _ = self.channel.post_message(&object);
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

fn write(message: Message) -> JsValue {
    let object = json::object();
    set(&object, "v", PROTOCOL);
    match message {
        Message::Written => set(&object, "kind", "written"),
        Message::Request(request) => {
            set(&object, "kind", "request");
            set(&object, "request", request.name());
        }
        Message::State(state) => {
            set(&object, "kind", "state");
            set(&object, "from", hex(state.from.0));
            if let Some(generation) = state.generation {
                record::set_generation(&object, generation);
            }
            set(&object, "server", state.server.name());
            for (key, value) in [
                ("answer", state.is_answer),
                ("verified", state.is_verified),
                ("suspect", state.is_suspect),
                ("refresh_failed", state.refresh_failed),
                ("with_user", state.with_user),
            ] {
                set(&object, key, value);
            }
            if let Some((result, ago)) = state.check {
                set(&object, "check", result.name());
                set(&object, "check_ago", ago.as_millis() as f64);
            }
            json::set_moment(&object, "verified_at", state.verified_at);
            if let Some(ago) = state.proven {
                set(&object, "proven_ago", ago.as_millis() as f64);
            }
            if let Some(ago) = state.settled {
                set(&object, "settled_ago", ago.as_millis() as f64);
            }
        }
    }
    object
}

fn read(object: &JsValue) -> Option<Message> {
    if number(object, "v") != Some(PROTOCOL.into()) {
        return None;
    }
    match &*text(object, "kind")? {
        "written" => Some(Message::Written),
        "request" => {
            let name = text(object, "request")?;
            let request = TabRequest::ALL.into_iter().find(|known| known.name() == name)?;
            Some(Message::Request(request))
        }
        "state" => Some(Message::State(read_state(object)?)),
        _ => None,
    }
}

fn read_state(object: &JsValue) -> Option<TabState> {
    let server = text(object, "server")?;
    let is = |key| get(object, key).is_truthy();
    let ago = |key| number(object, key).map(Duration::from_millis);
    let check = text(object, "check");
    let check = CheckResult::ALL.into_iter().find(|it| check.as_deref() == Some(it.name()));
    Some(TabState {
        from: TabId(read_hex(object, "from")?),
        is_answer: is("answer"),
        generation: record::generation(object),
        is_verified: is("verified"),
        is_suspect: is("suspect"),
        server: ServerState::ALL.into_iter().find(|known| known.name() == server)?,
        proven: ago("proven_ago"),
        check: check.zip(ago("check_ago")),
        verified_at: json::moment(object, "verified_at"),
        settled: ago("settled_ago"),
        refresh_failed: is("refresh_failed"),
        with_user: is("with_user"),
    })
}
