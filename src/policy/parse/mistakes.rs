//! What people get wrong at first: each message says what would be right, and fits a terminal.

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG";
const PEOPLE: &str = "[people.alice]\nemails = [\"alice@example.com\"]\n[people.bob]\n\
                      [teams]\nmaintainers = [\"alice\", \"bob\"]\n";
const POLICY: &str = "version = 1\nrepository = \"x\"\napprovals_expire = \"30d\"\n\
                      [[ref]]\nmatch = [\"refs/heads/main\"]\n\
                      [[rule]]\nname = \"r\"\nrequire = [\"1 of @maintainers\"]\n";

/// Asserts how an error begins, what it proposes, and that it fits 80 columns behind `countersign: `.
fn says(error: &ConfigError, begins: &str, right: &str) {
    assert!(error.message.starts_with(begins), "{error}");
    assert!(error.message.contains(right), "{error}");
    for (at, line) in error.rendered.lines().enumerate() {
        let before = if at == 0 { "countersign: ".len() } else { 0 };
        assert!(before + line.chars().count() <= 80, "{}", error.rendered);
    }
}

/// Mistakes in policy.toml.
#[test]
fn in_the_policy() {
    let people = People::parse(PEOPLE.as_bytes(), &|_| None).unwrap();
    for (good, bad, begins, right) in [
        (
            "version = 1\n",
            "",
            "`version` is missing",
            "begin with `version = 1`",
        ),
        (
            "\"30d\"",
            "30",
            "`approvals_expire` must be a string",
            "as in \"30d\"",
        ),
        ("\"30d\"", "\"30 days\"", "a duration is", "found `30 days`"),
        (
            "[[rule]]",
            "[rule]",
            "`rule` must be an array, found table",
            "`[[rule]]`",
        ),
        (
            "[[ref]]",
            "[ref]",
            "`ref` must be an array, found table",
            "`[[ref]]`",
        ),
        (
            "[\"1 of @maintainers\"]",
            "\"1 of @maintainers\"",
            "`require` must be an array, found string",
            "[\"…\"]",
        ),
        (
            "require =",
            "requires =",
            "unknown key `requires`",
            "did you mean `require`?",
        ),
        (
            "@maintainers",
            "@maintainer",
            "unknown team",
            "did you mean `maintainers`?",
        ),
        (
            "@maintainers",
            "maintainers",
            "unknown person",
            "the team is `@maintainers`",
        ),
        (
            "@maintainers",
            "alise",
            "unknown person",
            "did you mean `alice`?",
        ),
        ("1 of @", "2 @", "a place is", "\"2 of @maintainers|alice\""),
        (
            "refs/heads/main",
            "main",
            "a ref pattern begins",
            "\"refs/heads/main\"",
        ),
        ("main\"]", "main\"", "missing comma", "not closed with `]`"),
    ] {
        let text = POLICY.replacen(good, bad, 1);
        assert_ne!(text, POLICY);
        let error = Policy::parse(text.as_bytes(), &people).unwrap_err();
        says(&error, begins, right);
    }
}

/// Mistakes in people.toml.
#[test]
fn in_the_people() {
    let key = format!("keys = [\"{KEY}\"]");
    for (good, bad, begins, right) in [
        (
            "people.bob",
            "people.Bob",
            "a person is named",
            "`bob` would do",
        ),
        (
            "people.bob",
            "people.\"Bob Smith\"",
            "a person is named",
            "`bob-smith` would do",
        ),
        (
            "people.bob",
            "people.bob.smith",
            "unknown key `smith`",
            "`[people.bob-smith]`",
        ),
        (
            "[people.alice]",
            "[alice]",
            "unknown key `alice`",
            "`[people.alice]`",
        ),
        (
            "emails = [",
            "email = [",
            "unknown key `email`",
            "did you mean `emails`?",
        ),
        (
            "emails = [\"alice@example.com\"]",
            "keys = [{ ssh = \"~/.ssh/id_rsa.pub\" }]",
            "not an ssh",
            ".pub file",
        ),
        (
            "emails = [\"alice@example.com\"]",
            &key,
            "a key is",
            "`{ ssh = \"…\" }`",
        ),
        (
            "\"bob\"]",
            "\"rob\"]",
            "unknown person `rob`",
            "did you mean `bob`?",
        ),
        (
            "[people.bob]",
            "[people.alice]",
            "duplicate key",
            "further up",
        ),
        (
            "[teams]",
            "[team]",
            "unknown key `team`",
            "did you mean `teams`?",
        ),
    ] {
        let text = PEOPLE.replacen(good, bad, 1);
        assert_ne!(text, PEOPLE);
        let error = People::parse(text.as_bytes(), &|_| None).unwrap_err();
        says(&error, begins, right);
    }
}

/// However long a wrong name is, a message is not.
#[test]
fn long_names() {
    let long = "x".repeat(100_000);
    for text in [
        format!("[{long}]\nkeys = []\n"),
        format!("[people.bob.{long}]\n"),
        format!("[people.\"{long} {long}\"]\n"),
        format!("[people.bob]\n[teams]\nt = [\"{long}\"]\n"),
    ] {
        let error = People::parse(text.as_bytes(), &|_| None).unwrap_err();
        assert!(
            error.message.len() < 400 && error.rendered.len() < 1500,
            "{error}"
        );
    }
}
