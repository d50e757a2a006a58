//! Paths that are not what they look like.

use super::{approved_and_refused, without_fsck};
use crate::support::objects::{blob, commit_with_entries, tree};
use crate::support::{People, Server, policy, rule};

/// PATH-01: a protected path in other letters, beside the real one or alone.
#[test]
fn path_01_case_variants() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "on: push\n");
    let workflows = tree(&alice, &[("100644", b"ci.yml", &file)]);
    let dir = tree(&alice, &[("40000", b"workflows", &workflows)]);
    let both = commit_with_entries(
        &alice,
        &[("40000", b".GitHub", &dir), ("40000", b".github", &dir)],
    );
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &both,
        &["path-collision", "unsafe-path"],
    );
    let readme = commit_with_entries(&alice, &[("100644", b"readme.MD", &file)]);
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &readme,
        &["path-collision", "unsafe-path"],
    );
}

/// PATH-01: alone, a case variant is judged by the rules of the protected path.
#[test]
fn path_01_case_variant_is_of_the_class() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of @maintainers\"]"),
        rule(
            "pipelines",
            "class = [\"pipeline\"]\nrequire = [\"1 of @security\"]"
        )
    );
    let server = Server::with(&policy(&rules), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    for path in [".GitHub/workflows/ci.yml", ".gitlab-CI.yml"] {
        alice.onto("origin/main");
        let head = crate::support::approved_topic(&alice, &bob, path);
        alice
            .land(&head)
            .refused(&["missing-approvals"])
            .says("pipelines");
    }
}

/// PATH-02: code points that HFS+ ignores, and composed against decomposed letters.
#[test]
fn path_02_ignorables_and_composition() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    let dir = tree(&alice, &[("100644", b"ci.yml", &file)]);
    for (one, two) in [
        (".git\u{200c}hub", ".github"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("\u{212b}", "\u{c5}"),
    ] {
        let head = commit_with_entries(
            &alice,
            &[
                ("40000", one.as_bytes(), &dir),
                ("40000", two.as_bytes(), &dir),
            ],
        );
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &head,
            &["path-collision", "unsafe-path"],
        );
    }
}

/// PATH-03: trailing dots and blanks, backslashes and streams, which NTFS drops or follows.
#[test]
fn path_03_ntfs_equivalents() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    let dir = tree(&alice, &[("100644", b"ci.yml", &file)]);
    for name in [&b".github "[..], b".github."] {
        let head = commit_with_entries(
            &alice,
            &[("40000", name, &dir), ("40000", b".github", &dir)],
        );
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &head,
            &["path-collision", "unsafe-path"],
        );
    }
    let head = commit_with_entries(&alice, &[("100644", b".github\\workflows\\ci.yml", &file)]);
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &head,
        &["unsafe-path", "malformed-object"],
    );
}
