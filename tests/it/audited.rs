//! What becomes of an audit's findings: approvals taken back, incidents on record, SARIF, units, the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign::audit::Code;
use countersign::record::entry::Entry;

use crate::audit::{busy, chmod, codes, codes_of, copy, mend, write};
use crate::operator::{append, landed_unrecorded};
use crate::support::{
    Checkout, MAIN, NewCommit, Outcome, People, Server, approved_topic, keys, two_people,
};

const PEOPLE: &str = ".countersign/people.toml";

/// Lands another people file by carol's hand and alice's approval.
fn land_people(server: &Server, alice: &Checkout, text: &str) {
    let carol = server.checkout("carol");
    let change = carol.change(PEOPLE, text);
    carol.share(&change);
    alice.approve(&change).accepted();
    carol.land(&change).accepted();
}

/// Approvals under a key that is revoked as of a time before their receipt are listed, with what
/// landed by them; the landing stays what it was.
#[test]
fn revoked_after_landing() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let text = People::new()
        .key_terms("bob", "revoked = 2020-01-01T00:00:00Z")
        .text();
    land_people(&server, &alice, &text);
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(codes_of(&outcome), ["revoked-approval"]);
    let finding = &outcome.json()["findings"][0];
    assert!(
        finding["about"]
            .as_str()
            .unwrap()
            .starts_with("bob SHA256:")
    );
    assert!(finding["found"].as_str().unwrap().contains("2020-01-01"));
    let rests = finding["rests"].as_array().unwrap();
    assert_eq!(rests.len(), 1);
    assert_eq!(rests[0]["commit"], head.as_str());
    assert_eq!(rests[0]["person"], "bob");
    assert_eq!(rests[0]["review"], 1);
    server.cli(&["audit"]).exits(1).says(&head);
    server.cli(&["verify", "commit", &head]).exits(0);
}

/// A key revoked as of later than its reviews takes nothing back.
#[test]
fn revoked_as_of_later() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let text = People::new()
        .key_terms("bob", "revoked = 2100-01-01T00:00:00Z")
        .text();
    land_people(&server, &alice, &text);
    assert_eq!(codes(&server), Vec::<String>::new());
}

/// Approvals under a key that is listed no more are noted: no alarm, for keys come and go.
#[test]
fn key_listed_no_more() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let text = People::new().text();
    let text = text.replace(&keys::public("bob"), &keys::public("mallory"));
    land_people(&server, &alice, &text);
    let outcome = server.cli(&["audit", "--json"]).exits(0);
    assert_eq!(codes_of(&outcome), ["unlisted-approval"]);
    let size = server.log_size();
    server.cli(&["audit", "--record"]).exits(0).says("note");
    assert_eq!(server.log_size(), size);
}

/// A finding enters the log once while it stands, its end once, and neither decides anything.
#[test]
fn incidents_on_record() {
    let (server, alice, bob, stray) = busy();
    let main = server.main();
    let size = server.log_size();
    write(&server, MAIN, &format!("{stray}\n"));
    for _ in 0..2 {
        server.cli(&["audit", "--record"]).exits(1);
        assert_eq!(server.log_size(), size + 1);
    }
    fs::remove_file(server.repo().join("hooks/post-receive")).unwrap();
    let outcome = server.cli(&["audit", "--record", "--json"]).exits(1);
    assert_eq!(outcome.json()["recorded"], serde_json::json!([size + 1]));
    let shown = server.cli(&["log", "show"]).exits(0);
    assert!(shown.stdout.contains("unknown-tip") && shown.stdout.contains("hook-missing"));
    let only = server
        .cli(&["log", "show", "--ref", "main", "--json"])
        .stdout;
    assert!(only.contains("\"finding\":\"unknown-tip\"") && !only.contains("hook-missing"));
    write(&server, MAIN, &format!("{main}\n"));
    server.enroll(&[]).accepted();
    assert_eq!(server.log_size(), size + 2);
    for _ in 0..2 {
        server.cli(&["audit", "--record"]).exits(0);
        assert_eq!(server.log_size(), size + 4);
    }
    server.log_is_good();
    server
        .cli(&["verify", "history"])
        .exits(0)
        .says("incidents");
    server.cli(&["verify", "commit", &main]).exits(0);
    alice.onto("origin/main");
    let next = approved_topic(&alice, &bob, "next.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "commit", &next]).exits(0);
    // Found again, it is an incident again.
    write(&server, MAIN, &format!("{stray}\n"));
    let size = server.log_size();
    server.cli(&["audit", "--record"]).exits(1);
    assert_eq!(server.log_size(), size + 1);
}

/// Nobody writes to a record that belongs to another account, which could not read it any more.
#[test]
fn records_as_its_owner_alone() {
    let (server, ..) = two_people();
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: giving a folder to another account wants root");
        return;
    }
    let size = server.log_size();
    std::os::unix::fs::chown(server.record(""), Some(65_534), None).unwrap();
    server
        .cli(&["audit", "--record"])
        .exits(2)
        .says("belongs to");
    assert_eq!(codes(&server), ["wrong-owner"]);
    assert_eq!(server.log_size(), size);
}

