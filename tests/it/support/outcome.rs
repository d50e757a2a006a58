//! What a child process answered.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use countersign::judge::verdict::Code;

/// Exit status and output of one command.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Exit code, or none after a signal.
    pub(crate) status: Option<i32>,
    /// Standard output, lossy.
    pub(crate) stdout: String,
    /// Standard error, lossy.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs the command to its end with `stdin`, without holding up on full pipes.
    #[must_use]
    pub(crate) fn of(command: &mut Command, stdin: &[u8]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.to_vec();
        // A child that refuses before it has read everything breaks the pipe, which is its right.
        let writer = std::thread::spawn(move || pipe.write_all(&input).ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Self::from(output)
    }

    /// Whether it exited with 0.
    pub(crate) fn ok(&self) -> bool {
        self.status == Some(0)
    }

    /// The finding codes that stand in brackets in what it wrote, stdout and stderr alike.
    pub(crate) fn codes(&self) -> BTreeSet<&'static str> {
        let text = format!("{}\n{}", self.stdout, self.stderr);
        Code::ALL
            .iter()
            .map(|code| code.as_str())
            .filter(|code| text.contains(&format!("[{code}]")))
            .collect()
    }

    /// Takes it either way: what is asserted comes later.
    pub(crate) fn either(self) {}

    /// Asserts success.
    #[track_caller]
    pub(crate) fn accepted(self) -> Self {
        assert!(self.ok(), "should have been accepted: {self}");
        self
    }

    /// Asserts failure, and that every one of `codes` is given as a reason.
    #[track_caller]
    pub(crate) fn refused(self, codes: &[&str]) -> Self {
        assert!(
            self.status.is_some_and(|code| code != 0),
            "should have been refused with {codes:?}: {self}"
        );
        for code in codes {
            assert!(self.codes().contains(code), "[{code}] is missing: {self}");
        }
        self
    }

    /// Asserts failure with at least one of `codes` as a reason.
    #[track_caller]
    pub(crate) fn refused_with_any(self, codes: &[&str]) -> Self {
        let this = self.refused(&[]);
        assert!(
            codes.iter().any(|code| this.codes().contains(code)),
            "none of {codes:?}: {this}"
        );
        this
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.status, Some(code), "{self}");
        self
    }

    /// Asserts that stdout or stderr holds the text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "{text:?} is missing: {self}"
        );
        self
    }

    /// Reads stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// Standard output without the white space around it.
    pub(crate) fn line(&self) -> String {
        self.stdout.trim().to_owned()
    }

    /// What the server said: the lines after `remote: `, without the blanks git pads them with.
    pub(crate) fn remote_lines(&self) -> Vec<&str> {
        self.stderr
            .split(['\n', '\r'])
            .filter_map(|line| {
                line.strip_prefix("remote: ")
                    .or(line.strip_prefix("remote:"))
            })
            .map(|line| line.trim_end())
            .collect()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "status {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}
