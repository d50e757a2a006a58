//! Ways around a review that once worked, each with the honest flow next to it that must go on working.

use crate::support::checkout::review_message;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::objects::commit_tree;
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

/// Approves a head for some ref.
fn approve_for(reviewer: &Checkout, target: &str, head: &str) {
    let tag = reviewer.tag_review(head, &review_message("approve", target, &[]));
    let leaf = format!("{}-{}", reviewer.person, &tag[..8]);
    reviewer.push_review(&tag, head, &leaf).accepted();
}

/// Forgets everything that no remaining ref reaches.
fn collect_garbage(server: &Server) {
    server.git(&["reflog", "expire", "--expire=now", "--all"]);
    server.git(&["gc", "-q", "--prune=now"]);
}

/// A head is not landed after its descendant: that would bring back what the descendant took out.
#[test]
fn ancestor_after_descendant() {
    for keeps in [false, true] {
        let (server, alice, bob) = two_people();
        let base = server.main();
        let first = alice.commit(NewCommit {
            files: &[("a.txt", Some("new\n")), ("evil.txt", Some("evil\n"))],
            ..NewCommit::default()
        });
        alice.share(&first);
        bob.approve(&first).accepted();
        let second = alice.commit(NewCommit {
            files: &[("evil.txt", None)],
            ..NewCommit::default()
        });
        alice.share(&second);
        let line = format!("Keeps: {first}");
        let lines: &[&str] = if keeps { &[&line] } else { &[] };
        bob.review("approve", &second, lines).accepted();

        let good = commit_tree(&alice, &alice.tree(&second), &[&base, &second]);
        let bad = commit_tree(&alice, &alice.tree(&first), &[&good]);
        alice.land(&bad).refused(&["missing-approvals"]);
        alice.land(&good).accepted();
    }
}

/// A version that the reviewer replaced by an alternative does not land along with it.
#[test]
fn replaced_alternative_in_the_same_push() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let first = approved_topic(&alice, &bob, "evil.txt");
    alice.onto("origin/main");
    let second = alice.change("b.txt", "new\n");
    alice.share(&second);
    bob.review("approve", &second, &[&format!("Replaces: {first}")])
        .accepted();
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "merge", &first]);
    alice.git(&["merge", "-q", "--no-ff", "-m", "merge", &second]);
    let both = alice.head();
    alice.land(&both).refused(&["missing-approvals"]);
    assert_eq!(server.main(), base);
    alice.land(&second).accepted();
}

/// A replaced approval stays replaced when the replacing head is pruned from the server.
#[test]
fn pruned_replacement() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let second = alice.change("b.txt", "more\n");
    alice.share(&second);
    bob.approve(&second).accepted();
    for line in server.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        if line.starts_with("refs/countersign/reviews/") || line.ends_with(&second[..12]) {
            server.git(&["update-ref", "-d", line]);
        }
    }
    collect_garbage(&server);
    alice.land(&first).refused(&["missing-approvals"]);
    bob.approve(&first).accepted();
    alice.land(&first).accepted();
}

/// What a reviewer said later of heads that were given up may be pruned once something landed: the
/// record is decided again to the same.
#[test]
fn pruned_after_landing() {
    let (server, alice, bob) = two_people();
    let good = approved_topic(&alice, &bob, "a.txt");
    let mut gone = Vec::new();
    for verbs in [&["reject"][..], &["approve", "withdraw"]] {
        alice.onto("origin/main");
        let head = alice.change("gone.txt", verbs[0]);
        alice.share(&head);
        for verb in verbs {
            bob.review(verb, &head, &[]).accepted();
        }
        gone.push(head);
    }
    alice.land(&good).accepted();
    for line in server.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        let is_topic = gone.iter().any(|head| line.ends_with(&head[..12]));
        if line.starts_with("refs/countersign/reviews/") || is_topic {
            server.git(&["update-ref", "-d", line]);
        }
    }
    collect_garbage(&server);
    server.cli(&["verify", "history"]).exits(0);
    server.cli(&["verify", "commit", &good]).exits(0);
}

/// Who steals one of a reviewer's keys takes no rejection back with it once the key is revoked.
#[test]
fn rejection_taken_back_with_a_stolen_key() {
    let stolen = crate::support::keys::public("mallory");
    let with = |terms: &str| {
        let keys = format!("until = 2099-01-01T00:00:00Z }}, {{ ssh = \"{stolen}\"{terms}");
        People::new().key_terms("carol", &keys)
    };
    let server = Server::with(&policy(PLAIN_RULE), &with(""));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|person| server.checkout(person));
    let thief = server
        .checkout("mallory")
        .env("COUNTERSIGN_PUSHER", "carol");
    let head = approved_topic(&alice, &bob, "a.txt");
    carol.review("reject", &head, &[]).accepted();
    thief.approve(&head).accepted();
    alice.onto("origin/main");
    let people = with(", revoked = 2020-01-01T00:00:00Z").text();
    let revoking = alice.change(".countersign/people.toml", &people);
    alice.share(&revoking);
    bob.review("approve", &revoking, &[&format!("Keeps: {head}")])
        .accepted();
    alice.land(&revoking).accepted();
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "merge", &head]);
    let merged = alice.head();
    alice.land(&merged).refused(&["rejected"]);
    carol.approve(&head).accepted();
    alice.land(&merged).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// In dry run the policy ref is neither rewound nor replaced to another policy, nor deleted; a
