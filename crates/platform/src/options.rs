//! The command line, parsed once; what is inside trusts it.
//!
//! Rule: a wrong option is one sentence that names it and says what to do, and no message repeats
//! a password or the secret.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::settings::{Settings, WhileWaking};

pub(crate) const SECRET_VARIABLE: &str = "PLATFORM_SECRET";

pub(crate) const USAGE: &str = "\
usage: session-keeper-platform --backend PATH --www DIR --package DIR --data DIR
  --backend PATH          the backend's binary
  --www DIR               the demo's pages
  --package DIR           the built npm package, served under /session-keeper/
  --data DIR              where the backend keeps its files
  --port N                the demo's port, 0: any free one (8080)
  --api-port N            the API's port on its own, for cross-origin use, 0: any free one (0)
  --idle-ms N             asleep after this long without traffic, 0: never (0)
  --wake-ms N             how long waking takes (3000)
  --allow-origin ORIGIN   another origin that may call the API; may be repeated
  --user NAME:PASSWORD    a user to make at the start; may be repeated
  --store STORE           where the backend keeps its sessions (in DATA)
  --backend-arg ARG       one more argument for the backend's `serve`; may be repeated
PLATFORM_SECRET: the secret of the control, 16 to 128 of A-Z a-z 0-9 - _ (default: random)";

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

/// What the caller asked for.
pub(crate) enum Wish {
    Run(Box<Options>),
    Help,
}

/// A sentence for the caller.
pub(crate) type Mistake = String;

pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    secret: Option<OsString>,
) -> Result<Wish, Mistake> {
    let mut parser = Parser::from_args(arguments);
    let (mut backend, mut www, mut package, mut data) = (None, None, None, None);
    let (mut port, mut api_port) = (8080, 0);
    let (mut idle_ms, mut wake_ms) = (0_u32, 3_000_u32);
    let (mut allow_origins, mut users) = (Vec::new(), Vec::new());
    let (mut store, mut backend_args) = (None, Vec::new());
    while let Some(arg) = parser.next().map_err(sentence)? {
        match arg {
            Arg::Long("backend") => backend = Some(value(&mut parser)?.into()),
            Arg::Long("www") => www = Some(value(&mut parser)?.into()),
            Arg::Long("package") => package = Some(value(&mut parser)?.into()),
            Arg::Long("data") => data = Some(value(&mut parser)?.into()),
            Arg::Long("port") => port = number(&mut parser, "--port", "0 to 65535")?,
            Arg::Long("api-port") => api_port = number(&mut parser, "--api-port", "0 to 65535")?,
            Arg::Long("idle-ms") => idle_ms = number(&mut parser, "--idle-ms", MILLISECONDS)?,
            Arg::Long("wake-ms") => wake_ms = number(&mut parser, "--wake-ms", MILLISECONDS)?,
            Arg::Long("allow-origin") => allow_origins.push(origin(value(&mut parser)?)?),
            Arg::Long("user") => users.push(user(value(&mut parser)?)?),
            Arg::Long("store") => store = Some(value(&mut parser)?),
            Arg::Long("backend-arg") => backend_args.push(value(&mut parser)?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Wish::Help),
            Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => return Err(sentence(arg.unexpected())),
        }
    }
    Ok(Wish::Run(Box::new(Options {
        backend: required(backend, "--backend")?,
        www: directory(www, "--www")?,
        package: directory(package, "--package")?,
        data: required(data, "--data")?,
        store,
        backend_args,
        port,
        api_port,
        settings: Settings {
            idle: idle(idle_ms),
            wake: Duration::from_millis(wake_ms.into()),
            while_waking: WhileWaking::Hold,
            retry_after: Duration::from_secs(5),
        },
        allow_origins,
        users,
        secret: control_secret(secret)?,
    })))
}

const MILLISECONDS: &str = "milliseconds, 0 to 4294967295";

/// Zero says never.
pub(crate) fn idle(idle_ms: u32) -> Option<Duration> {
    (idle_ms > 0).then(|| Duration::from_millis(idle_ms.into()))
}

fn value(parser: &mut Parser) -> Result<OsString, Mistake> {
    parser.value().map_err(sentence)
}

fn number<N: std::str::FromStr>(
    parser: &mut Parser,
    option: &str,
    range: &str,
) -> Result<N, Mistake> {
    let text = value(parser)?;
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{option} must be a whole number, {range}"))
}

fn origin(value: OsString) -> Result<String, Mistake> {
    let origin = value.string().map_err(sentence)?;
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
        return Ok(origin);
    }
    Err("--allow-origin must be an origin such as https://app.example.com, without a path".into())
}

fn user(value: OsString) -> Result<User, Mistake> {
    let text = value.to_str().and_then(|text| text.split_once(':'));
    match text {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(User { name: name.to_owned(), password: password.to_owned() })
        }
        Some(_) | None => Err("--user must be NAME:PASSWORD, neither of them empty".into()),
    }
}

fn required(path: Option<PathBuf>, option: &str) -> Result<PathBuf, Mistake> {
    path.ok_or_else(|| format!("{option} is missing; --help shows all options"))
}

fn directory(path: Option<PathBuf>, option: &str) -> Result<PathBuf, Mistake> {
    let path = required(path, option)?;
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

fn sentence(error: lexopt::Error) -> Mistake {
    match error {
        // The value may be a password.
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        lexopt::Error::NonUnicodeValue(_) => "an option's value is not valid UTF-8".into(),
        lexopt::Error::UnexpectedArgument(_) => {
            "every argument must belong to an option; --help shows all options".into()
        }
        lexopt::Error::MissingValue { .. }
        | lexopt::Error::UnexpectedOption(_)
        | lexopt::Error::ParsingFailed { .. }
        | lexopt::Error::Custom(_) => format!("{error}; --help shows all options"),
    }
}
