//! What changes inside files: hunks of lines, from raw objects, to be shown as a patch.
//!
//! As `git diff-tree -p --full-index --no-renames --histogram --no-indent-heuristic` has it, without
//! configuration, attributes or textconv. A file that is not read is told of as binary, never left
//! out. Nothing that decides comes from here.

use std::ops::Range;
use std::sync::Arc;

use super::changes::Change;
use super::lines::{Text, compare, is_binary};
use super::{BLOB_LIMIT, GitError, Repo};
use crate::wire::name::RepoPath;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// Lines that stay the same shown around each hunk.
const CONTEXT: usize = 3;
/// Most bytes of contents that one [`Patcher`] reads.
const CONTENT_BYTES: u64 = 32 << 20;

/// One path of a patch: a file that changes, comes or goes. Where a file becomes another kind of
/// thing there are two, as in git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePatch {
    /// From the root.
    pub path: RepoPath,
    /// What stood there; none where it comes.
    pub old: Option<(FileMode, Oid)>,
    /// What stands there; none where it goes.
    pub new: Option<(FileMode, Oid)>,
    /// What is different inside.
    pub content: Content,
}

/// What is different inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: a file without lines, or only the mode.
    Same,
    /// Lines.
    Lines(Vec<Hunk>),
    /// A side is no text.
    Binary,
    /// Too large, or too much with the files before it: not read.
    Unread,
}

/// Changed lines with those around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Lines of the old side, counted from 0.
    pub before: Range<usize>,
    /// Lines of the new side, counted from 0.
    pub after: Range<usize>,
    /// The lines, in blocks of one kind each, not empty.
    pub blocks: Vec<(Kind, Vec<u8>)>,
}

/// What becomes of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On both sides.
    Stays,
    /// On the old side only.
    Goes,
    /// On the new side only.
    Comes,
}

/// Reads contents until a bound is reached.
pub struct Patcher<'r> {
    repo: &'r Repo,
    bytes: u64,
    searched: usize,
}

impl<'r> Patcher<'r> {
    /// Starts with nothing read.
    pub fn new(repo: &'r Repo) -> Self {
        Self {
            repo,
            bytes: CONTENT_BYTES,
            searched: 0,
        }
    }

    /// Returns one change as one patch, or as two where the kind of thing changes.
    pub fn patch(&mut self, change: &Change) -> Result<Vec<FilePatch>, GitError> {
        let kind = |side: (FileMode, Oid)| match side.0 {
            FileMode::File | FileMode::Executable => FileMode::File,
            other => other,
        };
        let sides = match (change.old, change.new) {
            (Some(old), Some(new)) if kind(old) != kind(new) => {
                vec![(Some(old), None), (None, Some(new))]
            }
            both => vec![both],
        };
        let mut patches = Vec::with_capacity(sides.len());
        for (old, new) in sides {
            patches.push(FilePatch {
                path: change.path.clone(),
                old,
                new,
                content: self.content(old, new)?,
            });
        }
        Ok(patches)
    }

    fn content(
        &mut self,
        old: Option<(FileMode, Oid)>,
        new: Option<(FileMode, Oid)>,
    ) -> Result<Content, GitError> {
        if old.map(|(_, oid)| oid) == new.map(|(_, oid)| oid) {
            return Ok(Content::Same);
        }
        let (Some(old), Some(new)) = (self.read(old)?, self.read(new)?) else {
            return Ok(Content::Unread);
        };
        if is_binary(&old) || is_binary(&new) {
            return Ok(Content::Binary);
        }
        let hunks = match hunks(&old, &new, &mut self.searched) {
            Err(GitError::Budget { .. }) => return Ok(Content::Unread),
            told => told?,
        };
        Ok(match hunks.is_empty() {
            true => Content::Same,
            false => Content::Lines(hunks),
        })
    }

    /// Returns the bytes that stand for one side; none where they are too many.
    fn read(&mut self, side: Option<(FileMode, Oid)>) -> Result<Option<Arc<[u8]>>, GitError> {
        let Some((mode, oid)) = side else {
            return Ok(Some(Arc::default()));
        };
        if mode == FileMode::Submodule {
            let line = format!("Subproject commit {oid}\n");
            return Ok(Some(Arc::from(line.into_bytes())));
        }
        let (_, size) = self.repo.kind_and_size(&oid)?;
        if size > self.bytes.min(BLOB_LIMIT) {
            return Ok(None);
        }
        self.bytes = self.bytes.saturating_sub(size);
        self.repo.raw(&oid, ObjectKind::Blob, BLOB_LIMIT).map(Some)
    }
}

