//! git's configuration as git itself sees it: all files, includes and `GIT_CONFIG_*`.
//!
//! Only enrolment and its checks ask; a judgement never depends on configuration.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::hooks::word;
use crate::wire::name::RefName;

/// Why the git command gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("git config failed: {0}")]
pub struct ConfigFailed(pub String);

/// Returns every value of the keys that match, in order, with their keys; `pattern` is an extended
/// regular expression over lower-case keys.
pub fn matching(git_dir: &Path, pattern: &str) -> Result<Vec<(String, String)>, ConfigFailed> {
    let output = git(git_dir, &["--includes", "--null", "--get-regexp", pattern])?;
    match output.status.code() {
        Some(0) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let entries = text.split_terminator('\0');
            Ok(entries
                .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect())
        }
        Some(1) => Ok(Vec::new()),
        _ => Err(failed(&output)),
    }
}

/// One value, with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `system`, `global`, `local`, `worktree` or `command`.
    pub scope: String,
    /// `file:<path>`, or what git calls it.
    pub origin: String,
    /// In lower case, but for a subsection.
    pub key: String,
    /// As written.
    pub value: String,
}

/// Returns every value of the keys that match, of every level, in git's order.
pub fn settings(git_dir: &Path, pattern: &str) -> Result<Vec<Setting>, ConfigFailed> {
    let args = [
        "--includes",
        "--null",
        "--show-scope",
        "--show-origin",
        "--get-regexp",
        pattern,
    ];
    let output = git(git_dir, &args)?;
    match output.status.code() {
        Some(0) => {}
        Some(1) => return Ok(Vec::new()),
        _ => return Err(failed(&output)),
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut parts = text.split_terminator('\0');
    let mut settings = Vec::new();
    while let Some(scope) = parts.next() {
        let (Some(origin), Some(entry)) = (parts.next(), parts.next()) else {
            return Err(ConfigFailed("an entry without its origin".to_owned()));
        };
        let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
        settings.push(Setting {
            scope: scope.to_owned(),
            origin: origin.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(settings)
}

/// Returns the command that takes a key out of the file it stands in, by its [`Setting::origin`]; for one
/// that comes from the environment, that shows which variables give it.
pub fn unset(git_dir: &Path, origin: &str, key: &str) -> String {
    match origin.strip_prefix("file:") {
        Some(file) => {
            let file = git_dir.join(file);
            let (file, key) = (word(file.as_os_str()), word(key.as_ref()));
            format!("git config --file {file} --unset-all {key}")
        }
        None => "env | grep ^GIT_CONFIG".to_owned(),
    }
}

/// Returns the last value of one key.
pub fn value(git_dir: &Path, key: &str) -> Result<Option<String>, ConfigFailed> {
    let pattern = format!("^{}$", key.to_ascii_lowercase().replace('.', "\\."));
    Ok(matching(git_dir, &pattern)?.pop().map(|(_, value)| value))
}

/// Returns the version of git, as it says itself.
#[allow(
    clippy::disallowed_methods,
    reason = "the git that is found is the one that runs the hooks"
)]
pub fn version() -> Result<String, ConfigFailed> {
    let output = Command::new("git")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| ConfigFailed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().strip_prefix("git version ");
    version.map(str::to_owned).ok_or_else(|| failed(&output))
}

/// Sets a key in the repository's own file.
pub fn set(git_dir: &Path, key: &str, value: &str) -> Result<(), ConfigFailed> {
    done(git(git_dir, &["--local", "--replace-all", key, value])?)
}

/// Has `HEAD` name a branch, which new clones then check out.
pub fn set_head(git_dir: &Path, branch: &RefName) -> Result<(), ConfigFailed> {
    done(run(
        git_dir,
        &["symbolic-ref", "HEAD", &branch.to_string()],
    )?)
}

fn done(output: Output) -> Result<(), ConfigFailed> {
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&output)),
    }
}

fn git(git_dir: &Path, args: &[&str]) -> Result<Output, ConfigFailed> {
    run(git_dir, &[&["config"], args].concat())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the admin's own git reads and writes the admin's configuration"
)]
fn run(git_dir: &Path, args: &[&str]) -> Result<Output, ConfigFailed> {
    Command::new("git")
        .arg("-C")
        .arg(git_dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ConfigFailed(error.to_string()))
}

fn failed(output: &Output) -> ConfigFailed {
    ConfigFailed(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