/// What could not be looked at is not said to be over.
#[test]
fn unread_is_not_over() {
    let (server, _, _, stray) = busy();
    let main = server.main();
    write(&server, MAIN, &format!("{stray}\n"));
    server.cli(&["audit", "--record"]).exits(1);
    let size = server.log_size();
    write(&server, MAIN, &format!("{main}\n"));
    write(&server, "refs/heads/broken", "garbage\n");
    server.cli(&["audit", "--record"]).exits(3);
    assert_eq!(server.log_size(), size);
    fs::remove_file(server.repo().join("refs/heads/broken")).unwrap();
    server.cli(&["audit", "--record"]).exits(0);
    assert_eq!(server.log_size(), size + 1);
}

/// What runs beside the hooks is on record as enrolment found it: added, changed or gone it is found,
/// and meant once the repository is enrolled again.
#[test]
fn hooks_beside_ours() {
    let (server, ..) = busy();
    let enrol = || server.cli(&["enroll", "."]).exits(0);
    let beside = |name: &str, text: &str| {
        write(&server, &format!("hooks/pre-receive.d/{name}"), text);
        chmod(&server.repo().join("hooks/pre-receive.d").join(name), 0o755);
    };
    beside("50-previous", "#!/bin/sh\ncat >/dev/null\n");
    enrol();
    assert_eq!(codes(&server), Vec::<String>::new());
    beside("50-previous", "#!/bin/sh\nexit 0\n");
    assert_eq!(codes(&server), ["other-hook"]);
    fs::remove_file(server.repo().join("hooks/pre-receive.d/50-previous")).unwrap();
    assert_eq!(codes(&server), ["other-hook"]);
    enrol();
    assert_eq!(codes(&server), Vec::<String>::new());
    // However many there are, each counts.
    for number in 0..40 {
        beside(&format!("{number}-{}", "x".repeat(200)), "#!/bin/sh\n");
    }
    enrol();
    assert_eq!(codes(&server), Vec::<String>::new());
    beside(&format!("39-{}", "x".repeat(200)), "#!/bin/sh\nexit 1\n");
    assert_eq!(codes(&server), ["other-hook"]);
    enrol();
    // Hooks of git's own that are none of ours: they may write refs past the gates.
    let stranger = "hooks/post-update";
    write(&server, stranger, "#!/bin/sh\ngit update-server-info\n");
    assert_eq!(codes(&server), Vec::<String>::new(), "it does not run");
    chmod(&server.repo().join(stranger), 0o755);
    assert_eq!(codes(&server), ["other-hook"]);
    enrol();
    assert_eq!(codes(&server), Vec::<String>::new());
    chmod(&server.repo().join(stranger), 0o644);
    assert_eq!(codes(&server), ["other-hook"]);
}

