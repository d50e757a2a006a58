//! The witness itself: what it cosigns, what it refuses, and that it never cosigns two logs.

use sha2::{Digest as _, Sha256};

use super::faults::{ALL, at_every_step, copy};
use super::*;
use crate::record::disk::{Disk, Fault};
use crate::record::{Answer, RecordError, Refusal, Witness};
use crate::wire::cosignature::CosignerKey;
use crate::wire::note::{Note, NoteSigner};
use crate::wire::witness::AddCheckpoint;

const NAME: &str = "witness.example.com/w1";

/// Two logs of one key that are the same for three entries, and differ from there on.
pub(super) struct Fork {
    dir: tempfile::TempDir,
    pub(super) one: Record,
    pub(super) other: Record,
}

impl Fork {
    pub(super) fn new() -> Self {
        let dir = scratch();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let record = Record::create(&one, ORIGIN).unwrap();
        append(&record, &entries(0..3, 0));
        drop(record);
        copy(&one, &other);
        let fork = Self {
            one: Record::open(&one).unwrap(),
            other: Record::open(&other).unwrap(),
            dir,
        };
        append(&fork.one, &entries(3..5, 1));
        append(&fork.other, &entries(3..5, 2));
        fork
    }

    /// A folder with a witness's `logs` in it.
    pub(super) fn witness(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("# logs\n\n{}\n", self.one.vkey());
        std::fs::write(folder.join("logs"), text).unwrap();
        folder
    }
}

fn entries(range: std::ops::Range<i64>, what: u64) -> Vec<Entry> {
    let one = |second| Entry::Adopted(adopted(second, what, Some(2)));
    range.map(one).collect()
}

/// The request that takes a witness from `old` to the first `size` entries of a log.
fn request(record: &Record, old: u64, size: u64) -> AddCheckpoint {
    let whole = record.submission().unwrap();
    let checkpoint = match size == record.size() {
        true => whole.note().clone(),
        false => at(record, size),
    };
    AddCheckpoint {
        old,
        proof: record.consistency(old, size).unwrap(),
        checkpoint,
    }
}

/// The checkpoint of an earlier size, as the log signed it then.
fn at(record: &Record, size: u64) -> Note {
    let tiles = crate::record::tiles::Tiles {
        storage: &Disk::default(),
        dir: &record.dir().join("log"),
        size,
    };
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root: crate::record::proof::root(&tiles, size).unwrap(),
    };
    checkpoint.sign(&signer(record))
}

fn signer(record: &Record) -> NoteSigner {
    let line = std::fs::read_to_string(record.dir().join("key")).unwrap();
    NoteSigner::parse(line.trim_end()).unwrap()
}

use crate::record::Checkpoint;

fn ask(witness: &Witness, request: &AddCheckpoint) -> Result<Answer, RecordError> {
    witness.add_checkpoint(request.to_string().as_bytes(), time(100))
}

#[track_caller]
fn cosigned(witness: &Witness, request: &AddCheckpoint) {
    let Answer::Cosigned { checkpoint, line } = ask(witness, request).unwrap() else {
        panic!("not cosigned: {:?}", ask(witness, request));
    };
    let mut note = request.checkpoint.clone();
    note.signatures.push(line);
    let at = u64::try_from(time(100).as_second()).unwrap();
    assert_eq!(witness.key().verify(&note), Ok(Some(at)));
    // What can be read is what was cosigned, with both signatures.
    let hash = faster_hex::hex_string(&Sha256::digest(&checkpoint.origin));
    let read = witness.checkpoint(&hash).unwrap().unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), note.to_string());
}

/// From nothing to three entries, to five, and five again: each continues the last.
#[test]
fn cosigns_what_continues() {
    let fork = Fork::new();
    let witness = Witness::open(&fork.witness("w"), Some(NAME)).unwrap();
    cosigned(&witness, &request(&fork.one, 0, 0));
    cosigned(&witness, &request(&fork.one, 0, 3));
    cosigned(&witness, &request(&fork.one, 3, 5));
    cosigned(&witness, &request(&fork.one, 5, 5));
    assert_eq!(witness.checkpoint("..").unwrap(), None);
    assert_eq!(witness.checkpoint(&"0".repeat(64)).unwrap(), None);
}

