//! The record as of one size: the questions that judging asks of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::entry::{Entry, Genesis, Landed, Review};
use super::index::Own;
use super::ingest::{self, Ingest};
use super::proof::Hash;
use super::rows::{Reviewed, Rows};
use super::shared::RepositoryName;
use super::storage::Storage;
use super::tables::Filling;
use super::tiles::Tiles;
use super::{Logged, Record, RecordError, log};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

/// The most reviews of one head for one ref that are read.
const MOST_OF_HEAD: usize = 10_000;
/// The most bytes that entries have in the log which are kept after they were read.
const MOST_RECENT: usize = 4 << 20;
/// The most bytes that the tags of reviews have which are kept, read: some times as much.
const MOST_REVIEWS: usize = 1 << 20;
/// What a list of somebody's newest reviews takes by itself, about.
const NEWEST: usize = 1 << 10;

/// Answers from the entries below one size; what is appended later does not show.
#[derive(Clone, Debug)]
pub struct View {
    /// By ascending index, without gaps; at least one.
    layers: Vec<Layer>,
}

/// A run of entries.
#[derive(Clone, Debug)]
struct Layer {
    rows: Rows,
    first: u64,
    end: u64,
    bodies: Bodies,
}

#[derive(Clone, Debug)]
enum Bodies {
    /// The log's storage and folder, whose entries are asked for, and what was read there.
    Log(
        Arc<dyn Storage>,
        PathBuf,
        Option<RepositoryName>,
        Rc<RefCell<Recent>>,
    ),
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
    /// A person's newest reviews for a ref, newest first.
    newest: HashMap<(RefName, PersonName), Newest>,
    newest_bytes: usize,
}

/// The newest reviews below one size.
#[derive(Clone, Debug)]
struct Newest {
    end: u64,
    limit: usize,
    reviews: Vec<(u64, Rc<Logged>)>,
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
        if self.review_bytes.saturating_add(bytes) > MOST_REVIEWS {
            self.reviews.clear();
            self.review_bytes = 0;
        }
        self.review_bytes = self.review_bytes.saturating_add(bytes);
        self.reviews.insert(index, Rc::clone(review));
    }

    fn keep_newest(&mut self, key: (RefName, PersonName), newest: Newest) {
        let bytes = newest.bytes();
        if self.newest_bytes.saturating_add(bytes) > MOST_RECENT {
            self.newest.clear();
            self.newest_bytes = 0;
        }
        self.newest_bytes = self.newest_bytes.saturating_add(bytes);
        self.newest.insert(key, newest);
    }

    fn take_newest(&mut self, key: &(RefName, PersonName)) -> Option<Newest> {
        let newest = self.newest.remove(key)?;
        self.newest_bytes = self.newest_bytes.saturating_sub(newest.bytes());
        Some(newest)
    }
}

