//! Bounded caches: parsed objects, comparisons of trees, and what gix undeltifies on the way to them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gix::objs::Kind;

use super::changes::Change;
use crate::wire::oid::Oid;

/// Keeps what was used lately, in two generations of half the limit each.
///
/// When the young generation is full it becomes the old one, and what was old is dropped: at most
/// `limit` bytes (by the weights given), without a list to maintain on each hit.
pub(super) struct Aging<V> {
    young: HashMap<Oid, (Arc<V>, usize)>,
    old: HashMap<Oid, (Arc<V>, usize)>,
    weight: usize,
    half: usize,
}

impl<V> Aging<V> {
    /// Makes an empty cache for `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            weight: 0,
            half: limit / 2,
        }
    }

    /// Returns the value, which thereby stays longer.
    pub(super) fn get(&mut self, oid: &Oid) -> Option<Arc<V>> {
        if let Some((value, _)) = self.young.get(oid) {
            return Some(Arc::clone(value));
        }
        let (value, weight) = self.old.remove(oid)?;
        self.put(*oid, Arc::clone(&value), weight);
        Some(value)
    }

    /// Keeps a value that weighs so many bytes; one heavier than a generation is not kept.
    pub(super) fn put(&mut self, oid: Oid, value: Arc<V>, weight: usize) {
        if weight > self.half {
            return;
        }
        if self.weight.saturating_add(weight) > self.half {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight = self.weight.saturating_add(weight);
        self.young.insert(oid, (value, weight));
    }
}

/// Two trees, and how many paths may differ.
type Asked = (Option<Oid>, Oid, usize);

/// The last comparisons of trees: one judgement asks for the same again and again.
///
/// What was refused is not kept, so that it is refused each time for its own reason.
#[derive(Default)]
pub(super) struct Compared(VecDeque<(Asked, Vec<Change>)>);

impl Compared {
    /// How many are kept.
    const MOST: usize = 8;
    /// How many paths one that is kept may have.
    const PATHS: usize = 512;

    /// Returns what differed.
    pub(super) fn get(&self, asked: &Asked) -> Option<Vec<Change>> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known == asked)
            .map(|(_, found)| found.clone())
    }

    /// Keeps what differed, unless that is long.
    pub(super) fn put(&mut self, asked: Asked, found: &[Change]) {
        if found.len() > Self::PATHS {
            return;
        }
        self.0.truncate(Self::MOST.saturating_sub(1));
        self.0.push_front((asked, found.to_vec()));
    }
}

/// Undeltified objects by place in their pack, for gix; bounded like [`Aging`].
pub(super) struct PackCache {
    young: HashMap<(u32, u64), PackEntry>,
    old: HashMap<(u32, u64), PackEntry>,
    weight: usize,
    half: usize,
}

struct PackEntry {
    data: Vec<u8>,
    kind: Kind,
    compressed_size: usize,
}

impl PackCache {
    /// Makes an empty cache for `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            weight: 0,
            half: limit / 2,
        }
    }

    fn keep(&mut self, key: (u32, u64), entry: PackEntry) {
        let weight = entry.data.len().saturating_add(64);
        if weight > self.half / 4 {
            return;
        }
        if self.weight.saturating_add(weight) > self.half {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight = self.weight.saturating_add(weight);
        self.young.insert(key, entry);
    }
}

impl gix::odb::pack::cache::DecodeEntry for PackCache {
    fn put(&mut self, pack: u32, offset: u64, data: &[u8], kind: Kind, compressed_size: usize) {
        let entry = PackEntry {
            data: data.to_vec(),
            kind,
            compressed_size,
        };
        self.keep((pack, offset), entry);
    }

    fn get(&mut self, pack: u32, offset: u64, out: &mut Vec<u8>) -> Option<(Kind, usize)> {
        let key = (pack, offset);
        if let Some(entry) = self.old.remove(&key) {
            self.keep(key, entry);
        }
        let entry = self.young.get(&key)?;
        out.clear();
        out.extend_from_slice(&entry.data);
        Some((entry.kind, entry.compressed_size))
    }
}
