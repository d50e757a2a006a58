//! Commits, by position: a reader that scans for lines would see other values than git does.
//!
//! `tree`, `parent`*, `author`, `committer`, then only `encoding`, `mergetag`, `change-id` and one
//! signature. Source: git's `commit.c` (`parse_commit_buffer`, `parse_signed_commit`), made strict.

use std::collections::{BTreeSet, HashSet};

use bstr::{BString, ByteSlice};

use super::ident::Ident;
use super::object::{HeaderError, Headers, ObjectFault, Signed, beginning};
use super::oid::{ObjectFormat, Oid};

/// Most parents a commit may have; the widest known merge of real history has 66.
pub const MAX_PARENTS: usize = 256;
/// Most bytes of armoured signature.
pub const MAX_ARMOR: usize = 64 * 1024;

/// A commit as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The root tree.
    pub tree: Oid,
    /// In order, none twice.
    pub parents: Vec<Oid>,
    /// Who wrote the change, by the header's word.
    pub author: Ident,
    /// Who made the commit, by the header's word.
    pub committer: Ident,
    /// The signature, if there is one; whether it is good is not looked into here.
    pub signed: Option<Signed>,
    /// Everything below the header.
    pub message: BString,
}

/// What is wrong with a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// git ends the message there, other tools do not.
    #[error("a NUL byte in the commit")]
    Nul,
    /// A line of the fixed part of the header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The same parent twice.
    #[error("parent {0} stands here a second time")]
    RepeatedParent(Oid),
    /// More parents than the limit.
    #[error("more than {MAX_PARENTS} parents")]
    TooManyParents,
    /// A header line that is not allowed, or not at this place.
    #[error("a header line that may not stand here: {0:?}")]
    UnknownHeader(BString),
    /// A header line that may stand once.
    #[error("a second `{0}` line")]
    Repeated(&'static str),
    /// A value with bytes that have no business there.
    #[error("`{0}` has no plain text as its value")]
    Value(&'static str),
    /// A signature header for the other object format: it changes the id, not what verifies.
    #[error("a signature for the other object format")]
    ForeignSignature,
    /// A signature header with nothing, or too much, in it.
    #[error("the signature is empty or larger than {MAX_ARMOR} bytes")]
    Armor,
}

impl CommitError {
    /// Returns which finding this is.
    pub const fn fault(&self) -> ObjectFault {
        ObjectFault::Malformed
    }
}

impl Commit {
    /// Parses a commit object's content.
    ///
    /// `format` is the repository's; ids of the other one are refused, as is its signature header.
    pub fn parse(raw: &[u8], format: ObjectFormat) -> Result<Self, CommitError> {
        if raw.find_byte(0).is_some() {
            return Err(CommitError::Nul);
        }
        let mut headers = Headers::new(raw);
        let tree = headers.oid("tree", format)?;
        let parents = parse_parents(&mut headers, format)?;
        let author = headers.ident("author")?;
        let committer = headers.ident("committer")?;
        let signed = parse_optional(raw, &mut headers, format)?;
        Ok(Self {
            tree,
            parents,
            author,
            committer,
            signed,
            message: headers.rest().into(),
        })
    }

    /// Returns the e-mails of `Co-authored-by` lines, sorted, each once.
    ///
    /// Every line of the message that looks like one is taken, trailer block or not, in any case:
    /// co-authors are only ever excluded, so too many is the safe side. A line without `<…>`
    /// gives its whole value.
    pub fn co_authors(&self) -> Vec<BString> {
        let mut found = BTreeSet::new();
        let mut lines = self.message.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(value) = co_author_value(line) else {
                continue;
            };
            let mut value = value.to_vec();
            // A trailer may be folded: lines that begin with blanks belong to it.
            while let Some(more) =
                lines.next_if(|line| line.starts_with_str(" ") || line.starts_with_str("\t"))
            {
                value.extend_from_slice(more);
            }
            emails(&value, &mut found);
        }
        found.into_iter().collect()
    }
}

