//! What the record asks of where it is kept.
//!
//! [`Disk`](super::disk::Disk) keeps it in files. Another storage, of objects or a database, has
//! these to offer under the same names, and two promises: a reader sees an object as it was or as it
//! is, never half of it; and what is said to be durable is so on return. The index, which can be built
//! again, and the private key stay on the host whatever the storage.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RecordError;

/// Whole objects by name, lines added to some, and one lock.
pub(crate) trait Storage: fmt::Debug + Send + Sync {
    /// Returns an object of at most `limit` bytes; nothing where there is none.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RecordError>;

    /// Returns so many bytes of an object from `offset` on; nothing where there is none.
    fn read_at(&self, path: &Path, offset: u64, len: usize)
    -> Result<Option<Vec<u8>>, RecordError>;

    /// Returns how long an object is, and all of it from `offset` on; nothing where there is none.
    fn read_from(&self, path: &Path, offset: u64) -> Result<Option<Rest>, RecordError>;

    /// Returns the names in a folder, sorted; those that are no text are left out.
    fn list(&self, dir: &Path) -> Result<Vec<String>, RecordError>;

    /// Makes a folder and those above it where missing, durably.
    fn create_dir(&self, dir: &Path) -> Result<(), RecordError>;

    /// Replaces several objects, all durable once this returns; their folders must exist.
    fn replace_all(&self, objects: &[(PathBuf, &[u8])]) -> Result<(), RecordError>;

    /// Replaces an object durably; the folder must exist.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
        self.replace_all(&[(path.to_owned(), bytes)])
    }

    /// Replaces an object durably if it still holds `before` and the lock is still the one; returns
    /// whether it did.
    fn swap(
        &self,
        lock: &dyn Lock,
        path: &Path,
        before: &[u8],
        after: &[u8],
    ) -> Result<bool, RecordError>;

    /// Removes an object if it is there; a crash may bring it back.
    fn remove(&self, path: &Path) -> Result<(), RecordError>;

    /// Removes what nobody needs; failing, or being undone by a crash, does no harm.
    fn discard(&self, path: &Path);

    /// Removes a folder that is empty.
    fn discard_dir(&self, path: &Path);

    /// Appends a line to an object of lines, durably, making it if need be.
    ///
    /// A last line that a crash cut off goes first. Not safe against others appending at the same
    /// time.
    fn append_line(&self, path: &Path, line: &[u8]) -> Result<(), RecordError>;

    /// Appends a line that may be lost in a crash.
    ///
    /// A last line that a crash or a full disk cut off is ended first, so that only it is lost.
    fn append_plain(&self, path: &Path, line: &[u8]) -> Result<(), RecordError>;

    /// Takes the lock of that name, waiting for whoever has it.
    fn lock(&self, path: &Path, patience: Duration) -> Result<Box<dyn Lock>, RecordError>;
}

/// An object from some byte on.
pub(crate) struct Rest {
    /// How long the whole object is.
    pub(crate) len: u64,
    /// What is behind the offset.
    pub(crate) bytes: Box<dyn Read>,
}

/// The exclusive right to write, until dropped.
pub(crate) trait Lock: fmt::Debug + Send + Sync {
    /// Fails where others could hold the same lock by now.
    fn check(&self) -> Result<(), RecordError>;
}
