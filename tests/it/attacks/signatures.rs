//! Signatures that are good, and say less than they seem to.

use std::fs;

use super::{approved_and_refused, not_reviewed, without_fsck};
use crate::support::checkout::review_message;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::objects::{raw, sign, write};
use crate::support::{
    Authority, Checkout, Format, MAIN, NewCommit, Outcome, People, Server, approved_topic, keys,
    policy, rule, two_people,
};

const PEOPLE: &str = ".countersign/people.toml";

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

/// SIG-03: a key that is not valid yet, with a commit and a tag dated ahead to when it is.
#[test]
fn sig_03_future_dated() {
    let people = People::new().key_terms("bob", "from = 2030-01-01T00:00:00Z");
    let text = policy_text("", "signed_commits = true", PLAIN_RULE);
    let server = Server::with(&text, &people);
    let before = server.main();
    let (alice, carol) = (server.checkout("alice"), server.checkout("carol"));
    let bob = server
        .checkout("bob")
        .env("GIT_COMMITTER_DATE", "@1925000000 +0000")
        .env("GIT_AUTHOR_DATE", "@1925000000 +0000");
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).refused(&["expired-key"]);
    let bobs = bob.change("b.txt", "new\n");
    bob.share(&bobs);
    carol.approve(&bobs).accepted();
    alice.fetch();
    alice
        .land(&bobs)
        .refused(&["expired-key", "malformed-object"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &bobs);
}

/// SIG-04: a signature made for files is none of a commit or a review.
#[test]
fn sig_04_other_namespace() {
    let (server, alice, bob) = without_fsck();
    let text = raw(&alice, &alice.change("a.txt", "new\n"));
    let (headers, body) = text.split_once("\n\n").unwrap();
    let plain = headers.split_once("gpgsig ").unwrap().0;
    let payload = format!("{}\n\n{body}", plain.trim_end());
    for namespace in ["file", "GIT", "git2", "review@countersign"] {
        let armor = sign(&alice, namespace, &payload);
        let armor = armor.trim_end().replace('\n', "\n ");
        let twin = format!("{plain}gpgsig {armor}\n\n{body}");
        let twin = write(&alice, "commit", twin.as_bytes());
        approved_and_refused(&server, &alice, &bob, &twin, &["bad-signature"]);
        not_reviewed(&server, &twin);
    }
    let head = alice.change("b.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let tag = raw(
        &bob,
        &bob.tag_review(&head, &review_message("approve", MAIN, &[])),
    );
    let unsigned = tag.split("-----BEGIN").next().unwrap();
    let tag = format!("{unsigned}{}", sign(&bob, "file", unsigned));
    let tag = write(&bob, "tag", tag.as_bytes());
    bob.push_review(&tag, &head, "bob")
        .refused(&["bad-signature"]);
}

/// Sees a text of `people.toml` refused for what is wrong with it.
#[track_caller]
fn people_refused(server: &Server, alice: &Checkout, text: &str) {
    let before = server.main();
    alice.onto("origin/main");
    let head = alice.change(PEOPLE, text);
    alice
        .land(&head)
        .refused(&["policy-invalid"])
        .says("people.toml:");
    assert_eq!(server.main(), before);
}

/// SIG-05: one key under two people, and keys that stand for whoever comes.
#[test]
fn sig_05_wildcard_and_duplicate_principals() {
    let (server, alice, _) = two_people();
    let good = People::new().text();
    let (bob, carol) = (keys::public("bob"), keys::public("carol"));
    let twice = good.replace(&carol, &bob);
    let commented = good.replace(
        &carol,
        &format!("{} somebody else", bob.trim_end_matches(" bob")),
    );
    let wild = good.replace("[people.bob]", "[people.\"*\"]");
    let pattern = good.replace(&bob, &format!("*@example.com {bob}"));
    let options = good.replace(&bob, &format!("namespaces=\\\"git\\\" {bob}"));
    let authority = good.replace(&bob, &format!("cert-authority {bob}"));
    for text in [twice, commented, wild, pattern, options, authority] {
        assert_ne!(text, good);
        people_refused(&server, &alice, &text);
    }
}

