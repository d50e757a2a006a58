//! Histories that bring more, or less, than was reviewed.

use super::{approved_and_refused, not_reviewed};
use crate::push::approved_on_main;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::objects::commit_tree;
use crate::support::outcome::Outcome;
use crate::support::{NewCommit, People, Server, approved_topic, two_people};

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

/// HIST-05: a squash whose tree is not what the reviewed head gives.
#[test]
fn hist_05_unreviewed_result_tree() {
    let (server, alice, bob) = two_people();
    alice.change("a.txt", "one\n");
    let head = approved_topic(&alice, &bob, "b.txt");
    for (path, text) in [
        ("extra.txt", Some("evil\n")),
        ("a.txt", Some("evil\n")),
        ("a.txt", None),
    ] {
        alice.onto("origin/main");
        alice.git(&["merge", "-q", "--squash", &head]);
        let queued = alice.commit(NewCommit {
            files: &[(path, text)],
            ..NewCommit::default()
        });
        let before = server.main();
        alice
            .land(&queued)
            .refused(&["missing-approvals", "unreviewed-residual"])
            .says(path);
        assert_eq!(server.main(), before);
        not_reviewed(&server, &queued);
    }
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--squash", &head]);
    alice.land(&alice.commit(NewCommit::default())).accepted();
}

/// HIST-06: the revert of a revert brings back what was taken out, on no approval of its own.
#[test]
fn hist_06_revert_of_a_revert() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice.onto("origin/main");
    alice.git(&["revert", "--no-edit", "HEAD"]);
    let revert = alice.head();
    alice.land(&revert).refused(&["missing-approvals"]);
    alice.share(&revert);
    bob.approve(&revert).accepted();
    alice.land(&revert).accepted();

    alice.git(&["revert", "--no-edit", "HEAD"]);
    let again = alice.head();
    assert_eq!(alice.tree(&again), alice.tree(&head));
    alice.land(&again).refused(&["missing-approvals"]);
    // Nor does a late approval of the old head bring it back.
    bob.approve(&head).either();
    alice.land(&again).refused(&["missing-approvals"]);
    let merged = commit_tree(&alice, &alice.tree(&head), &[&revert, &head]);
    alice.land(&merged).refused(&["missing-approvals"]);
    assert_eq!(server.main(), revert);
    not_reviewed(&server, &again);
}

fn patch_id(at: &crate::support::Checkout, commit: &str) -> String {
    let patch = at.try_git(&["show", commit]).accepted().stdout;
    let mut command = at.command("git");
    command.args(["patch-id", "--stable"]);
    let id = Outcome::of(&mut command, patch.as_bytes())
        .accepted()
        .line();
    id.split(' ').next().unwrap().to_owned()
}

/// HIST-07: the same patch by patch-id, of another meaning: moved out of the `if`.
#[test]
fn hist_07_patch_id_twin() {
    let (server, alice, bob) = two_people();
    let before = "def f(user):\n    if user.admin:\n        log()\n    done()\n";
    let base = alice.change("app.py", before);
    alice.share(&base);
    bob.approve(&base).accepted();
    alice.land(&base).accepted();
    let with = |line: &str| before.replace("log()\n", &format!("log()\n{line}\n"));
    let head = alice.change("app.py", &with("        grant()"));
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.onto("origin/main");
    let twin = alice.change("app.py", &with("    grant()"));
    assert_eq!(patch_id(&alice, &twin), patch_id(&alice, &head));
    alice
        .land(&twin)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    assert_eq!(server.main(), base);
    not_reviewed(&server, &twin);
    alice.land(&head).accepted();
}

