//! What a reviewer and an author learn before anything is pushed to main: `check`, `reviews`, the
//! reply to a review, and the commands that sign.

use serde_json::Value;

use crate::push::approved_on_main;
use crate::support::checkout::review_message;
use crate::support::config::PLAIN_RULE;
use crate::support::{
    Checkout, MAIN, NewCommit, Outcome, Server, approved_topic, two_people, two_people_under,
};

const SIGNED_COMMITS: &str = "[[ref]]\nmatch = [\"refs/heads/main\"]\nsigned_commits = true\n";

fn reviews_json(outcome: &Outcome) -> Value {
    let value = outcome.clone().exits(0).json();
    assert_eq!(value["schema"], "countersign.reviews/v1");
    value
}

fn on_server(server: &Server, head: &str) -> Value {
    reviews_json(&server.cli(&["reviews", head, "--onto", "main", "--json"]))
}

/// Two heads that both start at the same tip, both approved; the first has landed.
fn diverged(alice: &Checkout, bob: &Checkout, first: &str, second: &str) -> String {
    let later = approved_on_main(alice, bob, second);
    let sooner = approved_on_main(alice, bob, first);
    alice.land(&sooner).accepted();
    later
}

/// A reviewed head that main has passed is judged as its merge: the approval counts as a replay,
/// and nothing of the merge that was made up for it is held against anybody.
#[test]
fn a_head_that_main_has_passed() {
    let rules = format!("{}{SIGNED_COMMITS}", PLAIN_RULE);
    let (server, alice, bob) = two_people_under(&rules);
    let head = diverged(&alice, &bob, "a.txt", "b.txt");
    let value = on_server(&server, &head);
    assert_eq!(value["landing"], "merge");
    assert_eq!(value["verdict"]["decision"], "accept", "{value}");
    let review = &value["reviews"][0];
    assert_eq!(review["person"], "bob");
    assert_eq!(review["state"], "live");
    assert_eq!(review["coverage"], "replay");
    assert_eq!(review["counted"], true);
    let update = &value["verdict"]["updates"][0];
    assert_eq!(update["findings"], serde_json::json!([]), "{update}");
    assert_eq!(
        update["contributors"].as_array().unwrap().len(),
        1,
        "{update}"
    );
    server
        .cli(&["check", &head, "--onto", "main", "--as", "alice"])
        .exits(1)
        .says("rewound-branch");
}

/// The reply to a review of a head that main has passed speaks of what is missing, not of how the
/// head itself could not be pushed.
#[test]
fn replies_about_a_head_that_main_has_passed() {
    let (_server, alice, bob) = two_people();
    let late = alice.change("late.txt", "new\n");
    alice.share(&late);
    let first = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&first).accepted();
    let own = alice.approve(&late).accepted();
    assert!(own.codes().contains("missing-approvals"), "{own}");
    assert!(!own.codes().contains("rewound-branch"), "{own}");
    let reply = bob.approve(&late).accepted().says("nothing is missing");
    assert!(!reply.codes().contains("rewound-branch"), "{reply}");
}

/// A head whose landing conflicts is said to, with the paths, by the reply and by `reviews`.
#[test]
fn a_head_that_conflicts() {
    let (server, alice, bob) = two_people();
    let late = alice.change("src/lib.rs", "fn late() {}\n");
    alice.share(&late);
    alice.onto("origin/main");
    let first = alice.change("src/lib.rs", "fn soon() {}\n");
    alice.share(&first);
    bob.approve(&first).accepted();
    alice.land(&first).accepted();
    bob.approve(&late)
        .accepted()
        .says("conflicts")
        .says("src/lib.rs");
    let value = on_server(&server, &late);
    assert_eq!(value["landing"], "conflict");
    assert_eq!(value["conflicts"], serde_json::json!(["src/lib.rs"]));
    assert_eq!(value["verdict"], Value::Null);
}

