//! The Merkle tree: hashes, roots, inclusion and consistency proofs.
//!
//! Source: RFC 6962 section 2.1 (SHA-256). Pure: where hashes are kept is the business of a
//! [`HashReader`].

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Gives the hashes of complete subtrees.
pub trait HashReader {
    /// What reading can fail with.
    type Error;
    /// Returns `MTH(D[index·2^level : (index+1)·2^level])`.
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// Returns the hash of a leaf: `SHA-256(0x00 ‖ entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(entry)
        .finalize()
        .into()
}

/// Returns the hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Returns the root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Returns the root of the tree of the first `size` leaves.
pub fn root<R: HashReader>(reader: &R, size: u64) -> Result<Hash, R::Error> {
    if size == 0 {
        return Ok(empty_root());
    }
    range(reader, 0, size)
}

/// Returns the proof that leaf `index` is in the tree of `size` leaves, leaf's sibling first.
///
/// Empty where `index` is not below `size`: such a proof verifies nothing.
pub fn inclusion<R: HashReader>(reader: &R, index: u64, size: u64) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    let (mut start, mut end) = (0u64, size);
    while index < size && end.saturating_sub(start) > 1 {
        let middle = start.saturating_add(split(end.saturating_sub(start)));
        if index < middle {
            proof.push(range(reader, middle, end)?);
            end = middle;
        } else {
            proof.push(range(reader, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the proof that the tree of `old` leaves is a prefix of that of `size` leaves.
///
/// Empty where `old` is 0, or not below `size`.
pub fn consistency<R: HashReader>(reader: &R, old: u64, size: u64) -> Result<Vec<Hash>, R::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0u64, size);
    while end != old {
        let middle = start.saturating_add(split(end.saturating_sub(start)));
        if old <= middle {
            proof.push(range(reader, middle, end)?);
            end = middle;
        } else {
            proof.push(range(reader, start, middle)?);
            start = middle;
        }
    }
    if start != 0 {
        proof.push(range(reader, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Returns whether the proof leads from the leaf to the root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size.saturating_sub(1), *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Returns whether the proof shows the smaller tree to be a prefix of the larger one.
///
/// The empty tree is a prefix of every tree, by the empty proof.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (size, root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old > size {
        return false;
    }
    if old == size || old == 0 {
        let known = if old == 0 { empty_root() } else { *root };
        return proof.is_empty() && *old_root == known;
    }
    let (mut at, mut last) = (old.saturating_sub(1), size.saturating_sub(1));
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    // A complete smaller tree is its own first hash and is not repeated in the proof.
    let first = if at == 0 {
        Some(old_root)
    } else {
        hashes.next()
    };
    let Some(first) = first else { return false };
    let (mut older, mut newer) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            newer = node_hash(&newer, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && older == *old_root && newer == *root
}

/// `MTH(D[start:end])` for a range that starts at a multiple of a power of two not below it.
fn range<R: HashReader>(reader: &R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let count = end.saturating_sub(start);
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return reader.hash(level, start >> level);
    }
    let middle = start.saturating_add(split(count));
    let left = range(reader, start, middle)?;
    let right = range(reader, middle, end)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    let log = count.saturating_sub(1).checked_ilog2().unwrap_or(0);
    1u64 << log
}

/// The right edge of a growing tree: enough to know its root, in logarithmic memory.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    /// Complete subtrees by level, of those levels the size has a bit for.
    peaks: Vec<(u32, Hash)>,
    size: u64,
}

impl Frontier {
    /// Returns the right edge of the tree of the first `size` leaves.
    pub fn at<R: HashReader>(reader: &R, size: u64) -> Result<Self, R::Error> {
        let mut peaks = Vec::new();
        let mut start = 0u64;
        for level in (0..u64::BITS).rev() {
            if (size >> level) & 1 == 1 {
                peaks.push((level, reader.hash(level, start >> level)?));
                start = start.saturating_add(1 << level);
            }
        }
        Ok(Self { peaks, size })
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let (mut level, mut hash) = (0, leaf);
        while let Some((_, left)) = self.peaks.pop_if(|(peak, _)| *peak == level) {
            hash = node_hash(&left, &hash);
            level = level.saturating_add(1);
        }
        self.peaks.push((level, hash));
        self.size = self.size.saturating_add(1);
    }

    /// Puts an edge together again from its [`Frontier::peaks`]; nothing where there must be more or
    /// fewer of them.
    pub fn of(size: u64, peaks: &[Hash]) -> Option<Self> {
        let levels = (0..u64::BITS)
            .rev()
            .filter(|level| (size >> level) & 1 == 1);
        let fits = u32::try_from(peaks.len()) == Ok(size.count_ones());
        fits.then(|| Self {
            peaks: levels.zip(peaks.iter().copied()).collect(),
            size,
        })
    }

    /// Returns the roots of the complete subtrees, the largest first.
    pub fn peaks(&self) -> impl Iterator<Item = &Hash> {
        self.peaks.iter().map(|(_, hash)| hash)
    }

    /// Returns how many leaves were added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some((_, last)) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, (_, left)| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves in memory.
    struct Leaves(Vec<Hash>);

    impl HashReader for Leaves {
        type Error = ();
        fn hash(&self, level: u32, index: u64) -> Result<Hash, ()> {
            if level == 0 {
                return self.0.get(index as usize).copied().ok_or(());
            }
            let left = self.hash(level - 1, index * 2)?;
            Ok(node_hash(&left, &self.hash(level - 1, index * 2 + 1)?))
        }
    }

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The eight leaves that certificate-transparency tests its trees with.
    fn vectors() -> Leaves {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        Leaves(leaves.iter().map(|leaf| leaf_hash(leaf)).collect())
    }

    /// Roots of the well-known tree at every size, computed both ways.
    #[test]
    fn matches_the_known_roots() {
        let leaves = vectors();
        let mut frontier = Frontier::default();
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (size, expected) in roots.iter().enumerate() {
            assert_eq!(hex(&root(&leaves, size as u64).unwrap()), *expected);
            assert_eq!(hex(&frontier.root()), *expected);
            assert_eq!(frontier.size(), size as u64);
            let read = Frontier::at(&leaves, size as u64).unwrap();
            assert_eq!(hex(&read.root()), *expected);
            if let Some(leaf) = leaves.0.get(size) {
                frontier.push(*leaf);
            }
        }
    }

    /// The audit paths RFC 6962 section 2.1.3 draws for seven leaves.
    #[test]
    fn matches_the_drawn_paths() {
        let tree = vectors();
        let at = |level, index| tree.hash(level, index).unwrap();
        assert_eq!(
            inclusion(&tree, 0, 7).unwrap(),
            [at(0, 1), at(1, 1), range(&tree, 4, 7).unwrap()]
        );
        assert_eq!(
            inclusion(&tree, 3, 7).unwrap(),
            [at(0, 2), at(1, 0), range(&tree, 4, 7).unwrap()]
        );
        assert_eq!(
            inclusion(&tree, 4, 7).unwrap(),
            [at(0, 5), at(0, 6), at(2, 0)]
        );
        assert_eq!(inclusion(&tree, 6, 7).unwrap(), [at(1, 2), at(2, 0)]);
        assert_eq!(
            consistency(&tree, 3, 7).unwrap(),
            [at(0, 2), at(0, 3), at(1, 0), range(&tree, 4, 7).unwrap()]
        );
        assert_eq!(
            consistency(&tree, 4, 7).unwrap(),
            [range(&tree, 4, 7).unwrap()]
        );
        assert_eq!(
            consistency(&tree, 6, 7).unwrap(),
            [at(1, 2), at(0, 6), at(2, 0)]
        );
    }

    fn many(count: u64) -> Leaves {
        Leaves((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
    }

    /// Every proof of trees up to 40 leaves verifies, and no other leaf, index, size, root or
    /// proof does.
    #[test]
    fn proves_inclusion_and_nothing_else() {
        let tree = many(41);
        for size in 1..=40 {
            let top = root(&tree, size).unwrap();
            for index in 0..size {
                let leaf = tree.0[index as usize];
                let proof = inclusion(&tree, index, size).unwrap();
                assert!(verify_inclusion(&leaf, index, size, &proof, &top));
                assert!(!verify_inclusion(&leaf, index + 1, size, &proof, &top));
                assert!(!verify_inclusion(&leaf, size, size, &proof, &top));
                assert!(!verify_inclusion(&tree.0[40], index, size, &proof, &top));
                assert!(!verify_inclusion(
                    &leaf,
                    index,
                    size,
                    &proof,
                    &leaf_hash(b"x")
                ));
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!verify_inclusion(&leaf, index, size, &longer, &top));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_inclusion(&leaf, index, size, shorter, &top));
                }
            }
        }
    }

    /// Every pair of trees up to 40 leaves is shown consistent, and no forged pair is.
    #[test]
    fn proves_consistency_and_nothing_else() {
        let tree = many(41);
        let other = leaf_hash(b"other");
        for size in 0..=40 {
            let new = root(&tree, size).unwrap();
            for old in 0..=size {
                let before = root(&tree, old).unwrap();
                let proof = consistency(&tree, old, size).unwrap();
                assert!(verify_consistency((old, &before), (size, &new), &proof));
                assert!(!verify_consistency((old, &other), (size, &new), &proof));
                if old > 0 {
                    assert!(!verify_consistency((old, &before), (size, &other), &proof));
                }
                assert!(!verify_consistency(
                    (size + 1, &before),
                    (size, &new),
                    &proof
                ));
                let mut longer = proof.clone();
                longer.push(new);
                assert!(!verify_consistency((old, &before), (size, &new), &longer));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_consistency((old, &before), (size, &new), shorter));
                }
            }
        }
    }
}
