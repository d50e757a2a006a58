//! What a reviewer did not see, as a patch: `countersign diff` in a clone and on the server.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::push::approved_on_main;
use crate::support::objects::{self, commit_tree};
use crate::support::{Checkout, Format, MAIN, Outcome, People, Server, approved_topic};
use crate::support::{policy, two_people};

/// The tag of the only review of a head.
fn tag_of(server: &Server, head: &str) -> String {
    let pattern = format!("refs/countersign/reviews/{head}");
    let tags = server.git(&["for-each-ref", "--format=%(objectname)", &pattern]);
    assert_eq!(tags.lines().count(), 1, "{tags}");
    tags
}

fn merge(at: &Checkout, commit: &str) -> String {
    at.git(&["merge", "-q", "--no-ff", "-m", "merge", commit]);
    at.head()
}

fn amend(at: &Checkout, files: &[(&str, Option<&str>)]) -> String {
    at.write(files);
    at.git(&["add", "-A"]);
    at.git(&["commit", "-q", "--amend", "--no-edit"]);
    at.head()
}

fn diff_json(at: &Checkout, review: &str, landed: &str) -> Value {
    let value = at.countersign(&["diff", review, landed, "--json"]).json();
    assert_eq!(value["schema"], "countersign.diff/v1");
    value
}

/// Applies a patch to what is checked out, which must then have the tree of `landed`.
fn applies(at: &Checkout, patch: &[u8], landed: &str) {
    let file = at.dir().join("../residual.patch");
    fs::write(&file, patch).unwrap();
    let file = file.to_str().unwrap();
    at.git(&["apply", "--check", "--index", file]);
    at.git(&["apply", "--index", file]);
    assert_eq!(at.git(&["write-tree"]), at.tree(landed));
    at.git(&["reset", "-q", "--hard"]);
}

/// The bytes that `diff` prints.
fn patch_bytes(at: &Checkout, review: &str, landed: &str) -> Vec<u8> {
    let mut command = at.command(env!("CARGO_BIN_EXE_countersign"));
    command.args(["diff", review, landed]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    output.stdout
}

/// A landing that a review covers leaves nothing to show, proposed and landed, in a clone and on
/// the server; the review may be named by its tag, its ref or its commit.
#[test]
fn covered_landings_leave_nothing() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let tag = tag_of(&server, &head);
    let name = server.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/countersign/reviews",
    ]);
    alice.fetch();
    for review in [&tag, &name, &head, &tag[..12].to_owned()] {
        let outcome = alice.countersign(&["diff", review, &head]).exits(0);
        assert_eq!(outcome.stdout, "");
        assert!(outcome.stderr.contains("identity"), "{outcome}");
    }
    alice.onto("origin/main");
    let merged = merge(&alice, &head);
    alice
        .countersign(&["diff", &head, &merged])
        .exits(0)
        .says("identity");
    alice.land(&merged).accepted();
    alice.fetch();
    for outcome in [
        server.cli(&["diff", &tag, &merged]),
        server.cli(&["diff", &name, &merged]),
        server.cli(&["diff", &head, &merged, "--onto", "main"]),
        alice.countersign(&["diff", &tag, &merged]),
    ] {
        let outcome = outcome.exits(0);
        assert_eq!(outcome.stdout, "");
        assert!(outcome.stderr.contains("identity"), "{outcome}");
    }
    // The review refs may be gone; the record has them.
    server.git(&["update-ref", "-d", &name]);
    server.cli(&["diff", &name, &merged]).exits(0);
}

/// A main that moved makes it a replay, and the JSON says what was compared with what.
#[test]
fn replay_in_json() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let line = format!("Base: {base}");
    bob.review("approve", &head, &[&line]).accepted();
    let other = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&other).accepted();
    alice.onto("origin/main");
    let merged = merge(&alice, &head);
    let tag = tag_of(&server, &head);
    let value = diff_json(&alice, &tag, &merged);
    let tree = alice.tree(&merged);
    let expected = json!({
        "schema": "countersign.diff/v1",
        "ref": MAIN,
        "review": {"tag": tag, "person": "bob", "head": head},
        "landed": merged,
        "counted": [],
        "coverage": "replay",
        "base": base,
        "base_assumed": false,
        "onto": other,
        "expected_tree": tree,
        "landed_tree": tree,
        "conflicts": [],
        "residual": [],
        "unreviewed_commits": [],
        "why": null,
    });
    assert_eq!(value, expected);
    alice.land(&merged).accepted();
    let mut after = server
        .cli(&["diff", &tag, &merged, "--json"])
        .exits(0)
        .json();
    assert_eq!(after["counted"], json!([head]));
    after["counted"] = json!([]);
    assert_eq!(after, expected);
}

