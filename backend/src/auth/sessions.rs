//! A user's sessions: this one, all of them, and their end.
//!
//! Rule: nobody learns of another user's session, not even whether there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::{Extension, Json};
use serde::Serialize;
use session_keeper_tokens::{Session, SessionId, UnixMillis};
use tracing::info;

use super::{SignedIn, refresh};
use crate::app::Backend;
use crate::body::Raw;
use crate::client::Client;
use crate::clock;
use crate::cookies::Cookie;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::logging::AUDIT;
use crate::metrics::Counter;
use crate::store::Whose;

pub(crate) async fn me(State(backend): State<Arc<Backend>>, user: SignedIn) -> Json<MeAnswer> {
    Json(MeAnswer {
        username: user.session.username.into(),
        expires_at: clock::iso(user.session.expires_at),
        identity: backend.identity().clone(),
    })
}

/// Also with the refresh token, so that whoever comes back after half a day can sign out.
pub(crate) async fn logout(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    user: Result<SignedIn, ApiError>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    let session = match user {
        Ok(SignedIn { session, .. }) => session,
        Err(error) if error.refusal().is_some() => {
            refresh::session_to_end(&headers, &body, &backend).await?.ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    let username = session.username.to_string();
    end(&backend, &Whose::Session { username, id: session.id }).await?;
    audit("signed_out", &session, &client);
    Ok((StatusCode::NO_CONTENT, without_cookies(&backend)))
}

pub(crate) async fn logout_everywhere(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    SignedIn { session, hash }: SignedIn,
) -> Result<impl IntoResponse, ApiError> {
    // A store whose list of the user's tokens was evicted learns of it by a token that is used.
    backend.store().touch(hash, backend.now()).await?;
    end(&backend, &Whose::User(session.username.to_string())).await?;
    audit("signed_out_everywhere", &session, &client);
    Ok((StatusCode::NO_CONTENT, without_cookies(&backend)))
}

/// The sessions of the user, the newest first.
pub(crate) async fn list_sessions(
    State(backend): State<Arc<Backend>>,
    SignedIn { session: this, .. }: SignedIn,
) -> Result<Json<SessionList>, ApiError> {
    let now = backend.now();
    let tokens = backend.store().of_user(&this.username).await?;
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
    let listed = sessions.iter().map(|session| Listed::new(session, session.id == this.id));
    Ok(Json(SessionList { sessions: listed.collect() }))
}

/// Ends one session of the user.
pub(crate) async fn end_session(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    SignedIn { session: this, .. }: SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NoSuchSession)?;
    // By the user's own name: another user's session is not found.
    let tokens = backend.store().of_user(&this.username).await?;
    let session = tokens.into_iter().find(|token| token.id == id);
    let session = session.ok_or(ApiError::NoSuchSession)?;
    let username = session.username.to_string();
    end(&backend, &Whose::Session { username, id }).await?;
    audit("session_ended", &session, &client);
    let cookies = if id == this.id { without_cookies(&backend).0 } else { Vec::new() };
    Ok((StatusCode::NO_CONTENT, AppendHeaders(cookies)))
}

async fn end(backend: &Backend, whose: &Whose) -> Result<(), ApiError> {
    let ended = backend.store().remove(whose).await?;
    backend.metrics().add(Counter::TokensRevoked, ended);
    Ok(())
}

type SetCookies = AppendHeaders<Vec<(axum::http::HeaderName, axum::http::HeaderValue)>>;

fn without_cookies(backend: &Backend) -> SetCookies {
    AppendHeaders(Cookie::none().map(|cookie| cookie.header(backend.same_site())).into())
}

fn audit(event: &'static str, session: &Session, client: &Client) {
    info!(
        target: AUDIT,
        event, user = %session.username, session = %session.id, address = %client.address
    );
}

#[derive(Serialize)]
pub(crate) struct MeAnswer {
    username: String,
    expires_at: String,
    #[serde(flatten)]
    identity: Identity,
}

#[derive(Serialize)]
pub(crate) struct SessionList {
    sessions: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    id: String,
    /// Whether the request was made in it.
    current: bool,
    device: String,
    created_at: String,
    /// When the user last did something in it, to a minute.
    used_at: String,
    expires_at: String,
}

impl Listed {
    fn new(session: &Session, current: bool) -> Self {
        let used_at = UnixMillis(session.used_at.0.max(session.created_at.0));
        Self {
            id: session.id.to_string(),
            current,
            device: session.device.to_string(),
            created_at: clock::iso(session.created_at),
            used_at: clock::iso(used_at),
            expires_at: clock::iso(session.expires_at),
        }
    }
}
