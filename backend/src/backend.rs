//! What the routes share: who answers, the store, the keys, the users, and the settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_keeper_tokens::{
    KEPT_AFTER_EXPIRY, Lifetime, RefreshPolicy, Session, Token, TokenHash, UnixMillis,
};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::commands::CommandError;
use crate::config::{Fault, LimitOptions, SameSite, ServeOptions, check};
use crate::identity::{Identity, Start};
use crate::keys::Keys;
use crate::limits::TokenLimit;
use crate::metrics::{Counter, Metrics};
use crate::store::{Reads, Store, StoreError, open};
use crate::tags::Tags;
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
        let users = Users::open(&options.users)?;
        if users.is_empty()? {
            let path = options.users.display();
            warn!("nobody can sign in yet: session-keeper-backend user add NAME --users {path}");
        }
        let reads = if options.has(Fault::FileReadOnce) { Reads::Once } else { Reads::EachChange };
        let store = open(&options.effective_store(), reads, options.begin()).await?;
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
        if self.keys.is_some() { token.signed_hash() } else { token.hash() }
    }

    /// The text of an access token that its owner is given.
    pub(crate) fn access_text(
        &self,
        token: &Token,
        session: &Session,
        issued_at: UnixMillis,
    ) -> Result<String, StoreError> {
        match &self.keys {
            Some(keys) => keys.sign(token, session, issued_at),
            None => Ok(token.expose()),
        }
    }

    /// The row of an access token, under whichever hash: signing may have been switched on or off
    /// since it was handed out.
    pub(crate) async fn find_access(&self, token: &Token) -> Result<Option<Session>, StoreError> {
        match self.store.find(token.hash()).await? {
            Some(row) => Ok(Some(row)),
            None => self.store.find(token.signed_hash()).await,
        }
    }

    /// `--fault random-key`: what was signed with another key is refused, as it is elsewhere.
    pub(crate) fn forgets_keys(&self) -> bool {
        self.options.has(Fault::RandomKey)
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn open_keys(options: &ServeOptions, clock: &Clock) -> Result<Option<Keys>, CommandError> {
    let Some(algorithm) = options.tokens.jwt else { return Ok(None) };
    if options.has(Fault::RandomKey) {
        return Ok(Some(Keys::random(algorithm, options.worker.is_some())?));
    }
    Ok(Some(Keys::open(algorithm, &options.tokens.key_file, options.begin(), clock.now())?))
}
