//! What is served beside sign-in and sessions.

pub(crate) mod health;
pub(crate) mod jwks;
pub(crate) mod ready;
pub(crate) mod tags;
pub(crate) mod upstream;
