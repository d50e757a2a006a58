//! `countersign people`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::json;

use super::{CliError, Exit, Kind, Session, repository};
use crate::host::PusherSource;
use crate::host::clock;
use crate::people::{KeyMaterial, Person, PersonKind};

/// The people: who may vouch, and with which keys
#[derive(Debug, Subcommand)]
pub(super) enum People {
    /// Read people.toml as a push would, and list everyone
    Check {
        /// The branch to read it from (default: the policy ref)
        #[arg(value_name = "ref")]
        name: Option<String>,
    },
    /// Write what other programs need to know of them
    Export {
        /// Lines for sshd: each key with the forced command that says whose it is
        #[arg(long, required = true)]
        authorized_keys: bool,
        /// The branch to read them from (default: the policy ref)
        #[arg(value_name = "ref")]
        name: Option<String>,
    },
}

impl People {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Check { name } => check(name.as_deref(), session),
            Self::Export { name, .. } => export(name.as_deref(), session),
        }
    }
}

fn check(name: Option<&str>, session: &mut Session<'_>) -> Result<Exit, CliError> {
    let repo = repository::discover(session)?;
    let people = repository::rulebook(&repo, name)?.people;
    let now = clock();
    let valid = |person: &Person| person.keys.iter().filter(|key| key.counts_at(now)).count();
    if session.json() {
        let all = people.persons.values().map(|person| {
            json!({
                "person": person.name,
                "kind": person.kind,
                "keys": person.keys.iter().map(|key| &key.fingerprint).collect::<Vec<_>>(),
                "valid_keys": valid(person),
                "authorities": people
                    .vouching(&person.name, now)
                    .map(|authority| &authority.fingerprint)
                    .collect::<Vec<_>>(),
            })
        });
        let all: Vec<_> = all.collect();
        let found = json!({"schema": "countersign.people-check/v1", "people": all});
        session.print(&format!("{found}\n"))?;
        return Ok(Exit::Fine);
    }
    let mut text = String::new();
    for person in people.persons.values() {
        let kind = match person.kind {
            PersonKind::Human => "human",
            PersonKind::Bot => "bot",
            PersonKind::Forge => "forge",
        };
        let (valid, all) = (valid(person), person.keys.len());
        let certified = match people.vouching(&person.name, now).count() {
            0 => String::new(),
            1 => ", and what a CA certifies".to_owned(),
            many => format!(", and what {many} CAs certify"),
        };
        line(
            &mut text,
            &format!(
                "{}: {kind}, {valid} of {all} keys valid now{certified}",
                person.name
            ),
        );
    }
    session.print(&text)?;
    Ok(Exit::Fine)
}

/// Writes one `restrict,command="…"` line for each valid ssh key of each human and bot. Certified
/// keys are not among them.
fn export(name: Option<&str>, session: &mut Session<'_>) -> Result<Exit, CliError> {
    let repo = repository::discover(session)?;
    if session.json() {
        return Err(CliError::words(
            Kind::Usage,
            "authorized_keys has no JSON form",
        ));
    }
    let people = repository::rulebook(&repo, name)?.people;
    let variable = match repository::server(&repo)?.map(|server| server.pusher) {
        Some(PusherSource::Env(variable)) => variable,
        Some(other) => {
            let message = format!("the pusher comes from {}, not from sshd", other.spelled());
            return Err(CliError::words(Kind::Usage, message));
        }
        None => "COUNTERSIGN_PUSHER".to_owned(),
    };
    let now = clock();
    let mut text = String::new();
    for person in people.persons.values() {
        if person.kind == PersonKind::Forge {
            continue;
        }
        for key in person.keys.iter().filter(|key| key.counts_at(now)) {
            let KeyMaterial::Ssh(ssh) = &key.material else {
                continue;
            };
            line(
                &mut text,
                &format!(
                    "restrict,{verify}command=\"{variable}={name} exec git-shell -c \
                     \\\"$SSH_ORIGINAL_COMMAND\\\"\" {kind} {blob} {name}",
                    verify = if key.verify_required {
                        "verify-required,"
                    } else {
                        ""
                    },
                    name = person.name,
                    kind = ssh.kind(),
                    blob = STANDARD.encode(ssh.blob()),
                ),
            );
        }
    }
    session.print(&text)?;
    Ok(Exit::Fine)
}

/// Adds a line; writing to a string cannot fail.
fn line(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}
