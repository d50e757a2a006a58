//! Refs by their exact full names, loose and packed.

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
            .map_err(|error| fault(name, error))?;
        Ok(())
    }
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
