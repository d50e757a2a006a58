//! Reading objects: bounded, hashed again, strictly parsed; and writing the few that we make.

use std::collections::HashMap;
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::objs::{Exists, Find, Kind, Write};
use gix::odb::Header;
use smallvec::SmallVec;

use super::open::{Repo, hash_kind};
use super::{BLOB_LIMIT, COMMIT_LIMIT, GitError, TAG_LIMIT, TREE_LIMIT};
use crate::wire::commit::Commit;
use crate::wire::object::{ObjectFault, ObjectKind};
use crate::wire::oid::Oid;
use crate::wire::tag::Tag;
use crate::wire::tree::{self, FileMode, TreeEntry};

/// Most commits of which a [`Repo`] remembers where they lead: about 40 MiB.
const LINKS_LIMIT: usize = 200_000;
/// The largest object whose bytes are kept as they are.
const SMALL: usize = 16 << 10;
/// Most bytes of merge results that one [`Repo`] keeps.
const OVERLAY_LIMIT: usize = 32 << 20;

/// Objects that exist in memory only: what `merge/v1` makes, and commits that are rehearsed.
#[derive(Default)]
pub(super) struct Overlay {
    objects: HashMap<Oid, (ObjectKind, Arc<[u8]>)>,
    /// The same, in the order in which they were made.
    made: Vec<Oid>,
    bytes: usize,
}

/// Where a commit leads: all that a walk needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Links {
    /// In the order of the commit.
    pub(super) parents: SmallVec<[Oid; 1]>,
    /// The committer's seconds, 0 where they cannot be read: a hint in which order to walk, never
    /// a reason to stop.
    pub(super) seconds: u64,
}

impl Repo {
    /// Returns an object's kind and size from its header, without reading it.
    pub fn kind_and_size(&self, oid: &Oid) -> Result<(ObjectKind, u64), GitError> {
        if let Some((kind, bytes)) = self.overlay.borrow().objects.get(oid) {
            return Ok((*kind, bytes.len() as u64));
        }
        if let Some(raw) = self.raws.borrow_mut().get(oid) {
            return Ok((raw.0, raw.1.len() as u64));
        }
        let id = self.id(oid)?;
        for store in self.all_stores() {
            let found = store.try_header(&id);
            match found.map_err(|error| corrupt(oid, error))? {
                Some(header) => return Ok((our_kind(header.kind()), header.size())),
                None => continue,
            }
        }
        Err(GitError::Missing(*oid))
    }

    /// Returns whether there is such an object, in the quarantine or elsewhere.
    pub fn exists(&self, oid: &Oid) -> bool {
        self.quarantined(oid) || self.exists_outside_quarantine(oid)
    }

    /// Returns whether the object was here before the push that is in quarantine.
    pub fn exists_outside_quarantine(&self, oid: &Oid) -> bool {
        self.id(oid)
            .is_ok_and(|id| self.stores.iter().any(|store| store.exists(&id)))
    }

    /// Returns whether the object comes with the push that is in quarantine: it is there, and was
    /// nowhere else when first asked.
    ///
    /// Unlike [`Repo::exists_outside_quarantine`] this does not look at the disk again for each
    /// object that is new, which is most of them.
    pub fn arrives(&self, oid: &Oid) -> bool {
        let Ok(id) = self.id(oid) else {
            return false;
        };
        if !self.quarantine.iter().any(|store| store.exists(&id)) {
            return false;
        }
        let known = if self.listed.replace(true) {
            self.stores.iter().any(|s| s.exists_without_refresh(&id))
        } else {
            // Every store lists its packs once.
            self.stores.iter().filter(|s| s.exists(&id)).count() > 0
        };
        !known
    }

    fn quarantined(&self, oid: &Oid) -> bool {
        self.id(oid)
            .is_ok_and(|id| self.quarantine.iter().any(|store| store.exists(&id)))
    }

