//! Sign-in, refresh, sessions and their end.

mod carrier;
mod credential;
mod debug;
mod issue;
mod lifecycle;
mod login;
mod refresh;
mod sessions;

pub(crate) use credential::SignedIn;
pub(crate) use debug::debug_token;
pub(crate) use login::login;
pub(crate) use refresh::refresh;
pub(crate) use sessions::{end_session, list_sessions, logout, logout_everywhere, me};
