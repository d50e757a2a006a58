mod authorities;

use proptest::prelude::*;

use super::*;
use crate::people::error::ConfigFault;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJn/S4M0G/y5Hfk7o68QA7HjHTRN9pzVilLCQalWpJX5";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRCc8dkei84rmGbankOhGfK40TaDc65lCoUY++nyvvp";
const ARMOR: &[u8] = include_bytes!("tests/alice.asc");

fn files(path: &str) -> Option<Vec<u8>> {
    match path {
        ".countersign/keys/alice.asc" => Some(ARMOR.to_vec()),
        ".countersign/keys/bad.asc" => Some(b"not armour".to_vec()),
        ".countersign/keys/large.asc" => Some(vec![b'a'; MAX_KEY_FILE + 1]),
        _ => None,
    }
}

/// `A` and `B` in the text stand for two keys.
fn parse(text: &str) -> Result<People, ConfigError> {
    let text = text
        .replace("\"A\"", &format!("\"{A}\""))
        .replace("\"B\"", &format!("\"{B}\""));
    People::parse(text.as_bytes(), &files)
}

const WHOLE: &str = r#"
[people.alice]
emails   = ["Alice@Example.com"]
accounts = { github = 583231, gitlab = 42, forgejo = 7 }
logins   = ["alice", "al"]
keys     = [
  { ssh = "A", from = 2026-01-02T00:00:00Z, until = 2026-01-02T02:00:00+01:00 },
  { ssh = "B", revoked = 2026-05-01T00:00:00Z },
  { openpgp = "keys/alice.asc" },
]
[people.release-bot]
kind = "bot"
[people.github]
kind = "forge"
[teams]
maintainers = ["alice", "release-bot"]
nobody = []
"#;

/// Everything the grammar knows ends up where it belongs, and can be looked up.
#[test]
fn reads_everything() {
    let people = parse(WHOLE).unwrap();
    let alice = people.person_by_email(b"aLICE@example.COM").unwrap();
    assert_eq!(alice.name.as_str(), "alice");
    assert_eq!(people.by_login("al").unwrap().name, alice.name);
    assert_eq!(people.by_account("gitlab", &42).unwrap().name, alice.name);
    assert!(people.by_account("github", &42).is_none());
    assert!(people.by_login("Alice").is_none());
    assert!(people.person_by_email(b"alice@example.com\xff").is_none());
    assert_eq!(people.team("maintainers").unwrap().len(), 2);
    assert_eq!(people.humans().count(), 1);
    assert_eq!(alice.keys.len(), 3);
    let counts = |key: usize, at: &str| alice.keys[key].counts_at(at.parse().unwrap());
    assert!(!counts(0, "2026-01-01T23:59:59Z"));
    assert!(counts(0, "2026-01-02T00:00:00Z"));
    assert!(!counts(0, "2026-01-02T01:00:00Z"));
    assert!(counts(1, "2026-04-30T23:59:59Z"));
    assert!(!counts(1, "2026-05-01T00:00:00Z"));
    assert!(counts(2, "1970-01-01T00:00:00Z"));
}

