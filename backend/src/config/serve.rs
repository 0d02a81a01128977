//! How to serve.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use session_keeper_tokens::{InvalidLifetime, Lifetime, Limit, RefreshPolicy};

use super::defaults::{DEFAULT_KEYS, DEFAULT_STORE, DEFAULT_TAGS, DEFAULT_USERS};
use super::upstream::UpstreamOptions;
use super::values::{Fault, JwtAlgorithm, Listen, Origin, StoreChoice};

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Host and port, e.g. 127.0.0.1:8000 or localhost:8000; port 0 picks a free one [default:
    /// 127.0.0.1:8000, or all addresses of this machine where PORT is set]
    #[arg(long, value_name = "HOST:PORT", env = "LISTEN")]
    pub listen: Option<Listen>,
    /// The port, on all addresses of this machine: what platforms set
    #[arg(long, value_name = "PORT", env = "PORT")]
    pub port: Option<u16>,
    /// Where sessions are kept: memory, `file[:PATH]`, `sqlite[:PATH]`, `postgres://…`,
    /// `redis[://…]`
    #[arg(long, value_name = "STORE", env = "TOKEN_STORE", default_value = DEFAULT_STORE)]
    #[arg(hide_env_values = true)]
    pub store: StoreChoice,
    /// Refuse to start where the store, the file of users or the key file is missing: after the
    /// first start that is a disk which is away
    #[arg(long, env = "STORE_MUST_EXIST", value_name = "BOOL", num_args = 0..=1)]
    #[arg(default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub store_must_exist: bool,
    /// Keep sessions in memory only, whatever `--store` says
    #[arg(long, env = "DISABLE_TOKEN_PERSISTENCE", value_name = "BOOL", num_args = 0..=1)]
    #[arg(default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub disable_token_persistence: bool,
    /// Processes that serve, on one port
    #[arg(long, value_name = "N", env = "WEB_CONCURRENCY", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// The file of users, made by `user add`
    #[arg(long, value_name = "PATH", env = "USERS_FILE", default_value = DEFAULT_USERS)]
    pub users: PathBuf,
    /// The file of tags
    #[arg(long, value_name = "PATH", env = "TAGS_FILE", default_value = DEFAULT_TAGS)]
    pub tags: PathBuf,
    /// An origin whose pages may call the API, e.g. `https://app.example`; may be repeated,
    /// or several with commas between
    #[arg(long = "allow-origin", value_name = "ORIGIN", env = "ALLOW_ORIGIN")]
    #[arg(value_delimiter = ',')]
    pub allowed_origins: Vec<Origin>,
    /// The name of this server in its answers; workers are told apart by a number
    #[arg(long, value_name = "NAME", env = "INSTANCE", default_value = "1")]
    #[arg(value_parser = parse_instance)]
    pub instance: String,
    /// How tokens live.
    #[command(flatten)]
    pub tokens: TokenOptions,
    /// What is limited.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// What operators see.
    #[command(flatten)]
    pub watching: WatchOptions,
    /// The API behind this server.
    #[command(flatten)]
    pub upstream: UpstreamOptions,
    /// Break it on purpose: unshared-tokens, file-read-once, random-key, `reload-loop[:SECONDS]`,
    /// `slow-health[:SECONDS]`; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,
    /// Which worker this process is; the server starts its workers with it
    #[arg(long, hide = true)]
    pub worker: Option<u16>,
    /// Whether that worker takes another one's place
    #[arg(long, hide = true, requires = "worker")]
    pub replaces: bool,
}

/// How tokens live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct TokenOptions {
    /// How long a session lasts, in seconds; 7 days when left out, 2592000 are 30
    #[arg(long = "token-seconds", value_name = "SECONDS", env = "TOKEN_SECONDS")]
    #[arg(value_parser = parse_lifetime)]
    pub lifetime: Option<Lifetime>,
    /// Hand out refresh tokens, and access tokens that last 12 hours
    #[arg(long, env = "REFRESH", value_parser = clap::builder::BoolishValueParser::new())]
    pub refresh: bool,
    /// How long an access token lasts beside a refresh token
    #[arg(long, value_name = "SECONDS", value_parser = parse_lifetime, requires = "refresh")]
    pub access_seconds: Option<Lifetime>,
    /// How long a used refresh token gets its successor again, whoever sends it; 0 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "refresh")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=60))]
    pub refresh_grace_seconds: u64,
    /// How long the same attempt gets the same successor; 0 to 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "refresh")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub refresh_repeat_seconds: u64,
    /// Sign access tokens (JWT), with SECRET_KEY or the key of `--key-file`
    #[arg(long, value_name = "ALGORITHM", env = "JWT")]
    pub jwt: Option<JwtAlgorithm>,
    /// Who issues the signed tokens (`iss`): services that check them with the public keys of
    /// /.well-known/jwks.json compare it
    #[arg(long, value_name = "URL", env = "JWT_ISSUER", requires = "jwt")]
    pub jwt_issuer: Option<String>,
    /// Who the signed tokens are for (`aud`)
    #[arg(long, value_name = "NAME", env = "JWT_AUDIENCE", requires = "jwt")]
    pub jwt_audience: Option<String>,
    /// The file of keys, made once where there is none; SECRET_KEY in the environment goes before
    #[arg(long, value_name = "PATH", env = "KEY_FILE", default_value = DEFAULT_KEYS)]
    pub key_file: PathBuf,
    /// Give cookie sessions a new token when theirs is this old
    #[arg(long, value_name = "SECONDS", value_parser = parse_lifetime)]
    pub rotate_after_seconds: Option<Lifetime>,
    /// End a session that nobody used for so long, whatever is left of it; uses are noted to a
    /// minute, and neither a refresh nor a request with X-Background is one
    #[arg(long, value_name = "SECONDS", env = "IDLE_SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(120..=7_776_000))]
    pub idle_seconds: Option<u64>,
    /// Refuse a token that comes from another address than the sign-in; of IPv6 the network counts
    #[arg(long, env = "BIND_ADDRESS", value_parser = clap::builder::BoolishValueParser::new())]
    pub bind_address: bool,
    /// When browsers send the cookie; `none` is for pages of another site: the cookies are then
    /// Partitioned too
    #[arg(long, value_name = "WHEN", env = "COOKIE_SAME_SITE", default_value = "strict")]
    pub cookie_same_site: SameSite,
}

