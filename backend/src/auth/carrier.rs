//! How tokens travel.

/// How a token was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Header,
    Cookie,
}
