use proptest::prelude::*;

use super::*;
use crate::wire::fold::fold_path;

fn matched(pattern: &str, path: &[u8]) -> bool {
    Pattern::parse(pattern).unwrap().is_match(path)
}

/// The dialect, one line a rule of it.
#[test]
fn truth_table() {
    for (pattern, yes, no) in [
        (
            "Makefile",
            &["Makefile", "a/b/Makefile"][..],
            &["Makefile/x", "aMakefile"][..],
        ),
        ("/Makefile", &["Makefile"], &["a/Makefile"]),
        ("a/b", &["a/b"], &["x/a/b", "a/b/c", "a"]),
        (
            "*.yml",
            &["a.yml", ".yml", "x/.a.yml"],
            &["a.yml/b", "a.yaml"],
        ),
        (
            "deploy/",
            &["deploy/a", "x/deploy/a/b", "deploy"],
            &["xdeploy/a", "deployx"],
        ),
        ("/ci/", &["ci/a", "ci"], &["x/ci/a"]),
        ("a/*", &["a/b", "a/.b"], &["a/b/c", "a"]),
        ("a/**", &["a/b", "a/b/c", "a/.b"], &["a", "b/a/c"]),
        ("**", &["a", "a/b"], &[]),
        ("**/a", &["a", "x/y/a"], &["a/x"]),
        (
            "a/**/b",
            &["a/b", "a/x/b", "a/x/y/b", "a/b/b"],
            &["a/b/x", "b"],
        ),
        ("**/a/**", &["a/x", "x/a/y"], &["a", "x/a"]),
        (
            "a/**/b/**/c",
            &["a/b/c", "a/b/b/c", "a/x/b/y/c"],
            &["a/c", "a/c/b"],
        ),
        (
            "refs/heads/*",
            &["refs/heads/a"],
            &["refs/heads/a/b", "refs/heads"],
        ),
        (
            "refs/heads/release/**",
            &["refs/heads/release/1/x"],
            &["refs/heads/release"],
        ),
        ("a?c", &["abc", "aéc"], &["ac", "a/c", "abbc"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
        ("[!a-c]x", &["dx", "éx"], &["ax", "x"]),
        ("*[!é]", &["a"], &["é"]),
        ("[é-ü]", &["ê"], &["e"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("\\*\\[", &["*["], &["a["]),
        ("{a,b}", &["{a,b}"], &["a"]),
        ("a*b*c", &["abc", "axbxbc"], &["ab", "acb"]),
        ("*a", &["aaa", "ba"], &["aab"]),
    ] {
        for path in yes {
            assert!(
                matched(pattern, path.as_bytes()),
                "{pattern} matches {path}"
            );
        }
        for path in no {
            assert!(
                !matched(pattern, path.as_bytes()),
                "{pattern} does not match {path}"
            );
        }
    }
}

/// Paths are bytes: what is no UTF-8 still matches a star, a `?` and a negated class.
#[test]
fn matches_bytes() {
    let path = b"ci/\xff\xfe.yml";
    assert!(matched("ci/*.yml", path));
    assert!(matched("ci/??.yml", path));
    assert!(matched("ci/[!a][!a].yml", path));
    assert!(matched("ci/**", path));
    assert!(!matched("ci/[a-z]?.yml", path));
}

/// A pattern that could mean something else, or never match, is an error.
#[test]
fn refuses_bad_patterns() {
    for (pattern, error) in [
        ("", PatternError::Empty),
        ("/", PatternError::Empty),
        ("a//b", PatternError::EmptyComponent),
        ("//a", PatternError::EmptyComponent),
        ("../a", PatternError::Dots("..".to_owned())),
        ("./a", PatternError::Dots(".".to_owned())),
        ("a**", PatternError::PartialDeep),
        ("**.yml", PatternError::PartialDeep),
        ("!a", PatternError::Negated),
        ("a\\", PatternError::Escape),
        ("a\\/b", PatternError::Escape),
        ("a\nb", PatternError::Control),
    ] {
        assert_eq!(Pattern::parse(pattern), Err(error), "{pattern:?}");
    }
    for class in [
        "[a",
        "[]",
        "[!]",
        "[^a]",
        "[z-a]",
        "[a/b]",
        "[[:alpha:]]",
        "[a-",
    ] {
        let found = Pattern::parse(class);
        assert!(
            matches!(found, Err(PatternError::Class(_))),
            "{class} is {found:?}"
        );
    }
    let long = "a".repeat(MAX_PATTERN + 1);
    assert_eq!(Pattern::parse(&long), Err(PatternError::TooLong(4097)));
    let wild = "a*".repeat(65);
    assert_eq!(Pattern::parse(&wild), Err(PatternError::TooManyWildcards));
}

/// Another case of a protected name is caught on the folded form, also within a class.
#[test]
fn folds() {
    for (pattern, path) in [
        (".github/workflows/", ".GitHub/Workflows/ci.yml"),
        ("Jenkinsfile*", "jenkinsFILE.x"),
        ("[A-Z]x", "ax"),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        assert!(!pattern.is_match(path.as_bytes()));
        assert!(
            pattern.is_match_folded(&fold_path(path.as_bytes())),
            "{pattern} {path}"
        );
    }
}

/// Only a pattern without wildcards names one ref.
#[test]
fn knows_literals() {
    let literal = |text| Pattern::parse(text).unwrap().literal();
    assert_eq!(
        literal("refs/heads/ma\\in"),
        Some(b"refs/heads/main".to_vec())
    );
    for several in ["refs/heads/*", "refs/heads/", "main", "refs/[a]", "refs/**"] {
        assert_eq!(literal(several), None, "{several}");
    }
}

/// The classic blow-up of backtracking matchers takes no time here.
#[test]
fn stays_linear() {
    let deep = format!("{}b", "**/a*a*a*a*a*a*/".repeat(8));
    let path = "a".repeat(250) + "/";
    assert!(!matched(&deep, path.repeat(16).as_bytes()));
    assert!(!matched(
        "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        "a".repeat(4000).as_bytes()
    ));
}

/// The obvious matcher: try everything.
fn naive(parts: &[Part], names: &[&[u8]]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Part::Deep, parts_rest)), _) => {
            naive(parts_rest, names)
                || names
                    .split_first()
                    .is_some_and(|(_, rest)| naive(parts, rest))
        }
        (Some((Part::One(tokens), parts)), Some((name, names))) => {
            naive_component(tokens, std::str::from_utf8(name).unwrap()) && naive(parts, names)
        }
        (Some((Part::One(_), _)), None) | (None, Some(_)) => false,
    }
}

