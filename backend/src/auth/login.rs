//! Signing in.
//!
//! Rule 1: an account that does not exist is answered, counted and limited as one that does.
//! Rule 2: an attempt is counted before the password is looked at, and when its turn has come: so
//! guesses at once are counted too, and a crowd that signs in rightly is not.
//! Rule 3: what was counted is finished and audited, also when the client has gone: whoever hangs
//! up buys nothing by it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::response::Response;
use serde::Deserialize;
use session_keeper_tokens::{Device, Limit, Session, attempt_key, network_of};
use tokio::sync::oneshot;
use tracing::info;

use super::carrier::Carrier;
use super::{issue, lifecycle};
use crate::backend::Backend;
use crate::body::{Body, Input};
use crate::client::{Address, Client};
use crate::cross_origin::Initiator;
use crate::error::ApiError;
use crate::logging::AUDIT;
use crate::metrics::Counter;
use crate::passwords::Slot;
use crate::store::{AttemptKey, AttemptReset};
use crate::users::account_key;

pub(crate) async fn login(
    State(backend): State<Arc<Backend>>,
    Extension(client): Extension<Client>,
    Extension(initiator): Extension<Initiator>,
    headers: HeaderMap,
    Body(credentials): Body<Credentials>,
) -> Result<Response, ApiError> {
    if backend.binds_addresses() {
        client.address.known()?;
    }
    let slot = backend.users().acquire_slot().await?;
    let attempt = LoginAttempt { backend, client, initiator, headers, credentials };
    let (sender, receiver) = oneshot::channel();
    // On a task of its own: dropping this handler, as hyper does when the client hangs up, neither
    // frees the slot nor loses the audit line.
    tokio::spawn(async move {
        let outcome = attempt.run(slot, &sender).await;
        // Nobody waits any more: it is audited.
        drop(sender.send(outcome));
    });
    receiver.await.unwrap_or_else(|_| Err(ApiError::internal("a sign-in panicked")))
}

type Waiting = oneshot::Sender<Result<Response, ApiError>>;

struct LoginAttempt {
    backend: Arc<Backend>,
    client: Client,
    initiator: Initiator,
    headers: HeaderMap,
    credentials: Credentials,
}

impl LoginAttempt {
    async fn run(self, slot: Slot, waiting: &Waiting) -> Result<Response, ApiError> {
        let address = self.client.address;
        let outcome = self.try_to_sign_in(slot, waiting).await;
        if let Err(ApiError::Unavailable(_) | ApiError::Internal(_)) = outcome {
            info!(target: AUDIT, event = "sign_in_failed", reason = "server", address = %address);
        }
        outcome
    }

    async fn try_to_sign_in(self, slot: Slot, waiting: &Waiting) -> Result<Response, ApiError> {
        let Self { backend, client, initiator, headers, credentials } = self;
        let Credentials { username, password, cookie } = credentials;
        let account = attempt_key("account", &account_key(&username));
        let address = address_key(client.address);
        let limits = backend.limits();
        // The address first: whoever is over that limit touches no account.
        count(&backend, address, &limits.by_address(), ("address", &client)).await?;
        count(&backend, account, &limits.by_account(), ("account", &client)).await?;
        let Some(username) = backend.users().check(slot, username, password).await? else {
            backend.metrics().count(Counter::LoginsRefused);
            // The name may be a password that was typed into the wrong field.
            info!(target: AUDIT, event = "sign_in_refused", address = %client.address);
            return Err(ApiError::InvalidCredentials);
        };
        backend.store().reset_attempts(account, AttemptReset::All).await?;
        backend.store().reset_attempts(address, AttemptReset::One).await?;
        if waiting.is_closed() {
            info!(
                target: AUDIT,
                event = "sign_in_abandoned", user = &*username, address = %client.address
            );
            return Err(ApiError::invalid("the client has gone"));
        }
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let device = Device::from_user_agent(agent.unwrap_or_default());
        let id = issue::random_session_id()?;
        let session = Session::begin(id, &username, device, backend.now(), backend.lifetime());
        let carrier = if cookie { Carrier::Cookie } else { Carrier::Header };
        let answer = issue::begin(session.clone(), &client, carrier, &backend).await?;
        info!(
            target: AUDIT,
            event = "signed_in", user = &*username, session = %id, address = %client.address,
            device = &*device.to_string()
        );
        if carrier == Carrier::Cookie && initiator == Initiator::Ours {
            lifecycle::end_replaced(&headers, &session, &client, &backend).await;
        }
        lifecycle::end_surplus(&session, &client, &backend).await?;
        Ok(answer)
    }
}

/// Clients whose address is unknown share one count.
fn address_key(address: Address) -> AttemptKey {
    match address {
        Address::Known(address) => attempt_key("address", &network_of(address).to_string()),
        Address::Unknown => attempt_key("address", "unknown"),
    }
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
