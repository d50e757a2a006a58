//! `countersign policy`.

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use super::{CliError, Exit, Session, repository};
use crate::gather::Rulebook;
use crate::host::clock;

/// The policy: refs, rules, classes
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Read policy and people as a push would, and say what nobody could satisfy
    Check {
        /// The branch to read them from (default: the policy ref)
        #[arg(value_name = "ref")]
        name: Option<String>,
    },
}

impl Policy {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let Self::Check { name } = self;
        let repo = repository::discover(session)?;
        let rulebook = repository::rulebook(&repo, name.as_deref())?;
        let warnings = warnings(&rulebook, clock());
        if session.json() {
            let found = json!({
                "schema": "countersign.policy-check/v1",
                "commit": rulebook.id.commit,
                "digest": rulebook.id.digest,
                "repository": rulebook.policy.repository,
                "rules": rulebook.policy.rules.iter().map(|rule| &rule.name).collect::<Vec<_>>(),
                "warnings": warnings,
            });
            session.print(&format!("{found}\n"))?;
        } else {
            let (policy, commit) = (&rulebook.policy, rulebook.id.commit);
            session.print(&format!(
                "{}: {} people, {} rules, read at {commit}\n",
                policy.repository,
                rulebook.people.persons.len(),
                policy.rules.len(),
            ))?;
            for warning in &warnings {
                session.say(&format!("warning: {warning}"));
            }
        }
        Ok(match warnings.is_empty() {
            true => Exit::Fine,
            false => Exit::Refused,
        })
    }
}

/// Returns what is allowed and still will not work.
fn warnings(rulebook: &Rulebook, now: Timestamp) -> Vec<String> {
    let Rulebook { policy, people, .. } = rulebook;
    let mut warnings: Vec<_> = policy
        .unsatisfiable_at(people, now)
        .into_iter()
        .map(|rule| format!("rule {rule:?} asks for more people than have a valid key now"))
        .collect();
    if people.humans().count() < 2 {
        warnings.push(
            "there is one human: nobody else can approve their changes, a new policy included"
                .to_owned(),
        );
    }
    warnings
}
