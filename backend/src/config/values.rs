//! Single settings: stores, origins, faults.
//!
//! Rule: an address may hold a password, so it shows itself without one.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use clap::ValueEnum;

const DEFAULT_FILE: &str = "data/auth_tokens.json";
const DEFAULT_SQLITE: &str = "data/auth_tokens.sqlite";
const DEFAULT_REDIS: &str = "redis://localhost:6379";

/// Where sessions are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// In the process: lost at every restart.
    Memory,
    /// In a file.
    File(PathBuf),
    /// In a SQLite database.
    Sqlite(PathBuf),
    /// In PostgreSQL, by its URL.
    Postgres(String),
    /// In Redis, by its URL.
    Redis(String),
}

impl FromStr for StoreChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "use memory, file[:PATH], sqlite[:PATH], postgres://… or redis[://…]";
        if ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Postgres(text.to_owned()));
        }
        if ["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Redis(text.to_owned()));
        }
        match text.split_once(':') {
            None => match text {
                "memory" => Ok(Self::Memory),
                "file" => Ok(Self::File(DEFAULT_FILE.into())),
                "sqlite" => Ok(Self::Sqlite(DEFAULT_SQLITE.into())),
                "redis" => Ok(Self::Redis(from_environment("REDIS_URL", DEFAULT_REDIS))),
                _ => Err(WANTED),
            },
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(_) => Err(WANTED),
        }
    }
}

fn from_environment(variable: &str, default: &str) -> String {
    super::variable(variable)
        .ok()
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) | Self::Redis(url) => f.write_str(&without_credentials(url)),
        }
    }
}

impl fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Scheme and host of an address. What stands before the `@` may be a password, and so may what
/// follows the path.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // The last one: a password that was not escaped may hold another.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    format!("{scheme}://{}", &rest[..end])
}

/// What a missing file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// A first start: it is made.
    CreateIfMissing,
    /// A disk that is away: it was there before this process took another one's place.
    MustExist,
}

/// Where to listen: a host, which may be a name, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen(String);

impl Listen {
    /// On all addresses of this machine.
    pub fn everywhere(port: u16) -> Self {
        Self(format!("0.0.0.0:{port}"))
    }

    /// As sockets take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self("127.0.0.1:8000".to_owned())
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "use HOST:PORT, e.g. 127.0.0.1:8000, [::]:8000 or localhost:8000";
        let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
        let is_ipv6 = host.starts_with('[') && host.ends_with(']');
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let is_host = !host.is_empty() && (is_ipv6 || host.chars().all(usual));
        if !is_host || port.parse::<u16>().is_err() {
            return Err(WANTED);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How signed tokens are signed (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JwtAlgorithm {
    /// Ed25519: others can check with the public key.
    Eddsa,
    /// HMAC with SHA-256: whoever can check can also sign.
    Hs256,
}

/// What is broken on purpose, to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Each worker keeps its own tokens in memory.
    UnsharedTokens,
    /// Each worker reads the file of tokens at its start only.
    FileReadOnce,
    /// Each start signs with a new key.
    RandomKey,
    /// The server restarts again and again, as one that watches files does.
    ReloadLoop(Duration),
    /// The health path answers only after this long.
    SlowHealth(Duration),
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, seconds) = match text.split_once(':') {
            Some((name, seconds)) => (name, Some(seconds)),
            None => (text, None),
        };
        let duration = |default: u64| match seconds.map(str::parse) {
            None => Ok(Duration::from_secs(default)),
            Some(Ok(seconds)) if (1..=3600).contains(&seconds) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err("use 1 to 3600 seconds"),
        };
        match (name, seconds) {
            ("unshared-tokens", None) => Ok(Self::UnsharedTokens),
            ("file-read-once", None) => Ok(Self::FileReadOnce),
            ("random-key", None) => Ok(Self::RandomKey),
            // Apart enough that each start is seen by a ping.
            ("reload-loop", _) => duration(45).map(Self::ReloadLoop),
            // Longer than the keeper waits before it takes a server for a sleeping one.
            ("slow-health", _) => duration(12).map(Self::SlowHealth),
            _ => Err("use unshared-tokens, file-read-once, random-key, reload-loop[:SECONDS] or \
                      slow-health[:SECONDS]"),
        }
    }
}

