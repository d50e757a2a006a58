//! The enrolled repository that a command means.

use std::io::ErrorKind;
use std::path::Path;

use super::{CliError, Exit, Kind, Session, prove, repository};
use crate::admit::sealed::{self, Sealed};
use crate::gate::{GateError, Site};
use crate::host::user::user_of;
use crate::record::{Checkpoint, Record, RecordError, Report};
use crate::wire::note::MAX_NOTE;

/// Opens it.
pub(super) fn open(session: &Session<'_>) -> Result<Site, CliError> {
    let repo = repository::discover(session)?;
    Site::open(repo.git_dir(), None).map_err(|error| match error {
        GateError::Record(error) => record(error),
        GateError::Server(_) | GateError::NoRecord(_) => CliError::new(Kind::Usage, error),
        other => CliError::new(Kind::Undecided, other),
    })
}

/// Refuses to write where whoever runs git could not read it any more.
pub(super) fn mine(folder: &Path, command: &str) -> Result<(), CliError> {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    match std::fs::metadata(folder) {
        Ok(meta) if meta.uid() != me => {
            let (owner, me) = (user_of(meta.uid()), user_of(me));
            let message = format!("the record belongs to {owner}, and this runs as {me}");
            let hint = format!("run it as that account: sudo -u {owner} countersign {command}");
            Err(CliError::words(Kind::Usage, message).hint([hint]))
        }
        _ => Ok(()),
    }
}

/// Reads the checkpoint that a verifier trusts already; without one, that of the empty log.
pub(super) fn trusted(
    from: Option<&Path>,
    log: &Record,
    session: &Session<'_>,
) -> Result<Checkpoint, CliError> {
    let Some(path) = from else {
        return Ok(Checkpoint::empty(&log.checkpoint().origin));
    };
    let bytes = prove::read(session, path, MAX_NOTE)?;
    log.checkpoint_of(&bytes).map_err(|error| {
        let context = format!("{}: no checkpoint of this log", path.display());
        CliError::new(Kind::Refused, anyhow::Error::from(error).context(context))
    })
}

/// Returns how far the record is final.
pub(super) fn sealed(site: &Site) -> Result<Sealed, CliError> {
    sealed::sealed(&site.repo, &site.record, &site.server.policy_ref).map_err(record)
}

/// Refuses a log that does not come from the key that a verifier knows; one before a rotation will do.
pub(super) fn known_key(
    key: Option<&str>,
    log: &Record,
    session: &Session<'_>,
) -> Result<(), CliError> {
    let Some(key) = key else {
        return Ok(());
    };
    let key = prove::note_key(session, key, "--key")?;
    match log.has_key(&key).map_err(record)? {
        true => Ok(()),
        false => {
            let vkey = log.vkey();
            let message =
                format!("{key} is not this log's key {vkey}, and no rotation leads from it there");
            Err(CliError::words(Kind::Refused, message))
        }
    }
}

/// What checking a log says: of what a newer version wrote, nothing is known.
pub(super) fn answer(report: &Report) -> Exit {
    match report.ok() {
        true => Exit::Fine,
        false if report.only_newer() => Exit::Undecided,
        false => Exit::Refused,
    }
}

/// A damaged record is something found; one that cannot be read leaves it open.
pub(super) fn record(error: RecordError) -> CliError {
    let kind = match &error {
        newer if newer.is_newer() => Kind::Undecided,
        RecordError::Missing(_) | RecordError::NoNext => Kind::Usage,
        RecordError::Damaged { .. }
        | RecordError::Entry { .. }
        | RecordError::Checkpoint { .. }
        | RecordError::OtherCheckpoint(_)
        | RecordError::Rotation { .. }
        | RecordError::KeyRetired { .. }
        | RecordError::KeySpent(_)
        | RecordError::Key { .. } => Kind::Refused,
        _ => Kind::Undecided,
    };
    let remedies = remedies(&error);
    CliError::new(kind, error).hint(remedies)
}

/// Returns what whoever runs the server does about it.
pub(super) fn remedies(error: &RecordError) -> Vec<String> {
    let remedy = match error {
        RecordError::Io { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "make room there, then try again (df; df -i where only the inodes are used up)"
            }
            ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only: see the kernel's log for why, mount it writable, \
                 then try again"
            }
            ErrorKind::PermissionDenied => {
                "the record belongs to the account that runs git: run this as that account, or \
                 give it its files back"
            }
            _ => return Vec::new(),
        },
        RecordError::Damaged { .. } | RecordError::Checkpoint { .. } => {
            "see what else is wrong with `countersign log verify`; put files of the record back \
             from the newest backup, all of them together"
        }
        RecordError::Busy { .. } => {
            "see who holds it (fuser -v <that file>), and let it end; do not delete the file: two \
             could then write at once"
        }
        RecordError::ClockWentBack { .. } => "set the clock right, then try again",
        RecordError::Foreign { .. } => {
            "if the repository was moved from there: run `countersign enroll` on it again"
        }
        _ => return Vec::new(),
    };
    vec![remedy.to_owned()]
}

/// No answer.
pub(super) fn unread(error: crate::admit::AdmitError) -> CliError {
    match error {
        crate::admit::AdmitError::Record(error) => record(error),
        other => CliError::new(Kind::Undecided, other),
    }
}
