//! `countersign people check`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use clap::Args;
use jiff::SignedDuration;

use crate::cli::policy::Found;
use crate::cli::{CliError, Exit, Kind, Session, repository};
use crate::git::{GitError, Repo};
use crate::host::clock;
use crate::people::People;
use crate::policy::parse::duration_of;
use crate::policy::roster::Remark;
use crate::report::people;
use crate::report::plain::counted;
use crate::wire::oid::Oid;

/// The commits that are asked for addresses nobody has.
const LATEST: usize = 500;
/// The most addresses that are named.
const STRANGERS: usize = 20;

/// List the people, and what is wrong with them or soon will be: exit 1 where something must be done
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// Name keys that end within this time
    #[arg(long, value_name = "time", default_value = "30d", value_parser = within)]
    within: SignedDuration,
    /// The branch to read them from (default: the files here where they were changed, else the policy
    /// ref)
    #[arg(value_name = "ref")]
    name: Option<String>,
}

impl Check {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        let found = Found::at(&repo, session, self.name.as_deref())?;
        let now = clock();
        let people = &*found.people;
        let mut remarks = found.policy.roster(people, now, self.within);
        // Files that are not committed yet may be the first there are.
        if let Ok(tip) = repository::tip(&repo, self.name.as_deref()) {
            let strangers = strangers(&repo, &tip, people);
            remarks.extend(strangers.map_err(|error| CliError::new(Kind::Undecided, error))?);
        }
        if session.json() {
            let told = people::json(people, &remarks, now);
            session.print(&format!("{told}\n"))?;
        } else {
            let all = counted(people.persons.len(), "person");
            let table = people::table(people, now);
            session.print(&format!("{all}, {}\n\n{table}", found.place()))?;
            for remark in &remarks {
                let weight = if remark.needs_action() {
                    "warning"
                } else {
                    "note"
                };
                session.tell(&format!("{weight}: {}", people::words(remark)));
            }
        }
        Ok(match remarks.iter().any(Remark::needs_action) {
            true => Exit::Refused,
            false => Exit::Fine,
        })
    }
}

/// Counts the latest commits of authors and committers whom nobody knows, most commits first.
fn strangers(repo: &Repo, tip: &Oid, people: &People) -> Result<Vec<Remark>, GitError> {
    let mut open = VecDeque::from([*tip]);
    let mut seen = BTreeSet::from([*tip]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(oid) = open.pop_front() {
        // A shallow clone ends somewhere.
        if !repo.exists(&oid) {
            continue;
        }
        let commit = repo.commit(&oid)?;
        let emails = [&commit.author.email, &commit.committer.email];
        let unknown = emails
            .into_iter()
            .filter(|email| people.person_by_email(email).is_none())
            .map(|email| String::from_utf8_lossy(email).to_ascii_lowercase());
        for email in unknown.collect::<BTreeSet<_>>() {
            *counts.entry(email).or_default() += 1;
        }
        for parent in &commit.parents {
            if seen.len() < LATEST && seen.insert(*parent) {
                open.push_back(*parent);
            }
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, commits)| std::cmp::Reverse(*commits));
    let named = counts.into_iter().take(STRANGERS);
    Ok(named
        .map(|(email, commits)| Remark::Stranger(email, commits))
        .collect())
}

fn within(text: &str) -> Result<SignedDuration, String> {
    duration_of(text).ok_or_else(|| "a number and one of s, m, h, d, w, as in 30d".to_owned())
}
