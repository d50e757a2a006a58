//! `countersign attest`: what the record says of a commit, signed for others.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use bstr::ByteSlice as _;
use clap::Args;
use serde_json::{Value, json};

use super::{CliError, Exit, Kind, Session, git, prove, repository, site};
use crate::attest::{self, AttestError, Attested, Names};
use crate::gate::Site;
use crate::host::clock;
use crate::report;
use crate::report::plain::plain;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::pem::{MAX_PEM, SecretKey};

/// Where others look for notes.
pub(super) const NOTES: &str = "refs/notes/commits";

/// Sign what the record says of a commit: who reviewed it, and the SLSA source level that gives
///
/// One DSSE envelope a line. A commit that is not reviewed gets a summary that says FAILED, and exit 1.
#[derive(Debug, Args)]
pub(super) struct Attest {
    /// The commit
    #[arg(value_name = "commit", required_unless_present = "public_key")]
    commit: Option<String>,
    /// As it landed on this ref (default: on any recorded one)
    #[arg(long, value_name = "ref")]
    onto: Option<String>,
    /// Claim only what has held since this tip of the ref
    #[arg(long, value_name = "commit")]
    since: Option<String>,
    /// Write to this file (by custom `.intoto.jsonl`) instead of standard output
    #[arg(short = 'o', long, value_name = "file")]
    output: Option<PathBuf>,
    /// Append to the commit's note, instead of standard output
    #[arg(long, value_name = "ref", num_args = 0..=1, require_equals = true, default_missing_value = NOTES)]
    notes: Option<String>,
    /// Write the proof that the entry is in the log to this file
    #[arg(long, value_name = "file")]
    tlog_proof: Option<PathBuf>,
    /// Add in-toto's simple verification result
    #[arg(long)]
    svr: bool,
    /// Sign with this Ed25519 key (PEM) instead of the record's own; may repeat
    #[arg(long = "key", value_name = "file")]
    keys: Vec<PathBuf>,
    /// The address that others fetch the repository from (default: from the policy's name for it)
    #[arg(long, value_name = "uri")]
    resource_uri: Option<String>,
    /// Whom others know as the verifier (default: from the log's name)
    #[arg(long, value_name = "uri")]
    verifier_id: Option<String>,
    /// Print the key that others verify with, and nothing else
    #[arg(long, conflicts_with_all = ["commit", "notes", "tlog_proof", "svr", "since", "onto"])]
    public_key: bool,
}

impl Attest {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let site = site::open(session)?;
        let notes = self.notes.as_deref().map(notes_ref).transpose()?;
        let keys = self.keys(session, &site)?;
        if self.public_key {
            let pems: String = keys.iter().map(|key| key.public().to_pem()).collect();
            self.put(session, &pems)?;
            return Ok(Exit::Fine);
        }
        let text = self.commit.as_deref().unwrap_or_default();
        let commit = git::revision(session, &site.repo, text)?;
        let since = self.since.as_deref();
        let since = since.map(|text| git::revision(session, &site.repo, text));
        let since = since.transpose()?;
        let onto = self.onto.as_deref().map(repository::full_name);
        let names = Names {
            resource: self.resource_uri.clone(),
            verifier: self.verifier_id.clone(),
        };
        let asked = attest::Asked {
            repo: &site.repo,
            record: &site.record,
            policy_ref: &site.server.policy_ref,
            commit: &commit,
            onto: onto.as_ref(),
            since: since.as_ref(),
            now: clock(),
            names: &names,
        };
        let attested = attest::attest(&asked, &keys, self.svr).map_err(unattested)?;
        self.hand_out(session, &site, &commit, notes.as_ref(), &attested)
    }

    fn hand_out(
        &self,
        session: &mut Session<'_>,
        site: &Site,
        commit: &Oid,
        notes: Option<&RefName>,
        attested: &Attested,
    ) -> Result<Exit, CliError> {
        let lines: String = attested
            .signed
            .iter()
            .map(|signed| format!("{}\n", signed.envelope))
            .collect();
        let told = value(commit, attested);
        let told = told.map_err(|error| CliError::new(Kind::Undecided, error))?;
        if self.output.is_some() || (notes.is_none() && !session.json()) {
            self.put(session, &lines)?;
        }
        if session.json() {
            session.print(&format!("{told}\n"))?;
        }
        // Nothing that is no proof is left where proofs are looked for.
        let Some(reviewed) = &attested.reviewed else {
            let words = report::log::standing(commit, &attested.standing);
            return Err(CliError::words(Kind::Refused, words.trim_end()));
        };
        if let Some(path) = &self.tlog_proof {
            let proof = site.record.prove(reviewed.index).map_err(site::record)?;
            write(session, path, &proof.to_string())?;
        }
        if let Some(name) = notes {
            annotate(session, name, commit, &lines)?;
        }
        session.say(report::attestation::attested(commit, attested).trim_end());
        Ok(Exit::Fine)
    }

    fn put(&self, session: &mut Session<'_>, text: &str) -> Result<(), CliError> {
        match &self.output {
            Some(path) => write(session, path, text),
            None => Ok(session.print(text)?),
        }
    }

    fn keys(&self, session: &Session<'_>, site: &Site) -> Result<Vec<SecretKey>, CliError> {
        if self.keys.is_empty() {
            site::mine(site.record.dir(), "attest")?;
            let own = site.record.attestation_key().map_err(site::record)?;
            return Ok(vec![own]);
        }
        let read = |path: &PathBuf| {
            let bytes = prove::read(session, path, MAX_PEM)?;
            SecretKey::parse(&bytes).map_err(|error| {
                let context = path.display().to_string();
                CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
            })
        };
        self.keys.iter().map(read).collect()
    }
}

