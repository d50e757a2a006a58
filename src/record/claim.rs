//! Whose record it is.
//!
//! A record in `<git-dir>/countersign` is that repository's. One that stands elsewhere says in its
//! file `repository` whose it is, one path and a line feed, so that a second repository which is
//! given the same folder, or a copy of the first, is refused: their tips, reviews and intents
//! would be taken for each other's.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::shared::RepositoryName;
use super::{Lock, REPOSITORIES, Record, RecordError, disk};

const CLAIM: &str = "repository";
const MAX_PATH: u64 = 64 * 1024;

impl Record {
    /// Opens the record of the repository at `git_dir`; that of another is an error.
    pub fn open_of(
        git_dir: &Path,
        dir: &Path,
        of: Option<&RepositoryName>,
    ) -> Result<Self, RecordError> {
        let record = Self::open_as(dir, of)?;
        let git_dir = canonical(git_dir)?;
        match record.owner(&git_dir)? {
            Some(owner) if owner == git_dir => Ok(record),
            owner => Err(record.foreign(owner.as_deref())),
        }
    }

    /// Writes down that this is the record of the repository at `git_dir`, unless it is another's.
    pub fn claim(&self, _lock: &Lock, git_dir: &Path) -> Result<(), RecordError> {
        if self.is_claimed(git_dir)? {
            return Ok(());
        }
        let git_dir = canonical(git_dir)?;
        self.storage.create_dir(&self.own_dir().join("intents"))?;
        let line = [git_dir.as_os_str().as_bytes(), b"\n"].concat();
        self.storage.replace(&self.claim_path(), &line)
    }

    /// Returns whether this is the record of the repository at `git_dir` already; fails where it is
    /// another's. A repository that is not there any more has moved, and gives its record up.
    pub fn is_claimed(&self, git_dir: &Path) -> Result<bool, RecordError> {
        let git_dir = canonical(git_dir)?;
        match self.owner(&git_dir)? {
            Some(owner) if owner == git_dir => Ok(true),
            Some(owner) if owner.exists() => Err(self.foreign(Some(&owner))),
            _ => Ok(false),
        }
    }

    /// Returns the repository whose record this is; nothing where a folder of its own does not say.
    fn owner(&self, git_dir: &Path) -> Result<Option<PathBuf>, RecordError> {
        let dir = canonical(&self.dir)?;
        let (single, shared) = (self.dir.join(CLAIM), self.dir.join(REPOSITORIES));
        if dir == git_dir.join("countersign") && self.of.is_none() && !shared.exists() {
            return Ok(Some(git_dir.to_owned()));
        }
        // A log of many is never taken for that of one, nor the other way round.
        match &self.of {
            None if shared.exists() => return Ok(Some(shared)),
            Some(_) if single.exists() => return Ok(Some(single)),
            _ => {}
        }
        // The host's settings of another repository stand here: so does its record.
        if let (true, Some(other)) = (dir.join("server.toml").exists(), dir.parent()) {
            return Ok(Some(other.to_owned()));
        }
        let Some(bytes) = self.storage.read(&self.claim_path(), MAX_PATH)? else {
            return Ok(None);
        };
        match bytes.strip_suffix(b"\n") {
            Some(path) if path.starts_with(b"/") => Ok(Some(OsStr::from_bytes(path).into())),
            _ => Err(RecordError::damaged(
                self.claim_path().display(),
                "not the path of a repository",
            )),
        }
    }

    fn foreign(&self, owner: Option<&Path>) -> RecordError {
        RecordError::Foreign {
            dir: self.dir.clone(),
            owner: owner.map_or_else(
                || "a repository that it does not name".to_owned(),
                |owner| owner.display().to_string(),
            ),
        }
    }

    fn claim_path(&self) -> PathBuf {
        self.own_dir().join(CLAIM)
    }
}

fn canonical(path: &Path) -> Result<PathBuf, RecordError> {
    fs::canonicalize(path).map_err(|error| disk::at(path, error))
}
