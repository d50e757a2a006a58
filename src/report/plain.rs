//! Text that does nothing to a terminal and fits it.

/// The columns a line may take; git puts `remote: ` before it.
pub const COLUMNS: usize = 72;

/// Escapes whatever could move a cursor, hide, reorder or imitate text: controls, escape
/// sequences, line separators, bidirectional marks, zero-width and tag characters.
///
/// Everything else stays as it is; letters that look alike are not told apart.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if harmless(letter) {
            out.push(letter);
        } else {
            out.extend(letter.escape_unicode());
        }
    }
    out
}

fn harmless(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns a number with what it counts: `1 rule`, `2 rules`, `2 people`.
pub fn counted(count: usize, one: &str) -> String {
    match (count, one) {
        (1, _) => format!("1 {one}"),
        (_, "person") => format!("{count} people"),
        (_, _) => format!("{count} {one}s"),
    }
}

/// Returns how many columns a text takes at most: two for whatever may be wide.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(letter: char) -> usize {
    if letter < '\u{1100}' { 1 } else { 2 }
}

/// Cuts a line to the columns given and says so with three dots.
pub fn clip(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let (head, _) = split(text, limit.saturating_sub(3));
    format!("{}...", head.trim_end())
}

/// Breaks text into lines of at most [`COLUMNS`]: at spaces where it can, further lines indented.
///
/// Spaces that begin the text stay.
pub fn wrap(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let words = text.trim_start_matches(' ');
    let mut line = " ".repeat(text.len().saturating_sub(words.len()));
    for word in words.split(' ') {
        let fits = width(&line) + 1 + width(word) <= COLUMNS;
        if !line.trim().is_empty() && fits {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.trim().is_empty() {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        }
        line.push_str(word);
        while width(&line) > COLUMNS {
            let (head, tail) = split(&line, COLUMNS);
            let rest = format!("{indent}{tail}");
            lines.push(head.to_owned());
            line = rest;
        }
    }
    lines.push(line);
    lines
}

/// Splits before the first letter that passes the limit.
pub(super) fn split(text: &str, limit: usize) -> (&str, &str) {
    let mut used = 0usize;
    let end = text.char_indices().find(|(_, letter)| {
        used += columns(*letter);
        used > limit
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What could move a cursor or reorder text is spelt out; letters and emoji stay.
    #[test]
    fn escapes() {
        for (text, shown) in [
            ("Zo\u{eb} 雪 🎉", "Zo\u{eb} 雪 🎉"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("a\u{200b}b\u{feff}c\u{ad}", "a\\u{200b}b\\u{feff}c\\u{ad}"),
            ("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    /// A line that is cut says so and keeps to the limit, wide letters counted twice.
    #[test]
    fn clips() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 6), "abc...");
        assert_eq!(clip("ab defg", 6), "ab...");
        assert_eq!(clip("雪雪雪雪", 7), "雪雪...");
    }

    /// Text breaks at spaces, words that fit no line anywhere; nothing is lost.
    #[test]
    fn wraps() {
        let long = "x".repeat(80);
        let text = format!("  one {} two {long}", "y".repeat(67));
        let lines = wrap(&text, "    ");
        assert_eq!(lines[0], "  one");
        assert!(lines.iter().all(|line| width(line) <= COLUMNS));
        let letters = |text: &str| text.replace(' ', "");
        assert_eq!(letters(&lines.concat()), letters(&text));
        assert_eq!(wrap("short", "  "), ["short"]);
    }
}
