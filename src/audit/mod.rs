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
mod host;
mod keys;
mod landings;
mod refs;
mod standing;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::admit::AdmitError;
use crate::admit::history::Drift;
use crate::admit::unknown::UnknownStep;
use crate::gather::rulebook::Rulebook;
use crate::gather::{Bringers, Limits};
use crate::git::Repo;
use crate::host::Server;
use crate::host::server::ServerError;
use crate::people::PersonName;
use crate::record::entry::{HostState, Incident, IncidentState};
use crate::record::{OnRecord, Record, RecordError, View};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// The most findings that are listed; more are counted.
pub const MOST: usize = 1_000;
/// The most bytes of a text in an incident.
const MAX_TEXT: usize = 2_048;

macro_rules! codes {
    ($($name:ident = $text:literal, $family:ident, $weight:ident;)+) => {
        /// The stable names of findings, each explained in `docs/audit.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is its own text, explained in docs/audit.md")]
        pub enum Code {
            $($name,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Returns the family of checks it comes from.
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$name => Family::$family,)+
                }
            }

            /// Returns how much it weighs.
            pub const fn weight(self) -> Weight {
                match self {
                    $(Self::$name => Weight::$weight,)+
                }
            }
        }
    };
}

codes! {
    RecordMissing = "record-missing", Record, Incident;
    RecordDamaged = "record-damaged", Record, Incident;
    RecordKey = "record-key", Record, Incident;
    IndexBeyond = "index-beyond", Record, Incident;
    OpenIntent = "open-intent", Record, Warning;
    ClockBehind = "clock-behind", Record, Incident;
    DiskSpace = "disk-space", Record, Warning;
    PolicyUnusable = "policy-unusable", Refs, Incident;
    UnknownTip = "unknown-tip", Refs, Incident;
    MissingRef = "missing-ref", Refs, Incident;
    SymrefAlias = "symref-alias", Refs, Incident;
    ReplaceRef = "replace-ref", Refs, Incident;
    ShadowingRef = "shadowing-ref", Refs, Incident;
    ForbiddenRef = "forbidden-ref", Refs, Warning;
    UnrecordedStep = "unrecorded-step", Landings, Incident;
    MissingObject = "missing-object", Landings, Incident;
    UnkeptObject = "unkept-object", Landings, Warning;
    HookMissing = "hook-missing", Host, Incident;
    HookChanged = "hook-changed", Host, Incident;
    HookNotExecutable = "hook-not-executable", Host, Incident;
    ProcReceive = "proc-receive", Host, Incident;
    BinaryUnusable = "binary-unusable", Host, Incident;
    WritableByOthers = "writable-by-others", Host, Incident;
    WrongOwner = "wrong-owner", Host, Incident;
    Alternates = "alternates", Host, Incident;
    Grafts = "grafts", Host, Incident;
    Shallow = "shallow", Host, Incident;
    Attributes = "attributes", Host, Incident;
    HooksPath = "hooks-path", Config, Incident;
    HookConfig = "hook-config", Config, Incident;
    SharedRepository = "shared-repository", Config, Incident;
    ConfigChanged = "config-changed", Config, Incident;
    SettingsUnusable = "settings-unusable", Config, Incident;
    SettingsChanged = "settings-changed", Config, Incident;
    EnrolmentUnrecorded = "enrolment-unrecorded", Config, Warning;
    RevokedApproval = "revoked-approval", Keys, Incident;
    UnlistedApproval = "unlisted-approval", Keys, Note;
}

/// The families of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Key, log, index, intents, room, clock.
    Record,
    /// Refs as they are.
    Refs,
    /// What landed, against history.
    Landings,
    /// Hooks, binary, files, owners.
    Host,
    /// git's configuration and the host's settings.
    Config,
    /// Keys under counted approvals.
    Keys,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// For information: not recorded, and no reason to exit 1.
    Note,
    /// To be put right; nothing went past the gate by it.
    Warning,
    /// Something went past the gate, or could.
    Incident,
}

impl Family {
    /// Returns its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Refs => "refs",
            Self::Landings => "landings",
            Self::Host => "host",
            Self::Config => "config",
            Self::Keys => "keys",
        }
    }
}

impl Weight {
    /// Returns its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Incident => "incident",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// The ref, file, key or object it is about; a file of the repository from there on.
    pub about: String,
    /// What is there.
    pub found: String,
    /// What should be, where that is known.
    pub expected: Option<String>,
    /// The last entry about it, with its time.
    pub recorded: Option<(u64, Timestamp)>,
    /// When the file behind it last changed, and whose it is.
    pub changed: Option<Changed>,
    /// What more there is to it.
    pub detail: Detail,
}

/// A file's own word on when and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which file.
    pub path: String,
    /// Its time of modification; who can write it can set it.
    pub at: Timestamp,
    /// Its owner.
    pub owner: String,
}

/// What belongs to some findings alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// A ref that is not where the record has it, and what that brings.
    Tip(Drift, Option<Box<UnknownStep>>),
    /// Landings that rest on a key.
    Rests(Vec<Rests>),
    /// Commands that mend it, found where it was found.
    Hints(Vec<String>),
    /// Where a value of the configuration stands: scope and origin.
    Setting(String, String),
}

/// A landing for which an approval under the key in question counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rests {
    /// The landing's entry.
    pub index: u64,
    /// Its ref.
    pub name: RefName,
    /// What landed.
    pub commit: Option<Oid>,
    /// The review's entry.
    pub review: u64,
    /// When the review was received.
    pub received: Timestamp,
    /// Whose it is.
    pub person: PersonName,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What was to be checked.
    pub family: Family,
    /// Why it was not.
    pub why: String,
}

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
    pub server: Result<Server, ServerError>,
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
                audited.add(Finding::new(Code::PolicyUnusable, about, why));
            }
            Ok(Ground {
                repo: self.repo,
                record,
                host: view.host()?,
                view,
                policy_ref: genesis.policy_ref,
                rules: rules.and_then(Result::ok),
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
            RecordError::Missing(_) => Code::RecordMissing,
            RecordError::Damaged { .. }
            | RecordError::Entry { .. }
            | RecordError::Checkpoint { .. }
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
            let key = (
                incident.finding.clone(),
                incident.about.clone(),
                incident.found.clone(),
            );
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

impl Finding {
    fn new(code: Code, about: String, found: String) -> Self {
        Self {
            code,
            about,
            found,
            expected: None,
            recorded: None,
            changed: None,
            detail: Detail::None,
        }
    }

    fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    fn since(mut self, recorded: Option<(u64, Timestamp)>) -> Self {
        self.recorded = recorded;
        self
    }

    fn of_file(mut self, path: &Path) -> Self {
        self.changed = host::changed(path);
        self
    }

    fn with(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
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
