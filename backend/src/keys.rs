//! What signed tokens (JWT, RFC 7519) are signed with: made once, kept, and replaced with an
//! overlap.
//!
//! Rule 1: a key is never made in silence where there was one: a server that signs with another key
//! signs everybody out.
//! Rule 2: a key that cannot be read is an error of the store, and no token is refused for it.
//! Rule 3: the algorithm is the server's choice, and never the token's (RFC 8725 section 3.1).
//!
//! It deliberately does not know sessions: a good signature says that we made a token, and the
//! store whether it still counts.

use std::env;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::SigningKey;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use session_keeper_tokens::{Session, Token, UnixMillis};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::clock;
use crate::config::JwtAlgorithm;
use crate::store::{Begin, Document, StoreError};

/// What HMAC-SHA-256 is as strong as (RFC 7518 section 3.2), and an Ed25519 key is as long as.
const MIN_SECRET_BYTES: usize = 32;

const SECRET: &str = "SECRET_KEY";
const PREVIOUS: &str = "SECRET_KEY_PREVIOUS";

/// Signs and checks.
pub(crate) struct Keys {
    algorithm: JwtAlgorithm,
    source: Source,
}

enum Source {
    /// Of the environment, or made for this start: the newest is the last.
    Fixed(Vec<Key>),
    /// Of the file, as it is now. Reading a key takes longer than checking with it, so what was
    /// read is kept until the file is another one.
    File { document: Document<Ring>, read: Mutex<Option<ReadRing>> },
}

type ReadRing = (Arc<Ring>, Arc<[Key]>);

impl Keys {
    /// With `SECRET_KEY` if it is set, else with the file, which is made where there is none.
    pub(crate) fn open(
        algorithm: JwtAlgorithm,
        path: &Path,
        begin: Begin,
        now: UnixMillis,
    ) -> Result<Self, KeyError> {
        if let Some(secret) = secret_in(SECRET)? {
            let previous = secret_in(PREVIOUS)?;
            let secrets = previous.into_iter().chain([secret]);
            info!("Signing key: {SECRET} of the environment");
            return Ok(Self::fixed(algorithm, secrets));
        }
        let document: Document<Ring> = Document::open_irreplaceable(path)?;
        if document.read()?.keys.is_empty() {
            if begin == Begin::MustExist || path.exists() {
                return Err(KeyError::Store(StoreError::NoKey));
            }
            document.update(|ring| ring.make_first(now))??;
            let path = path.display();
            warn!("Signing key made: {path}; keep it, and give it to every replica");
            warn!("Tokens that were signed with another key are refused from here on");
        } else {
            info!("Signing key: {}", path.display());
        }
        document.read()?.check()?;
        Ok(Self { algorithm, source: Source::File { document, read: Mutex::new(None) } })
    }

    /// `--fault random-key`: with a key of this start, which its workers are given.
    pub(crate) fn random(algorithm: JwtAlgorithm, is_worker: bool) -> Result<Self, KeyError> {
        let given = if is_worker { secret_in(SECRET)? } else { None };
        let secret = match given {
            Some(secret) => secret,
            None => Secret::random()?.0,
        };
        Ok(Self::fixed(algorithm, [secret]))
    }

    /// With these, the newest last.
    pub(crate) fn fixed(
        algorithm: JwtAlgorithm,
        secrets: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let keys = secrets.into_iter().map(|secret| Key::new(algorithm, &secret)).collect();
        Self { algorithm, source: Source::Fixed(keys) }
    }

    /// The signed form of `token`, for the session that it belongs to.
    pub(crate) fn sign(
        &self,
        token: &Token,
        session: &Session,
        issued_at: UnixMillis,
    ) -> Result<String, StoreError> {
        let claims = Claims {
            sub: session.username.to_string(),
            sid: session.id.to_string(),
            jti: token.expose(),
            iat: issued_at.0 / 1000,
            exp: session.expires_at.0 / 1000,
        };
        self.with_keys(|keys| {
            let key = keys.last()?;
            let header = Header { kid: Some(key.id.clone()), ..Header::new(self.algorithm()) };
            encode(&header, &claims, &key.signs).ok()
        })?
        .ok_or(StoreError::NoKey)
    }