/// Compares two texts; what cannot be told apart is replaced whole.
fn hunks(old: &[u8], new: &[u8], searched: &mut usize) -> Result<Vec<Hunk>, GitError> {
    let (old, new, changed) = compare(old, new, searched)?;
    let changed: Vec<Pair> = match changed {
        Some(changed) => changed
            .into_iter()
            .map(|it| (it.before, it.after))
            .collect(),
        None => replaced(&old, &new),
    };
    let mut hunks = Vec::new();
    let mut rest = changed.as_slice();
    while let Some((first, mut tail)) = rest.split_first() {
        let mut group = vec![first.clone()];
        let mut end = first.0.end;
        while let Some((next, later)) = tail.split_first() {
            if next.0.start.saturating_sub(end) > CONTEXT * 2 {
                break;
            }
            end = next.0.end;
            group.push(next.clone());
            tail = later;
        }
        rest = tail;
        hunks.extend(hunk(&old, &new, &group));
    }
    Ok(hunks)
}

/// Lines of either side that stand for each other.
type Pair = (Range<usize>, Range<usize>);

/// Takes all that lies between the first and the last difference as replaced.
fn replaced(old: &Text<'_>, new: &Text<'_>) -> Vec<Pair> {
    let most = old.len().min(new.len());
    let head = (0..most)
        .take_while(|at| old.line(*at) == new.line(*at))
        .count();
    let back = |text: &Text<'_>, at: usize| text.len().saturating_sub(at).saturating_sub(1);
    let tail = (0..most.saturating_sub(head))
        .take_while(|at| old.line(back(old, *at)) == new.line(back(new, *at)))
        .count();
    let middle = |text: &Text<'_>| head..text.len().saturating_sub(tail);
    let (old, new) = (middle(old), middle(new));
    match old.is_empty() && new.is_empty() {
        true => Vec::new(),
        false => vec![(old, new)],
    }
}

