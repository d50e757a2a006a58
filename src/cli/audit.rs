//! `countersign audit`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Exit, Kind, Session, site};
use crate::admit::AdmitError;
use crate::admit::replay::Carried;
use crate::audit::{Audited, Auditing, MOST};
use crate::gate::received::Noted;
use crate::gather::Bringers;
use crate::git::Repo;
use crate::host::clock;
use crate::host::server::{SYSTEM_FILE, Server, ServerError};
use crate::host::user::user;
use crate::record::entry::Entry;
use crate::record::key::KeyStores;
use crate::record::{Record, RecordError};
use crate::report;

/// Hold refs, host, configuration and keys against the record; exit 1 where something is found
///
/// Run it as the account that runs git, from a timer: what it finds no hook can see.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Put what is found on record, once each, and that it is gone when it is
    #[arg(long)]
    record: bool,
    /// Print SARIF 2.1.0
    #[arg(long)]
    sarif: bool,
    /// How much room the record must have left
    #[arg(long, value_name = "MiB", default_value_t = 256)]
    room: u64,
}

impl Audit {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        if self.sarif && session.json() {
            let message = "--json or --sarif, not both";
            return Err(CliError::words(Kind::Usage, message));
        }
        let opened = Opened::at(session)?;
        if self.record {
            site::mine(&opened.folder, "audit --record")?;
        }
        let audited = opened.audit(self.room);
        let Opened { repo, record, .. } = &opened;
        let recorded = match (self.record, record) {
            (false, _) => Ok(Vec::new()),
            (true, Ok(record)) => put(record, &audited),
            (true, Err(error)) => Err(error.to_string()),
        };
        let entries = recorded.as_deref().unwrap_or_default();
        let dir = repo.git_dir();
        let text = if self.sarif {
            report::sarif::audit(&audited, dir)
        } else if session.json() {
            format!("{}\n", report::audit::value(&audited, dir, entries))
        } else {
            report::audit::text(&audited, dir, entries)
        };
        session.print(&text)?;
        if let Err(error) = &recorded {
            session.say(&format!("countersign: nothing was put on record: {error}"));
        }
        Ok(
            match (
                audited.found(),
                audited.unread.is_empty() && recorded.is_ok(),
            ) {
                (true, _) => Exit::Refused,
                (false, true) => Exit::Fine,
                (false, false) => Exit::Undecided,
            },
        )
    }
}

/// An enrolled repository, as far as it can be opened.
pub(super) struct Opened {
    pub(super) repo: Repo,
    pub(super) server: Result<Server, ServerError>,
    pub(super) record: Result<Record, RecordError>,
    /// The record's folder.
    folder: PathBuf,
}

impl Opened {
    /// Opens the repository that the session's directory lies in, which must be enrolled.
    pub(super) fn at(session: &Session<'_>) -> Result<Self, CliError> {
        let repo = Repo::discover(session.dir()).map_err(|error| {
            // A server that was made unreadable is no answer; a folder that is none is a mistake.
            let kind = match session.dir().join("countersign").is_dir() {
                true => Kind::Undecided,
                false => Kind::Usage,
            };
            CliError::new(kind, error)
        })?;
        let server = Server::load(repo.git_dir(), Path::new(SYSTEM_FILE));
        let usual = repo.git_dir().join("countersign");
        if let Err(error @ ServerError::NotEnrolled(_)) = &server
            && !Record::exists(&usual)
        {
            return Err(CliError::words(Kind::Usage, error.to_string()));
        }
        let folder = server
            .as_ref()
            .map_or(usual, |server| server.record.clone());
        let keys = server
            .as_ref()
            .map_or_else(|_| KeyStores::default(), |server| server.keys.clone());
        let name = server.as_ref().ok().and_then(|server| server.shared_name());
        let record = Record::open_of(repo.git_dir(), &folder, name);
        Ok(Self {
            record: record.map(|record| record.signed_by(keys)),
            repo,
            server,
            folder,
        })
    }

    /// Audits it; `room` is in MiB.
    pub(super) fn audit(&self, room: u64) -> Audited {
        let repo = &self.repo;
        let noted = self
            .record
            .as_ref()
            .ok()
            .map(|record| Noted { repo, record });
        let nobody = Carried::new(&[]);
        let bringers: &dyn Bringers = match &noted {
            Some(noted) => noted,
            None => &nobody,
        };
        let auditing = Auditing {
            repo,
            server: self.server.as_ref(),
            record: self.record.as_ref(),
            bringers,
            now: clock(),
            room: room.saturating_mul(1 << 20),
            most: MOST,
        };
        auditing.run()
    }
}

/// Puts what is new, and what is over, on record; returns the entries' indices.
fn put(record: &Record, audited: &Audited) -> Result<Vec<u64>, String> {
    let put = || -> Result<Vec<u64>, AdmitError> {
        let lock = record.lock()?;
        let incidents = audited.incidents(&record.view()?, &user(), clock())?;
        let entries: Vec<Entry> = incidents.into_iter().map(Entry::Incident).collect();
        Ok(record.append(&lock, &entries)?.collect())
    };
    put().map_err(|error| error.to_string())
}