/// An audit between accept and landing does not have the push judged again, nor undo it.
#[test]
fn incident_between_accept_and_landing() {
    let (server, alice, bob, _) = busy();
    alice.onto("origin/main");
    let head = approved_topic(&alice, &bob, "b.txt");
    let hook = server.repo().join("hooks/post-receive");
    let aside = server.folder().join("aside");
    fs::rename(&hook, &aside).unwrap();
    alice.land(&head).accepted();
    let outcome = server.cli(&["audit", "--record", "--json"]).exits(1);
    assert_eq!(codes_of(&outcome), ["hook-missing"]);
    assert_eq!(outcome.json()["pending"], 1);
    fs::rename(&aside, &hook).unwrap();
    server.cli(&["log", "reconcile"]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    server.cli(&["verify", "commit", &head]).exits(0);
    let shown = server.cli(&["log", "show", "--json", "-n", "1"]).json();
    assert_eq!(shown["entry"]["rejudged"], false);
}

/// `log adopt` shows commits, paths by class, rules and people before it takes a ref; what it took
/// stays visible.
#[test]
fn adopt_shows_the_step() {
    let (server, alice, _, _) = busy();
    alice.onto("origin/main");
    let stray = alice.commit(NewCommit {
        files: &[
            ("src/more.rs", Some("fn more() {}\n")),
            (".github/workflows/ci.yml", Some("on: push\n")),
        ],
        ..NewCommit::default()
    });
    alice.share(&stray);
    write(&server, MAIN, &format!("{stray}\n"));
    let size = server.log_size();
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(codes_of(&outcome), ["unknown-tip"]);
    let step = outcome.json()["findings"][0]["step"].clone();
    assert_eq!(step["commits"], 1);
    assert_eq!(step["steps"][0]["commit"], stray.as_str());
    assert_eq!(
        step["paths"]["pipeline"],
        serde_json::json!([".github/workflows/ci.yml"])
    );
    assert_eq!(
        step["missing"][0]["could"],
        serde_json::json!(["bob", "carol"])
    );
    let shown = server.cli(&["log", "adopt", "main", "--dry-run"]).exits(0);
    assert_eq!(server.log_size(), size);
    let taken = server
        .cli(&["log", "adopt", "main", "--reason", "test"])
        .exits(0);
    for outcome in [shown, taken.clone()] {
        for text in [
            stray.as_str(),
            "changes code: src/more.rs",
            "changes pipeline: .github/workflows/ci.yml",
            "rule two people see every change (.countersign/policy.toml:",
            "can approve: bob, carol",
        ] {
            assert!(outcome.stderr.contains(text), "{text}: {outcome}");
        }
    }
    assert!(taken.stdout.contains("never reviewed"), "{taken}");
    assert_eq!(codes(&server), Vec::<String>::new());
    server.cli(&["audit"]).exits(0).says("adopted");
    server
        .cli(&["verify", "commit", &stray])
        .exits(1)
        .says("adopted");
}

/// A file of packed refs without those whose names hold one of these, and what they peel to.
fn without(packed: &str, names: &[&str]) -> String {
    let mut kept = String::new();
    let mut drop = false;
    for line in packed.lines() {
        drop = match line.starts_with('^') {
            true => drop,
            false => names.iter().any(|name| line.contains(name)),
        };
        if !drop {
            kept += &format!("{line}\n");
        }
    }
    kept
}

/// What a replay needs and no ref keeps is found before git removes it, and after.
#[test]
fn kept_objects() {
    let (server, alice, bob) = two_people();
    let base = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let squash = crate::support::objects::commit_tree(&alice, &alice.tree(&head), &[&base]);
    alice.land(&squash).accepted();
    server.git(&["pack-refs", "--all", "--prune"]);
    let packed = fs::read_to_string(server.repo().join("packed-refs")).unwrap();
    let pruned = without(&packed, &["refs/countersign/reviews/", "/topic-"]);
    write(&server, "packed-refs", &pruned);
    assert_eq!(codes(&server), Vec::<String>::new());
    let keep = format!("refs/countersign/keep/{head}");
    let gone = without(&pruned, &[&keep]);
    assert_ne!(gone, pruned);
    write(&server, "packed-refs", &gone);
    let outcome = server.cli(&["audit", "--json"]);
    assert_eq!(
        codes_of(&outcome),
        ["unkept-object"],
        "{}",
        server.git(&["for-each-ref"])
    );
    let finding = outcome.json()["findings"][0].clone();
    assert_eq!(finding["about"], head.as_str());
    mend(&server, &finding, 1);
    assert_eq!(codes(&server), Vec::<String>::new());
    fs::remove_file(server.repo().join(&keep)).unwrap();
    server.git(&["reflog", "expire", "--expire=now", "--all"]);
    server.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(codes(&server), ["missing-object"]);
}

/// A landing on record that starts elsewhere than the one before it ended is found without deciding it.
#[test]
fn forged_step() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let mut landed = landed_unrecorded(&server, &alice, &head);
    landed.old = None;
    append(&server, &[Entry::Landed(landed)]);
    assert_eq!(codes(&server), ["unrecorded-step"]);
}

