//! `countersign enroll`.

mod all;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{CliError, Exit, Kind, Session};
use crate::git::Repo;
use crate::host::PusherSource;
use crate::host::clock;
use crate::host::config;
use crate::host::enroll::{Done, EnrollError, Enrolment, remove};
use crate::host::founding::{Founder, Founding};
use crate::host::hooks::{self, Change, Hook};
use crate::host::server::{InitialRecord, SYSTEM_FILE, Server};
use crate::people::{PersonKind, PersonName};
use crate::policy::Mode;
use crate::record::RecordError;
use crate::record::shared::RepositoryName;
use crate::report::plain::counted;
use crate::wire::name::RefName;

/// Put a bare repository behind the gate: hooks, settings, record; run it again to renew them
#[derive(Debug, Args)]
pub(super) struct Enroll {
    /// The bare repository
    #[arg(value_name = "repository", required_unless_present = "all")]
    repo: Option<PathBuf>,
    /// Every bare repository below this directory instead; goes on where one cannot be enrolled
    #[arg(long, value_name = "dir", conflicts_with_all = ["repo", "name"])]
    all: Option<PathBuf>,
    /// Write a first policy that knows this person, where there is none; several times for more
    #[arg(long, value_name = "person", conflicts_with = "remove")]
    init: Vec<String>,
    /// Each person's ssh public key file, in the order of --init (default for one person: the key
    /// that git signs with, else ~/.ssh/id_ed25519.pub and the like)
    #[arg(long, value_name = "file", requires = "init")]
    key: Vec<PathBuf>,
    /// Each person's e-mail, in the order of --init
    #[arg(long, value_name = "address", requires = "init")]
    email: Vec<String>,
    /// What the first policy calls the repository (default: its directory's name)
    #[arg(long, value_name = "name", requires = "init")]
    name: Option<String>,
    /// Whether refusals hold, or are only said
    #[arg(long, value_enum, value_name = "mode")]
    mode: Option<ModeArg>,
    /// The branch that policy and people stand on (default: main)
    #[arg(long, value_name = "ref", value_parser = super::repository::branch, conflicts_with = "remove")]
    policy_ref: Option<RefName>,
    /// Who tells who pushes: gitolite, forgejo, http or push-cert (default: what the host looks
    /// like; a forced command's variable on a plain one)
    #[arg(long, value_name = "preset", value_parser = PusherSource::preset, conflicts_with = "remove")]
    pusher: Option<PusherSource>,
    /// The directory of the record, outside the repository
    #[arg(long, value_name = "dir", conflicts_with = "remove")]
    record: Option<PathBuf>,
    /// Let several repositories share the log in that directory; what the log is called, such as
    /// git.example.com/log
    #[arg(long, value_name = "log", requires = "record")]
    shared: Option<String>,
    /// What the repository is called in that log (default: its folder's name)
    #[arg(long, value_name = "name", requires = "shared", value_parser = shared_as, conflicts_with = "all")]
    shared_as: Option<RepositoryName>,
    /// Take the hooks away and restore what was there; the record stays
    #[arg(long, conflicts_with = "mode")]
    remove: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

fn shared_as(text: &str) -> Result<RepositoryName, String> {
    RepositoryName::new(text).ok_or_else(|| "[a-z0-9][a-z0-9._-]*, at most 100".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Enforce,
    DryRun,
}

impl Enroll {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let home = session.env("HOME").map(PathBuf::from);
        if let Some(dir) = &self.all {
            return self.every(
                &canonical(&session.dir().join(dir))?,
                home.as_deref(),
                session,
            );
        }
        let path = session
            .dir()
            .join(self.repo.as_deref().unwrap_or(Path::new(".")));
        let git_dir = canonical(&path)?;
        let done = self.one(&git_dir, called(&git_dir), session.dir(), home.as_deref())?;
        self.tell(&done, &git_dir, session)?;
        Ok(Exit::Fine)
    }

    /// Enrols one repository, or takes its hooks away; a first policy calls it `name` unless one is given.
    fn one(
        &self,
        path: &Path,
        name: String,
        base: &Path,
        home: Option<&Path>,
    ) -> Result<Vec<Done>, CliError> {
        let repo = Repo::open(path, None).map_err(|error| CliError::new(Kind::Usage, error))?;
        let git_dir = repo.git_dir();
        let done = match self.remove {
            true => remove(git_dir, self.dry_run),
            false => self.enrol(&repo, name, base, home)?,
        };
        done.map_err(|error| failed(error, git_dir))
    }

    fn enrol(
        &self,
        repo: &Repo,
        name: String,
        base: &Path,
        home: Option<&Path>,
    ) -> Result<Result<Vec<Done>, EnrollError>, CliError> {
        let binary = std::env::current_exe()
            .and_then(fs::canonicalize)
            .map_err(|error| CliError::new(Kind::Undecided, error))?;
        let founding = self.founding(repo.git_dir(), name, home)?;
        let enrolment = Enrolment {
            binary: &binary,
            system: Path::new(SYSTEM_FILE),
            now: clock(),
            mode: self.mode.map(|mode| match mode {
                ModeArg::Enforce => Mode::Enforce,
                ModeArg::DryRun => Mode::DryRun,
            }),
            policy_ref: self.policy_ref.clone(),
            pusher: self.pusher.clone(),
            record: InitialRecord {
                dir: self.record.as_ref().map(|record| base.join(record)),
                shared: self.shared.clone(),
                name: self.shared_as.clone(),
            },
            founding: founding.as_ref(),
            dry_run: self.dry_run,
        };
        Ok(enrolment.run(repo))
    }

    fn founding(
        &self,
        git_dir: &Path,
        called: String,
        home: Option<&Path>,
    ) -> Result<Option<Founding>, CliError> {
        let usage = |message: String| CliError::words(Kind::Usage, message);
        if self.init.is_empty() {
            return Ok(None);
        }
        let alone = self.init.len() == 1 && self.key.is_empty();
        if (self.key.len() != self.init.len() && !alone) || self.email.len() > self.init.len() {
            return Err(usage(
                "give one --key for each --init, and at most one --email".to_owned(),
            ));
        }
        let git = |key: &str| {
            config::value(git_dir, key).map_err(|error| CliError::new(Kind::Undecided, error))
        };
        let mut founders = Vec::new();
        for (index, name) in self.init.iter().enumerate() {
            let name = PersonName::new(name).ok_or_else(|| {
                usage(format!(
                    "{name:?} is no person's name: [a-z0-9][a-z0-9-]{{0,38}}"
                ))
            })?;
            let key = match self.key.get(index) {
                Some(key) => fs::read_to_string(key)
                    .map_err(|error| usage(format!("{}: {error}", key.display())))?,
                None => own_key(git("user.signingKey")?, home).ok_or_else(|| {
                    usage(format!(
                        "no ssh public key of {name} found; name one with --key <file>"
                    ))
                })?,
            };
            // Never the account's own, which is the server's: it would be taken for this person's.
            let email = match self.email.get(index) {
                None if alone => git("user.email")?,
                email => email.cloned(),
            };
            founders.push(Founder {
                name,
                kind: PersonKind::Human,
                emails: email.into_iter().collect(),
                keys: vec![key],
                note: None,
            });
        }
        let first = founders.first();
        let name = first
            .map(|founder| founder.name.to_string())
            .unwrap_or_default();
        let email = first.and_then(|founder| founder.emails.first().cloned());
        let author = (
            git("user.name")?.unwrap_or(name),
            git("user.email")?.or(email).unwrap_or_default(),
        );
        Ok(Some(Founding {
            founders,
            repository: self.name.clone().unwrap_or(called),
            author,
        }))
    }

    fn tell(
        &self,
        done: &[Done],
        git_dir: &Path,
        session: &mut Session<'_>,
    ) -> Result<(), CliError> {
        if session.json() {
            let steps: Vec<_> = done.iter().map(words).collect();
            let told = json!({
                "schema": "countersign.enroll/v1",
                "repository": git_dir,
                "dry_run": self.dry_run,
                "steps": steps,
            });
            return Ok(session.print(&format!("{told}\n"))?);
        }
        let would = if self.dry_run { "would: " } else { "" };
        for step in done {
            session.print(&format!("{would}{}\n", words(step)))?;
        }
        if !changed(done) {
            session.print("nothing to do\n")?;
        }
        self.warn(done.iter(), session);
        match self.dry_run || self.remove {
            true => Ok(()),
            false => next(done, git_dir, session),
        }
    }

    /// Warns of what the first policy lacks, where one was written.
    fn warn<'a>(&self, mut done: impl Iterator<Item = &'a Done>, session: &mut Session<'_>) {
        let known = self.email.len().max(usize::from(self.key.is_empty()));
        let without = self.init.get(known..).unwrap_or_default().join(", ");
        let founds = done.any(|step| matches!(step, Done::PolicyWritten(..)));
        if founds && !without.is_empty() {
            session.say(&format!(
                "warning: no e-mail of {without}: their commits are taken for nobody's, and they may \
                 approve them; give one --email for each --init",
            ));
        }
        if self.init.len() == 1 && !self.remove {
            session.say(
                "warning: one person alone can land nothing, a second person's keys included; \
                 name two with --init before anybody depends on it",
            );
        }
    }
}