/// `reviews` tells of every review of the head how it stands, the one that counts and the others.
#[test]
fn how_reviews_stand() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    alice.approve(&head).accepted();
    for verb in ["reject", "withdraw", "approve"] {
        bob.review(verb, &head, &[]).accepted();
    }
    let rows = |value: &Value| -> Vec<String> {
        let reviews = value["reviews"].as_array().unwrap();
        let row = |row: &Value| {
            format!(
                "{} {} {} {}",
                row["person"], row["verb"], row["state"], row["counted"]
            )
            .replace('"', "")
        };
        reviews.iter().map(row).collect()
    };
    let value = on_server(&server, &head);
    assert_eq!(
        rows(&value),
        [
            "alice approve live false",
            "bob reject replaced false",
            "bob withdraw replaced false",
            "bob approve live true"
        ]
    );
    let why = value["reviews"][0]["why"].as_str().unwrap();
    assert!(why.contains("their own work"), "{why}");
    assert!(value["reviews"][0]["received"].is_string());
    alice.land(&head).accepted();
    let value = on_server(&server, &head);
    assert_eq!(value["landing"], "landed");
    assert_eq!(value["reviews"][3]["state"], "spent");
}

/// The rows of `reviews` as text: none is wider than a terminal, with no review or with seven.
#[track_caller]
fn fits_a_terminal(server: &Server, at: &Checkout, head: &str) {
    at.fetch();
    for outcome in [
        server.cli(&["reviews", head, "--onto", "main"]),
        at.countersign(&["reviews", head, "--onto", "main"]),
    ] {
        let outcome = outcome.exits(0);
        let widest = outcome
            .stdout
            .lines()
            .map(|line| line.chars().count())
            .max();
        assert!(widest.unwrap() <= 80, "{outcome}");
    }
}

/// Every review says what it covers or why it does nothing: replaced by which head, of a person
/// whom no rule asks, spent by which landing.
#[test]
fn why_reviews_do_nothing() {
    let (server, alice, bob) = two_people();
    let (carol, dana) = (server.checkout("carol"), server.checkout("dana"));
    let base = server.main();
    let first = approved_topic(&alice, &bob, "a.txt");
    fits_a_terminal(&server, &alice, &base);
    dana.approve(&first).accepted();
    dana.review("reject", &first, &[]).either();
    carol.approve(&first).accepted();
    let second = alice.change("b.txt", "more\n");
    alice.share(&second);
    bob.approve(&second).accepted();
    carol.review("reject", &first, &[]).accepted();
    alice.approve(&first).accepted();
    dana.approve(&first).accepted();
    let value = on_server(&server, &first);
    let rows = value["reviews"].as_array().unwrap();
    let row = |person: &str, at: usize| {
        let mut mine = rows.iter().filter(|row| row["person"] == person);
        mine.nth(at).unwrap()
    };
    let bobs = row("bob", 0);
    assert_eq!(bobs["state"], "replaced");
    assert_eq!(bobs["successor"]["head"], second);
    assert!(bobs["why"].as_str().unwrap().contains(&second), "{bobs}");
    let carols = row("carol", 0);
    assert_eq!(carols["successor"]["verb"], "reject");
    assert_eq!(carols["successor"]["head"], first);
    let last = rows.iter().rfind(|row| row["person"] == "dana").unwrap();
    assert_eq!(
        (&last["state"], &last["coverage"]),
        (&"live".into(), &"identity".into())
    );
    assert!(
        last["why"].as_str().unwrap().contains("no rule asks"),
        "{last}"
    );
    assert!(
        row("alice", 0)["why"]
            .as_str()
            .unwrap()
            .contains("their own work")
    );
    fits_a_terminal(&server, &alice, &first);

    carol.review("withdraw", &first, &[]).accepted();
    alice.land(&second).accepted();
    let value = on_server(&server, &second);
    let spent = &value["reviews"][0];
    assert_eq!(
        (&spent["state"], &spent["coverage"]),
        (&"spent".into(), &"identity".into())
    );
    assert_eq!(spent["landed"]["commit"], second);
    assert_eq!(spent["landed"]["counted"], true);
    fits_a_terminal(&server, &alice, &second);
}