impl Newest {
    /// Returns what its reviews take in the log, about.
    fn bytes(&self) -> usize {
        let bytes = |(_, review): &(u64, Rc<Logged>)| review.raw.len();
        let all = self.reviews.iter().map(bytes);
        all.fold(NEWEST, usize::saturating_add)
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

    /// Keeps a review that [`Record::entries`] gave, for the landings that will ask for it.
    pub(crate) fn keep_review(&self, index: u64, review: &Review) -> Rc<Logged> {
        let review = Rc::new(Logged::new(review.clone()));
        self.recent.borrow_mut().keep_review(index, &review);
        review
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
                rows: self.rows()?,
                first: 0,
                end: size,
                bodies: Bodies::Log(
                    Arc::clone(&self.storage),
                    self.log_dir(),
                    self.of.clone(),
                    Rc::clone(&self.recent),
                ),
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
        self.last(|layer| layer.rows.tip(name, layer.end))
    }

    /// Returns where every recorded ref stands.
    pub fn tips(&self) -> Result<BTreeMap<RefName, Tip>, RecordError> {
        let mut tips = BTreeMap::new();
        for name in self.names(usize::MAX)? {
            if let Some(tip) = self.tip(&name)? {
                tips.insert(name, tip);
            }
        }
        Ok(tips)
    }

    /// Returns the recorded refs; of more than `limit` at least that many.
    pub fn names(&self, limit: usize) -> Result<BTreeSet<RefName>, RecordError> {
        let mut names = BTreeSet::new();
        for layer in &self.layers {
            names.extend(layer.rows.names(layer.end, limit)?);
        }
        Ok(names)
    }

    /// Returns whether the commit was ever the recorded tip of the ref, however it came there.
    pub fn was_tip(&self, name: &RefName, oid: &Oid) -> Result<bool, RecordError> {
        self.any(|layer| layer.rows.was_tip(name, oid, layer.end))
    }

    /// Returns every entry whose tip was this commit, in log order.
    pub fn tips_at(&self, oid: &Oid) -> Result<Vec<(RefName, Tip)>, RecordError> {
        self.all(|layer| layer.rows.tips_at(oid, layer.end))
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
        Ok(found)
    }

    /// Returns a person's reviews as [`View::reviews_by`] does, but for those at the end of which nothing
    /// depends: behind the last one whose head no landing has spent, or is among the `new` commits, as
    /// many are left as hold `ended` approvals.
    pub(crate) fn reviews_open(
        &self,
        target: &RefName,
        person: &PersonName,
        (limit, ended): (usize, usize),
        new: &BTreeSet<Oid>,
    ) -> Result<Vec<(u64, Rc<Logged>)>, RecordError> {
        let rows = self.reviewed(target, person, limit)?;
        let (mut wanted, mut spent) = (0, 0);
        for (position, (_, row)) in rows.iter().enumerate() {
            let counts = row.spent && row.approves && spent < ended;
            spent += usize::from(counts);
            if counts || !row.spent || new.contains(&row.head) {
                wanted = position.saturating_add(1);
            }
        }
        let rows = rows.into_iter().take(wanted);
        rows.map(|(layer, row)| Ok((row.index, layer.review(row.index)?)))
            .collect()
    }

    /// Returns the heads of a person's reviews for the target, the newest review's first, at most
    /// `limit`.
    pub(crate) fn reviewed_heads(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<Oid>, RecordError> {
        let rows = self.reviewed(target, person, limit)?;
        Ok(rows.into_iter().map(|(_, row)| row.head).collect())
    }

    fn reviewed(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<(&Layer, Reviewed)>, RecordError> {
        let mut found = Vec::new();
        for layer in self.layers.iter().rev() {
            let left = limit.saturating_sub(found.len());
            for mut row in layer.reviewed(target, person, left)? {
                // What another layer has spent is spent: once all is in the log there is one.
                if !row.spent && self.layers.len() > 1 {
                    row.spent = self.spent(target, &row.head)?.is_some();
                }
                found.push((layer, row));
            }
        }
        Ok(found)
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
        let most = MOST_OF_HEAD.saturating_add(1);
        let found = self.all(|layer| layer.rows.of_head(target, head, layer.end, most))?;
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
        let heads = self.all(|layer| layer.rows.rejected(target, layer.end))?;
        Ok(heads.into_iter().collect())
    }

    /// Returns the first entry that holds this tag object.
    pub fn has_tag(&self, tag: &Oid) -> Result<Option<u64>, RecordError> {
        self.first(|layer| layer.rows.has_tag(tag, layer.end))
    }

    /// Returns the review that this tag object is.
    pub fn review_tag(&self, tag: &Oid) -> Result<Option<(u64, Rc<Logged>)>, RecordError> {
        let Some(index) = self.has_tag(tag)? else {
            return Ok(None);
        };
        Ok(Some((index, self.layer(index)?.review(index)?)))
    }

    /// Returns the counted heads of landings on the ref after entry `index`, in sequence.
    pub fn counted_since(
        &self,
        name: &RefName,
        index: u64,
    ) -> Result<Vec<(u64, Oid)>, RecordError> {
        let start = index.saturating_add(1);
        self.all(|layer| layer.rows.counted(name, start..layer.end))
    }

    /// Returns the accepted, enforced landing on the ref that counted this head or spent this
    /// commit with one, the first of several.
    pub fn spent(&self, name: &RefName, oid: &Oid) -> Result<Option<u64>, RecordError> {
        self.first(|layer| layer.rows.spent(name, oid, layer.end))
    }

    /// Returns whether a landing on the review's target has spent its head, as [`View::spent`] does.
    pub(crate) fn is_spent(&self, review: &Logged) -> Result<bool, RecordError> {
        Ok(self.first(|layer| layer.spent(review))?.is_some())
    }

    /// Returns whether the intent was closed as landed for this ref.
    pub fn intent_spent(&self, id: &str, name: &RefName) -> Result<bool, RecordError> {
        self.any(|layer| layer.rows.has_intent(id, name, layer.end))
    }

    /// Returns the landings that ended at this commit, on any ref, in log order.
    pub fn landed_at(&self, new: &Oid) -> Result<Vec<(u64, Landed)>, RecordError> {
        let found = self.all(|layer| layer.rows.landed_at(new, layer.end))?;
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
                return layer.rows.latest(end);
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
        self.all(|layer| {
            let end = range.end.min(layer.end);
            layer.rows.indices(range.start..end)
        })
    }

    pub(super) fn of_kind(&self, kind: &str) -> Result<Vec<u64>, RecordError> {
        self.all(|layer| layer.rows.of_kind(kind, layer.end))
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

    /// What all layers have, one after the other.
    fn all<T, L: IntoIterator<Item = T>>(
        &self,
        ask: impl Fn(&Layer) -> Result<L, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let mut found = Vec::new();
        for layer in &self.layers {
            found.extend(ask(layer)?);
        }
        Ok(found)
    }

    /// What the first layer has that has one.
    fn first<T>(
        &self,
        ask: impl Fn(&Layer) -> Result<Option<T>, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        let mut asked = self.layers.iter().map(ask);
        asked.find_map(Result::transpose).transpose()
    }

    /// What the last layer has that has one.
    fn last<T>(
        &self,
        ask: impl Fn(&Layer) -> Result<Option<T>, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        let mut asked = self.layers.iter().rev().map(ask);
        asked.find_map(Result::transpose).transpose()
    }

    fn any(&self, ask: impl Fn(&Layer) -> Result<bool, RecordError>) -> Result<bool, RecordError> {
        let there = |layer: &Layer| Ok(ask(layer)?.then_some(()));
        Ok(self.first(there)?.is_some())
    }
}

impl Layer {
    fn in_memory(
        first: u64,
        mut latest: Option<Timestamp>,
        entries: Vec<Entry>,
    ) -> Result<Self, RecordError> {
        let mut filling = Filling::new(first, usize::MAX);
        let mut end = first;
        for entry in &entries {
            let at = entry.at();
            let so_far = latest.map_or(at, |latest| latest.max(at));
            latest = Some(so_far);
            let verb = ingest::check(end, entry)?;
            let ingest = Ingest {
                index: end,
                entry,
                decided: entry.inline(),
                verb,
                latest: so_far,
                place: (0, 0),
            };
            ingest.put(&mut filling)?;
            end = end.saturating_add(1);
        }
        Ok(Self {
            rows: Rows::Memory(Arc::new(filling.seal())),
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
            Bodies::Log(storage, dir, of, recent) => {
                if let Some(entry) = recent.borrow().entries.get(&index) {
                    return Ok(entry.clone());
                }
                let (entry, len) = self.read(&**storage, dir, of.as_ref(), recent, index)?;
                recent.borrow_mut().keep(index, &entry, len);
                Ok(entry)
            }
        }
    }

    /// Reads an entry from the log; returns how many bytes it has, too.
    fn read(
        &self,
        storage: &dyn Storage,
        dir: &Path,
        of: Option<&RepositoryName>,
        recent: &RefCell<Recent>,
        index: u64,
    ) -> Result<(Entry, usize), RecordError> {
        let place = self.rows.place(index)?;
        let (start, len) = place.ok_or(RecordError::Elsewhere { index })?;
        let tiles = Tiles {
            storage,
            dir,
            size: self.end,
        };
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= super::entry::MAX_ENTRY)
            .ok_or_else(|| not_there(index))?;
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
            Bodies::Log(.., recent) => Some(recent),
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
            Bodies::Log(storage, dir, of, recent) => {
                self.read(&**storage, dir, of.as_ref(), recent, index)?.0
            }
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

    /// The first entry below this layer's end that spent the head of a review.
    fn spent(&self, review: &Logged) -> Result<Option<u64>, RecordError> {
        // Pending entries are other ones the next time.
        let Bodies::Log(..) = &self.bodies else {
            return self.rows.spent(&review.target, &review.head, self.end);
        };
        if let Some(first) = review.spent.get() {
            // The first of all: a view that ends before it has none.
            return Ok(Some(first).filter(|first| *first < self.end));
        }
        let found = self.rows.spent(&review.target, &review.head, self.end)?;
        review.spent.set(found);
        Ok(found)
    }

    /// A person's newest reviews, newest first: of an index without reading their entries.
    fn reviewed(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<Reviewed>, RecordError> {
        if let Some(rows) = self.rows.reviewed(target, person, self.end, limit)? {
            return Ok(rows);
        }
        let reviews = self.newest(target, person, limit)?.into_iter();
        let row = |(index, review): (u64, Rc<Logged>)| {
            let message = review.message(review.head.format());
            Ok(Reviewed {
                index,
                head: review.head,
                approves: message.is_some_and(|message| message.verb == ReviewVerb::Approve),
                spent: self.spent(&review)?.is_some(),
            })
        };
        reviews.map(row).collect()
    }

    /// A person's newest reviews below this layer's end, newest first.
    fn newest(
        &self,
        target: &RefName,
        person: &PersonName,
        limit: usize,
    ) -> Result<Vec<(u64, Rc<Logged>)>, RecordError> {
        let key = (target.clone(), person.clone());
        let known = self
            .recent()
            .and_then(|recent| recent.borrow_mut().take_newest(&key))
            .filter(|known| known.end <= self.end && known.limit == limit);
        let (since, older) = known.map_or((0, Vec::new()), |known| (known.end, known.reviews));
        let newer = self.rows.newest(target, person, since..self.end, limit)?;
        let mut reviews = Vec::with_capacity(newer.len().saturating_add(older.len()));
        for index in newer {
            reviews.push((index, self.review(index)?));
        }
        reviews.extend(older);
        reviews.truncate(limit);
        if let Some(recent) = self.recent() {
            let newest = Newest {
                end: self.end,
                limit,
                reviews: reviews.clone(),
            };
            recent.borrow_mut().keep_newest(key, newest);
        }
        Ok(reviews)
    }
}

fn not_there(index: u64) -> RecordError {
    RecordError::damaged("index.db", format_args!("entry {index} is another"))
}