/// The refusal of an evil merge gives the command, and what that prints is the evil alone.
#[test]
fn an_evil_merge() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let clean = merge(&alice, &head);
    let evil = amend(&alice, &[("src/lib.rs", Some("fn one() { evil() }\n"))]);
    let tag = tag_of(&server, &head);
    let refused = alice.land(&evil).refused(&["unreviewed-residual"]);
    let said = refused.remote_lines().concat().replace('\\', "");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains(&format!("countersign diff {tag} {evil}")),
        "{refused}"
    );
    let verdict = alice.countersign(&["check", &evil, "--onto", "main", "--json"]);
    let command = format!("countersign diff {tag} {evil}");
    assert!(verdict.stdout.contains(&command), "{verdict}");

    let patch = patch_bytes(&alice, &tag, &evil);
    let text = String::from_utf8_lossy(&patch);
    assert!(
        text.contains("\n-fn one() {}\n+fn one() { evil() }\n"),
        "{text}"
    );
    assert!(!text.contains("a.txt"), "{text}");
    alice.git(&["checkout", "-q", "--detach", &clean]);
    applies(&alice, &patch, &evil);
    let names = alice
        .countersign(&["diff", &tag, &evil, "--name-only"])
        .exits(1);
    assert_eq!(names.stdout, "src/lib.rs\n");
    // Once it is shared, the server shows the same.
    alice.share(&evil);
    let there = server.cli(&["diff", &tag, &evil]).exits(1);
    assert_eq!(there.stdout.as_bytes(), patch);
}

/// A conflict solved by hand: the conflicting path is shown from the tip's version, the rest from
/// the mechanical result.
#[test]
fn a_conflict_resolution() {
    let (server, alice, bob) = two_people();
    alice.write(&[("a.txt", Some("new\n"))]);
    let head = alice.change("src/lib.rs", "fn late() {}\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.onto("origin/main");
    let first = alice.change("src/lib.rs", "fn soon() {}\n");
    alice.share(&first);
    bob.approve(&first).accepted();
    alice.land(&first).accepted();
    alice.onto("origin/main");
    assert!(!alice.try_git(&["merge", "-q", "--no-ff", &head]).ok());
    alice.write(&[
        ("src/lib.rs", Some("fn solved() {}\n")),
        ("more.txt", Some("more\n")),
    ]);
    alice.git(&["add", "-A"]);
    alice.git(&["commit", "-q", "-m", "solved"]);
    let solved = alice.head();
    let tag = tag_of(&server, &head);
    let value = diff_json(&alice, &tag, &solved);
    assert_eq!(value["coverage"], "residual");
    assert_eq!(value["conflicts"], json!(["src/lib.rs"]));
    assert_eq!(value["expected_tree"], Value::Null);
    let paths: Vec<&Value> = value["residual"].as_array().unwrap().iter().collect();
    assert_eq!(paths.len(), 2, "{value}");
    assert_eq!(paths[0]["path"], "more.txt");
    assert_eq!(paths[0]["old"], Value::Null);
    let patch = patch_bytes(&alice, &tag, &solved);
    let text = String::from_utf8_lossy(&patch);
    assert!(text.contains("-fn soon() {}\n+fn solved() {}\n"), "{text}");
    assert!(!text.contains("a.txt"), "{text}");
    // Whoever takes the tip's side drops what was reviewed: that is no patch, and not covered.
    let dropped = amend(
        &alice,
        &[("src/lib.rs", Some("fn soon() {}\n")), ("more.txt", None)],
    );
    let outcome = alice.countersign(&["diff", &tag, &dropped]).exits(1);
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("src/lib.rs"), "{outcome}");
}

