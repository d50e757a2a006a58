//! `countersign log prove` and `countersign verify proof`: what an entry says, away from the record.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, Kind, Session, repository, site};
use crate::admit::standing::{State, standing};
use crate::gate::Site;
use crate::record::entry::MAX_ENTRY;
use crate::record::{CheckpointError, ProofError, verify_proof, verify_rotation};
use crate::report;
use crate::wire::log_policy::{LogPolicy, MAX_POLICY};
use crate::wire::log_proof::MAX_PROOF;
use crate::wire::note::{MAX_NOTE, NoteError, NoteKey};
use crate::wire::oid::Oid;

/// Write a proof that an entry is in the log, for those who have only its key
#[derive(Debug, Args)]
pub(super) struct Prove {
    /// The entry
    #[arg(value_name = "index", required_unless_present = "commit")]
    index: Option<u64>,
    /// The entry that makes this commit reviewed
    #[arg(long, value_name = "commit", conflicts_with = "index")]
    commit: Option<String>,
    /// On this ref (default: on any recorded one)
    #[arg(long, value_name = "ref", requires = "commit")]
    onto: Option<String>,
    /// Write to this file (by custom `.tlog-proof`) instead of standard output
    #[arg(short = 'o', value_name = "file")]
    output: Option<PathBuf>,
}

impl Prove {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let site = site::open(session)?;
        let index = match (self.index, &self.commit) {
            (Some(index), _) => index,
            (None, Some(commit)) => self.reviewed(commit, &site, session)?,
            (None, None) => return Err(CliError::words(Kind::Usage, "which entry?")),
        };
        let proof = site.record.prove(index).map_err(|error| match error {
            crate::record::RecordError::Beyond { .. } => CliError::new(Kind::Usage, error),
            other => site::record(other),
        })?;
        let text = proof.to_string();
        if let Some(path) = &self.output {
            let path = session.dir().join(path);
            std::fs::write(&path, &text).map_err(|error| at(&path, error))?;
        }
        if session.json() {
            let told = json!({
                "schema": "countersign.log-prove/v1",
                "index": index,
                "key": site.record.vkey(),
                "proof": text,
            });
            session.print(&format!("{told}\n"))?;
        } else if self.output.is_none() {
            session.print(&text)?;
        }
        Ok(Exit::Fine)
    }

    /// The entry that makes a commit reviewed; nothing else is worth a proof of that commit.
    fn reviewed(&self, commit: &str, site: &Site, session: &Session<'_>) -> Result<u64, CliError> {
        let oid = match commit.parse::<Oid>() {
            Ok(oid) => oid,
            Err(_) => super::git::revision(session, &site.repo, commit)?,
        };
        let onto = self.onto.as_deref().map(repository::full_name);
        let policy_ref = &site.server.policy_ref;
        let found = standing(&site.repo, &site.record, policy_ref, &oid, onto.as_ref())
            .map_err(site::unread)?;
        match (found.state, found.index) {
            (State::Reviewed, Some(index)) => Ok(index),
            (_, index) => {
                let words = report::log::standing(&oid, &found);
                let error = CliError::words(Kind::Refused, words.trim_end());
                let hint = |index| format!("countersign log prove {index} proves that entry");
                Err(error.hint(index.map(hint)))
            }
        }
    }
}

/// Verify a proof offline, with nothing but the log's key, and those of its witnesses
#[derive(Debug, Args)]
pub(super) struct Proof {
    /// The proof
    #[arg(value_name = "file")]
    file: PathBuf,
    /// The log's verifier line, or a file that holds it (`log/vkey`)
    #[arg(long, value_name = "key", required_unless_present = "log_policy")]
    key: Option<String>,
    /// Exit 0 only where the witnesses of this file (c2sp.org/tlog-policy) cosigned; its logs are the
    /// ones that are trusted. `countersign log witness --print-policy` prints one
    #[arg(long, value_name = "file")]
    log_policy: Option<PathBuf>,
    /// That the log went over to another key since (`log/rotations/<size>`); each in order
    #[arg(long, value_name = "file", requires = "key")]
    rotation: Vec<PathBuf>,
    /// The entry, where the proof does not carry it
    #[arg(long, value_name = "file")]
    entry: Option<PathBuf>,
    /// Exit 0 only where this commit (a full id) is reviewed by the entry
    #[arg(long, value_name = "oid")]
    commit: Option<String>,
    /// Exit 0 only where what is reviewed landed on this ref
    #[arg(long, value_name = "ref")]
    onto: Option<String>,
    /// Exit 0 only where the entry is of this repository, as its policy calls it
    #[arg(long, value_name = "name")]
    repository: Option<String>,
    /// Exit 0 only where the entry is of this repository of a log of many, by its name there
    #[arg(long, value_name = "name")]
    of: Option<String>,
}