/// Every fault is found at its line and column.
#[test]
fn refuses_with_place() {
    for (text, line, column, message) in [
        ("[people.alice\n", 1, 14, "unclosed table"),
        ("[people.alice]\n[people.alice]\n", 2, 9, "duplicate key"),
        (
            "[people.alice]\nemails = []\nemails = []\n",
            3,
            1,
            "duplicate key",
        ),
        (
            "[people.alice]\n[person.bob]\n",
            2,
            2,
            "unknown key `person`; known here: people, teams, ca",
        ),
        (
            "[people.alice]\nemail = []\n",
            2,
            1,
            "unknown key `email`; known here: kind, emails",
        ),
        (
            "[people.Alice]\n",
            1,
            9,
            "a person is named [a-z0-9][a-z0-9-]{0,38}, found `Alice`",
        ),
        (
            "[people.\"a\\u001b\"]\n",
            1,
            9,
            "a person is named [a-z0-9][a-z0-9-]{0,38}, found `a\\u{1b}`",
        ),
        ("[people.any]\n", 1, 9, "`any` means any human"),
        (
            "[people]\nalice = 1\n",
            2,
            9,
            "`alice` must be a table, found integer",
        ),
        (
            "[people.alice]\nkind = \"robot\"\n",
            2,
            8,
            "`kind` is \"human\" or \"bot\" or \"forge\", found `robot`",
        ),
        (
            "[people.alice]\nemails = \"a@b\"\n",
            2,
            10,
            "`emails` must be an array, found string",
        ),
        (
            "[people.alice]\nemails = [\n  \"é@b\", 1,\n]\n",
            3,
            10,
            "`emails` must be a string, found integer",
        ),
        (
            "[people.alice]\nemails = [\"a b\"]\n",
            2,
            11,
            "`a b` is no e-mail address",
        ),
        (
            "[people.alice]\nemails = [\"a@b\", \"A@B\"]\n",
            2,
            18,
            "the e-mail `a@b` stands under alice twice",
        ),
        (
            "[people.alice]\nemails = [\"a@b\"]\n[people.bob]\nemails = [\"A@b\"]\n",
            4,
            11,
            "the e-mail `a@b` already belongs to alice",
        ),
        (
            "[people.zoe]\nlogins = [\"x\"]\n[people.bob]\nlogins = [\"x\"]\n",
            4,
            11,
            "the login `x` already belongs to zoe",
        ),
        (
            "[people.alice]\nlogins = [\"bob\"]\n[people.bob]\n",
            2,
            11,
            "the login `bob` is the name of the person bob",
        ),
        (
            "[people.a]\naccounts.github = 1\n[people.b]\naccounts = { github = 1 }\n",
            4,
            23,
            "the github account 1 already belongs to a",
        ),
        (
            "[people.a]\naccounts = { sourceforge = 1 }\n",
            2,
            14,
            "unknown key `sourceforge`",
        ),
        (
            "[people.a]\naccounts = { github = 0 }\n",
            2,
            23,
            "an account id is a number from 1",
        ),
        (
            "[people.a]\naccounts = { github = -1 }\n",
            2,
            23,
            "`github` must be an integer from 0",
        ),
        (
            "[people.a]\naccounts = { github = \"a\" }\n",
            2,
            23,
            "`github` must be an integer, found string",
        ),
        (
            "[people.a]\nkeys = [{ ssh = \"A\" }]\n[people.b]\nkeys = [\n{ ssh = \"B\" },\n{ ssh = \"A\" }]\n",
            6,
            9,
            "the key SHA256:",
        ),
        (
            "[people.a]\nkeys = [{ ssh = \"ssh-ed25519 AAAA\" }]\n",
            2,
            17,
            "",
        ),
        (
            "[people.a]\nkeys = [{ ssh = \"A\\nB\" }]\n",
            2,
            17,
            "a key is one line",
        ),
        (
            "[people.a]\nkeys = [\n  { ssh = \"A\", openpgp = \"k\" }]\n",
            3,
            3,
            "a key is either `ssh = …` or `openpgp = …`",
        ),
        ("[people.a]\nkeys = [{}]\n", 2, 9, "a key is either"),
        (
            "[people.a]\nkeys = [{ openpgp = \"keys/../../x\" }]\n",
            2,
            21,
            "`keys/../../x` is no path below .countersign/",
        ),
        (
            "[people.a]\nkeys = [{ openpgp = \"/etc/x\" }]\n",
            2,
            21,
            "`/etc/x` is no path",
        ),
        (
            "[people.a]\nkeys = [{ openpgp = \"keys/none\" }]\n",
            2,
            21,
            "there is no file .countersign/keys/none",
        ),
        (
            "[people.a]\nkeys = [{ openpgp = \"keys/bad.asc\" }]\n",
            2,
            21,
            ".countersign/keys/bad.asc: ",
        ),
        (
            "[people.a]\nkeys = [{ openpgp = \"keys/large.asc\" }]\n",
            2,
            21,
            ".countersign/keys/large.asc has more than",
        ),
        (
            "[people.a]\n[[people.a.keys]]\nssh = \"A\"\nuntil = 2026-01-01\n",
            4,
            9,
            "`until` needs date, time and offset",
        ),
        (
            "[people.a]\n[[people.a.keys]]\nssh = \"A\"\nfrom = 2026-01-01T00:00:00\n",
            4,
            8,
            "`from` needs date, time and offset",
        ),
        (
            "[people.a]\n[[people.a.keys]]\nssh = \"A\"\nfrom = \"2026-01-01T00:00:00Z\"\n",
            4,
            8,
            "`from` must be a date-time",
        ),
        (
            "[people.a]\n[[people.a.keys]]\nssh = \"A\"\nfrom = 2026-01-02T00:00:00Z\nuntil = 2026-01-02T00:00:00Z\n",
            5,
            9,
            "`until` must be later than `from`",
        ),
        (
            "[people.a]\n[[people.a.keys]]\nssh = \"A\"\nrevoked = true\n",
            4,
            11,
            "`revoked` must be a date-time",
        ),
        (
            "[people.a]\n[teams]\nx = [\"a\", \"b\"]\n",
            3,
            11,
            "unknown person `b`",
        ),
        (
            "[people.a]\n[teams]\nx = [\"a\", \"a\"]\n",
            3,
            11,
            "`a` stands here a second time",
        ),
        (
            "[people.a]\n[teams]\nX = [\"a\"]\n",
            3,
            1,
            "a team is named [a-z0-9]",
        ),
        (
            "[people.a]\n[teams]\nany = [\"a\"]\n",
            3,
            1,
            "`any` means any human",
        ),
        (
            "[people.a]\nteams = 1\n",
            2,
            1,
            "unknown key `teams`; known here: kind",
        ),
        (
            "x = \"\"\"\n\"\"\"\n",
            1,
            5,
            "multi-line strings are not supported",
        ),
        (
            "\u{feff}[people.a]\n",
            1,
            1,
            "begins with a byte order mark",
        ),
        ("[people.a]\nemails = [\"a", 2, 13, "unclosed array"),
    ] {
        let Err(found) = parse(text) else {
            panic!("{text} parses");
        };
        let place = format!("{FILE}:{line}:{column}");
        assert_eq!(
            (found.line, found.column),
            (line, column),
            "{text}\n{found}"
        );
        assert!(found.message.starts_with(message), "{text}\n{found}");
        assert!(found.rendered.contains(&place), "{}", found.rendered);
        assert!(
            !found
                .rendered
                .contains(|c: char| c.is_control() && c != '\n')
        );
        assert_eq!(found.kind, ConfigFault::Invalid, "{text}");
    }
}

