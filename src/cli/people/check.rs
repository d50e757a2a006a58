//! `countersign people check`.

use clap::Args;
use serde_json::json;

use super::line;
use crate::cli::{CliError, Exit, Session, repository};
use crate::host::clock;
use crate::people::{Person, PersonKind};

/// Read people.toml as a push would, and list everyone
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The branch to read it from (default: the policy ref)
    #[arg(value_name = "ref")]
    name: Option<String>,
}

impl Check {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        let people = repository::rulebook(&repo, self.name.as_deref())?.people;
        let now = clock();
        let valid = |person: &Person| person.keys.iter().filter(|key| key.counts_at(now)).count();
        if session.json() {
            let all = people.persons.values().map(|person| {
                json!({
                    "person": person.name,
                    "kind": person.kind,
                    "keys": person.keys.iter().map(|key| &key.fingerprint).collect::<Vec<_>>(),
                    "valid_keys": valid(person),
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
            line(
                &mut text,
                &format!("{}: {kind}, {valid} of {all} keys valid now", person.name),
            );
        }
        session.print(&text)?;
        Ok(Exit::Fine)
    }
}
