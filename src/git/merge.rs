//! `merge/v1`: the three-way merge of trees by which landings are computed.
//!
//! From three tree ids to one, or to the paths that conflict. Nothing else goes in: no commits, no
//! renames, attributes, drivers, filters or configuration. The rules, by place (`docs/spec/merge-v1.md`):
//!
//! 1. A name has two slots, one for a directory and one for anything else; each is merged alone.
//! 2. A slot where ours is base takes theirs; where theirs is base, ours; where both agree, that.
//! 3. Otherwise a directory slot is merged by these rules again, an absent side counting as empty,
//!    and is absent when nothing is left in it.
//! 4. Otherwise, if all three are regular files, the mode is the one that changed, and the content
//!    is merged by lines ([`super::lines`]) unless one of rule 2's answers fits it.
//! 5. Everything else conflicts: both added, changed here and deleted there, symlinks, submodules.
//! 6. A name with both slots filled conflicts, and so does a directory whose entries the strict
//!    tree parser refuses (names that are one file on some checkout).

use std::collections::HashMap;

use super::changes::align;
use super::lines::merge_lines;
use super::{BLOB_LIMIT, DEPTH_LIMIT, GitError, PATH_LIMIT, Repo};
use crate::wire::name::RepoPath;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::{self, FileMode, TreeEntry, git_order};

/// Most directories that one merge reads.
const DIRECTORY_LIMIT: usize = 100_000;
/// Most files whose content one merge merges.
const CONTENT_LIMIT: usize = 10_000;
/// Most conflicts that are told of; the merge stops there.
const CONFLICT_LIMIT: usize = 1_000;
/// Most bytes of contents, all sides together, that one merge merges.
const CONTENT_BYTES: usize = 128 << 20;

/// What a merge comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The resulting tree. It may exist in memory only, where its [`Repo`] finds it.
    Clean(Oid),
    /// The paths that conflict, sorted; at least one, at most a thousand.
    Conflict(Vec<RepoPath>),
}

/// Merges two trees that have a base in common.
///
/// # Errors
///
/// [`GitError::Budget`] and [`GitError::TooLarge`] beyond the limits on directories, contents,
/// depth and blob size ([`BLOB_LIMIT`]); whatever reading gives.
pub fn merge_trees(repo: &Repo, base: &Oid, ours: &Oid, theirs: &Oid) -> Result<Merged, GitError> {
    Merge::new(repo).told(base, ours, theirs)
}

/// Merges two trees for the id of the result alone, which nothing finds: to hold it against the id
/// of a tree that is there.
///
/// # Errors
///
/// As [`merge_trees`].
pub fn merged_id(repo: &Repo, base: &Oid, ours: &Oid, theirs: &Oid) -> Result<Merged, GitError> {
    let merge = Merge {
        stores: false,
        ..Merge::new(repo)
    };
    merge.told(base, ours, theirs)
}

/// Merges as far as that goes: whatever conflicts is in the tree as ours has it.
///
/// To show what a merge by hand did beyond the mechanical one. No approval covers such a tree: where
/// anything conflicts, the paths are told too, and nothing may be decided by it. Of a directory
/// whose entries the strict parser refuses all is ours.
///
/// # Errors
///
/// As [`merge_trees`], and [`GitError::Budget`] where more than a thousand paths conflict.
pub fn merge_beside_conflicts(
    repo: &Repo,
    base: &Oid,
    ours: &Oid,
    theirs: &Oid,
) -> Result<(Oid, Vec<RepoPath>), GitError> {
    let merge = Merge {
        keeps_ours: true,
        ..Merge::new(repo)
    };
    merge.run(base, ours, theirs)
}

/// Base, ours and theirs, in this order.
type Sides<T> = [Option<T>; 3];

struct Merge<'r> {
    repo: &'r Repo,
    /// Directories merged without conflict, so that one that stands at many places is read once.
    known: HashMap<Sides<Oid>, Option<Oid>>,
    directories: usize,
    contents: usize,
    content_bytes: usize,
    /// Lines that diffs have gone through.
    searched: usize,
    path: Vec<u8>,
    depth: usize,
    conflicts: Vec<RepoPath>,
    /// Whether what conflicts stays as ours has it, and the merge goes on.
    keeps_ours: bool,
    /// Whether what is made is to be found.
    stores: bool,
}