/// Returns whether anything was done, or would be.
fn changed(done: &[Done]) -> bool {
    done.iter()
        .any(|step| !matches!(step, Done::PolicyRead { .. } | Done::RecordFound(_)))
}

fn canonical(path: &Path) -> Result<PathBuf, CliError> {
    fs::canonicalize(path)
        .map_err(|error| CliError::words(Kind::Usage, format!("{}: {error}", path.display())))
}

/// Finds the ssh public key that the admin signs with: `user.signingKey` as a file or inline, else
/// the usual files below the home directory.
pub(super) fn own_key(configured: Option<String>, home: Option<&Path>) -> Option<String> {
    let is_key = |text: &String| crate::people::key::parse_ssh(text.trim()).is_ok();
    let read = |path: PathBuf| fs::read_to_string(path).ok().filter(is_key);
    if let Some(configured) = configured {
        let inline = configured.strip_prefix("key::").unwrap_or(&configured);
        if is_key(&inline.to_owned()) {
            return Some(inline.to_owned());
        }
        let path = match (configured.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(&configured),
        };
        let mut public = path.clone().into_os_string();
        public.push(".pub");
        return read(path).or_else(|| read(PathBuf::from(public)));
    }
    let ssh = home?.join(".ssh");
    let usual = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];
    usual.into_iter().find_map(|name| read(ssh.join(name)))
}