/// A rule that wants the very base says which base an approval is of, and that main has moved.
#[test]
fn another_base_is_named() {
    let rules = "[[rule]]\nname = \"exact\"\nrequire = [\"1 of any\"]\nbase = \"exact\"\n";
    let (server, alice, bob) = two_people_under(rules);
    let base = server.main();
    let line = format!("Base: {base}");
    let late = alice.change("late.txt", "new\n");
    alice.share(&late);
    bob.review("approve", &late, &[&line]).accepted();
    server.checkout("carol").approve(&late).accepted();
    alice.onto("origin/main");
    let first = alice.change("a.txt", "new\n");
    alice.share(&first);
    bob.review("approve", &first, &[&line]).accepted();
    alice.land(&first).accepted();
    let value = on_server(&server, &late);
    for (at, words) in [(0, &base[..12]), (1, "names no Base")] {
        let row = &value["reviews"][at];
        assert_eq!(
            (&row["coverage"], &row["counted"]),
            (&"replay".into(), &false.into())
        );
        let why = row["why"].as_str().unwrap();
        assert!(why.contains(words) && why.contains(&first[..12]), "{why}");
    }
}

/// An approval of a commit that takes out what its reviewer never saw come in does not cover that:
/// the paths are listed, and the command that shows it is given.
#[test]
fn a_residual_of_an_older_base() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let first = approved_topic(&alice, &bob, "came-in.txt");
    alice.land(&first).accepted();
    alice.onto("origin/main");
    alice.git(&["rm", "-q", "came-in.txt"]);
    let head = alice.change("b.txt", "new\n");
    alice.share(&head);
    let line = format!("Base: {base}");
    bob.review("approve", &head, &[&line]).accepted();
    let value = on_server(&server, &head);
    let row = &value["reviews"][0];
    assert_eq!(
        (&row["coverage"], &row["counted"]),
        (&"residual".into(), &false.into())
    );
    assert_eq!(row["residual"], serde_json::json!(["came-in.txt"]));
    let command = row["diff"].as_str().unwrap();
    let text = server.cli(&["reviews", &head, "--onto", "main"]).exits(0);
    assert!(
        text.stdout.lines().any(|line| line.trim() == "came-in.txt"),
        "{text}"
    );
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let shown = server.cli(&words).exits(1);
    assert!(shown.stdout.contains("deleted file mode"), "{shown}");
    fits_a_terminal(&server, &alice, &head);
}

/// In a clone a review that names a former tip is as good as on the server, and when it was
/// received is not made up.
#[test]
fn a_former_base_in_a_clone() {
    let (server, alice, bob) = two_people();
    alice.onto("origin/main");
    let late = alice.change("late.txt", "new\n");
    alice.share(&late);
    let base = format!("Base: {}", server.main());
    bob.review("approve", &late, &[&base]).accepted();
    let first = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&first).accepted();
    bob.fetch();
    let value = reviews_json(&bob.countersign(&["reviews", &late, "--onto", "main", "--json"]));
    assert_eq!(value["landing"], "merge");
    assert_eq!(value["reviews"][0]["coverage"], "replay", "{value}");
    assert_eq!(value["reviews"][0]["received"], Value::Null);
    assert_eq!(value["verdict"]["decision"], "accept");
}

