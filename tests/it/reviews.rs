//! Reviews: signed tags, read from the record, each counting for what it says and no more.

use crate::push::approved_on_main;
use crate::support::checkout::review_message;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::objects;
use crate::support::{
    Checkout, MAIN, People, REPOSITORY, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

fn shared(alice: &Checkout, file: &str) -> String {
    let head = alice.change(file, "new\n");
    alice.share(&head);
    head
}

/// A review ref is made once: it is neither moved nor deleted by a push.
#[test]
fn review_refs_are_create_only() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let message = review_message("approve", MAIN, &[]);
    let first = bob.tag_review(&head, &message);
    bob.push_review(&first, &head, "bob").accepted();
    let name = format!("refs/countersign/reviews/{head}/bob");
    let second = bob.tag_review(&head, &message);
    assert_ne!(first, second);
    bob.push(&[&format!("+{second}:{name}")]).refused(&[]);
    bob.push(&[&format!(":{name}")]).refused(&[]);
    assert_eq!(server.tip(&name), Some(first));
}

/// Whatever is not exactly the grammar, or is untrue, is refused as malformed and never logged.
#[test]
fn malformed_reviews() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    bob.fetch();
    let tip = server.main();
    let tree = bob.tree(&tip);
    let line = format!("countersign: approve {MAIN} of {REPOSITORY}");
    let size = server.log_size();
    let broken = [
        String::from("LGTM"),
        format!("countersign: approved {MAIN} of {REPOSITORY}"),
        format!("Countersign: approve {MAIN} of {REPOSITORY}"),
        format!("countersign: approve main of {REPOSITORY}"),
        format!("countersign:  approve {MAIN} of {REPOSITORY}"),
        format!("countersign: approve {MAIN} {REPOSITORY}"),
        format!("countersign: approve {MAIN} of"),
        format!("\n{line}"),
        format!("{line}\nLooks good to me"),
        format!("{line}\nSigned-off-by: Bob <bob@example.com>"),
        format!("{line}\nBase: {}", &tip[..12]),
        format!("{line}\nBase: {}", tip.to_uppercase()),
        format!("{line}\nBase: {tip}\nBase: {tip}"),
        format!("{line}\nBase:{tip}"),
        format!("{line}\nbase: {tip}"),
        format!("{line}\nBase: {head}"),
        format!("{line}\nTree: {tree}"),
        format!("{line}\nTree: {tree}\nTree: {tree}"),
        format!("{line}\nKeeps: yes"),
        format!("{line}\nReplaces: {}0", &head[1..39]),
        format!("{line}\nOverride: {}", "0".repeat(40)),
        format!("{line}\nOverride: {head}"),
    ];
    for (number, message) in broken.iter().enumerate() {
        let tag = raw_tag(&bob, &head, "commit", "countersign/ok", message);
        bob.push_review(&tag, &head, &format!("bob-{number}"))
            .refused(&["malformed-review"]);
    }
    assert_eq!(server.log_size(), size);
}

/// Tags of another name or target, tags of tags, and things that are no tag are no reviews.
#[test]
fn misshapen_review_tags() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    bob.fetch();
    let message = review_message("approve", MAIN, &[]);
    let size = server.log_size();
    let other = server.main();
    let good = bob.tag_review(&head, &message);
    let tree = bob.tree(&head);
    for tag in [
        raw_tag(&bob, &head, "commit", "v1", &message),
        raw_tag(&bob, &other, "commit", "countersign/ok", &message),
        raw_tag(&bob, &good, "tag", "countersign/ok", &message),
        raw_tag(&bob, &tree, "tree", "countersign/ok", &message),
    ] {
        bob.push_review(&tag, &head, "bob")
            .refused(&["malformed-review"]);
    }
    bob.push_review(&head, &head, "bob").refused(&[]);
    for leaf in ["Bob", "-bob", "bob/ok", "b\u{f6}b"] {
        bob.push_review(&good, &head, leaf).refused(&[]);
    }
    bob.push(&[&format!(
        "{good}:refs/countersign/reviews/{}/bob",
        &head[..12]
    )])
    .refused(&[]);
    assert_eq!(server.log_size(), size);
}

/// A signed tag with any message, made past what `git tag` would tidy.
fn raw_tag(at: &Checkout, target: &str, kind: &str, name: &str, message: &str) -> String {
    let body = format!(
        "object {target}\ntype {kind}\ntag {name}\ntagger {0} <{0}@example.com> 1700000000 +0000\n\n{message}\n",
        at.person
    );
    let signature = objects::sign(at, "git", &body);
    objects::write(at, "tag", format!("{body}{signature}").as_bytes())
}

