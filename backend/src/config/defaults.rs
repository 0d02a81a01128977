//! Where things are, unless the operator says otherwise.

pub(super) const DEFAULT_STORE: &str = "sqlite:data/auth_tokens.sqlite";
pub(super) const DEFAULT_USERS: &str = "data/users.json";
pub(super) const DEFAULT_TAGS: &str = "data/tags.json";
pub(super) const DEFAULT_KEYS: &str = "data/keys.json";
