//! Who may approve what: contributors, and what proves a commit. Each row is a test; who lands what
//! is in [`landers`].
//!
//! | test | the change | may not approve | lands with |
//! |---|---|---|---|
//! | `signed_own` | alice's, signed by her | alice | bob |
//! | `signed_and_carried` | the same, first pushed by bob | alice | bob |
//! | `signed_by_another` | alice's by its headers, signed by bob | alice, bob | carol |
//! | `signed_and_rebased` | alice's, committed again and signed by bob | alice, bob | carol |
//! | `signed_with_a_co_author` | alice's, with bob in a trailer | alice, bob | carol |
//! | `signed_with_a_stranger` | alice's, with a stranger in a trailer | alice | bob |
//! | `signed_for_a_stranger` | a stranger's, signed by alice | alice | bob |
//! | `signed_by_a_bot` | a bot's, signed by it, pushed by alice | alice | bob |
//! | `signed_and_pushed_by_a_bot` | the same, pushed by the bot | | bob + carol |
//! | `web_edit` | alice's, signed by the forge, pushed by her | alice | bob |
//! | `web_edit_carried` | the same, pushed by bob | alice, bob | carol |
//! | `web_edit_of_nobody` | the same, pushed by nobody known | alice | bob + carol |
//! | `signed_by_an_unknown_key` | alice's by its headers, an unknown key, pushed by bob | alice, bob | carol |
//! | `unsigned_own` | alice's, pushed by her | alice | bob |
//! | `unsigned_and_carried` | alice's, pushed by bob | alice, bob | carol |
//! | `brought_on_any_ref` | the same, by a tag, a proposal or with his review | alice, bob | carol |
//! | `brought_by_the_landing` | the same, with his review and to main at once | alice, bob | carol |
//! | `unsigned_and_rebased` | alice's, committed again by bob, pushed by alice | alice, bob | carol |
//! | `unsigned_of_nobody` | alice's, pushed by nobody known | alice | bob + carol |
//! | `unsigned_by_a_bot` | alice's, pushed by a bot | alice | bob + carol |
//! | `stranger_carried` | a stranger's, pushed by alice | alice | bob |
//! | `stranger_of_nobody` | a stranger's, pushed by nobody known | | alice + bob |
//! | `first_push_counts` | a stranger's, pushed by bob, then by alice | bob | alice |
//! | `first_push_of_nobody_counts` | a stranger's, pushed by nobody known, then by alice | | alice + bob |
//! | `reviewer_adds_a_commit` | alice's, and one of bob's on top | alice, bob | carol |
//! | `each_reviews_the_others_commit` | the same, where bob approved what was below | bob | alice |
//! | `reviewer_updates_the_topic` | alice's, into which bob merged main | alice, bob | carol |
//! | `one_unproven_commit` | alice's signed on top of one nobody proves | alice | bob + carol |
//! | `squash_as_a_head` | carol's squash of alice's, approved as that | carol | alice |

mod landers;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::checkout::review_message;
use crate::support::landing::{lands, merge, pick, squash};
use crate::support::{
    Checkout, MAIN, NewCommit, Outcome, People, Server, approved_topic, policy, rule,
};

/// Each row of the two tables is a test, and each test but this one has its row.
#[test]
fn every_row_is_a_test() {
    for text in [include_str!("mod.rs"), include_str!("landers.rs")] {
        let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
        let rows: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
        let tests = text.split("\n#[test]\nfn ").skip(1);
        let mut tests: BTreeSet<_> = tests.filter_map(|test| test.split('(').next()).collect();
        tests.remove("every_row_is_a_test");
        assert!(rows.len() > 5);
        assert_eq!(rows, tests);
    }
}

/// One approval of anybody for everything, and the people of the table; mallory's key is the forge's.
fn with_a_forge() -> Server {
    let people = People::new()
        .with("mallory")
        .lines("mallory", "kind = \"forge\"\n");
    Server::with(&policy(&anybody()), &people)
}

