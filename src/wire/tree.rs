//! Trees, entry by entry, and nothing that two readers could take for different things.
//!
//! Sources: git's `tree.c` and `fsck_tree`; `is_ntfs_dotgit` and `is_hfs_dotgit` for names that a
//! checkout writes elsewhere than they say.

use std::borrow::Cow;
use std::collections::HashSet;

use bstr::{BString, ByteSlice};

use super::fold::fold;
use super::object::ObjectFault;
use super::oid::{ObjectFormat, Oid};

/// Longest name of one entry, in bytes; what fsck calls large.
pub const MAX_NAME: usize = 4096;

/// What an entry is; no other mode is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileMode {
    /// A directory, `40000`.
    Tree,
    /// `100644`.
    File,
    /// `100755`.
    Executable,
    /// `120000`; the blob is its target.
    Symlink,
    /// `160000`; a commit of another repository.
    Submodule,
}

impl FileMode {
    /// Returns the mode as trees spell it.
    pub const fn octal(self) -> &'static str {
        match self {
            Self::Tree => "40000",
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }

    /// Reads exactly that spelling.
    pub fn from_octal(text: &[u8]) -> Option<Self> {
        match text {
            b"40000" => Some(Self::Tree),
            b"100644" => Some(Self::File),
            b"100755" => Some(Self::Executable),
            b"120000" => Some(Self::Symlink),
            b"160000" => Some(Self::Submodule),
            _ => None,
        }
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub mode: FileMode,
    /// UTF-8 without control characters, `/` and `\`; never anything like `.git`.
    pub name: BString,
    /// The object.
    pub oid: Oid,
}

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The last entry is not whole.
    #[error("the tree is cut off in the middle of an entry")]
    Truncated,
    /// A mode other than the five.
    #[error("mode {mode:?} of {name:?} is none of 40000, 100644, 100755, 120000, 160000")]
    Mode {
        /// As spelled.
        mode: BString,
        /// Of which entry.
        name: BString,
    },
    /// A symlink where git reads its own settings.
    #[error("{0:?} is a symlink")]
    Symlink(BString),
    /// An entry that points at nothing.
    #[error("{0:?} has the all-zero id")]
    ZeroId(BString),
    /// The same name twice, as a file and as a directory included.
    #[error("{0:?} stands here a second time")]
    Repeated(BString),
    /// Not in git's order, by which it searches.
    #[error("{0:?} is out of order")]
    Order(BString),
    /// A name that some tool, file system or terminal takes for another.
    #[error("{name:?}: {why}")]
    Name {
        /// The name.
        name: BString,
        /// What about it.
        why: NameFault,
    },
    /// Two names that are one on some file system.
    #[error("{one:?} and {other:?} are the same file on some file systems")]
    Collision {
        /// The first.
        one: BString,
        /// The second.
        other: BString,
    },
}

/// Why a name is unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing at all.
    #[error("an empty name")]
    Empty,
    /// Longer than [`MAX_NAME`].
    #[error("longer than {MAX_NAME} bytes")]
    Long,
    /// `.` or `..`.
    #[error("stands for a directory itself or the one above")]
    Dots,
    /// `/` or `\`.
    #[error("a slash or backslash in a name")]
    Separator,
    /// Line feeds, escapes and their like.
    #[error("a control character in a name")]
    Control,
    /// Tools would replace what they cannot read.
    #[error("not UTF-8")]
    Utf8,
    /// `.git` or what a file system takes for it.
    #[error("some file systems take it for .git")]
    DotGit,
    /// NTFS drops them.
    #[error("a trailing dot or space, which Windows drops")]
    Trailing,
    /// `GIT~1`: stands for a long name that cannot be told.
    #[error("a short name, which Windows takes for another file")]
    ShortName,
    /// `x::$DATA`, `x:$I30:$INDEX_ALLOCATION`.
    #[error("a stream of another file, to Windows")]
    Stream,
}

impl TreeError {
    /// Returns which finding this is.
    pub const fn fault(&self) -> ObjectFault {
        match self {
            Self::Truncated | Self::ZeroId(_) | Self::Repeated(_) | Self::Order(_) => {
                ObjectFault::Malformed
            }
            Self::Mode { .. } | Self::Symlink(_) => ObjectFault::UnsafeMode,
            Self::Name { .. } => ObjectFault::UnsafePath,
            Self::Collision { .. } => ObjectFault::Collision,
        }
    }

    /// Returns the entry it is about, where it is about one.
    pub fn name(&self) -> Option<&BString> {
        match self {
            Self::Truncated => None,
            Self::Mode { name, .. } | Self::Name { name, .. } => Some(name),
            Self::Symlink(name) | Self::ZeroId(name) | Self::Repeated(name) | Self::Order(name) => {
                Some(name)
            }
            Self::Collision { other, .. } => Some(other),
        }
    }
}

