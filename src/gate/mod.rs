//! The doors: bytes from git, one decision, an exit code.

mod guarded;
pub mod push;
pub(crate) mod received;
pub mod refs;
mod reply;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::git::{GitError, Quarantine, RefValue, Repo};
use crate::host::Server;
use crate::host::server::{SYSTEM_FILE, ServerError, Written};
use crate::record::{Record, RecordError};
use crate::wire::name::RefName;

/// The most bytes of a hook's standard input, more than any limit allows.
pub const MOST_INPUT: u64 = 256 << 20;

/// What git gives a hook.
pub struct Call<'a> {
    /// The directory the hook runs in: the repository.
    pub dir: PathBuf,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The hook's arguments.
    pub args: Vec<OsString>,
    /// Everything that stood on standard input.
    pub input: Vec<u8>,
    /// What the pusher reads, line by line behind `remote: `.
    pub words: &'a mut dyn Write,
}

/// How a door answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// git may go on.
    Accepted,
    /// git must not go on.
    Refused,
    /// It could not be decided: git must not go on either.
    Undecided,
}

/// Why a door could not even ask.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// `GIT_NAMESPACE` is set.
    #[error("namespaces are not supported: GIT_NAMESPACE is set")]
    Namespace,
    /// Another program moves refs in git's place.
    #[error("hooks/proc-receive may move other refs than those that are pushed")]
    ProcReceive,
    /// The host's settings.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No verdict.
    #[error(transparent)]
    Admit(#[from] crate::admit::AdmitError),
    /// The repository is not enrolled, or its record is gone.
    #[error("{}: no record here; `countersign enroll` makes one", .0.display())]
    NoRecord(PathBuf),
    /// Hooks that stood there before.
    #[error(transparent)]
    Previous(#[from] crate::host::previous::PreviousError),
    /// Where those hooks are.
    #[error(transparent)]
    Hooks(#[from] crate::host::hooks::HooksError),
    /// Time stands before the record's latest entry.
    #[error("the clock says {now}, the record was written at {last}: set the clock right")]
    Clock {
        /// The record's latest time.
        last: Timestamp,
        /// The clock's.
        now: Timestamp,
    },
    /// Standard input larger than allowed.
    #[error("more than {limit} bytes of ref updates at once")]
    Input {
        /// The limit in force.
        limit: u64,
    },
}

/// A server repository with everything a door needs.
pub struct Site {
    /// Its objects, quarantined ones too, and refs.
    pub repo: Repo,
    /// The host's settings.
    pub server: Server,
    /// What they were read from.
    pub written: Written,
    /// Its record.
    pub record: Record,
}

impl Site {
    /// Opens the site that a hook runs in.
    pub fn of_hook(dir: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, GateError> {
        if env("GIT_NAMESPACE").is_some_and(|namespace| !namespace.is_empty()) {
            return Err(GateError::Namespace);
        }
        Self::open(&git_dir(dir, env), quarantine(dir, env).as_ref())
    }

    /// Opens an enrolled repository.
    pub fn open(git_dir: &Path, quarantine: Option<&Quarantine>) -> Result<Self, GateError> {
        Self::of(Repo::open(git_dir, quarantine)?)
    }

    /// Finds what belongs to an opened repository.
    pub fn of(repo: Repo) -> Result<Self, GateError> {
        let system = Path::new(SYSTEM_FILE);
        let written = Written::read(repo.git_dir(), system)?;
        let server = Server::of(repo.git_dir(), &written, system)?;
        if !Record::exists(&server.record) {
            return Err(GateError::NoRecord(server.record));
        }
        let record = Record::open_of(repo.git_dir(), &server.record, server.shared_name())?
            .signed_by(server.keys.clone());
        Ok(Self {
            repo,
            server,
            written,
            record,
        })
    }

    /// Returns what a ref is now; a name git would not take is no ref.
    pub fn current(&self, name: &RefName) -> Result<Option<RefValue>, GitError> {
        match crate::wire::refname::is_valid(name.as_bstr()) {
            true => self.repo.reference(name),
            false => Ok(None),
        }
    }
}

/// Returns the repository that git says the hook is for.
fn git_dir(dir: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    match env("GIT_DIR") {
        Some(git_dir) => dir.join(git_dir),
        None => dir.to_owned(),
    }
}

/// Finds where git keeps what was pushed until the hook has spoken.
fn quarantine(dir: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Option<Quarantine> {
    env("GIT_QUARANTINE_PATH")?;
    let objects = dir.join(env("GIT_OBJECT_DIRECTORY")?);
    let alternates = env("GIT_ALTERNATE_OBJECT_DIRECTORIES").unwrap_or_default();
    let alternates = std::env::split_paths(&alternates)
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| dir.join(path))
        .collect();
    Some(Quarantine {
        objects,
        alternates,
    })
}
