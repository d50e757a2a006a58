//! A log asks for cosignatures: from witnesses that are as they should be, and from others.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use super::witness::Fork;
use super::*;
use crate::record::http::{Http, HttpError};
use crate::record::{Answer, AskError, Checkpoint, RecordError, SKEW, Witness, verify_proof};
use crate::wire::cosignature::Cosigner;
use crate::wire::log_policy::LogPolicy;
use crate::wire::note::{Note, NoteSignature};

type Reply = (u16, Vec<u8>);

/// Answers every request's body over HTTP, one connection a request; returns the address.
fn serve(answer: impl Fn(&[u8]) -> Reply + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let (head, body) = loop {
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    assert!(count > 0);
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                });
                let length: usize = length.unwrap().trim().parse().unwrap();
                if body.len() >= length {
                    break (head.to_owned(), body.to_owned());
                }
            };
            assert!(head.starts_with("POST /add-checkpoint HTTP/1.1"), "{head}");
            let (status, reply) = answer(body.as_bytes());
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                reply.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            // Who has read enough hangs up.
            stream.write_all(&reply).ok();
        }
    });
    url
}

/// The answers of a witness that is in this process.
fn honest(witness: Arc<Witness>) -> impl Fn(&[u8]) -> Reply {
    move |body| match witness.add_checkpoint(body, time(100)).unwrap() {
        Answer::Cosigned { line, .. } => (200, format!("{line}\n").into_bytes()),
        Answer::Conflict(size) => (409, format!("{size}\n").into_bytes()),
        Answer::Refused(refusal) => (422, refusal.to_string().into_bytes()),
    }
}

fn witness(fork: &Fork, name: &str) -> (Arc<Witness>, String) {
    let folder = fork.witness(name);
    let name = format!("witness.example.com/{name}");
    let witness = Arc::new(Witness::open(&folder, Some(&name)).unwrap());
    let url = serve(honest(Arc::clone(&witness)));
    (witness, url)
}

fn ask(record: &Record, witness: &Witness, url: &str) -> Result<NoteSignature, AskError> {
    let submission = record.submission().unwrap();
    let asked = submission.ask(&Http::default(), url, witness.key(), time(110));
    asked.map(|(line, _)| line)
}

fn trust(witnesses: &[&Arc<Witness>], quorum: usize) -> LogPolicy {
    let keys: Vec<_> = witnesses.iter().map(|it| it.key().clone()).collect();
    LogPolicy::of(None, &keys, quorum)
}

/// After a rotation proofs are by the key that verifiers are told, also where no witness has cosigned
/// since.
#[test]
fn proofs_follow_the_key_before_the_witnesses() {
    let fork = Fork::new();
    let log = &fork.one;
    let (one, url) = witness(&fork, "w1");
    let line = ask(log, &one, &url).unwrap();
    let note = log.submission().unwrap().note().clone();
    log.publish(&note, &[line], &trust(&[&one], 1)).unwrap();
    super::rotations::rotate(log, 50).unwrap().unwrap();
    append(log, &[Entry::Adopted(adopted(51, 1, Some(2)))]);
    let proof = log.prove(4).unwrap().to_string();
    let proven = verify_proof(proof.as_bytes(), &log.key(), None).unwrap();
    assert_eq!((proven.index, proven.checkpoint.size), (4, 7));
}

