//! The key that signs checkpoints: `key` and `log/vkey`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::disk::{self, Disk};
use super::{RecordError, proof};
use crate::wire::note::{NoteError, NoteKey, NoteSigner};

const MAX_KEY: u64 = 4096;

/// Reads the private key, or makes one where there is none.
pub(crate) fn load_or_create(
    disk: &Disk,
    dir: &Path,
    origin: &str,
) -> Result<NoteSigner, RecordError> {
    let path = dir.join("key");
    if let Some(bytes) = disk::read(&path, MAX_KEY)? {
        return parse(&path, &bytes, NoteSigner::parse);
    }
    let mut seed: proof::Hash = [0; 32];
    getrandom::fill(&mut seed).map_err(RecordError::Random)?;
    let signer = NoteSigner::from_seed(origin, &seed).map_err(|source| RecordError::Key {
        path: path.clone(),
        source,
    })?;
    disk.replace(&path, format!("{}\n", signer.to_secret_line()).as_bytes())?;
    Ok(signer)
}

/// Reads the private key, which must be the owner's alone and that of the public one.
pub(crate) fn private(dir: &Path, public: &NoteKey) -> Result<NoteSigner, RecordError> {
    let path = dir.join("key");
    let missing = || RecordError::damaged(path.display(), "missing");
    let bytes = disk::read(&path, MAX_KEY)?.ok_or_else(missing)?;
    let metadata = fs::metadata(&path).map_err(|error| disk::at(&path, error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(RecordError::KeyExposed(path));
    }
    let signer = parse(&path, &bytes, NoteSigner::parse)?;
    if signer.public() == public {
        Ok(signer)
    } else {
        Err(RecordError::KeyMismatch(path))
    }
}

/// Reads `log/vkey`.
pub(crate) fn public(dir: &Path) -> Result<NoteKey, RecordError> {
    let path = dir.join("log/vkey");
    let bytes = disk::read(&path, MAX_KEY)?.ok_or_else(|| RecordError::Missing(dir.to_owned()))?;
    parse(&path, &bytes, NoteKey::parse)
}

fn parse<T>(
    path: &Path,
    bytes: &[u8],
    parse: impl Fn(&str) -> Result<T, NoteError>,
) -> Result<T, RecordError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .ok_or(NoteError::Key("not one line"))
        .and_then(parse)
        .map_err(|source| RecordError::Key {
            path: path.to_owned(),
            source,
        })
}