/// What is limited.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Failed sign-ins to one account in the window
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub login_attempts: u32,
    /// Failed sign-ins from one address in the window
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub login_attempts_per_address: u32,
    /// The window of failed sign-ins
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub login_window_seconds: u64,
    /// Requests with one token in a minute, in each worker; no limit when left out
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub token_requests_per_minute: Option<u32>,
    /// Sessions of one user; a sign-in beyond it ends the oldest. No limit when left out
    #[arg(long, value_name = "N", env = "SESSIONS_PER_USER")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions_per_user: Option<u32>,
    /// Connections of one address, in each worker [default: 200, or no limit behind a proxy]
    #[arg(long, value_name = "N", env = "CONNECTIONS_PER_ADDRESS")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub connections_per_address: Option<u16>,
    /// How many proxies of yours stand in front; their X-Forwarded-For and -Proto are believed
    #[arg(long, value_name = "N", env = "TRUSTED_PROXIES", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=8))]
    pub trusted_proxies: u8,
}

/// What operators see.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchOptions {
    /// What is logged on stderr
    #[arg(long, value_name = "LEVEL", env = "LOG_LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
    /// How
    #[arg(long, value_name = "FORMAT", env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Where Prometheus finds the metrics of all workers, e.g. 127.0.0.1:9100; nowhere when left
    /// out
    #[arg(long, value_name = "ADDRESS", env = "METRICS_LISTEN")]
    pub metrics: Option<SocketAddr>,
    /// Write audit lines to this file, made with mode 0600, instead of stderr
    #[arg(long, value_name = "PATH", env = "AUDIT_FILE")]
    pub audit_file: Option<PathBuf>,
    /// Serve /api/debug/token, which tells a client about the token that it sends
    #[arg(long, env = "DEBUG_TOKEN", value_parser = clap::builder::BoolishValueParser::new())]
    pub debug_token: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object in each line.
    Json,
}

/// When browsers send a cookie (RFC 6265bis section 4.1.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SameSite {
    /// With requests of pages of the same site only.
    Strict,
    /// Also when a link leads here.
    Lax,
    /// Always.
    None,
}

impl ServeOptions {
    /// Where to listen.
    pub fn address(&self) -> Listen {
        match (&self.listen, self.port) {
            (Some(listen), _) => listen.clone(),
            (None, Some(port)) => Listen::everywhere(port),
            (None, None) => Listen::default(),
        }
    }
}

impl TokenOptions {
    /// How long a session lasts.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime.unwrap_or_default()
    }

    /// How refresh tokens are treated, where there are any.
    pub fn refresh_policy(&self) -> Option<RefreshPolicy> {
        self.refresh.then(|| RefreshPolicy {
            access: self.access_seconds.unwrap_or(Lifetime::ACCESS).min(self.lifetime()),
            grace: Duration::from_secs(self.refresh_grace_seconds),
            repeat: Duration::from_secs(self.refresh_repeat_seconds),
        })
    }
}

impl LimitOptions {
    /// Of sign-ins to one account.
    pub fn by_account(&self) -> Limit {
        Limit { most: self.login_attempts, window: self.login_window() }
    }

    /// Of sign-ins from one address.
    pub fn by_address(&self) -> Limit {
        Limit { most: self.login_attempts_per_address, window: self.login_window() }
    }

    /// Of requests with one token.
    pub fn by_token(&self) -> Option<Limit> {
        let window = Duration::from_secs(60);
        self.token_requests_per_minute.map(|most| Limit { most, window })
    }

    fn login_window(&self) -> Duration {
        Duration::from_secs(self.login_window_seconds)
    }
}

fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    let refused = || InvalidLifetime.to_string();
    Lifetime::from_secs(text.parse().map_err(|_| refused())?).map_err(|_| refused())
}

fn parse_instance(text: &str) -> Result<String, &'static str> {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(usual) {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 64 of A-Z a-z 0-9 . _ -")
    }
}
