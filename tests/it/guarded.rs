//! The short way past the ref gate: it answers as the long one does, and of one moment alone.

use std::fs;
use std::path::PathBuf;

use crate::support::config::PLAIN_RULE;
use crate::support::{MAIN, Outcome, Server, approved_topic, policy, two_people};

const POLICY: &str = ".countersign/policy.toml";

fn file(server: &Server) -> PathBuf {
    server.repo().join("countersign/guarded")
}

/// Asks the ref gate about names that shall be made, as git would.
fn asked(server: &Server, names: &[&str]) -> Outcome {
    let (zero, main) = ("0".repeat(40), server.main());
    let lines = names.iter().map(|name| format!("{zero} {main} {name}\n"));
    let mut command = server.countersign(&["hook", "reference-transaction", "prepared"]);
    command.current_dir(server.repo()).env("GIT_DIR", ".");
    Outcome::of(&mut command, lines.collect::<String>().as_bytes())
}

/// Has the file written, if it is not there.
fn known(server: &Server) -> Vec<u8> {
    asked(server, &["refs/heads/any"]).accepted();
    fs::read(file(server)).unwrap()
}

/// Whatever the name, the answer with the file is the answer without.
#[test]
fn same_answer() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let names = [
        "refs/heads/topic",
        "refs/heads/Topic/x",
        "refs/tags/x1",
        "refs/notes/commits",
        "HEAD",
        "MERGE_HEAD",
        MAIN,
        "refs/heads/release/1",
        "refs/heads/Release/1",
        "refs/heads/MAIN",
        "refs/heads/ma\u{456}n",
        "refs/tags/main",
        "refs/heads/origin/main",
        "refs/remotes/origin/main",
        "refs/tags/v1",
        "refs/tags/V1",
        "refs/heads/refs/heads/main",
        "refs/heads/x/refs/heads/main",
        "refs/namespaces/n/refs/heads/main",
        "refs/main",
        "refs/replace/x",
        "refs/Replace/x",
        "refs/countersign/keep/x",
        "refs/countersign",
        "refs/Countersign/keep",
        "refs/heads/HEAD",
        "refs/heads/a b",
        "refs/heads/a..b",
        "refs/heads/-x",
        "refs/heads/\u{202e}x",
        "refs/stash",
        "refs/heads/x.lock",
    ];
    let mut passed = 0;
    for name in names {
        for names in [&[name][..], &["refs/heads/free", name]] {
            known(&server);
            let short = asked(&server, names);
            fs::remove_file(file(&server)).unwrap();
            let long = asked(&server, names);
            assert_eq!(short.status, long.status, "{names:?}: {short}{long}");
            assert_eq!(short.codes(), long.codes(), "{names:?}");
            passed += usize::from(long.ok());
        }
    }
    assert!((10..names.len()).contains(&passed), "{passed}");
}

/// A policy that begins to protect a name holds at once, also where an older file is put back.
#[test]
fn of_one_checkpoint() {
    let (server, alice, bob) = two_people();
    let main = server.main();
    let write = |name: &str| server.admin("git", &["update-ref", name, &main]);
    let old = known(&server);
    write("refs/heads/stable/1").accepted();
    let protects = format!(
        "{}[[ref]]\nmatch = [\"refs/heads/stable/**\"]\n",
        policy(PLAIN_RULE)
    );
    alice.onto("origin/main");
    let head = alice.change(POLICY, &protects);
    alice.share(&head);
    bob.approve(&head).accepted();
    // Not yet.
    write("refs/heads/stable/2").accepted();
    alice.land(&head).accepted();
    let new = fs::read(file(&server)).unwrap();
    assert_ne!(old, new);
    write("refs/heads/stable/3").refused(&["unknown-pusher"]);
    fs::write(file(&server), &old).unwrap();
    write("refs/heads/stable/3").refused(&["unknown-pusher"]);
    write("refs/heads/topic").accepted();
    assert_eq!(fs::read(file(&server)).unwrap(), new);
}

