//! Enrolment: from a bare repository to one whose protected refs only move through the gate.
//!
//! 1. refuse what cannot be protected: who may write, which hooks git runs, forges with their own way
//! 2. policy and people at the tip of the policy ref; a first commit where there are none
//! 3. `server.toml`, then the hooks: from here on every write of a ref is refused until the record is
//!    there
//! 4. `receive.fsckObjects`; `receive.certNonceSeed` where push certificates tell who pushes
//! 5. the record: its key, and the genesis entry with the tips of protected refs
//!
//! Each step looks before it writes, so running it again finishes what was interrupted and
//! changes nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config::{self, ConfigFailed};
use super::founding::Founding;
use super::hooks::{self, Change, Hook, Hooks, HooksError};
use super::ownership::{OwnershipError, check_ownership};
use super::pusher::PusherSource;
use super::server::{Initial, InitialRecord, Server, ServerError, SharedLog};
use super::state::{StateError, state};
use super::user::user;
use crate::admit::baseline::baseline;
use crate::gather::{Rulebook, RulebookError};
use crate::git::{GitError, RefValue, Repo};
use crate::policy::Mode;
use crate::record::entry::{Admin, AdminAct, Entry, Genesis, HostState};
use crate::record::key::KeyStores;
use crate::record::shared::RepositoryName;
use crate::record::{Intent, Record, RecordError};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// What enrolment is given.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// The installed binary, by absolute path: what the hooks run.
    pub binary: &'a Path,
    /// The system-wide settings ([`super::server::SYSTEM_FILE`]).
    pub system: &'a Path,
    /// The server's time.
    pub now: Timestamp,
    /// `mode` for `server.toml`; as it is unless given.
    pub mode: Option<Mode>,
    /// `policy_ref` for a new `server.toml`; where there is one, it must say the same.
    pub policy_ref: Option<RefName>,
    /// `pusher` for `server.toml`; as it is, or what the host looks like, unless given.
    pub pusher: Option<PusherSource>,
    /// `[record]` for a new `server.toml`; where there is one, it must say the same.
    pub record: InitialRecord,
    /// What to write where there is no policy.
    pub founding: Option<&'a Founding>,
    /// Only look, and say what would be done.
    pub dry_run: bool,
}

/// One thing that was done, would be done, or was found in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Policy and people were read at this commit.
    PolicyRead {
        /// The commit.
        commit: Oid,
        /// How many people.
        people: usize,
        /// How many rules, the built-in one aside.
        rules: usize,
    },
    /// The first commit of policy and people; no id in a dry run.
    PolicyWritten(RefName, Option<Oid>),
    /// `server.toml` was written or changed.
    Settings(PathBuf),
    /// A hook.
    Hook(Hook, Change),
    /// `receive.fsckObjects` was set.
    Fsck,
    /// `receive.certNonceSeed` was set: git asks for a fresh signature on every signed push.
    NonceSeed,
    /// The record and its key were made; the key's verifier line, none in a dry run.
    RecordMade(PathBuf, Option<String>),
    /// The genesis entry was written.
    Genesis(BTreeMap<RefName, Oid>),
    /// There is a record with this many entries.
    RecordFound(u64),
    /// The host is otherwise than was on record: now it is on record so.
    HostRecorded(u64),
}

