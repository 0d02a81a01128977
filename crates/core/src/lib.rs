//! The decisions of session-keeper, as data: facts in, orders out.
//!
//! A [`Keeper`] is told what happened ([`Input`]) together with what time it is ([`Now`]) and
//! answers with what to do ([`Effect`]). It does no I/O, reads no clock, draws no randomness of
//! its own and never sees a token: a session is known to it by its [`Generation`] alone. The same
//! seed and the same inputs give the same effects, so tests simulate hours in milliseconds.
//!
//! ```
//! use session_keeper_core::{Effect, Input, Keeper, Now, Options, Record};
//!
//! let mut keeper = Keeper::new(Options::default(), 7);
//! let effects = keeper.handle_input(Now::from_millis(0, 1_760_000_000_000), Input::Start);
//! let read = effects.iter().find_map(|effect| match effect {
//!     Effect::ReadRecord { read } => Some(*read),
//!     _ => None,
//! });
//! let answer = Input::Record { read: read.expect("it reads first"), record: Record::Absent };
//! keeper.handle_input(Now::from_millis(1, 1_760_000_000_001), answer);
//! assert_eq!(keeper.snapshot().signed_in(), Some(false));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod acquirer;
mod admission;
mod answer;
mod app_request;
mod backend;
mod challenge;
mod chance;
mod confirm;
mod confirm_context;
mod diagnosis;
mod effect;
mod event;
mod expiry;
mod freshness;
mod generation;
mod history;
mod input;
mod instances;
mod keeper;
mod label;
mod lease;
mod message;
mod options;
mod outlook;
mod page;
mod paths;
mod prober;
mod reads;
mod refresh_lock;
mod refresher;
mod requests;
mod revocation;
mod rng;
mod server;
mod session;
mod time;
#[cfg(feature = "serde")]
mod trace;
mod words;

pub use admission::CheckResult;
pub use answer::{
    Body, CANDIDATES, Candidate, Classified, Grade, Outcome, Probe, Response, ServerFacts,
};
pub use app_request::{
    AppAction, AppEvent, AppRequest, AppRequestId, AppRequestOptions, Destination, OnUnauthorized,
    Replay,
};
pub use backend::BackendRecord;
pub use challenge::Challenge;
pub use chance::Chance;
pub use confirm_context::Basis;
pub use diagnosis::{Cause, Diagnosis};
pub use effect::{Effect, Notice};
pub use event::{Event, FieldVisitor, Level, Reason};
pub use generation::{Generation, SessionId, TokenId};
pub use history::Entry;
pub use input::{Input, Record, StoredSession};
pub use keeper::{Keeper, Timer};
pub use label::{Label, Origin};
pub use lease::{LeaseRecord, TabId};
pub use message::{Message, PROTOCOL, TabRequest, TabState};
pub use options::{
    Confirm, Credential, HealthOptions, Options, OriginRelation, RefreshOptions, VerifyOptions,
    WhenHidden,
};
pub use page::PageEvent;
pub use refresher::{AttemptId, NewToken, RefreshAnswer};
pub use requests::{ReadId, RequestId, TokenHandle};
pub use server::ServerState;
pub use session::{
    RejectedAnswer, Rule, SessionState, SignOut, SignOutReason, Snapshot, TokenFacts, TokenKind,
};
pub use time::{Duration, Instant, Now, UnixMillis};
#[cfg(feature = "serde")]
pub use trace::{Step, Trace, Transcript};
