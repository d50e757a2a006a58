//! What the terms of a policy change in coverage: `base = "exact"`, `trusts`, and the branches that
//! are made or fed from main.

use serde_json::Value;

use crate::push::approved_on_main;
use crate::support::config::PLAIN_RULE;
use crate::support::landing::{approve_for, lands, lands_on, merge, pick, squash};
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

const RELEASE: &str = "refs/heads/release/1";

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

/// Under `base = "exact"` a new branch has main's tip for its base, as long as it leaves main there.
#[test]
fn exact_base_of_a_new_branch() {
    let (server, alice, bob) = two_people_under(&exact());
    let base = server.main();
    let old = alice.change("old.txt", "new\n");
    alice.onto("origin/main");
    let moved = alice.change("moved.txt", "new\n");
    alice.share(&moved);
    bob.review("approve", &moved, &[&format!("Base: {base}")])
        .accepted();
    lands(&server, &alice, &moved);
    let new = alice.change("new.txt", "new\n");
    alice.share(&old);
    alice.share(&new);
    for head in [&old, &new] {
        approve_for(&bob, RELEASE, head, &[&format!("Base: {moved}")]).accepted();
    }
    alice
        .push(&[&format!("{old}:{RELEASE}")])
        .refused(&["missing-approvals", "stale-approval"]);
    lands_on(&server, &alice, &new, RELEASE);
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
