//! What is wrong with a configuration file, where, and how it reads.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// The width of the drawing: a refusal shows it behind `remote: `.
const COLUMNS: usize = 72;
/// The width of the message, which the command line shows behind its own name.
const MESSAGE: usize = 66;
/// The most bytes of a fault that are drawn.
const MARKED: usize = 40;
/// The longest text that something similar is looked for.
const SIMILAR: usize = 64;
/// The most characters of a source line that are shown.
const SHOWN: usize = 512;

/// A fault in `people.toml` or `policy.toml`, at its line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ConfigError {
    /// The file, from the root of the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right; lower case, no full stop, no control characters.
    pub message: String,
    /// Which finding it becomes.
    pub kind: ConfigFault,
    /// Message, place, source line and caret, on several lines, without colour.
    pub rendered: String,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFault {
    /// It says something that is not allowed or not known: `policy-invalid`.
    Invalid,
    /// It asks for more people than there are: `unsatisfiable-rule`.
    Unsatisfiable,
}

impl ConfigError {
    /// Makes the error for a span of bytes of `text`; a span past its end is cut.
    pub fn new(
        file: &str,
        text: &str,
        span: Range<usize>,
        kind: ConfigFault,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let start = floor(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let begin = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let rest = text.get(begin..).unwrap_or_default();
        let whole = rest.split('\n').next().unwrap_or_default();
        let whole = whole.strip_suffix('\r').unwrap_or(whole);
        let column = text
            .get(begin..start)
            .unwrap_or_default()
            .chars()
            .count()
            .saturating_add(1);
        let rendered = render(file, line, column, whole, &span, begin, kind, &message);
        Self {
            file: file.to_owned(),
            line,
            column,
            message,
            kind,
            rendered,
        }
    }
}

/// Draws one line of the source, the part around the span where the line is long.
#[allow(
    clippy::too_many_arguments,
    reason = "the parts of one error, used once"
)]
fn render(
    file: &str,
    line: usize,
    column: usize,
    whole: &str,
    span: &Range<usize>,
    begin: usize,
    kind: ConfigFault,
    message: &str,
) -> String {
    let from = floor(whole, span.start.saturating_sub(begin));
    let to = floor(whole, span.end.saturating_sub(begin)).max(from);
    // Long lines are cut on both sides: what is shown is bounded whatever was pushed.
    let cut = match column > SHOWN / 2 {
        true => floor(whole, from.saturating_sub(SHOWN / 4)),
        false => 0,
    };
    let end = floor(whole, cut.saturating_add(SHOWN));
    let (from, mut to, mut end) = (from.min(end), to.min(end), end);
    let mut rest = "";
    // Of a key the beginning will do.
    if whole
        .get(from..to)
        .is_some_and(|marked| marked.chars().count() > MARKED)
    {
        to = floor(whole, from.saturating_add(MARKED));
        end = to;
        rest = "…";
    }
    let part = |range: Range<usize>| steady(whole.get(range).unwrap_or_default());
    let (head, marked) = (part(cut..from), part(from..to));
    let span = head.len()..head.len().saturating_add(marked.len());
    let shown = format!("{head}{marked}{}{rest}", part(to..end));
    let id = match kind {
        ConfigFault::Invalid => "policy-invalid",
        ConfigFault::Unsatisfiable => "unsatisfiable-rule",
    };
    let place = format!("{file}:{line}:{column}");
    let report = &[Level::ERROR.primary_title(message).id(id).element(
        Snippet::source(shown)
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(span)),
    )];
    let drawn = Renderer::plain().term_width(COLUMNS).render(report);
    // The renderer counts columns from the start of what it is shown; the place is ours.
    let gutter = " ".repeat(line.to_string().len());
    match drawn.split_once('\n') {
        Some((title, rest)) => format!("{}\n{gutter}--> {place}\n{rest}", wrapped(title)),
        None => format!("{}\n{gutter}--> {place}", wrapped(&drawn)),
    }
}

/// Breaks a message at blanks; what does not fit a line stands in one by itself.
fn wrapped(message: &str) -> String {
    let (mut text, mut used) = (String::new(), 0usize);
    for word in message.split(' ') {
        let width = word.chars().count().saturating_add(1);
        if used > 0 && used.saturating_add(width) > MESSAGE {
            text.push_str("\n ");
            used = 1;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
        used = used.saturating_add(width);
    }
    text
}

/// Replaces what could steer a terminal and the renderer leaves as it is: the second block of
/// control characters, line separators, marks of direction, invisible tags.
fn steady(text: &str) -> String {
    let steers = |c: char| {
        matches!(c, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}')
    };
    text.replace(steers, "\u{fffd}")
}

/// Returns the last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

/// Quotes a piece of the file for a message: escaped, and cut where it is long.
pub fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", one_line(&shown))
}

/// Escapes what would break the line or command the terminal; quotes stay as they are.
pub fn one_line(text: &str) -> String {
    let plain = |c: char| matches!(c, '\'' | '"' | '\\');
    text.chars()
        .flat_map(|c| match plain(c) {
            true => c.to_string().chars().collect::<Vec<_>>(),
            false => c.escape_debug().collect(),
        })
        .collect()
}

/// Asks whether something that is known was meant: the end of a message, empty where nothing is near.
pub fn did_you_mean<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> String {
    if text.len() > SIMILAR {
        return String::new();
    }
    let near = known.map(|word| (distance(text, word), word)).min();
    match near {
        Some((edits, word)) if edits.saturating_mul(3) <= text.len() => {
            format!("; did you mean `{}`?", one_line(word))
        }
        _ => String::new(),
    }
}

/// Returns how many bytes must be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let (mut corner, mut left) = (at, at.saturating_add(1));
        let mut next = vec![left];
        for (other, above) in other.bytes().zip(row.iter().skip(1)) {
            let changed = corner.saturating_add(usize::from(byte != other));
            left = changed.min(left.min(*above).saturating_add(1));
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is near is proposed, what only shares a letter is not.
    #[test]
    fn similar() {
        let known = ["bob", "maintainers", "alice"];
        for (text, meant) in [
            ("rob", "; did you mean `bob`?"),
            ("maintainer", "; did you mean `maintainers`?"),
            ("Alice", "; did you mean `alice`?"),
            ("ob", ""),
            ("carol", ""),
            ("", ""),
        ] {
            assert_eq!(did_you_mean(text, known.into_iter()), meant, "{text}");
        }
        assert_eq!(did_you_mean(&"x".repeat(10_000), known.into_iter()), "");
        assert_eq!(did_you_mean("bob", std::iter::empty()), "");
    }

    /// A message breaks at blanks, and nothing of it is lost.
    #[test]
    fn wraps() {
        let message = format!("error: {} {}", "word ".repeat(30), "x".repeat(100));
        let text = wrapped(&message);
        assert!(text.lines().filter(|line| line.len() > MESSAGE).count() == 1);
        assert_eq!(text.replace("\n ", ""), message);
        assert_eq!(wrapped("short"), "short");
    }
}
