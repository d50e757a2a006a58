//! What no approval covers: everything that is not, to the byte and to the commit, what was approved.
//!
//! Each push here stands beside a good one: the approval is there and in force, and the exact landing
//! is accepted in the end, so that nothing but the difference is what was refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::push::approved_on_main;
use crate::support::landing::{approve_for, lands, merge, pick, squash, uncovered};
use crate::support::objects::commit_tree;
use crate::support::{Checkout, MAIN, NewCommit, approved_topic, two_people};

/// What is done to the tree that is in the making in a checkout.
type Change = fn(&Checkout);

/// What is done to the tree that was approved, by what the refusal names: the path that differs.
const CHANGES: &[(&str, Change)] = &[
    // Half of it: without a file of it, and without what it does to another.
    ("two.txt", |at| at.write(&[("two.txt", None)])),
    ("src/lib.rs", |at| {
        at.git(&["checkout", "-q", "HEAD", "--", "src/lib.rs"]);
    }),
    // A byte more, in a file of it and in another.
    ("two.txt", |at| append(at, "two.txt", b"\n")),
    ("README.md", |at| append(at, "README.md", b" ")),
    // A file more, less, renamed, and turned into a folder.
    ("extra.txt", |at| at.write(&[("extra.txt", Some("more\n"))])),
    ("README.md", |at| at.write(&[("README.md", None)])),
    ("two.txt", |at| {
        at.git(&["mv", "two.txt", "zwei.txt"]);
    }),
    ("two.txt", |at| {
        at.write(&[("two.txt", None), ("two.txt/two.txt", Some("new\n"))]);
    }),
    // A mode, in a file of it and in another.
    ("two.txt", |at| executable(at, "two.txt")),
    ("README.md", |at| executable(at, "README.md")),
    // A link to elsewhere, in the place of a file, and a file in the place of a link.
    ("link", |at| link(at, "link", "README.md")),
    ("two.txt", |at| link(at, "two.txt", "README.md")),
    ("link", |at| {
        at.write(&[("link", None), ("link", Some("two.txt"))]);
    }),
    // A submodule more, and one at another commit.
    ("submodule-change", |at| submodule(at, "vendored", "HEAD")),
    ("submodule-change", |at| submodule(at, "sub", "HEAD^")),
];

fn append(at: &Checkout, path: &str, more: &[u8]) {
    let path = at.dir().join(path);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(more);
    fs::write(path, bytes).unwrap();
}

fn executable(at: &Checkout, path: &str) {
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at.dir().join(path), mode).unwrap();
}

fn link(at: &Checkout, path: &str, target: &str) {
    let path = at.dir().join(path);
    fs::remove_file(&path).ok();
    symlink(target, path).unwrap();
}

/// Its empty folder is what a clone has that did not fetch it; without, git takes it for deleted.
fn submodule(at: &Checkout, path: &str, commit: &str) {
    fs::create_dir_all(at.dir().join(path)).unwrap();
    let entry = format!("160000,{},{path}", at.git(&["rev-parse", commit]));
    at.git(&["update-index", "--add", "--cacheinfo", &entry]);
}

/// Whatever differs in the tree is shown and refused, squashed and merged in turn.
#[test]
fn any_other_tree() {
    let (server, alice, bob) = two_people();
    let moved = approved_topic(&alice, &bob, "moved.txt");
    lands(&server, &alice, &moved);
    alice.change("src/lib.rs", "fn one() {}\nfn two() {}\n");
    alice.write(&[("two.txt", Some("new\n"))]);
    link(&alice, "link", "two.txt");
    submodule(&alice, "sub", "HEAD");
    let head = alice.commit(NewCommit::default());
    alice.share(&head);
    bob.approve(&head).accepted();

    for (count, (shown, change)) in CHANGES.iter().enumerate() {
        alice.git(&["checkout", "-q", "-f", "--detach", "origin/main"]);
        alice.git(&["clean", "-q", "-f", "-d", "-x"]);
        alice.git(&["merge", "-q", "--squash", &head]);
        change(&alice);
        alice.git(&["add", "-A"]);
        let tree = alice.git(&["write-tree"]);
        assert_ne!(tree, alice.tree(&head), "{shown} is the same");
        let parents = [moved.as_str(), &head];
        let parents = &parents[..=count % 2];
        let landing = commit_tree(&alice, &tree, parents);
        uncovered(&server, &alice, &landing, shown);
    }
    let exact = commit_tree(&alice, &alice.tree(&head), &[&moved, &head]);
    lands(&server, &alice, &exact);
}

