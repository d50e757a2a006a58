//! What no hook can see, found afterwards: refs, host, configuration and keys against the record.
//!
//! Each family of checks is a file and returns [`Finding`]s: what it is about, what is there, what
//! should be. Words, and what to do, are `report`'s. What could not be looked at is [`Unread`], never
//! left out in silence: an audit with a gap does not say that all is well.
//!
//! 1. the record: key, log, index, intents, room, clock;
//! 2. refs against it, and the landings in it against history;
//! 3. the host: hooks, the binary they run, files, owners;
//! 4. git's configuration and `server.toml`, against what enrolment put on record;
//! 5. keys that the policy in force takes back, under approvals that counted.

mod config;
pub mod doctor;
mod finding;
mod host;
mod keys;
mod landings;
mod monitored;
mod refs;
mod standing;

pub use finding::{Changed, Code, Detail, Family, Finding, Rests, Unread, Weight};
pub use monitored::unrecorded;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::admit::AdmitError;
use crate::gather::rulebook::Rulebook;
use crate::gather::{Bringers, Limits};
use crate::git::Repo;
use crate::host::Server;
use crate::host::server::ServerError;
use crate::record::entry::{HostState, Incident, IncidentState};
use crate::record::{OnRecord, Record, RecordError, View};
use crate::wire::name::RefName;

/// The most findings that are listed; more are counted.
pub const MOST: usize = 1_000;
/// The most bytes of a text in an incident.
const MAX_TEXT: usize = 2_048;

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// In the order of the checks, at most [`MOST`].
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub omitted: usize,
    /// What could not be looked at.
    pub unread: Vec<Unread>,
    /// Entries of the log.
    pub size: u64,
    /// Protected refs that were compared.
    pub refs: usize,
    /// Tips that stand as adopted, which nobody reviewed.
    pub adopted: Vec<RefName>,
    /// Landings accepted and not recorded yet.
    pub pending: u64,
}

/// What is audited, as far as it could be opened.
pub struct Auditing<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The host's settings.
    pub server: Result<&'a Server, &'a ServerError>,
    /// The record.
    pub record: Result<&'a Record, &'a RecordError>,
    /// Who first brought what.
    pub bringers: &'a dyn Bringers,
    /// Server time.
    pub now: Timestamp,
    /// Bytes that must be free where the record is.
    pub room: u64,
    /// The most findings to list.
    pub most: usize,
}

/// The record, read, and the rules in force by it.
struct Ground<'a> {
    repo: &'a Repo,
    record: &'a Record,
    view: View,
    /// The policy ref by the record, whatever `server.toml` says now.
    policy_ref: RefName,
    rules: Option<Rulebook>,
    host: Option<OnRecord<HostState>>,
}

impl Auditing<'_> {
    /// Looks at everything.
    ///
    /// Writes nothing but `index.db`. Takes the record's lock for as long as it compares, so that no
    /// push comes between.
    pub fn run(&self) -> Audited {
        let mut audited = Audited::default();
        let git_dir = self.repo.git_dir().to_owned();
        let limits = self
            .server
            .as_ref()
            .map_or_else(|_| Limits::default(), |server| server.limits);
        let ground = match &self.record {
            Ok(record) => {
                audited.size = record.size();
                self.ground(record, &mut audited)
            }
            Err(error) => {
                audited.failed_record(error);
                None
            }
        };
        if let Some(ground) = &ground {
            let look = refs::Look {
                ground,
                limits: &limits,
                bringers: self.bringers,
                now: self.now,
            };
            look.run(&mut audited);
            landings::check(ground, &limits, &mut audited);
        } else {
            let why = "the record cannot be read".to_owned();
            for family in [Family::Refs, Family::Landings, Family::Keys] {
                audited.unread(family, why.clone());
            }
        }
        let host = ground.as_ref().and_then(|ground| ground.host.as_ref());
        host::check(&git_dir, host, &mut audited);
        config::check(&git_dir, host, &self.server, &mut audited);
        if ground.is_none() {
            let why = "the record cannot be read".to_owned();
            audited.unread(Family::Config, why);
            let unknown = |finding: &Finding| finding.code != Code::EnrolmentUnrecorded;
            audited.findings.retain(unknown);
        }
        if let Some(ground) = &ground {
            keys::check(ground, &mut audited);
        }
        audited.omitted = audited.findings.len().saturating_sub(self.most);
        audited.findings.truncate(self.most);
        audited
    }

    /// Checks the record and reads what else needs it.
    fn ground<'r>(&'r self, record: &'r Record, audited: &mut Audited) -> Option<Ground<'r>> {
        let lock = match record.lock() {
            Ok(lock) => lock,
            Err(error) => {
                audited.failed_record(&error);
                return None;
            }
        };
        audited.size = record.size();
        let check = standing::Check {
            git_dir: self.repo.git_dir(),
            record,
            now: self.now,
            room: self.room,
        };
        check.run(audited);
        let mut read = || -> Result<Ground<'r>, RecordError> {
            let view = record.view()?;
            let genesis = view.genesis()?.ok_or_else(|| RecordError::Damaged {
                what: "log".to_owned(),
                why: "it does not begin with a baseline".to_owned(),
            })?;
            let tip = view.tip(&genesis.policy_ref)?.and_then(|tip| tip.oid);
            let rules = tip.map(|tip| Rulebook::at(self.repo, &tip));
            if !matches!(rules, Some(Ok(_))) {
                let why = match &rules {
                    Some(Err(error)) => error.to_string(),
                    _ => "it has no recorded tip".to_owned(),
                };
                let about = genesis.policy_ref.to_string();
                let finding = Finding::new(Code::PolicyUnusable, about, why);
                audited.add(match tip.filter(|tip| !self.repo.exists(tip)) {
                    Some(tip) => finding.expecting(tip.to_string()),
                    None => finding,
                });
            }
            let rules = rules.and_then(Result::ok);
            let witnesses = rules
                .as_ref()
                .and_then(|rules| rules.policy.witnesses.as_ref());
            // A log that does not continue what was cosigned was put back or rewritten.
            let finality = witnesses.map(|it| record.finality(&it.trust(None)));
            if let Some(Err(error)) = finality {
                audited.failed_record(&error);
            }
            Ok(Ground {
                repo: self.repo,
                record,
                host: view.host()?,
                view,
                policy_ref: genesis.policy_ref,
                rules,
            })
        };
        let ground = read();
        // Refs are compared while no intent can be closed.
        let ground = match ground {
            Ok(ground) => ground,
            Err(error) => {
                audited.failed_record(&error);
                return None;
            }
        };
        refs::compare(&ground, audited);
        drop(lock);
        Some(ground)
    }
}