/// A log that was split or put back gets nothing, however it is asked for.
#[test]
fn refuses_another_history() {
    let fork = Fork::new();
    let witness = Witness::open(&fork.witness("w"), Some(NAME)).unwrap();
    cosigned(&witness, &request(&fork.one, 0, 5));
    let other = &fork.other;
    for (asked, answer) in [
        (request(other, 5, 5), Answer::Conflict(5)),
        (request(other, 3, 5), Answer::Conflict(5)),
        (request(other, 0, 5), Answer::Conflict(5)),
        (request(other, 3, 3), Answer::Conflict(5)),
    ] {
        assert_eq!(ask(&witness, &asked).unwrap(), answer, "{asked}");
    }
    append(other, &entries(5..9, 2));
    let inconsistent = |old, size| Answer::Refused(Refusal::Inconsistent { old, size });
    let longer = request(other, 5, 9);
    assert_eq!(ask(&witness, &longer).unwrap(), inconsistent(5, 9));
    let proofs = [Vec::new(), vec![[0; 32]; 3], vec![[0; 32]; 63]];
    for proof in proofs {
        let forged = AddCheckpoint {
            proof,
            ..longer.clone()
        };
        assert_eq!(ask(&witness, &forged).unwrap(), inconsistent(5, 9));
    }
    let down = AddCheckpoint {
        old: 5,
        proof: Vec::new(),
        checkpoint: request(&fork.one, 3, 3).checkpoint,
    };
    let backwards = Answer::Refused(Refusal::Backwards { old: 5, size: 3 });
    assert_eq!(ask(&witness, &down).unwrap(), backwards);
    // And it goes on with the one it knows.
    append(&fork.one, &entries(5..7, 1));
    cosigned(&witness, &request(&fork.one, 5, 7));
}

/// A proof where none may be is refused: also for the first checkpoint, and for the same one again.
#[test]
fn wants_no_proof_where_there_is_none() {
    let fork = Fork::new();
    let witness = Witness::open(&fork.witness("w"), Some(NAME)).unwrap();
    for (old, size) in [(0, 5), (5, 5)] {
        let good = request(&fork.one, old, size);
        let more = AddCheckpoint {
            proof: vec![[0; 32]],
            ..good.clone()
        };
        let refused = Answer::Refused(Refusal::Inconsistent { old, size });
        assert_eq!(ask(&witness, &more).unwrap(), refused);
        cosigned(&witness, &good);
    }
}

/// An unknown log, another key, no checkpoint and no request have their answers, and leave no trace.
#[test]
fn refuses_strangers() {
    let fork = Fork::new();
    let folder = fork.witness("w");
    let witness = Witness::open(&folder, Some(NAME)).unwrap();
    let good = request(&fork.one, 0, 5);
    let text = &good.checkpoint.text;
    let with = |checkpoint: Note| AddCheckpoint {
        checkpoint,
        ..good.clone()
    };
    let stranger = NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    let untrusted = Answer::Refused(Refusal::Untrusted(ORIGIN.to_owned()));
    assert_eq!(
        ask(&witness, &with(stranger.sign(text))).unwrap(),
        untrusted
    );
    let mut broken = good.checkpoint.clone();
    broken.signatures[0].signature[0] ^= 1;
    assert_eq!(ask(&witness, &with(broken)).unwrap(), untrusted);
    let mut other = good.checkpoint.clone();
    other.text = other.text.replace(ORIGIN, "example.com/other");
    let unknown = Answer::Refused(Refusal::Unknown("example.com/other".to_owned()));
    assert_eq!(ask(&witness, &with(other)).unwrap(), unknown);
    let extended = signer(&fork.one).sign(&format!("{text}more\n"));
    for bad in [with(extended).to_string(), "old 0\n".to_owned()] {
        let answer = witness.add_checkpoint(bad.as_bytes(), time(0)).unwrap();
        let is_form = matches!(
            answer,
            Answer::Refused(Refusal::Form(_) | Refusal::Checkpoint(_))
        );
        assert!(is_form, "{answer:?}");
    }
    let folders = std::fs::read_dir(&folder).unwrap();
    let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 0);
    // Lines of others, a stranger's of the same name among them, do not matter and are not kept.
    let mut noisy = good.checkpoint.clone();
    noisy
        .signatures
        .insert(0, stranger.sign(text).signatures.remove(0));
    let answer = ask(&witness, &with(noisy)).unwrap();
    assert!(matches!(answer, Answer::Cosigned { .. }));
    let hash = faster_hex::hex_string(&Sha256::digest(ORIGIN));
    let kept = witness.checkpoint(&hash).unwrap().unwrap();
    assert_eq!(Note::parse(&kept).unwrap().signatures.len(), 2);
}

/// A log that changed its key is known by both, as long as both are listed.
#[test]
fn knows_a_log_by_several_keys() {
    let fork = Fork::new();
    let folder = fork.witness("w");
    let second = NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    let witness = Witness::open(&folder, Some(NAME)).unwrap();
    let mut asked = request(&fork.one, 0, 5);
    asked.checkpoint = second.sign(&asked.checkpoint.text);
    assert!(matches!(ask(&witness, &asked), Ok(Answer::Refused(_))));
    let logs = format!("{}\n{}\n", fork.one.vkey(), second.public());
    std::fs::write(folder.join("logs"), logs).unwrap();
    cosigned(&witness, &asked);
    std::fs::write(folder.join("logs"), "no key\n").unwrap();
    let error = ask(&witness, &asked).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
}

