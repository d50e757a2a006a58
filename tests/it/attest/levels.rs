//! Which levels the log gives, and what starts them anew.

use super::*;

/// Lands a change of the policy that bob approves.
fn land_policy(alice: &Checkout, bob: &Checkout, text: &str) -> String {
    alice.onto("origin/main");
    let head = alice.change(".countersign/policy.toml", text);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    head
}

/// Lands a change of a file on main.
fn land(alice: &Checkout, bob: &Checkout, file: &str) -> String {
    alice.onto("origin/main");
    let head = approved_topic(alice, bob, file);
    alice.land(&head).accepted();
    head
}

/// Where the fourth level of a commit started; none where it is not given.
fn start(server: &Server, commit: &str) -> Option<String> {
    let told = server.cli(&["attest", commit, "--json"]).accepted().json();
    let subject = &told["attestations"][1]["statement"]["subject"][0];
    let all = subject["annotations"]["continuity"].as_array().unwrap();
    let fourth = all.iter().find(|it| it["level"] == "SLSA_SOURCE_LEVEL_4")?;
    Some(fourth["startRevision"].as_str().unwrap().to_owned())
}

/// Without a rule for all tags the second level is not reached, whoever reviews; the property is.
#[test]
fn tags_that_move() {
    let (server, alice, bob) = two_people();
    let head = land(&alice, &bob, "a.txt");
    let expected = ["SLSA_SOURCE_LEVEL_1", "SLSA_SOURCE_TWO_PARTY_REVIEWED"];
    assert_eq!(levels_of(&server, &head, &[]), expected);
}

/// What a policy asks for besides is a property of its own.
#[test]
fn properties() {
    let pipelines = "[[rule]]\nname = \"ci\"\nclass = [\"pipeline\"]\nrequire = [\"1 of any\"]\n";
    let text = strict_policy(
        "every_commit = true\nsigned_commits = true\n",
        &format!("{PLAIN_RULE}{pipelines}"),
    );
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = land(&alice, &bob, "a.txt");
    assert_eq!(
        levels_of(&server, &head, &[]),
        [
            "SLSA_SOURCE_LEVEL_4",
            "SLSA_SOURCE_TWO_PARTY_REVIEWED",
            "ORG_SOURCE_CI_DEFS_REVIEWED",
            "ORG_SOURCE_EVERY_COMMIT_REVIEWED",
            "ORG_SOURCE_COMMITS_SIGNED",
        ]
    );
}

/// A bot that may approve alone is no second person, though the rule is satisfied.
#[test]
fn a_bot_is_no_party() {
    let rules = "[[rule]]\nname = \"bot\"\npaths = [\"gen/\"]\nrequire = [\"1 of release-bot\"]\n";
    let server = Server::with(
        &strict_policy("", &format!("{PLAIN_RULE}{rules}")),
        &People::new(),
    );
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = land(&alice, &bob, "a.txt");
    assert_eq!(levels_of(&server, &head, &[]), ["SLSA_SOURCE_LEVEL_3"]);
}

/// A commit that no human is proven to have made takes two who approved.
#[test]
fn nobody_made_it() {
    let (server, alice, bob, _) = landed();
    let (bot, carol) = (server.checkout("release-bot"), server.checkout("carol"));
    bot.onto("origin/main");
    let head = bot.commit(crate::support::NewCommit {
        files: &[("made.txt", Some("1\n"))],
        author: Some("alice"),
        committer: Some("alice"),
        unsigned: true,
        ..crate::support::NewCommit::default()
    });
    bot.share(&head);
    bob.approve(&head).accepted().either();
    alice.fetch();
    alice.land(&head).refused(&["missing-approvals"]).either();
    carol.approve(&head).accepted().either();
    alice.land(&head).accepted().either();
    let told = server.cli(&["attest", &head, "--json"]).accepted().json();
    let statements = told["attestations"].as_array().unwrap();
    let review = &statements[0]["statement"]["predicate"];
    assert_eq!(review["approvals"].as_array().unwrap().len(), 2, "{review}");
    let levels = &statements[1]["statement"]["predicate"]["verifiedLevels"];
    assert_eq!(levels[0], "SLSA_SOURCE_LEVEL_4");
}