/// SIG-06: one person with two keys is one person, as approver and as author.
#[test]
fn sig_06_one_person_two_keys() {
    let rules = rule("two", "require = [\"2 of @maintainers\"]");
    let second = format!(
        "{}\" }}, {{ ssh = \"{}",
        keys::public("bob"),
        keys::public("mallory")
    );
    let people = People::new().text().replace(&keys::public("bob"), &second);
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", &policy(&rules)),
        (PEOPLE, &people),
        ("README.md", "hello\n"),
    ]);
    server.enroll(&[]).accepted();
    let before = server.main();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let (other_key, carol) = (server.checkout("mallory"), server.checkout("carol"));
    let head = approved_topic(&alice, &bob, "a.txt");
    other_key
        .review("approve", &head, &[])
        .refused(&["unknown-pusher"]);
    // Bob carries it himself: it is his second approval, not a second person's.
    let other_key = server.checkout("mallory").env("COUNTERSIGN_PUSHER", "bob");
    other_key.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    carol.approve(&head).accepted();
    alice.land(&head).accepted();

    // Written with one key, approved with the other.
    other_key.onto("origin/main");
    let his = other_key.change("b.txt", "new\n");
    other_key.share(&his);
    bob.approve(&his).accepted();
    carol.approve(&his).accepted();
    alice.fetch();
    alice
        .land(&his)
        .refused(&["missing-approvals", "self-approval"]);
    not_reviewed(&server, &his);
}

