//! The power goes, the disk is full, the hook is killed: `docs/crashes.md`, held by the real binary.
//!
//! strace stands between git and a hook, and kills it at a write or answers the write with an error.
//! `COUNTERSIGN_CRASHES` says how many such pushes each test tries, instead of a selection once.

mod damage;
mod disks;
mod scene;
mod together;

use crate::support::checkout::review_message;
use crate::support::objects::commit_tree;
use crate::support::{MAIN, Outcome, two_people};
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

/// A hook that is killed at any write leaves what the next run closes, and nothing that is accepted
/// without a trace.
#[test]
fn killed_at_every_write() {
    let scene = landing();
    try_all(&scene, &each_write(&scene, &[("signal=KILL", &WRITES)]));
}

/// A disk that is full, gone read-only or broken refuses, in words, or is put on record later.
#[test]
fn an_error_at_every_write() {
    let scene = landing();
    let errors: [(&str, &[&str]); 3] = [
        ("error=ENOSPC", &["write", "pwrite64", "mkdir"]),
        ("error=EIO", &["fsync", "fdatasync"]),
        ("error=EROFS", &["rename", "unlink", "ftruncate"]),
    ];
    try_all(&scene, &each_write(&scene, &errors));
}

/// Lists a fault for each write of every hook of a push.
fn each_write(scene: &Scene, faults: &[(&'static str, &[&'static str])]) -> Vec<Fault> {
    let counts = scene.writes();
    let mut all = Vec::new();
    for hook in HOOKS {
        for (how, calls) in faults {
            for call in *calls {
                let count = counts.get(&(hook, *call)).copied().unwrap_or(0);
                all.extend((1..=count).map(|at| Fault {
                    hook,
                    call,
                    at,
                    how,
                    // A full disk stays full, a bad block is one.
                    on: at % 2 == 0 && *how != "signal=KILL",
                }));
            }
        }
    }
    all
}

/// Pushes with each of the faults, and lets the next run close what is open: `log reconcile` and the
/// same push again take turns.
fn try_all(scene: &Scene, all: &[Fault]) {
    let wanted = std::env::var("COUNTERSIGN_CRASHES").ok();
    let wanted: Option<usize> = wanted.map(|count| count.parse().unwrap());
    // Half of the writes are the index's, which can be built again, and look alike. A kill before a
    // sync leaves what a kill before the next write does.
    let is_chosen = |fault: &&Fault| match fault.call {
        "pwrite64" => fault.at % 6 == 1,
        "fsync" => fault.how != "signal=KILL",
        _ => true,
    };
    let few: Vec<&Fault> = all.iter().filter(is_chosen).collect();
    let tried: Vec<&Fault> = match wanted {
        Some(count) => all.iter().cycle().take(count).collect(),
        None => few,
    };
    let (mut refused, mut accepted) = (0, 0);
    for (number, fault) in tried.into_iter().enumerate() {
        let what = format!("push {number}, {fault:?}");
        let pushed = scene.push_with(fault);
        match pushed.ok() {
            true => accepted += 1,
            false => refused += 1,
        }
        scene.check_after(&pushed, &what);
        if !pushed.ok() && fault.how != "signal=KILL" && !fault.on {
            assert!(pushed.stderr.contains("countersign: "), "{what}: {pushed}");
        }
        let reconcile = || scene.server.cli(&["log", "reconcile"]);
        // A push of what is there already runs no hook.
        let closings: [&dyn Fn() -> Outcome; 2] = match number % 2 {
            0 => [&reconcile, &|| scene.push()],
            _ => [&|| scene.push(), &reconcile],
        };
        for close in closings {
            let closed = close();
            assert!(closed.ok(), "{what}: {closed}");
        }
        assert_eq!(scene.moved(), scene.moves.len(), "{what}");
        scene.check_settled(&what);
        scene.reset();
    }
    assert!(refused > 10 && accepted > 10, "{refused}, {accepted}");
}
