//! What the core orders.

use crate::answer::Probe;
use crate::app_request::{AppAction, AppRequestId};
use crate::backend::BackendRecord;
use crate::generation::Generation;
use crate::history::Entry;
use crate::lease::{LeaseRecord, TabId};
use crate::message::Message;
use crate::refresher::AttemptId;
use crate::requests::{ReadId, RequestId, TokenHandle};
use crate::server::ServerState;
use crate::session::SignOut;
use crate::time::UnixMillis;

/// One order to the shell, to be carried out in sequence and without a decision of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect {
    /// Send a request and tell how it ended.
    Send {
        /// Names the request in what comes back.
        request: RequestId,
        /// To which path, and whether with the credential.
        probe: Probe,
        /// Whose credential.
        generation: Option<Generation>,
    },
    /// Refresh the token of this generation and tell how it ended, by
    /// [`Input::RefreshAnswer`](crate::Input::RefreshAnswer).
    Refresh {
        /// Names the request in what comes back.
        request: RequestId,
        /// Whose token.
        generation: Generation,
        /// The attempt's id, for a server that knows what it is.
        attempt: AttemptId,
    },
    /// Ask the app for a token without the user and tell how it ended, by
    /// [`Input::AcquireAnswer`](crate::Input::AcquireAnswer).
    Acquire {
        /// Names the request in what comes back.
        request: RequestId,
    },
    /// Write the session down again, together with the id of the attempt that is about to be sent.
    StoreAttempt {
        /// Whose token is about to be refreshed.
        generation: Generation,
        /// The attempt's id.
        attempt: AttemptId,
    },
    /// Give a request up. Whatever still comes of it is ignored.
    Abort {
        /// Which one.
        request: RequestId,
    },
    /// Read the store again and tell what it holds.
    ReadRecord {
        /// Names the read in what comes back.
        read: ReadId,
    },
    /// Read the backend's record and tell what it holds, if it holds anything.
    ReadBackend,
    /// Write the backend's record.
    StoreBackend(BackendRecord),
    /// The session is the one of this record: keep its token under this generation.
    UseStoredToken {
        /// The read that brought the record.
        read: ReadId,
        /// Its generation.
        generation: Generation,
        /// It is the session that there was, with a newer token.
        keeps_user: bool,
    },
    /// The session is the one that this token was handed over for.
    UseToken {
        /// Which token.
        token: TokenHandle,
        /// The generation that it has from here on.
        generation: Generation,
    },
    /// A token that was handed over is needed by nobody.
    DropToken {
        /// Which one.
        token: TokenHandle,
    },
    /// Write the session down, with the token of this generation.
    Store {
        /// Its generation.
        generation: Generation,
        /// When it runs out.
        expires_at: Option<UnixMillis>,
        /// When it was last verified.
        verified_at: Option<UnixMillis>,
    },
    /// Replace the record by a tombstone and forget the token for everything but a sign-out
    /// request of its generation.
    WriteTombstone {
        /// The generation that ended.
        generation: Generation,
        /// Why.
        sign_out: SignOut,
        /// The server has not been told yet.
        undelivered: bool,
    },
    /// The body of this answer describes the user.
    SetUser {
        /// The verification's request.
        request: RequestId,
    },
    /// Forget the token of a generation that ended.
    Forget {
        /// Which one.
        generation: Generation,
    },
    /// Remove what is no record.
    EraseRecord,
    /// What to do with a request of the app that was reported.
    AppRequest {
        /// Which one.
        request: AppRequestId,
        /// What.
        action: AppAction,
    },
    /// Read the lease and tell what the store holds.
    ReadLease,
    /// Write the lease, or say that it cannot be written.
    WriteLease(LeaseRecord),
    /// Remove the lease, where it is still this tab's.
    ReleaseLease(TabId),
    /// Ask for the lock under which one tab at a time refreshes, and tell when it is this tab's.
    Lock,
    /// Give the lock back, or stop asking for it.
    Unlock,
    /// The user is the one that the leader told of with this generation.
    UseLeadersUser {
        /// Its generation.
        generation: Generation,
    },
    /// Tell the other tabs.
    Broadcast(Message),
    /// Tell the app.
    Notify(Notice),
}

/// News for the app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Notice {
    /// The stored record was read, or could not be: what is known of the session stands in the
    /// snapshot, unless only the server can tell.
    Restored,
    /// The snapshot is another one.
    Changed,
    /// A session began.
    SignedIn {
        /// In another tab.
        from_other_tab: bool,
    },
    /// The session goes on with a newer token.
    Refreshed,
    /// No newer token is to be had for now.
    NotRefreshed,
    /// A session ended.
    SignedOut(SignOut),
    /// The server answered 403 to a verification.
    Forbidden,
    /// The server's state is another one.
    Server {
        /// The state.
        state: ServerState,
        /// Since when, by the wall clock.
        since: UnixMillis,
    },
    /// A verification has its answer or used up its repeats, or a refresh got none.
    Settled,
    /// Something for the history and the console.
    Logged(Entry),
}
