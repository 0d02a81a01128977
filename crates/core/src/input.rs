//! What the core is told: facts and the app's commands, never advice.

use crate::answer::Outcome;
use crate::app_request::{AppEvent, AppRequest};
use crate::backend::BackendRecord;
use crate::generation::Generation;
use crate::lease::LeaseRecord;
use crate::message::Message;
use crate::page::PageEvent;
use crate::refresher::{NewToken, RefreshAnswer};
use crate::requests::{ReadId, RequestId, TokenHandle};
use crate::session::{SignOut, TokenFacts};
use crate::time::UnixMillis;

/// One thing that happened. Early, late, repeated and senseless inputs are harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// The app wants the session kept. Twice is once.
    Start,
    /// The app wants no more requests. The session stays where it is stored.
    Stop,
    /// The one timer of the shell went off, early or late.
    Timeout,
    /// Something happened to the page.
    Page(PageEvent),
    /// The app hands over a new token; which one, only the shell knows.
    SignIn {
        /// Which token; none where a cookie that scripts cannot read proves the user.
        token: Option<TokenHandle>,
        /// What is known of it.
        facts: TokenFacts,
    },
    /// The app ends the session.
    SignOut,
    /// The app wants the token checked now.
    Verify,
    /// A request of the app was answered.
    Report {
        /// Its status.
        status: u16,
    },
    /// A request of the app to the API's origin was answered as only the API itself does: JSON, and
    /// no status of a gateway.
    AppProof,
    /// A request of the app got no answer.
    Unanswered,
    /// Something happened to a request of the app that is sent through the keeper.
    AppRequest {
        /// Which one, and its facts.
        request: AppRequest,
        /// What happened.
        event: AppEvent,
    },
    /// The head of an answer came; its body is being read.
    Answering {
        /// Which request.
        request: RequestId,
    },
    /// A request ended.
    Answer {
        /// Which request.
        request: RequestId,
        /// How.
        outcome: Outcome,
    },
    /// The app wants a newer token, though the present one has not run out.
    Refresh,
    /// A refresh ended.
    RefreshAnswer {
        /// Which request.
        request: RequestId,
        /// How.
        answer: RefreshAnswer,
    },
    /// An attempt to get a token without the user ended.
    AcquireAnswer {
        /// Which request.
        request: RequestId,
        /// How.
        answer: RefreshAnswer,
    },
    /// The app has got a newer token of the same session by itself.
    Renew(NewToken),
    /// What the store holds, after [`Effect::ReadRecord`](crate::Effect::ReadRecord).
    Record {
        /// Which read this is the answer to.
        read: ReadId,
        /// What was found.
        record: Record,
    },
    /// The record may have changed: another tab wrote it, the storage was cleared, the page has
    /// the focus again. A hint to read it.
    RecordChanged,
    /// What the store holds of the backend, after
    /// [`Effect::ReadBackend`](crate::Effect::ReadBackend). Silence is nothing.
    Backend(BackendRecord),
    /// The store took nothing: the shell keeps the session in memory.
    StoreFailed,
    /// Another tab says something.
    TabMessage(Message),
    /// What the store holds of the lease, after [`Effect::ReadLease`](crate::Effect::ReadLease).
    Lease(Option<LeaseRecord>),
    /// The lease may have changed: another tab wrote it. A hint to read it.
    LeaseChanged,
    /// The lock is this tab's, after [`Effect::Lock`](crate::Effect::Lock), or there are none here.
    Locked,
    /// The store takes no lease: each tab asks for itself.
    LeaseUnavailable,
}

/// What the store holds for this app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Record {
    /// A session.
    Session(StoredSession),
    /// A sign-out.
    Tombstone {
        /// The generation that it ended.
        generation: Generation,
        /// Why.
        sign_out: SignOut,
        /// The server has not been told yet.
        undelivered: bool,
    },
    /// Nothing. Never a sign-out.
    Absent,
    /// Something that is no record.
    Corrupt,
    /// A record of another origin's session.
    Foreign,
    /// The store cannot be read.
    Unreadable,
}

/// A session as the store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StoredSession {
    /// Its place in the order.
    pub generation: Generation,
    /// What is known of its token.
    pub facts: TokenFacts,
    /// When its token was handed over, by this device's clock.
    pub saved_at: Option<UnixMillis>,
    /// When it was last verified, by any tab.
    pub verified_at: Option<UnixMillis>,
}

impl StoredSession {
    /// A session of which nothing else is known.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self { generation, facts: TokenFacts::default(), saved_at: None, verified_at: None }
    }
}