/// rewind that leaves the policy alone passes, and says so.
#[test]
fn policy_is_not_rewound_in_dry_run() {
    let text = policy_text("", "mode = \"dry-run\"", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    server.git(&["config", "receive.denyDeleteCurrent", "ignore"]);
    let base = server.main();
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).accepted();

    alice.git(&["checkout", "-q", "--orphan", "island"]);
    let mine = alice.change(".countersign/policy.toml", &format!("{text}\n# mine\n"));
    let forced = format!("+{mine}:{MAIN}");
    alice.push(&[&forced]).refused(&["rewound-branch"]);
    alice.push(&[&format!(":{MAIN}")]).refused(&["deleted-ref"]);
    assert_eq!(server.main(), head);

    let outcome = alice.push(&[&format!("+{base}:{MAIN}")]).accepted();
    assert!(outcome.codes().contains("rewound-branch"), "{outcome}");
}

/// Dry run does not take over a policy that stands on an unknown tip.
#[test]
fn unknown_policy_in_dry_run() {
    let text = policy_text("", "mode = \"dry-run\"", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let alice = server.checkout("alice");
    let mine = alice.change(".countersign/policy.toml", &format!("{text}\n# mine\n"));
    alice.share(&mine);
    server.git(&["update-ref", MAIN, &mine]);
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).refused(&["unknown-tip"]);
}

/// Bob's squashed head, then alice's on top of it, which bob approves.
fn stacked_on_a_squash(reverted: bool) -> (Checkout, String) {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let below = bob.change("x.txt", "bob's\n");
    bob.share(&below);
    alice.approve(&below).accepted();
    let mut tip = commit_tree(&bob, &bob.tree(&below), &[&base]);
    bob.land(&tip).accepted();
    if reverted {
        alice.onto("origin/main");
        tip = commit_tree(&alice, &alice.tree(&base), &[&tip]);
        alice.share(&tip);
        bob.approve(&tip).accepted();
        alice.land(&tip).accepted();
    }
    alice.onto(&below);
    let head = alice.change("y.txt", "alice's\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    let landing = commit_tree(&alice, &alice.tree(&head), &[&tip]);
    std::mem::forget(server);
    (alice, landing)
}

/// Who made what a revert took out does not approve bringing it back.
#[test]
fn revert_does_not_launder_its_author() {
    let (alice, landing) = stacked_on_a_squash(true);
    alice
        .land(&landing)
        .refused(&["missing-approvals", "self-approval"]);
    let (alice, landing) = stacked_on_a_squash(false);
    alice.land(&landing).accepted();
}

/// A commit that one head takes out again still has its author where the next brings it.
#[test]
fn shared_commit_taken_out_by_another_head() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let base = server.main();
    let shared = bob.change("c.txt", "bob's\n");
    bob.share(&shared);
    alice.onto(&shared);
    let first = alice.commit(NewCommit {
        files: &[("c.txt", None), ("x.txt", Some("x\n"))],
        ..NewCommit::default()
    });
    alice.share(&first);
    alice.onto(&shared);
    let second = alice.change("y.txt", "y\n");
    alice.share(&second);
    carol.approve(&first).accepted();
    bob.approve(&second).accepted();
    alice.onto(&first);
    let both = alice.commit(NewCommit {
        files: &[("c.txt", Some("bob's\n")), ("y.txt", Some("y\n"))],
        ..NewCommit::default()
    });
    let middle = commit_tree(&alice, &alice.tree(&first), &[&base, &first]);
    let end = commit_tree(&alice, &alice.tree(&both), &[&middle, &second]);
    alice
        .land(&end)
        .refused(&["missing-approvals", "self-approval"]);
    carol.approve(&second).accepted();
    alice.land(&end).accepted();
}