    /// Returns an object's bytes.
    ///
    /// Nothing larger than [`BLOB_LIMIT`] is inflated, whatever `limit` says. The id is computed
    /// again (SHA-1 with collision detection), so that the bytes are what the id names even where
    /// the store lies.
    pub fn raw(&self, oid: &Oid, kind: ObjectKind, limit: u64) -> Result<Arc<[u8]>, GitError> {
        self.with_raw(oid, kind, limit, |bytes| Ok(Arc::from(bytes)))
    }

    /// Returns a commit; parsed ones are kept.
    pub fn commit(&self, oid: &Oid) -> Result<Arc<Commit>, GitError> {
        if let Some(commit) = self.commits.borrow_mut().get(oid) {
            return Ok(commit);
        }
        let (commit, size) = self.with_raw(oid, ObjectKind::Commit, COMMIT_LIMIT, |raw| {
            let commit = Commit::parse(raw, self.format)
                .map_err(|error| malformed(oid, error.fault(), &error))?;
            Ok((Arc::new(commit), raw.len()))
        })?;
        // A signed payload is a second copy of the commit.
        let weight = size.saturating_mul(3).saturating_add(512);
        let kept = Arc::clone(&commit);
        self.commits.borrow_mut().put(*oid, kept, weight);
        Ok(commit)
    }

    /// Returns the entries of a tree; parsed ones are kept. The empty tree is always there.
    pub fn tree(&self, oid: &Oid) -> Result<Arc<Vec<TreeEntry>>, GitError> {
        if let Some(tree) = self.trees.borrow_mut().get(oid) {
            return Ok(tree);
        }
        if *oid == self.empty_tree() {
            return Ok(Arc::default());
        }
        let (tree, size) = self.with_raw(oid, ObjectKind::Tree, TREE_LIMIT, |raw| {
            let tree = tree::parse(raw, self.format).map_err(|error| GitError::Malformed {
                oid: *oid,
                fault: error.fault(),
                name: error.name().cloned(),
                detail: error.to_string(),
            })?;
            Ok((Arc::new(tree), raw.len()))
        })?;
        let entries = tree.len().saturating_mul(size_of::<TreeEntry>());
        let weight = size.saturating_add(entries).saturating_add(128);
        self.trees.borrow_mut().put(*oid, Arc::clone(&tree), weight);
        Ok(tree)
    }

    /// Returns an annotated tag.
    pub fn tag(&self, oid: &Oid) -> Result<Tag, GitError> {
        self.with_raw(oid, ObjectKind::Tag, TAG_LIMIT, |raw| {
            Tag::parse(raw, self.format).map_err(|error| malformed(oid, error.fault(), &error))
        })
    }

    /// Follows at most one tag object to a commit; nothing where there is none.
    pub fn commit_of(&self, oid: &Oid) -> Result<Option<Oid>, GitError> {
        if oid.format() != self.format || !self.exists(oid) {
            return Ok(None);
        }
        Ok(match self.kind_and_size(oid)?.0 {
            ObjectKind::Commit => Some(*oid),
            ObjectKind::Tag => {
                let target = self.tag(oid)?.target;
                let is_commit =
                    self.exists(&target) && self.kind_and_size(&target)?.0 == ObjectKind::Commit;
                is_commit.then_some(target)
            }
            ObjectKind::Tree | ObjectKind::Blob => None,
        })
    }

    /// Returns where a commit leads, as git reads it: the `parent` lines right below `tree`.
    ///
    /// The rest of the commit is not judged, so that a walk passes old history that the strict
    /// parser would refuse; whoever judges a commit asks [`Repo::commit`].
    pub(super) fn links(&self, oid: &Oid) -> Result<Arc<Links>, GitError> {
        if let Some(links) = self.links.borrow().get(oid) {
            return Ok(Arc::clone(links));
        }
        let links = Arc::new(self.read_links(oid)?);
        let mut known = self.links.borrow_mut();
        if known.len() < LINKS_LIMIT {
            known.insert(*oid, Arc::clone(&links));
        }
        Ok(links)
    }

