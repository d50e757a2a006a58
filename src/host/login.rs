//! How people get in over ssh: what sshd takes over from them, and what their keys are held to.
//!
//! Source: sshd_config(5), sshd(8), passwd(5).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::wire::allowed_signers::matches;
use crate::wire::sshd::{Admitted, DirectiveKind, SshdError, admitted, directives};

/// Where sshd's settings stand; what they include is relative to its folder.
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";
/// The most files that one configuration may include.
const MAX_FILES: usize = 256;

/// Variables by which somebody past a forced command could choose what git does, or who they are.
///
/// The variable that names the pusher comes to these.
const CHOOSES: &[&str] = &[
    "BASH_ENV",
    "BASH_FUNC_git%%",
    "CDPATH",
    "COUNTERSIGN_PUSHER",
    "ENV",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_0",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_0",
    "GIT_DIR",
    "GIT_EXEC_PATH",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PUSH_CERT",
    "GIT_PUSH_CERT_NONCE_STATUS",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TRACE",
    "GITEA_DEPLOY_KEY_ID",
    "GITEA_PUSHER_ID",
    "GL_BYPASS_ACCESS_CHECKS",
    "GL_ID",
    "GL_USER",
    "HOME",
    "IFS",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "REMOTE_USER",
    "SHELLOPTS",
    "TMPDIR",
    "XDG_CONFIG_HOME",
];

/// How those of git's own variables begin that choose nothing; any other may.
const HARMLESS: &[&str] = &["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_PROTOCOL"];

/// Shells that run a forced command, by name.
const SHELLS: &[&str] = &[
    "ash", "bash", "busybox", "dash", "ksh", "ksh93", "mksh", "sh", "zsh",
];

/// A line of sshd's settings that lets clients set what they must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// Patterns that match what they must not, each with the first name.
    pub bad: Vec<(String, String)>,
    /// Patterns that do no harm.
    pub good: Vec<String>,
}

/// An account of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its home directory.
    pub home: PathBuf,
    /// Its login shell.
    pub shell: PathBuf,
}

/// Why it cannot be told who gets in how.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What stands in it.
    #[error("{}: {source}", path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: SshdError,
    },
    /// A path to include that is not read here.
    #[error("{}: includes {pattern}, which has a pattern that is not read here", path.display())]
    Pattern {
        /// The file.
        path: PathBuf,
        /// The path.
        pattern: String,
    },
    /// Too many files.
    #[error("sshd's settings include more than {MAX_FILES} files")]
    TooMany,
}

/// Returns the lines by which a client may set `variable`, or another that matters; nothing where there
/// is no such file.
///
/// Whatever stands under a `Match` counts too.
pub fn accepted(config: &Path, variable: &str) -> Result<Vec<Accepted>, LoginError> {
    let mut found = Vec::new();
    let mut files = vec![config.to_owned()];
    let mut at = 0usize;
    while let Some(file) = files.get(at).cloned() {
        at = at.saturating_add(1);
        if at > MAX_FILES {
            return Err(LoginError::TooMany);
        }
        let Some(bytes) = read(&file)? else {
            continue;
        };
        let read = directives(&bytes).map_err(|source| LoginError::Text {
            path: file.clone(),
            source,
        })?;
        for directive in read {
            match directive.kind {
                DirectiveKind::AcceptEnv => {
                    found.extend(judged(&file, directive.line, directive.words, variable));
                }
                DirectiveKind::Include => {
                    for word in &directive.words {
                        let more = included(&file, word)?;
                        files.extend(
                            more.into_iter()
                                .filter(|path| !files.contains(path))
                                .collect::<Vec<_>>(),
                        );
                    }
                }
            }
        }
    }
    Ok(found)
}

fn judged(file: &Path, line: usize, words: Vec<String>, variable: &str) -> Option<Accepted> {
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for pattern in words {
        let names = std::iter::once(variable).chain(CHOOSES.iter().copied());
        let hit = names
            .into_iter()
            .find(|name| matches(pattern.as_bytes(), name.as_bytes()));
        let of_git =
            pattern.starts_with("GIT_") && !HARMLESS.iter().any(|start| pattern.starts_with(start));
        match hit {
            Some(name) => bad.push((pattern, name.to_owned())),
            None if of_git => bad.push((pattern.clone(), pattern)),
            None => good.push(pattern),
        }
    }
    (!bad.is_empty()).then(|| Accepted {
        file: file.to_owned(),
        line,
        bad,
        good,
    })
}

/// Returns the files that a word of `Include` names.
fn included(file: &Path, word: &str) -> Result<Vec<PathBuf>, LoginError> {
    let base = Path::new(SSHD_CONFIG).parent().unwrap_or(Path::new("/"));
    let path = base.join(word);
    let special = |text: &str| text.contains(['*', '?', '[']);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    if special(&dir.to_string_lossy()) || name.contains('[') {
        return Err(LoginError::Pattern {
            path: file.to_owned(),
            pattern: word.to_owned(),
        });
    }
    if !special(&name) {
        return Ok(vec![path]);
    }
    let failed = |source| LoginError::File {
        path: dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let entry = entry.map_err(failed)?.file_name();
        let text = entry.to_string_lossy();
        if matches(name.as_bytes(), text.as_bytes()) {
            found.push(dir.join(&entry));
        }
    }
    Ok(found)
}

