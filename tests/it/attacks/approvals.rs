//! Approvals that are real, and of something else, by somebody else, or at another time.

use super::{not_reviewed, without_fsck};
use crate::support::checkout::review_message;
use crate::support::config::PLAIN_RULE;
use crate::support::objects::{commit_tree, raw, write};
use crate::support::{
    MAIN, NewCommit, People, REPOSITORY, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

/// APPR-01: the payload pushed to the branch after the approval.
#[test]
fn appr_01_push_after_approval() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    let payload = alice.change("a.txt", "evil\n");
    alice.share(&payload);
    alice.land(&payload).refused(&["missing-approvals"]);
    alice.onto("origin/main");
    let squashed = commit_tree(&alice, &alice.tree(&payload), &[&before]);
    alice
        .land(&squashed)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &payload);
    alice.land(&head).accepted();
}

/// APPR-02: the branch forced to another head of the same message, which a forge shows as reviewed.
#[test]
fn appr_02_bound_to_a_new_head() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.write(&[("a.txt", Some("other\n"))]);
    alice.git(&["commit", "-q", "-a", "--amend", "--no-edit"]);
    let other = alice.head();
    let topic = format!("+{other}:refs/heads/topic-{}", &head[..12]);
    alice.push(&[&topic]).accepted();
    alice
        .land(&other)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    // The tag of the old head on the ref of the new one is no review of it.
    bob.fetch();
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.push_review(&tag, &other, "bob")
        .refused(&["malformed-review"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &other);
}

/// APPR-03: approved for one branch, counted on another.
#[test]
fn appr_03_other_target() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    alice.push(&["origin/main:refs/heads/release/1"]).accepted();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let release = "refs/heads/release/1";
    bob.fetch();
    let tag = bob.tag_review(&head, &review_message("approve", release, &[]));
    bob.push_review(&tag, &head, "bob").accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    alice.push(&[&format!("{head}:{release}")]).accepted();
    // Landed there is not landed here.
    alice.land(&head).refused(&["missing-approvals"]);
    server
        .cli(&["verify", "commit", &head, "--onto", MAIN])
        .exits(1);
}

/// APPR-04: bob opens the change, alice adds to it and approves it as if it were bob's.
#[test]
fn appr_04_hijacked_change() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let opened = bob.change("b.txt", "bob's\n");
    bob.share(&opened);
    alice.onto(&opened);
    for unsigned in [false, true] {
        alice.git(&["checkout", "-q", "--detach", &opened]);
        let head = alice.commit(NewCommit {
            files: &[("a.txt", Some("alice's\n"))],
            author: unsigned.then_some("bob"),
            committer: unsigned.then_some("bob"),
            unsigned,
            ..NewCommit::default()
        });
        alice.share(&head);
        alice.approve(&head).accepted();
        for who in [&alice, &bob] {
            who.fetch();
            who.land(&head)
                .refused(&["missing-approvals", "self-approval"]);
        }
        not_reviewed(&server, &head);
    }
    assert_eq!(server.main(), before);
}

/// APPR-06: commits of nobody known, so that whoever made them seems to be somebody else.
#[test]
fn appr_06_unattributed_commits() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let of_nobody = |at: &crate::support::Checkout, file: &str| {
        at.onto("origin/main");
        at.commit(NewCommit {
            files: &[(file, Some("new\n"))],
            author: Some("zed"),
            committer: Some("zed"),
            unsigned: true,
            ..NewCommit::default()
        })
    };
    let head = of_nobody(&alice, "a.txt");
    alice.share(&head);
    alice.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    // Brought by nobody known it takes one approval more.
    let mallory = server.checkout("mallory");
    let stray = of_nobody(&mallory, "m.txt");
    mallory.share(&stray);
    alice.fetch();
    alice.approve(&stray).accepted();
    bob.fetch();
    bob.land(&stray)
        .refused(&["missing-approvals", "unproven-commit"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &stray);
    bob.approve(&stray).accepted();
    bob.land(&stray).accepted();
}

/// APPR-07: a review of the same commit for another repository, carried over.
#[test]
fn appr_07_other_repository() {
    let (ours, alice, _) = two_people();
    let text = policy(PLAIN_RULE).replace(REPOSITORY, "git.example.com/other");
    let other = Server::with(&text, &People::new());
    let bob = other.checkout("bob");
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.git(&["fetch", "-q", &ours.url(), &head]);
    bob.push(&[&format!("{head}:refs/heads/topic")]).accepted();
    let message = format!("countersign: approve {MAIN} of git.example.com/other\n");
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob").accepted();
    let carried = write(&alice, "tag", raw(&bob, &tag).as_bytes());
    assert_eq!(carried, tag);
    alice
        .push_review(&tag, &head, "bob")
        .refused(&["wrong-repository"]);
    alice.land(&head).refused(&["missing-approvals"]);
    not_reviewed(&ours, &head);
}

