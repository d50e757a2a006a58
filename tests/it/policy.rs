//! The policy and the people as files that are pushed: broken ones, weakened ones, old ones.

use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::{
    Checkout, NewCommit, People, Server, approved_topic, policy, rule, two_people, two_people_under,
};

const POLICY: &str = ".countersign/policy.toml";
const PEOPLE: &str = ".countersign/people.toml";

/// Pushes a text of one of the two files as a change to main.
fn push_file(alice: &Checkout, file: &str, text: &str) -> crate::support::Outcome {
    alice.onto("origin/main");
    let head = alice.change(file, text);
    alice.land(&head)
}

/// The line of `needle` in `text`, from 1.
fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|line| line.contains(needle)).unwrap() + 1
}

/// Every broken policy is refused by file and line, with a caret under the fault.
#[test]
fn broken_policies() {
    let (server, alice, _) = two_people();
    let good = policy(PLAIN_RULE);
    let with = |more: &str| format!("{good}\n{more}");
    let cases = [
        (good.replace("version = 1", "version = 2"), "version = 2"),
        (
            good.replace("version = 1", "version = 1\ncolour = \"red\""),
            "colour",
        ),
        (
            good.replace("approvals_expire = \"30d\"", "approvals_expire = \"soon\""),
            "soon",
        ),
        (
            good.replace("create_once = true", "create_once = \"yes\""),
            "create_once",
        ),
        (
            with("[[ref]]\nmatch = [\"refs/heads/x\"]\nmode = \"off\"\n"),
            "off",
        ),
        (
            with("[[ref]]\nmatch = [\"refs/heads/x\"]\nprotect = true\n"),
            "protect",
        ),
        (with("[[ref]]\nmatch = []\n"), "match = []"),
        (with(&rule("x", "require = [\"-1 of any\"]")), "-1 of any"),
        (with(&rule("x", "require = [\"one of any\"]")), "one of any"),
        (with(&rule("x", "require = [\"1 of @nobody\"]")), "@nobody"),
        (with(&rule("x", "require = [\"1 of zed\"]")), "zed"),
        (
            with(&rule("x", "require = [\"1 of @maintainers|\"]")),
            "maintainers|",
        ),
        (with(&rule("x", "require = [\"1  of any\"]")), "1  of any"),
        (with(&rule("x", "require = [1]")), "require = [1]"),
        (
            with(&rule("x", "require = [\"1 of any\"]\nclass = [\"magic\"]")),
            "magic",
        ),
        (
            with(&rule("x", "require = [\"1 of any\"]\nevidence = \"word\"")),
            "word",
        ),
        (
            with(&rule("x", "require = [\"1 of any\"]\nbase = \"any\"")),
            "base",
        ),
        (
            with(&rule(
                "x",
                "owners = { file = \"CODEOWNERS\", dialect = \"github\" }",
            )),
            "owners",
        ),
        (
            with("[breakglass]\npeople = \"@maintainers\"\n"),
            "breakglass",
        ),
        (with("[classes]\nmagic = [\"*.x\"]\n"), "magic"),
        (with("[unknown]\nx = 1\n"), "unknown"),
        (with("not toml at all"), "not toml"),
    ];
    for (text, needle) in &cases {
        let line = line_of(text, needle);
        push_file(&alice, POLICY, text)
            .refused(&["policy-invalid"])
            .says(&format!("policy.toml:{line}"))
            .says("^");
    }
    // Without a line that could be pointed to, at least the file is named.
    for text in [
        with(&rule("x", "")),
        with(&rule("x", "require = []")),
        with(PLAIN_RULE),
        good.replace("version = 1", "version = 1\nversion = 1"),
        good.replace("version = 1\n", ""),
        good.replace("repository = \"git.example.com/payments\"\n", ""),
        String::new(),
    ] {
        push_file(&alice, POLICY, &text)
            .refused(&["policy-invalid"])
            .says("policy.toml");
    }
    assert_eq!(server.tip("refs/heads/main"), Some(server.main()));
}

