//! Crashes between the record and the ref, and words that two readers understand differently.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::not_reviewed;
use crate::support::checkout::review_message;
use crate::support::{MAIN, Server, approved_topic, two_people};

fn hook(server: &Server, name: &str, body: &str) -> std::path::PathBuf {
    let path = server.repo().join("hooks").join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// REC-05: killed after the intent and before the ref moved: nothing landed, and nothing is on
/// record as landed.
#[test]
fn rec_05_killed_before_the_ref_moved() {
    let (server, alice, bob) = two_people();
    let (before, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    let size = server.log_size();
    let update = hook(&server, "update", "kill -9 $PPID");
    alice.land(&head).refused(&[]);
    assert_eq!((server.main(), server.log_size()), (before, size));
    not_reviewed(&server, &head);
    fs::remove_file(update).unwrap();
    server.cli(&["log", "reconcile"]).exits(0);
    assert_eq!(server.log_size(), size);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
}

/// REC-05: killed after the ref moved and before the entry: the next to look writes it.
#[test]
fn rec_05_killed_after_the_ref_moved() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let size = server.log_size();
    let body = format!("[ \"$1\" = committed ] || exit 0\ngrep -q ' {MAIN}$' && kill -9 $PPID");
    let transaction = hook(&server, "reference-transaction", &body);
    alice.land(&head).either();
    fs::remove_file(transaction).unwrap();
    assert_eq!((server.main(), server.log_size()), (head.clone(), size));
    server.cli(&["log", "reconcile"]).exits(0);
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    server.log_is_good();
}

/// REC-08: a statement with a line twice, in another order or in another spelling, and an entry
/// written otherwise.
#[test]
fn rec_08_one_spelling() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let good = review_message("approve", MAIN, &[]);
    let base = format!("Base: {before}");
    for message in [
        format!("{good}{base}\n{base}\n"),
        format!("{good}{base}\nBase: {head}\n"),
        format!("{good}base: {before}\n"),
        format!("{good}{base} \n"),
        format!("{good}Base:{before}\n"),
        format!(
            "{good}Base: {}\n",
            before.to_uppercase().replace(char::is_numeric, "A")
        ),
        format!("{good}Base: {}\n", &before[..12]),
        good.replacen("approve", "Approve", 1),
        good.replacen("approve ", "approve  ", 1),
        format!("\n{good}"),
        good.replacen(MAIN, "main", 1),
    ] {
        let body = format!(
            "object {head}\ntype commit\ntag countersign/ok\ntagger bob <bob@example.com> 1700000000 +0000\n\n{message}"
        );
        let signature = crate::support::objects::sign(&bob, "git", &body);
        let tag = format!("{body}{signature}");
        let tag = crate::support::objects::write(&bob, "tag", tag.as_bytes());
        bob.push_review(&tag, &head, "bob")
            .refused(&["malformed-review"]);
    }
    bob.review("approve", &head, &[&base]).accepted();
    alice.land(&head).accepted();

    // The same JSON in other bytes is another entry, and not the one that is signed.
    let tiles = crate::bad_input::files_below(&server.record("log/tile/entries"));
    // Of the tiles with fewer entries, which readers of an older checkpoint have, none is asked.
    let whole = server.log_size().to_string();
    let tile = tiles.iter().find(|tile| tile.ends_with(&whole)).unwrap();
    let bytes = fs::read(tile).unwrap();
    let at = bytes.windows(2).position(|pair| pair == b"\":").unwrap();
    let mut spelled = bytes.clone();
    spelled.insert(at + 2, b' ');
    spelled.remove(at + 3);
    fs::write(tile, &spelled).unwrap();
    server.cli(&["log", "verify"]).exits(1);
    fs::write(tile, bytes).unwrap();
    server.log_is_good();
}

/// REC-15: a tip that says it is of long ago is on record when it came, and in its place.
#[test]
fn rec_15_backdated_tip() {
    let (server, alice, bob) = two_people();
    let old = server
        .checkout("alice")
        .env("GIT_COMMITTER_DATE", "@1000000000 +0000")
        .env("GIT_AUTHOR_DATE", "@1000000000 +0000");
    let head = approved_topic(&old, &bob, "a.txt");
    old.land(&head).accepted();
    let since = server.git(&["log", "--since=1.day.ago", "--format=%H", MAIN]);
    assert_eq!(since, "");
    let log = server.cli(&["log", "show", "--json"]).accepted().stdout;
    let landed = log
        .lines()
        .find(|line| line.contains("landed") && line.contains(&head))
        .unwrap();
    assert!(
        landed.contains("\"at\":\"20") && !landed.contains("\"at\":\"2001"),
        "{landed}"
    );
    server.cli(&["verify", "commit", &head]).exits(0);
    alice.onto("origin/main");
    let next = alice.change("b.txt", "new\n");
    alice.land(&next).refused(&["missing-approvals"]);
    not_reviewed(&server, &next);
}
