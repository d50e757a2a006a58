mod refused;

use proptest::prelude::*;

use super::*;
use crate::wire::name::RepoPath;

fn people() -> People {
    let text = r#"
        [people.alice]
        [people.bob]
        [people.carol]
        [people.bot]
        kind = "bot"
        [people.github]
        kind = "forge"
        [teams]
        pair = ["alice", "bob"]
        machines = ["bot", "github"]
    "#;
    People::parse(text.as_bytes(), &|_| None).unwrap()
}

/// The head of every policy, three lines.
const HEAD: &str = "version = 1\nrepository = \"git.example.com/x\"\n\n";

fn parse(text: &str) -> Result<Policy, ConfigError> {
    Policy::parse(format!("{HEAD}{text}").as_bytes(), &people())
}

const WHOLE: &str = r#"version          = 1
repository       = "git.example.com/payments"
approvals_expire = "30d"

[[ref]]
match = ["refs/heads/main", "refs/heads/release/**"]
mode = "dry-run"
signed_commits = true
every_commit = true
rewind = "allow"
delete = "allow"
trusts = ["refs/heads/main"]
[[ref]]
match       = ["refs/tags/v*"]
create_once = true

[[rule]]
name    = "two people see every change"
require = ["1 of @pair"]

[[rule]]
name     = "pipelines"
class    = ["pipeline"]
paths    = ["src/", "*.sh"]
refs     = ["refs/heads/release/**"]
require  = ["2 of any", "1 of @pair|carol|bot"]
evidence = "forge"
base     = "exact"

[classes]
config = ["deploy/", "*.tf"]
"#;

/// Everything the grammar knows ends up where it belongs.
#[test]
fn reads_everything() {
    let policy = Policy::parse(WHOLE.as_bytes(), &people()).unwrap();
    assert_eq!(policy.repository, "git.example.com/payments");
    assert_eq!(
        policy.approvals_expire,
        Some(SignedDuration::from_hours(720))
    );
    let main = RefName::from("refs/heads/main");
    let protection = policy.protection(&RefName::from("refs/heads/release/1"), &main);
    let expected = Protection {
        mode: Mode::DryRun,
        signed_commits: true,
        every_commit: true,
        allow_rewind: true,
        allow_delete: true,
        create_once: false,
        trusts: vec![main.clone()],
    };
    assert_eq!(protection, Some(expected));
    let tag = policy
        .protection(&RefName::from("refs/tags/v1"), &main)
        .unwrap();
    assert!(tag.create_once && tag.mode == Mode::Enforce && !tag.allow_rewind);
    assert_eq!(
        policy.protection(&RefName::from("refs/heads/topic"), &main),
        None
    );
    assert_eq!(
        policy.refs.iter().map(|r| r.line).collect::<Vec<_>>(),
        [5, 13]
    );
    let [first, second] = policy.rules.as_slice() else {
        panic!("two rules");
    };
    assert_eq!(
        (first.at(), second.at().as_str()),
        (format!("{FILE}:17"), ".countersign/policy.toml:21")
    );
    assert!(first.matches_ref(&main) && !first.names_ref(&main));
    assert!(!second.matches_ref(&main));
    assert!(second.names_ref(&RefName::from("refs/heads/release/1")));
    assert!(first.matches_path(&RepoPath::from("x"), &[Class::Code]));
    for (path, class, matched) in [
        ("src/a", Class::Pipeline, true),
        ("src/a", Class::Code, false),
        ("SRC/a", Class::Pipeline, true),
        ("x/a.SH", Class::Pipeline, true),
        ("x/a", Class::Pipeline, false),
    ] {
        assert_eq!(
            second.matches_path(&RepoPath::from(path), &[class]),
            matched,
            "{path}"
        );
    }
    assert_eq!(
        (second.evidence, second.base),
        (EvidenceWanted::Forge, BaseWanted::Exact)
    );
    assert_eq!(second.require[1].to_string(), "1 of @pair|carol|bot");
    assert_eq!(policy.classes(&RepoPath::from("deploy/x")), [Class::Config]);
}

/// What hides refuses on what decides, unless the policy chooses; exemptions are to the letter.
#[test]
fn hidden_content() {
    let deciding = [Class::Config, Class::Pipeline, Class::Policy];
    for (text, refuse) in [
        ("", &deciding[..]),
        ("[hidden_content]", &deciding),
        ("[hidden_content]\nallow = [\"a\"]", &deciding),
        ("[hidden_content]\nrefuse = []", &[]),
        (
            "[hidden_content]\nrefuse = [\"code\", \"policy\"]",
            &[Class::Code, Class::Policy],
        ),
    ] {
        let policy = parse(text).unwrap();
        assert_eq!(policy.hidden_content.refuse, refuse, "{text}");
        assert!(!policy.may_hide(&RepoPath::from("src/x")));
    }
    let policy = parse("[hidden_content]\nallow = [\"*.png\", \"/art/\"]").unwrap();
    for (path, may) in [
        ("logo.png", true),
        ("a/logo.png", true),
        ("art/a/b", true),
        ("logo.PNG", false),
        ("Art/a", false),
        ("logo.png/x", false),
        ("src/art", false),
    ] {
        assert_eq!(policy.may_hide(&RepoPath::from(path)), may, "{path}");
    }
}