/// Each lapse starts the levels anew, with the first revision after it that nothing is said of.
#[test]
fn lapses_start_anew() {
    let (server, alice, bob, first) = landed();
    let genesis = server.git(&["rev-parse", &format!("{first}^")]);
    assert_eq!(start(&server, &first), Some(genesis.clone()));
    let second = land(&alice, &bob, "b.txt");
    assert_eq!(start(&server, &second), Some(genesis.clone()));

    // Past the gate, and adopted.
    alice.onto("origin/main");
    let stray = alice.change("stray.txt", "1\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    server.cli(&["log", "adopt", "main"]).exits(0);
    server
        .cli(&["attest", &stray])
        .exits(1)
        .says("adopted")
        .either();
    let third = land(&alice, &bob, "c.txt");
    assert_eq!(start(&server, &third), Some(stray.clone()));
    // Of what came before nothing changes.
    assert_eq!(start(&server, &second), Some(genesis.clone()));

    // The policy allows to go back for a while, though nobody does.
    let loose = land_policy(
        &alice,
        &bob,
        &strict_policy("rewind = \"allow\"\n", PLAIN_RULE),
    );
    assert_eq!(start(&server, &loose), Some(stray.clone()));
    let tight = land_policy(&alice, &bob, &strict_policy("", PLAIN_RULE));
    assert_eq!(start(&server, &tight), None);
    assert_eq!(
        levels_of(&server, &tight, &[]),
        ["SLSA_SOURCE_LEVEL_1", "SLSA_SOURCE_TWO_PARTY_REVIEWED"]
    );
    let fourth = land(&alice, &bob, "d.txt");
    assert_eq!(start(&server, &fourth), Some(tight.clone()));

    // Dry run: what lands meanwhile is not reviewed, and what comes after starts there.
    let dry = land_policy(
        &alice,
        &bob,
        &strict_policy("mode = \"dry-run\"\n", PLAIN_RULE),
    );
    alice.onto("origin/main");
    let loose = alice.change("e.txt", "1\n");
    alice.land(&loose).accepted();
    server
        .cli(&["attest", &loose])
        .exits(1)
        .says("unreviewed")
        .either();
    assert_eq!(start(&server, &dry), Some(tight));
    let enforced = land_policy(&alice, &bob, &strict_policy("", PLAIN_RULE));
    let fifth = land(&alice, &bob, "f.txt");
    assert_eq!(start(&server, &fifth), Some(enforced));
}

/// While an incident stands nothing holds; afterwards it starts anew.
#[test]
fn incidents_start_anew() {
    let (server, alice, bob, _) = landed();
    let hook = server.repo().join("hooks/reference-transaction");
    let text = fs::read(&hook).unwrap();
    fs::remove_file(&hook).unwrap();
    server.cli(&["audit", "--record"]).exits(1);
    let during = land(&alice, &bob, "b.txt");
    assert_eq!(levels_of(&server, &during, &[]), ["SLSA_SOURCE_LEVEL_1"]);
    fs::write(&hook, text).unwrap();
    server.enroll(&[]).accepted();
    server.cli(&["audit", "--record"]).either();
    server.cli(&["audit"]).exits(0);
    let after = land(&alice, &bob, "c.txt");
    assert_eq!(start(&server, &after), Some(during));
}

/// A start may be named: then nothing that began later is claimed, and it must be a tip of before.
#[test]
fn since_a_revision() {
    let (server, alice, bob, first) = landed();
    let genesis = server.git(&["rev-parse", &format!("{first}^")]);
    land_policy(
        &alice,
        &bob,
        &strict_policy("rewind = \"allow\"\n", PLAIN_RULE),
    );
    let tight = land_policy(&alice, &bob, &strict_policy("", PLAIN_RULE));
    let later = land(&alice, &bob, "b.txt");
    let level = |since: &str| levels_of(&server, &later, &["--since", since])[0].clone();
    assert_eq!(level(&tight), "SLSA_SOURCE_LEVEL_4");
    for early in [&genesis, &first] {
        assert_eq!(level(early), "SLSA_SOURCE_LEVEL_1");
    }
    // Two people saw every change all the time.
    let all = levels_of(&server, &later, &["--since", &genesis]);
    assert!(all.contains(&"SLSA_SOURCE_TWO_PARTY_REVIEWED".to_owned()));
    for (commit, since) in [(&first, &later), (&later, &later)] {
        server.cli(&["attest", commit, "--since", since]).exits(2);
    }
}

/// On a branch made at a recorded commit the levels start there.
#[test]
fn a_new_branch() {
    let (server, alice, bob, first) = landed();
    alice
        .push(&[&format!("{first}:refs/heads/release/1")])
        .accepted();
    alice.onto("origin/main");
    let head = alice.change("fix.txt", "1\n");
    alice.share(&head);
    crate::support::landing::approve_for(&bob, "refs/heads/release/1", &head, &[]).accepted();
    alice
        .push(&[&format!("{head}:refs/heads/release/1")])
        .accepted();
    let told = server.cli(&["attest", &head, "--json"]).accepted().json();
    let subject = &told["attestations"][1]["statement"]["subject"][0];
    assert_eq!(
        subject["annotations"]["sourceRefs"],
        json!(["refs/heads/release/1"])
    );
    let since = &subject["annotations"]["continuity"][0];
    assert_eq!(since["startRevision"].as_str(), Some(first.as_str()));
    // What was made there is what it was on main.
    let told = server.cli(&["attest", &first, "--onto", "release/1", "--json"]);
    assert_eq!(told.accepted().json()["ref"], MAIN);
    // A policy that is loose for a while is a gap on every branch, whether or not it moves.
    land_policy(
        &alice,
        &bob,
        &strict_policy("rewind = \"allow\"\n", PLAIN_RULE),
    );
    land_policy(&alice, &bob, &strict_policy("", PLAIN_RULE));
    alice.onto(&head);
    let next = alice.change("fix-2.txt", "1\n");
    alice.share(&next);
    crate::support::landing::approve_for(&bob, "refs/heads/release/1", &next, &[])
        .accepted()
        .either();
    alice
        .push(&[&format!("{next}:refs/heads/release/1")])
        .accepted();
    assert_eq!(start(&server, &next), Some(head));
}

/// What came in by a branch that is trusted may be the approver's own: one more commit on top of it, by
/// somebody else, does not make two people of one.
#[test]
fn a_trusted_branch_hides_who_made_it() {
    let policy = format!(
        "version = 1\nrepository = \"{REPOSITORY}\"\n\
         [[ref]]\nmatch = [\"refs/heads/main\"]\n\
         [[ref]]\nmatch = [\"refs/heads/release/**\"]\ntrusts = [\"{MAIN}\"]\n\
         [[ref]]\nmatch = [\"refs/tags/**\"]\ncreate_once = true\n{PLAIN_RULE}\
         refs = [\"refs/heads/release/**\"]\n[[rule]]\nname = \"main\"\n\
         refs = [\"{MAIN}\"]\nrequire = [\"1 of release-bot\"]\n"
    );
    let release = "refs/heads/release/1";
    let server = Server::bare(Format::Sha1);
    server.found(&policy, &People::new());
    server.git(&["update-ref", release, MAIN]);
    server.enroll(&[]).accepted();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let (carol, bot) = (server.checkout("carol"), server.checkout("release-bot"));
    let own = approved_topic(&bob, &bot, "a.txt");
    bob.land(&own).accepted();
    for (reviewers, expected) in [(&[&bob][..], false), (&[&bob, &carol], true)] {
        let before = server.tip(release).unwrap();
        alice.onto(if expected { &before } else { &own });
        let head = alice.change(&format!("{}.txt", reviewers.len()), "1\n");
        alice.share(&head);
        for reviewer in reviewers {
            crate::support::landing::approve_for(reviewer, release, &head, &[]).accepted();
        }
        alice.push(&[&format!("{head}:{release}")]).accepted();
        let found = start(&server, &head);
        assert_eq!(found.is_some(), expected, "{found:?}");
    }
}

/// A tag that was moved past the gate starts the levels anew, and says nothing of who reviewed.
#[test]
fn a_tag_that_moved() {
    let (server, alice, bob, first) = landed();
    let genesis = server.git(&["rev-parse", &format!("{first}^")]);
    alice.push(&[&format!("{first}:refs/tags/v1")]).accepted();
    let before = land(&alice, &bob, "b.txt");
    assert_eq!(start(&server, &before), Some(genesis.clone()));
    server.git(&["update-ref", "refs/tags/v1", &before]);
    server.cli(&["log", "adopt", "refs/tags/v1"]).exits(0);
    let after = land(&alice, &bob, "c.txt");
    assert_eq!(start(&server, &after), Some(before));
    let told = server.cli(&["attest", &after, "--json"]).accepted().json();
    let subject = &told["attestations"][1]["statement"]["subject"][0];
    let reviewed = &subject["annotations"]["continuity"][1];
    assert_eq!(reviewed["level"], "SLSA_SOURCE_TWO_PARTY_REVIEWED");
    assert_eq!(reviewed["startRevision"].as_str(), Some(genesis.as_str()));
}
