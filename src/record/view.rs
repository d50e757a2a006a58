//! The record as of one size: the questions that judging asks of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::entry::{Entry, Genesis, Landed, Review};
use super::index::{self, Ingest, Own, int, parse, unsigned};
use super::proof::Hash;
use super::shared::RepositoryName;
use super::tiles::Tiles;
use super::{Logged, Record, RecordError, log};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// The most reviews of one head for one ref that are read.
const MOST_OF_HEAD: usize = 10_000;
/// The most bytes that entries have in the log which are kept after they were read.
const MOST_RECENT: usize = 4 << 20;
/// The most answers about spent commits that are kept.
const MOST_SPENT: usize = 1 << 15;
/// The most people's newest reviews that are kept.
const MOST_NEWEST: usize = 1 << 10;

/// Answers from the entries below one size; what is appended later does not show.
#[derive(Clone, Debug)]
pub struct View {
    /// By ascending index, without gaps; at least one.
    layers: Vec<Layer>,
}

/// A run of entries.
#[derive(Clone, Debug)]
struct Layer {
    db: Rc<Connection>,
    first: u64,
    end: u64,
    bodies: Bodies,
}

#[derive(Clone, Debug)]
enum Bodies {
    /// The folder of the log, whose entries are asked for, and what was read there.
    Log(PathBuf, Option<RepositoryName>, Rc<RefCell<Recent>>),
    /// From `first` on.
    Memory(Vec<Entry>),
}

/// What was read lately: one landing after the other asks for mostly the same.
///
/// All of it follows from entries, which never change, and not from how far a view sees.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// What an index of one's own was built from.
    pub(super) own: Option<Own>,
    entries: HashMap<u64, Entry>,
    /// What they take in the log.
    bytes: usize,
    reviews: HashMap<u64, Rc<Logged>>,
    /// What they take in the log.
    review_bytes: usize,
    /// By ref, the first entry that spent a commit.
    spent: HashMap<RefName, HashMap<Oid, u64>>,
    spent_count: usize,
    /// A person's newest reviews for a ref, newest first.
    newest: HashMap<(RefName, PersonName), Newest>,
}

/// The newest reviews below one size.
#[derive(Clone, Debug)]
struct Newest {
    end: u64,
    limit: usize,
    indices: Vec<u64>,
}

impl Recent {
    /// Returns the hash under the root of an entry that an index of one's own was built from.
    pub(super) fn leaf(&self, index: u64) -> Option<Hash> {
        self.own.as_ref()?.leaf(index)
    }

    fn keep(&mut self, index: u64, entry: &Entry, bytes: usize) {
        if self.bytes.saturating_add(bytes) > MOST_RECENT {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries.insert(index, entry.clone());
    }

    fn keep_review(&mut self, index: u64, review: &Rc<Logged>) {
        let bytes = review.raw.len();
        if self.review_bytes.saturating_add(bytes) > MOST_RECENT {
            self.reviews.clear();
            self.review_bytes = 0;
        }
        self.review_bytes = self.review_bytes.saturating_add(bytes);
        self.reviews.insert(index, Rc::clone(review));
    }

    fn keep_spent(&mut self, name: &RefName, oid: &Oid, first: u64) {
        if self.spent_count >= MOST_SPENT {
            self.spent.clear();
            self.spent_count = 0;
        }
        self.spent_count = self.spent_count.saturating_add(1);
        let of_ref = self.spent.entry(name.clone()).or_default();
        of_ref.insert(*oid, first);
    }

    fn keep_newest(&mut self, target: &RefName, person: &PersonName, newest: Newest) {
        if self.newest.len() >= MOST_NEWEST {
            self.newest.clear();
        }
        let key = (target.clone(), person.clone());
        self.newest.insert(key, newest);
    }
}

/// Where a ref stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// None when the ref was gone.
    pub oid: Option<Oid>,
    /// The entry that says so.
    pub index: u64,
    /// Its kind.
    pub how: TipKind,
    /// Whether it may be built on as *recorded*: a baseline, or landed, accepted and enforced.
    pub accepted: bool,
    /// The mode it was judged in; of an adopted tip, which nobody judged, `enforce`.
    pub mode: Mode,
}

/// How a tip came into the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TipKind {
    /// It was there before anybody looked.
    Genesis,
    /// Through a gate.
    Landed,
    /// Taken as it was found.
    Adopted,
}

