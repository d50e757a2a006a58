//! `every_commit = true`: each first-parent commit of a push is a step that wants a review of its own.

use crate::push::approved_on_main;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::landing::{lands, merge, squash};
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, rule, two_people_under,
};

/// A server that wants each first-parent commit of main reviewed, with alice's and bob's checkouts.
fn commit_by_commit(rules: &str) -> (Server, Checkout, Checkout) {
    let text = policy_text("", "every_commit = true", rules);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    (server, alice, bob)
}

/// A merge is one commit, whatever the topic behind it looks like.
#[test]
fn merge_of_a_topic() {
    let (server, alice, bob) = commit_by_commit(PLAIN_RULE);
    for (round, topic) in ["one", "two"].iter().enumerate() {
        alice.onto("origin/main");
        alice.change(&format!("{topic}/a.txt"), "1\n");
        let head = approved_topic(&alice, &bob, &format!("{topic}/b.txt"));
        alice.land(&head).refused(&["missing-approvals"]);
        alice.onto("origin/main");
        let landing = match round {
            0 => merge(&alice, &head),
            _ => squash(&alice, &head),
        };
        lands(&server, &alice, &landing);
    }
}

/// A queue of merges and squashes is judged head by head, and a commit between
/// them refuses all of it, which without `every_commit` nobody would see.
#[test]
fn queue_of_heads() {
    let (server, alice, bob) = commit_by_commit(PLAIN_RULE);
    let heads = ["one", "two", "three"].map(|topic| {
        alice.onto("origin/main");
        alice.change(&format!("{topic}/a.txt"), "1\n");
        approved_topic(&alice, &bob, &format!("{topic}/b.txt"))
    });
    alice.onto("origin/main");
    let steps = [merge(&alice, &heads[0]), squash(&alice, &heads[1])];
    lands(&server, &alice, &merge(&alice, &heads[2]));
    for commit in &steps {
        server.cli(&["verify", "commit", commit]).exits(0);
    }
    // What is behind a merge came in with it, and is no step.
    let within = format!("{}~1", heads[0]);
    for commit in [&heads[0], &within] {
        let oid = alice.git(&["rev-parse", commit]);
        let told = server.cli(&["verify", "commit", &oid]).exits(1);
        told.says("reachable");
    }

    for (every, server) in [(true, server), (false, Server::new())] {
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = approved_on_main(&alice, &bob, "four.txt");
        alice.onto("origin/main");
        alice.change("passing.txt", "comes\n");
        alice.commit(NewCommit {
            files: &[("passing.txt", None)],
            ..NewCommit::default()
        });
        let landing = merge(&alice, &head);
        if every {
            alice.land(&landing).refused(&["missing-approvals"]);
        } else {
            lands(&server, &alice, &landing);
        }
    }
}

/// A commit on top that changes nothing is a step nobody reviewed; without, it is
/// one more landing commit of the head below it.
#[test]
fn empty_commit_on_top() {
    for every in [true, false] {
        let server = match every {
            true => commit_by_commit(PLAIN_RULE).0,
            false => Server::new(),
        };
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = approved_topic(&alice, &bob, "a.txt");
        let empty = alice.commit(NewCommit::default());
        if every {
            alice.land(&empty).refused(&["missing-approvals"]);
            lands(&server, &alice, &head);
        } else {
            lands(&server, &alice, &empty);
        }
    }
}

/// A stack lands in one push, each of its commits on the review of it, also where
/// one person reviewed them all: what a later one of these reviews replaced lands with it.
#[test]
fn stack_of_heads() {
    for (mixed, forward) in [(true, true), (false, true), (false, false)] {
        let (server, alice, bob) = commit_by_commit(PLAIN_RULE);
        let carol = server.checkout("carol");
        let mut heads = Vec::new();
        for (number, reviewer) in [&bob, if mixed { &carol } else { &bob }, &bob]
            .iter()
            .enumerate()
        {
            // Each changes what the one before wrote, so that none lands without it.
            let head = alice.change("a.txt", &format!("{number}\n"));
            alice.share(&head);
            reviewer.approve(&head).accepted();
            heads.push(head);
        }
        let mut tips = heads.clone();
        if !forward {
            alice.onto("origin/main");
            tips = heads.iter().map(|head| merge(&alice, head)).collect();
        }
        // The heads that replace bob's first approval do not land here.
        alice.land(&tips[0]).refused(&["missing-approvals"]);
        lands(&server, &alice, &tips[2]);
        // Each was a step, and is as reviewed as the tip: by its own reviewer, the tip by all.
        let second = if mixed { "carol" } else { "bob" };
        for (tip, reviewer) in tips.iter().zip(["bob", second]) {
            let told = server.cli(&["verify", "commit", tip, "--json"]).exits(0);
            assert_eq!(told.json()["reviewers"], serde_json::json!([reviewer]));
        }
    }
}

