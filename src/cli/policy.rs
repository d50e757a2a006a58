//! `countersign policy`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use jiff::SignedDuration;

use super::git::worktree;
use super::people::import::read;
use super::{CliError, Exit, Kind, Session, repository};
use crate::host::clock;
use crate::people::document::MAX_FILE;
use crate::people::parse::FILE as PEOPLE;
use crate::people::{ConfigError, People};
use crate::policy::Policy as Parsed;
use crate::policy::parse::FILE as POLICY;
use crate::policy::roster::Remark;
use crate::record::entry::PolicyId;
use crate::report;
use crate::report::plain::counted;

/// The policy: refs, rules, classes
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Read policy and people as a push would, and say what nobody could satisfy
    Check {
        /// The branch to read them from (default: the files here where they were changed, else the
        /// policy ref)
        #[arg(value_name = "ref")]
        name: Option<String>,
    },
}

/// Policy and people, and the commit they stand in; none where they are only files.
pub(super) struct Found {
    id: Option<PolicyId>,
    pub(super) people: Arc<People>,
    pub(super) policy: Arc<Parsed>,
}

impl Policy {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let Self::Check { name } = self;
        let repo = repository::discover(session)?;
        Found::at(&repo, session, name.as_deref())?.tell(session)
    }
}

impl Found {
    /// Reads the tip of `name`; without one the files here where they were changed, else the policy
    /// ref.
    pub(super) fn at(
        repo: &crate::git::Repo,
        session: &Session<'_>,
        name: Option<&str>,
    ) -> Result<Self, CliError> {
        let changed = match name {
            None => changed(repo, session)?,
            Some(_) => None,
        };
        match changed {
            Some(root) => Self::files(&root),
            None => {
                let rulebook = repository::rulebook(repo, name)?;
                Ok(Self {
                    id: Some(rulebook.id),
                    people: rulebook.people,
                    policy: rulebook.policy,
                })
            }
        }
    }

    /// Says where they were read.
    pub(super) fn place(&self) -> String {
        match &self.id {
            Some(id) => format!("read at {}", id.commit),
            None => "read from the working tree, which is not committed".to_owned(),
        }
    }

    /// Reads the files of a working tree.
    fn files(root: &Path) -> Result<Self, CliError> {
        let wrong =
            |error: ConfigError| CliError::words(Kind::Usage, error.rendered.trim_end().to_owned());
        for path in [PEOPLE, POLICY] {
            if !root.join(path).exists() {
                return Err(CliError::words(
                    Kind::Usage,
                    format!("{path} is missing here"),
                ));
            }
        }
        let file = |path: &str| read(&root.join(path), MAX_FILE);
        let people = People::parse(&file(PEOPLE)?, &|path| file(path).ok()).map_err(wrong)?;
        let policy = Parsed::parse(&file(POLICY)?, &people).map_err(wrong)?;
        Ok(Self {
            id: None,
            people: Arc::new(people),
            policy: Arc::new(policy),
        })
    }

    fn tell(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let Self { id, people, policy } = self;
        let remarks = policy.roster(people, clock(), SignedDuration::ZERO);
        let remarks: Vec<_> = remarks.into_iter().filter(Remark::is_of_rule).collect();
        if session.json() {
            let found = report::policy::json(policy, id.as_ref(), &remarks);
            session.print(&format!("{found}\n"))?;
        } else {
            session.print(&format!(
                "{}: {}, {}\n\n{}",
                policy.repository,
                counted(people.persons.len(), "person"),
                self.place(),
                report::policy::tables(policy),
            ))?;
            for remark in &remarks {
                session.tell(&format!("warning: {}", report::people::words(remark)));
            }
        }
        Ok(match remarks.is_empty() {
            true => Exit::Fine,
            false => Exit::Refused,
        })
    }
}

/// Returns the top of the working tree where one of its two files is not what is committed there.
fn changed(repo: &crate::git::Repo, session: &Session<'_>) -> Result<Option<PathBuf>, CliError> {
    let Some(root) = worktree(session)? else {
        return Ok(None);
    };
    let tip = repository::tip(repo, None).ok();
    for path in [PEOPLE, POLICY] {
        let Ok(here) = read(&root.join(path), MAX_FILE) else {
            continue;
        };
        let there = match &tip {
            Some(tip) => repository::file(repo, tip, path)?,
            None => None,
        };
        if there.as_ref() != Some(&here) {
            return Ok(Some(root));
        }
    }
    Ok(None)
}
