//! `GET /api/health`: proof that this server, and not something before it, answers.
//!
//! Rule: it waits for nothing: no store, no lock, no credential. A browser asks it each 30 s, and
//! asks most when everything else is slow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::identity::Identity;

pub(crate) async fn health(State(backend): State<Arc<Backend>>) -> Json<Health> {
    if let Some(delay) = backend.health_delay() {
        // `--fault slow-health`: as one that waits for its database does.
        sleep(delay).await;
    }
    Json(Health {
        status: "ok",
        identity: backend.identity().clone(),
        uptime: backend.uptime().as_secs_f64(),
        now: backend.now().0,
    })
}

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    #[serde(flatten)]
    identity: Identity,
    /// Seconds.
    uptime: f64,
    /// Unix milliseconds.
    now: u64,
}
