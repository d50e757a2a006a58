//! How enrolment leaves the host: hooks, settings, git's configuration, files that change what git sees.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use faster_hex::hex_string;

use super::config::{self, ConfigFailed, Setting};
use super::hooks::{Hook, Hooks, HooksError};
use super::server::Server;
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
const MAX_VALUE: usize = 128;
/// The most values of one key that do.
const MAX_VALUES: usize = 4;
/// The most keys that do.
const MAX_KEYS: usize = 64;
/// The most files beside one hook that stand in the record each by its name.
const MAX_OTHERS: usize = 16;
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
        digests.extend(others(&hooks, hook)?);
    }
    digests.extend(strangers(&hooks)?);
    Ok(HostState {
        by: by.to_owned(),
        binary: binary.display().to_string(),
        hooks: digests,
        settings: server.by_name(git_dir),
        config: configured(git_dir)?,
        files: files(git_dir)?,
    })
}

/// Returns what runs beside a hook of ours, as `<hook>.d/<name>`, with digests; many as one.
pub fn others(hooks: &Hooks, hook: Hook) -> Result<BTreeMap<String, String>, StateError> {
    let mut found = BTreeMap::new();
    for path in hooks.others(hook)? {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let name = short(&name.escape_ascii().to_string());
        found.insert(format!("{}.d/{name}", hook.name()), digest_of(&path)?);
    }
    if found.len() > MAX_OTHERS {
        let all: Vec<String> = found.into_iter().map(|(k, v)| format!("{k} {v}")).collect();
        let digest = digest(all.join("\n").as_bytes());
        found = BTreeMap::from([(format!("{}.d/*", hook.name()), digest)]);
    }
    Ok(found)
}

/// Returns the hooks of git's that are none of ours, with digests.
pub fn strangers(hooks: &Hooks) -> Result<BTreeMap<String, String>, StateError> {
    let found = hooks.strangers();
    found
        .map(|(name, path)| Ok((name.to_owned(), digest_of(&path)?)))
        .collect()
}

/// Returns the digest of a file of any size; of one that may be run and not read, that it is so.
fn digest_of(path: &Path) -> Result<String, StateError> {
    let mut hash = Sha256::new();
    match fs::File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash)) {
        Ok(_) => Ok(hex_string(&hash.finalize())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok("unreadable".to_owned())
        }
        Err(source) => Err(StateError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Returns the watched keys with their values in order, as the record has them.
pub fn configured(git_dir: &Path) -> Result<BTreeMap<String, Vec<String>>, ConfigFailed> {
    Ok(values(&config::settings(git_dir, WATCHED)?))
}

/// Returns settings by their key with their values in order: what is long or many by its digest, so
/// that it always fits into an entry.
pub fn values(settings: &[Setting]) -> BTreeMap<String, Vec<String>> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for setting in settings {
        let known = values.entry(short(&setting.key)).or_default();
        known.push(short(&setting.value));
    }
    for known in values.values_mut().filter(|known| known.len() > MAX_VALUES) {
        *known = vec![folded(&known.join("\n"))];
    }
    if values.len() > MAX_KEYS {
        let all: Vec<String> = values
            .into_iter()
            .map(|(key, known)| format!("{key}\n{}", known.join("\n")))
            .collect();
        values = BTreeMap::from([("*".to_owned(), vec![folded(&all.join("\n"))])]);
    }
    values
}

/// Returns a value as the record has it.
pub fn short(value: &str) -> String {
    match value.len() > MAX_VALUE {
        true => folded(value),
        false => value.to_owned(),
    }
}

fn folded(text: &str) -> String {
    format!("sha256:{}", digest(text.as_bytes()))
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
    hex_string(&Sha256::digest(bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, value: &str) -> Setting {
        Setting {
            scope: "local".to_owned(),
            origin: "file:config".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    /// Whatever somebody configures fits into an entry, and any change of it is seen.
    #[test]
    fn fits() {
        let few = [setting("gc.auto", "1"), setting("gc.auto", "2")];
        let want = vec!["1".to_owned(), "2".to_owned()];
        assert_eq!(values(&few), BTreeMap::from([("gc.auto".to_owned(), want)]));
        let many: Vec<_> = (0..1_000)
            .map(|n| setting(&format!("hook.{}.event", n % 500), &"x".repeat(5_000)))
            .collect();
        let mut most: Vec<_> = (0..256)
            .map(|n| setting(&format!("receive.{}", n / 4), &"y".repeat(MAX_VALUE)))
            .collect();
        for all in [many, most.clone()] {
            let bytes = serde_json::to_vec(&values(&all)).unwrap().len();
            assert!(bytes < 48 * 1024, "{bytes}");
        }
        let before = values(&most);
        most[255].value.push('z');
        assert_ne!(values(&most), before);
        most.push(setting("receive.more", "z"));
        assert_eq!(values(&most).len(), 1);
    }
}
