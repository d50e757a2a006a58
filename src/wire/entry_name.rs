//! Names of tree entries that a checkout would write elsewhere than they say.
//!
//! Sources: git's `verify_path`, `is_ntfs_dotgit` and `is_hfs_dotgit`; Windows' documentation of
//! short names and of streams.

use std::fmt;
use std::ops::Deref;

use bstr::{BString, ByteSlice};
use smallvec::SmallVec;

use super::fold::fold;

/// Longest name of one entry, in bytes; what fsck calls large.
pub const MAX_NAME: usize = 4096;

/// The name of a tree's entry; short ones, as almost all are, need no memory of their own.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName(SmallVec<[u8; 24]>);

impl<T: AsRef<[u8]> + ?Sized> From<&T> for EntryName {
    fn from(name: &T) -> Self {
        Self(SmallVec::from_slice(name.as_ref()))
    }
}

impl From<&EntryName> for BString {
    fn from(name: &EntryName) -> Self {
        Self::from(name.0.as_slice())
    }
}

impl Deref for EntryName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_bstr(), f)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_bstr(), f)
    }
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
    /// Only dots, spaces and invisible characters.
    #[error("some file systems see nothing in it")]
    Invisible,
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

/// Checks one name by itself; see [`NameFault`].
pub fn check_name(name: &[u8]) -> Result<(), NameFault> {
    match is_plain(name) {
        true => Ok(()),
        false => check_odd_name(name),
    }
}

/// Most names have letters, digits, `.`, `-` and `_` alone: the common case costs one scan.
fn is_plain(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    name.len() <= MAX_NAME
        && name.iter().all(plain)
        && name.last().is_some_and(|last| *last != b'.')
        && !name.eq_ignore_ascii_case(b".git")
}

fn check_odd_name(name: &[u8]) -> Result<(), NameFault> {
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
    if matches!(fold(file).as_ref(), b".git" | b"git~1") {
        return Err(NameFault::DotGit);
    }
    if file.is_empty() || folded.contains_str(":$") {
        return Err(if name.contains(&b':') {
            NameFault::Stream
        } else {
            NameFault::Invisible
        });
    }
    if is_short_name(file) {
        return Err(NameFault::ShortName);
    }
    if name.ends_with_str(".") || name.ends_with_str(" ") {
        return Err(NameFault::Trailing);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Odd names that are one file everywhere are fine.
    #[test]
    fn allows_odd_names() {
        for name in [
            ".gitignore",
            ".gitmodules",
            "git",
            "a.git",
            ".git2",
            "Foo::Bar.3pm",
            "a:b",
            "file.~1~",
            "x~",
            "a~b",
            "~1",
            "longername~1",
            "é",
            "👩\u{200d}💻.md",
            "con",
            " a",
            "-rf",
            "$HOME",
            "\"",
            "...a",
            "git~x",
        ] {
            assert_eq!(check_name(name.as_bytes()), Ok(()), "{name:?}");
        }
    }

    /// OBJ-05, OBJ-16, PATH-03: names that are, or hide, something else.
    #[test]
    fn refuses_unsafe_names() {
        use NameFault::*;
        for (name, why) in [
            ("", Empty),
            (".", Dots),
            ("..", Dots),
            ("a/b", Separator),
            (".github\\workflows", Separator),
            ("a\nb", Control),
            ("a\x1b[2Jb", Control),
            ("a\x7f", Control),
            ("a\u{9b}b", Control),
            (".git", DotGit),
            (".GIT", DotGit),
            (".gIt", DotGit),
            ("git~1", DotGit),
            ("GIT~1", DotGit),
            (".g\u{200c}it", DotGit),
            ("\u{feff}.git", DotGit),
            (".git ", DotGit),
            (".git. . ", DotGit),
            (".git::$INDEX_ALLOCATION", DotGit),
            (".git:x", DotGit),
            (".git . :x", DotGit),
            ("git~1:x", DotGit),
            (".g\u{131}t", DotGit),
            ("...", Invisible),
            ("\u{200c}", Invisible),
            (" ", Invisible),
            (".github ", Trailing),
            ("a.", Trailing),
            (".github::$INDEX_ALLOCATION", Stream),
            (".github:$I30:$INDEX_ALLOCATION", Stream),
            ("ci.yml::$DATA", Stream),
            (":x", Stream),
            ("GITHUB~1", ShortName),
            ("gitmod~1", ShortName),
            ("gi7eba~1", ShortName),
            ("GITLAB~2.YML", ShortName),
            ("g\u{200c}itmod~1", ShortName),
        ] {
            assert_eq!(check_name(name.as_bytes()), Err(why), "{name:?}");
        }
        for (name, why) in [
            (b"a\xff\xfe".to_vec(), Utf8),
            (vec![b'a'; MAX_NAME + 1], Long),
        ] {
            assert_eq!(check_name(&name), Err(why));
        }
    }

    /// What is passed over quickly would have been found good slowly, and names of that kind that
    /// are not good are looked at slowly.
    #[test]
    fn plain_names_are_good() {
        let letters = b".-_gGiItT~1: \\/";
        let mut names = vec![Vec::new()];
        for _ in 0..5 {
            let longer = |name: &Vec<u8>| {
                let name = name.clone();
                letters
                    .iter()
                    .map(move |letter| [&name[..], &[*letter]].concat())
            };
            names = names.iter().flat_map(longer).collect();
            for name in names.iter().filter(|name| is_plain(name)) {
                assert_eq!(check_odd_name(name), Ok(()), "{:?}", name.as_bstr());
            }
        }
        assert!(!is_plain(b""));
        assert!(!is_plain(&vec![b'a'; MAX_NAME + 1]));
    }
}
