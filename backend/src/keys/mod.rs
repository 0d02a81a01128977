//! What signed tokens (JWT, RFC 7519) are signed with: made once, kept, and replaced with an
//! overlap.
//!
//! Rule 1: a key is never made in silence where there was one: a server that signs with another key
//! signs everybody out.
//! Rule 2: a key that cannot be read is an error of the store, and no token is refused for it.
//! Rule 3: the algorithm follows from the key that a token names, and never from what the token
//! says of it (RFC 8725 section 3.1). Of each secret both algorithms' keys are known, so that a
//! server that signs otherwise now, or no more, goes on accepting what it signed before.
//!
//! It deliberately does not know sessions: a good signature says that we made a token, and the
//! store whether it still counts.

mod ring;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use session_keeper_tokens::{KeyId, Session, Token, UnixMillis};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::{self, JwtAlgorithm};
use crate::store::{Document, OpenMode, StoreError};
pub(crate) use ring::{KeyError, Ring};
use ring::{PREVIOUS, SECRET, Secret, secret_in};

/// Signs and checks.
pub(crate) struct Keys {
    /// `None`: signing was switched off.
    signs: Option<JwtAlgorithm>,
    source: Source,
    claimed: Claimed,
}

/// What every token says beside its session (RFC 7519 sections 4.1.1 and 4.1.3), for services that
/// check tokens by themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claimed {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
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
        mode: OpenMode,
        now: UnixMillis,
    ) -> Result<Self, KeyError> {
        if let Some(secret) = secret_in(SECRET)? {
            let previous = secret_in(PREVIOUS)?;
            let secrets = previous.into_iter().chain([secret]);
            info!("Signing key: {SECRET} of the environment");
            return Ok(Self::fixed(algorithm, secrets));
        }
        let document: Document<Ring> = Document::open_irreplaceable(path)?;
        if document.read()?.is_empty() {
            if mode == OpenMode::MustExist || path.exists() {
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
        Ok(Self::of(algorithm, Source::File { document, read: Mutex::new(None) }))
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

    /// For a server that signs no more: what it signed before is checked, where there are keys.
    pub(crate) fn open_to_check(path: &Path) -> Result<Option<Self>, KeyError> {
        let source = match secret_in(SECRET) {
            Ok(Some(secret)) => {
                let secrets = secret_in(PREVIOUS)?.into_iter().chain([secret]);
                Source::Fixed(secrets.flat_map(|secret| Key::of_secret(&secret)).collect())
            }
            // Not ours to judge: it may be another program's.
            Err(_) => return Ok(None),
            Ok(None) if path.exists() => {
                let document = Document::open_irreplaceable(path)?;
                Source::File { document, read: Mutex::new(None) }
            }
            Ok(None) => return Ok(None),
        };
        Ok(Some(Self { signs: None, source, claimed: Claimed::default() }))
    }

    /// With these, the newest last.
    pub(crate) fn fixed(
        algorithm: JwtAlgorithm,
        secrets: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let keys = secrets.into_iter().flat_map(|secret| Key::of_secret(&secret)).collect();
        Self::of(algorithm, Source::Fixed(keys))
    }

    fn of(algorithm: JwtAlgorithm, source: Source) -> Self {
        Self { signs: Some(algorithm), source, claimed: Claimed::default() }
    }

    pub(crate) fn claiming(self, claimed: Claimed) -> Self {
        Self { claimed, ..self }
    }

    pub(crate) fn signs(&self) -> bool {
        self.signs.is_some()
    }

    /// The key that tokens are signed with from now on.
    pub(crate) fn signing_key(&self) -> Result<Option<KeyId>, StoreError> {
        match self.signs {
            None => Ok(None),
            Some(_) => self
                .with_keys(|keys| self.newest(keys).map(|key| key.id))?
                .map(Some)
                .ok_or(StoreError::NoKey),
        }
    }

    fn newest<'a>(&self, keys: &'a [Key]) -> Option<&'a Key> {
        keys.iter().rev().find(|key| Some(key.algorithm) == self.signs)
    }

    /// The signed form of `token`, for the session that it belongs to: with the key that the
    /// session names, where that is still there.
    pub(crate) fn sign(
        &self,
        token: &Token,
        session: &Session,
        issued_at: UnixMillis,
    ) -> Result<String, StoreError> {
        let claims = Claims {
            iss: self.claimed.issuer.clone(),
            aud: self.claimed.audience.clone(),
            sub: session.username.to_string(),
            sid: session.id.to_string(),
            jti: token.expose(),
            iat: issued_at.0 / 1000,
            exp: session.expires_at.0 / 1000,
        };
        self.with_keys(|keys| {
            let named = keys.iter().find(|key| Some(key.id) == session.key);
            let key = named.or_else(|| self.newest(keys))?;
            let header = Header { kid: Some(key.id.to_string()), ..Header::new(key.algorithm()) };
            encode(&header, &claims, &key.signs).ok()
        })?
        .ok_or(StoreError::NoKey)
    }

    fn check(&self, text: &str) -> Result<Checked, StoreError> {
        let Some(named) = key_named_by(text) else { return Ok(Checked::Wrong) };
        self.with_keys(|keys| {
            let Some(key) = keys.iter().find(|key| key.id == named) else {
                // A server that signs no more is given no key back: what it cannot check is wrong.
                return match claimed(text).filter(|_| self.signs()) {
                    Some(token) => Checked::KeyMissing(token, named),
                    None => Checked::Wrong,
                };
            };
            let mut wanted = Validation::new(key.algorithm());
            // The store decides on time, by the one clock of this server, and what the token is
            // for.
            wanted.validate_exp = false;
            wanted.validate_aud = false;
            wanted.required_spec_claims.clear();
            let claims = decode::<Claims>(text, &key.checks, &wanted).ok();
            let token = claims.and_then(|data| Token::parse(data.claims.jti.as_bytes()));
            token.map_or(Checked::Wrong, Checked::Good)
        })
    }

    /// The public keys, for services that check tokens by themselves (RFC 7517 section 5, RFC 8037
    /// section 2). `None`: tokens are not signed so that others could check them.
    pub(crate) fn public(&self) -> Result<Option<serde_json::Value>, StoreError> {
        if self.signs != Some(JwtAlgorithm::Eddsa) {
            return Ok(None);
        }
        self.with_keys(|keys| {
            let keys = keys.iter().filter_map(|key| {
                let x = Base64UrlUnpadded::encode_string(key.public.as_ref()?);
                let (kid, alg) = (key.id.to_string(), "EdDSA");
                Some(json!({
                    "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": alg, "use": "sig",
                }))
            });
            Some(json!({ "keys": keys.collect::<Vec<_>>() }))
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
        Ok(secrets.iter().flat_map(|secret| Key::of_secret(secret)).collect())
    }
}

/// What a signed token is worth.
#[derive(Debug)]
pub(crate) enum Checked {
    /// We signed it.
    Good(Token),
    /// It names a key that is not here, but may be put back. What it says of itself proves nothing.
    KeyMissing(Token, KeyId),
    /// Nobody of ours signed it.
    Wrong,
}

/// Checks a signed token with the keys that there are.
pub(crate) fn check(keys: Option<&Keys>, text: &str) -> Result<Checked, StoreError> {
    match keys {
        Some(keys) => keys.check(text),
        // Nothing was ever signed here, as far as this server can know.
        None => Ok(Checked::Wrong),
    }
}

/// The key that a text names, as ours do.
fn key_named_by(text: &str) -> Option<KeyId> {
    decode_header(text).ok()?.kid?.parse().ok()
}

/// The token that a text claims to have been made for.
fn claimed(text: &str) -> Option<Token> {
    let claims = text.split('.').nth(1)?;
    let claims = Base64UrlUnpadded::decode_vec(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Token::parse(claims.jti.as_bytes())
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("signs", &self.signs).finish_non_exhaustive()
    }
}

/// Signs with a new key from now on, and says how many older ones are still good.
pub(crate) fn rotate(path: &Path, now: UnixMillis) -> Result<usize, KeyError> {
    let document: Document<Ring> = Document::open_irreplaceable(path)?;
    document.read()?.check()?;
    if config::variable(SECRET).is_ok() {
        warn!("{SECRET} is set: a server that has it signs with that, and not with the file");
    }
    document.update(|ring| ring.rotate(now))?
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    sub: String,
    sid: String,
    jti: String,
    /// Seconds since 1970, as `exp` (RFC 7519 section 2: NumericDate).
    iat: u64,
    exp: u64,
}

struct Key {
    id: KeyId,
    algorithm: JwtAlgorithm,
    signs: EncodingKey,
    checks: DecodingKey,
    /// What others may check with.
    public: Option<[u8; 32]>,
}

impl Key {
    /// Both algorithms' keys.
    fn of_secret(secret: &[u8]) -> [Self; 2] {
        [JwtAlgorithm::Eddsa, JwtAlgorithm::Hs256].map(|algorithm| Self::new(algorithm, secret))
    }

    fn new(algorithm: JwtAlgorithm, secret: &[u8]) -> Self {
        // Another algorithm is another key, also where the secret is the same.
        let purpose = match algorithm {
            JwtAlgorithm::Eddsa => "kid of eddsa",
            JwtAlgorithm::Hs256 => "kid of hs256",
        };
        let mut id = [0; 8];
        id.copy_from_slice(&digest(purpose, secret)[..8]);
        let (signs, checks, public) = match algorithm {
            JwtAlgorithm::Hs256 => {
                (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret), None)
            }
            JwtAlgorithm::Eddsa => {
                let key = SigningKey::from_bytes(&digest("ed25519", secret));
                let public = key.verifying_key().to_bytes();
                let der = key.to_pkcs8_der().expect("a key of 32 bytes can be written as PKCS #8");
                (
                    EncodingKey::from_ed_der(der.as_bytes()),
                    DecodingKey::from_ed_der(&public),
                    Some(public),
                )
            }
        };
        Self { id: KeyId::from(id), algorithm, signs, checks, public }
    }

    fn algorithm(&self) -> Algorithm {
        match self.algorithm {
            JwtAlgorithm::Eddsa => Algorithm::EdDSA,
            JwtAlgorithm::Hs256 => Algorithm::HS256,
        }
    }
}

/// Keys for different purposes follow from one secret, and none from another.
fn digest(purpose: &str, secret: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(purpose).chain_update([0]).chain_update(secret).finalize().into()
}
