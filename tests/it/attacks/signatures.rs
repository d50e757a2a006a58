//! Signatures that are good, and say less than they seem to.

use super::{approved_and_refused, without_fsck};
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::objects::{raw, sign, write};
use crate::support::{NewCommit, People, Server, two_people};

/// SIG-01: alice signs what says it is bob's; she contributed, and so by his name did bob.
#[test]
fn sig_01_good_signature_wrong_person() {
    let (server, alice, bob) = two_people();
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        author: Some("bob"),
        committer: Some("bob"),
        ..NewCommit::default()
    });
    alice.share(&head);
    alice.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    bob.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    server.checkout("carol").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// SIG-02: a key that ran out, with a commit and a tag dated back to when it had not.
#[test]
fn sig_02_expired_key_backdated() {
    let people = People::new().key_terms("bob", "until = 2024-01-01T00:00:00Z");
    let text = policy_text("", "signed_commits = true", PLAIN_RULE);
    let server = Server::with(&text, &people);
    let (alice, carol) = (server.checkout("alice"), server.checkout("carol"));
    // The checkouts' clocks stand in 2023, when bob's key was good.
    let bob = server.checkout("bob");
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).refused(&["expired-key"]);
    let bobs = bob.change("b.txt", "new\n");
    bob.share(&bobs);
    carol.approve(&bobs).accepted();
    alice.fetch();
    alice.land(&bobs).refused(&["expired-key"]);
}

/// SIG-07: two signatures in one commit, of which the first decides for git.
#[test]
fn sig_07_two_signatures() {
    let (server, alice, bob) = without_fsck();
    let head = alice.change("a.txt", "new\n");
    let text = raw(&alice, &head);
    let (headers, body) = text.split_once("\n\n").unwrap();
    let at = headers.find("gpgsig ").unwrap();
    let (plain, signature) = headers.split_at(at);
    let payload = format!("{}\n\n{body}", plain.trim_end());
    let unsigned = write(&bob, "commit", payload.as_bytes());
    assert_ne!(unsigned, head);
    let armor = sign(&bob, "git", &payload);
    let bobs = format!("gpgsig {}", armor.trim_end().replace('\n', "\n "));
    for (first, second) in [
        (signature, bobs.as_str()),
        (&bobs, signature),
        (signature, signature),
    ] {
        let both = format!("{plain}{}\n{second}\n\n{body}", first.trim_end());
        let twin = write(&alice, "commit", both.as_bytes());
        approved_and_refused(&server, &alice, &bob, &twin, &["malformed-object"]);
    }
}
