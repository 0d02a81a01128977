//! Who a request comes from: the check that every protected route goes through.
//!
//! Rule 1: a request is refused as 401 only when the store was asked and had no valid session, or
//! when what was presented is nothing that we could have handed out.
//! Rule 2: a request that nobody's action caused (`X-Background: 1`) is no use of the session.
//!
//! It deliberately does not know the kinds of store, nor how tokens come to be: that is `issue`'s.

mod debug;
mod issue;
mod login;
mod refresh;
mod sessions;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use session_keeper_tokens::{
    Binding, Presented, Session, Token, TokenHash, UnixMillis, Verdict, is_due, is_superseded,
    verify,
};
use tracing::{debug, info, warn};

use crate::app::Backend;
use crate::client::{Client, Outbox};
use crate::cookies;
use crate::cors::X_BACKGROUND;
use crate::error::{ApiError, Refusal};
use crate::keys::{self, Checked};
use crate::logging::AUDIT;
use crate::metrics::Counter;

pub(crate) use debug::debug_token;
pub(crate) use login::login;
pub(crate) use refresh::refresh;
pub(crate) use sessions::{end_session, list_sessions, logout, logout_everywhere, me};

const MISSING_KEY: &str = "a valid session's token is signed with a key that this server does not \
                           have: put the key back, or end the sessions by `token revoke`";

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
        let outcome = authenticate(parts, backend).await;
        match &outcome {
            Ok((session, _)) => {
                backend.metrics().count(Counter::TokensVerified);
                debug!("Token validated for user: {}", session.username);
            }
            Err(error) => {
                if let Some(refusal) = error.refusal() {
                    backend.metrics().count(Counter::TokensRefused);
                    info!("Token validation failed: {refusal}");
                }
            }
        }
        outcome.map(|(session, hash)| Self { session, hash })
    }
}

async fn authenticate(parts: &Parts, backend: &Backend) -> Result<(Session, TokenHash), ApiError> {
    let credential = Credential::look_up(&parts.headers, backend).await?;
    let session = credential.session(backend).await?;
    backend.token_limit().count(credential.hash, backend.now())?;
    let client = Client::of(&parts.extensions);
    let binding = Binding::new(&credential.token, client.address);
    if !session.may_come_from(&binding) {
        info!(
            target: AUDIT,
            event = "address_changed", user = %session.username, session = %session.id,
            address = %client.address
        );
        return Err(ApiError::Refused(Refusal::AddressChanged));
    }
    let is_of_cookie = credential.carrier == Carrier::Cookie;
    if is_of_cookie && !cookies::is_ours(&parts.method, &parts.headers, &session.id) {
        return Err(ApiError::CsrfFailed);
    }
    if parts.headers.get(X_BACKGROUND).is_none_or(|value| value != "1") {
        credential.note_use(&session, backend).await;
        if is_of_cookie {
            let rotated = rotate_on_activity(&credential, &session, &client, backend).await;
            match (rotated, Outbox::of(&parts.extensions)) {
                (Ok(cookies), Some(outbox)) => outbox.add(cookies),
                (Ok(_), None) => {}
                // The token is as good as it was; the next request tries again.
                (Err(_), _) => warn!("a token that is due cannot be rotated"),
            }
        }
    }
    Ok((session, credential.hash))
}

/// How a token was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Header,
    Cookie,
}

/// What a request presents, before anybody was asked about it.
struct Credential {
    carrier: Carrier,
    token: Token,
    hash: TokenHash,
}

impl Credential {
    /// Reads the `Authorization` header, or where it presents nothing the cookie.
    fn read(headers: &HeaderMap, backend: &Backend) -> Result<Self, ApiError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let in_header = match (values.next(), values.next()) {
            (Some(value), None) => Presented::from_authorization(value.as_bytes()),
            // Which of two counts would be anybody's guess.
            (Some(_), Some(_)) => Presented::Malformed,
            (None, _) => Presented::Nothing,
        };
        // A scheme that is not ours is a proxy's business, and no reason to overlook the cookie.
        let (carrier, presented) = match (in_header, cookies::session_in(headers)) {
            (Presented::Nothing, Some(text)) => (Carrier::Cookie, Presented::from_token(text)),
            (presented, _) => (Carrier::Header, presented),
        };
        match presented {
            Presented::Nothing => Err(ApiError::Refused(Refusal::NothingPresented)),
            Presented::Malformed => Err(ApiError::Refused(Refusal::Malformed)),
            Presented::Opaque(token) => Ok(Self { carrier, hash: token.hash(), token }),
            Presented::Signed(text) => {
                let token = match keys::check(backend.keys(), text)? {
                    Checked::Good(token) => token,
                    Checked::OtherKey(token) => return Err(ApiError::OtherKey(token)),
                    Checked::Wrong => return Err(ApiError::Refused(Refusal::WrongSignature)),
                };
                Ok(Self { carrier, hash: token.signed_hash(), token })
            }
        }
    }

    /// The same, where a token of ours is signed with a key that is not here: refused only where
    /// there is no such session. Otherwise the key is missing, and that is nobody's sign-out.
    async fn look_up(headers: &HeaderMap, backend: &Backend) -> Result<Self, ApiError> {
        match Self::read(headers, backend) {
            Err(ApiError::OtherKey(token)) => {
                let row = backend.store().find(token.signed_hash()).await?;
                let is_known = matches!(verify(row, backend.now()), Verdict::Valid(_));
                if is_known && !backend.forgets_keys() {
                    return Err(ApiError::unavailable(MISSING_KEY));
                }
                Err(ApiError::Refused(Refusal::WrongSignature))
            }
            outcome => outcome,
        }
    }

    async fn session(&self, backend: &Backend) -> Result<Session, ApiError> {
        let now = backend.now();
        match verify(backend.store().find(self.hash).await?, now) {
            Verdict::Valid(session) => Ok(session),
            Verdict::Rotated(session) => self.not_superseded(session, now, backend).await,
            Verdict::Expired(_) => Err(ApiError::Refused(Refusal::Expired)),
            Verdict::Unknown => Err(ApiError::Refused(Refusal::Unknown)),
        }
    }

    async fn not_superseded(
        &self,
        session: Session,
        now: UnixMillis,
        backend: &Backend,
    ) -> Result<Session, ApiError> {
        let Some(rotation) = session.rotation.as_deref() else { return Ok(session) };
        let seed = rotation.successor.open(&self.token);
        let successor = backend.find_access(&seed.access()).await?;
        if is_superseded(rotation, successor.as_ref(), now) {
            return Err(ApiError::Refused(Refusal::Superseded));
        }
        Ok(session)
    }

    /// A store that is full, or may only be read, refuses this: no reason to refuse the request.
    async fn note_use(&self, session: &Session, backend: &Backend) {
        let now = backend.now();
        if session.is_worth_noting(now)
            && let Err(error) = backend.store().touch(self.hash, now).await
        {
            warn!("a use cannot be noted: {error}");
        }
    }
}

/// Gives a cookie session whose token is old another one: the cookies for this answer. An answer
/// that is lost loses nobody: the old token counts until the new one was used.
async fn rotate_on_activity(
    credential: &Credential,
    session: &Session,
    client: &Client,
    backend: &Backend,
) -> Result<Vec<(HeaderName, HeaderValue)>, ApiError> {
    let Some(after) = backend.rotate_after() else { return Ok(Vec::new()) };
    if session.rotation.is_none() && !is_due(session, backend.now(), backend.lifetime(), after) {
        return Ok(Vec::new());
    }
    issue::successor_cookies(&credential.token, credential.hash, session, client, backend).await
}