/// The very tree that was approved does not carry a history that was not: a parent more, from
/// wherever; a root; a first parent that is not main; something unreviewed on the way.
#[test]
fn any_other_history() {
    let (server, alice, bob) = two_people();
    let genesis = server.main();
    let moved = approved_topic(&alice, &bob, "moved.txt");
    lands(&server, &alice, &moved);
    let below = alice.change("one.txt", "new\n");
    let head = approved_topic(&alice, &bob, "two.txt");
    let tree = alice.tree(&head);
    let side = commit_tree(&alice, &tree, &[&genesis]);
    let island = commit_tree(&alice, &tree, &[]);
    // Brings the side in with nothing of it to be seen.
    let ours = commit_tree(&alice, &alice.tree(&moved), &[&moved, &side]);
    for (parents, named) in [
        (&[&moved, &head, &side][..], &side),
        (&[&moved, &side, &head], &side),
        (&[&moved, &side], &side),
        (&[&moved, &head, &island], &island),
        (&[&moved, &island], &island),
        // Old, and part of it, but no reason to be there.
        (&[&moved, &head, &genesis], &genesis),
        (&[&moved, &head, &below], &below),
        (&[&moved, &below], &below),
        (&[&ours], &side),
        (&[&ours, &head], &side),
    ] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        let landing = commit_tree(&alice, &tree, &parents);
        uncovered(&server, &alice, &landing, named);
    }
    for parents in [&[&side, &moved][..], &[&head, &side]] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        let landing = commit_tree(&alice, &tree, &parents);
        alice
            .land(&landing)
            .refused(&["missing-approvals", "unreviewed-residual"]);
    }
    let exact = commit_tree(&alice, &tree, &[&moved, &head]);
    lands(&server, &alice, &exact);
}

/// Two versions are both approved and in force; no mix of them is, however it is put together.
#[test]
fn mixes_of_two_approved_versions() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let [first, second] = ["v1\n", "v2\n"].map(|text| {
        alice.onto("origin/main");
        alice.write(&[("a.txt", Some(text)), ("b.txt", Some(text))]);
        let head = alice.commit(NewCommit::default());
        alice.share(&head);
        bob.approve(&head).accepted();
        head
    });
    alice.git(&["checkout", "-q", &first, "--", "a.txt"]);
    let mix = alice.git(&["write-tree"]);
    for parents in [
        &[&base][..],
        &[&base, &first],
        &[&base, &second],
        &[&base, &first, &second],
    ] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        let landing = commit_tree(&alice, &mix, &parents);
        alice
            .land(&landing)
            .refused(&["missing-approvals", "unreviewed-residual"])
            .says("a.txt")
            .says("b.txt");
    }
    // Nor one after the other, where the second would take back what the first one brought.
    let merged = commit_tree(&alice, &alice.tree(&first), &[&base, &first]);
    let over = commit_tree(&alice, &alice.tree(&second), &[&merged, &second]);
    alice.land(&over).refused(&["missing-approvals"]);
    lands(&server, &alice, &second);
}

