//! Logs and witnesses as processes, over HTTP: what becomes final, and what is found out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use countersign::record::Record;
use countersign::record::entry::{Adopted, Entry};
use countersign::wire::cosignature::CosignerKey;
use countersign::wire::name::RefName;
use countersign::wire::note::{Note, NoteSigner};
use countersign::wire::witness::AddCheckpoint;
use serde_json::{Value, json};

use crate::operator::append;
use crate::second_verifier::python;
use crate::support::config::PLAIN_RULE;
use crate::support::server::scrubbed;
use crate::support::witness::{Witness, witness_addresses, witnesses_table};
use crate::support::{
    Checkout, Outcome, People, REPOSITORY, Server, approved_topic, policy, two_people,
};

/// Three witnesses of which two are wanted, a server that knows them, and a reviewed commit.
struct Town {
    server: Server,
    witnesses: Vec<Witness>,
    alice: Checkout,
    bob: Checkout,
    home: tempfile::TempDir,
}

impl Town {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let names = ["w.example.com/1", "w.example.com/2", "w.example.com/3"];
        let witnesses: Vec<Witness> = names
            .iter()
            .map(|name| Witness::start(home.path(), name))
            .collect();
        let rules = PLAIN_RULE.to_owned() + &witnesses_table(&witnesses, 2);
        let server = Server::with(&policy(&rules), &People::new());
        witness_addresses(&server, &witnesses);
        witnesses.iter().for_each(|witness| witness.watch(&server));
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        Self {
            server,
            witnesses,
            alice,
            bob,
            home,
        }
    }

    fn land(&self, file: &str) -> String {
        let head = approved_topic(&self.alice, &self.bob, file);
        self.alice.land(&head).accepted();
        head
    }

    /// Runs `log witness --json`, which must exit so.
    #[track_caller]
    fn cosign(&self, exit: i32) -> Value {
        let outcome = self.server.cli(&["log", "witness", "--json"]);
        outcome.exits(exit).json()
    }

    /// A copy of the server's repository, as a backup has it.
    fn backup(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let to = self.home.path().join(format!("backup-{number}"));
        copy(self.server.repo(), &to);
        to
    }
}

fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    let mut command = std::process::Command::new("cp");
    assert!(
        command
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

/// Appends what needs no push.
fn grow(server: &Server, why: &str) {
    let record = Record::open(&server.record("")).unwrap();
    let last = record.entry(record.size() - 1).unwrap();
    let entry = Entry::Adopted(Adopted {
        at: last.at(),
        repository: REPOSITORY.to_owned(),
        name: RefName::from("refs/heads/release/x"),
        old: None,
        new: None,
        by: "git".to_owned(),
        reason: why.to_owned(),
        policy: false,
    });
    append(server, &[entry]);
}

/// The request that a log of this folder sends.
fn request(record: &Path, old: u64) -> String {
    let record = Record::open(record).unwrap();
    let request = AddCheckpoint {
        old,
        proof: record.consistency(old, record.size()).unwrap(),
        checkpoint: record.submission().unwrap().note().clone(),
    };
    request.to_string()
}

/// Two of three witnesses make the record final with one of them down; every verifier says how far,
/// and a proof carries it to where there is nothing but keys.
#[test]
fn quorum_with_one_down() {
    let mut town = Town::new();
    let first = town.land("a.txt");
    town.witnesses[0].kill();
    let told = town.cosign(0);
    assert_eq!(
        (&told["size"], &told["final"]["size"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(told["final"]["quorum"], 2);
    let by = told["final"]["cosigned"].as_object().unwrap();
    let names: Vec<_> = by.keys().collect();
    assert_eq!(names, ["w.example.com/2", "w.example.com/3"]);
    assert_eq!(told["witnesses"][0]["cosigned"], Value::Null);
    assert!(told["witnesses"][0]["problem"].is_string());
    // What landed since is not final yet, and appending asked nobody.
    let second = town.land("b.txt");
    let server = &town.server;
    for (what, commit) in [("first", &first), ("second", &second)] {
        let is_final = what == "first";
        server.cli(&["verify", "commit", commit]).exits(0);
        let args = ["verify", "commit", commit, "--final", "--json"];
        let told = server.cli(&args).exits(i32::from(!is_final)).json();
        assert_eq!(told["is_final"], is_final);
        assert_eq!(told["state"], "reviewed");
        assert_eq!(
            (&told["final"]["size"], &told["final"]["of"]),
            (&json!(3), &json!(5))
        );
    }
    for what in [["verify", "history"], ["log", "verify"]] {
        let told = server
            .cli(&[&what[..], &["--json"]].concat())
            .exits(0)
            .json();
        assert_eq!(
            (&told["final"]["size"], &told["final"]["of"]),
            (&json!(3), &json!(5))
        );
        server
            .cli(&what)
            .exits(0)
            .says("final: 3 of 5 entries")
            .either();
    }
    assert_proofs(&town, &first, &second);
}

/// The first commit's proof is final elsewhere, the second's is not; and no more is proven by a policy
/// that asks for more.
fn assert_proofs(town: &Town, first: &str, second: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let server = &town.server;
    let trust = server.cli(&["log", "witness", "--print-policy"]).exits(0);
    fs::write(path("trust"), &trust.stdout).unwrap();
    fs::write(
        path("all"),
        trust.stdout.replace("witnesses 2 ", "witnesses all "),
    )
    .unwrap();
    let none = trust.stdout.replace("quorum witnesses", "quorum none");
    fs::write(path("none"), none).unwrap();
    fs::copy(server.record("log/vkey"), path("vkey")).unwrap();
    for (name, commit) in [("first", first), ("second", second)] {
        let args = ["log", "prove", "--commit", commit, "-o", &path(name)];
        server.cli(&args).accepted();
    }
    let verify = |proof: &str, more: &[&str]| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), elsewhere.path());
        command.args(["verify", "proof", proof]).args(more);
        Outcome::of(&mut command, b"")
    };
    verify("first", &["--log-policy", "trust", "--commit", first]).exits(0);
    let told = verify("first", &["--log-policy", "trust", "--json"])
        .exits(0)
        .json();
    assert_eq!(told["is_final"], true);
    assert_eq!(told["cosigned"].as_object().unwrap().len(), 2);
    verify("first", &["--log-policy", "trust", "--key", "vkey"]).exits(0);
    for (proof, policy, exit) in [
        ("first", "trust", 0),
        ("first", "all", 1),
        ("second", "trust", 1),
        ("second", "none", 0),
    ] {
        verify(proof, &["--log-policy", policy]).exits(exit);
        by_python(&path(proof), &path("vkey"), &path(policy)).exits(exit);
    }
    let told = verify("second", &["--key", "vkey", "--json"])
        .exits(0)
        .json();
    assert_eq!(told["is_final"], Value::Null);
    // The key of another log, in the one place or the other.
    let other = two_people().0;
    fs::copy(other.record("log/vkey"), path("other")).unwrap();
    verify("first", &["--log-policy", "trust", "--key", "other"]).exits(2);
    let foreign = trust.stdout.lines().skip(1).map(|line| format!("{line}\n"));
    let other_key = fs::read_to_string(path("other")).unwrap();
    let foreign = format!("log {other_key}{}", foreign.collect::<String>());
    fs::write(path("foreign"), foreign).unwrap();
    verify("first", &["--log-policy", "foreign"]).exits(1);
    fs::write(path("bad"), "quorum w\n").unwrap();
    by_python(&path("first"), &path("vkey"), &path("bad")).exits(2);
    verify("first", &["--log-policy", "bad"])
        .exits(2)
        .says("line 1")
        .either();
    verify("first", &[]).exits(2);
    // One changed byte of a cosignature fails the whole, though two others might be enough.
    let proof = fs::read_to_string(path("first")).unwrap();
    let at = proof.rfind("w.example.com/3 ").unwrap() + 60;
    let mut bytes = proof.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(path("first"), bytes).unwrap();
    verify("first", &["--log-policy", "trust"]).exits(1);
    by_python(&path("first"), &path("vkey"), &path("trust")).exits(1);
    let (record, trust) = (server.record(""), path("trust"));
    let args = [
        record.as_path(),
        Path::new("--log-policy"),
        Path::new(&trust),
    ];
    python(&args)
        .exits(0)
        .says("final: 3 of 5 entries")
        .either();
}

/// The other verifier's answer to a proof.
fn by_python(proof: &str, key: &str, policy: &str) -> Outcome {
    let args = ["--proof", proof, "--key", key, "--log-policy", policy];
    python(&args.map(Path::new))
}

/// With too few there nothing is final, and that is no finding; once they are back, it becomes so.
#[test]
fn too_few_are_there() {
    let mut town = Town::new();
    town.land("a.txt");
    town.witnesses[0].kill();
    town.witnesses[1].kill();
    let told = town.cosign(3);
    assert_eq!(told["final"]["size"], 0);
    assert!(!town.server.record("log/checkpoint.final").exists());
    let back = town.witnesses.remove(0).restart();
    town.witnesses.insert(0, back);
    // The third one's word from before is still there, so these two are enough.
    town.witnesses[2].kill();
    let told = town.cosign(0);
    assert_eq!(told["final"]["size"], 3);
    assert_eq!(told["final"]["cosigned"].as_object().unwrap().len(), 2);
}

/// A witness that does not know the log, or knows another key for it, says so and does not count.
#[test]
fn strangers() {
    let town = Town::new();
    let other = two_people().0;
    fs::write(town.witnesses[0].folder().join("logs"), "# none\n").unwrap();
    town.witnesses[1].watch(&other);
    let told = town.cosign(1);
    assert_eq!(told["final"]["size"], 0);
    let problem = |at: usize| told["witnesses"][at]["problem"].as_str().unwrap();
    assert!(problem(0).contains("does not know this log"), "{told}");
    assert!(problem(1).contains("another key"), "{told}");
    assert_eq!(told["witnesses"][0]["split"], false);
    town.witnesses[0].watch(&town.server);
    let told = town.cosign(0);
    assert_eq!(told["final"]["size"], 1);
}

/// Without witnesses nothing is final, every verifier says what that means, and there is nobody to ask.
#[test]
fn without_witnesses() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server.cli(&["log", "witness"]).exits(2);
    server.cli(&["log", "witness", "--print-policy"]).exits(2);
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "commit", &head, "--final"]).exits(1);
    for what in [
        &["verify", "history"][..],
        &["log", "verify"],
        &["verify", "commit", &head],
    ] {
        let told = server.cli(&[what, &["--json"]].concat()).exits(0).json();
        assert_eq!(told["final"], Value::Null);
        let outcome = server.cli(what).exits(0);
        outcome.says("since the policy names no witnesses").either();
    }
}

