//! The push gate: refused, reviewed, landed, recorded; and what moves refs in ways it must not.

use std::fs;
use std::process::Stdio;

use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::ssh::SshServer;
use crate::support::{
    Checkout, Format, MAIN, NewCommit, Outcome, People, Server, approved_topic, policy, rule,
    two_people, two_people_under,
};

/// Refused, reviewed with plain git, landed, recorded, recomputed.
fn whole_path(server: &Server, alice: &Checkout, bob: &Checkout) {
    let (before, size) = (server.main(), server.log_size());
    let head = alice.change("src/lib.rs", "fn two() {}\n");
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    assert_eq!(server.log_size(), size, "a refusal is no entry");

    alice.share(&head);
    let reply = bob.approve(&head).accepted();
    assert!(!reply.remote_lines().is_empty(), "no reply: {reply}");
    assert_eq!(server.log_size(), size + 1, "the review is one entry");
    alice.land(&head).accepted();
    assert_eq!(server.main(), head);
    assert_eq!(server.log_size(), size + 2, "the landing is one entry");

    server.cli(&["log", "show"]).accepted().says("bob");
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    server.log_is_good();
}

/// A change goes the whole way over `file://`.
#[test]
fn whole_path_over_file() {
    let (server, alice, bob) = two_people();
    whole_path(&server, &alice, &bob);
}

/// A change goes the whole way over real ssh, where the forced command names the pusher.
#[test]
fn whole_path_over_ssh() {
    let server = Server::new();
    let Some(ssh) = SshServer::start(&server) else {
        return;
    };
    let alice = ssh.checkout(&server, "alice");
    let bob = ssh.checkout(&server, "bob");
    whole_path(&server, &alice, &bob);
}

/// Over ssh a pusher cannot name himself: mallory's key is mallory, whatever she sends along.
#[test]
fn ssh_pusher_cannot_claim_a_name() {
    let (server, alice, bob) = two_people();
    let Some(ssh) = SshServer::start(&server) else {
        return;
    };
    let head = approved_topic(&alice, &bob, "a.txt");
    let mallory = ssh
        .checkout(&server, "mallory")
        .env("COUNTERSIGN_PUSHER", "alice");
    mallory.fetch();
    mallory.land(&head).refused(&["unknown-pusher"]);
}

