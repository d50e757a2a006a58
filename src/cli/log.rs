//! `countersign log`.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use faster_hex::hex_string;
use serde_json::{Value, json};

use super::{CliError, Exit, Kind, Session, cosign, monitor, prove, repository, site};
use crate::admit::adopt::{AdoptError, Adopting};
use crate::admit::history::refs_against;
use crate::admit::settle::{Outcome, Settled, Settling};
use crate::admit::standing::reviewers;
use crate::gate::Site;
use crate::gate::received::Noted;
use crate::host::clock;
use crate::host::user::user;
use crate::record::entry::Entry;
use crate::record::{Lock, Record, RecordError, Rotating, View};
use crate::report;
use crate::report::log::Shown;
use crate::wire::name::RefName;

/// The most bytes of a reason.
const REASON: usize = 4096;
/// Entries that are read at once, backwards.
const CHUNK: u64 = 256;

/// The record: what landed, who reviewed it, and what does not fit it
#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// List the entries, oldest first
    Show {
        /// Only what concerns this ref
        #[arg(long = "ref", value_name = "ref")]
        name: Option<String>,
        /// Only the last of them
        #[arg(short = 'n', value_name = "count")]
        count: Option<usize>,
        /// Whole ids on a terminal too
        #[arg(long)]
        full: bool,
    },
    /// Check the log itself: signature, hashes, entries, evidence
    Verify {
        /// Trust what this earlier checkpoint signs, and check only what came after
        #[arg(long, value_name = "checkpoint")]
        from: Option<PathBuf>,
        /// The key that is known: the log's, or one from which rotations lead to it
        #[arg(long, value_name = "key")]
        key: Option<String>,
        /// A record in this folder, set aside or published, rather than the repository's
        #[arg(long, value_name = "folder")]
        record: Option<PathBuf>,
    },
    Prove(prove::Prove),
    Witness(cosign::Cosign),
    Monitor(monitor::Monitor),
    /// Close what a crash left open, and compare the refs with the record
    Reconcile,
    /// Take a protected ref as it is, unreviewed: an incident, for the host's admin
    Adopt {
        /// The ref
        #[arg(value_name = "ref")]
        name: String,
        /// Take the policy that comes with it too
        #[arg(long)]
        policy: bool,
        /// Only show what it would be
        #[arg(long)]
        dry_run: bool,
        /// Why; stands in the record
        #[arg(long, value_name = "text", default_value = "")]
        reason: String,
    },
    /// Let the log go over to another key: that of `record.next` in server.toml, else a new file
    Rotate {
        /// Why; stands in the record
        #[arg(long, value_name = "text", default_value = "")]
        reason: String,
    },
}

impl Log {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Show { name, count, full } => show(name.as_deref(), *count, *full, session),
            Self::Verify { from, key, record } => {
                verify(from.as_deref(), key.as_deref(), record.as_deref(), session)
            }
            Self::Prove(command) => command.run(session),
            Self::Witness(command) => command.run(session),
            Self::Monitor(command) => command.run(session),
            Self::Reconcile => reconcile(session),
            Self::Adopt {
                name,
                policy,
                dry_run,
                reason,
            } => adopt(name, *policy, *dry_run, reason, session),
            Self::Rotate { reason } => rotate(reason, session),
        }
    }
}

fn show(
    name: Option<&str>,
    count: Option<usize>,
    full: bool,
    session: &mut Session<'_>,
) -> Result<Exit, CliError> {
    let site = site::open(session)?;
    let name = name.map(repository::full_name);
    let view = site.record.view().map_err(site::record)?;
    let mut last = Vec::new();
    let mut end = site.record.size();
    let enough = |found: usize| count.is_some_and(|count| found >= count);
    while end > 0 && !enough(last.len()) {
        let start = end.saturating_sub(1) / CHUNK * CHUNK;
        let entries: Result<Vec<_>, _> = site.record.entries(start..end).collect();
        let newest_first = entries.map_err(site::record)?.into_iter().rev();
        last.extend(newest_first.filter(|(_, entry)| concerns(entry, name.as_ref())));
        end = start;
    }
    last.truncate(count.unwrap_or(usize::MAX));
    let mut shown = Vec::with_capacity(last.len());
    for (index, entry) in last.into_iter().rev() {
        let reviewers = reviewed_by(&site, &view, &entry);
        shown.push(Shown {
            index,
            entry,
            reviewers,
        });
    }
    let text = match session.json() {
        true => report::log::json_lines(&shown)
            .map_err(|error| CliError::new(Kind::Undecided, error))?,
        false => {
            let full = full || !std::io::stdout().is_terminal();
            report::log::table(&shown, name.as_ref(), full)
        }
    };
    session.print(&text)?;
    Ok(Exit::Fine)
}

