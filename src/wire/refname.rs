//! Which ref names are allowed, which imitate a protected one, and which are Countersign's own.
//!
//! Sources: git-check-ref-format(1); gitrevisions(7) for what short names mean.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::look_alike::{is_invisible, plain_text, skeleton};
use super::name::RefName;
use super::oid::Oid;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 1024;
/// Longest component, in bytes: as a file, with `.lock`, it must fit 255.
pub const MAX_COMPONENT: usize = 250;

/// What is wrong with a ref name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefNameError {
    /// Outside `refs/`.
    #[error("a full ref name begins with refs/")]
    Prefix,
    /// Not text.
    #[error("the name is not UTF-8")]
    Utf8,
    /// Longer than the limits.
    #[error("the name is longer than {MAX_NAME} bytes, or a part of it than {MAX_COMPONENT}")]
    Long,
    /// What git refuses itself.
    #[error("git allows no such name")]
    Git,
    /// A part that programs take for an option, a forced refspec or a file beside the ref.
    #[error("a part of the name begins with `-` or `+`, or ends in `.` or `.lock`")]
    Part,
    /// A character that shells, URLs or readers take for something else.
    #[error("the character {0:?} is not allowed in a name")]
    Character(char),
    /// Looks the same as another name that is in normal form C.
    #[error("the name is not in Unicode normal form C")]
    Normal,
    /// `HEAD`, or all digits of an object id, as the name of a branch or tag.
    #[error("the name stands for something else to git")]
    Reserved,
}

/// Checks a name against the grammar of names that may be pushed.
///
/// What git allows, less what shells, options, refspecs, URLs and readers take for something else.
/// Letters of all scripts are allowed, in normal form C; `imitates` finds the look-alikes.
pub fn check(name: &RefName) -> Result<(), RefNameError> {
    let bytes = name.as_bstr();
    if !bytes.starts_with(b"refs/") {
        return Err(RefNameError::Prefix);
    }
    if bytes.len() > MAX_NAME {
        return Err(RefNameError::Long);
    }
    let text = name.as_str().ok_or(RefNameError::Utf8)?;
    if !is_valid(bytes) {
        return Err(RefNameError::Git);
    }
    if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(RefNameError::Character(c));
    }
    text.split('/').try_for_each(check_part)?;
    if !text.chars().eq(text.nfc()) {
        return Err(RefNameError::Normal);
    }
    match short(text) {
        Some(short) if short.eq_ignore_ascii_case("head") || is_id(short) => {
            Err(RefNameError::Reserved)
        }
        _ => Ok(()),
    }
}

