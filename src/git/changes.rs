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
use crate::wire::tree::{FileMode, TreeEntry, git_order};

/// Directories that a comparison may read besides as many as there may be paths.
const SPARE_DIRECTORIES: usize = 10_000;
/// Bytes of all changed paths together: a directory of long names may stand in many places.
const PATH_BYTES: usize = 64 << 20;
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
    /// Where it stands, with the entry at fault; empty for a root of which no entry is.
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
    let key = (old_tree.copied(), *new_tree, limit);
    if let Some(known) = repo.compared.borrow().get(&key) {
        return Ok(known);
    }
    let mut comparison = Comparison {
        repo,
        limit,
        directories: 0,
        bytes: 0,
        path: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    comparison.directory(old_tree, Some(new_tree))?;
    // Trees are sorted as if directories ended in a slash, so the paths come out sorted.
    repo.compared.borrow_mut().put(key, &comparison.found);
    Ok(comparison.found)
}

struct Comparison<'r> {
    repo: &'r Repo,
    limit: usize,
    directories: usize,
    bytes: usize,
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
        for [old, new] in align(apart(old, new)) {
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
            self.bytes = self.bytes.saturating_add(self.path.len());
            within("bytes of changed paths", self.bytes, PATH_BYTES)?;
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

/// Returns what is between the entries that two trees begin and end with alike: most, mostly.
fn apart<'a>(old: &'a [TreeEntry], new: &'a [TreeEntry]) -> [&'a [TreeEntry]; 2] {
    let (mut old, mut new) = (old, new);
    while let (Some((one, rest)), Some((other, others))) = (old.split_first(), new.split_first())
        && one == other
    {
        (old, new) = (rest, others);
    }
    while let (Some((one, rest)), Some((other, others))) = (old.split_last(), new.split_last())
        && one == other
    {
        (old, new) = (rest, others);
    }
    [old, new]
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
            Err(GitError::Malformed {
                fault,
                name,
                detail,
                ..
            }) => {
                self.faulty.insert(*oid);
                let mut at = path.to_vec();
                if let Some(name) = name {
                    if !at.is_empty() {
                        at.push(b'/');
                    }
                    at.extend_from_slice(&name);
                }
                self.faults.push(TreeFault {
                    tree: *oid,
                    path: RepoPath::new(at),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::git::fixture::Scratch;
    use crate::wire::object::ObjectKind;
    use crate::wire::oid::ObjectFormat;

    /// Writes changes as `git diff-tree --raw -z` does.
    fn raw_diff(changes: &[Change], format: ObjectFormat) -> Vec<u8> {
        let mut out = Vec::new();
        let zero = Oid::zero(format);
        for change in changes {
            let mode = |side: Option<(FileMode, Oid)>| side.map_or("000000", |(m, _)| m.octal());
            let oid = |side: Option<(FileMode, Oid)>| side.map_or(zero, |(_, oid)| oid);
            let kind = |mode: FileMode| matches!(mode, FileMode::File | FileMode::Executable);
            let letter = match (change.old, change.new) {
                (None, _) => 'A',
                (_, None) => 'D',
                (Some((a, _)), Some((b, _))) if a != b && !(kind(a) && kind(b)) => 'T',
                _ => 'M',
            };
            let (old, new) = (change.old, change.new);
            let line = format!(
                ":{} {} {} {} {letter}\0",
                mode(old),
                mode(new),
                oid(old),
                oid(new)
            );
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(change.path.as_bstr());
            out.push(0);
        }
        out
    }

    /// Files by path, chosen so that names sort around the slash and files stand where directories do.
    fn trees() -> impl Strategy<Value = BTreeMap<&'static str, (&'static str, u8)>> {
        let path = prop::sample::select(vec![
            "a", "a-b", "a.c", "a0", "d", "d-e", "d.x", "d0", "e/f/g", "e/f/h", "e/f-g", "x",
        ]);
        let under = prop::sample::select(vec!["", "/p", "/q", "/q/r"]);
        let mode = prop::sample::select(vec!["100644", "100755", "120000"]);
        let file = (path, under, mode, 0u8..3);
        prop::collection::vec(file, 0..14).prop_map(|files| {
            let mut tree: BTreeMap<&'static str, (&'static str, u8)> = BTreeMap::new();
            for (path, under, mode, content) in files {
                let full: &'static str = Box::leak(format!("{path}{under}").into_boxed_str());
                let clash = |other: &&str| {
                    other.starts_with(&format!("{full}/")) || full.starts_with(&format!("{other}/"))
                };
                if !tree.keys().any(clash) {
                    tree.insert(full, (mode, content));
                }
            }
            tree
        })
    }

    fn write(scratch: &Scratch, tree: &BTreeMap<&'static str, (&'static str, u8)>) -> Oid {
        let texts: Vec<(&str, &str, String)> = tree
            .iter()
            .map(|(path, (mode, content))| (*mode, *path, format!("c{content}")))
            .collect();
        let files: Vec<(&str, &str, &str)> =
            texts.iter().map(|(m, p, t)| (*m, *p, t.as_str())).collect();
        scratch.tree(&files)
    }

    /// git's own raw comparison says the same, byte for byte and in the same order; so does git2.
    #[test]
    fn git_agrees() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let scratch = Scratch::new(format);
            let config = ProptestConfig::with_cases(24);
            let mut runner = proptest::test_runner::TestRunner::new(config);
            runner
                .run(&(trees(), trees()), |(old, new)| {
                    let (old, new) = (write(&scratch, &old), write(&scratch, &new));
                    let found = changes(&scratch.repo, Some(&old), &new, 1000).unwrap();
                    let (a, b) = (old.to_string(), new.to_string());
                    let args = [
                        "diff-tree",
                        "-r",
                        "--no-renames",
                        "--full-index",
                        "-z",
                        &a,
                        &b,
                    ];
                    let theirs = scratch.git_bytes(&[], &args);
                    prop_assert_eq!(raw_diff(&found, format), theirs);
                    let paths: Vec<_> = found.iter().map(|change| &change.path).collect();
                    prop_assert!(paths.windows(2).all(|pair| pair[0] < pair[1]));
                    if format == ObjectFormat::Sha1 {
                        prop_assert_eq!(found.len(), libgit2_count(&scratch, &a, &b));
                    }
                    Ok(())
                })
                .unwrap();
        }
    }

    fn libgit2_count(scratch: &Scratch, old: &str, new: &str) -> usize {
        let repo = git2::Repository::open(&scratch.dir).unwrap();
        let tree = |hex: &str| repo.find_tree(git2::Oid::from_str(hex).unwrap()).unwrap();
        let mut options = git2::DiffOptions::new();
        options.include_typechange(true);
        let diff = repo
            .diff_tree_to_tree(Some(&tree(old)), Some(&tree(new)), Some(&mut options))
            .unwrap();
        diff.deltas().len()
    }

    /// A directory that becomes a submodule, symlink or file removes everything below it; so back.
    #[test]
    fn replaced_directories_count_whole() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let sub = "0123456789abcdef0123456789abcdef01234567";
        let old = scratch.tree(&[("100644", "ci/a", "1"), ("100644", "ci/b/c", "2")]);
        for (mode, content) in [("160000", sub), ("120000", "evil"), ("100644", "x")] {
            let new = scratch.tree(&[(mode, "ci", content)]);
            let paths = |from: &Oid, to: &Oid| -> Vec<(String, bool)> {
                let found = changes(&scratch.repo, Some(from), to, 10).unwrap();
                let show = |c: &Change| (c.path.to_string(), c.new.is_some());
                found.iter().map(show).collect()
            };
            let expect = |gone: bool| {
                let path = |path: &str, new: bool| (path.to_owned(), new);
                vec![path("ci", gone), path("ci/a", !gone), path("ci/b/c", !gone)]
            };
            assert_eq!(paths(&old, &new), expect(true));
            assert_eq!(paths(&new, &old), expect(false));
        }
        let all = changes(&scratch.repo, None, &old, 10).unwrap();
        assert!(all.iter().all(|change| change.old.is_none()) && all.len() == 2);
    }

    /// Returns a tree with 2^levels paths (or none, over empty trees) made of few objects.
    fn bomb(scratch: &Scratch, levels: usize, bottom: Oid, mode: &str) -> Oid {
        let mut tree = scratch.raw_tree(&[(mode, "f0", bottom), (mode, "f1", bottom)]);
        for _ in 1..levels {
            tree = scratch.raw_tree(&[("40000", "d0", tree), ("40000", "d1", tree)]);
        }
        tree
    }

    /// Trees with more paths than atoms end over budget at once; checking them is quick.
    #[test]
    fn tree_bombs_are_over_budget() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let empty = scratch.repo.empty_tree();
        scratch.repo.write(ObjectKind::Tree, b"").unwrap();
        let full = bomb(&scratch, 40, scratch.blob(b"x"), "100644");
        let hollow = bomb(&scratch, 40, empty, "40000");
        let deep = bomb(&scratch, 140, scratch.blob(b"x"), "100644");
        let started = Instant::now();
        for tree in [full, hollow, deep] {
            let error = changes(&scratch.repo, Some(&empty), &tree, 1000).unwrap_err();
            assert!(matches!(error, GitError::Budget { .. }), "{error}");
        }
        for tree in [full, hollow] {
            let faults = check_trees(&scratch.repo, &[tree], &mut HashSet::new(), 100).unwrap();
            assert_eq!(faults, []);
        }
        check_trees(&scratch.repo, &[deep], &mut HashSet::new(), 1000).unwrap_err();
        check_trees(&scratch.repo, &[full], &mut HashSet::new(), 10).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    /// Every tree below a root is parsed strictly; the fault says where; known ones are passed over.
    #[test]
    fn finds_unsafe_trees() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let blob = scratch.blob(b"x");
        let file = |name| ("100644", name, blob);
        let good = scratch.raw_tree(&[file("a")]);
        for (entries, fault, at) in [
            (vec![file("a"), file("a")], ObjectFault::Malformed, "a"),
            (vec![file(".GIT")], ObjectFault::UnsafePath, ".GIT"),
            (vec![file("A"), file("a")], ObjectFault::Collision, "a"),
            (vec![("100664", "a", blob)], ObjectFault::UnsafeMode, "a"),
        ] {
            let bad = scratch.raw_tree(&entries);
            let middle = scratch.raw_tree(&[("40000", "bad", bad), ("40000", "good", good)]);
            let root = scratch.raw_tree(&[file("f"), ("40000", "sub", middle)]);
            let other = scratch.raw_tree(&[file("g"), ("40000", "sub", middle)]);
            let mut seen = HashSet::new();
            let faults = check_trees(&scratch.repo, &[root, other], &mut seen, 100).unwrap();
            assert_eq!(faults.len(), 1);
            assert_eq!((faults[0].tree, faults[0].fault), (bad, fault));
            assert_eq!(faults[0].path.to_string(), format!("sub/bad/{at}"));
            assert_eq!(seen, HashSet::from([good]));
            let again = check_trees(&scratch.repo, &[other], &mut seen, 100).unwrap();
            assert_eq!(again.len(), 1);
            let error = changes(&scratch.repo, Some(&good), &root, 100).unwrap_err();
            assert!(matches!(error, GitError::Malformed { .. }), "{error}");
        }
        let gone = Oid::from_bytes(&[9; 20]).unwrap();
        let root = scratch.raw_tree(&[("40000", "gone", gone)]);
        let error = check_trees(&scratch.repo, &[root], &mut HashSet::new(), 100).unwrap_err();
        assert!(matches!(error, GitError::Missing(oid) if oid == gone));
    }

    /// Only what differs from a good root is read again.
    #[test]
    fn known_trees_are_not_read_again() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let mut files: Vec<(String, String)> = Vec::new();
        for at in 0..50 {
            files.push((format!("d{at:02}/e/f"), format!("{at}")));
        }
        let tree = |files: &[(String, String)]| {
            let files: Vec<_> = files
                .iter()
                .map(|(path, text)| ("100644", path.as_str(), text.as_str()))
                .collect();
            scratch.tree(&files)
        };
        let good = tree(&files);
        files[7].1 = "changed".to_owned();
        let root = tree(&files);
        let mut seen = HashSet::new();
        mark_known(&scratch.repo, &good, &root, &mut seen, 10).unwrap();
        assert_eq!(seen.len(), 49);
        assert_eq!(
            check_trees(&scratch.repo, &[root], &mut seen, 3).unwrap(),
            []
        );
    }
}
