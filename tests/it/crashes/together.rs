//! Several servers at once on one directory, and several repositories.

use std::fs;
use std::path::Path;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::scene::copy;
use crate::second_verifier::python;
use crate::support::config::PLAIN_RULE;
use crate::support::server::scrubbed;
use crate::support::{
    Checkout, Format, MAIN, Outcome, People, REPOSITORY, Server, approved_topic, policy, two_people,
};

/// Of landings that start at once one wins; reviews that come at once are all on record.
#[test]
fn one_winner_each_step() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let mut heads = Vec::new();
    for n in 0..6 {
        alice.onto(&base);
        heads.push(alice.change(&format!("{n}.txt"), "x\n"));
        alice.share(&heads[n]);
    }
    bob.fetch();
    let message = crate::support::checkout::review_message("approve", MAIN, &[]);
    let reviews: Vec<String> = heads
        .iter()
        .map(|head| {
            let tag = bob.tag_review(head, &message);
            format!("{tag}:refs/countersign/reviews/{head}/bob")
        })
        .collect();
    let size = server.log_size();
    let accepted = |outcomes: &[Outcome]| outcomes.iter().filter(|one| one.ok()).count();
    assert_eq!(accepted(&at_once(&bob, &reviews)), 6);
    assert_eq!(server.log_size(), size + 6);
    let landings: Vec<String> = heads.iter().map(|head| format!("{head}:{MAIN}")).collect();
    let outcomes = at_once(&alice, &landings);
    assert_eq!(accepted(&outcomes), 1, "{outcomes:?}");
    assert!(heads.contains(&server.main()));
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), size + 7);
    server.cli(&["verify", "history"]).exits(0);
    server.log_is_good();
}

