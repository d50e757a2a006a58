//! Object ids.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use faster_hex::hex_string;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hash a repository names its objects by (`extensions.objectFormat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    /// 20 bytes, 40 hexadecimal digits.
    Sha1,
    /// 32 bytes, 64 hexadecimal digits.
    Sha256,
}

impl ObjectFormat {
    /// Returns the length of an id in bytes.
    pub const fn byte_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Returns the length of an id in hexadecimal digits.
    pub const fn hex_len(self) -> usize {
        self.byte_len() * 2
    }
}

/// An object id of either format, compared by format and bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Oid {
    format: ObjectFormat,
    bytes: [u8; 32],
}

/// What is wrong with something that should be an object id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidError {
    /// Neither 20 nor 32 bytes (40 or 64 digits).
    #[error("an object id has 40 or 64 hexadecimal digits, found {0} characters")]
    Length(usize),
    /// Something other than `0-9a-f`.
    #[error("an object id is lower-case hexadecimal, found byte 0x{0:02x}")]
    Digit(u8),
}

/// The bytes alone, in one piece: tables of ids are what walks spend their time in.
impl Hash for Oid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Oid {
    /// Reads raw bytes; their number gives the format.
    pub fn from_bytes(raw: &[u8]) -> Result<Self, OidError> {
        let format = match raw.len() {
            20 => ObjectFormat::Sha1,
            32 => ObjectFormat::Sha256,
            n => return Err(OidError::Length(n.saturating_mul(2))),
        };
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(raw) {
            *to = *from;
        }
        Ok(Self { format, bytes })
    }

    /// Reads full lower-case hexadecimal; abbreviations and capitals are errors.
    pub fn from_hex(hex: &[u8]) -> Result<Self, OidError> {
        if hex.len() != 40 && hex.len() != 64 {
            return Err(OidError::Length(hex.len()));
        }
        let mut raw = Vec::with_capacity(32);
        for pair in hex.chunks_exact(2) {
            let mut byte = 0u8;
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    other => return Err(OidError::Digit(*other)),
                };
                byte = (byte << 4) | value;
            }
            raw.push(byte);
        }
        Self::from_bytes(&raw)
    }

    /// Returns the all-zero id, git's word for "no object".
    pub const fn zero(format: ObjectFormat) -> Self {
        Self {
            format,
            bytes: [0; 32],
        }
    }

    /// Returns whether this is the all-zero id.
    pub fn is_zero(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// Returns the format.
    pub const fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns the 20 or 32 bytes of the id.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.format.byte_len())
            .unwrap_or(&self.bytes)
    }

    /// Returns the first 12 digits, for people only: never compared, never parsed.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_string(self.as_bytes()))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Oid {
    type Err = OidError;
    fn from_str(text: &str) -> Result<Self, OidError> {
        Self::from_hex(text.as_bytes())
    }
}

impl Serialize for Oid {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only full lower-case ids are ids.
    #[test]
    fn reads_strictly() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(hex.parse::<Oid>().unwrap().to_string(), hex);
        assert_eq!("ab".parse::<Oid>(), Err(OidError::Length(2)));
        assert_eq!(
            hex.to_uppercase().parse::<Oid>(),
            Err(OidError::Digit(b'A'))
        );
        assert_eq!(
            format!("{hex}{}", &hex[..24])
                .parse::<Oid>()
                .unwrap()
                .format(),
            ObjectFormat::Sha256
        );
    }
}
