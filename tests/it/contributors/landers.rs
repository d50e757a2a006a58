//! Who lands what was approved: landing commits exclude nobody and want no proof. Each row is a test.
//!
//! Alice's head has the approval of bob, and of nobody else.
//!
//! | test | who lands | how |
//! |---|---|---|
//! | `author_lands` | alice | her own merge |
//! | `reviewer_lands` | bob | his own merge |
//! | `another_squashes` | carol, who is the one that approved | her squash |
//! | `another_rebases` | carol, who is the one that approved | her copies of alice's commits |
//! | `bot_lands` | a bot | a merge it signed |
//! | `bot_lands_unsigned` | a bot | a merge nobody signed |
//! | `merge_button` | alice | a merge the forge signed |
//! | `reviewers_are_those_who_counted` | alice, who approved it as well | as it is |
//! | `squash_names_co_authors` | alice | a squash with bob in a trailer |
//! | `landing_of_nobody` | alice | a merge nobody signed, first pushed by nobody known |

use super::{CHANGE, WEB_EDIT, codes, hands, share, with_a_forge, without_a_forge};
use crate::support::landing::{lands, merge, pick, squash};
use crate::support::{Checkout, NewCommit, Server, approved_topic};

/// Alice's head of two commits with one person's approval, on a main that has not moved.
fn reviewed(server: &Server, reviewer: &'static str) -> String {
    let (alice, reviewer) = (server.checkout("alice"), server.checkout(reviewer));
    alice.change("a.txt", "new\n");
    approved_topic(&alice, &reviewer, "b.txt")
}

/// A checkout that stands on main's tip.
fn on_main(server: &Server, person: &'static str) -> Checkout {
    let at = server.checkout(person);
    at.onto("origin/main");
    at
}

/// Sees a landing accepted on the one approval there is, with these people in the verdict.
#[track_caller]
fn landed(server: &Server, at: &Checkout, landing: &str, people: &[&str]) {
    if server.tip(&format!("{landing}^{{commit}}")).is_none() {
        at.share(landing);
    }
    assert_eq!(hands(server, landing), people);
    assert!(!codes(server, landing).contains("unproven-commit"));
    lands(server, at, landing);
}

/// The author lands what somebody else approved.
#[test]
fn author_lands() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let alice = on_main(&server, "alice");
    let landing = merge(&alice, &head);
    let people = ["alice: author committer signer lander", "dana: lander"];
    landed(&server, &alice, &landing, &people);
}

/// The reviewer merges what he approved: his merge is no part of the change.
#[test]
fn reviewer_lands() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let bob = on_main(&server, "bob");
    let landing = merge(&bob, &head);
    let people = [
        "alice: author committer signer",
        "bob: lander",
        "dana: lander",
    ];
    landed(&server, &bob, &landing, &people);
}

/// Who squashes a head for landing is its lander, even where nothing of the head is left to see.
#[test]
fn another_squashes() {
    let server = without_a_forge();
    let head = reviewed(&server, "carol");
    let carol = on_main(&server, "carol");
    let landing = squash(&carol, &head);
    let people = [
        "alice: author committer signer",
        "carol: lander",
        "dana: lander",
    ];
    landed(&server, &carol, &landing, &people);
}

/// Who rebases a head for landing is its lander: the copies are not the range that was approved.
#[test]
fn another_rebases() {
    let server = without_a_forge();
    let head = reviewed(&server, "carol");
    let carol = on_main(&server, "carol");
    let landing = pick(&carol, &head, 2);
    let people = [
        "alice: author committer signer lander",
        "carol: lander",
        "dana: lander",
    ];
    landed(&server, &carol, &landing, &people);
}

/// A bot lands what people approved.
#[test]
fn bot_lands() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let bot = on_main(&server, "release-bot");
    let landing = merge(&bot, &head);
    let people = [
        "alice: author committer signer",
        "dana: lander",
        "release-bot: lander",
    ];
    landed(&server, &bot, &landing, &people);
}

/// Its merge needs no signature: nothing of it was not approved.
#[test]
fn bot_lands_unsigned() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let bot = on_main(&server, "release-bot");
    bot.git(&["config", "commit.gpgsign", "false"]);
    let landing = merge(&bot, &head);
    let people = [
        "alice: author committer signer",
        "dana: lander",
        "release-bot: lander",
    ];
    landed(&server, &bot, &landing, &people);
}

/// A merge made and signed by the forge lands like any other.
#[test]
fn merge_button() {
    let server = with_a_forge();
    let head = reviewed(&server, "bob");
    let forge = on_main(&server, "mallory");
    forge.git(&["merge", "-q", "--no-ff", "--no-commit", &head]);
    let landing = forge.commit(NewCommit {
        files: &[],
        ..WEB_EDIT
    });
    let alice = server.checkout("alice");
    share(&forge, &alice, &landing);
    let people = [
        "alice: author committer signer lander",
        "dana: lander",
        "mallory: lander",
        "noreply@example.com: lander",
    ];
    landed(&server, &alice, &landing, &people);
}

/// The record names as reviewers those whose approvals counted: the author's own is not one.
#[test]
fn reviewers_are_those_who_counted() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let alice = server.checkout("alice");
    alice.fetch();
    alice.approve(&head).accepted();
    alice.land(&head).accepted();
    let told = server.cli(&["verify", "commit", &head, "--json"]).exits(0);
    assert_eq!(told.json()["reviewers"], serde_json::json!(["bob"]));
    server.cli(&["verify", "history"]).exits(0);
}

/// A squash that thanks its reviewer in a trailer, as forges write them, makes him no author.
#[test]
fn squash_names_co_authors() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let alice = on_main(&server, "alice");
    alice.git(&["merge", "-q", "--squash", &head]);
    let landing = alice.commit(NewCommit {
        files: &[],
        message: "squashed (#1)\n\nCo-authored-by: Bob <bob@example.com>",
        ..CHANGE
    });
    let people = ["alice: author committer signer lander", "dana: lander"];
    landed(&server, &alice, &landing, &people);
}

/// Nothing proves this merge, and nothing has to.
#[test]
fn landing_of_nobody() {
    let server = without_a_forge();
    let head = reviewed(&server, "bob");
    let stranger = on_main(&server, "mallory");
    stranger.git(&["config", "commit.gpgsign", "false"]);
    let landing = merge(&stranger, &head);
    stranger.share(&landing);
    let alice = on_main(&server, "alice");
    let people = [
        "alice: author committer signer",
        "dana: lander",
        "mallory@example.com: lander",
    ];
    landed(&server, &alice, &landing, &people);
}
