//! What a confirmation is judged by, besides the rejections that it holds itself.

use crate::backend::Backend;
use crate::instances::Instances;
use crate::options::Confirm;
use crate::time::Instant;

/// What decides besides the rejections themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfirmContext<'a> {
    pub(crate) now: Instant,
    pub(crate) instances: &'a Instances,
    pub(crate) woken: Option<Instant>,
    pub(crate) backend: &'a Backend,
    pub(crate) token: Token,
    pub(crate) confirm: Confirm,
}

/// What is known of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// It was accepted before, or may have been.
    Current,
    /// It was handed over in this page and never accepted: what others say of the backend is no
    /// reason to doubt a token that it has just issued.
    New,
    /// It has run out, by the server's clock.
    RunOut,
}

/// Whether the server answers as it should while it is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerHealth {
    Well,
    Bad,
}
