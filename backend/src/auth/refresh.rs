//! `POST /auth/refresh`: the next pair of tokens for a refresh token.
//!
//! Rule: a refresh token that is refused is 400 `invalid_grant` (RFC 6749 section 5.2), and never
//! 401; a store that cannot be asked is neither.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde::Deserialize;
use session_keeper_tokens::{
    Attempt, Kind, Limit, Refresh, RefreshPolicy, Rotation, Session, Token, attempt_key, is_unused,
    refresh as decide,
};
use tracing::warn;

use super::carrier::Carrier;
use super::credential::{audit, check_address};
use super::{issue, lifecycle};
use crate::backend::Backend;
use crate::body::{Body, Input};
use crate::client::Client;
use crate::cookies;
use crate::error::ApiError;
use crate::metrics::Counter;
use crate::store::RevokeScope;

/// A client with access tokens of half a day refreshes twice a day; one that loses its storage in
/// each tab some times an hour.
const REFRESHES: Limit = Limit { most: 60, window: Duration::from_secs(60 * 60) };

pub(crate) async fn refresh(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Body(RefreshRequest { refresh_token, attempt }): Body<RefreshRequest>,
) -> Result<Response, ApiError> {
    let policy = backend.refresh_policy().ok_or(ApiError::NotFound)?;
    let attempt = match attempt.as_deref().map(Attempt::parse) {
        Some(None) => return Err(ApiError::invalid("attempt is 16 to 64 of A-Z a-z 0-9 _ -")),
        Some(Some(attempt)) => Some(attempt),
        None => None,
    };
    let (carrier, text) = match (&refresh_token, cookies::refresh_in(&headers)) {
        (Some(text), _) => (Carrier::Header, text.as_bytes()),
        (None, Some(text)) => (Carrier::Cookie, text),
        (None, None) => return Err(ApiError::invalid(RefreshRequest::EXPECTED)),
    };
    let token = Token::parse(text).ok_or(ApiError::InvalidGrant)?;
    let refresh =
        RefreshAttempt { token, attempt, carrier, client: &client, headers: &headers, policy };
    // Whoever loses the race to rotate a token finds the winner's rotation the second time.
    for _ in 0..2 {
        if let Some(answer) = refresh.answer(&backend).await? {
            return Ok(answer);
        }
    }
    Err(ApiError::unavailable("a refresh token was rotated and is not"))
}

/// One refresh, as it was asked for.
struct RefreshAttempt<'a> {
    token: Token,
    attempt: Option<Attempt>,
    carrier: Carrier,
    client: &'a Client,
    headers: &'a HeaderMap,
    policy: &'a RefreshPolicy,
}

