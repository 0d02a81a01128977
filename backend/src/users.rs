//! Who may sign in: a file of names and argon2id hashes.
//!
//! Rule 1: an unknown name costs what a wrong password costs and is answered alike, so that nobody
//! learns which names exist.
//! Rule 2: names that differ in case, composition (NFC) or spaces around them are one account.
//! Rule 3: a file that cannot be read takes no session away: what was last read of it counts.
//!
//! It deliberately does not know sessions. A user who is added while the server runs can sign in at
//! once; one who is removed has no session after a second.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::error::ApiError;
use crate::passwords::{self, Passwords, Slot};
use crate::store::{Document, OpenMode, StoreError, blocking};

/// How long a user who was removed goes unnoticed. Looking takes a few microseconds, which each
/// request would pay.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What can be a user's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserName(String);

impl UserName {
    const MAX_CHARS: usize = 100;

    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            Err("a user's name is empty: give one")
        } else if name.chars().count() > Self::MAX_CHARS {
            Err("a user's name is over 100 characters: give a shorter one")
        } else if name.chars().any(char::is_control) {
            Err("a user's name has control characters: leave them out")
        } else {
            Ok(Self(name))
        }
    }
}

/// What is the same for all spellings of one account's name.
pub(crate) fn account_key(name: &str) -> String {
    name.trim().nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// The users.
pub(crate) struct Users {
    document: Arc<Document<Rows>>,
    passwords: Passwords,
    recent: Arc<Mutex<Recent>>,
}

/// What was last read of the file.
struct Recent {
    rows: Arc<Rows>,
    read_at: Instant,
}

impl Users {
    pub(crate) fn open(path: &Path, mode: OpenMode) -> Result<Self, OpenError> {
        if mode == OpenMode::MustExist && !path.exists() {
            return Err(OpenError::Store(StoreError::missing(path)));
        }
        let document: Document<Rows> =
            Document::open_irreplaceable(path).map_err(OpenError::Store)?;
        let rows = document.read().map_err(OpenError::Store)?;
        Ok(Self {
            document: Arc::new(document),
            passwords: Passwords::new().map_err(OpenError::Random)?,
            recent: Arc::new(Mutex::new(Recent { rows, read_at: Instant::now() })),
        })
    }

    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.document.read()?.by_name.is_empty())
    }

    /// Waits until a password can be checked.
    pub(crate) async fn acquire_slot(&self) -> Result<Slot, ApiError> {
        self.passwords.acquire_slot().await
    }

    /// The account's name as it was added, where the name and the password belong together.
    pub(crate) async fn check(
        &self,
        slot: Slot,
        name: String,
        password: String,
    ) -> Result<Option<String>, ApiError> {
        let (document, checker) = (Arc::clone(&self.document), self.passwords.checker(slot));
        blocking(move || {
            let rows = document.read()?;
            let found = rows.find(&name);
            let matches = checker.matches(found.map(|(_, row)| &*row.password), &password);
            Ok(found.filter(|_| matches).map(|(name, _)| name.to_owned()))
        })
        .await
    }

    /// Whether there is such a user, as of a second ago. Never waits for the file. Where there are
    /// no users at all, the file is a new or another one, which ends nobody's session.
    pub(crate) fn has(&self, name: &str) -> bool {
        let (rows, is_due) = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = recent.read_at.elapsed() >= READ_AGAIN_AFTER;
            if is_due {
                recent.read_at = Instant::now();
            }
            (Arc::clone(&recent.rows), is_due)
        };
        if is_due {
            let (document, recent) = (Arc::clone(&self.document), Arc::clone(&self.recent));
            tokio::task::spawn_blocking(move || {
                if let Ok(rows) = document.read() {
                    recent.lock().unwrap_or_else(PoisonError::into_inner).rows = rows;
                }
            });
        }
        rows.by_name.is_empty() || rows.by_name.contains_key(name)
    }
}

/// Why the users cannot be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Store(StoreError),
    Random(getrandom::Error),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Makes a file without users.
