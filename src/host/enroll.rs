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

mod error;
mod record;

pub use error::EnrollError;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config;
use super::founding::Founding;
use super::hooks::{self, Change, Hook, Hooks};
use super::ownership::check_ownership;
use super::pusher::PusherSource;
use super::server::{Initial, InitialRecord, Server};
use crate::gather::{Rulebook, RulebookError};
use crate::git::{GitError, RefValue, Repo};
use crate::policy::Mode;
use crate::record::shared::RepositoryName;
use crate::record::{Intent, Record};
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
    /// `HEAD`, which named a branch that is not there, names this one: what clones check out.
    HeadSet(RefName),
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

impl Enrolment<'_> {
    /// Enrols the repository; in a dry run everything is checked and nothing written.
    pub fn run(&self, repo: &Repo) -> Result<Vec<Done>, EnrollError> {
        let git_dir = repo.git_dir();
        check_place(repo)?;
        let initial = self.initial(git_dir)?;
        let server = Server::planned(git_dir, &initial, self.system)?;
        self.check(git_dir, &server)?;
        let mut done = Vec::new();
        let rulebook = self.rulebook(repo, &server.policy_ref, &mut done)?;
        self.settings(git_dir, &initial, &mut done)?;
        self.hooks(git_dir, &mut done)?;
        self.fsck(git_dir, &mut done)?;
        if server.pusher == PusherSource::PushCert {
            self.nonces(git_dir, &mut done)?;
        }
        if let Some(rulebook) = rulebook {
            self.record(repo, &server, &rulebook, &mut done)?;
        }
        Ok(done)
    }

    /// Returns what is to be written into `server.toml`: all of a new one, of another what was given.
    fn initial(&self, git_dir: &Path) -> Result<Initial, EnrollError> {
        let given = Initial {
            mode: self.mode,
            pusher: self.pusher.clone(),
            ..Initial::default()
        };
        if Server::path(git_dir).exists() {
            return Ok(given);
        }
        let policy_ref = match &self.policy_ref {
            Some(asked) => asked.clone(),
            None => Server::system_policy_ref(self.system)?,
        };
        Ok(Initial {
            policy_ref: Some(policy_ref),
            pusher: Some(given.pusher.unwrap_or_else(|| host_pusher(git_dir))),
            mode: given.mode,
            record: self.new_record(git_dir)?,
        })
    }

    /// Fails, before anything is written, where settings or log are otherwise than was asked for.
    fn check(&self, git_dir: &Path, server: &Server) -> Result<(), EnrollError> {
        let file = Server::path(git_dir);
        let is_new = !file.exists();
        if let Some(asked) = self
            .policy_ref
            .as_ref()
            .filter(|asked| **asked != server.policy_ref)
        {
            return Err(EnrollError::OtherPolicyRef {
                file,
                is: server.policy_ref.clone(),
                asked: asked.clone(),
            });
        }
        let InitialRecord { dir, shared, name } = &self.record;
        let other = dir.as_ref().is_some_and(|dir| *dir != server.record)
            || (dir.is_some()
                && *shared != server.shared.as_ref().map(|shared| shared.log.clone()))
            || (name.is_some() && name.as_ref() != server.shared_name());
        if other {
            return Err(EnrollError::OtherRecord(file));
        }
        // Of what is enrolled the hooks are put back first, whatever is wrong with its record.
        if is_new && Record::exists(&server.record) {
            record::open(server)?.is_claimed(git_dir)?;
        }
        Ok(())
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
        let is_said = self.policy_ref.is_some() || Server::path(repo.git_dir()).exists();
        // A first policy beside the branch that is in use would protect nothing.
        if !is_said && let Some(head) = other_head(repo, policy_ref)? {
            let policy_ref = policy_ref.clone();
            return Err(EnrollError::OtherHead { policy_ref, head });
        }
        let founding = self
            .founding
            .ok_or_else(|| EnrollError::NoPolicyRef(policy_ref.clone()))?;
        let names_nothing = parent.is_none()
            && head(repo)?.is_some_and(|(head, exists)| {
                !exists && head != *policy_ref && policy_ref.as_bstr().starts_with(b"refs/heads/")
            });
        let head_set = names_nothing.then(|| Done::HeadSet(policy_ref.clone()));
        if self.dry_run {
            done.push(Done::PolicyWritten(policy_ref.clone(), None));
            done.extend(head_set);
            return Ok(None);
        }
        let commit = founding.commit(repo, policy_ref, parent, self.now)?;
        // Read before the ref moves: nothing unusable gets there.
        let rulebook = Rulebook::at(repo, &commit)?;
        // HEAD before the branch: once that is there, nobody founds it again.
        if names_nothing {
            config::set_head(repo.git_dir(), policy_ref)?;
        }
        repo.set_reference(policy_ref, &commit, parent)?;
        done.push(Done::PolicyWritten(policy_ref.clone(), Some(commit)));
        done.extend(head_set);
        done.push(read(&rulebook));
        Ok(Some(rulebook))
    }

    fn settings(
        &self,
        git_dir: &Path,
        initial: &Initial,
        done: &mut Vec<Done>,
    ) -> Result<(), EnrollError> {
        let path = Server::path(git_dir);
        if self.dry_run {
            if !path.exists() || self.mode.is_some() || self.pusher.is_some() {
                done.push(Done::Settings(path));
            }
            return Ok(());
        }
        private_folder(&git_dir.join("countersign"))?;
        if Server::write_initial(git_dir, initial)? {
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
        Ok(record)
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

    /// Lets git ask for push certificates; a seed that is there stays.
    fn nonces(&self, git_dir: &Path, done: &mut Vec<Done>) -> Result<(), EnrollError> {
        const SEED: &str = "receive.certNonceSeed";
        let found = config::value(git_dir, SEED)?;
        if found.is_none_or(|seed| seed.is_empty()) {
            if !self.dry_run {
                config::set(git_dir, SEED, &Intent::new_id()?)?;
            }
            done.push(Done::NonceSeed);
        }
        Ok(())
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

/// Returns the branch that HEAD names, if it is another than the policy ref and exists.
fn other_head(repo: &Repo, policy_ref: &RefName) -> Result<Option<RefName>, EnrollError> {
    let other = head(repo)?.filter(|(head, exists)| *exists && head != policy_ref);
    Ok(other.map(|(head, _)| head))
}

/// Returns the branch that HEAD names, and whether there is such a one.
fn head(repo: &Repo) -> Result<Option<(RefName, bool)>, EnrollError> {
    let Some(RefValue::Symbolic(head)) = repo.reference(&RefName::from("HEAD"))? else {
        return Ok(None);
    };
    let exists = matches!(repo.reference(&head)?, Some(RefValue::Oid(_)));
    Ok(Some((head, exists)))
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
            assert!(matches!(none, EnrollError::NoPolicyRef(_)), "{none}");
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

    /// HEAD of an empty repository names the branch that was founded, whatever it named; not that of
    /// one whose branch is there, nor where nothing is written.
    #[test]
    fn head_names_what_was_founded() {
        let dir = bare("sha1");
        let repo = Repo::open(dir.path(), None).unwrap();
        let (main, other) = (
            RefName::from("refs/heads/main"),
            RefName::from("refs/heads/old"),
        );
        config::set_head(dir.path(), &other).unwrap();
        let done = enrol(dir.path(), Some(&founding())).unwrap();
        assert!(done.contains(&Done::HeadSet(main.clone())), "{done:?}");
        assert_eq!(head(&repo).unwrap(), Some((main, true)));
        let same = bare("sha1");
        config::set_head(same.path(), &RefName::from("refs/heads/main")).unwrap();
        let done = enrol(same.path(), Some(&founding())).unwrap();
        assert!(
            !done.iter().any(|done| matches!(done, Done::HeadSet(_))),
            "{done:?}"
        );
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
