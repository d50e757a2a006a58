//! What a monitor has seen of a log: kept in a file of its own, and all that it needs to go on.

use std::collections::BTreeMap;
use std::path::Path;

use faster_hex::hex_string;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record::RecordError;
use crate::record::checkpoint::{Checkpoint, CheckpointError};
use crate::record::disk::Disk;
use crate::record::entry::{Entry, Genesis, PolicyId};
use crate::record::proof::{Frontier, Hash};
use crate::record::shared::RepositoryName;
use crate::record::storage::Storage as _;
use crate::wire::name::RefName;
use crate::wire::note::NoteKey;
use crate::wire::oid::Oid;

/// The most bytes of the file.
const MAX_FILE: u64 = 256 << 20;
/// The most refs of one repository whose tips are kept.
const MOST_REFS: usize = 10_000;
/// The most tips that are kept of one.
const MOST_TIPS: usize = 64;

/// What was seen of a log, under its last checkpoint that was consistent with all before.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    edge: Frontier,
    kept: Kept,
}

/// The file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The checkpoint, as it was signed.
    note: Option<String>,
    /// The right edge of its tree, largest subtree first.
    edge: Vec<String>,
    /// The latest time of all entries.
    latest: Option<Timestamp>,
    /// When the log was first seen to have this size.
    moved: Option<Timestamp>,
    /// What was recorded of each repository, by its name in a log of many; that of one has none.
    repositories: BTreeMap<String, Past>,
}

/// What was recorded of one repository.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    /// The policy and time of enrolment, which several entries may be of.
    founding: Option<(Timestamp, PolicyId)>,
    /// Whether anything came after it.
    founded: bool,
    /// Recorded tips, the newest first.
    tips: BTreeMap<RefName, Vec<Option<Oid>>>,
    /// Whether there were more refs than are followed.
    unfollowed: bool,
    /// Tips that a clone was given and that are not on record yet, the oldest first.
    unrecorded: BTreeMap<RefName, Vec<Unrecorded>>,
}

/// A tip that a clone was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unrecorded {
    oid: Oid,
    /// When it was first seen there.
    since: Timestamp,
    /// Whether that it is not on record was told.
    told: bool,
}

/// How a repository is called in the file.
fn key(of: Option<&RepositoryName>) -> &str {
    of.map_or("", RepositoryName::as_str)
}

/// Why what was seen cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] RecordError),
    /// Not what was written.
    #[error("not what a monitor wrote: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another log, or not signed.
    #[error("the checkpoint in it: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A tree of another root.
    #[error("its hashes are not of its checkpoint")]
    Edge,
}

impl Seen {
    /// Reads what was seen; nothing where there is no such file.
    ///
    /// # Errors
    ///
    /// Where it is not of this log, or its parts do not fit: whoever starts anew would not notice
    /// that the log was exchanged.
    pub fn load(file: &Path, key: &NoteKey) -> Result<Self, SeenError> {
        let Some(bytes) = Disk::default().read(file, MAX_FILE)? else {
            return Ok(Self::default());
        };
        let kept: Kept = serde_json::from_slice(&bytes)?;
        let Some(note) = &kept.note else {
            return Ok(Self::default());
        };
        let checkpoint = Checkpoint::open(note.as_bytes(), key)?;
        let hashes: Option<Vec<Hash>> = kept.edge.iter().map(|text| hash(text)).collect();
        let edge = hashes.and_then(|hashes| Frontier::of(checkpoint.size, &hashes));
        let edge = edge.filter(|edge| edge.root() == checkpoint.root);
        let edge = edge.ok_or(SeenError::Edge)?;
        Ok(Self { edge, kept })
    }

    /// Replaces the file, durably.
    pub fn save(&self, file: &Path) -> Result<(), SeenError> {
        let kept = Kept {
            edge: self.edge.peaks().map(|hash| hex_string(hash)).collect(),
            ..self.kept.clone()
        };
        let bytes = serde_json::to_vec_pretty(&kept)?;
        Ok(Disk::default().replace(file, &bytes)?)
    }

    /// Returns how many entries were seen.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Returns the root over them.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Returns the last checkpoint, as it was signed.
    pub fn note(&self) -> Option<&str> {
        self.kept.note.as_deref()
    }

    /// Returns for how long the log has not grown.
    pub fn idle(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(now.duration_since(self.kept.moved?))
    }

    /// Returns the recorded tips of each ref of a repository, the newest first; nothing where the
    /// log has no entry of such a one.
    pub fn tips(
        &self,
        of: Option<&RepositoryName>,
    ) -> Option<&BTreeMap<RefName, Vec<Option<Oid>>>> {
        self.kept.repositories.get(key(of)).map(|past| &past.tips)
    }

    /// Returns whether the log is that of many repositories; nothing before its first entry.
    pub fn is_shared(&self) -> Option<bool> {
        let name = self.kept.repositories.keys().next()?;
        Some(!name.is_empty())
    }