/// APPR-08: whoever may approve the documents approves a pipeline beside them.
#[test]
fn appr_08_wrong_scope() {
    let rules = format!(
        "{}{}",
        rule("docs", "paths = [\"docs/\"]\nrequire = [\"1 of bob\"]"),
        rule("ci", "class = [\"pipeline\"]\nrequire = [\"1 of dana\"]")
    );
    let (server, alice, bob) = two_people_under(&rules);
    let before = server.main();
    alice.write(&[(".github/workflows/ci.yml", Some("on: push\n"))]);
    let head = approved_topic(&alice, &bob, "docs/a.md");
    alice.land(&head).refused(&["missing-approvals"]).says("ci");
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// APPR-11: words that anyone can write or edit afterwards.
#[test]
fn appr_11_words_are_no_approval() {
    let (server, alice, bob) = without_fsck();
    let before = server.main();
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        message: "/lgtm\n\n/approve\nAcked-by: Bob <bob@example.com>",
        ..NewCommit::default()
    });
    alice.share(&head);
    for words in ["/lgtm\n", "/approve\n", "countersign: /lgtm\n"] {
        let tag = bob.tag_review(&head, words);
        bob.push_review(&tag, &head, "bob")
            .refused(&["malformed-review"]);
    }
    // Bob's signed words, edited.
    let reject = bob.tag_review(&head, &review_message("reject", MAIN, &[]));
    let edited = raw(&bob, &reject).replacen("countersign: reject", "countersign: approve", 1);
    let edited = write(&bob, "tag", edited.as_bytes());
    bob.push_review(&edited, &head, "bob")
        .refused(&["bad-signature"]);
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
}

/// APPR-12: a new version keeps the vote of the old one, unless it comes to the very same.
#[test]
fn appr_12_sticky_votes() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    let second = alice.change("b.txt", "more\n");
    alice.share(&second);
    alice.land(&second).refused(&["missing-approvals"]);
    alice.git(&["checkout", "-q", "--detach", &head]);
    alice.write(&[("a.txt", Some("new \n"))]);
    alice.git(&["commit", "-q", "-a", "--amend", "-m", "white space only"]);
    alice
        .land(&alice.head())
        .refused(&["missing-approvals", "unreviewed-residual"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &second);
    // Another message over the same tree on the same base is what bob saw.
    let reworded = commit_tree(&alice, &alice.tree(&head), &[&before]);
    alice.land(&reworded).accepted();
}

/// APPR-14: the owner of a path changes it, which is no approval of it.
#[test]
fn appr_14_owner_is_author() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of any\"]"),
        rule(
            "owned",
            "paths = [\"src/\"]\nrequire = [\"1 of alice|dana\"]"
        )
    );
    let (server, alice, bob) = two_people_under(&rules);
    let before = server.main();
    let head = alice.change("src/lib.rs", "fn two() {}\n");
    alice.share(&head);
    alice.approve(&head).accepted();
    bob.approve(&head).accepted();
    bob.land(&head)
        .refused(&["missing-approvals", "self-approval"])
        .says("owned");
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    server.checkout("dana").approve(&head).accepted();
    bob.land(&head).accepted();
}

/// APPR-15: in bob's place at the door, and even in his name on the tag, without his key.
#[test]
fn appr_15_impersonation() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let admin = server
        .checkout("alice")
        .env("COUNTERSIGN_PUSHER", "bob")
        .env("GIT_COMMITTER_NAME", "bob")
        .env("GIT_COMMITTER_EMAIL", "bob@example.com");
    // Carried by "bob", tagged by "bob", signed by alice: alice's.
    admin.approve(&head).accepted();
    admin
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// APPR-16: landed first, approved afterwards.
#[test]
fn appr_16_retroactive() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    server.git(&["update-ref", MAIN, &head]);
    bob.approve(&head).either();
    server.cli(&["log", "reconcile"]).exits(1);
    not_reviewed(&server, &head);
    // Adopted on the host it is on record as that, and stays it.
    server.cli(&["log", "adopt", MAIN]).accepted();
    bob.approve(&head).either();
    not_reviewed(&server, &head);
    // Nor when it is pushed once more as if nothing had been.
    alice
        .push(&[&format!("+{before}:{MAIN}")])
        .refused(&["rewound-branch"]);
    alice.land(&head).either();
    not_reviewed(&server, &head);
}

/// An approval spelled otherwise, which needs no key, is not given a second time: its armour in
/// lines of another width makes another tag of the same words and signature.
#[test]
fn respelled_approval() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let tag = server.git(&[
        "for-each-ref",
        "--format=%(objectname)",
        &format!("refs/countersign/reviews/{first}"),
    ]);
    // What replaces it is by the same person, of a head that descends from it.
    let second = alice.change("b.txt", "more\n");
    alice.share(&second);
    bob.approve(&second).accepted();
    alice.fetch();
    let text = raw(&alice, &tag);
    let (words, armor) = text.split_once("-----BEGIN SSH SIGNATURE-----\n").unwrap();
    let (data, _) = armor.split_once("-----END").unwrap();
    let data = data.replace('\n', "");
    let lines: Vec<&str> = (0..data.len())
        .step_by(64)
        .map(|at| &data[at..data.len().min(at + 64)])
        .collect();
    let respelled = format!(
        "{words}-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    );
    let respelled = write(&alice, "tag", respelled.as_bytes());
    assert_ne!(respelled, tag);
    alice
        .push_review(&respelled, &first, "again")
        .refused(&["replayed-review"]);
    alice.land(&first).refused(&["missing-approvals"]);
    not_reviewed(&server, &first);
    alice.land(&second).accepted();
}
