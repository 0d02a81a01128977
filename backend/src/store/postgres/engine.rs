//! How errors call it.

pub(super) const ENGINE: &str = "PostgreSQL";
