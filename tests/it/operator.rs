//! The host's operator, who holds the log's key and its disk: what `verify history` finds all the same.

use std::fs;

use countersign::judge::verdict::Decision;
use countersign::policy::Mode;
use countersign::record::Record;
use countersign::record::entry::{Adopted, DecisionId, Entry, Landed};
use countersign::wire::name::RefName;

use crate::push::approved_on_main;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::{
    Checkout, MAIN, People, Server, approved_topic, policy, rule, two_people, two_people_under,
};

/// Appends entries with the log's own key, past every gate.
pub(crate) fn append(server: &Server, entries: &[Entry]) {
    let record = Record::open(&server.record("")).unwrap();
    let lock = record.lock().unwrap();
    record.append(&lock, entries).unwrap();
}

fn entry(server: &Server, index: u64) -> Entry {
    let record = Record::open(&server.record("")).unwrap();
    record.entry(index).unwrap()
}

/// A review that is in the log already, received once more.
fn again(server: &Server, index: u64) -> Entry {
    let Entry::Review(mut review) = entry(server, index) else {
        panic!("no review");
    };
    review.at = entry(server, server.log_size() - 1).at();
    Entry::Review(review)
}

/// Lands a head with `post-receive` away, and returns what would have been recorded.
pub(crate) fn landed_unrecorded(server: &Server, alice: &Checkout, head: &str) -> Landed {
    let hook = server.repo().join("hooks/post-receive");
    let aside = server.repo().join("hooks/aside");
    fs::rename(&hook, &aside).unwrap();
    alice.land(head).accepted();
    fs::rename(&aside, &hook).unwrap();
    let record = Record::open(&server.record("")).unwrap();
    let intent = record.open_intents().unwrap().pop().unwrap();
    record.remove_intent(&intent.id).unwrap();
    intent.landed.into_iter().next().unwrap()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::remove_dir_all(to).ok();
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(done.unwrap().success());
}

/// A landing that says anything else than what was decided is found; the honest one is not.
#[test]
fn forged_landings() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let honest = landed_unrecorded(&server, &alice, &head);
    let good = server.folder().join("good");
    copy(&server.record(""), &good);
    let early = entry(&server, 0).at() - jiff::SignedDuration::from_hours(1);
    type Forgery<'a> = (&'a str, Box<dyn Fn(&mut Landed)>);
    let forgeries: [Forgery; 11] = [
        ("", Box::new(|_| {})),
        (
            "does not give",
            Box::new(|landed| landed.mode = Mode::DryRun),
        ),
        ("recorded tip", Box::new(|landed| landed.old = None)),
        ("mattered", Box::new(|landed| landed.size = 1)),
        ("judged at", Box::new(move |landed| landed.judged = early)),
        ("limits", Box::new(|landed| landed.limits.clear())),
        (
            "does not give",
            Box::new(|landed| landed.policy.digest.clear()),
        ),
        ("does not give", Box::new(|landed| landed.sha256.clear())),
        (
            "does not give",
            Box::new(|landed| landed.repository.clear()),
        ),
        (
            "though it was refused",
            Box::new(|landed| {
                let DecisionId::Inline(decided) = &mut landed.decision else {
                    panic!("beside");
                };
                decided.verdict.decision = Decision::Refuse;
            }),
        ),
        (
            "does not give",
            Box::new(|landed| {
                let DecisionId::Inline(decided) = &mut landed.decision else {
                    panic!("beside");
                };
                decided.counted.clear();
            }),
        ),
    ];
    for (words, forge) in forgeries {
        copy(&good, &server.record(""));
        let mut forged = honest.clone();
        forge(&mut forged);
        append(&server, &[Entry::Landed(forged)]);
        server.log_is_good();
        let outcome = server.cli(&["verify", "history"]);
        let commit = server.cli(&["verify", "commit", &head]);
        if words.is_empty() {
            outcome.exits(0);
            commit.exits(0).says("reviewed").says("bob");
        } else {
            outcome.exits(1).says("entry 2").says(words);
            commit.exits(1);
        }
    }
}

/// A landing whose entry is still to come is no problem if it holds; an intent that does not is one.
#[test]
fn pending_landings() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    fs::remove_file(server.repo().join("hooks/post-receive")).unwrap();
    alice.land(&head).accepted();
    server
        .cli(&["verify", "history"])
        .exits(0)
        .says("not recorded yet");
    server.cli(&["log", "verify"]).exits(0).says("reconcile");
    server.cli(&["verify", "commit", &head]).exits(1);
    let record = Record::open(&server.record("")).unwrap();
    let mut intent = record.open_intents().unwrap().pop().unwrap();
    let stray = alice.change("stray.txt", "x\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    intent.landed[0].old = Some(head.parse().unwrap());
    intent.landed[0].new = Some(stray.parse().unwrap());
    record.write_intent(&intent).unwrap();
    server.cli(&["verify", "history"]).exits(1).says(&stray);
}

