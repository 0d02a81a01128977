//! `GET /.well-known/jwks.json`: the public keys, for services that check tokens by themselves.
//!
//! Rule: what such a service cannot see is whether the session was ended: it must take tokens with
//! a short life only, or ask `/auth/me`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::backend::Backend;
use crate::error::ApiError;

pub(crate) async fn jwks(State(backend): State<Arc<Backend>>) -> Result<Json<Value>, ApiError> {
    let keys = match backend.keys() {
        Some(keys) => keys.public()?,
        None => None,
    };
    keys.map(Json).ok_or(ApiError::NotFound)
}
