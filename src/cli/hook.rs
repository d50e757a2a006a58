//! `countersign hook <name>`: what git runs.

use std::ffi::OsString;
use std::io::{self, Read};

use clap::Args;

use super::{CliError, Exit, Kind, Session, site};
use crate::admit::AdmitError;
use crate::gate::{Answer, Call, GateError, MOST_INPUT, push, refs};
use crate::git::GitError;
use crate::host::hooks::Hook as Name;
use crate::record::RecordError;

/// Answer git's hook; git runs this, people do not
#[derive(Debug, Args)]
pub(super) struct Hook {
    /// Which hook
    #[arg(value_name = "name")]
    name: String,
    /// What git gives the hook
    args: Vec<OsString>,
}

impl Hook {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let env = session.environment();
        let hook = Name::named(&self.name);
        if hook == Some(Name::ReferenceTransaction)
            && !refs::is_asked(session.dir(), env, &self.args).map_err(no_answer)?
        {
            return Ok(Exit::Fine);
        }
        // All of it first: no child may swallow a line, and git must not write into the void.
        let input = read_all(io::stdin().lock())?;
        let mut words = Vec::new();
        let mut call = Call {
            dir: session.dir().to_owned(),
            env,
            args: self.args.clone(),
            input,
            words: &mut words,
        };
        let answer = match hook {
            Some(Name::PreReceive) => push::pre_receive(&mut call),
            Some(Name::ReferenceTransaction) => refs::reference_transaction(&mut call),
            Some(Name::PostReceive) => push::post_receive(&mut call),
            None => {
                let message = format!("no hook of ours is called {:?}", self.name);
                return Err(CliError::words(Kind::Usage, message));
            }
        };
        for line in String::from_utf8_lossy(&words).lines() {
            session.say(line);
        }
        match answer {
            Ok(Answer::Accepted) => Ok(Exit::Fine),
            Ok(Answer::Refused) => Ok(Exit::Refused),
            Ok(Answer::Undecided) => Ok(Exit::Undecided),
            Err(error) if hook == Some(Name::PostReceive) => Err(not_recorded(&error)),
            Err(error) => Err(no_answer(error)),
        }
    }
}

fn read_all(mut from: impl Read) -> Result<Vec<u8>, CliError> {
    let mut input = Vec::new();
    // What lies beyond is read and thrown away.
    let read = from.by_ref().take(MOST_INPUT).read_to_end(&mut input);
    let drained = read.and_then(|_| io::copy(&mut from, &mut io::sink()));
    drained.map_err(|error| {
        let error = anyhow::Error::from(error).context("cannot read what git sends");
        CliError::new(Kind::Undecided, error)
    })?;
    Ok(input)
}

/// Nothing was decided, so nothing passes; the words say whom to call.
fn no_answer(error: GateError) -> CliError {
    let (kind, code) = match &error {
        GateError::Previous(_) => (Kind::Refused, None),
        GateError::Namespace => (Kind::Refused, Some("forbidden-ref")),
        GateError::Input { .. } => (Kind::Refused, Some("over-budget")),
        GateError::Git(git) | GateError::Admit(AdmitError::Git(git)) if too_much(git) => {
            (Kind::Refused, Some("over-budget"))
        }
        GateError::Record(RecordError::TooMany { .. })
        | GateError::Admit(AdmitError::Record(RecordError::TooMany { .. })) => {
            (Kind::Refused, Some("over-budget"))
        }
        GateError::ProcReceive
        | GateError::Server(_)
        | GateError::NoRecord(_)
        | GateError::Hooks(_) => (Kind::Usage, Some("undecidable")),
        _ => (Kind::Undecided, Some("undecidable")),
    };
    let code = code.map_or_else(String::new, |code| format!(" [{code}]"));
    let said = CliError::words(kind, format!("refused: {error}{code}"));
    match kind {
        Kind::Undecided | Kind::Usage => said
            .hint(["this is the server's fault, not the push's: tell whoever runs it".to_owned()])
            .hint(remedies(&error)),
        Kind::Refused => said,
    }
}

/// The refs have moved: nothing is refused any more, and nothing is lost.
fn not_recorded(error: &GateError) -> CliError {
    // Somebody else's hook, which runs after ours has recorded everything.
    if let GateError::Previous(error) = error {
        return CliError::words(Kind::Refused, error.to_string());
    }
    let said = format!("the push has taken effect, and is not on record yet: {error}");
    CliError::words(Kind::Undecided, said)
        .hint(["the next push records it; on the server, `countersign log reconcile`".to_owned()])
        .hint(remedies(error))
}

fn remedies(error: &GateError) -> Vec<String> {
    match error {
        GateError::Record(error) | GateError::Admit(AdmitError::Record(error)) => {
            site::remedies(error)
        }
        _ => Vec::new(),
    }
}

fn too_much(error: &GitError) -> bool {
    matches!(error, GitError::Budget { .. } | GitError::TooLarge { .. })
}