/// Pushes each refspec from one checkout, all at the same time.
fn at_once(from: &Checkout, refspecs: &[String]) -> Vec<Outcome> {
    let commands: Vec<_> = refspecs
        .iter()
        .map(|refspec| {
            let mut command = from.command("git");
            command.args(["push", "-q", "origin", refspec]);
            command
        })
        .collect();
    thread::scope(|scope| {
        let running: Vec<_> = commands
            .into_iter()
            .map(|mut command| scope.spawn(move || Outcome::of(&mut command, b"")))
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Tells a repository where its record is.
fn record_in(server: &Server, dir: &Path) {
    let path = server.record("server.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.split("[record]").next().unwrap().to_owned();
    fs::write(&path, format!("{text}[record]\ndir = {dir:?}\n")).unwrap();
}

/// Two repositories that are given one folder for their records would take each other's reviews and
/// intents for their own: the second is refused, by enrolment and by its hooks.
#[test]
fn one_record_for_two_repositories() {
    let (first, alice, bob) = two_people();
    let shared = first.folder().join("shared");
    record_in(&first, &shared);
    first.enroll(&[]).accepted();
    let head = approved_topic(&alice, &bob, "a.txt");
    // The same tips, so that nothing else would tell them apart.
    let second = Server::bare(Format::Sha1);
    copy(first.repo(), second.repo());
    let carol = second.checkout("alice");
    carol.git(&["fetch", "-q", alice.dir().to_str().unwrap(), &head]);
    let before = second.main();
    carol.land(&head).refused(&[]).says("two repositories");
    assert_eq!(second.main(), before);
    for args in [
        &["log", "reconcile"][..],
        &["log", "verify"],
        &["log", "show"],
    ] {
        second.cli(args).refused(&[]).says("the record of");
    }
    second.enroll(&[]).refused(&[]).says("a record of its own");
    second.enroll(&["--dry-run"]).refused(&[]);
    // Nor in the folder where the first has its own by default.
    record_in(&second, &first.record(""));
    second.enroll(&[]).refused(&[]);
    // The first goes on.
    alice.land(&head).accepted();
    first.cli(&["verify", "history"]).exits(0);
    // With a record of its own the second does too.
    record_in(&second, &second.folder().join("own"));
    second.enroll(&[]).accepted();
    carol.land(&head).refused(&["missing-approvals"]);
}

/// A repository for a log of many; all have the same policy, name and tips.
fn to_share() -> Server {
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", &policy(PLAIN_RULE)),
        (".countersign/people.toml", &People::new().text()),
    ]);
    server
}

/// A repository in the log of many that stands in `dir`, by that name.
fn sharing(dir: &Path, name: &str) -> Server {
    let server = to_share();
    let dir = dir.to_str().unwrap();
    let log = ["--record", dir, "--shared", "example.com/log"];
    server
        .enroll(&[&log[..], &["--shared-as", name]].concat())
        .accepted();
    server
}

/// A log that is called otherwise is told before anything is written: the right name enrols.
#[test]
fn one_log_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (first, second) = (sharing(&log, "payments"), to_share());
    let dir = log.to_str().unwrap();
    let named = |name| ["--record", dir, "--shared", name];
    // Another log's name; and its folder's name, which the other has.
    for name in ["example.com/other", "example.com/log"] {
        for more in [&["--dry-run"][..], &[]] {
            let wrong = [&named(name)[..], more].concat();
            second.enroll(&wrong).exits(2).says("log");
            assert!(!second.record("server.toml").exists());
            assert!(!second.repo().join("hooks/pre-receive").exists());
        }
    }
    let own = [&named("example.com/log")[..], &["--shared-as", "second"]].concat();
    let shown = second.enroll(&[&own[..], &["--dry-run"]].concat()).exits(0);
    shown.says("record: there already");
    second.enroll(&own).accepted();
    second.enroll(&[]).accepted().says("nothing to do");
    first.cli(&["log", "verify"]).exits(0);
}

/// What `server.toml` calls a repository in its log is changed.
fn rename(server: &Server, name: &str) {
    let path = server.record("server.toml");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("name = ").unwrap();
    let end = start + text[start..].find('\n').unwrap();
    fs::write(
        &path,
        text.replace(&text[start..end], &format!("name = \"{name}\"")),
    )
    .unwrap();
}

/// In one log of two repositories, which have the same tips and call themselves the same, nothing
/// that one has counts in the other, and each is decided again by its own entries.
#[test]
fn one_log_for_two_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let first = sharing(&log, "payments");
    let second = sharing(&log, "second");
    assert_eq!(first.main(), second.main());
    let alice = second.checkout("alice");
    second.enroll(&[]).accepted().says("nothing to do");

    let (there, bob) = (first.checkout("alice"), first.checkout("bob"));
    let head = approved_topic(&there, &bob, "a.txt");
    alice.git(&["fetch", "-q", there.dir().to_str().unwrap(), &head]);
    alice.land(&head).refused(&["missing-approvals"]);
    there.land(&head).accepted();
    // Nor is it a recorded commit, a known tip, or reviewed.
    alice
        .push(&[&format!("{head}:refs/heads/release/1")])
        .refused(&["missing-approvals"]);
    second.cli(&["verify", "commit", &head]).exits(1);
    first.cli(&["verify", "commit", &head]).exits(0);
    let carol = second.checkout("bob");
    let own = approved_topic(&alice, &carol, "b.txt");
    alice.land(&own).accepted();
    for (server, commit, other) in [(&first, &head, &own), (&second, &own, &head)] {
        server.cli(&["verify", "history"]).exits(0);
        server.cli(&["verify", "commit", commit]).exits(0);
        let shown = server.cli(&["log", "show"]).accepted().stdout;
        assert!(
            shown.contains(commit.as_str()) && !shown.contains(other.as_str()),
            "{shown}"
        );
        let verified = server.cli(&["log", "verify", "--json"]).json();
        assert_eq!(
            (&verified["ok"], &verified["kinds"]["landed"]),
            (&true.into(), &2.into())
        );
        server.cli(&["audit"]).exits(0);
    }
    // Another's name is not to be had by saying so.
    let own = approved_topic(&alice, &carol, "c.txt");
    rename(&second, "payments");
    alice.land(&own).refused(&[]).says("the record of");
    second.enroll(&[]).refused(&[]);
    second.cli(&["verify", "history"]).refused(&[]);
    rename(&second, "second");
    second.cli(&["verify", "history"]).exits(0);
    // Nor is a log of many that of one.
    record_in(&second, &log);
    second.enroll(&[]).refused(&[]);
    alice.land(&own).refused(&[]);
}

