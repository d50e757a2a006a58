//! One service account runs git: nobody else may write where the record and the refs are.

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::hooks::quote;

/// How many files are looked at below `refs` and `hooks` before giving up.
const MAX_FILES: usize = 200_000;

/// Why somebody besides the service account could write to the repository.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Mode bits let group or others write.
    #[error("{} can be written by {by} (mode {mode:04o}); {more} more like it", path.display())]
    Writable {
        /// The first found.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// `group` or `everybody`.
        by: &'static str,
        /// How many others were found.
        more: usize,
    },
    /// It belongs to another account than the one that runs now.
    #[error("{} belongs to user {owner}, and this runs as user {user}", path.display())]
    Owner {
        /// The first found.
        path: PathBuf,
        /// Numeric owner.
        owner: u32,
        /// Numeric effective user.
        user: u32,
    },
    /// git would make new files group-writable again.
    #[error("`core.sharedRepository` is `{0}`, so git makes what it writes writable for others")]
    Shared(String),
    /// Too many files to look at.
    #[error("more than {MAX_FILES} files below {}", .0.display())]
    TooMany(PathBuf),
    /// A file that cannot be looked at.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OwnershipError {
    /// Returns the commands that mend it.
    pub fn hints(&self, git_dir: &Path) -> Vec<String> {
        let repo = quote(git_dir.as_os_str());
        match self {
            Self::Writable { .. } => vec![format!("chmod -R go-w {repo}")],
            Self::Owner { owner, .. } => vec![
                format!("run it as that account: sudo -u '#{owner}' countersign enroll {repo}"),
                format!("or give the repository to this one: chown -R \"$(id -u)\" {repo}"),
            ],
            Self::Shared(_) => vec![
                format!("git -C {repo} config --unset-all core.sharedRepository"),
                format!("chmod -R go-w {repo}"),
            ],
            Self::TooMany(_) => vec![format!("git -C {repo} pack-refs --all --prune")],
            Self::File { .. } => Vec::new(),
        }
    }
}

/// Refuses a repository that others than the account running this may write to.
///
/// `shared` is every value of `core.sharedRepository`. Looked at: the directory itself, its files,
/// all of `hooks`, `refs` and `countersign`, and the directories of `objects` (objects themselves
/// are named by their content). Access lists (ACLs) and the directories above are not looked at.
pub fn check_ownership(git_dir: &Path, shared: &[String]) -> Result<(), OwnershipError> {
    let user = rustix::process::geteuid().as_raw();
    check_ownership_by(git_dir, shared, user)
}

/// Refuses a repository that others than the account of that number may write to.
pub fn check_ownership_by(
    git_dir: &Path,
    shared: &[String],
    user: u32,
) -> Result<(), OwnershipError> {
    if let Some(value) = shared.iter().find(|value| is_shared(value)) {
        return Err(OwnershipError::Shared(value.clone()));
    }
    let mut writable = Vec::new();
    let mut seen = 0usize;
    let mut todo = VecDeque::from([(git_dir.to_owned(), Depth::Top)]);
    while let Some((path, depth)) = todo.pop_front() {
        seen = seen.saturating_add(1);
        if seen > MAX_FILES {
            return Err(OwnershipError::TooMany(git_dir.to_owned()));
        }
        let Some(meta) = metadata(&path)? else {
            continue;
        };
        if meta.uid() != user {
            return Err(OwnershipError::Owner {
                path,
                owner: meta.uid(),
                user,
            });
        }
        if meta.mode() & 0o022 != 0 {
            writable.push((path.clone(), meta.mode()));
        }
        if meta.is_dir() {
            for (path, depth) in children(&path, depth)? {
                todo.push_back((path, depth));
            }
        }
    }
    first(writable)
}

/// How far below a directory is looked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Top,
    All,
    /// Directories only.
    Objects,
    None,
}

fn children(dir: &Path, depth: Depth) -> Result<Vec<(PathBuf, Depth)>, OwnershipError> {
    let failed = |source| OwnershipError::File {
        path: dir.to_owned(),
        source,
    };
    if depth == Depth::None {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let below = match (depth, name.unwrap_or_default()) {
            (Depth::Top, "objects") => Depth::Objects,
            (Depth::Top, "hooks" | "refs" | "countersign" | "info") | (Depth::All, _) => Depth::All,
            (Depth::Top | Depth::None, _) => Depth::None,
            (Depth::Objects, "info") => Depth::All,
            (Depth::Objects, _) => Depth::Objects,
        };
        if below != Depth::Objects || path.is_dir() {
            found.push((path, below));
        }
    }
    Ok(found)
}

