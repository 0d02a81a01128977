//! The protected resource: a list of tags for each user.
//!
//! It shows that a second request with the same token works as the first did. It deliberately does
//! not know how the token was checked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::auth::SignedIn;
use crate::backend::Backend;
use crate::body::{Body, Input};
use crate::error::ApiError;

const MAX_NAME_CHARS: usize = 64;

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