/// A review without a signature, or with one over other words, counts for nobody.
#[test]
fn unsigned_and_forged_reviews() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    bob.fetch();
    let size = server.log_size();
    let good = bob.tag_review(&head, &review_message("reject", MAIN, &[]));
    let raw = objects::raw(&bob, &good);
    let forged = raw.replace("countersign: reject", "countersign: approve");
    let unsigned = raw.split("-----BEGIN").next().unwrap();
    // Signed by bob, but for another purpose than git's.
    let foreign = format!("{unsigned}{}", objects::sign(&bob, "file", unsigned));
    for text in [forged.as_str(), unsigned, &foreign] {
        let tag = objects::write(&bob, "tag", text.as_bytes());
        bob.push_review(&tag, &head, "bob").refused(&[]);
    }
    assert_eq!(server.log_size(), size);
}

/// A review for another repository is refused, and says so.
#[test]
fn wrong_repository() {
    let (_server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    for other in [
        "git.example.com/payment",
        "git.example.com/payments2",
        "GIT.example.com/payments",
    ] {
        let message = format!("countersign: approve {MAIN} of {other}");
        let tag = bob.tag_review(&head, &message);
        bob.push_review(&tag, &head, "bob")
            .refused(&["wrong-repository"]);
    }
}

/// A review for a ref that nothing protects is refused.
#[test]
fn wrong_target() {
    let (_server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    for target in ["refs/heads/topic", "refs/heads/Main", "refs/tags/x"] {
        let tag = bob.tag_review(&head, &review_message("approve", target, &[]));
        bob.push_review(&tag, &head, "bob")
            .refused(&["wrong-target"]);
    }
}

/// An approval for one protected ref does not count on another.
#[test]
fn approvals_stay_with_their_target() {
    let (_server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let message = review_message("approve", "refs/heads/release/1", &[]);
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob").accepted();
    alice.land(&head).refused(&["missing-approvals"]);
}

/// A key that nobody in `people.toml` has signs nothing that counts, whoever carries it.
#[test]
fn unknown_key() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let mallory = server.checkout("mallory");
    let tag = mallory.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.fetch();
    let carried = objects::write(&bob, "tag", objects::raw(&mallory, &tag).as_bytes());
    assert_eq!(carried, tag);
    bob.push_review(&tag, &head, "mallory")
        .refused(&["unknown-signer"]);
}

/// A key that ran out before receipt, or is not valid yet, or is revoked, refuses its review.
#[test]
fn keys_out_of_time() {
    for (terms, code) in [
        ("until = 2020-01-01T00:00:00Z", "expired-key"),
        ("from = 2999-01-01T00:00:00Z", "expired-key"),
        ("revoked = 2020-01-01T00:00:00Z", "revoked-key"),
    ] {
        let people = People::new().key_terms("bob", terms);
        let server = Server::with(&policy(PLAIN_RULE), &people);
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let head = shared(&alice, "a.txt");
        bob.approve(&head).refused(&[code]);
    }
}

/// An older review of the same head cannot be played again over a newer one.
#[test]
fn replayed_review() {
    let (_server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let approve = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    let reject = bob.tag_review(&head, &review_message("reject", MAIN, &[]));
    bob.push_review(&reject, &head, "bob-2").accepted();
    bob.push_review(&approve, &head, "bob-1")
        .refused(&["replayed-review"]);
    alice.land(&head).refused(&["rejected"]);
}

/// A withdrawal ends an approval, and a new approval ends the withdrawal.
#[test]
fn withdraw() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    bob.review("withdraw", &head, &[]).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// A reject blocks what others approved until its person thinks better of it.
#[test]
fn reject() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = approved_topic(&alice, &bob, "a.txt");
    carol.review("reject", &head, &[]).accepted();
    alice.land(&head).refused(&["rejected"]);
    // Nor under another commit that brings it.
    let more = alice.change("b.txt", "more\n");
    alice.share(&more);
    bob.approve(&more).accepted();
    alice.land(&more).refused(&["rejected"]);
    carol.review("withdraw", &head, &[]).accepted();
    alice.land(&more).accepted();
}

/// A contributor may reject what they helped make.
#[test]
fn contributor_rejects() {
    let (_server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.review("reject", &head, &[]).accepted();
    alice.land(&head).refused(&["rejected"]);
}

/// A reject of one whom no rule names blocks nothing.
#[test]
fn outsider_rejects_in_vain() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    server
        .checkout("dana")
        .review("reject", &head, &[])
        .either();
    alice.land(&head).accepted();
}

/// One person more than the rule asks overrides a reject by naming its tag.
#[test]
fn override_a_reject() {
    let rules = rule("anybody", "require = [\"1 of any\"]");
    let (server, alice, bob) = two_people_under(&rules);
    let (carol, dana) = (server.checkout("carol"), server.checkout("dana"));
    let head = shared(&alice, "a.txt");
    let reject = carol.tag_review(&head, &review_message("reject", MAIN, &[]));
    carol.push_review(&reject, &head, "carol").accepted();
    let line = format!("Override: {reject}");
    bob.review("approve", &head, &[&line]).accepted();
    alice.land(&head).refused(&["rejected"]);
    // Without naming the reject, another approval overrides nothing.
    dana.approve(&head).accepted();
    alice.land(&head).refused(&["rejected"]);
    dana.review("approve", &head, &[&line]).accepted();
    alice.land(&head).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// Approving a descendant replaces the approval before it, unless the reviewer keeps that.
#[test]
fn replaced_and_kept() {
    for keeps in [false, true] {
        let (_server, alice, bob) = two_people();
        let first = approved_topic(&alice, &bob, "a.txt");
        let second = alice.change("b.txt", "more\n");
        alice.share(&second);
        let line = format!("Keeps: {first}");
        let lines: &[&str] = if keeps { &[&line] } else { &[] };
        bob.review("approve", &second, lines).accepted();
        if keeps {
            alice.land(&first).accepted();
            alice.land(&second).accepted();
        } else {
            alice.land(&first).refused(&["missing-approvals"]);
            alice.land(&second).accepted();
        }
    }
}

/// `Replaces:` ends an approval of a head that the new one does not descend from.
#[test]
fn replaces_by_name() {
    let (_server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let second = shared(&alice, "b.txt");
    bob.review("approve", &second, &[&format!("Replaces: {first}")])
        .accepted();
    alice.land(&first).refused(&["missing-approvals"]);
    alice.land(&second).accepted();
}

/// An approval lapses after `approvals_expire`, by the server's clock.
#[test]
fn approvals_expire() {
    let text = policy_text("approvals_expire = \"1s\"\n", "", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    alice
        .land(&head)
        .refused(&["missing-approvals", "stale-approval"]);
}

/// A head lands once: what was squashed in and reverted does not come back by its old approval.
#[test]
fn one_landing_each() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let squash = objects::commit_tree(&alice, &alice.tree(&head), &[&base]);
    alice.land(&squash).accepted();
    alice.onto("origin/main");
    let revert = objects::commit_tree(&alice, &alice.tree(&base), &[&squash]);
    alice.share(&revert);
    bob.approve(&revert).accepted();
    alice.land(&revert).accepted();

    let again = objects::commit_tree(&alice, &alice.tree(&head), &[&revert, &head]);
    alice
        .land(&again)
        .refused(&["missing-approvals", "spent-approval"]);
    let squashed_again = objects::commit_tree(&alice, &alice.tree(&head), &[&revert]);
    alice.land(&squashed_again).refused(&["missing-approvals"]);
    // Not by an approval of it received afterwards either.
    bob.approve(&head).either();
    alice.land(&again).refused(&["missing-approvals"]);
    assert_eq!(server.main(), revert);
}

/// Nobody approves what they made, whoever pushes it.
#[test]
fn self_approval() {
    let (_server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    alice.approve(&head).accepted();
    for pusher in [&alice, &bob] {
        pusher.fetch();
        pusher
            .land(&head)
            .refused(&["missing-approvals", "self-approval"]);
    }
}

/// A co-author in a trailer of any case, an author and a committer are contributors.
#[test]
fn contributors_by_header() {
    use crate::support::NewCommit;
    for new in [
        NewCommit {
            message: "x\n\nco-AUTHORED-by: Bob <BOB@example.com>",
            ..NewCommit::default()
        },
        NewCommit {
            author: Some("bob"),
            ..NewCommit::default()
        },
        NewCommit {
            committer: Some("bob"),
            ..NewCommit::default()
        },
    ] {
        let (server, alice, bob) = two_people();
        let head = alice.commit(NewCommit {
            files: &[("a.txt", Some("new\n"))],
            ..new
        });
        alice.share(&head);
        bob.approve(&head).accepted();
        alice
            .land(&head)
            .refused(&["missing-approvals", "self-approval"]);
        server.checkout("carol").approve(&head).accepted();
        alice.land(&head).accepted();
    }
}

/// Whoever first pushed an unsigned commit does not approve it under its author's name.
#[test]
fn pushers_of_unsigned_commits_contribute() {
    use crate::support::NewCommit;
    let (_server, alice, bob) = two_people();
    let head = bob.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        author: Some("alice"),
        committer: Some("alice"),
        unsigned: true,
        ..NewCommit::default()
    });
    bob.share(&head);
    bob.approve(&head).accepted();
    alice.fetch();
    alice.land(&head).refused(&["missing-approvals"]);
}

/// A bot fills a place only where a rule names it.
#[test]
fn bot_approval() {
    let (server, alice, _) = two_people_under(&rule("anybody", "require = [\"1 of any\"]"));
    let bot = server.checkout("release-bot");
    let head = shared(&alice, "a.txt");
    bot.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "bot-approval"]);

    let (server, alice, _) = two_people_under(&rule("bot", "require = [\"1 of release-bot\"]"));
    let bot = server.checkout("release-bot");
    let head = shared(&alice, "a.txt");
    bot.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// The same tag pushed again under another name changes nothing.
#[test]
fn known_bytes_change_nothing() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.push_review(&tag, &head, "bob").accepted();
    let size = server.log_size();
    bob.push_review(&tag, &head, "bob-again").accepted();
    assert_eq!(server.log_size(), size);
    bob.review("withdraw", &head, &[]).accepted();
    bob.push_review(&tag, &head, "bob-once-more").either();
    alice.land(&head).refused(&["missing-approvals"]);
}

/// Any known pusher may carry anybody's review; a stranger may not.
#[test]
fn anybody_known_carries_a_review() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    let text = objects::raw(&bob, &tag);
    let mallory = server.checkout("mallory");
    mallory.fetch();
    objects::write(&mallory, "tag", text.as_bytes());
    mallory.push_review(&tag, &head, "bob").refused(&[]);
    objects::write(&alice, "tag", text.as_bytes());
    alice.push_review(&tag, &head, "whatever").accepted();
    alice.land(&head).accepted();
}