fn write(session: &Session<'_>, path: &std::path::Path, text: &str) -> Result<(), CliError> {
    let path = session.dir().join(path);
    std::fs::write(&path, text).map_err(|error| {
        let context = path.display().to_string();
        CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
    })
}

/// Returns a ref of notes by its full name; git would put `refs/notes/` before any other.
pub(super) fn notes_ref(text: &str) -> Result<RefName, CliError> {
    let name = RefName::from(text);
    let is_one = text.starts_with("refs/notes/") && crate::wire::refname::check(&name).is_ok();
    match is_one {
        true => Ok(name),
        false => Err(CliError::words(
            Kind::Usage,
            format!("{}: notes are on a ref below refs/notes/", plain(text)),
        )),
    }
}

/// Appends to the note with git, whose hooks decide on that ref as on any other.
fn annotate(
    session: &Session<'_>,
    name: &RefName,
    commit: &Oid,
    lines: &str,
) -> Result<(), CliError> {
    let failed =
        |why: &str| CliError::words(Kind::Refused, format!("{name} was not written: {why}"));
    let mut command = git::scrubbed(session)?;
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "countersign")
            .env(format!("GIT_{role}_EMAIL"), "countersign@localhost");
    }
    let mut child = command
        .args(["notes", &format!("--ref={name}"), "append", "-F", "-"])
        .arg(commit.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    // git reads all of it before it says anything.
    let sent = child
        .stdin
        .take()
        .map(|mut pipe| pipe.write_all(lines.as_bytes()));
    let output = child
        .wait_with_output()
        .map_err(|error| failed(&error.to_string()))?;
    match (sent, output.status.success()) {
        (Some(Ok(())), true) => Ok(()),
        _ => Err(failed(&plain(output.stderr.to_str_lossy().trim()))),
    }
}

fn value(commit: &Oid, attested: &Attested) -> Result<Value, serde_json::Error> {
    let mut statements = Vec::new();
    for signed in &attested.signed {
        statements.push(json!({
            "statement": serde_json::to_value(&signed.statement)?,
            "envelope": serde_json::from_str::<Value>(&signed.envelope.to_string())?,
        }));
    }
    Ok(json!({
        "schema": "countersign.attest/v1",
        "commit": commit,
        "state": attested.standing.state.as_str(),
        "index": attested.standing.index,
        "ref": attested.standing.name,
        "attestations": statements,
    }))
}

fn unattested(error: AttestError) -> CliError {
    match error {
        AttestError::Admit(error) => site::unread(error),
        AttestError::NoStart { .. } => CliError::new(Kind::Usage, error),
        AttestError::Rulebook(_) | AttestError::Json(_) => CliError::new(Kind::Undecided, error),
    }
}
