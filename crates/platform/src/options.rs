//! The command line, parsed once; what is inside trusts it.
//!
//! Rule: a wrong option is one sentence that names it and says what to do, and no message repeats
//! a password or the secret.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use crate::settings::{Settings, WhileWaking, idle};

pub(crate) const SECRET_VARIABLE: &str = "PLATFORM_SECRET";

/// Really starts, stops and breaks the reference backend, for demo and tests.
///
/// PLATFORM_SECRET: the secret of the control, 16 to 128 of A-Z a-z 0-9 - _ (default: random)
#[derive(Parser)]
#[command(name = "session-keeper-platform", args_override_self = true)]
struct Arguments {
    /// The backend's binary
    #[arg(long, value_name = "PATH")]
    backend: PathBuf,
    /// The demo's pages
    #[arg(long, value_name = "DIR")]
    www: PathBuf,
    /// The built npm package, served under /session-keeper/
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Where the backend keeps its files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The demo's port, 0: any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// The API's port on its own, for cross-origin use, 0: any free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    api_port: u16,
    /// Asleep after this long without traffic, 0: never
    #[arg(long, value_name = "N", default_value_t = 0)]
    idle_ms: u32,
    /// How long waking takes
    #[arg(long, value_name = "N", default_value_t = 3000)]
    wake_ms: u32,
    /// Another origin that may call the API; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = parse_origin)]
    allow_origins: Vec<String>,
    /// A user to make at the start; may be repeated
    #[arg(long = "user", value_name = "NAME:PASSWORD")]
    users: Vec<OsString>,
    /// Where the backend keeps its sessions [default: in DATA]
    #[arg(long, value_name = "STORE")]
    store: Option<OsString>,
    /// One more argument for the backend's `serve`; may be repeated
    #[arg(long = "backend-arg", value_name = "ARG", allow_hyphen_values = true)]
    backend_args: Vec<OsString>,
}

/// What the platform was started with.
pub(crate) struct Options {
    pub(crate) backend: PathBuf,
    pub(crate) www: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) data: PathBuf,
    /// None: a file in `data`.
    pub(crate) store: Option<OsString>,
    pub(crate) backend_args: Vec<OsString>,
    pub(crate) port: u16,
    pub(crate) api_port: u16,
    pub(crate) settings: Settings,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) users: Vec<User>,
    pub(crate) secret: String,
}

/// A user to make at the start.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// A sentence for the caller.
pub(crate) type Mistake = String;

impl Options {
    /// The arguments of this process. Ends it where clap cannot understand them.
    pub(crate) fn of_process() -> Result<Self, Mistake> {
        let arguments = Arguments::parse();
        Self::of(arguments, env::var_os(SECRET_VARIABLE))
    }

    fn of(arguments: Arguments, secret: Option<OsString>) -> Result<Self, Mistake> {
        Ok(Self {
            www: directory(&arguments.www, "--www")?,
            package: directory(&arguments.package, "--package")?,
            backend: arguments.backend,
            data: arguments.data,
            store: arguments.store,
            backend_args: arguments.backend_args,
            port: arguments.port,
            api_port: arguments.api_port,
            settings: Settings {
                idle: idle(arguments.idle_ms),
                wake: Duration::from_millis(arguments.wake_ms.into()),
                while_waking: WhileWaking::Hold,
                retry_after: Duration::from_secs(5),
            },
            allow_origins: arguments.allow_origins,
            users: arguments.users.iter().map(parse_user).collect::<Result<_, _>>()?,
            secret: control_secret(secret)?,
        })
    }
}

fn parse_origin(origin: &str) -> Result<String, &'static str> {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
        return Ok(origin.to_owned());
    }
    Err("use an origin such as https://app.example.com, without a path")
}

/// Here and not by clap, whose sentence would repeat the password.
fn parse_user(value: &OsString) -> Result<User, Mistake> {
    let text = value.to_str().and_then(|text| text.split_once(':'));
    match text {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(User { name: name.to_owned(), password: password.to_owned() })
        }
        Some(_) | None => Err("--user must be NAME:PASSWORD, neither of them empty".into()),
    }
}

fn directory(path: &Path, option: &str) -> Result<PathBuf, Mistake> {
    // Served files are held against the real folder, so that a link inside cannot lead out of it.
    match path.canonicalize() {
        Ok(real) if real.is_dir() => Ok(real),
        Ok(_) | Err(_) => Err(format!("{option}: there is no folder {}", path.display())),
    }
}

fn control_secret(given: Option<OsString>) -> Result<String, Mistake> {
    let Some(given) = given else {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
        return Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    };
    // It is written into a page, so it must need no escaping there.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match given.into_string() {
        Ok(secret) if (16..=128).contains(&secret.len()) && secret.chars().all(plain) => Ok(secret),
        Ok(_) | Err(_) => {
            Err(format!("{SECRET_VARIABLE} must be 16 to 128 characters of A-Z a-z 0-9 - _"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_the_option_and_repeats_no_password() {
        let line = ["x", "--backend", "b", "--www", ".", "--package", ".", "--data", "d"];
        let parse = |more: &[&str]| {
            let line = line.iter().chain(more);
            let arguments = Arguments::try_parse_from(line).map_err(|error| error.to_string())?;
            Options::of(arguments, None).map(drop)
        };
        assert_eq!(parse(&["--user", "ada:pw", "--backend-arg", "--refresh"]), Ok(()));
        for (more, named) in [
            (&["--user", "hush-hush"][..], "--user"),
            (&["--port", "99999"], "--port"),
            (&["--allow-origin", "app.example"], "--allow-origin"),
            (&["--www", "nowhere"], "--www"),
            (&["--speed", "1"], "--speed"),
        ] {
            let mistake = parse(more).expect_err("it is wrong");
            assert!(mistake.contains(named) && !mistake.contains("hush"), "{mistake}");
        }
        assert!(Arguments::try_parse_from(["x"]).is_err_and(|e| e.to_string().contains("--data")));
    }
}
