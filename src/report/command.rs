//! Shell commands to copy: broken over lines so that a shell still reads one command.

use super::plain::{COLUMNS, split, width};

/// A command as arguments; each argument as pieces between which it may be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(Vec<Vec<String>>);

impl Command {
    /// Builds a command from arguments that a shell takes as they are; none if one is not plain.
    ///
    /// Nothing a pusher named may become shell syntax in somebody's terminal. Pieces of one
    /// argument are separated by a line feed; an argument with a space is put in double quotes.
    pub fn new(arguments: &[&str]) -> Option<Self> {
        let pieces = |argument: &&str| -> Option<Vec<String>> {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+=, \n".contains(&byte);
            if argument.is_empty() || !argument.bytes().all(plain) {
                return None;
            }
            let quote = if argument.contains(' ') { "\"" } else { "" };
            let whole = format!("{quote}{argument}{quote}");
            Some(whole.split('\n').map(str::to_owned).collect())
        };
        arguments
            .iter()
            .map(pieces)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Returns the command on one line.
    pub fn one_line(&self) -> String {
        let arguments: Vec<_> = self.0.iter().map(|pieces| pieces.concat()).collect();
        arguments.join(" ")
    }

    /// Returns the command on lines of at most [`COLUMNS`], continued with a backslash.
    ///
    /// Further arguments are indented; what continues an argument begins at the first column.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = " ".to_owned();
        let last = self.0.len().saturating_sub(1);
        for (position, pieces) in self.0.iter().enumerate() {
            let whole = pieces.concat();
            // Room for the backslash and the space before it.
            let spare = if position == last { 0 } else { 2 };
            let fits = |used: usize| used + 1 + width(&whole) + spare <= COLUMNS;
            if fits(width(&line)) {
                line.push(' ');
                line.push_str(&whole);
            } else if fits(3) {
                lines.push(format!("{line} \\"));
                line = format!("    {whole}");
            } else {
                push_pieces(&mut lines, &mut line, pieces);
            }
        }
        lines.push(line);
        lines
    }
}

/// Breaks an argument that fits no line of its own, at its pieces where they fit.
fn push_pieces(lines: &mut Vec<String>, line: &mut String, pieces: &[String]) {
    const SPARE: usize = 2;
    let first = pieces.first().map_or(0, |piece| width(piece));
    if width(line) + 1 + first + SPARE > COLUMNS {
        lines.push(format!("{line} \\"));
        *line = "   ".to_owned();
    }
    line.push(' ');
    for piece in pieces {
        let mut rest = piece.as_str();
        let column = width(line);
        if column + width(rest) + SPARE > COLUMNS && column > 4 {
            lines.push(format!("{line}\\"));
            line.clear();
        }
        while width(line) + width(rest) + SPARE > COLUMNS {
            let (head, tail) = split(rest, COLUMNS.saturating_sub(width(line) + SPARE));
            lines.push(format!("{line}{head}\\"));
            line.clear();
            rest = tail;
        }
        line.push_str(rest);
    }
}
