//! The form in which names that some checkout takes for one another are equal.
//!
//! Case (all of them), HFS+ (ignorable code points, normal forms), NTFS (trailing dots and spaces,
//! backslash). Policies match on this form, and trees in which two names share it are refused.
//! Sources: git's `utf8.c` (`next_hfs_char`), `path.c` (`is_ntfs_dotgit`), UAX #15.

use std::borrow::Cow;

use bstr::ByteSlice;
use unicode_normalization::UnicodeNormalization;

/// Returns the folded form of one tree entry's name.
///
/// A backslash folds to `/`, so the result may have several components. Bytes that are not UTF-8
/// fold by ASCII case alone. Folding twice is folding once.
pub fn fold_component(name: &[u8]) -> Vec<u8> {
    fold(name).into_owned()
}

/// Returns the folded form of a path: that of each component.
pub fn fold_path(path: &[u8]) -> Vec<u8> {
    fold(path).into_owned()
}

/// As [`fold_component`], without a copy where nothing changes.
pub(super) fn fold(path: &[u8]) -> Cow<'_, [u8]> {
    if is_folded(path) {
        return Cow::Borrowed(path);
    }
    let separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let parts: Vec<Vec<u8>> = path.split(separator).map(fold_part).collect();
    Cow::Owned(parts.join(&b'/'))
}

/// Returns whether a code point is invisible to HFS+ (and mostly to people).
pub(super) const fn is_hfs_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Returns the text without regard to case, in normal form C.
///
/// Lower, upper, lower: reaches `ß` and `ẞ` as `ss`, the Kelvin sign as `k`, `ſ` as `s`, and, more
/// than Unicode's simple folding, dotless `ı` as `i`. Until nothing changes, because normalising
/// may make letters that fold again.
pub(super) fn fold_case(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..4 {
        let next: String = text
            .nfd()
            .flat_map(char::to_lowercase)
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .nfc()
            .collect();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Most names are in folded form already: the common case costs one scan.
fn is_folded(path: &[u8]) -> bool {
    let mut before = b'/';
    for byte in path {
        let plain = byte.is_ascii() && !byte.is_ascii_uppercase() && *byte != b'\\';
        if !plain || (*byte == b'/' && matches!(before, b'.' | b' ')) {
            return false;
        }
        before = *byte;
    }
    !matches!(before, b'.' | b' ')
}

fn fold_part(part: &[u8]) -> Vec<u8> {
    let folded = match part.to_str() {
        Err(_) => part.to_ascii_lowercase(),
        Ok(text) => {
            let visible: String = text.chars().filter(|c| !is_hfs_ignorable(*c)).collect();
            fold_case(&visible).into_bytes()
        }
    };
    folded.trim_end_with(|c| matches!(c, '.' | ' ')).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// PATH-01..03: every name that a checkout takes for the plain one has its form.
    #[test]
    fn twins_fold_alike() {
        for (name, folded) in [
            (".GitHub", ".github"),
            (".g\u{200c}ithub", ".github"),
            (".github\u{feff}", ".github"),
            (".github ", ".github"),
            (".github. .", ".github"),
            (".github\\workflows", ".github/workflows"),
            (".github /Workflows./CI.yml", ".github/workflows/ci.yml"),
            (".g\u{131}thub", ".github"),
            (".\u{212a}ube", ".kube"),
            ("STRASSE", "strasse"),
            ("stra\u{df}e", "strasse"),
            ("stra\u{1e9e}e", "strasse"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("CAFE\u{301}", "caf\u{e9}"),
            ("\u{1f4a}.md", "\u{1f42}.md"),
            (".gitlab-CI.yml", ".gitlab-ci.yml"),
        ] {
            assert_eq!(
                fold_path(name.as_bytes()).as_bstr(),
                folded.as_bytes().as_bstr(),
                "{name:?}"
            );
        }
        assert_eq!(fold_component(b"A\xff. "), b"a\xff");
    }

    /// Names that differ for every checkout stay apart.
    #[test]
    fn others_stay_apart() {
        for (one, other) in [
            ("a", "b"),
            ("a.b", "ab"),
            ("e\u{301}", "e"),
            ("a b", "ab"),
            (".a", "a"),
            ("a/b", "ab"),
        ] {
            assert_ne!(fold_path(one.as_bytes()), fold_path(other.as_bytes()));
        }
    }

    proptest! {
        /// Folding what is folded changes nothing, for any text and any bytes.
        #[test]
        fn idempotent(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            for input in [text.as_bytes(), &bytes] {
                let once = fold_path(input);
                prop_assert_eq!(fold_path(&once), once);
            }
        }

        /// The scan that saves the work agrees with the work.
        #[test]
        fn shortcut_is_right(text in "[a-zA-Z./\\\\ ]{0,12}") {
            let parts: Vec<Vec<u8>> = text.as_bytes().split(|b| matches!(b, b'/' | b'\\')).map(fold_part).collect();
            prop_assert_eq!(fold_path(text.as_bytes()), parts.join(&b'/'));
        }
    }
}
