//! Names that stand for, hide or move a protected ref.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{not_reviewed, without_fsck};
use crate::support::config::PLAIN_RULE;
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
};

#[track_caller]
fn refuses_names(server: &Server, alice: &Checkout, names: &[&str], codes: &[&str]) {
    alice.onto("origin/main");
    let head = alice.change("evil.txt", "evil\n");
    for name in names {
        let outcome = alice.push(&[&format!("{head}:{name}")]).refused(&[]);
        assert_eq!(server.tip(name), None, "{name}");
        let said = outcome.codes();
        assert!(
            codes.iter().any(|code| said.contains(code)),
            "{name}: {outcome}"
        );
    }
}

/// REF-01: a tag or a remote's branch with the short name of the protected branch.
#[test]
fn ref_01_tag_named_like_main() {
    let (server, alice, _) = two_people();
    refuses_names(
        &server,
        &alice,
        &[
            "refs/tags/main",
            "refs/tags/heads/main",
            "refs/remotes/main",
            "refs/main",
        ],
        &["shadowing-ref", "forbidden-ref"],
    );
}

/// REF-02: the full name of the protected branch nested below another.
#[test]
fn ref_02_nested_names() {
    let (server, alice, _) = two_people();
    refuses_names(
        &server,
        &alice,
        &[
            "refs/heads/refs/heads/main",
            "refs/tags/refs/heads/main",
            "refs/heads/heads/main",
            "refs/heads/refs/tags/v1",
        ],
        &["shadowing-ref", "forbidden-ref"],
    );
}

/// REF-04: other letters, invisible letters and letters of other scripts.
#[test]
fn ref_04_case_and_homoglyphs() {
    let (server, alice, _) = two_people();
    refuses_names(
        &server,
        &alice,
        &[
            "refs/heads/Main",
            "refs/heads/MAIN",
            "refs/heads/ma\u{200d}in",
            "refs/heads/m\u{430}in",
            "refs/heads/main\u{200c}",
        ],
        &["shadowing-ref", "forbidden-ref"],
    );
}

/// REF-05: a symbolic ref on the server moves main under another name.
#[test]
fn ref_05_symref_alias() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    server.git(&["symbolic-ref", "refs/heads/rel", MAIN]);
    let head = alice.change("evil.txt", "evil\n");
    alice
        .push(&[&format!("{head}:refs/heads/rel")])
        .refused(&["symref-alias"]);
    assert_eq!(server.main(), before);
    // Not with an approval either: main moves by its own name.
    alice.share(&head);
    bob.approve(&head).accepted();
    alice
        .push(&[&format!("{head}:refs/heads/rel")])
        .refused(&["symref-alias"]);
    server.git(&["symbolic-ref", "-d", "refs/heads/rel"]);
    alice.land(&head).accepted();
}

/// REF-09: a replacement that makes an evil commit look good to git on the server.
#[test]
fn ref_09_replace_refs() {
    let (server, alice, bob) = without_fsck();
    let good = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    let name = format!("refs/replace/{evil}");
    alice
        .push(&[&format!("{good}:{name}")])
        .refused(&["forbidden-ref"]);
    alice.share(&evil);
    server.git(&["update-ref", &name, &good]);
    alice.land(&evil).refused(&["missing-approvals"]);
    server.git(&["update-ref", "-d", &name]);
    alice.land(&good).accepted();
}

/// REF-11: release tags forced to another commit.
#[test]
fn ref_11_tag_move() {
    let (server, alice, bob) = two_people();
    alice.git(&["tag", "-s", "v1", "origin/main", "-m", "v1"]);
    alice.push(&["refs/tags/v1"]).accepted();
    let before = server.tip("refs/tags/v1");
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice.git(&["tag", "-s", "-f", "v1", &head, "-m", "v1"]);
    alice.push(&["+refs/tags/v1"]).refused(&["moved-tag"]);
    alice
        .push(&[&format!("+{head}:refs/tags/v1")])
        .refused(&["moved-tag"]);
    assert_eq!(server.tip("refs/tags/v1"), before);
}