/// Half of two heads is not the landing of either: what one of them changes must be there whole.
#[test]
fn one_head_drops_half_of_another() {
    let (server, alice, bob) = two_people();
    alice.write(&[("one-a.txt", Some("new\n"))]);
    let one = approved_topic(&alice, &bob, "one-b.txt");
    let two = approved_on_main(&alice, &bob, "two.txt");
    alice.onto("origin/main");
    let first = merge(&alice, &one);
    merge(&alice, &two);
    alice.git(&["rm", "-q", "one-b.txt"]);
    let half = commit_tree(&alice, &alice.git(&["write-tree"]), &[&first, &two]);
    uncovered(&server, &alice, &half, "one-b.txt");
    // Git drops all of it when told to take "ours", and the commit looks like a merge of both.
    alice.git(&["checkout", "-q", "-f", "--detach", &first]);
    alice.git(&["merge", "-q", "--no-ff", "-s", "ours", "-m", "merge", &two]);
    uncovered(&server, &alice, &alice.head(), &two[..8]);
    alice.git(&["checkout", "-q", "--detach", &first]);
    lands(&server, &alice, &merge(&alice, &two));
}

/// What landed once, and was reverted, does not land again, by whatever way, whole or in part, on the
/// approvals of then, nor on new ones of the same head.
#[test]
fn landing_repeated_after_a_revert() {
    for once in [merge, squash] {
        let (server, alice, bob) = two_people();
        let base = server.main();
        let below = approved_topic(&alice, &bob, "one.txt");
        let head = alice.change("two.txt", "new\n");
        alice.share(&head);
        bob.review("approve", &head, &[&format!("Keeps: {below}")])
            .accepted();
        let whole = alice.tree(&head);
        alice.onto("origin/main");
        let landed = once(&alice, &head);
        lands(&server, &alice, &landed);
        let revert = commit_tree(&alice, &alice.tree(&base), &[&landed]);
        alice.share(&revert);
        bob.approve(&revert).accepted();
        lands(&server, &alice, &revert);

        bob.approve(&head).either();
        alice.onto(&revert);
        let repeated = [
            commit_tree(&alice, &whole, &[&revert]),
            commit_tree(&alice, &whole, &[&revert, &head]),
            commit_tree(&alice, &alice.tree(&below), &[&revert]),
            commit_tree(&alice, &alice.tree(&below), &[&revert, &below]),
            pick(&alice, &head, 2),
        ];
        for again in &repeated {
            alice
                .land(again)
                .refused(&["missing-approvals", "spent-approval"]);
        }
        // As a commit of its own it is a new change, which can be approved.
        alice.share(&repeated[0]);
        bob.approve(&repeated[0]).accepted();
        lands(&server, &alice, &repeated[0]);
    }
}

/// A version that the same person's approval of a later one replaced is abandoned: it does not land
/// in any way, also below main where that has moved, unless the reviewer keeps it.
#[test]
fn abandoned_version() {
    for keeps in [false, true] {
        let (server, alice, bob) = two_people();
        let first = approved_topic(&alice, &bob, "flawed.txt");
        let second = alice.commit(NewCommit {
            files: &[("flawed.txt", None), ("better.txt", Some("new\n"))],
            ..NewCommit::default()
        });
        alice.share(&second);
        let line = format!("Keeps: {first}");
        let lines: &[&str] = if keeps { &[&line] } else { &[] };
        bob.review("approve", &second, lines).accepted();
        let moved = approved_on_main(&alice, &bob, "moved.txt");
        lands(&server, &alice, &moved);

        for way in [merge, squash, |at: &Checkout, head: &str| pick(at, head, 1)] {
            alice.onto("origin/main");
            let landing = way(&alice, &first);
            if keeps {
                lands(&server, &alice, &landing);
                break;
            }
            alice
                .land(&landing)
                .refused(&["missing-approvals", "stale-approval"]);
        }
        alice.onto("origin/main");
        lands(&server, &alice, &merge(&alice, &second));
    }
}

