use proptest::prelude::*;

use super::*;
use crate::people::error::ConfigFault;
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

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJn/S4M0G/y5Hfk7o68QA7HjHTRN9pzVilLCQalWpJX5";

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

/// Every fault is found at its line and column; the head is three lines.
#[test]
fn refuses_with_place() {
    let rule = |text: &str| format!("[[rule]]\nname = \"r\"\n{text}\n");
    let refs = |text: &str| format!("[[ref]]\nmatch = [\"refs/heads/main\"]\n{text}\n");
    for (text, line, column, message) in [
        (
            "breakglas = 1\n".to_owned(),
            4,
            1,
            "unknown key `breakglas`; known here: version, ",
        ),
        (
            "[breakglass]\n".to_owned(),
            4,
            2,
            "`breakglass` is not supported by this version",
        ),
        (
            "[closure]\n".to_owned(),
            4,
            2,
            "`closure` is not supported by this version",
        ),
        ("version = 1\n".to_owned(), 4, 1, "duplicate key"),
        (
            "approvals_expire = 30\n".to_owned(),
            4,
            20,
            "`approvals_expire` must be a string, found integer",
        ),
        (
            "approvals_expire = \"30\"\n".to_owned(),
            4,
            20,
            "a duration is a number and one of",
        ),
        (
            "approvals_expire = \"0d\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"-1d\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"1.5h\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"d\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"3é\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"9223372036854775807w\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "approvals_expire = \"4000d\"\n".to_owned(),
            4,
            20,
            "a duration is",
        ),
        (
            "[ref]\nmatch = [\"refs/heads/main\"]\n".to_owned(),
            4,
            1,
            "`ref` must be an array, found table",
        ),
        (
            "[[ref]]\nmode = \"enforce\"\n".to_owned(),
            4,
            1,
            "`match` is missing here",
        ),
        (
            "[[ref]]\nmatch = []\n".to_owned(),
            5,
            9,
            "`match` is an empty list",
        ),
        (
            "[[ref]]\nmatch = [\"main\"]\n".to_owned(),
            5,
            10,
            "a ref pattern begins with `refs/`",
        ),
        (
            "[[ref]]\nmatch = [\"refs/a\", \"refs/heads/**x\"]\n".to_owned(),
            5,
            20,
            "`**` stands only as a whole component",
        ),
        (
            "[[ref]]\nmatch = \"refs/heads/main\"\n".to_owned(),
            5,
            9,
            "`match` must be an array, found string",
        ),
        (
            refs("mode = \"dryrun\""),
            6,
            8,
            "`mode` is \"enforce\" or \"dry-run\", found `dryrun`",
        ),
        (
            refs("rewind = true"),
            6,
            10,
            "`rewind` must be a string, found boolean",
        ),
        (
            refs("delete = \"never\""),
            6,
            10,
            "`delete` is \"refuse\" or \"allow\", found `never`",
        ),
        (
            refs("create_once = 1"),
            6,
            15,
            "`create_once` must be true or false",
        ),
        (
            refs("trusts = [\"main\"]"),
            6,
            11,
            "`trusts` holds full ref names",
        ),
        (
            refs("trusts = [\"refs/heads/*\"]"),
            6,
            11,
            "`trusts` holds full ref names",
        ),
        (
            refs("sign_commits = true"),
            6,
            1,
            "unknown key `sign_commits`",
        ),
        (
            "[[rule]]\nrequire = [\"1 of any\"]\n".to_owned(),
            4,
            1,
            "`name` is missing here",
        ),
        (
            "[hidden_content]\nrefuse = [\"pipelines\"]\n".to_owned(),
            5,
            11,
            "unknown class",
        ),
        (
            "[hidden_content]\nrefuse = [\"code\", \"code\"]\n".to_owned(),
            5,
            19,
            "`code` stands here a second time",
        ),
        (
            "[hidden_content]\nrefuse = \"code\"\n".to_owned(),
            5,
            10,
            "`refuse` must be an array, found string",
        ),
        (
            "[hidden_content]\nallow = []\n".to_owned(),
            5,
            9,
            "`allow` is an empty list",
        ),
        (
            "[hidden_content]\nallow = [\"!a\"]\n".to_owned(),
            5,
            10,
            "a pattern cannot be negated",
        ),
        (
            "[hidden_content]\nwarn = []\n".to_owned(),
            5,
            1,
            "unknown key `warn`; known here: refuse, allow",
        ),
        (
            "hidden_content = true\n".to_owned(),
            4,
            18,
            "`hidden_content` must be a table, found boolean",
        ),
        (rule(""), 4, 1, "`require` is missing here"),
        (rule("require = []"), 6, 11, "`require` is an empty list"),
        (
            rule("owners = { file = \"x\" }"),
            6,
            1,
            "`owners` is not supported by this version",
        ),
        (
            rule("require = [\"1 of any\"]\nowners = 1"),
            7,
            1,
            "`owners` is not supported by this version",
        ),
        (
            rule("require = [\"1 of any\"]\npath = 1"),
            7,
            1,
            "unknown key `path`; known here: name, ",
        ),
        (
            rule("require = [\"1 any\"]"),
            6,
            12,
            "a place is `<n> of <who>`",
        ),
        (
            rule("require = [\"1 of any\",\n\"1 of dave\"]"),
            7,
            1,
            "unknown person `dave`",
        ),
        (
            rule("require = [\"1 of pair\"]"),
            6,
            12,
            "unknown person `pair`; the team is `@pair`",
        ),
        (
            rule("require = [\"1 of @dave\"]"),
            6,
            12,
            "unknown team `@dave`",
        ),
        (
            rule("require = [\"1 of alice|github\"]"),
            6,
            12,
            "github is a forge, which fills no place",
        ),
        (
            rule("require = [\"101 of any\"]"),
            6,
            12,
            "a place asks for at most 100",
        ),
        (
            rule("require = [\"1 of alice|bob|alice\"]"),
            6,
            12,
            "alice stands here a second time",
        ),
        (
            rule("require = [\"1 of any\"]\nclass = []"),
            7,
            9,
            "`class` is an empty list",
        ),
        (
            rule("require = [\"1 of any\"]\nclass = [\"code\", \"Policy\"]"),
            7,
            18,
            "unknown class `Policy`",
        ),
        (
            rule("require = [\"1 of any\"]\npaths = [\"a\", \"../b\"]"),
            7,
            15,
            "`..` stands in no path",
        ),
        (
            rule("require = [\"1 of any\"]\npaths = [\"a\", \"a\"]"),
            7,
            15,
            "`a` stands here a second time",
        ),
        (
            rule("require = [\"1 of any\"]\nrefs = [\"heads/*\"]"),
            7,
            9,
            "a ref pattern begins with `refs/`",
        ),
        (
            rule("require = [\"1 of any\"]\nevidence = \"none\""),
            7,
            12,
            "`evidence` is \"signed\" or \"forge\"",
        ),
        (
            rule("require = [\"1 of any\"]\nbase = \"any\""),
            7,
            8,
            "`base` is \"replay\" or \"exact\"",
        ),
        (
            rule("require = [\"1 of any\"]\n[[rule]]\nname = \"r\""),
            8,
            8,
            "a second rule named `r`",
        ),
        (
            "[[rule]]\nname = \"default\"\n".to_owned(),
            5,
            8,
            "`default` is the built-in rule's name",
        ),
        (
            "[[rule]]\nname = \" r\"\n".to_owned(),
            5,
            8,
            "a rule's name has at most 255 bytes",
        ),
        (
            "[[rule]]\nname = \"a\\nb\"\n".to_owned(),
            5,
            8,
            "a control character in a rule's name",
        ),
        (
            "[classes]\nsecret = [\"a\"]\n".to_owned(),
            5,
            1,
            "unknown class `secret`",
        ),
        (
            "[classes]\ncode = []\n".to_owned(),
            5,
            8,
            "`code` is an empty list",
        ),
        (
            "[classes]\ncode = [\"[a\"]\n".to_owned(),
            5,
            9,
            "a bad class: it has no end",
        ),
        ("[classes\n".to_owned(), 4, 9, "unclosed table"),
    ] {
        let found = parse(&text).map(|_| ()).expect_err(&text);
        assert_eq!(
            (found.line, found.column),
            (line, column),
            "{text}\n{found}"
        );
        assert!(found.message.starts_with(message), "{text}\n{found}");
        assert!(found.rendered.contains(&format!("{FILE}:{line}:{column}")));
        assert_eq!(found.kind, ConfigFault::Invalid, "{text}");
    }
}