    fn read_links(&self, oid: &Oid) -> Result<Links, GitError> {
        if let Some(commit) = self.commits.borrow_mut().get(oid) {
            return Ok(Links {
                parents: SmallVec::from_slice(&commit.parents),
                seconds: commit.committer.seconds,
            });
        }
        self.with_raw(oid, ObjectKind::Commit, COMMIT_LIMIT, |raw| {
            parse_links(raw, self.format.hex_len())
                .filter(|links| links.parents.iter().all(|p| p.format() == self.format))
                .ok_or_else(|| {
                    malformed(oid, ObjectFault::Malformed, &"no tree and parents on top")
                })
        })
    }

    /// Returns a commit's parents, as its own bytes name them.
    pub fn parents(&self, oid: &Oid) -> Result<Vec<Oid>, GitError> {
        Ok(self.links(oid)?.parents.to_vec())
    }

    /// Returns the id of the tree without entries.
    pub fn empty_tree(&self) -> Oid {
        *self.empty_tree.get_or_init(|| {
            let id = gix::hash::ObjectId::empty_tree(hash_kind(self.format));
            Oid::from_bytes(id.as_bytes()).unwrap_or(Oid::zero(self.format))
        })
    }

    /// Returns what stands at a path below a tree, `None` where nothing does.
    ///
    /// The path has `/` between components and none at its ends.
    pub fn file_at(&self, tree: &Oid, path: &[u8]) -> Result<Option<(FileMode, Oid)>, GitError> {
        let mut at = *tree;
        let mut components = path.split(|byte| *byte == b'/').peekable();
        while let Some(component) = components.next() {
            let entries = self.tree(&at)?;
            let Some(entry) = entries.iter().find(|entry| *entry.name == *component) else {
                return Ok(None);
            };
            if components.peek().is_none() {
                return Ok(Some((entry.mode, entry.oid)));
            }
            if entry.mode != FileMode::Tree {
                return Ok(None);
            }
            at = entry.oid;
        }
        Ok(None)
    }

    /// Writes an object into the repository's own store, as a loose one, and returns its id.
    ///
    /// Never into a quarantine: what is written stays even where the push is refused.
    pub fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Oid, GitError> {
        let oid = self.hash(kind, bytes)?;
        // Without looking at the disk again: at worst it is written twice.
        let id = self.id(&oid)?;
        if self.stores.iter().any(|s| s.exists_without_refresh(&id)) {
            return Ok(oid);
        }
        let store = gix::odb::loose::Store::at(self.objects_dir.clone(), hash_kind(self.format));
        store
            .write_buf(gix_kind(kind), bytes)
            .map_err(|error| GitError::Store(format!("writing {oid}: {error}")))?;
        Ok(oid)
    }

    /// Keeps an object in memory, where [`Repo::tree`] and [`Repo::raw`] find it.
    ///
    /// Each counts against the limit whether it is there already or not: what is stored by the time
    /// somebody asks again must not make a difference.
    pub(super) fn overlay(&self, kind: ObjectKind, bytes: Vec<u8>) -> Result<Oid, GitError> {
        let oid = self.hash(kind, &bytes)?;
        let id = self.id(&oid)?;
        let mut overlay = self.overlay.borrow_mut();
        let total = overlay.bytes.saturating_add(bytes.len());
        if total > OVERLAY_LIMIT {
            return Err(GitError::Budget {
                what: "bytes of merge results",
                limit: OVERLAY_LIMIT as u64,
            });
        }
        overlay.bytes = total;
        let stored = |store: &gix::odb::Handle| store.exists_without_refresh(&id);
        if !overlay.objects.contains_key(&oid) && !self.all_stores().any(stored) {
            overlay.objects.insert(oid, (kind, Arc::from(bytes)));
            overlay.made.push(oid);
        }
        Ok(oid)
    }

