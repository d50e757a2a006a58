//! The enrolled repository that a command means.

use super::{CliError, Kind, Session, repository};
use crate::gate::{GateError, Site};
use crate::record::RecordError;

/// Opens it.
pub(super) fn open(session: &Session<'_>) -> Result<Site, CliError> {
    let repo = repository::discover(session)?;
    Site::open(repo.git_dir(), None).map_err(|error| match error {
        GateError::Record(error) => record(error),
        GateError::Server(_) | GateError::NoRecord(_) => CliError::new(Kind::Usage, error),
        other => CliError::new(Kind::Undecided, other),
    })
}

/// A damaged record is something found; one that cannot be read leaves it open.
pub(super) fn record(error: RecordError) -> CliError {
    let kind = match &error {
        RecordError::Missing(_) => Kind::Usage,
        RecordError::Damaged { .. }
        | RecordError::Entry { .. }
        | RecordError::Checkpoint { .. }
        | RecordError::Key { .. } => Kind::Refused,
        _ => Kind::Undecided,
    };
    CliError::new(kind, error)
}

/// No answer.
pub(super) fn unread(error: crate::admit::AdmitError) -> CliError {
    match error {
        crate::admit::AdmitError::Record(error) => record(error),
        other => CliError::new(Kind::Undecided, other),
    }
}
