//! Signing in.
//!
//! Rule 1: an account that does not exist is answered, counted and limited as one that does.
//! Rule 2: an attempt is counted before the password is looked at, and when its turn has come: so
//! guesses at once are counted too, and a crowd that signs in rightly is not.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::response::Response;
use serde::Deserialize;
use session_keeper_tokens::{Device, Limit, Session, attempt_key, network_of};
use tracing::info;

use super::{Carrier, issue};
use crate::app::Backend;
use crate::body::{Body, Input};
use crate::client::Client;
use crate::error::ApiError;
use crate::logging::AUDIT;
use crate::metrics::Counter;
use crate::store::{AttemptKey, Forgiven};

pub(crate) async fn login(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Body(Credentials { username, password, cookie }): Body<Credentials>,
) -> Result<Response, ApiError> {
    let account = attempt_key("account", &username);
    let address = attempt_key("address", &network_of(client.address).to_string());
    let turn = backend.users().turn().await?;
    let limits = backend.limits();
    // The address first: whoever is over that limit touches no account.
    count(&backend, address, &limits.by_address(), ("address", &client)).await?;
    count(&backend, account, &limits.by_account(), ("account", &client)).await?;
    if !backend.users().check(turn, username.clone(), password).await? {
        backend.metrics().count(Counter::LoginsRefused);
        // The name may be a password that was typed into the wrong field.
        info!(target: AUDIT, event = "sign_in_refused", address = %client.address);
        return Err(ApiError::InvalidCredentials);
    }
    backend.store().forgive(account, Forgiven::All).await?;
    backend.store().forgive(address, Forgiven::One).await?;
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let device = Device::from_user_agent(agent);
    let id = issue::random_session_id()?;
    let session = Session::begin(id, &username, device, backend.now(), backend.lifetime());
    let carrier = if cookie { Carrier::Cookie } else { Carrier::Header };
    let answer = issue::begin(session, &client, carrier, &backend).await?;
    info!(
        target: AUDIT,
        event = "signed_in", user = %username, session = %id, address = %client.address,
        device = %device
    );
    Ok(answer)
}

async fn count(
    backend: &Backend,
    key: AttemptKey,
    limit: &Limit,
    (of, client): (&'static str, &Client),
) -> Result<(), ApiError> {
    let now = backend.now();
    let attempts = backend.store().attempt(key, now, limit.window).await?;
    let Some(wait) = limit.wait(&attempts, now) else { return Ok(()) };
    backend.metrics().count(Counter::RateLimited);
    info!(target: AUDIT, event = "sign_in_limited", reason = of, address = %client.address);
    Err(ApiError::RateLimited(wait))
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    /// Whether the token comes in a cookie instead of the body.
    #[serde(default)]
    cookie: bool,
}

impl Input for Credentials {
    const EXPECTED: &'static str =
        r#"send {"username": string, "password": string}, with "cookie": true for a cookie"#;
}