/// A log gets its cosignatures, also from a witness that knows more than is on file; a quorum makes
/// it final, and stays so as the log grows.
#[test]
fn becomes_final() {
    let fork = Fork::new();
    let log = &fork.one;
    let (one, one_url) = witness(&fork, "w1");
    let (two, two_url) = witness(&fork, "w2");
    let (three, _) = witness(&fork, "w3");
    let trust = trust(&[&one, &two, &three], 2);
    assert_eq!(log.finality(&trust).unwrap().sealed(), 0);
    let first = ask(log, &one, &one_url).unwrap();
    let note = log.submission().unwrap().note().clone();
    let found = log
        .publish(&note, std::slice::from_ref(&first), &trust)
        .unwrap();
    assert_eq!((found.size, found.sealed()), (5, 0));
    assert!(!log.dir().join("log/checkpoint.final").exists());
    // In another run the second one comes in: both count.
    let second = ask(log, &two, &two_url).unwrap();
    let found = log.publish(&note, &[second], &trust).unwrap();
    assert_eq!((found.size, found.sealed()), (5, 5));
    assert!(found.covers(4) && !found.covers(5));
    let by: Vec<_> = found.last.unwrap().1.by.into_keys().collect();
    assert_eq!(by, ["witness.example.com/w1", "witness.example.com/w2"]);
    let newest = std::fs::read(log.dir().join("log/checkpoint")).unwrap();
    let sealed = std::fs::read(log.dir().join("log/checkpoint.final")).unwrap();
    assert_eq!(newest, sealed);
    assert_eq!(Note::parse(&newest).unwrap().signatures.len(), 3);
    // The log reads its own checkpoint as before, and grows without asking anybody.
    append(log, &[Entry::Adopted(adopted(9, 1, None))]);
    assert_sound(log.dir());
    let found = log.finality(&trust).unwrap();
    assert_eq!((found.size, found.sealed()), (6, 5));
    // What is final is proven with its cosignatures, what is not, without.
    for (index, lines, size) in [(4, 3, 5), (5, 1, 6)] {
        let proof = log.prove(index).unwrap();
        assert_eq!(proof.checkpoint.signatures.len(), lines);
        let bytes = proof.to_string();
        let proven = crate::record::verify_proof(bytes.as_bytes(), &log.key(), None).unwrap();
        assert_eq!(proven.checkpoint.size, size);
        assert_eq!(trust.cosigned(&proven.note).unwrap().enough, lines == 3);
    }
    // Nothing on file says what the witnesses know: they say so themselves.
    std::fs::remove_file(log.dir().join("log/checkpoint.final")).unwrap();
    ask(log, &one, &one_url).unwrap();
    ask(log, &two, &two_url).unwrap();
}

/// Cosignatures that come in after the log grew make the older checkpoint final, and no older one
/// takes the place of a newer.
#[test]
fn is_published_late() {
    let fork = Fork::new();
    let log = &fork.one;
    let (one, url) = witness(&fork, "w1");
    let trust = trust(&[&one], 1);
    let old = log.submission().unwrap();
    let line = ask(log, &one, &url).unwrap();
    append(log, &[Entry::Adopted(adopted(9, 1, None))]);
    let before = std::fs::read(log.dir().join("log/checkpoint")).unwrap();
    let found = log
        .publish(old.note(), std::slice::from_ref(&line), &trust)
        .unwrap();
    assert_eq!((found.size, found.sealed()), (6, 5));
    assert_eq!(
        std::fs::read(log.dir().join("log/checkpoint")).unwrap(),
        before
    );
    let new = log.submission().unwrap();
    let line_of_new = ask(log, &one, &url).unwrap();
    log.publish(new.note(), &[line_of_new], &trust).unwrap();
    let found = log.publish(old.note(), &[line], &trust).unwrap();
    assert_eq!(found.sealed(), 6);
}

/// Whoever shows two witnesses two logs is found out by the first who is shown the other one, in
/// whatever way it is shown.
#[test]
fn a_split_view_is_found() {
    let fork = Fork::new();
    let (one, one_url) = witness(&fork, "w1");
    let (two, two_url) = witness(&fork, "w2");
    ask(&fork.one, &one, &one_url).unwrap();
    ask(&fork.other, &two, &two_url).unwrap();
    for (log, known, url) in [(&fork.one, &two, &two_url), (&fork.other, &one, &one_url)] {
        let error = ask(log, known, url).unwrap_err();
        assert!(matches!(error, AskError::Split { size: 5 }), "{error}");
        assert!(error.is_split() && error.is_refusal());
        append(log, &[Entry::Adopted(adopted(9, 1, None))]);
        let error = ask(log, known, url).unwrap_err();
        assert!(matches!(error, AskError::Split { size: 5 }), "{error}");
    }
}

/// A log from a backup is found while it is shorter, and still when it has grown past where it was.
#[test]
fn a_log_put_back_is_found() {
    let fork = Fork::new();
    let (one, url) = witness(&fork, "w1");
    let log = &fork.one;
    let backup = scratch();
    super::faults::copy(log.dir(), backup.path());
    append(log, &[Entry::Adopted(adopted(9, 1, None))]);
    append(log, &[Entry::Adopted(adopted(10, 1, None))]);
    ask(log, &one, &url).unwrap();
    let old = Record::open(backup.path()).unwrap();
    let error = ask(&old, &one, &url).unwrap_err();
    assert!(
        matches!(error, AskError::Ahead { theirs: 7, ours: 5 }),
        "{error}"
    );
    for size in 6..=9 {
        append(&old, &[Entry::Adopted(adopted(size, 4, None))]);
        let error = ask(&old, &one, &url).unwrap_err();
        assert!(error.is_split(), "{size}: {error}");
    }
}