/// Every broken people file is refused by file and line, with a caret under the fault.
#[test]
fn broken_people() {
    let (_server, alice, _) = two_people();
    let good = People::new().text();
    let key = crate::support::keys::public("alice");
    let cases = [
        (good.replace("[people.bob]", "[people.Bob]"), "people.Bob"),
        (good.replace("[people.bob]", "[people.\"b b\"]"), "b b"),
        (
            good.replace("kind = \"bot\"", "kind = \"ai\""),
            "kind = \"ai\"",
        ),
        (
            good.replace("logins = [\"bob\"]", "login = [\"bob\"]"),
            "login = ",
        ),
        (
            good.replace("logins = [\"bob\"]", "logins = [\"alice\"]"),
            "[people.bob]",
        ),
        (
            good.replace(
                "emails = [\"bob@example.com\"]",
                "emails = [\"alice@example.com\"]",
            ),
            "[people.bob]",
        ),
        (
            good.replace(&crate::support::keys::public("bob"), &key),
            "[people.bob]",
        ),
        (good.replace(&key, "ssh-ed25519 AAAA alice"), "AAAA alice"),
        (good.replace(&key, "ssh-dss AAAA alice"), "ssh-dss"),
        (
            good.replace("security = [\"dana\"]", "security = [\"dina\"]"),
            "dina",
        ),
        (
            good.replace(
                "security = [\"dana\"]",
                "security = [\"dana\"]\nsecurity = [\"bob\"]",
            ),
            "security",
        ),
        (
            People::new().key_terms("bob", "until = \"soon\"").text(),
            "soon",
        ),
        (
            People::new()
                .key_terms("bob", "expires = 2030-01-01T00:00:00Z")
                .text(),
            "expires",
        ),
    ];
    for (text, needle) in &cases {
        assert_ne!(text, &good, "{needle}: the case changes nothing");
        let outcome = push_file(&alice, PEOPLE, text)
            .refused(&["policy-invalid"])
            .says("people.toml:")
            .says("^");
        assert!(
            outcome
                .stderr
                .contains(&format!("people.toml:{}", line_of(text, needle)))
                || *needle == "[people.bob]"
                || *needle == "security",
            "{needle}: {outcome}"
        );
    }
}

/// A threshold that the people there are cannot meet is refused where it stands.
#[test]
fn unsatisfiable_rules() {
    let (_server, alice, _) = two_people();
    for place in [
        "0 of any",
        "2 of @security",
        "9 of any",
        "4 of @maintainers",
        "5 of any",
        "2 of dana",
    ] {
        let text = policy(&rule("too many", &format!("require = [\"{place}\"]")));
        push_file(&alice, POLICY, &text)
            .refused(&["unsatisfiable-rule"])
            .says("policy.toml:");
    }
    // Two places cannot be filled by one person.
    let text = policy(&rule(
        "twice",
        "require = [\"1 of @security\", \"1 of dana\"]",
    ));
    push_file(&alice, POLICY, &text).refused(&["unsatisfiable-rule"]);
    let fewer = People::new()
        .teams("maintainers = []\nsecurity = [\"dana\"]\n")
        .text();
    push_file(&alice, PEOPLE, &fewer).refused_with_any(&["unsatisfiable-rule", "policy-invalid"]);
}

/// Neither file is deleted, moved away, or turned into something else.
#[test]
fn deleted_files() {
    let (server, alice, bob) = two_people();
    for file in [POLICY, PEOPLE] {
        alice.onto("origin/main");
        let head = alice.commit(NewCommit {
            files: &[(file, None)],
            ..NewCommit::default()
        });
        alice.share(&head);
        bob.approve(&head).accepted();
        alice
            .land(&head)
            .refused_with_any(&["policy-missing", "policy-invalid"]);

        alice.onto("origin/main");
        std::fs::remove_file(alice.dir().join(file)).unwrap();
        std::os::unix::fs::symlink("../README.md", alice.dir().join(file)).unwrap();
        let head = alice.commit(NewCommit::default());
        alice.share(&head);
        bob.approve(&head).accepted();
        alice.land(&head).refused(&["unsafe-mode"]);
    }
    assert!(server.tip("refs/heads/main").is_some());
}

