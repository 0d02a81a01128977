//! Who a request comes from: the check that every protected route goes through.
//!
//! Rule 1: a request is refused as 401 only when the store was asked and had no valid session, or
//! when what was presented is nothing that we could have handed out.
//! Rule 2: a safe request that nobody's action caused (`X-Background: 1`) is no use of the session.
//! One that changes something is somebody's action, whatever it says of itself.
//! Rule 3: what a token says of itself decides nothing before its signature was checked: not the
//! verdict, and not what the operator is told.
//!
//! It deliberately does not know the kinds of store, nor how tokens come to be: that is `issue`'s.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use session_keeper_tokens::{
    Binding, KeyId, Presented, Session, Token, TokenHash, UnixMillis, Verdict, is_due,
    is_superseded, verify,
};
use tracing::{debug, info, warn};

use super::carrier::Carrier;
use super::issue;
use crate::backend::Backend;
use crate::client::Client;
use crate::cookies;
use crate::cors::X_BACKGROUND;
use crate::cross_origin::Initiator;
use crate::error::{ApiError, Refusal};
use crate::keys::{self, Checked};
use crate::logging::AUDIT;
use crate::metrics::Counter;
use crate::response_cookies::ResponseCookies;

const MISSING_KEY: &str = "a valid session's token is signed with a key that this server does not \
                           have: put the key back, or end the sessions by `token revoke`";

/// The session that a request was made in. A route that takes it is served to nobody else.
pub(crate) struct SignedIn {
    pub(crate) session: Session,
    pub(super) carrier: Carrier,
    pub(super) hash: TokenHash,
}

impl FromRequestParts<Arc<Backend>> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        backend: &Arc<Backend>,
    ) -> Result<Self, ApiError> {
        let outcome = authenticate(parts, backend).await;
        match &outcome {
            Ok(Self { session, .. }) => {
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
        outcome
    }
}

async fn authenticate(parts: &Parts, backend: &Backend) -> Result<SignedIn, ApiError> {
    let initiator = Initiator::of(&parts.extensions);
    let credential = Credential::read(&parts.headers, initiator, backend)?;
    let carrier = credential.carrier;
    let session = credential.session(backend).await?;
    backend.token_limit().count(credential.hash, backend.now())?;
    let client = Client::of(&parts.extensions);
    check_address(&credential.token, &session, &client)?;
    if carrier == Carrier::Cookie
        && !cookies::csrf_valid(&parts.method, &parts.headers, &session.id)
    {
        return Err(ApiError::CsrfFailed(session.id));
    }
    if !is_background(parts) {
        credential.note_use(&session, backend).await;
        if carrier == Carrier::Cookie {
            let rotated = rotate_on_activity(&credential, &session, &client, backend).await;
            match (rotated, ResponseCookies::of(&parts.extensions)) {
                (Ok(cookies), Some(response_cookies)) => response_cookies.add(cookies),
                (Ok(_), None) => {}
                // The token is as good as it was; the next request tries again.
                (Err(_), _) => warn!("a token that is due cannot be rotated"),
            }
        }
    }
    Ok(SignedIn { session, carrier, hash: credential.hash })
}

fn is_background(parts: &Parts) -> bool {
    parts.method.is_safe() && parts.headers.get(X_BACKGROUND).is_some_and(|value| value == "1")
}

/// Holds a token that is bound to an address against where it comes from.
pub(super) fn check_address(
    token: &Token,
    session: &Session,
    client: &Client,
) -> Result<(), ApiError> {
    if session.bound_to.is_none() {
        return Ok(());
    }
    if session.may_come_from(&Binding::new(token, client.address.known()?)) {
        return Ok(());
    }
    audit("address_changed", session, client);
    Err(ApiError::Refused(Refusal::AddressChanged))
}

/// One line for what happened to a session.
pub(super) fn audit(event: &'static str, session: &Session, client: &Client) {
    info!(
        target: AUDIT,
        event, user = &*session.username, session = %session.id, address = %client.address
    );
}

/// What a request presents, before anybody was asked about it.
pub(super) struct Credential {
    carrier: Carrier,
    token: Token,
    hash: TokenHash,
    /// The key that it names, where that is not here: then nothing that it says is proven.
    missing_key: Option<KeyId>,
}

impl Credential {
    /// Reads the `Authorization` header, or where it presents nothing the cookie.
    /// Another site's page has no cookie of ours to present.
    pub(super) fn read(
        headers: &HeaderMap,
        initiator: Initiator,
        backend: &Backend,
    ) -> Result<Self, ApiError> {
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
        if carrier == Carrier::Cookie && initiator == Initiator::Foreign {
            return Err(ApiError::ForeignOrigin);
        }
        let opaque = |token: Token| (token.hash(), token, None);
        let (hash, token, missing_key) = match presented {
            Presented::Nothing => return Err(ApiError::Refused(Refusal::NothingPresented)),
            Presented::Malformed => return Err(ApiError::Refused(Refusal::Malformed)),
            Presented::Opaque(token) => opaque(token),
            Presented::Signed(text) => match keys::check(backend.keys(), text)? {
                Checked::Good(token) => (token.signed_hash(), token, None),
                Checked::KeyMissing(token, key) => (token.signed_hash(), token, Some(key)),
                Checked::Wrong => return Err(ApiError::Refused(Refusal::WrongSignature)),
            },
        };
        Ok(Self { carrier, token, hash, missing_key })
    }

    /// The session that the token belongs to, if it is good for a request.
    pub(super) async fn session(&self, backend: &Backend) -> Result<Session, ApiError> {
        let now = backend.now();
        let session = match verify(backend.store().find(self.hash).await?, now) {
            Verdict::Valid(session) => session,
            Verdict::Rotated(session) => self.not_superseded(session, now, backend).await?,
            Verdict::Expired(_) => return Err(ApiError::Refused(Refusal::Expired)),
            Verdict::Unknown => return Err(ApiError::Refused(Refusal::Unknown)),
        };
        if let Some(key) = self.missing_key {
            // The row says which key its token was signed with. Where that is the one that is not
            // here, the token cannot be checked, and that is nobody's sign-out. One that names
            // another key is not ours. Rows of older versions do not say.
            let is_missing = session.key.is_none_or(|signed_with| signed_with == key);
            if is_missing && !backend.forgets_keys() {
                return Err(ApiError::unavailable(MISSING_KEY));
            }
            return Err(ApiError::Refused(Refusal::WrongSignature));
        }
        if backend.is_idle(&session) {
            return Err(ApiError::Refused(Refusal::Idle));
        }
        if !backend.users().has(&session.username) {
            return Err(ApiError::Refused(Refusal::UserRemoved));
        }
        Ok(session)
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
