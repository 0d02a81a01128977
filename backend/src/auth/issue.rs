//! Tokens as they come to be, and the answers that carry them.
//!
//! Rule: a token is in an answer only after its session is stored.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use session_keeper_tokens::{
    Binding, Kind, Lifetime, RefreshPolicy, Rotation, Seed, Session, SessionId, Token, TokenHash,
    UnixMillis,
};
use tracing::info;

use super::carrier::Carrier;
use crate::backend::Backend;
use crate::client::Client;
use crate::cookies::{self, Cookie};
use crate::error::ApiError;
use crate::metrics::Counter;
use crate::store::Row;

/// When tokens were issued, and when their session was last used.
#[derive(Debug, Clone, Copy)]
pub(super) struct IssueTimes {
    pub(super) issued_at: UnixMillis,
    pub(super) used_at: UnixMillis,
}

/// Tokens of one session that their owner may have.
pub(super) struct Tokens {
    session: Session,
    issued_at: UnixMillis,
    access: Token,
    refresh: Option<(Token, Session)>,
}

impl Tokens {
    /// The first ones of a session.
    pub(super) fn first(
        seed: &Seed,
        session: Session,
        client: &Client,
        backend: &Backend,
    ) -> Result<Self, ApiError> {
        let issued_at = session.created_at;
        match backend.refresh_policy() {
            None => Self::of(seed.access(), None, session, issued_at, client, backend),
            Some(policy) => {
                let refresh = session.sibling(Kind::Refresh, session.expires_at);
                let origin = IssueTimes { issued_at, used_at: issued_at };
                Self::pair(seed, &refresh, origin, policy, client, backend)
            }
        }
    }

    /// Those that follow from a refresh token's row.
    pub(super) fn pair(
        seed: &Seed,
        refresh: &Session,
        IssueTimes { issued_at, used_at }: IssueTimes,
        policy: &RefreshPolicy,
        client: &Client,
        backend: &Backend,
    ) -> Result<Self, ApiError> {
        // What is refreshed never outlives the first refresh token.
        let expires_at = issued_at.after(policy.access.as_duration()).min(refresh.expires_at);
        let mut access = refresh.sibling(Kind::Access, expires_at);
        access.used_at = used_at;
        let mut refresh = refresh.sibling(Kind::Refresh, refresh.expires_at);
        refresh.used_at = used_at;
        Self::of(seed.access(), Some((seed.refresh(), refresh)), access, issued_at, client, backend)
    }

    fn of(
        access: Token,
        refresh: Option<(Token, Session)>,
        session: Session,
        issued_at: UnixMillis,
        client: &Client,
        backend: &Backend,
    ) -> Result<Self, ApiError> {
        let session = session.bound(binding(&access, client, backend)?);
        let session = session.signed_with(backend.signing_key()?);
        let refresh = match refresh {
            Some((token, row)) => {
                let binding = binding(&token, client, backend)?;
                Some((token, row.bound(binding)))
            }
            None => None,
        };
        Ok(Self { session, issued_at, access, refresh })
    }

    /// What is stored of them.
    pub(super) fn rows(&self, backend: &Backend) -> Vec<Row> {
        let access = (backend.access_hash(&self.access), self.session.clone());
        let refresh = self.refresh.as_ref().map(|(token, row)| (token.hash(), row.clone()));
        std::iter::once(access).chain(refresh).collect()
    }

