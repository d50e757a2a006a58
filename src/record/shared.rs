//! One log for many repositories.
//!
//! ```text
//! <dir>/log, key, evidence/, index.db, lock    of all
//! <dir>/repositories/<name>/                   of one: intents/, received, attest.key, attest.pem,
//!                                              audit.jsonl, checkpoint.final, repository
//! ```
//!
//! An entry of such a log is the canonical JSON of `{"entry":{…},"of":"<name>"}`; that of a log of
//! one repository has no such frame, and neither is read as the other. The name is given by the
//! host at enrolment (`[record] name`) and never by what is pushed. Indices, sizes and time are
//! the log's, and count every entry; all else that is asked of the record is answered from the
//! entries of one repository.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, EntryError, MAX_ENTRY, later};

/// The most bytes of a name.
const MAX_NAME: usize = 100;

/// What a repository is called in a log that it shares: `[a-z0-9][a-z0-9._-]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(String);

impl RepositoryName {
    /// Returns the name, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
        let may_be = |byte: u8| is_plain(byte) || b"._-".contains(&byte);
        let is_name = text.len() <= MAX_NAME
            && text.bytes().next().is_some_and(is_plain)
            && text.bytes().all(may_be);
        is_name.then(|| Self(text.to_owned()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("no name of a repository: {text:?}"))
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.0
    }
}

/// An entry of a log of many repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedEntry {
    /// The entry.
    pub entry: Entry,
    /// Whose it is.
    pub of: RepositoryName,
}

impl SharedEntry {
    /// Returns the canonical JSON, which reads back to the same bytes.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        self.entry.encode()?;
        let bytes = serde_jcs::to_vec(self)?;
        match bytes.len() > MAX_ENTRY {
            true => Err(EntryError::TooLarge {
                kind: self.entry.kind(),
                size: bytes.len(),
            }),
            false => Ok(bytes),
        }
    }

    /// Reads an entry; anything but the bytes [`SharedEntry::encode`] makes is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge {
                kind: "larger",
                size: bytes.len(),
            });
        }
        let shared: Self = serde_json::from_slice(bytes).map_err(|error| match later(bytes) {
            Some(version) => EntryError::Newer { version },
            None => error.into(),
        })?;
        if serde_jcs::to_vec(&shared)? != bytes {
            return Err(EntryError::NotCanonical);
        }
        Ok(shared)
    }
}

/// Writes an entry for the log of one repository, or for that of many.
pub(crate) fn encode(of: Option<&RepositoryName>, entry: &Entry) -> Result<Vec<u8>, EntryError> {
    match of {
        None => entry.encode(),
        Some(of) => SharedEntry {
            entry: entry.clone(),
            of: of.clone(),
        }
        .encode(),
    }
}

/// Reads the very bytes that [`decode`] took before.
pub(crate) fn decode_again(
    of: Option<&RepositoryName>,
    bytes: &[u8],
) -> Result<(Option<RepositoryName>, Entry), EntryError> {
    match of {
        None => Ok((None, Entry::decode_again(bytes)?)),
        Some(_) => {
            let shared: SharedEntry = serde_json::from_slice(bytes)?;
            Ok((Some(shared.of), shared.entry))
        }
    }
}

/// Reads an entry of the log of one repository, or of that of many, with whose it is.
pub(crate) fn decode(
    is_shared: bool,
    bytes: &[u8],
) -> Result<(Option<RepositoryName>, Entry), EntryError> {
    match is_shared {
        false => Ok((None, Entry::decode(bytes)?)),
        true => SharedEntry::decode(bytes).map(|shared| (Some(shared.of), shared.entry)),
    }
}

/// Reads an entry of whichever kind of log: one of the one kind is none of the other.
pub(crate) fn decode_either(bytes: &[u8]) -> Result<(Option<RepositoryName>, Entry), EntryError> {
    match SharedEntry::decode(bytes) {
        Ok(shared) => Ok((Some(shared.of), shared.entry)),
        Err(_) => Ok((None, Entry::decode(bytes)?)),
    }
}