/// REF-12: a signed tag pushed again under another name.
#[test]
fn ref_12_tag_under_another_name() {
    let (server, alice, _) = two_people();
    alice.git(&["tag", "-s", "v1", "origin/main", "-m", "v1"]);
    alice.push(&["refs/tags/v1"]).accepted();
    alice.push(&["refs/tags/v1:refs/tags/v9"]).refused(&[]);
    assert_eq!(server.tip("refs/tags/v9"), None);
}

/// REF-13: names that are options, refspecs or shell words to somebody.
#[test]
fn ref_13_metacharacters() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let zero = "0".repeat(40);
    for name in [
        "refs/heads/-x",
        "refs/heads/--upload-pack=evil",
        "refs/heads/$(id)",
        "refs/heads/`id`",
        "refs/heads/a;id",
        "refs/heads/a|id",
        "refs/heads/a&id",
        "refs/heads/a'b",
        "refs/heads/a\"b",
        "refs/heads/a:b",
        "refs/heads/a*b",
        "refs/heads/a\\b",
    ] {
        let line = format!("{zero} {head} {name}\n");
        let outcome = server.hook("pre-receive", line.as_bytes());
        outcome.refused(&["forbidden-ref"]);
    }
    alice
        .push(&[&format!("{head}:refs/heads/-x")])
        .refused(&["forbidden-ref"]);
}

/// REF-07: a protected branch deleted in order to be made anew from something else.
#[test]
fn ref_07_delete_and_recreate() {
    let (server, alice, _) = two_people();
    alice.push(&[&format!(":{MAIN}")]).refused(&["deleted-ref"]);
    let good = server.main();
    server.git(&["update-ref", "-d", MAIN]);
    let head = alice.change("evil.txt", "evil\n");
    alice.land(&head).refused(&[]);
    assert_eq!(server.tip(MAIN), None);
    server.git(&["update-ref", MAIN, &good]);
}

/// REF-08: what other tools keep in refs of their own decides nothing here, and what decides is
/// not in refs that a push can write.
#[test]
fn ref_08_refs_outside_heads_and_tags() {
    let (server, alice, _) = two_people();
    let weak = policy(&rule("nobody", "require = [\"1 of any\"]"));
    let head = alice.change(".countersign/policy.toml", &weak);
    for name in [
        "refs/meta/config",
        "refs/gittuf/policy",
        "refs/notes/reviews",
        "refs/pull/1/head",
        "refs/changes/01/1/1",
    ] {
        alice.push(&[&format!("{head}:{name}")]).accepted();
    }
    for name in [
        "refs/countersign/policy",
        "refs/countersign/log",
        "refs/countersign/keep",
        "refs/countersign/reviews/bob",
        "refs/Countersign/keep",
        "refs/countersign",
        "refs/Replace/x",
    ] {
        alice
            .push(&[&format!("{head}:{name}")])
            .refused_with_any(&["forbidden-ref", "shadowing-ref"]);
        assert_eq!(server.tip(name), None, "{name}");
    }
    alice.land(&head).refused(&["missing-approvals"]);
    not_reviewed(&server, &head);
}