fn concerns(entry: &Entry, name: Option<&RefName>) -> bool {
    let Some(name) = name else {
        return true;
    };
    match entry {
        Entry::Genesis(genesis) => genesis.tips.contains_key(name),
        Entry::Review(review) => review.target == *name,
        Entry::Landed(landed) => landed.name == *name,
        Entry::Adopted(adopted) => adopted.name == *name,
        Entry::Incident(incident) => incident.about == name.to_string(),
        Entry::Admin(_) => false,
    }
}

/// Nothing where the evidence beside the log cannot be read: `log verify` says why.
fn reviewed_by(site: &Site, view: &View, entry: &Entry) -> Option<Vec<String>> {
    let people = match entry {
        Entry::Review(review) => vec![review.person.clone()],
        Entry::Landed(landed) => {
            let decided = site.record.decided(landed).ok()?;
            reviewers(view, &decided).ok()?
        }
        Entry::Genesis(_) | Entry::Adopted(_) | Entry::Incident(_) | Entry::Admin(_) => Vec::new(),
    };
    Some(people.iter().map(ToString::to_string).collect())
}

fn verify(
    from: Option<&Path>,
    key: Option<&str>,
    folder: Option<&Path>,
    session: &mut Session<'_>,
) -> Result<Exit, CliError> {
    let site = match folder {
        Some(folder) => Err(Record::open(&session.dir().join(folder)).map_err(site::record)?),
        None => Ok(site::open(session)?),
    };
    let record = site
        .as_ref()
        .map_or_else(|record| record, |site| &site.record);
    site::known_key(key, record, session)?;
    let from = site::trusted(from, record, session)?;
    let report = record.verify_from(&from).map_err(site::record)?;
    // A push under way is no fault of the log: said, and no more. Elsewhere none is.
    let open = match folder {
        Some(_) => Vec::new(),
        None => record.open_intents().map_err(site::record)?,
    };
    let fine = report.ok();
    // Of a damaged log nobody says how far it is final, and without a repository there is no policy.
    let site = site.as_ref().ok().filter(|_| fine);
    let sealed = site.map(site::sealed).transpose()?;
    if session.json() {
        let problems: Vec<_> = report
            .problems
            .iter()
            .map(|problem| json!({"index": problem.index, "what": problem.what}))
            .collect();
        let found = json!({
            "schema": "countersign.log-verify/v1",
            "ok": fine,
            "from": report.from,
            "size": report.checkpoint.size,
            "root": hex_string(&report.checkpoint.root),
            "key": record.vkey(),
            "kinds": report.kinds,
            "evidence": report.evidence,
            "problems": problems,
            "omitted": report.omitted,
            "open_intents": open.iter().map(|intent| &intent.id).collect::<Vec<_>>(),
            "final": sealed.as_ref().map(report::sealed::value),
        });
        session.print(&format!("{found}\n"))?;
    } else {
        let sealed = sealed.as_ref().map(report::sealed::text);
        let text = report::log::verified(&report, &open) + &sealed.unwrap_or_default();
        session.print(&text)?;
    }
    Ok(site::answer(&report))
}

fn found(fine: bool) -> Exit {
    match fine {
        true => Exit::Fine,
        false => Exit::Refused,
    }
}

fn settle(site: &Site, lock: &Lock) -> Result<Settled, CliError> {
    let settling = Settling {
        repo: &site.repo,
        record: &site.record,
        lock,
        policy_ref: &site.server.policy_ref,
        mode: site.server.mode,
        now: clock(),
        mine: None,
    };
    settling.settle().map_err(site::unread)
}

fn reconcile(session: &mut Session<'_>) -> Result<Exit, CliError> {
    let site = site::open(session)?;
    site::mine(site.record.dir(), "log reconcile")?;
    let lock = site.record.lock().map_err(site::record)?;
    let settled = settle(&site, &lock)?;
    let view = site.record.view().map_err(site::record)?;
    let unknown = refs_against(&site.repo, &view, &site.server.policy_ref).map_err(site::unread)?;
    drop(lock);
    if session.json() {
        let closed: Vec<_> = settled.closed.iter().map(closed).collect();
        let unknown: Vec<_> = unknown
            .iter()
            .map(|drift| {
                json!({
                    "ref": drift.name,
                    "recorded": drift.recorded,
                    "what": drift.to_string(),
                    "ways_out": report::log::ways_out(drift),
                })
            })
            .collect();
        let told = json!({
            "schema": "countersign.reconcile/v1",
            "closed": closed,
            "open": settled.open,
            "unknown": unknown,
        });
        session.print(&format!("{told}\n"))?;
    } else {
        session.print(&report::log::reconciled(&settled, &unknown))?;
    }
    Ok(found(settled.open == 0 && unknown.is_empty()))
}

fn closed((name, outcome): &(RefName, Outcome)) -> Value {
    let (word, index) = match outcome {
        Outcome::Landed(index) => ("landed", Some(index)),
        Outcome::Lost => ("lost", None),
        Outcome::Lapsed => ("lapsed", None),
    };
    json!({"ref": name, "outcome": word, "index": index})
}

