//! Following a published log from afar, with nothing but its key and what was seen last.
//!
//! A log is published as the files of its folder (C2SP tlog-tiles), over HTTP or as a folder. Each
//! round reads the checkpoint and every entry since the last one:
//!
//! 1. the checkpoint is signed by the key, and of no smaller a log than before;
//! 2. the leaf hashes of the new entries lead from the right edge that was kept to the new root: what
//!    was seen before is still there, and what is new is all there;
//! 3. each new entry is read strictly, and what a person should look at is an [`Alarm`].
//!
//! What is not under the new root is believed in nothing, not even for an alarm. The server is not
//! trusted: what it sends is bounded in size, number and time.

mod seen;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::checkpoint::Checkpoint;
use super::disk::Disk;
use super::entry::{Admin, AdminAct, Entry, IncidentState, Landed};
use super::http::{Http, HttpError, is_address};
use super::proof::{Frontier, leaf_hash};
use super::shared::{self, RepositoryName};
use super::storage::Storage as _;
use super::tiles::{MAX_BUNDLE, Row, TILE_WIDTH, split_entry, tile_path, width_at};
use super::{RecordError, ingest, log};
use crate::judge::verdict::Decision;
use crate::policy::Mode;
use crate::wire::note::{MAX_NOTE, NoteKey};

pub use seen::{Seen, SeenError};

/// The most entries that one round follows.
const MOST_ENTRIES: u64 = 1 << 20;
/// The most bytes of entries that one round reads.
const MOST_BYTES: u64 = 4 << 30;
/// The most alarms that one round lists; more are counted.
const MOST_ALARMS: usize = 1_000;

/// Where a log is published.
#[derive(Debug)]
pub enum Published {
    /// Below an address.
    Web {
        /// Without a slash at its end.
        base: String,
        /// The way there.
        http: Http,
    },
    /// In a folder.
    Folder(PathBuf),
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its stable name.
    pub code: &'static str,
    /// The entry it is about.
    pub index: Option<u64>,
    /// Whose entry that is, in a log of many repositories.
    pub of: Option<RepositoryName>,
    /// What it is.
    pub what: String,
}

/// What a round found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The entries that were read.
    pub entries: u64,
    /// In log order, at most 1,000.
    pub alarms: Vec<Alarm>,
    /// How many more there are.
    pub omitted: u64,
    /// Two signed notes of which at most one can be true, where there are.
    pub proof: Option<[String; 2]>,
}

/// Why a log could not be followed further: nothing was found out, and nothing is kept.
#[derive(Debug, thiserror::Error)]
pub enum Unfollowed {
    /// The server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It answers, and has not what was asked for.
    #[error("{place}: {status}")]
    Status {
        /// The address.
        place: String,
        /// What it says.
        status: u16,
    },
    /// The disk.
    #[error("{0}")]
    Disk(String),
    /// A file that every log of this checkpoint has.
    #[error("{0} is not there")]
    Missing(String),
    /// The time allowed is over.
    #[error("the log is not read after {0} s")]
    Slow(u64),
}

impl Published {
    /// Takes an address for one, and anything else for a folder: that of the log, or of its record.
    pub fn at(place: &str, here: &Path) -> Self {
        if is_address(place) {
            return Self::Web {
                base: place.trim_end_matches('/').to_owned(),
                http: Http::default(),
            };
        }
        let folder = here.join(place);
        let log = folder.join("log");
        match !folder.join("checkpoint").exists() && log.join("checkpoint").exists() {
            true => Self::Folder(log),
            false => Self::Folder(folder),
        }
    }

    fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Unfollowed> {
        match self {
            Self::Folder(folder) => Disk::default()
                .read(&folder.join(path), limit)
                .map_err(|error| Unfollowed::Disk(error.to_string())),
            Self::Web { base, http } => {
                let place = format!("{base}/{path}");
                let answer = http.get(&place, limit)?;
                match answer.status {
                    200 => Ok(Some(answer.body)),
                    404 | 410 => Ok(None),
                    status => Err(Unfollowed::Status { place, status }),
                }
            }
        }
    }

    /// Returns a bundle that holds the entries a log of this size has of it.
    fn bundle(&self, number: u64, size: u64) -> Result<Vec<u8>, Unfollowed> {
        let width = width_at(number, size);
        let exact = tile_path(Row::Entries, number, width);
        if let Some(bytes) = self.get(&exact, MAX_BUNDLE)? {
            return Ok(bytes);
        }
        // Once a bundle is full its parts may go.
        let full = tile_path(Row::Entries, number, TILE_WIDTH);
        let found = match width < TILE_WIDTH {
            true => self.get(&full, MAX_BUNDLE)?,
            false => None,
        };
        found.ok_or(Unfollowed::Missing(exact))
    }
}

