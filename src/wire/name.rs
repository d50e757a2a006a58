//! Ref names and paths: bytes, shown percent-encoded where they are not plain text.

use std::fmt;

use bstr::{BStr, BString, ByteSlice};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A full ref name as pushed, bytes of any kind; `refs/heads/main`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(BString);

/// A path in a tree, from the root, `/` between components, bytes of any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(BString);

macro_rules! bytes_name {
    ($name:ident) => {
        impl $name {
            /// Wraps the bytes as they are.
            pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
                Self(BString::from(bytes.into()))
            }

            /// Returns the bytes.
            pub fn as_bstr(&self) -> &BStr {
                self.0.as_bstr()
            }

            /// Returns the text, or nothing where the bytes are not UTF-8.
            pub fn as_str(&self) -> Option<&str> {
                self.0.to_str().ok()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(self.as_bstr(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(self.as_bstr(), f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Ok(Self::new(String::deserialize(from)?))
            }
        }
    };
}

bytes_name!(RefName);
bytes_name!(RepoPath);

/// Writes UTF-8 as it is and anything else with every byte outside printable ASCII as `%xx`.
///
/// Text that would steer a terminal (control characters, changes of direction) is anything else.
fn show(bytes: &BStr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match bytes.to_str() {
        Ok(text) if !text.contains(steers) => return f.write_str(text),
        _ => {}
    }
    for byte in bytes.iter() {
        match byte {
            0x21..=0x24 | 0x26..=0x7e => write!(f, "{}", char::from(*byte))?,
            _ => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that are no UTF-8 come out percent-encoded, text as it is.
    #[test]
    fn shows_bytes() {
        assert_eq!(RepoPath::from("é.yml").to_string(), "é.yml");
        assert_eq!(
            RepoPath::new(b"a\xff b%".to_vec()).to_string(),
            "a%FF%20b%25"
        );
        assert_eq!(RefName::from("a\x1b[2J").to_string(), "a%1B[2J");
        assert_eq!(RefName::from("a\nb").to_string(), "a%0Ab");
        assert_eq!(RepoPath::from("\u{202e}x").to_string(), "%E2%80%AEx");
    }
}
