//! Refs by their exact full names, loose and packed.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use gix::lock::acquire::Fail;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit};
use gix::refs::{FullName, Target};

use super::{GitError, Repo};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// How long to wait for another process that holds the lock of a ref.
const LOCK_WAIT: Fail = Fail::AfterDurationWithBackoff(std::time::Duration::from_secs(2));

/// What a ref holds itself; a symbolic one is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefValue {
    /// An object, which is not looked at.
    Oid(Oid),
    /// Another ref, which may not exist.
    Symbolic(RefName),
}

impl Repo {
    /// Returns what a ref holds, `None` where there is none of exactly this name.
    ///
    /// `HEAD` and names below `refs/` only: short names are not looked up.
    pub fn reference(&self, name: &RefName) -> Result<Option<RefValue>, GitError> {
        let full = full_name(name)?;
        let found = self
            .refs
            .try_find(full.as_ref())
            .map_err(|error| fault(name, error))?;
        // gix tries refs/tags/<name>, refs/heads/<name> and so on after the name itself.
        found
            .filter(|found| found.name == full)
            .map(|found| value(name, found.target))
            .transpose()
    }

    /// Returns every ref below `refs/` with what it holds, sorted by name.
    ///
    /// A ref that cannot be read is an error, never left out.
    pub fn references(&self) -> Result<Vec<(RefName, RefValue)>, GitError> {
        let failed = |error: &dyn ToString| GitError::Store(format!("refs: {}", error.to_string()));
        let platform = self.refs.iter().map_err(|error| failed(&error))?;
        let mut found = Vec::new();
        for reference in platform.all().map_err(|error| failed(&error))? {
            let reference = reference.map_err(|error| failed(&error))?;
            let name = RefName::new(reference.name.as_bstr().to_vec());
            let value = value(&name, reference.target)?;
            found.push((name, value));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Sets a ref to an object if it still holds `old`; with `None`, if it does not exist.
    ///
    /// Atomic under git's own lock of that ref. A symbolic ref is not written through: it holds no
    /// object and so never matches. Writes no reflog and runs no hook. Creating a ref that already
    /// holds `new` succeeds.
    pub fn set_reference(
        &self,
        name: &RefName,
        new: &Oid,
        old: Option<&Oid>,
    ) -> Result<(), GitError> {
        let target = |oid: &Oid| {
            gix::ObjectId::try_from(oid.as_bytes())
                .map(Target::Object)
                .map_err(|error| fault(name, error))
        };
        if new.format() != self.format || new.is_zero() {
            return Err(fault(name, format!("{new} is no object here")));
        }
        let expected = match old {
            Some(old) => PreviousValue::MustExistAndMatch(target(old)?),
            None => PreviousValue::MustNotExist,
        };
        let change = Change::Update {
            log: LogChange::default(),
            expected,
            new: target(new)?,
        };
        self.refs
            .transaction()
            .prepare(
                [RefEdit::new(full_name(name)?, change)],
                LOCK_WAIT,
                LOCK_WAIT,
            )
            .and_then(|prepared| prepared.commit(None))
            .map_err(|error| fault(name, whole(&error)))?;
        Ok(())
    }

    /// Sets a ref to the one object that it ever holds, durably.
    ///
    /// For refs that nobody else sets: what a crash left of an earlier try (a lock that nobody holds,
    /// a ref that is empty) is taken away. git, which locks such a ref only to pack it, loses nothing
    /// by that but this one packing.
    pub fn pin_reference(&self, name: &RefName, oid: &Oid) -> Result<(), GitError> {
        let path = self.git_dir().join(OsStr::from_bytes(name.as_bstr()));
        if matches!(self.reference(name), Ok(Some(RefValue::Oid(found))) if found == *oid) {
            return Ok(());
        }
        if self.set_reference(name, oid, None).is_err() {
            let lock = path.with_added_extension("lock");
            for left in [lock, path.clone()] {
                match fs::remove_file(&left) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(fault(name, format!("{}: {error}", left.display())));
                    }
                    _ => {}
                }
            }
            self.set_reference(name, oid, None)?;
        }
        for written in [Some(path.as_path()), path.parent()].into_iter().flatten() {
            match File::open(written).and_then(|file| file.sync_all()) {
                // Packed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|error| fault(name, error))?,
            }
        }
        Ok(())
    }
}