impl RefreshAttempt<'_> {
    /// `None`: another request was faster.
    async fn answer(&self, backend: &Backend) -> Result<Option<Response>, ApiError> {
        let now = backend.now();
        let row = backend.store().find(self.token.hash()).await?;
        match decide(row, now, self.attempt, self.policy) {
            Refresh::Rotate(session) => {
                self.check(&session)?;
                self.check_user(&session, backend).await?;
                self.count(&session, backend).await?;
                let seed = issue::random_seed()?;
                let successor = seed.seal(&self.token);
                let rotation = Rotation { at: now, attempt: self.attempt, successor };
                let tokens = self.tokens(&session, &rotation, backend).await?;
                let rows = tokens.rows(backend);
                if !backend.store().rotate(self.token.hash(), rotation, &rows, now).await? {
                    return Ok(None);
                }
                backend.metrics().count(Counter::TokensRefreshed);
                audit("refreshed", &session, self.client);
                tokens.answer(self.carrier, backend).map(Some)
            }
            Refresh::Repeat(session, rotation) => self.repeat(&session, &rotation, backend).await,
            Refresh::RepeatIfUnused(session, rotation) => {
                let seed = rotation.successor.open(&self.token);
                let access = backend.find_access(&seed.access()).await?;
                let refresh = backend.store().find(seed.refresh().hash()).await?;
                if !is_unused(&rotation, access.as_ref(), refresh.as_ref()) {
                    return self.end(&session, backend).await;
                }
                self.repeat(&session, &rotation, backend).await
            }
            Refresh::Reused(session) => self.end(&session, backend).await,
            Refresh::Expired(_) | Refresh::Unknown => Err(ApiError::InvalidGrant),
        }
    }

    /// The pair that was handed out already.
    async fn repeat(
        &self,
        session: &Session,
        rotation: &Rotation,
        backend: &Backend,
    ) -> Result<Option<Response>, ApiError> {
        self.check(session)?;
        audit("refresh_repeated", session, self.client);
        let tokens = self.tokens(session, rotation, backend).await?;
        tokens.answer(self.carrier, backend).map(Some)
    }

    /// Somebody holds a copy: nobody is to go on with this session.
    async fn end(
        &self,
        session: &Session,
        backend: &Backend,
    ) -> Result<Option<Response>, ApiError> {
        let username = session.username.to_string();
        let scope = RevokeScope::Session { username, id: session.id };
        let ended = backend.store().remove(&scope).await?;
        backend.metrics().count(Counter::RefreshReused);
        backend.metrics().add(Counter::TokensRevoked, ended);
        warn!("a refresh token came back after its successor was handed out");
        audit("refresh_reused", session, self.client);
        Err(ApiError::InvalidGrant)
    }

    async fn tokens(
        &self,
        session: &Session,
        rotation: &Rotation,
        backend: &Backend,
    ) -> Result<issue::Tokens, ApiError> {
        let seed = rotation.successor.open(&self.token);
        // A client refreshes by itself: where idle sessions end, that is no use of them.
        let used_at = match backend.idle_limit() {
            Some(_) => lifecycle::last_use(session, backend).await?.min(rotation.at),
            None => rotation.at,
        };
        let origin = issue::IssueTimes { issued_at: rotation.at, used_at };
        issue::Tokens::pair(&seed, session, origin, self.policy, self.client, backend)
    }

    fn check(&self, session: &Session) -> Result<(), ApiError> {
        if let Err(error) = check_address(&self.token, session, self.client) {
            let is_elsewhere = error.refusal().is_some();
            return Err(if is_elsewhere { ApiError::InvalidGrant } else { error });
        }
        let post = &Method::POST;
        if self.carrier == Carrier::Cookie && !cookies::csrf_valid(post, self.headers, &session.id)
        {
            return Err(ApiError::CsrfFailed(session.id));
        }
        Ok(())
    }

    /// Whether the session may still go on.
    async fn check_user(&self, session: &Session, backend: &Backend) -> Result<(), ApiError> {
        if !backend.users().has(&session.username) {
            return Err(ApiError::InvalidGrant);
        }
        if backend.idle_limit().is_some() {
            let used_at = lifecycle::last_use(session, backend).await?;
            if backend.is_idle(&Session { used_at, ..session.clone() }) {
                return Err(ApiError::InvalidGrant);
            }
        }
        Ok(())
    }

    /// Each refresh leaves rows until the session ends.
    async fn count(&self, session: &Session, backend: &Backend) -> Result<(), ApiError> {
        let (now, key) = (backend.now(), attempt_key("refresh", &session.id.to_string()));
        let attempts = backend.store().attempt(key, now, REFRESHES.window).await?;
        match REFRESHES.wait(&attempts, now) {
            Some(wait) => {
                backend.metrics().count(Counter::RateLimited);
                Err(ApiError::RateLimited(wait))
            }
            None => Ok(()),
        }
    }
}

/// The session of a refresh token that was sent to sign out, and how it was sent. What is no such
/// token, or no JSON, is nothing that was sent.
pub(super) async fn session_to_end(
    headers: &HeaderMap,
    body: &[u8],
    backend: &Backend,
) -> Result<Option<(Session, Carrier)>, ApiError> {
    let request: Option<RefreshRequest> = serde_json::from_slice(body).ok();
    let in_body = request.and_then(|request| request.refresh_token);
    let (carrier, text) = match (&in_body, cookies::refresh_in(headers)) {
        (Some(text), _) => (Carrier::Header, text.as_bytes()),
        (None, Some(text)) => (Carrier::Cookie, text),
        (None, None) => return Ok(None),
    };
    let Some(token) = Token::parse(text) else { return Ok(None) };
    let row = backend.store().find(token.hash()).await?;
    let now = backend.now();
    let session = row.filter(|row| row.kind == Kind::Refresh && !row.is_expired(now));
    let Some(session) = session else { return Ok(None) };
    if carrier == Carrier::Cookie && !cookies::csrf_valid(&Method::POST, headers, &session.id) {
        return Err(ApiError::CsrfFailed(session.id));
    }
    Ok(Some((session, carrier)))
}

#[derive(Deserialize)]
pub(crate) struct RefreshRequest {
    /// Missing where the cookie carries it.
    refresh_token: Option<String>,
    attempt: Option<String>,
}

impl Input for RefreshRequest {
    const EXPECTED: &'static str =
        r#"send {"refresh_token": string}, and "attempt": string to have a lost answer again"#;
}
