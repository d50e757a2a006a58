//! `countersign log monitor`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{CliError, Exit, Kind, Session, prove};
use crate::audit::unrecorded;
use crate::git::Repo;
use crate::host::clock;
use crate::policy::parse::duration_of;
use crate::record::monitor::{Patience, Published, Round, Seen, Unfollowed, follow};
use crate::record::shared::RepositoryName;
use crate::report;
use crate::wire::note::NoteKey;

/// How long one round may take, in seconds.
const PATIENCE: u64 = 3600;
/// How often a file that is gone is looked for by a newer checkpoint: the log may have grown.
const TRIES: usize = 3;

/// Follow a published log from afar, and tell what a person should look at
///
/// Each look reads what is new, and exits 1 where there is something to tell: a log that was rewritten,
/// rolled back or is not signed, and entries that stand for something unreviewed.
#[derive(Debug, Args)]
pub(super) struct Monitor {
    /// Where it is published: an address, or a folder
    #[arg(value_name = "place")]
    place: String,
    /// The log's verifier line, or a file that holds it (`log/vkey`)
    #[arg(long, value_name = "key")]
    key: String,
    /// That the log went over to another key since (`log/rotations/<size>`); each in order
    #[arg(long, value_name = "file")]
    rotation: Vec<PathBuf>,
    /// Where is kept what was seen; made by the first look
    #[arg(long, value_name = "file")]
    state: PathBuf,
    /// Look again and again, with this much time between (default: once)
    #[arg(long, value_name = "duration", value_parser = duration)]
    every: Option<SignedDuration>,
    /// Tell of a log that has not grown for so long
    #[arg(long, value_name = "duration", value_parser = duration)]
    stale: Option<SignedDuration>,
    /// A clone: what it last fetched must be on record
    #[arg(long, value_name = "dir")]
    repo: Option<PathBuf>,
    /// Which repository of a log of many the clone is of
    #[arg(long, value_name = "name", requires = "repo")]
    of: Option<String>,
    /// The remote it is fetched from
    #[arg(long, value_name = "name", default_value = "origin", requires = "repo")]
    remote: String,
    /// How long a fetched tip may take to be on record
    #[arg(long, value_name = "duration", default_value = "10m", value_parser = duration, requires = "repo")]
    grace: SignedDuration,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let found = duration_of(text);
    found.ok_or_else(|| "a number and one of s, m, h, d, w, as in 10m".to_owned())
}

