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
//!    is merged by lines ([`merge_lines`]) unless one of rule 2's answers fits it.
//! 5. Everything else conflicts: both added, changed here and deleted there, symlinks, submodules.
//! 6. A name with both slots filled conflicts, and so does a directory whose entries the strict
//!    tree parser refuses (names that are one file on some checkout).

use std::collections::HashMap;

use super::changes::{align, git_order};
use super::{BLOB_LIMIT, DEPTH_LIMIT, GitError, PATH_LIMIT, Repo};
use crate::wire::name::RepoPath;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::{self, FileMode, TreeEntry};

/// Most directories that one merge reads.
const DIRECTORY_LIMIT: usize = 100_000;
/// Most files whose content one merge merges.
const CONTENT_LIMIT: usize = 10_000;
/// Most conflicts that are told of; the merge stops there.
const CONFLICT_LIMIT: usize = 1_000;
/// A NUL byte among so many first ones makes a file binary, as in git.
const BINARY_PROBE: usize = 8_000;

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
    let mut merge = Merge {
        repo,
        known: HashMap::new(),
        directories: 0,
        contents: 0,
        path: Vec::new(),
        depth: 0,
        conflicts: Vec::new(),
    };
    let merged = merge.directory([Some(*base), Some(*ours), Some(*theirs)])?;
    if !merge.conflicts.is_empty() {
        merge.conflicts.sort_unstable();
        merge.conflicts.dedup();
        return Ok(Merged::Conflict(merge.conflicts));
    }
    Ok(Merged::Clean(merged.unwrap_or_else(|| repo.empty_tree())))
}

/// Base, ours and theirs, in this order.
type Sides<T> = [Option<T>; 3];

struct Merge<'r> {
    repo: &'r Repo,
    /// Directories merged without conflict, so that one that stands at many places is read once.
    known: HashMap<Sides<Oid>, Option<Oid>>,
    directories: usize,
    contents: usize,
    path: Vec<u8>,
    depth: usize,
    conflicts: Vec<RepoPath>,
}

impl Merge<'_> {
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
                return Ok(None);
            }
            entries.extend(self.slot(row)?);
        }
        if self.conflicts.len() > before {
            return Ok(None);
        }
        let merged = self.write(entries)?;
        if self.conflicts.len() == before {
            self.known.insert(sides, merged);
        }
        Ok(merged)
    }

    fn slot(&mut self, row: Sides<&TreeEntry>) -> Result<Option<TreeEntry>, GitError> {
        let Some(name) = row.iter().flatten().next().map(|entry| entry.name.clone()) else {
            return Ok(None);
        };
        let parent = self.path.len();
        if parent > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&name);
        count(self.path.len(), "bytes in a path", PATH_LIMIT)?;
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
            return Ok(self.conflict());
        };
        if ![base, ours, theirs].iter().all(|(mode, _)| regular(*mode)) {
            return Ok(self.conflict());
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
        let (base, ours, theirs) = (read(base.1)?, read(ours.1)?, read(theirs.1)?);
        match merge_lines(&base, &ours, &theirs) {
            Some(bytes) => {
                let oid = self.repo.overlay(ObjectKind::Blob, bytes)?;
                Ok(Some((mode, oid)))
            }
            None => Ok(self.conflict()),
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
        if tree::parse(&raw, self.repo.format()).is_err() {
            self.conflict::<()>();
            return Ok(None);
        }
        self.repo.overlay(ObjectKind::Tree, raw).map(Some)
    }

    /// Notes that what stands at the current path conflicts.
    fn conflict<T>(&mut self) -> Option<T> {
        self.conflicts.push(RepoPath::new(self.path.as_slice()));
        None
    }
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

/// Merges by lines as git does (histogram diff; changes that touch conflict unless they are the
/// same); `None` for a conflict, and where a side is binary.
fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    use gix::merge::blob::Resolution;
    use gix::merge::blob::builtin_driver::text;

    let binary = |bytes: &[u8]| bytes.iter().take(BINARY_PROBE).any(|byte| *byte == 0);
    if [base, ours, theirs].into_iter().any(binary) {
        return None;
    }
    let mut merged = Vec::new();
    let options = text::Options {
        diff_algorithm: gix::diff::blob::Algorithm::Histogram,
        conflict: text::Conflict::default(),
    };
    let resolution = gix::merge::plumbing::blob::builtin_driver::text(
        &mut merged,
        &mut gix::diff::blob::InternedInput::default(),
        text::Labels::default(),
        ours,
        base,
        theirs,
        options,
    );
    match resolution {
        Resolution::Complete => Some(merged),
        Resolution::CompleteWithAutoResolvedConflict | Resolution::Conflict => None,
    }
}

/// Returns one more than `so_far`, unless that is too many.
fn count(so_far: usize, what: &'static str, limit: usize) -> Result<usize, GitError> {
    if so_far >= limit {
        return Err(GitError::Budget {
            what,
            limit: limit as u64,
        });
    }
    Ok(so_far.saturating_add(1))
}