/// A log that grew under the eyes of another run is no log that was put back.
#[test]
fn growing_is_not_splitting() {
    let fork = Fork::new();
    let (one, url) = witness(&fork, "w1");
    let early = fork.one.submission().unwrap();
    append(&fork.one, &[Entry::Adopted(adopted(9, 1, None))]);
    ask(&fork.one, &one, &url).unwrap();
    let late = early.ask(&Http::default(), &url, one.key(), time(110));
    assert!(matches!(late, Err(AskError::Grew)), "{late:?}");
}

/// What final entries there were is not forgotten by a log that was put back under them.
#[test]
fn a_final_checkpoint_holds_the_log() {
    let fork = Fork::new();
    let (one, url) = witness(&fork, "w1");
    let trust = trust(&[&one], 1);
    let line = ask(&fork.one, &one, &url).unwrap();
    let submission = fork.one.submission().unwrap();
    fork.one
        .publish(submission.note(), &[line], &trust)
        .unwrap();
    let sealed = fork.one.dir().join("log/checkpoint.final");
    let other = &fork.other;
    std::fs::copy(sealed, other.dir().join("log/checkpoint.final")).unwrap();
    for _ in 0..2 {
        let found = other.finality(&trust);
        assert!(
            matches!(found, Err(RecordError::Damaged { .. })),
            "{found:?}"
        );
        let note = other.submission().unwrap().note().clone();
        let published = other.publish(&note, &[], &trust);
        assert!(published.is_err(), "{published:?}");
        append(other, &[Entry::Adopted(adopted(9, 1, None))]);
    }
}

/// A final checkpoint of a key that the log does not have any more makes nothing final, and is in
/// nobody's way.
#[test]
fn another_key_seals_nothing() {
    let fork = Fork::new();
    let (one, url) = witness(&fork, "w1");
    let trust = trust(&[&one], 1);
    let log = &fork.one;
    let line = ask(log, &one, &url).unwrap();
    let mut note = log.submission().unwrap().note().clone();
    let old_key = crate::wire::note::NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    note = old_key.sign(&note.text);
    note.signatures.push(line.clone());
    let path = log.dir().join("log/checkpoint.final");
    std::fs::write(&path, note.to_string()).unwrap();
    assert_eq!(log.finality(&trust).unwrap().sealed(), 0);
    assert_eq!(log.prove(4).unwrap().checkpoint.signatures.len(), 1);
    let note = log.submission().unwrap().note().clone();
    let found = log.publish(&note, &[line], &trust).unwrap();
    assert_eq!(found.sealed(), 5);
    assert_eq!(log.prove(4).unwrap().checkpoint.signatures.len(), 2);
    // But one that its key signed, and that is damaged, is an error.
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in [
        text.replace("\n5\n", "\n4\n"),
        text[..text.len() - 9].to_owned() + "\n",
    ] {
        std::fs::write(&path, bad).unwrap();
        assert!(log.finality(&trust).is_err());
    }
}

/// Publishing dies anywhere: the log stays sound, and what is final is what was, or what should be.
#[test]
fn publishing_is_all_or_nothing() {
    let fork = Fork::new();
    let (one, url) = witness(&fork, "w1");
    let trust = trust(&[&one], 1);
    let line = ask(&fork.one, &one, &url).unwrap();
    let note = fork.one.submission().unwrap().note().clone();
    let act = |disk: crate::record::disk::Disk, dir: &Path| {
        let record = Record::open_on(disk, dir).unwrap();
        record
            .publish(&note, std::slice::from_ref(&line), &trust)
            .is_err()
    };
    let check = |dir: &Path, failed: bool| {
        assert_sound(dir);
        let sealed = Record::open(dir)
            .unwrap()
            .finality(&trust)
            .unwrap()
            .sealed();
        assert!(sealed == 5 || failed && sealed == 0, "{sealed}");
        let record = Record::open(dir).unwrap();
        let again = record.publish(&note, std::slice::from_ref(&line), &trust);
        assert_eq!(again.unwrap().sealed(), 5);
        append(&record, &[Entry::Adopted(adopted(9, 1, None))]);
    };
    super::faults::at_every_step(fork.one.dir(), &super::faults::ALL, act, check);
}