/// A head does not land after one that descends from it, though both are approved and in force: what
/// the later version took out does not come back within one push.
#[test]
fn older_version_after_a_newer_one() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "flawed.txt");
    let second = alice.commit(NewCommit {
        files: &[("flawed.txt", None), ("better.txt", Some("new\n"))],
        ..NewCommit::default()
    });
    alice.share(&second);
    bob.review("approve", &second, &[&format!("Keeps: {first}")])
        .accepted();
    alice.onto("origin/main");
    let landed = squash(&alice, &second);
    alice.git(&["checkout", "-q", &first, "--", "flawed.txt"]);
    let both = alice.git(&["write-tree"]);
    for parents in [&[&landed][..], &[&landed, &first]] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        let back = commit_tree(&alice, &both, &parents);
        alice.land(&back).refused(&["missing-approvals"]);
    }
    // The other way round both land: the newer one takes out what the older one brought.
    alice.onto("origin/main");
    let older = squash(&alice, &first);
    let newer = commit_tree(&alice, &alice.tree(&landed), &[&older]);
    lands(&server, &alice, &newer);
}

/// A head that two others lie behind, neither behind the other, has no nearest one as its base: landed
/// after both, it would leave in what it takes out of one of them.
#[test]
fn head_after_two_it_merges() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let one = approved_topic(&alice, &bob, "one.txt");
    alice.onto("origin/main");
    let two = approved_topic(&alice, &bob, "two.txt");
    alice.git(&["merge", "-q", "--no-ff", "-m", "merge", &one]);
    let both = alice.tree("HEAD");
    let merged = alice.commit(NewCommit {
        files: &[("one.txt", None), ("three.txt", Some("new\n"))],
        ..NewCommit::default()
    });
    alice.share(&merged);
    let keeps = [&one, &two].map(|head| format!("Keeps: {head}"));
    bob.review("approve", &merged, &[&keeps[0], &keeps[1]])
        .accepted();
    let first = commit_tree(&alice, &alice.tree(&one), &[&base]);
    let second = commit_tree(&alice, &both, &[&first]);
    alice.git(&["checkout", "-q", &one, "--", "one.txt"]);
    let left_in = alice.git(&["write-tree"]);
    for parents in [&[&second][..], &[&second, &merged]] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        let landing = commit_tree(&alice, &left_in, &parents);
        uncovered(&server, &alice, &landing, "one.txt");
    }
    let exact = commit_tree(&alice, &alice.tree(&merged), &[&second]);
    lands(&server, &alice, &exact);
}

/// A version amended rather than continued is no descendant: the first stays in force unless the
/// approval of the second names it.
#[test]
fn amended_version() {
    for replaces in [true, false] {
        let (server, alice, bob) = two_people();
        let first = approved_topic(&alice, &bob, "a.txt");
        alice.write(&[("a.txt", Some("amended\n"))]);
        alice.git(&["commit", "-q", "-a", "--amend", "--no-edit"]);
        let second = alice.head();
        alice.share(&second);
        let line = format!("Replaces: {first}");
        let lines: &[&str] = if replaces { &[&line] } else { &[] };
        bob.review("approve", &second, lines).accepted();
        if replaces {
            alice
                .land(&first)
                .refused(&["missing-approvals", "stale-approval"]);
            lands(&server, &alice, &second);
        } else {
            lands(&server, &alice, &first);
        }
    }
}

/// A step that changes nothing is nobody's landing, though what it merges is approved: neither what
/// another head brought already, nor main itself.
#[test]
fn empty_steps() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = approved_topic(&alice, &bob, "a.txt");
    let twin = approved_topic(&carol, &bob, "a.txt");
    assert_eq!(alice.tree(&head), carol.tree(&twin));
    lands(&server, &alice, &head);
    carol.fetch();
    let tree = carol.tree(&twin);
    for parents in [&[&head][..], &[&head, &twin]] {
        let parents: Vec<&str> = parents.iter().map(|oid| oid.as_str()).collect();
        carol
            .land(&commit_tree(&carol, &tree, &parents))
            .refused(&["missing-approvals"]);
    }
    // Approved as the empty step it is, it lands.
    let merged = commit_tree(&carol, &tree, &[&head, &twin]);
    carol.share(&merged);
    bob.approve(&merged).accepted();
    lands(&server, &carol, &merged);
}