/// A branch that nothing protects, as one that was mistyped, does not look like one that is fine.
#[test]
fn branch_that_nothing_protects() {
    let (_server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let check = bob.countersign(&["check", &head, "--onto", "mian"]);
    check.exits(0).says("nothing protects refs/heads/mian");
    for command in ["reviews", "approve"] {
        let outcome = bob.countersign(&[command, &head, "--onto", "mian"]);
        outcome.exits(2).says("does not protect refs/heads/mian");
    }
}

/// What a clone has fetched is checked as on the server: a review by a stranger or with other words
/// than were signed does not count there either.
#[test]
fn forged_reviews_in_a_clone() {
    let (server, alice, _bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let mallory = server.checkout("mallory");
    let tag = mallory.tag_review(&head, &review_message("approve", MAIN, &[]));
    let name = format!("refs/countersign/reviews/{head}/bob");
    mallory.git(&["update-ref", &name, &tag]);
    mallory
        .countersign(&["check", &head, "--onto", "main", "--as", "alice"])
        .exits(1)
        .says("missing-approvals")
        .says("unknown-signer");
}

/// A change is judged from where the user says in a clone, and only from the recorded tip on the
/// server.
#[test]
fn from_another_tip() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let old = server.main();
    let range = format!("{old}..{first}");
    let args = ["check", range.as_str(), "--onto", "main", "--as", "alice"];
    server.cli(&args).exits(0);
    alice.land(&first).accepted();
    alice.fetch();
    let args = ["check", range.as_str(), "--onto", "main", "--json"];
    let verdict = alice.countersign(&args).json();
    assert_eq!(verdict["updates"][0]["old"], old);
    assert_eq!(verdict["updates"][0]["commits"], 1);
    server.cli(&args).exits(2);
}

/// Revisions are what git says they are; what is no commit, and what looks like an option, exits 2.
#[test]
fn revisions() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.fetch();
    let tree = alice.tree(&head);
    for good in ["HEAD", "@", &head, &head[..12]] {
        let args = ["check", good, "--onto", "main", "--as", "alice"];
        alice.countersign(&args).exits(0);
    }
    let absent = "1".repeat(40);
    for bad in ["nowhere", tree.as_str(), &absent, "HEAD...main"] {
        alice
            .countersign(&["check", bad, "--onto", "main"])
            .exits(2);
    }
    alice
        .countersign(&["check", "--onto", "main", "--", "--all"])
        .exits(2);
}

/// With an annotated tag on record a proposal is shared as before.
#[test]
fn proposals_beside_recorded_tags() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice.git(&["tag", "-a", "-m", "release", "v1", &head]);
    alice.push(&["refs/tags/v1"]).accepted();
    alice.onto("origin/main");
    let next = alice.change("b.txt", "new\n");
    let name = "refs/countersign/proposals/alice/next";
    alice.push(&[&format!("{next}:{name}")]).accepted();
    assert_eq!(server.tip(name), Some(next));
}

/// A refusal does not ask to share what the server has: it says where, and the reviewer's commands
/// fetch that.
#[test]
fn shared_already() {
    let (_server, alice, _) = two_people();
    let head = alice.change("a.txt", "new\n");
    let said = |outcome: Outcome| outcome.refused(&["missing-approvals"]).stderr;
    let first = said(alice.land(&head));
    assert!(first.contains("share it first"), "{first}");
    for (name, fetched) in [
        ("refs/heads/alice/a", "refs/heads/alice/a"),
        (
            "refs/countersign/proposals/alice/a",
            "refs/countersign/proposals/alice/a",
        ),
        ("refs/heads/alice/b", "refs/countersign/proposals/alice/a"),
    ] {
        alice.push(&[&format!("{head}:{name}")]).accepted();
        let then = said(alice.land(&head));
        assert!(!then.contains("share it first"), "{then}");
        assert!(
            then.contains(&format!("it is shared already, as {fetched}")),
            "{then}"
        );
        assert!(
            then.contains(&format!("git fetch origin {fetched}")),
            "{then}"
        );
    }
}

