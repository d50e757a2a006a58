//! `countersign reviews`: what is signed about a commit, and what is still missing.

use clap::Args;

use super::ground::{Ground, Where};
use super::{CliError, Exit, Session, git};
use crate::admit::rehearse;
use crate::judge::facts::Pusher;
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
}

impl Reviews {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let target = self.place.target()?;
        let ground = Ground::open(session, &self.place, None)?;
        let head = git::revision(session, ground.repo(), &self.commit)?;
        let rules = ground.rules()?;
        let (signed, rehearsed) = ground.ask(&[], &head, &|_| Pusher::Nobody, |asked| {
            let mut signed = rehearse::signed(&asked, &rules, &target, &head)?;
            let rehearsed = rehearse::landing(asked.clone(), &target, &head)?;
            rehearse::cover_alone(&asked, &target, &rehearsed, &mut signed)?;
            Ok((signed, rehearsed))
        })?;
        let about = About {
            target: &target,
            head: &head,
            signed: &signed,
            rehearsed: &rehearsed,
            dated: ground.is_server(),
        };
        let context = ground.context(None);
        let text = match session.json() {
            true => format!("{}\n", reviews::value(&about, &context)),
            false => reviews::text(&about, &context),
        };
        session.print(&text)?;
        Ok(Exit::Fine)
    }
}
