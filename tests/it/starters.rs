//! The starters of `templates/policy/`: each promises something, and keeps it.

use std::fs;
use std::path::Path;

use crate::support::{Format, MAIN, NewCommit, Server, keys};

const POLICY: &str = ".countersign/policy.toml";
const WORKFLOW: &str = ".github/workflows/ci.yml";

fn template(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/policy");
    fs::read_to_string(folder.join(path)).unwrap()
}

/// The sample people with real keys in place of the dots.
fn people(starter: &str) -> String {
    let mut text = template(&format!("{starter}/people.toml"));
    for person in ["alice", "bob", "carol", "dana"] {
        let dots = format!("ssh-ed25519 AAAA… {person}@laptop");
        text = text.replace(&dots, &keys::public(person));
    }
    text
}

/// A server enrolled with a starter, which has nothing to warn of.
fn server(starter: &str, people: &str) -> Server {
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (POLICY, &template(&format!("{starter}/policy.toml"))),
        (".countersign/people.toml", people),
        ("README.md", "hello\n"),
    ]);
    server.enroll(&[]).accepted();
    server.cli(&["policy", "check"]).exits(0);
    server
}

/// Every folder has a policy that says when to choose it, and people who are refused until their keys
/// are real.
#[test]
fn each_is_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/policy");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "dry-run-first",
            "outside-contributors",
            "strict",
            "two-people"
        ]
    );
    for name in &names {
        assert!(
            template(&format!("{name}/policy.toml")).contains("Choose it"),
            "{name}"
        );
    }
    for name in &names[1..] {
        let server = Server::bare(Format::Sha1);
        server.seed(&[
            (POLICY, &template(&format!("{name}/policy.toml"))),
            (
                ".countersign/people.toml",
                &template(&format!("{name}/people.toml")),
            ),
        ]);
        let refused = server.cli(&["policy", "check"]).exits(2);
        refused.says("not an ssh public key line");
    }
}

/// Two people: what one wrote lands when the other approved it, and not before.
#[test]
fn two_people_review_each_other() {
    let server = server("two-people", &people("two-people"));
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    for (writer, other) in [(&alice, &bob), (&bob, &alice)] {
        writer.onto("origin/main");
        let head = writer.change("a.txt", writer.person);
        writer.land(&head).refused(&["missing-approvals"]);
        writer.share(&head);
        writer.approve(&head).either();
        writer.land(&head).refused(&["missing-approvals"]);
        other.approve(&head).accepted();
        writer.land(&head).accepted();
    }
    alice.push(&["origin/main:refs/tags/v1"]).accepted();
    alice.push(&[":refs/tags/v1"]).refused(&["deleted-ref"]);
}

/// Strict: two others, a signature on each commit, and each commit by itself.
#[test]
fn strict_wants_two_others() {
    let server = server("strict", &people("strict"));
    let (alice, bob, carol) = (
        server.checkout("alice"),
        server.checkout("bob"),
        server.checkout("carol"),
    );
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    carol.approve(&head).accepted();
    alice.land(&head).accepted();

    let bare = alice.commit(NewCommit {
        files: &[("a.txt", Some("unsigned\n"))],
        unsigned: true,
        ..NewCommit::default()
    });
    alice.share(&bare);
    alice.land(&bare).refused(&["unsigned-commit"]);

    // What the second commit takes back was in nobody's review of the second.
    alice.onto("origin/main");
    alice.change("a.txt", "for a moment\n");
    let last = alice.change("a.txt", "new\n");
    alice.share(&last);
    bob.approve(&last).accepted();
    carol.approve(&last).accepted();
    alice.land(&last).refused(&["missing-approvals"]);

    // A pipeline is approved as it will land: a review says on top of what.
    alice.onto("origin/main");
    let base = alice.head();
    let head = alice.change(WORKFLOW, "on: push\n");
    alice.share(&head);
    for reviewer in [&bob, &carol] {
        reviewer.approve(&head).accepted();
    }
    alice.land(&head).refused(&["missing-approvals"]);
    for reviewer in [&bob, &carol] {
        let line = format!("Base: {base}");
        reviewer.review("approve", &head, &[&line]).accepted();
    }
    alice.land(&head).accepted();
}

/// Outside contributors push and are heard, but fill no place; two maintainers see what builds.
#[test]
fn outside_contributors_fill_no_place() {
    let server = server("outside-contributors", &people("outside-contributors"));
    let (alice, bob, dana) = (
        server.checkout("alice"),
        server.checkout("bob"),
        server.checkout("dana"),
    );
    let head = dana.change("a.txt", "from outside\n");
    dana.share(&head);
    dana.land(&head).refused(&["missing-approvals"]);
    bob.approve(&head).accepted();
    dana.land(&head).accepted();

    // A contributor's approval of a maintainer's change counts for nothing.
    alice.onto("origin/main");
    let head = alice.change("b.txt", "from inside\n");
    alice.share(&head);
    dana.approve(&head).either();
    alice.land(&head).refused(&["missing-approvals"]);

    // A stranger's commit that alice brought is hers too.
    let stranger = server.checkout("mallory");
    let patch = stranger.change("c.txt", "a patch\n");
    let path = stranger.dir().to_str().unwrap();
    alice.git(&["fetch", "-q", path, &patch]);
    alice.share(&patch);
    alice.approve(&patch).either();
    bob.fetch();
    bob.land(&patch).refused(&["missing-approvals"]);

    dana.onto("origin/main");
    let head = dana.change(WORKFLOW, "on: push\n");
    dana.share(&head);
    bob.approve(&head).accepted();
    dana.land(&head).refused(&["missing-approvals"]);
    alice.approve(&head).accepted();
    dana.land(&head).accepted();
}

/// Dry run: an unreviewed change lands and reads what would have been refused; a change of the policy
/// does not.
#[test]
fn dry_run_holds_the_policy_alone() {
    let server = server("dry-run-first", &people("two-people"));
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    let landed = alice.land(&head).accepted();
    assert!(landed.codes().contains("missing-approvals"), "{landed}");
    server.cli(&["verify", "commit", &head]).exits(1);

    let main = server.main();
    let enforced = template("dry-run-first/policy.toml").replace("mode  = \"dry-run\"\n", "");
    let head = alice.change(POLICY, &enforced);
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.tip(MAIN), Some(main));
}
