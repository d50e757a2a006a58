//! What entries say, by what is asked of it, in memory: what `index.db` holds, for a verifier that
//! reads the whole log anyway, and for entries that are in no log.
//!
//! Filled in log order, then sealed, which sorts it; every question is one or two binary searches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::RecordError;
use super::entry::{Landed, Review};
use super::ingest::Sink;
use super::view::{Tip, TipKind};
use crate::people::PersonName;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

/// The most bytes that the log of a verifier may take here, without what vectors have to spare: of
/// about 200,000 landings. A longer one is for SQLite.
pub(super) const MOST: usize = 96 << 20;
/// What a ref or a person takes besides the name.
const NAMED: usize = 512;

/// Tables under way; nothing can be asked before they are sealed.
#[derive(Debug)]
pub(super) struct Filling(Tables);

/// The tables of a run of entries.
#[derive(Debug)]
pub(super) struct Tables {
    first: u64,
    places: Vec<Place>,
    kinds: BTreeMap<&'static str, Vec<u64>>,
    tags: Sorted<Oid>,
    /// Every tip, by id and name of the ref.
    tips_at: Sorted<(Oid, Arc<str>)>,
    refs: BTreeMap<Arc<str>, OfRef>,
    weight: usize,
    most: usize,
}

/// Where an entry stands, and the latest time up to and with it.
#[derive(Debug)]
struct Place {
    latest: Timestamp,
    start: u32,
    len: u32,
    /// Whether it is of the repository that is asked about.
    is_ours: bool,
}

/// What entries say of one ref, in log order where nothing else is said.
#[derive(Debug, Default)]
struct OfRef {
    tips: Vec<Tip>,
    by_person: BTreeMap<PersonName, Vec<u64>>,
    by_head: Sorted<Oid>,
    rejected: Vec<(Oid, u64)>,
    intents: Sorted<Box<str>>,
    counted: Vec<(Oid, u64)>,
    spent: Sorted<Oid>,
}

/// Indices by key and, of one key, ascending.
#[derive(Debug)]
struct Sorted<K>(Vec<(K, u64)>);

impl<K> Default for Sorted<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> Sorted<K> {
    fn seal(&mut self) {
        self.0.sort_unstable();
        self.0.shrink_to_fit();
    }

    /// Returns the rows whose keys compare as equal.
    fn of(&self, compare: impl Fn(&K) -> std::cmp::Ordering) -> &[(K, u64)] {
        let start = self.0.partition_point(|(key, _)| compare(key).is_lt());
        let rest = self.0.get(start..).unwrap_or_default();
        // Few keys have more than one: a second search would cost as much as the first.
        let is_end = |(key, _): &(K, u64)| compare(key).is_ne();
        let len = rest.iter().position(is_end).unwrap_or(rest.len());
        rest.get(..len).unwrap_or_default()
    }

    /// Returns the first index of a key, if that is below `end`.
    fn first(&self, compare: impl Fn(&K) -> std::cmp::Ordering, end: u64) -> Option<u64> {
        let (_, first) = self.of(compare).first()?;
        Some(*first).filter(|first| *first < end)
    }
}

/// The part of ascending indices that is below `end`.
fn below<T>(rows: &[T], index: impl Fn(&T) -> u64, end: u64) -> &[T] {
    let len = rows.partition_point(|row| index(row) < end);
    rows.get(..len).unwrap_or_default()
}

impl Filling {
    /// Begins with entry `first`; for so many bytes.
    pub(super) fn new(first: u64, most: usize) -> Self {
        Self(Tables {
            first,
            places: Vec::new(),
            kinds: BTreeMap::new(),
            tags: Sorted::default(),
            tips_at: Sorted::default(),
            refs: BTreeMap::new(),
            weight: 0,
            most,
        })
    }

    /// Returns whether this is more than there is room for.
    pub(super) fn is_too_much(&self) -> bool {
        self.0.weight > self.0.most
    }

    /// Passes over an entry of another repository.
    pub(super) fn pass(
        &mut self,
        latest: Timestamp,
        place: (u64, usize),
    ) -> Result<(), RecordError> {
        self.place(latest, place, false)
    }

    /// Lets questions be asked.
    pub(super) fn seal(self) -> Tables {
        let mut tables = self.0;
        tables.tags.seal();
        tables.tips_at.seal();
        for of_ref in tables.refs.values_mut() {
            of_ref.by_head.seal();
            of_ref.intents.seal();
            of_ref.spent.seal();
        }
        tables
    }

