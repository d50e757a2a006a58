//! The log read by others' code, and theirs by ours: `signed_note`, `tlog_tiles`, `ct-merkle`.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2_11::Sha256;
use signed_note::{Note as TheirNote, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{TileHashReader, TileReader, tlog};

use super::*;
use crate::record::proof::{self, Frontier, Hash, leaf_hash};
use crate::record::tiles::{Row, tile_path};
use crate::record::verify_proof;
use crate::wire::note::{Note, NoteKey, NoteSigner};

/// The verifier line of the specification's example (C2SP signed-note).
const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
/// The note of that example.
const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn theirs(vkey: &str) -> VerifierList {
    VerifierList::new(vec![Box::new(StandardVerifier::new(vkey).unwrap())])
}

/// The specification's note verifies under its key, with our code and with theirs.
#[test]
fn the_specified_note() {
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    note.verify(&NoteKey::parse(VKEY).unwrap()).unwrap();
    let note = TheirNote::from_bytes(NOTE.as_bytes()).unwrap();
    note.verify(&theirs(VKEY)).unwrap();
}

/// One private key line signs the same bytes with both, and either reads the other's.
#[test]
fn sign_the_same() {
    let signer = NoteSigner::from_seed(ORIGIN, &[5; 32]).unwrap();
    let other = StandardSigner::new(&signer.to_secret_line()).unwrap();
    let vkey = signer.public().to_string();
    for text in ["a\n", "a\n\nb\n", "\u{e9}\n"] {
        let mut note = TheirNote::new(text.as_bytes(), &[]).unwrap();
        note.add_sigs(&[&other]).unwrap();
        let ours = signer.sign(text);
        assert_eq!(note.to_bytes(), ours.to_string().into_bytes());
        let read = TheirNote::from_bytes(ours.to_string().as_bytes()).unwrap();
        let (verified, unverified) = read.verify(&theirs(&vkey)).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
        assert!(read.verify(&theirs(VKEY)).is_err());
    }
}

/// The files of a log, as a client of it fetches them.
struct Files(PathBuf);

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            // Theirs names the height, which C2SP fixes and leaves out.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let row = Row::Level(u32::from(tile.level()));
            let ours = tile_path(row, tile.level_index(), u64::from(tile.width()));
            assert_eq!(path, ours);
            std::fs::read(self.0.join(path)).unwrap()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Around the borders of tiles, their reader takes our files under the root of our checkpoint, and
/// finds the same proofs, which hold for both.
#[test]
fn read_the_tiles() {
    let (dir, record) = new_record();
    let log = dir.path().join("countersign/log");
    let mut roots = vec![(0, record.checkpoint().root)];
    for end in [1, 2, 255, 256, 257, 512, 600] {
        let new: Vec<Entry> = (record.size()..end)
            .map(|number| Entry::Adopted(adopted(0, number, None)))
            .collect();
        append(&record, &new);
        let vkey = std::fs::read_to_string(log.join("vkey")).unwrap();
        let note = std::fs::read(log.join("checkpoint")).unwrap();
        let note = TheirNote::from_bytes(&note).unwrap();
        note.verify(&theirs(vkey.trim_end())).unwrap();
        let signed = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((signed.origin(), signed.size()), (ORIGIN, end));
        let ours = record.checkpoint();
        assert_eq!(signed.hash().0, ours.root);
        let files = Files(log.clone());
        let reader = TileHashReader::new(end, *signed.hash(), &files);
        assert_eq!(tlog::tree_hash(end, &reader).unwrap().0, ours.root);
        for index in [0, 1, 254, 255, 256, 511, end - 1] {
            if index >= end {
                continue;
            }
            let path = tlog::prove_record(end, index, &reader).unwrap();
            let found: Vec<Hash> = path.iter().map(|hash| hash.0).collect();
            assert_eq!(found, record.inclusion(index, end).unwrap());
            let entry = Entry::Adopted(adopted(0, index, None)).encode().unwrap();
            let leaf = tlog::record_hash(&entry);
            tlog::check_record(&path, end, *signed.hash(), index, leaf).unwrap();
        }
        for (old, root) in &roots[1..] {
            let steps = record.consistency(*old, end).unwrap();
            let path: Vec<_> = steps.iter().map(|hash| tlog::Hash(*hash)).collect();
            assert_eq!(tlog::prove_tree(end, *old, &reader).unwrap(), path);
            tlog::check_tree(&path, end, *signed.hash(), *old, tlog::Hash(*root)).unwrap();
        }
        roots.push((end, ours.root));
    }
}

/// A proof file verifies with their parts alone: its lines, note, checkpoint and path.
#[test]
fn read_a_proof() {
    let (_dir, record) = new_record();
    append(&record, &sample());
    let vkey = record.vkey();
    for index in 0..record.size() {
        let text = record.prove(index).unwrap().to_string();
        let key = NoteKey::parse(&vkey).unwrap();
        let proven = verify_proof(text.as_bytes(), &key, None).unwrap();
        assert_eq!(proven.entry, sample()[usize::try_from(index).unwrap()]);
        let (head, note) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        let extra = lines.next().unwrap().strip_prefix("extra ").unwrap();
        let entry = BASE64.decode(extra).unwrap();
        assert_eq!(lines.next(), Some(format!("index {index}").as_str()));
        let path: Vec<_> = lines
            .map(|line| tlog::Hash::parse_hash(line).unwrap())
            .collect();
        let note = TheirNote::from_bytes(note.as_bytes()).unwrap();
        note.verify(&theirs(&vkey)).unwrap();
        let signed = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        let leaf = tlog::record_hash(&entry);
        tlog::check_record(&path, signed.size(), *signed.hash(), index, leaf).unwrap();
    }
}

/// A second tree of others' making gives the same roots and proofs at every size up to 80.
#[test]
fn grow_the_same_tree() {
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut edge = Frontier::default();
    let mut leaves = Leaves(Vec::new());
    let mut roots = Vec::new();
    let digest = |hash: &Hash| ct_merkle::digest::Output::<Sha256>::from(*hash);
    for number in 0..80u64 {
        let entry = number.to_string().into_bytes();
        edge.push(leaf_hash(&entry));
        leaves.0.push(leaf_hash(&entry));
        tree.push(entry.clone());
        let (size, root) = (edge.size(), edge.root());
        assert_eq!(tree.root().as_bytes().as_slice(), root);
        let theirs = RootHash::<Sha256>::new(digest(&root), size);
        for index in 0..size {
            let path = proof::inclusion(&leaves, index, size).unwrap();
            let place = usize::try_from(index).unwrap();
            assert_eq!(tree.prove_inclusion(place).as_bytes(), path.concat());
            let path = InclusionProof::try_from_bytes(path.concat()).unwrap();
            let entry = index.to_string().into_bytes();
            theirs.verify_inclusion(&entry, index, &path).unwrap();
        }
        for (old, before) in (1..).zip(&roots) {
            let steps = proof::consistency(&leaves, old, size).unwrap();
            let added = usize::try_from(size - old).unwrap();
            assert_eq!(tree.prove_consistency(added).as_bytes(), steps.concat());
            let steps = ConsistencyProof::try_from_bytes(steps.concat()).unwrap();
            let before = RootHash::<Sha256>::new(digest(before), old);
            theirs.verify_consistency(&before, &steps).unwrap();
        }
        roots.push(root);
    }
}

/// Leaves in memory.
struct Leaves(Vec<Hash>);

impl proof::HashReader for Leaves {
    type Error = ();
    fn hash(&self, level: u32, index: u64) -> Result<Hash, ()> {
        if level == 0 {
            let place = usize::try_from(index).unwrap();
            return self.0.get(place).copied().ok_or(());
        }
        let left = self.hash(level - 1, index * 2)?;
        let right = self.hash(level - 1, index * 2 + 1)?;
        Ok(proof::node_hash(&left, &right))
    }
}

/// Another's verifier of cosignatures, from the specification and plain Ed25519.
struct Cosignatures {
    name: String,
    key: ed25519_dalek::VerifyingKey,
}

impl signed_note::Verifier for Cosignatures {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        let raw = [&[4][..], self.key.as_bytes()].concat();
        signed_note::key_id(&self.name, &raw)
    }

    fn verify(&self, msg: &[u8], sig: &[u8]) -> bool {
        let (time, signature) = sig.split_at(8);
        let time = u64::from_be_bytes(time.try_into().unwrap());
        let signed = [format!("cosignature/v1\ntime {time}\n").as_bytes(), msg].concat();
        let signature = signature.try_into().unwrap();
        self.key.verify_strict(&signed, &signature).is_ok()
    }
}

