//! Which ref names are allowed, which imitate a protected one, and which are Countersign's own.
//!
//! Sources: git-check-ref-format(1); gitrevisions(7) for what short names mean.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::fold::{fold_case, is_hfs_ignorable};
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
    if name == protected {
        return false;
    }
    let (name, protected) = (skeleton(name), skeleton(protected));
    let name = name.as_str();
    name == protected
        || short_forms(&protected)
            .iter()
            .any(|form| resolves(form, name))
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

/// Returns every form in which people and scripts write this ref, the full one included.
fn short_forms(full: &str) -> Vec<&str> {
    let mut forms = vec![full];
    for prefix in ["refs/", "refs/heads/", "refs/tags/", "refs/remotes/"] {
        forms.extend(full.strip_prefix(prefix).filter(|short| !short.is_empty()));
    }
    forms
}

/// Returns whether git may take `form` for `name`, in this repository or in a clone of it.
fn resolves(form: &str, name: &str) -> bool {
    let rest = name.strip_prefix("refs/").unwrap_or(name);
    let tails = ["tags/", "heads/", "remotes/"].map(|prefix| rest.strip_prefix(prefix));
    let tail_of = |tail: &str| {
        // `origin/main` in a clone is this before it is the remote-tracking branch.
        tail == form
            || tail.strip_suffix("/head") == Some(form)
            || tail
                .strip_prefix("refs/")
                .is_some_and(|nested| nested == form)
            || tail
                .strip_prefix("remotes/")
                .unwrap_or(tail)
                .strip_prefix("origin/")
                == Some(form)
    };
    name == form
        || rest == form
        || tails[..2].iter().flatten().any(|tail| tail_of(tail))
        || remote(tails[2], form)
}

fn remote(tail: Option<&str>, form: &str) -> bool {
    tail.is_some_and(|tail| tail == form || tail.strip_suffix("/head") == Some(form))
}

/// Returns the plain form with single characters and pairs that look alike made one.
fn skeleton(name: &RefName) -> String {
    plain_text(name)
        .replace("rn", "m")
        .replace("vv", "w")
        .replace('0', "o")
        .replace('1', "l")
}

fn plain_text(name: &RefName) -> String {
    let text = name.to_string();
    let visible = text
        .nfkd()
        .filter(|c| !is_invisible(*c) && !is_combining_mark(*c));
    fold_case(&visible.map(look_alike).collect::<String>())
}

/// Returns whether readers cannot see the character, or it moves those around it.
const fn is_invisible(c: char) -> bool {
    is_hfs_ignorable(c)
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{2060}'..='\u{2069}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}')
}

/// Returns the ASCII character that this one looks like, in the case it has; else itself.
///
/// The letters of other scripts that common fonts draw the same. Full-width and mathematical
/// letters are gone already: compatibility decomposition takes them.
const fn look_alike(c: char) -> char {
    match c {
        'а' | 'α' | 'ɑ' => 'a',
        'А' | 'Α' => 'a',
        'В' | 'Β' | 'Ь' | 'ь' | 'β' => 'b',
        'с' | 'С' | 'ϲ' | 'Ϲ' => 'c',
        'ԁ' | 'Ԁ' => 'd',
        'е' | 'Е' | 'ε' | 'Ε' | 'ҽ' | 'є' => 'e',
        'ɡ' | 'ց' => 'g',
        'һ' | 'Һ' | 'Н' | 'Η' | 'հ' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ӏ' | 'Ӏ' | 'ı' | 'ɩ' => 'i',
        'ј' | 'Ј' | 'ϳ' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'м' | 'М' | 'Μ' => 'm',
        'п' | 'ո' | 'η' | 'Ν' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'օ' | 'Օ' | 'σ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' | 'Ԛ' => 'q',
        'г' => 'r',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' => 't',
        'υ' | 'ս' | 'μ' => 'u',
        'ν' | 'ѵ' | 'Ѵ' => 'v',
        'ԝ' | 'Ԝ' | 'ω' | 'ѡ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'γ' | 'Υ' | 'ү' | 'Ү' => 'y',
        'Ζ' => 'z',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' => '-',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        c => c,
    }
}