/// How long a round may take.
pub struct Patience<'a> {
    /// In seconds, for the message.
    pub seconds: u64,
    /// Whether they are over.
    pub over: &'a dyn Fn() -> bool,
}

/// Follows the log from what was seen to its newest checkpoint.
///
/// `seen` moves on only where the new log continues the old one. An alarm that is not of an entry is
/// raised again in every round, until somebody has seen to it.
pub fn follow(
    published: &Published,
    key: &NoteKey,
    seen: &mut Seen,
    now: Timestamp,
    patience: &Patience<'_>,
) -> Result<Round, Unfollowed> {
    let mut round = Round::default();
    let limit = u64::try_from(MAX_NOTE).unwrap_or(u64::MAX);
    let note = published.get("checkpoint", limit)?;
    let note = note.ok_or_else(|| Unfollowed::Missing("checkpoint".to_owned()))?;
    let checkpoint = match Checkpoint::open(&note, key) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            round.alarm("bad-checkpoint", None, error.to_string());
            return Ok(round);
        }
    };
    let note = String::from_utf8_lossy(&note).into_owned();
    let (size, before) = (checkpoint.size, seen.size());
    if size < before {
        let what = format!("{size} entries, there were {before}");
        round.against(seen, note, "rolled-back", what);
    } else if size == before && checkpoint.root != seen.root() {
        let what = format!("another root of {size} entries than before");
        round.against(seen, note, "forked", what);
    } else if size.saturating_sub(before) > MOST_ENTRIES {
        let what = format!(
            "{size} entries, {before} are known: at most {MOST_ENTRIES} more are read at once"
        );
        round.alarm("too-many", None, what);
    } else if size > before {
        Reading::new(published, seen, &checkpoint).read(note, now, patience, &mut round)?;
    } else {
        seen.again(note);
    }
    Ok(round)
}

impl Round {
    /// Adds an alarm.
    pub fn alarm(&mut self, code: &'static str, index: Option<u64>, what: String) {
        self.push(Alarm {
            code,
            index,
            of: None,
            what,
        });
    }

    fn push(&mut self, alarm: Alarm) {
        if self.alarms.len() < MOST_ALARMS {
            self.alarms.push(alarm);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    /// Adds one that two signed notes prove.
    fn against(&mut self, seen: &Seen, note: String, code: &'static str, what: String) {
        self.proof = seen.note().map(|old| [old.to_owned(), note]);
        self.alarm(code, None, what);
    }
}

/// The entries since, being read.
struct Reading<'a> {
    published: &'a Published,
    seen: &'a mut Seen,
    /// What `seen` becomes if all of it is under the new root.
    next: Seen,
    checkpoint: &'a Checkpoint,
    edge: Frontier,
    /// The latest time up to and with each new entry.
    latest: Vec<Option<Timestamp>>,
    bytes: u64,
}

impl<'a> Reading<'a> {
    fn new(published: &'a Published, seen: &'a mut Seen, checkpoint: &'a Checkpoint) -> Self {
        Self {
            published,
            edge: seen.edge().clone(),
            next: seen.clone(),
            seen,
            checkpoint,
            latest: Vec::new(),
            bytes: 0,
        }
    }

    fn read(
        mut self,
        note: String,
        now: Timestamp,
        patience: &Patience<'_>,
        round: &mut Round,
    ) -> Result<(), Unfollowed> {
        let (before, size) = (self.seen.size(), self.checkpoint.size);
        let mut found = Round::default();
        for number in before / TILE_WIDTH..size.div_ceil(TILE_WIDTH) {
            if (patience.over)() {
                return Err(Unfollowed::Slow(patience.seconds));
            }
            let bundle = self.published.bundle(number, size)?;
            self.bytes = self.bytes.saturating_add(bundle.len() as u64);
            if self.bytes > MOST_BYTES {
                let what = format!("more than {MOST_BYTES} bytes of entries since {before}");
                round.alarm("too-many", None, what);
                return Ok(());
            }
            let first = number.saturating_mul(TILE_WIDTH);
            let end = first.saturating_add(width_at(number, size));
            let mut rest = bundle.as_slice();
            for index in first..end {
                let Some((entry, tail)) = split_entry(rest) else {
                    let what = format!("bundle {number} of entries is cut off");
                    round.against(self.seen, note, "inconsistent", what);
                    return Ok(());
                };
                rest = tail;
                if index >= before {
                    self.edge.push(leaf_hash(entry));
                    self.entry(index, entry, &mut found);
                }
            }
        }
        if self.edge.root() != self.checkpoint.root {
            let what = format!("its {size} entries do not continue the {before} that are known");
            round.against(self.seen, note, "inconsistent", what);
            return Ok(());
        }
        found.entries = size.saturating_sub(before);
        *round = found;
        let latest = self.latest.last().copied().flatten();
        self.next.moved(note, self.edge, latest, now);
        *self.seen = self.next;
        Ok(())
    }

