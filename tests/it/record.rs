//! The record: what stands in it, what a verifier recomputes, and what it notices.

use std::fs;

use crate::bad_input::files_below;
use crate::push::approved_on_main;
use crate::support::{MAIN, Outcome, Server, approved_topic, two_people};

/// Enrolment writes one entry, each review one, each landing one.
#[test]
fn one_entry_each() {
    let (server, alice, bob) = two_people();
    assert_eq!(server.log_size(), 1);
    let head = approved_topic(&alice, &bob, "a.txt");
    assert_eq!(server.log_size(), 2);
    alice.land(&head).accepted();
    assert_eq!(server.log_size(), 3);
    server.cli(&["log", "show"]).accepted().says(&head);
    let post = format!("{} {head} {MAIN}\n", "0".repeat(40));
    server.hook("post-receive", post.as_bytes()).either();
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), 3, "no landing is recorded twice");
}

/// An entry carries SHA-256 of the decisive commit and of the contents it brings.
#[test]
fn entries_carry_sha256() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let blob = alice.git(&["rev-parse", &format!("{head}:a.txt")]);
    let shown = server.cli(&["log", "show", "--json"]).accepted().stdout;
    for (kind, oid) in [("commit", head.as_str()), ("blob", blob.trim())] {
        let raw = server.folder().join("object");
        let bytes = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(server.repo())
            .args(["cat-file", kind, oid])
            .output()
            .unwrap()
            .stdout;
        fs::write(&raw, bytes).unwrap();
        let sum = std::process::Command::new("sha256sum")
            .arg(&raw)
            .output()
            .unwrap()
            .stdout;
        let hex = String::from_utf8_lossy(&sum)[..64].to_owned();
        assert!(
            shown.contains(&format!("\"{oid}\":\"{hex}\"")),
            "{kind} {oid} {hex}: {shown}"
        );
    }
}

/// Only what landed whole, enforced and satisfied is reviewed; all else says what it is.
#[test]
fn states_of_commits() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    let middle = alice.change("a.txt", "one\n");
    let head = approved_topic(&alice, &bob, "b.txt");
    alice.land(&head).accepted();
    let topic = alice.change("c.txt", "three\n");
    alice.share(&topic);
    server.cli(&["verify", "commit", &head]).exits(0);
    server
        .cli(&["verify", "commit", &head, "--onto", MAIN])
        .exits(0);
    server
        .cli(&["verify", "commit", &head, "--onto", "main"])
        .exits(0);
    for (commit, state) in [(&middle, "reachable"), (&genesis, "baseline")] {
        server
            .cli(&["verify", "commit", commit])
            .exits(1)
            .says(state);
    }
    server.cli(&["verify", "commit", &topic]).exits(1);
    server
        .cli(&["verify", "commit", &"1".repeat(40)])
        .exits(1)
        .says("unknown");
    server
        .cli(&["verify", "commit", &head, "--onto", "refs/heads/release/1"])
        .exits(1);
}

/// A flipped byte anywhere in the log's tiles, checkpoint or key is noticed.
#[test]
fn tampered_log() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server.log_is_good();
    let size = server.log_size().to_string();
    // Partial tiles of smaller sizes are no longer part of the log.
    let files: Vec<_> = files_below(&server.record("log"))
        .into_iter()
        .filter(|path| {
            !path.parent().unwrap().to_string_lossy().ends_with(".p") || path.ends_with(&size)
        })
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let good = fs::read(&file).unwrap();
        for at in [0, good.len() / 2, good.len() - 2] {
            let mut bad = good.clone();
            bad[at] ^= 0x04;
            fs::write(&file, &bad).unwrap();
            let outcome = server.cli(&["log", "verify"]);
            assert!(!outcome.ok(), "byte {at} of {}: {outcome}", file.display());
        }
        fs::write(&file, &good).unwrap();
    }
    server.log_is_good();
}

/// `verify history` reads the objects themselves: one lost or exchanged is found.
#[test]
fn tampered_objects() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server.cli(&["verify", "history"]).exits(0);
    let tree = server.git(&["rev-parse", &format!("{head}^{{tree}}")]);
    let blob = server.git(&["rev-parse", &format!("{head}:a.txt")]);
    let file_of = |oid: &str| {
        let path = format!("objects/{}/{}", &oid[..2], &oid[2..]);
        server.repo().join(path)
    };
    // git makes loose objects read-only: each is put in place anew.
    let put = |oid: &str, bytes: &[u8]| {
        fs::remove_file(file_of(oid)).ok();
        fs::write(file_of(oid), bytes).unwrap();
    };
    for oid in [&head, &tree] {
        let good = fs::read(file_of(oid)).unwrap();
        fs::remove_file(file_of(oid)).unwrap();
        server.cli(&["verify", "history"]).refused(&[]);
        let other = if *oid == head { &tree } else { &blob };
        put(oid, &fs::read(file_of(other)).unwrap());
        server.cli(&["verify", "history"]).refused(&[]);
        put(oid, &good);
    }
    server.cli(&["verify", "history"]).exits(0);
}