/// The same, where mallory is nobody.
fn without_a_forge() -> Server {
    Server::with(&policy(&anybody()), &People::new())
}

fn anybody() -> String {
    rule("all", "require = [\"1 of any\"]")
}

/// A change of one file.
const CHANGE: NewCommit<'_> = NewCommit {
    files: &[("a.txt", Some("new\n"))],
    message: "",
    author: None,
    committer: None,
    unsigned: false,
};

/// A change of alice's, by its headers, that nobody signed.
const UNSIGNED: NewCommit<'_> = NewCommit {
    author: Some("alice"),
    committer: Some("alice"),
    unsigned: true,
    ..CHANGE
};

/// A change of somebody whom `people.toml` does not know, that nobody signed.
const STRANGERS: NewCommit<'_> = NewCommit {
    author: Some("zed"),
    committer: Some("zed"),
    unsigned: true,
    ..CHANGE
};

/// What a forge's web editor makes.
const WEB_EDIT: NewCommit<'_> = NewCommit {
    author: Some("alice"),
    committer: Some("noreply"),
    ..CHANGE
};

/// A commit of `maker`'s clone, first brought by `bringer`.
fn brought(
    server: &Server,
    maker: &'static str,
    bringer: &'static str,
    new: NewCommit<'_>,
) -> String {
    let at = server.checkout(maker);
    let head = at.commit(new);
    if maker == bringer {
        at.share(&head);
    } else {
        share(&at, &server.checkout(bringer), &head);
    }
    head
}

/// `bringer` takes a commit out of another clone and pushes it to a topic branch.
fn share(from: &Checkout, bringer: &Checkout, head: &str) {
    bringer.git(&["fetch", "-q", from.dir().to_str().unwrap(), "HEAD"]);
    bringer.share(head);
}

