//! The hooks that stood there before: each runs first, with its own copy of what git sent.

use std::ffi::OsString;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why nothing gets past the hooks that stood there before.
#[derive(Debug, thiserror::Error)]
pub enum PreviousError {
    /// It said no, or was killed.
    #[error("{} refused it ({status})", path.display())]
    Refused {
        /// The hook.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// It could not be started.
    #[error("{} could not be run: {source}", path.display())]
    NotRun {
        /// The hook.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs the hooks in order, each with `args`, the environment as it is and a copy of `input`.
///
/// What they print goes to the pusher. The first that does not exit 0 ends it: none after it runs.
/// Their input is a file, so that one which does not read it blocks nobody.
pub fn run_previous(
    hooks: &[PathBuf],
    args: &[OsString],
    input: &[u8],
) -> Result<(), PreviousError> {
    for path in hooks {
        let status = run(path, args, input).map_err(|source| PreviousError::NotRun {
            path: path.clone(),
            source,
        })?;
        if !status.success() {
            return Err(PreviousError::Refused {
                path: path.clone(),
                status,
            });
        }
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a hook that was there first runs as git would run it"
)]
fn run(path: &Path, args: &[OsString], input: &[u8]) -> io::Result<ExitStatus> {
    let mut copy = tempfile::tempfile()?;
    copy.write_all(input)?;
    copy.rewind()?;
    // A bare `hooks/x` would be looked up in PATH only without a slash; this one has one.
    Command::new(path)
        .args(args)
        .stdin(Stdio::from(copy))
        .status()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hook(dir: &Path, name: &str, body: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(
            &path,
            format!("#!/bin/sh\ncd '{}'\n{body}\n", dir.display()),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Each gets the whole input and the arguments; one that reads nothing harms nobody.
    #[test]
    fn copies_of_the_input() {
        let dir = tempfile::tempdir().unwrap();
        let hooks = [
            hook(dir.path(), "a", "cat > a.out"),
            hook(dir.path(), "b", "exit 0"),
            hook(dir.path(), "c", "cat > c.out; printf %s \"$1\" > c.arg"),
        ];
        let input = vec![b'x'; 300_000];
        run_previous(&hooks, &["one two".into()], &input).unwrap();
        assert_eq!(fs::read(dir.path().join("a.out")).unwrap(), input);
        assert_eq!(fs::read(dir.path().join("c.out")).unwrap(), input);
        assert_eq!(fs::read(dir.path().join("c.arg")).unwrap(), b"one two");
    }

    /// A hook that exits otherwise, dies or cannot start refuses, and nothing after it runs.
    #[test]
    fn first_refusal_ends_it() {
        for body in ["exit 1", "exit 255", "kill -9 $$"] {
            let dir = tempfile::tempdir().unwrap();
            let hooks = [
                hook(dir.path(), "a", body),
                hook(dir.path(), "b", ": > b.out"),
            ];
            let error = run_previous(&hooks, &[], b"").unwrap_err();
            assert!(
                matches!(error, PreviousError::Refused { .. }),
                "{body}: {error}"
            );
            assert!(!dir.path().join("b.out").exists());
        }
        let gone = [PathBuf::from("/nonexistent/hook")];
        let error = run_previous(&gone, &[], b"").unwrap_err();
        assert!(matches!(error, PreviousError::NotRun { .. }));
    }
}
