//! `explain`: who must approve a change, before there is one.

use serde_json::{Value, json};

use crate::support::config::PLAIN_RULE;
use crate::support::{People, Server, policy, rule};

const CI: &str = ".github/workflows/ci.yml";

fn world() -> Server {
    let pipelines = "class = [\"pipeline\"]\nbase = \"exact\"\n\
                     require = [\"2 of @maintainers\", \"1 of @security|carol\"]";
    let named = "refs = [\"refs/heads/release/**\", \"refs/tags/v2*\"]\nrequire = [\"1 of dana\"]";
    let rules = [
        PLAIN_RULE,
        &rule("pipelines", pipelines),
        &rule("releases", named),
    ];
    let people = People::new().key_terms("carol", "until = 2026-01-02T00:00:00Z");
    Server::with(&policy(&rules.concat()), &people)
}

fn rules_of(explained: &Value, at: usize) -> Vec<&str> {
    let rules = explained["paths"][at]["rules"].as_array().unwrap();
    rules
        .iter()
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect()
}

/// Each path has its classes and rules, each place its people, and those without a key are told.
#[test]
fn people_of_each_place() {
    let server = world();
    let explain = |more: &[&str]| {
        let args = [&["explain", "--json"], more].concat();
        server.cli(&args).accepted().json()
    };
    let main = explain(&["src/lib.rs", CI, "--onto", "main"]);
    assert_eq!(main["schema"], "countersign.explain/v1");
    assert_eq!(main["ref"], "refs/heads/main");
    assert_eq!(main["protected"], true);
    assert_eq!(main["policy"]["commit"], server.main());
    assert_eq!(main["paths"][0]["classes"], json!(["code"]));
    assert_eq!(rules_of(&main, 0), ["two people see every change"]);
    assert_eq!(main["paths"][1]["classes"], json!(["pipeline"]));
    assert_eq!(
        rules_of(&main, 1),
        ["two people see every change", "pipelines"]
    );
    let pipelines = &main["paths"][1]["rules"][1];
    assert_eq!(pipelines["base"], "exact");
    assert_eq!(
        pipelines["require"],
        json!([
            {"place": "2 of @maintainers", "people": ["alice", "bob"], "without_key": ["carol"]},
            {"place": "1 of @security|carol", "people": ["dana"], "without_key": ["carol"]},
        ])
    );
    let release = explain(&["src/lib.rs", "--onto", "release/1"]);
    assert_eq!(
        rules_of(&release, 0),
        ["two people see every change", "releases"]
    );
    // A tag is made once, at what was reviewed; only a rule that names it asks for more.
    let tag = explain(&["src/lib.rs", "--onto", "refs/tags/v1.0"]);
    assert!(rules_of(&tag, 0).is_empty());
    let tag = explain(&["src/lib.rs", "--onto", "refs/tags/v2.0"]);
    assert_eq!(rules_of(&tag, 0), ["releases"]);
    let free = explain(&["src/lib.rs", "--onto", "topic"]);
    assert_eq!(free["protected"], false);
    assert_eq!(free["stands_for"], Value::Null);
    assert_eq!(free["paths"], json!([]));
    // What no push may make is not said to be free.
    assert_eq!(free["writable"], true);
    let imitation = explain(&["src/lib.rs", "--onto", "MAIN"]);
    assert_eq!(imitation["stands_for"], "refs/heads/main");
    assert_eq!(imitation["writable"], false);
    for (name, why) in [
        ("MAIN", "it could be taken for"),
        ("refs/replace/x", "no change lands there"),
        ("refs/countersign/keep/x", "no change lands there"),
        ("x/refs/heads/main", "no push may make it"),
    ] {
        let said = server.cli(&["explain", "a", "--onto", name]).accepted();
        said.says(why);
    }
}

/// The mode is that of a change of the very path: host and policy may be in dry run, what says who
/// must review is not.
#[test]
fn in_the_mode_of_a_push() {
    let server = world();
    let settings = server.repo().join("countersign/server.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("\"enforce\"", "\"dry-run\"")).unwrap();
    let alice = server.checkout("alice");
    for (path, mode) in [
        ("a.txt", "dry-run"),
        (".countersign/policy.toml", "enforce"),
    ] {
        alice.onto("origin/main");
        let head = alice.change(path, &format!("{}\n", crate::support::policy(PLAIN_RULE)));
        alice.share(&head);
        let verdict = server.check_json(&head, "main", "alice");
        assert_eq!(verdict["mode"], mode, "{verdict}");
        let explained = server.cli(&["explain", path, "--onto", "main", "--json"]);
        assert_eq!(explained.json()["paths"][0]["mode"], mode, "{explained}");
    }
}

