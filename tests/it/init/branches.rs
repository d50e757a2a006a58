//! Branches that are called otherwise than `main`, cut short, or to do harm.

use std::fs;
use std::path::Path;

use super::{NOW, history, names, set};
use crate::support::outcome::Outcome;
use crate::support::{MAIN, keys};

/// A shallow clone is read as far as it goes, and a branch that is called otherwise is enrolled as the
/// last lines say.
#[test]
fn other_branches_and_shallow_clones() {
    let server = history(
        &[("A", "a@x", NOW), ("B", "b@x", NOW), ("C", "c@x", NOW)],
        &[],
    );
    let bob = server.checkout("bob");
    let url = server.url();
    bob.git(&["clone", "-q", "--depth", "2", &url, "shallow"]);
    let shown = bob
        .countersign(&["-C", "shallow", "init", "--print", "--json"])
        .exits(0);
    assert_eq!(names(&shown.json()), set(&["b", "c"]));
    // By what the last lines say, a branch that is called otherwise holds the policy.
    server.git(&["branch", "-m", "main", "master"]);
    server.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    bob.git(&["fetch", "-q", "--prune", "origin"]);
    bob.git(&["checkout", "-q", "-B", "master", "origin/master"]);
    bob.git(&["branch", "-D", "main"]);
    let folder = server.folder().join("keys");
    fs::create_dir(&folder).unwrap();
    for (person, key) in [("a", "alice"), ("b", "bob")] {
        fs::write(
            folder.join(format!("{person}.pub")),
            keys::public(key) + "\n",
        )
        .unwrap();
    }
    let done = bob
        .countersign(&["init", "--keys", folder.to_str().unwrap()])
        .exits(0);
    let next = done.stderr.split_once("next:\n").unwrap().1;
    let commands: Vec<String> = next
        .lines()
        .map(|line| {
            line.trim()
                .replace("<repository>", server.repo().to_str().unwrap())
        })
        .filter(|line| line.starts_with("countersign") || line.starts_with("git"))
        .collect();
    assert_eq!(commands.len(), 5, "{next}");
    // Without the option nothing is written, and the way on is told; a `main` that is no longer in use
    // does not change that.
    let bare = server.repo().to_str().unwrap();
    let key = folder.join("a.pub");
    let first = ["--init", "a", "--key", key.to_str().unwrap()];
    let unsaid = |more: &[&str]| {
        server
            .cli(&[&["enroll", bare], more].concat())
            .exits(2)
            .says("no policy on refs/heads/main, and the repository's HEAD is refs/heads/master")
            .says("--policy-ref refs/heads/master");
        assert!(!server.record("server.toml").exists());
    };
    unsaid(&[]);
    unsaid(&first);
    server.git(&["update-ref", MAIN, "refs/heads/master"]);
    unsaid(&first);
    assert_eq!(server.tip(MAIN), server.tip("refs/heads/master"));
    server.git(&["update-ref", "-d", MAIN]);
    let script = format!("set -e\nPATH=\"$1:$PATH\"\n{}", commands.join("\n"));
    let bin = Path::new(env!("CARGO_BIN_EXE_countersign"))
        .parent()
        .unwrap();
    let mut command = bob.command("sh");
    command.args(["-c", &script, "sh", bin.to_str().unwrap()]);
    Outcome::of(&mut command, b"").exits(0);
    for (asked, code) in [("main", 2), ("master", 0), ("refs/tags/v1", 2), ("a b", 2)] {
        server
            .cli(&["enroll", bare, "--policy-ref", asked])
            .exits(code);
    }
    let head = bob.change("file", "unreviewed\n");
    let pushed = bob.push(&[&format!("{head}:refs/heads/master")]).accepted();
    assert!(pushed.codes().contains("missing-approvals"), "{pushed}");
}

/// No name of a branch gets into the commands that are told.
#[test]
fn hostile_branch() {
    let server = history(&[("A", "a@x", NOW), ("B", "b@x", NOW)], &[]);
    server.git(&["branch", "-m", "main", "$(touch\u{a0}x);id"]);
    server.git(&["symbolic-ref", "HEAD", "refs/heads/$(touch\u{a0}x);id"]);
    let shown = server.cli(&["init"]).exits(0);
    let next = shown.stderr.split_once("next:\n").unwrap().1;
    assert!(
        next.contains("git push origin <branch>") && !next.contains("touch"),
        "{next}"
    );
    let refused = server.cli(&["enroll", "."]).exits(2);
    let hints = refused
        .stderr
        .lines()
        .filter(|line| line.starts_with("hint: "));
    let hints: Vec<&str> = hints.collect();
    assert!(hints.len() == 1 && !hints[0].contains("touch"), "{refused}");
}