/// A witness whose address the host does not have is not asked, and the others do without it.
#[test]
fn no_address() {
    let town = Town::new();
    let path = town.server.record("server.toml");
    let text = fs::read_to_string(&path).unwrap();
    let without = |name: &str| -> String {
        let lines = text.lines().filter(|line| !line.contains(name));
        lines.map(|line| format!("{line}\n")).collect()
    };
    fs::write(&path, without("w.example.com/1")).unwrap();
    let told = town.cosign(0);
    assert_eq!(told["witnesses"][0]["url"], Value::Null);
    fs::write(&path, without("w.example.com")).unwrap();
    grow(&town.server, "more");
    let told = town.cosign(3);
    assert_eq!(told["final"]["size"], 1);
}

/// One key, two logs, each shown to another witness: the first witness that is shown the other log
/// finds it, and the admin reads what it means.
#[test]
fn a_split_view() {
    let town = Town::new();
    let twin = town.backup();
    town.land("a.txt");
    // The host shows one log to the first two, and keeps another for the third.
    let settings = town.server.record("server.toml");
    let all = fs::read_to_string(&settings).unwrap();
    let third = format!("\"{}\"", town.witnesses[2].name);
    let two: String = all
        .lines()
        .filter(|line| !line.starts_with(&third))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&settings, two).unwrap();
    town.cosign(0);
    let twin_record = Record::open(&twin.join("countersign")).unwrap();
    let mut last = twin_record.entry(0).unwrap();
    let Entry::Genesis(genesis) = &mut last else {
        panic!("no genesis");
    };
    genesis.keys.clear();
    let lock = twin_record.lock().unwrap();
    twin_record.append(&lock, &[last.clone(), last]).unwrap();
    drop(lock);
    let (status, ..) = town.witnesses[2].add(&request(&twin.join("countersign"), 0));
    assert_eq!(status, 200);
    assert_eq!(twin_record.size(), town.server.log_size());
    // Now the host asks everybody, as its timer does.
    fs::write(&settings, all).unwrap();
    for _ in 0..2 {
        let told = town.cosign(1);
        assert_eq!(told["witnesses"][2]["split"], true);
        let outcome = town.server.cli(&["log", "witness"]).exits(1);
        outcome.says("put back").says("split").either();
        grow(&town.server, "more");
    }
}

