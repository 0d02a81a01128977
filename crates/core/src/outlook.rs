//! How long a confirmation takes at most, and why: what the developer is told at its start.
//!
//! Rule: nothing here decides. The limits are those of G2; `confirm.rs` holds them.

use crate::confirm::{Confirmation, WARM_UP};
use crate::confirm_context::{Basis, ConfirmContext, Token};
use crate::options::Confirm;
use crate::time::Duration;

/// How long a confirmation takes at most, and why so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) limit: Duration,
    pub(crate) basis: Basis,
}

/// Whether there is a health path that can prove the server awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthPath {
    Usable,
    Missing,
}

impl Confirmation {
    /// How long this takes at most, and why.
    pub(crate) fn outlook(&self, context: &ConfirmContext<'_>, health: HealthPath) -> Outlook {
        let outlook = |secs, basis| Outlook { limit: Duration::from_secs(secs), basis };
        let is_weak = self.is_weak();
        if context.confirm == Confirm::Immediate {
            return outlook(0, Basis::Immediate);
        }
        if is_weak && health == HealthPath::Missing {
            return outlook(120, Basis::NoHealth);
        }
        if context.token == Token::RunOut {
            return outlook(8, Basis::Expired);
        }
        if context.backend.contradicts_itself() {
            return outlook(120, Basis::Inconsistent);
        }
        let is_named = self.is_named() && context.instances.are_known();
        let is_known = is_named || !is_weak && context.backend.samples_left() == 0;
        if !is_known || context.token == Token::New {
            return outlook(60, Basis::Unknown);
        }
        let is_warm = context.woken.is_none_or(|woken| self.began_after(woken.plus(WARM_UP)));
        match (is_warm, is_named) {
            (false, _) => outlook(20, Basis::JustStarted),
            (true, true) => outlook(8, Basis::Instances),
            (true, false) => outlook(8, Basis::Consistent),
        }
    }
}