/// A SHA-256 repository goes the same way.
#[test]
fn whole_path_in_sha256() {
    let server = Server::of(Format::Sha256, &policy(PLAIN_RULE), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    whole_path(&server, &alice, &bob);
}

/// Objects that the repository borrows from an alternate are seen.
#[test]
fn whole_path_with_alternates() {
    let lender = Server::new();
    let server = Server::bare(Format::Sha1);
    let alternates = server.repo().join("objects/info/alternates");
    fs::write(
        alternates,
        format!("{}\n", lender.repo().join("objects").display()),
    )
    .unwrap();
    server.git(&["update-ref", MAIN, &lender.main()]);
    server.enroll(&[]).accepted();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    whole_path(&server, &alice, &bob);
}

/// A refused push leaves no ref, no object and no entry behind.
#[test]
fn refusal_leaves_nothing() {
    let (server, alice, _) = two_people();
    let (before, size) = (server.main(), server.log_size());
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!((server.main(), server.log_size()), (before, size));
    assert_eq!(server.tip(&format!("{head}^{{commit}}")), None);
    server.log_is_good();
}

/// Of two approved changes pushed at once on one tip, one lands and the log stays good.
#[test]
fn two_pushes_at_once() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let heads = [
        approved_topic(&alice, &bob, "a.txt"),
        approved_topic(&carol, &bob, "c.txt"),
    ];
    let children: Vec<_> = [&alice, &carol]
        .into_iter()
        .zip(&heads)
        .map(|(who, head)| {
            who.command("git")
                .args(["push", "origin", &format!("{head}:{MAIN}")])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let outcomes: Vec<Outcome> = children
        .into_iter()
        .map(|child| Outcome::from(child.wait_with_output().unwrap()))
        .collect();
    let won: Vec<&String> = outcomes
        .iter()
        .zip(&heads)
        .filter_map(|(outcome, head)| outcome.ok().then_some(head))
        .collect();
    assert_eq!(won, [&server.main()], "{outcomes:?}");
    server.log_is_good();
    server.cli(&["verify", "history"]).exits(0);

    let next = approved_on_main(&alice, &bob, "next.txt");
    alice.land(&next).accepted();
}

/// Many free pushes and an approved one, all at once, all succeed.
#[test]
fn parallel_pushes_to_different_refs() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let mut refs = vec![MAIN.to_owned()];
    refs.extend((0..6).map(|n| format!("refs/heads/free-{n}")));
    let children: Vec<_> = refs
        .iter()
        .map(|name| {
            alice
                .command("git")
                .args(["push", "origin", &format!("{head}:{name}")])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        Outcome::from(child.wait_with_output().unwrap()).accepted();
    }
    for name in &refs {
        assert_eq!(server.tip(name).as_ref(), Some(&head), "{name}");
    }
    server.log_is_good();
}

/// One refused ref refuses the whole push, even without `--atomic`.
#[test]
fn one_decision_for_all_refs() {
    let (server, alice, bob) = two_people();
    let approved = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let bare = alice.change("b.txt", "unreviewed\n");
    alice
        .push(&[
            &format!("{bare}:refs/heads/free"),
            &format!("{approved}:refs/heads/main"),
            &format!("{bare}:refs/heads/release/1"),
        ])
        .refused(&["missing-approvals"]);
    assert_eq!(server.tip("refs/heads/free"), None);
    assert_ne!(server.main(), approved);
}

/// Whoever is nobody in `people.toml` moves free refs, never protected ones.
#[test]
fn unknown_pusher() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    for claim in [
        "mallory",
        "",
        "alice bob",
        "refs/heads/main",
        "../alice",
        "ALICE ",
    ] {
        let stranger = server.checkout("mallory").env("COUNTERSIGN_PUSHER", claim);
        stranger.fetch();
        let refused = stranger.land(&head).refused(&["unknown-pusher"]);
        // Whom the host names nobody is told how to say it.
        assert_eq!(
            refused.stderr.contains("COUNTERSIGN_PUSHER=<you>"),
            claim.is_empty()
        );
    }
    let mallory = server.checkout("mallory");
    mallory.fetch();
    mallory
        .push(&[&format!("{head}:refs/heads/mallorys")])
        .accepted();
    assert_ne!(server.main(), head);
}

/// Each host names the pusher in its own way, by ids and names that its admin gives out.
#[test]
fn pusher_presets() {
    for (preset, good, bad) in [
        ("gitolite", [("GL_USER", "alice")], [("GL_USER", "mallory")]),
        (
            "http",
            [("REMOTE_USER", "alice")],
            [("REMOTE_USER", "alice@example.com")],
        ),
        ("gitlab", [("GL_ID", "user-42")], [("GL_ID", "key-42")]),
        (
            "forgejo",
            [("GITEA_PUSHER_ID", "7")],
            [("GITEA_PUSHER_ID", "42")],
        ),
    ] {
        let accounts = "accounts = { gitlab = 42, forgejo = 7 }\n";
        let people = People::new().lines("alice", accounts);
        let server = Server::with(&policy(PLAIN_RULE), &people);
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = approved_topic(&alice, &bob, "a.txt");
        let settings = server.record("server.toml");
        let text: String = fs::read_to_string(&settings)
            .unwrap()
            .lines()
            .map(|line| match line.starts_with("pusher") {
                true => format!("pusher = \"{preset}\"\n"),
                false => format!("{line}\n"),
            })
            .collect();
        assert!(text.contains(preset), "{text}");
        fs::write(settings, text).unwrap();

        // What the plain preset reads is worth nothing here.
        alice.land(&head).refused(&["unknown-pusher"]);
        let [(name, value)] = bad;
        let stranger = server.checkout("alice").env(name, value);
        stranger.fetch();
        stranger.land(&head).refused(&["unknown-pusher"]);
        let [(name, value)] = good;
        if preset == "forgejo" {
            let deploy = server
                .checkout("alice")
                .env(name, value)
                .env("GITEA_DEPLOY_KEY_ID", "3");
            deploy.fetch();
            deploy.land(&head).refused(&["unknown-pusher"]);
        }
        let known = server.checkout("alice").env(name, value);
        known.fetch();
        known.land(&head).accepted();
    }
}

/// Main does not go back, not even to a reviewed commit.
#[test]
fn rewinds_are_refused() {
    let (server, alice, bob) = two_people();
    let old = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice
        .push(&[&format!("+{old}:{MAIN}")])
        .refused(&["rewound-branch"]);
    alice.git(&["checkout", "-q", "--detach", &old]);
    let side = alice.change("side.txt", "side\n");
    alice.share(&side);
    bob.approve(&side).accepted();
    alice
        .push(&[&format!("+{side}:{MAIN}")])
        .refused(&["rewound-branch"]);
    assert_eq!(server.main(), head);
}

/// Protected refs are not deleted, and a deletion next to a good update refuses both.
#[test]
fn deletions_are_refused() {
    let (server, alice, bob) = two_people();
    alice.push(&["origin/main:refs/heads/release/1"]).accepted();
    for name in [MAIN, "refs/heads/release/1"] {
        alice.push(&[&format!(":{name}")]).refused(&["deleted-ref"]);
        assert!(server.tip(name).is_some(), "{name}");
    }
    let head = approved_topic(&alice, &bob, "a.txt");
    alice
        .push(&[&format!("{head}:{MAIN}"), ":refs/heads/release/1"])
        .refused(&["deleted-ref"]);
    assert_ne!(server.main(), head);
}

/// A policy that allows rewinding and deleting a branch lets both pass there, not on main.
#[test]
fn allowed_deletion() {
    let extra = "[[ref]]\nmatch = [\"refs/heads/dev/*\"]\nrewind = \"allow\"\ndelete = \"allow\"\n";
    let server = Server::with(&policy(&format!("{extra}\n{PLAIN_RULE}")), &People::new());
    let alice = server.checkout("alice");
    alice.push(&["origin/main:refs/heads/dev/x"]).accepted();
    alice.push(&[":refs/heads/dev/x"]).accepted();
    assert_eq!(server.tip("refs/heads/dev/x"), None);
    alice.push(&[&format!(":{MAIN}")]).refused(&["deleted-ref"]);
    server.cli(&["verify", "history"]).exits(0);
}

fn annotated(at: &Checkout, name: &str, target: &str) -> String {
    at.git(&["tag", "-s", "-f", name, target, "-m", name]);
    at.git(&["rev-parse", &format!("refs/tags/{name}")])
}

/// A version tag of a recorded commit is made once: neither moved, deleted, nor made again.
#[test]
fn create_once_tags() {
    let (server, alice, bob) = two_people();
    let tag = annotated(&alice, "v1", "origin/main");
    alice.push(&["refs/tags/v1"]).accepted();
    assert_eq!(server.tip("refs/tags/v1"), Some(tag.clone()));

    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    annotated(&alice, "v1", &head);
    alice.push(&["+refs/tags/v1"]).refused(&["moved-tag"]);
    // git calls this one a fast-forward: another tag object of the same commit.
    annotated(&alice, "v1", &format!("{tag}^{{commit}}"));
    alice.push(&["refs/tags/v1"]).refused(&[]);
    alice.push(&["+refs/tags/v1"]).refused(&["moved-tag"]);
    alice
        .push(&[":refs/tags/v1"])
        .refused_with_any(&["deleted-ref", "moved-tag"]);
    assert_eq!(server.tip("refs/tags/v1"), Some(tag.clone()));

    server.git(&["update-ref", "-d", "refs/tags/v1"]);
    alice.push(&["+refs/tags/v1"]).refused(&[]);
    assert_eq!(server.tip("refs/tags/v1"), None, "made again");
}

/// A version tag is one tag object with the ref's own name on a recorded commit.
#[test]
fn create_once_tags_are_what_they_say() {
    let (server, alice, _) = two_people();
    let unrecorded = alice.change("a.txt", "new\n");
    annotated(&alice, "v2", &unrecorded);
    alice
        .push(&["refs/tags/v2"])
        .refused(&["unrecorded-target"]);

    annotated(&alice, "v3", "origin/main");
    alice.push(&["refs/tags/v3:refs/tags/v4"]).refused(&[]);
    annotated(&alice, "v5", "refs/tags/v3");
    alice.push(&["refs/tags/v5"]).refused(&[]);
    alice.git(&["tag", "v6", "origin/main^{tree}", "-m", "a tree"]);
    alice.push(&["refs/tags/v6"]).refused(&[]);
    for name in ["v2", "v4", "v5", "v6"] {
        assert_eq!(server.tip(&format!("refs/tags/{name}")), None, "{name}");
    }
    alice.push(&["refs/tags/v3"]).accepted();
}

/// A tip that no gate moved is refused to build on until the host adopts it, and is never reviewed.
#[test]
fn unknown_tip_is_adopted_on_the_host() {
    let (server, alice, bob) = two_people();
    let stray = alice.change("stray.txt", "past the gate\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).either();
    alice.land(&head).refused(&["unknown-tip"]);
    assert_eq!(server.main(), stray);

    server.cli(&["log", "adopt", MAIN]).accepted();
    server
        .cli(&["verify", "commit", &stray])
        .exits(1)
        .says("adopted");
    bob.onto("origin/main");
    let next = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "commit", &next]).exits(0);
    server.log_is_good();
}

