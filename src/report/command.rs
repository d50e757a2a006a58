//! Shell commands to copy: broken over lines so that a shell still reads one command.

use super::plain::{COLUMNS, split, width};

/// A command as arguments; each argument as pieces between which it may be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(Vec<Vec<String>>);

impl Command {
    /// Builds a command from arguments that a shell takes as they are; none if one is not plain.
    ///
    /// Nothing a pusher named may become shell syntax in somebody's terminal. Pieces of one
    /// argument are separated by a line feed; an argument with a space is put in double quotes. `-m`
    /// stays with the message it needs.
    pub fn new(arguments: &[&str]) -> Option<Self> {
        let mut all: Vec<Vec<String>> = Vec::new();
        let mut option = None;
        for argument in arguments {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+=, \n".contains(&byte);
            if argument.is_empty() || !argument.bytes().all(plain) {
                return None;
            }
            if *argument == "-m" {
                option = Some("-m ".to_owned());
                continue;
            }
            let quote = if argument.contains(' ') { "\"" } else { "" };
            let whole = format!("{quote}{argument}{quote}");
            let pieces = whole.split('\n').map(str::to_owned);
            all.push(option.take().into_iter().chain(pieces).collect());
        }
        Some(Self(all))
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
        let mut arguments = self.0.iter().peekable();
        while let Some(pieces) = arguments.next() {
            let whole = pieces.concat();
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Nothing that a shell would read as more than text is shown as a command.
    #[test]
    fn refuses_shell_syntax() {
        for bad in [
            "$(id)", "`id`", "a;b", "a|b", "a>b", "<you>", "a&b", "a'b", "a\"b", "a\\b", "~", "*",
            "", "a\tb", "!x", "#x", "{a,b}", "é",
        ] {
            assert_eq!(Command::new(&["git", "push", bad]), None, "{bad}");
        }
        let good = Command::new(&["git", "tag", "-m", "a b"]).unwrap();
        assert_eq!(good.one_line(), "git tag -m \"a b\"");
    }

    proptest! {
        /// A shell that joins continued lines reads the very command, and each line fits.
        #[test]
        fn lines_are_the_command(
            arguments in prop::collection::vec(
                "[a-z/:]{1,90}(\n[a-z/]{1,90}){0,2}( [a-z]{1,60})?",
                1..6,
            ),
        ) {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let command = Command::new(&arguments).unwrap();
            let lines = command.lines();
            for line in &lines {
                prop_assert!(width(line) <= COLUMNS, "{}", line);
            }
            let joined = lines.join("\n").replace("\\\n", "");
            let once = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(once(&joined), once(&command.one_line()));
        }
    }
}