/// A log of many goes over to another key, and all of them go on: their entries are framed, that of the
/// rotation too.
#[test]
fn one_log_goes_over_to_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (first, second) = (sharing(&log, "payments"), sharing(&log, "second"));
    let old = fs::read_to_string(log.join("log/vkey")).unwrap();
    first.cli(&["log", "rotate"]).accepted();
    assert_ne!(fs::read_to_string(log.join("log/vkey")).unwrap(), old);
    for server in [&first, &second] {
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = approved_topic(&alice, &bob, "a.txt");
        alice.land(&head).accepted();
        server.cli(&["verify", "commit", &head]).exits(0);
        let known = ["verify", "history", "--key", old.trim_end()];
        server.cli(&known).exits(0);
    }
}

/// The people of one repository, who may call it what they like, cannot have it attested as another of
/// the same log: each has a key of its own. The entry's digest is that of its bytes in the log.
#[test]
fn one_log_attests_for_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (first, second) = (sharing(&log, "payments"), sharing(&log, "second"));
    let (alice, bob) = (second.checkout("alice"), second.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let (file, proof) = (folder.path().join("a.jsonl"), folder.path().join("a.proof"));
    let (file, proof) = (file.to_str().unwrap(), proof.to_str().unwrap());
    let attest = ["attest", &head, "-o", file, "--tlog-proof", proof];
    second.cli(&attest).accepted();
    let vkey = log.join("log/vkey");
    let verify = |server: &Server, of: &str| {
        let key = folder.path().join("a.pem");
        let pem = server.cli(&["attest", "--public-key"]).accepted();
        fs::write(&key, pem.stdout).unwrap();
        let about = ["--commit", &head, "--repository", REPOSITORY];
        let by = ["--key", key.to_str().unwrap(), "--tlog-proof", proof];
        let log = ["--log-key", vkey.to_str().unwrap(), "--of", of];
        let verify = ["verify", "attestation", file];
        server.cli(&[&verify[..], &about, &by, &log].concat())
    };
    verify(&second, "second").accepted();
    verify(&first, "second").refused(&[]).says("signed by 0");
    // Whoever has a key for both must still say which one is meant.
    verify(&second, "payments").refused(&[]).says("--of");
    let text = fs::read_to_string(proof).unwrap();
    let extra = text.lines().find_map(|line| line.strip_prefix("extra "));
    let bytes = STANDARD.decode(extra.unwrap()).unwrap();
    let told = second.cli(&["attest", &head, "--json"]).json();
    let statement = &told["attestations"][0]["statement"];
    let digest = &statement["predicate"]["log"]["entry"]["digest"]["sha256"];
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(*digest, sha256);
}