/// The other way out of an unknown tip is to set it back.
#[test]
fn unknown_tip_is_set_back() {
    let (server, alice, bob) = two_people();
    let (good, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    server.git(&["update-ref", MAIN, &head]);
    alice.fetch();
    let next = alice.change("b.txt", "new\n");
    alice.land(&next).refused(&["unknown-tip"]);
    server.git(&["update-ref", MAIN, &good]);
    alice.land(&head).accepted();
}

/// A protected branch is made at a recorded commit without asking anybody.
#[test]
fn creation_at_a_recorded_commit() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    for (name, at) in [
        ("refs/heads/release/1", &genesis),
        ("refs/heads/release/2", &head),
    ] {
        alice.push(&[&format!("{at}:{name}")]).accepted();
        assert_eq!(server.tip(name).as_ref(), Some(at));
    }
    server.cli(&["verify", "history"]).exits(0);
}

/// A branch made without asking anybody is as little reviewed as the commit it is made at.
#[test]
fn creation_reviews_nothing() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    for (name, at, exit, word) in [
        ("refs/heads/release/1", &genesis, 1, "baseline"),
        ("refs/heads/release/2", &head, 0, "reviewed"),
    ] {
        alice.push(&[&format!("{at}:{name}")]).accepted();
        for onto in [&["--onto", name][..], &[]] {
            let asked = [&["verify", "commit", at.as_str()][..], onto].concat();
            server.cli(&asked).exits(exit).says(word);
        }
    }
}