/// Without a human the built-in rule could never be satisfied.
#[test]
fn refuses_a_file_without_humans() {
    for text in ["", "[people]\n", "[people.bot]\nkind = \"bot\"\n"] {
        assert_eq!(
            parse(text).unwrap_err().kind,
            ConfigFault::Unsatisfiable,
            "{text}"
        );
    }
}

/// What is too much is refused before it is worked on.
#[test]
fn bounded() {
    let people = |n: usize| {
        (0..n)
            .map(|i| format!("[people.p{i}]\n"))
            .collect::<String>()
    };
    let keys = |n: usize| format!("[people.a]\nkeys = [{}]\n", "{},".repeat(n));
    let nested = format!("a{} = 1\n", ".a".repeat(100_000));
    let braces = "a = ".to_owned() + &"{a=".repeat(100_000);
    let ladder = (0..70)
        .map(|_| format!("{{\na{}=\n", ".a".repeat(16)))
        .collect::<String>();
    for (text, message) in [
        (
            people(MAX_PEOPLE + 1),
            "10001 people, at most 10000 are read",
        ),
        (keys(MAX_KEYS + 1), "51 keys, at most 50 are read"),
        (
            " ".repeat((1 << 20) + 1),
            "1048577 bytes, more than 1048576 are not read",
        ),
        (nested, "keys nested too deep"),
        (braces, "cannot recurse further"),
        (
            format!("[x{}]\n", ".x".repeat(100_000)),
            "keys nested too deep",
        ),
        (format!("x={ladder}1{}", "}".repeat(70)), "unknown key `x`"),
    ] {
        let found = parse(&text).unwrap_err();
        assert!(found.message.starts_with(message), "{found}");
        assert!(found.rendered.len() < 4096, "{}", found.rendered.len());
    }
    assert_eq!(
        parse(&people(MAX_PEOPLE)).unwrap().persons.len(),
        MAX_PEOPLE
    );
}

/// A byte that is no UTF-8 is named where it stands.
#[test]
fn refuses_bytes() {
    let found = People::parse(b"[people.a]\nemails = [\"\xff\"]\n", &files).unwrap_err();
    assert_eq!((found.line, found.column), (2, 12));
    assert_eq!(found.message, "not UTF-8");
}

/// How a fault reads.
#[test]
fn renders() {
    let found = parse("[people.alice]\nemails = [\"é@b\", \"c d\"]\n").unwrap_err();
    insta::assert_snapshot!(found.rendered, @r#"
    error[policy-invalid]: `c d` is no e-mail address
     --> .countersign/people.toml:2:18
      |
    2 | emails = ["é@b", "c d"]
      |                  ^^^^^
    "#);
    let long = format!("[people.alice]\nemails = [{}\"c d\"]\n", " ".repeat(900));
    insta::assert_snapshot!(parse(&long).unwrap_err().rendered, @r#"
    error[policy-invalid]: `c d` is no e-mail address
     --> .countersign/people.toml:2:911
      |
    2 | ...                   "c d"]
      |                       ^^^^^
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No mutation of a good file makes the parser panic, and every error has its place.
    #[test]
    fn mutations_never_panic(
        edits in proptest::collection::vec((0..WHOLE.len(), 0usize..4, any::<u8>()), 1..6),
    ) {
        let mut bytes = WHOLE.replace("\"A\"", &format!("\"{A}\"")).into_bytes();
        for (at, cut, byte) in edits {
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, [byte]);
        }
        if let Err(found) = People::parse(&bytes, &files) {
            let place = format!("{FILE}:{}:{}", found.line, found.column);
            prop_assert!(found.rendered.contains(&place));
            prop_assert!(!found.rendered.contains(|c: char| c.is_control() && c != '\n'));
            prop_assert!(!found.message.contains(char::is_control));
        }
    }
}
