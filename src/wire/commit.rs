//! Commits, by position: a reader that scans for lines would see other values than git does.
//!
//! `tree`, `parent`*, `author`, `committer`, then only `encoding`, `mergetag`, `change-id` and one
//! signature. Source: git's `commit.c` (`parse_commit_buffer`, `parse_signed_commit`), made strict.

use std::collections::HashSet;

use bstr::{BString, ByteSlice};

use super::ident::Ident;
use super::object::{HeaderError, Headers, ObjectFault, Signed, beginning, split_once};
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
        let (key, value) =
            split_once(line, b' ').ok_or_else(|| CommitError::UnknownHeader(beginning(line)))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/data/wire/", $name)).as_slice()
        };
    }

    const TREE: &str = "tree 1111111111111111111111111111111111111111\n";
    const PARENT: &str = "parent 2222222222222222222222222222222222222222\n";
    const WHO: &str = "author A <a@x> 1 +0000\ncommitter C <c@x> 2 +0000\n";

    fn parse(text: &str) -> Result<Commit, CommitError> {
        Commit::parse(text.as_bytes(), ObjectFormat::Sha1)
    }

    /// What git itself commits is read, in both formats, with every header it writes.
    #[test]
    fn reads_what_git_writes() {
        use ObjectFormat::{Sha1, Sha256};
        for (raw, format, parents, signature, message) in [
            (sample!("sha1-commit-plain"), Sha1, 0, "", "root\n"),
            (sample!("sha256-commit-plain"), Sha256, 0, "", "root\n"),
            (
                sample!("sha1-commit-ssh"),
                Sha1,
                1,
                "SSH",
                "Signed with ssh\n\nCo-authored-by: B <b@example.com>\n",
            ),
            (
                sample!("sha256-commit-ssh"),
                Sha256,
                1,
                "SSH",
                "Signed with ssh\n\nCo-authored-by: B <b@example.com>\n",
            ),
            (
                sample!("sha1-commit-openpgp"),
                Sha1,
                1,
                "PGP",
                "Signed with openpgp\n\nCo-authored-by: B <b@example.com>\n",
            ),
            (
                sample!("sha256-commit-openpgp"),
                Sha256,
                1,
                "PGP",
                "Signed with openpgp\n\nCo-authored-by: B <b@example.com>\n",
            ),
            (
                sample!("sha1-commit-encoding-ssh"),
                Sha1,
                1,
                "SSH",
                "latin\n",
            ),
            (
                sample!("sha256-commit-encoding-openpgp"),
                Sha256,
                1,
                "PGP",
                "latin\n",
            ),
            (
                sample!("sha1-commit-mergetag-openpgp"),
                Sha1,
                2,
                "PGP",
                "Merge\n",
            ),
            (
                sample!("sha256-commit-mergetag-ssh"),
                Sha256,
                2,
                "SSH",
                "Merge\n",
            ),
            (sample!("sha1-commit-empty-message"), Sha1, 1, "", ""),
            (sample!("sha256-commit-empty-message"), Sha256, 1, "", ""),
            (
                sample!("sha1-commit-no-line-feed"),
                Sha1,
                1,
                "",
                "no line feed",
            ),
        ] {
            let commit = Commit::parse(raw, format).unwrap();
            assert_eq!(
                (commit.parents.len(), commit.message.to_str().unwrap()),
                (parents, message)
            );
            assert_eq!(
                (commit.author.seconds, commit.committer.offset_minutes),
                (1_700_000_000, -480)
            );
            let other = if format == Sha1 { Sha256 } else { Sha1 };
            assert!(Commit::parse(raw, other).is_err());
            match commit.signed {
                None => assert_eq!(signature, ""),
                Some(signed) => {
                    let begin = format!("-----BEGIN {signature} SIGNATURE-----\n");
                    let end = format!("-----END {signature} SIGNATURE-----\n");
                    assert!(
                        signed.armor.starts_with_str(&begin) && signed.armor.ends_with_str(&end)
                    );
                    assert!(
                        !signed.payload.contains_str("\ngpgsig")
                            && signed.payload.ends_with_str(message)
                    );
                }
            }
        }
    }

    /// The payload is the commit without the signature's lines, wherever they stand.
    #[test]
    fn takes_the_signature_out() {
        let text =
            format!("{TREE}{PARENT}{WHO}gpgsig A\n B\n \n  C\nchange-id zz\n\ngpgsig D\n E\n");
        let signed = parse(&text).unwrap().signed.unwrap();
        assert_eq!(signed.armor.as_bstr(), "A\nB\n\n C\n");
        assert_eq!(
            signed.payload.as_bstr(),
            format!("{TREE}{PARENT}{WHO}change-id zz\n\ngpgsig D\n E\n").as_str()
        );
        let body = format!("{TREE}{WHO}\ngpgsig A\n B\n");
        assert_eq!(parse(&body).unwrap().signed, None);
    }

    /// OBJ-07, OBJ-08, OBJ-14: a header that two readers could read differently is refused.
    #[test]
    fn refuses_smuggled_headers() {
        let other = TREE.replace('1', "3");
        let unknown = |line: &str| Err(CommitError::UnknownHeader(line.into()));
        for (text, error) in [
            (
                format!("{TREE}{WHO}{other}\n"),
                unknown(&other.trim_end()[..40]),
            ),
            (
                format!("{TREE}{WHO}{PARENT}\n"),
                unknown(&PARENT.trim_end()[..40]),
            ),
            (
                format!("{TREE}{WHO}committer D <d@x> 3 +0000\n\n"),
                unknown("committer D <d@x> 3 +0000"),
            ),
            (
                format!("{TREE}{WHO}author D <d@x> 3 +0000\n\n"),
                unknown("author D <d@x> 3 +0000"),
            ),
            (format!("{TREE}{WHO}HG:extra a\n\n"), unknown("HG:extra a")),
            (format!("{TREE}{WHO}GPGSIG a\n\n"), unknown("GPGSIG a")),
            (format!("{TREE}{WHO}gpgsig\n\n"), unknown("gpgsig")),
            (format!("{TREE}{WHO} a\n\n"), unknown(" a")),
            (format!("{TREE}{WHO}encoding x\n y\n\n"), unknown(" y")),
            (
                format!("{TREE}{WHO}encoding x\nencoding y\n\n"),
                Err(CommitError::Repeated("encoding")),
            ),
            (
                format!("{TREE}{WHO}encoding \n\n"),
                Err(CommitError::Value("encoding")),
            ),
            (
                format!("{TREE}{WHO}encoding x y\n\n"),
                Err(CommitError::Value("encoding")),
            ),
            (
                format!("{TREE}{WHO}change-id a\nchange-id a\n\n"),
                Err(CommitError::Repeated("change-id")),
            ),
            (
                format!("{TREE}{WHO}gpgsig A\ngpgsig B\n\n"),
                Err(CommitError::Repeated("gpgsig")),
            ),
            (
                format!("{TREE}{WHO}gpgsig-sha256 A\n\n"),
                Err(CommitError::ForeignSignature),
            ),
            (
                format!("{TREE}{WHO}gpgsig A\ngpgsig-sha256 B\n\n"),
                Err(CommitError::ForeignSignature),
            ),
            (
                format!("{TREE}{WHO}gpgsig \n \n\n"),
                Err(CommitError::Armor),
            ),
            (
                format!("{TREE}{WHO}gpgsig A\n {}\n\n", "x".repeat(MAX_ARMOR)),
                Err(CommitError::Armor),
            ),
            (
                format!("{TREE}{WHO}gpgsig {}\n\n", "x".repeat(MAX_ARMOR)),
                Err(CommitError::Armor),
            ),
            (format!("{TREE}{WHO}\na\0b"), Err(CommitError::Nul)),
            (format!("{TREE}{WHO}"), Err(HeaderError::Truncated.into())),
            (
                format!("{TREE}{WHO}gpgsig A\n B"),
                Err(HeaderError::Truncated.into()),
            ),
            (String::new(), Err(HeaderError::Truncated.into())),
        ] {
            assert_eq!(parse(&text), error, "{text:?}");
        }
    }

    /// The fixed lines stand in their order, each once, with ids of this repository.
    #[test]
    fn refuses_other_orders() {
        let (author, committer) = WHO.split_at(WHO.find("committer").unwrap());
        for text in [
            format!("{PARENT}{TREE}{WHO}\n"),
            format!("{TREE}{TREE}{WHO}\n"),
            format!("{TREE}{author}{author}{committer}\n"),
            format!("{TREE}{committer}{author}\n"),
            format!("{TREE}{author}\n"),
            format!("{TREE}{author}{PARENT}{committer}\n"),
            format!("\n{TREE}{WHO}\n"),
            format!("{TREE}\n{WHO}\n"),
            format!("{}{WHO}\n", TREE.replace(' ', "  ")),
            format!("{}{WHO}\n", TREE.replace('\n', " \n")),
            format!("{}{WHO}\n", TREE.replace('\n', "\r\n")),
            format!("{}{WHO}\n", TREE.replace('1', "A")),
            format!("tree 11\n{WHO}\n"),
        ] {
            assert!(
                matches!(parse(&text), Err(CommitError::Header(_))),
                "{text:?}"
            );
        }
        let twice = format!("{TREE}{PARENT}{PARENT}{WHO}\n");
        assert!(matches!(parse(&twice), Err(CommitError::RepeatedParent(_))));
        let parents = |n: usize| {
            (0..n)
                .map(|i| format!("parent {i:040x}\n"))
                .collect::<String>()
        };
        assert!(parse(&format!("{TREE}{}{WHO}\n", parents(MAX_PARENTS))).is_ok());
        let many = format!("{TREE}{}{WHO}\n", parents(MAX_PARENTS + 1));
        assert_eq!(parse(&many), Err(CommitError::TooManyParents));
    }
}