impl Audited {
    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn unread(&mut self, family: Family, why: String) {
        self.unread.push(Unread { family, why });
    }

    /// A record that is not what was written is found; one that cannot be read is not known.
    fn failed_record(&mut self, error: &RecordError) {
        let code = match error {
            newer if newer.is_newer() => return self.unread(Family::Record, newer.to_string()),
            RecordError::Missing(_) => Code::RecordMissing,
            RecordError::Damaged { .. }
            | RecordError::Entry { .. }
            | RecordError::Checkpoint { .. }
            | RecordError::OtherCheckpoint(_)
            | RecordError::Rotation { .. }
            | RecordError::KeyRetired { .. }
            | RecordError::KeySpent(_)
            | RecordError::Moved { .. }
            | RecordError::Key { .. } => Code::RecordDamaged,
            other => return self.unread(Family::Record, other.to_string()),
        };
        if !self.findings.iter().any(|finding| finding.code == code) {
            self.add(Finding::new(code, "record".to_owned(), error.to_string()));
        }
    }

    /// Returns whether something was found that is more than a note.
    pub fn found(&self) -> bool {
        self.omitted > 0
            || self
                .findings
                .iter()
                .any(|finding| finding.code.weight() > Weight::Note)
    }

    /// Returns the entries that put what was found on record: one for each finding that does not
    /// stand there already, and one for each that does and is gone.
    ///
    /// Nothing is said to be gone of a family that was not looked at whole.
    pub fn incidents(
        &self,
        view: &View,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Incident>, AdmitError> {
        let mut standing = view.incidents()?;
        let repository = view.genesis()?.map(|genesis| genesis.repository);
        let repository = repository.unwrap_or_default();
        let mut entries = BTreeMap::new();
        for finding in &self.findings {
            if finding.code.weight() == Weight::Note {
                continue;
            }
            let incident = Incident {
                at: now,
                repository: repository.clone(),
                state: IncidentState::Found,
                finding: finding.code.as_str().to_owned(),
                about: cut(&finding.about),
                found: cut(&finding.found),
                expected: finding.expected.as_deref().map(cut),
                by: by.to_owned(),
            };
            let key = incident.key();
            if standing.remove(&key).is_none() {
                entries.insert(key, incident);
            }
        }
        let mut entries: Vec<Incident> = entries.into_values().collect();
        let whole = |name: &str| {
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            // Of a code that this version does not know nobody can say that it is gone.
            code.is_some_and(|code| {
                let family = code.family();
                self.omitted == 0 && !self.unread.iter().any(|unread| unread.family == family)
            })
        };
        for (_, OnRecord { what, .. }) in standing {
            if whole(&what.finding) {
                entries.push(Incident {
                    at: now,
                    state: IncidentState::Over,
                    by: by.to_owned(),
                    ..what
                });
            }
        }
        Ok(entries)
    }
}

/// Cuts a text to what an incident may hold.
fn cut(text: &str) -> String {
    let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
    match text.len() > MAX_TEXT {
        true => text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned(),
        false => text.to_owned(),
    }
}

/// Returns where an entry stands and when it was made.
fn word(view: &View, index: u64) -> Option<(u64, Timestamp)> {
    let entry = view.entry(index).ok()?;
    Some((index, entry.at()))
}
