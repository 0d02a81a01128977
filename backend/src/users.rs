//! Who may sign in: a file of names and argon2id hashes.
//!
//! Rule: an unknown name costs what a wrong password costs and is answered alike, so that nobody
//! learns which names exist.
//!
//! It deliberately does not know sessions. A user who is added while the server runs can sign in at
//! once.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::store::{Document, StoreError, blocking};

/// Long enough for a queue of sign-ins after an outage, shorter than a browser's patience.
const QUEUE_TIME: Duration = Duration::from_secs(10);

/// What can be a user's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserName(String);

impl UserName {
    const MAX_CHARS: usize = 100;

    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            Err("a user's name is empty: give one")
        } else if text.chars().count() > Self::MAX_CHARS {
            Err("a user's name is over 100 characters: give a shorter one")
        } else if text.chars().any(char::is_control) {
            Err("a user's name has control characters: leave them out")
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// The users.
pub(crate) struct Users {
    document: Arc<Document<Rows>>,
    /// What an unknown name's password is compared with.
    dummy: Arc<str>,
    /// Each check takes 19 MiB and a whole core: more at once than cores would only take memory.
    checks: Semaphore,
    memory: Arc<Memory>,
}

/// What passwords are checked in, used again and again: of what it is given back in such pieces,
/// the system's allocator keeps some for each thread that ever asked (200 MB, measured).
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    /// Whether the password is the one that `stored` was made of. What cannot be read matches none.
    fn matches(&self, stored: &str, password: &[u8]) -> bool {
        let mut blocks = self.idle().pop().unwrap_or_default();
        let matches = matches_in(&mut blocks, stored, password).unwrap_or(false);
        self.idle().push(blocks);
        matches
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches_in(blocks: &mut Vec<Block>, stored: &str, password: &[u8]) -> Option<bool> {
    let stored = PasswordHash::new(stored).ok()?;
    let (salt, expected) = (stored.salt.as_ref()?, stored.hash.as_ref()?);
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = stored.version.and_then(|version| Version::try_from(version).ok())?;
    let params = Params::try_from(&stored).ok()?;
    let needed = params.block_count();
    if blocks.len() < needed {
        blocks.resize(needed, Block::default());
    }
    let mut output = vec![0; expected.len()];
    let argon2 = Argon2::new(algorithm, version, params);
    let filled = &mut blocks[..needed];
    argon2.hash_password_into_with_memory(password, salt.as_ref(), &mut output, filled).ok()?;
    // In a time that does not depend on where they differ: `Output` sees to that.
    Some(Output::new(&output).ok()? == *expected)
}

impl Users {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let document = Document::open_irreplaceable(path).map_err(OpenError::Store)?;
        // Of random bytes: no password matches it, and a match would count for nothing.
        let mut nobodys = [0; 32];
        getrandom::fill(&mut nobodys).map_err(OpenError::Random)?;
        let dummy = hash(&nobodys).map_err(OpenError::Random)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            document: Arc::new(document),
            dummy: Arc::from(dummy),
            checks: Semaphore::new(cores),
            memory: Arc::default(),
        })
    }

    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.document.read()?.is_empty())
    }

    /// Waits until a password can be checked.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, ApiError> {
        match timeout(QUEUE_TIME, self.checks.acquire()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit }),
            Ok(Err(_)) => Err(ApiError::internal("the queue of sign-ins is closed")),
            Err(_) => Err(ApiError::unavailable("too many sign-ins at once")),
        }
    }

    /// Whether the name and the password belong together.
    pub(crate) async fn check(
        &self,
        _turn: Turn<'_>,
        name: String,
        password: String,
    ) -> Result<bool, ApiError> {
        let (document, dummy) = (Arc::clone(&self.document), Arc::clone(&self.dummy));
        let memory = Arc::clone(&self.memory);
        blocking(move || {
            let users = document.read()?;
            let known = users.get(&name);
            let stored = known.map_or(&*dummy, |row| &*row.password);
            let matches = memory.matches(stored, password.as_bytes());
            Ok(known.is_some() && matches)
        })
        .await
    }
}

/// The right to have one password checked.
pub(crate) struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("document", &self.document).finish_non_exhaustive()
    }
}

/// Why the users cannot be asked.
#[derive(Debug)]
pub(crate) enum OpenError {
    Store(StoreError),
    Random(getrandom::Error),
}

/// What became of a user who was to be added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    Replaced,
    ExistsAlready,
}

/// Whether a user who exists gets the new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Adds a user to the file. Blocks for as long as a password hash takes.
pub(crate) fn add(
    path: &Path,
    UserName(name): UserName,
    password: &str,
    existing: Existing,
) -> Result<Added, OpenError> {
    let document: Document<Rows> = Document::open_irreplaceable(path).map_err(OpenError::Store)?;
    let password = hash(password.as_bytes()).map_err(OpenError::Random)?;
    let outcome = document.update(|rows| match (rows.contains_key(&name), existing) {
        (true, Existing::Keep) => Added::ExistsAlready,
        (exists, _) => {
            rows.insert(name, Row { password });
            if exists { Added::Replaced } else { Added::New }
        }
    });
    outcome.map_err(OpenError::Store)
}

pub(crate) type Rows = BTreeMap<String, Row>;

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// In PHC's format, which carries salt and parameters: raising the costs leaves old hashes
    /// valid.
    password: String,
}

fn hash(password: &[u8]) -> Result<String, getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let hash = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .expect("default costs, 16 bytes of salt and a password of less than 4 GiB are valid");
    Ok(hash.to_string())
}