/// What a refusal says to do about unsigned commits signs all of them, without an editor.
#[test]
fn commands_that_sign() {
    let (server, alice, bob) = two_people_under(&format!("{PLAIN_RULE}{SIGNED_COMMITS}"));
    alice.onto("origin/main");
    alice.git(&["checkout", "-q", "-B", "topic"]);
    let mut head = String::new();
    for file in ["a.txt", "b.txt"] {
        head = alice.commit(NewCommit {
            files: &[(file, Some("new\n"))],
            unsigned: true,
            ..NewCommit::default()
        });
    }
    alice.land(&head).refused(&["unsigned-commit"]);
    let checked = alice.countersign(&["check", &head, "--onto", "main", "--json", "--as", "alice"]);
    let verdict = checked.json();
    let findings = verdict["updates"][0]["findings"].as_array().unwrap();
    let remedies = findings
        .iter()
        .flat_map(|it| it["remedy"].as_array().unwrap());
    let command = remedies
        .filter_map(Value::as_str)
        .find(|remedy| remedy.starts_with("git rebase"))
        .unwrap();
    alice.shell(command).accepted();
    let signed = alice.git(&["rev-parse", "HEAD"]);
    assert_ne!(signed, head);
    alice.share(&signed);
    bob.approve(&signed).accepted();
    alice.land(&signed).accepted();
    assert_eq!(server.main(), signed);
}

/// A clone takes what is on the branch for what the server let in: it does not ask for one approval
/// more over commits that landed unsigned, where the reviewer saw an older tip.
#[test]
fn landed_commits_in_a_clone() {
    let (server, alice, bob) = two_people();
    let base = format!("Base: {}", server.main());
    let first = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        unsigned: true,
        ..NewCommit::default()
    });
    alice.share(&first);
    bob.approve(&first).accepted();
    alice.land(&first).accepted();
    alice.onto("origin/main");
    let late = alice.change("late.txt", "new\n");
    alice.share(&late);
    bob.review("approve", &late, &[&base]).accepted();
    bob.fetch();
    let here = reviews_json(&bob.countersign(&["reviews", &late, "--onto", "main", "--json"]));
    for value in [here, on_server(&server, &late)] {
        assert_eq!(value["verdict"]["decision"], "accept", "{value}");
    }
}

/// Whoever reviews a proposal brings none of its commits, and is not warned; whoever has a commit from
/// elsewhere is.
#[test]
fn commits_that_a_review_brings() {
    let (server, alice, bob) = two_people();
    let approve = |bob: &Checkout, head: &str| {
        bob.countersign(&["approve", head, "--onto", "main"])
            .accepted()
            .stderr
    };
    for (file, proposed) in [("a.txt", true), ("b.txt", false)] {
        alice.onto("origin/main");
        let head = alice.commit(NewCommit {
            files: &[(file, Some("new\n"))],
            unsigned: true,
            ..NewCommit::default()
        });
        let name = "refs/countersign/proposals/alice/change";
        if proposed {
            alice.push(&[&format!("{head}:{name}")]).accepted();
            bob.git(&["fetch", "-q", "origin", name]);
        } else {
            let elsewhere = alice.dir().to_str().unwrap();
            bob.git(&["fetch", "-q", elsewhere, &head]);
        }
        let said = approve(&bob, &head);
        assert_eq!(said.contains("1 unsigned commit"), !proposed, "{said}");
    }
    server.log_is_good();
    let absent = "1".repeat(40);
    bob.countersign(&["approve", &absent, "--onto", "main"])
        .exits(2)
        .says("refs/countersign/proposals/*");
}

/// Where there is room, what is missing is said whole.
#[test]
fn long_rules_are_wrapped() {
    let places = "[\"2 of @maintainers\", \"1 of @security|carol|dana|alice|bob\"]";
    let rule = crate::support::rule(
        "pipelines and what they run",
        &format!("require = {places}"),
    );
    let (server, alice, _) = two_people_under(&rule);
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let told = server.cli(&["reviews", &head, "--onto", "main"]).accepted();
    assert!(!told.stdout.contains("..."), "{told}");
    assert!(
        told.stdout.contains("@security|carol|dana|alice|bob"),
        "{told}"
    );
    fits_a_terminal(&server, &alice, &head);
}

