//! `countersign audit`: what was done on the host's disk past every hook, and what is said of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use countersign::record::Record;
use countersign::record::entry::{Entry, Incident, IncidentState};
use serde_json::Value;

use crate::support::{Checkout, MAIN, Outcome, Server, approved_topic, two_people};

/// The codes of what an audit finds, in its order; the exit code must be that of the findings.
#[track_caller]
pub(crate) fn codes(server: &Server) -> Vec<String> {
    codes_of(&server.cli(&["audit", "--json"]))
}

/// The same of one run, which looked at everything.
#[track_caller]
pub(crate) fn codes_of(outcome: &Outcome) -> Vec<String> {
    let unread = &outcome.json()["unread"];
    assert_eq!(unread, &serde_json::json!([]), "{outcome}");
    codes_in_part(outcome)
}

/// The same of a run that may not have looked at everything.
#[track_caller]
fn codes_in_part(outcome: &Outcome) -> Vec<String> {
    let value = outcome.json();
    assert_eq!(value["schema"], "countersign.audit/v1");
    let findings = value["findings"].as_array().unwrap();
    let loud = findings.iter().any(|finding| finding["weight"] != "note");
    let whole = value["unread"].as_array().unwrap().is_empty();
    let want = match (loud, whole) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => 3,
    };
    assert_eq!(outcome.status, Some(want), "{outcome}");
    assert_eq!(value["ok"], want == 0, "{outcome}");
    let code = |finding: &Value| finding["code"].as_str().unwrap().to_owned();
    findings.iter().map(code).collect()
}

