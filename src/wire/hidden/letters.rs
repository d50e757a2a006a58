//! Characters that show as nothing, or make others show elsewhere.

use super::Reason;

/// Returns why a character is hidden where it stands, with its neighbours in the line.
///
/// Joiners and variation selectors have honest uses between letters and emoji; there they pass:
///
/// - ZERO WIDTH JOINER and NON-JOINER between two characters of scripts that join (Arabic, Indic
///   and their kin), and the joiner between two emoji;
/// - one VARIATION SELECTOR-15 or -16 behind a symbol or a keycap's base, any other behind an
///   ideograph or a mathematical sign. A second one in a row shows nothing, and can carry anything.
pub(super) fn reason(before: Option<char>, letter: char, after: Option<char>) -> Option<Reason> {
    let both = |is: fn(char) -> bool| before.is_some_and(is) && after.is_some_and(is);
    match letter {
        '\t' => None,
        '\0' => Some(Reason::Nul),
        // A line or paragraph separator ends a line for YAML and JavaScript.
        '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Some(Reason::Control),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(Reason::Direction)
        }
        '\u{200c}' if both(joins) => None,
        '\u{200d}' if both(joins) || both(is_emoji) => None,
        '\u{fe0e}' | '\u{fe0f}' if before.is_some_and(is_symbol) => None,
        '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}'
            if before.is_some_and(takes_variants) =>
        {
            None
        }
        _ if shows_nothing(letter) => Some(Reason::Invisible),
        _ => None,
    }
}

/// `Default_Ignorable_Code_Point`, less what is a change of direction, and other letters that are
/// blank by design.
fn shows_nothing(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Scripts whose letters are joined, or kept apart, by joiners.
fn joins(letter: char) -> bool {
    matches!(
        letter,
        '\u{620}'..='\u{8ff}'
            | '\u{900}'..='\u{dff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17b3}'
            | '\u{17b6}'..='\u{17ff}'
            | '\u{1820}'..='\u{18af}'
            | '\u{fb50}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefc}'
    )
}

/// Emoji, their skin tones, and the selector that makes one of a symbol.
fn is_emoji(letter: char) -> bool {
    letter == '\u{fe0f}' || is_pictograph(letter)
}

fn is_pictograph(letter: char) -> bool {
    matches!(
        letter,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2190}'..='\u{27ff}'
            | '\u{2900}'..='\u{2bff}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// What a text or emoji selector may follow.
fn is_symbol(letter: char) -> bool {
    is_pictograph(letter) || matches!(letter, '0'..='9' | '#' | '*')
}

/// What other variation selectors may follow: ideographs and mathematical signs.
fn takes_variants(letter: char) -> bool {
    matches!(
        letter,
        '\u{2200}'..='\u{22ff}'
            | '\u{2a00}'..='\u{2aff}'
            | '\u{3001}'..='\u{3002}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{323af}'
    )
}
