//! What the terms of a policy change in coverage: `every_commit`, `base = "exact"`, `trusts`, and the
//! branches that are made or fed from main.

use serde_json::Value;

use crate::push::approved_on_main;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::landing::{approve_for, lands, lands_on, merge, pick, squash};
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

const RELEASE: &str = "refs/heads/release/1";

/// A server that wants each first-parent commit of main reviewed, with alice's and bob's checkouts.
fn commit_by_commit(rules: &str) -> (Server, Checkout, Checkout) {
    let text = policy_text("", "every_commit = true", rules);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    (server, alice, bob)
}

/// With `every_commit` a merge is one commit, whatever the topic behind it looks like.
#[test]
fn every_commit_of_a_merge() {
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

/// With `every_commit` a queue of merges and squashes is judged head by head, and a commit between
/// them refuses all of it, which without `every_commit` nobody would see.
#[test]
fn every_commit_of_a_queue() {
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

/// With `every_commit` a commit on top that changes nothing is a step nobody reviewed; without, it is
/// one more landing commit of the head below it.
#[test]
fn every_commit_and_an_empty_one() {
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

/// With `every_commit` a stack lands in one push, each of its commits on the review of it, also where
/// one person reviewed them all: what a later one of these reviews replaced lands with it.
#[test]
fn every_commit_of_a_stack() {
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

/// With `every_commit` a rule is asked about what a commit brings though a later one takes it back,
/// and whom it names is heard.
#[test]
fn every_commit_and_what_is_taken_back() {
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

/// So it is for two heads in sequence, each by another person, without `every_commit`.
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

/// With `every_commit` the refusal names the commits that want a review of their own: approving the
/// tip, which is approved, would not help.
#[test]
fn every_commit_names_the_unreviewed() {
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

/// With `every_commit` a review that a later one replaced does not count where the replacing head is
/// merely brought along and not itself a head that lands.
#[test]
fn every_commit_and_a_dropped_replacement() {
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

fn exact() -> String {
    rule(
        "exact",
        "require = [\"1 of @maintainers\"]\nbase = \"exact\"",
    )
}

/// The notes in the verdict on landing `commit` that say that an approval is of another base.
fn of_another_base(server: &Server, commit: &str) -> Vec<Value> {
    let verdict = server.check_json(commit, MAIN, "alice");
    let findings = verdict["updates"][0]["findings"].as_array().unwrap();
    let based = |finding: &&Value| {
        let detail = finding["detail"].as_str().unwrap();
        finding["code"] == "stale-approval" && detail.contains("base")
    };
    findings.iter().filter(based).cloned().collect()
}

/// Under `base = "exact"` an approval that names no `Base` is not counted, and a note says so; one
/// that names the tip counts while that is the tip, and has lapsed with a note once it is not.
#[test]
fn exact_base() {
    let (server, alice, bob) = two_people_under(&exact());
    let carol = server.checkout("carol");
    let base = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "stale-approval"]);
    let notes = of_another_base(&server, &head);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0]["severity"], "note");

    let other = carol.change("c.txt", "new\n");
    carol.share(&other);
    for head in [&head, &other] {
        bob.review("approve", head, &[&format!("Base: {base}")])
            .accepted();
    }
    assert_eq!(of_another_base(&server, &head), [] as [Value; 0]);
    lands(&server, &carol, &other);

    alice.onto("origin/main");
    let merged = merge(&alice, &head);
    alice.share(&merged);
    alice
        .land(&merged)
        .refused(&["missing-approvals", "stale-approval"]);
    assert_eq!(of_another_base(&server, &merged).len(), 1);
    // Named after what is the tip now, the approval of the very same head counts.
    bob.review("approve", &head, &[&format!("Base: {other}")])
        .accepted();
    lands(&server, &alice, &merged);
}

/// Under `base = "exact"` only the first head of a sequence can be what its reviewer saw the base of.
#[test]
fn exact_base_is_for_one_head() {
    let (server, alice, bob) = two_people_under(&exact());
    let line = format!("Base: {}", server.main());
    let heads = ["one.txt", "two.txt"].map(|file| {
        alice.onto("origin/main");
        let head = alice.change(file, "new\n");
        alice.share(&head);
        bob.review("approve", &head, &[&line]).accepted();
        head
    });
    alice.onto("origin/main");
    let first = merge(&alice, &heads[0]);
    let both = merge(&alice, &heads[1]);
    alice.land(&both).refused(&["missing-approvals"]);
    lands(&server, &alice, &first);
}

/// A rule with `base = "exact"` beside one without: the replayed approval counts for the one alone.
#[test]
fn exact_base_is_a_rules_own() {
    let rules = format!(
        "{PLAIN_RULE}{}",
        rule(
            "exact",
            "paths = [\"ci/\"]\nrequire = [\"1 of @maintainers\"]\nbase = \"exact\""
        )
    );
    let (server, alice, bob) = two_people_under(&rules);
    let plain = approved_topic(&alice, &bob, "a.txt");
    let guarded = approved_on_main(&alice, &bob, "ci/build.sh");
    alice.onto("origin/main");
    lands(&server, &alice, &squash(&alice, &plain));
    alice.onto("origin/main");
    let squashed = squash(&alice, &guarded);
    alice
        .land(&squashed)
        .refused(&["missing-approvals"])
        .says("exact");
    bob.review("approve", &guarded, &[&format!("Base: {}", server.main())])
        .accepted();
    lands(&server, &alice, &squashed);
}

const STABLE: &str = "refs/heads/stable";

/// A server with a stable branch made at main's first commit, which trusts main or nobody.
fn stable(trusts: bool) -> (Server, Checkout, Checkout) {
    let line = if trusts {
        format!("trusts = [\"{MAIN}\"]\n")
    } else {
        String::new()
    };
    let refs = format!("[[ref]]\nmatch = [\"{STABLE}\"]\n{line}");
    let server = Server::with(&policy(&format!("{refs}\n{PLAIN_RULE}")), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    alice.push(&[&format!("origin/main:{STABLE}")]).accepted();
    (server, alice, bob)
}

/// What landed on a trusted branch contributes nobody: its authors may approve its merge into the
/// branch that trusts. Where nothing is trusted they may not.
#[test]
fn trusted_commits_contribute_nobody() {
    for trusts in [true, false] {
        let (server, alice, bob) = stable(trusts);
        let carol = server.checkout("carol");
        lands(&server, &alice, &approved_topic(&alice, &bob, "a.txt"));
        carol.onto("origin/stable");
        let merged = merge(&carol, "origin/main");
        carol.share(&merged);
        approve_for(&alice, STABLE, &merged, &[]).accepted();
        let push = format!("{merged}:{STABLE}");
        if trusts {
            lands_on(&server, &carol, &merged, STABLE);
            continue;
        }
        carol
            .push(&[&push])
            .refused(&["missing-approvals", "self-approval"]);
        approve_for(&bob, STABLE, &merged, &[]).accepted();
        lands_on(&server, &carol, &merged, STABLE);
    }
}

/// A commit beside what landed on the trusted branch has its contributors, trusted or not.
#[test]
fn trust_ends_at_what_landed() {
    let (server, alice, bob) = stable(true);
    lands(&server, &alice, &approved_topic(&alice, &bob, "a.txt"));
    let more = alice.change("b.txt", "not on main\n");
    alice.share(&more);
    approve_for(&alice, STABLE, &more, &[]).accepted();
    alice
        .push(&[&format!("{more}:{STABLE}")])
        .refused(&["missing-approvals", "self-approval"]);
    approve_for(&bob, STABLE, &more, &[]).accepted();
    lands_on(&server, &alice, &more, STABLE);
}

/// A commit that nothing proves took one approval more on main; where main is trusted it is proven.
#[test]
fn trusted_commits_are_proven() {
    for trusts in [true, false] {
        let (server, alice, bob) = stable(trusts);
        let (carol, mallory) = (server.checkout("carol"), server.checkout("mallory"));
        let head = mallory.commit(NewCommit {
            files: &[("m.txt", Some("new\n"))],
            unsigned: true,
            ..NewCommit::default()
        });
        mallory.share(&head);
        for reviewer in [&bob, &carol] {
            reviewer.approve(&head).accepted();
        }
        alice.fetch();
        lands(&server, &alice, &head);
        approve_for(&bob, STABLE, &head, &[]).accepted();
        if !trusts {
            alice
                .push(&[&format!("{head}:{STABLE}")])
                .refused(&["missing-approvals", "unproven-commit"]);
            approve_for(&carol, STABLE, &head, &[]).accepted();
        }
        lands_on(&server, &alice, &head, STABLE);
    }
}

/// Trust is in what main reviewed: it does not make main's approvals count elsewhere.
#[test]
fn trust_is_no_approval() {
    let (server, alice, bob) = stable(true);
    let head = approved_topic(&alice, &bob, "a.txt");
    lands(&server, &alice, &head);
    alice
        .push(&[&format!("{head}:{STABLE}")])
        .refused(&["missing-approvals"]);
    approve_for(&bob, STABLE, &head, &[]).accepted();
    lands_on(&server, &alice, &head, STABLE);
}

/// A new protected branch is judged from where it leaves main, however far main has gone on, and by
/// approvals for its own name; its later history goes on from there.
#[test]
fn branch_made_from_an_older_main() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let fix = alice.change("fix.txt", "new\n");
    for file in ["one.txt", "two.txt"] {
        lands(&server, &carol, &approved_on_main(&carol, &bob, file));
    }
    alice.share(&fix);
    let push = format!("{fix}:{RELEASE}");
    bob.approve(&fix).accepted();
    alice.push(&[&push]).refused(&["missing-approvals"]);
    approve_for(&alice, RELEASE, &fix, &[]).accepted();
    alice
        .push(&[&push])
        .refused(&["missing-approvals", "self-approval"]);
    approve_for(&bob, RELEASE, &fix, &[]).accepted();
    lands_on(&server, &alice, &fix, RELEASE);

    let next = alice.change("next.txt", "new\n");
    alice.share(&next);
    approve_for(&bob, RELEASE, &next, &[]).accepted();
    lands_on(&server, &alice, &next, RELEASE);
}

/// A branch made at a recorded commit asked for no approval, and one that is there all the same makes
/// nothing reviewed: least of all by the one who makes the branch.
#[test]
fn branch_made_beside_a_needless_approval() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    for (reviewer, target) in [(&alice, RELEASE), (&bob, "refs/heads/release/2")] {
        approve_for(reviewer, target, &genesis, &[]).accepted();
        alice.push(&[&format!("{genesis}:{target}")]).accepted();
        server
            .cli(&["verify", "commit", &genesis, "--onto", target])
            .exits(1)
            .says("baseline");
    }
    server.cli(&["verify", "history"]).exits(0);
}

/// The commit a branch is made at must be all that was approved: one more is refused, and so is one
/// that leaves main at two places.
#[test]
fn branch_made_beside_what_was_approved() {
    let (server, alice, bob) = two_people();
    let (first, second) = {
        let first = approved_topic(&alice, &bob, "one.txt");
        (first, approved_on_main(&alice, &bob, "two.txt"))
    };
    alice.onto("origin/main");
    merge(&alice, &first);
    lands(&server, &alice, &merge(&alice, &second));
    // Both are best common ancestors of this and main.
    alice.git(&["checkout", "-q", "--detach", &second]);
    let crossed = merge(&alice, &first);
    alice.share(&crossed);
    approve_for(&bob, RELEASE, &crossed, &[]).accepted();
    alice
        .push(&[&format!("{crossed}:{RELEASE}")])
        .refused(&["unrecorded-target"]);

    alice.onto("origin/main");
    let fix = alice.change("fix.txt", "new\n");
    alice.share(&fix);
    approve_for(&bob, RELEASE, &fix, &[]).accepted();
    let more = alice.change("more.txt", "new\n");
    alice
        .push(&[&format!("{more}:{RELEASE}")])
        .refused(&["missing-approvals", "unreviewed-residual"]);
    lands_on(&server, &alice, &fix, RELEASE);
}

/// A backport is a change of the branch it goes to: it wants an approval for that branch, by somebody
/// who neither wrote nor picked it.
#[test]
fn backport() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    carol.push(&[&format!("origin/main:{RELEASE}")]).accepted();
    alice.change("feature.txt", "for main alone\n");
    let feature = approved_topic(&alice, &bob, "feature-2.txt");
    lands(&server, &alice, &feature);
    let fix = approved_on_main(&alice, &bob, "fix.txt");
    lands(&server, &alice, &fix);

    carol.onto("origin/release/1");
    let picked = pick(&carol, &fix, 1);
    carol.share(&picked);
    let push = format!("{picked}:{RELEASE}");
    carol.push(&[&push]).refused(&["missing-approvals"]);
    // For main, of main's commit, or by those whose work it is: none of these.
    bob.approve(&picked).accepted();
    approve_for(&bob, RELEASE, &fix, &[]).accepted();
    for author in [&alice, &carol] {
        approve_for(author, RELEASE, &picked, &[]).accepted();
    }
    carol
        .push(&[&push])
        .refused(&["missing-approvals", "self-approval", "unreviewed-residual"]);
    approve_for(&bob, RELEASE, &picked, &[]).accepted();
    lands_on(&server, &carol, &picked, RELEASE);
    let shown = carol.git(&["ls-tree", "--name-only", &picked]);
    assert!(!shown.contains("feature"), "{shown}");
}
