//! Files on the server that make git see another history than there is.

use std::fs;

use crate::support::{MAIN, approved_topic, two_people};

/// HOOK-16: grafts and a shallow file hide parents from git, not from the judge.
#[test]
fn hook_16_grafts_and_shallow() {
    let (server, alice, bob) = two_people();
    let good = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    alice.change("evil.txt", "evil\n");
    alice.git(&["rm", "-q", "evil.txt"]);
    let evil = alice.change("b.txt", "harmless\n");
    alice.share(&evil);
    let tip = server.main();
    // To git, `evil` is now a root, or one harmless commit on main.
    for (file, text) in [
        ("info/grafts", format!("{evil} {good}\n")),
        ("info/grafts", format!("{evil} {tip}\n")),
        ("shallow", format!("{evil}\n")),
    ] {
        let path = server.repo().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        alice.land(&evil).refused(&[]);
        assert_eq!(server.main(), tip, "{file}");
        fs::remove_file(path).unwrap();
    }
    alice.land(&good).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// HOOK-06: a ref written below the hook is no landing, and an approval afterwards makes it none.
#[test]
fn hook_06_written_below_the_hook() {
    let (server, alice, bob) = two_people();
    let stray = alice.change("stray.txt", "evil\n");
    alice.share(&stray);
    fs::write(server.repo().join(MAIN), format!("{stray}\n")).unwrap();
    server.cli(&["verify", "commit", &stray]).exits(1);
    server.cli(&["log", "adopt", MAIN]).accepted();
    bob.approve(&stray).either();
    server.cli(&["log", "reconcile"]).either();
    server.cli(&["verify", "commit", &stray]).exits(1);
}
