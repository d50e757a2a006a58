//! The whole log, checked from its first byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use jiff::Timestamp;

use super::entry::{DecisionId, Entry};
use super::index::Own;
use super::proof::{self, Frontier, Hash, leaf_hash};
use super::rotation::{Rotation, rotated};
use super::shared::{self, RepositoryName};
use super::tables::{Filling, MOST};
use super::tiles::{Stored, TILE_WIDTH, Tiles, complete, row_len};
use super::{Checkpoint, Record, RecordError, ingest, log};
use crate::wire::review::ReviewVerb;

/// Problems beyond this many are counted, not listed.
const MAX_PROBLEMS: usize = 100;
/// The most threads that read ahead.
const MOST_READERS: usize = 4;

/// What checking found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint that was checked against.
    pub checkpoint: Checkpoint,
    /// The size of the checkpoint that was trusted: what is before it was not read again.
    pub from: u64,
    /// How many entries of each kind came after.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How many pieces of evidence entries rest on.
    pub evidence: u64,
    /// What is wrong, at most 100.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub omitted: u64,
    /// How many of the problems are entries of a later version.
    pub newer: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The entry, where it is about one.
    pub index: Option<u64>,
    /// What it is.
    pub what: String,
}

impl Report {
    /// Returns whether nothing is wrong.
    pub fn ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns whether nothing is wrong but that a newer version must have the word.
    pub fn only_newer(&self) -> bool {
        let listed = u64::try_from(self.problems.len()).unwrap_or(u64::MAX);
        self.newer > 0 && self.newer == listed.saturating_add(self.omitted)
    }
}

impl Record {
    /// Checks everything: the checkpoint's signature, how the log came to its key, every tile, the root, every entry's
    /// encoding and time, and the evidence beside them.
    ///
    /// Takes the checkpoint on disk. Memory does not grow with the size of entries: one bundle more
    /// than there are readers is held at a time, at most five, and a time for each entry. An error is
    /// returned only where checking cannot go on.
    pub fn verify(&self) -> Result<Report, RecordError> {
        let origin = self.checkpoint().origin;
        self.verify_from(&Checkpoint::empty(&origin))
    }

    /// Checks that the log continues the one that was trusted, and whatever came after it.
    ///
    /// What was before is taken as it was then: of its tiles only those are read that the hashes
    /// of what came after are computed with, and of its entries only the times of the last.
    pub fn verify_from(&self, trusted: &Checkpoint) -> Result<Report, RecordError> {
        Ok(self.check(trusted, None)?.report)
    }

    /// The same, and puts an index of one's own in the place of `index.db`, as
    /// [`Record::distrust_index`] does. It is kept in memory, and the log is read once, unless that
    /// is more than a verifier has room for.
    pub fn verify_anew(&self, trusted: &Checkpoint) -> Result<Report, RecordError> {
        self.verify_within(trusted, MOST)
    }

    /// The same with room for so many bytes.
    pub(super) fn verify_within(
        &self,
        trusted: &Checkpoint,
        most: usize,
    ) -> Result<Report, RecordError> {
        // Also for what is asked of no view.
        self.distrust_index()?;
        if trusted.size > 0 {
            return self.verify_from(trusted);
        }
        let check = self.check(trusted, Some(Filling::new(0, most)))?;
        if let Some((filling, leaves)) = check.index
            && check.report.ok()
        {
            self.recent.borrow_mut().own = Some(Own {
                size: check.report.checkpoint.size,
                leaves: Arc::new(leaves),
                tables: Arc::new(filling.seal()),
            });
        }
        Ok(check.report)
    }