/// What the verdict on landing a commit says of its people: `who: role role`, sorted.
fn hands(server: &Server, commit: &str) -> Vec<String> {
    let verdict = server.check_json(commit, MAIN, "dana");
    let contributors = verdict["updates"][0]["contributors"].as_array().unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let line = |hand: &Value| {
        let who = text(&hand["person"]).or(text(&hand["email"])).unwrap();
        let roles: Vec<_> = hand["roles"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(text)
            .collect();
        format!("{who}: {}", roles.join(" "))
    };
    let mut lines: Vec<String> = contributors.iter().map(line).collect();
    lines.sort();
    lines
}

/// The codes of a verdict, whatever their weight.
fn codes(server: &Server, commit: &str) -> BTreeSet<String> {
    let verdict = server.check_json(commit, MAIN, "dana");
    let findings = verdict["updates"][0]["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

/// Sees that the approvals of those who may not do nothing, and those of the others just suffice.
/// Dana pushes, who has no hand in any of it.
#[track_caller]
fn row(
    server: &Server,
    head: &str,
    people: &[&str],
    may_not: &[&'static str],
    lands_with: &[&'static str],
) {
    assert_eq!(hands(server, head), people);
    let dana = server.checkout("dana");
    dana.fetch();
    let land = || -> Outcome { dana.land(head) };
    for person in may_not {
        server.checkout(person).approve(head).accepted();
    }
    let refused = land().refused(&["missing-approvals"]);
    assert_eq!(
        refused.codes().contains("self-approval"),
        !may_not.is_empty()
    );
    for person in &lands_with[1..] {
        server.checkout(person).approve(head).accepted();
        land().refused(&["missing-approvals", "unproven-commit"]);
    }
    server.checkout(lands_with[0]).approve(head).accepted();
    lands(server, &dana, head);
}

/// Alice's, signed by her: anybody else may approve.
#[test]
fn signed_own() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "alice", CHANGE);
    let people = ["alice: author committer signer"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// Whoever carries a signed commit to the server had no hand in it.
#[test]
fn signed_and_carried() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "bob", CHANGE);
    let people = ["alice: author committer signer"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// Who signs is a contributor, and so is whom the headers name.
#[test]
fn signed_by_another() {
    let server = without_a_forge();
    let new = NewCommit {
        unsigned: false,
        ..UNSIGNED
    };
    let head = brought(&server, "bob", "bob", new);
    let people = ["alice: author committer", "bob: signer"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// Who rebases somebody else's commits has had them in hand.
#[test]
fn signed_and_rebased() {
    let server = without_a_forge();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let original = alice.commit(CHANGE);
    alice.share(&original);
    bob.onto("origin/main");
    let head = pick(&bob, &original, 1);
    bob.share(&head);
    let people = ["alice: author", "bob: committer signer"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// A co-author is an author.
#[test]
fn signed_with_a_co_author() {
    let server = without_a_forge();
    let new = NewCommit {
        message: "a change\n\nCo-authored-by: Bob <bob@example.com>",
        ..CHANGE
    };
    let head = brought(&server, "alice", "alice", new);
    let people = ["alice: author committer signer", "bob: co-author"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// A co-author nobody knows is worth a note.
#[test]
fn signed_with_a_stranger() {
    let server = without_a_forge();
    let new = NewCommit {
        message: "a change\n\nCo-authored-by: Zed <zed@example.com>",
        ..CHANGE
    };
    let head = brought(&server, "alice", "alice", new);
    assert!(codes(&server, &head).contains("unknown-contributor"));
    let people = [
        "alice: author committer signer",
        "zed@example.com: co-author",
    ];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// A known person's signature proves a stranger's commit, and excludes the signer.
#[test]
fn signed_for_a_stranger() {
    let server = without_a_forge();
    let new = NewCommit {
        author: Some("zed"),
        ..CHANGE
    };
    let head = brought(&server, "alice", "alice", new);
    assert!(codes(&server, &head).contains("unknown-contributor"));
    let people = ["alice: committer signer", "zed@example.com: author"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// A bot's signature proves no human: whoever brings its commit answers for it.
#[test]
fn signed_by_a_bot() {
    let server = without_a_forge();
    let head = brought(&server, "release-bot", "alice", CHANGE);
    let people = ["alice: pusher", "release-bot: author committer signer"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// With a bot alone behind it a commit is unproven.
#[test]
fn signed_and_pushed_by_a_bot() {
    let server = without_a_forge();
    let head = brought(&server, "release-bot", "release-bot", CHANGE);
    let people = ["release-bot: author committer signer pusher"];
    row(&server, &head, &people, &[], &["bob", "carol"]);
}

/// A forge's signature proves no human either; who pushed does.
#[test]
fn web_edit() {
    let server = with_a_forge();
    let head = brought(&server, "mallory", "alice", WEB_EDIT);
    let people = [
        "alice: author pusher",
        "mallory: signer",
        "noreply@example.com: committer",
    ];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// Whoever pushes what a forge made in another's name may have made it.
#[test]
fn web_edit_carried() {
    let server = with_a_forge();
    let head = brought(&server, "mallory", "bob", WEB_EDIT);
    let people = [
        "alice: author",
        "bob: pusher",
        "mallory: signer",
        "noreply@example.com: committer",
    ];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// With the forge's word alone behind it a commit is unproven.
#[test]
fn web_edit_of_nobody() {
    let server = with_a_forge();
    let head = brought(&server, "mallory", "mallory", WEB_EDIT);
    let people = [
        "alice: author",
        "mallory: signer pusher",
        "noreply@example.com: committer",
    ];
    row(&server, &head, &people, &["alice"], &["bob", "carol"]);
}

/// A signature of a key nobody knows is none, and worth a warning.
#[test]
fn signed_by_an_unknown_key() {
    let server = without_a_forge();
    let new = NewCommit {
        unsigned: false,
        ..UNSIGNED
    };
    let head = brought(&server, "mallory", "bob", new);
    assert!(codes(&server, &head).contains("unknown-signer"));
    let people = ["alice: author committer", "bob: pusher"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// An unsigned commit is proven by the known person who first brings it.
#[test]
fn unsigned_own() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "alice", UNSIGNED);
    let people = ["alice: author committer pusher"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// Whoever brings an unsigned commit may have made it, whatever its headers say.
#[test]
fn unsigned_and_carried() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "bob", UNSIGNED);
    let people = ["alice: author committer", "bob: pusher"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// It is the first push that counts, whatever ref it is to; also one that brings a review.
#[test]
fn brought_on_any_ref() {
    for name in [
        "refs/tags/parked",
        "refs/countersign/proposals/bob/parked",
        "refs/notes/parked",
        "review",
    ] {
        let server = without_a_forge();
        let bob = server.checkout("bob");
        let head = bob.commit(UNSIGNED);
        if name == "review" {
            bob.approve(&head).accepted();
        } else {
            bob.push(&[&format!("{head}:{name}")]).accepted();
        }
        share(&bob, &server.checkout("alice"), &head);
        assert_eq!(
            hands(&server, &head),
            ["alice: author committer", "bob: pusher"],
            "{name}"
        );
    }
}

/// What the landing itself brings has its pusher for a contributor.
#[test]
fn brought_by_the_landing() {
    let server = without_a_forge();
    let bob = server.checkout("bob");
    let head = bob.commit(UNSIGNED);
    let tag = bob.tag_review(&head, &review_message("approve", MAIN, &[]));
    bob.push(&[
        &format!("{tag}:refs/countersign/reviews/{head}/bob"),
        &format!("{head}:{MAIN}"),
    ])
    .refused(&["missing-approvals", "self-approval"]);
    bob.share(&head);
    let people = ["alice: author committer", "bob: pusher"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// A committer is a contributor by the header alone.
#[test]
fn unsigned_and_rebased() {
    let server = without_a_forge();
    let new = NewCommit {
        committer: Some("bob"),
        ..UNSIGNED
    };
    let head = brought(&server, "alice", "alice", new);
    let people = ["alice: author pusher", "bob: committer"];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// With nobody known behind it a commit wants one approval more, and its headers still exclude.
#[test]
fn unsigned_of_nobody() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "mallory", UNSIGNED);
    let people = ["alice: author committer"];
    row(&server, &head, &people, &["alice"], &["bob", "carol"]);
}

/// A bot's push proves no human.
#[test]
fn unsigned_by_a_bot() {
    let server = without_a_forge();
    let head = brought(&server, "alice", "release-bot", UNSIGNED);
    let people = ["alice: author committer", "release-bot: pusher"];
    row(&server, &head, &people, &["alice"], &["bob", "carol"]);
}

/// A stranger's commit is that of whoever brings it.
#[test]
fn stranger_carried() {
    let server = without_a_forge();
    let head = brought(&server, "mallory", "alice", STRANGERS);
    assert!(codes(&server, &head).contains("unknown-contributor"));
    let people = ["alice: pusher", "zed@example.com: author committer"];
    row(&server, &head, &people, &["alice"], &["bob"]);
}

/// A stranger's commit that a stranger brought is nobody's: two people approve.
#[test]
fn stranger_of_nobody() {
    let server = without_a_forge();
    let head = brought(&server, "mallory", "mallory", STRANGERS);
    assert!(codes(&server, &head).contains("unknown-contributor"));
    let people = ["zed@example.com: author committer"];
    row(&server, &head, &people, &[], &["alice", "bob"]);
}

/// Who brings a commit that is there already brings nothing.
#[test]
fn first_push_counts() {
    let server = without_a_forge();
    let head = brought(&server, "mallory", "bob", STRANGERS);
    let alice = server.checkout("alice");
    alice.fetch();
    alice
        .push(&[&format!("{head}:refs/heads/again")])
        .accepted();
    let people = ["bob: pusher", "zed@example.com: author committer"];
    row(&server, &head, &people, &["bob"], &["alice"]);
}

/// Nor does somebody known prove later what nobody known brought.
#[test]
fn first_push_of_nobody_counts() {
    let server = without_a_forge();
    let head = brought(&server, "mallory", "mallory", STRANGERS);
    let alice = server.checkout("alice");
    alice.fetch();
    alice
        .push(&[&format!("{head}:refs/heads/again")])
        .accepted();
    let people = ["zed@example.com: author committer"];
    row(&server, &head, &people, &[], &["alice", "bob"]);
}

/// A reviewer who adds a commit is an author of what then is the head.
#[test]
fn reviewer_adds_a_commit() {
    let server = without_a_forge();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let below = alice.commit(CHANGE);
    alice.share(&below);
    let head = on_top(&bob, &below);
    let people = [
        "alice: author committer signer",
        "bob: author committer signer",
    ];
    row(&server, &head, &people, &["alice", "bob"], &["carol"]);
}

/// A commit of bob's on another.
fn on_top(bob: &Checkout, below: &str) -> String {
    bob.onto(below);
    let head = bob.change("b.txt", "while I was at it\n");
    bob.share(&head);
    head
}

/// Where he approved what was below, and the author approves what he added, each has reviewed the
/// other's: two heads in sequence, which land in one push.
#[test]
fn each_reviews_the_others_commit() {
    let server = without_a_forge();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let below = approved_topic(&alice, &bob, "a.txt");
    let head = on_top(&bob, &below);
    bob.land(&head).refused(&["missing-approvals"]);
    alice.approve(&head).accepted();
    lands(&server, &bob, &head);
}

/// So is one who only merges main into the topic: the merge is a commit of the range.
#[test]
fn reviewer_updates_the_topic() {
    let server = without_a_forge();
    let [alice, bob, dana] = ["alice", "bob", "dana"].map(|person| server.checkout(person));
    let topic = alice.commit(CHANGE);
    alice.share(&topic);
    lands(&server, &dana, &approved_topic(&dana, &bob, "dana.txt"));
    bob.onto(&topic);
    let head = merge(&bob, "origin/main");
    bob.share(&head);
    assert_eq!(
        hands(&server, &head),
        [
            "alice: author committer signer",
            "bob: author committer signer"
        ]
    );
    // Its first parent is the topic, so it lands merged.
    bob.approve(&head).accepted();
    dana.onto("origin/main");
    let landing = merge(&dana, &head);
    dana.land(&landing)
        .refused(&["missing-approvals", "self-approval"]);
    server.checkout("carol").approve(&head).accepted();
    lands(&server, &dana, &landing);
}

/// One unproven commit anywhere in the range wants one approval more for every rule, from anyone who
/// could fill a place of it.
#[test]
fn one_unproven_commit() {
    let rules = anybody()
        + &rule(
            "guarded",
            "paths = [\"a.txt\"]\nrequire = [\"1 of @security\"]",
        );
    let people = People::new()
        .teams("maintainers = [\"alice\", \"bob\"]\nsecurity = [\"carol\", \"dana\"]\n");
    let server = Server::with(&policy(&rules), &people);
    let below = brought(&server, "mallory", "mallory", STRANGERS);
    let alice = server.checkout("alice");
    alice.onto(&below);
    let head = alice.change("b.txt", "signed\n");
    alice.share(&head);
    for (reviewer, failing) in [("bob", "all"), ("carol", "guarded")] {
        server.checkout(reviewer).approve(&head).accepted();
        alice
            .land(&head)
            .refused(&["missing-approvals", "unproven-commit"])
            .says(failing);
    }
    server.checkout("dana").approve(&head).accepted();
    lands(&server, &alice, &head);
}

/// A squash that is approved as the commit it is, is its maker's; the original's author, whom it
/// does not name, is the second person.
#[test]
fn squash_as_a_head() {
    let server = without_a_forge();
    let (alice, carol) = (server.checkout("alice"), server.checkout("carol"));
    let original = alice.commit(CHANGE);
    alice.share(&original);
    carol.onto("origin/main");
    let head = squash(&carol, &original);
    carol.share(&head);
    let people = ["carol: author committer signer"];
    row(&server, &head, &people, &["carol"], &["alice"]);
}