/// The same for a person: 80 columns, and every code said.
#[track_caller]
fn readable(server: &Server, codes: &[&str]) {
    let outcome = server.cli(&["audit"]);
    for line in outcome.stdout.lines() {
        // A path of the test's own folder may be longer than a line; nothing else is.
        let fits = line.chars().count() <= 80 || line.contains("/tmp");
        assert!(fits, "{line}\n{outcome}");
    }
    for code in codes {
        assert!(outcome.stdout.contains(&format!("[{code}]")), "{outcome}");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(done.unwrap().success());
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the commands that a finding gives, in the repository, as an admin would.
#[track_caller]
pub(crate) fn mend(server: &Server, finding: &Value, count: usize) {
    let bin = Path::new(env!("CARGO_BIN_EXE_countersign"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for command in finding["commands"].as_array().unwrap().iter().take(count) {
        let mut shell = crate::support::server::scrubbed("sh", server.folder());
        shell.current_dir(server.repo()).env("PATH", &path);
        Outcome::of(shell.args(["-c", command.as_str().unwrap()]), b"").accepted();
    }
}

/// A server with a landing and a topic nobody reviewed; returns the topic's commit.
pub(crate) fn busy() -> (Server, Checkout, Checkout, String) {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let stray = alice.change("src/stray.rs", "fn stray() {}\n");
    alice.share(&stray);
    (server, alice, bob, stray)
}

/// What is done, what must be found, and how many of the commands given put it right.
type Tampering<'a> = (&'a str, Box<dyn Fn(&Server) + 'a>, &'a [&'a str], usize);

#[track_caller]
fn each(server: &Server, tamperings: &[Tampering<'_>]) {
    assert_eq!(codes(server), Vec::<String>::new());
    let good = server.folder().join("good");
    copy(server.repo(), &good);
    for (what, tamper, want, mends) in tamperings {
        tamper(server);
        assert_eq!(codes(server), *want, "{what}");
        readable(server, want);
        if *mends > 0 {
            let value = server.cli(&["audit", "--json"]).json();
            mend(server, &value["findings"][0], *mends);
            assert_eq!(codes(server), Vec::<String>::new(), "{what} was not mended");
        }
        copy(&good, server.repo());
        assert_eq!(codes(server), Vec::<String>::new(), "after {what}");
    }
}

pub(crate) fn write(server: &Server, path: &str, text: &str) {
    let path = server.repo().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Puts an entry of tomorrow on record.
pub(crate) fn tomorrow(server: &Server) {
    let record = Record::open(&server.record("")).unwrap();
    let lock = record.lock().unwrap();
    let last = record.view().unwrap().last_time().unwrap().unwrap();
    let at = last + jiff::SignedDuration::from_hours(24);
    let incident = incident(at, "test", "ref");
    record.append(&lock, &[Entry::Incident(incident)]).unwrap();
}

/// Appends to a file of the repository.
fn add(server: &Server, path: &str, text: &str) {
    let old = fs::read_to_string(server.repo().join(path)).unwrap();
    write(server, path, &(old + text));
}

/// A clean server has nothing, says so, and writes nothing to the log.
#[test]
fn clean() {
    let (server, ..) = busy();
    let size = server.log_size();
    assert_eq!(codes(&server), Vec::<String>::new());
    server.cli(&["audit"]).exits(0).says("nothing found");
    server.cli(&["audit", "--record"]).exits(0);
    assert_eq!(server.log_size(), size);
    server.cli(&["audit", "--json", "--sarif"]).exits(2);
    let nothing = tempfile::tempdir().unwrap();
    let bare = Server::bare(crate::support::Format::Sha256);
    bare.cli(&["audit"]).exits(2);
    let args = ["-C", nothing.path().to_str().unwrap(), "audit"];
    Outcome::of(&mut server.countersign(&args), b"").exits(2);
}

/// Refs written, removed, aliased or imitated on disk are found, each as what it is.
#[test]
fn refs_on_disk() {
    let (server, _, _, stray) = busy();
    let main = server.main();
    let line = format!("{stray}\n");
    let tamperings: Vec<Tampering<'_>> = vec![
        (
            "a file written in refs/",
            Box::new(|server| write(server, MAIN, &line)),
            &["unknown-tip"],
            1,
        ),
        (
            "packed-refs edited",
            Box::new(|server| {
                server.git(&["pack-refs", "--all", "--prune"]);
                let packed = fs::read_to_string(server.repo().join("packed-refs")).unwrap();
                let bad = packed.replace(&format!("{main} {MAIN}"), &format!("{stray} {MAIN}"));
                assert_ne!(packed, bad);
                write(server, "packed-refs", &bad);
            }),
            &["unknown-tip"],
            1,
        ),
        (
            "a protected ref removed",
            Box::new(|server| fs::remove_file(server.repo().join(MAIN)).unwrap()),
            &["missing-ref"],
            1,
        ),
        (
            "a protected ref made",
            Box::new(|server| write(server, "refs/heads/release/1", &line)),
            &["unknown-tip"],
            1,
        ),
        (
            "a symbolic ref in place of a protected one",
            Box::new(|server| write(server, MAIN, "ref: refs/heads/other\n")),
            &["symref-alias"],
            2,
        ),
        (
            "another name of a protected ref",
            Box::new(|server| write(server, "refs/heads/alias", &format!("ref: {MAIN}\n"))),
            &["symref-alias"],
            1,
        ),
        (
            "a replaced object",
            Box::new(|server| write(server, &format!("refs/replace/{main}"), &line)),
            &["replace-ref"],
            1,
        ),
        (
            "an imitation",
            Box::new(|server| write(server, "refs/heads/Main", &line)),
            &["shadowing-ref"],
            1,
        ),
        (
            "a ref inside another",
            Box::new(|server| write(server, "refs/tags/refs/heads/main", &line)),
            &["shadowing-ref"],
            1,
        ),
        (
            "a ref among Countersign's own",
            Box::new(|server| write(server, "refs/countersign/mine", &line)),
            &["forbidden-ref"],
            1,
        ),
    ];
    each(&server, &tamperings);
    // One that cannot be read leaves it open what the others are.
    write(&server, "refs/heads/broken", "garbage\n");
    let outcome = server.cli(&["audit", "--json"]).exits(3);
    assert!(codes_in_part(&outcome).is_empty());
    server.cli(&["audit"]).exits(3).says("not looked at");
}

/// Hooks, files that change what git sees, and who may write.
#[test]
fn host_on_disk() {
    let (server, ..) = busy();
    let main = server.main();
    let pre = server.repo().join("hooks/pre-receive");
    let mut tamperings: Vec<Tampering<'_>> = vec![
        (
            "a hook removed",
            Box::new(|_| fs::remove_file(&pre).unwrap()),
            &["hook-missing"],
            1,
        ),
        (
            "a hook that lets all pass",
            Box::new(|server| write(server, "hooks/pre-receive", "#!/bin/sh\nexit 0\n")),
            &["hook-changed"],
            0,
        ),
        (
            "a hook of another binary",
            Box::new(|server| {
                let text = fs::read_to_string(&pre).unwrap();
                let bin = env!("CARGO_BIN_EXE_countersign");
                write(
                    server,
                    "hooks/pre-receive",
                    &text.replace(bin, "/tmp/countersign"),
                );
            }),
            &["hook-changed"],
            1,
        ),
        (
            "a hook that is not executable",
            Box::new(|_| chmod(&pre, 0o644)),
            &["hook-not-executable"],
            1,
        ),
        (
            "hooks that the group may write",
            Box::new(|server| chmod(&server.repo().join("hooks"), 0o775)),
            &["writable-by-others"],
            0,
        ),
        (
            "a hook that runs before ours",
            Box::new(|server| {
                write(server, "hooks/post-receive.d/a", "#!/bin/sh\n");
                chmod(&server.repo().join("hooks/post-receive.d/a"), 0o755);
            }),
            &["other-hook"],
            1,
        ),
        (
            "a hook that moves other refs",
            Box::new(|server| {
                write(server, "hooks/proc-receive", "#!/bin/sh\n");
                chmod(&server.repo().join("hooks/proc-receive"), 0o755);
            }),
            &["proc-receive"],
            1,
        ),
        (
            "alternates",
            Box::new(|server| {
                let other = server.folder().join("other");
                fs::create_dir_all(other.join("pack")).unwrap();
                let line = format!("{}\n", other.display());
                write(server, "objects/info/alternates", &line);
            }),
            &["alternates"],
            2,
        ),
        (
            "grafts",
            Box::new(|server| write(server, "info/grafts", &format!("{main}\n"))),
            &["grafts"],
            1,
        ),
        (
            "shallow",
            Box::new(|server| write(server, "shallow", &format!("{main}\n"))),
            &["shallow"],
            1,
        ),
        (
            "attributes",
            Box::new(|server| write(server, "info/attributes", "*.rs -diff\n")),
            &["attributes"],
            1,
        ),
    ];
    let root = rustix::process::geteuid().is_root();
    if root {
        tamperings.push((
            "a ref of another account",
            Box::new(|server| chown(server.repo().join(MAIN), Some(65_534), None).unwrap()),
            &["wrong-owner"],
            0,
        ));
    } else {
        eprintln!("not run: giving a file to another account wants root");
    }
    each(&server, &tamperings);
}

/// git's configuration at every level, and the host's own settings.
#[test]
fn configuration() {
    let (server, ..) = busy();
    let set = |key: &'static str, value: &'static str| -> Box<dyn Fn(&Server)> {
        Box::new(move |server| {
            server.git(&["config", key, value]);
        })
    };
    let toml = "countersign/server.toml";
    let replace = |from: &'static str, to: &'static str| -> Box<dyn Fn(&Server)> {
        Box::new(move |server| {
            let old = fs::read_to_string(server.repo().join(toml)).unwrap();
            assert!(old.contains(from), "{old}");
            write(server, toml, &old.replace(from, to));
        })
    };
    let tamperings: Vec<Tampering<'_>> = vec![
        (
            "hooks elsewhere",
            set("core.hooksPath", "/nowhere"),
            &["hooks-path"],
            1,
        ),
        (
            "a hook switched off",
            set("hook.pre-receive.enabled", "false"),
            &["hook-config"],
            1,
        ),
        (
            "a hook by configuration",
            set("hook.mine.event", "pre-receive"),
            &["hook-config"],
            1,
        ),
        (
            "refs handed over",
            set("receive.procReceiveRefs", "refs/for"),
            &["hook-config"],
            1,
        ),
        (
            "a shared repository",
            set("core.sharedRepository", "group"),
            &["shared-repository"],
            0,
        ),
        (
            "no fsck",
            set("receive.fsckObjects", "false"),
            &["config-changed"],
            1,
        ),
        (
            "transfer",
            set("transfer.hideRefs", "refs/x"),
            &["config-changed"],
            1,
        ),
        (
            "early pruning",
            set("gc.pruneExpire", "now"),
            &["config-changed"],
            1,
        ),
        (
            "fsck unset",
            Box::new(|server| {
                server.git(&["config", "--unset", "receive.fsckObjects"]);
            }),
            &["config-changed"],
            1,
        ),
        (
            "dry run for all",
            replace("\"enforce\"", "\"dry-run\""),
            &["settings-changed"],
            0,
        ),
        (
            "another policy ref",
            replace("refs/heads/main", "refs/heads/other"),
            &["settings-changed"],
            0,
        ),
        (
            "settings that are none",
            Box::new(|server| add(server, toml, "nonsense = 1\n")),
            &["settings-unusable"],
            0,
        ),
        (
            "no settings",
            Box::new(|server| fs::remove_file(server.repo().join(toml)).unwrap()),
            &["settings-unusable"],
            0,
        ),
    ];
    each(&server, &tamperings);
    let global = server.folder().join("gitconfig");
    fs::write(&global, "[core]\n\thooksPath = /nowhere\n").unwrap();
    let args = ["-C", server.repo().to_str().unwrap(), "audit", "--json"];
    let mut command = server.countersign(&args);
    command.env("GIT_CONFIG_GLOBAL", &global);
    let outcome = Outcome::of(&mut command, b"");
    assert_eq!(codes_of(&outcome), ["hooks-path"]);
    assert_eq!(outcome.json()["findings"][0]["scope"], "global");
    mend(&server, &outcome.json()["findings"][0], 1);
    assert!(!fs::read_to_string(&global).unwrap().contains("hooksPath"));
    let mut command = server.countersign(&args);
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.hooksPath")
        .env("GIT_CONFIG_VALUE_0", "/nowhere");
    let outcome = Outcome::of(&mut command, b"");
    assert_eq!(codes_of(&outcome), ["hooks-path"]);
    assert_eq!(outcome.json()["findings"][0]["scope"], "command");
}

/// What is meant goes on record by enrolling again, once, and is found no more.
#[test]
fn enrolling_again_puts_it_on_record() {
    let (server, ..) = busy();
    let size = server.log_size();
    server.enroll(&[]).accepted();
    assert_eq!(server.log_size(), size);
    server.git(&["config", "gc.auto", "1000"]);
    server.enroll(&["--mode", "dry-run"]).accepted();
    assert_eq!(server.log_size(), size + 1);
    server.enroll(&[]).accepted();
    assert_eq!(server.log_size(), size + 1);
    assert_eq!(codes(&server), Vec::<String>::new());
    server.cli(&["log", "show"]).exits(0).says("enrolled");
    server.cli(&["verify", "history"]).exits(0);
}

/// The record itself: key, checkpoint, tiles, an older log under the index, intents, room, clock.
#[test]
fn record_on_disk() {
    let (server, alice, bob, _) = busy();
    let flip = |path: &'static str| -> Box<dyn Fn(&Server)> {
        Box::new(move |server| {
            let path = server.record(path);
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 4;
            fs::write(path, bytes).unwrap();
        })
    };
    let tamperings: Vec<Tampering<'_>> = vec![
        (
            "a key that others can read",
            Box::new(|server| chmod(&server.record("key"), 0o644)),
            &["record-key"],
            1,
        ),
        (
            "no key",
            Box::new(|server| fs::remove_file(server.record("key")).unwrap()),
            &["record-key"],
            0,
        ),
        ("another key", flip("key"), &["record-key"], 0),
        (
            "an accept that was left open",
            Box::new(|server| {
                let record = Record::open(&server.record("")).unwrap();
                let entry = record
                    .entries(0..record.size())
                    .find_map(|entry| match entry {
                        Ok((_, Entry::Landed(landed))) => Some(landed),
                        _ => None,
                    });
                let mut landed = entry.unwrap();
                landed.intent = "0".repeat(32);
                let intent = countersign::record::Intent {
                    id: "0".repeat(32),
                    at: landed.at - jiff::SignedDuration::from_hours(2),
                    size: 1,
                    process: serde_json::from_value(gone()).unwrap(),
                    landed: vec![landed],
                };
                record.write_intent(&intent).unwrap();
            }),
            &["open-intent"],
            1,
        ),
        (
            "an entry from tomorrow",
            Box::new(tomorrow),
            &["clock-behind"],
            0,
        ),
    ];
    each(&server, &tamperings);
    let outcome = server.cli(&["audit", "--room", "1000000000000", "--json"]);
    assert_eq!(codes_of(&outcome), ["disk-space"]);
    // An older log, as from a backup, under what is newer.
    let old = server.folder().join("old-log");
    copy(&server.record("log"), &old);
    alice.onto("origin/main");
    let next = approved_topic(&alice, &bob, "next.txt");
    alice.land(&next).accepted();
    copy(&old, &server.record("log"));
    let found: BTreeSet<_> = codes(&server).into_iter().collect();
    let want = ["index-beyond", "unknown-tip"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(want));
}

/// A process that is not there any more, as an intent names it.
fn gone() -> Value {
    serde_json::json!({"pid": 999_999_999u32, "start": 1})
}

fn incident(at: jiff::Timestamp, finding: &str, about: &str) -> Incident {
    Incident {
        at,
        repository: crate::support::REPOSITORY.to_owned(),
        state: IncidentState::Found,
        finding: finding.to_owned(),
        about: about.to_owned(),
        found: String::new(),
        expected: None,
        by: "root".to_owned(),
    }
}

/// A tile or a checkpoint that cannot be believed is found, and what rests on it is not looked at.
#[test]
fn damaged_checkpoint() {
    let (server, ..) = busy();
    let tile = server.record(&format!("log/tile/0/000.p/{}", server.log_size()));
    let good = fs::read(&tile).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 4;
    fs::write(&tile, bad).unwrap();
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(codes_in_part(&outcome), ["record-damaged"]);
    fs::write(&tile, good).unwrap();
    assert_eq!(codes(&server), Vec::<String>::new());
    let path = server.record("log/checkpoint");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen('\n', "x\n", 1)).unwrap();
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(codes_in_part(&outcome), ["record-damaged"]);
    assert!(!outcome.json()["unread"].as_array().unwrap().is_empty());
    server
        .cli(&["audit", "--record"])
        .exits(1)
        .says("nothing was put on record");
    fs::remove_dir_all(server.record("log")).unwrap();
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(codes_in_part(&outcome), ["record-missing"]);
}
