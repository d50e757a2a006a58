//! Objects that tools read differently.

use super::{approved_and_refused, without_fsck};
use crate::support::objects::{blob, commit_tree, commit_with_entries, raw, tree, write};

const OBJECT: &[&str] = &[
    "malformed-object",
    "unsafe-path",
    "path-collision",
    "unsafe-mode",
];

/// OBJ-01: a name twice in one tree, where the hook and the checkout see different content.
#[test]
fn obj_01_duplicate_tree_entry() {
    let (server, alice, bob) = without_fsck();
    let (good, evil) = (blob(&alice, "good\n"), blob(&alice, "evil\n"));
    let root = commit_with_entries(&alice, &[("100644", b"a", &good), ("100644", b"a", &evil)]);
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &root,
        &["malformed-object", "path-collision"],
    );

    let inner = tree(&alice, &[("100644", b"a", &good), ("100644", b"a", &evil)]);
    let deep = commit_with_entries(&alice, &[("40000", b"dir", &inner)]);
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &deep,
        &["malformed-object", "path-collision"],
    );
}

/// OBJ-02: the same name as a file and as a directory, side by side or sorted apart.
#[test]
fn obj_02_file_and_directory_of_one_name() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    let dir = tree(&alice, &[("100644", b"b", &file)]);
    for between in [None, Some(&b"zz.txt"[..])] {
        let mut entries = vec![("100644", &b"zz"[..], file.as_str())];
        entries.extend(between.map(|name| ("100644", name, file.as_str())));
        entries.push(("40000", b"zz", &dir));
        let head = commit_with_entries(&alice, &entries);
        approved_and_refused(&server, &alice, &bob, &head, OBJECT);
    }
}

/// OBJ-05: names that some file system takes for `.git` or for a way up.
#[test]
fn obj_05_dot_git_and_its_equivalents() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "[core]\n\thooksPath = evil\n");
    let dir = tree(&alice, &[("100644", b"config", &file)]);
    for name in [
        &b".git"[..],
        b".GIT",
        b".Git",
        b"git~1",
        b"GIT~1",
        ".g\u{200c}it".as_bytes(),
        ".git\u{feff}".as_bytes(),
        b"..",
        b".",
        b".git ",
        b".git.",
        b".git. . ",
        b".git::$INDEX_ALLOCATION",
        b".git\\config",
        b"a/b",
    ] {
        let head = commit_with_entries(&alice, &[("40000", name, &dir)]);
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &head,
            &["unsafe-path", "malformed-object"],
        );
    }
}

/// OBJ-07: headers smuggled in behind those that count, as far as git can send them at all.
#[test]
fn obj_07_header_smuggling() {
    let (server, alice, bob) = without_fsck();
    let good = alice.change("a.txt", "new\n");
    let (text, tip, tree) = (raw(&alice, &good), server.main(), alice.tree(&good));
    let committer = text
        .lines()
        .find(|line| line.starts_with("committer "))
        .unwrap();
    let after = |line: &str| text.replacen(committer, &format!("{committer}\n{line}"), 1);
    let (head, body) = text.split_once("\n\n").unwrap();
    for broken in [
        after(committer),
        after(&format!("tree {tree}")),
        after(&format!("parent {tip}")),
        after("author Bob <bob@example.com> 1700000000 +0000"),
        after("reviewed-by Bob <bob@example.com>"),
        after("x y"),
        after(" continued"),
        text.replacen("tree ", &format!("tree {tree}\ntree "), 1),
        text.replacen("parent ", &format!("parent {tip}\nparent "), 1),
        format!("{head}\n"),
        format!("{head}\n\n{body}\0more"),
        text.replacen(committer, &format!("{committer}\r"), 1),
    ] {
        assert_ne!(broken, text);
        let head = write(&alice, "commit", broken.as_bytes());
        approved_and_refused(&server, &alice, &bob, &head, &["malformed-object"]);
    }
}

/// OBJ-08: two author lines, of which each tool shows another.
#[test]
fn obj_08_two_authors() {
    let (server, alice, bob) = without_fsck();
    let text = raw(&alice, &alice.change("a.txt", "new\n"));
    let author = text
        .lines()
        .find(|line| line.starts_with("author "))
        .unwrap();
    let other = author.replace("alice", "carol");
    for broken in [
        text.replacen(author, &format!("{author}\n{other}"), 1),
        text.replacen(author, &format!("{other}\n{author}"), 1),
    ] {
        let head = write(&alice, "commit", broken.as_bytes());
        approved_and_refused(&server, &alice, &bob, &head, &["malformed-object"]);
    }
}