/// REF-10: approvals written into notes, trailers and messages, which anyone can write.
#[test]
fn ref_10_forged_notes_and_trailers() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        message: "a change\n\nReviewed-by: Bob <bob@example.com>\nApproved-by: bob\n\
                  countersign: approve refs/heads/main of git.example.com/payments",
        ..NewCommit::default()
    });
    alice.share(&head);
    for notes in ["reviews", "commits", "countersign"] {
        let refs = format!("--ref={notes}");
        alice.git(&["notes", &refs, "add", "-m", "Approved-by: Bob", &head]);
        alice.push(&[&format!("refs/notes/{notes}")]).accepted();
    }
    // Nor as a tag that is no review, or on a review ref without bob's signature.
    let message = crate::support::checkout::review_message("approve", MAIN, &[]);
    alice.git(&["tag", "-a", "approved-by-bob", &head, "-m", &message]);
    alice.push(&["refs/tags/approved-by-bob"]).accepted();
    let review = format!("refs/tags/approved-by-bob:refs/countersign/reviews/{head}/bob");
    alice.push(&[&review]).refused(&["malformed-review"]);
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// REF-14: `refs/for/main` is handed to a hook that moves main, which `pre-receive` never sees.
#[test]
fn ref_14_proc_receive() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let evil = alice.change("evil.txt", "evil\n");
    server.git(&["config", "receive.procReceiveRefs", "refs/for"]);
    let hook = server.repo().join("hooks/proc-receive");
    let script = format!("#!/bin/sh\ngit update-ref {MAIN} {evil}\n");
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    alice
        .push(&[&format!("{evil}:refs/for/main")])
        .refused(&["undecidable"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &evil);
    server.enroll(&[]).refused(&[]).says("procReceiveRefs");

    // Without the hook git refuses such refs itself, and without either they are free names.
    fs::remove_file(hook).unwrap();
    alice.push(&[&format!("{evil}:refs/for/main")]).refused(&[]);
    server.git(&["config", "--unset-all", "receive.procReceiveRefs"]);
    alice.push(&[&format!("{evil}:refs/for/main")]).accepted();
    assert_eq!(server.main(), before);
    alice.onto("origin/main");
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
}

/// REF-15: in a namespace another ref moves than the one that is named, and the other way round.
#[test]
fn ref_15_namespaces() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    let inside = "refs/namespaces/n/refs/heads/main";
    alice
        .try_git(&[
            "push",
            "--receive-pack=env GIT_NAMESPACE=n git-receive-pack",
            "origin",
            &format!("{head}:{MAIN}"),
        ])
        .refused(&["forbidden-ref"]);
    for name in [
        inside,
        "refs/namespaces/a/refs/namespaces/b/refs/heads/main",
        "refs/worktrees/w/refs/heads/main",
        "refs/heads/x/Refs/heads/main",
    ] {
        alice
            .push(&[&format!("{head}:{name}")])
            .refused(&["shadowing-ref"]);
        assert_eq!(server.tip(name), None, "{name}");
    }
    // One that was made before is got rid of by a push.
    server.git(&["update-ref", inside, &head]);
    alice.push(&[&format!(":{inside}")]).accepted();
    assert_eq!((server.main(), server.tip(inside)), (before, None));
    alice.land(&head).accepted();
}

/// REF-16: `release/**` is every depth, and `release/*` is one level, as is said.
#[test]
fn ref_16_pattern_gaps() {
    let (server, alice, bob) = two_people();
    let evil = alice.change("evil.txt", "evil\n");
    for name in [
        "refs/heads/release/a",
        "refs/heads/release/a/b",
        "refs/heads/release/.a/b",
    ] {
        alice.push(&[&format!("{evil}:{name}")]).refused(&[]);
        assert_eq!(server.tip(name), None, "{name}");
    }
    alice
        .push(&[&format!("{evil}:refs/heads/release/a/b/c")])
        .refused(&["missing-approvals"]);
    alice
        .push(&[&format!("{evil}:refs/heads/Release/a/b")])
        .refused(&["shadowing-ref"]);
    not_reviewed(&server, &evil);
    drop(bob);

    let one_level = policy(PLAIN_RULE).replace("release/**", "release/*");
    let server = Server::with(&one_level, &People::new());
    let alice = server.checkout("alice");
    let evil = alice.change("evil.txt", "evil\n");
    alice
        .push(&[&format!("{evil}:refs/heads/release/a")])
        .refused(&["missing-approvals"]);
    alice
        .push(&[&format!("{evil}:refs/heads/release/a/b")])
        .accepted();
}