/// Every kind of change is in the patch as git would have it, and git applies it.
#[test]
fn every_kind_of_change() {
    for format in [Format::Sha1, Format::Sha256] {
        let server = Server::of(
            format,
            &policy(crate::support::config::PLAIN_RULE),
            &People::new(),
        );
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        alice.write(&[
            ("gone.txt", Some("gone\n")),
            ("mode.sh", Some("#!/bin/sh\n")),
            ("link", Some("a file\n")),
            ("no-end.txt", Some("one\ntwo")),
            ("dir/below.txt", Some("below\n")),
            ("empty", Some("")),
        ]);
        let head = approved_topic(&alice, &bob, "a.txt");
        alice.onto("origin/main");
        alice.git(&["merge", "-q", "--squash", &head]);
        alice.git(&["commit", "-q", "-m", "squash"]);
        let squash = alice.head();
        alice.fetch();
        alice.countersign(&["diff", &head, &squash]).exits(0);

        let dir = alice.dir();
        fs::remove_file(dir.join("gone.txt")).unwrap();
        fs::remove_file(dir.join("empty")).unwrap();
        fs::remove_file(dir.join("link")).unwrap();
        std::os::unix::fs::symlink("to/where", dir.join("link")).unwrap();
        fs::remove_dir_all(dir.join("dir")).unwrap();
        fs::write(dir.join("binary"), b"\0\x01\x02").unwrap();
        let long: String = (0..60).map(|n| format!("line {n}\n")).collect();
        alice.write(&[
            ("a.txt", Some(&long)),
            ("no-end.txt", Some("one\ntwo\nthree")),
            ("dir", Some("a file now\n")),
            ("made empty", Some("")),
            ("with space.txt", Some("x\r\n")),
            ("\"quoted\" t\u{e9}xt", Some("\u{e9}\u{1b}[2J")),
        ]);
        alice.git(&["add", "-A"]);
        alice.git(&["update-index", "--chmod=+x", "mode.sh"]);
        let submodule = format!("160000,{head},sub");
        alice.git(&["update-index", "--add", "--cacheinfo", &submodule]);
        alice.git(&["commit", "-q", "--amend", "--no-edit"]);
        let landed = alice.head();
        let patch = patch_bytes(&alice, &head, &landed);
        let mut git = alice.command("git");
        let options = [
            "--no-renames",
            "--full-index",
            "--histogram",
            "--no-indent-heuristic",
        ];
        git.args(["diff-tree", "-p"])
            .args(options)
            .args([&squash, &landed]);
        let theirs = git.output().unwrap().stdout;
        assert_eq!(
            String::from_utf8_lossy(&patch),
            String::from_utf8_lossy(&theirs)
        );
        alice.git(&["reset", "-q", "--hard", &squash]);
        applies(&alice, &patch, &landed);
    }
}

/// Where the tree fits and the history does not, the commits that nobody reviewed are named.
#[test]
fn extra_parents_and_roots_are_named() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let side = alice.change("side.txt", "unreviewed\n");
    let tree = alice.tree(&head);
    let root = commit_tree(&alice, &tree, &[]);
    for extra in [&side, &root] {
        let joined = commit_tree(&alice, &tree, &[&server.main(), &head, extra]);
        let value = diff_json(&alice, &head, &joined);
        assert_eq!(value["coverage"], "residual");
        assert_eq!(value["residual"], json!([]));
        assert_eq!(value["unreviewed_commits"], json!([extra]));
        let outcome = alice.countersign(&["diff", &head, &joined]).exits(1);
        assert_eq!(outcome.stdout, "");
        assert!(outcome.stderr.contains(extra.as_str()), "{outcome}");
    }
    // An empty commit of one's own is not the reviewed one.
    let empty = commit_tree(&alice, &alice.tree("origin/main"), &[&server.main()]);
    alice.share(&empty);
    bob.approve(&empty).accepted();
    alice.fetch();
    let twin = commit_tree(&alice, &alice.tree("origin/main"), &[&server.main()]);
    assert_ne!(twin, empty);
    alice.countersign(&["diff", &empty, &empty]).exits(0);
    let value = diff_json(&alice, &empty, &twin);
    assert_eq!(value["unreviewed_commits"], json!([twin]));
}

/// What cannot be told is exit 3 with the reason, and nothing on stdout that could be taken for a
/// patch: no base, several, names that no checkout has.
#[test]
fn what_cannot_be_told() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let one = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let two = approved_topic(&alice, &bob, "b.txt");
    // A criss-cross: both sides merged both ways.
    let tree = {
        alice.git(&["checkout", "-q", "--detach", &one]);
        merge(&alice, &two);
        alice.tree("HEAD")
    };
    let left = commit_tree(&alice, &tree, &[&one, &two]);
    let right = commit_tree(&alice, &tree, &[&two, &one]);
    alice.share(&left);
    bob.approve(&left).accepted();
    alice.land(&left).accepted();
    alice.share(&right);
    bob.approve(&right).accepted();
    alice.fetch();
    let joined = commit_tree(&alice, &tree, &[&left, &right]);
    let outcome = alice.countersign(&["diff", &right, &joined]).exits(3);
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("several"), "{outcome}");
    let value = diff_json(&alice, &right, &joined);
    assert_eq!(value["coverage"], "unverifiable");
    assert!(value["why"].is_string(), "{value}");

    // `reviews` gives the same reason.
    let reviews = server.cli(&["reviews", &right, "--onto", "main", "--json"]);
    let row = &reviews.exits(0).json()["reviews"][0];
    assert_eq!(row["coverage"], "unverifiable");
    assert!(row["why"].as_str().unwrap().contains("several"), "{row}");

    alice.onto(&base);
    let newline = commit_with_newline(&alice);
    let outcome = alice.countersign(&["diff", &right, &newline]).exits(3);
    assert_eq!(outcome.stdout, "");
}

