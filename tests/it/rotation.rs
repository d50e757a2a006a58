//! The log goes over to another key, from store to store, and who knows an earlier one can follow.

use std::fs;
use std::path::Path;

use crate::key_stores::{Agent, Token, command, settings};
use crate::second_verifier::python;
use crate::support::server::scrubbed;
use crate::support::{Outcome, approved_topic, two_people};

/// From a file to an agent to a token to a command: after each, pushes land, and both verifiers take
/// every earlier key for what it is, and every earlier checkpoint; another log's key leads nowhere.
#[test]
fn from_store_to_store() {
    let (server, alice, bob) = two_people();
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path());
    agent.add("one");
    let mut stores = vec![format!("{{ agent = \"{}\" }}", agent.socket.display())];
    let token = Token::new(&server);
    let conf = token.as_ref().map(Token::conf).unwrap_or_default();
    let (alice, bob) = (
        alice.env("SOFTHSM2_CONF", &conf),
        bob.env("SOFTHSM2_CONF", &conf),
    );
    stores.extend(token.as_ref().map(|token| token.value("note")));
    stores.push(command(folder.path()));
    let kept = |name: &str, number: usize| {
        let path = server.folder().join(format!("{name}-{number}"));
        fs::copy(server.record(&format!("log/{name}")), &path).unwrap();
        path
    };
    let mut kept_files = Vec::new();
    let mut key = "\"file\"".to_owned();
    for (number, store) in stores.iter().enumerate() {
        let file = format!("{number}.txt");
        let head = approved_topic(&alice, &bob, &file);
        alice.land(&head).accepted();
        kept_files.push((kept("vkey", number), kept("checkpoint", number)));
        settings(&server, &format!("key = {key}\nnext = {store}"));
        let told = server.cli(&["log", "rotate", "--reason", "moved", "--json"]);
        let told = told.accepted().json();
        assert_eq!(told["size"], server.log_size());
        let vkey = fs::read_to_string(server.record("log/vkey")).unwrap();
        assert_eq!(told["key"], vkey.trim_end());
        assert!(!server.record("key").exists());
        // Before and after the admin has changed the settings; again does nothing.
        let head = approved_topic(&alice, &bob, &format!("next-{file}"));
        alice.land(&head).accepted();
        let size = server.log_size();
        server
            .cli(&["log", "rotate"])
            .accepted()
            .says("the log's already");
        assert_eq!(server.log_size(), size);
        key.clone_from(store);
        settings(&server, &format!("key = {key}"));
    }
    server.cli(&["log", "rotate"]).exits(2).says("next = ");
    let shown = server.cli(&["log", "show"]).accepted().stdout;
    assert_eq!(shown.matches("rotated").count(), stores.len(), "{shown}");
    let record = server.record("");
    server.cli(&["verify", "history"]).accepted();
    for (vkey, checkpoint) in &kept_files {
        let (key, from) = (vkey.to_str().unwrap(), checkpoint.to_str().unwrap());
        let args = ["--key", key, "--from", from];
        server
            .cli(&[&["log", "verify"], &args[..]].concat())
            .accepted();
        server
            .cli(&[&["verify", "history"], &args[..]].concat())
            .accepted();
        let args = args.map(Path::new);
        python(&[&[record.as_path()], &args[..]].concat()).accepted();
    }
    let (other, ..) = two_people();
    let other = other.record("log/vkey");
    let args = ["log", "verify", "--key", other.to_str().unwrap()];
    server.cli(&args).exits(1).says("no rotation leads");
    python(&[&record, Path::new("--key"), &other]).exits(1);
}

