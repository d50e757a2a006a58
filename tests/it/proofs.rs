//! Proofs that leave the server: written there, verified where there is nothing but a key.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use countersign::admit::history::history;
use countersign::git::Repo;
use countersign::record::Record;

use crate::second_verifier::python;
use crate::support::server::scrubbed;
use crate::support::{Checkout, MAIN, Outcome, REPOSITORY, Server, approved_topic, two_people};

/// A folder that is no repository, with a proof and the key.
struct Elsewhere {
    folder: tempfile::TempDir,
    proof: PathBuf,
    key: PathBuf,
}

impl Elsewhere {
    fn with(server: &Server, what: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proof = folder.path().join("a.tlog-proof");
        let mut args = vec!["log", "prove"];
        args.extend(what);
        args.extend(["-o", proof.to_str().unwrap()]);
        server.cli(&args).accepted();
        let key = folder.path().join("vkey");
        fs::copy(server.record("log/vkey"), &key).unwrap();
        Self { folder, proof, key }
    }

    #[must_use]
    fn verify(&self, more: &[&str]) -> Outcome {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), self.folder.path());
        command.args(["verify", "proof"]).arg(&self.proof);
        command.arg("--key").arg(&self.key).args(more);
        Outcome::of(&mut command, b"")
    }

    #[must_use]
    fn python(&self, more: &[&Path]) -> Outcome {
        let args = [
            Path::new("--proof"),
            &self.proof,
            Path::new("--key"),
            &self.key,
        ];
        python(&[&args[..], more].concat())
    }

    /// Asserts that both verifiers give this answer.
    #[track_caller]
    fn both(&self, good: bool, what: &str) {
        for outcome in [self.verify(&[]), self.python(&[])] {
            assert_eq!(outcome.status, Some(i32::from(!good)), "{what}: {outcome}");
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.proof).unwrap()
    }
}

fn landed() -> (Server, Checkout, Checkout, String) {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    (server, alice, bob, head)
}

/// The entry of a reviewed commit is proven away from the repository, with what it says.
#[test]
fn prove_a_commit() {
    let (server, .., head) = landed();
    let old = server.git(&["rev-parse", &format!("{head}^")]);
    let there = Elsewhere::with(&server, &["--commit", &head, "--onto", "main"]);
    there.both(true, "as written");
    let told = there.verify(&["--json"]).accepted().json();
    assert_eq!(told["ok"], true);
    assert_eq!(told["index"], 2);
    assert_eq!(told["size"], 3);
    assert_eq!(told["state"], "reviewed");
    assert_eq!(told["reviewed"], true);
    assert_eq!(told["reviewers"], serde_json::json!(["bob"]));
    let entry = &told["entry"];
    assert_eq!(entry["ref"], MAIN);
    assert_eq!(entry["old"].as_str(), Some(old.as_str()));
    assert_eq!(entry["new"].as_str(), Some(head.as_str()));
    assert_eq!(entry["pusher"]["person"], "alice");
    assert_eq!(entry["mode"], "enforce");
    for said in [MAIN, &old, &head, "alice", "bob", "accept", "enforce"] {
        there.verify(&[]).accepted().says(said).either();
    }
    there.verify(&["--commit", &head]).exits(0);
    there
        .verify(&["--commit", &head, "--onto", "main"])
        .exits(0);
    there.verify(&["--commit", &old]).exits(1);
    there
        .verify(&["--commit", &head, "--onto", "next"])
        .exits(1);
    there.verify(&["--commit", "main"]).exits(2);
    there.verify(&["--repository", REPOSITORY]).exits(0);
    let other = there.verify(&["--repository", "git.example.com/other"]);
    other.exits(1).says(REPOSITORY);
    // It is of a log of one, whatever that is called.
    there.verify(&["--of", "payments"]).exits(1);
    let review = Elsewhere::with(&server, &["1"]);
    let unsaid = review.verify(&["--repository", REPOSITORY]);
    unsaid.exits(1).says("does not say");
    // The key as a word instead of a file.
    let line = fs::read_to_string(&there.key).unwrap();
    let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), there.folder.path());
    command.args(["verify", "proof", "a.tlog-proof", "--key", line.trim_end()]);
    Outcome::of(&mut command, b"").accepted().either();
}

