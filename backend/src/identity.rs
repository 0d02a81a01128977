//! Who answers: the boot, and the worker under it. The keeper decides by it whether every worker
//! refused a token.
//!
//! Rule: a boot id is new at every start of the server, and shared by all workers of that start.

use serde::Serialize;

/// Stands in health, `/auth/me` and every error.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Identity {
    pub(crate) instance: String,
    pub(crate) boot: String,
}

impl Identity {
    /// Of a start of its own, or of the one that `boot` names.
    pub(crate) fn new(instance: String, boot: Option<String>) -> Result<Self, getrandom::Error> {
        let boot = match boot {
            Some(boot) => boot,
            None => random_boot()?,
        };
        Ok(Self { instance, boot })
    }
}

/// An id for one start.
pub(crate) fn random_boot() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
