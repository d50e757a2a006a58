//! What an approval covers: the ways of landing that are exactly what was reviewed, and all others.

use crate::push::approved_on_main;
use crate::support::objects::commit_tree;
use crate::support::{
    Checkout, Server, approved_topic, policy, rule, two_people, two_people_under,
};

/// Somebody else's reviewed change lands, so that main moves.
fn move_main(server: &Server, bob: &Checkout, file: &str) {
    let carol = server.checkout("carol");
    let head = approved_topic(&carol, bob, file);
    carol.land(&head).accepted();
}

/// Merges a commit into what is checked out, without a fast-forward.
fn merge(at: &Checkout, head: &str) -> String {
    at.git(&["merge", "-q", "--no-ff", "-m", "merge", head]);
    at.head()
}

/// Adds to the commit that is checked out, keeping its parents.
fn amend(at: &Checkout, path: &str, text: &str) -> String {
    at.write(&[(path, Some(text))]);
    at.git(&["add", "-A"]);
    at.git(&["commit", "-q", "--amend", "--no-edit"]);
    at.head()
}

fn recomputes(server: &Server) {
    server.cli(&["verify", "history"]).exits(0);
}

/// One review of the last commit covers a fast-forward of several.
#[test]
fn fast_forward() {
    let (server, alice, bob) = two_people();
    let middle = alice.change("a.txt", "one\n");
    let head = alice.change("b.txt", "two\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&middle).refused(&["missing-approvals"]);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server
        .cli(&["verify", "commit", &middle])
        .exits(1)
        .says("reachable");
    recomputes(&server);
}

/// Alice writes, bob reviews and merges: two people.
#[test]
fn merge_by_the_reviewer() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    bob.onto("origin/main");
    let merged = merge(&bob, &head);
    bob.land(&merged).accepted();
    server.cli(&["verify", "commit", &merged]).exits(0);
    recomputes(&server);
}

/// A merge into a main that has moved is covered while it is exactly the mechanical one.
#[test]
fn merge_onto_a_moved_base() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    move_main(&server, &bob, "c.txt");
    bob.onto("origin/main");
    let merged = merge(&bob, &head);
    bob.land(&merged).accepted();
    recomputes(&server);
}

/// A squash has the reviewed tree and lands on the same review.
#[test]
fn squash() {
    let (server, alice, bob) = two_people();
    alice.change("a.txt", "one\n");
    let head = approved_topic(&alice, &bob, "b.txt");
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--squash", &head]);
    alice.git(&["commit", "-q", "-m", "squashed"]);
    let squashed = alice.head();
    alice.land(&squashed).accepted();
    server.cli(&["verify", "commit", &squashed]).exits(0);
    recomputes(&server);
}

