//! The file of keys, and the secrets that keys follow from.

use std::env;
use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use session_keeper_tokens::UnixMillis;

use crate::clock;
use crate::config;
use crate::store::StoreError;

/// What HMAC-SHA-256 is as strong as (RFC 7518 section 3.2), and an Ed25519 key is as long as.
const MIN_SECRET_BYTES: usize = 32;

pub(super) const SECRET: &str = "SECRET_KEY";
pub(super) const PREVIOUS: &str = "SECRET_KEY_PREVIOUS";

/// What is in the file, the newest key last.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring {
    keys: Vec<Stored>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// Base64url.
    secret: String,
    created_at: String,
}

impl Ring {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn make_first(&mut self, now: UnixMillis) -> Result<(), KeyError> {
        // Another server may have been faster.
        if self.keys.is_empty() { self.push(now) } else { Ok(()) }
    }

    pub(super) fn rotate(&mut self, now: UnixMillis) -> Result<usize, KeyError> {
        self.push(now)?;
        // A key is needed until the last token of it has expired, which is after the longest
        // lifetime since the next key was made.
        let longest = session_keeper_tokens::Lifetime::MAX.as_duration();
        let needed = |successor: &Stored| {
            clock::parse_iso(&successor.created_at).is_ok_and(|made| now.since(made) <= longest)
        };
        let old = self.keys.windows(2).take_while(|pair| !needed(&pair[1])).count();
        self.keys.drain(..old);
        Ok(self.keys.len() - 1)
    }

    fn push(&mut self, now: UnixMillis) -> Result<(), KeyError> {
        let secret = Base64UrlUnpadded::encode_string(&Secret::random()?.0);
        self.keys.push(Stored { secret, created_at: clock::iso(now) });
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        self.secrets().try_for_each(|secret| secret.map(drop))
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = Result<Vec<u8>, KeyError>> {
        self.keys.iter().map(|stored| {
            let secret = Base64UrlUnpadded::decode_vec(&stored.secret);
            let secret = secret.map_err(|_| KeyError::Unreadable("the key file"))?;
            Secret::check(secret, "the key file")
        })
    }
}

pub(super) struct Secret(pub(super) Vec<u8>);

impl Secret {
    pub(super) fn random() -> Result<Self, KeyError> {
        let mut bytes = vec![0; MIN_SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Self(bytes))
    }

    fn check(bytes: Vec<u8>, whose: &'static str) -> Result<Vec<u8>, KeyError> {
        if bytes.len() < MIN_SECRET_BYTES { Err(KeyError::Short(whose)) } else { Ok(bytes) }
    }
}

pub(super) fn secret_in(variable: &'static str) -> Result<Option<Vec<u8>>, KeyError> {
    match config::variable(variable) {
        Ok(text) => Secret::check(text.into_bytes(), variable).map(Some),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(KeyError::Unreadable(variable)),
    }
}

/// Why there is no key to sign with.
#[derive(Debug)]
pub(crate) enum KeyError {
    /// Under 32 bytes.
    Short(&'static str),
    /// No text, or no base64url.
    Unreadable(&'static str),
    /// The file cannot be read or written.
    Store(StoreError),
    /// The system gives no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(whose) => write!(
                f,
                "{whose} holds a key under {MIN_SECRET_BYTES} bytes, which can be guessed: use \
                 `openssl rand -base64 48`"
            ),
            Self::Unreadable(whose) => write!(f, "{whose} holds no key that can be read"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Random(error) => write!(f, "no random bytes: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
