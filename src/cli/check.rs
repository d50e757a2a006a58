//! `countersign check`: the decision a push would get, without pushing.

use clap::Args;

use super::ground::{Ground, Where};
use super::{CliError, Exit, Kind, Session, git};
use crate::admit::admit;
use crate::judge::facts::Pusher;
use crate::judge::verdict::Decision;
use crate::people::{People, PersonName};
use crate::report;

/// Judge a change here, as the server would judge its push
///
/// On the server the record decides; in a clone the remote-tracking branch and fetched reviews do.
/// Exits 0 for accept, 1 for refuse, 3 where it cannot be decided, also for a ref in dry run.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// What would be pushed, and, in a clone, from where to judge it
    #[arg(value_name = "[<old>..]<new>")]
    range: String,
    #[command(flatten)]
    place: Where,
    /// Who would push it; without, there is no pusher
    #[arg(long = "as", value_name = "person")]
    person: Option<String>,
}

impl Check {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let (old, new) = split(&self.range)?;
        let target = self.place.target()?;
        let ground = Ground::open(session, &self.place, old)?;
        let new = git::revision(session, ground.repo(), new)?;
        let update = ground.proposed(&target, &new)?;
        let pusher = |people: &People| pusher(self.person.as_deref(), people);
        let admission = ground.ask(&[update], &new, &pusher, admit)?;
        let context = ground.context().about(&admission);
        let verdict = &admission.verdict;
        let text = match session.json() {
            true => format!("{}\n", report::json::verdict_in(verdict, &context)),
            false => report::terminal::verdict(verdict, &context),
        };
        session.print(&text)?;
        let rules = ground.rules().ok();
        if rules.is_some_and(|rules| !ground.protects(&rules, &target)) {
            // A name that was mistyped looks like one that anybody may push to.
            session.say(&format!(
                "note: nothing protects {target}: nobody was asked"
            ));
        }
        Ok(match verdict.decision {
            Decision::Accept => Exit::Fine,
            Decision::Refuse => Exit::Refused,
            Decision::Undecided => Exit::Undecided,
        })
    }
}

/// Splits `<old>..<new>`.
pub(super) fn split(range: &str) -> Result<(Option<&str>, &str), CliError> {
    let Some((old, new)) = range.split_once("..") else {
        return Ok((None, range));
    };
    if old.is_empty() || new.is_empty() || new.starts_with('.') {
        let message = "give one commit, or <old>..<new> with both ends";
        return Err(CliError::words(Kind::Usage, message));
    }
    Ok((Some(old), new))
}

fn pusher(person: Option<&str>, people: &People) -> Pusher {
    let Some(text) = person else {
        return Pusher::Nobody;
    };
    let known = PersonName::new(text).filter(|name| people.person(name).is_some());
    known.map_or_else(|| Pusher::Unknown(text.to_owned()), Pusher::Person)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A range has two ends and two dots; one commit has none.
    #[test]
    fn ranges() {
        for (range, want) in [
            ("topic", Some((None, "topic"))),
            ("v1.0", Some((None, "v1.0"))),
            ("origin/main..topic", Some((Some("origin/main"), "topic"))),
            ("a...b", None),
            ("..b", None),
            ("a..", None),
        ] {
            assert_eq!(split(range).ok(), want, "{range}");
        }
    }
}
