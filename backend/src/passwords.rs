//! Checks passwords against argon2id hashes, a bounded number at a time.
//!
//! Rule 1: a slot is held for as long as the hashing takes, whether or not the client still waits.
//! Each check takes 19 MiB and a whole core, so this is what bounds a flood of sign-ins.
//! Rule 2: an unknown name costs what a wrong password costs.

use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use unicode_normalization::UnicodeNormalization;

use crate::error::ApiError;

/// Long enough for a queue of sign-ins after an outage, shorter than a browser's patience.
const QUEUE_TIME: Duration = Duration::from_secs(10);

/// Checks passwords.
pub(crate) struct Passwords {
    /// What an unknown name's password is compared with.
    dummy: Arc<str>,
    /// One for each core: more at once would only take memory.
    slots: Arc<Semaphore>,
    buffers: Arc<Buffers>,
}

/// The right to have one password checked. Goes with the work, not with whoever waits for it.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        // Of random bytes: no password matches it, and a match would count for nothing.
        let mut nobodys = [0; 32];
        getrandom::fill(&mut nobodys)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            dummy: Arc::from(hash_bytes(&nobodys)?),
            slots: Arc::new(Semaphore::new(cores)),
            buffers: Arc::new(Buffers { idle: Mutex::default(), most: cores }),
        })
    }

    /// Waits until a password can be checked.
    pub(crate) async fn acquire_slot(&self) -> Result<Slot, ApiError> {
        match timeout(QUEUE_TIME, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            Ok(Err(_)) => Err(ApiError::internal("the queue of sign-ins is closed")),
            Err(_) => Err(ApiError::unavailable("too many sign-ins at once")),
        }
    }

    /// What [`Checker::matches`] needs, for a thread that may block.
    pub(crate) fn checker(&self, slot: Slot) -> Checker {
        let (dummy, buffers) = (Arc::clone(&self.dummy), Arc::clone(&self.buffers));
        Checker { _slot: slot, dummy, buffers }
    }
}

/// Checks one password. Blocks for as long as a hash takes.
pub(crate) struct Checker {
    _slot: Slot,
    dummy: Arc<str>,
    buffers: Arc<Buffers>,
}

impl Checker {
    /// Whether the password is the one that `stored` was made of; `None` is an unknown name's.
    pub(crate) fn matches(&self, stored: Option<&str>, password: &str) -> bool {
        let against = stored.unwrap_or(&self.dummy);
        let normal = normalized(password);
        let mut matches = self.buffers.matches(against, normal.as_bytes());
        if !matches && normal != password {
            // Hashed by a version that took passwords as they were typed.
            matches = self.buffers.matches(against, password.as_bytes());
        }
        matches && stored.is_some()
    }
}

/// What passwords are checked in, used again and again: of what it is given back in such pieces,
/// the system's allocator keeps some for each thread that ever asked (200 MB, measured).
struct Buffers {
    idle: Mutex<Vec<Vec<Block>>>,
    most: usize,
}

impl Buffers {
    /// What cannot be read matches none.
    fn matches(&self, stored: &str, password: &[u8]) -> bool {
        let mut blocks = self.idle().pop().unwrap_or_default();
        let matches = matches_in(&mut blocks, stored, password).unwrap_or(false);
        let mut idle = self.idle();
        if idle.len() < self.most {
            idle.push(blocks);
        }
        matches
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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

/// One spelling for what looks alike on different keyboards (NFC, as NIST SP 800-63B section
/// 3.1.1.2 recommends).
fn normalized(password: &str) -> String {
    password.nfc().collect()
}

/// The hash of a new password, in PHC's format, which carries salt and parameters: raising the
/// costs leaves old hashes valid.
pub(crate) fn hash(password: &str) -> Result<String, getrandom::Error> {
    hash_bytes(normalized(password).as_bytes())
}

fn hash_bytes(password: &[u8]) -> Result<String, getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let hash = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .expect("default costs, 16 bytes of salt and a password of less than 4 GiB are valid");
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_the_same_whichever_keyboard_composed_it() {
        let passwords = Passwords::new().expect("there are random bytes");
        let stored = hash("pa\u{df}w\u{f6}rter").expect("there are random bytes");
        let slot = passwords.acquire_slot().await.expect("nobody else asks");
        let checker = passwords.checker(slot);
        assert!(checker.matches(Some(&stored), "pa\u{df}wo\u{308}rter"));
        assert!(!checker.matches(Some(&stored), "pa\u{df}worter"));
        let typed = hash_bytes("wo\u{308}rter".as_bytes()).expect("there are random bytes");
        assert!(checker.matches(Some(&typed), "wo\u{308}rter"), "of an older version");
    }

    #[tokio::test]
    async fn a_slot_is_free_again_only_when_the_work_is_done() {
        let passwords = Passwords::new().expect("there are random bytes");
        let cores = passwords.slots.available_permits();
        let slot = passwords.acquire_slot().await.expect("nobody else asks");
        let checker = passwords.checker(slot);
        assert_eq!(passwords.slots.available_permits(), cores - 1);
        drop(checker);
        assert_eq!(passwords.slots.available_permits(), cores);
    }
}