/// A review in the same push as its landing is logged first and counts.
#[test]
fn review_and_landing_in_one_push() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let size = server.log_size();
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.push(&[
        &format!("{tag}:refs/countersign/reviews/{head}/bob"),
        &format!("{head}:{MAIN}"),
    ])
    .accepted();
    assert_eq!(server.main(), head);
    assert_eq!(server.log_size(), size + 2);
    server.cli(&["verify", "history"]).exits(0);
}

/// A review is logged only when its push is accepted.
#[test]
fn review_in_a_refused_push_is_not_logged() {
    let (server, alice, bob) = two_people();
    let head = shared(&alice, "a.txt");
    let size = server.log_size();
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.onto("origin/main");
    let bobs = bob.change("b.txt", "unreviewed\n");
    bob.push(&[
        &format!("{tag}:refs/countersign/reviews/{head}/bob"),
        &format!("{bobs}:{MAIN}"),
    ])
    .refused(&["missing-approvals"]);
    assert_eq!(server.log_size(), size);
    alice.land(&head).refused(&["missing-approvals"]);
}

/// Pruning the review refs does not unreview: the record is what counts.
#[test]
fn refs_are_not_the_record() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    for line in server
        .git(&[
            "for-each-ref",
            "--format=%(refname)",
            "refs/countersign/reviews",
        ])
        .lines()
    {
        server.git(&["update-ref", "-d", line]);
    }
    alice.land(&head).accepted();

    // And a ref that nobody logged reviews nothing.
    let next = {
        alice.onto("origin/main");
        shared(&alice, "b.txt")
    };
    let tag = bob.tag_review(&next, &review_message("approve", MAIN, &[]));
    objects::write_on_server(&server, &bob, &tag);
    server.git(&[
        "update-ref",
        &format!("refs/countersign/reviews/{next}/bob"),
        &tag,
    ]);
    alice.land(&next).refused(&["missing-approvals"]);
}

/// `Base` may be any recorded tip and `Tree` what landing on it gives.
#[test]
fn base_and_tree_lines() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let head = shared(&alice, "a.txt");
    bob.fetch();
    let tree = bob.tree(&head);
    bob.review(
        "approve",
        &head,
        &[
            &format!("Base: {base}"),
            &format!("Tree: {tree}"),
            "",
            "Fine by me.",
        ],
    )
    .accepted();
    alice.land(&head).accepted();
    let next = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&next).accepted();
}