    fn check(&self, trusted: &Checkpoint, index: Option<Filling>) -> Result<Checked, RecordError> {
        let checkpoint = self.disk_checkpoint()?;
        let log = self.log_dir();
        let size = checkpoint.size;
        let rotations = self.rotations(size);
        let mut check = Check {
            record: self,
            rotations: Vec::new(),
            tiles: self.tiles(&log, size),
            frontier: Frontier::default(),
            rows: Vec::new(),
            earlier: None,
            latest: Vec::new(),
            index: index.map(|filling| (filling, Vec::new())),
            report: Report {
                checkpoint,
                from: trusted.size,
                kinds: BTreeMap::new(),
                evidence: 0,
                problems: Vec::new(),
                omitted: 0,
                newer: 0,
            },
        };
        match rotations {
            Ok(rotations) => check.rotations = rotations,
            Err(error) => check.problem(None, &error),
        }
        if let Err(error) = check.resume(trusted) {
            check.problem(None, &error);
            return Ok(check.done());
        }
        let numbers = trusted.size / TILE_WIDTH..size.div_ceil(TILE_WIDTH);
        let (tiles, of) = (check.tiles.clone(), self.of.as_ref());
        let whole = thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let several = cores.min(MOST_READERS);
            // Each has one bundle ready, and takes every so manieth.
            let readers: Vec<Receiver<Bundle>> = (0..several)
                .map(|at| {
                    let (sender, bundles) = mpsc::sync_channel(0);
                    let (tiles, numbers) =
                        (tiles.clone(), numbers.clone().skip(at).step_by(several));
                    scope.spawn(move || read_ahead(&tiles, of, numbers, trusted.size, &sender));
                    bundles
                })
                .collect();
            let mut readers = readers.iter().cycle();
            // Nothing comes behind the last one.
            let next = || readers.next()?.recv().ok();
            std::iter::from_fn(next).all(|bundle| check.bundle(bundle))
        });
        if !whole {
            return Ok(check.done());
        }
        check.rest();
        if check.frontier.root() != check.report.checkpoint.root {
            check.problem(None, &"the entries do not give the checkpoint's root");
        }
        Ok(check.done())
    }
}

impl Record {
    /// Returns the bytes of entry `index` in the log.
    pub(crate) fn bytes(&self, index: u64, entry: &Entry) -> Result<Vec<u8>, RecordError> {
        shared::encode(self.of.as_ref(), entry)
            .map_err(|source| RecordError::Entry { index, source })
    }

    /// Returns whether these are the bytes of entry `index` under the checkpoint's root.
    pub fn is_included(&self, index: u64, entry: &Entry) -> Result<bool, RecordError> {
        let bytes = self.bytes(index, entry)?;
        let Checkpoint { size, root, .. } = self.checkpoint();
        let proof = self.inclusion(index, size)?;
        let leaf = leaf_hash(&bytes);
        Ok(proof::verify_inclusion(&leaf, index, size, &proof, &root))
    }
}

/// What a check found, and what it filled on the way.
struct Checked {
    report: Report,
    index: Option<(Filling, Vec<Hash>)>,
}

/// An entry with the hash of its bytes, read.
struct Leaf {
    stored: Stored,
    hash: Hash,
    entry: Result<(Option<RepositoryName>, Entry), RecordError>,
}

/// What a bundle came to.
type Bundle = Result<Vec<Leaf>, RecordError>;

/// Reads bundles one after the other, until nobody wants them.
fn read_ahead(
    tiles: &Tiles<'_>,
    of: Option<&RepositoryName>,
    numbers: impl Iterator<Item = u64>,
    from: u64,
    to: &SyncSender<Bundle>,
) {
    let read = |stored: Stored| Leaf {
        hash: leaf_hash(&stored.bytes),
        entry: log::decode(of, stored.index, &stored.bytes),
        stored,
    };
    for number in numbers {
        let bundle = tiles.bundle(number).map(|bundle| {
            let new = bundle.into_iter().filter(|stored| stored.index >= from);
            new.map(read).collect()
        });
        if to.send(bundle).is_err() {
            return;
        }
    }
}

/// A check under way.
struct Check<'a> {
    record: &'a Record,
    /// How the log came to its key.
    rotations: Vec<Rotation>,
    tiles: Tiles<'a>,
    frontier: Frontier,
    /// For each level its next tile's number, and that tile's hashes so far.
    rows: Vec<(u64, Vec<Hash>)>,
    /// The latest time known of what was trusted.
    earlier: Option<Timestamp>,
    /// The latest time up to and with each entry after that.
    latest: Vec<Timestamp>,
    /// An index to be filled on the way, and the leaf hashes; none where there is no room for it.
    index: Option<(Filling, Vec<Hash>)>,
    report: Report,
}

