//! `countersign verify`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{CliError, Exit, Session, attestation, prove, repository, site};
use crate::admit::history::history;
use crate::admit::sealed::Sealed;
use crate::admit::shares::shares;
use crate::admit::standing::{State, standing};
use crate::gate::Site;
use crate::report;
use crate::wire::oid::Oid;

/// Is it reviewed, and does the record hold?
#[derive(Debug, Subcommand)]
pub(super) enum Verify {
    /// Say whether a commit was reviewed; exit 0 for nothing else
    Commit {
        /// The commit
        #[arg(value_name = "commit")]
        commit: String,
        /// On this ref (default: on any recorded one)
        #[arg(long, value_name = "ref")]
        onto: Option<String>,
        /// Exit 0 only where enough witnesses cosigned the entry that says so
        #[arg(long = "final")]
        sealed: bool,
    },
    /// Check the log, then decide every entry of it again and compare the refs
    History {
        /// Trust what this earlier checkpoint signs, and check only what came after
        #[arg(long, value_name = "checkpoint")]
        from: Option<PathBuf>,
        /// The key that is known: the log's, or one from which rotations lead to it
        #[arg(long, value_name = "key")]
        key: Option<String>,
    },
    Proof(prove::Proof),
    Attestation(attestation::Attestation),
}

impl Verify {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Commit {
                commit,
                onto,
                sealed,
            } => one(commit, onto.as_deref(), *sealed, session),
            Self::History { from, key } => all(from.as_deref(), key.as_deref(), session),
            Self::Proof(command) => command.run(session),
            Self::Attestation(command) => command.run(session),
        }
    }
}

fn one(
    commit: &str,
    onto: Option<&str>,
    must_be_final: bool,
    session: &mut Session<'_>,
) -> Result<Exit, CliError> {
    let site = site::open(session)?;
    let onto = onto.map(repository::full_name);
    let oid = resolve(session, &site, commit)?;
    let found = standing(
        &site.repo,
        &site.record,
        &site.server.policy_ref,
        &oid,
        onto.as_ref(),
    )
    .map_err(site::unread)?;
    let sealed = site::sealed(&site)?;
    let is_final = found.index.is_some_and(|index| sealed.covers(index));
    if session.json() {
        let told = json!({
            "schema": "countersign.verify-commit/v1",
            "commit": oid,
            "onto": onto,
            "state": found.state.as_str(),
            "index": found.index,
            "ref": found.name,
            "reviewers": found.reviewers,
            "why": found.why,
            "is_final": is_final,
            "final": report::sealed::value(&sealed),
        });
        session.print(&format!("{told}\n"))?;
    } else {
        let text = report::log::standing(&oid, &found) + &report::sealed::text(&sealed);
        session.print(&text)?;
    }
    Ok(match found.state {
        State::Reviewed if is_final || !must_be_final => Exit::Fine,
        State::Reviewed if matches!(sealed, Sealed::Unknown(_)) => Exit::Undecided,
        _ => Exit::Refused,
    })
}

/// Takes a full id as it is, also of a commit that is not here.
fn resolve(session: &Session<'_>, site: &Site, commit: &str) -> Result<Oid, CliError> {
    if let Ok(oid) = commit.parse::<Oid>() {
        return Ok(oid);
    }
    super::git::revision(session, &site.repo, commit)
}

fn all(
    from: Option<&Path>,
    key: Option<&str>,
    session: &mut Session<'_>,
) -> Result<Exit, CliError> {
    let site = site::open(session)?;
    site::known_key(key, &site.record, session)?;
    let from = site::trusted(from, &site.record, session)?;
    let log = site.record.verify_anew(&from).map_err(site::record)?;
    let answer = site::answer(&log);
    if answer != Exit::Fine {
        if session.json() {
            let problems = log
                .problems
                .iter()
                .map(|problem| json!({"index": problem.index, "what": problem.what}));
            let told = json!({
                "schema": "countersign.verify-history/v1",
                "ok": false,
                "problems": problems.collect::<Vec<_>>(),
            });
            session.print(&format!("{told}\n"))?;
        } else {
            session.print(&report::log::verified(&log, &[]))?;
        }
        let why = match log.only_newer() {
            true => "part of the log is of a later version",
            false => "the log itself is damaged",
        };
        session.say(&format!("countersign: {why}: nothing was decided again"));
        return Ok(answer);
    }
    let bar = ProgressBar::new(log.checkpoint.size.saturating_sub(log.from));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} entries, {eta} left") {
        bar.set_style(style);
    }
    let shares = shares(log.from..site.record.size());
    let found = history(&site.repo, &site.record, &shares, &mut |done| {
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = found.map_err(site::unread)?;
    let sealed = site::sealed(&site)?;
    if session.json() {
        let problems = found
            .problems
            .iter()
            .map(|(index, what)| json!({"index": index, "what": what}));
        let told = json!({
            "schema": "countersign.verify-history/v1",
            "ok": found.problems.is_empty(),
            "from": log.from,
            "entries": found.entries,
            "reviews": found.reviews,
            "reviewed": found.reviewed,
            "dry_run": found.dry_run,
            "unasked": found.unasked,
            "late": found.late,
            "pending": found.pending,
            "adopted": found.adopted,
            "incidents": found.incidents,
            "problems": problems.collect::<Vec<_>>(),
            "final": report::sealed::value(&sealed),
        });
        session.print(&format!("{told}\n"))?;
    } else {
        let text = report::log::history(&found) + &report::sealed::text(&sealed);
        session.print(&text)?;
    }
    Ok(match found.problems.is_empty() {
        true => Exit::Fine,
        false => Exit::Refused,
    })
}