/// OBJ-10: two e-mails or none in one line, and other lines that parsers disagree on.
#[test]
fn obj_10_malformed_ident() {
    let (server, alice, bob) = without_fsck();
    let text = raw(&alice, &alice.change("a.txt", "new\n"));
    let author = text
        .lines()
        .find(|line| line.starts_with("author "))
        .unwrap();
    for ident in [
        "A <a@x> <bob@example.com> 1700000000 +0000",
        "A <<a@x> 1700000000 +0000",
        "A <a@x>> 1700000000 +0000",
        "A a@x 1700000000 +0000",
        "A <a@x>1700000000 +0000",
        "A <a@x> 1700000000",
        "A <a@x> yesterday +0000",
        "A <a@x> -1 +0000",
        "A <a@x> 99999999999999999999 +0000",
        "A <a@x> 1700000000 0000",
        "A <a@x> 1700000000 +0000 more",
        "",
    ] {
        let broken = text.replacen(author, &format!("author {ident}"), 1);
        let head = write(&alice, "commit", broken.as_bytes());
        approved_and_refused(&server, &alice, &bob, &head, &["malformed-object"]);
    }
}

/// OBJ-11: dates past every clock, before every clock, and in the far future.
#[test]
fn obj_11_timestamps() {
    let (server, alice, bob) = without_fsck();
    let text = raw(&alice, &alice.change("a.txt", "new\n"));
    for role in ["author ", "committer "] {
        let line = text.lines().find(|line| line.starts_with(role)).unwrap();
        let (ident, _) = line.rsplit_once("> ").unwrap();
        for date in [
            "99999999999999999999 +0000",
            "18446744073709551616 +0000",
            "9223372036854775808 +0000",
            "-1 +0000",
            "4102444800 +0000",
        ] {
            let broken = text.replacen(line, &format!("{ident}> {date}"), 1);
            let head = write(&alice, "commit", broken.as_bytes());
            // No approval: git itself will not tag some of these.
            alice.land(&head).refused(&["malformed-object"]);
        }
    }
    // Well formed and signed, and still of the year 2100.
    let late = server
        .checkout("alice")
        .env("GIT_COMMITTER_DATE", "@4102444800 +0000");
    let head = late.change("b.txt", "new\n");
    approved_and_refused(&server, &late, &bob, &head, &["malformed-object"]);
}

/// OBJ-12: modes that are no git mode, or are one written otherwise.
#[test]
fn obj_12_odd_modes() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    for mode in [
        "100664", "100777", "100600", "0100644", "100000", "140000", "644", "777",
    ] {
        let head = commit_with_entries(&alice, &[(mode, b"zz", &file)]);
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &head,
            &["unsafe-mode", "malformed-object"],
        );
    }
    let dir = tree(&alice, &[("100644", b"b", &file)]);
    let head = commit_with_entries(&alice, &[("040000", b"zz", &dir)]);
    approved_and_refused(
        &server,
        &alice,
        &bob,
        &head,
        &["unsafe-mode", "malformed-object"],
    );
}

/// OBJ-14: a junk header gives the signed commit another id, which nobody approved.
#[test]
fn obj_14_signature_preserving_twin() {
    let (server, alice, bob) = without_fsck();
    let good = alice.change("a.txt", "new\n");
    alice.share(&good);
    bob.approve(&good).accepted();
    let text = raw(&alice, &good);
    let (head, body) = text.split_once("\n\n").unwrap();
    for junk in ["gpgsig-sha256 GARBAGE", "gpgsig GARBAGE"] {
        let twin = write(
            &alice,
            "commit",
            format!("{head}\n{junk}\n\n{body}").as_bytes(),
        );
        assert_ne!(twin, good);
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &twin,
            &["malformed-object", "bad-signature"],
        );
    }
    alice.land(&good).accepted();
}

/// OBJ-16: names with line feeds, bad UTF-8, backslashes and control characters.
#[test]
fn obj_16_unprintable_names() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    for name in [
        &b"a\nb"[..],
        b"a\xff\xfe",
        b".github\\workflows",
        b"a\x07",
        b"a\x7f",
        b"a\tb",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
    ] {
        let head = commit_with_entries(&alice, &[("100644", name, &file)]);
        approved_and_refused(
            &server,
            &alice,
            &bob,
            &head,
            &["unsafe-path", "malformed-object"],
        );
    }
}

/// OBJ-06: an object that was stored while nobody looked is looked at when it comes to main.
#[test]
fn obj_06_stored_before() {
    let (server, alice, bob) = without_fsck();
    let file = blob(&alice, "x\n");
    let inner = tree(&alice, &[("100644", b"a", &file), ("100644", b"a", &file)]);
    let bad = commit_with_entries(&alice, &[("40000", b"dir", &inner)]);
    alice
        .push(&[&format!("{bad}:refs/heads/stored")])
        .accepted();
    server.git(&["config", "receive.fsckObjects", "true"]);
    approved_and_refused(&server, &alice, &bob, &bad, OBJECT);
    // Nor under a good commit on top of it.
    alice.git(&["checkout", "-q", "-f", "--detach", "origin/main"]);
    let top = commit_tree(&alice, &alice.tree("origin/main"), &[&bad]);
    approved_and_refused(&server, &alice, &bob, &top, OBJECT);
}
