//! What differs between two trees, and whether trees are safe at all.
//!
//! Entries are compared by name, kind, mode and id: no rename detection, no content. A directory
//! that becomes a file (or the other way) is everything below it removed and the file added.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{DEPTH_LIMIT, GitError, PATH_LIMIT, Repo};
use crate::wire::name::RepoPath;
use crate::wire::object::ObjectFault;
use crate::wire::oid::Oid;
use crate::wire::tree::{FileMode, TreeEntry};

/// Directories that a comparison may read besides as many as there may be paths.
const SPARE_DIRECTORIES: usize = 10_000;
/// Most faults that are told of.
const FAULT_LIMIT: usize = 100;

/// One path that is not the same on both sides; never a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From the root.
    pub path: RepoPath,
    /// What stood there, if anything did.
    pub old: Option<(FileMode, Oid)>,
    /// What stands there now.
    pub new: Option<(FileMode, Oid)>,
}

/// A tree that the strict parser refuses, or a place that is too deep or too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFault {
    /// The tree object.
    pub tree: Oid,
    /// Where it stands; empty for a root.
    pub path: RepoPath,
    /// Which family of findings it belongs to.
    pub fault: ObjectFault,
    /// What the parser says.
    pub detail: String,
}

/// Returns every path that differs, sorted by its bytes; `None` for no old tree at all.
///
/// # Errors
///
/// [`GitError::Budget`] for more than `limit` paths, as soon as that is certain, and for paths
/// beyond [`DEPTH_LIMIT`] or [`PATH_LIMIT`]; [`GitError::Malformed`] where a tree on either side is
/// refused by the strict parser.
pub fn changes(
    repo: &Repo,
    old_tree: Option<&Oid>,
    new_tree: &Oid,
    limit: usize,
) -> Result<Vec<Change>, GitError> {
    let mut comparison = Comparison {
        repo,
        limit,
        directories: 0,
        path: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    comparison.directory(old_tree, Some(new_tree))?;
    // Trees are sorted as if directories ended in a slash, so the paths come out sorted.
    Ok(comparison.found)
}

struct Comparison<'r> {
    repo: &'r Repo,
    limit: usize,
    directories: usize,
    path: Vec<u8>,
    depth: usize,
    found: Vec<Change>,
}