/// A decision too large for an entry stands beside it, and is held to its hash.
#[test]
fn tampered_evidence() {
    let (server, alice, bob) = two_people();
    let tip = server.main();
    let mut stream = String::new();
    for n in 0..2000 {
        let from = if n == 0 {
            format!("from {tip}\n")
        } else {
            String::new()
        };
        stream += &format!(
            "commit refs/heads/long\ncommitter alice <alice@example.com> {} +0000\ndata 1\nx\n{from}\
             M 100644 inline n.txt\ndata <<E\n{n}\nE\n\n",
            1_700_000_000 + n
        );
    }
    alice.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let head = alice.git(&["rev-parse", "refs/heads/long"]);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    server.cli(&["verify", "history"]).exits(0);
    let evidence: Vec<_> = files_below(&server.record(""))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("evidence"))
        .collect();
    assert!(
        !evidence.is_empty(),
        "2000 unsigned commits fit in no entry"
    );
    for file in evidence {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&file, &bad).unwrap();
        server.cli(&["verify", "history"]).refused(&[]);
        fs::remove_file(&file).unwrap();
        server.cli(&["verify", "history"]).refused(&[]);
        fs::write(&file, &good).unwrap();
    }
    server.cli(&["verify", "history"]).exits(0);
}

/// A ref moved past the gate is an incident for `verify history` and `log reconcile`.
#[test]
fn moved_past_the_gate() {
    let (server, alice, _) = two_people();
    let stray = alice.change("stray.txt", "x\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    server.cli(&["verify", "history"]).refused(&[]);
    server.cli(&["verify", "commit", &stray]).exits(1);
}

/// A crash after git moved the ref and before the entry: the next hook run closes it.
#[test]
fn crash_before_post_receive() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let (hook, aside) = (
        server.repo().join("hooks/post-receive"),
        server.repo().join("hooks/aside"),
    );
    fs::rename(&hook, &aside).unwrap();
    let size = server.log_size();
    alice.land(&head).accepted();
    assert_eq!((server.main(), server.log_size()), (head.clone(), size));
    server.log_is_good();
    fs::rename(&aside, &hook).unwrap();

    let next = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "commit", &next]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    server.log_is_good();
}

/// `log reconcile` closes what a crash left open, once.
#[test]
fn reconcile_closes_open_intents() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let hook = server.repo().join("hooks/post-receive");
    let text = fs::read(&hook).unwrap();
    fs::remove_file(&hook).unwrap();
    alice.land(&head).accepted();
    let size = server.log_size();
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), size + 1);
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), size + 1);
    server.cli(&["verify", "commit", &head]).exits(0);
    fs::write(&hook, text).unwrap();
}

/// An accept whose process died before git moved the ref lapses, and lands nothing.
#[test]
fn lapsed_intent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let size = server.log_size();
    accept_and_die(&server, &head);
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), size);
    server.cli(&["verify", "commit", &head]).exits(1);
    // Set by hand afterwards, it is as unknown as any other tip.
    server.git(&["update-ref", MAIN, &head]);
    server.cli(&["log", "reconcile"]).either();
    server.cli(&["verify", "commit", &head]).exits(1);
}

/// An accept that lapsed stands in the way of nobody.
#[test]
fn push_after_a_lapsed_intent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    accept_and_die(&server, &head);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
}

/// Runs `pre-receive` alone for a good push under a process that is gone afterwards.
fn accept_and_die(server: &Server, head: &str) {
    let line = format!("{} {head} {MAIN}\n", server.main());
    let mut shell = crate::support::server::scrubbed("sh", server.folder());
    let binary = env!("CARGO_BIN_EXE_countersign");
    shell
        .args(["-c", &format!("'{binary}' hook pre-receive; exit $?")])
        .current_dir(server.repo())
        .env("GIT_DIR", ".")
        .env("COUNTERSIGN_PUSHER", "alice");
    Outcome::of(&mut shell, line.as_bytes()).accepted();
}

/// A record restored from an older copy does not know the tip: refused, not believed.
#[test]
fn restored_older_record() {
    let (server, alice, bob) = two_people();
    let copy = server.folder().join("copy");
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status();
        assert!(done.unwrap().success());
    };
    cp(&server.record(""), &copy);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    fs::remove_dir_all(server.record("")).unwrap();
    cp(&copy, &server.repo().join("countersign"));
    let next = alice.change("b.txt", "x\n");
    alice.land(&next).refused(&["unknown-tip"]);
    server.cli(&["verify", "commit", &head]).exits(1);
}

/// A record that is gone refuses; it is not begun anew by a push.
#[test]
fn record_is_gone() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    fs::rename(server.record("log"), server.folder().join("log")).unwrap();
    alice.land(&head).refused(&[]);
    assert_ne!(server.main(), head);
    server.cli(&["log", "verify"]).refused(&[]);
}

/// `adopt` wants a ref that is off its record, names one, and exists on the host only.
#[test]
fn adopt_refuses_what_is_recorded() {
    let (server, ..) = two_people();
    let size = server.log_size();
    server
        .cli(&["log", "adopt", "refs/heads/nowhere"])
        .refused(&[]);
    server.cli(&["log", "adopt"]).exits(2);
    assert_eq!(server.log_size(), size);
}

/// Counted heads stay reachable when their branches and review refs are pruned.
#[test]
fn counted_heads_are_kept() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let squash = crate::support::objects::commit_tree(&alice, &alice.tree(&head), &[&base]);
    alice.land(&squash).accepted();
    for line in server.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        if line.starts_with("refs/countersign/reviews/") || line.starts_with("refs/heads/topic-") {
            server.git(&["update-ref", "-d", line]);
        }
    }
    server.git(&["reflog", "expire", "--expire=now", "--all"]);
    server.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(server.git(&["cat-file", "-t", &head]), "commit");
    server.cli(&["verify", "history"]).exits(0);
}
