//! The API behind this server: one token for all workers, kept across restarts.
//!
//! Rule 1: a restart asks for no token where the one before is still good.
//! Rule 2: one process at a time asks for a token; the others read what it got.
//! Rule 3: where nothing can be kept, the token is in memory; where none can be had, the last one
//! is used until it has really expired.

mod endpoint;
mod file;
mod http;
mod token;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Uri;
use serde::Serialize;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::clock::{self, Clock};
use crate::config::{UpstreamOptions, variable};
use crate::error::ApiError;
use crate::store::{StoreError, blocking};
use endpoint::TokenEndpoint;
use file::{Found, Stamp, TokenFile};
pub(crate) use http::HttpClient;
pub(crate) use token::UpstreamToken;

/// What waits for a token that another request of this process gets.
const TURN_WAIT: Duration = Duration::from_secs(25);

/// Looking at the file takes microseconds. A disk that hangs must hold up no request for long.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// So long after a failure nobody asks again: a server in trouble gets a request each time, not one
/// for each of our users.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The API behind this server, and how it is signed in to.
pub(crate) struct Upstream {
    base: Uri,
    client: HttpClient,
    endpoint: TokenEndpoint,
    clock: Clock,
    /// `None`: in memory only.
    file: Option<TokenFile>,
    state: Mutex<State>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<UpstreamToken>>,
    /// The version of the file that the token stands in.
    stamp: Option<Stamp>,
    /// One that the API refused.
    rejected: Option<Arc<UpstreamToken>>,
    failed: Option<(Instant, String)>,
    obtained: usize,
}

