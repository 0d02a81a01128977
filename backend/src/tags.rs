//! The protected resource: a list of tags for each user, kept in a file.
//!
//! Rule: a tag that was acknowledged is on disk; adding it again changes nothing.
//!
//! It stands for any resource of an app, and shows that a second request with the same token works
//! as the first did. It deliberately does not know how the token was checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::auth::SignedIn;
use crate::backend::Backend;
use crate::body::{Body, Input};
use crate::error::ApiError;
use crate::store::{Document, StoreError, blocking};

const MAX_NAME_CHARS: usize = 64;

/// Each change writes the whole file, so what one user can put into it is bounded.
const MAX_TAGS: usize = 1000;

pub(crate) async fn list(
    State(backend): State<Arc<Backend>>,
    user: SignedIn,
) -> Result<Json<TagList>, ApiError> {
    let tags = backend.tags().list(user.session.username.into()).await?;
    Ok(Json(TagList { tags }))
}

pub(crate) async fn add(
    State(backend): State<Arc<Backend>>,
    user: SignedIn,
    Body(NewTag { name }): Body<NewTag>,
) -> Result<(StatusCode, Json<TagList>), ApiError> {
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(ApiError::invalid("a tag's name is 1 to 64 characters: change it"));
    }
    match backend.tags().add(user.session.username.into(), name).await? {
        Some(tags) => Ok((StatusCode::CREATED, Json(TagList { tags }))),
        None => Err(ApiError::invalid("there are 1000 tags already: no more fit")),
    }
}

/// The tags of all users.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    document: Arc<Document<BTreeMap<String, Vec<String>>>>,
}

impl Tags {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { document: Arc::new(Document::open_irreplaceable(path)?) })
    }

    async fn list(&self, username: String) -> Result<Vec<String>, StoreError> {
        let document = Arc::clone(&self.document);
        blocking(move || Ok(document.read()?.get(&username).cloned().unwrap_or_default())).await
    }

    /// All tags of the user with the new one at the end, or `None` when no more fit.
    async fn add(&self, username: String, name: String) -> Result<Option<Vec<String>>, StoreError> {
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

#[derive(Deserialize)]
pub(crate) struct NewTag {
    name: String,
}

impl Input for NewTag {
    const EXPECTED: &'static str = r#"send {"name": string}"#;
}

#[derive(Serialize)]
pub(crate) struct TagList {
    tags: Vec<String>,
}
