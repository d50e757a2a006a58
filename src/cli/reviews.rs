//! `countersign reviews`: what is signed about a commit, and what is still missing.

use clap::Args;
use serde_json::json;

use super::ground::{Ground, Where};
use super::{CliError, Exit, Kind, Session, git};
use crate::admit::rehearse::{self, Rehearsed};
use crate::attest;
use crate::gather::Rulebook;
use crate::judge::facts::Pusher;
use crate::judge::verdict::Decision;
use crate::report::reviews::{self, About};

/// List what is signed about a commit, what of it counts, and what is still missing
///
/// Where the commit is not built on the branch's tip, what merging it now would give is judged.
#[derive(Debug, Args)]
pub(super) struct Reviews {
    /// The reviewed commit
    #[arg(value_name = "commit")]
    commit: String,
    #[command(flatten)]
    place: Where,
    /// Print trailers for the message of the commit that lands it; exit 1 while it would not land
    #[arg(long)]
    trailers: bool,
}

impl Reviews {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let target = self.place.target()?;
        let ground = Ground::open(session, &self.place, None)?;
        let head = git::revision(session, ground.repo(), &self.commit)?;
        let rules = ground.rules()?;
        if !ground.protects(&rules, &target) {
            return Err(ground.unprotected(&target));
        }
        let (signed, rehearsed) = ground.ask(&[], &head, &|_| Pusher::Nobody, |asked| {
            let mut signed = rehearse::signed(&asked, &rules, &target, &head)?;
            let rehearsed = rehearse::landing(asked.clone(), &target, &head)?;
            rehearse::cover_alone(&asked, &target, &rehearsed, &mut signed)?;
            Ok((signed, rehearsed))
        })?;
        if self.trailers {
            return trailers(session, &ground, &rules, &rehearsed);
        }
        let about = About {
            target: &target,
            head: &head,
            signed: &signed,
            rehearsed: &rehearsed,
            dated: ground.is_server(),
        };
        let context = ground.context();
        let text = match session.json() {
            true => format!("{}\n", reviews::value(&about, &context)),
            false => reviews::text(&about, &context),
        };
        session.print(&text)?;
        Ok(Exit::Fine)
    }
}

/// Names those whose approvals make the landing one that would be accepted, and nobody else.
fn trailers(
    session: &mut Session<'_>,
    ground: &Ground,
    rules: &Rulebook,
    rehearsed: &Rehearsed,
) -> Result<Exit, CliError> {
    let admission = rehearsed.admission.as_ref();
    let accepted = admission.filter(|it| it.verdict.decision == Decision::Accept);
    let landing = accepted.and_then(|admission| admission.landings.first());
    let Some(landing) = landing.filter(|landing| !landing.decided.counted.is_empty()) else {
        let message = "it would not land as it stands: nobody is to be named for it";
        return Err(CliError::words(Kind::Refused, message));
    };
    let counted = &landing.decided.counted;
    let origin = ground.origin();
    let lines = attest::trailers(&ground.view, &rules.people, counted, origin.as_deref());
    let lines = lines.map_err(|error| CliError::new(Kind::Undecided, error))?;
    match session.json() {
        true => {
            let told = json!({"schema": "countersign.trailers/v1", "trailers": lines});
            session.print(&format!("{told}\n"))?;
        }
        false => session.print(&(lines.join("\n") + "\n"))?,
    }
    Ok(Exit::Fine)
}