/// A commit with a path that has a line feed in it.
fn commit_with_newline(at: &Checkout) -> String {
    let blob = objects::blob(at, "x\n");
    objects::commit_with_entries(at, &[("100644", b"two\nlines", &blob)])
}

/// What landed long ago is compared with where its entry says it landed, and in a clone, which has
/// no entries, with its first parent or what the user names.
#[test]
fn what_landed_before() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    alice.change("a.txt", "one\n");
    let middle = alice.head();
    let head = approved_topic(&alice, &bob, "b.txt");
    alice.land(&head).accepted();
    let later = approved_on_main(&alice, &bob, "c.txt");
    alice.land(&later).accepted();
    let value = server
        .cli(&["diff", &head, &head, "--json"])
        .exits(0)
        .json();
    assert_eq!(value["onto"], base);
    alice.fetch();
    let range = format!("{base}..{head}");
    alice
        .countersign(&["diff", &head, &range])
        .exits(0)
        .says("identity");
    let value = diff_json(&alice, &head, &head);
    assert_eq!(value["onto"], middle);
    // Another's change that landed is what this reviewer did not see.
    let value = server
        .cli(&["diff", &head, &later, "--json"])
        .exits(1)
        .json();
    assert_eq!(value["onto"], head);
    assert_eq!(value["residual"][0]["path"], "c.txt");
    assert_eq!(value["unreviewed_commits"], json!([]));
}

/// Where several reviewed heads landed at once, each reviewer is shown what the others brought, and
/// told that those were counted too.
#[test]
fn several_heads_at_once() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let second = approved_on_main(&alice, &bob, "b.txt");
    alice.onto("origin/main");
    merge(&alice, &first);
    let both = merge(&alice, &second);
    alice.land(&both).accepted();
    let outcome = server.cli(&["diff", &first, &both]).exits(1);
    assert!(outcome.stdout.contains("+++ b/b.txt"), "{outcome}");
    assert!(!outcome.stdout.contains("a.txt"), "{outcome}");
    assert!(outcome.stderr.contains(&second), "{outcome}");
    let value = server.cli(&["diff", &first, &both, "--json"]).json();
    assert_eq!(value["counted"], json!([first, second]));
    assert_eq!(value["unreviewed_commits"], json!([]));
}

/// A commit that is not built on the tip is compared from where the two part, and says so.
#[test]
fn not_built_on_the_tip() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let other = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&other).accepted();
    alice.fetch();
    alice
        .countersign(&["diff", &head, &head])
        .exits(0)
        .says("not built on");
}

/// What is no review, no commit or no branch exits 2.
#[test]
fn usage() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.fetch();
    let tag = tag_of(&server, &head);
    let tree = alice.tree(&head);
    let absent = "1".repeat(40);
    for args in [
        [tree.as_str(), head.as_str()],
        [absent.as_str(), head.as_str()],
        [head.as_str(), absent.as_str()],
        ["HEAD~1", head.as_str()],
        ["nowhere", head.as_str()],
        [head.as_str(), "a..."],
    ] {
        let args = ["diff", args[0], args[1]];
        let outcome = alice.countersign(&args).exits(2);
        assert_eq!(outcome.stdout, "");
    }
    alice.git(&[
        "update-ref",
        "-d",
        &format!("refs/countersign/reviews/{head}/bob-{}", &tag[..8]),
    ]);
    for review in [&head, &tag] {
        alice
            .countersign(&["diff", review, &head])
            .exits(2)
            .says("git fetch");
    }
    for onto in ["refs/tags/v1", "release/1", "bad..name"] {
        server.cli(&["diff", &head, &head, "--onto", onto]).exits(2);
    }
}

/// On a terminal nothing in the content steers it; a pipe gets the bytes.
#[test]
fn hostile_content_on_a_terminal() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.fetch();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2Jx\r\u{202e}y\n";
    alice.write(&[("evil.txt", Some(evil))]);
    let landed = amend(&alice, &[("b.txt", Some("b\n"))]);
    let patch = patch_bytes(&alice, &head, &landed);
    assert!(
        patch
            .windows(evil.len())
            .any(|bytes| bytes == evil.as_bytes())
    );
    let command = format!(
        "{} diff {head} {landed}; echo exit $?",
        env!("CARGO_BIN_EXE_countersign")
    );
    let mut script: Command = alice.command("script");
    script.args(["-qec", &command, "/dev/null"]);
    let shown = Outcome::of(&mut script, b"");
    assert!(shown.stdout.contains("exit 1"), "{shown}");
    assert!(
        shown.stdout.contains("\\u{1b}[2Jx\\u{d}\\u{202e}y"),
        "{shown}"
    );
    let steers = |letter: char| letter.is_control() && !"\r\n\t".contains(letter);
    assert!(!shown.stdout.contains(steers), "{shown}");
    assert!(!shown.stdout.contains('\u{202e}'), "{shown}");
}