/// A rule for a ref alone is asked when the ref is made, at a commit that main recorded.
#[test]
fn creation_asks_the_rules_of_the_ref() {
    let releases = rule(
        "releases",
        "refs = [\"refs/tags/v*\"]\nrequire = [\"1 of @maintainers\"]",
    );
    let (server, alice, bob) = two_people_under(&format!("{PLAIN_RULE}{releases}"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let target = "refs/tags/v1";
    let push = format!("{head}:{target}");
    alice.push(&[&push]).refused(&["missing-approvals"]);
    let tag = bob.tag_review(
        &head,
        &crate::support::checkout::review_message("approve", target, &[]),
    );
    bob.push_review(&tag, &head, "bob-tag").accepted();
    alice.push(&[&push]).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// Elsewhere a new protected branch is judged from where it leaves main, or refused without such.
#[test]
fn creation_at_an_unrecorded_commit() {
    let (server, alice, bob) = two_people();
    let middle = alice.change("a.txt", "one\n");
    let head = alice.change("a.txt", "two\n");
    alice.share(&head);
    let target = "refs/heads/release/1";
    alice
        .push(&[&format!("{head}:{target}")])
        .refused(&["missing-approvals"]);
    let message = crate::support::checkout::review_message("approve", target, &[]);
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob").accepted();
    alice.push(&[&format!("{head}:{target}")]).accepted();

    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    // Reachable from a recorded tip is not recorded.
    alice
        .push(&[&format!("{middle}:refs/heads/release/2")])
        .refused(&[]);

    alice.git(&["checkout", "-q", "--orphan", "island"]);
    let island = alice.change("island.txt", "alone\n");
    alice
        .push(&[&format!("{island}:refs/heads/release/3")])
        .refused(&["unrecorded-target"]);
    assert_eq!(server.tip("refs/heads/release/2"), None);
    assert_eq!(server.tip("refs/heads/release/3"), None);
}

/// A rule that names a ref is asked even where a branch is made at a recorded commit.
#[test]
fn creation_where_a_rule_names_the_ref() {
    let rules = format!(
        "{PLAIN_RULE}\n[[rule]]\nname = \"releases\"\nrefs = [\"refs/heads/release/**\"]\nrequire = [\"1 of @security\"]\n"
    );
    let server = Server::with(&policy(&rules), &People::new());
    let alice = server.checkout("alice");
    alice
        .push(&["origin/main:refs/heads/release/1"])
        .refused(&[]);
    assert_eq!(server.tip("refs/heads/release/1"), None);
}

/// Dry run says what enforcing would decide, lets it pass, marks it, and reviews nothing.
#[test]
fn dry_run() {
    let text = policy_text("", "mode = \"dry-run\"", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    let outcome = alice.land(&head).accepted();
    assert!(outcome.codes().contains("missing-approvals"), "{outcome}");
    assert_eq!(server.main(), head);
    server.cli(&["verify", "commit", &head]).exits(1);
    server.cli(&["verify", "history"]).exits(0);

    let policy_change = alice.change(".countersign/policy.toml", &format!("{text}\n# more\n"));
    alice.land(&policy_change).refused(&["missing-approvals"]);
    assert_eq!(
        server.main(),
        head,
        "a change of policy is enforced in dry run"
    );
}

/// Free refs are free; Countersign's own refs and replace refs are not.
#[test]
fn free_and_reserved_refs() {
    let (server, alice, _) = two_people();
    let head = alice.change("a.txt", "new\n");
    for name in [
        "refs/heads/topic",
        "refs/tags/nightly",
        "refs/notes/x",
        "refs/pull/1/head",
    ] {
        alice.push(&[&format!("{head}:{name}")]).accepted();
        alice.push(&[&format!(":{name}")]).accepted();
    }
    for name in [
        "refs/countersign/keep",
        "refs/countersign/keep/x",
        "refs/countersign/log",
        "refs/countersign/reviews/x",
        "refs/countersign/proposals/bob/x",
        &format!("refs/replace/{head}"),
    ] {
        alice.push(&[&format!("{head}:{name}")]).refused(&[]);
        assert_eq!(server.tip(name), None, "{name}");
    }
}

/// A known pusher parks changes under their own proposals, replaces and removes them.
#[test]
fn proposals_of_ones_own() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    let name = "refs/countersign/proposals/alice/better";
    alice.push(&[&format!("{head}:{name}")]).accepted();
    assert_eq!(server.tip(name).as_ref(), Some(&head));
    bob.approve_fetched(&server, name).accepted();
    alice.land(&head).accepted();
}

/// A commit nobody signed is proven by the known person who first brought it.
#[test]
fn unsigned_commits_are_proven_by_their_pusher() {
    let (_server, alice, bob) = two_people();
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        unsigned: true,
        ..NewCommit::default()
    });
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// A commit that nobody signed and a stranger brought wants one approval more.
#[test]
fn unproven_commits_want_one_more() {
    let (server, alice, bob) = two_people();
    let mallory = server.checkout("mallory");
    let head = mallory.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        unsigned: true,
        author: Some("alice"),
        committer: Some("alice"),
        ..NewCommit::default()
    });
    mallory.share(&head);
    bob.approve(&head).accepted();
    alice.fetch();
    alice
        .land(&head)
        .refused(&["missing-approvals", "unproven-commit"]);
    server.checkout("carol").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// `signed_commits = true` refuses what nobody known signed.
#[test]
fn signed_commits_only() {
    let text = policy_text("", "signed_commits = true", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        unsigned: true,
        ..NewCommit::default()
    });
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["unsigned-commit"]);
}

/// `every_commit = true` asks a review of each first-parent commit.
#[test]
fn every_commit_is_a_step() {
    let text = policy_text("", "every_commit = true", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let first = alice.change("a.txt", "one\n");
    let second = alice.change("b.txt", "two\n");
    alice.share(&second);
    bob.approve(&second).accepted();
    alice.land(&second).refused(&["missing-approvals"]);
    bob.approve(&first).accepted();
    bob.review("approve", &second, &[&format!("Keeps: {first}")])
        .accepted();
    alice.land(&second).accepted();
}

/// Alice's signed change of one file on main's tip, shared and approved by bob.
pub(crate) fn approved_on_main(alice: &Checkout, bob: &Checkout, file: &str) -> String {
    alice.onto("origin/main");
    approved_topic(alice, bob, file)
}

/// The same, where a hook at `kept` would refuse the sharing.
pub(crate) fn approved_on_main_quietly(
    alice: &Checkout,
    bob: &Checkout,
    kept: &std::path::Path,
    file: &str,
) -> String {
    let text = fs::read_to_string(kept).unwrap();
    fs::write(kept, text.replace("exit 1", "exit 0")).unwrap();
    approved_on_main(alice, bob, file)
}