/// Returns an error with what caused it.
fn whole(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn full_name(name: &RefName) -> Result<FullName, GitError> {
    let bytes = name.as_bstr();
    if bytes != "HEAD" && !bytes.starts_with(b"refs/") {
        return Err(fault(name, "not a full ref name"));
    }
    FullName::try_from(bytes.to_owned()).map_err(|error| fault(name, error))
}

fn value(name: &RefName, target: Target) -> Result<RefValue, GitError> {
    match target {
        Target::Object(id) => Oid::from_bytes(id.as_bytes())
            .map(RefValue::Oid)
            .map_err(|error| fault(name, error)),
        Target::Symbolic(to) => Ok(RefValue::Symbolic(RefName::new(to.as_bstr().to_vec()))),
    }
}

fn fault(name: &RefName, detail: impl ToString) -> GitError {
    GitError::Ref {
        name: name.clone(),
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::{BOTH, Scratch};
    use crate::wire::oid::ObjectFormat;

    fn commits(scratch: &Scratch) -> (Oid, Oid) {
        let empty = scratch.repo.empty_tree();
        (scratch.commit(empty, &[], 1), scratch.commit(empty, &[], 2))
    }

    /// Loose, packed and symbolic refs are read by exact name; short or shadowing names find nothing.
    #[test]
    fn reads_exact_names() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let (a, b) = commits(&scratch);
            scratch.git(&["update-ref", "refs/heads/packed", &a.to_string()]);
            scratch.git(&["update-ref", "refs/heads/moved", &a.to_string()]);
            scratch.git(&["pack-refs", "--all"]);
            scratch.git(&["update-ref", "refs/heads/moved", &b.to_string()]);
            scratch.git(&["update-ref", "refs/tags/refs/heads/shadow", &b.to_string()]);
            scratch.git(&["update-ref", "refs/heads/refs/heads/shadow", &b.to_string()]);
            scratch.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/packed"]);
            let read = |name: &str| scratch.repo.reference(&RefName::from(name)).unwrap();
            assert_eq!(read("refs/heads/packed"), Some(RefValue::Oid(a)));
            assert_eq!(read("refs/heads/moved"), Some(RefValue::Oid(b)));
            assert_eq!(read("refs/heads/shadow"), None);
            assert_eq!(read("refs/heads"), None);
            let to = |name: &str| Some(RefValue::Symbolic(RefName::from(name)));
            assert_eq!(read("refs/heads/alias"), to("refs/heads/packed"));
            assert!(matches!(read("HEAD"), Some(RefValue::Symbolic(_))));
            for name in [
                "packed",
                "heads/packed",
                "refs/heads/../heads/packed",
                "refs/heads/",
            ] {
                let found = scratch.repo.reference(&RefName::from(name));
                assert!(
                    matches!(found, Err(GitError::Ref { .. })),
                    "{name}: {found:?}"
                );
            }
            let names: Vec<String> = scratch
                .repo
                .references()
                .unwrap()
                .iter()
                .map(|(name, _)| name.to_string())
                .collect();
            let listed = scratch.git(&["for-each-ref", "--format=%(refname)"]);
            assert_eq!(names, listed.lines().collect::<Vec<_>>());
        }
    }

    /// A ref that cannot be read makes listing fail instead of being left out.
    #[test]
    fn broken_refs_are_errors() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let (a, _) = commits(&scratch);
        scratch.git(&["update-ref", "refs/heads/good", &a.to_string()]);
        for text in ["", "garbage\n", "1234\n"] {
            std::fs::write(scratch.dir.join("refs/heads/bad"), text).unwrap();
            let name = RefName::from("refs/heads/bad");
            assert!(scratch.repo.reference(&name).is_err(), "{text:?}");
            assert!(scratch.repo.references().is_err(), "{text:?}");
        }
        std::fs::remove_file(scratch.dir.join("refs/heads/bad")).unwrap();
        std::fs::write(scratch.dir.join("packed-refs"), "garbage\n").unwrap();
        assert!(scratch.repo.references().is_err());
    }

    /// A ref is set only from the value that was expected, without anyone's name for a reflog.
    #[test]
    fn sets_only_what_was_expected() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let (a, b) = commits(&scratch);
            scratch.git(&["config", "core.logAllRefUpdates", "always"]);
            let repo = Repo::open(&scratch.dir, None).unwrap();
            let name = RefName::from("refs/countersign/keep");
            let hex = |oid: Oid| format!("{oid}\n");
            let show = || scratch.git(&["rev-parse", "refs/countersign/keep"]);
            repo.set_reference(&name, &a, Some(&b)).unwrap_err();
            assert_eq!(repo.reference(&name).unwrap(), None);
            repo.set_reference(&name, &a, None).unwrap();
            assert_eq!(show(), hex(a));
            repo.set_reference(&name, &b, None).unwrap_err();
            repo.set_reference(&name, &b, Some(&b)).unwrap_err();
            assert_eq!(show(), hex(a));
            scratch.git(&["pack-refs", "--all"]);
            repo.set_reference(&name, &b, Some(&a)).unwrap();
            assert_eq!(show(), hex(b));
            let zero = Oid::zero(format);
            repo.set_reference(&name, &zero, Some(&b)).unwrap_err();
            scratch.git(&[
                "symbolic-ref",
                "refs/countersign/alias",
                "refs/countersign/keep",
            ]);
            let alias = RefName::from("refs/countersign/alias");
            repo.set_reference(&alias, &a, Some(&b)).unwrap_err();
            assert_eq!(show(), hex(b));
        }
    }

    /// A pinned ref is there after whatever a crash left in its place, and is never another's.
    #[test]
    fn pins() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            let (a, b) = commits(&scratch);
            let repo = &scratch.repo;
            let name = RefName::from(format!("refs/countersign/keep/{a}").as_str());
            let path = repo.git_dir().join(name.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let lock = path.with_added_extension("lock");
            let held = || Ok(Some(RefValue::Oid(a)));
            let left: [(&std::path::Path, &str); 5] = [
                (&lock, ""),
                (&lock, "torn"),
                (&path, ""),
                (&path, "\0\0\0\0"),
                (&path, &format!("{b}\n")),
            ];
            for (left, text) in left {
                std::fs::remove_file(&path).ok();
                std::fs::write(left, text).unwrap();
                repo.pin_reference(&name, &a).unwrap();
                assert_eq!(repo.reference(&name).map_err(|_| ()), held(), "{text:?}");
                assert!(!lock.exists());
            }
            scratch.git(&["pack-refs", "--all"]);
            repo.pin_reference(&name, &a).unwrap();
            assert!(!path.exists(), "it was packed");
        }
    }
}
