//! Paths that are not what they look like.

use super::{approved_and_refused, guarded, lands_with_dana, wants_dana, without_fsck};
use crate::support::objects::{blob, commit_with_entries, tree};
use crate::support::{Checkout, NewCommit, People, Server, approved_topic, policy, rule};

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

/// PATH-05: names that `git diff --name-only` puts in quotes, so that no prefix matches them.
#[test]
fn path_05_quoted_names() {
    let (server, alice, bob) = guarded("class = [\"pipeline\"]");
    for name in ["\u{e9}.yml", "e\u{301}t\u{e9}.yml", "q\".yml", "a b'.yml"] {
        alice.onto("origin/main");
        let head = alice.change(&format!(".github/workflows/{name}"), "on: push\n");
        let listed = alice.git(&["diff", "--name-only", "HEAD~1"]);
        assert_eq!(listed.starts_with('"'), !name.starts_with('a'), "{listed}");
        wants_dana(&server, &alice, &bob, &head);
    }
    alice.onto("origin/main");
    let head = alice.change(".github/workflows/a\nb.yml", "on: push\n");
    approved_and_refused(&server, &alice, &bob, &head, &["unsafe-path"]);
}

/// PATH-06: a rename whose list of changes shows the new name only.
#[test]
fn path_06_rename_out_of_a_protected_path() {
    let (server, alice, bob) = guarded("class = [\"pipeline\"]");
    let old = ".github/workflows/ci.yml";
    lands_with_dana(&server, &alice, &bob, &alice.change(old, "on: push\n"));
    alice.onto("origin/main");
    alice.git(&["mv", old, "src/ci.yml"]);
    let head = alice.commit(NewCommit::default());
    let listed = alice.git(&["diff", "--name-only", "-M", "HEAD~1"]);
    assert_eq!(listed, "src/ci.yml");
    wants_dana(&server, &alice, &bob, &head);
}

/// Replaces `path`, whatever is below it, by one entry of that mode.
fn replace(alice: &Checkout, path: &str, mode: &str, oid: &str) -> String {
    alice.onto("origin/main");
    alice.git(&["rm", "-q", "-r", "--cached", path]);
    let entry = format!("{mode},{oid},{path}");
    alice.git(&["update-index", "--add", "--cacheinfo", &entry]);
    alice.git(&["commit", "-q", "-m", "elsewhere"]);
    let head = alice.head();
    alice.git(&["reset", "-q", "--hard", "origin/main"]);
    head
}

/// PATH-07: a directory, or one above it, becomes a submodule, a link or a file.
#[test]
fn path_07_directory_replaced() {
    let (server, alice, bob) = guarded("paths = [\"deep/er/run.sh\", \"src/lib.rs\"]");
    let head = alice.change("deep/er/run.sh", "true\n");
    lands_with_dana(&server, &alice, &bob, &head);
    let (elsewhere, link) = (alice.head(), blob(&alice, "elsewhere"));
    for path in ["src", "deep", "deep/er", "src/lib.rs"] {
        for (mode, oid) in [("160000", &elsewhere), ("120000", &link), ("100644", &link)] {
            let head = replace(&alice, path, mode, oid);
            wants_dana(&server, &alice, &bob, &head);
        }
    }
}

/// PATH-07: where a pipeline's own directory is a link, nobody can say what it holds.
#[test]
fn path_07_pipeline_directory_as_a_link() {
    let (server, alice, bob) = guarded("class = [\"pipeline\"]");
    let link = blob(&alice, "src");
    for (path, codes) in [
        (".github", ["unsafe-mode"]),
        (".github/workflows", ["unsafe-mode"]),
        ("Makefile", ["unsafe-mode"]),
    ] {
        alice.onto("origin/main");
        let entry = format!("120000,{link},{path}");
        alice.git(&["update-index", "--add", "--cacheinfo", &entry]);
        alice.git(&["commit", "-q", "-m", "a link"]);
        let head = alice.head();
        alice.git(&["reset", "-q", "--hard", "origin/main"]);
        approved_and_refused(&server, &alice, &bob, &head, &codes);
    }
}

