//! Files put in place whole: a reader sees the old bytes or the new ones, also after a crash.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes `bytes` to `path` with exactly the permissions `mode`.
///
/// A temporary file in the same directory is written, synced and renamed over `path`; then the
/// directory is synced. A symbolic link at `path` is replaced, not followed.
pub fn place(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".countersign-")
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    fs::set_permissions(file.path(), Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// Makes what was renamed or removed in `dir` durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes and the mode are exactly those given, and a link is replaced, not written through.
    #[test]
    fn replaces_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "kept").unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink(&other, &path).unwrap();
        place(&path, b"new", 0o755).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"kept");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let meta = fs::symlink_metadata(&path).unwrap();
        assert!(meta.is_file());
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