/// An accept is spent once: another landing in its name is found.
#[test]
fn forged_intent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let Entry::Landed(first) = entry(&server, 2) else {
        panic!("no landing");
    };
    let next = approved_on_main(&alice, &bob, "b.txt");
    let mut second = landed_unrecorded(&server, &alice, &next);
    second.intent = first.intent;
    append(&server, &[Entry::Landed(second)]);
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("landed refs/heads/main before");
}

/// A landing judged by the log before a reject is found once the reject stands before it.
#[test]
fn reject_judged_away() {
    let (server, alice, bob) = two_people();
    let old = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    let landed = landed_unrecorded(&server, &alice, &head);
    server.git(&["update-ref", MAIN, &old]);
    bob.review("reject", &head, &[]).accepted();
    server.git(&["update-ref", MAIN, &head]);
    append(&server, &[Entry::Landed(landed)]);
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("entry 2 mattered");
    server
        .cli(&["verify", "commit", &head])
        .exits(1)
        .says("unknown");
}

/// A baseline in the middle of a log is found unless a change of policy begins it.
#[test]
fn forged_baselines() {
    let (server, alice, _) = two_people();
    let stray = alice.change("stray.txt", "x\n");
    alice.share(&stray);
    let good = server.folder().join("good");
    copy(&server.record(""), &good);
    for (name, words) in [
        (MAIN, "recorded before"),
        ("refs/heads/release/9", "no change of policy"),
        ("refs/heads/free", "nothing protects"),
    ] {
        copy(&good, &server.record(""));
        let Entry::Genesis(mut genesis) = entry(&server, 0) else {
            panic!("no baseline");
        };
        server.git(&["update-ref", name, &stray]);
        genesis.at += jiff::SignedDuration::from_secs(1);
        genesis.tips = [(RefName::from(name), stray.parse().unwrap())].into();
        append(&server, &[Entry::Genesis(genesis)]);
        server.log_is_good();
        server.cli(&["verify", "history"]).exits(1).says(words);
        server.cli(&["verify", "commit", &stray]).exits(1);
    }
}

/// A review that is logged again would undo what came after it.
#[test]
fn replayed_reviews() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    bob.review("withdraw", &head, &[]).accepted();
    append(&server, &[again(&server, 1)]);
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("entry 3: the review stands in entry 1 already");
}

/// Adopting from a tip that was not the recorded one is found.
#[test]
fn forged_adoption() {
    let (server, alice, _) = two_people();
    let stray = alice.change("stray.txt", "x\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    append(
        &server,
        &[Entry::Adopted(Adopted {
            at: entry(&server, 0).at(),
            repository: String::new(),
            name: RefName::from(MAIN),
            old: None,
            new: Some(stray.parse().unwrap()),
            by: "root".to_owned(),
            reason: String::new(),
            policy: false,
        })],
    );
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("not its own");
}

/// A landing that passed because `index.db` hid a reject is found: verifying builds its own index.
#[test]
fn forged_index() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    bob.review("reject", &head, &[]).accepted();
    alice.land(&head).refused(&["rejected"]);
    let db = rusqlite::Connection::open(server.record("index.db")).unwrap();
    let hidden = db.execute("DELETE FROM review WHERE verb = 'reject'", []);
    assert_eq!(hidden.unwrap(), 1);
    drop(db);
    alice.land(&head).accepted();
    server.log_is_good();
    server.cli(&["verify", "history"]).exits(1).says("entry 3");
}

/// A ref made behind the gate at a protected name does not become a baseline with the next landing.
#[test]
fn no_baseline_behind_the_gate() {
    let (server, alice, bob) = two_people();
    let stray = alice.change("stray.txt", "x\n");
    alice.share(&stray);
    server.git(&["update-ref", "refs/heads/release/9", &stray]);
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("refs/heads/release/9");
    let next = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&next).accepted();
    server
        .cli(&["log", "reconcile"])
        .exits(1)
        .says("git update-ref -d refs/heads/release/9")
        .says("countersign log adopt refs/heads/release/9");
    server.cli(&["verify", "commit", &stray]).exits(1);
    let more = alice.change("more.txt", "x\n");
    alice
        .push(&[&format!("+{more}:refs/heads/release/9")])
        .refused(&["unknown-tip"]);
    server
        .cli(&["log", "adopt", "release/9", "--reason", "by hand"])
        .accepted();
    server
        .cli(&["verify", "commit", &stray])
        .exits(1)
        .says("adopted");
    server.cli(&["verify", "history"]).exits(0);
}