fn naive_component(tokens: &[Token], text: &str) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return text.is_empty();
    };
    let mut chars = text.chars();
    match token {
        Token::Star => (0..=text.len())
            .filter_map(|at| text.get(at..))
            .any(|text| naive_component(rest, text)),
        Token::Any => chars.next().is_some() && naive_component(rest, chars.as_str()),
        Token::Literal(literal) => text
            .strip_prefix(std::str::from_utf8(literal).unwrap())
            .is_some_and(|text| naive_component(rest, text)),
        Token::Class { negated, ranges } => chars.next().is_some_and(|c| {
            ranges.iter().any(|(a, b)| *a <= c && c <= *b) != *negated
                && naive_component(rest, chars.as_str())
        }),
    }
}

proptest! {
    /// Jumping to the end behind the last `**` loses and gains no match either.
    #[test]
    fn agrees_with_naive_on_components(
        parts in proptest::collection::vec(
            proptest::sample::select(vec!["**", "**", "*", "a", "b", "?", "a*", "*b*", "[!a]"]),
            1..7,
        ),
        anchors in ("/?", "/?"),
        path in "[ab]{1,2}(/[ab]{1,2}){0,6}",
    ) {
        let text = format!("{}{}{}", anchors.0, parts.join("/"), anchors.1);
        let pattern = Pattern::parse(&text).unwrap();
        let names = components(path.as_bytes());
        prop_assert_eq!(pattern.is_match(path.as_bytes()), naive(&pattern.parts, &names), "{}", text);
    }

    /// Going back to the last star alone loses no match.
    #[test]
    fn agrees_with_naive(pattern in "[ab/*?é]{1,10}", path in "[abé]{1,3}(/[abé]{1,3}){0,4}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let names = components(path.as_bytes());
            prop_assert_eq!(pattern.is_match(path.as_bytes()), naive(&pattern.parts, &names));
        }
    }

    /// On ASCII the dialect is that of `globset` with a literal separator.
    #[test]
    fn agrees_with_globset(
        pattern in "(\\*\\*/|[ab]{0,2}[*?]?[ab]?/|\\[!?ab\\][ab]?/){1,4}(\\*\\*|[ab*?]{1,2})",
        path in "[ab]{1,3}(/[ab]{1,3}){0,4}",
    ) {
        if let Ok(ours) = Pattern::parse(&pattern) && !pattern.starts_with('/') {
            let glob = globset::GlobBuilder::new(&pattern).literal_separator(true).build();
            let theirs = glob.unwrap().compile_matcher();
            prop_assert_eq!(ours.is_match(path.as_bytes()), theirs.is_match(&path));
        }
    }

    /// Nothing makes the parser or the matcher panic.
    #[test]
    fn never_panics(pattern in ".{0,40}", path in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.is_match(&path);
            pattern.is_match_folded(&fold_path(&path));
        }
    }
}