/// The policy at the recorded tip judges a push that changes the policy.
#[test]
fn old_policy_judges() {
    let rules = rule("two of them", "require = [\"2 of @maintainers\"]");
    let (server, alice, bob) = two_people_under(&rules);
    let weaker = policy(&rule("two of them", "require = [\"1 of any\"]"));
    let head = alice.change(POLICY, &weaker);
    let payload = alice.change("payload.txt", "x\n");
    alice.share(&payload);
    bob.approve(&payload).accepted();
    alice.land(&payload).refused(&["missing-approvals"]);
    alice.land(&head).refused(&["missing-approvals"]);
    server.checkout("carol").approve(&payload).accepted();
    alice.land(&payload).accepted();
    // From here on the weaker one is in force.
    alice.fetch();
    let next = approved_topic(&alice, &bob, "next.txt");
    alice.land(&next).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// A key that arrives in the same push does not count in it.
#[test]
fn key_added_in_the_same_push() {
    let (server, alice, bob) = two_people();
    let with_mallory = People::new()
        .with("mallory")
        .teams(
            "maintainers = [\"alice\", \"bob\", \"carol\", \"mallory\"]\nsecurity = [\"dana\"]\n",
        )
        .text();
    let head = alice.change(PEOPLE, &with_mallory);
    let mallory = server.checkout("mallory");
    alice.share(&head);
    mallory.fetch();
    let message = crate::support::checkout::review_message("approve", "refs/heads/main", &[]);
    let tag = mallory.tag_review(&head, &message);
    let text = crate::support::objects::raw(&mallory, &tag);
    crate::support::objects::write(&alice, "tag", text.as_bytes());
    alice
        .push(&[
            &format!("{tag}:refs/countersign/reviews/{head}/mallory"),
            &format!("{head}:refs/heads/main"),
        ])
        .refused(&["unknown-signer"]);

    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    mallory.fetch();
    let next = approved_topic(&alice, &mallory, "next.txt");
    alice.land(&next).accepted();
}

/// A key that the policy revoked since does not count at landing.
#[test]
fn key_revoked_before_landing() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let carol = server.checkout("carol");
    let text = People::new()
        .key_terms("bob", "revoked = 2020-01-01T00:00:00Z")
        .text();
    let change = carol.change(PEOPLE, &text);
    carol.share(&change);
    alice.approve(&change).accepted();
    carol.land(&change).accepted();
    bob.onto("origin/main");
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "merge", &head]);
    let merged = alice.head();
    alice.land(&merged).refused(&["missing-approvals"]);
}

/// Two places want two people, and one approval serves several rules.
#[test]
fn thresholds_count_people() {
    let rules = format!(
        "{}{}",
        rule("two", "require = [\"2 of @maintainers\"]"),
        rule("one", "require = [\"1 of any\"]")
    );
    let (server, alice, bob) = two_people_under(&rules);
    let head = approved_topic(&alice, &bob, "a.txt");
    // A second tag by the same person is the same person.
    bob.approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    // Nor is somebody outside the team.
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).refused(&["missing-approvals"]);
    server.checkout("carol").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// People are assigned to places optimally, one to each.
