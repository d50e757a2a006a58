//! `countersign people import`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::cli::git::worktree;
use crate::cli::{CliError, Exit, Kind, Session, repository};
use crate::git::Repo;
use crate::host::place::place;
use crate::people::document::MAX_FILE;
use crate::people::edit::Draft;
use crate::people::import::{Change, Import as Work, ImportError};
use crate::people::keyring::{self, Certificate};
use crate::people::parse::{FILE, MAX_KEY_FILE};
use crate::people::{People, PersonName};
use crate::report::plain::plain;
use crate::wire::oid::Oid;
use crate::wire::{allowed_signers, keybox};

/// Bring keys that others keep lists of into people.toml; shows the new file unless --write is given
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("source").required(true).args(["allowed_signers", "keys", "keyring"])
))]
pub(in crate::cli) struct Import {
    /// A list of allowed signers, as ssh-keygen and git read it
    #[arg(long, value_name = "file")]
    allowed_signers: Option<PathBuf>,
    /// One person's keys, as GitHub and GitLab serve them at `/alice.keys` and `/alice.gpg`
    #[arg(long, value_name = "file", requires = "person")]
    keys: Option<PathBuf>,
    /// OpenPGP keys: a file of `gpg --export`, a keyring, or a folder with one
    #[arg(long, value_name = "file or folder")]
    keyring: Option<PathBuf>,
    /// Whose they all are (default: whom the e-mails name)
    #[arg(long, value_name = "person")]
    person: Option<String>,
    /// Write the files of the working tree, for a commit to be reviewed
    #[arg(long)]
    write: bool,
    /// Let another state of an OpenPGP key take the place of the one in its file
    #[arg(long)]
    replace: bool,
}

impl Import {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let person = self.person.as_deref().map(person_name).transpose()?;
        let ground = Ground::of(session)?;
        if self.write && matches!(ground, Ground::Commit(..)) {
            let message = "there is no working tree to write to: import in a clone";
            return Err(usage(message));
        }
        let before = ground.people()?;
        let work = Work::new(&before.text, &before.people, &before.files, person);
        let mut work = work.map_err(|error| CliError::new(Kind::Usage, error))?;
        self.take(session.dir(), &mut work)?;
        let text = work.text();
        let read = People::parse(text.as_bytes(), &|path| {
            let path = path.strip_prefix(".countersign/")?;
            let new = work.written.get(path).map(|text| text.as_bytes());
            let old = before.files.get(path).map(Vec::as_slice);
            new.or(old).map(<[u8]>::to_vec)
        });
        if let Err(error) = read {
            let words = format!(
                "what would be imported cannot stand in people.toml\n{}",
                error.rendered
            );
            return Err(usage(words.trim_end()));
        }
        if let (true, Ground::Files(root)) = (self.write, &ground) {
            write(&root.join(".countersign"), &work, &text)
                .map_err(|(path, error)| failed(&path, &error))?;
        }
        self.tell(&work, &text, session)
    }

    /// Reads what is named and takes everything in it.
    fn take(&self, dir: &Path, work: &mut Work<'_>) -> Result<(), CliError> {
        if let Some(name) = &self.allowed_signers {
            let bytes = read(&dir.join(name), allowed_signers::MAX_FILE)?;
            let wrong = |error| not_imported(name, &error);
            let lines = allowed_signers::parse(&bytes).map_err(|error| wrong(error.into()))?;
            for line in &lines {
                work.signer(line).map_err(wrong)?;
            }
        }
        if let Some(name) = &self.keys {
            let bytes = read(&dir.join(name), keybox::MAX_KEYBOX)?;
            if keyring::is_keyring(&bytes) {
                return self.certificates(&[(name.clone(), bytes)], work);
            }
            let wrong = |error| not_imported(name, &error);
            let lines = allowed_signers::parse_keys(&bytes).map_err(|error| wrong(error.into()))?;
            for line in &lines {
                work.key(line).map_err(wrong)?;
            }
        }
        if let Some(name) = &self.keyring {
            let mut files = Vec::new();
            for file in rings(&dir.join(name))? {
                let bytes = read(&file, keybox::MAX_KEYBOX)?;
                files.push((file, bytes));
            }
            self.certificates(&files, work)?;
        }
        Ok(())
    }

    fn certificates(
        &self,
        files: &[(PathBuf, Vec<u8>)],
        work: &mut Work<'_>,
    ) -> Result<(), CliError> {
        let mut found: Vec<(&Path, Certificate)> = Vec::new();
        for (file, bytes) in files {
            let ring = keyring::read(bytes);
            let ring = ring.map_err(|error| usage(format!("{}: {error}", file.display())))?;
            found.extend(ring.into_iter().map(|one| (file.as_path(), one)));
        }
        let strict = found.len() == 1;
        for (file, certificate) in &found {
            let taken = work.certificate(certificate, strict, self.replace);
            taken.map_err(|error| not_imported(file, &error))?;
        }
        Ok(())
    }

    fn tell(
        &self,
        work: &Work<'_>,
        text: &str,
        session: &mut Session<'_>,
    ) -> Result<Exit, CliError> {
        let words: Vec<String> = work.changes.iter().map(words).collect();
        if session.json() {
            let found = json!({
                "schema": "countersign.people-import/v1",
                "changes": words,
                "people": text,
                "files": work.written,
                "written": self.write,
            });
            session.print(&format!("{found}\n"))?;
        } else {
            for word in &words {
                session.say(&plain(word));
            }
            let files = work
                .written
                .keys()
                .map(|path| format!(".countersign/{path}"));
            let verb = if self.write {
                "written"
            } else {
                "would be written"
            };
            for file in files.chain(self.write.then(|| FILE.to_owned())) {
                session.say(&format!("{verb}: {file}"));
            }
            if !self.write {
                session.print(text)?;
            }
        }
        let nothing = |change: &Change| matches!(change, Change::LeftOut(..));
        Ok(match work.changes.iter().all(nothing) {
            true => {
                session.say("countersign: nothing to import");
                Exit::Refused
            }
            false => Exit::Fine,
        })
    }
}

