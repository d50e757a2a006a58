//! Whose keys are known: by lists that somebody keeps, and by signatures in the history.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::people::Proposal;
use crate::cli::enroll::own_key;
use crate::cli::people::import::{listed, not_imported, read, rings};
use crate::cli::{CliError, Kind, Session};
use crate::git::Repo;
use crate::host::config;
use crate::people::import::{Change, Import, ImportError};
use crate::people::keyring::{self, Certificate};
use crate::people::{People, PersonName};
use crate::report::plain::counted;
use crate::wire::allowed_signers::{self, KeyLine, SignerLine};
use crate::wire::keybox;

/// `people.toml` with keys in it.
pub(super) struct Keyed {
    /// The file.
    pub(super) text: String,
    /// Key files, by path below `.countersign/`.
    pub(super) files: BTreeMap<String, String>,
}

/// Puts keys into `people.toml`. Lists come before what the history shows: they know from when and until
/// when a key counts.
pub(super) fn keyed(
    proposal: &mut Proposal,
    given: &[PathBuf],
    repo: &Repo,
    session: &Session<'_>,
) -> Result<Keyed, CliError> {
    let text = proposal.text();
    let usage = |error: String| CliError::words(Kind::Usage, error);
    let people = People::parse(text.as_bytes(), &|_| None);
    let people = people.map_err(|error| usage(error.rendered.trim_end().to_owned()))?;
    let files = BTreeMap::new();
    let import = Import::new(&text, &people, &files, None);
    let mut work = Work {
        import: import.map_err(|error| CliError::new(Kind::Usage, error))?,
        proposal,
    };
    for path in given {
        work.given(&session.dir().join(path))?;
    }
    work.signers_of_git(repo, session)?;
    work.history();
    work.own(repo, session)?;
    let (text, files) = (work.import.text(), work.import.written);
    Ok(Keyed { text, files })
}

struct Work<'a, 'p> {
    import: Import<'a>,
    proposal: &'p mut Proposal,
}

impl Work<'_, '_> {
    /// Takes a file, or each file of a folder.
    fn given(&mut self, path: &Path) -> Result<(), CliError> {
        let files = match path.is_dir() {
            true => match rings(path) {
                Ok(files) if files.iter().any(|file| is_ring(file)) => files,
                Ok(_) | Err(_) => listed(path)?
                    .into_iter()
                    .filter(|file| file.is_file())
                    .collect(),
            },
            false => vec![path.to_owned()],
        };
        for file in files {
            self.file(&file)?;
        }
        Ok(())
    }

    fn file(&mut self, file: &Path) -> Result<(), CliError> {
        let bytes = read(file, keybox::MAX_KEYBOX)?;
        if keyring::is_keyring(&bytes) {
            let wrong =
                |error| CliError::words(Kind::Usage, format!("{}: {error}", file.display()));
            self.certificates(file, &keyring::read(&bytes).map_err(wrong)?);
            return Ok(());
        }
        let ending = file.extension().and_then(|ending| ending.to_str());
        let wrong =
            |error: allowed_signers::LineError| not_imported(file, &ImportError::from(error));
        if matches!(ending, Some("pub" | "keys")) {
            let lines = allowed_signers::parse_keys(&bytes).map_err(wrong)?;
            self.lines(file, &lines);
        } else {
            let lines = allowed_signers::parse(&bytes).map_err(wrong)?;
            self.signers(file, &lines);
        }
        Ok(())
    }

    /// Takes keys of whom the file is called after, by name or address, else of whom a key's comment
    /// names by address.
    fn lines(&mut self, file: &Path, lines: &[KeyLine]) {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        for line in lines {
            let person = self.called(stem).or_else(|| self.called(&line.key.comment));
            let source = format!("{} says so", file.display());
            match person {
                Some(person) => self.take(&source, |import| import.key_of(&person, &line.key)),
                None => self.proposal.left_out.push(format!(
                    "{}:{}: a key of nobody who is proposed; call the file after a person or their \
                     address",
                    file.display(),
                    line.line
                )),
            }
        }
    }

    fn called(&self, text: &str) -> Option<PersonName> {
        self.proposal.called(text).cloned()
    }

