//! `countersign people export`.

use clap::{ArgGroup, Args};

use super::line;
use crate::cli::{CliError, Exit, Kind, Session, repository};
use crate::git::Repo;
use crate::host::{PusherSource, clock};
use crate::people::People;
use crate::people::edit::Draft;
use crate::people::export::{LeftOut, allowed_signers, authorized_keys};
use crate::people::key;
use crate::people::parse::FILE;
use crate::report::plain::plain;

/// Write what other programs need to know of the people
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("what")
        .required(true)
        .args(["authorized_keys", "allowed_signers", "openpgp"])
))]
pub(in crate::cli) struct Export {
    /// Lines for sshd: each key with the forced command that says whose it is
    #[arg(long)]
    authorized_keys: bool,
    /// Lines for ssh-keygen and git (gpg.ssh.allowedSignersFile): each key with its times
    #[arg(long)]
    allowed_signers: bool,
    /// The OpenPGP keys that count now, for `gpg --import`
    #[arg(long)]
    openpgp: bool,
    /// The branch to read them from (default: the policy ref)
    #[arg(value_name = "ref")]
    name: Option<String>,
}

impl Export {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        if session.json() {
            let message = "what is exported has no JSON form";
            return Err(CliError::words(Kind::Usage, message));
        }
        let people = repository::rulebook(&repo, self.name.as_deref())?.people;
        let (text, words) = if self.authorized_keys {
            (for_sshd(&repo, &people)?, Vec::new())
        } else if self.allowed_signers {
            for_signers(&people)
        } else {
            self.keyring(&repo, &people)?
        };
        for word in &words {
            session.say(&format!("left out: {}", plain(word)));
        }
        session.print(&text)?;
        Ok(Exit::Fine)
    }

    /// Writes the key files of keys that count now, one after another.
    fn keyring(&self, repo: &Repo, people: &People) -> Result<(String, Vec<String>), CliError> {
        let commit = repository::tip(repo, self.name.as_deref())?;
        let text = repository::file(repo, &commit, FILE)?.unwrap_or_default();
        let draft = Draft::new(&String::from_utf8_lossy(&text));
        let draft = draft.map_err(|error| CliError::new(Kind::Usage, error))?;
        let now = clock();
        let (mut text, mut left_out) = (String::new(), Vec::new());
        for (person, path) in draft.key_files() {
            let path = format!(".countersign/{path}");
            let bytes = repository::file(repo, &commit, &path)?.unwrap_or_default();
            let (fingerprint, _) =
                key::parse_openpgp(&bytes).map_err(|error| CliError::new(Kind::Usage, error))?;
            match people.key(&fingerprint) {
                Some((_, key)) if key.counts_at(now) => {
                    text.push_str(String::from_utf8_lossy(&bytes).trim_end());
                    text.push('\n');
                }
                _ => left_out.push(format!(
                    "{fingerprint} of {person}, which does not count now"
                )),
            }
        }
        Ok((text, left_out))
    }
}

fn for_sshd(repo: &Repo, people: &People) -> Result<String, CliError> {
    let variable = match repository::server(repo)?.map(|server| server.pusher) {
        Some(PusherSource::Env(variable)) => variable,
        Some(other) => {
            let message = format!("the pusher comes from {}, not from sshd", other.spelled());
            return Err(CliError::words(Kind::Usage, message));
        }
        None => "COUNTERSIGN_PUSHER".to_owned(),
    };
    let mut text = String::new();
    for entry in authorized_keys(people, &variable, clock()) {
        line(&mut text, &entry);
    }
    Ok(text)
}

fn for_signers(people: &People) -> (String, Vec<String>) {
    let (lines, left_out) = allowed_signers(people);
    let mut text = String::new();
    for entry in &lines {
        line(&mut text, &entry.to_string());
    }
    let words = left_out.iter().map(|what| match what {
        LeftOut::Name(name) => format!("the name {name}, which would be a pattern"),
        LeftOut::VerifyRequired(key) => {
            format!("that the security key {key} must have known its user")
        }
        LeftOut::Revocations(key) => {
            format!("which certificates of the CA {key} are revoked (see gpg.ssh.revocationFile)")
        }
        LeftOut::Never(key) => format!("the key {key}, which counts at no time"),
        LeftOut::OpenPgp(key) => format!("the OpenPGP key {key} (see --openpgp)"),
    });
    (text, words.collect())
}