impl<'r> Merge<'r> {
    fn new(repo: &'r Repo) -> Self {
        Self {
            repo,
            known: HashMap::new(),
            directories: 0,
            contents: 0,
            content_bytes: 0,
            searched: 0,
            path: Vec::new(),
            depth: 0,
            conflicts: Vec::new(),
            keeps_ours: false,
            stores: true,
        }
    }

    fn told(self, base: &Oid, ours: &Oid, theirs: &Oid) -> Result<Merged, GitError> {
        let (tree, conflicts) = self.run(base, ours, theirs)?;
        Ok(match conflicts.is_empty() {
            true => Merged::Clean(tree),
            false => Merged::Conflict(conflicts),
        })
    }

    /// Returns the tree, which means nothing where there are conflicts and they are not kept apart.
    fn run(
        mut self,
        base: &Oid,
        ours: &Oid,
        theirs: &Oid,
    ) -> Result<(Oid, Vec<RepoPath>), GitError> {
        let merged = self.directory([Some(*base), Some(*ours), Some(*theirs)])?;
        self.conflicts.sort_unstable();
        self.conflicts.dedup();
        let tree = merged.unwrap_or_else(|| self.repo.empty_tree());
        Ok((tree, self.conflicts))
    }

    /// Merges a directory slot; absent where nothing is left, or where something conflicts.
    fn directory(&mut self, sides: Sides<Oid>) -> Result<Option<Oid>, GitError> {
        if let Some(trivial) = trivial(&sides) {
            return Ok(trivial.filter(|oid| *oid != self.repo.empty_tree()));
        }
        if let Some(known) = self.known.get(&sides) {
            return Ok(*known);
        }
        self.directories = count(self.directories, "directories in a merge", DIRECTORY_LIMIT)?;
        let before = self.conflicts.len();
        let [base, ours, theirs] = &sides;
        let read = |oid: &Option<Oid>| match oid {
            Some(oid) => self.repo.tree(oid),
            None => Ok(Default::default()),
        };
        let (base, ours, theirs) = (read(base)?, read(ours)?, read(theirs)?);
        let mut entries: Vec<TreeEntry> = Vec::new();
        for row in align([base.as_slice(), ours.as_slice(), theirs.as_slice()]) {
            if self.conflicts.len() >= CONFLICT_LIMIT {
                if self.keeps_ours {
                    count(self.conflicts.len(), "conflicting paths", CONFLICT_LIMIT)?;
                }
                return Ok(None);
            }
            entries.extend(self.slot(row)?);
        }
        let found = self.conflicts.len();
        if found > before && !self.keeps_ours {
            return Ok(None);
        }
        let merged = self.write(entries)?;
        if self.keeps_ours && self.conflicts.len() > found {
            return Ok(ours_of(&sides));
        }
        if self.conflicts.len() == before {
            self.known.insert(sides, merged);
        }
        Ok(merged)
    }

    fn slot(&mut self, row: Sides<&TreeEntry>) -> Result<Option<TreeEntry>, GitError> {
        let Some(name) = row.iter().flatten().next().map(|entry| entry.name.clone()) else {
            return Ok(None);
        };
        let parent = self.enter(&name)?;
        let is_tree = row
            .iter()
            .flatten()
            .any(|entry| entry.mode == FileMode::Tree);
        let merged = if is_tree {
            self.depth = count(self.depth, "directory levels", DEPTH_LIMIT)?;
            let merged = self.directory(row.map(|entry| entry.map(|entry| entry.oid)))?;
            self.depth = self.depth.saturating_sub(1);
            merged.map(|oid| (FileMode::Tree, oid))
        } else {
            let sides = row.map(|entry| entry.map(|entry| (entry.mode, entry.oid)));
            match trivial(&sides) {
                Some(side) => side,
                None => self.file(sides)?,
            }
        };
        self.path.truncate(parent);
        Ok(merged.map(|(mode, oid)| TreeEntry { mode, name, oid }))
    }