/// Where the people file is read: the working tree, or in a bare repository the policy ref.
enum Ground {
    Files(PathBuf),
    Commit(Box<Repo>, Oid),
}

/// The people as they are.
struct Before {
    text: String,
    people: People,
    /// Key files by path below `.countersign/`.
    files: BTreeMap<String, Vec<u8>>,
}

impl Ground {
    fn of(session: &Session<'_>) -> Result<Self, CliError> {
        if let Some(root) = worktree(session)? {
            return Ok(Self::Files(root));
        }
        let repo = repository::discover(session)?;
        let tip = repository::tip(&repo, None)?;
        Ok(Self::Commit(Box::new(repo), tip))
    }

    fn people(&self) -> Result<Before, CliError> {
        let text = self.file(FILE)?.unwrap_or_default();
        let text = String::from_utf8(text).map_err(|_| usage(format!("{FILE} is not UTF-8")))?;
        let draft = Draft::new(&text).map_err(|error| CliError::new(Kind::Usage, error))?;
        let mut files = self.beside()?;
        for (_, path) in draft.key_files() {
            if let Some(bytes) = self.file(&format!(".countersign/{path}"))? {
                files.insert(path, bytes);
            }
        }
        let known = |path: &str| files.get(path.strip_prefix(".countersign/")?).cloned();
        let people = match text.trim().is_empty() {
            true => People::default(),
            false => People::parse(text.as_bytes(), &known)
                .map_err(|error| usage(error.rendered.trim_end()))?,
        };
        Ok(Before {
            text,
            people,
            files,
        })
    }

