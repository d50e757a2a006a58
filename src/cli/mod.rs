//! The command line: one file a command, one printer, one table of exit codes.
//!
//! Data goes to stdout, words to stderr. Whatever goes wrong, a panic too, ends in an exit code
//! that accepts nothing.

mod attest;
mod attestation;
mod audit;
mod check;
mod cosign;
mod diff;
mod doctor;
mod enroll;
mod error;
mod explain;
mod fetched;
mod generate;
mod git;
mod ground;
mod hook;
mod init;
mod log;
mod monitor;
mod people;
mod policy;
mod prove;
mod repository;
mod reviews;
mod session;
mod sign;
mod site;
mod verify;
#[cfg(feature = "server")]
mod witness;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::{CliError, Exit, Kind};
pub use session::Session;

use crate::wire::review::ReviewVerb;

/// Review enforcement for git: two people saw this, with a signed record.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    disable_help_subcommand = true,
    max_term_width = 80
)]
struct Cli {
    /// Run as if started in this directory; several add up, as with git
    #[arg(short = 'C', global = true, value_name = "dir")]
    dir: Vec<PathBuf>,
    /// Print what a program reads
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Check(check::Check),
    /// Sign and push that a commit may land
    Approve(sign::Sign),
    /// Sign and push that a commit must not land
    Reject(sign::Sign),
    /// Sign and push that what you said of a commit is taken back
    Withdraw(sign::Sign),
    Reviews(reviews::Reviews),
    Diff(diff::Diff),
    Explain(explain::Explain),
    Enroll(enroll::Enroll),
    Hook(hook::Hook),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    People(people::People),
    #[command(subcommand)]
    Log(log::Log),
    #[command(subcommand)]
    Verify(verify::Verify),
    Attest(attest::Attest),
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Generate(generate::Generate),
    #[cfg(feature = "server")]
    Witness(witness::Serve),
}

impl Command {
    fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Init(command) => command.run(session),
            Self::Check(command) => command.run(session),
            Self::Approve(command) => command.run(ReviewVerb::Approve, session),
            Self::Reject(command) => command.run(ReviewVerb::Reject, session),
            Self::Withdraw(command) => command.run(ReviewVerb::Withdraw, session),
            Self::Reviews(command) => command.run(session),
            Self::Diff(command) => command.run(session),
            Self::Explain(command) => command.run(session),
            Self::Enroll(command) => command.run(session),
            Self::Hook(command) => command.run(session),
            Self::Policy(command) => command.run(session),
            Self::People(command) => command.run(session),
            Self::Log(command) => command.run(session),
            Self::Verify(command) => command.run(session),
            Self::Attest(command) => command.run(session),
            Self::Audit(command) => command.run(session),
            Self::Doctor(command) => command.run(session),
            Self::Generate(command) => command.run(session),
            #[cfg(feature = "server")]
            Self::Witness(command) => command.run(session),
        }
    }
}

/// Runs the command line of this process.
#[allow(
    clippy::disallowed_methods,
    reason = "here is where the environment comes in"
)]
pub fn main() -> ExitCode {
    // A patch is bytes: nothing is taken out of them on their way to a program.
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    let mut err = anstream::AutoStream::auto(std::io::stderr());
    let env = |name: &str| std::env::var_os(name);
    let mut session = Session::new(&mut out, &mut err, &env).shown(terminal);
    run(std::env::args_os(), &mut session).into()
}

/// What git runs.
#[derive(Parser)]
struct HookLine {
    #[command(flatten)]
    hook: hook::Hook,
}

/// Parses the line that a hook consists of, if it is one: git waits, and to build all other commands
/// first takes longer than many an answer.
fn hook_line(args: &[OsString]) -> Option<Cli> {
    let (_, line) = args.split_first()?;
    let is_hook = line.first().is_some_and(|word| word == "hook");
    let HookLine { hook } = HookLine::try_parse_from(is_hook.then_some(line)?).ok()?;
    Some(Cli {
        dir: Vec::new(),
        json: false,
        command: Command::Hook(hook),
    })
}

/// Runs one command line; every way out is one of the four exit codes.
pub fn run(args: impl IntoIterator<Item = OsString>, session: &mut Session<'_>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match hook_line(&args).map_or_else(|| Cli::try_parse_from(&args), Ok) {
        Ok(cli) => cli,
        Err(error) => return error::usage(&error, session),
    };
    session.enter(&cli.dir, cli.json);
    let ran = catch_unwind(AssertUnwindSafe(|| cli.command.run(session)));
    match ran {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => error.print(session),
        Err(_) => error::panicked(session),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The definition of the commands holds together.
    #[test]
    fn definition() {
        Cli::command().debug_assert();
    }

    /// A wrong word on the command line is exit 2 and explains itself on stderr only.
    #[test]
    fn usage() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut session = Session::new(&mut out, &mut err, &|_| None);
        let exit = run(
            ["countersign", "frobnicate"].map(OsString::from),
            &mut session,
        );
        assert_eq!(exit, Exit::Usage);
        assert!(out.is_empty());
        assert!(String::from_utf8(err).unwrap().contains("frobnicate"));
    }

    /// Help is data and fine.
    #[test]
    fn help() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut session = Session::new(&mut out, &mut err, &|_| None);
        let exit = run(["countersign", "--help"].map(OsString::from), &mut session);
        assert_eq!(exit, Exit::Fine);
        assert!(String::from_utf8(out).unwrap().contains("enroll"));
        assert!(err.is_empty());
    }
}
