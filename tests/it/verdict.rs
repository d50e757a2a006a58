//! What people and scripts are told: the text's bounds, the JSON's keys, one decision everywhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{
    Checkout, MAIN, Outcome, REPOSITORY, approved_topic, rule, two_people, two_people_under,
};

#[track_caller]
fn fits(outcome: &Outcome) {
    let lines = outcome.remote_lines();
    assert!(!lines.is_empty(), "nothing was said: {outcome}");
    assert!(lines.len() <= 20, "{} lines: {outcome}", lines.len());
    for line in lines {
        let columns = line.chars().count();
        // A full id or ref in a command to copy cannot be broken.
        let unbreakable = line.split_whitespace().any(|word| word.len() > 60);
        assert!(columns <= 72 || unbreakable, "{columns} columns: {line}");
    }
}

/// A refusal has at most 20 lines of 72 columns and the full id of the refused commit.
#[test]
fn refusals_fit() {
    let (_server, alice, _) = two_people();
    let head = alice.change("a.txt", "new\n");
    let outcome = alice
        .land(&head)
        .refused(&["missing-approvals"])
        .says(&head);
    fits(&outcome);
    assert!(!outcome.stderr.contains('\u{1b}'), "colour through a pipe");
}

/// Where a tag object wants an approval, the commands of its refusal review the commit it is of: copied
/// by the author and the reviewer, they land it.
#[test]
fn refusal_of_a_tag_object() {
    let rules = rule(
        "everything",
        "refs = [\"refs/heads/main\", \"refs/tags/v*\"]\nrequire = [\"1 of @maintainers\"]",
    );
    let (_server, alice, bob) = two_people_under(&rules);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    // No ref ends in it any more.
    let next = approved_topic(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let topic = format!(":refs/heads/topic-{}", &head[..12]);
    alice.push(&[&topic]).accepted();
    alice.git(&["tag", "-a", "v1", "-m", "version", &head]);
    let refused = alice
        .push(&["refs/tags/v1"])
        .refused(&["missing-approvals"]);
    fits(&refused);
    let said = refused.remote_lines().join("\n").replace("\\\n", "");
    let commands: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("git "))
        .collect();
    let [share, review @ ..] = commands.as_slice() else {
        panic!("no commands: {refused}");
    };
    assert_eq!(review.len(), 4, "{refused}");
    let runs =
        |at: &Checkout, script: &str| Outcome::of(at.command("sh").args(["-ec", script]), b"");
    runs(&alice, share).accepted();
    runs(&bob, &review.join("\n")).accepted();
    alice.push(&["refs/tags/v1"]).accepted();
}

/// A refusal for many reasons, refs and paths is no longer than one for few.
#[test]
fn long_refusals_fit() {
    let mut rules = rule("all", "require = [\"1 of @maintainers\"]");
    for n in 0..30 {
        let lines = format!(
            "paths = [\"d{n}/\"]\nrequire = [\"2 of @maintainers\", \"1 of @security|bob|carol\"]"
        );
        rules += &rule(
            &format!("a rule with quite a long name, number {n}"),
            &lines,
        );
    }
    let (_server, alice, bob) = two_people_under(&rules);
    let names: Vec<String> = (0..300)
        .map(|n| {
            format!(
                "d{}/a-path-that-goes-on-for-some-time/{n}-{}",
                n % 30,
                "x".repeat(80)
            )
        })
        .collect();
    let files: Vec<(&str, Option<&str>)> =
        names.iter().map(|n| (n.as_str(), Some("x\n"))).collect();
    alice.write(&files);
    let head = approved_topic(&alice, &bob, "a.txt");
    let mut refs = vec![format!("{head}:{MAIN}")];
    refs.extend((0..20).map(|n| format!("{head}:refs/heads/release/{n}")));
    let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
    fits(&alice.push(&refs).refused(&["missing-approvals"]));
}

