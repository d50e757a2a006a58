//! The storage in files: every file of the record but the index is read and written here, and nowhere
//! else.
//!
//! A file is replaced by writing a temporary one beside it, fsync, rename and fsync of the
//! folder, so a reader sees the old bytes or the new ones. Each of these is a *step*; tests
//! cut the power at every one of them ([`Faults`]).

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::RecordError;
use super::storage::{Lock, Rest, Storage};

/// Owner only: the record holds a private key and who reviewed what.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// The way to the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    faults: Option<Arc<Faults>>,
}

/// What goes wrong, and at which step.
#[derive(Debug)]
pub(crate) struct Faults {
    steps: AtomicU64,
    at: u64,
    how: Fault,
}

/// How a step fails. After the first three nothing is written any more, as after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests let things fail"))]
pub(crate) enum Fault {
    /// It does not happen.
    Before,
    /// It happens, and the power goes.
    After,
    /// A write stops half-way; any other step as [`Fault::Before`].
    Torn,
    /// A write stops half-way for want of space; other steps go on working.
    Full,
}

/// What a step shall do.
#[derive(PartialEq, Eq)]
enum Step {
    Whole,
    Half,
    Nothing,
}

impl Faults {
    /// Lets step `at`, counted from 0, fail.
    #[cfg(test)]
    pub(crate) fn new(at: u64, how: Fault) -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicU64::new(0),
            at,
            how,
        })
    }

    /// Returns how many steps there were.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    fn step(&self, is_write: bool) -> (Step, Option<io::Error>) {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let crash = || Some(io::Error::other("injected fault"));
        match self.how {
            Fault::Full if step == self.at && is_write => {
                (Step::Half, Some(io::ErrorKind::StorageFull.into()))
            }
            Fault::Full => (Step::Whole, None),
            _ if step < self.at => (Step::Whole, None),
            Fault::After if step == self.at => (Step::Whole, crash()),
            Fault::Torn if step == self.at && is_write => (Step::Half, crash()),
            Fault::Before | Fault::After | Fault::Torn => (Step::Nothing, crash()),
        }
    }
}

impl Disk {
    /// Returns a disk on which things go wrong.
    #[cfg(test)]
    pub(crate) fn faulty(faults: &Arc<Faults>) -> Self {
        Self {
            faults: Some(Arc::clone(faults)),
        }
    }

    /// Puts a whole file, synced, in the place of another; its name is not durable yet.
    fn place(&self, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
        let temporary = temporary(path);
        let written = self
            .write_synced(&temporary, bytes)
            .and_then(|()| self.step(|| fs::rename(&temporary, path)));
        if let Err(error) = written {
            // Best effort: a stray temporary file is never read.
            self.step(|| fs::remove_file(&temporary)).ok();
            return Err(at(path, error));
        }
        Ok(())
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(path)?;
        self.write(&mut file, bytes)?;
        self.step(|| file.sync_all())
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let (step, error) = self.next(true);
        match step {
            Step::Whole => file.write_all(bytes)?,
            Step::Half => {
                let (half, _) = bytes.split_at(bytes.len() / 2);
                file.write_all(half)?;
            }
            Step::Nothing => {}
        }
        error.map_or(Ok(()), Err)
    }

    fn sync_parent(&self, path: &Path) -> Result<(), RecordError> {
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), RecordError> {
        self.step(|| File::open(dir)?.sync_all())
            .map_err(|error| at(dir, error))
    }

    fn step(&self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let (step, error) = self.next(false);
        if step == Step::Whole {
            act()?;
        }
        error.map_or(Ok(()), Err)
    }

    fn next(&self, is_write: bool) -> (Step, Option<io::Error>) {
        self.faults
            .as_ref()
            .map_or((Step::Whole, None), |faults| faults.step(is_write))
    }
}

impl Storage for Disk {
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(file) = open(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| at(path, error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(RecordError::damaged(
                path.display(),
                format_args!("more than {limit} bytes"),
            ));
        }
        Ok(Some(bytes))
    }

