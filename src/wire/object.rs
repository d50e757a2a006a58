//! What commits and tags have in common: header lines, kinds, detached signatures.

use bstr::{BString, ByteSlice};

use super::ident::{Ident, IdentError};
use super::oid::{ObjectFormat, Oid, OidError};

/// The four kinds of git objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// A file's content, or a symlink's target.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    /// Returns the word git uses in object headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    /// Reads that word; nothing else is a kind.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"commit" => Some(Self::Commit),
            b"tree" => Some(Self::Tree),
            b"blob" => Some(Self::Blob),
            b"tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// Which finding an object that does not parse is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFault {
    /// The bytes are not what git writes.
    Malformed,
    /// A tree entry has a name that some checkout takes for another.
    UnsafePath,
    /// A tree entry has a mode, or a mode at that name, that is not allowed.
    UnsafeMode,
    /// Two entries of a tree are one file on some checkout.
    Collision,
}

/// Returns what is before and behind the first such byte, if there is one.
pub(super) fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(bytes.find_byte(byte)?)?;
    Some((before, rest.get(1..)?))
}

/// What was signed, and the signature over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The object's bytes without the signature, exactly as git hands them to the verifier.
    pub payload: Vec<u8>,
    /// The armoured signature without the folding of the header; not looked into here.
    pub armor: Vec<u8>,
}

/// What is wrong with a header line of a commit or tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The empty line that ends a header is missing.
    #[error("the header is cut off: no empty line ends it")]
    Truncated,
    /// Another line than the one that must stand here.
    #[error("expected `{want}` in the header, found {found:?}")]
    Expected {
        /// The key that must stand here.
        want: &'static str,
        /// The beginning of what stands there.
        found: BString,
    },
    /// A value that is no object id.
    #[error("`{key}`: {source}")]
    Id {
        /// The key of the line.
        key: &'static str,
        /// What is wrong with it.
        source: OidError,
    },
    /// An id of the other format than the repository's.
    #[error("`{key}`: an id that is not {expected:?}")]
    Format {
        /// The key of the line.
        key: &'static str,
        /// The repository's format.
        expected: ObjectFormat,
    },
    /// A value that is no ident.
    #[error("`{key}`: {source}")]
    Ident {
        /// The key of the line.
        key: &'static str,
        /// What is wrong with it.
        source: IdentError,
    },
}

/// Reads the header of a commit or tag line by line, in order, never backwards.
pub(super) struct Headers<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Headers<'a> {
    /// Starts at the first byte.
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// Returns the offset of the next unread byte.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns everything not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.raw.get(self.at..).unwrap_or_default()
    }

    /// Reads one line and its line feed; returns it without.
    pub(super) fn line(&mut self) -> Result<&'a [u8], HeaderError> {
        let rest = self.rest();
        let end = rest.find_byte(b'\n').ok_or(HeaderError::Truncated)?;
        self.at = self.at.saturating_add(end).saturating_add(1);
        Ok(rest.get(..end).unwrap_or_default())
    }

    /// Reads a line that continues a value (it begins with a space) without that space.
    pub(super) fn continuation(&mut self) -> Result<Option<&'a [u8]>, HeaderError> {
        if !self.rest().starts_with(b" ") {
            return Ok(None);
        }
        Ok(self.line()?.get(1..))
    }

    /// Returns whether the next line begins with this key.
    pub(super) fn next_is(&self, key: &'static str) -> bool {
        value_of(self.rest(), key).is_some()
    }

    /// Reads the line `<key> <value>`, and no other.
    pub(super) fn field(&mut self, key: &'static str) -> Result<&'a [u8], HeaderError> {
        let line = self.line()?;
        value_of(line, key).ok_or_else(|| HeaderError::Expected {
            want: key,
            found: beginning(line),
        })
    }

    /// Reads the line `<key> <id>`.
    pub(super) fn oid(
        &mut self,
        key: &'static str,
        format: ObjectFormat,
    ) -> Result<Oid, HeaderError> {
        match Oid::from_hex(self.field(key)?) {
            Err(source) => Err(HeaderError::Id { key, source }),
            Ok(oid) if oid.format() != format => Err(HeaderError::Format {
                key,
                expected: format,
            }),
            Ok(oid) => Ok(oid),
        }
    }

    /// Reads the line `<key> <ident>`.
    pub(super) fn ident(&mut self, key: &'static str) -> Result<Ident, HeaderError> {
        Ident::parse(self.field(key)?).map_err(|source| HeaderError::Ident { key, source })
    }
}

/// Returns the first bytes of a line, for messages.
pub(super) fn beginning(line: &[u8]) -> BString {
    line.get(..40).unwrap_or(line).into()
}

fn value_of<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    line.strip_prefix(key.as_bytes())?.strip_prefix(b" ")
}
