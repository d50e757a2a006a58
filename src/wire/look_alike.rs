//! The form in which ref names that readers take for one another are equal.
//!
//! After UTS #39 (skeletons of confusables), with a small table and more than it: also without
//! case and combining marks, because a name is compared with protected ones only.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::fold::{fold_case, is_hfs_ignorable};
use super::name::RefName;

/// Returns the plain form with single characters and pairs that look alike made one.
pub(super) fn skeleton(name: &RefName) -> String {
    plain_text(name)
        .replace("rn", "m")
        .replace("vv", "w")
        .replace('0', "o")
        .replace('1', "l")
}

/// Returns the name without case, marks, invisible and look-alike characters.
pub(super) fn plain_text(name: &RefName) -> String {
    let text = name
        .as_str()
        .map_or_else(|| name.to_string(), str::to_owned);
    // Most names: nothing else than their case can change.
    if text.is_ascii() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.to_ascii_lowercase();
    }
    plain_letters(text)
}

fn plain_letters(mut text: String) -> String {
    // Capitals that look like nothing may have small letters that do, and so on.
    for _ in 0..4 {
        let next = plain_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn plain_once(text: &str) -> String {
    let visible = text
        .nfkd()
        .filter(|c| !is_invisible(*c) && !is_combining_mark(*c));
    fold_case(&visible.map(look_alike).collect::<String>())
}

/// Returns whether readers cannot see the character, or it moves those around it.
pub(super) const fn is_invisible(c: char) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The short way for plain ASCII gives what the long one does.
        #[test]
        fn ascii(text in "[!-~]{0,40}") {
            prop_assert_eq!(plain_text(&RefName::from(text.as_str())), plain_letters(text));
        }
    }
}
