//! One run of the command line: where it is, what it may read, where it writes.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::report::plain::{plain, wrap};

/// What a command gets besides its arguments.
pub struct Session<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    env: &'a dyn Fn(&str) -> Option<OsString>,
    dir: PathBuf,
    json: bool,
    terminal: bool,
}

impl<'a> Session<'a> {
    /// Starts in the current directory, for people.
    pub fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        env: &'a dyn Fn(&str) -> Option<OsString>,
    ) -> Self {
        Self {
            out,
            err,
            env,
            dir: PathBuf::from("."),
            json: false,
            terminal: false,
        }
    }

    /// Says whether data goes to a terminal.
    pub fn shown(mut self, terminal: bool) -> Self {
        self.terminal = terminal;
        self
    }

    /// Applies the global options.
    pub(super) fn enter(&mut self, dirs: &[PathBuf], json: bool) {
        self.dir.extend(dirs);
        self.json = json;
    }

    /// Returns the directory to work in (`-C`).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns whether a program reads the output.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Returns whether data goes to a terminal.
    pub fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns a variable of the environment.
    pub fn env(&self, name: &str) -> Option<OsString> {
        (self.env)(name)
    }

    /// Returns the environment as a lookup.
    pub fn environment(&self) -> &'a dyn Fn(&str) -> Option<OsString> {
        self.env
    }

    /// Returns where data goes.
    pub fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Writes data.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes words in as many lines as they take, further ones indented.
    pub fn tell(&mut self, text: &str) {
        for line in wrap(&plain(text), "  ") {
            self.say(&line);
        }
    }

    /// Writes a line of words; where they cannot be written, the exit code must do.
    pub fn say(&mut self, text: &str) {
        let written = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
        drop(written);
    }
}