/// Answers that are no cosignature of this checkpoint by this key are not taken, each for its reason.
#[test]
fn takes_no_other_answer() {
    let fork = Fork::new();
    let log = &fork.one;
    let key = Cosigner::from_seed("witness.example.com/w1", &[3; 32]).unwrap();
    let renamed = Cosigner::from_seed("witness.example.com/w2", &[3; 32]).unwrap();
    let namesake = Cosigner::from_seed("witness.example.com/w1", &[4; 32]).unwrap();
    let submission = log.submission().unwrap();
    let text = submission.note().text.clone();
    let now = u64::try_from(time(110).as_second()).unwrap();
    let skew = SKEW.unsigned_abs();
    let good = key.cosign(&text, now);
    let empty = Checkpoint::empty(ORIGIN);
    let other = {
        let raw = std::fs::read_to_string(log.dir().join("key")).unwrap();
        let signer = crate::wire::note::NoteSigner::parse(raw.trim_end()).unwrap();
        empty.sign(&signer).text
    };
    let cut = NoteSignature {
        signature: good.signature[8..].to_vec(),
        ..good.clone()
    };
    let ask = |status: u16, body: Vec<u8>| {
        let url = serve(move |_| (status, body.clone()));
        let asked = submission.ask(&Http::default(), &url, key.public(), time(110));
        asked.map(|(line, _)| line)
    };
    let line = |line: &NoteSignature| format!("{line}\n").into_bytes();
    assert_eq!(ask(200, line(&good)).unwrap(), good);
    // Lines of others beside it are let be.
    let both = [line(&namesake.cosign(&text, now)), line(&good)].concat();
    assert_eq!(ask(200, both).unwrap(), good);
    let is = |found: Result<NoteSignature, AskError>, right: fn(&AskError) -> bool| {
        let error = found.unwrap_err();
        assert!(right(&error), "{error:?}");
        assert!(!error.is_split(), "{error:?}");
    };
    let not_its: fn(&AskError) -> bool = |error| matches!(error, AskError::NotIts);
    is(ask(200, line(&namesake.cosign(&text, now))), not_its);
    is(ask(200, line(&renamed.cosign(&text, now))), not_its);
    let bad: fn(&AskError) -> bool = |error| matches!(error, AskError::Bad(_));
    is(ask(200, line(&key.cosign(&other, now))), bad);
    is(ask(200, line(&cut)), bad);
    let with_bad = [line(&good), line(&key.cosign(&other, now))].concat();
    is(ask(200, with_bad), bad);
    let old: fn(&AskError) -> bool = |error| matches!(error, AskError::Time(_));
    is(ask(200, line(&key.cosign(&text, now - skew - 1))), old);
    is(ask(200, line(&key.cosign(&text, now + skew + 1))), old);
    assert!(ask(200, line(&key.cosign(&text, now - skew))).is_ok());
    let garbled: fn(&AskError) -> bool = |error| matches!(error, AskError::Garbled(_));
    for body in [&b""[..], b"OK\n", b"<html>", "\u{2014} a b\n".as_bytes()] {
        is(ask(200, body.to_vec()), garbled);
    }
    is(ask(409, b"soon\n".to_vec()), garbled);
    is(ask(200, vec![b'a'; 1 << 20]), |error| {
        matches!(error, AskError::Http(HttpError::TooLarge { .. }))
    });
    is(ask(404, Vec::new()), |error| {
        matches!(error, AskError::Unknown)
    });
    is(ask(403, Vec::new()), |error| {
        matches!(error, AskError::OtherKey)
    });
    for status in [201, 302, 400, 429, 500, 503] {
        is(
            ask(status, b"words\n".to_vec()),
            |error| matches!(error, AskError::Status { words, .. } if words == "words"),
        );
    }
}

/// A witness that names one size after the other is not asked for ever.
#[test]
fn gives_up() {
    let fork = Fork::new();
    let key = Cosigner::from_seed("witness.example.com/w1", &[3; 32]).unwrap();
    let asked = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let url = serve(move |_| {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (409, format!("{}\n", count % 2 + 1).into_bytes())
    });
    let submission = fork.one.submission().unwrap();
    let found = submission.ask(&Http::default(), &url, key.public(), time(110));
    assert!(matches!(found, Err(AskError::Restless)), "{found:?}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 3);
}