/// A squash does not launder contributors: whoever wrote a commit of the range stays out.
#[test]
fn squash_keeps_contributors() {
    let (server, alice, bob) = two_people();
    let bobs = bob.change("b.txt", "bob\n");
    bob.share(&bobs);
    alice.onto(&bobs);
    let head = alice.change("a.txt", "alice\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.onto("origin/main");
    let squashed = commit_tree(&alice, &alice.tree(&head), &[&alice.head()]);
    alice
        .land(&squashed)
        .refused(&["missing-approvals", "self-approval"]);
    server.checkout("carol").approve(&head).accepted();
    alice.land(&squashed).accepted();
}

/// A rebase onto a base that moved elsewhere lands on the review of what was rebased.
#[test]
fn rebase_onto_a_moved_base() {
    let (server, alice, bob) = two_people();
    let first = alice.change("a.txt", "one\n");
    let head = approved_topic(&alice, &bob, "b.txt");
    move_main(&server, &bob, "c.txt");
    alice.fetch();
    alice.git(&["rebase", "-q", "origin/main"]);
    let rebased = alice.head();
    assert_ne!(rebased, head);
    alice.land(&first).refused(&[]);
    alice.land(&rebased).accepted();
    server.cli(&["verify", "commit", &rebased]).exits(0);
    recomputes(&server);
}

/// Where a rule says `base = "exact"` an approval lapses when the base moves.
#[test]
fn exact_base_does_not_replay() {
    let rules = rule(
        "exact",
        "require = [\"1 of @maintainers\"]\nbase = \"exact\"",
    );
    let (server, alice, bob) = two_people_under(&rules);
    let base = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.review("approve", &head, &[&format!("Base: {base}")])
        .accepted();
    let carol = server.checkout("carol");
    let other = carol.change("c.txt", "new\n");
    carol.share(&other);
    bob.review("approve", &other, &[&format!("Base: {base}")])
        .accepted();
    carol.land(&other).accepted();

    bob.onto("origin/main");
    let merged = merge(&bob, &head);
    bob.land(&merged).refused(&["missing-approvals"]);
    bob.share(&merged);
    let line = format!("Base: {other}");
    alice.fetch();
    server
        .checkout("carol")
        .review("approve", &merged, &[&line])
        .accepted();
    bob.land(&merged).accepted();
}

/// Anything put into the merge beyond the mechanical result is shown and refused.
#[test]
fn evil_merge() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    move_main(&server, &bob, "c.txt");
    for (path, text) in [
        ("backdoor.txt", "evil\n"),
        ("src/lib.rs", "evil\n"),
        ("a.txt", "evil\n"),
    ] {
        alice.onto("origin/main");
        merge(&alice, &head);
        let evil = amend(&alice, path, text);
        alice
            .land(&evil)
            .refused(&["missing-approvals", "unreviewed-residual"])
            .says(path);
    }
}

/// One file more or one file less than reviewed is not what was reviewed.
#[test]
fn extra_file_and_dropped_half() {
    let (_server, alice, bob) = two_people();
    alice.change("a.txt", "one\n");
    let head = approved_topic(&alice, &bob, "b.txt");
    let more = amend(&alice, "c.txt", "three\n");
    alice.land(&more).refused(&["missing-approvals"]);

    alice.onto("origin/main");
    alice.git(&["checkout", "-q", &head, "--", "a.txt"]);
    alice.git(&["commit", "-q", "-m", "half of it"]);
    let half = alice.head();
    alice
        .land(&half)
        .refused(&["missing-approvals", "unreviewed-residual"]);

    // A commit on top of the reviewed one is a change of its own.
    alice.git(&["checkout", "-q", "--detach", &head]);
    let on_top = alice.change("d.txt", "four\n");
    alice.land(&on_top).refused(&["missing-approvals"]);
    alice.land(&head).accepted();
}

/// A revert of half the reviewed change inside the range that lands is refused.
#[test]
fn mix_of_two_reviewed_versions() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    alice.write(&[("a.txt", Some("v1\n")), ("b.txt", Some("v1\n"))]);
    let first = approved_topic(&alice, &bob, "x.txt");
    alice.git(&["checkout", "-q", "--detach", &base]);
    alice.write(&[("a.txt", Some("v2\n")), ("b.txt", Some("v2\n"))]);
    let second = alice.change("x.txt", "new\n");
    alice.share(&second);
    bob.review("approve", &second, &[]).accepted();
    alice.git(&["checkout", "-q", "--detach", &base]);
    alice.git(&["checkout", "-q", &first, "--", "a.txt", "x.txt"]);
    alice.git(&["checkout", "-q", &second, "--", "b.txt"]);
    alice.git(&["commit", "-q", "-m", "a mix"]);
    let mix = alice.head();
    alice.land(&mix).refused(&["missing-approvals"]);
}