/// Nothing that was pushed speaks to the terminal: control characters are not passed on.
#[test]
fn nothing_pushed_controls_the_terminal() {
    let (_server, alice, _) = two_people();
    let head = alice.commit(crate::support::NewCommit {
        files: &[("\u{1b}]0;owned\u{7}.txt", Some("x\n"))],
        message: "\u{1b}[2J\u{1b}[31mapproved",
        ..Default::default()
    });
    let outcome = alice.land(&head).refused(&[]);
    let said = outcome.remote_lines().join("\n");
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{outcome:?}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// `--json` has the contract's keys and no others, with the values that they promise.
#[test]
fn json_to_the_letter() {
    let (server, alice, bob) = two_people_under(&rule("two", "require = [\"2 of @maintainers\"]"));
    let head = approved_topic(&alice, &bob, "a.txt");
    let outcome = server.cli(&["check", &head, "--onto", "main", "--as", "alice", "--json"]);
    let verdict = outcome.clone().exits(1).json();
    assert_eq!(
        keys(&verdict),
        BTreeSet::from(["schema", "decision", "mode", "repository", "updates"])
    );
    assert_eq!(verdict["schema"], "countersign.verdict/v1");
    assert_eq!(verdict["decision"], "refuse");
    assert_eq!(verdict["mode"], "enforce");
    assert_eq!(verdict["repository"], REPOSITORY);
    let update = &verdict["updates"][0];
    assert_eq!(
        keys(update),
        BTreeSet::from([
            "ref",
            "old",
            "new",
            "decision",
            "commits",
            "classes",
            "contributors",
            "approvals",
            "findings"
        ])
    );
    assert_eq!(update["ref"], MAIN);
    assert_eq!(update["old"], server.main());
    assert_eq!(update["new"], head);
    assert_eq!(update["commits"], 1);
    assert_eq!(update["classes"], serde_json::json!(["code"]));
    let contributor = &update["contributors"][0];
    assert_eq!(
        keys(contributor),
        BTreeSet::from(["person", "email", "roles"])
    );
    assert_eq!(contributor["person"], "alice");
    assert_eq!(contributor["email"], Value::Null);
    let approval = &update["approvals"][0];
    assert_eq!(
        keys(approval),
        BTreeSet::from(["person", "commit", "evidence", "coverage", "counted"])
    );
    assert_eq!(approval["person"], "bob");
    assert_eq!(approval["commit"], head);
    assert_eq!(approval["evidence"], "signed");
    assert_eq!(approval["coverage"], "identity");
    let findings = update["findings"].as_array().unwrap();
    let missing: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["code"] == "missing-approvals")
        .collect();
    assert_eq!(missing.len(), 1, "a failing rule yields exactly one");
    assert_eq!(
        keys(missing[0]),
        BTreeSet::from([
            "code", "severity", "rule", "at", "paths", "want", "got", "detail", "remedy"
        ])
    );
    assert_eq!(missing[0]["severity"], "refuse");
    assert_eq!(missing[0]["rule"], "two");
    assert_eq!(missing[0]["want"], "2 of @maintainers");
    assert_eq!(missing[0]["got"], serde_json::json!(["bob"]));
    assert_eq!(missing[0]["paths"], serde_json::json!(["a.txt"]));
    let at = missing[0]["at"].as_str().unwrap();
    assert!(at.starts_with(".countersign/policy.toml:"), "{at}");
    assert!(
        missing[0]["remedy"]
            .as_array()
            .is_some_and(|steps| !steps.is_empty())
    );
}

/// A branch that is made has zeros for its old tip, and several heads and rules several findings.
#[test]
fn json_of_a_creation() {
    let (server, alice, _) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let verdict = server.check_json(&head, "refs/heads/release/1", "alice");
    assert_eq!(verdict["updates"][0]["old"], "0".repeat(40));
    assert_eq!(verdict["decision"], "refuse");
}

/// `check` on the server decides as the push does, with the same codes and without moving a thing.
#[test]
fn check_is_the_push() {
    let (server, alice, bob) = two_people();
    let approved = approved_topic(&alice, &bob, "a.txt");
    let on_top = alice.change("b.txt", "more\n");
    alice.share(&on_top);
    alice.onto("origin/main");
    let selfish = alice.change("c.txt", "mine\n");
    alice.share(&selfish);
    alice.approve(&selfish).accepted();
    let size = server.log_size();
    for head in [&on_top, &selfish, &approved] {
        let verdict = server.check_json(head, "main", "alice");
        let outcome = server.cli(&["check", head, "--onto", "main", "--as", "alice"]);
        assert_eq!(server.log_size(), size, "a check writes nothing");
        let push = alice.land(head);
        assert_eq!(
            verdict["decision"] == "accept",
            push.ok(),
            "{verdict} {push}"
        );
        assert_eq!(outcome.status, Some(i32::from(!push.ok())), "{outcome}");
        if !push.ok() {
            assert!(
                refusing(&verdict).is_subset(&owned(&push)),
                "{verdict} {push}"
            );
        }
    }
}

/// In a clone `check` decides from fetched reviews and the remote-tracking ref, and says so.
#[test]
fn check_in_a_clone() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.fetch();
    assert_eq!(clone_decision(&alice, &head), "accept");
    let more = alice.change("b.txt", "more\n");
    assert_eq!(clone_decision(&alice, &more), "refuse");
    alice
        .countersign(&["check", &more, "--onto", "main"])
        .exits(1);
    alice
        .countersign(&["check", &head, "--onto", "main"])
        .exits(0);
    let range = format!("origin/main..{more}");
    alice
        .countersign(&["check", &range, "--onto", "main"])
        .exits(1);
}

fn clone_decision(at: &Checkout, head: &str) -> String {
    let verdict = at
        .countersign(&["check", head, "--onto", "main", "--as", "alice", "--json"])
        .json();
    verdict["decision"].as_str().unwrap().to_owned()
}

/// Without `--as` there is no pusher: nobody is unknown, and an unsigned commit is unproven.
#[test]
fn check_without_a_pusher() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let outcome = server
        .cli(&["check", &head, "--onto", "main", "--json"])
        .exits(0);
    assert!(!outcome.stdout.contains("unknown-pusher"), "{outcome}");
    let outcome = server.cli(&[
        "check", &head, "--onto", "main", "--as", "mallory", "--json",
    ]);
    outcome.exits(1).says("unknown-pusher");
}

fn refusing(verdict: &Value) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for update in verdict["updates"].as_array().unwrap() {
        for finding in update["findings"].as_array().unwrap() {
            if finding["severity"] == "refuse" {
                codes.insert(finding["code"].as_str().unwrap().to_owned());
            }
        }
    }
    codes
}

fn owned(push: &Outcome) -> BTreeSet<String> {
    push.codes().into_iter().map(str::to_owned).collect()
}