    /// Answers a question and forgets the objects that were made in memory for it, so that neither
    /// they nor their number tell in the next one.
    pub(crate) fn forgetting<T>(&self, ask: impl FnOnce() -> T) -> T {
        let before = {
            let mut overlay = self.overlay.borrow_mut();
            (overlay.made.len(), std::mem::take(&mut overlay.bytes))
        };
        let answer = ask();
        let mut overlay = self.overlay.borrow_mut();
        let (kept, bytes) = before;
        for oid in overlay.made.split_off(kept) {
            overlay.objects.remove(&oid);
        }
        overlay.bytes = bytes;
        answer
    }

    /// Keeps a commit that nobody made in memory, to see what judging it would say.
    ///
    /// Where such a commit is stored already, that one is meant, and it is no rehearsal.
    pub fn rehearse(&self, commit: Vec<u8>) -> Result<Oid, GitError> {
        self.overlay(ObjectKind::Commit, commit)
    }

    /// Returns whether a commit exists only because [`Repo::rehearse`] was asked to.
    pub fn is_rehearsed(&self, oid: &Oid) -> bool {
        let overlay = self.overlay.borrow();
        let made = overlay.objects.get(oid);
        made.is_some_and(|(kind, _)| *kind == ObjectKind::Commit)
    }

