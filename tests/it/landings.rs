//! Landings that one review serves: whatever brings exactly what was approved, by whichever way.
//!
//! Each is a real push; each is then *reviewed* by the record's word, and decided again from the log
//! and the objects to the same. What such a push must not bring is in `never_covered`.

use crate::push::approved_on_main;
use crate::support::config::PLAIN_RULE;
use crate::support::landing::{lands, merge, pick, squash, uncovered};
use crate::support::objects::commit_tree;
use crate::support::{
    Checkout, Format, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

/// A commit on top of what is checked out, shared, and approved for main by `reviewer`.
fn approved(at: &Checkout, reviewer: &Checkout, file: &str, lines: &[&str]) -> String {
    let head = at.change(file, "new\n");
    at.share(&head);
    reviewer.review("approve", &head, lines).accepted();
    head
}

/// Fast-forward, merge, squash, rebase and cherry-pick, each after the first onto a base that moved
/// since the review, in repositories of both hashes.
#[test]
fn every_way_onto_a_moved_base() {
    for format in [Format::Sha1, Format::Sha256] {
        let server = Server::of(format, &policy(PLAIN_RULE), &People::new());
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let heads: Vec<String> = ["ff", "merge", "squash", "rebase", "pick"]
            .iter()
            .map(|way| {
                alice.onto("origin/main");
                alice.change(&format!("{way}/one.txt"), "one\n");
                approved_topic(&alice, &bob, &format!("{way}/two.txt"))
            })
            .collect();
        lands(&server, &alice, &heads[0]);
        alice.onto("origin/main");
        lands(&server, &alice, &merge(&alice, &heads[1]));
        alice.onto("origin/main");
        lands(&server, &alice, &squash(&alice, &heads[2]));
        alice.onto(&heads[3]);
        alice.git(&["rebase", "-q", "origin/main"]);
        lands(&server, &alice, &alice.head());
        alice.onto("origin/main");
        lands(&server, &alice, &pick(&alice, &heads[4], 2));
    }
}

/// How three stacked heads land.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stack {
    Merges,
    Squashes,
    Rebased,
    FastForward,
}

const STACKS: [Stack; 4] = [
    Stack::Merges,
    Stack::Squashes,
    Stack::Rebased,
    Stack::FastForward,
];

/// Puts three stacked heads, one commit each, on main's tip; the tips after each.
fn stacked(at: &Checkout, way: Stack, heads: &[String; 3]) -> Vec<String> {
    at.onto("origin/main");
    let mut tips = Vec::new();
    for head in heads {
        tips.push(match way {
            Stack::Merges => merge(at, head),
            // git's own squash would start from the first parent, and see the stack's lower part twice.
            Stack::Squashes => commit_tree(at, &tree_on(at, head), &["HEAD"]),
            Stack::Rebased => pick(at, head, 1),
            Stack::FastForward => head.clone(),
        });
        at.git(&["checkout", "-q", "--detach", tips.last().unwrap()]);
    }
    tips
}

/// The tree of what is checked out with a head's last commit on it.
fn tree_on(at: &Checkout, head: &str) -> String {
    at.git(&["cherry-pick", "--no-commit", head]);
    at.git(&["write-tree"])
}

/// Each file of the stack has its own reviewer, so that no one head of it can vouch for all.
fn rules_of_the_stack() -> String {
    let own = [("a.txt", "bob"), ("b.txt", "carol"), ("c.txt", "bob")].map(|(file, who)| {
        rule(
            file,
            &format!("paths = [\"/{file}\"]\nrequire = [\"1 of {who}\"]"),
        )
    });
    own.concat()
}

/// A stack of three by alice, with bob and carol as reviewers in turn, lands in one push however it
/// is put there; bob's first approval, which his second replaces, counts since both heads land.
#[test]
fn stack_in_one_push() {
    for way in STACKS {
        let (server, alice, bob) = two_people_under(&rules_of_the_stack());
        let carol = server.checkout("carol");
        let heads = [
            approved(&alice, &bob, "a.txt", &[]),
            approved(&alice, &carol, "b.txt", &[]),
            approved(&alice, &bob, "c.txt", &[]),
        ];
        if way != Stack::FastForward {
            let dana = server.checkout("dana");
            lands(&server, &dana, &approved_topic(&dana, &carol, "dana.txt"));
        }
        let tips = stacked(&alice, way, &heads);
        // Nothing short of the head that replaces bob's first approval brings that approval back.
        alice.land(&tips[0]).refused(&["missing-approvals"]);
        alice.land(&tips[1]).refused(&["missing-approvals"]);
        lands(&server, &alice, &tips[2]);
    }
}

