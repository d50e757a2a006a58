//! What is refused, and where the caret stands.

use super::*;
use crate::people::error::ConfigFault;

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