impl Check<'_> {
    fn done(self) -> Checked {
        Checked {
            report: self.report,
            index: self.index,
        }
    }

    /// Goes on from the right edge of the trusted tree, which the tiles must give.
    ///
    /// Its root is computed from every hash of the tiles that are not full at its size, and from
    /// one of each that is.
    fn resume(&mut self, trusted: &Checkpoint) -> Result<(), RecordError> {
        let size = trusted.size;
        if size > self.tiles.size {
            let why = format!("shorter than the {size} entries that are trusted");
            return Err(RecordError::damaged("log", why));
        }
        let before = Tiles {
            size,
            ..self.tiles.clone()
        };
        self.frontier = Frontier::at(&before, size)?;
        if self.frontier.root() != trusted.root {
            let why = format!("it does not continue the {size} entries that are trusted");
            return Err(RecordError::damaged("log", why));
        }
        for level in 0.. {
            let len = row_len(level, size);
            if len == 0 {
                break;
            }
            let number = len / TILE_WIDTH;
            let row = match len.is_multiple_of(TILE_WIDTH) {
                true => Vec::new(),
                false => before.hashes(level, number)?,
            };
            self.rows.push((number, row));
        }
        self.earlier = self.latest_before(size)?;
        Ok(())
    }

    /// Returns the latest time in the last bundle of the first `size` entries.
    fn latest_before(&self, size: u64) -> Result<Option<Timestamp>, RecordError> {
        let Some(last) = size.checked_sub(1) else {
            return Ok(None);
        };
        let mut latest = None;
        for stored in self.tiles.bundle(last / TILE_WIDTH)? {
            if stored.index < size {
                let (_, entry) = log::decode(self.record.of.as_ref(), stored.index, &stored.bytes)?;
                latest = latest.max(Some(entry.at()));
            }
        }
        Ok(latest)
    }

    /// Returns the latest time of the first `size` entries, as far as it is known.
    fn latest_at(&self, size: u64) -> Result<Option<Timestamp>, RecordError> {
        let Some(after) = size.checked_sub(self.report.from) else {
            return self.latest_before(size);
        };
        let place = usize::try_from(after).unwrap_or(usize::MAX).checked_sub(1);
        let known = place.and_then(|place| self.latest.get(place).copied());
        Ok(known.or(self.earlier))
    }

    /// Checks a bundle; returns whether the next one can be.
    fn bundle(&mut self, bundle: Bundle) -> bool {
        match bundle {
            Ok(leaves) => leaves.iter().for_each(|leaf| self.entry(leaf)),
            // Without these leaves no later hash can be checked.
            Err(error) => {
                self.problem(None, &error);
                return false;
            }
        }
        true
    }

    fn entry(&mut self, leaf: &Leaf) {
        self.frontier.push(leaf.hash);
        self.hash(leaf.hash);
        let known = self.latest.last().copied().or(self.earlier);
        let index = leaf.stored.index;
        match &leaf.entry {
            Ok((of, entry)) => {
                let latest = known.map_or(entry.at(), |known| known.max(entry.at()));
                let verb = self.contents(index, entry, known);
                self.latest.push(latest);
                if let Err(error) = self.put_in_index(leaf, of.as_ref(), entry, (latest, verb)) {
                    self.problem(Some(index), &error);
                }
            }
            Err(error) => {
                let newer = u64::from(error.is_newer());
                self.report.newer = self.report.newer.saturating_add(newer);
                self.problem(Some(index), error);
                self.latest.push(known.unwrap_or(Timestamp::MIN));
            }
        }
    }

    /// Checks what an entry says; returns what a review does.
    fn contents(
        &mut self,
        index: u64,
        entry: &Entry,
        known: Option<Timestamp>,
    ) -> Option<ReviewVerb> {
        let count = self.report.kinds.entry(entry.kind()).or_default();
        *count = count.saturating_add(1);
        let verb = ingest::check(index, entry);
        if let Err(error) = &verb {
            self.problem(Some(index), error);
        }
        self.times_and_evidence(index, entry, known);
        verb.ok().flatten()
    }

    fn times_and_evidence(&mut self, index: u64, entry: &Entry, mut known: Option<Timestamp>) {
        if let Some(rotated) = rotated(entry)
            && !self.rotations.iter().any(|one| {
                one.size.checked_sub(1) == Some(index) && one.new.to_string() == rotated.new
            })
        {
            let what = "goes over to another key, and nothing shows that both keys signed that";
            self.problem(Some(index), &what);
        }
        if let Entry::Landed(landed) = entry {
            if landed.size > index {
                self.problem(Some(index), &"judged by entries that came after it");
            }
            known = match self.latest_at(landed.size.min(index)) {
                Ok(known) => known,
                Err(error) => return self.problem(Some(index), &error),
            };
            if let Some(sha256) = &landed.certificate {
                self.report.evidence = self.report.evidence.saturating_add(1);
                if let Err(error) = self.record.evidence(sha256) {
                    self.problem(Some(index), &error);
                }
            }
            if matches!(landed.decision, DecisionId::Beside { .. }) {
                self.report.evidence = self.report.evidence.saturating_add(1);
                if let Err(error) = self.record.decided(landed) {
                    self.problem(Some(index), &error);
                }
            }
        }
        if let Err(error) = log::check_time(known, entry.at()) {
            self.problem(Some(index), &error);
        }
    }

    fn put_in_index(
        &mut self,
        leaf: &Leaf,
        of: Option<&RepositoryName>,
        entry: &Entry,
        (latest, verb): (Timestamp, Option<ReviewVerb>),
    ) -> Result<(), RecordError> {
        let Some((filling, leaves)) = &mut self.index else {
            return Ok(());
        };
        leaves.push(leaf.hash);
        let Stored {
            index,
            offset,
            bytes,
        } = &leaf.stored;
        let place = (*offset, bytes.len());
        if of != self.record.of.as_ref() {
            return filling.pass(latest, place);
        }
        let beside = match entry {
            Entry::Landed(landed) if matches!(landed.decision, DecisionId::Beside { .. }) => {
                Some(self.record.decided(landed)?)
            }
            _ => None,
        };
        let ingest = ingest::Ingest {
            index: *index,
            entry,
            decided: beside.as_ref().or_else(|| entry.inline()),
            verb,
            latest,
            place,
        };
        ingest.put(filling)?;
        if filling.is_too_much() {
            self.index = None;
        }
        Ok(())
    }

    /// Adds a hash to the lowest row, and whatever rows fill up by it to those above.
    fn hash(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.rows.len() <= level {
                self.rows.push((0, Vec::new()));
            }
            let Some((number, row)) = self.rows.get_mut(level) else {
                return;
            };
            row.push(hash);
            if u64::try_from(row.len()).unwrap_or(0) < TILE_WIDTH {
                return;
            }
            let tile = std::mem::take(row);
            let full = *number;
            *number = number.saturating_add(1);
            self.tile(level, full, &tile);
            let Some(above) = complete(&tile) else {
                return;
            };
            hash = above;
        }
    }

    /// Checks the tiles that are not full.
    fn rest(&mut self) {
        for (level, (number, row)) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if !row.is_empty() {
                self.tile(level, number, &row);
            }
        }
    }

    fn tile(&mut self, level: usize, number: u64, expected: &[Hash]) {
        let level = u32::try_from(level).unwrap_or(u32::MAX);
        match self.tiles.hashes(level, number) {
            Ok(found) if found == expected => {}
            Ok(_) => {
                let what = format!("tile {number} of level {level} has other hashes");
                self.problem(None, &what);
            }
            Err(error) => self.problem(None, &error),
        }
    }

    fn problem(&mut self, index: Option<u64>, what: &dyn std::fmt::Display) {
        if self.report.problems.len() < MAX_PROBLEMS {
            let what = what.to_string();
            self.report.problems.push(Problem { index, what });
        } else {
            self.report.omitted = self.report.omitted.saturating_add(1);
        }
    }
}