/// Several reviewed heads land in one push, one merge after the other.
#[test]
fn heads_in_sequence() {
    let (server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let second = approved_on_main(&alice, &bob, "b.txt");
    alice.onto("origin/main");
    merge(&alice, &first);
    let both = merge(&alice, &second);
    alice.land(&both).accepted();
    recomputes(&server);
}

/// The same, where the second head is stacked on the first and bob keeps both.
#[test]
fn stacked_heads_in_sequence() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let first = approved_topic(&alice, &bob, "a.txt");
    let second = alice.change("b.txt", "more\n");
    alice.share(&second);
    carol.approve(&second).accepted();
    alice.onto("origin/main");
    merge(&alice, &first);
    let both = merge(&alice, &second);
    alice.land(&both).accepted();
    recomputes(&server);
}

/// With something unreviewed between the reviewed ones the whole push is refused.
#[test]
fn sequence_with_a_stowaway() {
    let (_server, alice, bob) = two_people();
    let first = approved_topic(&alice, &bob, "a.txt");
    let second = approved_on_main(&alice, &bob, "b.txt");
    alice.onto("origin/main");
    merge(&alice, &first);
    alice.change("stowaway.txt", "evil\n");
    let both = merge(&alice, &second);
    alice.land(&both).refused(&["missing-approvals"]);
}

/// Each rule must hold at each head for what that head changes.
#[test]
fn sequence_needs_each_rule_at_each_head() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of @maintainers\"]"),
        rule(
            "secure",
            "paths = [\"secure/\"]\nrequire = [\"1 of @security\"]"
        )
    );
    let (server, alice, bob) = two_people_under(&rules);
    let dana = server.checkout("dana");
    let first = approved_topic(&alice, &bob, "a.txt");
    dana.approve(&first).accepted();
    let second = approved_on_main(&alice, &bob, "secure/key.txt");
    alice.onto("origin/main");
    merge(&alice, &first);
    let both = merge(&alice, &second);
    alice.land(&both).refused(&["missing-approvals"]);
    dana.approve(&second).accepted();
    alice.land(&both).accepted();
}

/// A topic into which main was merged on the way is reviewed as it then is.
#[test]
fn topic_with_main_merged() {
    let (server, alice, bob) = two_people();
    alice.change("a.txt", "one\n");
    let topic = alice.head();
    move_main(&server, &bob, "c.txt");
    alice.fetch();
    alice.git(&["checkout", "-q", "--detach", &topic]);
    let head = merge(&alice, "origin/main");
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.onto("origin/main");
    let landed = merge(&alice, &head);
    alice.land(&landed).accepted();
    recomputes(&server);
}

/// Merging main into an approved topic with a resolution of one's own is a new change.
#[test]
fn smuggled_conflict_resolution() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "same.txt");
    let carol = server.checkout("carol");
    let other = carol.change("same.txt", "carol's\n");
    carol.share(&other);
    bob.approve(&other).accepted();
    carol.land(&other).accepted();
    alice.onto("origin/main");
    assert!(
        !alice.try_git(&["merge", "-q", "--no-ff", &head]).ok(),
        "it conflicts"
    );
    alice.write(&[("same.txt", Some("smuggled\n"))]);
    alice.git(&["add", "-A"]);
    alice.git(&["commit", "-q", "-m", "resolved"]);
    let resolved = alice.head();
    alice
        .land(&resolved)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    alice.share(&resolved);
    bob.approve(&resolved).accepted();
    alice.land(&resolved).accepted();
}

/// A parent that nobody reviewed, joined with `-s ours`, is refused though no file changes.
#[test]
fn extra_parent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let side = alice.change("side.txt", "unreviewed\n");
    let tree = alice.tree(&head);
    let joined = commit_tree(&alice, &tree, &[&server.main(), &head, &side]);
    alice
        .land(&joined)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    let honest = commit_tree(&alice, &tree, &[&server.main(), &head]);
    alice.land(&honest).accepted();
}