    /// Merges files that differ on all three sides; absent where that conflicts.
    fn file(&mut self, sides: Sides<(FileMode, Oid)>) -> Result<Option<(FileMode, Oid)>, GitError> {
        let regular = |mode: FileMode| matches!(mode, FileMode::File | FileMode::Executable);
        let [Some(base), Some(ours), Some(theirs)] = sides else {
            return Ok(self.conflict(ours_of(&sides)));
        };
        if ![base, ours, theirs].iter().all(|(mode, _)| regular(*mode)) {
            return Ok(self.conflict(Some(ours)));
        }
        // Two modes and three sides: one of the rules always fits.
        let modes = [Some(base.0), Some(ours.0), Some(theirs.0)];
        let mode = trivial(&modes).flatten().unwrap_or(ours.0);
        let oids = [Some(base.1), Some(ours.1), Some(theirs.1)];
        if let Some(Some(oid)) = trivial(&oids) {
            return Ok(Some((mode, oid)));
        }
        self.contents = count(self.contents, "files in a merge", CONTENT_LIMIT)?;
        let read = |oid: Oid| self.repo.raw(&oid, ObjectKind::Blob, BLOB_LIMIT);
        let whole = ours;
        let (base, ours, theirs) = (read(base.1)?, read(ours.1)?, read(theirs.1)?);
        for side in [&base, &ours, &theirs] {
            self.content_bytes = self.content_bytes.saturating_add(side.len());
        }
        within(self.content_bytes, "bytes in a merge", CONTENT_BYTES)?;
        match merge_lines(&base, &ours, &theirs, &mut self.searched)? {
            Some(bytes) => {
                let oid = self.made(ObjectKind::Blob, bytes)?;
                Ok(Some((mode, oid)))
            }
            None => Ok(self.conflict(Some(whole))),
        }
    }

