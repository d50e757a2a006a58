//! The private key as a file of the record: `key`, and `key.next` while it is being replaced.

use std::path::Path;

use super::{MAX_KEY, parse};
use crate::record::disk::{self, Disk};
use crate::record::storage::Storage as _;
use crate::record::{RecordError, proof};
use crate::wire::note::{NoteKey, NoteSigner};

/// The file.
pub(crate) const KEY: &str = "key";
/// The file that takes its place once the log has gone over to it.
pub(crate) const NEXT: &str = "key.next";

/// Reads the private key in the file of this name, or makes one where there is none.
pub(crate) fn load_or_create(
    disk: &Disk,
    dir: &Path,
    file: &str,
    origin: &str,
) -> Result<NoteKey, RecordError> {
    let path = dir.join(file);
    let signer = match Disk::default().read(&path, MAX_KEY)? {
        Some(bytes) => parse(&path, &bytes, NoteSigner::parse)?,
        None => {
            let mut seed: proof::Hash = [0; 32];
            getrandom::fill(&mut seed).map_err(RecordError::Random)?;
            let signer =
                NoteSigner::from_seed(origin, &seed).map_err(|source| RecordError::Key {
                    path: path.clone(),
                    source,
                })?;
            disk.replace(&path, format!("{}\n", signer.to_secret_line()).as_bytes())?;
            signer
        }
    };
    match signer.public().name() == origin {
        true => Ok(signer.public().clone()),
        false => Err(RecordError::KeyMismatch(path)),
    }
}

/// Reads the private key, which must be the owner's alone and that of the public one.
pub(crate) fn private(dir: &Path, public: &NoteKey) -> Result<NoteSigner, RecordError> {
    match read(dir, KEY, public) {
        // Cut off before the one had taken the other's place.
        Err(error) => read(dir, NEXT, public).map_err(|next| match next {
            exposed @ RecordError::KeyExposed(_) => exposed,
            _ => error,
        }),
        found => found,
    }
}

/// Puts the key the log has gone over to in the place of the old one, which is destroyed; returns
/// whether there was anything to do.
pub(crate) fn settle(
    disk: &Disk,
    dir: &Path,
    old: &NoteKey,
    new: &NoteKey,
) -> Result<bool, RecordError> {
    let (key, next) = (dir.join(KEY), dir.join(NEXT));
    if let Ok(signer) = read(dir, NEXT, new) {
        disk.replace(&key, format!("{}\n", signer.to_secret_line()).as_bytes())?;
        disk.remove(&next)?;
        return Ok(true);
    }
    let is_old = |bytes: &[u8]| {
        parse(&key, bytes, NoteSigner::parse).is_ok_and(|signer| signer.public() == old)
    };
    match Disk::default().read(&key, MAX_KEY)? {
        Some(bytes) if is_old(&bytes) => disk.remove(&key).map(|()| true),
        _ => Ok(false),
    }
}

fn read(dir: &Path, file: &str, public: &NoteKey) -> Result<NoteSigner, RecordError> {
    let path = dir.join(file);
    let missing = || RecordError::damaged(path.display(), "missing");
    let bytes = Disk::default().read(&path, MAX_KEY)?.ok_or_else(missing)?;
    if !disk::is_private(&path)? {
        return Err(RecordError::KeyExposed(path));
    }
    let signer = parse(&path, &bytes, NoteSigner::parse)?;
    match signer.public() == public {
        true => Ok(signer),
        false => Err(RecordError::KeyMismatch(path)),
    }
}