/// A log put back from a backup is found while it is shorter, and when it has grown again; by the host
/// itself too, as long as it keeps what was final.
#[test]
fn a_log_put_back() {
    let town = Town::new();
    town.cosign(0);
    let backup = town.backup();
    let head = town.land("a.txt");
    town.cosign(0);
    let sealed = fs::read(town.server.record("log/checkpoint.final")).unwrap();
    copy(&backup, town.server.repo());
    let told = town.cosign(1);
    assert!(
        told["witnesses"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["split"] == true)
    );
    for why in ["one", "two", "three"] {
        grow(&town.server, why);
        let outcome = town.server.cli(&["log", "witness"]).exits(1);
        outcome.says("put back").either();
    }
    // The final checkpoint lies beside it: nobody needs a witness to see that it does not fit.
    let trust = town
        .server
        .cli(&["log", "witness", "--print-policy"])
        .exits(0);
    fs::write(town.home.path().join("trust"), trust.stdout).unwrap();
    let (record, trust) = (town.server.record(""), town.home.path().join("trust"));
    let args = [record.as_path(), Path::new("--log-policy"), trust.as_path()];
    python(&args).exits(0).either();
    fs::write(town.server.record("log/checkpoint.final"), sealed).unwrap();
    python(&args).exits(1).either();
    for what in [
        &["log", "verify"][..],
        &["verify", "history"],
        &["verify", "commit", &head],
        &["log", "witness"],
    ] {
        town.server.cli(what).exits(1);
    }
    let audited = town.server.cli(&["audit", "--json"]).exits(1).json();
    let codes = audited["findings"].as_array().unwrap().iter();
    assert!(
        codes.clone().any(|it| it["code"] == "record-damaged"),
        "{audited}"
    );
}