/// Their reader takes a checkpoint with cosignatures, finds the log's signature and ours of a witness,
/// and lets be what it has no key for.
#[test]
fn read_a_cosigned_checkpoint() {
    let signer = NoteSigner::from_seed(ORIGIN, &[5; 32]).unwrap();
    let mut note = signer.sign(&format!(
        "{ORIGIN}\n0\n{}\n",
        BASE64.encode(proof::empty_root())
    ));
    let witness = |seed| {
        let name = format!("witness.example.com/{seed}");
        crate::wire::cosignature::Cosigner::from_seed(&name, &[seed; 32]).unwrap()
    };
    for seed in [6, 7] {
        let line = witness(seed).cosign(&note.text, 1_700_000_000);
        note.signatures.push(line);
    }
    let vkey = witness(6).public().to_string();
    let raw = BASE64.decode(vkey.splitn(3, '+').nth(2).unwrap()).unwrap();
    let theirs: Vec<Box<dyn signed_note::Verifier>> = vec![
        Box::new(StandardVerifier::new(&signer.public().to_string()).unwrap()),
        Box::new(Cosignatures {
            name: witness(6).public().name().to_owned(),
            key: ed25519_dalek::VerifyingKey::try_from(&raw[1..]).unwrap(),
        }),
    ];
    let read = TheirNote::from_bytes(note.to_string().as_bytes()).unwrap();
    let (verified, unverified) = read.verify(&VerifierList::new(theirs)).unwrap();
    let names: Vec<&str> = verified.iter().map(|line| line.name()).collect();
    assert_eq!(names, [ORIGIN, "witness.example.com/6"]);
    assert_eq!(unverified.len(), 1);
    assert_eq!(read.to_bytes(), note.to_string().into_bytes());
}
