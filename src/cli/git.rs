//! The git command: to read what the user typed, and to do what plain git does for a reviewer.
//!
//! Nothing that decides comes from here.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use bstr::ByteSlice;

use super::{CliError, Kind, Session};
use crate::git::Repo;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;

/// Variables that would make git look at another repository than the one the session is in.
const ELSEWHERE: [&str; 9] = [
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
];

#[allow(
    clippy::disallowed_methods,
    reason = "git found by absolute path; what decides never comes from it"
)]
fn git(session: &Session<'_>) -> Result<Command, CliError> {
    Ok(Command::new(program(session)?))
}

/// Returns git with almost no environment: to read names and show changes.
pub(super) fn scrubbed(session: &Session<'_>) -> Result<Command, CliError> {
    let mut command = git(session)?;
    command.env_clear();
    for name in ["PATH", "HOME", "XDG_CONFIG_HOME"] {
        if let Some(value) = session.env(name) {
            command.env(name, value);
        }
    }
    command
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .current_dir(session.dir())
        .stdin(Stdio::null());
    Ok(command)
}

/// Returns git as the user would run it here: their keys, agents and settings.
pub(super) fn own(session: &Session<'_>) -> Result<Command, CliError> {
    let mut command = git(session)?;
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command.current_dir(session.dir()).stdin(Stdio::null());
    Ok(command)
}

/// Finds git in `PATH` by absolute directories only: `.` there would mean the repository's own.
fn program(session: &Session<'_>) -> Result<PathBuf, CliError> {
    let path = session.env("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("git"))
        .find(|file| file.is_file())
        .ok_or_else(|| CliError::words(Kind::Usage, "git is not in PATH"))
}

/// Runs a command to its end and returns what it printed, without the last line feed.
pub(super) fn line_of(mut command: Command) -> Result<String, CliError> {
    let failed = |text: String| CliError::words(Kind::Usage, text);
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(format!("git could not be run: {error}")))?;
    if !output.status.success() {
        let said = output.stderr.to_str_lossy();
        return Err(failed(crate::report::plain::plain(said.trim())));
    }
    Ok(output.stdout.to_str_lossy().trim_end().to_owned())
}

/// Returns the top of the working tree, nothing in a bare repository.
pub(super) fn worktree(session: &Session<'_>) -> Result<Option<PathBuf>, CliError> {
    let mut command = scrubbed(session)?;
    command.args(["rev-parse", "--show-toplevel"]);
    Ok(line_of(command).ok().map(PathBuf::from))
}

/// Returns the commit that the user means: a full id as it is, any other revision as git reads it.
pub(super) fn revision(session: &Session<'_>, repo: &Repo, text: &str) -> Result<Oid, CliError> {
    match resolve(session, repo, text, "^{commit}")? {
        (oid, ObjectKind::Commit) => Ok(oid),
        (_, kind) => Err(wrong(text, &format!("a {kind:?}, not a commit"))),
    }
}

/// Returns the object that the user means, a tag as the tag.
pub(super) fn object(
    session: &Session<'_>,
    repo: &Repo,
    text: &str,
) -> Result<(Oid, ObjectKind), CliError> {
    resolve(session, repo, text, "^{object}")
}

fn resolve(
    session: &Session<'_>,
    repo: &Repo,
    text: &str,
    peel: &str,
) -> Result<(Oid, ObjectKind), CliError> {
    let oid = match text.parse::<Oid>() {
        Ok(oid) if oid.format() == repo.format() => oid,
        _ => {
            let mut command = scrubbed(session)?;
            let peeled = format!("{text}{peel}");
            command.args(["rev-parse", "--verify", "--end-of-options", &peeled]);
            let line = line_of(command).map_err(|error| {
                let said = error.source.to_string();
                // git's words for it are about something else.
                let unknown = said.contains("Needed a single revision");
                wrong(
                    text,
                    if unknown {
                        "there is no such commit here"
                    } else {
                        &said
                    },
                )
            })?;
            let id = line.parse::<Oid>();
            id.map_err(|_| wrong(text, "git names nothing by that"))?
        }
    };
    match repo.kind_and_size(&oid) {
        Ok((kind, _)) => Ok((oid, kind)),
        Err(error) => Err(wrong(text, &error.to_string())),
    }
}

fn wrong(text: &str, why: &str) -> CliError {
    let text = crate::report::plain::plain(text);
    CliError::words(Kind::Usage, format!("{text}: {why}"))
}