impl Comparison<'_> {
    fn directory(&mut self, old: Option<&Oid>, new: Option<&Oid>) -> Result<(), GitError> {
        if old == new {
            return Ok(());
        }
        self.directories = self.directories.saturating_add(1);
        let limit = self.limit.saturating_add(SPARE_DIRECTORIES);
        within("directories", self.directories, limit)?;
        within("directory levels", self.depth, DEPTH_LIMIT)?;
        let old = old.map(|oid| self.repo.tree(oid)).transpose()?;
        let new = new.map(|oid| self.repo.tree(oid)).transpose()?;
        let old = old.as_deref().map_or(&[][..], Vec::as_slice);
        let new = new.as_deref().map_or(&[][..], Vec::as_slice);
        for [old, new] in align([old, new]) {
            if let Some(name) = old.or(new).map(|entry| &entry.name) {
                self.entry(name, old, new)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &[u8],
        old: Option<&TreeEntry>,
        new: Option<&TreeEntry>,
    ) -> Result<(), GitError> {
        let side = |entry: &TreeEntry| (entry.mode, entry.oid);
        if old.map(side) == new.map(side) {
            return Ok(());
        }
        let parent = self.path.len();
        if parent > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        within("bytes in a path", self.path.len(), PATH_LIMIT)?;
        // Aligned entries are both directories or neither is.
        let is_tree = old
            .or(new)
            .is_some_and(|entry| entry.mode == FileMode::Tree);
        if is_tree {
            self.depth = self.depth.saturating_add(1);
            self.directory(old.map(|entry| &entry.oid), new.map(|entry| &entry.oid))?;
            self.depth = self.depth.saturating_sub(1);
        } else {
            within(
                "changed paths",
                self.found.len().saturating_add(1),
                self.limit,
            )?;
            self.found.push(Change {
                path: RepoPath::new(self.path.as_slice()),
                old: old.map(side),
                new: new.map(side),
            });
        }
        self.path.truncate(parent);
        Ok(())
    }
}

/// Walks several sorted trees side by side: one row for each name and kind (directory or not).
pub(super) fn align<const N: usize>(
    trees: [&[TreeEntry]; N],
) -> impl Iterator<Item = [Option<&TreeEntry>; N]> {
    let mut rest = trees;
    std::iter::from_fn(move || {
        let least = rest
            .iter()
            .filter_map(|tree| tree.first())
            .min_by(|a, b| git_order(a, b))?;
        Some(std::array::from_fn(|at| {
            let tree = rest.get_mut(at)?;
            let (first, tail) = tree.split_first()?;
            if git_order(first, least) != Ordering::Equal {
                return None;
            }
            *tree = tail;
            Some(first)
        }))
    })
}

/// The order of entries in a tree: by bytes, as if the name of a directory ended in a slash.
pub(super) fn git_order(a: &TreeEntry, b: &TreeEntry) -> Ordering {
    fn key(entry: &TreeEntry) -> impl Iterator<Item = &u8> {
        let slash = (entry.mode == FileMode::Tree).then_some(&b'/');
        entry.name.iter().chain(slash)
    }
    key(a).cmp(key(b))
}

/// Parses every tree below the roots strictly and returns the faults found, at most a hundred.
///
/// `seen` holds trees known to be good all the way down; they are not read, and what turns out
/// good is added. Blobs and submodules are not looked at.
///
/// # Errors
///
/// [`GitError::Missing`] for a tree that is not there, [`GitError::Budget`] for more than `limit`
/// trees.
pub fn check_trees(
    repo: &Repo,
    roots: &[Oid],
    seen: &mut HashSet<Oid>,
    limit: usize,
) -> Result<Vec<TreeFault>, GitError> {
    let mut check = Check {
        repo,
        seen,
        faulty: HashSet::new(),
        limit,
        trees: 0,
        faults: Vec::new(),
    };
    for root in roots {
        check.tree(root, &mut Vec::new(), 0)?;
    }
    Ok(check.faults)
}

/// Adds to `seen` the directories of `root` that stand unchanged at their place in `good`.
///
/// `good` is a root all of whose trees are known to be good; so [`check_trees`] reads only what is
/// new against it.
pub fn mark_known(
    repo: &Repo,
    good: &Oid,
    root: &Oid,
    seen: &mut HashSet<Oid>,
    limit: usize,
) -> Result<(), GitError> {
    let mut todo = vec![(*good, *root)];
    let mut read = 0usize;
    while let Some((good, root)) = todo.pop() {
        if good == root {
            seen.insert(root);
            continue;
        }
        read = read.saturating_add(1);
        within("directories", read, limit)?;
        let good = repo.tree(&good)?;
        // What is wrong with the other one is for `check_trees` to say.
        let Ok(root) = repo.tree(&root) else { continue };
        for row in align([good.as_slice(), root.as_slice()]) {
            if let [Some(good), Some(root)] = row
                && root.mode == FileMode::Tree
                && !seen.contains(&root.oid)
            {
                todo.push((good.oid, root.oid));
            }
        }
    }
    Ok(())
}

struct Check<'a> {
    repo: &'a Repo,
    seen: &'a mut HashSet<Oid>,
    /// Trees with a fault in or below them, told of once.
    faulty: HashSet<Oid>,
    limit: usize,
    trees: usize,
    faults: Vec<TreeFault>,
}

impl Check<'_> {
    /// Returns whether all is good from here down.
    fn tree(&mut self, oid: &Oid, path: &mut Vec<u8>, depth: usize) -> Result<bool, GitError> {
        if self.seen.contains(oid) {
            return Ok(true);
        }
        if self.faulty.contains(oid) || self.faults.len() >= FAULT_LIMIT {
            return Ok(false);
        }
        self.trees = self.trees.saturating_add(1);
        within("trees", self.trees, self.limit)?;
        within("directory levels", depth, DEPTH_LIMIT)?;
        let entries = match self.repo.tree(oid) {
            Ok(entries) => entries,
            Err(GitError::Malformed { fault, detail, .. }) => {
                self.faulty.insert(*oid);
                self.faults.push(TreeFault {
                    tree: *oid,
                    path: RepoPath::new(path.as_slice()),
                    fault,
                    detail,
                });
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut good = true;
        let parent = path.len();
        for entry in entries.iter() {
            if parent > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            within("bytes in a path", path.len(), PATH_LIMIT)?;
            if entry.mode == FileMode::Tree {
                good &= self.tree(&entry.oid, path, depth.saturating_add(1))?;
            }
            path.truncate(parent);
        }
        let known = if good {
            &mut *self.seen
        } else {
            &mut self.faulty
        };
        known.insert(*oid);
        Ok(good)
    }
}

/// Returns an error where there are more than allowed.
fn within(what: &'static str, count: usize, limit: usize) -> Result<(), GitError> {
    if count > limit {
        return Err(GitError::Budget {
            what,
            limit: limit as u64,
        });
    }
    Ok(())
}
