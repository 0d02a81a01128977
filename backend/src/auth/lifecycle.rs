//! What a user's sessions are, and how they end.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use session_keeper_tokens::{Session, SessionId, UnixMillis};
use tracing::warn;

use super::credential::{Credential, audit};
use crate::backend::Backend;
use crate::client::Client;
use crate::cross_origin::Initiator;
use crate::error::ApiError;
use crate::metrics::Counter;
use crate::store::RevokeScope;

/// Ends the session that this browser had when it signed in again (ASVS 7.2.4): its cookie is
/// replaced, and nobody could end it any more but by the list of sessions.
pub(super) async fn end_replaced(
    headers: &HeaderMap,
    new: &Session,
    client: &Client,
    backend: &Backend,
) {
    let mut of_cookie = headers.clone();
    of_cookie.remove(AUTHORIZATION);
    let replaced = match Credential::read(&of_cookie, Initiator::Ours, backend) {
        Ok(credential) => credential.session(backend).await,
        Err(error) => Err(error),
    };
    match replaced {
        Ok(session) if session.id != new.id => match end(backend, &scope_of(&session)).await {
            Ok(()) => audit("session_replaced", &session, client),
            Err(_) => warn!("the session that a sign-in replaced cannot be ended"),
        },
        Ok(_) | Err(_) => {}
    }
}

/// `--sessions-per-user`: ends the oldest ones.
pub(super) async fn end_surplus(
    new: &Session,
    client: &Client,
    backend: &Backend,
) -> Result<(), ApiError> {
    let Some(most) = backend.limits().sessions_per_user else { return Ok(()) };
    let sessions = sessions_of(&new.username, backend).await?;
    // The newest first. Of two that began at once, the one that was just begun stays.
    let others = sessions.iter().filter(|session| session.id != new.id);
    for session in others.skip(most.saturating_sub(1) as usize) {
        end(backend, &scope_of(session)).await?;
        audit("session_limit", session, client);
    }
    Ok(())
}

/// The user's sessions, the newest first, each with its last use and its latest expiry.
pub(super) async fn sessions_of(
    username: &str,
    backend: &Backend,
) -> Result<Vec<Session>, ApiError> {
    let now = backend.now();
    let tokens = backend.store().of_user(username).await?;
    let mut sessions: BTreeMap<SessionId, Session> = BTreeMap::new();
    for token in tokens.into_iter().filter(|token| !token.is_expired(now)) {
        match sessions.get_mut(&token.id) {
            Some(session) => {
                session.used_at = session.used_at.max(token.used_at);
                session.expires_at = session.expires_at.max(token.expires_at);
            }
            None => drop(sessions.insert(token.id, token)),
        }
    }
    let mut sessions: Vec<Session> = sessions.into_values().collect();
    sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
    Ok(sessions)
}

/// When the session was last used, whichever of its tokens was sent.
pub(super) async fn last_use(session: &Session, backend: &Backend) -> Result<UnixMillis, ApiError> {
    let sessions = sessions_of(&session.username, backend).await?;
    let this = sessions.iter().find(|other| other.id == session.id);
    Ok(this.map_or(session.used_at, |this| this.used_at.max(session.used_at)))
}

pub(super) fn scope_of(session: &Session) -> RevokeScope {
    RevokeScope::Session { username: session.username.to_string(), id: session.id }
}

pub(super) async fn end(backend: &Backend, scope: &RevokeScope) -> Result<(), ApiError> {
    let ended = backend.store().remove(scope).await?;
    backend.metrics().add(Counter::TokensRevoked, ended);
    Ok(())
}