/// The same stack lands head by head: each landing is the base of the next one.
#[test]
fn stack_in_three_pushes() {
    for way in [Stack::Merges, Stack::Squashes, Stack::Rebased] {
        let (server, alice, bob) = two_people_under(&rules_of_the_stack());
        let carol = server.checkout("carol");
        let first = approved(&alice, &bob, "a.txt", &[]);
        let second = approved(&alice, &carol, "b.txt", &[]);
        let keeps = format!("Keeps: {first}");
        let third = approved(&alice, &bob, "c.txt", &[&keeps]);
        for tip in stacked(&alice, way, &[first, second, third]) {
            lands(&server, &alice, &tip);
        }
    }
}

/// Three independent changes, each by another person and reviewed by another, the way a queue puts
/// them on main: one after the other, on the tip the one before made.
fn queued(server: &Server) -> (Checkout, [String; 3]) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|person| server.checkout(person));
    let heads = [(&alice, &bob), (&bob, &carol), (&carol, &alice)].map(|(author, reviewer)| {
        let file = format!("{}.txt", author.person);
        author.change(&format!("more/{file}"), "more\n");
        approved_topic(author, reviewer, &file)
    });
    let bot = server.checkout("release-bot");
    bot.onto("origin/main");
    (bot, heads)
}

/// A merge queue lands three independent heads, in one push or in three; its bot is no contributor.
#[test]
fn queue_of_merges() {
    for at_once in [true, false] {
        let server = Server::new();
        let (bot, heads) = queued(&server);
        let tips = heads.each_ref().map(|head| merge(&bot, head));
        let pushed = if at_once { &tips[2..] } else { &tips[..] };
        for tip in pushed {
            lands(&server, &bot, tip);
        }
        // Between the two ends of a push a commit is reachable: no step ended in it.
        let first = server.cli(&["verify", "commit", &tips[0]]);
        first.exits(i32::from(at_once));
    }
}

/// A queue that squashes leaves one commit a head, in one push or in three.
#[test]
fn queue_of_squashes() {
    for at_once in [true, false] {
        let server = Server::new();
        let (bot, heads) = queued(&server);
        let tips = heads.each_ref().map(|head| squash(&bot, head));
        let pushed = if at_once { &tips[2..] } else { &tips[..] };
        for tip in pushed {
            lands(&server, &bot, tip);
        }
    }
}

/// A queue that rebases leaves a line of copies, in one push or in three; a push that ends between
/// the commits of a head is half of it, and refused.
#[test]
fn queue_of_rebases() {
    for at_once in [true, false] {
        let server = Server::new();
        let (bot, heads) = queued(&server);
        let tips = heads.each_ref().map(|head| pick(&bot, head, 2));
        bot.land(&format!("{}~1", tips[2]))
            .refused(&["missing-approvals"]);
        let pushed = if at_once { &tips[2..] } else { &tips[..] };
        for tip in pushed {
            lands(&server, &bot, tip);
        }
    }
}

/// A queue that mixes its ways lands too: what counts is the tree after each head.
#[test]
fn queue_of_all_ways() {
    let server = Server::new();
    let (bot, heads) = queued(&server);
    merge(&bot, &heads[2]);
    squash(&bot, &heads[0]);
    lands(&server, &bot, &pick(&bot, &heads[1], 2));
}

/// A revert is a change like any other: approved itself it lands, of a merge as of a squash, and as
/// a merge as well as a fast-forward; the same content may then come back as a new change.
#[test]
fn reverts() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    lands(&server, &alice, &merge(&alice, &head));
    alice.git(&["revert", "--no-edit", "-m", "1", "HEAD"]);
    let revert = alice.head();
    alice.land(&revert).refused(&["missing-approvals"]);
    alice.share(&revert);
    bob.approve(&revert).accepted();
    lands(&server, &alice, &revert);

    let head = approved_on_main(&alice, &bob, "b.txt");
    alice.onto("origin/main");
    lands(&server, &alice, &squash(&alice, &head));
    alice.git(&["revert", "--no-edit", "HEAD"]);
    let revert = alice.head();
    alice.share(&revert);
    bob.approve(&revert).accepted();
    carol.onto("origin/main");
    lands(&server, &carol, &merge(&carol, &revert));

    alice.onto("origin/main");
    alice.git(&["revert", "--no-edit", &revert]);
    let again = alice.head();
    alice.land(&again).refused(&["missing-approvals"]);
    alice.share(&again);
    bob.approve(&again).accepted();
    lands(&server, &alice, &again);
}

