//! Short names that a server gives itself: its instance, its boot id.

use alloc::boxed::Box;
use core::fmt;

/// A name of 1 to 64 printable ASCII characters. Anything else that a body may hold there is
/// not kept: it would travel into the history and the console.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(Box<str>);

impl Label {
    /// The longest name that is kept.
    pub const MAX: usize = 64;

    /// Takes a name as the server wrote it, or nothing where it is no name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX;
        (fits && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_short_printable_name_is_not_kept() {
        assert!(Label::new("boot-1").is_some());
        for bad in ["", "two words", "line\nbreak", "naïve"] {
            assert!(Label::new(bad).is_none());
        }
        assert!(Label::new(&"x".repeat(Label::MAX)).is_some());
        assert!(Label::new(&"x".repeat(Label::MAX + 1)).is_none());
    }
}
