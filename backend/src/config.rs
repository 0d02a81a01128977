//! The command line, parsed into values that need no second look.
//!
//! Rule: what is wrong is refused here, with a sentence that says what would be right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use clap::{Args, Parser, Subcommand};
use session_keeper_tokens::{InvalidLifetime, Lifetime};

const DEFAULT_STORE: &str = "file:data/auth_tokens.json";
const DEFAULT_USERS: &str = "data/users.json";
const DEFAULT_TAGS: &str = "data/tags.json";

/// The reference backend of session-keeper.
#[derive(Debug, Parser)]
#[command(name = "session-keeper-backend")]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API until SIGTERM
    Serve(ServeOptions),
    /// Change who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Change what is signed in
    #[command(subcommand)]
    Token(TokenCommand),
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Address and port; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Where sessions are kept: memory or file:PATH
    #[arg(long, value_name = "STORE", default_value = DEFAULT_STORE)]
    pub store: StoreChoice,
    /// The file of users, made by `user add`
    #[arg(long, value_name = "PATH", default_value = DEFAULT_USERS)]
    pub users: PathBuf,
    /// The file of tags
    #[arg(long, value_name = "PATH", default_value = DEFAULT_TAGS)]
    pub tags: PathBuf,
    /// How long a session lasts, in seconds; 7 days when left out
    #[arg(long = "token-seconds", value_name = "SECONDS", value_parser = parse_lifetime)]
    pub token_lifetime: Option<Lifetime>,
    /// An origin whose pages may call the API, e.g. `https://app.example`; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allowed_origins: Vec<Origin>,
    /// The name of this worker in its answers
    #[arg(long, value_name = "NAME", default_value = "1", value_parser = parse_instance)]
    pub instance: String,
}

/// Change who may sign in.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user
    Add {
        /// The name to sign in with
        name: String,
        /// The file of users
        #[arg(long, value_name = "PATH", default_value = DEFAULT_USERS)]
        users: PathBuf,
        /// Read the password from stdin instead of asking for it
        #[arg(long)]
        password_stdin: bool,
        /// Give a user who exists another password
        #[arg(long)]
        replace: bool,
    },
}

/// Change what is signed in.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// End sessions; a running server notices at the next verification
    #[command(group = clap::ArgGroup::new("whose").required(true))]
    Revoke {
        /// This user's sessions
        #[arg(long, value_name = "NAME", group = "whose")]
        user: Option<String>,
        /// Everybody's sessions
        #[arg(long, group = "whose")]
        all: bool,
        /// Where sessions are kept: file:PATH
        #[arg(long, value_name = "STORE", default_value = DEFAULT_STORE)]
        store: StoreChoice,
    },
}

/// Where sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// In the process: lost at every restart.
    Memory,
    /// In a file.
    File(PathBuf),
}

impl FromStr for StoreChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(_) | None => Err("use memory or file:PATH"),
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
        HeaderValue::from_str(text).map(Self).map_err(|_| WANTED)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_no_browser_would_send_is_refused() {
        for text in ["", "*", "app.example", "https://app.example/", "https://APP.example"]
            .into_iter()
            .chain(["https://user@app.example", "file://x", "https://app.example/path", "null"])
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for text in ["https://app.example", "http://127.0.0.1:8080", "http://[::1]:3000"] {
            let origin = text.parse::<Origin>().expect("it is an origin");
            assert_eq!(origin.header_value(), text);
        }
    }

    #[test]
    fn a_store_is_memory_or_a_file() {
        assert_eq!("memory".parse(), Ok(StoreChoice::Memory));
        assert_eq!("file:a:b".parse(), Ok(StoreChoice::File(PathBuf::from("a:b"))));
        for text in ["", "file", "file:", "memory:x", "redis://x"] {
            assert!(text.parse::<StoreChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_refuses_what_cannot_be_meant() {
        let parse = |line: &str| Options::try_parse_from(line.split(' '));
        assert!(parse("x serve").is_ok());
        assert!(parse("x token revoke --all").is_ok());
        for line in ["x serve --token-seconds 0", "x serve --token-seconds 99999999999"]
            .into_iter()
            .chain(["x token revoke", "x token revoke --all --user ada", "x serve --instance ü"])
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