/// A root that nobody reviewed is refused, joined to a reviewed change or alone.
#[test]
fn new_root() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let root = commit_tree(&alice, &alice.tree(&head), &[]);
    let joined = commit_tree(&alice, &alice.tree(&head), &[&server.main(), &head, &root]);
    alice
        .land(&joined)
        .refused(&["missing-approvals", "unreviewed-residual"]);
    alice
        .push(&[&format!("+{root}:refs/heads/main")])
        .refused(&["rewound-branch"]);
}

/// A merge whose first parent is the topic is no landing: it must itself be reviewed.
#[test]
fn topic_as_first_parent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    move_main(&server, &bob, "c.txt");
    alice.fetch();
    alice.git(&["checkout", "-q", "--detach", &head]);
    let foxtrot = merge(&alice, "origin/main");
    alice.land(&foxtrot).refused(&["missing-approvals"]);
    alice.share(&foxtrot);
    bob.approve(&foxtrot).accepted();
    alice.land(&foxtrot).accepted();
    recomputes(&server);
}

/// Nor is a commit on top of such a merge, although it is reviewed and the trees are the same.
#[test]
fn on_top_of_a_topic_as_first_parent() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    move_main(&server, &bob, "c.txt");
    alice.fetch();
    alice.git(&["checkout", "-q", "--detach", &head]);
    let foxtrot = merge(&alice, "origin/main");
    alice.share(&foxtrot);
    bob.approve(&foxtrot).accepted();
    let on_top = commit_tree(&alice, &alice.tree(&foxtrot), &[&foxtrot]);
    alice.land(&on_top).refused(&["missing-approvals"]);
    alice.land(&foxtrot).accepted();
}

/// A commit that changes nothing is a change: every rule judges it.
#[test]
fn empty_commit_needs_review() {
    let (_server, alice, bob) = two_people();
    let head = commit_tree(&alice, &alice.tree("HEAD"), &[&alice.head()]);
    alice.land(&head).refused(&["missing-approvals"]);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// Only the mode of a file changes: its rule is asked, and the review binds the mode.
#[test]
fn mode_change_is_a_change() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of any\"]"),
        rule("run", "paths = [\"src/\"]\nrequire = [\"1 of @security\"]")
    );
    let (server, alice, bob) = two_people_under(&rules);
    alice.git(&["update-index", "--chmod=+x", "src/lib.rs"]);
    alice.git(&["commit", "-q", "-m", "run it"]);
    let head = alice.head();
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// A rename asks the rules of both its paths.
#[test]
fn rename_is_both_paths() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of any\"]"),
        rule("from", "paths = [\"src/\"]\nrequire = [\"1 of @security\"]")
    );
    let (_server, alice, bob) = two_people_under(&rules);
    alice.git(&["mv", "src/lib.rs", "lib.rs"]);
    alice.git(&["commit", "-q", "-m", "move it"]);
    let head = alice.head();
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
}

/// A directory that becomes a submodule changes everything that was below it.
#[test]
fn directory_becomes_a_submodule() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of any\"]"),
        rule(
            "below",
            "paths = [\"src/lib.rs\"]\nrequire = [\"1 of @security\"]"
        )
    );
    let (_server, alice, bob) = two_people_under(&rules);
    let link = alice.head();
    alice.git(&["rm", "-q", "-r", "src"]);
    alice.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{link},src"),
    ]);
    alice.git(&["commit", "-q", "-m", "elsewhere"]);
    let head = alice.head();
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
}

/// Two release branches and main each take the same head once.
#[test]
fn one_head_onto_two_branches() {
    let server = Server::with(&policy(""), &crate::support::People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    alice.push(&["origin/main:refs/heads/release/1"]).accepted();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice
        .push(&[&format!("{head}:refs/heads/release/1")])
        .refused(&["missing-approvals"]);
    let message = crate::support::checkout::review_message("approve", "refs/heads/release/1", &[]);
    let tag = bob.tag_review(&head, &message);
    bob.push_review(&tag, &head, "bob-release").accepted();
    alice
        .push(&[&format!("{head}:refs/heads/release/1")])
        .accepted();
    recomputes(&server);
}
