//! The bare repositories below a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::git::is_git_dir;

/// How far below the directory is looked.
pub const MAX_DEPTH: usize = 8;
/// The most directories that are looked at.
pub const MAX_DIRECTORIES: usize = 200_000;

/// Why the repositories cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum BelowError {
    /// A directory that cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too many directories.
    #[error("more than {MAX_DIRECTORIES} directories below {}: name one further down", .0.display())]
    TooMany(PathBuf),
}

/// Returns every bare repository below `dir`, itself included, sorted by path.
///
/// Links are not followed, `.git` of a clone is none, and nothing is looked for inside a repository.
/// What lies deeper than [`MAX_DEPTH`] is not found.
pub fn below(dir: &Path) -> Result<Vec<PathBuf>, BelowError> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), 0usize)];
    let mut seen = 0usize;
    while let Some((at, depth)) = open.pop() {
        seen = seen.saturating_add(1);
        if seen > MAX_DIRECTORIES {
            return Err(BelowError::TooMany(dir.to_owned()));
        }
        if is_git_dir(&at) {
            found.push(at);
            continue;
        }
        if depth >= MAX_DEPTH {
            continue;
        }
        let failed = |source| BelowError::File {
            path: at.clone(),
            source,
        };
        for entry in fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            if is_dir && entry.file_name() != ".git" {
                open.push((entry.path(), depth.saturating_add(1)));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repositories are found where they lie, and neither links, clones nor what is inside one count.
    #[test]
    fn finds() {
        let root = tempfile::tempdir().unwrap();
        let repo = |path: &str| {
            let path = root.path().join(path);
            for folder in ["objects", "refs"] {
                fs::create_dir_all(path.join(folder)).unwrap();
            }
            fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            path
        };
        let want = [repo("a.git"), repo("team/b.git"), repo("team/deep/er/c")];
        repo("a.git/modules/inner.git");
        repo("clone/.git");
        repo("1/2/3/4/5/6/7/8/9.git");
        std::os::unix::fs::symlink("a.git", root.path().join("link.git")).unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        assert_eq!(below(root.path()).unwrap(), want);
        assert_eq!(below(&want[0]).unwrap(), want[..1]);
        let gone = below(&root.path().join("gone")).unwrap_err();
        assert!(matches!(gone, BelowError::File { .. }));
    }
}