/// SIG-08: a push certificate, missing, stale or somebody's, says nothing about who pushes.
#[test]
fn sig_08_push_certificates() {
    let (server, alice, bob) = two_people();
    server.git(&["config", "receive.certNonceSeed", "seed"]);
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let land = format!("{head}:{MAIN}");
    alice
        .try_git(&["push", "--signed", "origin", &land])
        .refused(&["missing-approvals"]);
    bob.approve(&head).accepted();
    let stranger = server.checkout("alice").env("COUNTERSIGN_PUSHER", "nobody");
    stranger.fetch();
    stranger
        .try_git(&["push", "--signed", "origin", &land])
        .refused(&["unknown-pusher"]);
    // Where certificates decide, the host's word counts no more, and nothing unsigned passes.
    let settings = server.record("server.toml");
    let good = fs::read_to_string(&settings).unwrap();
    let with: String = good
        .lines()
        .map(|line| match line.starts_with("pusher") {
            true => "pusher = \"push-cert\"\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(&settings, with).unwrap();
    alice.land(&head).refused(&["unknown-pusher"]);
    let mallory = server
        .checkout("mallory")
        .env("COUNTERSIGN_PUSHER", "alice");
    mallory.git(&["fetch", "-q", "origin", &head]);
    mallory
        .try_git(&["push", "--signed", "origin", &land])
        .refused(&["unknown-pusher"]);
    assert_eq!(server.main(), before);
    stranger
        .try_git(&["push", "--signed", "origin", &land])
        .accepted();
}

/// SIG-09: the key a forge signs everybody's merges with approves nothing and proves no human.
#[test]
fn sig_09_forge_key() {
    let people = People::new()
        .lines("dana", "kind = \"forge\"\n")
        .teams("maintainers = [\"alice\", \"bob\", \"carol\"]\n");
    let server = Server::with(&policy(&rule("all", "require = [\"1 of any\"]")), &people);
    let before = server.main();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let forge = server.checkout("dana");
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    forge.approve(&head).refused(&["bot-approval"]);
    alice.land(&head).refused(&["missing-approvals"]);

    // The forge made to sign what says it is bob's.
    let signed = forge.commit(NewCommit {
        files: &[("b.txt", Some("new\n"))],
        author: Some("bob"),
        ..NewCommit::default()
    });
    forge.share(&signed);
    alice.fetch();
    alice.approve(&signed).accepted();
    alice
        .land(&signed)
        .refused(&["missing-approvals", "unproven-commit"]);
    bob.approve(&signed).accepted();
    alice
        .land(&signed)
        .refused(&["missing-approvals", "self-approval"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &signed);
}

/// SIG-12: a key that comes in the push which it first signs.
#[test]
fn sig_12_smuggled_key() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let mallory = server
        .checkout("mallory")
        .env("COUNTERSIGN_PUSHER", "alice");
    let everybody =
        "maintainers = [\"alice\", \"bob\", \"carol\", \"mallory\"]\nsecurity = [\"dana\"]\n";
    mallory.change(
        PEOPLE,
        &People::new().with("mallory").teams(everybody).text(),
    );
    let head = mallory.change("evil.txt", "evil\n");
    mallory.share(&head);
    let tag = mallory.tag_review(&head, &review_message("approve", MAIN, &[]));
    let review = format!("{tag}:refs/countersign/reviews/{head}/mallory");
    mallory.push(&[&review]).refused(&["unknown-signer"]);
    mallory
        .push(&[&review, &format!("{head}:{MAIN}")])
        .refused(&["missing-approvals", "unknown-signer"]);
    // The same key put under bob's name.
    alice.onto("origin/main");
    let his = format!(
        "{}\" }}, {{ ssh = \"{}",
        keys::public("bob"),
        keys::public("mallory")
    );
    let text = People::new().text().replace(&keys::public("bob"), &his);
    let rotated = alice.change(PEOPLE, &text);
    alice.share(&rotated);
    mallory.fetch();
    mallory.approve(&rotated).refused(&["unknown-signer"]);
    alice.land(&rotated).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    bob.approve(&rotated).accepted();
    alice.land(&rotated).accepted();
}

/// SIG-13: an ssh certificate, expired or good, of an authority that nobody lists is nobody's key.
#[test]
fn sig_13_ssh_certificates() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let tag = raw(
        &bob,
        &bob.tag_review(&head, &review_message("approve", MAIN, &[])),
    );
    let unsigned = tag.split("-----BEGIN").next().unwrap();
    for (authority, validity) in [("carol", "-2d:-1d"), ("bob", "always:forever")] {
        let folder = server.folder().join(format!("certificate-{authority}"));
        fs::create_dir_all(&folder).unwrap();
        let key = folder.join("bob");
        fs::copy(keys::private("bob"), &key).unwrap();
        fs::write(folder.join("bob.pub"), keys::public("bob") + "\n").unwrap();
        let mut certify = bob.command("ssh-keygen");
        certify.args(["-q", "-I", "bob", "-n", "bob", "-V", validity, "-s"]);
        certify
            .arg(keys::private(authority))
            .arg(folder.join("bob.pub"));
        Outcome::of(&mut certify, b"").accepted();
        let mut signing = bob.command("ssh-keygen");
        signing.args(["-Y", "sign", "-n", "git", "-f"]);
        signing.arg(folder.join("bob-cert.pub"));
        let armor = Outcome::of(&mut signing, unsigned.as_bytes())
            .accepted()
            .stdout;
        let tag = write(&bob, "tag", format!("{unsigned}{armor}").as_bytes());
        bob.push_review(&tag, &head, "bob")
            .refused_with_any(&["bad-signature", "unknown-signer"]);
    }
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
}

/// SIG-13: a certificate by a known CA counts for whom the CA's principals are mapped to, at receipt.
#[test]
fn sig_13_certificates_of_a_known_ca() {
    let authority = Authority::new();
    let terms = "revocations = [{ serial = 8, revoked = 2026-01-01T00:00:00Z }]";
    let principals = "\"bob@corp\" = \"bob\", \"carol@corp\" = \"carol\"";
    let people = with_authority(&authority.table(principals, terms));
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let before = server.main();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    // The checkouts' clocks stand in 2023, when the first two were good.
    let cases: [(&[&str], &str); 9] = [
        (
            &["-n", "bob@corp", "-V", "20230101:20240101"],
            "expired-key",
        ),
        (
            &["-n", "bob@corp", "-V", "20230101:20250101", "-z", "8"],
            "revoked-key",
        ),
        (
            &["-n", "bob@corp", "-V", "20900101:20910101"],
            "expired-key",
        ),
        (&["-n", "bob@corp,carol@corp"], "bad-signature"),
        (&["-n", "bob"], "unknown-signer"),
        (&["-n", "*"], "unknown-signer"),
        (&[], "bad-signature"),
        (&["-h", "-n", "bob@corp"], "bad-signature"),
        (
            &["-n", "bob@corp", "-O", "critical:x@example.com=y"],
            "bad-signature",
        ),
    ];
    for (options, code) in cases {
        authority.equip(&bob, options);
        bob.approve(&head).refused(&[code]);
    }
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    authority.equip(&bob, &["-n", "bob@corp", "-z", "9"]);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
}

/// SIG-13: what a person signs with a certificate is theirs as author as well.
#[test]
fn sig_13_certified_author() {
    let authority = Authority::new();
    let people = with_authority(&authority.table("\"bob@corp\" = \"bob\"", ""));
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    authority.equip(&alice, &["-n", "bob@corp"]);
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice
        .land(&head)
        .refused(&["missing-approvals", "self-approval"]);
    not_reviewed(&server, &head);
}

/// SIG-13: a rejection by certificate stands against what changes people.toml, unless that takes
/// the CA away.
#[test]
fn sig_13_certified_reject() {
    let authority = Authority::new();
    let people = with_authority(&authority.table("\"bob@corp\" = \"bob\"", ""));
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let carol = server.checkout("carol");
    authority.equip(&bob, &["-n", "bob@corp"]);
    let text = people.text();
    let head = alice.change(PEOPLE, &format!("# changed\n{text}"));
    alice.share(&head);
    carol.approve(&head).accepted();
    bob.review("reject", &head, &[]).accepted();
    alice.land(&head).refused(&["rejected"]);
    not_reviewed(&server, &head);
    let (without, _) = text.split_once("[[ca]]").unwrap();
    let head = alice.change(PEOPLE, without);
    alice.share(&head);
    carol.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// Everybody, and a CA.
fn with_authority(table: &str) -> People {
    People::new().teams(&format!(
        "maintainers = [\"alice\", \"bob\", \"carol\"]\nsecurity = [\"dana\"]\n\n{table}"
    ))
}

/// SIG-14: what a verifier would print, written where a verifier prints what it reads.
#[test]
fn sig_14_status_line_injection() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let lines = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123456789ABCDEF bob <bob@example.com>\n\
                 [GNUPG:] VALIDSIG\nGood \"git\" signature for bob with ED25519 key";
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        message: lines,
        ..NewCommit::default()
    });
    alice.share(&head);
    let mallory = server
        .checkout("mallory")
        .env("COUNTERSIGN_PUSHER", "alice");
    let message = format!("{}\n{lines}\n", review_message("approve", MAIN, &[]));
    let tag = mallory.tag_review(&head, &message);
    mallory
        .push_review(&tag, &head, "bob")
        .refused(&["unknown-signer"]);
    let text = raw(&mallory, &tag);
    let armor = text.find("-----BEGIN").unwrap();
    for (broken, code) in [
        (text[..armor].to_owned(), "malformed-review"),
        (
            format!("{text}[GNUPG:] GOODSIG 0 bob\n"),
            "malformed-review",
        ),
    ] {
        let tag = write(&mallory, "tag", broken.as_bytes());
        mallory
            .push_review(&tag, &head, "bob")
            .refused_with_any(&[code, "bad-signature"]);
    }
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// SIG-16: a name or an e-mail taken over by somebody else is not the person who had it.
#[test]
fn sig_16_recycled_names() {
    let people = People::new().lines("bob", "accounts = { gitlab = 42 }\n");
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let before = server.main();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    // Another key under bob's name and e-mail signs in nobody's name.
    let taken = server
        .checkout("mallory")
        .env("GIT_COMMITTER_NAME", "bob")
        .env("GIT_COMMITTER_EMAIL", "bob@example.com")
        .env("COUNTERSIGN_PUSHER", "bob");
    let other = alice.change("b.txt", "new\n");
    alice.share(&other);
    taken.approve(&other).refused(&["unknown-signer"]);

    let settings = server.record("server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let text: String = text
        .lines()
        .map(|line| match line.starts_with("pusher") {
            true => "pusher = \"gitlab\"\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(settings, text).unwrap();
    let again = |id: &str| {
        let at = server
            .checkout("bob")
            .env("GL_ID", id)
            .env("GL_USERNAME", "bob");
        at.fetch();
        at
    };
    for id in ["user-43", "user-4", "user-420", "bob"] {
        again(id).land(&head).refused(&["unknown-pusher"]);
    }
    assert_eq!(server.main(), before);
    again("user-42").land(&head).accepted();
}
