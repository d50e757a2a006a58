//! Names that stand for, hide or move a protected ref.

use super::without_fsck;
use crate::support::{Checkout, MAIN, Server, approved_topic, two_people};

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