    fn check(&self, text: &str) -> Result<Checked, StoreError> {
        let Ok(header) = decode_header(text) else { return Ok(Checked::Wrong) };
        let mut wanted = Validation::new(self.algorithm());
        // The store decides on time, by the one clock of this server.
        wanted.validate_exp = false;
        wanted.required_spec_claims.clear();
        self.with_keys(|keys| {
            let Some(key) = keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()) else {
                return claimed(text).map_or(Checked::Wrong, Checked::OtherKey);
            };
            let claims = decode::<Claims>(text, &key.checks, &wanted).ok();
            let token = claims.and_then(|data| Token::parse(data.claims.jti.as_bytes()));
            token.map_or(Checked::Wrong, Checked::Good)
        })
    }

    fn with_keys<R>(&self, work: impl FnOnce(&[Key]) -> R) -> Result<R, StoreError> {
        match &self.source {
            Source::Fixed(keys) => Ok(work(keys)),
            Source::File { document, read } => {
                let ring = document.read()?;
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                let keys = match &*read {
                    Some((of, keys)) if Arc::ptr_eq(of, &ring) => Arc::clone(keys),
                    Some(_) | None => {
                        let keys = self.keys_of(&ring)?;
                        *read = Some((ring, Arc::clone(&keys)));
                        keys
                    }
                };
                drop(read);
                Ok(work(&keys))
            }
        }
    }

    fn keys_of(&self, ring: &Ring) -> Result<Arc<[Key]>, StoreError> {
        let secrets = ring.secrets().collect::<Result<Vec<_>, _>>();
        let secrets = secrets.map_err(|error| StoreError::corrupt("the key file", error))?;
        if secrets.is_empty() {
            // It was there at the start: a disk is away, or somebody deleted it.
            return Err(StoreError::NoKey);
        }
        Ok(secrets.iter().map(|secret| Key::new(self.algorithm, secret)).collect())
    }

    fn algorithm(&self) -> Algorithm {
        match self.algorithm {
            JwtAlgorithm::Eddsa => Algorithm::EdDSA,
            JwtAlgorithm::Hs256 => Algorithm::HS256,
        }
    }
}

/// What a signed token is worth.
#[derive(Debug)]
pub(crate) enum Checked {
    /// We signed it.
    Good(Token),
    /// It names a key that is not here. What it says of itself proves nothing.
    OtherKey(Token),
    /// Nobody of ours signed it.
    Wrong,
}

/// Checks a signed token with the keys that there are.
pub(crate) fn check(keys: Option<&Keys>, text: &str) -> Result<Checked, StoreError> {
    match keys {
        Some(keys) => keys.check(text),
        None => Ok(claimed(text).map_or(Checked::Wrong, Checked::OtherKey)),
    }
}

/// The token that a text claims to have been made for. Only of a text that names its key, as ours
/// do.
fn claimed(text: &str) -> Option<Token> {
    decode_header(text).ok()?.kid?;
    let claims = text.split('.').nth(1)?;
    let claims = Base64UrlUnpadded::decode_vec(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Token::parse(claims.jti.as_bytes())
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Signs with a new key from now on, and says how many older ones are still good.
pub(crate) fn rotate(path: &Path, now: UnixMillis) -> Result<usize, KeyError> {
    let document: Document<Ring> = Document::open_irreplaceable(path)?;
    document.read()?.check()?;
    if env::var_os(SECRET).is_some() {
        warn!("{SECRET} is set: a server that has it signs with that, and not with the file");
    }
    document.update(|ring| ring.rotate(now))?
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    sid: String,
    jti: String,
    /// Seconds since 1970, as `exp` (RFC 7519 section 2: NumericDate).
    iat: u64,
    exp: u64,
}

struct Key {
    id: String,
    signs: EncodingKey,
    checks: DecodingKey,
}

impl Key {
    fn new(algorithm: JwtAlgorithm, secret: &[u8]) -> Self {
        // Another algorithm is another key, also where the secret is the same.
        let purpose = match algorithm {
            JwtAlgorithm::Eddsa => "kid of eddsa",
            JwtAlgorithm::Hs256 => "kid of hs256",
        };
        let id = digest(purpose, secret)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        match algorithm {
            JwtAlgorithm::Hs256 => Self {
                id,
                signs: EncodingKey::from_secret(secret),
                checks: DecodingKey::from_secret(secret),
            },
            JwtAlgorithm::Eddsa => {
                let seed = digest("ed25519", secret);
                let public = SigningKey::from_bytes(&seed).verifying_key();
                // PKCS #8 of an Ed25519 key (RFC 8410 section 7): a fixed beginning and the seed.
                let mut der = b"0.\x02\x01\x000\x05\x06\x03+ep\x04\"\x04 ".to_vec();
                der.extend(seed);
                Self {
                    id,
                    signs: EncodingKey::from_ed_der(&der),
                    checks: DecodingKey::from_ed_der(public.as_bytes()),
                }
            }
        }
    }
}

/// Keys for different purposes follow from one secret, and none from another.
fn digest(purpose: &str, secret: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(purpose).chain_update([0]).chain_update(secret).finalize().into()
}

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
    fn make_first(&mut self, now: UnixMillis) -> Result<(), KeyError> {
        // Another server may have been faster.
        if self.keys.is_empty() { self.push(now) } else { Ok(()) }
    }

    fn rotate(&mut self, now: UnixMillis) -> Result<usize, KeyError> {
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

    fn check(&self) -> Result<(), KeyError> {
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

struct Secret(Vec<u8>);

impl Secret {
    fn random() -> Result<Self, KeyError> {
        let mut bytes = vec![0; MIN_SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Self(bytes))
    }

    fn check(bytes: Vec<u8>, whose: &'static str) -> Result<Vec<u8>, KeyError> {
        if bytes.len() < MIN_SECRET_BYTES { Err(KeyError::Short(whose)) } else { Ok(bytes) }
    }
}

fn secret_in(variable: &'static str) -> Result<Option<Vec<u8>>, KeyError> {
    match env::var(variable) {
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
