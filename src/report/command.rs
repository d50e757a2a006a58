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
    /// Further arguments are indented, an option and its value stay together where they fit; what
    /// continues an argument begins at the first column.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = " ".to_owned();
        let mut arguments = self.0.iter().peekable();
        while let Some(pieces) = arguments.next() {
            let mut whole = pieces.concat();
            let mut glued = false;
            if let Some(value) = arguments.peek().filter(|_| whole == "-m") {
                let both = format!("{whole} {}", value.concat());
                glued = 2 + width(&both) + CONTINUED <= COLUMNS;
                if glued {
                    whole = both;
                }
            }
            if glued {
                arguments.next();
            }
            let spare = if arguments.peek().is_some() {
                CONTINUED
            } else {
                0
            };
            let fits = |used: usize| used + width(&whole) + spare <= COLUMNS;
            if fits(width(&line) + 1) {
                line.push(' ');
                line.push_str(&whole);
            } else if let Some(indent) = [4, 2].into_iter().find(|indent| fits(*indent)) {
                lines.push(format!("{line} \\"));
                line = format!("{}{whole}", " ".repeat(indent));
            } else {
                push_pieces(&mut lines, &mut line, pieces);
            }
        }
        lines.push(line);
        lines
    }
}

/// Room for a backslash and the space before it.
const CONTINUED: usize = 2;

/// Breaks an argument that fits no line of its own, at its pieces where they fit.
fn push_pieces(lines: &mut Vec<String>, line: &mut String, pieces: &[String]) {
    let first = pieces.first().map_or(0, |piece| width(piece));
    if width(line) + 1 + first + CONTINUED > COLUMNS {
        lines.push(format!("{line} \\"));
        *line = "   ".to_owned();
    }
    line.push(' ');
    for piece in pieces {
        let mut rest = piece.as_str();
        let column = width(line);
        if column + width(rest) + CONTINUED > COLUMNS && column > 4 {
            lines.push(format!("{line}\\"));
            line.clear();
        }
        while width(line) + width(rest) + CONTINUED > COLUMNS {
            let (head, tail) = split(rest, COLUMNS.saturating_sub(width(line) + CONTINUED));
            lines.push(format!("{line}{head}\\"));
            line.clear();
            rest = tail;
        }
        line.push_str(rest);
    }
}