/// Returns the keys that a file lets in; nothing where there is none.
pub fn keys(file: &Path) -> Result<Vec<Admitted>, LoginError> {
    let bytes = read(file)?.unwrap_or_default();
    admitted(&bytes).map_err(|source| LoginError::Text {
        path: file.to_owned(),
        source,
    })
}

/// Returns why others than `owner` and root may write a file, if they may.
pub fn exposed(file: &Path, owner: u32) -> Option<String> {
    let meta = fs::metadata(file).ok()?;
    if meta.uid() != owner && meta.uid() != 0 {
        return Some(format!("belongs to {}", super::user::user_of(meta.uid())));
    }
    let mode = meta.mode() & 0o7777;
    (mode & 0o022 != 0).then(|| format!("others can write it (mode {mode:04o})"))
}

/// Returns the account of that number.
pub fn account(uid: u32) -> Option<Account> {
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    account_in(&String::from_utf8_lossy(&passwd), uid)
}

fn account_in(passwd: &str, uid: u32) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, _, _, home, shell] = fields.as_slice() else {
            return None;
        };
        // passwd(5): an empty shell is /bin/sh.
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        (number.parse() == Ok(uid)).then(|| Account {
            name: (*name).to_owned(),
            home: PathBuf::from(home),
            shell: PathBuf::from(shell),
        })
    })
}

impl Account {
    /// Returns whether its shell runs a forced command, which sets a variable and then runs git.
    pub fn runs_commands(&self) -> bool {
        let name = self.shell.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| SHELLS.contains(&name))
    }
}

/// Returns the bytes of a file, nothing where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LoginError> {
    let failed = |source| LoginError::File {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(meta) if meta.len() > crate::wire::sshd::MAX_FILE as u64 => {
            let path = path.to_owned();
            let source = SshdError::TooLarge;
            return Err(LoginError::Text { path, source });
        }
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, variable: &str) -> Vec<(String, usize, Vec<String>)> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        fs::write(dir.path().join("more/a.conf"), "\nAcceptEnv LANG GIT_*\n").unwrap();
        fs::write(dir.path().join("more/b.txt"), "AcceptEnv *\n").unwrap();
        let config = dir.path().join("config");
        fs::write(
            &config,
            text.replace("HERE", &dir.path().display().to_string()),
        )
        .unwrap();
        let found = accepted(&config, variable).unwrap();
        found
            .into_iter()
            .map(|one| {
                let name = one.file.file_name().unwrap().to_str().unwrap().to_owned();
                (
                    name,
                    one.line,
                    one.bad.into_iter().map(|(pattern, _)| pattern).collect(),
                )
            })
            .collect()
    }

    /// Whatever lets a client say who they are, or what git does, is found in the line where it stands.
    #[test]
    fn patterns() {
        let is = |file: &str, line: usize, bad: &[&str]| {
            let bad = bad.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            vec![(file.to_owned(), line, bad)]
        };
        for harmless in [
            "AcceptEnv LANG LC_*",
            "AcceptEnv GIT_PROTOCOL",
            "AcceptEnv GIT_AUTHOR_* XMODIFIERS COLORTERM",
            "PermitRootLogin no",
            "Include HERE/nothing/*.conf",
        ] {
            assert_eq!(lines(harmless, "COUNTERSIGN_PUSHER"), [], "{harmless}");
        }
        for bad in [
            "*",
            "COUNTERSIGN_*",
            "GIT_*",
            "GIT_CONFIG*",
            "GIT_TRACE2_EVENT",
            "?ATH",
            "GL_*",
            "LD_*",
        ] {
            let text = format!("\nMatch User git\nAcceptEnv LANG {bad}");
            assert_eq!(lines(&text, "COUNTERSIGN_PUSHER"), is("config", 3, &[bad]));
        }
        assert_eq!(lines("AcceptEnv WH*", "WHO"), is("config", 1, &["WH*"]));
        let more = "Include HERE/more/*.conf HERE/config";
        assert_eq!(lines(more, "WHO"), is("a.conf", 2, &["GIT_*"]));
        assert_eq!(accepted(Path::new("/nonexistent/x"), "WHO").unwrap(), []);
    }

    /// The shell of the account decides whether a forced command runs.
    #[test]
    fn shells() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\ngit:x:998:998:,,,:/srv/git:/usr/bin/git-shell\n\
                      old:x:7:7::/home/old:\n";
        let git = account_in(passwd, 998).unwrap();
        assert_eq!(git.home, Path::new("/srv/git"));
        assert!(!git.runs_commands());
        assert!(account_in(passwd, 0).unwrap().runs_commands());
        assert!(account_in(passwd, 7).unwrap().runs_commands());
        assert_eq!(account_in(passwd, 5), None);
    }
}