/// Puts the lines around one group of changes; none only if there are no such lines.
fn hunk(old: &Text<'_>, new: &Text<'_>, group: &[Pair]) -> Option<Hunk> {
    let ((first, first_new), (last, last_new)) = (group.first()?, group.last()?);
    let above = first.start.min(CONTEXT);
    let below = old.len().saturating_sub(last.end).min(CONTEXT);
    let before = first.start.saturating_sub(above)..last.end.saturating_add(below);
    let after = first_new.start.saturating_sub(above)..last_new.end.saturating_add(below);
    let mut blocks = Vec::new();
    let mut push = |kind, text: &Text<'_>, lines: Range<usize>| -> Option<()> {
        if !lines.is_empty() {
            blocks.push((kind, text.lines(lines)?.to_vec()));
        }
        Some(())
    };
    let mut at = before.start;
    for (goes, comes) in group {
        push(Kind::Stays, old, at..goes.start)?;
        push(Kind::Goes, old, goes.clone())?;
        push(Kind::Comes, new, comes.clone())?;
        at = goes.end;
    }
    push(Kind::Stays, old, at..before.end)?;
    Some(Hunk {
        before,
        after,
        blocks,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::git::changes::changes;
    use crate::git::fixture::Scratch;
    use crate::wire::oid::ObjectFormat;

    fn patch(scratch: &Scratch, old: (&str, &str), new: (&str, &str)) -> Vec<FilePatch> {
        let tree = |(mode, text): (&str, &str)| match mode {
            "" => scratch.repo.empty_tree(),
            _ => scratch.tree(&[(mode, "a", text)]),
        };
        let (old, new) = (tree(old), tree(new));
        let changed = changes(&scratch.repo, Some(&old), &new, 9).unwrap();
        Patcher::new(&scratch.repo).patch(&changed[0]).unwrap()
    }

    /// A hunk has three lines around it; what lies closer than six lines is one hunk.
    #[test]
    fn groups() {
        let lines = |marks: &[usize]| -> Vec<u8> {
            let line = |n| match marks.contains(&n) {
                true => format!("new {n}\n"),
                false => format!("{n}\n"),
            };
            (0..40).map(line).collect::<String>().into_bytes()
        };
        let old = lines(&[]);
        let found = |marks: &[usize]| -> Vec<(usize, usize)> {
            let hunks = hunks(&old, &lines(marks), true);
            let ends = hunks.iter().map(|it| (it.before.start, it.before.end));
            ends.collect()
        };
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[10]), [(7, 14)]);
        assert_eq!(found(&[0, 39]), [(0, 4), (36, 40)]);
        assert_eq!(found(&[10, 17]), [(7, 21)]);
        assert_eq!(found(&[10, 18]), [(7, 14), (15, 22)]);
    }

    /// Hunks of texts, or of texts for which nothing is left to search.
    fn hunks(old: &[u8], new: &[u8], exact: bool) -> Vec<Hunk> {
        let mut searched = if exact { 0 } else { usize::MAX };
        super::hunks(old, new, &mut searched).unwrap()
    }

    /// Beyond the bound of lines what differs is replaced whole, and nothing around it.
    #[test]
    fn replaces_whole() {
        let (old, new) = (b"1\n2\n3\n4\n5\n", b"1\nx\n3\ny\n5\n");
        let exact = hunks(old, new, true);
        let whole = hunks(old, new, false);
        assert_eq!((exact.len(), whole.len()), (1, 1));
        assert_eq!(exact[0].blocks.len(), 7);
        let goes = (Kind::Goes, b"2\n3\n4\n".to_vec());
        assert_eq!(whole[0].blocks[1], goes);
        assert_eq!(whole[0].blocks[2], (Kind::Comes, b"x\n3\ny\n".to_vec()));
        assert_eq!(hunks(old, old, false), []);
        assert_eq!(hunks(b"", b"a", false), hunks(b"", b"a", true));
        assert_eq!(hunks(b"a\na\n", b"a\n", false).len(), 1);
    }

    /// Applies hunks as `git apply` does: what stays and goes must be there.
    fn applied(old: &[u8], hunks: &[Hunk]) -> Vec<u8> {
        let lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
        let (mut out, mut at) = (Vec::new(), 0);
        for hunk in hunks {
            out.extend(lines[at..hunk.before.start].concat());
            let there = lines[hunk.before.clone()].concat();
            let of = |kinds: [Kind; 2]| -> Vec<u8> {
                let blocks = hunk.blocks.iter();
                let mine = blocks.filter(|(kind, _)| kinds.contains(kind));
                mine.flat_map(|(_, text)| text.clone()).collect()
            };
            assert_eq!(of([Kind::Stays, Kind::Goes]), there);
            out.extend(of([Kind::Stays, Kind::Comes]));
            at = hunk.before.end;
        }
        out.extend(lines[at..].concat());
        out
    }

    proptest! {
        /// Hunks lead from the old text to the new one, found line by line or replaced whole.
        #[test]
        fn hunks_lead_to_the_new_text(
            old in "([abc]\n){0,30}[abc]?",
            new in "([abc]\n){0,30}[abc]?",
            exact in any::<bool>(),
        ) {
            let hunks = hunks(old.as_bytes(), new.as_bytes(), exact);
            prop_assert_eq!(applied(old.as_bytes(), &hunks), new.as_bytes());
            prop_assert_eq!(hunks.is_empty(), old == new);
        }
    }

    /// Each kind of thing is told as what it is; one that becomes another goes and comes.
    #[test]
    fn kinds() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let one = "1111111111111111111111111111111111111111";
        let (file, link, sub) = (("100644", "x\n"), ("120000", "x\n"), ("160000", one));
        let mode = patch(&scratch, file, ("100755", "x\n"));
        assert_eq!((mode.len(), &mode[0].content), (1, &Content::Same));
        let binary = patch(&scratch, file, ("100644", "x\0\n"));
        assert_eq!(binary[0].content, Content::Binary);
        for other in [link, sub] {
            let both = patch(&scratch, file, other);
            assert_eq!(both.len(), 2);
            assert_eq!((both[0].new, both[1].old), (None, None));
        }
        let made = patch(&scratch, ("", ""), sub);
        let Content::Lines(hunks) = &made[0].content else {
            panic!("{made:?}");
        };
        let line = format!("Subproject commit {one}\n").into_bytes();
        assert_eq!(hunks[0].blocks, [(Kind::Comes, line)]);
        let empty = patch(&scratch, ("", ""), ("100644", ""));
        assert_eq!(empty[0].content, Content::Same);
    }

    /// What is too large, alone or together, is not read, and said to be so.
    #[test]
    fn reads_within_bounds() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let large = format!("{}\n", "x".repeat(63)).repeat((18 << 20) / 64);
        let tree = scratch.tree(&[
            ("100644", "a", &large),
            ("100644", "b", &format!("{large}x")),
            ("100644", "c", "small\n"),
            ("100644", "d", &"\n".repeat(1_000_001)),
        ]);
        let changed = changes(&scratch.repo, None, &tree, 9).unwrap();
        let mut patcher = Patcher::new(&scratch.repo);
        let read: Vec<bool> = changed
            .iter()
            .map(|it| patcher.patch(it).unwrap()[0].content != Content::Unread)
            .collect();
        assert_eq!(read, [true, false, true, false]);
    }
}