/// A log of many is read from afar as a whole: by the monitor, by the other verifier, and in a proof,
/// which is of nothing reviewed until somebody says whose review is meant.
#[test]
fn one_log_from_afar() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let _first = sharing(&log, "payments");
    let look = |more: &[&str]| {
        let (place, key) = (log.join("log"), log.join("log/vkey"));
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), folder.path());
        command.args(["log", "monitor"]).arg(place).arg("--key");
        command.arg(key).args(["--state", "state.json"]).args(more);
        Outcome::of(&mut command, b"")
    };
    look(&[]).exits(0);
    let second = sharing(&log, "second");
    look(&[]).exits(1).says("[baseline] entry 1 of second:");
    let (alice, bob) = (second.checkout("alice"), second.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    look(&[]).exits(0);
    // The clone is of one of them, and only there is what it fetched on record.
    alice.git(&["fetch", "-q", "origin"]);
    let clone = alice.dir().to_str().unwrap();
    let beside = |of: &[&str]| look(&[&["--repo", clone, "--grace", "10m"], of].concat());
    beside(&[]).exits(2).says("--of");
    beside(&["--of", "second"]).exits(0);
    // Under the other name it is not; since long ago, so that the time of grace is over.
    beside(&["--of", "payments"]).exits(0);
    let state = folder.path().join("state.json");
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    kept["repositories"]["payments"]["unrecorded"][MAIN][0]["since"] =
        "2026-01-01T00:00:00Z".into();
    fs::write(&state, kept.to_string()).unwrap();
    let other = beside(&["--of", "payments"]).exits(1);
    other.says("[unrecorded-tip]").says(&head);
    beside(&["--of", "third"]).exits(2).says("third");
    second.git(&["update-ref", MAIN, &format!("{head}^")]);
    let adopt = ["log", "adopt", MAIN, "--reason", "a test"];
    second.cli(&adopt).accepted();
    let alarm = look(&["--json"]).exits(1);
    let line: serde_json::Value =
        serde_json::from_str(alarm.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["code"], &line["of"]),
        (&"adopted".into(), &"second".into())
    );

    python(&[&log]).accepted();
    let proof = folder.path().join("a.tlog-proof");
    let index = second.cli(&["verify", "commit", &head, "--json"]).json()["index"].to_string();
    let prove = ["log", "prove", &index, "-o", proof.to_str().unwrap()];
    second.cli(&prove).accepted();
    let verify = |more: &[&str]| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), folder.path());
        command.args(["verify", "proof"]).arg(&proof).arg("--key");
        Outcome::of(command.arg(log.join("log/vkey")).args(more), b"")
    };
    let commit = ["--commit", &head];
    verify(&[]).exits(0);
    verify(&commit).exits(1).says("--of");
    verify(&["--repository", REPOSITORY]).exits(1).says("--of");
    for (of, repository, exit) in [
        ("second", REPOSITORY, 0),
        ("payments", REPOSITORY, 1),
        ("second", "git.example.com/other", 1),
    ] {
        let whose = ["--of", of, "--repository", repository];
        verify(&[commit, [whose[0], whose[1]], [whose[2], whose[3]]].concat()).exits(exit);
        verify(&whose).exits(exit);
    }
    let by_line = [
        Path::new("--proof"),
        &proof,
        Path::new("--key"),
        &log.join("log/vkey"),
    ];
    python(&by_line)
        .accepted()
        .says(&format!("entry {index} of second"));
}

/// Repositories that append to one log at once lose nothing.
#[test]
fn one_log_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let servers = ["one", "two", "three"].map(|name| sharing(&log, name));
    let mut pushes = Vec::new();
    for server in &servers {
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = approved_topic(&alice, &bob, "a.txt");
        pushes.push((alice, head));
    }
    let outcomes = thread::scope(|scope| {
        let running: Vec<_> = pushes
            .iter()
            .map(|(alice, head)| {
                let mut command = alice.command("git");
                command.args(["push", "-q", "origin", &format!("{head}:{MAIN}")]);
                scope.spawn(move || Outcome::of(&mut command, b""))
            })
            .collect::<Vec<_>>();
        let ended = running.into_iter().map(|one| one.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    for ((server, (_, head)), outcome) in servers.iter().zip(&pushes).zip(outcomes) {
        outcome.accepted();
        server.cli(&["log", "reconcile"]).accepted();
        server.cli(&["verify", "commit", head]).exits(0);
        server.cli(&["verify", "history"]).exits(0);
        server.log_is_good();
    }
}

/// A repository that was moved takes its record with it by being enrolled again.
#[test]
fn a_moved_repository_keeps_its_record() {
    let (server, alice, bob) = two_people();
    let shared = server.folder().join("shared");
    record_in(&server, &shared);
    server.enroll(&[]).accepted();
    let head = approved_topic(&alice, &bob, "a.txt");
    let moved = server.folder().join("moved.git");
    fs::rename(server.repo(), &moved).unwrap();
    // One that is made anew elsewhere does not get what the first left.
    let other = Server::bare(Format::Sha1);
    let files = [
        (".countersign/policy.toml", &*policy(PLAIN_RULE)),
        (".countersign/people.toml", &*People::new().text()),
        ("another", "file"),
    ];
    other.seed(&files);
    let dir = shared.to_str().unwrap();
    other
        .enroll(&["--record", dir])
        .refused(&[])
        .says("other commits");
    alice.git(&["config", "remote.origin.url", moved.to_str().unwrap()]);
    alice.land(&head).refused(&[]).says("enroll");
    let enroll = server
        .countersign(&["enroll", moved.to_str().unwrap()])
        .output();
    assert!(enroll.unwrap().status.success());
    alice.land(&head).accepted();
}
