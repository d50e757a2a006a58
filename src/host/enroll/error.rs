//! Why a repository is not enrolled, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::gather::RulebookError;
use crate::git::GitError;
use crate::host::config::ConfigFailed;
use crate::host::hooks::{self, HooksError};
use crate::host::ownership::OwnershipError;
use crate::host::server::{Server, ServerError};
use crate::host::state::StateError;
use crate::record::RecordError;
use crate::wire::name::RefName;
use crate::wire::refname::check;

/// Why a repository is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Has a working tree.
    #[error("{} is not a bare repository", .0.display())]
    NotBare(PathBuf),
    /// GitLab runs hooks from a place of its own.
    #[error("{} belongs to GitLab, whose gitaly runs no hook of the repository's own: not supported by this version", .0.display())]
    Gitlab(PathBuf),
    /// No commit on the policy ref.
    #[error("{0} does not exist, so there is no policy")]
    NoPolicyRef(RefName),
    /// No policy where it is by default, another branch in use, and nobody has said which it is to be.
    #[error("there is no policy on {policy_ref}, and the repository's HEAD is {head}")]
    OtherHead {
        /// The policy ref by default.
        policy_ref: RefName,
        /// The branch that HEAD names.
        head: RefName,
    },
    /// Existing settings have the policy on another ref than was asked for.
    #[error("{} has the policy on {is}, not on {asked}", file.display())]
    OtherPolicyRef {
        /// `server.toml`.
        file: PathBuf,
        /// What it says.
        is: RefName,
        /// What was asked for.
        asked: RefName,
    },
    /// A protected ref that is only another name.
    #[error("{name} is protected, and a symbolic ref to {target}")]
    Symbolic {
        /// The ref.
        name: RefName,
        /// What it points to.
        target: RefName,
    },
    /// The policy ref holds something else than a commit.
    #[error(transparent)]
    Rulebook(#[from] RulebookError),
    /// Who may write.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    /// The hooks.
    #[error(transparent)]
    Hooks(#[from] HooksError),
    /// A record stays where it is.
    #[error("{}: says another record than was asked for; a record is not moved by enrolment", .0.display())]
    OtherRecord(PathBuf),
    /// The repository's directory gives no name for the shared log.
    #[error("{}: gives no name for the shared log (`[a-z0-9][a-z0-9._-]*`)", .0.display())]
    NoName(PathBuf),
    /// The log in that folder is not the one that was named.
    #[error("{}: is the log {found}, not {wanted}", dir.display())]
    OtherLog {
        /// The folder.
        dir: PathBuf,
        /// Its name.
        found: String,
        /// The name in the settings.
        wanted: String,
    },
    /// `server.toml`.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// git's configuration.
    #[error(transparent)]
    Config(#[from] ConfigFailed),
    /// git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What is to be on record of the host.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl EnrollError {
    /// Returns what to do about it.
    pub fn hints(&self, git_dir: &Path) -> Vec<String> {
        match self {
            Self::Hooks(error) => error.hints(git_dir),
            Self::Ownership(error) => error.hints(git_dir),
            Self::OtherHead { policy_ref, head } => {
                let repo = hooks::quote(git_dir.as_os_str());
                // Of other names the option takes none, and no shell should see them.
                let fits = [head, policy_ref]
                    .into_iter()
                    .filter(|name| check(name).is_ok());
                fits.map(|name| format!("countersign enroll {repo} --policy-ref {name}"))
                    .collect()
            }
            Self::NoPolicyRef(_) | Self::Rulebook(RulebookError::Missing { .. }) => vec![
                "push a commit with .countersign/people.toml and .countersign/policy.toml first"
                    .to_owned(),
                "or let enrolment write them: --init <person> --key <their key>.pub, for two \
                 people or more"
                    .to_owned(),
            ],
            Self::Symbolic { name, .. } => vec![format!(
                "git -C {} symbolic-ref --delete {name}",
                hooks::quote(git_dir.as_os_str())
            )],
            Self::Record(RecordError::Foreign { .. }) => vec![format!(
                "give this repository a record of its own: another `dir` below [record] in {}, or \
                 none",
                Server::path(git_dir).display()
            )],
            _ => Vec::new(),
        }
    }
}