/// Every entry has its proof, whatever it is, from the first to the last, also after the log grew.
#[test]
fn prove_every_entry() {
    let (server, alice, bob, _) = landed();
    let early: Vec<_> = ["0", "1", "2"]
        .map(|index| Elsewhere::with(&server, &[index]))
        .into();
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let late: Vec<_> = ["0", "1", "2", "3", "4"]
        .map(|index| Elsewhere::with(&server, &[index]))
        .into();
    for there in early.iter().chain(&late) {
        there.both(true, "an entry");
    }
    // Only a landing makes a commit reviewed.
    late[4].verify(&["--commit", &next]).exits(0);
    late[3].verify(&["--commit", &next]).exits(1);
    late[0].verify(&["--onto", "main"]).exits(1);
    server.cli(&["log", "prove", "5"]).exits(2);
    server.cli(&["log", "prove"]).exits(2);
    server
        .cli(&["log", "prove", "0", "--commit", &next])
        .exits(2);
}

/// What is not reviewed gets no proof of being so; the entry itself may be proven.
#[test]
fn no_proof_of_what_is_not_reviewed() {
    let (server, alice, .., head) = landed();
    let base = server.git(&["rev-parse", &format!("{head}^")]);
    let topic = alice.change("c.txt", "three\n");
    alice.share(&topic);
    for commit in [base.as_str(), &topic, &"1".repeat(40)] {
        server.cli(&["log", "prove", "--commit", commit]).exits(1);
    }
    server
        .cli(&["log", "prove", "--commit", &head, "--onto", "release/1"])
        .exits(1);
}

/// A proof with any line changed, another entry or another key proves nothing, to either verifier.
#[test]
fn refuse_altered_proofs() {
    let (server, alice, bob, _) = landed();
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let there = Elsewhere::with(&server, &["2"]);
    let good = there.text();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    assert!(
        lines[1].starts_with("extra ") && lines[2] == "index 2\n",
        "{good}"
    );
    let blank = lines.iter().position(|line| *line == "\n").unwrap();
    assert_eq!(blank, 6, "three hashes: {good}");
    let mut bad: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut without = lines.clone();
        without.remove(at);
        bad.push(without.concat());
        let mut twice = lines.clone();
        twice.insert(at, line);
        bad.push(twice.concat());
        let mut flipped = good.clone().into_bytes();
        let start: usize = lines[..at].iter().map(|line| line.len()).sum();
        let middle = start + line.trim_end().len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8_lossy(&flipped).into_owned());
    }
    for (from, to) in [
        ("index 2\n", "index 3\n"),
        ("index 2\n", "index 02\n"),
        ("index 2\n", "index 2 \n"),
        ("index 2\n", "index 2\r\n"),
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("\n\n", "\n\n\n"),
    ] {
        bad.push(good.replacen(from, to, 1));
    }
    let mut hashes = lines.clone();
    hashes.swap(3, 4);
    bad.push(hashes.concat());
    bad.push(good.clone() + "\n");
    for (number, text) in bad.iter().enumerate() {
        fs::write(&there.proof, text).unwrap();
        // The checkpoint's one signature line may stand twice: both are good.
        let good = number == (lines.len() - 1) * 3 + 1;
        there.both(good, text);
    }
    fs::write(&there.proof, &good).unwrap();
    let other = two_people().0;
    fs::copy(other.record("log/vkey"), &there.key).unwrap();
    there.both(false, "the key of another log");
    fs::write(&there.key, "no key\n").unwrap();
    there.verify(&[]).exits(2);
}

