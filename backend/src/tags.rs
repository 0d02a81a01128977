//! A list of tags for each user, kept in a file: it stands for any resource of an app.
//!
//! Rule: a tag that was acknowledged is on disk; adding it again changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::store::{Document, StoreError, blocking};

/// Each change writes the whole file, so what one user can put into it is bounded.
const MAX_TAGS: usize = 1000;

/// The tags of all users.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    document: Arc<Document<BTreeMap<String, Vec<String>>>>,
}

impl Tags {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { document: Arc::new(Document::open_irreplaceable(path)?) })
    }

    pub(crate) async fn list(&self, username: String) -> Result<Vec<String>, StoreError> {
        let document = Arc::clone(&self.document);
        blocking(move || Ok(document.read()?.get(&username).cloned().unwrap_or_default())).await
    }

    /// All tags of the user with the new one at the end, or `None` when no more fit.
    pub(crate) async fn add(
        &self,
        username: String,
        name: String,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let document = Arc::clone(&self.document);
        blocking(move || {
            document.update(|users| {
                let tags = users.entry(username).or_default();
                if !tags.contains(&name) {
                    if tags.len() >= MAX_TAGS {
                        return None;
                    }
                    tags.push(name);
                }
                Some(tags.clone())
            })
        })
        .await
    }
}
