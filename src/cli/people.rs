//! `countersign people`.

mod check;
mod export;
pub(super) mod import;

use std::fmt::Write as _;

use clap::Subcommand;

use super::{CliError, Exit, Session};

/// The people: who may vouch, and with which keys
#[derive(Debug, Subcommand)]
pub(super) enum People {
    Check(check::Check),
    Export(export::Export),
    Import(import::Import),
}

impl People {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Check(command) => command.run(session),
            Self::Export(command) => command.run(session),
            Self::Import(command) => command.run(session),
        }
    }
}

/// Adds a line; writing to a string cannot fail.
fn line(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}
