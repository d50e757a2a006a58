//! `countersign verify attestation`: envelopes from a file, a note or the network.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Exit, Kind, Session, attest, git, prove, repository, site};
use crate::admit::standing::{State, standing};
use crate::attest::check::{self, Expected, MAX_FILE};
use crate::attest::resource;
use crate::record::http::{Http, is_address};
use crate::record::{Proven, verify_proof};
use crate::report;
use crate::wire::log_proof::MAX_PROOF;
use crate::wire::note::NoteKey;
use crate::wire::oid::Oid;
use crate::wire::pem::{MAX_PEM, PublicKey};

/// Verify what was attested of a commit; exit 0 only where all that is asked for holds
#[derive(Debug, Args)]
pub(super) struct Attestation {
    /// A file of envelopes, one a line; `-` for standard input; or an address to fetch it from
    #[arg(value_name = "file|-|url", required_unless_present = "notes")]
    source: Option<String>,
    /// The commit's note on this ref instead
    #[arg(long, value_name = "ref", num_args = 0..=1, require_equals = true,
          default_missing_value = attest::NOTES, conflicts_with = "source")]
    notes: Option<String>,
    /// A key that is believed (PEM); may repeat
    #[arg(long = "key", value_name = "pem", required = true)]
    keys: Vec<PathBuf>,
    /// How many of the keys must have signed
    #[arg(long, value_name = "count", default_value_t = 1)]
    threshold: usize,
    /// The commit
    #[arg(long, value_name = "commit")]
    commit: String,
    /// The repository: its name in the policy, or the whole address
    #[arg(long, value_name = "name")]
    repository: String,
    /// The ref that it must have landed on
    #[arg(long, value_name = "ref")]
    onto: Option<String>,
    /// A level or property that a VSA must give; may repeat
    #[arg(long = "level", value_name = "level")]
    levels: Vec<String>,
    /// The id of the verifier that the keys belong to
    #[arg(long, value_name = "uri")]
    verifier_id: Option<String>,
    /// A proof that the landing is in the log
    #[arg(long, value_name = "file", requires = "log_key")]
    tlog_proof: Option<PathBuf>,
    /// The log's verifier line, or a file that holds it (`log/vkey`)
    #[arg(long, value_name = "key", requires = "tlog_proof")]
    log_key: Option<String>,
    /// What a log of many repositories calls this one
    #[arg(long, value_name = "name", requires = "tlog_proof")]
    of: Option<String>,
    /// Hold it against the record of the repository here
    #[arg(long, conflicts_with = "tlog_proof")]
    record: bool,
}

impl Attestation {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let commit = self.resolve(session)?;
        let expected = self.expected(session, &commit)?;
        let bytes = self.read(session, &commit)?;
        let checked = check::check(&bytes, &expected);
        match session.json() {
            true => {
                let told = report::attestation::value(&checked);
                session.print(&format!("{told}\n"))?;
            }
            false => session.print(&report::attestation::checked(&checked))?,
        }
        match &checked.why {
            None => Ok(Exit::Fine),
            Some(why) => Err(CliError::words(Kind::Refused, report::plain::plain(why))),
        }
    }

    /// A full id needs no repository.
    fn resolve(&self, session: &Session<'_>) -> Result<Oid, CliError> {
        match self.commit.parse() {
            Ok(oid) => Ok(oid),
            Err(_) => git::revision(session, &repository::discover(session)?, &self.commit),
        }
    }

    fn expected(&self, session: &Session<'_>, commit: &Oid) -> Result<Expected, CliError> {
        let read = |path: &PathBuf| {
            let bytes = prove::read(session, path, MAX_PEM)?;
            PublicKey::parse(&bytes).map_err(|error| {
                let context = path.display().to_string();
                CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
            })
        };
        let keys: Vec<PublicKey> = self.keys.iter().map(read).collect::<Result<_, _>>()?;
        if self.threshold == 0 || self.threshold > keys.len() {
            let message = format!(
                "of {} keys {} cannot have signed",
                keys.len(),
                self.threshold
            );
            return Err(CliError::words(Kind::Usage, message));
        }
        let onto = self.onto.as_deref().map(repository::full_name);
        let proven = self.proven(session, commit)?;
        Ok(Expected {
            keys,
            threshold: self.threshold,
            commit: commit.to_string(),
            resource: match self.repository.contains("://") {
                true => self.repository.clone(),
                false => resource(&self.repository),
            },
            onto: onto.map(|name| name.to_string()),
            verifier: self.verifier_id.clone(),
            levels: self.levels.clone(),
            // The record here is the repository's own.
            of: match (&self.of, &proven) {
                (None, Some(proven)) if self.record => proven.of.clone().map(String::from),
                (of, _) => of.clone(),
            },
            proven,
        })
    }

    fn proven(&self, session: &Session<'_>, commit: &Oid) -> Result<Option<Proven>, CliError> {
        let (bytes, key) = match (&self.tlog_proof, &self.log_key) {
            (Some(path), Some(key)) => {
                let bytes = prove::read(session, path, MAX_PROOF)?;
                (bytes, prove::note_key(session, key, "--log-key")?)
            }
            _ if self.record => {
                let site = site::open(session)?;
                let onto = self.onto.as_deref().map(repository::full_name);
                let policy_ref = &site.server.policy_ref;
                let found = standing(&site.repo, &site.record, policy_ref, commit, onto.as_ref())
                    .map_err(site::unread)?;
                let (State::Reviewed, Some(index)) = (found.state, found.index) else {
                    let words = report::log::standing(commit, &found);
                    return Err(CliError::words(Kind::Refused, words.trim_end()));
                };
                let proof = site.record.prove(index).map_err(site::record)?;
                let key = NoteKey::parse(&site.record.vkey())
                    .map_err(|error| CliError::new(Kind::Undecided, error))?;
                (proof.to_string().into_bytes(), key)
            }
            _ => return Ok(None),
        };
        let proven = verify_proof(&bytes, &key, None);
        let proven = proven.map_err(|error| CliError::new(Kind::Refused, error))?;
        Ok(Some(proven))
    }

    fn read(&self, session: &Session<'_>, commit: &Oid) -> Result<Vec<u8>, CliError> {
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
        let undecided = |error: anyhow::Error| CliError::new(Kind::Undecided, error);
        if let Some(name) = &self.notes {
            let name = attest::notes_ref(name)?;
            let repo = repository::discover(session)?;
            let note = repo.note(&name, commit, limit);
            return match note.map_err(|error| undecided(error.into()))? {
                Some(note) => Ok(note),
                None => Err(CliError::words(
                    Kind::Refused,
                    format!("{name} has no note of {commit}"),
                )),
            };
        }
        match self.source.as_deref().unwrap_or("-") {
            "-" => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .take(limit.saturating_add(1))
                    .read_to_end(&mut bytes)
                    .map_err(|error| undecided(error.into()))?;
                Ok(bytes)
            }
            url if is_address(url) => {
                let answer = Http::default().get(url, limit);
                let answer = answer.map_err(|error| undecided(error.into()))?;
                match answer.status {
                    200 => Ok(answer.body),
                    status => Err(undecided(anyhow::anyhow!("{url}: answered {status}"))),
                }
            }
            path => prove::read(session, Path::new(path), MAX_FILE),
        }
    }
}
