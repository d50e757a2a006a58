//! The power goes, the disk is full, the hook is killed: `docs/crashes.md`, held by the real binary.
//!
//! strace stands between git and a hook, and kills it at a write or answers the write with an error.
//! `COUNTERSIGN_CRASHES` says how many such pushes to try instead of each once.

mod scene;

use crate::support::checkout::review_message;
use crate::support::objects::commit_tree;
use crate::support::{MAIN, two_people};
use scene::{Fault, HOOKS, Scene, WRITES};

/// One push of all there is: a topic nobody has seen, bob's review of it, and its squashed landing.
fn landing() -> Scene {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    bob.git(&["fetch", "-q", alice.dir().to_str().unwrap(), &head]);
    let message = review_message("approve", MAIN, &[]);
    let tag = bob.tag_review(&head, &message);
    alice.git(&["fetch", "-q", bob.dir().to_str().unwrap(), &tag]);
    let squashed = commit_tree(&alice, &alice.tree(&head), &[&server.main()]);
    let review = format!("refs/countersign/reviews/{head}/bob");
    let moves = [
        ("refs/heads/topic", head.as_str()),
        (&review, &tag),
        (MAIN, &squashed),
    ];
    Scene::new(server, alice, &moves)
}

/// Pushes with each of the faults, and lets the next run close what is open: `log reconcile` and the
/// same push again take turns.
fn try_all(scene: &Scene, faults: &[Fault]) {
    assert!(!faults.is_empty());
    for (number, fault) in faults.iter().enumerate() {
        let what = format!("{fault:?}");
        let pushed = scene.push_with(fault);
        scene.check_after(&pushed, &what);
        if number % 2 == 0 {
            let settled = scene.server.cli(&["log", "reconcile"]);
            assert!(settled.ok(), "{what}: {settled}");
        }
        let again = scene.push();
        assert!(again.ok(), "{what}: {again}");
        scene.server.cli(&["log", "reconcile"]).accepted();
        assert_eq!(scene.moved(), scene.moves.len(), "{what}");
        scene.check_settled(&what);
        scene.reset();
    }
}

/// Every write of every hook of a push, with this fault.
fn each_write(scene: &Scene, how: &'static str, on: bool, calls: &[&str]) -> Vec<Fault> {
    let counts = scene.writes();
    let mut faults = Vec::new();
    for hook in HOOKS {
        for call in WRITES.into_iter().filter(|call| calls.contains(call)) {
            let count = counts.get(&(hook, call)).copied().unwrap_or(0);
            faults.extend((1..=count).map(|at| Fault {
                hook,
                call,
                at,
                how,
                on,
            }));
        }
    }
    faults
}

/// A hook that is killed at any write of a landing leaves what the next run closes.
#[test]
fn killed_at_every_write() {
    let scene = landing();
    let faults = each_write(&scene, "signal=KILL", false, &WRITES);
    eprintln!("{} faults", faults.len());
    try_all(&scene, &faults);
}