    fn read_at(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(file) = open(path)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|error| at(path, error))?;
        Ok(Some(bytes))
    }

    fn read_from(&self, path: &Path, offset: u64) -> Result<Option<Rest>, RecordError> {
        let Some(mut file) = open(path)? else {
            return Ok(None);
        };
        let len = file.metadata().map_err(|error| at(path, error))?.len();
        file.seek(SeekFrom::Start(offset))
            .map_err(|error| at(path, error))?;
        let bytes = Box::new(file);
        Ok(Some(Rest { len, bytes }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, RecordError> {
        let mut names = Vec::new();
        for file in fs::read_dir(dir).map_err(|error| at(dir, error))? {
            let name = file.map_err(|error| at(dir, error))?.file_name();
            names.extend(name.into_string());
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), RecordError> {
        if dir.is_dir() {
            return Ok(());
        }
        let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Err(at(dir, io::ErrorKind::NotFound.into()));
        };
        self.create_dir(parent)?;
        self.step(|| match DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })
        .map_err(|error| at(dir, error))?;
        self.sync_dir(parent)
    }

    fn replace_all(&self, files: &[(PathBuf, &[u8])]) -> Result<(), RecordError> {
        // Every folder is synced once, after the last file: file systems then write the names of all
        // of them in one go.
        let mut folders = BTreeSet::new();
        for (path, bytes) in files {
            self.place(path, bytes)?;
            folders.extend(path.parent());
        }
        folders.iter().try_for_each(|dir| self.sync_dir(dir))
    }

    fn swap(
        &self,
        lock: &dyn Lock,
        path: &Path,
        before: &[u8],
        after: &[u8],
    ) -> Result<bool, RecordError> {
        lock.check()?;
        let limit = u64::try_from(before.len()).unwrap_or(u64::MAX);
        let found = self.read(path, limit);
        if !found.is_ok_and(|found| found.as_deref() == Some(before)) {
            return Ok(false);
        }
        self.replace(path, after)?;
        Ok(true)
    }

    fn remove(&self, path: &Path) -> Result<(), RecordError> {
        self.step(|| match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
        .map_err(|error| at(path, error))
    }

    fn discard(&self, path: &Path) {
        self.step(|| fs::remove_file(path)).ok();
    }

    fn discard_dir(&self, path: &Path) {
        self.step(|| fs::remove_dir(path)).ok();
    }

    fn append_line(&self, path: &Path, line: &[u8]) -> Result<(), RecordError> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)
            .map_err(|error| at(path, error))?;
        let mut append = || {
            let end = whole_lines(&mut file)?;
            self.step(|| file.set_len(end))?;
            file.seek(SeekFrom::Start(end))?;
            let mut bytes = line.to_vec();
            bytes.push(b'\n');
            self.write(&mut file, &bytes)?;
            self.step(|| file.sync_all())
        };
        append().map_err(|error| at(path, error))?;
        if is_new {
            self.sync_parent(path)?;
        }
        Ok(())
    }

    fn append_plain(&self, path: &Path, line: &[u8]) -> Result<(), RecordError> {
        let append = || {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(FILE_MODE)
                .open(path)?;
            let mut bytes = Vec::new();
            if !ends_whole(&mut file)? {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            file.write_all(&bytes)
        };
        append().map_err(|error| at(path, error))
    }

    fn lock(&self, path: &Path, patience: Duration) -> Result<Box<dyn Lock>, RecordError> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            let file = open_own(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let path = path.to_owned();
                    let lock = FileLock { file, path };
                    if lock.is_the_one()? {
                        return Ok(Box::new(lock));
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(at(path, error.into())),
            }
            if start.elapsed() >= patience {
                return Err(RecordError::Busy {
                    path: path.to_owned(),
                    seconds: patience.as_secs(),
                });
            }
            thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(10));
        }
    }
}

/// A file that is locked.
#[derive(Debug)]
struct FileLock {
    // Closing the file gives the lock back.
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Returns whether the locked file is still the one that others would lock.
    ///
    /// Where somebody deletes it, two processes can hold "the" lock.
    fn is_the_one(&self) -> Result<bool, RecordError> {
        let io = |error| at(&self.path, error);
        let held = self.file.metadata().map_err(io)?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io(error)),
        }
    }
}

impl Lock for FileLock {
    fn check(&self) -> Result<(), RecordError> {
        match self.is_the_one()? {
            true => Ok(()),
            false => Err(RecordError::LockGone(self.path.clone())),
        }
    }
}

/// Opens, or makes, a file of the server's own: the one that is locked, and the index.
///
/// Made by root, it is for whom the folder belongs to: the account that runs git must open it.
pub(crate) fn open_own(path: &Path) -> Result<File, RecordError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    let open = || match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // Only what is new: anything else may be a link to where its owner wants it.
            give_to_owner(&file, path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.clone().create(true).truncate(false).open(path)
        }
        Err(error) => Err(error),
    };
    open().map_err(|error| at(path, error))
}

fn give_to_owner(file: &File, path: &Path) -> io::Result<()> {
    let (Some(folder), true) = (path.parent(), rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let owner = fs::metadata(folder)?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Opens a file for reading; nothing where there is none.
fn open(path: &Path) -> Result<Option<File>, RecordError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, error)),
    }
}

/// Returns whether nobody but its owner may look into a file.
pub(crate) fn is_private(path: &Path) -> Result<bool, RecordError> {
    let metadata = fs::metadata(path).map_err(|error| at(path, error))?;
    Ok(metadata.mode() & 0o077 == 0)
}

/// Returns the error with the path it is about.
pub(crate) fn at(path: &Path, source: io::Error) -> RecordError {
    RecordError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Returns whether a file is empty, or its last line whole.
fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Returns where the last whole line ends.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        io::Read::by_ref(file)
            .take(end.saturating_sub(start))
            .read_to_end(&mut block)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            let position = u64::try_from(position).unwrap_or(0);
            return Ok(start.saturating_add(position).saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}

/// A name beside `path` that no other process or thread uses.
fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{count}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line torn by a crash is cut off before the next, also when longer than a block.
    #[test]
    fn mends_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let disk = Disk::default();
        for torn in ["", "torn", &"x".repeat(200_000)] {
            fs::write(&path, format!("one\n{torn}")).unwrap();
            disk.append_line(&path, b"two").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        }
        fs::write(&path, "torn").unwrap();
        disk.append_line(&path, b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    /// A line cut off in the audit trail costs only itself, not the next refusal too.
    #[test]
    fn a_torn_line_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let disk = Disk::default();
        disk.append_plain(&path, b"one").unwrap();
        fs::write(&path, "one\ntw").unwrap();
        disk.append_plain(&path, b"three").unwrap();
        disk.append_plain(&path, b"four").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\n");
    }

    /// Files and folders are for their owner alone.
    #[test]
    fn keeps_to_itself() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let inner = dir.path().join("a/b");
        disk.create_dir(&inner).unwrap();
        disk.replace(&inner.join("c"), b"c").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("a")), 0o700);
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("c")), 0o600);
    }

    /// A file beyond the limit is an error, not a long read.
    #[test]
    fn bounds_reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "12345").unwrap();
        let disk = Disk::default();
        assert_eq!(disk.read(&path, 5).unwrap().unwrap(), b"12345");
        assert!(matches!(
            disk.read(&path, 4),
            Err(RecordError::Damaged { .. })
        ));
        assert_eq!(disk.read(&dir.path().join("b"), 4).unwrap(), None);
    }
}
