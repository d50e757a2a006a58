//! Histories that bring more, or less, than was reviewed.

use super::approved_and_refused;
use crate::push::approved_on_main;
use crate::support::objects::commit_tree;
use crate::support::{approved_topic, two_people};

const UNCOVERED: &[&str] = &["unreviewed-residual", "missing-approvals"];

/// HIST-01: content put into the merge commit itself, which no log shows.
#[test]
fn hist_01_evil_merge() {
    let (server, alice, bob) = two_people();
    let side = approved_topic(&alice, &bob, "side.txt");
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "--no-commit", &side]);
    alice.write(&[("backdoor.txt", Some("BACKDOOR\n"))]);
    alice.git(&["add", "-A"]);
    alice.git(&["commit", "-q", "-m", "merge"]);
    alice
        .land(&alice.head())
        .refused(&["missing-approvals", "unreviewed-residual"])
        .says("backdoor.txt");
    assert_ne!(server.main(), alice.head());
}

/// HIST-02: `-s ours` claims a reviewed fix and drops it.
#[test]
fn hist_02_ours_drops_a_fix() {
    let (_server, alice, bob) = two_people();
    let fix = approved_topic(&alice, &bob, "fix.txt");
    alice.onto("origin/main");
    alice.git(&[
        "merge",
        "-q",
        "--no-ff",
        "-s",
        "ours",
        "-m",
        "merge the fix",
        &fix,
    ]);
    alice.land(&alice.head()).refused(&["missing-approvals"]);
}

/// HIST-03: an octopus of reviewed heads with a payload.
#[test]
fn hist_03_octopus_with_payload() {
    let (_server, alice, bob) = two_people();
    let one = approved_topic(&alice, &bob, "one.txt");
    let two = approved_on_main(&alice, &bob, "two.txt");
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "octopus", &one, &two]);
    alice.write(&[("evil.txt", Some("evil\n"))]);
    alice.git(&["add", "-A"]);
    alice.git(&["commit", "-q", "--amend", "--no-edit"]);
    alice.land(&alice.head()).refused(&["missing-approvals"]);
}

/// HIST-08: back to an older commit that was reviewed whole, losing a fix.
#[test]
fn hist_08_rollback() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "v1.txt");
    alice.land(&first).accepted();
    let fix = approved_on_main(&alice, &bob, "fix.txt");
    alice.land(&fix).accepted();
    alice
        .push(&[&format!("+{first}:refs/heads/main")])
        .refused(&["rewound-branch"]);
    // Nor as a commit on top with the old tree.
    let back = commit_tree(&alice, &alice.tree(&first), &[&fix]);
    alice.land(&back).refused(&["missing-approvals"]);
    assert_eq!(server.main(), fix);
}

/// HIST-09: the reviewed tree on another history.
#[test]
fn hist_09_same_tree_other_parents() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    let first = approved_topic(&alice, &bob, "one.txt");
    alice.land(&first).accepted();
    let head = approved_on_main(&alice, &bob, "two.txt");
    let grafted = commit_tree(&alice, &alice.tree(&head), &[&genesis]);
    alice
        .push(&[&format!("+{grafted}:refs/heads/main")])
        .refused(&["rewound-branch"]);
    let joined = commit_tree(&alice, &alice.tree(&head), &[&first, &grafted]);
    alice.land(&joined).refused(&["missing-approvals"]);
    alice.land(&head).accepted();
}

/// HIST-10: an unrelated history joined in without changing a file.
#[test]
fn hist_10_unrelated_history() {
    let (server, alice, bob) = two_people();
    let topic = approved_topic(&alice, &bob, "a.txt");
    alice.git(&["checkout", "-q", "--orphan", "island"]);
    alice.change("island.txt", "unreviewed\n");
    let island = alice.head();
    let joined = commit_tree(
        &alice,
        &alice.tree(&topic),
        &[&server.main(), &topic, &island],
    );
    alice.land(&joined).refused(UNCOVERED);
    let ours = commit_tree(
        &alice,
        &alice.tree(&server.main()),
        &[&server.main(), &island],
    );
    alice.land(&ours).refused(&["missing-approvals"]);
    alice.git(&["checkout", "-q", "-f", "--detach", "origin/main"]);
    let replaced = commit_tree(&alice, &alice.tree(&topic), &[&island]);
    approved_and_refused(&server, &alice, &bob, &replaced, &["rewound-branch"]);
}
