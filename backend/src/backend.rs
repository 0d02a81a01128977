//! What the routes share: who answers, the store, the keys, the users, and the settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_keeper_tokens::{
    KEPT_AFTER_EXPIRY, KeyId, Kind, Lifetime, RefreshPolicy, Session, Token, TokenHash, UnixMillis,
};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::command_error::CommandError;
use crate::config::{Fault, LimitOptions, SameSite, ServeOptions, TokenOptions, check};
use crate::identity::{Identity, Start};
use crate::keys::{Claimed, Keys};
use crate::limits::TokenLimit;
use crate::metrics::{Counter, Counts, Metrics};
use crate::store::{Reads, Store, StoreError, open};
use crate::tags::Tags;
use crate::upstream::Upstream;
use crate::users::Users;

/// What the routes share.
pub struct Backend {
    identity: Identity,
    start: Start,
    clock: Clock,
    options: ServeOptions,
    refresh: Option<RefreshPolicy>,
    store: Arc<dyn Store>,
    keys: Option<Keys>,
    users: Users,
    tags: Tags,
    metrics: Metrics,
    token_limit: TokenLimit,
    upstream: Option<Upstream>,
}

impl Backend {
    /// Opens what `options` name. Fails where something cannot be used, or where the options would
    /// lose users. `start` is what this process belongs to, where it is one of several.
    pub async fn open(
        options: &ServeOptions,
        start: Option<Start>,
        clock: Clock,
    ) -> Result<Self, CommandError> {
        check(options)?;
        for fault in &options.faults {
            warn!("FAULT on purpose: {fault:?}; users will be lost or kept waiting");
        }
        let users = Users::open(&options.users, options.users_mode())?;
        if users.is_empty()? {
            let path = options.users.display();
            warn!("nobody can sign in yet: session-keeper-backend user add NAME --users {path}");
        }
        let reads = if options.has(Fault::FileReadOnce) { Reads::Once } else { Reads::EachChange };
        let store = open(&options.effective_store(), reads, options.open_mode()).await?;
        let metrics = Metrics::default();
        // Each worker finds the same tokens; they are counted once.
        if options.worker.is_none_or(|worker| worker == 1) {
            metrics.add(Counter::TokensLoaded, store.count().await?);
        }
        let instance = match options.worker {
            Some(worker) if options.workers > 1 => worker.to_string(),
            Some(_) | None => options.instance.clone(),
        };
        let start = match start {
            Some(start) => start,
            None => Start::now()?,
        };
        Ok(Self {
            identity: Identity::new(instance, &start),
            start,
            refresh: options.tokens.refresh_policy(),
            store,
            keys: open_keys(options, &clock)?,
            users,
            tags: Tags::open(&options.tags)?,
            upstream: Upstream::open(
                &options.upstream,
                !options.disable_token_persistence,
                clock.clone(),
            )
            .map_err(CommandError::Settings)?,
            metrics,
            token_limit: TokenLimit::new(options.limits.by_token()),
            clock,
            options: options.clone(),
        })
    }

    /// Forgets what expired a day ago, and says how many tokens that were.
    pub async fn clean_up(&self) {
        match self.store.clean_up(self.now().before(KEPT_AFTER_EXPIRY)).await {
            Ok(0) => {}
            Ok(dropped) => {
                self.metrics.add(Counter::TokensExpired, dropped);
                info!("Cleaned up {dropped} expired tokens");
            }
            // The next time is soon enough: what has expired is refused, there or not.
            Err(error) => warn!("cannot clean up: {error}"),
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.start.uptime()
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.options.tokens.lifetime()
    }

    pub(crate) fn refresh_policy(&self) -> Option<&RefreshPolicy> {
        self.refresh.as_ref()
    }

    pub(crate) fn rotate_after(&self) -> Option<Lifetime> {
        self.options.tokens.rotate_after_seconds
    }

    pub(crate) fn binds_addresses(&self) -> bool {
        self.options.tokens.bind_address
    }

    pub(crate) fn same_site(&self) -> SameSite {
        self.options.tokens.cookie_same_site
    }

    pub(crate) fn debugs_tokens(&self) -> bool {
        self.options.watching.debug_token
    }

    pub(crate) fn trusted_proxies(&self) -> u8 {
        self.options.limits.trusted_proxies
    }

    pub(crate) fn limits(&self) -> &LimitOptions {
        &self.options.limits
    }

    pub(crate) fn token_limit(&self) -> &TokenLimit {
        &self.token_limit
    }

    pub(crate) fn health_delay(&self) -> Option<Duration> {
        self.options.health_delay()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// What an access token is stored under.
    pub(crate) fn access_hash(&self, token: &Token) -> TokenHash {
        if self.signs() { token.signed_hash() } else { token.hash() }
    }

    /// The text of an access token that its owner is given.
    pub(crate) fn access_text(
        &self,
        token: &Token,
        session: &Session,
        issued_at: UnixMillis,
    ) -> Result<String, StoreError> {
        match &self.keys {
            Some(keys) if keys.signs() => keys.sign(token, session, issued_at),
            Some(_) | None => Ok(token.expose()),
        }
    }

    fn signs(&self) -> bool {
        self.keys.as_ref().is_some_and(Keys::signs)
    }

    /// The row of an access token, under whichever hash: signing may have been switched on or off
    /// since it was handed out.
    pub(crate) async fn find_access(&self, token: &Token) -> Result<Option<Session>, StoreError> {
        match self.store.find(token.hash()).await? {
            Some(row) => Ok(Some(row)),
            None => self.store.find(token.signed_hash()).await,
        }
    }

    /// What an access token is signed with from now on, where it is signed.
    pub(crate) fn signing_key(&self) -> Result<Option<KeyId>, StoreError> {
        self.keys.as_ref().map_or(Ok(None), Keys::signing_key)
    }

    /// How long a session may go unused, where the operator set a limit.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        self.options.tokens.idle_seconds.map(Duration::from_secs)
    }

    pub(crate) fn is_idle(&self, session: &Session) -> bool {
        let lifetime = match &self.refresh {
            Some(policy) if session.kind == Kind::Access => policy.access,
            Some(_) | None => self.lifetime(),
        };
        self.idle_limit().is_some_and(|limit| session.is_idle(self.now(), limit, lifetime))
    }

    /// `--fault random-key`: what was signed with another key is refused, as it is elsewhere.
    pub(crate) fn forgets_keys(&self) -> bool {
        self.options.has(Fault::RandomKey)
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    /// The API behind this server, where there is one.
    pub(crate) fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_ref()
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What was counted until now.
    pub(crate) fn counts(&self) -> Counts {
        if let Some(upstream) = &self.upstream {
            self.metrics.set(Counter::UpstreamTokens, upstream.tokens_obtained());
        }
        self.metrics.snapshot()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn open_keys(options: &ServeOptions, clock: &Clock) -> Result<Option<Keys>, CommandError> {
    let TokenOptions { key_file, jwt, .. } = &options.tokens;
    let Some(algorithm) = *jwt else {
        // What was signed before signing was switched off is checked all the same.
        return Ok(Keys::open_to_check(key_file)?);
    };
    let claims = Claimed {
        issuer: options.tokens.jwt_issuer.clone(),
        audience: options.tokens.jwt_audience.clone(),
    };
    let keys = if options.has(Fault::RandomKey) {
        Keys::random(algorithm, options.worker.is_some())?
    } else {
        Keys::open(algorithm, key_file, options.open_mode(), clock.now())?
    };
    Ok(Some(keys.claiming(claims)))
}
