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
    pub(crate) fn new(instance: String) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self { instance, boot: format!("{:032x}", u128::from_ne_bytes(bytes)) })
    }
}