impl Record {
    /// Returns the record as of its checkpoint.
    pub fn view(&self) -> Result<View, RecordError> {
        self.view_at(self.size())
    }

    /// Returns the record as it was at `size`.
    pub fn view_at(&self, size: u64) -> Result<View, RecordError> {
        if size > self.size() {
            return Err(RecordError::Beyond {
                size: self.size(),
                index: size,
            });
        }
        Ok(View {
            layers: vec![Layer {
                db: self.index()?,
                first: 0,
                end: size,
                bodies: Bodies::Log(self.log_dir(), self.of.clone(), Rc::clone(&self.recent)),
            }],
        })
    }
}

impl View {
    /// Returns a record that is nowhere on disk, for clones.
    ///
    /// Decisions must be in their entries: there is no evidence beside them.
    pub fn in_memory(entries: Vec<Entry>) -> Result<Self, RecordError> {
        Ok(Self {
            layers: vec![Layer::in_memory(0, None, entries)?],
        })
    }

    /// Returns this record with entries after it that are not in the log yet.
    pub fn with_pending(mut self, entries: Vec<Entry>) -> Result<Self, RecordError> {
        // Most often there are none, and a database of nothing costs more than the question.
        if !entries.is_empty() {
            let layer = Layer::in_memory(self.size(), self.last_time()?, entries)?;
            self.layers.push(layer);
        }
        Ok(self)
    }

    /// Returns how many entries there are, pending ones included.
    pub fn size(&self) -> u64 {
        self.layers.last().map_or(0, |layer| layer.end)
    }

    /// Returns one entry.
    pub fn entry(&self, index: u64) -> Result<Entry, RecordError> {
        self.layer(index)?.entry(index)
    }

    /// Returns where the ref stands by the record; nothing where it was never recorded.
    pub fn tip(&self, name: &RefName) -> Result<Option<Tip>, RecordError> {
        self.last(
            "SELECT idx, oid, how, mode, accepted FROM tip WHERE ref = ?1 AND idx < ?2
             ORDER BY idx DESC LIMIT 1",
            &[&name.to_string()],
            read_tip,
        )
    }

    /// Returns where every recorded ref stands.
    pub fn tips(&self) -> Result<BTreeMap<RefName, Tip>, RecordError> {
        let mut tips = BTreeMap::new();
        for layer in &self.layers {
            // One look for each name: the table has a row for every landing.
            let mut after = String::new();
            let mut next = layer
                .db
                .prepare_cached("SELECT ref FROM tip WHERE ref > ?1 ORDER BY ref LIMIT 1")?;
            loop {
                let mut rows = next.query([&after])?;
                let Some(row) = rows.next()? else { break };
                after = row.get(0)?;
                let name = RefName::from(after.as_str());
                if let Some(tip) = self.tip(&name)? {
                    tips.insert(name, tip);
                }
            }
        }
        Ok(tips)
    }

    /// Returns whether the commit was ever the recorded tip of the ref, however it came there.
    pub fn was_tip(&self, name: &RefName, oid: &Oid) -> Result<bool, RecordError> {
        let found = self.last(
            "SELECT idx FROM tip WHERE oid = ?1 AND ref = ?2 AND idx < ?3 LIMIT 1",
            &[&oid.to_string(), &name.to_string()],
            read_index,
        )?;
        Ok(found.is_some())
    }

    /// Returns every entry whose tip was this commit, in log order.
    pub fn tips_at(&self, oid: &Oid) -> Result<Vec<(RefName, Tip)>, RecordError> {
        self.all(
            "SELECT idx, oid, how, mode, accepted, ref FROM tip WHERE oid = ?1 AND idx < ?2
             ORDER BY idx, ref",
            &[&oid.to_string()],
            |row| {
                let name: String = row.get(5)?;
                Ok((RefName::from(name.as_str()), read_tip(row)?))
            },
        )
    }