    fn place(
        &mut self,
        latest: Timestamp,
        (start, len): (u64, usize),
        is_ours: bool,
    ) -> Result<(), RecordError> {
        let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(len)) else {
            return Err(RecordError::damaged("log", "a bundle longer than any"));
        };
        self.weigh(size_of::<Place>());
        self.0.places.push(Place {
            latest,
            start,
            len,
            is_ours,
        });
        Ok(())
    }

    fn weigh(&mut self, bytes: usize) {
        self.0.weight = self.0.weight.saturating_add(bytes);
    }

    fn of_ref(&mut self, name: &str, bytes: usize) -> (Arc<str>, &mut OfRef) {
        let known = self.0.refs.get_key_value(name).map(|(name, _)| name);
        let (name, new) = match known {
            Some(name) => (Arc::clone(name), 0),
            None => (Arc::from(name), name.len().saturating_add(NAMED)),
        };
        self.weigh(new.saturating_add(bytes));
        let of_ref = self.0.refs.entry(Arc::clone(&name)).or_default();
        (name, of_ref)
    }
}

impl Sink for Filling {
    fn entry(
        &mut self,
        index: u64,
        kind: &'static str,
        latest: Timestamp,
        place: (u64, usize),
    ) -> Result<(), RecordError> {
        self.weigh(size_of::<u64>());
        self.0.kinds.entry(kind).or_default().push(index);
        self.place(latest, place, true)
    }

    fn tip(&mut self, name: &str, tip: Tip) -> Result<(), RecordError> {
        let bytes = size_of::<(Tip, (Oid, Arc<str>), u64)>();
        let (name, of_ref) = self.of_ref(name, bytes);
        let (oid, index) = (tip.oid, tip.index);
        of_ref.tips.push(tip);
        if let Some(oid) = oid {
            self.0.tips_at.0.push(((oid, name), index));
        }
        Ok(())
    }

    fn review(&mut self, index: u64, review: &Review, verb: ReviewVerb) -> Result<(), RecordError> {
        self.0.tags.0.push((review.tag, index));
        let bytes = size_of::<[(Oid, u64); 2]>().saturating_add(size_of::<u64>());
        let (_, of_ref) = self.of_ref(&review.target.to_string(), bytes);
        of_ref.by_head.0.push((review.head, index));
        if verb == ReviewVerb::Reject {
            of_ref.rejected.push((review.head, index));
        }
        let of_person = match of_ref.by_person.get_mut(&review.person) {
            Some(of_person) => of_person,
            None => of_ref.by_person.entry(review.person.clone()).or_default(),
        };
        of_person.push(index);
        if of_person.len() == 1 {
            self.weigh(NAMED);
        }
        Ok(())
    }

    fn landed(&mut self, index: u64, name: &str, landed: &Landed) -> Result<(), RecordError> {
        let intent: Box<str> = landed.intent.as_str().into();
        let bytes = size_of::<(Box<str>, u64)>().saturating_add(intent.len());
        let (_, of_ref) = self.of_ref(name, bytes);
        of_ref.intents.0.push((intent, index));
        Ok(())
    }

    fn counted(&mut self, index: u64, name: &str, _: i64, head: &Oid) -> Result<(), RecordError> {
        let (_, of_ref) = self.of_ref(name, size_of::<(Oid, u64)>());
        of_ref.counted.push((*head, index));
        Ok(())
    }

    fn spent(&mut self, index: u64, name: &str, oid: &Oid) -> Result<(), RecordError> {
        let (_, of_ref) = self.of_ref(name, size_of::<(Oid, u64)>());
        of_ref.spent.0.push((*oid, index));
        Ok(())
    }
}

impl Tables {
    fn of_ref(&self, name: &RefName) -> Option<&OfRef> {
        self.refs.get(name.to_string().as_str())
    }

    /// Returns where an entry of the repository stands in its bundle.
    pub(super) fn place(&self, index: u64) -> Option<(u64, u64)> {
        let place = self.places.get(self.behind(index)).filter(|it| it.is_ours);
        place.map(|place| (u64::from(place.start), u64::from(place.len)))
    }

    /// Returns the latest time of the entries below `end`.
    pub(super) fn latest(&self, end: u64) -> Option<Timestamp> {
        let last = self.behind(end).min(self.places.len()).checked_sub(1)?;
        self.places.get(last).map(|place| place.latest)
    }

    /// Returns the indices of the repository's entries in a range.
    pub(super) fn indices(&self, range: Range<u64>) -> Vec<u64> {
        let start = range.start.max(self.first);
        let places = self.places.iter().skip(self.behind(start));
        let within = (start..range.end).zip(places);
        within
            .filter(|(_, place)| place.is_ours)
            .map(|(index, _)| index)
            .collect()
    }