/// Without `extra` the entry comes in a file of its own; one that is not the carried one is refused.
#[test]
fn the_entry_beside_the_proof() {
    let (server, ..) = landed();
    let there = Elsewhere::with(&server, &["2"]);
    let good = there.text();
    let extra = good.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
    let entry = there.folder.path().join("entry");
    fs::write(&entry, BASE64.decode(extra).unwrap()).unwrap();
    let given = ["--entry", entry.to_str().unwrap()];
    let given_path = [Path::new("--entry"), entry.as_path()];
    there.verify(&given).exits(0);
    there.python(&given_path).exits(0);
    let bare = good.replacen(&format!("extra {extra}\n"), "", 1);
    fs::write(&there.proof, bare).unwrap();
    there.both(false, "no entry");
    there.verify(&given).exits(0);
    there.python(&given_path).exits(0);
    fs::write(&entry, b"{}").unwrap();
    there.verify(&given).exits(1);
    there.python(&given_path).exits(1);
    fs::write(&there.proof, &good).unwrap();
    there.verify(&given).exits(1);
    there.python(&given_path).exits(1);
    there.verify(&["--entry", "/nowhere"]).exits(2);
}

/// Whatever shares the log is replayed in, at once or one after the other, the same comes out, of a
/// history that holds and of one that does not.
#[test]
fn replay_in_shares() {
    let (server, alice, bob, _) = landed();
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let replay = |shares: &[std::ops::Range<u64>]| {
        let repo = Repo::open(server.repo(), None).unwrap();
        let record = Record::open(&server.record("")).unwrap();
        record.distrust_index().unwrap();
        history(&repo, &record, shares, &mut |_| ()).unwrap()
    };
    for good in [true, false] {
        let whole = replay(std::slice::from_ref(&(0..5)));
        assert_eq!(whole.problems.is_empty(), good, "{whole:?}");
        assert_eq!(whole.entries, 5);
        for shares in [&[0..2, 2..5][..], &[0..1, 1..2, 2..3, 3..4, 4..5]] {
            assert_eq!(replay(shares), whole);
        }
        if good {
            let object = format!("objects/{}/{}", &next[..2], &next[2..]);
            fs::remove_file(server.repo().join(object)).unwrap();
        }
    }
}

/// A later verification takes an earlier checkpoint's word for what came before, and no more.
#[test]
fn verify_from_a_checkpoint() {
    let (server, alice, bob, _) = landed();
    let kept = server.folder().join("kept");
    fs::copy(server.record("log/checkpoint"), &kept).unwrap();
    let from = ["--from", kept.to_str().unwrap()];
    let json = |what: [&str; 2]| {
        let args = [&what[..], &from[..], &["--json"]].concat();
        server.cli(&args).json()
    };
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let log = json(["log", "verify"]);
    assert_eq!((&log["ok"], &log["from"]), (&true.into(), &3.into()));
    assert_eq!(log["kinds"], serde_json::json!({"landed": 1, "review": 1}));
    let history = json(["verify", "history"]);
    assert_eq!(
        (&history["ok"], &history["from"]),
        (&true.into(), &3.into())
    );
    assert_eq!(history["entries"], 2);
    assert_eq!(history["reviewed"], 1);
    let whole = server.cli(&["verify", "history", "--json"]).json();
    assert_eq!(whole["entries"], 5);
    // What came after is held as strictly.
    server.git(&["update-ref", MAIN, &format!("{next}^")]);
    let history = json(["verify", "history"]);
    assert_eq!(history["ok"], false, "{history}");
    let other = two_people().0;
    fs::copy(other.record("log/checkpoint"), &kept).unwrap();
    for what in [["log", "verify"], ["verify", "history"]] {
        server.cli(&[&what[..], &from[..]].concat()).exits(1);
        server
            .cli(&[&what[..], &["--from", "/nowhere"]].concat())
            .exits(2);
    }
}