    fn entry(&mut self, index: u64, bytes: &[u8], found: &mut Round) {
        let known = self.latest.last().copied().unwrap_or(self.seen.latest());
        let (of, entry) = match self.decode(index, bytes) {
            Ok(read) => read,
            Err(error) => {
                self.latest.push(known);
                return found.alarm("unreadable", Some(index), error.to_string());
            }
        };
        self.latest.push(known.max(Some(entry.at())));
        let mut alarm = |code, what| {
            found.push(Alarm {
                code,
                index: Some(index),
                of: of.clone(),
                what,
            });
        };
        if let Err(error) = log::check_time(self.before(&entry, known), entry.at()) {
            alarm("time-went-back", error.to_string());
        }
        if let Some((code, what)) = self.remarkable(of.as_ref(), &entry) {
            alarm(code, what);
        }
        if !self.next.land(of.as_ref(), &entry) {
            alarm("too-many", "more refs than are followed".to_owned());
        }
    }

    /// Reads an entry, and whose it is; a log is of one repository or of many from its first on.
    fn decode(
        &self,
        index: u64,
        bytes: &[u8],
    ) -> Result<(Option<RepositoryName>, Entry), RecordError> {
        let read = match self.next.is_shared() {
            None => shared::decode_either(bytes),
            Some(is_shared) => shared::decode(is_shared, bytes),
        };
        let (of, entry) = read.map_err(|source| RecordError::Entry { index, source })?;
        ingest::check(index, &entry)?;
        Ok((of, entry))
    }

    /// The time that an entry must not be before: of a landing, that of what it was judged by, where
    /// that was read in this round.
    fn before(&self, entry: &Entry, known: Option<Timestamp>) -> Option<Timestamp> {
        let Entry::Landed(landed) = entry else {
            return known;
        };
        let since = landed.size.checked_sub(self.seen.size())?;
        match usize::try_from(since).ok()?.checked_sub(1) {
            None => self.seen.latest(),
            Some(place) => self.latest.get(place).copied().flatten(),
        }
    }

    /// Returns what a person should know of; a kind of entry that is new here is one.
    fn remarkable(
        &mut self,
        of: Option<&RepositoryName>,
        entry: &Entry,
    ) -> Option<(&'static str, String)> {
        let begins = self.next.begins(of);
        if !matches!(entry, Entry::Genesis(_)) {
            self.next.founded(of);
        }
        match entry {
            Entry::Review(_) => None,
            Entry::Landed(landed) => landing(landed),
            // What there was at the first look was enrolled by whoever set the monitor up.
            Entry::Genesis(genesis) if self.next.founds(of, genesis) && self.seen.size() == 0 => {
                None
            }
            Entry::Genesis(genesis) => {
                let names = genesis.tips.keys().map(ToString::to_string);
                let names: Vec<_> = names.take(5).collect();
                let what = format!("taken as found, unreviewed: {}", names.join(", "));
                Some(("baseline", what))
            }
            Entry::Adopted(adopted) => {
                let (name, by) = (&adopted.name, adopted.by.escape_default());
                let what = format!("{name} was taken as it was, unreviewed, by {by}");
                Some(("adopted", what))
            }
            Entry::Incident(incident) if incident.state == IncidentState::Over => None,
            Entry::Incident(incident) => {
                let what = format!("{}: {}", incident.finding, incident.about);
                Some(("incident", what.escape_default().to_string()))
            }
            // How enrolment left the host.
            Entry::Admin(Admin {
                act: AdminAct::Enrolled(_),
                ..
            }) if begins => None,
            Entry::Admin(_) => Some(("admin", "an act of the host's admin".to_owned())),
        }
    }
}

fn landing(landed: &Landed) -> Option<(&'static str, String)> {
    let name = &landed.name;
    let new = landed
        .new
        .map_or_else(|| "nothing".to_owned(), |oid| oid.to_string());
    match (landed.mode, landed.decision.decision()) {
        (Mode::DryRun, _) => Some(("dry-run", format!("{name} moved to {new} in dry run"))),
        (Mode::Enforce, Decision::Accept) => None,
        (Mode::Enforce, _) => {
            let what = format!("{name} moved to {new} though it was refused");
            Some(("refused", what))
        }
    }
}