impl Proof {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let commit = self.commit.as_deref();
        if let Some(commit) = commit.filter(|commit| commit.parse::<Oid>().is_err()) {
            let message = format!("{commit} is no full id: there is no repository to ask here");
            return Err(CliError::words(Kind::Usage, message));
        }
        let policy = self.policy(session)?;
        let keys = self.keys(policy.as_ref(), session)?;
        let bytes = read(session, &self.file, MAX_PROOF)?;
        let entry = match &self.entry {
            Some(path) => Some(read(session, path, MAX_ENTRY)?),
            None => None,
        };
        let verified = keys
            .iter()
            .map(|key| verify_proof(&bytes, key, entry.as_deref()));
        let proven = match verified.reduce(Result::or) {
            Some(Ok(proven)) => proven,
            Some(Err(error)) => {
                let is_other = matches!(
                    error,
                    ProofError::Checkpoint(CheckpointError::Note(NoteError::OtherKey { .. }))
                );
                let refused = refused(session, error.to_string());
                return refused.map_err(|error| error.hint(is_other.then(|| OTHER_KEY.to_owned())));
            }
            None => return refused(session, "the policy trusts no log".to_owned()),
        };
        let cosigned = match policy.as_ref().map(|policy| policy.cosigned(&proven.note)) {
            Some(Err(error)) => return refused(session, error.to_string()),
            Some(Ok(cosigned)) => Some(cosigned),
            None => None,
        };
        let onto = self.onto.as_deref().map(repository::full_name);
        let onto = onto.map(|name| name.to_string());
        let wanted = report::proof::Wanted {
            repository: self.repository.as_deref(),
            of: self.of.as_deref(),
            commit,
            onto: onto.as_deref(),
        };
        let why = report::proof::unlike(&proven, &wanted);
        let why = why.or_else(|| cosigned.as_ref().and_then(report::proof::too_few));
        if session.json() {
            let mut told = report::proof::json(&proven, cosigned.as_ref())
                .map_err(|error| CliError::new(Kind::Undecided, error))?;
            if let (Some(why), Some(told)) = (&why, told.as_object_mut()) {
                told.insert("ok".to_owned(), json!(false));
                told.insert("why".to_owned(), json!(why));
            }
            session.print(&format!("{told}\n"))?;
        } else {
            session.print(&report::proof::table(&proven, cosigned.as_ref()))?;
        }
        match why {
            None => Ok(Exit::Fine),
            Some(why) => Err(CliError::words(Kind::Refused, why)),
        }
    }

    /// Returns the keys of which one must have signed: the one given, which the policy must then trust,
    /// or all that the policy does.
    fn keys(
        &self,
        policy: Option<&LogPolicy>,
        session: &Session<'_>,
    ) -> Result<Vec<NoteKey>, CliError> {
        let trusted: Vec<NoteKey> = policy.iter().flat_map(|it| it.logs()).cloned().collect();
        let Some(given) = &self.key else {
            return Ok(trusted);
        };
        let known = note_key(session, given, "--key")?;
        match trusted.is_empty() || trusted.contains(&known) {
            true => Ok(follow(known, &self.rotation, session)?.split_off(self.rotation.len())),
            false => {
                let message = "--key is none of the logs that --log-policy trusts";
                Err(CliError::words(Kind::Usage, message))
            }
        }
    }

    fn policy(&self, session: &Session<'_>) -> Result<Option<LogPolicy>, CliError> {
        let Some(path) = &self.log_policy else {
            return Ok(None);
        };
        let bytes = read(session, path, MAX_POLICY)?;
        let policy = LogPolicy::parse(&bytes).map_err(|error| {
            let context = path.display().to_string();
            CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
        })?;
        Ok(Some(policy))
    }
}

/// Follows a log from the key that is known; returns that and each it has gone over to.
pub(super) fn follow(
    known: NoteKey,
    rotations: &[PathBuf],
    session: &Session<'_>,
) -> Result<Vec<NoteKey>, CliError> {
    let mut keys = vec![known.clone()];
    let mut last = known;
    for path in rotations {
        let bytes = read(session, path, MAX_PROOF)?;
        let rotation = verify_rotation(&bytes, &last).map_err(|error| {
            let context = format!("{}: no rotation from {last}", path.display());
            CliError::new(Kind::Refused, anyhow::Error::from(error).context(context))
        })?;
        last = rotation.new;
        keys.push(last.clone());
    }
    Ok(keys)
}

/// Reads a verifier line, or the file that holds it: the line has a plus sign and names no file.
pub(super) fn note_key(
    session: &Session<'_>,
    given: &str,
    option: &'static str,
) -> Result<NoteKey, CliError> {
    let path = session.dir().join(given);
    let line = match path.exists() {
        true => String::from_utf8(read(session, &path, MAX_NOTE)?)
            .map_err(|error| CliError::new(Kind::Usage, error))?,
        false => given.to_owned(),
    };
    NoteKey::parse(line.trim_end_matches('\n'))
        .map_err(|error| CliError::new(Kind::Usage, anyhow::Error::from(error).context(option)))
}

const OTHER_KEY: &str = "if the log went over to another key since, give each file of its \
                         log/rotations, in order: --rotation <file>; or take the proof again";

fn refused(session: &mut Session<'_>, why: String) -> Result<Exit, CliError> {
    if session.json() {
        let told = json!({"schema": "countersign.verify-proof/v1", "ok": false, "why": why});
        session.print(&format!("{told}\n"))?;
    }
    Err(CliError::words(Kind::Refused, why))
}

/// Reads a file that the user named, at most so many bytes of it and one more.
pub(super) fn read(session: &Session<'_>, path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let path = session.dir().join(path);
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    File::open(&path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| at(&path, error))?;
    Ok(bytes)
}

fn at(path: &Path, error: std::io::Error) -> CliError {
    let context = path.display().to_string();
    CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
}
