//! Which repository a command means, and the policy in it.

use std::path::Path;

use super::{CliError, Kind, Session};
use crate::gather::{Rulebook, RulebookError};
use crate::git::{RefValue, Repo};
use crate::host::Server;
use crate::host::server::{SYSTEM_FILE, ServerError};
use crate::wire::name::RefName;

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
    let server = server(repo)?;
    let name = match (name, server) {
        (Some(name), _) => full_name(name),
        (None, Some(server)) => server.policy_ref,
        (None, None) => RefName::from("refs/heads/main"),
    };
    let tip = match repo.reference(&name) {
        Ok(Some(RefValue::Oid(oid))) => oid,
        Ok(Some(RefValue::Symbolic(target))) => {
            let message = format!("{name} is a symbolic ref to {target}");
            return Err(CliError::words(Kind::Usage, message));
        }
        Ok(None) => {
            return Err(CliError::words(
                Kind::Usage,
                format!("{name} does not exist"),
            ));
        }
        Err(error) => return Err(CliError::new(Kind::Undecided, error)),
    };
    Rulebook::at(repo, &tip).map_err(unusable)
}

/// Returns the error of a rulebook that cannot be used; a fault in a file shows its line.
pub(super) fn unusable(error: RulebookError) -> CliError {
    match error {
        RulebookError::Invalid(error) => {
            CliError::words(Kind::Usage, error.rendered.trim_end().to_owned())
        }
        RulebookError::Git(error) => CliError::new(Kind::Undecided, error),
        other => CliError::new(Kind::Usage, other),
    }
}

/// Short ref names mean branches, and nothing else.
pub(super) fn full_name(name: &str) -> RefName {
    match name.starts_with("refs/") {
        true => RefName::from(name),
        false => RefName::new(format!("refs/heads/{name}")),
    }
}