/// Why a repository is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Has a working tree.
    #[error("{} is not a bare repository", .0.display())]
    NotBare(PathBuf),
    /// GitLab runs hooks from a place of its own.
    #[error("{} belongs to GitLab, whose gitaly runs no hook of the repository's own: not supported by this version", .0.display())]
    Gitlab(PathBuf),
    /// No commit on the policy ref.
    #[error("{name} does not exist, so there is no policy")]
    NoPolicyRef {
        /// The policy ref.
        name: RefName,
        /// The branch that the repository's HEAD names, if it is another and nobody chose.
        head: Option<RefName>,
    },
    /// Existing settings have the policy on another ref than was asked for.
    #[error("{} has the policy on {is}, not on {asked}", file.display())]
    OtherPolicyRef {
        /// `server.toml`.
        file: PathBuf,
        /// What it says.
        is: RefName,
        /// What was asked for.
        asked: RefName,
    },
    /// A protected ref that is only another name.
    #[error("{name} is protected, and a symbolic ref to {target}")]
    Symbolic {
        /// The ref.
        name: RefName,
        /// What it points to.
        target: RefName,
    },
    /// The policy ref holds something else than a commit.
    #[error(transparent)]
    Rulebook(#[from] RulebookError),
    /// Who may write.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    /// The hooks.
    #[error(transparent)]
    Hooks(#[from] HooksError),
    /// A record stays where it is.
    #[error("{}: says another record than was asked for; a record is not moved by enrolment", .0.display())]
    OtherRecord(PathBuf),
    /// The repository's directory gives no name for the shared log.
    #[error("{}: gives no name for the shared log (`[a-z0-9][a-z0-9._-]*`)", .0.display())]
    NoName(PathBuf),
    /// The log in that folder is not the one that was named.
    #[error("{}: is the log {found}, not {wanted}", dir.display())]
    OtherLog {
        /// The folder.
        dir: PathBuf,
        /// Its name.
        found: String,
        /// The name in the settings.
        wanted: String,
    },
    /// `server.toml`.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// git's configuration.
    #[error(transparent)]
    Config(#[from] ConfigFailed),
    /// git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What is to be on record of the host.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl EnrollError {
    /// Returns what to do about it.
    pub fn hints(&self, git_dir: &Path) -> Vec<String> {
        match self {
            Self::Hooks(error) => error.hints(git_dir),
            Self::Ownership(error) => error.hints(git_dir),
            Self::NoPolicyRef {
                head: Some(head), ..
            } => {
                let repo = hooks::quote(git_dir.as_os_str());
                vec![format!("countersign enroll {repo} --policy-ref {head}")]
            }
            Self::NoPolicyRef { .. } | Self::Rulebook(RulebookError::Missing { .. }) => vec![
                "push a commit with .countersign/people.toml and .countersign/policy.toml first"
                    .to_owned(),
                "or let enrolment write them: --init <person> --key <their key>.pub, for two \
                 people or more"
                    .to_owned(),
            ],
            Self::Symbolic { name, .. } => vec![format!(
                "git -C {} symbolic-ref --delete {name}",
                hooks::quote(git_dir.as_os_str())
            )],
            Self::Record(RecordError::Foreign { .. }) => vec![format!(
                "give this repository a record of its own: another `dir` below [record] in {}, or \
                 none",
                Server::path(git_dir).display()
            )],
            _ => Vec::new(),
        }
    }
}

impl Enrolment<'_> {
    /// Enrols the repository; in a dry run everything is checked and nothing written.
    pub fn run(&self, repo: &Repo) -> Result<Vec<Done>, EnrollError> {
        let git_dir = repo.git_dir();
        check_place(repo)?;
        let mut done = Vec::new();
        let policy_ref = self.policy_ref(git_dir)?;
        let rulebook = self.rulebook(repo, &policy_ref, &mut done)?;
        self.settings(git_dir, &policy_ref, &mut done)?;
        self.hooks(git_dir, &mut done)?;
        self.fsck(git_dir, &mut done)?;
        self.nonces(git_dir, &mut done)?;
        if let Some(rulebook) = rulebook {
            self.record(repo, &policy_ref, &rulebook, &mut done)?;
        }
        Ok(done)
    }

    /// Returns the policy ref of existing settings, else the one asked for, else the default.
    fn policy_ref(&self, git_dir: &Path) -> Result<RefName, EnrollError> {
        let is = match Server::load(git_dir, self.system) {
            Ok(server) => server.policy_ref,
            Err(ServerError::NotEnrolled(_)) => match &self.policy_ref {
                Some(asked) => asked.clone(),
                None => Server::system_policy_ref(self.system)?,
            },
            Err(error) => return Err(error.into()),
        };
        match &self.policy_ref {
            Some(asked) if *asked != is => Err(EnrollError::OtherPolicyRef {
                file: Server::path(git_dir),
                is,
                asked: asked.clone(),
            }),
            _ => Ok(is),
        }
    }

    /// Reads the rulebook, after writing the first one where there is none; nothing to read only
    /// in a dry run that would have written it.
    fn rulebook(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        done: &mut Vec<Done>,
    ) -> Result<Option<Rulebook>, EnrollError> {
        let tip = tip(repo, policy_ref)?;
        let found = match &tip {
            Some(tip) => Rulebook::at(repo, tip),
            None => return self.found(repo, policy_ref, None, done),
        };
        let has_folder = |tip: &Oid| -> Result<bool, GitError> {
            let tree = repo.commit(tip)?.tree;
            let folder = crate::gather::rulebook::FOLDER.as_bytes();
            Ok(repo.file_at(&tree, folder)?.is_some())
        };
        match (found, &tip) {
            (Err(RulebookError::Missing { .. }), Some(tip))
                if self.founding.is_some() && !has_folder(tip)? =>
            {
                self.found(repo, policy_ref, Some(tip), done)
            }
            (found, _) => {
                let rulebook = found?;
                done.push(read(&rulebook));
                Ok(Some(rulebook))
            }
        }
    }

    fn found(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        parent: Option<&Oid>,
        done: &mut Vec<Done>,
    ) -> Result<Option<Rulebook>, EnrollError> {
        // Where nobody has said which branch it is, a first policy beside the one in use protects nothing.
        let is_said = self.policy_ref.is_some() || Server::path(repo.git_dir()).exists();
        let head = match is_said {
            true => None,
            false => other_head(repo, policy_ref)?,
        };
        let Some(founding) = self.founding.filter(|_| head.is_none()) else {
            let name = policy_ref.clone();
            return Err(EnrollError::NoPolicyRef { name, head });
        };
        if self.dry_run {
            done.push(Done::PolicyWritten(policy_ref.clone(), None));
            return Ok(None);
        }
        let commit = founding.commit(repo, policy_ref, parent, self.now)?;
        // Read before the ref moves: nothing unusable gets there.
        let rulebook = Rulebook::at(repo, &commit)?;
        repo.set_reference(policy_ref, &commit, parent)?;
        done.push(Done::PolicyWritten(policy_ref.clone(), Some(commit)));
        done.push(read(&rulebook));
        Ok(Some(rulebook))
    }

    fn settings(
        &self,
        git_dir: &Path,
        policy_ref: &RefName,
        done: &mut Vec<Done>,
    ) -> Result<(), EnrollError> {
        let path = Server::path(git_dir);
        let existing = path.exists();
        let record = match existing {
            true => InitialRecord::default(),
            false => self.new_record(git_dir)?,
        };
        if self.dry_run {
            if !existing || self.mode.is_some() || self.pusher.is_some() {
                done.push(Done::Settings(path));
            }
            return Ok(());
        }
        private_folder(&git_dir.join("countersign"))?;
        let initial = Initial {
            pusher: match &self.pusher {
                Some(pusher) => Some(pusher.clone()),
                None => (!existing).then(|| host_pusher(git_dir)),
            },
            mode: self.mode,
            policy_ref: (!existing).then(|| policy_ref.clone()),
            record,
        };
        if Server::write_initial(git_dir, &initial)? {
            done.push(Done::Settings(path));
        }
        Ok(())
    }

    /// Returns where the record of a repository is to be that has no settings yet.
    fn new_record(&self, git_dir: &Path) -> Result<InitialRecord, EnrollError> {
        let mut record = self.record.clone();
        let is_shared = match &record.dir {
            Some(_) => record.shared.is_some(),
            None => Server::system_log(self.system)?.is_some(),
        };
        if is_shared && record.name.is_none() {
            let folder = git_dir.file_name().unwrap_or_default().to_string_lossy();
            let name = folder.strip_suffix(".git").unwrap_or(&folder);
            let name = RepositoryName::new(&name.to_ascii_lowercase());
            record.name = Some(name.ok_or_else(|| EnrollError::NoName(git_dir.to_owned()))?);
        }
        // Before it stands in the settings, where it would be in the way of the right one.
        if let (Some(dir), Some(log)) = (&record.dir, &record.shared)
            && Record::exists(dir)
        {
            is_called(&Record::open_as(dir, record.name.as_ref())?, dir, log)?;
        }
        Ok(record)
    }

    /// Fails where existing settings have the record elsewhere than was asked for.
    fn check_record(&self, git_dir: &Path, server: &Server) -> Result<(), EnrollError> {
        let InitialRecord { dir, shared, name } = &self.record;
        let other = dir.as_ref().is_some_and(|dir| *dir != server.record)
            || (dir.is_some()
                && *shared != server.shared.as_ref().map(|shared| shared.log.clone()))
            || (name.is_some() && name.as_ref() != server.shared_name());
        match other {
            true => Err(EnrollError::OtherRecord(Server::path(git_dir))),
            false => Ok(()),
        }
    }

    fn hooks(&self, git_dir: &Path, done: &mut Vec<Done>) -> Result<(), EnrollError> {
        let hooks = Hooks::of(git_dir);
        for hook in Hook::ALL {
            let change = match self.dry_run {
                true => hooks.would_install(hook, self.binary)?,
                false => hooks.install(hook, self.binary)?,
            };
            if change != Change::Nothing {
                done.push(Done::Hook(hook, change));
            }
        }
        Ok(())
    }

    fn fsck(&self, git_dir: &Path, done: &mut Vec<Done>) -> Result<(), EnrollError> {
        let found = config::value(git_dir, "receive.fsckObjects")?;
        if found.as_deref() != Some("true") {
            if !self.dry_run {
                config::set(git_dir, "receive.fsckObjects", "true")?;
            }
            done.push(Done::Fsck);
        }
        Ok(())
    }

    /// Lets git ask for push certificates where they tell who pushes; a seed that is there stays.
    fn nonces(&self, git_dir: &Path, done: &mut Vec<Done>) -> Result<(), EnrollError> {
        const SEED: &str = "receive.certNonceSeed";
        let pusher = match (&self.pusher, Server::load(git_dir, self.system)) {
            (Some(pusher), _) => Some(pusher.clone()),
            (None, Ok(server)) => Some(server.pusher),
            (None, Err(ServerError::NotEnrolled(_))) => None,
            (None, Err(error)) => return Err(error.into()),
        };
        let found = config::value(git_dir, SEED)?.filter(|seed| !seed.is_empty());
        if pusher == Some(PusherSource::PushCert) && found.is_none() {
            if !self.dry_run {
                config::set(git_dir, SEED, &Intent::new_id()?)?;
            }
            done.push(Done::NonceSeed);
        }
        Ok(())
    }

    fn record(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        rulebook: &Rulebook,
        done: &mut Vec<Done>,
    ) -> Result<(), EnrollError> {
        let (dir, shared, mode, keys) = match Server::load(repo.git_dir(), self.system) {
            Ok(server) => {
                self.check_record(repo.git_dir(), &server)?;
                let mode = self.mode.unwrap_or(server.mode);
                (server.record, server.shared, mode, server.keys)
            }
            Err(ServerError::NotEnrolled(_)) if self.dry_run => {
                let usual = || repo.git_dir().join("countersign");
                let dir = self.record.dir.clone().unwrap_or_else(usual);
                let mode = self.mode.unwrap_or_default();
                (dir, None, mode, KeyStores::default())
            }
            Err(error) => return Err(error.into()),
        };
        let exists = Record::exists(&dir);
        let name = shared.as_ref().map(|shared| &shared.name);
        if self.dry_run {
            let genesis = self.genesis(repo, policy_ref, rulebook, mode)?;
            done.extend(match exists {
                true => {
                    let record = Record::open_as(&dir, name)?;
                    record.is_claimed(repo.git_dir())?;
                    vec![Done::RecordFound(record.size())]
                }
                false => vec![Done::RecordMade(dir, None), Done::Genesis(genesis.tips)],
            });
            return Ok(());
        }
        private_folder(&dir)?;
        if !exists {
            let log = shared.as_ref().map(|shared| &shared.log);
            let origin = log.unwrap_or(&rulebook.policy.repository);
            match Record::create_with(&dir, origin, keys.clone()) {
                Ok(record) => done.push(Done::RecordMade(dir.clone(), Some(record.vkey()))),
                // Another repository of a shared log made it meanwhile.
                Err(RecordError::Exists(_)) if shared.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let record = Record::open_as(&dir, name)?.signed_by(keys);
        if let Some(SharedLog { log, .. }) = &shared {
            is_called(&record, &dir, log)?;
        }
        let lock = record.lock()?;
        if !record.is_claimed(repo.git_dir())? {
            is_its_record(repo, &record)?;
            record.claim(&lock, repo.git_dir())?;
        }
        let server = Server::load(repo.git_dir(), self.system)?;
        let host = state(repo.git_dir(), self.binary, &user(), &server)?;
        let is_known = match shared {
            None => record.size() > 0,
            Some(_) => record.view()?.genesis()?.is_some(),
        };
        if is_known {
            done.push(Done::RecordFound(record.size()));
            let known = record.view()?.host()?.map(|known| known.what);
            // Whoever runs it again changes nothing by that.
            let is_same = known.is_some_and(|known| {
                let by = host.by.clone();
                host == HostState { by, ..known }
            });
            if !is_same {
                let admin = Admin {
                    at: self.now,
                    repository: rulebook.policy.repository.clone(),
                    act: AdminAct::Enrolled(host),
                };
                let indices = record.append(&lock, &[Entry::Admin(admin)])?;
                done.push(Done::HostRecorded(indices.start));
            }
            return Ok(());
        }
        let mut genesis = self.genesis(repo, policy_ref, rulebook, mode)?;
        genesis.host = Some(host);
        let tips = genesis.tips.clone();
        record.append(&lock, &[Entry::Genesis(genesis)])?;
        done.push(Done::Genesis(tips));
        Ok(())
    }

    /// Returns the baseline; every protected ref must have a tip of its own.
    fn genesis(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        rulebook: &Rulebook,
        mode: Mode,
    ) -> Result<Genesis, EnrollError> {
        for (name, value) in repo.references()? {
            let is_protected = rulebook.policy.protection(&name, policy_ref).is_some();
            if let (true, RefValue::Symbolic(target)) = (is_protected, value) {
                return Err(EnrollError::Symbolic { name, target });
            }
        }
        Ok(baseline(repo, rulebook, policy_ref, mode, self.now)?)
    }
}

/// Fails where a record that nobody claims any more does not begin with commits of this repository:
/// it was not moved here.
fn is_its_record(repo: &Repo, record: &Record) -> Result<(), EnrollError> {
    let genesis = record.view()?.genesis()?;
    let mut tips = genesis.iter().flat_map(|genesis| genesis.tips.values());
    match tips.all(|tip| repo.exists_outside_quarantine(tip)) {
        true => Ok(()),
        false => Err(RecordError::Foreign {
            dir: record.dir().to_owned(),
            owner: "a repository with other commits".to_owned(),
        }
        .into()),
    }
}

/// Takes the hooks away again; the record, its key and `server.toml` stay.
pub fn remove(git_dir: &Path, dry_run: bool) -> Result<Vec<Done>, EnrollError> {
    let hooks = Hooks::of(git_dir);
    let mut done = Vec::new();
    // Last to come, first to go: without pre-receive, post-receive has nothing to close.
    for hook in Hook::ALL {
        let change = match dry_run {
            true => hooks.would_remove(hook)?,
            false => hooks.remove(hook)?,
        };
        if change != Change::Nothing {
            done.push(Done::Hook(hook, change));
        }
    }
    Ok(done)
}

/// Refuses a repository that cannot be protected where it stands.
fn check_place(repo: &Repo) -> Result<(), EnrollError> {
    let git_dir = repo.git_dir();
    let bare = repo.config("core.bare");
    if !bare.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(EnrollError::NotBare(git_dir.to_owned()));
    }
    if repo.config("gitlab.fullpath").is_some() || git_dir.ancestors().any(is_of_gitaly) {
        return Err(EnrollError::Gitlab(git_dir.to_owned()));
    }
    let shared = config::matching(git_dir, "^core\\.sharedrepository$")?;
    let shared: Vec<_> = shared.into_iter().map(|(_, value)| value).collect();
    check_ownership(git_dir, &shared)?;
    hooks::check_config(git_dir)?;
    Ok(())
}

/// Returns whether a directory is one in which gitaly keeps repositories.
///
/// Source: GitLab, "Repository storage", and what gitaly leaves at the root of a storage.
fn is_of_gitaly(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    let folders = ["@hashed", "@cluster", "@groups", "@snippets", "@pools"];
    name.is_some_and(|name| folders.contains(&name))
        || dir.join(".gitaly-metadata").exists()
        || dir.join("+gitaly").is_dir()
}

/// Recognises the host by what it leaves in its repositories.
fn host_pusher(git_dir: &Path) -> PusherSource {
    if git_dir.join("gl-conf").exists() {
        return PusherSource::Gitolite;
    }
    if Hooks::of(git_dir).forge_owns(Hook::PreReceive) {
        return PusherSource::Forgejo;
    }
    PusherSource::Env("COUNTERSIGN_PUSHER".to_owned())
}

/// Fails where a log has another name than the settings give it.
fn is_called(record: &Record, dir: &Path, log: &str) -> Result<(), EnrollError> {
    let found = record.checkpoint().origin;
    match found == log {
        true => Ok(()),
        false => Err(EnrollError::OtherLog {
            dir: dir.to_owned(),
            found,
            wanted: log.to_owned(),
        }),
    }
}

/// Returns the branch that HEAD names, if it is another than the policy ref and exists.
fn other_head(repo: &Repo, policy_ref: &RefName) -> Result<Option<RefName>, EnrollError> {
    let Some(RefValue::Symbolic(head)) = repo.reference(&RefName::from("HEAD"))? else {
        return Ok(None);
    };
    let exists = matches!(repo.reference(&head)?, Some(RefValue::Oid(_)));
    Ok((exists && head != *policy_ref).then_some(head))
}

fn tip(repo: &Repo, name: &RefName) -> Result<Option<Oid>, EnrollError> {
    match repo.reference(name)? {
        None => Ok(None),
        Some(RefValue::Oid(oid)) => Ok(Some(oid)),
        Some(RefValue::Symbolic(target)) => Err(EnrollError::Symbolic {
            name: name.clone(),
            target,
        }),
    }
}

fn read(rulebook: &Rulebook) -> Done {
    Done::PolicyRead {
        commit: rulebook.id.commit,
        people: rulebook.people.persons.len(),
        rules: rulebook.policy.rules.len(),
    }
}

/// Makes a folder that only its owner can enter; one that is there stays as it is.
fn private_folder(path: &Path) -> Result<(), EnrollError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| EnrollError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::founding::Founder;
    use super::*;
    use crate::people::{PersonKind, PersonName};

    const KEYS: [&str; 2] = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdNWEHLgHVeHBsNU0W4AEdy+S1fgKdDfyJmR6HoZ5ho",
    ];

    fn founding() -> Founding {
        let founder = |(name, key): (&str, &str)| Founder {
            name: PersonName::new(name).unwrap(),
            kind: PersonKind::Human,
            emails: vec![format!("{name}@example.com")],
            keys: vec![key.to_owned()],
            note: None,
        };
        Founding {
            founders: ["alice", "bob"]
                .into_iter()
                .zip(KEYS)
                .map(founder)
                .collect(),
            repository: "git.example.com/x".to_owned(),
            author: ("An <Admin>\n".to_owned(), "admin@example.com".to_owned()),
        }
    }

    fn bare(format: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let git = Command::new("git")
            .args(["init", "-q", "--bare", "--object-format", format])
            .arg(dir.path())
            .status();
        assert!(git.unwrap().success());
        let git = Command::new("chmod")
            .arg("-R")
            .arg("go-w")
            .arg(dir.path())
            .status();
        assert!(git.unwrap().success());
        dir
    }

    fn enrol(dir: &Path, founding: Option<&Founding>) -> Result<Vec<Done>, EnrollError> {
        let enrolment = Enrolment {
            binary: Path::new("/opt/countersign"),
            system: Path::new("/nonexistent"),
            now: "2026-01-02T00:00:00Z".parse().unwrap(),
            mode: None,
            policy_ref: None,
            pusher: None,
            founding,
            record: InitialRecord::default(),
            dry_run: false,
        };
        enrolment.run(&Repo::open(dir, None).unwrap())
    }

    /// An empty repository of either format gets policy, hooks and genesis; again changes nothing.
    #[test]
    fn founds_and_is_idempotent() {
        for format in ["sha1", "sha256"] {
            let dir = bare(format);
            let none = enrol(dir.path(), None).unwrap_err();
            assert!(matches!(none, EnrollError::NoPolicyRef { .. }), "{none}");
            assert!(!Server::path(dir.path()).exists());
            let done = enrol(dir.path(), Some(&founding())).unwrap();
            assert!(matches!(done.last(), Some(Done::Genesis(tips)) if tips.len() == 1));
            let again = enrol(dir.path(), Some(&founding())).unwrap();
            assert!(
                matches!(
                    again.as_slice(),
                    [Done::PolicyRead { .. }, Done::RecordFound(1)]
                ),
                "{again:?}"
            );
            remove(dir.path(), false).unwrap();
            assert!(Record::exists(&dir.path().join("countersign")));
            let back = enrol(dir.path(), None).unwrap();
            assert!(back.contains(&Done::Hook(Hook::PreReceive, Change::Written)));
            assert!(back.contains(&Done::RecordFound(1)));
        }
    }

    /// What cannot be protected is refused before anything is written.
    #[test]
    fn refuses_places() {
        for (key, value) in [
            ("core.bare", "false"),
            ("core.sharedRepository", "group"),
            ("core.hooksPath", "/elsewhere"),
            ("receive.procReceiveRefs", "refs/for"),
            ("gitlab.fullpath", "a/b"),
        ] {
            let dir = bare("sha1");
            config::set(dir.path(), key, value).unwrap();
            assert!(enrol(dir.path(), Some(&founding())).is_err(), "{key}");
            assert!(!dir.path().join("countersign").exists(), "{key}");
            assert!(!dir.path().join("hooks/pre-receive").exists(), "{key}");
        }
    }

    /// A repository in gitaly's storage is refused although nothing in it says so: its hooks never run.
    #[test]
    fn gitaly_storage() {
        let refused = |place: &dyn Fn(&Path) -> PathBuf| {
            let dir = bare("sha1");
            let root = tempfile::tempdir().unwrap();
            let to = place(root.path());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let moved = Command::new("cp")
                .arg("-a")
                .arg(dir.path())
                .arg(&to)
                .status();
            assert!(moved.unwrap().success());
            match enrol(&to, Some(&founding())) {
                Err(EnrollError::Gitlab(_)) => true,
                other => {
                    other.unwrap();
                    false
                }
            }
        };
        assert!(refused(&|root| root.join("@hashed/6b/86/6b86.git")));
        assert!(refused(&|root| {
            fs::write(root.join(".gitaly-metadata"), "{}").unwrap();
            root.join("team/x.git")
        }));
        assert!(refused(&|root| {
            fs::create_dir(root.join("+gitaly")).unwrap();
            root.join("x.git")
        }));
        assert!(!refused(&|root| root.join("hashed/x.git")));
    }
}