/// A binary that others can write, that does not run or is gone, is found.
#[test]
fn binary_of_the_hooks() {
    let (server, ..) = two_people();
    let folder = server.folder().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let binary = folder.join("countersign");
    fs::copy(env!("CARGO_BIN_EXE_countersign"), &binary).unwrap();
    let mut command = crate::support::server::scrubbed(binary.to_str().unwrap(), server.folder());
    Outcome::of(
        command.args(["enroll", server.repo().to_str().unwrap()]),
        b"",
    )
    .accepted();
    assert_eq!(codes(&server), Vec::<String>::new());
    for mode in [0o775, 0o644] {
        chmod(&binary, mode);
        assert_eq!(codes(&server), ["binary-unusable"]);
        let value = server.cli(&["audit", "--json"]).json();
        mend(&server, &value["findings"][0], 1);
        assert_eq!(codes(&server), Vec::<String>::new());
    }
    fs::remove_file(&binary).unwrap();
    assert_eq!(codes(&server), ["binary-unusable"]);
}

/// SARIF has what its schema requires: version, tool, rules with ids, results with messages.
#[test]
fn sarif() {
    let (server, _, _, stray) = busy();
    let clean = server.cli(&["audit", "--sarif"]).exits(0).json();
    assert_eq!(clean["runs"][0]["results"], serde_json::json!([]));
    write(&server, MAIN, &format!("{stray}\n"));
    let key = server.record("key");
    chmod(&key, 0o644);
    write(&server, "refs/countersign/stray", &format!("{stray}\n"));
    let log = server.cli(&["audit", "--sarif"]).exits(1).json();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "countersign");
    let rules = driver["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Code::ALL.len());
    assert!(
        rules
            .iter()
            .all(|rule| { rule["id"].is_string() && rule["shortDescription"]["text"].is_string() })
    );
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let results = run["results"].as_array().unwrap();
    let mut seen = Vec::new();
    for result in results {
        let id = result["ruleId"].as_str().unwrap();
        let place = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[place]["id"], id);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let location = &result["locations"][0];
        assert!(location["logicalLocations"][0]["fullyQualifiedName"].is_string());
        let print = &result["partialFingerprints"]["finding/v1"];
        assert_eq!(print.as_str().unwrap().len(), 64);
        seen.push(id);
    }
    assert_eq!(seen, ["record-key", "unknown-tip", "forbidden-ref"]);
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri.as_str().unwrap(), format!("file://{}", key.display()));
    write(&server, "refs/heads/broken", "garbage\n");
    let log = server.cli(&["audit", "--sarif"]).json();
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notes = invocation["toolExecutionNotifications"].as_array().unwrap();
    assert!(notes.iter().all(|note| note["message"]["text"].is_string()) && !notes.is_empty());
}

/// The page says what every finding is, in the order and by the weight of the code.
#[test]
fn page_lists_every_finding() {
    let page = fs::read_to_string(root().join("docs/audit.md")).unwrap();
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let (code, rest) = line.split_once("` | ")?;
            Some((code, rest.split_once(" | ")?.0))
        })
        .collect();
    let all = Code::ALL.iter();
    let want: Vec<_> = all
        .map(|code| (code.as_str(), code.weight().as_str()))
        .collect();
    assert_eq!(rows, want);
}

/// The units of the templates say what systemd understands, and run what is installed.
#[test]
fn service_units() {
    let templates = root().join("templates/service");
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_countersign");
    let units = [
        "countersign-audit@.service",
        "countersign-audit@.timer",
        "countersign-log-witness@.service",
        "countersign-log-witness@.timer",
        "countersign-monitor@.service",
        "countersign-monitor@.timer",
        "countersign-witness.service",
    ];
    for name in units {
        let text = fs::read_to_string(templates.join(name)).unwrap();
        let mut section = "";
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            match line.strip_prefix('[') {
                Some(head) => section = head.strip_suffix(']').unwrap(),
                None => assert!(!section.is_empty() && line.contains('='), "{name}: {line}"),
            }
        }
        // What is to be installed is not where tests run.
        let text = text.replace("/usr/local/bin/countersign", binary);
        fs::write(
            folder.path().join(name),
            text.replace("User=git", "User=root")
                .replace("User=witness", "User=root"),
        )
        .unwrap();
    }
    let analyze = Command::new("systemd-analyze").arg("--version").output();
    if !analyze.is_ok_and(|output| output.status.success()) {
        eprintln!("not run: systemd-analyze is not here");
        return;
    }
    for name in units {
        let unit = folder.path().join(name.replace('@', "@srv-payments.git"));
        if name.contains('@') {
            copy(&folder.path().join(name), &unit);
        }
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let about_us: Vec<_> = said
            .lines()
            .filter(|line| line.contains("countersign"))
            .collect();
        assert!(output.status.success() && about_us.is_empty(), "{said}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
