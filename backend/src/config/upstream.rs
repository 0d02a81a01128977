//! The API behind this server, and how the server signs in to it.

use std::fmt;
use std::path::PathBuf;

use axum::http::Uri;
use clap::{Args, ValueEnum};

/// The API behind this server (OAuth client credentials, RFC 6749 section 4.4). The client's id and
/// secret are UPSTREAM_CLIENT_ID and UPSTREAM_CLIENT_SECRET of the environment or of --env-file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Upstream (UPSTREAM_CLIENT_ID and UPSTREAM_CLIENT_SECRET beside)")]
pub struct UpstreamOptions {
    /// The API whose paths are served to signed-in users under /api/upstream/, with this server's
    /// own token
    #[arg(long = "upstream-url", value_name = "URL", env = "UPSTREAM_URL")]
    #[arg(value_parser = parse_url, requires = "token_url")]
    pub url: Option<Uri>,
    /// Where the token comes from
    #[arg(long = "upstream-token-url", value_name = "URL", env = "UPSTREAM_TOKEN_URL")]
    #[arg(value_parser = parse_url, id = "token_url")]
    pub token_url: Option<Uri>,
    /// What the token is to be good for, as that server names it
    #[arg(long = "upstream-scope", value_name = "SCOPE", env = "UPSTREAM_SCOPE")]
    pub scope: Option<String>,
    /// How the client's id and secret are sent
    #[arg(long = "upstream-client-auth", value_name = "HOW", env = "UPSTREAM_CLIENT_AUTH")]
    #[arg(default_value = "basic")]
    pub client_auth: ClientAuth,
    /// Where the token is kept across restarts; in a folder of its own in the system's temporary
    /// directory when left out
    #[arg(long = "upstream-token-file", value_name = "PATH", env = "UPSTREAM_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// The client's id and secret, where they are not the environment's: no option, or they would
    /// stand in the list of processes.
    #[arg(skip)]
    pub client: Option<ClientCredentials>,
}

/// Who this server is to the one that hands out tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The client's id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl ClientCredentials {
    /// UPSTREAM_CLIENT_ID and UPSTREAM_CLIENT_SECRET. The error is the name of the one that is
    /// missing.
    pub(crate) fn of_environment() -> Result<Self, &'static str> {
        let value = |name: &'static str| {
            let value = super::variable(name).ok().filter(|value| !value.is_empty());
            value.ok_or(name)
        };
        Ok(Self { id: value("UPSTREAM_CLIENT_ID")?, secret: value("UPSTREAM_CLIENT_SECRET")? })
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a client shows who it is to the server that hands out tokens (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// In the Authorization header, which every such server must take.
    #[default]
    Basic,
    /// In the form.
    Body,
}

fn parse_url(text: &str) -> Result<Uri, &'static str> {
    const WANTED: &str = "use https://host[:port][/path], without user, query and fragment";
    let uri: Uri = text.parse().map_err(|_| WANTED)?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let is_plain = !authority.is_empty() && !authority.contains('@') && !text.contains(['?', '#']);
    match uri.scheme_str() {
        Some("https") if is_plain => Ok(uri),
        // A secret in the clear is for this machine only.
        Some("http") if is_plain && is_loopback(uri.host().unwrap_or_default()) => Ok(uri),
        Some("http") if is_plain => Err("use https: the secret and the token would be readable"),
        _ => Err(WANTED),
    }
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_api_is_https_and_holds_nothing_else() {
        for text in
            ["https://api.example", "https://api.example:8443/v2", "http://127.0.0.1:9000/x"]
        {
            assert!(parse_url(text).is_ok(), "{text}");
        }
        for text in ["api.example", "ftp://api.example", "https://u:p@api.example", "/x"]
            .into_iter()
            .chain(["https://api.example?key=1", "http://api.example", "https://"])
        {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
