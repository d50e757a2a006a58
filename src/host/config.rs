//! git's configuration as git itself sees it: all files, includes and `GIT_CONFIG_*`.
//!
//! Only enrolment and its checks ask; a judgement never depends on configuration.

use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// Returns the last value of one key.
pub fn value(git_dir: &Path, key: &str) -> Result<Option<String>, ConfigFailed> {
    let pattern = format!("^{}$", key.to_ascii_lowercase().replace('.', "\\."));
    Ok(matching(git_dir, &pattern)?.pop().map(|(_, value)| value))
}

/// Sets a key in the repository's own file.
pub fn set(git_dir: &Path, key: &str, value: &str) -> Result<(), ConfigFailed> {
    let output = git(git_dir, &["--local", "--replace-all", key, value])?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&output)),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the admin's own git reads and writes the admin's configuration"
)]
fn git(git_dir: &Path, args: &[&str]) -> Result<Output, ConfigFailed> {
    Command::new("git")
        .arg("-C")
        .arg(git_dir)
        .arg("config")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ConfigFailed(error.to_string()))
}

fn failed(output: &Output) -> ConfigFailed {
    ConfigFailed(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