pub(crate) fn make_file(path: &Path) -> Result<(), StoreError> {
    Document::<Rows>::open_irreplaceable(path)?.make()
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
    let document: Document<Rows> = Document::open_irreplaceable(path)?;
    let password = passwords::hash(password).map_err(OpenError::Random)?;
    let outcome = document.update(|rows| {
        let found = rows.find(&name).map(|(name, _)| name.to_owned());
        match (found, existing) {
            (Some(_), Existing::Keep) => Added::ExistsAlready,
            (Some(found), Existing::Replace) => {
                rows.insert(found, Row { password });
                Added::Replaced
            }
            (None, _) => {
                rows.insert(name, Row { password });
                Added::New
            }
        }
    });
    Ok(outcome?)
}

/// Gives a user another password. Gives the account's name, `None` where there is no such user.
pub(crate) fn set_password(
    path: &Path,
    name: &str,
    password: &str,
) -> Result<Option<String>, OpenError> {
    let document: Document<Rows> = Document::open_irreplaceable(path)?;
    let password = passwords::hash(password).map_err(OpenError::Random)?;
    let outcome = document.update(|rows| {
        let found = rows.find(name)?.0.to_owned();
        rows.insert(found.clone(), Row { password });
        Some(found)
    });
    Ok(outcome?)
}

/// Takes a user out of the file. Gives the account's name, `None` where there is no such user.
pub(crate) fn remove(path: &Path, name: &str) -> Result<Option<String>, StoreError> {
    let document: Document<Rows> = Document::open_irreplaceable(path)?;
    document.update(|rows| {
        let found = rows.find(name)?.0.to_owned();
        rows.remove(&found);
        Some(found)
    })
}

/// The account's name as it was added.
pub(crate) fn find(path: &Path, name: &str) -> Result<Option<String>, StoreError> {
    let document: Document<Rows> = Document::open_irreplaceable(path)?;
    Ok(document.read()?.find(name).map(|(name, _)| name.to_owned()))
}

/// All names.
pub(crate) fn list(path: &Path) -> Result<Vec<String>, StoreError> {
    let document: Document<Rows> = Document::open_irreplaceable(path)?;
    Ok(document.read()?.by_name.keys().cloned().collect())
}

/// What is in the file.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Row>", into = "BTreeMap<String, Row>")]
pub(crate) struct Rows {
    by_name: BTreeMap<String, Row>,
    /// From [`account_key`] to the name.
    names: BTreeMap<String, String>,
}

impl Rows {
    /// By the very name before any spelling of it: files of older versions may hold two.
    fn find(&self, name: &str) -> Option<(&str, &Row)> {
        let exact = self.by_name.get_key_value(name);
        let alike = self.names.get(&account_key(name));
        let alike = alike.and_then(|name| self.by_name.get_key_value(name));
        exact.or(alike).map(|(name, row)| (&**name, row))
    }

    fn insert(&mut self, name: String, row: Row) {
        self.names.insert(account_key(&name), name.clone());
        self.by_name.insert(name, row);
    }

    fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
        self.names = names_of(&self.by_name);
    }
}

fn names_of(rows: &BTreeMap<String, Row>) -> BTreeMap<String, String> {
    rows.keys().map(|name| (account_key(name), name.clone())).collect()
}

impl From<BTreeMap<String, Row>> for Rows {
    fn from(by_name: BTreeMap<String, Row>) -> Self {
        Self { names: names_of(&by_name), by_name }
    }
}

impl From<Rows> for BTreeMap<String, Row> {
    fn from(rows: Rows) -> Self {
        rows.by_name
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// In PHC's format.
    password: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_account() {
        let mut rows = Rows::default();
        rows.insert("Zo\u{eb}".to_owned(), Row { password: String::new() });
        for text in ["Zo\u{eb}", "zo\u{eb}", " ZO\u{cb} ", "Zoe\u{308}"] {
            assert_eq!(rows.find(text).map(|(name, _)| name), Some("Zo\u{eb}"), "{text}");
        }
        for text in ["Zoe", "Zo\u{eb}x", ""] {
            assert!(rows.find(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_file_of_an_older_version_with_two_spellings_keeps_both_apart() {
        let rows: Rows = serde_json::from_str(r#"{"Ada":{"password":"1"},"ada":{"password":"2"}}"#)
            .expect("it is such a file");
        let password = |name| rows.find(name).map(|(_, row)| row.password.clone());
        assert_eq!((password("Ada"), password("ada")), (Some("1".into()), Some("2".into())));
    }
}
