//! Short names that a server gives itself: its instance, its boot id.

use core::fmt;

/// A name of 1 to 64 printable ASCII characters. Anything else that a body may hold there is
/// not kept: it would travel into the history and the console.
///
/// Kept in place rather than on the heap: it stands in entries, rejections and answers, and the
/// code that frees it in each of them would be kilobytes of the package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Label {
    /// The longest name that is kept.
    pub const MAX: usize = 64;

    /// Takes a name as the server wrote it, or nothing where it is no name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        let mut label = Self { len: name.len().try_into().ok()?, bytes: [0; Self::MAX] };
        label.bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        fits.then_some(label)
    }

    /// The characters of the name.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.bytes.iter().take(self.len.into()).map(|byte| char::from(*byte))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..self.len.into()).unwrap_or_default();
        core::str::from_utf8(name).unwrap_or_default()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = alloc::string::String::deserialize(deserializer)?;
        Self::new(&name).ok_or_else(|| serde::de::Error::custom("no short printable name"))
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who answered, where the backend names itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Origin {
    /// Which instance.
    pub instance: Option<Label>,
    /// Under which boot id.
    pub boot: Option<Label>,
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