    fn file(&self, path: &str) -> Result<Option<Vec<u8>>, CliError> {
        match self {
            Self::Files(root) => {
                let path = root.join(path);
                match path.try_exists() {
                    Ok(false) => Ok(None),
                    Ok(true) | Err(_) => read(&path, MAX_FILE).map(Some),
                }
            }
            Self::Commit(repo, commit) => repository::file(repo, commit, path),
        }
    }

    /// Returns the key files of the working tree that nothing may name yet.
    fn beside(&self) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let mut files = BTreeMap::new();
        let Self::Files(root) = self else {
            return Ok(files);
        };
        let folder = root.join(".countersign/keys");
        for path in listed(&folder)? {
            if let (Some(name), true) = (
                path.file_name().and_then(|name| name.to_str()),
                path.is_file(),
            ) {
                files.insert(format!("keys/{name}"), read(&path, MAX_KEY_FILE)?);
            }
        }
        Ok(files)
    }
}

/// Returns the keyring of a GnuPG home, else the key files of a folder; a file is itself.
pub(in crate::cli) fn rings(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let known = ["pubring.kbx", "pubring.gpg"].map(|name| path.join(name));
    if let Some(ring) = known.into_iter().find(|ring| ring.is_file()) {
        return Ok(vec![ring]);
    }
    let is_key = |file: &PathBuf| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("asc" | "gpg" | "pgp" | "key")) && file.is_file()
    };
    let files: Vec<_> = listed(path)?.into_iter().filter(is_key).collect();
    match files.is_empty() {
        true => Err(usage(format!("{}: no OpenPGP keys there", path.display()))
            .hint(["gpg --export > keys.gpg, then --keyring keys.gpg".to_owned()])),
        false => Ok(files),
    }
}

/// Returns what is in a folder, sorted; nothing where there is none.
pub(in crate::cli) fn listed(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(folder, &error))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: io::Result<Vec<_>> = paths.collect();
    let mut paths = paths.map_err(|error| failed(folder, &error))?;
    paths.sort();
    Ok(paths)
}

pub(in crate::cli) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let size = File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(path, &error))?;
    match size > limit {
        true => Err(usage(format!(
            "{}: more than {limit} bytes",
            path.display()
        ))),
        false => Ok(bytes),
    }
}

/// Writes key files first: `people.toml` names none that is not there.
fn write(folder: &Path, work: &Work<'_>, text: &str) -> Result<(), (PathBuf, io::Error)> {
    let files = work
        .written
        .iter()
        .map(|(path, text)| (folder.join(path), text.as_str()));
    for (path, text) in files.chain([(folder.join("people.toml"), text)]) {
        let dir = path.parent().unwrap_or(folder);
        fs::create_dir_all(dir)
            .and_then(|()| place(&path, text.as_bytes(), 0o644))
            .map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

fn person_name(text: &str) -> Result<PersonName, CliError> {
    let name = PersonName::new(text).filter(|name| name.as_str() != "any");
    name.ok_or_else(|| {
        usage(format!(
            "{text:?} is no person's name: [a-z0-9][a-z0-9-]{{0,38}}"
        ))
    })
}

pub(in crate::cli) fn not_imported(file: &Path, error: &ImportError) -> CliError {
    let between = if error.line.is_some() { ":" } else { ": " };
    usage(plain(&format!("{}{between}{error}", file.display())))
}

fn usage(message: impl Into<String>) -> CliError {
    CliError::words(Kind::Usage, message)
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    usage(format!("{}: {error}", path.display()))
}

fn words(change: &Change) -> String {
    match change {
        Change::Person(person) => format!("{person}: new, in no team yet"),
        Change::Email(person, email) => format!("{person}: e-mail {email}"),
        Change::Key(person, key) => format!("{person}: key {key}"),
        Change::Known(person, key) => format!("{person}: key {key} is there already"),
        Change::Renewed(person, key) => format!("{person}: key {key} in another state"),
        Change::LeftOut(Some(line), why) => format!("left out: line {line}: {why}"),
        Change::LeftOut(None, why) => format!("left out: {why}"),
    }
}
