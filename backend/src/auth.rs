//! Signing in and out, and the check that every protected route goes through.
//!
//! Rule 1: a token is in an answer only after its session is stored.
//! Rule 2: a request is refused as 401 only when the store was asked and had no valid session.
//!
//! It deliberately does not know the kinds of store. Refresh with rotation belongs here, beside
//! `login`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use session_keeper_tokens::{
    Presented, Session, Token, TokenHash, Verdict, read_authorization, verify,
};

use crate::app::Backend;
use crate::body::{Body, Input};
use crate::clock;
use crate::error::ApiError;
use crate::identity::Identity;

pub(crate) async fn login(
    State(backend): State<Arc<Backend>>,
    Body(Credentials { username, password }): Body<Credentials>,
) -> Result<Json<LoginAnswer>, ApiError> {
    if !backend.users().check(username.clone(), password).await? {
        return Err(ApiError::InvalidCredentials);
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let token = Token::from_random(random);
    let (now, lifetime) = (backend.now(), backend.lifetime());
    let session = Session::new(username.clone(), now, lifetime);
    backend.store().insert(token.hash(), session, now).await?;
    Ok(Json(LoginAnswer {
        access_token: token.expose(),
        token_type: "Bearer",
        expires_in: lifetime.as_secs(),
        user: User { username },
    }))
}

pub(crate) async fn me(State(backend): State<Arc<Backend>>, user: SignedIn) -> Json<MeAnswer> {
    Json(MeAnswer {
        username: user.session.username,
        expires_at: clock::iso(user.session.expires_at),
        identity: backend.identity().clone(),
    })
}

pub(crate) async fn logout(
    State(backend): State<Arc<Backend>>,
    user: SignedIn,
) -> Result<StatusCode, ApiError> {
    backend.store().remove(user.hash, backend.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session that a request was made in. A route that takes it is served to nobody else.
pub(crate) struct SignedIn {
    pub(crate) session: Session,
    hash: TokenHash,
}

impl FromRequestParts<Arc<Backend>> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        backend: &Arc<Backend>,
    ) -> Result<Self, ApiError> {
        let hash = match presented(&parts.headers) {
            Presented::Token(token) => token.hash(),
            Presented::Malformed => return Err(ApiError::InvalidToken),
            Presented::Nothing => return Err(ApiError::NoToken),
        };
        match verify(backend.store().find(hash).await?, backend.now()) {
            Verdict::Valid(session) => Ok(Self { session, hash }),
            Verdict::Expired | Verdict::Unknown => Err(ApiError::InvalidToken),
        }
    }
}

/// Two `Authorization` headers are none that could be believed: which one counts would be anybody's
/// guess.
fn presented(headers: &HeaderMap) -> Presented {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Presented::Nothing,
        (Some(value), None) => read_authorization(value.as_bytes()),
        (Some(_), Some(_)) => Presented::Malformed,
    }
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

impl Input for Credentials {
    const EXPECTED: &'static str = r#"send {"username": string, "password": string}"#;
}

#[derive(Serialize)]
pub(crate) struct LoginAnswer {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    user: User,
}

#[derive(Serialize)]
struct User {
    username: String,
}

#[derive(Serialize)]
pub(crate) struct MeAnswer {
    username: String,
    expires_at: String,
    #[serde(flatten)]
    identity: Identity,
}