/// Returns what is known of a file itself, or of what a link points to; a dangling link is nothing.
fn metadata(path: &Path) -> Result<Option<Metadata>, OwnershipError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|source| OwnershipError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn first(writable: Vec<(PathBuf, u32)>) -> Result<(), OwnershipError> {
    let more = writable.len().saturating_sub(1);
    let Some((path, mode)) = writable.into_iter().next() else {
        return Ok(());
    };
    Err(OwnershipError::Writable {
        path,
        mode: mode & 0o7777,
        by: if mode & 0o002 == 0 {
            "its group"
        } else {
            "everybody"
        },
        more,
    })
}

/// Reads the value as git-config(1) does: anything but `umask`, false, or an octal mode without
/// write bits for others means shared.
fn is_shared(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match value.as_str() {
        "umask" | "false" | "no" | "off" | "0" => false,
        other if other.len() >= 3 => {
            !u32::from_str_radix(other, 8).is_ok_and(|mode| mode & 0o022 == 0)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn repo() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("git")
            .args(["init", "-q", "--bare"])
            .arg(dir.path())
            .status();
        assert!(done.unwrap().success());
        let done = Command::new("chmod")
            .arg("-R")
            .arg("go-w")
            .arg(dir.path())
            .status();
        assert!(done.unwrap().success());
        dir
    }

    /// Each place where a second account could write is found by itself.
    #[test]
    fn writable() {
        let git = repo();
        check_ownership(git.path(), &[]).unwrap();
        fs::create_dir_all(git.path().join("objects/ab")).unwrap();
        fs::create_dir_all(git.path().join("refs/heads/a")).unwrap();
        fs::write(git.path().join("refs/heads/a/b"), "").unwrap();
        fs::write(git.path().join("packed-refs"), "").unwrap();
        fs::create_dir_all(git.path().join("countersign")).unwrap();
        for (path, mode) in [
            ("", 0o775),
            ("config", 0o664),
            ("HEAD", 0o646),
            ("packed-refs", 0o664),
            ("hooks", 0o777),
            ("objects", 0o775),
            ("objects/ab", 0o775),
            ("objects/info", 0o775),
            ("refs/heads/a", 0o775),
            ("refs/heads/a/b", 0o666),
            ("countersign", 0o770),
        ] {
            let path = git.path().join(path);
            let before = fs::metadata(&path).unwrap().permissions();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = check_ownership(git.path(), &[]).unwrap_err();
            assert!(
                matches!(&error, OwnershipError::Writable { more: 0, .. }),
                "{}: {error}",
                path.display()
            );
            fs::set_permissions(&path, before).unwrap();
        }
        check_ownership(git.path(), &[]).unwrap();
    }

    /// The mending it names mends it.
    #[test]
    fn hint_mends() {
        let git = repo();
        let hooks = git.path().join("hooks");
        fs::set_permissions(&hooks, fs::Permissions::from_mode(0o777)).unwrap();
        let error = check_ownership(git.path(), &[]).unwrap_err();
        for hint in error.hints(git.path()) {
            assert!(
                Command::new("sh")
                    .arg("-c")
                    .arg(hint)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        check_ownership(git.path(), &[]).unwrap();
    }

    /// Only values under which git writes for its own account alone pass.
    #[test]
    fn shared_values() {
        for good in ["false", "umask", "0", "no", "0600", "0640", "0644", "False"] {
            assert!(!is_shared(good), "{good}");
        }
        for bad in [
            "",
            "true",
            "group",
            "all",
            "world",
            "everybody",
            "1",
            "2",
            "0660",
            "0664",
            "x",
        ] {
            assert!(is_shared(bad), "{bad}");
        }
        let git = repo();
        let error = check_ownership(git.path(), &["group".to_owned()]).unwrap_err();
        assert!(matches!(error, OwnershipError::Shared(_)));
    }
}