/// A rule that too few could satisfy is told, and a branch made once is asked for like any other.
#[test]
fn who_is_too_few() {
    let once = "[[ref]]\nmatch = [\"refs/heads/once/**\"]\ncreate_once = true\n";
    let all = rule("all", "require = [\"3 of @maintainers\"]");
    let people = People::new().key_terms("carol", "until = 2026-01-02T00:00:00Z");
    let server = Server::with(&policy(&format!("{once}{all}")), &people);
    for (onto, exists) in [("main", true), ("once/1", false)] {
        let explained = server
            .cli(&["explain", "a", "--onto", onto, "--json"])
            .json();
        assert_eq!(explained["exists"], exists);
        assert_eq!(explained["paths"][0]["rules"][0]["satisfiable"], false);
        let said = server.cli(&["explain", "a", "--onto", onto]).accepted();
        said.says("nobody can satisfy it now");
    }
    let alice = server.checkout("alice");
    alice.onto("origin/main");
    let head = alice.change("a.txt", "new\n");
    alice
        .push(&[&format!("{head}:refs/heads/once/1")])
        .refused(&["missing-approvals"]);
}

/// What it says is what a push is asked: the rules of a refused landing are those explained before.
#[test]
fn as_a_push_is_asked() {
    let server = world();
    let alice = server.checkout("alice");
    alice.onto("origin/main");
    let head = alice.change(CI, "on: push\n");
    let rules = ["two people see every change", "pipelines"];
    let refused = alice.land(&head).refused(&["missing-approvals"]);
    let explained = alice.countersign(&["explain", CI, "--onto", "main"]);
    rules.into_iter().fold(refused, |it, rule| it.says(rule));
    let explained = rules
        .into_iter()
        .fold(explained.accepted(), |it, rule| it.says(rule))
        .says("without a valid key: carol");
    assert!(
        explained.stdout.lines().all(|line| line.len() <= 80),
        "{explained}"
    );
}

/// Paths are from where one is; those that are not there are said to be new, and a name that is short
/// of the protected one gets it as a hint.
#[test]
fn from_a_folder() {
    let server = world();
    let alice = server.checkout("alice");
    alice.onto("origin/main");
    let args = [
        "-C",
        "src",
        "explain",
        "lib.rs",
        "./new.rs",
        "../README.md",
        "lib.rs",
    ];
    let args = [&args[..], &["--onto", "main", "--json"]].concat();
    let explained = alice.countersign(&args).accepted().json();
    let paths = explained["paths"].as_array().unwrap();
    let told: Vec<_> = paths
        .iter()
        .map(|it| {
            (
                it["path"].as_str().unwrap(),
                it["exists"].as_bool().unwrap(),
            )
        })
        .collect();
    let there = [
        ("src/lib.rs", true),
        ("src/new.rs", false),
        ("README.md", true),
    ];
    assert_eq!(told, there);
    for (onto, meant) in [
        ("v1.0", "refs/tags/v1.0"),
        ("origin/main", "refs/heads/main"),
    ] {
        alice
            .countersign(&["explain", "a", "--onto", onto])
            .accepted()
            .says(&format!("--onto {meant}"));
    }
}

/// What is no path of a tree, and a clone that knows no policy, are told apart from an answer.
#[test]
fn bad_input() {
    let server = world();
    for (path, why) in [
        ("/etc/passwd", "an empty name"),
        ("src/", "is a directory"),
        ("../x", "leads out"),
        ("", "an empty name"),
    ] {
        server
            .cli(&["explain", path, "--onto", "main"])
            .exits(2)
            .says(why);
    }
    server.cli(&["explain", "--onto", "main"]).exits(2);
    server
        .cli(&["explain", ".countersign", "--onto", "main"])
        .exits(2)
        .says("is a directory");
    let alice = server.checkout("alice");
    alice
        .countersign(&["explain", "a", "--onto", "main", "--remote", "upstream"])
        .exits(2)
        .says("--policy-ref");
}