/// PATH-08: a build file that its tool prefers to the reviewed one beside it.
#[test]
fn path_08_shadowing_build_files() {
    let (server, alice, bob) = guarded("class = [\"pipeline\"]");
    let head = alice.change("Makefile", "all:\n\techo good\n");
    lands_with_dana(&server, &alice, &bob, &head);
    for name in [
        "GNUmakefile",
        "gnuMAKEFILE",
        "sub/makefile",
        ".bazelrc",
        "tox.ini",
        ".npmrc",
        "gradle.properties",
        "sub/.yarnrc.yml",
        "conftest.py",
    ] {
        alice.onto("origin/main");
        let head = alice.change(name, "all:\n\techo EVIL\n");
        wants_dana(&server, &alice, &bob, &head);
    }
}

/// PATH-09: paths that other dialects of patterns leave out: no dot in the name, a dot in front,
/// levels below.
#[test]
fn path_09_glob_gaps() {
    let (server, alice, bob) =
        guarded("paths = [\".gitea/\", \"docs/**\", \"*.tf\", \"ops/*/run\"]");
    for path in [
        ".gitea/workflows/run",
        ".gitea/.hidden/x",
        "docs/a/b/c",
        "docs/.x",
        "a/b/.tf",
        "ops/.x/run",
    ] {
        alice.onto("origin/main");
        let head = alice.change(path, "new\n");
        wants_dana(&server, &alice, &bob, &head);
    }
    // And what the patterns do not say is not protected by them.
    for path in ["documents/x", "ops/a/b/run"] {
        alice.onto("origin/main");
        let head = approved_topic(&alice, &bob, path);
        alice.land(&head).accepted();
    }
}

/// PATH-10: no line changes, only the mode: executable, or a link to what was the content.
#[test]
fn path_10_mode_only() {
    let (server, alice, bob) = guarded("paths = [\"src/\"]");
    let file = alice.git(&["rev-parse", "HEAD:src/lib.rs"]);
    for mode in ["100755", "120000"] {
        alice.onto("origin/main");
        let entry = format!("{mode},{file},src/lib.rs");
        alice.git(&["update-index", "--cacheinfo", &entry]);
        alice.git(&["commit", "-q", "-m", "no line"]);
        let head = alice.head();
        alice.git(&["reset", "-q", "--hard", "origin/main"]);
        wants_dana(&server, &alice, &bob, &head);
    }
    // An approval of the plain file is none of the executable.
    alice.onto("origin/main");
    let plain = approved_topic(&alice, &bob, "run.sh");
    alice.git(&["update-index", "--chmod=+x", "run.sh"]);
    alice.git(&["commit", "-q", "--amend", "--no-edit"]);
    alice
        .land(&alice.head())
        .refused(&["missing-approvals", "unreviewed-residual"]);
    alice.land(&plain).accepted();
}

/// DIFF-11: one address swapped in a lock file, a vendored or a minified file: a rule can ask for
/// people of its own there, at any depth, and nobody passes it by size.
#[test]
fn diff_11_lock_files_and_vendored_code() {
    let (server, alice, bob) =
        guarded("paths = [\"package-lock.json\", \"Cargo.lock\", \"*.min.js\", \"vendor/\"]");
    let long = "\"resolved\": \"https://registry.example.com/good\",\n".repeat(10_000);
    let head = alice.change("web/package-lock.json", &long);
    lands_with_dana(&server, &alice, &bob, &head);
    alice.onto("origin/main");
    let swapped = long.replacen("example.com/good", "example.net/evil", 1);
    let head = alice.change("web/package-lock.json", &swapped);
    wants_dana(&server, &alice, &bob, &head);
    for path in [
        "Cargo.lock",
        "web/jquery.min.js",
        "vendor/a/b.go",
        "x/vendor/y",
    ] {
        alice.onto("origin/main");
        let head = alice.change(path, "evil\n");
        wants_dana(&server, &alice, &bob, &head);
    }
}
