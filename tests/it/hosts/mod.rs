//! The hosts of `docs/hosts/`, each as it is installed: who pushes is what the host says.

mod forgejo;
mod gitolite;
mod http;

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Checkout, MAIN, Outcome, Server};

/// The pusher of an entry.
const BY_ALICE: &str = r#"{"person":"alice"}"#;

/// Finds a program of the host, or says loudly that there is none; in CI that is a failure.
fn program(name: &str, package: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} is not installed, and in CI it must be"
        );
        eprintln!("SKIPPED: {name} is not installed ({package})");
    }
    found
}

/// Alice's change is refused, shared, approved by bob and landed, and the record names both of them.
#[track_caller]
fn main_job(server: &Server, alice: &Checkout, bob: &Checkout) {
    let before = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    assert_eq!(server.main(), head);
    server
        .cli(&["verify", "commit", &head, "--onto", "main"])
        .exits(0);
    server.cli(&["verify", "history"]).exits(0);
    assert_eq!(last(server), BY_ALICE);
}

/// Who pushed the latest landing on main, as the log has it.
fn last(server: &Server) -> String {
    let shown = server
        .cli(&["log", "show", "--ref", MAIN, "--json"])
        .accepted();
    let entries = shown.stdout.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["entry"].clone()
    });
    let mut landed = entries.filter(|entry| entry["kind"] == "landed");
    landed.next_back().unwrap()["pusher"].to_string()
}

/// What the doctor finds open; where sshd does not matter, nothing of this machine's is read.
#[track_caller]
fn open(server: &Server) -> Vec<String> {
    open_in(server.countersign(&doctor(server)))
}

fn doctor(server: &Server) -> Vec<&str> {
    let repo = server.repo().to_str().unwrap();
    let none = "/nonexistent";
    vec![
        "-C",
        repo,
        "doctor",
        "--json",
        "--sshd-config",
        none,
        "--authorized-keys",
        none,
    ]
}

#[track_caller]
fn open_in(mut doctor: Command) -> Vec<String> {
    let value = Outcome::of(&mut doctor, b"").json();
    let checks = value["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["state"] != "ok")
        .map(|check| format!("{}: {}", check["check"].as_str().unwrap(), check["open"]))
        .collect()
}