    pub(super) fn of_kind(&self, kind: &str, end: u64) -> Vec<u64> {
        let all = self.kinds.get(kind).map_or(&[][..], Vec::as_slice);
        below(all, |index| *index, end).to_vec()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = RefName> {
        let with_tip = self.refs.iter().filter(|(_, it)| !it.tips.is_empty());
        with_tip.map(|(name, _)| RefName::from(&**name))
    }

    pub(super) fn tip(&self, name: &RefName, end: u64) -> Option<Tip> {
        let tips = &self.of_ref(name)?.tips;
        below(tips, |tip| tip.index, end).last().cloned()
    }

    pub(super) fn was_tip(&self, name: &RefName, oid: &Oid, end: u64) -> bool {
        let name = name.to_string();
        let key = (oid, name.as_str());
        let found = self
            .tips_at
            .first(|(oid, name)| (oid, &**name).cmp(&key), end);
        found.is_some()
    }

    /// Returns the tips that were this commit, by index and name.
    pub(super) fn tips_at(&self, oid: &Oid, end: u64) -> Vec<(RefName, Tip)> {
        let rows = self.tips_at.of(|(other, _)| other.cmp(oid));
        let mut rows: Vec<_> = rows.iter().filter(|(_, index)| *index < end).collect();
        rows.sort_unstable_by_key(|((_, name), index)| (*index, name));
        let tip = |((_, name), index): &((Oid, Arc<str>), u64)| {
            let tips = &self.refs.get(name)?.tips;
            let tip = below(tips, |tip| tip.index, index.saturating_add(1)).last()?;
            Some((RefName::from(&**name), tip.clone()))
        };
        rows.into_iter().filter_map(tip).collect()
    }

    pub(super) fn landed_at(&self, new: &Oid, end: u64) -> Vec<u64> {
        let tips = self.tips_at(new, end).into_iter().map(|(_, tip)| tip);
        let landed = tips.filter(|tip| tip.how == TipKind::Landed);
        landed.map(|tip| tip.index).collect()
    }

    pub(super) fn has_tag(&self, tag: &Oid, end: u64) -> Option<u64> {
        self.tags.first(|other| other.cmp(tag), end)
    }

    pub(super) fn of_head(&self, target: &RefName, head: &Oid, end: u64, limit: usize) -> Vec<u64> {
        let Some(of_ref) = self.of_ref(target) else {
            return Vec::new();
        };
        let rows = of_ref.by_head.of(|other| other.cmp(head));
        let rows = below(rows, |(_, index)| *index, end).iter();
        rows.take(limit).map(|(_, index)| *index).collect()
    }

    pub(super) fn rejected(&self, target: &RefName, end: u64) -> BTreeSet<Oid> {
        let of_ref = self.of_ref(target);
        let rows = of_ref.map_or(&[][..], |it| it.rejected.as_slice());
        let rows = below(rows, |(_, index)| *index, end).iter();
        rows.map(|(head, _)| *head).collect()
    }

    /// Returns a person's reviews in a range, newest first.
    pub(super) fn newest(
        &self,
        target: &RefName,
        person: &PersonName,
        range: Range<u64>,
        limit: usize,
    ) -> Vec<u64> {
        let of_ref = self.of_ref(target);
        let all = of_ref.and_then(|it| it.by_person.get(person));
        let all = all.map_or(&[][..], Vec::as_slice);
        let newest_first = below(all, |index| *index, range.end).iter().rev();
        let within = newest_first.take_while(|index| **index >= range.start);
        within.take(limit).copied().collect()
    }

    /// Returns the heads that were counted in a range.
    pub(super) fn counted(&self, name: &RefName, range: Range<u64>) -> Vec<(u64, Oid)> {
        let of_ref = self.of_ref(name);
        let rows = of_ref.map_or(&[][..], |it| it.counted.as_slice());
        let rows = below(rows, |(_, index)| *index, range.end);
        let start = rows.partition_point(|(_, index)| *index < range.start);
        let rows = rows.iter().skip(start);
        rows.map(|(head, index)| (*index, *head)).collect()
    }

    pub(super) fn spent(&self, name: &RefName, oid: &Oid, end: u64) -> Option<u64> {
        self.of_ref(name)?.spent.first(|other| other.cmp(oid), end)
    }

    pub(super) fn has_intent(&self, id: &str, name: &RefName, end: u64) -> bool {
        let of_ref = self.of_ref(name);
        let first = |it: &OfRef| it.intents.first(|other| (**other).cmp(id), end);
        of_ref.and_then(first).is_some()
    }

    fn behind(&self, index: u64) -> usize {
        usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
}