/// State that this witness did not write is damage and never "nothing cosigned yet".
#[test]
fn believes_only_what_it_wrote() {
    let fork = Fork::new();
    let folder = fork.witness("w");
    let witness = Witness::open(&folder, Some(NAME)).unwrap();
    cosigned(&witness, &request(&fork.one, 0, 3));
    let hash = faster_hex::hex_string(&Sha256::digest(ORIGIN));
    let path = folder.join(hash).join("checkpoint");
    let good = std::fs::read_to_string(&path).unwrap();
    let unsigned = request(&fork.one, 0, 3).checkpoint.to_string();
    for bad in [String::new(), unsigned, good.replace("\n3\n", "\n0\n")] {
        std::fs::write(&path, bad).unwrap();
        let answer = ask(&witness, &request(&fork.other, 0, 5));
        assert!(
            matches!(answer, Err(RecordError::Checkpoint { .. })),
            "{answer:?}"
        );
    }
    std::fs::write(&path, good).unwrap();
    cosigned(&witness, &request(&fork.one, 3, 5));
}

/// The key is made once, is the owner's alone, and only one process has it at a time.
#[test]
fn keeps_its_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let fork = Fork::new();
    let folder = fork.witness("w");
    assert!(!Witness::exists(&folder));
    let witness = Witness::open(&folder, Some(NAME)).unwrap();
    let key = witness.key().clone();
    let line = std::fs::read_to_string(folder.join("vkey")).unwrap();
    assert_eq!(CosignerKey::parse(line.trim_end()), Ok(key.clone()));
    let second = Witness::open(&folder, None);
    assert!(matches!(second, Err(RecordError::Busy { .. })));
    drop(witness);
    assert_eq!(Witness::open(&folder, None).unwrap().key(), &key);
    let open = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(folder.join("key"), open).unwrap();
    let exposed = Witness::open(&folder, None);
    assert!(matches!(exposed, Err(RecordError::KeyExposed(_))));
}

/// The power goes at every write: of two logs at most one is ever cosigned, and what was answered
/// stays.
#[test]
fn never_cosigns_two_histories() {
    let fork = Fork::new();
    for known in [0, 3] {
        let start = fork.witness(&format!("known-{known}"));
        let witness = Witness::open(&start, Some(NAME)).unwrap();
        if known > 0 {
            cosigned(&witness, &request(&fork.one, 0, known));
        }
        drop(witness);
        let act = |disk: Disk, dir: &Path| {
            let witness = Witness::open_on(disk, dir, None).unwrap();
            ask(&witness, &request(&fork.one, known, 5)).is_err()
        };
        let check = |dir: &Path, failed: bool| {
            let witness = Witness::open(dir, None).unwrap();
            let other = ask(&witness, &request(&fork.other, known, 5)).unwrap();
            match other {
                Answer::Cosigned { .. } => {
                    assert!(failed, "both were cosigned");
                    let one = request(&fork.one, known, 5);
                    assert_eq!(ask(&witness, &one).unwrap(), Answer::Conflict(5));
                    let one = request(&fork.one, 5, 5);
                    assert_eq!(ask(&witness, &one).unwrap(), Answer::Conflict(5));
                }
                // What is there goes on to be cosigned, for the answer may be lost.
                Answer::Conflict(size) => {
                    assert_eq!(size, 5);
                    cosigned(&witness, &request(&fork.one, 5, 5));
                }
                Answer::Refused(refusal) => panic!("{refusal}"),
            }
        };
        at_every_step(&start, &ALL, act, check);
    }
}

/// A write whose name may not be durable is not built upon: the same size is written again before it
/// is cosigned.
#[test]
fn writes_again_what_may_be_lost() {
    let fork = Fork::new();
    let start = fork.witness("start");
    let witness = Witness::open(&start, Some(NAME)).unwrap();
    cosigned(&witness, &request(&fork.one, 0, 5));
    drop(witness);
    // With all writing lost, an answer is an error, though nothing would change.
    let act = |disk: Disk, dir: &Path| {
        let witness = Witness::open_on(disk, dir, None).unwrap();
        ask(&witness, &request(&fork.one, 5, 5)).is_err()
    };
    let mut failures = std::cell::Cell::new(0);
    let check = |_: &Path, failed: bool| failures.set(failures.get() + usize::from(failed));
    at_every_step(&start, &[Fault::Before], act, check);
    assert!(*failures.get_mut() >= 4, "{failures:?}");
}

/// A first start that dies anywhere can be repeated, and ends with one key.
#[test]
fn a_first_start_can_be_repeated() {
    let nowhere = scratch().path().join("witness");
    let act = |disk: Disk, dir: &Path| Witness::open_on(disk, dir, Some(NAME)).is_err();
    let check = |dir: &Path, failed: bool| {
        assert!(failed || Witness::exists(dir));
        let witness = Witness::open(dir, Some(NAME)).unwrap();
        let line = std::fs::read_to_string(dir.join("vkey")).unwrap();
        assert_eq!(line.trim_end(), witness.key().to_string());
    };
    at_every_step(&nowhere, &ALL, act, check);
}