/// Adopting another policy wants `--policy`, and begins what that policy newly protects.
#[test]
fn adopted_policy() {
    let (server, alice, bob) = two_people();
    server.git(&["update-ref", "refs/heads/free", &server.main()]);
    let wider = policy(PLAIN_RULE).replace("release/**", "free");
    let tip = alice.change(".countersign/policy.toml", &wider);
    alice.share(&tip);
    server.git(&["update-ref", MAIN, &tip]);
    server
        .cli(&["log", "adopt", "main"])
        .exits(1)
        .says("--policy");
    server.cli(&["log", "adopt", "free", "--policy"]).exits(2);
    server
        .cli(&["log", "adopt", "main", "--policy"])
        .exits(0)
        .says("baseline: refs/heads/free");
    server.cli(&["log", "show"]).accepted().says("adopted");
    server.cli(&["verify", "history"]).exits(0);
    server.cli(&["log", "reconcile"]).exits(0);
    let next = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "history"]).exits(0);
    server
        .cli(&["verify", "commit", &tip])
        .exits(1)
        .says("adopted");
}

/// An annotated tag that needed an approval is recorded, and later pushes go on.
#[test]
fn approved_annotated_tag() {
    let tags = rule(
        "tags",
        "refs = [\"refs/tags/v*\", \"refs/heads/main\"]\nrequire = [\"1 of @maintainers\"]",
    );
    let (server, alice, bob) = two_people_under(&format!("{PLAIN_RULE}\n{tags}"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let message = crate::support::checkout::review_message("approve", "refs/tags/v1", &[]);
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob-tag").accepted();
    alice.git(&["tag", "-a", "-m", "v1", "v1", &head]);
    alice.push(&["refs/tags/v1"]).accepted();
    let next = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "history"]).exits(0);
    server.cli(&["log", "reconcile"]).exits(0);
    let object = server.tip("refs/tags/v1").unwrap();
    server
        .cli(&["verify", "commit", &object, "--onto", "refs/tags/v1"])
        .exits(0);
}

/// What a deleted branch held stays, so that its landings can be decided again.
#[test]
fn deleted_branches_are_kept() {
    let text = policy_text("", "delete = \"allow\"\n", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let name = "refs/heads/release/1";
    alice
        .push(&[&format!("{}:{name}", server.main())])
        .accepted();
    let head = alice.change("a.txt", "x\n");
    alice.share(&head);
    let message = crate::support::checkout::review_message("approve", name, &[]);
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob").accepted();
    alice.push(&[&format!("{head}:{name}")]).accepted();
    alice.push(&[&format!(":{name}")]).accepted();
    for line in server.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        if line.starts_with("refs/countersign/reviews/") || line.starts_with("refs/heads/topic-") {
            server.git(&["update-ref", "-d", line]);
        }
    }
    server.git(&["gc", "-q", "--prune=now"]);
    server.cli(&["verify", "history"]).exits(0);
    server.cli(&["verify", "commit", &head]).exits(0);
}

/// One lost object is the problem of its entry; the others are checked all the same.
#[test]
fn every_problem_is_named() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let next = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    let path = format!("objects/{}/{}", &next[..2], &next[2..]);
    fs::remove_file(server.repo().join(path)).unwrap();
    append(&server, &[again(&server, 1)]);
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("entry 4: ")
        .says("entry 5: ");
}

/// Tables are cut and filtered as asked; JSON lines carry the entries whole.
#[test]
fn shows_entries() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let all = server.cli(&["log", "show", "--ref", "main"]).accepted();
    assert_eq!(all.stdout.lines().count(), 4, "{all}");
    let last = server.cli(&["log", "show", "-n", "1"]).accepted();
    assert_eq!(last.stdout.lines().count(), 2, "{last}");
    let none = server.cli(&["log", "show", "--ref", "free"]).accepted();
    assert_eq!(none.stdout.lines().count(), 1, "{none}");
    let lines = server.cli(&["log", "show", "--json"]).accepted();
    let lines: Vec<serde_json::Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let states: Vec<_> = lines.iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["baseline", "approve", "reviewed"]);
    assert_eq!(lines[2]["reviewers"], serde_json::json!(["bob"]));
    assert_eq!(lines[2]["entry"]["new"], head);
    let commit = server
        .cli(&["verify", "commit", "main", "--json"])
        .exits(0)
        .json();
    assert_eq!(commit["state"], "reviewed");
    assert_eq!(commit["index"], 2);
}
