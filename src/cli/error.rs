//! What a command ends with when it does not end well.

use std::process::ExitCode;

use super::Session;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: accepted, or fine.
    Fine,
    /// 1: refused, or something was found.
    Refused,
    /// 2: usage or configuration.
    Usage,
    /// 3: could not decide, and nothing was refused outright.
    Undecided,
}

/// Why a command did not do its work; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for is refused.
    Refused,
    /// Wrong arguments, or a configuration that cannot be used.
    Usage,
    /// It could not be found out.
    Undecided,
}

/// An error as people see it.
#[derive(Debug)]
pub struct CliError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened, outermost first.
    pub source: anyhow::Error,
    /// What to do next, one a line.
    pub hints: Vec<String>,
}

impl CliError {
    /// Wraps an error of the library.
    pub fn new(kind: Kind, source: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            source: source.into(),
            hints: Vec::new(),
        }
    }

    /// Returns an error that is only words.
    pub fn words(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(kind, anyhow::Error::msg(message.into()))
    }

    /// Adds what to do next.
    pub fn hint(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// Prints it and returns the exit code.
    pub(super) fn print(&self, session: &mut Session<'_>) -> Exit {
        session.say(&format!("countersign: {}", told(&self.source)));
        for hint in &self.hints {
            session.say(&format!("hint: {hint}"));
        }
        match self.kind {
            Kind::Refused => Exit::Refused,
            Kind::Usage => Exit::Usage,
            Kind::Undecided => Exit::Undecided,
        }
    }
}

/// Returns an error and its causes, each once: many an error tells its cause itself.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Undecided => 3,
        })
    }
}

/// An I/O error on our own output: whoever reads it must not take it for an answer.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(
            Kind::Undecided,
            anyhow::Error::from(error).context("cannot write the output"),
        )
    }
}

/// Prints clap's words: help and version are data, anything else is a usage error.
pub(super) fn usage(error: &clap::Error, session: &mut Session<'_>) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        session.say(text.to_string().trim_end());
        return Exit::Usage;
    }
    match session.print(&text.to_string()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Undecided,
    }
}

/// A panic was caught; its message is on stderr already.
pub(super) fn panicked(session: &mut Session<'_>) -> Exit {
    session.say("countersign: internal error; nothing was decided, nothing is accepted");
    Exit::Undecided
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordError;
    use crate::wire::note::NoteError;

    /// An error whose words have its cause in them, and one whose have not, are told once.
    #[test]
    fn causes_are_told_once() {
        let error = RecordError::Key {
            path: "log/vkey".into(),
            source: NoteError::Key("not one line"),
        };
        let error = anyhow::Error::from(error).context("cannot open the record");
        let expected = "cannot open the record: log/vkey: not a note key: not one line";
        assert_eq!(told(&error), expected);
    }
}