/// Returns whether git allows the name (`git check-ref-format <name>`).
pub fn is_valid(name: &[u8]) -> bool {
    let parts = || name.split(|byte| *byte == b'/');
    let forbidden = |byte: &u8| {
        byte.is_ascii_control()
            || matches!(byte, b' ' | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\')
    };
    let twice = |one: u8, other: u8| name.windows(2).any(|pair| pair == [one, other]);
    parts().count() > 1
        && parts()
            .all(|part| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock"))
        && !name.iter().any(forbidden)
        && !twice(b'.', b'.')
        && !twice(b'@', b'{')
        && !name.ends_with(b".")
}

/// Returns whether `name` could be taken for `protected`: by git, by a file system, by a reader.
///
/// By git: any name that a short form of the protected one resolves to, whichever comes first in
/// gitrevisions(7); also nested (`refs/tags/refs/heads/main`), and, where clones have a remote
/// called origin, what hides its remote-tracking branch. By file systems and readers: the same
/// name but for case, normal form, invisible or look-alike characters. Never the ref itself.
pub fn imitates(name: &RefName, protected: &RefName) -> bool {
    let forms = forms(protected);
    name != protected && readings(name).iter().any(|reading| forms.contains(reading))
}

/// Returns every form in which people and scripts write a name, the full one included, in its plainest
/// letters: whoever has one of these among their [`readings`] imitates it.
pub fn forms(name: &RefName) -> BTreeSet<String> {
    let full = skeleton(name);
    let short = ["refs/", "refs/heads/", "refs/tags/", "refs/remotes/"]
        .into_iter()
        .filter_map(|prefix| full.strip_prefix(prefix))
        .filter(|short| !short.is_empty());
    let short: Vec<String> = short.map(str::to_owned).collect();
    short.into_iter().chain([full]).collect()
}

/// Returns what must be written, in its plainest letters, for git or a reader to take it for this name.
pub fn readings(name: &RefName) -> BTreeSet<String> {
    let skeleton = skeleton(name);
    let mut readings = BTreeSet::new();
    let mut name = skeleton.as_str();
    loop {
        let places = PLACES.iter().filter_map(|(prefix, suffix)| {
            let rest = name.strip_prefix(prefix)?;
            rest.strip_suffix(suffix)
        });
        readings.extend(places.map(str::to_owned));
        // `refs/tags/refs/…`: read again by what stands inside.
        let inner = NESTING.iter().find_map(|prefix| name.strip_prefix(prefix));
        match inner.filter(|inner| inner.starts_with("refs/")) {
            Some(inner) => name = inner,
            None => return readings,
        }
    }
}

/// Returns the plain name of which this one is a twin: without case, marks and look-alikes.
///
/// For patterns, which cannot be compared by [`imitates`]: a name that nothing protects, whose
/// plain form something does, is a twin of a name that may come. The name itself if it is plain.
pub fn plain(name: &RefName) -> RefName {
    RefName::new(plain_text(name))
}

/// Returns H and the leaf of `refs/countersign/reviews/<H>/<leaf>`.
pub fn review_ref(name: &RefName) -> Option<(Oid, String)> {
    let rest = name.as_str()?.strip_prefix("refs/countersign/reviews/")?;
    let (head, leaf) = rest.split_once('/')?;
    let head = Oid::from_hex(head.as_bytes()).ok()?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = leaf.bytes().next()?;
    let good = plain(first)
        && leaf
            .bytes()
            .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
    (good && !head.is_zero() && check(name).is_ok()).then(|| (head, leaf.to_owned()))
}

/// Returns the person and the name of `refs/countersign/proposals/<person>/<name>`.
///
/// The person's name follows the grammar of `people.toml`; whether there is such a person is not
/// looked into. The rest may have several parts.
pub fn proposal_ref(name: &RefName) -> Option<(String, String)> {
    let rest = name.as_str()?.strip_prefix("refs/countersign/proposals/")?;
    let (person, leaf) = rest.split_once('/')?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = person.bytes().next()?;
    let good = plain(first) && person.len() <= 39 && person.bytes().all(|b| plain(b) || b == b'-');
    (good && check(name).is_ok()).then(|| (person.to_owned(), leaf.to_owned()))
}

fn is_allowed(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '/' | '.' | '_' | '-' | '+' | '@' | '#' | '=' | ',' => true,
        c if c.is_ascii() => false,
        c => !c.is_control() && !c.is_whitespace() && !is_invisible(c),
    }
}

fn check_part(part: &str) -> Result<(), RefNameError> {
    if part.len() > MAX_COMPONENT {
        return Err(RefNameError::Long);
    }
    let lower = part.to_ascii_lowercase();
    let bad = part.starts_with(['-', '+']) || part.ends_with('.') || lower.ends_with(".lock");
    if bad { Err(RefNameError::Part) } else { Ok(()) }
}

/// Returns what stands behind `refs/heads/` or `refs/tags/`.
fn short(name: &str) -> Option<&str> {
    name.strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
}

fn is_id(short: &str) -> bool {
    matches!(short.len(), 40 | 64) && short.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where git looks for a short name (gitrevisions(7)), then where it finds `origin/<form>` in a
/// clone before the remote-tracking branch.
const PLACES: [(&str, &str); 10] = [
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/head"),
    ("refs/tags/origin/", ""),
    ("refs/heads/origin/", ""),
    ("refs/tags/remotes/origin/", ""),
    ("refs/heads/remotes/origin/", ""),
];

const NESTING: [&str; 4] = ["refs/heads/", "refs/tags/", "refs/remotes/", "refs/"];

#[cfg(test)]
mod tests {
    use super::*;

    const H: &str = "0123456789abcdef0123456789abcdef01234567";

    /// Names that teams use are allowed, in any script.
    #[test]
    fn allows_real_names() {
        for name in [
            "refs/heads/main",
            "refs/heads/feature/#123-fix_it",
            "refs/heads/dependabot/npm_and_yarn/@types/node-18.0.0",
            "refs/heads/renovate/foo-1.x+build,a=b",
            "refs/heads/功能/登录",
            "refs/heads/caf\u{e9}",
            "refs/heads/हिन्दी",
            "refs/tags/v1.0.0-rc.1",
            "refs/stash",
            "refs/notes/commits",
            "refs/heads/@",
            "refs/heads/headless",
        ] {
            assert_eq!(check(&RefName::from(name)), Ok(()), "{name}");
        }
    }

    /// REF-13: options, refspecs, metacharacters and what git refuses, each with its reason.
    #[test]
    fn refuses_dangerous_names() {
        use RefNameError::*;
        let (long, part) = ("a/".repeat(600), "a".repeat(251));
        for (name, error) in [
            ("main", Prefix),
            ("HEAD", Prefix),
            ("heads/main", Prefix),
            ("refs/", Git),
            ("refs/heads/", Git),
            ("refs//main", Git),
            ("refs/heads/a..b", Git),
            ("refs/heads/a.", Git),
            ("refs/heads/.a", Git),
            ("refs/heads/a.lock", Git),
            ("refs/heads/a.lock/b", Git),
            ("refs/heads/a@{0}", Git),
            ("refs/heads/a b", Git),
            ("refs/heads/a\nb", Git),
            ("refs/heads/+a:refs/heads/main", Git),
            ("refs/heads/a~1", Git),
            ("refs/heads/*", Git),
            ("refs/heads/a\\b", Git),
            ("refs/heads/a.LOCK", Part),
            ("refs/heads/a./b", Part),
            ("refs/heads/-x", Part),
            ("refs/heads/--upload-pack=x", Part),
            ("refs/heads/a/-x", Part),
            ("refs/heads/+main", Part),
            ("refs/heads/$(id)", Character('$')),
            ("refs/heads/a;id", Character(';')),
            ("refs/heads/a`id`", Character('`')),
            ("refs/heads/a|id", Character('|')),
            ("refs/heads/a&b", Character('&')),
            ("refs/heads/a\"b", Character('"')),
            ("refs/heads/a'b", Character('\'')),
            ("refs/heads/a>b", Character('>')),
            ("refs/heads/%6dain", Character('%')),
            ("refs/heads/{a,b}", Character('{')),
            ("refs/heads/a!b", Character('!')),
            ("refs/heads/ma\u{200d}in", Character('\u{200d}')),
            ("refs/heads/ma\u{202e}ni", Character('\u{202e}')),
            ("refs/heads/a\u{a0}b", Character('\u{a0}')),
            ("refs/heads/a\u{85}b", Character('\u{85}')),
            ("refs/heads/cafe\u{301}", Normal),
            ("refs/heads/HEAD", Reserved),
            ("refs/tags/head", Reserved),
            (&format!("refs/heads/{H}"), Reserved),
            (&format!("refs/heads/{}", long.trim_end_matches('/')), Long),
            (&format!("refs/heads/{part}"), Long),
        ] {
            assert_eq!(check(&RefName::from(name)), Err(error), "{name:?}");
        }
        assert_eq!(
            check(&RefName::new(b"refs/heads/a\xff".to_vec())),
            Err(Utf8)
        );
    }

    /// REF-01, REF-02, REF-04: everything that git, a file system or a reader takes for main.
    #[test]
    fn finds_imitations() {
        let main = RefName::from("refs/heads/main");
        for name in [
            "refs/tags/main",
            "refs/main",
            "refs/remotes/main",
            "refs/remotes/main/HEAD",
            "refs/heads/heads/main",
            "refs/tags/heads/main",
            "refs/remotes/heads/main",
            "refs/heads/refs/heads/main",
            "refs/tags/refs/heads/main",
            "refs/refs/heads/main",
            "refs/tags/refs/tags/main",
            "refs/heads/refs/heads/refs/heads/main",
            "refs/tags/origin/main",
            "refs/heads/origin/main",
            "refs/heads/Main",
            "refs/heads/MAIN",
            "refs/Heads/main",
            "refs/tags/MAIN",
            "refs/heads/ma\u{200d}in",
            "refs/heads/ma\u{ad}in",
            "refs/heads/m\u{430}in",
            "refs/heads/\u{39c}\u{391}\u{399}\u{39d}",
            "refs/heads/\u{43c}\u{430}\u{456}\u{578}",
            "refs/heads/\u{ff4d}\u{ff41}\u{ff49}\u{ff4e}",
            "refs/heads/\u{1d426}ain",
            "refs/heads/ma\u{131}n",
            "refs/heads/ma\u{130}n",
            "refs/heads/m\u{e1}in",
            "refs/heads/\u{1e43}ain",
            "refs/heads/rnain",
            "refs\u{2215}heads\u{2044}main",
        ] {
            assert!(imitates(&RefName::from(name), &main), "{name:?}");
        }
        for (name, protected) in [
            ("refs/heads/v1.0", "refs/tags/v1.0"),
            ("refs/tags/vl.o", "refs/tags/v1.0"),
            ("refs/heads/release\u{2010}1", "refs/heads/release-1"),
            ("refs/tags/release/1", "refs/heads/release/1"),
            ("refs/heads/cafe\u{301}", "refs/heads/caf\u{e9}"),
        ] {
            assert!(
                imitates(&RefName::from(name), &RefName::from(protected)),
                "{name:?}"
            );
        }
    }

    /// The ref itself and names that merely contain its name are nobody's twins.
    #[test]
    fn leaves_others_alone() {
        let main = RefName::from("refs/heads/main");
        for name in [
            "refs/heads/main",
            "refs/heads/main2",
            "refs/heads/feature/main",
            "refs/heads/main/x",
            "refs/remotes/origin/main",
            "refs/heads/domain",
            "refs/heads/mian",
            "refs/heads/mann",
            "refs/tags/main-v1",
            "refs/heads/refs/heads/other",
            "refs/heads/refs",
            "refs/countersign/proposals/alice/main",
            "refs/for/main",
        ] {
            assert!(!imitates(&RefName::from(name), &main), "{name:?}");
        }
    }

    /// A twin of a name that only a pattern protects shows by its plain form.
    #[test]
    fn plain_forms() {
        for (name, plain_name) in [
            ("refs/heads/Release/2", "refs/heads/release/2"),
            ("refs/heads/rele\u{430}se/10", "refs/heads/release/10"),
            // A capital that looks like no Latin letter; its small letter does.
            ("refs/heads/H\u{54d}B", "refs/heads/hub"),
            ("refs/heads/release/2", "refs/heads/release/2"),
        ] {
            assert_eq!(plain(&RefName::from(name)), RefName::from(plain_name));
        }
    }

    /// Countersign's own names are read whole or not at all.
    #[test]
    fn own_refs() {
        let head = Oid::from_hex(H.as_bytes()).unwrap();
        let review =
            |tail: &str| review_ref(&RefName::new(format!("refs/countersign/reviews/{tail}")));
        assert_eq!(review(&format!("{H}/bob")), Some((head, "bob".into())));
        assert_eq!(
            review(&format!("{H}/2-b.o_b")),
            Some((head, "2-b.o_b".into()))
        );
        for leaf in [
            "", "Bob", "-b", ".b", "_b", "b/c", "b..c", "b.", "b.lock", "b\u{e9}", "b c",
        ] {
            assert_eq!(review(&format!("{H}/{leaf}")), None, "{leaf:?}");
        }
        for head in [
            "0".repeat(40),
            H.to_uppercase(),
            H[1..].to_owned(),
            String::new(),
        ] {
            assert_eq!(review(&format!("{head}/bob")), None, "{head}");
        }
        assert_eq!(review(H), None);

        let proposal =
            |tail: &str| proposal_ref(&RefName::new(format!("refs/countersign/proposals/{tail}")));
        assert_eq!(proposal("alice/fix"), Some(("alice".into(), "fix".into())));
        assert_eq!(proposal("a-1/x/y"), Some(("a-1".into(), "x/y".into())));
        for tail in [
            "alice",
            "alice/",
            "Alice/x",
            "-a/x",
            "a_b/x",
            "/x",
            "alice/-x",
            "alice/a b",
            "alice/..",
        ] {
            assert_eq!(proposal(tail), None, "{tail:?}");
        }
        assert_eq!(proposal(&format!("{}/x", "a".repeat(40))), None);
    }
}