    /// Notes that a clone of a repository has these tips, which are not on record; returns which tips
    /// it was given for `grace` that are not on record yet.
    ///
    /// A server with two faces may show another tip each time: each is told of once, and the one that
    /// the clone has again and again.
    pub fn unrecorded(
        &mut self,
        of: Option<&RepositoryName>,
        found: &BTreeMap<RefName, Oid>,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Vec<(RefName, Oid)> {
        // What the log has no entry of has no past: its first entry says which kind of log it is.
        let Some(past) = self.kept.repositories.get_mut(key(of)) else {
            return Vec::new();
        };
        for (name, oid) in found {
            let waiting = past.unrecorded.entry(name.clone()).or_default();
            let is_known = waiting.iter().any(|other| other.oid == *oid);
            if !is_known && waiting.len() < MOST_TIPS {
                let (oid, since, told) = (*oid, now, false);
                waiting.push(Unrecorded { oid, since, told });
            }
        }
        let mut overdue = Vec::new();
        for (name, waiting) in &mut past.unrecorded {
            let tips = past.tips.get(name).map_or(&[][..], Vec::as_slice);
            waiting.retain_mut(|one| {
                let is_recorded = tips.contains(&Some(one.oid));
                let is_there = found.get(name) == Some(&one.oid);
                let is_over = now.duration_since(one.since) >= grace;
                if !is_recorded && is_over && (is_there || !one.told) {
                    overdue.push((name.clone(), one.oid));
                    one.told = true;
                }
                !is_recorded && (is_there || !one.told)
            });
        }
        past.unrecorded.retain(|_, waiting| !waiting.is_empty());
        overdue
    }

    /// Returns whether a repository has more refs than are followed.
    pub fn is_unfollowed(&self, of: Option<&RepositoryName>) -> bool {
        let past = self.kept.repositories.get(key(of));
        past.is_some_and(|past| past.unfollowed)
    }

    pub(super) fn edge(&self) -> &Frontier {
        &self.edge
    }

    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.kept.latest
    }

    /// The same log again, perhaps with more signatures.
    pub(super) fn again(&mut self, note: String) {
        self.kept.note = Some(note);
    }

    pub(super) fn moved(
        &mut self,
        note: String,
        edge: Frontier,
        latest: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.edge = edge;
        self.kept.note = Some(note);
        self.kept.latest = latest;
        self.kept.moved = Some(now);
    }

    /// Returns whether a baseline is a part of a repository's enrolment.
    pub(super) fn founds(&mut self, of: Option<&RepositoryName>, genesis: &Genesis) -> bool {
        let this = (genesis.at, genesis.policy.clone());
        let past = self.past(of);
        !past.founded && *past.founding.get_or_insert_with(|| this.clone()) == this
    }

    /// Returns whether nothing came after the enrolment of a repository yet.
    pub(super) fn begins(&self, of: Option<&RepositoryName>) -> bool {
        let past = self.kept.repositories.get(key(of));
        past.is_none_or(|past| !past.founded)
    }

    /// Enrolment of a repository is over.
    pub(super) fn founded(&mut self, of: Option<&RepositoryName>) {
        self.past(of).founded = true;
    }

    fn past(&mut self, of: Option<&RepositoryName>) -> &mut Past {
        let repositories = &mut self.kept.repositories;
        repositories.entry(key(of).to_owned()).or_default()
    }

    /// Takes in the tips that an entry records; returns whether there was room.
    pub(super) fn land(&mut self, of: Option<&RepositoryName>, entry: &Entry) -> bool {
        match entry {
            Entry::Genesis(genesis) => {
                let mut tips = genesis.tips.iter();
                tips.all(|(name, oid)| self.tip(of, name, Some(*oid)))
            }
            Entry::Landed(landed) => self.tip(of, &landed.name, landed.new),
            Entry::Adopted(adopted) => self.tip(of, &adopted.name, adopted.new),
            _ => true,
        }
    }

    fn tip(&mut self, of: Option<&RepositoryName>, name: &RefName, oid: Option<Oid>) -> bool {
        let past = self.past(of);
        if !past.tips.contains_key(name) && past.tips.len() >= MOST_REFS {
            // What is gone makes room.
            past.tips.retain(|_, tips| tips.first() != Some(&None));
        }
        if !past.tips.contains_key(name) && past.tips.len() >= MOST_REFS {
            past.unfollowed = true;
            return false;
        }
        let tips = past.tips.entry(name.clone()).or_default();
        tips.truncate(MOST_TIPS.saturating_sub(1));
        tips.insert(0, oid);
        true
    }
}

fn hash(text: &str) -> Option<Hash> {
    let digits = |at: usize| text.get(at..at.checked_add(2)?);
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..32_usize).map(|at| u8::from_str_radix(digits(at.saturating_mul(2))?, 16).ok());
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes.filter(|_| is_hex)?.try_into().ok()
}