/// Nothing is believed of other settings, another repository, another body or half a file.
#[test]
fn of_one_repository() {
    let (server, _, _) = two_people();
    let good = known(&server);
    let mut cut = good.clone();
    cut.truncate(good.len() - 1);
    let text = String::from_utf8(good.clone()).unwrap();
    let (line, body) = text.split_once('\n').unwrap();
    let without = body.replace("refs/heads/release/**", "refs/heads/rel/**");
    assert_ne!(body, without);
    let other = two_people().0;
    let theirs = known(&other);
    let broken = [
        cut,
        format!("{line}\n{without}").into_bytes(),
        format!("{}\n{body}", "0".repeat(64)).into_bytes(),
        body.as_bytes().to_vec(),
        [theirs.clone(), good.clone()].concat(),
        theirs,
        Vec::new(),
    ];
    for bytes in broken {
        fs::write(file(&server), &bytes).unwrap();
        asked(&server, &["refs/heads/release/1"]).refused(&["unknown-pusher"]);
        asked(&server, &["refs/heads/topic"]).accepted();
        assert_eq!(fs::read(file(&server)).unwrap(), good);
    }
    // Another policy ref, which is nowhere: nobody can tell.
    let settings = server.repo().join("countersign/server.toml");
    let before = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        before.replace("refs/heads/main", "refs/heads/trunk"),
    )
    .unwrap();
    asked(&server, &["refs/heads/topic"]).refused(&["policy-missing"]);
    fs::write(&settings, "pusher = 1\n").unwrap();
    asked(&server, &["refs/heads/topic"]).exits(2);
    fs::write(&settings, before).unwrap();
    asked(&server, &["refs/heads/topic"]).accepted();
    // Without its record.
    let (log, aside) = (server.record("log"), server.record("aside"));
    fs::rename(&log, &aside).unwrap();
    asked(&server, &["refs/heads/topic"]).exits(2);
    fs::rename(&aside, &log).unwrap();
    // A copy elsewhere has a record of its own, and says so.
    let copy = server.folder().join("copy.git");
    let cp = std::process::Command::new("cp")
        .arg("-a")
        .args([server.repo(), &copy])
        .status();
    assert!(cp.unwrap().success());
    let moved = fs::read(copy.join("countersign/guarded")).unwrap();
    let copied = server.at(copy);
    asked(&copied, &["refs/heads/topic"]).accepted();
    assert_ne!(known(&copied), moved);
}

/// What is no file is not waited for, and an intent that cannot be read concerns no free ref.
#[test]
fn in_its_way() {
    let (server, _, _) = two_people();
    let good = known(&server);
    fs::remove_file(file(&server)).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(file(&server))
        .status();
    assert!(pipe.unwrap().success());
    asked(&server, &["refs/heads/x"]).accepted();
    assert_eq!(fs::read(file(&server)).unwrap(), good);
    let body = String::from_utf8(good.clone()).unwrap();
    let pipe = server.folder().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let checkpoint = server.record("log/checkpoint").canonicalize().unwrap();
    let elsewhere = body.replace(checkpoint.to_str().unwrap(), pipe.to_str().unwrap());
    assert_ne!(elsewhere, body);
    fs::write(file(&server), elsewhere).unwrap();
    asked(&server, &["refs/heads/x"]).accepted();
    fs::remove_file(file(&server)).unwrap();
    let intent = server.record(&format!("intents/{}.json", "0".repeat(32)));
    fs::write(&intent, "garbage").unwrap();
    asked(&server, &["refs/heads/x"]).accepted();
    asked(&server, &["refs/heads/x", "refs/heads/release/1"]).exits(3);
}

/// A push and what lands leave the file as it must be for the next write.
#[test]
fn kept_by_landings() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    fs::remove_file(file(&server)).ok();
    alice.land(&head).accepted();
    let landed = fs::read(file(&server)).unwrap();
    let main = server.main();
    server
        .admin("git", &["update-ref", "refs/heads/x", &main])
        .accepted();
    assert_eq!(fs::read(file(&server)).unwrap(), landed);
    server.cli(&["audit"]).accepted();
    // The short way needs neither the log's key nor an object; the long one does.
    let (key, aside) = (server.record("log/vkey"), server.record("aside"));
    fs::rename(&key, &aside).unwrap();
    asked(&server, &["refs/heads/y"]).accepted();
    asked(&server, &["refs/heads/y", MAIN]).exits(3);
    fs::remove_file(file(&server)).unwrap();
    asked(&server, &["refs/heads/y"]).exits(3);
    fs::rename(&aside, &key).unwrap();
}