fn parse_parents(headers: &mut Headers, format: ObjectFormat) -> Result<Vec<Oid>, CommitError> {
    let mut parents = Vec::new();
    let mut seen = HashSet::new();
    while headers.next_is("parent") {
        let parent = headers.oid("parent", format)?;
        if !seen.insert(parent) {
            return Err(CommitError::RepeatedParent(parent));
        }
        if parents.len() >= MAX_PARENTS {
            return Err(CommitError::TooManyParents);
        }
        parents.push(parent);
    }
    Ok(parents)
}

/// Reads what may follow `committer`, up to and with the empty line.
fn parse_optional(
    raw: &[u8],
    headers: &mut Headers,
    format: ObjectFormat,
) -> Result<Option<Signed>, CommitError> {
    let (mut encoding, mut change_id, mut signed) = (false, false, None);
    loop {
        let start = headers.position();
        let line = headers.line()?;
        if line.is_empty() {
            return Ok(signed);
        }
        let (key, value) = line
            .split_once_str(" ")
            .ok_or_else(|| CommitError::UnknownHeader(beginning(line)))?;
        match (key, format) {
            (b"encoding", _) => once("encoding", &mut encoding, value)?,
            (b"change-id", _) => once("change-id", &mut change_id, value)?,
            // The tag a merge was made from, whole; git itself never reads it back.
            (b"mergetag", _) => while headers.continuation()?.is_some() {},
            (b"gpgsig", ObjectFormat::Sha1) | (b"gpgsig-sha256", ObjectFormat::Sha256) => {
                if signed.is_some() {
                    return Err(CommitError::Repeated("gpgsig"));
                }
                let armor = unfold(value, headers)?;
                let before = raw.get(..start).unwrap_or_default();
                signed = Some(Signed {
                    payload: [before, headers.rest()].concat(),
                    armor,
                });
            }
            (b"gpgsig" | b"gpgsig-sha256", _) => return Err(CommitError::ForeignSignature),
            _ => return Err(CommitError::UnknownHeader(beginning(line))),
        }
    }
}

fn once(key: &'static str, seen: &mut bool, value: &[u8]) -> Result<(), CommitError> {
    if std::mem::replace(seen, true) {
        return Err(CommitError::Repeated(key));
    }
    if value.is_empty() || value.len() > 256 || !value.iter().all(u8::is_ascii_graphic) {
        return Err(CommitError::Value(key));
    }
    Ok(())
}

/// Undoes the folding of a signature: each line keeps its line feed and loses its leading space.
fn unfold(first: &[u8], headers: &mut Headers) -> Result<Vec<u8>, CommitError> {
    let mut armor = first.to_vec();
    armor.push(b'\n');
    while let Some(line) = headers.continuation()? {
        if armor.len().saturating_add(line.len()) >= MAX_ARMOR {
            return Err(CommitError::Armor);
        }
        armor.extend_from_slice(line);
        armor.push(b'\n');
    }
    if armor.trim().is_empty() || armor.len() > MAX_ARMOR {
        return Err(CommitError::Armor);
    }
    Ok(armor)
}

/// Returns what follows `Co-authored-by:`, whatever the case and the blanks around it.
fn co_author_value(line: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"co-authored-by";
    let line = line.trim_start();
    let (key, rest) = (line.get(..KEY.len())?, line.get(KEY.len()..)?);
    if !key.eq_ignore_ascii_case(KEY) {
        return None;
    }
    rest.trim_start().strip_prefix(b":")
}

fn emails(value: &[u8], found: &mut BTreeSet<BString>) {
    let mut rest = value;
    let mut bracketed = false;
    while let Some((_, tail)) = rest.split_once_str("<") {
        let end = tail.find_byteset(b"<>").unwrap_or(tail.len());
        let (email, after) = tail.split_at(end);
        if !email.trim().is_empty() {
            found.insert(email.trim().into());
            bracketed = true;
        }
        rest = after;
    }
    if !bracketed && !value.trim().is_empty() {
        found.insert(value.trim().into());
    }
}
