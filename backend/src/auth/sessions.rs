//! A user's sessions: this one, all of them, and their end.
//!
//! Rule: nobody learns of another user's session, not even whether there is one.

use std::sync::Arc;

use super::carrier::Carrier;
use super::credential::{SignedIn, audit};
use super::lifecycle::{end, scope_of, sessions_of};
use super::refresh;
use crate::backend::Backend;
use crate::body::{Raw, require_json};
use crate::client::Client;
use crate::clock;
use crate::cookies::{self, Cookie};
use crate::error::ApiError;
use crate::identity::Identity;
use crate::store::RevokeScope;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::{Extension, Json};
use serde::Serialize;
use session_keeper_tokens::{Session, SessionId, UnixMillis};

/// With the CSRF token of a cookie session, for pages that cannot read the API's cookies.
pub(crate) async fn me(
    State(backend): State<Arc<Backend>>,
    SignedIn { session, carrier, .. }: SignedIn,
) -> impl IntoResponse {
    let is_cookie = carrier == Carrier::Cookie;
    let headers: Vec<_> =
        is_cookie.then(|| cookies::csrf_header(&session.id)).into_iter().collect();
    let answer = MeAnswer {
        csrf_token: is_cookie.then(|| session.id.csrf_token()),
        username: session.username.into(),
        expires_at: clock::iso(session.expires_at),
        identity: backend.identity().clone(),
    };
    (AppendHeaders(headers), Json(answer))
}

/// Also with the refresh token, so that whoever comes back after half a day can sign out.
pub(crate) async fn logout(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    user: Result<SignedIn, ApiError>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    // Before anything ends: a page can post a form or a text to any site without being asked.
    require_json(&headers, &body)?;
    let (session, carrier) = match user {
        Ok(SignedIn { session, carrier, .. }) => (session, carrier),
        Err(error) if error.refusal().is_some() => {
            refresh::session_to_end(&headers, &body, &backend).await?.ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    end(&backend, &scope_of(&session)).await?;
    audit("signed_out", &session, &client);
    Ok((StatusCode::NO_CONTENT, erased_cookies(carrier, &backend)))
}

pub(crate) async fn logout_everywhere(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    SignedIn { session, carrier, hash }: SignedIn,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    require_json(&headers, &body)?;
    // A store whose list of the user's tokens was evicted learns of it by a token that is used.
    backend.store().touch(hash, backend.now()).await?;
    end(&backend, &RevokeScope::User(session.username.to_string())).await?;
    audit("signed_out_everywhere", &session, &client);
    Ok((StatusCode::NO_CONTENT, erased_cookies(carrier, &backend)))
}

/// The sessions of the user, the newest first.
pub(crate) async fn list_sessions(
    State(backend): State<Arc<Backend>>,
    SignedIn { session: this, .. }: SignedIn,
) -> Result<Json<SessionList>, ApiError> {
    let sessions = sessions_of(&this.username, &backend).await?;
    let listed = sessions.iter().map(|session| Listed::new(session, session.id == this.id));
    Ok(Json(SessionList { sessions: listed.collect() }))
}

/// Ends one session of the user.
pub(crate) async fn end_session(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    SignedIn { session: this, carrier, .. }: SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NoSuchSession)?;
    // By the user's own name: another user's session is not found.
    let tokens = backend.store().of_user(&this.username).await?;
    let session = tokens.into_iter().find(|token| token.id == id);
    let session = session.ok_or(ApiError::NoSuchSession)?;
    end(&backend, &scope_of(&session)).await?;
    audit("session_ended", &session, &client);
    let carrier = if id == this.id { carrier } else { Carrier::Header };
    Ok((StatusCode::NO_CONTENT, erased_cookies(carrier, &backend)))
}

type SetCookies = AppendHeaders<Vec<(axum::http::HeaderName, axum::http::HeaderValue)>>;

/// Only of who sent one: the token of a body says nothing about the browser that it came through.
fn erased_cookies(carrier: Carrier, backend: &Backend) -> SetCookies {
    match carrier {
        Carrier::Cookie => {
            AppendHeaders(Cookie::none().map(|cookie| cookie.header(backend.same_site())).into())
        }
        Carrier::Header => AppendHeaders(Vec::new()),
    }
}

#[derive(Serialize)]
pub(crate) struct MeAnswer {
    username: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
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
