//! How enrolment leaves the host: hooks, settings, git's configuration, files that change what git sees.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::{self, ConfigFailed};
use super::hooks::{Hook, Hooks, HooksError};
use super::server::Server;
use crate::gather::rulebook::hex;
use crate::record::entry::HostState;
use sha2::{Digest as _, Sha256};

/// Keys of git's configuration by which refs could move, or objects go, otherwise than was enrolled.
pub const WATCHED: &str = "^(core\\.(hookspath|sharedrepository|bare|worktree|repositoryformatversion|logallrefupdates|alternaterefscommand|fsmonitor)|extensions\\..*|receive\\..*|transfer\\..*|hook\\..*|uploadpack\\..*|uploadarchive\\..*|http\\.receivepack|gc\\..*|fsck\\..*|include\\..*|includeif\\..*|safe\\..*)$";

/// Files of the repository that change what git makes of its objects and refs.
pub const FILES: [&str; 5] = [
    "objects/info/alternates",
    "objects/info/http-alternates",
    "info/grafts",
    "shallow",
    "info/attributes",
];

/// The most bytes of a value that stand in the record as they are.
const MAX_VALUE: usize = 256;
/// The most bytes of a watched file that are read.
const MAX_FILE: u64 = 16 << 20;

/// Why the state of a host cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// git's configuration.
    #[error(transparent)]
    Config(#[from] ConfigFailed),
    /// The hooks.
    #[error(transparent)]
    Hooks(#[from] HooksError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is larger than is read.
    #[error("{}: larger than {MAX_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
}

/// Returns the state of an enrolled host, as hooks of `binary` leave it.
pub fn state(
    git_dir: &Path,
    binary: &Path,
    by: &str,
    server: &Server,
) -> Result<HostState, StateError> {
    let hooks = Hooks::of(git_dir);
    let mut digests = BTreeMap::new();
    for hook in Hook::ALL {
        if let Some(bytes) = read(&hooks.path(hook))? {
            digests.insert(hook.name().to_owned(), digest(&bytes));
        }
    }
    Ok(HostState {
        by: by.to_owned(),
        binary: binary.display().to_string(),
        hooks: digests,
        settings: server.by_name(),
        config: configured(git_dir)?,
        files: files(git_dir)?,
    })
}

/// Returns the watched keys with their values in order, long ones by their digest.
pub fn configured(git_dir: &Path) -> Result<BTreeMap<String, Vec<String>>, ConfigFailed> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for setting in config::settings(git_dir, WATCHED)? {
        let known = values.entry(setting.key).or_default();
        known.push(short(&setting.value));
    }
    Ok(values)
}

/// Returns a value as the record has it.
pub fn short(value: &str) -> String {
    match value.len() > MAX_VALUE {
        true => format!("sha256:{}", digest(value.as_bytes())),
        false => value.to_owned(),
    }
}

/// Returns those of [`FILES`] that say something, with their digests.
pub fn files(git_dir: &Path) -> Result<BTreeMap<String, String>, StateError> {
    let mut found = BTreeMap::new();
    for name in FILES {
        let bytes = read(&git_dir.join(name))?;
        if let Some(bytes) = bytes.filter(|bytes| !bytes.trim_ascii().is_empty()) {
            found.insert(name.to_owned(), digest(&bytes));
        }
    }
    Ok(found)
}

/// Returns SHA-256, hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the bytes of a file, nothing where there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let failed = |source| StateError::File {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(meta) if meta.len() > MAX_FILE => return Err(StateError::TooLarge(path.to_owned())),
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(failed)
}
