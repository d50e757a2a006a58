//! `countersign doctor`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::audit::Opened;
use super::{CliError, Exit, Kind, Session};
use crate::audit::doctor::{Examining, State, worst};
use crate::host::clock;
use crate::host::login::SSHD_CONFIG;
use crate::report;

/// Prove that an unreviewed push is refused, and name everything open; exit 0 only where nothing is
///
/// Pushes to a scratch copy through the installed hook; the repository and its record stay as they are.
/// Run it as the account that runs git.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// sshd's settings, which must not let clients say who they are
    #[arg(long, value_name = "file", default_value = SSHD_CONFIG)]
    sshd_config: PathBuf,
    /// The keys that sshd lets in (default: those of the account that owns the repository)
    #[arg(long, value_name = "file")]
    authorized_keys: Option<PathBuf>,
    /// How much room the record must have left
    #[arg(long, value_name = "MiB", default_value_t = 256)]
    room: u64,
}

impl Doctor {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let opened = Opened::at(session)?;
        let audited = opened.audit(self.room);
        let binary = std::env::current_exe()
            .and_then(fs::canonicalize)
            .map_err(|error| CliError::new(Kind::Undecided, error))?;
        let here = |path: &Path| session.dir().join(path);
        let keys = self.authorized_keys.as_deref().map(here);
        let checks = Examining {
            repo: &opened.repo,
            server: opened.server.as_ref().ok(),
            record: opened.record.as_ref().ok(),
            audited: &audited,
            binary: &binary,
            sshd_config: &here(&self.sshd_config),
            authorized_keys: keys.as_deref(),
            now: clock(),
        }
        .run();
        let dir = opened.repo.git_dir();
        let text = match session.json() {
            true => format!("{}\n", report::doctor::value(&checks, dir)),
            false => report::doctor::text(&checks, dir),
        };
        session.print(&text)?;
        Ok(match worst(&checks) {
            State::Fine => Exit::Fine,
            State::Open => Exit::Refused,
            State::Unknown => Exit::Undecided,
        })
    }
}
