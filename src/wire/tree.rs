//! Trees, entry by entry, and nothing that two readers could take for different things.
//!
//! Sources: git's `tree.c` and `fsck_tree`.

use std::borrow::Cow;
use std::cmp::Ordering;

use bstr::BString;

use super::entry_name::{EntryName, MAX_NAME, NameFault, check_name};
use super::fold::fold;
use super::object::{ObjectFault, split_once};
use super::oid::{ObjectFormat, Oid};

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
    pub name: EntryName,
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
    // Mode, name and id of a usual entry; others make it grow.
    let usual = format.byte_len().saturating_add(16);
    let mut entries: Vec<TreeEntry> = Vec::with_capacity(raw.len() / usual);
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

fn parse_entry(raw: &[u8], format: ObjectFormat) -> Result<(TreeEntry, &[u8]), TreeError> {
    let (mode, rest) = split_once(raw, b' ').ok_or(TreeError::Truncated)?;
    let (name, rest) = split_once(rest, 0).ok_or(TreeError::Truncated)?;
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
        return Err(TreeError::Repeated(BString::from(&entry.name)));
    }
    match git_order(before, entry) {
        Ordering::Less => Ok(()),
        _ => Err(TreeError::Order(BString::from(&entry.name))),
    }
}

/// The order of entries in a tree: by bytes, as if the name of a directory ended in a slash.
pub fn git_order(a: &TreeEntry, b: &TreeEntry) -> Ordering {
    fn end(entry: &TreeEntry, from: usize) -> impl Iterator<Item = &u8> {
        let rest = entry.name.get(from..).unwrap_or_default();
        let slash = (entry.mode == FileMode::Tree).then_some(&b'/');
        rest.iter().chain(slash)
    }
    let both = a.name.len().min(b.name.len());
    let start = a.name.get(..both).cmp(&b.name.get(..both));
    start.then_with(|| end(a, both).cmp(end(b, both)))
}

/// Order alone does not keep `a`, `a.b`, `a/` apart; the folded forms must all differ.
fn check_collisions(entries: &[TreeEntry]) -> Result<(), TreeError> {
    // Mostly in order already, so that sorting costs little more than one look.
    let mut forms: Vec<Cow<[u8]>> = entries.iter().map(|entry| fold(&entry.name)).collect();
    forms.sort();
    match forms.array_windows().find(|[one, other]| one == other) {
        None => Ok(()),
        Some([form, _]) => Err(collision(entries, form)),
    }
}