fn guarded() -> String {
    PLAIN_RULE.to_owned()
        + &rule(
            "secure",
            "paths = [\"secure/\"]\nrequire = [\"1 of @security\"]",
        )
}

/// A commit that takes the guarded file back that the one below it brings.
fn takes_back(at: &Checkout) -> String {
    at.commit(NewCommit {
        files: &[("secure/key.txt", None), ("b.txt", Some("new\n"))],
        ..NewCommit::default()
    })
}

/// A rule is asked about what a commit brings though a later one takes it back,
/// and whom it names is heard.
#[test]
fn taken_back_by_a_later_commit() {
    let (server, alice, bob) = commit_by_commit(&guarded());
    let first = alice.change("secure/key.txt", "new\n");
    let second = takes_back(&alice);
    alice.share(&second);
    for head in [&first, &second] {
        bob.approve(head).accepted();
    }
    let refused = alice.land(&second).refused(&["missing-approvals"]);
    refused.says("secure");
    let dana = server.checkout("dana");
    for head in [&first, &second] {
        dana.approve(head).accepted();
    }
    lands(&server, &alice, &second);
}

/// The refusal names the commits that want a review of their own: approving the
/// tip, which is approved, would not help.
#[test]
fn names_the_unreviewed() {
    let (server, alice, bob) = commit_by_commit(PLAIN_RULE);
    let [first, second] = ["1\n", "2\n"].map(|text| alice.change("a.txt", text));
    let third = approved_topic(&alice, &bob, "b.txt");
    alice
        .land(&third)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    let verdict = server.check_json(&third, MAIN, "alice");
    let findings = verdict["updates"][0]["findings"].as_array().unwrap();
    let mut refusing = findings.iter().filter(|finding| {
        finding["severity"] == "refuse" && finding["code"] != "missing-approvals"
    });
    let named = refusing.next().unwrap();
    assert_eq!(refusing.next(), None);
    assert_eq!(named["code"], "unreviewed-residual");
    let detail = named["detail"].as_str().unwrap();
    for (commit, is_named) in [(&first, true), (&second, true), (&third, false)] {
        assert_eq!(detail.contains(commit.as_str()), is_named, "{detail}");
    }
    server.checkout("carol").approve(&first).accepted();
    bob.review("approve", &second, &[]).accepted();
    lands(&server, &alice, &third);
}

/// A review that a later one replaced does not count where the replacing head is
/// merely brought along and not itself a head that lands.
#[test]
fn dropped_replacement() {
    let (server, alice, bob) = commit_by_commit(PLAIN_RULE);
    let carol = server.checkout("carol");
    let first = alice.change("a.txt", "flawed\n");
    alice.share(&first);
    bob.approve(&first).accepted();
    let second = alice.change("a.txt", "mended\n");
    alice.share(&second);
    bob.approve(&second).accepted();
    alice.git(&["checkout", "-q", "--detach", &first]);
    alice.git(&["merge", "-q", "-s", "ours", "--no-commit", &second]);
    let flawed = alice.change("b.txt", "new\n");
    assert_eq!(alice.git(&["show", "HEAD:a.txt"]), "flawed");
    alice.share(&flawed);
    carol.approve(&flawed).accepted();
    alice.land(&flawed).refused(&["missing-approvals"]);
    lands(&server, &alice, &second);
}

/// So it is without `every_commit` for two heads in sequence, each by another person.
#[test]
fn head_that_takes_back_what_another_brings() {
    let (server, alice, bob) = two_people_under(&guarded());
    let [carol, dana] = ["carol", "dana"].map(|person| server.checkout(person));
    let first = alice.change("secure/key.txt", "new\n");
    alice.share(&first);
    carol.approve(&first).accepted();
    bob.onto(&first);
    let second = takes_back(&bob);
    bob.share(&second);
    alice.approve(&second).accepted();
    bob.land(&second).refused(&["missing-approvals"]);
    for head in [&first, &second] {
        dana.approve(head).accepted();
    }
    lands(&server, &bob, &second);
}