/// `-s ours` takes a parent and none of its content: approved heads, half or whole, are not landed
/// by it, and git's next merge would leave them out for good.
#[test]
fn merges_that_take_nothing() {
    let (server, alice, bob) = two_people();
    let below = alice.change("one.txt", "new\n");
    let head = approved_topic(&alice, &bob, "two.txt");
    for parent in [&head, &below] {
        alice.onto("origin/main");
        alice.git(&["merge", "-q", "--no-ff", "-s", "ours", "-m", "ours", parent]);
        alice.land(&alice.head()).refused(&["missing-approvals"]);
        // With the base moved by that, git merges the rest of the head or nothing.
        if parent == &below {
            let rest = merge(&alice, &head);
            uncovered(&server, &alice, &rest, "one.txt");
            // Nor is it there with the whole tree: the first merge brings what nobody asked for.
            let whole = commit_tree(&alice, &alice.tree(&head), &[&rest]);
            uncovered(&server, &alice, &whole, &below);
        }
    }
    alice.onto("origin/main");
    lands(&server, &alice, &merge(&alice, &head));
}

/// Where head and tip have several best common ancestors nobody can say what landing it gives: the
/// approval covers nothing, and says so. One of a commit built on the tip does.
#[test]
fn several_bases() {
    let (server, alice, bob) = two_people();
    let one = approved_topic(&alice, &bob, "one.txt");
    let two = approved_on_main(&alice, &bob, "two.txt");
    alice.git(&["checkout", "-q", "--detach", &two]);
    merge(&alice, &one);
    let crossed = alice.change("three.txt", "new\n");
    alice.onto("origin/main");
    merge(&alice, &one);
    lands(&server, &alice, &merge(&alice, &two));
    alice.share(&crossed);
    bob.approve(&crossed).accepted();
    alice.onto("origin/main");
    let landing = merge(&alice, &crossed);
    alice
        .land(&landing)
        .refused(&["missing-approvals", "unverifiable"]);
    alice.share(&landing);
    bob.approve(&landing).accepted();
    lands(&server, &alice, &landing);
}

/// The last commit of a topic is not the topic: picked without what is below it, it is half.
#[test]
fn picked_without_what_is_below() {
    let (server, alice, bob) = two_people();
    alice.change("one.txt", "new\n");
    let head = approved_topic(&alice, &bob, "two.txt");
    alice.onto("origin/main");
    let half = pick(&alice, &head, 1);
    uncovered(&server, &alice, &half, "one.txt");
    alice.onto("origin/main");
    lands(&server, &alice, &pick(&alice, &head, 2));
}

/// A reviewer who names a `Base` approved the change over that: main's part of the head is not
/// counted in where it lands on less.
#[test]
fn base_named_by_the_reviewer() {
    let (server, alice, bob) = two_people();
    let release = "refs/heads/release/1";
    alice.push(&[&format!("origin/main:{release}")]).accepted();
    let main = approved_topic(&alice, &bob, "main.txt");
    lands(&server, &alice, &main);
    let head = alice.change("fix.txt", "new\n");
    alice.share(&head);
    // The release branch never was where main is, so its reviewer cannot have seen that.
    approve_for(&bob, release, &head, &[&format!("Base: {main}")]).refused(&["malformed-review"]);
    approve_for(&bob, release, &head, &[]).accepted();
    alice.onto("origin/release/1");
    let picked = pick(&alice, &head, 1);
    alice
        .push(&[&format!("{picked}:{release}")])
        .refused(&["missing-approvals", "unreviewed-residual"])
        .says("main.txt");
    assert_ne!(server.tip(MAIN), server.tip(release));
}
