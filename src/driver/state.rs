//! What the driver holds for the core: commands that wait, tokens, requests on their way.

use std::collections::VecDeque;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use session_keeper_core::{
    Generation, Input, Message, Probe, ReadId, Record, RefreshAnswer, RequestId, TabState,
    TokenHandle, UnixMillis,
};
use wasm_bindgen::JsValue;
use web_sys::AbortController;

use crate::lock::Lock;
use crate::page::Listener;
use crate::refresh::Refreshed;
use crate::tabs::Channel;
use crate::tokens::{Pending, Tokens, User};
use crate::transport::Received;

/// What the driver holds for the core.
#[derive(Default)]
pub(super) struct State {
    pub(super) inbox: VecDeque<Command>,
    pub(super) tokens: Tokens,
    /// What was read last, with its read.
    pub(super) loaded_record: Option<(ReadId, JsValue)>,
    /// The answer at hand, with its request.
    pub(super) answer: Option<(RequestId, Answer)>,
    pub(super) user: Option<JsValue>,
    /// What came with the last message of a leader.
    pub(super) leaders_user: Option<(Generation, JsValue)>,
    pub(super) channel: Option<Rc<Channel>>,
    pub(super) lock: Option<Lock>,
    pub(super) in_flight: Vec<PendingRequest>,
    pub(super) timer: Option<Timeout>,
    pub(super) listener: Option<Listener>,
}

/// What an answer has for the session, if it is accepted.
pub(super) struct Answer {
    pub(super) body: JsValue,
    pub(super) csrf: Option<String>,
}

pub(super) enum Command {
    Input(Input),
    SignIn {
        token: JsValue,
        user: Option<JsValue>,
        expires_at: Option<UnixMillis>,
    },
    /// The app has got a newer token by itself.
    Renew {
        token: JsValue,
    },
    /// Another tab says something, and tells of the user.
    Message(Message, JsValue),
    Received(RequestId, Received),
    /// A refresh ended, or an attempt to acquire a token.
    TokenAnswer(RequestId, Probe, Refreshed),
    Loaded {
        read: ReadId,
        record: Record,
        object: Option<JsValue>,
    },
}

pub(super) struct PendingRequest {
    pub(super) id: RequestId,
    pub(super) probe: Probe,
    /// None in a browser that lacks it: what comes of the request is ignored all the same.
    pub(super) controller: Option<AbortController>,
}

impl State {
    /// The next command, as the core understands it; what it must not see stays here.
    pub(super) fn next_input(&mut self) -> Option<Input> {
        let command = self.inbox.pop_front()?;
        Some(match command {
            Command::Input(input) => input,
            Command::SignIn { token, user, expires_at } => {
                let (handle, facts) = self.tokens.hand_over(token, expires_at, User::Given(user));
                Input::SignIn { token: Some(handle), facts }
            }
            Command::Renew { token } => Input::Renew(self.tokens.renew(token, false, User::Same)),
            Command::TokenAnswer(request, probe, refreshed) => {
                let Refreshed { outcome, is_invalid_grant, object, is_same, user } = refreshed;
                let is_acquired = probe == Probe::Acquire;
                let user = if is_acquired { User::Given(Some(user)) } else { User::Same };
                let token = object.map(|object| self.tokens.renew(object, is_same, user));
                let answer = RefreshAnswer { outcome, is_invalid_grant, token };
                if is_acquired {
                    Input::AcquireAnswer { request, answer }
                } else {
                    Input::RefreshAnswer { request, answer }
                }
            }
            Command::Message(message, user) => {
                if let Message::State(TabState { generation: Some(generation), .. }) = message {
                    self.leaders_user =
                        Some(user).filter(JsValue::is_object).map(|user| (generation, user));
                }
                Input::TabMessage(message)
            }
            Command::Received(request, Received { outcome, body, csrf }) => {
                self.answer = Some((request, Answer { body, csrf }));
                Input::Answer { request, outcome }
            }
            Command::Loaded { read, record, object } => {
                self.loaded_record = object.map(|object| (read, object));
                Input::Record { read, record }
            }
        })
    }

    /// The session is the one of the record that this read brought.
    pub(super) fn use_stored_token(
        &mut self,
        read: ReadId,
        generation: Generation,
        keeps_user: bool,
    ) {
        if let Some((_, object)) = self.loaded_record.take_if(|(of, _)| *of == read) {
            self.tokens.keep(generation, object);
        }
        if !keeps_user {
            self.user = None;
        }
    }

    /// The user is the one that the leader told of with this generation.
    pub(super) fn use_leaders_user(&mut self, generation: Generation) {
        if let Some((_, user)) = self.leaders_user.take_if(|(of, _)| *of == generation) {
            self.user = Some(user);
        }
    }

    /// The session is the one that this token was handed over for.
    pub(super) fn use_token(&mut self, token: TokenHandle, generation: Generation) {
        if let Some(Pending { object, user, .. }) = self.tokens.take_pending(token) {
            self.tokens.keep(generation, object);
            if let User::Given(user) = user {
                self.user = user;
            }
        }
    }

    /// What this answer has for the session.
    pub(super) fn take_answer(&mut self, request: RequestId) -> Option<Answer> {
        let (_, answer) = self.answer.take_if(|(of, _)| *of == request)?;
        Some(answer)
    }

    pub(super) fn close(&mut self, request: RequestId) -> Option<PendingRequest> {
        let at = self.in_flight.iter().position(|open| open.id == request)?;
        Some(self.in_flight.swap_remove(at))
    }
}