/// Two heads, both approved, that conflict; the first one has landed.
fn conflicting() -> (Server, Checkout, Checkout, String) {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let first = carol.change("same.txt", "carol's\n");
    carol.share(&first);
    bob.approve(&first).accepted();
    let head = alice.change("same.txt", "alice's\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    lands(&server, &carol, &first);
    alice.onto("origin/main");
    assert!(!alice.try_git(&["merge", "-q", "--no-ff", &head]).ok());
    (server, alice, bob, head)
}

/// A conflict resolved on main's tip is approved as the commit it is; it lands as that, and, once
/// main has moved, merged or squashed.
#[test]
fn resolution_approved_on_its_own() {
    for way in ["forward", "merge", "squash"] {
        let (server, alice, bob, _) = conflicting();
        let resolved = alice.commit(NewCommit {
            files: &[("same.txt", Some("both\n"))],
            ..NewCommit::default()
        });
        uncovered(&server, &alice, &resolved, "same.txt");
        alice.share(&resolved);
        bob.approve(&resolved).accepted();
        if way != "forward" {
            let moved = approved_on_main(&alice, &bob, "moved.txt");
            lands(&server, &alice, &moved);
        }
        alice.onto("origin/main");
        let landing = match way {
            "merge" => merge(&alice, &resolved),
            "squash" => squash(&alice, &resolved),
            _ => resolved,
        };
        lands(&server, &alice, &landing);
    }
}

/// A conflict resolved while rebasing makes another change, which is approved as that.
#[test]
fn resolution_while_rebasing() {
    let (server, alice, bob, head) = conflicting();
    alice.git(&["merge", "--abort"]);
    assert!(!alice.try_git(&["cherry-pick", &head]).ok());
    let resolved = alice.commit(NewCommit {
        files: &[("same.txt", Some("both\n"))],
        ..NewCommit::default()
    });
    uncovered(&server, &alice, &resolved, "same.txt");
    alice.share(&resolved);
    bob.approve(&resolved).accepted();
    lands(&server, &alice, &resolved);
}

/// A conflict resolved by merging main into the topic is a head of the topic, and lands as one.
#[test]
fn resolution_in_the_topic() {
    let (server, alice, bob, head) = conflicting();
    alice.git(&["merge", "--abort"]);
    alice.git(&["checkout", "-q", "--detach", &head]);
    assert!(!alice.try_git(&["merge", "-q", "origin/main"]).ok());
    let resolved = alice.commit(NewCommit {
        files: &[("same.txt", Some("both\n"))],
        ..NewCommit::default()
    });
    alice.onto("origin/main");
    let landing = merge(&alice, &resolved);
    uncovered(&server, &alice, &landing, "same.txt");
    alice.share(&resolved);
    bob.approve(&resolved).accepted();
    lands(&server, &alice, &landing);
}

/// A topic that took main in several times lands on a review of what it then is, also where main
/// moves once more.
#[test]
fn several_updates_from_main() {
    for way in [merge, squash] {
        let (server, alice, bob) = two_people();
        let carol = server.checkout("carol");
        let mut topic = alice.change("topic.txt", "0\n");
        for round in ["1", "2", "3"] {
            let moved = approved_on_main(&carol, &bob, &format!("main-{round}.txt"));
            lands(&server, &carol, &moved);
            alice.onto(&topic);
            merge(&alice, "origin/main");
            topic = alice.change("topic.txt", &format!("{round}\n"));
        }
        alice.share(&topic);
        bob.approve(&topic).accepted();
        let moved = approved_on_main(&carol, &bob, "main-4.txt");
        lands(&server, &carol, &moved);
        alice.onto("origin/main");
        lands(&server, &alice, &way(&alice, &topic));
    }
}

/// An octopus has one tree for several heads, so no first-parent commit shows what each of them
/// gives: it is not covered by the approvals of its heads, one by one. Approved itself it is one
/// head, with everybody's part in it.
#[test]
fn octopus_is_one_head() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let one = approved_topic(&alice, &carol, "one.txt");
    let two = approved_topic(&bob, &carol, "two.txt");
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "octopus", &one, &two]);
    let octopus = alice.head();
    alice
        .land(&octopus)
        .refused(&["missing-approvals", "unreviewed-residual"])
        .says("one.txt")
        .says("two.txt");
    alice.share(&octopus);
    bob.approve(&octopus).accepted();
    alice
        .land(&octopus)
        .refused(&["missing-approvals", "self-approval"]);
    carol.approve(&octopus).accepted();
    lands(&server, &alice, &octopus);

    // The same heads one after the other are each a landing of their own.
    let three = approved_on_main(&alice, &carol, "three.txt");
    let four = approved_on_main(&bob, &carol, "four.txt");
    alice.onto("origin/main");
    merge(&alice, &three);
    lands(&server, &alice, &merge(&alice, &four));
}