fn adopt(
    name: &str,
    policy: bool,
    dry_run: bool,
    reason: &str,
    session: &mut Session<'_>,
) -> Result<Exit, CliError> {
    check_reason(reason)?;
    let name = repository::full_name(name);
    if crate::wire::refname::check(&name).is_err() {
        let message = format!("{name} is no name of a ref");
        return Err(CliError::words(Kind::Usage, message));
    }
    let site = site::open(session)?;
    if !dry_run {
        site::mine(site.record.dir(), &format!("log adopt {name}"))?;
    }
    let lock = site.record.lock().map_err(site::record)?;
    let json = session.json();
    let words = RefCell::new(&mut *session);
    let only = RefCell::new(None);
    let adopting = Adopting {
        repo: &site.repo,
        record: &site.record,
        lock: &lock,
        policy_ref: &site.server.policy_ref,
        mode: site.server.mode,
        now: clock(),
        by: &user(),
        reason,
        policy,
        limits: &site.server.limits,
        bringers: &Noted {
            repo: &site.repo,
            record: &site.record,
        },
        shown: &|step| {
            if !json {
                words.borrow_mut().say(report::audit::step(step).trim_end());
            }
            only.replace(dry_run.then(|| step.clone()));
            !dry_run
        },
    };
    let taken = adopting.adopt(&name);
    drop(lock);
    if let Some(step) = only.take() {
        if json {
            let told = json!({
                "schema": "countersign.adopt/v1",
                "index": null,
                "ref": name,
                "old": step.from,
                "new": step.to,
                "step": report::audit::step_value(&step),
            });
            session.print(&format!("{told}\n"))?;
        }
        return Ok(Exit::Fine);
    }
    let taken = taken.map_err(|error| not_adopted(error, &name))?;
    if session.json() {
        let told = json!({
            "schema": "countersign.adopt/v1",
            "index": taken.index,
            "ref": name,
            "old": taken.old,
            "new": taken.new,
            "unreviewed": taken.step.commits,
            "step": report::audit::step_value(&taken.step),
            "begun": taken.begun,
            "closed": taken.settled.closed.iter().map(closed).collect::<Vec<_>>(),
        });
        session.print(&format!("{told}\n"))?;
    } else {
        session.print(&report::log::adopted(&name, &taken))?;
    }
    Ok(Exit::Fine)
}

fn check_reason(reason: &str) -> Result<(), CliError> {
    match reason.len() > REASON {
        true => {
            let message = format!("a reason has at most {REASON} bytes");
            Err(CliError::words(Kind::Usage, message))
        }
        false => Ok(()),
    }
}

fn rotate(reason: &str, session: &mut Session<'_>) -> Result<Exit, CliError> {
    check_reason(reason)?;
    let site = site::open(session)?;
    site::mine(site.record.dir(), "log rotate")?;
    let lock = site.record.lock().map_err(site::record)?;
    let rotating = Rotating {
        at: clock(),
        by: &user(),
        reason,
    };
    let rotated = site.record.rotate(&lock, &rotating);
    drop(lock);
    let rotated = rotated.map_err(|error| {
        let no_next = matches!(error, RecordError::NoNext);
        let hint = "in server.toml, below [record]: next = \"file\", or another store".to_owned();
        site::record(error).hint(no_next.then_some(hint))
    })?;
    let vkey = site.record.vkey();
    if session.json() {
        let told = json!({
            "schema": "countersign.log-rotate/v1",
            "size": rotated.as_ref().map(|rotation| rotation.size),
            "old": rotated.as_ref().map(|rotation| rotation.old.to_string()),
            "key": vkey,
        });
        session.print(&format!("{told}\n"))?;
    } else {
        let text = report::log::rotated(rotated.as_ref(), &vkey, &site.server.keys);
        session.print(&text)?;
    }
    Ok(Exit::Fine)
}

fn not_adopted(error: AdoptError, name: &RefName) -> CliError {
    match error {
        AdoptError::Admit(error) => site::unread(error),
        AdoptError::NotPolicyRef(_) => CliError::new(Kind::Usage, error),
        AdoptError::OtherPolicy(_) => CliError::new(Kind::Refused, error).hint([
            "look at what changed below .countersign/; then, to judge by it from now on:"
                .to_owned(),
            format!("countersign log adopt {name} --policy"),
        ]),
        AdoptError::Unusable { .. } | AdoptError::NoPolicyRef(_) => {
            CliError::new(Kind::Refused, error).hint([
                format!(
                    "set the ref by hand to a commit with a good policy, past the hooks, which can \
                     decide nothing without one (git -c core.hooksPath=/dev/null update-ref {name} \
                     <commit>), then:"
                ),
                format!("countersign log adopt {name} --policy"),
            ])
        }
        AdoptError::Symbolic { .. } => {
            CliError::new(Kind::Refused, error).hint([format!("git symbolic-ref --delete {name}")])
        }
        AdoptError::Unprotected(_)
        | AdoptError::AsRecorded(_)
        | AdoptError::NoCommit { .. }
        | AdoptError::NotWanted(_) => CliError::new(Kind::Refused, error),
    }
}