/// What anybody pushed to a ref before the policy began to protect it is no recorded commit.
#[test]
fn late_baseline_is_no_recorded_commit() {
    let (server, alice, bob) = two_people();
    let free = alice.change("free.txt", "free\n");
    alice.push(&[&format!("{free}:refs/heads/dev")]).accepted();
    alice.onto("origin/main");
    let wider = policy(&format!(
        "[[ref]]\nmatch = [\"refs/heads/dev\"]\n\n{PLAIN_RULE}"
    ));
    let head = alice.change(".countersign/policy.toml", &wider);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    alice
        .push(&[&format!("{free}:refs/heads/release/1")])
        .refused(&["missing-approvals"]);
    alice
        .push(&[&format!("{free}:refs/tags/v1")])
        .refused(&["unrecorded-target"]);
    alice
        .push(&[&format!("{head}:refs/heads/release/1")])
        .accepted();
    assert_eq!(server.tip("refs/heads/release/1"), Some(head));
}

/// An annotated tag that a rule names is approved, made, recorded, and in nobody's way afterwards.
#[test]
fn approved_annotated_tag() {
    let rules = rule(
        "everything",
        "refs = [\"refs/heads/main\", \"refs/tags/v*\"]\nrequire = [\"1 of @maintainers\"]",
    );
    let (server, alice, bob) = two_people_under(&rules);
    let old = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    for (name, at) in [("v1", &head), ("v0", &old)] {
        let target = format!("refs/tags/{name}");
        alice.git(&["tag", "-a", name, "-m", "version", at]);
        alice.push(&[&target]).refused(&["missing-approvals"]);
        approve_for(&bob, &target, at);
        alice.push(&[&target]).accepted();
    }
    alice.onto("origin/main");
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
}

/// Whoever carries two reviews of one head does not choose which is the later.
#[test]
fn carrier_does_not_order_reviews() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let approve = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    let reject = bob.tag_review(&head, &review_message("reject", MAIN, &[]));
    let size = server.log_size();
    let name = |tag: &str, leaf: &str| format!("{tag}:refs/countersign/reviews/{head}/{leaf}");
    bob.push(&[&name(&reject, "a"), &name(&approve, "b")])
        .refused(&["replayed-review"]);
    assert_eq!(server.log_size(), size);
    // The same bytes twice are one review.
    bob.push(&[&name(&approve, "a"), &name(&approve, "b")])
        .accepted();
    assert_eq!(server.log_size(), size + 1);
    alice.land(&head).accepted();
}

/// A key that ran out proves nobody, but whose it is made the commit all the same.
#[test]
fn expired_key_still_excludes() {
    let fresh = crate::support::keys::public("mallory");
    let terms = format!("until = 2020-01-01T00:00:00Z }}, {{ ssh = \"{fresh}\"");
    let people = People::new().key_terms("bob", &terms);
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let (alice, carol) = (server.checkout("alice"), server.checkout("carol"));
    let old = server.checkout("bob");
    let new = server.checkout("mallory").env("COUNTERSIGN_PUSHER", "bob");
    let head = old.commit(NewCommit {
        files: &[("a.txt", Some("bob's\n"))],
        author: Some("alice"),
        committer: Some("alice"),
        ..NewCommit::default()
    });
    alice.git(&["fetch", "-q", old.dir().to_str().unwrap(), "HEAD"]);
    alice.share(&head);
    new.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    carol.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// What a ref in dry run let through makes nobody a stranger to it where that ref is trusted.
#[test]
fn trust_in_a_dry_run() {
    let refs = "[[ref]]\nmatch = [\"refs/heads/stable\"]\ntrusts = [\"refs/heads/dev\"]\n\
                [[ref]]\nmatch = [\"refs/heads/dev\"]\nmode = \"dry-run\"\n";
    let server = Server::with(&policy(&format!("{refs}\n{PLAIN_RULE}")), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let (dev, stable) = ("refs/heads/dev", "refs/heads/stable");
    for name in [dev, stable] {
        alice.push(&[&format!("origin/main:{name}")]).accepted();
    }
    let unreviewed = bob.change("bob.txt", "bob's\n");
    bob.push(&[&format!("{unreviewed}:{dev}")]).accepted();
    alice.onto(&unreviewed);
    let head = alice.change("a.txt", "alice's\n");
    alice.share(&head);
    approve_for(&bob, stable, &head);
    alice
        .push(&[&format!("{head}:{stable}")])
        .refused(&["missing-approvals", "self-approval"]);
}

/// What a deleted branch's entries rest on outlives it, so that they can be decided again.
#[test]
fn deleted_branch_is_kept_for_replay() {
    let text = policy_text("", "delete = \"allow\"", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let target = "refs/heads/release/1";
    alice.push(&[&format!("origin/main:{target}")]).accepted();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    approve_for(&bob, target, &head);
    alice.push(&[&format!("{head}:{target}")]).accepted();
    alice.push(&[&format!(":{target}")]).accepted();
    for line in server.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        if line.starts_with("refs/countersign/reviews/") || line.starts_with("refs/heads/topic-") {
            server.git(&["update-ref", "-d", line]);
        }
    }
    collect_garbage(&server);
    assert_eq!(server.git(&["cat-file", "-t", &head]), "commit");
}