impl Upstream {
    /// `None`: there is no such API. Fails where settings are missing, or where the file is another
    /// program's; where it cannot be used, the token is in memory only.
    pub(crate) fn open(
        options: &UpstreamOptions,
        is_persistent: bool,
        clock: Clock,
    ) -> Result<Option<Self>, String> {
        let Some(base) = options.url.clone() else { return Ok(None) };
        let endpoint = TokenEndpoint::new(options)?;
        let mut state = State::default();
        let file = if is_persistent {
            open_file(TokenFile::new(options, endpoint.client_id()), clock.now(), &mut state)?
        } else {
            warn!("Token persistence disabled: each start asks for another upstream token");
            None
        };
        Ok(Some(Self {
            base,
            client: http::client()?,
            endpoint,
            clock,
            file,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Gets a token before anybody needs it.
    pub(crate) async fn warm_up(&self) {
        if let Err(ApiError::UpstreamFailed(cause)) = self.token().await {
            warn!("no upstream token yet: {cause}");
        }
    }

    /// The address that paths are below.
    pub(crate) fn base(&self) -> &Uri {
        &self.base
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// How many tokens this process asked for.
    pub(crate) fn tokens_obtained(&self) -> usize {
        self.state().obtained
    }

    /// A token that is good for a while, if one can be had, or else one that is still good.
    pub(crate) async fn token(&self) -> Result<Arc<UpstreamToken>, ApiError> {
        if let Some(token) = self.fresh().await {
            return Ok(token);
        }
        let turn = timeout(TURN_WAIT, self.turn.lock()).await;
        let Ok(_turn) = turn else { return Err(ApiError::upstream("getting a token hangs")) };
        // Another request may have got one meanwhile, or have failed to.
        if let Some(token) = self.fresh().await {
            return Ok(token);
        }
        let outcome = match self.recent_failure() {
            Some(cause) => Err(cause),
            None => self.obtain().await,
        };
        let cause = match outcome {
            Ok(token) => return Ok(token),
            Err(cause) => cause,
        };
        let left = self.state().token.clone().filter(|token| token.is_valid(self.clock.now()));
        left.ok_or_else(|| {
            ApiError::upstream(&format!("no token from --upstream-token-url: {cause}"))
        })
    }

    /// The token as it is now, after a look at what others made of the file.
    async fn fresh(&self) -> Option<Arc<UpstreamToken>> {
        self.follow_file().await;
        let now = self.clock.now();
        self.state().token.clone().filter(|token| token.is_fresh(now))
    }

    /// Another worker may have got another token, and the operator may have cleared it.
    async fn follow_file(&self) {
        let Some(file) = self.file.clone() else { return };
        let Some(known) = self.state().stamp else { return };
        let now = self.clock.now();
        let look = blocking(move || match file.stamp() {
            Ok(None) => Some(Found::Nothing),
            Ok(Some(stamp)) if stamp != known => file.load(now).ok(),
            // A disk that is away says nothing of the token.
            Ok(Some(_)) | Err(_) => None,
        });
        let Ok(Some(found)) = timeout(LOOK_WAIT, look).await else { return };
        self.take(found);
    }

    fn take(&self, found: Found) -> Option<Arc<UpstreamToken>> {
        let mut state = self.state();
        match found {
            Found::Token(token, stamp) => {
                let token = Arc::new(token);
                state.stamp = Some(stamp);
                if state.rejected.as_ref() == Some(&token) {
                    return None;
                }
                state.token = Some(Arc::clone(&token));
                Some(token)
            }
            Found::Nothing => {
                (state.token, state.stamp) = (None, None);
                None
            }
        }
    }

    /// Only in turn. The lock is held over the request, so that of several workers one asks.
    async fn obtain(&self) -> Result<Arc<UpstreamToken>, String> {
        let lock = match self.file.clone() {
            Some(file) => {
                let now = self.clock.now();
                // Who cannot have the lock asks by itself: a token too many is no harm.
                blocking(move || {
                    let lock = file.lock().ok()?;
                    let found = file.load(now).unwrap_or(Found::Nothing);
                    Some((lock, found))
                })
                .await
            }
            None => None,
        };
        let lock = match lock {
            Some((lock, found @ Found::Token(..))) => {
                let token = self.take(found);
                let now = self.clock.now();
                if let Some(token) = token.filter(|token| token.is_fresh(now)) {
                    log_loaded(&token, now);
                    return Ok(token);
                }
                Some(lock)
            }
            Some((lock, Found::Nothing)) => Some(lock),
            None => None,
        };
        let now = self.clock.now();
        let token = match self.endpoint.ask(&self.client, now).await {
            Ok(token) => Arc::new(token),
            Err(cause) => {
                self.state().failed = Some((Instant::now(), cause.clone()));
                return Err(cause);
            }
        };
        let (seconds, hours) = (token.expires_in(now), token.expires_in(now) / 3600);
        info!("Successfully obtained new token. Expires in {seconds} seconds ({hours} hours)");
        let stamp = self.save(&token).await;
        drop(lock);
        let mut state = self.state();
        state.obtained += 1;
        (state.token, state.stamp) = (Some(Arc::clone(&token)), stamp);
        (state.rejected, state.failed) = (None, None);
        Ok(token)
    }

    /// `None`: it is in memory only.
    async fn save(&self, token: &Arc<UpstreamToken>) -> Option<Stamp> {
        let (file, token) = (self.file.clone()?, Arc::clone(token));
        match blocking(move || file.save(&token)).await {
            Ok(stamp) => stamp,
            Err(error) => {
                warn!("{error}: the upstream token is in memory only");
                None
            }
        }
    }

    /// Notes that the API refused a token, so that another one is asked for.
    pub(crate) fn reject(&self, token: &Arc<UpstreamToken>) {
        let mut state = self.state();
        if state.token.as_ref() == Some(token) {
            state.rejected = state.token.take();
        }
    }

    fn recent_failure(&self) -> Option<String> {
        let state = self.state();
        let (at, cause) = state.failed.as_ref()?;
        (at.elapsed() < PAUSE_AFTER_FAILURE).then(|| cause.clone())
    }

    /// What the server thinks of its own token, without showing it.
    pub(crate) fn describe(&self) -> UpstreamTokenInfo {
        let now = self.clock.now();
        let token = self.state().token.clone();
        UpstreamTokenInfo {
            has_token: token.is_some(),
            is_valid: token.as_ref().is_some_and(|token| token.is_valid(now)),
            expires_in: token.as_ref().map(|token| token.expires_in(now)),
            expiry_time: token.as_ref().map(|token| clock::iso(token.expires_at)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each field is replaced in one go: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names and units as in `/api/debug/token`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpstreamTokenInfo {
    pub(crate) has_token: bool,
    pub(crate) is_valid: bool,
    /// Seconds.
    pub(crate) expires_in: Option<u64>,
    pub(crate) expiry_time: Option<String>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Removes the file that `options` lead to, and says which and whether there was one.
pub(crate) fn clear(options: &UpstreamOptions) -> Result<(String, bool), String> {
    let client_id = variable("UPSTREAM_CLIENT_ID").unwrap_or_default();
    if options.token_file.is_none() && (options.token_url.is_none() || client_id.is_empty()) {
        return Err("name the file by --upstream-token-file, or give the server's \
                    --upstream-token-url and UPSTREAM_CLIENT_ID"
            .to_owned());
    }
    let file = TokenFile::new(options, &client_id);
    // Another program's file is left alone; one that cannot be read of ours is removed by this.
    let was_there = file.path().exists();
    let now = clock::system_now();
    file.load(now).map_err(|error| error.to_string())?;
    file.remove().map_err(|error| error.to_string())?;
    Ok((file.path().display().to_string(), was_there))
}

fn open_file(
    file: TokenFile,
    now: session_keeper_tokens::UnixMillis,
    state: &mut State,
) -> Result<Option<TokenFile>, String> {
    let memory_only = |error: StoreError| {
        warn!("{error}: the upstream token is in memory only");
        Ok(None)
    };
    if let Err(error) = file.prepare() {
        return memory_only(error);
    }
    match file.load(now) {
        Ok(found) => {
            info!("Token persistence enabled. File: {}", file.path().display());
            if let Found::Token(token, stamp) = found {
                log_loaded(&token, now);
                (state.token, state.stamp) = (Some(Arc::new(token)), Some(stamp));
            }
            Ok(Some(file))
        }
        Err(error) if error.is_foreign_file() => Err(error.to_string()),
        Err(error) => memory_only(error),
    }
}

fn log_loaded(token: &UpstreamToken, now: session_keeper_tokens::UnixMillis) {
    let (seconds, hours) = (token.expires_in(now), token.expires_in(now) / 3600);
    info!("Loaded valid token from disk. Expires in {seconds} seconds ({hours} hours)");
}