    fn signers(&mut self, file: &Path, lines: &[SignerLine]) {
        let mut strangers = 0usize;
        for line in lines {
            let names = line.principals.names().unwrap_or_default();
            if names.iter().all(|name| self.called(name).is_none()) {
                strangers = strangers.saturating_add(1);
                continue;
            }
            let source = format!("{}:{} says so", file.display(), line.line);
            self.take(&source, |import| {
                import.signer(line).map_err(|error| error.fault)
            });
        }
        if strangers > 0 {
            let count = counted(strangers, "key");
            let what = format!("{}: {count} of nobody who is proposed", file.display());
            self.proposal.left_out.push(what);
        }
    }

    fn certificates(&mut self, file: &Path, ring: &[Certificate]) {
        for certificate in ring {
            let source = format!("{} has it, with their address", file.display());
            self.take(&source, |import| {
                let taken = import.certificate(certificate, false, false);
                taken.map_err(|error| error.fault)
            });
        }
    }

    /// Takes the list of signers that git is configured with.
    fn signers_of_git(&mut self, repo: &Repo, session: &Session<'_>) -> Result<(), CliError> {
        let Some(list) = configured(repo, "gpg.ssh.allowedSignersFile")? else {
            return Ok(());
        };
        let path = match (list.strip_prefix("~/"), session.env("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => session.dir().join(&list),
        };
        if let Err(error) = self.file(&path) {
            let why = format!("gpg.ssh.allowedSignersFile: {:#}", error.source);
            self.proposal.left_out.push(why);
        }
        Ok(())
    }

    /// Takes the key that whoever runs this signs with, where they are somebody here.
    fn own(&mut self, repo: &Repo, session: &Session<'_>) -> Result<(), CliError> {
        let email = configured(repo, "user.email")?.unwrap_or_default();
        let signing = configured(repo, "user.signingKey")?;
        let home = session.env("HOME").map(PathBuf::from);
        if let (Some(person), Some(signing)) = (self.called(&email), signing)
            && let Some(key) = own_key(Some(signing), home.as_deref())
            && let Ok([line]) = allowed_signers::parse_keys(key.as_bytes()).as_deref()
        {
            self.take("user.signingKey here", |import| {
                import.key_of(&person, &line.key)
            });
        }
        Ok(())
    }

    /// Takes the keys that signatures of the history verify with.
    fn history(&mut self) {
        let people = self.proposal.people.iter();
        let found = people.flat_map(|person| {
            let keys = person.keys.iter().cloned();
            keys.map(|(key, commits)| (person.name.clone(), key, commits))
        });
        let found: Vec<_> = found.collect();
        for (person, key, commits) in found {
            let count = counted(commits, "commit");
            let source = format!("the history has {count} signed with it under their address");
            self.take(&source, |import| import.key_of(&person, &key));
        }
    }

    /// Takes something, and says what came of it and why it is believed.
    fn take<E: std::fmt::Display>(
        &mut self,
        source: &str,
        take: impl FnOnce(&mut Import<'_>) -> Result<(), E>,
    ) {
        let before = self.import.changes.len();
        if let Err(error) = take(&mut self.import) {
            self.proposal
                .left_out
                .push(format!("a key, though {source}: {error}"));
        }
        for change in self.import.changes.iter().skip(before) {
            match change {
                Change::Key(person, key) | Change::Renewed(person, key) => {
                    let guess = format!("the key {key} is {person}'s: {source}");
                    self.proposal.guesses.push(guess);
                }
                Change::Email(person, email) => {
                    let guess = format!("<{email}> is {person}'s: {source}");
                    self.proposal.guesses.push(guess);
                }
                Change::Person(person) => {
                    self.proposal
                        .guesses
                        .push(format!("{person} is somebody: {source}"));
                }
                Change::LeftOut(_, why) => self.proposal.left_out.push(why.clone()),
                Change::Known(..) => {}
            }
        }
    }
}

fn configured(repo: &Repo, key: &str) -> Result<Option<String>, CliError> {
    config::value(repo.git_dir(), key).map_err(|error| CliError::new(Kind::Usage, error))
}

fn is_ring(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    matches!(name, Some("pubring.kbx" | "pubring.gpg"))
}
