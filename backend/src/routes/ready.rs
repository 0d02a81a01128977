//! `GET /api/ready`: whether requests can be served just now, which needs the store.
//!
//! Rule: it asks the store, and is 503 where that does not answer. Health does not: a browser asks
//! that one, and an orchestrator that restarted this server because its database is away would only
//! make things worse. Load balancers ask this one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use session_keeper_tokens::TokenHash;

use crate::backend::Backend;
use crate::error::ApiError;
use crate::identity::Identity;

pub(crate) async fn ready(State(backend): State<Arc<Backend>>) -> Result<Json<Ready>, ApiError> {
    // Nobody's token: what counts is that there is an answer.
    backend.store().find(TokenHash::from([0; 32])).await?;
    Ok(Json(Ready { status: "ready", identity: backend.identity().clone() }))
}

#[derive(Serialize)]
pub(crate) struct Ready {
    status: &'static str,
    #[serde(flatten)]
    identity: Identity,
}