/// Names the first two entries of one folded form.
fn collision(entries: &[TreeEntry], form: &[u8]) -> TreeError {
    let mut alike = entries.iter().filter(|entry| fold(&entry.name) == form);
    let mut next = || {
        alike
            .next()
            .map(|entry| BString::from(&entry.name))
            .unwrap_or_default()
    };
    match (next(), next()) {
        (one, other) if one == other => TreeError::Repeated(other),
        (one, other) => TreeError::Collision { one, other },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: &str, name: impl AsRef<[u8]>) -> Vec<u8> {
        [mode.as_bytes(), b" ", name.as_ref(), b"\0", &[7; 20]].concat()
    }

    fn parse_all(entries: &[(&str, &str)]) -> Result<Vec<TreeEntry>, TreeError> {
        let raw: Vec<u8> = entries
            .iter()
            .flat_map(|(mode, name)| entry(mode, name))
            .collect();
        parse(&raw, ObjectFormat::Sha1)
    }

    /// git's own trees are read, in both formats, odd but harmless names included.
    #[test]
    fn reads_good_trees() {
        for (raw, format) in [
            (
                include_bytes!("../../tests/data/wire/sha1-tree").as_slice(),
                ObjectFormat::Sha1,
            ),
            (
                include_bytes!("../../tests/data/wire/sha256-tree"),
                ObjectFormat::Sha256,
            ),
        ] {
            let entries = parse(raw, format).unwrap();
            let shown: Vec<String> = entries
                .iter()
                .map(|e| format!("{} {}", e.mode.octal(), e.name))
                .collect();
            assert_eq!(
                shown,
                [
                    "40000 .github",
                    "100644 a-b",
                    "40000 a.b",
                    "40000 a",
                    "120000 link",
                    "100755 run",
                    "100644 é.yml"
                ]
            );
        }
        assert_eq!(parse(b"", ObjectFormat::Sha1), Ok(Vec::new()));
    }

    /// An unsafe name refuses the tree, and says which.
    #[test]
    fn refuses_unsafe_names() {
        let error = parse_all(&[("40000", ".GIT")]).unwrap_err();
        assert_eq!(error.fault(), ObjectFault::UnsafePath);
        let (name, why) = (BString::from(".GIT"), NameFault::DotGit);
        assert_eq!(error, TreeError::Name { name, why });
    }

    /// OBJ-12: exactly five spellings of modes, and no symlink for git's own settings.
    #[test]
    fn refuses_other_modes() {
        for mode in [
            "100664", "100777", "0100644", "040000", "100600", "0", "", "160001", "+100644",
        ] {
            let error = parse_all(&[(mode, "a")]).unwrap_err();
            assert_eq!(error.fault(), ObjectFault::UnsafeMode, "{mode:?}");
        }
        for name in [".gitmodules", ".GitModules", ".g\u{200c}itmodules"] {
            assert_eq!(
                parse_all(&[("120000", name)]),
                Err(TreeError::Symlink(name.into()))
            );
        }
    }

    /// OBJ-01, OBJ-02, PATH-01, PATH-02: one name, one entry, on every file system.
    #[test]
    fn refuses_twins() {
        let repeated = |name: &str| TreeError::Repeated(name.into());
        let collision = |one: &str, other: &str| TreeError::Collision {
            one: one.into(),
            other: other.into(),
        };
        for (entries, error) in [
            (vec![("100644", "a"), ("100644", "a")], repeated("a")),
            (vec![("100644", "a"), ("40000", "a")], repeated("a")),
            (
                vec![("100644", "a"), ("100644", "a.b"), ("40000", "a")],
                repeated("a"),
            ),
            (
                vec![("40000", ".GitHub"), ("40000", ".github")],
                collision(".GitHub", ".github"),
            ),
            (
                vec![("40000", ".github"), ("40000", ".git\u{200c}hub")],
                collision(".github", ".git\u{200c}hub"),
            ),
            (
                vec![("100644", "cafe\u{301}"), ("100644", "caf\u{e9}")],
                collision("cafe\u{301}", "caf\u{e9}"),
            ),
            (
                vec![("100644", "K"), ("100644", "\u{212a}")],
                collision("K", "\u{212a}"),
            ),
            (vec![("120000", "A"), ("40000", "a")], collision("A", "a")),
        ] {
            assert_eq!(parse_all(&entries), Err(error), "{entries:?}");
        }
    }

    /// git searches by order, so out of order is another tree to another reader.
    #[test]
    fn refuses_disorder() {
        for (entries, at) in [
            (vec![("100644", "b"), ("100644", "a")], "a"),
            (vec![("40000", "a"), ("100644", "a.b")], "a.b"),
            (vec![("100644", "a0"), ("40000", "a")], "a"),
        ] {
            assert_eq!(parse_all(&entries), Err(TreeError::Order(at.into())));
        }
    }

    /// Every cut is seen, and an entry that points at nothing.
    #[test]
    fn refuses_cuts() {
        let raw = [entry("100644", "a"), entry("100644", "b")].concat();
        for end in 1..raw.len() {
            let whole = end == raw.len() / 2;
            assert_eq!(
                parse(&raw[..end], ObjectFormat::Sha1).is_ok(),
                whole,
                "{end}"
            );
        }
        assert!(parse(&raw, ObjectFormat::Sha256).is_err());
        let zero = [b"100644 a\0".as_slice(), &[0; 20]].concat();
        assert_eq!(
            parse(&zero, ObjectFormat::Sha1),
            Err(TreeError::ZeroId("a".into()))
        );
    }
}