/// Statuses, types and bodies are those of the specification.
#[test]
fn speaks_to_the_letter() {
    let home = tempfile::tempdir().unwrap();
    let witness = Witness::start(home.path(), "w.example.com/1");
    let server = Server::new();
    let record = server.record("");
    let hash = {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(REPOSITORY);
        hash.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let path = format!("/{hash}/checkpoint");
    let first = request(&record, 0);
    assert_eq!(witness.add(&first).0, 404, "of a log it was not told of");
    witness.watch(&server);
    assert_eq!(witness.get(&path).0, 404, "before anything was cosigned");
    let (status, _, body) = witness.add(&first);
    assert_eq!(status, 200);
    let lines = countersign::wire::witness::cosignatures(body.as_bytes()).unwrap();
    let key = CosignerKey::parse(&witness.key).unwrap();
    let mut note = Record::open(&record)
        .unwrap()
        .submission()
        .unwrap()
        .note()
        .clone();
    note.signatures.extend(lines);
    assert!(key.verify(&note).unwrap().is_some());
    let (status, _, read) = witness.get(&path);
    assert_eq!((status, read), (200, note.to_string()));
    let size = "text/x.tlog.size".to_owned();
    assert_eq!(witness.add(&first), (409, size.clone(), "1\n".to_owned()));
    grow(&server, "one");
    grow(&server, "two");
    let next = request(&record, 1);
    let mut hashes: Vec<&str> = next.split_inclusive('\n').collect();
    hashes.swap(1, 2);
    assert_eq!(
        witness.add(&hashes.concat()).0,
        422,
        "a proof in another order"
    );
    assert_eq!(witness.add(&next.replace("old 1\n", "old 4\n")).0, 400);
    assert_eq!(witness.add(&next.replace("old 1\n", "old 01\n")).0, 400);
    assert_eq!(witness.add("").0, 400);
    let stranger = NoteSigner::from_seed(REPOSITORY, &[1; 32]).unwrap();
    let (head, note) = next.split_once("\n\n").unwrap();
    let note = Note::parse(note.as_bytes()).unwrap();
    let forged = format!("{head}\n\n{}", stranger.sign(&note.text));
    assert_eq!(witness.add(&forged).0, 403);
    assert_eq!(witness.add(&next).0, 200);
    assert_eq!(witness.add(&next), (409, size, "3\n".to_owned()));
    // What is no such request is not read to its end, nor answered with more than a line.
    assert_eq!(witness.add(&"a".repeat(100_000)).0, 413);
    for (path, status) in [
        ("/", 404),
        ("/add-checkpoint", 405),
        ("/../key/checkpoint", 404),
        ("/key", 404),
        ("//etc/passwd/checkpoint", 404),
    ] {
        assert_eq!(witness.get(path).0, status, "{path}");
    }
    let chunked = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n";
    let endless = [&chunked[..], "a".repeat(100_000).as_bytes()].concat();
    assert_eq!(witness.raw(&endless).0, 413);
    assert_eq!(witness.raw(b"no HTTP\r\n\r\n").0, 400);
}

/// Of two logs that are sent at once, many times over, one is cosigned; killed and started again, the
/// witness still knows which.
#[test]
fn at_once_and_after_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let witness = Witness::start(home.path(), "w.example.com/1");
    let server = Server::new();
    witness.watch(&server);
    assert_eq!(witness.add(&request(&server.record(""), 0)).0, 200);
    let twin = home.path().join("twin");
    copy(&server.record(""), &twin);
    let both: Vec<String> = (0..2)
        .map(|number| {
            grow(&server, &format!("as {number} has it"));
            let request = request(&server.record(""), 1);
            copy(&twin, &server.record(""));
            request
        })
        .collect();
    assert_ne!(both[0], both[1]);
    let answers: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let witness = &witness;
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let at = number % 2;
                let body = &both[at];
                scope.spawn(move || (at, witness.add(body).0))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let good: Vec<usize> = answers
        .iter()
        .filter(|it| it.1 == 200)
        .map(|it| it.0)
        .collect();
    assert_eq!(good.len(), 1, "{answers:?}");
    assert!(
        answers.iter().all(|it| [200, 409].contains(&it.1)),
        "{answers:?}"
    );
    let again = |at: usize| both[at].replacen("old 1\n", "old 2\n", 1);
    let witness = witness.restart();
    for (at, body) in both.iter().enumerate() {
        assert_eq!(witness.add(body).0, 409);
        // The same size wants no proof.
        let (_, note) = again(at)
            .split_once("\n\n")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let status = witness.add(&format!("old 2\n\n{note}")).0;
        assert_eq!(status, if at == good[0] { 200 } else { 409 });
    }
}

/// A witness needs a name once, keeps it, and is one process at a time.
#[test]
fn one_name_one_process() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("w");
    let run = |args: &[&str]| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), home.path());
        command
            .args(["witness", "--listen", "127.0.0.1:0"])
            .args(args);
        command.arg(&folder);
        Outcome::of(&mut command, b"")
    };
    run(&[]).exits(2).says("--name").either();
    run(&["--name", "a b"]).exits(2);
    assert!(!folder.exists());
    let witness = Witness::start(home.path(), "w.example.com/1");
    fs::rename(witness.folder(), &folder).unwrap();
    run(&[]).exits(2).says("lock").either();
    drop(witness);
    run(&["--name", "w.example.com/2"])
        .exits(2)
        .says("w.example.com/1")
        .either();
}