/// A proof is verified under the key that signed it; who knows an earlier one is told so, and gets there
/// with what `log/rotations` has.
#[test]
fn proofs_follow_the_key() {
    let (server, alice, bob) = two_people();
    let old = server.folder().join("old");
    fs::copy(server.record("log/vkey"), &old).unwrap();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let prove = |name: &str| {
        let path = server.folder().join(name);
        let args = ["log", "prove", "2", "-o", path.to_str().unwrap()];
        server.cli(&args).accepted();
        path
    };
    let before = prove("before");
    let mut links = Vec::new();
    for _ in 0..2 {
        server.cli(&["log", "rotate"]).accepted();
        links.push(server.record(&format!("log/rotations/{}", server.log_size())));
    }
    let at = prove("at");
    let head = approved_topic(&alice, &bob, "b.txt");
    alice.land(&head).accepted();
    let after = prove("after");
    let both = |proof: &Path, key: &Path, links: &[&Path], code: i32| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), server.folder());
        command
            .args(["verify", "proof"])
            .arg(proof)
            .arg("--key")
            .arg(key);
        let mut args = vec![Path::new("--proof"), proof, Path::new("--key"), key];
        for link in links {
            command.arg("--rotation").arg(link);
            args.extend([Path::new("--rotation"), link]);
        }
        python(&args).exits(code);
        Outcome::of(&mut command, b"").exits(code)
    };
    let vkey = server.record("log/vkey");
    let [one, two] = [&links[0], &links[1]].map(|link| link.as_path());
    both(&before, &old, &[], 0);
    both(&before, &vkey, &[], 1).says("--rotation");
    both(&after, &vkey, &[], 0);
    both(&after, &old, &[], 1)
        .says("not by its key")
        .says("--rotation");
    both(&after, &old, &[one, two], 0);
    both(&after, &old, &[one], 1);
    both(&after, &old, &[two, one], 1).says("no rotation from");
    both(&after, &old, &[&before], 1).says("nothing of another key");
    // Signed by the last two keys.
    both(&at, &vkey, &[], 0);
    both(&at, &old, &[one], 0);
    // A link is a proof like any other.
    both(one, &old, &[], 0).says("new key");
}

/// Both verifiers refuse what an attacker makes of the files of a rotation.
#[test]
fn both_refuse_other_chains() {
    let (server, alice, bob) = two_people();
    let [vkey, link] = ["log/vkey", "log/rotations/2"].map(|name| server.record(name));
    let old = fs::read(&vkey).unwrap();
    server.cli(&["log", "rotate"]).accepted();
    let good = fs::read_to_string(&link).unwrap();
    let new = fs::read(&vkey).unwrap();
    let both = |code: i32, what: &str| {
        let ours = server.cli(&["log", "verify"]);
        let theirs = python(&[&server.record("")]);
        let found = (ours.status, theirs.status);
        assert_eq!(found, (Some(code), Some(code)), "{what}: {ours}{theirs}");
    };
    both(0, "as made");
    fs::write(&vkey, &old).unwrap();
    both(0, "cut off before the new key");
    fs::remove_file(&link).unwrap();
    both(0, "cut off before the link");
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(fs::read_to_string(&link).unwrap(), good);
    assert_eq!(fs::read(&vkey).unwrap(), new);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    both(0, "and landed on");
    let lines: Vec<&str> = good.lines().collect();
    let without = |gone: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != gone);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    for (what, text) in [
        ("signed by one key", without(lines.len() - 1)),
        ("signed by the other", without(lines.len() - 2)),
        ("without its entry", without(1)),
        ("empty", String::new()),
    ] {
        fs::write(&link, text).unwrap();
        both(1, what);
        // Nor is anything appended to it.
        server.cli(&["log", "reconcile"]).refused(&[]);
    }
    fs::remove_file(&link).unwrap();
    both(1, "gone");
    fs::write(server.record("log/rotations/1"), &good).unwrap();
    both(1, "under another size");
    fs::remove_file(server.record("log/rotations/1")).unwrap();
    let (other, ..) = two_people();
    other.cli(&["log", "rotate"]).accepted();
    fs::copy(other.record("log/rotations/2"), &link).unwrap();
    both(1, "another log's");
    fs::write(&link, &good).unwrap();
    fs::write(server.record("log/rotations/.2.tmp"), "torn").unwrap();
    both(0, "what a crash leaves");
    let head = approved_topic(&alice, &bob, "b.txt");
    alice.land(&head).accepted();
    both(0, "and it goes on");
}