    /// Returns the id that an object of these bytes has here.
    pub fn hash(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Oid, GitError> {
        let id = gix::objs::compute_hash(hash_kind(self.format), gix_kind(kind), bytes)
            .map_err(|error| GitError::Store(format!("hashing: {error}")))?;
        Oid::from_bytes(id.as_bytes()).map_err(|error| GitError::Store(error.to_string()))
    }

    /// Hands the bytes to `take` without copying them first.
    fn with_raw<T>(
        &self,
        oid: &Oid,
        kind: ObjectKind,
        limit: u64,
        take: impl FnOnce(&[u8]) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let made = self.overlay.borrow().objects.get(oid).cloned();
        if let Some((found, bytes)) = made {
            check(oid, (kind, found), (bytes.len() as u64, limit))?;
            return take(&bytes);
        }
        let known = self.raws.borrow_mut().get(oid);
        if let Some(raw) = known {
            check(oid, (kind, raw.0), (raw.1.len() as u64, limit))?;
            return take(&raw.1);
        }
        let id = self.id(oid)?;
        let mut buffer = self.buffer.take();
        let result = self.find(oid, &id, &mut buffer).and_then(|found| {
            check(oid, (kind, found), (buffer.len() as u64, limit))?;
            if self.hash(kind, &buffer)? != *oid {
                return Err(corrupt(oid, "its bytes have another id"));
            }
            // Trees are kept parsed.
            if kind != ObjectKind::Tree && buffer.len() <= SMALL {
                let raw = Arc::new((kind, Box::from(buffer.as_slice())));
                self.raws
                    .borrow_mut()
                    .put(*oid, raw, buffer.len().saturating_add(128));
            }
            take(&buffer)
        });
        buffer.clear();
        buffer.shrink_to(1 << 20);
        self.buffer.replace(buffer);
        result
    }

    /// Fills `buffer` with an object's bytes and returns its kind.
    fn find(&self, oid: &Oid, id: &gix::oid, buffer: &mut Vec<u8>) -> Result<ObjectKind, GitError> {
        for store in self.all_stores() {
            match store.try_find(id, buffer) {
                Ok(Some(data)) => {
                    let kind = our_kind(data.kind);
                    let len = data.data.len();
                    buffer.truncate(len);
                    return Ok(kind);
                }
                Ok(None) => {}
                Err(error) if error.is_resource_exhausted() => {
                    // Before anything is inflated: it, or what it is a delta against, is too large.
                    let (_, size) = self.kind_and_size(oid)?;
                    return Err(match size > BLOB_LIMIT {
                        true => GitError::TooLarge {
                            oid: *oid,
                            size,
                            limit: BLOB_LIMIT,
                        },
                        false => GitError::Budget {
                            what: "bytes to unpack one object",
                            limit: BLOB_LIMIT,
                        },
                    });
                }
                Err(error) => {
                    return Err(corrupt(oid, error));
                }
            }
        }
        Err(GitError::Missing(*oid))
    }

    /// The quarantine first: asking it for what it lacks costs nothing, asking the others makes
    /// them look at the disk again.
    fn all_stores(&self) -> impl Iterator<Item = &gix::odb::Handle> {
        self.quarantine.iter().chain(&self.stores)
    }

    fn id(&self, oid: &Oid) -> Result<gix::ObjectId, GitError> {
        if oid.format() != self.format || oid.is_zero() {
            return Err(GitError::Missing(*oid));
        }
        gix::ObjectId::try_from(oid.as_bytes()).map_err(|error| corrupt(oid, error))
    }
}

fn check(
    oid: &Oid,
    (expected, found): (ObjectKind, ObjectKind),
    (size, limit): (u64, u64),
) -> Result<(), GitError> {
    if expected != found {
        return Err(GitError::WrongKind {
            oid: *oid,
            expected,
            found,
        });
    }
    if size > limit {
        return Err(GitError::TooLarge {
            oid: *oid,
            size,
            limit,
        });
    }
    Ok(())
}

fn parse_links(raw: &[u8], hex_len: usize) -> Option<Links> {
    let mut lines = raw.lines_with_terminator();
    let mut line = || lines.next()?.strip_suffix(b"\n");
    let tree = line()?.strip_prefix(b"tree ")?;
    Oid::from_hex(tree).ok().filter(|_| tree.len() == hex_len)?;
    let mut parents = SmallVec::new();
    let mut next = line();
    while let Some(parent) = next.and_then(|text| text.strip_prefix(b"parent ")) {
        parents.push(Oid::from_hex(parent).ok()?);
        next = line();
    }
    let committer = next.and_then(|_| line()).unwrap_or_default();
    let seconds = committer
        .rsplit(|byte| *byte == b' ')
        .nth(1)
        .and_then(|digits| digits.to_str().ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Some(Links { parents, seconds })
}

fn malformed(oid: &Oid, fault: ObjectFault, detail: &impl ToString) -> GitError {
    GitError::Malformed {
        oid: *oid,
        fault,
        name: None,
        detail: detail.to_string(),
    }
}

fn corrupt(oid: &Oid, detail: impl ToString) -> GitError {
    GitError::Corrupt {
        oid: *oid,
        detail: detail.to_string(),
    }
}

fn our_kind(kind: Kind) -> ObjectKind {
    match kind {
        Kind::Commit => ObjectKind::Commit,
        Kind::Tree => ObjectKind::Tree,
        Kind::Blob => ObjectKind::Blob,
        Kind::Tag => ObjectKind::Tag,
    }
}

fn gix_kind(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::Commit => Kind::Commit,
        ObjectKind::Tree => Kind::Tree,
        ObjectKind::Blob => Kind::Blob,
        ObjectKind::Tag => Kind::Tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::{BOTH, Scratch, files_below};
    use crate::git::{new_commits, walk};
    use crate::wire::oid::ObjectFormat;

    /// Objects in quarantine are read, loose or packed, told apart from the rest, and the
    /// quarantine is left as it was.
    #[test]
    fn reads_the_quarantine() {
        for (format, packed) in BOTH.into_iter().flat_map(|f| [(f, false), (f, true)]) {
            let scratch = Scratch::new(format);
            let tree = scratch.tree(&[("100644", "a", "old\n")]);
            let old = scratch.commit(tree, &[], 1);
            let tree = tree.to_string();
            let args = ["commit-tree", &tree, "-p", &old.to_string(), "-m", "new"];
            let new = scratch.quarantined(&args, b"");
            let quarantine = scratch.quarantine();
            if packed {
                let pack = quarantine.objects.join("pack/pack");
                let pack = pack.to_str().unwrap();
                scratch.quarantined(&["pack-objects", "-q", pack], format!("{new}\n").as_bytes());
                std::fs::remove_dir_all(quarantine.objects.join(&new[..2])).unwrap();
            }
            let before = files_below(&quarantine.objects);
            let repo = Repo::open(&scratch.dir, Some(&quarantine)).unwrap();
            let new: Oid = new.parse().unwrap();
            assert_eq!(repo.commit(&new).unwrap().parents, [old]);
            assert!(repo.exists(&new) && !repo.exists_outside_quarantine(&new));
            assert!(repo.exists(&old) && repo.exists_outside_quarantine(&old));
            assert_eq!(new_commits(&repo, &new, &[old], 10).unwrap(), [new]);
            repo.write(ObjectKind::Blob, b"kept").unwrap();
            assert_eq!(files_below(&quarantine.objects), before);
            let without = Repo::open(&scratch.dir, None).unwrap();
            assert!(matches!(without.commit(&new), Err(GitError::Missing(_))));
        }
    }

    /// What comes after the repository was opened, or moves into a pack meanwhile, is found.
    #[test]
    fn sees_later_objects() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let reader = Repo::open(&scratch.dir, None).unwrap();
        let tree = scratch.tree(&[("100644", "a", "1\n")]);
        let mut tip = scratch.commit(tree, &[], 1);
        assert_eq!(reader.commit(&tip).unwrap().tree, tree);
        for seconds in 2..5 {
            tip = scratch.commit(tree, &[tip], seconds);
            scratch.git(&["update-ref", "refs/heads/main", &tip.to_string()]);
            scratch.git(&["repack", "-a", "-d", "-q"]);
            scratch.git(&["prune-packed"]);
            assert_eq!(reader.links(&tip).unwrap().seconds, seconds);
            assert!(reader.exists(&tip));
        }
    }

    /// Bytes stored under another object's id, and bytes that are no object, are not believed.
    #[test]
    fn hashes_what_it_reads() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let empty = scratch.repo.empty_tree();
            let path = |oid: &Oid| {
                let hex = oid.to_string();
                scratch.dir.join("objects").join(&hex[..2]).join(&hex[2..])
            };
            let (a, b) = (scratch.commit(empty, &[], 1), scratch.commit(empty, &[], 2));
            std::fs::remove_file(path(&b)).unwrap();
            std::fs::copy(path(&a), path(&b)).unwrap();
            let error = scratch.repo.commit(&b).unwrap_err();
            assert!(
                matches!(error, GitError::Corrupt { oid, .. } if oid == b),
                "{error}"
            );
            std::fs::remove_file(path(&b)).unwrap();
            std::fs::write(path(&b), b"no zlib stream").unwrap();
            let error = scratch.repo.commit(&b).unwrap_err();
            assert!(matches!(error, GitError::Corrupt { .. }), "{error}");
        }
    }

    /// Each kind has its size limit, and nothing larger than a mergeable blob is inflated at all.
    #[test]
    fn bounds_sizes() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let commit = scratch.commit(scratch.repo.empty_tree(), &[], 1);
        let raw = scratch
            .repo
            .raw(&commit, ObjectKind::Commit, COMMIT_LIMIT)
            .unwrap();
        let mut long = raw.to_vec();
        long.resize(10_000_000, b'x');
        let long = scratch.repo.write(ObjectKind::Commit, &long).unwrap();
        let blob = vec![b'x'; BLOB_LIMIT as usize + 1];
        let blob = scratch.repo.write(ObjectKind::Blob, &blob).unwrap();
        let found = scratch.repo.kind_and_size(&blob).unwrap();
        assert_eq!(found, (ObjectKind::Blob, BLOB_LIMIT + 1));
        let tag = scratch
            .repo
            .write(ObjectKind::Tag, &vec![b'x'; 70_000])
            .unwrap();
        for error in [
            scratch.repo.commit(&long).unwrap_err(),
            scratch
                .repo
                .raw(&blob, ObjectKind::Blob, u64::MAX)
                .unwrap_err(),
            scratch.repo.tag(&tag).unwrap_err(),
        ] {
            assert!(matches!(error, GitError::TooLarge { .. }), "{error}");
        }
    }

    /// An object of another kind, another format's id, zeros and unknown ids are errors.
    #[test]
    fn refuses_the_wrong_object() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let tree = scratch.tree(&[("100644", "a", "1\n")]);
        let error = scratch.repo.commit(&tree).unwrap_err();
        assert!(
            matches!(
                error,
                GitError::WrongKind {
                    found: ObjectKind::Tree,
                    ..
                }
            ),
            "{error}"
        );
        for oid in [
            Oid::zero(ObjectFormat::Sha1),
            Oid::from_bytes(&[7; 32]).unwrap(),
            Oid::from_bytes(&[7; 20]).unwrap(),
        ] {
            assert!(!scratch.repo.exists(&oid));
            assert!(matches!(scratch.repo.tree(&oid), Err(GitError::Missing(_))));
        }
    }

    /// Replace refs, grafts and a shallow file change what git shows, not what is read here.
    #[test]
    fn ignores_rewritten_history() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let good = scratch.tree(&[("100644", "a", "good\n")]);
        let evil = scratch.tree(&[("100644", "a", "evil\n")]);
        let root = scratch.commit(good, &[], 1);
        let tip = scratch.commit(evil, &[root], 2);
        let decoy = scratch.commit(good, &[], 2);
        scratch.git(&["replace", &tip.to_string(), &decoy.to_string()]);
        std::fs::write(scratch.dir.join("info/grafts"), format!("{tip}\n")).unwrap();
        std::fs::write(scratch.dir.join("shallow"), format!("{tip}\n")).unwrap();
        let hex = tip.to_string();
        assert!(
            scratch
                .git(&["cat-file", "commit", &hex])
                .contains(&good.to_string())
        );
        let repo = Repo::open(&scratch.dir, None).unwrap();
        assert_eq!(repo.commit(&tip).unwrap().tree, evil);
        assert!(walk::is_ancestor(&repo, &root, &tip, 10).unwrap());
    }

    /// Paths are found component by component; a file is no directory.
    #[test]
    fn finds_files() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let files = [
            ("100644", "a", "1"),
            ("120000", "d/e/f", "../x"),
            ("100755", "d/g", "2"),
        ];
        let tree = scratch.tree(&files);
        let at = |path: &str| scratch.repo.file_at(&tree, path.as_bytes()).unwrap();
        let mode = |path: &str| at(path).map(|(mode, _)| mode);
        assert_eq!(mode("a"), Some(FileMode::File));
        assert_eq!(mode("d"), Some(FileMode::Tree));
        assert_eq!(
            at("d/e/f"),
            Some((FileMode::Symlink, scratch.blob(b"../x")))
        );
        assert_eq!(mode("d/g"), Some(FileMode::Executable));
        for nothing in ["", "b", "a/b", "d/", "/a", "d//g", "d/e/f/g", "A"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }

    /// A rehearsed commit is judged like any other and known for what it is; one that is stored is
    /// no rehearsal, and nothing is written.
    #[test]
    fn rehearses_commits() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let tree = scratch.tree(&[("100644", "a", "1")]);
            let root = scratch.commit(tree, &[], 1);
            let before = files_below(&scratch.dir);
            let who = "A <a@example.com> 2 +0000";
            let text = format!("tree {tree}\nparent {root}\nauthor {who}\ncommitter {who}\n\nm\n");
            let made = scratch.repo.rehearse(text.clone().into_bytes()).unwrap();
            assert!(scratch.repo.is_rehearsed(&made));
            assert_eq!(scratch.repo.commit(&made).unwrap().parents, [root]);
            assert_eq!(
                new_commits(&scratch.repo, &made, &[root], 10).unwrap(),
                [made]
            );
            assert_eq!(files_below(&scratch.dir), before);
            let raw = scratch.repo.raw(&root, ObjectKind::Commit, 1000).unwrap();
            assert_eq!(scratch.repo.rehearse(raw.to_vec()).unwrap(), root);
            assert!(!scratch.repo.is_rehearsed(&root));
        }
    }
}
