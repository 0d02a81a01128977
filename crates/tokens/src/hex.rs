//! Bytes as lower-case hexadecimal digits, the one spelling of hashes and ids in stores.
//!
//! Rule: one value has one spelling; what is spelled otherwise is refused.

use core::fmt;

/// The text is not what [`write`] writes: whatever it stands in is corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHex;

impl fmt::Display for InvalidHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash or id is lower-case hexadecimal digits of its length")
    }
}

impl core::error::Error for InvalidHex {}

pub(crate) fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn parse<const N: usize>(text: &str) -> Result<[u8; N], InvalidHex> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(InvalidHex);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, InvalidHex> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidHex),
    }
}

/// A newtype around bytes that is written and read in hexadecimal digits.
macro_rules! hex_type {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Its bytes, for stores that keep bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::hex::write(&self.0, f)
            }
        }

        impl core::fmt::Debug for $name {
            /// The first digits: enough to tell two apart in a log.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                $crate::hex::write(&self.0[..4], f)?;
                f.write_str("..)")
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::hex::InvalidHex;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hex::parse(text).map(Self)
            }
        }
    };
}
pub(crate) use hex_type;