    /// Returns a person's reviews for the target, newest first, at most `limit`.
    pub fn reviews_by(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<(u64, Rc<Logged>)>, RecordError> {
        let mut found = Vec::new();
        for layer in self.layers.iter().rev() {
            let left = limit.saturating_sub(found.len());
            found.extend(layer.newest(target, person, left)?);
        }
        self.logged(found)
    }

    /// Returns the reviews of a head for the target, in log order.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooMany`] for more than ten thousand: nobody honest makes as many.
    pub fn reviews_of_head(
        &self,
        target: &RefName,
        head: &Oid,
    ) -> Result<Vec<(u64, Rc<Logged>)>, RecordError> {
        let found = self.all(
            "SELECT idx FROM review WHERE target = ?1 AND head = ?2 AND idx < ?3 ORDER BY idx
             LIMIT 10001",
            &[&target.to_string(), &head.to_string()],
            read_index,
        )?;
        if found.len() > MOST_OF_HEAD {
            return Err(RecordError::TooMany {
                what: "reviews of one head",
                limit: MOST_OF_HEAD,
            });
        }
        self.logged(found)
    }

    /// Returns the heads that were ever rejected for the target, each once, without reading entries.
    pub fn rejected_heads(&self, target: &RefName) -> Result<BTreeSet<Oid>, RecordError> {
        let heads = self.all(
            "SELECT DISTINCT head FROM review WHERE target = ?1 AND verb = 'reject' AND idx < ?2",
            &[&target.to_string()],
            |row| row.get::<_, String>(0),
        )?;
        heads.iter().map(|head| parse(head)).collect()
    }

    /// Returns the first entry that holds this tag object.
    pub fn has_tag(&self, tag: &Oid) -> Result<Option<u64>, RecordError> {
        self.first(
            "SELECT idx FROM review WHERE tag = ?1 AND idx < ?2 ORDER BY idx LIMIT 1",
            &[&tag.to_string()],
            read_index,
        )
    }

    /// Returns the review that this tag object is.
    pub fn review_tag(&self, tag: &Oid) -> Result<Option<(u64, Review)>, RecordError> {
        let Some(index) = self.has_tag(tag)? else {
            return Ok(None);
        };
        match self.entry(index)? {
            Entry::Review(review) => Ok(Some((index, review))),
            _ => Err(not_there(index)),
        }
    }

    /// Returns the counted heads of landings on the ref after entry `index`, in sequence.
    pub fn counted_since(
        &self,
        name: &RefName,
        index: u64,
    ) -> Result<Vec<(u64, Oid)>, RecordError> {
        let rows = self.all(
            "SELECT idx, head FROM counted WHERE ref = ?1 AND idx > ?2 AND idx < ?3
             ORDER BY idx, place",
            &[&name.to_string(), &int(index)],
            |row| Ok((read_index(row)?, row.get::<_, String>(1)?)),
        )?;
        rows.into_iter()
            .map(|(index, head)| Ok((index, parse(&head)?)))
            .collect()
    }

    /// Returns the accepted, enforced landing on the ref that counted this head or spent this
    /// commit with one, the first of several.
    pub fn spent(&self, name: &RefName, oid: &Oid) -> Result<Option<u64>, RecordError> {
        for layer in &self.layers {
            if let Some(found) = layer.spent(name, oid)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns whether the intent was closed as landed for this ref.
    pub fn intent_spent(&self, id: &str, name: &RefName) -> Result<bool, RecordError> {
        let found = self.first(
            "SELECT idx FROM landed WHERE intent = ?1 AND ref = ?2 AND idx < ?3 LIMIT 1",
            &[&id, &name.to_string()],
            read_index,
        )?;
        Ok(found.is_some())
    }

    /// Returns the landings that ended at this commit, on any ref, in log order.
    pub fn landed_at(&self, new: &Oid) -> Result<Vec<(u64, Landed)>, RecordError> {
        let found = self.all(
            "SELECT idx FROM landed WHERE new = ?1 AND idx < ?2 ORDER BY idx",
            &[&new.to_string()],
            read_index,
        )?;
        let landing = |index| match self.entry(index)? {
            Entry::Landed(landed) => Ok((index, landed)),
            _ => Err(not_there(index)),
        };
        found.into_iter().map(landing).collect()
    }

    /// Returns the latest time of all entries.
    pub fn last_time(&self) -> Result<Option<Timestamp>, RecordError> {
        self.time_at(self.size())
    }

    /// Returns the latest time of the first `size` entries.
    pub fn time_at(&self, size: u64) -> Result<Option<Timestamp>, RecordError> {
        for layer in self.layers.iter().rev() {
            let end = size.min(layer.end);
            if end > layer.first {
                return index::latest(&layer.db, end);
            }
        }
        Ok(None)
    }

    /// Returns the baseline of enrolment, put together again where it took several entries.
    pub fn genesis(&self) -> Result<Option<Genesis>, RecordError> {
        let mut whole: Option<Genesis> = None;
        for index in self.of_kind("genesis")? {
            let Entry::Genesis(part) = self.entry(index)? else {
                return Err(not_there(index));
            };
            match &mut whole {
                None => whole = Some(part),
                Some(whole) if whole.at == part.at && whole.policy == part.policy => {
                    whole.tips.extend(part.tips);
                    whole.dry_run.extend(part.dry_run);
                    whole.keys.extend(part.keys);
                }
                Some(_) => break,
            }
        }
        Ok(whole)
    }

    /// Returns the indices of the repository's entries in a range; others' count as well.
    pub fn indices(&self, range: Range<u64>) -> Result<Vec<u64>, RecordError> {
        self.all(
            "SELECT idx FROM entry WHERE idx >= ?1 AND idx < ?2 AND idx < ?3 ORDER BY idx",
            &[&int(range.start), &int(range.end)],
            read_index,
        )
    }

    fn logged(&self, indices: Vec<u64>) -> Result<Vec<(u64, Rc<Logged>)>, RecordError> {
        let review = |index| Ok((index, self.layer(index)?.review(index)?));
        indices.into_iter().map(review).collect()
    }

    fn layer(&self, index: u64) -> Result<&Layer, RecordError> {
        let mut layers = self.layers.iter();
        layers
            .find(|layer| (layer.first..layer.end).contains(&index))
            .ok_or_else(|| RecordError::Beyond {
                size: self.size(),
                index,
            })
    }

    /// All rows of all layers; the last parameter of `sql` is the size.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RecordError> {
        let mut found = Vec::new();
        for layer in &self.layers {
            found.extend(layer.rows(sql, params, &read)?);
        }
        Ok(found)
    }

    /// The row of the first layer that has one.
    fn first<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, RecordError> {
        for layer in &self.layers {
            if let Some(found) = layer.rows(sql, params, &read)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The row of the last layer that has one.
    fn last<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, RecordError> {
        for layer in self.layers.iter().rev() {
            if let Some(found) = layer.rows(sql, params, &read)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Layer {
    fn in_memory(
        first: u64,
        mut latest: Option<Timestamp>,
        entries: Vec<Entry>,
    ) -> Result<Self, RecordError> {
        let db = index::in_memory()?;
        let mut end = first;
        for entry in &entries {
            latest = latest.max(Some(entry.at()));
            let ingest = Ingest {
                db: &db,
                repo: "",
                latest,
            };
            ingest.entry(end, entry, entry.inline(), (0, 0))?;
            end = end.saturating_add(1);
        }
        Ok(Self {
            db: Rc::new(db),
            first,
            end,
            bodies: Bodies::Memory(entries),
        })
    }

    fn entry(&self, index: u64) -> Result<Entry, RecordError> {
        match &self.bodies {
            Bodies::Memory(entries) => usize::try_from(index.saturating_sub(self.first))
                .ok()
                .and_then(|place| entries.get(place))
                .cloned()
                .ok_or_else(|| not_there(index)),
            Bodies::Log(dir, of, recent) => {
                if let Some(entry) = recent.borrow().entries.get(&index) {
                    return Ok(entry.clone());
                }
                let (entry, len) = self.read(dir, of.as_ref(), recent, index)?;
                recent.borrow_mut().keep(index, &entry, len);
                Ok(entry)
            }
        }
    }

    /// Reads an entry from the log; returns how many bytes it has, too.
    fn read(
        &self,
        dir: &Path,
        of: Option<&RepositoryName>,
        recent: &RefCell<Recent>,
        index: u64,
    ) -> Result<(Entry, usize), RecordError> {
        let (start, len): (i64, i64) = self
            .db
            .prepare_cached("SELECT start, len FROM entry WHERE idx = ?1")?
            .query_row([int(index)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .ok_or(RecordError::Elsewhere { index })?;
        let tiles = Tiles {
            dir,
            size: self.end,
        };
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= super::entry::MAX_ENTRY)
            .ok_or_else(|| not_there(index))?;
        let start = unsigned(start);
        let (whose, entry) = match recent.borrow().leaf(index) {
            Some(leaf) => {
                let bytes = tiles.unchecked_at(index, start, len)?;
                log::decode_again(of, index, &bytes, &leaf)?
            }
            None => log::decode(of, index, &tiles.entry_at(index, start, len)?)?,
        };
        // Whatever the index says.
        match whose.as_ref() == of {
            true => Ok((entry, len)),
            false => Err(RecordError::Elsewhere { index }),
        }
    }

    fn recent(&self) -> Option<&RefCell<Recent>> {
        match &self.bodies {
            Bodies::Log(_, _, recent) => Some(recent),
            Bodies::Memory(_) => None,
        }
    }

    fn review(&self, index: u64) -> Result<Rc<Logged>, RecordError> {
        let known = |recent: &RefCell<Recent>| recent.borrow().reviews.get(&index).cloned();
        if let Some(known) = self.recent().and_then(known) {
            return Ok(known);
        }
        let entry = match &self.bodies {
            // Kept once, as what it says.
            Bodies::Log(dir, of, recent) => self.read(dir, of.as_ref(), recent, index)?.0,
            Bodies::Memory(_) => self.entry(index)?,
        };
        let Entry::Review(review) = entry else {
            return Err(not_there(index));
        };
        let review = Rc::new(Logged::new(review));
        if let Some(recent) = self.recent() {
            recent.borrow_mut().keep_review(index, &review);
        }
        Ok(review)
    }

    /// The first entry below this layer's end that spent a commit.
    fn spent(&self, name: &RefName, oid: &Oid) -> Result<Option<u64>, RecordError> {
        let known = |recent: &RefCell<Recent>| Some(*recent.borrow().spent.get(name)?.get(oid)?);
        if let Some(first) = self.recent().and_then(known) {
            // The first of all: a view that ends before it has none.
            return Ok(Some(first).filter(|first| *first < self.end));
        }
        let mut rows = self.rows(
            "SELECT idx FROM spent WHERE ref = ?1 AND oid = ?2 AND idx < ?3 ORDER BY idx LIMIT 1",
            &[&name.to_string(), &oid.to_string()],
            read_index,
        )?;
        let found = rows.pop();
        if let (Some(recent), Some(first)) = (self.recent(), found) {
            recent.borrow_mut().keep_spent(name, oid, first);
        }
        Ok(found)
    }

    /// A person's newest reviews below this layer's end, newest first.
    fn newest(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<u64>, RecordError> {
        let key = (target.clone(), person.clone());
        let known = self
            .recent()
            .and_then(|recent| recent.borrow().newest.get(&key).cloned())
            .filter(|known| known.end <= self.end && known.limit == limit);
        let (since, older) = known.map_or((0, Vec::new()), |known| (known.end, known.indices));
        let mut indices = self.rows(
            "SELECT idx FROM review WHERE target = ?1 AND person = ?2 AND idx >= ?4 AND idx < ?5
             ORDER BY idx DESC LIMIT ?3",
            &[
                &target.to_string(),
                &person.as_str(),
                &i64::try_from(limit).unwrap_or(i64::MAX),
                &int(since),
            ],
            read_index,
        )?;
        indices.extend(older);
        indices.truncate(limit);
        if let Some(recent) = self.recent() {
            let newest = Newest {
                end: self.end,
                limit,
                indices: indices.clone(),
            };
            recent.borrow_mut().keep_newest(target, person, newest);
        }
        Ok(indices)
    }

    /// Rows below this layer's end, which is the last parameter.
    fn rows<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RecordError> {
        let end = int(self.end);
        let mut params = params.to_vec();
        params.push(&end);
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(params.as_slice(), |row| read(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(super) fn read_index(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(unsigned(row.get(0)?))
}

fn read_tip(row: &Row<'_>) -> rusqlite::Result<Tip> {
    let bad = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let oid: Option<String> = row.get(1)?;
    let oid = oid
        .map(|hex| hex.parse())
        .transpose()
        .map_err(|error: crate::wire::oid::OidError| bad(1, error.into()))?;
    let how = match row.get_ref(2)?.as_str()? {
        "genesis" => TipKind::Genesis,
        "landed" => TipKind::Landed,
        "adopted" => TipKind::Adopted,
        other => return Err(bad(2, format!("no kind of tip: {other}").into())),
    };
    let mode = match row.get_ref(3)?.as_str()? {
        "enforce" => Mode::Enforce,
        "dry-run" => Mode::DryRun,
        other => return Err(bad(3, format!("no mode: {other}").into())),
    };
    Ok(Tip {
        oid,
        index: read_index(row)?,
        how,
        accepted: row.get(4)?,
        mode,
    })
}

fn not_there(index: u64) -> RecordError {
    RecordError::damaged("index.db", format_args!("entry {index} is another"))
}
