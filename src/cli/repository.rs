//! Which repository a command means, and the policy in it.

use std::path::Path;

use super::{CliError, Kind, Session};
use crate::gather::{Rulebook, RulebookError};
use crate::git::{GitError, RefValue, Repo};
use crate::host::Server;
use crate::host::server::{SYSTEM_FILE, ServerError};
use crate::people::document::MAX_FILE;
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::refname;
use crate::wire::tree::FileMode;

/// Opens the repository that the session's directory lies in.
pub(super) fn discover(session: &Session<'_>) -> Result<Repo, CliError> {
    Repo::discover(session.dir()).map_err(|error| CliError::new(Kind::Usage, error))
}

/// Returns the host's settings where the repository is enrolled.
pub(super) fn server(repo: &Repo) -> Result<Option<Server>, CliError> {
    match Server::load(repo.git_dir(), Path::new(SYSTEM_FILE)) {
        Ok(server) => Ok(Some(server)),
        Err(ServerError::NotEnrolled(_)) => Ok(None),
        Err(error) => Err(CliError::new(Kind::Usage, error)),
    }
}

/// Reads policy and people at the tip of `name`, else of the policy ref.
pub(super) fn rulebook(repo: &Repo, name: Option<&str>) -> Result<Rulebook, CliError> {
    Rulebook::at(repo, &tip(repo, name)?).map_err(unusable)
}

/// Returns the tip of `name`, else of the policy ref.
pub(super) fn tip(repo: &Repo, name: Option<&str>) -> Result<Oid, CliError> {
    let server = server(repo)?;
    let name = match (name, server) {
        (Some(name), _) => full_name(name),
        (None, Some(server)) => server.policy_ref,
        (None, None) => RefName::from("refs/heads/main"),
    };
    match repo.reference(&name) {
        Ok(Some(RefValue::Oid(oid))) => Ok(oid),
        Ok(Some(RefValue::Symbolic(target))) => {
            let message = format!("{name} is a symbolic ref to {target}");
            Err(CliError::words(Kind::Usage, message))
        }
        Ok(None) => Err(CliError::words(
            Kind::Usage,
            format!("{name} does not exist"),
        )),
        Err(error) => Err(CliError::new(Kind::Undecided, error)),
    }
}

/// Returns a file of a commit, if there is one at that path.
pub(super) fn file(repo: &Repo, commit: &Oid, path: &str) -> Result<Option<Vec<u8>>, CliError> {
    let read = || {
        let tree = repo.commit(commit)?.tree;
        match repo.file_at(&tree, path.as_bytes())? {
            Some((FileMode::File | FileMode::Executable, oid)) => {
                let limit = MAX_FILE as u64;
                let bytes = repo.raw(&oid, ObjectKind::Blob, limit)?;
                Ok(Some(bytes.to_vec()))
            }
            _ => Ok(None),
        }
    };
    read().map_err(|error: GitError| CliError::new(Kind::Undecided, error))
}

/// Returns the error of a rulebook that cannot be used; a fault in a file shows its line.
pub(super) fn unusable(error: RulebookError) -> CliError {
    match error {
        RulebookError::Invalid(error) => {
            CliError::words(Kind::Usage, error.rendered.trim_end().to_owned())
        }
        RulebookError::Git(error) => CliError::new(Kind::Undecided, error),
        error @ RulebookError::Missing { .. } => CliError::new(Kind::Usage, error)
            .hint(["countersign init, in a clone, proposes policy and people".to_owned()]),
        other => CliError::new(Kind::Usage, other),
    }
}

/// Reads the name of a branch, short or full.
pub(super) fn branch(name: &str) -> Result<RefName, String> {
    let full = full_name(name);
    refname::check(&full).map_err(|error| error.to_string())?;
    match full.as_bstr().starts_with(b"refs/heads/") {
        true => Ok(full),
        false => Err("not a branch: refs/heads/<name>, or its short name".to_owned()),
    }
}

/// Returns the error of a review for a ref that wants none.
pub(super) fn unprotected(policy_ref: &RefName, target: &RefName) -> CliError {
    let message = format!("the policy on {policy_ref} does not protect {target}");
    CliError::words(Kind::Usage, message)
}

/// Short ref names mean branches, and nothing else.
pub(super) fn full_name(name: &str) -> RefName {
    match name.starts_with("refs/") {
        true => RefName::from(name),
        false => RefName::new(format!("refs/heads/{name}")),
    }
}