    /// The answer that hands them out: in cookies, or in the body.
    pub(super) fn answer(&self, carrier: Carrier, backend: &Backend) -> Result<Response, ApiError> {
        let now = backend.now();
        let life = self.session.expires_at.since(self.issued_at).as_secs();
        let expires_in = life.saturating_sub(now.since(self.issued_at).as_secs());
        info!("Token issued. Expires in {expires_in} seconds ({} hours)", expires_in / 3600);
        let access = backend.access_text(&self.access, &self.session, self.issued_at)?;
        let refresh = self.refresh.as_ref().map(|(token, _)| token.expose());
        let user = User { username: self.session.username.to_string() };
        if carrier == Carrier::Header {
            let body = TokenAnswer {
                access_token: Some(access),
                token_type: Some("Bearer"),
                expires_in,
                refresh_token: refresh,
                csrf_token: None,
                user,
            };
            return Ok(Json(body).into_response());
        }
        let csrf = self.session.id.csrf_token();
        // The page needs the CSRF token for the refresh too, which may come later.
        let longest = self.refresh.as_ref().map_or(&self.session, |(_, row)| row);
        let longest = longest.expires_at.since(now).as_secs();
        let mut set = vec![Cookie::session(&access, expires_in), Cookie::csrf(&csrf, longest)];
        set.extend(refresh.as_deref().map(|token| Cookie::refresh(token, longest)));
        let mut headers: HeaderMap =
            std::iter::once(cookies::csrf_header(&self.session.id)).collect();
        for cookie in set {
            let (name, value) = cookie.header(backend.same_site());
            headers.append(name, value);
        }
        let body = TokenAnswer {
            access_token: None,
            token_type: None,
            expires_in,
            refresh_token: None,
            csrf_token: Some(csrf),
            user,
        };
        Ok((headers, Json(body)).into_response())
    }
}

/// A fresh seed of the system's random bytes.
pub(super) fn random_seed() -> Result<Seed, ApiError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(Seed::from_random(random))
}

/// A fresh session id.
pub(super) fn random_session_id() -> Result<SessionId, ApiError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(SessionId::from(random))
}

/// The cookies of the token that takes `old`'s place, made or found again.
pub(super) async fn successor_cookies(
    old: &Token,
    hash: TokenHash,
    session: &Session,
    client: &Client,
    backend: &Backend,
) -> Result<Vec<(HeaderName, HeaderValue)>, ApiError> {
    let now = backend.now();
    let rotation = match session.rotation.as_deref() {
        Some(rotation) => *rotation,
        None => {
            let seed = random_seed()?;
            Rotation { at: now, attempt: None, successor: seed.seal(old) }
        }
    };
    let access = rotation.successor.open(old).access();
    let successor = successor_of(session, rotation.at, backend.lifetime())
        .bound(binding(&access, client, backend)?)
        .signed_with(backend.signing_key()?);
    if session.rotation.is_none() {
        // At the end of its three months it would be due again at once.
        if successor.expires_at <= session.expires_at {
            return Ok(Vec::new());
        }
        let row = (backend.access_hash(&access), successor.clone());
        if !backend.store().rotate(hash, rotation, &[row], now).await? {
            // Another request of this moment was faster, and carries the cookies.
            return Ok(Vec::new());
        }
        backend.metrics().count(Counter::TokensRefreshed);
    }
    let seconds = successor.expires_at.since(now).as_secs();
    let text = backend.access_text(&access, &successor, rotation.at)?;
    let csrf = session.id.csrf_token();
    let cookies = [Cookie::session(&text, seconds), Cookie::csrf(&csrf, seconds)];
    Ok(cookies.iter().map(|cookie| cookie.header(backend.same_site())).collect())
}

fn binding(token: &Token, client: &Client, backend: &Backend) -> Result<Option<Binding>, ApiError> {
    if !backend.binds_addresses() {
        return Ok(None);
    }
    Ok(Some(Binding::new(token, client.address.known()?)))
}

/// A rotated session goes on for another lifetime, and ends three months after the sign-in.
fn successor_of(session: &Session, at: UnixMillis, lifetime: Lifetime) -> Session {
    let end = session.created_at.after(Lifetime::MAX.as_duration());
    let expires_at = at.after(lifetime.as_duration()).min(end);
    session.sibling(Kind::Access, expires_at)
}

/// As OAuth has it (RFC 6749 section 5.1), without the tokens where they are in cookies.
#[derive(Serialize)]
struct TokenAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Seconds.
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// For pages that cannot read the API's cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
    user: User,
}

#[derive(Serialize)]
struct User {
    username: String,
}

/// Keeps the first tokens of a session, and hands them out.
pub(super) async fn begin(
    session: Session,
    client: &Client,
    carrier: Carrier,
    backend: &Arc<Backend>,
) -> Result<Response, ApiError> {
    let tokens = Tokens::first(&random_seed()?, session, client, backend)?;
    backend.store().insert(&tokens.rows(backend), backend.now()).await?;
    backend.metrics().count(Counter::TokensIssued);
    tokens.answer(carrier, backend)
}