/// HIST-11: main merged into the topic after the approval, with something added on the way.
#[test]
fn hist_11_base_merged_after_approval() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let carol = server.checkout("carol");
    let moved = approved_topic(&carol, &bob, "c.txt");
    carol.land(&moved).accepted();
    alice.fetch();
    alice.git(&["merge", "-q", "--no-ff", "--no-commit", "origin/main"]);
    let updated = alice.commit(NewCommit {
        files: &[("a.txt", Some("edited while merging\n"))],
        ..NewCommit::default()
    });
    alice.share(&updated);
    alice.land(&updated).refused(&["missing-approvals"]);
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "land", &updated]);
    alice.land(&alice.head()).refused(&["missing-approvals"]);
    let squashed = commit_tree(&alice, &alice.tree(&updated), &[&moved]);
    alice
        .land(&squashed)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    assert_eq!(server.main(), moved);
    not_reviewed(&server, &updated);
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "as reviewed", &head]);
    alice.land(&alice.head()).accepted();
}

/// HIST-12: whoever helped write a branch is no independent approver of its squash or rebase.
#[test]
fn hist_12_squash_erases_contributors() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let bobs = bob.change("b.txt", "bob's\n");
    bob.share(&bobs);
    alice.onto(&bobs);
    let head = alice.change("a.txt", "alice's\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.onto("origin/main");
    let squashed = commit_tree(&alice, &alice.tree(&head), &[&alice.head()]);
    alice.git(&["cherry-pick", "--no-gpg-sign", &bobs, &head]);
    let rebased = alice.head();
    for landing in [&squashed, &rebased] {
        alice
            .land(landing)
            .refused(&["missing-approvals", "self-approval"]);
        not_reviewed(&server, landing);
    }
    // The forges' squash names its co-authors, and so approving the squash itself is no way out.
    alice.git(&["checkout", "-q", "-f", "--detach", "origin/main"]);
    alice.git(&["merge", "-q", "--squash", &head]);
    let named = alice.commit(NewCommit {
        message: "squashed (#1)\n\nCo-authored-by: Bob <bob@example.com>",
        ..NewCommit::default()
    });
    alice.share(&named);
    bob.approve(&named).accepted();
    alice
        .land(&named)
        .refused(&["missing-approvals", "self-approval"]);
    carol.approve(&head).accepted();
    alice.land(&squashed).accepted();
}

/// HIST-13: somebody else's commits made again, unsigned, under their name.
#[test]
fn hist_13_rewritten_under_their_name() {
    let (server, alice, bob) = two_people();
    let forged = || {
        alice.onto("origin/main");
        alice.commit(NewCommit {
            files: &[("a.txt", Some("new\n"))],
            author: Some("bob"),
            committer: Some("bob"),
            unsigned: true,
            ..NewCommit::default()
        })
    };
    let head = forged();
    alice.share(&head);
    // It is alice's by her push, and bob's by its word: neither is independent of it.
    alice.approve(&head).accepted();
    bob.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    not_reviewed(&server, &head);
    server.checkout("carol").approve(&head).accepted();
    alice.land(&head).accepted();

    let text = policy_text("", "signed_commits = true", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, carol) = (server.checkout("alice"), server.checkout("carol"));
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        author: Some("bob"),
        committer: Some("bob"),
        unsigned: true,
        ..NewCommit::default()
    });
    approved_and_refused(&server, &alice, &carol, &head, &["unsigned-commit"]);
}

/// DIFF-05: `old...new` of a rollback is empty; a push back to an older reviewed commit is one.
#[test]
fn diff_05_three_dots_hide_a_rollback() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "v1.txt");
    alice.land(&first).accepted();
    let fix = approved_on_main(&alice, &bob, "fix.txt");
    alice.land(&fix).accepted();
    let named = |dots: &str| {
        let range = format!("{fix}{dots}{first}");
        alice.git(&["diff", "--name-only", &range])
    };
    assert_eq!(
        (named("..."), named("..")),
        (String::new(), "fix.txt".to_owned())
    );
    alice
        .push(&[&format!("+{first}:refs/heads/main")])
        .refused(&["rewound-branch"]);
    // As a merge of both that keeps the old tree it is a change of `fix.txt`.
    let back = commit_tree(&alice, &alice.tree(&first), &[&fix, &first]);
    alice.land(&back).refused(&["missing-approvals"]);
    assert_eq!(server.main(), fix);
    not_reviewed(&server, &back);
}
