//! `countersign log witness`: has the newest checkpoint cosigned.

use std::panic::resume_unwind;
use std::thread;

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, Kind, Session, site};
use crate::admit::sealed::{Sealed, witnesses};
use crate::gate::Site;
use crate::host::clock;
use crate::policy::Witnesses;
use crate::record::http::Http;
use crate::record::{AskError, Submission};
use crate::report;
use crate::report::sealed::Asked;
use crate::wire::cosignature::CosignerKey;
use crate::wire::note::NoteSignature;

/// Have the newest checkpoint cosigned by the witnesses that the policy names
///
/// Exit 0 where enough did, 1 where one refuses or knows another log, 3 where too few could be asked.
#[derive(Debug, Args)]
pub(super) struct Cosign {
    /// Ask nobody: print what others need to check cosignatures (c2sp.org/tlog-policy)
    #[arg(long)]
    print_policy: bool,
}

impl Cosign {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let site = site::open(session)?;
        let witnesses = named(&site)?;
        if self.print_policy {
            let policy = witnesses.trust(Some(site.record.key()));
            session.print(&policy.to_string())?;
            return Ok(Exit::Fine);
        }
        site::mine(&site.server.record, "log witness")?;
        let submission = site.record.submission().map_err(site::record)?;
        let (asked, lines) = ask(&site, &witnesses, &submission);
        let trust = witnesses.trust(None);
        let finality = match lines.is_empty() {
            true => site.record.finality(&trust),
            false => site.record.publish(submission.note(), &lines, &trust),
        };
        let finality = finality.map_err(site::record)?;
        let enough = finality.sealed() >= submission.checkpoint().size;
        let sealed = Sealed::Known {
            finality,
            witnesses,
        };
        if session.json() {
            let told = json!({
                "schema": "countersign.log-witness/v1",
                "origin": submission.checkpoint().origin,
                "size": submission.checkpoint().size,
                "witnesses": report::sealed::asked_value(&asked),
                "final": report::sealed::value(&sealed),
            });
            session.print(&format!("{told}\n"))?;
        } else {
            session.print(&report::sealed::asked(&asked))?;
            session.print(&report::sealed::text(&sealed))?;
        }
        Ok(exit(&asked, enough))
    }
}

/// Another log of this name is found whatever else is fine; who refuses matters where it is missed.
fn exit(asked: &[Asked], enough: bool) -> Exit {
    let any = |what: fn(&AskError) -> bool| {
        asked
            .iter()
            .any(|one| matches!(&one.answer, Some(Err(error)) if what(error)))
    };
    match enough {
        _ if any(AskError::is_split) => Exit::Refused,
        true => Exit::Fine,
        false if any(AskError::is_refusal) => Exit::Refused,
        false => Exit::Undecided,
    }
}

/// Returns the witnesses of the policy in force, of which there must be some.
fn named(site: &Site) -> Result<Witnesses, CliError> {
    let found = witnesses(&site.repo, &site.record, &site.server.policy_ref);
    match found.map_err(site::record)? {
        Ok(Some(witnesses)) => Ok(witnesses),
        Ok(None) => {
            let error = CliError::words(Kind::Usage, "the policy names no witnesses");
            Err(error.hint([
                "land [witnesses] with keys and quorum in .countersign/policy.toml; \
                 docs/witnesses.md says how"
                    .to_owned(),
            ]))
        }
        Err(why) => {
            let message = format!("the policy is unreadable: {why}");
            Err(CliError::words(Kind::Undecided, message))
        }
    }
}

/// Asks all of them at once, so that one that hangs costs its own patience alone.
fn ask(
    site: &Site,
    witnesses: &Witnesses,
    submission: &Submission,
) -> (Vec<Asked>, Vec<NoteSignature>) {
    let (http, now) = (Http::default(), clock());
    let urls = &site.server.witnesses;
    let one = |key: &CosignerKey| {
        let url = urls.get(key.name())?;
        Some(submission.ask(&http, url, key, now))
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = witnesses
            .keys
            .iter()
            .map(|key| scope.spawn(move || one(key)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut lines = Vec::new();
    let mut asked = Vec::new();
    for (key, answer) in witnesses.keys.iter().zip(answers) {
        let answer = answer.map(|answer| {
            answer.map(|(line, at)| {
                lines.push(line);
                at
            })
        });
        asked.push(Asked {
            key: key.clone(),
            url: urls.get(key.name()).cloned(),
            answer,
        });
    }
    (asked, lines)
}