#[test]
fn exact_assignment() {
    let rules = rule(
        "both",
        "require = [\"1 of @maintainers|dana\", \"1 of @maintainers\"]",
    );
    let (server, alice, bob) = two_people_under(&rules);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).refused(&["missing-approvals"]);
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// A rule on a class is asked where a path of the class changes, also by the pattern's other case.
#[test]
fn pipeline_class() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of @maintainers\"]"),
        rule(
            "pipelines",
            "class = [\"pipeline\"]\nrequire = [\"1 of @security\"]"
        )
    );
    let (server, alice, bob) = two_people_under(&rules);
    for file in [".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile"] {
        alice.onto("origin/main");
        let head = approved_topic(&alice, &bob, file);
        alice
            .land(&head)
            .refused(&["missing-approvals"])
            .says("pipelines");
    }
    alice.onto("origin/main");
    let head = approved_topic(&alice, &bob, "docs/ci.txt");
    alice.land(&head).accepted();
    let head = crate::push::approved_on_main(&alice, &bob, ".github/workflows/ci.yml");
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// Paths that no rule matches fall under the built-in rule: one of any.
#[test]
fn default_rule() {
    let rules = rule(
        "docs",
        "paths = [\"docs/\"]\nrequire = [\"1 of @security\"]",
    );
    let (server, alice, bob) = two_people_under(&rules);
    let head = alice.change("src/new.rs", "x\n");
    alice.land(&head).refused(&["missing-approvals"]);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    let head = crate::push::approved_on_main(&alice, &bob, "docs/a.txt");
    alice.land(&head).refused(&["missing-approvals"]);
    server.checkout("dana").approve(&head).accepted();
    alice.land(&head).accepted();
}

/// The policy ref is protected whether it is listed or not.
#[test]
fn policy_ref_is_always_protected() {
    let text = policy_text("", "", PLAIN_RULE).replace("\"refs/heads/main\", ", "");
    let server = Server::with(&text, &People::new());
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).refused(&["missing-approvals"]);
    alice.push(&[":refs/heads/main"]).refused(&["deleted-ref"]);
}

/// A `[[ref]]` that begins to match an existing branch takes its tip as a baseline.
#[test]
fn newly_protected_ref() {
    let (server, alice, bob) = two_people();
    alice.push(&["origin/main:refs/heads/dev"]).accepted();
    let free = alice.change("free.txt", "free\n");
    alice.push(&[&format!("{free}:refs/heads/dev")]).accepted();
    alice.onto("origin/main");
    let wider = policy(&format!(
        "[[ref]]\nmatch = [\"refs/heads/dev\"]\n\n{PLAIN_RULE}"
    ));
    let head = alice.change(POLICY, &wider);
    alice.share(&head);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();

    alice.onto("origin/dev");
    let next = alice.change("next.txt", "next\n");
    alice
        .push(&[&format!("{next}:refs/heads/dev")])
        .refused(&["missing-approvals"]);
    server
        .cli(&["verify", "commit", &free, "--onto", "refs/heads/dev"])
        .exits(1)
        .says("baseline");
    server.cli(&["verify", "history"]).exits(0);
}

/// `policy check` shows what refs are held to and what rules ask for, in lines of a terminal, and warns
/// where somebody who is asked could never land a change of their own.
#[test]
fn policy_check_shows_all_of_it() {
    let rules = rule(
        "two of two",
        "paths = [\"secrets/\"]\nrequire = [\"1 of bob\"]",
    ) + &rule(
        "pipelines",
        "class = [\"pipeline\"]\nbase = \"exact\"\nrequire = [\"1 of @maintainers\"]",
    );
    let (server, ..) = two_people_under(&rules);
    let shown = server.cli(&["policy", "check"]).exits(1);
    for row in [
        &["refs/tags/v*", "enforce, made once, never moved"][..],
        &["two of two", "1 of bob", "secrets/"],
        &[
            "pipelines",
            "1 of @maintainers, exact base",
            "class pipeline",
        ],
        &["default", "1 of any"],
        &["the policy ref", "every rule, listed or not"],
        &["approvals count for 30d"],
        &["witnesses: none"],
    ] {
        let is_row = |line: &str| row.iter().all(|cell| line.contains(cell));
        assert!(shown.stdout.lines().any(is_row), "{row:?}: {shown}");
    }
    let narrow = |line: &str| line.chars().count() <= 80 || line.contains("read at");
    assert!(shown.stdout.lines().all(narrow), "{shown}");
    let warning = "rule two of two (.countersign/policy.toml:";
    let shown = shown.says(warning).says("hangs on bob");
    let value = server.cli(&["policy", "check", "--json"]).exits(1).json();
    let warnings = value["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{value}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&shown.stderr).contains(warnings[0].as_str().unwrap()));
}