/// The policy ref is protected whether listed or not; where several match, nothing loosens.
#[test]
fn protects_strictly() {
    let policy = parse("").unwrap();
    let main = RefName::from("refs/heads/main");
    assert_eq!(policy.protection(&main, &main), Some(Protection::default()));
    assert_eq!(
        policy.protection(&RefName::from("refs/heads/x"), &main),
        None
    );
    let loose = "match = [\"refs/heads/**\"]\nmode = \"dry-run\"\nrewind = \"allow\"\ndelete = \"allow\"\ntrusts = [\"refs/heads/a\"]\n";
    let one = parse(&format!("[[ref]]\n{loose}")).unwrap();
    assert!(one.protection(&main, &main).unwrap().allow_rewind);
    let strict = "[[ref]]\nmatch = [\"refs/heads/m*\"]\ncreate_once = true\n";
    for text in [
        format!("[[ref]]\n{loose}{strict}"),
        format!("{strict}[[ref]]\n{loose}"),
    ] {
        let both = parse(&text).unwrap().protection(&main, &main).unwrap();
        let expected = Protection {
            create_once: true,
            ..Protection::default()
        };
        assert_eq!(both, expected);
    }
}

/// How faults read.
#[test]
fn renders() {
    let text =
        "[[rule]]\nname = \"pipelines\"\nrequire = [\"2 of @pair\", \"1 of @security\"] # all\n";
    insta::assert_snapshot!(parse(text).unwrap_err().rendered, @r#"
    error[policy-invalid]: unknown team `@security`
     --> .countersign/policy.toml:6:26
      |
    6 | require = ["2 of @pair", "1 of @security"] # all
      |                          ^^^^^^^^^^^^^^^^
    "#);
    let text = "[[rule]]\nname = \"pipelines\"\nrequire = [\"3 of @pair\"]\n";
    insta::assert_snapshot!(parse(text).unwrap_err().rendered, @r#"
    error[unsatisfiable-rule]: `3 of @pair`, but there are only 2
     --> .countersign/policy.toml:6:12
      |
    6 | require = ["3 of @pair"]
      |            ^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(parse("[[rule]]\nname = \"a\"\n").unwrap_err().rendered, @r#"
    error[policy-invalid]: `require` is missing here
     --> .countersign/policy.toml:4:1
      |
    4 | [[rule]]
      | ^^^^^^^^
    "#);
    insta::assert_snapshot!(parse("[[rule]\n").unwrap_err().rendered, @r#"
    error[policy-invalid]: unclosed array table, expected `]`
     --> .countersign/policy.toml:4:8
      |
    4 | [[rule]
      |        ^
    "#);
}

/// What is drawn of a file steers no terminal, and the caret still stands below its place.
#[test]
fn drawings_steer_no_terminal() {
    for odd in [
        "\u{9b}2J",
        "\u{85}",
        "\u{200f}",
        "\u{2028}",
        "\u{202e}",
        "\u{e0041}",
    ] {
        let found = parse(&format!("x = \"{odd}\"; !\n")).unwrap_err();
        let drawn = &found.rendered;
        assert!(!drawn.contains(odd.chars().next().unwrap()), "{drawn:?}");
        let lines: Vec<&str> = drawn.lines().collect();
        let column = |letter: char| {
            let line = lines.iter().find(|line| line.contains(letter)).unwrap();
            line.chars().position(|c| c == letter).unwrap()
        };
        assert_eq!(column('^'), column(';'), "{drawn}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No mutation of a good file makes the parser panic, and every error has its place.
    #[test]
    fn mutations_never_panic(
        edits in proptest::collection::vec((0..WHOLE.len(), 0usize..4, any::<u8>()), 1..6),
    ) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, cut, byte) in edits {
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, [byte]);
        }
        if let Err(found) = Policy::parse(&bytes, &people()) {
            let place = format!("{FILE}:{}:{}", found.line, found.column);
            prop_assert!(found.rendered.contains(&place));
            prop_assert!(!found.rendered.contains(|c: char| c.is_control() && c != '\n'));
            prop_assert!(!found.message.contains(char::is_control));
        }
    }
}
