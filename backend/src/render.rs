//! Writes errors.
//!
//! Rule: every error is JSON with `code`, `message`, `instance` and `boot`. This sees all answers,
//! so no route, extractor or layer can answer otherwise; only what is passed on from the API behind
//! this server ([`PassedOn`]) stays as it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::ALLOW;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::backend::Backend;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::metrics::Counter;

/// Marks an answer that another server wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOn;

/// Writes the error that an answer stands for, whoever made it.
pub(crate) async fn render(
    State(backend): State<Arc<Backend>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => error,
        None if response.extensions().get::<PassedOn>().is_some() => return response,
        None if status.is_client_error() || status.is_server_error() => {
            ApiError::from_status(status)
        }
        None => return response,
    };
    if let Some(cause) = error.cause() {
        error!("{}: {cause}", error.code());
    }
    if matches!(error, ApiError::Unavailable(_)) {
        backend.metrics().count(Counter::StoreUnavailable);
    }
    let body = Body { code: error.code(), message: error.message(), identity: backend.identity() };
    let mut rendered = (error.status(), Json(body)).into_response();
    rendered.headers_mut().extend(error.headers());
    if let Some(methods) = response.headers().get(ALLOW) {
        rendered.headers_mut().insert(ALLOW, methods.clone());
    }
    rendered
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(flatten)]
    identity: &'a Identity,
}