/// Parses a tree object's content.
///
/// Every name is checked by itself, for order, and against all others of this tree in folded form.
/// Whether the objects are there, and of that kind, is not looked into.
pub fn parse(raw: &[u8], format: ObjectFormat) -> Result<Vec<TreeEntry>, TreeError> {
    let mut entries: Vec<TreeEntry> = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let (entry, tail) = parse_entry(rest, format)?;
        if let Some(before) = entries.last() {
            check_order(before, &entry)?;
        }
        entries.push(entry);
        rest = tail;
    }
    check_collisions(&entries)?;
    Ok(entries)
}

/// Checks one name by itself; see [`NameFault`].
pub fn check_name(name: &[u8]) -> Result<(), NameFault> {
    match name {
        b"" => return Err(NameFault::Empty),
        b"." | b".." => return Err(NameFault::Dots),
        _ if name.len() > MAX_NAME => return Err(NameFault::Long),
        _ => {}
    }
    if name.find_byteset(b"/\\").is_some() {
        return Err(NameFault::Separator);
    }
    let text = name.to_str().map_err(|_| NameFault::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(NameFault::Control);
    }
    let folded = fold(name);
    // What NTFS leaves of a name with a stream, and of blanks before the colon.
    let file = folded
        .split(|byte| *byte == b':')
        .next()
        .unwrap_or_default();
    if matches!(fold(file).as_ref(), b".git" | b"git~1" | b"") {
        return Err(NameFault::DotGit);
    }
    if folded.contains_str(":$") {
        return Err(NameFault::Stream);
    }
    if is_short_name(file) {
        return Err(NameFault::ShortName);
    }
    if name.ends_with_str(".") || name.ends_with_str(" ") {
        return Err(NameFault::Trailing);
    }
    Ok(())
}

fn parse_entry(raw: &[u8], format: ObjectFormat) -> Result<(TreeEntry, &[u8]), TreeError> {
    let (mode, rest) = raw.split_once_str(" ").ok_or(TreeError::Truncated)?;
    let (name, rest) = rest.split_once_str("\0").ok_or(TreeError::Truncated)?;
    let (id, rest) = rest
        .split_at_checked(format.byte_len())
        .ok_or(TreeError::Truncated)?;
    let shown = || -> BString { name.get(..MAX_NAME).unwrap_or(name).into() };
    let mode = FileMode::from_octal(mode).ok_or_else(|| TreeError::Mode {
        mode: super::object::beginning(mode),
        name: shown(),
    })?;
    check_name(name).map_err(|why| TreeError::Name { name: shown(), why })?;
    if mode == FileMode::Symlink && fold(name).as_ref() == b".gitmodules" {
        return Err(TreeError::Symlink(shown()));
    }
    let oid = Oid::from_bytes(id).map_err(|_| TreeError::Truncated)?;
    if oid.is_zero() {
        return Err(TreeError::ZeroId(shown()));
    }
    let name = name.into();
    Ok((TreeEntry { mode, name, oid }, rest))
}

/// git orders a directory as if its name ended in a slash.
fn check_order(before: &TreeEntry, entry: &TreeEntry) -> Result<(), TreeError> {
    if before.name == entry.name {
        return Err(TreeError::Repeated(entry.name.clone()));
    }
    let key = |entry: &TreeEntry| (entry.mode == FileMode::Tree).then_some(b'/');
    let ordered = before.name.iter().copied().chain(key(before)).lt(entry
        .name
        .iter()
        .copied()
        .chain(key(entry)));
    ordered
        .then_some(())
        .ok_or_else(|| TreeError::Order(entry.name.clone()))
}

/// Order alone does not keep `a`, `a.b`, `a/` apart; the folded forms must all differ.
fn check_collisions(entries: &[TreeEntry]) -> Result<(), TreeError> {
    let mut seen: HashSet<Cow<[u8]>> = HashSet::with_capacity(entries.len());
    for entry in entries {
        if seen.insert(fold(&entry.name)) {
            continue;
        }
        let form = fold(&entry.name);
        let first = entries.iter().find(|other| fold(&other.name) == form);
        return Err(match first {
            Some(one) if one.name != entry.name => TreeError::Collision {
                one: one.name.clone(),
                other: entry.name.clone(),
            },
            _ => TreeError::Repeated(entry.name.clone()),
        });
    }
    Ok(())
}

/// Returns whether NTFS could have made this up for a longer name: `GITHUB~1`, `gi7eba~1.yml`.
fn is_short_name(name: &[u8]) -> bool {
    let (base, extension) = match name.rsplit_once_str(".") {
        Some((base, extension)) => (base, extension),
        None => (name, b"".as_slice()),
    };
    let Some((start, number)) = base.rsplit_once_str("~") else {
        return false;
    };
    base.len() <= 8
        && extension.len() <= 3
        && !start.is_empty()
        && !start.contains(&b'.')
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
}