/// An approved octopus lands like any head where main has moved.
#[test]
fn octopus_onto_a_moved_base() {
    let (server, alice, bob) = two_people();
    let base = alice.head();
    let one = alice.change("one.txt", "new\n");
    alice.git(&["checkout", "-q", "--detach", &base]);
    let two = alice.change("two.txt", "new\n");
    alice.git(&["checkout", "-q", "--detach", &base]);
    alice.git(&["merge", "-q", "--no-ff", "-m", "octopus", &one, &two]);
    let octopus = alice.head();
    alice.share(&octopus);
    bob.approve(&octopus).accepted();
    let carol = server.checkout("carol");
    lands(&server, &carol, &approved_topic(&carol, &bob, "moved.txt"));
    alice.onto("origin/main");
    lands(&server, &alice, &merge(&alice, &octopus));
}

/// The base of a landing is the reviewer's: whoever first puts half of the head behind main, with
/// none of its content, makes git's merge lose that half, and it is that merge which is refused.
#[test]
fn base_is_not_moved_by_an_empty_merge() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let half = alice.change("half.txt", "new\n");
    let head = approved_topic(&alice, &bob, "whole.txt");
    carol.onto("origin/main");
    carol.fetch();
    carol.git(&["merge", "-q", "--no-ff", "-s", "ours", "-m", "ours", &half]);
    let ours = carol.head();
    carol.share(&ours);
    bob.approve(&ours).accepted();
    lands(&server, &carol, &ours);

    alice.onto("origin/main");
    let by_git = merge(&alice, &head);
    assert!(!alice.dir().join("half.txt").exists(), "git lost it");
    uncovered(&server, &alice, &by_git, "half.txt");
    let whole = commit_tree(&alice, &alice.tree(&head), &[&ours, &head]);
    lands(&server, &alice, &whole);
}

/// Half of a head that landed on a review of its own since is its base, for everybody.
#[test]
fn base_is_moved_by_a_counted_head() {
    for way in [merge, squash] {
        let (server, alice, bob) = two_people();
        let carol = server.checkout("carol");
        let half = approved_topic(&alice, &carol, "half.txt");
        let head = approved_topic(&alice, &bob, "whole.txt");
        alice.onto("origin/main");
        lands(&server, &alice, &way(&alice, &half));
        // What main did to the half since then stays done.
        let edited = {
            alice.onto("origin/main");
            alice.change("half.txt", "edited\n")
        };
        alice.share(&edited);
        bob.approve(&edited).accepted();
        lands(&server, &alice, &edited);
        alice.onto("origin/main");
        let landing = pick(&alice, &head, 1);
        lands(&server, &alice, &landing);
        assert_eq!(
            alice.git(&["show", &format!("{landing}:half.txt")]),
            "edited"
        );
    }
}

/// A base older than the tip the reviewer saw is found all the same: a topic from before main moved,
/// reviewed after.
#[test]
fn topic_older_than_what_the_reviewer_saw() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = alice.change("a.txt", "new\n");
    lands(&server, &carol, &approved_topic(&carol, &bob, "moved.txt"));
    alice.share(&head);
    bob.approve(&head).accepted();
    alice
        .push(&[&format!("+{head}:{MAIN}")])
        .refused(&["rewound-branch"]);
    alice.onto("origin/main");
    lands(&server, &alice, &merge(&alice, &head));
}

/// Reviewed before its lower part landed, the upper part of a stack has that for its base; reviewed
/// after the lower part was squashed, it is over a main that has the same twice, and conflicts where
/// both wrote: then what is built on the tip is reviewed.
#[test]
fn stack_whose_lower_part_was_squashed() {
    for before in [true, false] {
        let (server, alice, bob) = two_people();
        let carol = server.checkout("carol");
        let lower = alice.change("a.txt", "one\n");
        alice.share(&lower);
        bob.approve(&lower).accepted();
        let upper = alice.change("a.txt", "two\n");
        alice.share(&upper);
        if before {
            carol.approve(&upper).accepted();
        }
        alice.onto("origin/main");
        lands(&server, &alice, &squash(&alice, &lower));
        if !before {
            carol.approve(&upper).accepted();
        }
        let on_tip = pick(&alice, &upper, 1);
        if !before {
            uncovered(&server, &alice, &on_tip, "a.txt");
            alice.share(&on_tip);
            carol.approve(&on_tip).accepted();
        }
        lands(&server, &alice, &on_tip);
    }
}