impl Monitor {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let known = prove::note_key(session, &self.key, "--key")?;
        let keys = prove::follow(known, &self.rotation, session)?;
        let published = Published::at(&self.place, session.dir());
        let Some(every) = self.every else {
            return self.look(&published, &keys, session);
        };
        let pause = Duration::try_from(every).unwrap_or_default();
        loop {
            if let Err(error) = self.look(&published, &keys, session) {
                error.print(session);
            }
            thread::sleep(pause);
        }
    }

    fn look(
        &self,
        published: &Published,
        keys: &[NoteKey],
        session: &mut Session<'_>,
    ) -> Result<Exit, CliError> {
        let file = session.dir().join(&self.state);
        let state = |error| {
            let context = file.display().to_string();
            CliError::new(Kind::Undecided, anyhow::Error::from(error).context(context))
        };
        // What was seen may be from before; what is published must be by the last.
        let loaded = keys.iter().map(|key| Seen::load(&file, key));
        let (Some(loaded), Some(key)) = (loaded.reduce(Result::or), keys.last()) else {
            return Err(CliError::words(Kind::Usage, "which key?"));
        };
        let mut seen = loaded.map_err(state)?;
        let now = clock();
        let (mut round, failed) = match try_follow(published, key, &mut seen) {
            Ok(round) => (round, None),
            Err(error) => (Round::default(), Some(error)),
        };
        self.idle(&seen, now, failed.as_ref(), &mut round);
        if let Some(error) = failed
            && round.alarms.is_empty()
        {
            return Err(CliError::new(Kind::Undecided, error));
        }
        // What was found in the log is told of even where the clone is broken.
        let beside = self.beside(&mut seen, now, session, &mut round);
        if let Some(notes) = &round.proof {
            keep(&file, notes)?;
        }
        self.tell(key, &seen, &round, session)?;
        // What was told need not be told again; what was not is.
        seen.save(&file).map_err(state)?;
        match (beside, round.alarms.is_empty()) {
            (Ok(()), true) => Ok(Exit::Fine),
            (Err(error), true) => Err(error),
            (beside, false) => {
                if let Err(error) = beside {
                    error.print(session);
                }
                Ok(Exit::Refused)
            }
        }
    }

    /// Holds the clone against what is on record.
    fn beside(
        &self,
        seen: &mut Seen,
        now: Timestamp,
        session: &Session<'_>,
        round: &mut Round,
    ) -> Result<(), CliError> {
        let Some(dir) = &self.repo else {
            return Ok(());
        };
        let of = self.repository(seen)?;
        let repo = Repo::open(&session.dir().join(dir), None);
        let found = repo.and_then(|repo| match seen.tips(of.as_ref()) {
            Some(tips) => unrecorded(&repo, &self.remote, tips),
            None => Ok(BTreeMap::new()),
        });
        let found = found.map_err(|error| CliError::new(Kind::Undecided, error))?;
        for (name, oid) in seen.unrecorded(of.as_ref(), &found, now, self.grace) {
            let what = format!("{name} was fetched at {oid}, which is none of its recorded tips");
            round.alarm("unrecorded-tip", None, what);
        }
        if seen.is_unfollowed(of.as_ref()) {
            let what = "more refs than are followed: the clone is not held against all of them";
            round.alarm("too-many", None, what.to_owned());
        }
        Ok(())
    }

    /// Returns what the log calls the repository that the clone is of.
    fn repository(&self, seen: &Seen) -> Result<Option<RepositoryName>, CliError> {
        let of = match &self.of {
            None if seen.is_shared() == Some(true) => {
                let words = "the log is of many repositories: of which is the clone?";
                let error = CliError::words(Kind::Usage, words);
                let hint = "name it with --of <name>, the `[record] name` of its server.toml";
                return Err(error.hint([hint.to_owned()]));
            }
            None => None,
            Some(of) => Some(RepositoryName::try_from(of.clone()).map_err(usage)?),
        };
        // Before its first entry a log has no repository.
        match seen.tips(of.as_ref()).is_some() || seen.is_shared().is_none() {
            true => Ok(of),
            false => {
                let of = self.of.as_deref().unwrap_or_default();
                Err(usage(format!(
                    "the log has no entry of a repository {of:?}"
                )))
            }
        }
    }

    /// A server that does not answer is told of once the log has not grown for that long.
    fn idle(&self, seen: &Seen, now: Timestamp, failed: Option<&Unfollowed>, round: &mut Round) {
        if let (Some(stale), Some(idle)) = (self.stale, seen.idle(now))
            && idle >= stale
        {
            let why = failed.map(|error| format!(": {error}")).unwrap_or_default();
            let what = format!("no new entry for {} s{why}", idle.as_secs());
            round.alarm("stale", None, what);
        }
    }

    fn tell(
        &self,
        key: &NoteKey,
        seen: &Seen,
        round: &Round,
        session: &mut Session<'_>,
    ) -> Result<(), CliError> {
        let name = key.name();
        if !session.json() {
            session.print(&report::monitor::alarms(name, round))?;
            session.say(report::monitor::summary(name, seen.size(), round).trim_end());
            return Ok(());
        }
        let schema = "countersign.monitor/v1";
        for alarm in &round.alarms {
            let told = json!({
                "schema": schema,
                "log": name,
                "code": alarm.code,
                "index": alarm.index,
                "of": alarm.of,
                "what": alarm.what,
            });
            session.print(&format!("{told}\n"))?;
        }
        let told = json!({
            "schema": schema,
            "log": name,
            "size": seen.size(),
            "entries": round.entries,
            "ok": round.alarms.is_empty(),
            "omitted": round.omitted,
        });
        session.print(&format!("{told}\n"))?;
        Ok(())
    }
}

fn usage(words: String) -> CliError {
    CliError::words(Kind::Usage, words)
}

fn try_follow(published: &Published, key: &NoteKey, seen: &mut Seen) -> Result<Round, Unfollowed> {
    let start = clock();
    let over = || clock().duration_since(start).as_secs().unsigned_abs() > PATIENCE;
    let patience = Patience {
        seconds: PATIENCE,
        over: &over,
    };
    for _ in 1..TRIES {
        match follow(published, key, seen, start, &patience) {
            Err(Unfollowed::Missing(_)) => {}
            other => return other,
        }
    }
    follow(published, key, seen, start, &patience)
}

/// Keeps the first proof that a log says one thing and another, beside the state.
fn keep(state: &Path, notes: &[String; 2]) -> Result<(), CliError> {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push(".proof");
    let file = state.with_file_name(name);
    if file.exists() {
        return Ok(());
    }
    std::fs::write(&file, notes.join("\n")).map_err(|error| {
        let context = file.display().to_string();
        CliError::new(Kind::Undecided, anyhow::Error::from(error).context(context))
    })
}