    /// Makes a tree of the entries; rule 6.
    fn write(&mut self, mut entries: Vec<TreeEntry>) -> Result<Option<Oid>, GitError> {
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort_by(git_order);
        let mut raw = Vec::new();
        for entry in &entries {
            raw.extend_from_slice(entry.mode.octal().as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(&entry.name);
            raw.push(0);
            raw.extend_from_slice(entry.oid.as_bytes());
        }
        if let Err(error) = tree::parse(&raw, self.repo.format()) {
            let name = error.name().map_or(&[][..], |name| name.as_slice());
            let parent = self.enter(name)?;
            let nothing = self.conflict(None);
            self.path.truncate(parent);
            return Ok(nothing);
        }
        self.made(ObjectKind::Tree, raw).map(Some)
    }

    fn made(&self, kind: ObjectKind, bytes: Vec<u8>) -> Result<Oid, GitError> {
        match self.stores {
            true => self.repo.overlay(kind, bytes),
            false => self.repo.hash(kind, &bytes),
        }
    }

    /// Appends a name to the current path; returns the length to go back to.
    fn enter(&mut self, name: &[u8]) -> Result<usize, GitError> {
        let parent = self.path.len();
        if parent > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        within(self.path.len(), "bytes in a path", PATH_LIMIT)?;
        Ok(parent)
    }

    /// Notes that what stands at the current path conflicts; gives what then stands there.
    fn conflict<T>(&mut self, ours: Option<T>) -> Option<T> {
        self.conflicts.push(RepoPath::new(self.path.as_slice()));
        ours.filter(|_| self.keeps_ours)
    }
}

fn ours_of<T: Copy>([_, ours, _]: &Sides<T>) -> Option<T> {
    *ours
}

/// Rule 2; `None` where it does not decide.
fn trivial<T: Copy + PartialEq>([base, ours, theirs]: &Sides<T>) -> Option<Option<T>> {
    if ours == theirs || theirs == base {
        Some(*ours)
    } else if ours == base {
        Some(*theirs)
    } else {
        None
    }
}

/// Returns one more than `so_far`, unless that is too many.
fn count(so_far: usize, what: &'static str, limit: usize) -> Result<usize, GitError> {
    let number = so_far.saturating_add(1);
    within(number, what, limit)?;
    Ok(number)
}

fn within(number: usize, what: &'static str, limit: usize) -> Result<(), GitError> {
    if number > limit {
        return Err(GitError::Budget {
            what,
            limit: limit as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::git::fixture::{Scratch, files_below};
    use crate::git::{changes, check_trees};
    use crate::wire::oid::ObjectFormat;

    type Files<'a> = &'a [(&'a str, &'a str, &'a str)];

    fn merge(scratch: &Scratch, [base, ours, theirs]: [Files<'_>; 3]) -> Merged {
        let [base, ours, theirs] = [base, ours, theirs].map(|files| scratch.tree(files));
        let one = merge_trees(&scratch.repo, &base, &ours, &theirs).unwrap();
        let other = merge_trees(&scratch.repo, &base, &theirs, &ours).unwrap();
        assert_eq!(one, other, "sides are equal");
        one
    }

    const A: &str = "1\n2\n3\n4\n5\n";
    const F: &str = "100644";
    const X: &str = "100755";
    const L: &str = "120000";
    const S: &str = "160000";
    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    /// Every rule that gives a result, with the result it gives.
    #[test]
    fn merges_cleanly() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let a = "0\n1\n2\n3\n4\n5\n";
        let z = "1\n2\n3\n4\n5\n6\n";
        let both = "0\n1\n2\n3\n4\n5\n6\n";
        #[rustfmt::skip]
        let cases: &[([Files<'_>; 3], Files<'_>)] = &[
            ([&[], &[], &[]], &[]),
            ([&[(F, "a", A)], &[(F, "a", A)], &[(F, "a", a)]], &[(F, "a", a)]),
            ([&[(F, "a", A)], &[(F, "a", a)], &[(F, "a", a)]], &[(F, "a", a)]),
            ([&[(F, "a", A)], &[(F, "a", a)], &[(F, "a", z)]], &[(F, "a", both)]),
            ([&[(F, "a", A)], &[(X, "a", A)], &[(F, "a", z)]], &[(X, "a", z)]),
            ([&[(X, "a", A)], &[(F, "a", a)], &[(X, "a", z)]], &[(F, "a", both)]),
            // added here, deleted there, the same addition twice
            ([&[], &[(F, "a", A)], &[(F, "b", A)]], &[(F, "a", A), (F, "b", A)]),
            ([&[], &[(F, "d/a", A)], &[(F, "d/b", A)]], &[(F, "d/a", A), (F, "d/b", A)]),
            ([&[], &[(F, "d/a", A)], &[(F, "d/a", A), (F, "b", A)]], &[(F, "b", A), (F, "d/a", A)]),
            ([&[(F, "d/a", A), (F, "e", A)], &[(F, "e", A)], &[(F, "d/a", A), (F, "e", a)]], &[(F, "e", a)]),
            // a directory deleted here where a file is added there
            ([&[(F, "d/a", A)], &[], &[(F, "d/a", A), (F, "d/b", A)]], &[(F, "d/b", A)]),
            // what each deletes of a directory leaves none
            ([&[(F, "d/a", A), (F, "d/b", A)], &[(F, "d/a", A)], &[(F, "d/b", A)]], &[]),
            // a directory becomes a file, and no more is said of it
            ([&[(F, "d/a", A)], &[(F, "d", A)], &[(F, "d/a", A), (F, "e", A)]], &[(F, "d", A), (F, "e", A)]),
            ([&[(F, "d/a", A)], &[(F, "d", A)], &[]], &[(F, "d", A)]),
            ([&[(L, "l", "x")], &[(L, "l", "x")], &[(L, "l", "y")]], &[(L, "l", "y")]),
            ([&[(S, "s", ONE)], &[(S, "s", TWO)], &[(S, "s", ONE)]], &[(S, "s", TWO)]),
            ([&[(F, "a", "\0")], &[(F, "a", "\0x")], &[(X, "a", "\0")]], &[(X, "a", "\0x")]),
        ];
        for (sides, expected) in cases {
            let expected = scratch.tree(expected);
            assert_eq!(
                merge(&scratch, *sides),
                Merged::Clean(expected),
                "{sides:?}"
            );
        }
    }

    /// Every rule that gives a conflict, with the paths it names.
    #[test]
    fn conflicts() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        #[rustfmt::skip]
        let cases: &[([Files<'_>; 3], &[&str])] = &[
            ([&[(F, "a", A)], &[(F, "a", "x\n")], &[(F, "a", "y\n")]], &["a"]),
            ([&[(F, "d/e/a", A), (F, "b", A)], &[(F, "d/e/a", "x\n"), (F, "b", "x\n")], &[(F, "d/e/a", "y\n"), (F, "b", "y\n")]], &["b", "d/e/a"]),
            // both added, differently
            ([&[], &[(F, "a", "x\n")], &[(F, "a", "y\n")]], &["a"]),
            ([&[], &[(F, "a", A)], &[(X, "a", A)]], &["a"]),
            // changed here, deleted there
            ([&[(F, "a", A)], &[], &[(F, "a", "x\n")]], &["a"]),
            ([&[(F, "a", A)], &[], &[(X, "a", A)]], &["a"]),
            ([&[(F, "d/a", A), (F, "d/b", A)], &[], &[(F, "d/a", "x"), (F, "d/b", A)]], &["d/a"]),
            // a name that is a file and a directory
            ([&[], &[(F, "d", A)], &[(F, "d/a", A)]], &["d"]),
            ([&[(F, "d/a", A)], &[(F, "d", A)], &[(F, "d/a", A), (F, "d/b", A)]], &["d"]),
            ([&[(F, "d/a", A)], &[(F, "d", A)], &[(F, "d/a", "x")]], &["d/a"]),
            // symlinks, submodules, types
            ([&[(L, "l", "x")], &[(L, "l", "y")], &[(L, "l", "z")]], &["l"]),
            ([&[(S, "s", ONE)], &[(S, "s", TWO)], &[]], &["s"]),
            ([&[(F, "a", A)], &[(L, "a", A)], &[(F, "a", "x")]], &["a"]),
            // binary
            ([&[(F, "a", "\0\n1\n2\n3\n")], &[(F, "a", "x\0\n1\n2\n3\n")], &[(F, "a", "\0\n1\n2\n3\ny\n")]], &["a"]),
            // names that are one file elsewhere
            ([&[], &[(F, "Makefile", A)], &[(F, "makefile", A)]], &["makefile"]),
            ([&[], &[(F, "d/caf\u{e9}", A)], &[(F, "d/cafe\u{301}", A)]], &["d/caf\u{e9}"]),
        ];
        for (sides, expected) in cases {
            let expected: Vec<RepoPath> =
                expected.iter().map(|path| RepoPath::from(*path)).collect();
            assert_eq!(
                merge(&scratch, *sides),
                Merged::Conflict(expected),
                "{sides:?}"
            );
        }
    }

    /// Beside conflicts everything merges; what conflicts is as ours has it, and is told.
    #[test]
    fn merges_beside_conflicts() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let tree = |files: Files<'_>| scratch.tree(files);
        let base = tree(&[(F, "a", A), (F, "d/a", A), (L, "l", "x"), (F, "gone", A)]);
        let ours = tree(&[(F, "a", "x\n"), (F, "d/a", A), (L, "l", "y")]);
        let theirs = tree(&[
            (F, "a", "y\n"),
            (F, "d/a", "z\n"),
            (L, "l", "z"),
            (X, "gone", A),
        ]);
        let (merged, conflicts) =
            merge_beside_conflicts(&scratch.repo, &base, &ours, &theirs).unwrap();
        assert_eq!(conflicts, ["a", "gone", "l"].map(RepoPath::from));
        let expected = tree(&[(F, "a", "x\n"), (F, "d/a", "z\n"), (L, "l", "y")]);
        assert_eq!(merged, expected);
        // Where the names of a directory conflict, it is ours.
        let ours = tree(&[(F, "d/Makefile", A), (F, "e", A)]);
        let theirs = tree(&[(F, "d/makefile", A), (F, "f", A)]);
        let (merged, conflicts) =
            merge_beside_conflicts(&scratch.repo, &tree(&[]), &ours, &theirs).unwrap();
        assert_eq!(conflicts, ["d/makefile"].map(RepoPath::from));
        let expected = tree(&[(F, "d/Makefile", A), (F, "e", A), (F, "f", A)]);
        assert_eq!(merged, expected);
    }

    /// A result is strict and readable, is judged like any tree, and leaves no file behind.
    #[test]
    fn results_stay_in_memory() {
        for format in crate::git::fixture::BOTH {
            let scratch = Scratch::new(format);
            let side = |a: &str, b: &str| scratch.tree(&[(F, "d/a", a), (F, "d/b", b)]);
            let (base, ours, theirs) = (
                side("1\n2\n3\n", "b"),
                side("0\n1\n2\n3\n", "c"),
                side("1\n2\n3\n4\n", "b"),
            );
            let before = files_below(&scratch.dir);
            let Merged::Clean(merged) = merge_trees(&scratch.repo, &base, &ours, &theirs).unwrap()
            else {
                panic!("conflict");
            };
            assert_eq!(files_below(&scratch.dir), before);
            let (_, blob) = scratch.repo.file_at(&merged, b"d/a").unwrap().unwrap();
            let text = scratch.repo.raw(&blob, ObjectKind::Blob, 100).unwrap();
            assert_eq!(&*text, b"0\n1\n2\n3\n4\n");
            let found = changes(&scratch.repo, Some(&ours), &merged, 10).unwrap();
            assert_eq!(found.len(), 1);
            let faults = check_trees(&scratch.repo, &[merged], &mut Default::default(), 10);
            assert_eq!(faults.unwrap(), []);
            assert_eq!(merged, side("0\n1\n2\n3\n4\n", "c"));
        }
    }

    /// Directories that stand at exponentially many places are merged once.
    #[test]
    fn tree_bombs_are_merged_once() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let bomb = |text: &str, levels: usize| {
            let mut tree = scratch.tree(&[(F, "a", text)]);
            for _ in 0..levels {
                tree = scratch.raw_tree(&[("40000", "d0", tree), ("40000", "d1", tree)]);
            }
            tree
        };
        let started = Instant::now();
        let [base, ours, theirs, clash] =
            [A, "0\n1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\n6\n", "x\n"].map(|text| bomb(text, 40));
        let merged = merge_trees(&scratch.repo, &base, &ours, &theirs).unwrap();
        assert_eq!(merged, Merged::Clean(bomb("0\n1\n2\n3\n4\n5\n6\n", 40)));
        let Merged::Conflict(paths) = merge_trees(&scratch.repo, &base, &ours, &clash).unwrap()
        else {
            panic!("clean");
        };
        assert_eq!(paths.len(), CONFLICT_LIMIT);
        let deep = [A, "x", "y"].map(|text| bomb(text, 140));
        let error = merge_trees(&scratch.repo, &deep[0], &deep[1], &deep[2]).unwrap_err();
        assert!(matches!(error, GitError::Budget { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    /// Texts that take a diff too long are over budget; a long file with a short change is not.
    #[test]
    fn long_texts_are_over_budget() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        // What is added splits them at the top, time and again: a search for each of 400 parts.
        let parts = |added: &str| -> String {
            let part = |n: usize| (0..400 - n).map(move |line| format!("{n} {line}\n"));
            (0..400)
                .flat_map(|n| part(n).chain((!added.is_empty()).then(|| format!("{n} {added}\n"))))
                .collect()
        };
        let base = parts("");
        let below = format!("{base}b\n");
        let texts = [
            base.clone(),
            format!("a\n{base}"),
            below.clone(),
            format!("a\n{below}"),
            parts("added"),
            "\n".repeat(1_000_001),
        ];
        let trees = texts.map(|text| scratch.tree(&[(F, "a", &text)]));
        let merge = |ours: usize, theirs: usize| {
            merge_trees(&scratch.repo, &trees[0], &trees[ours], &trees[theirs])
        };
        assert_eq!(merge(1, 2).unwrap(), Merged::Clean(trees[3]));
        for (ours, theirs) in [(2, 4), (5, 1)] {
            let error = merge(ours, theirs).unwrap_err();
            assert!(matches!(error, GitError::Budget { .. }), "{error}");
        }
    }

    /// git's own merge of trees agrees where it follows no renames: contents here are all unlike.
    #[test]
    fn git_merges_trees_alike() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let paths = ["a", "a-b", "d/a", "d/b", "d/e/f", "x"];
        // What one side does to a path: nothing, delete, edit above, edit below, make executable.
        let side = prop::array::uniform6(0u8..5);
        let apply = |edits: [u8; 6]| -> Oid {
            let mut files = Vec::new();
            for (path, edit) in paths.iter().zip(edits) {
                let middle: String = (0..9).map(|n| format!("{path} line {n}\n")).collect();
                let (mode, text) = match edit {
                    1 => continue,
                    2 => (F, format!("{path} above\n{middle}")),
                    3 => (F, format!("{middle}{path} below\n")),
                    4 => (X, middle),
                    _ => (F, middle),
                };
                files.push((mode, *path, text));
            }
            let files: Vec<_> = files.iter().map(|(m, p, t)| (*m, *p, t.as_str())).collect();
            scratch.tree(&files)
        };
        let base = apply([0; 6]);
        let root = scratch.commit(base, &[], 1);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
        runner
            .run(&(side.clone(), side), |(ours, theirs)| {
                let (ours, theirs) = (apply(ours), apply(theirs));
                let commits = [ours, theirs].map(|tree| scratch.commit(tree, &[root], 2));
                let [a, b] = commits.map(|oid| oid.to_string());
                let (clean, out) = scratch.try_git(&["merge-tree", "--write-tree", &a, &b]);
                let git = clean.then(|| String::from_utf8(out).unwrap().trim().parse().unwrap());
                let merged = merge_trees(&scratch.repo, &base, &ours, &theirs).unwrap();
                let mine = match merged {
                    Merged::Clean(oid) => Some(oid),
                    Merged::Conflict(_) => None,
                };
                prop_assert_eq!(mine, git);
                Ok(())
            })
            .unwrap();
    }
}