/// The head has its own faults.
#[test]
fn refuses_a_bad_head() {
    for (text, line, column, message) in [
        ("", 1, 1, "`version` is missing here"),
        ("repository = \"x\"\n", 1, 1, "`version` is missing here"),
        (
            "version = 2\nnews = 1\n",
            1,
            11,
            "this version of countersign reads `version = 1` alone",
        ),
        (
            "version = \"1\"\n",
            1,
            11,
            "`version` must be an integer, found string",
        ),
        ("version = 1\n", 1, 1, "`repository` is missing here"),
        (
            "version = 1\nrepository = \"\"\n",
            2,
            14,
            "`repository` is one word",
        ),
        (
            "version = 1\nrepository = \"a b\"\n",
            2,
            14,
            "`repository` is one word",
        ),
        (
            "version = 1\nrepository = \"a\\nb\"\n",
            2,
            14,
            "`repository` is one word",
        ),
    ] {
        let found = Policy::parse(text.as_bytes(), &people()).unwrap_err();
        assert_eq!(
            (found.line, found.column),
            (line, column),
            "{text}\n{found}"
        );
        assert!(found.message.starts_with(message), "{text}\n{found}");
    }
}

/// More people than there are, place by place or all together, is a finding of its own.
#[test]
fn refuses_the_unsatisfiable() {
    for (require, column, message) in [
        (r#"["0 of any"]"#, 12, "a place asks for at least 1"),
        (r#"["4 of any"]"#, 12, "`4 of any`, but there are only 3"),
        (
            r#"["1 of any", "3 of @pair"]"#,
            24,
            "`3 of @pair`, but there are only 2",
        ),
        (
            r#"["1 of @machines"]"#,
            12,
            "`1 of @machines`, but there are only 0",
        ),
        (
            r#"["2 of alice"]"#,
            12,
            "`2 of alice`, but there are only 1",
        ),
        (
            r#"["1 of alice", "2 of @pair"]"#,
            11,
            "these places together want more people",
        ),
        (
            r#"["3 of any", "1 of @pair"]"#,
            11,
            "these places together want more people",
        ),
    ] {
        let text = format!("[[rule]]\nname = \"r\"\nrequire = {require}\n");
        let found = parse(&text).map(|_| ()).expect_err(require);
        assert_eq!((found.line, found.column), (6, column), "{found}");
        assert!(found.message.starts_with(message), "{found}");
        assert_eq!(found.kind, ConfigFault::Unsatisfiable);
    }
    for require in [
        r#"["2 of @pair", "1 of any"]"#,
        r#"["3 of any", "1 of bot"]"#,
    ] {
        let text = format!("[[rule]]\nname = \"r\"\nrequire = {require}\n");
        assert!(parse(&text).is_ok(), "{require}");
    }
}

/// A rule whose people have no key that counts is named, and it alone.
#[test]
fn names_what_time_made_unsatisfiable() {
    let mut people = people();
    let key = |until: Option<&str>| crate::people::PersonKey {
        fingerprint: "f".to_owned(),
        material: crate::people::key::parse_ssh(KEY).unwrap().1,
        term: crate::people::Term {
            until: until.map(|at| at.parse().unwrap()),
            ..Default::default()
        },
        verify_required: false,
    };
    for person in people.persons.values_mut() {
        person.keys = match person.name.as_str() {
            "alice" => vec![key(Some("2026-01-01T00:00:00Z"))],
            _ => vec![key(None)],
        };
    }
    let text = "[[rule]]\nname = \"pair\"\nrequire = [\"2 of @pair\"]\n\
                [[rule]]\nname = \"forge\"\nrequire = [\"2 of @pair\"]\nevidence = \"forge\"\n";
    let policy = Policy::parse(format!("{HEAD}{text}").as_bytes(), &people).unwrap();
    let at = |time: &str| policy.unsatisfiable_at(&people, time.parse().unwrap());
    assert!(at("2025-12-31T23:59:59Z").is_empty());
    assert_eq!(at("2026-01-01T00:00:00Z"), ["pair"]);
    for person in people.persons.values_mut() {
        person.keys.clear();
    }
    let at = policy.unsatisfiable_at(&people, "2025-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(at, ["pair", "default"]);
}

/// What is too much is refused.
#[test]
fn bounded() {
    let rules = |n: usize| {
        (0..n)
            .map(|i| format!("[[rule]]\nname = \"r{i}\"\nrequire = [\"1 of any\"]\n"))
            .collect::<String>()
    };
    let patterns = |n: usize| {
        let all: String = (0..n).map(|i| format!("\"p{i}\",")).collect();
        format!("[classes]\nconfig = [{all}]\n")
    };
    let places = |n: usize| {
        format!(
            "[[rule]]\nname = \"r\"\nrequire = [{}]\n",
            "\"1 of any\",".repeat(n)
        )
    };
    for (text, message) in [
        (rules(MAX_RULES + 1), "more than 1000 of these"),
        (patterns(MAX_PATTERNS + 1), "more than 10000 patterns"),
        (places(MAX_PLACES + 1), "more than 32 places in one rule"),
        (
            "#".repeat(1 << 20),
            "1048622 bytes, more than 1048576 are not read",
        ),
    ] {
        let found = parse(&text).unwrap_err();
        assert!(found.message.starts_with(message), "{found}");
        assert!(found.rendered.len() < 4096);
    }
    assert_eq!(parse(&rules(MAX_RULES)).unwrap().rules.len(), MAX_RULES);
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
