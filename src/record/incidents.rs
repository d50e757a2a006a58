//! What the record says of incidents and of the host: entries that decide nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::entry::{AdminAct, Entry, HostState, Incident, IncidentState};
use super::view::View;
use super::{Record, RecordError, proof};

/// What an entry says, with which one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnRecord<T> {
    /// The entry.
    pub index: u64,
    /// Its time.
    pub at: Timestamp,
    /// What it says.
    pub what: T,
}

/// What makes two incidents the same: finding, what it is about, what was found.
pub type IncidentKey = (String, String, String);

impl Incident {
    /// Returns what tells it from others.
    pub fn key(&self) -> IncidentKey {
        (self.finding.clone(), self.about.clone(), self.found.clone())
    }
}

impl View {
    /// Returns the incidents that stand: recorded as found, and not as over since.
    pub fn incidents(&self) -> Result<BTreeMap<IncidentKey, OnRecord<Incident>>, RecordError> {
        let mut open = BTreeMap::new();
        for index in self.of_kind("incident")? {
            let Entry::Incident(incident) = self.entry(index)? else {
                continue;
            };
            let key = incident.key();
            match incident.state {
                IncidentState::Found => {
                    let at = incident.at;
                    let what = incident;
                    open.insert(key, OnRecord { index, at, what });
                }
                IncidentState::Over => {
                    open.remove(&key);
                }
            }
        }
        Ok(open)
    }

    /// Returns how enrolment left the host, by the last entry that says so.
    pub fn host(&self) -> Result<Option<OnRecord<HostState>>, RecordError> {
        let mut indices = self.of_kind("admin")?;
        indices.extend(self.of_kind("genesis")?);
        indices.sort_unstable();
        for index in indices.into_iter().rev() {
            let (at, what) = match self.entry(index)? {
                Entry::Admin(admin) => match admin.act {
                    AdminAct::Enrolled(host) => (admin.at, host),
                    AdminAct::Rotated(_) => continue,
                },
                Entry::Genesis(genesis) => match genesis.host {
                    Some(host) => (genesis.at, host),
                    None => continue,
                },
                _ => continue,
            };
            return Ok(Some(OnRecord { index, at, what }));
        }
        Ok(None)
    }
}

impl Record {
    /// Fails where the tiles do not give the checkpoint's root: the fast half of [`Record::verify`].
    pub fn check_root(&self) -> Result<(), RecordError> {
        let checkpoint = self.checkpoint();
        let log = self.log_dir();
        let tiles = self.tiles(&log, checkpoint.size);
        match proof::root(&tiles, checkpoint.size)? == checkpoint.root {
            true => Ok(()),
            false => Err(RecordError::damaged("log", "its tiles are not of its root")),
        }
    }

    /// Returns bytes and files that can still be written where the record is.
    pub fn room(&self) -> Result<(u64, u64), RecordError> {
        let stat = rustix::fs::statvfs(&self.dir)
            .map_err(|error| super::disk::at(&self.dir, error.into()))?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_favail))
    }
}