/// A web origin as browsers send it: scheme, host and, where it is not the scheme's own, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// As it stands in the `Origin` header.
    pub fn header_value(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "use scheme://host[:port], lower case, no path, no slash at the end";
        let uri = text.parse::<Uri>().map_err(|_| WANTED)?;
        let scheme = uri.scheme_str().ok_or(WANTED)?;
        let authority = uri.authority().ok_or(WANTED)?;
        // Browsers compare letter by letter: a spelling that no browser sends would never match.
        let as_sent = format!("{scheme}://{authority}");
        let usual = matches!(scheme, "http" | "https") && !authority.as_str().contains('@');
        if !usual || as_sent != text || text != text.to_ascii_lowercase() {
            return Err(WANTED);
        }
        if !is_host(authority.host()) {
            return Err(WANTED);
        }
        let default = if scheme == "https" { 443 } else { 80 };
        match authority.port() {
            Some(port) if port.as_u16() == default => {
                return Err("leave out the port: browsers send none where it is the scheme's own");
            }
            // `https://app.example:` and `:080` are sent by nobody.
            Some(port) if port.as_str() != port.as_u16().to_string() => return Err(WANTED),
            None if authority.as_str().ends_with(':') => return Err(WANTED),
            Some(_) | None => {}
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| WANTED)
    }
}

/// Whether a browser writes a host so: an IPv6 address in its shortest form, an IPv4 address in its
/// usual one, a name in ASCII (punycode) without empty labels.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == inner);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name = labels.iter().all(|label| !label.is_empty() && label.chars().all(usual));
    // What ends in a number is an address to a browser (WHATWG URL, "ends in a number").
    let is_number = labels.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if is_number {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    is_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_no_browser_would_send_is_refused() {
        for text in ["", "*", "app.example", "https://app.example/", "https://APP.example"]
            .into_iter()
            .chain(["https://user@app.example", "file://x", "https://app.example/path", "null"])
            .chain(["https://app.example:443", "http://app.example:80", "https://app.example:"])
            .chain(["https://app.example:08443", "https://app..example", "https://*.example"])
            .chain(["http://[::0:1]:3000", "http://127.0.0.01:8080", "http://127.1", "https://é.x"])
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for text in ["https://app.example", "http://127.0.0.1:8080", "http://[::1]:3000"] {
            let origin = text.parse::<Origin>().expect("it is an origin");
            assert_eq!(origin.header_value(), text);
        }
    }

    #[test]
    fn a_place_to_listen_is_a_host_and_a_port() {
        for text in ["127.0.0.1:8000", "localhost:8000", "[::]:0", "api.example:65535"] {
            assert!(text.parse::<Listen>().is_ok(), "{text}");
        }
        for text in ["", "8000", ":8000", "localhost", "localhost:x", "localhost:65536", "a b:1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_store_is_named_by_its_kind_and_its_place() {
        let file = |path: &str| StoreChoice::File(path.into());
        let sqlite = |path: &str| StoreChoice::Sqlite(path.into());
        assert_eq!("memory".parse(), Ok(StoreChoice::Memory));
        assert_eq!("file:a:b".parse(), Ok(file("a:b")));
        assert_eq!("file".parse(), Ok(file(DEFAULT_FILE)));
        assert_eq!("sqlite:x.db".parse(), Ok(sqlite("x.db")));
        assert_eq!("sqlite".parse(), Ok(sqlite(DEFAULT_SQLITE)));
        let url = "postgres://u:p@h/db";
        assert_eq!(url.parse(), Ok(StoreChoice::Postgres(url.into())));
        assert_eq!("rediss://h".parse(), Ok(StoreChoice::Redis("rediss://h".into())));
        for text in ["", "file:", "sqlite:", "memory:x", "mysql://x", "postgres"] {
            assert!(text.parse::<StoreChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_stores_address_shows_no_password() {
        for (url, shown) in [
            (
                "postgres://ada:s3cret@db.example/app?sslpassword=s3cret",
                "postgres://db.example/app",
            ),
            ("postgres://ada:s3@cret@db.example/app", "postgres://db.example/app"),
            ("redis://:s3cret@127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("rediss://cache.example", "rediss://cache.example"),
        ] {
            let choice: StoreChoice = url.parse().expect("it is a store");
            assert_eq!(format!("{choice} {choice:?}"), format!("{shown} {shown}"));
        }
    }

    #[test]
    fn a_fault_has_a_name_and_some_have_seconds() {
        assert_eq!("random-key".parse(), Ok(Fault::RandomKey));
        assert_eq!("reload-loop:9".parse(), Ok(Fault::ReloadLoop(Duration::from_secs(9))));
        for text in ["", "random", "random-key:3", "slow-health:0", "slow-health:x"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