/// Where nothing of the remote is fetched, there is nothing to judge by.
#[test]
fn a_clone_that_has_fetched_nothing() {
    let (_server, alice, _) = two_people();
    let args = ["--onto", "main", "--remote", "elsewhere"];
    for command in ["check", "reviews", "approve"] {
        let all: Vec<&str> = [command, "HEAD"].into_iter().chain(args).collect();
        alice.countersign(&all).exits(2).says("fetch");
    }
}

/// What `--print` prints is what a shell runs: the review counts, and no tag is left.
#[test]
fn printed_commands_work() {
    let (_server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let text = "it's \"fine\" $(touch owned)\n# not a comment";
    let args = ["approve", &head, "--onto", "main", "--print", "-m", text];
    let printed = bob.countersign(&args).accepted();
    assert_eq!(bob.git(&["tag", "-l"]), "");
    let mut shell = bob.command("sh");
    shell.args(["-e", "-c", &printed.stdout]);
    Outcome::of(&mut shell, b"").accepted();
    assert!(!bob.dir().join("owned").exists());
    assert_eq!(bob.git(&["tag", "-l"]), "");
    alice.land(&head).accepted();
}

/// The change is shown before it is signed, without anything a path could tell the terminal.
#[test]
fn shows_what_is_approved() {
    let (_server, alice, bob) = two_people();
    let head = alice.commit(NewCommit {
        files: &[("src/lib.rs", Some("fn shown() {}\n"))],
        ..NewCommit::default()
    });
    alice.share(&head);
    bob.fetch();
    let outcome = bob.countersign(&["approve", &head, "--onto", "main"]);
    outcome.accepted().says("src/lib.rs");
}

/// Whatever goes wrong, no tag is left behind: the exit code says whether git could not sign, or
/// the server would not take it.
#[test]
fn failures_leave_no_tag() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let mallory = server.checkout("mallory");
    mallory
        .countersign(&["approve", &head, "--onto", "main"])
        .exits(1)
        .says("unknown-signer");
    assert_eq!(mallory.git(&["tag", "-l"]), "");
    bob.fetch();
    bob.git(&["config", "user.signingkey", "/nonexistent"]);
    bob.countersign(&["approve", &head, "--onto", "main"])
        .exits(2);
    assert_eq!(bob.git(&["tag", "-l"]), "");
    let size = server.log_size();
    alice
        .countersign(&["approve", &head, "--onto", "refs/heads/free"])
        .exits(2);
    server.cli(&["approve", &head, "--onto", "main"]).exits(2);
    assert_eq!(server.log_size(), size);
}

/// Everything a review can say is said by an option, and the server takes it.
#[test]
fn everything_a_review_can_say() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    alice
        .countersign(&["reject", &first, "--onto", "main"])
        .accepted();
    let next = alice.change("b.txt", "new\n");
    alice.share(&next);
    bob.fetch();
    let reviews = server.cli(&["reviews", &first, "--onto", "main", "--json"]);
    let reviews = reviews.json();
    let reject = reviews["reviews"][1]["tag"].as_str().unwrap();
    let base = server.main();
    bob.countersign(&[
        "approve",
        &next,
        "--onto",
        "main",
        "--base",
        "origin/main",
        "--keeps",
        &first,
        "--override",
        reject,
        "-m",
        "one",
        "-m",
        "two",
        "--as",
        "robert",
    ])
    .accepted();
    let name = server.git(&[
        "for-each-ref",
        "--format=%(refname)",
        &format!("refs/countersign/reviews/{next}"),
    ]);
    assert!(name.contains("/robert-"), "{name}");
    let text = server.git(&["cat-file", "-p", &name]);
    for line in [
        format!("Base: {base}\n"),
        format!("Keeps: {first}\n"),
        format!("Override: {reject}\n"),
        "\n\none\n\ntwo\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is missing: {text}");
    }
}
