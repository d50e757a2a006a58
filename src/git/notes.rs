//! Notes: what somebody attached to an object, in a tree of a ref below `refs/notes/`.
//!
//! Source: git-notes(1). The path of a note is the object's id in hexadecimal, with a slash behind as
//! many pairs of digits as git found useful.

use super::{GitError, RefValue, Repo};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// The most pairs of digits that are folders: 2^32 notes would want no more.
const DEPTH: usize = 4;

impl Repo {
    /// Returns the note of an object, of at most `limit` bytes; nothing where there is none.
    pub fn note(&self, name: &RefName, oid: &Oid, limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        let Some(RefValue::Oid(tip)) = self.reference(name)? else {
            return Ok(None);
        };
        let tree = self.commit(&tip)?.tree;
        let hex = oid.to_string();
        for depth in 0..=DEPTH {
            let (folders, rest) = hex.split_at_checked(depth * 2).unwrap_or(("", &hex));
            let mut path = String::new();
            for (at, digit) in folders.chars().enumerate() {
                path.push(digit);
                if at % 2 == 1 {
                    path.push('/');
                }
            }
            path += rest;
            if let Some((FileMode::File, blob)) = self.file_at(&tree, path.as_bytes())? {
                return Ok(Some(self.raw(&blob, ObjectKind::Blob, limit)?.to_vec()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::{BOTH, Scratch};

    /// The note that git wrote is found, however many notes there are beside it.
    #[test]
    fn finds_what_git_wrote() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let empty = scratch.repo.empty_tree();
            let commit = scratch.commit(empty, &[], 1);
            let name = RefName::from("refs/notes/commits");
            let read = |limit| {
                let repo = Repo::open(&scratch.dir, None).unwrap();
                repo.note(&name, &commit, limit)
            };
            assert_eq!(read(10).unwrap(), None);
            let id = commit.to_string();
            let who = ["-c", "user.name=a", "-c", "user.email=a@x"];
            let add = |args: &[&str]| scratch.git(&[&who[..], &["notes"], args].concat());
            add(&["add", "-m", "one", &id]);
            assert_eq!(read(10).unwrap().as_deref(), Some(&b"one\n"[..]));
            assert!(read(3).is_err());
            // As git lays out many notes: two digits a folder.
            let blob = scratch.git(&["rev-parse", &format!("refs/notes/commits:{id}")]);
            let blob: Oid = blob.trim().parse().unwrap();
            let (folder, rest) = id.split_at(2);
            let tree = |mode: &str, name: &str, oid: Oid| {
                let head = format!("{mode} {name}\0");
                let bytes = [head.as_bytes(), oid.as_bytes()].concat();
                scratch.repo.write(ObjectKind::Tree, &bytes).unwrap()
            };
            let tree = tree("40000", folder, tree("100644", rest, blob));
            let tip = scratch.commit(tree, &[], 2).to_string();
            scratch.git(&["update-ref", "refs/notes/commits", &tip]);
            assert_eq!(read(10).unwrap().as_deref(), Some(&b"one\n"[..]));
        }
    }
}