/// Returns the directory's name without `.git`.
pub(super) fn called(git_dir: &Path) -> String {
    let name = git_dir.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".git").unwrap_or(&name).to_owned()
}

fn failed(error: EnrollError, git_dir: &Path) -> CliError {
    let hints = error.hints(git_dir);
    let error = match error {
        EnrollError::Rulebook(error) => super::repository::unusable(error),
        EnrollError::Git(_) | EnrollError::File { .. } | EnrollError::Config(_) => {
            CliError::new(Kind::Undecided, error)
        }
        EnrollError::Record(RecordError::Busy { .. } | RecordError::KeyStore { .. }) => {
            CliError::new(Kind::Undecided, error)
        }
        EnrollError::Record(error) if error.is_newer() => CliError::new(Kind::Undecided, error),
        other => CliError::new(Kind::Usage, other),
    };
    error.hint(hints)
}

/// Says what holds now and, once there is a record, what comes next.
fn next(done: &[Done], git_dir: &Path, session: &mut Session<'_>) -> Result<(), CliError> {
    if let Ok(server) = Server::load(git_dir, Path::new(SYSTEM_FILE)) {
        session.print(match server.mode {
            Mode::DryRun => {
                "mode: dry run, so every push passes, and what would be refused is said\n"
            }
            Mode::Enforce => "mode: enforce, unless the policy has a ref in dry run\n",
        })?;
    }
    if done.iter().any(|step| matches!(step, Done::Genesis(_))) {
        let repo = hooks::word(git_dir.as_os_str());
        session.say("next: say who pushes, where the host does not, and prove that it holds:");
        session.say(&format!(
            "  countersign -C {repo} people export --authorized-keys"
        ));
        session.say(&format!("  countersign -C {repo} doctor"));
    }
    Ok(())
}

/// Says one step in words that fit `would: …` as well as what was done.
fn words(step: &Done) -> String {
    match step {
        Done::PolicyRead {
            commit,
            people,
            rules,
        } => {
            let people = counted(*people, "person");
            let rules = counted(*rules, "rule");
            format!("policy: {people}, {rules}, read at {commit}")
        }
        Done::PolicyWritten(name, Some(commit)) => {
            format!("policy: first commit {commit} on {name}")
        }
        Done::PolicyWritten(name, None) => format!("policy: first commit on {name}"),
        Done::HeadSet(name) => format!("HEAD: {name}, which clones check out"),
        Done::Settings(path) => format!("settings: {}", path.display()),
        Done::Hook(hook, change) => hook_words(*hook, change),
        Done::Fsck => "git config: receive.fsckObjects = true".to_owned(),
        Done::NonceSeed => "git config: receive.certNonceSeed = a new secret".to_owned(),
        Done::RecordMade(dir, None) => format!("record: new, with a new key, in {}", dir.display()),
        Done::RecordMade(dir, Some(vkey)) => {
            format!("record: in {}, its key is {}", dir.display(), vkey.trim())
        }
        Done::Genesis(tips) => {
            let tips: Vec<_> = tips
                .iter()
                .map(|(name, oid)| format!("\n  {name} {oid}"))
                .collect();
            format!(
                "record: begins with {}{}",
                counted(tips.len(), "protected ref"),
                tips.concat()
            )
        }
        Done::RecordFound(size) => format!("record: there already, {size} entries"),
        Done::HostRecorded(index) => {
            format!("record: how the host is now, as entry {index}, is what audits go by")
        }
    }
}

fn hook_words(hook: Hook, change: &Change) -> String {
    let name = hook.name();
    match change {
        Change::Nothing => format!("hook {name}: in place"),
        Change::Written => format!("hook {name}: installed"),
        Change::Renewed => format!("hook {name}: renewed"),
        Change::Moved(to) => {
            format!(
                "hook {name}: installed; the one there moved to {}",
                to.display()
            )
        }
        Change::Removed => format!("hook {name}: removed"),
        Change::Restored => format!("hook {name}: removed, the previous one restored"),
    }
}
