//! `GET /api/debug/token`: what the server thinks of the token that the request carries, and of its
//! own for the API behind it.
//!
//! Rule: it is 404 unless the operator asked for it, tells of no other user's token than the
//! caller's, and shows none. It answers 200 for a token that is no good: it is a view, not a
//! verdict. Where nothing is presented and there is an API behind, the answer is about that token
//! alone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Serialize;
use session_keeper_tokens::Session;

use super::credential::Credential;
use crate::backend::Backend;
use crate::clock;
use crate::cross_origin::Initiator;
use crate::error::ApiError;
use crate::upstream::{Upstream, UpstreamTokenInfo};

pub(crate) async fn debug_token(
    State(backend): State<Arc<Backend>>,
    Extension(initiator): Extension<Initiator>,
    headers: HeaderMap,
) -> Result<Json<DebugAnswer>, ApiError> {
    if !backend.debugs_tokens() {
        return Err(ApiError::NotFound);
    }
    let (has_token, session) = match Credential::read(&headers, initiator, &backend) {
        Ok(credential) => match credential.session(&backend).await {
            Ok(session) => (true, Some(session)),
            Err(error) if error.refusal().is_some() => (true, None),
            Err(error) => return Err(error),
        },
        Err(error) => match error.refusal() {
            Some(refusal) => (refusal.presented_something(), None),
            None => return Err(error),
        },
    };
    let upstream = backend.upstream().map(Upstream::describe);
    if let (false, Some(info)) = (has_token, &upstream) {
        return Ok(Json(DebugAnswer {
            status: "ok",
            token_available: info.has_token,
            token_info: TokenInfo::of_upstream(info.clone()),
            upstream: None,
        }));
    }
    Ok(Json(DebugAnswer {
        status: "ok",
        token_available: has_token,
        token_info: TokenInfo::new(has_token, session.as_ref(), &backend),
        upstream,
    }))
}

/// Names and units as in the keeper's `debug()`.
#[derive(Serialize)]
pub(crate) struct DebugAnswer {
    status: &'static str,
    token_available: bool,
    token_info: TokenInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamTokenInfo>,
}

#[derive(Serialize)]
struct TokenInfo {
    has_token: bool,
    is_valid: bool,
    /// Seconds.
    expires_in: Option<u64>,
    expiry_time: Option<String>,
    saved_at: Option<String>,
    /// The session's id: the same after a restart, if the session is the same.
    token_id: Option<String>,
}

impl TokenInfo {
    fn of_upstream(info: UpstreamTokenInfo) -> Self {
        let UpstreamTokenInfo { has_token, is_valid, expires_in, expiry_time } = info;
        Self { has_token, is_valid, expires_in, expiry_time, saved_at: None, token_id: None }
    }

    fn new(has_token: bool, session: Option<&Session>, backend: &Backend) -> Self {
        Self {
            has_token,
            is_valid: session.is_some(),
            expires_in: session.map(|row| row.expires_at.since(backend.now()).as_secs()),
            expiry_time: session.map(|row| clock::iso(row.expires_at)),
            saved_at: session.map(|row| clock::iso(row.created_at)),
            token_id: session.map(|row| row.id.to_string()),
        }
    }
}
