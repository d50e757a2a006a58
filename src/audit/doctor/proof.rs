//! The proof: an unreviewed commit, brought to a copy by a real push and by a real ref write.
//!
//! The copy is a bare repository in a temporary folder. Its objects are those of the repository, as
//! alternates; its hooks are links to the installed ones, so that their modes and the file system they
//! lie on count; git's configuration is the one in force for the repository. Its one ref is the policy
//! ref at its recorded tip, and its record is new, with a key of its own: nothing that happens there
//! touches the repository.
//!
//! Hooks of others, which may send mail or deploy, are left out, but for the script of a forge that runs
//! ours.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::admit::baseline::baseline;
use crate::gather::Rulebook;
use crate::git::{GitError, RefValue, Repo};
use crate::host::config::{self, ConfigFailed};
use crate::host::founding::tree;
use crate::host::hooks::{Hook, Hooks};
use crate::host::state::WATCHED;
use crate::host::{PusherSource, Server, pusher as named};
use crate::judge::facts::Pusher;
use crate::judge::verdict::Code;
use crate::people::People;
use crate::policy::Mode;
use crate::record::entry::Entry;
use crate::record::{Record, RecordError};
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// The file that the unreviewed commit adds.
const FILE: &[u8] = b"countersign-doctor";
/// Seconds that an attempt may take beyond those of a judgement.
const GRACE: u64 = 5;
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// The most that is read of what it says, in bytes.
const MOST_SAID: u64 = 1 << 20;
/// Variables that would lead git elsewhere than the copy.
const ELSEWHERE: [&str; 8] = [
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
];

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Refused for want of approvals.
    Refused,
    /// Let pass in dry run, with the word that it would be refused.
    WouldRefuse,
    /// The commit is on the ref.
    Landed,
    /// It is not, and Countersign did not say that approvals are missing.
    Otherwise(String),
}

/// Why it could not be tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProofError {
    /// A file of the copy.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The repository or its copy.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The copy's record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// git's configuration.
    #[error(transparent)]
    Config(#[from] ConfigFailed),
    /// `server.toml`, as TOML.
    #[error("server.toml: {0}")]
    Settings(String),
}

/// What is tried.
pub(super) struct Proof<'a> {
    pub(super) repo: &'a Repo,
    pub(super) server: &'a Server,
    /// In force, by the record.
    pub(super) rules: &'a Rulebook,
    pub(super) now: Timestamp,
}

/// A copy, and somebody's clone beside it.
struct Scratch {
    /// Removed with it.
    folder: TempDir,
    /// The copy.
    copy: Repo,
}

impl Proof<'_> {
    /// Pushes an unreviewed commit.
    pub(super) fn push(&self) -> Result<Tried, ProofError> {
        let scratch = self.scratch()?;
        let clone = self.bare(&scratch.folder.path().join("clone.git"), &[])?;
        let commit = self.commit(&clone)?;
        let mut git = self.git(clone.git_dir());
        // Whatever is configured for clients; git gives none of it to the other side.
        for setting in [
            "core.hooksPath=/dev/null",
            "push.gpgSign=false",
            "push.followTags=false",
            "push.recurseSubmodules=no",
            "protocol.file.allow=always",
        ] {
            git.args(["-c", setting]);
        }
        let name = &self.server.policy_ref;
        git.arg("push").arg(scratch.copy.git_dir());
        git.arg(format!("{commit}:{name}"));
        self.outcome(&scratch, &commit, git)
    }

    /// Writes an unreviewed commit to the ref, as somebody on the host could.
    pub(super) fn write(&self) -> Result<Tried, ProofError> {
        let scratch = self.scratch()?;
        let commit = self.commit(&scratch.copy)?;
        let mut git = self.git(scratch.copy.git_dir());
        git.arg("update-ref");
        git.args([self.server.policy_ref.to_string(), commit.to_string()]);
        self.outcome(&scratch, &commit, git)
    }

    fn outcome(
        &self,
        scratch: &Scratch,
        commit: &Oid,
        mut git: Command,
    ) -> Result<Tried, ProofError> {
        let seconds = self.server.limits.seconds.saturating_add(GRACE);
        let (status, said) = ended(&mut git, Duration::from_secs(seconds))
            .map_err(|source| file(Path::new("git"), source))?;
        let said = String::from_utf8_lossy(&said);
        let status = match status {
            Some(status) => status,
            None => {
                let why = format!("it did not end within {seconds} s, and was stopped");
                return Ok(Tried::Otherwise(why));
            }
        };
        let codes = [Code::MissingApprovals, Code::UnsatisfiableRule];
        let judged = codes
            .iter()
            .any(|code| said.contains(&format!("[{}]", code.as_str())));
        let is = scratch.copy.reference(&self.server.policy_ref)?;
        let protection = self
            .rules
            .policy
            .protection(&self.server.policy_ref, &self.server.policy_ref);
        let dry_run = protection
            .is_none_or(|protection| protection.mode.min(self.server.mode) == Mode::DryRun);
        Ok(match is == Some(RefValue::Oid(*commit)) {
            true if judged && dry_run => Tried::WouldRefuse,
            true => Tried::Landed,
            false if judged && !status.success() => Tried::Refused,
            false => {
                let lines: Vec<_> = said.lines().map(str::trim).take(20).collect();
                Tried::Otherwise(format!("{status}: {}", lines.join(" | ")))
            }
        })
    }

    /// Makes the copy, enrolled with a record of its own.
    fn scratch(&self) -> Result<Scratch, ProofError> {
        let folder = tempfile::Builder::new()
            .prefix("countersign-doctor-")
            .tempdir()
            .map_err(|source| file(Path::new("a temporary folder"), source))?;
        let settings = config::settings(self.repo.git_dir(), WATCHED)?;
        // Not the seed of nonces, which is a secret, nor what was included already.
        let left_out = |key: &str| {
            key.starts_with("include")
                || key.starts_with("extensions.")
                || key == "receive.certnonceseed"
        };
        let more: Vec<(String, String)> = settings
            .into_iter()
            .filter(|setting| !left_out(&setting.key) && !setting.key.starts_with("core.repo"))
            .map(|setting| (setting.key, setting.value))
            .collect();
        let copy = self.bare(&folder.path().join("copy.git"), &more)?;
        self.link_hooks(copy.git_dir())?;
        self.enrol(&copy)?;
        Ok(Scratch { folder, copy })
    }

    /// Makes a bare repository with the objects and the policy ref of this one.
    fn bare(&self, dir: &Path, more: &[(String, String)]) -> Result<Repo, ProofError> {
        let name = &self.server.policy_ref;
        for folder in ["objects/info", "refs/heads", "hooks", "countersign"] {
            make(&dir.join(folder))?;
        }
        put(&dir.join("HEAD"), format!("ref: {name}\n").as_bytes())?;
        let mut settings = vec![("core.bare".to_owned(), "true".to_owned())];
        for (key, usual) in [
            ("core.repositoryformatversion", Some("0")),
            ("extensions.objectformat", None),
        ] {
            let value = self.repo.config(key).or(usual.map(str::to_owned));
            settings.extend(value.map(|value| (key.to_owned(), value)));
        }
        settings.extend_from_slice(more);
        put(&dir.join("config"), configuration(&settings).as_bytes())?;
        let mut objects = path_bytes(&self.repo.git_dir().join("objects"));
        objects.push(b'\n');
        put(&dir.join("objects/info/alternates"), &objects)?;
        let repo = Repo::open(dir, None)?;
        repo.set_reference(name, &self.rules.id.commit, None)?;
        Ok(repo)
    }

    /// Links what git runs at the two doors: ours, or the script of a forge that runs ours.
    fn link_hooks(&self, copy: &Path) -> Result<(), ProofError> {
        let (from, to) = (self.repo.git_dir().join("hooks"), copy.join("hooks"));
        let hooks = Hooks::of(self.repo.git_dir());
        for hook in [Hook::PreReceive, Hook::ReferenceTransaction] {
            let mut links = vec![PathBuf::from(hook.name())];
            if hooks.forge_owns(hook) {
                let more = to.join(format!("{}.d", hook.name()));
                make(&more)?;
                // So that ours knows the forge; what is not executable is passed over.
                put(&more.join("gitea"), b"")?;
                links.push(Path::new(&format!("{}.d", hook.name())).join("countersign"));
            }
            for link in links {
                let (target, link) = (from.join(&link), to.join(&link));
                symlink(&target, &link).map_err(|source| file(&link, source))?;
            }
        }
        Ok(())
    }

    /// Gives the copy the host's settings, and a record that begins with the ref as it is.
    fn enrol(&self, copy: &Repo) -> Result<(), ProofError> {
        let path = Server::path(self.repo.git_dir());
        let text = fs::read_to_string(&path).map_err(|source| file(&path, source))?;
        let settings = of_copy(&text).map_err(|error| ProofError::Settings(error.to_string()))?;
        put(&Server::path(copy.git_dir()), settings.as_bytes())?;
        let dir = copy.git_dir().join("countersign");
        let record = Record::create(&dir, &self.rules.policy.repository)?;
        let (name, mode) = (&self.server.policy_ref, self.server.mode);
        let genesis = baseline(copy, self.rules, name, mode, self.now)?;
        let lock = record.lock()?;
        record.append(&lock, &[Entry::Genesis(genesis)])?;
        Ok(())
    }

    /// Writes a commit on top of the policy ref that nobody has reviewed.
    fn commit(&self, repo: &Repo) -> Result<Oid, GitError> {
        let parent = self.rules.id.commit;
        let blob = repo.write(ObjectKind::Blob, b"Nobody has reviewed this.\n")?;
        let mut entries = vec![(FileMode::File, FILE.to_vec(), blob)];
        for entry in repo.tree(&repo.commit(&parent)?.tree)?.iter() {
            if *entry.name != *FILE {
                entries.push((entry.mode, entry.name.to_vec(), entry.oid));
            }
        }
        let root = repo.write(ObjectKind::Tree, &tree(entries))?;
        let who = format!(
            "Countersign doctor <doctor@countersign.invalid> {} +0000",
            self.now.as_second()
        );
        let text = format!(
            "tree {root}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nNobody has reviewed this\n"
        );
        repo.write(ObjectKind::Commit, text.as_bytes())
    }

    /// Returns git as the hooks' host would run it for somebody the host knows.
    #[allow(
        clippy::disallowed_methods,
        reason = "the git that is found is the one that runs the hooks"
    )]
    fn git(&self, dir: &Path) -> Command {
        let mut git = Command::new("git");
        for name in ELSEWHERE {
            git.env_remove(name);
        }
        git.env_remove("GITEA_DEPLOY_KEY_ID");
        if let Some((name, value)) = pusher(&self.server.pusher, &self.rules.people) {
            git.env(name, value);
        }
        git.env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .arg("-C")
            .arg(dir);
        git
    }
}

/// Returns the copy's settings: those of the host, but for the record. Its key is a file, whatever the
/// system-wide ones say.
fn of_copy(settings: &str) -> Result<String, toml_edit::TomlError> {
    let mut settings: toml_edit::DocumentMut = settings.parse()?;
    let mut record = toml_edit::Table::new();
    record.insert("key", toml_edit::value("file"));
    settings.insert("record", toml_edit::Item::Table(record));
    Ok(settings.to_string())
}

/// Runs a command to its end and returns what it wrote to standard error; no status where it took longer
/// than it may, and was stopped with everything that it started.
#[allow(
    clippy::disallowed_methods,
    reason = "how long a hook may take is no decision about a push"
)]
fn ended(command: &mut Command, limit: Duration) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let mut said = tempfile::tempfile()?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(said.try_clone()?)
        .process_group(0)
        .spawn()?;
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= until {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let Some(group) = group {
                kill_process_group(group, Signal::KILL)?;
            }
            child.wait()?;
            break None;
        }
        std::thread::sleep(LOOK);
    };
    said.rewind()?;
    let mut text = Vec::new();
    said.take(MOST_SAID).read_to_end(&mut text)?;
    Ok((status, text))
}

/// Returns a variable and its value by which the host would name one of the people.
pub(super) fn pusher(source: &PusherSource, people: &People) -> Option<(String, String)> {
    let account = |forge: &str, before: &str| -> Vec<String> {
        let ids = people
            .persons
            .values()
            .filter_map(|person| person.accounts.get(forge));
        ids.map(|id| format!("{before}{id}")).collect()
    };
    let logins = people.persons.values().flat_map(|person| &person.logins);
    let names = people.persons.keys().map(ToString::to_string);
    let values: Vec<String> = match source {
        PusherSource::Gitolite | PusherSource::Http => logins.cloned().collect(),
        PusherSource::Gitlab => account("gitlab", "user-"),
        PusherSource::Forgejo => account("forgejo", ""),
        PusherSource::Env(_) => names.chain(logins.cloned()).collect(),
        PusherSource::PushCert => Vec::new(),
    };
    let variable = source.variable();
    let known = |value: &String| {
        let env = |name: &str| (name == variable).then(|| OsString::from(value));
        matches!(named(source, &env, people), Pusher::Person(_))
    };
    let value = values.into_iter().find(known)?;
    Some((variable.to_owned(), value))
}

/// Returns what a binary calls itself, in a line.
#[allow(
    clippy::disallowed_methods,
    reason = "the binary that the hooks run anyway is asked for its version"
)]
pub(super) fn version_of(binary: &Path) -> String {
    let output = Command::new(binary)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().next().unwrap_or_default().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Writes settings as a file of git's.
fn configuration(settings: &[(String, String)]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = String::new();
    for (key, value) in settings {
        let Some((head, name)) = key.rsplit_once('.') else {
            continue;
        };
        let header = match head.split_once('.') {
            Some((section, sub)) => format!("[{section} \"{}\"]", quoted(sub)),
            None => format!("[{head}]"),
        };
        let value = quoted(value).replace('\n', "\\n");
        text += &format!("{header}\n\t{name} = \"{value}\"\n");
    }
    text
}

fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

fn make(dir: &Path) -> Result<(), ProofError> {
    fs::create_dir_all(dir).map_err(|source| file(dir, source))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ProofError> {
    fs::write(path, bytes).map_err(|source| file(path, source))
}

fn file(path: &Path, source: io::Error) -> ProofError {
    ProofError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The copy has a key of its own also where all of the host's are in an agent.
    #[test]
    fn the_copy_signs_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let system = dir.path().join("system.toml");
        fs::write(&system, "[record]\nkey = { agent = \"/run/agent\" }\n").unwrap();
        fs::create_dir(dir.path().join("countersign")).unwrap();
        let host = "pusher = \"http\"\n[record]\ndir = \"/srv/log\"\n[limits]\nseconds = 7\n";
        fs::write(Server::path(dir.path()), of_copy(host).unwrap()).unwrap();
        let server = Server::load(dir.path(), &system).unwrap();
        assert_eq!(server.keys.key, crate::record::key::KeyStore::File);
        assert_eq!(server.record, dir.path().join("countersign"));
        assert_eq!(server.limits.seconds, 7);
    }

    /// What is written is what git reads, whatever stands in it.
    #[test]
    fn settings_for_git() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let settings = [
            ("core.bare", "true"),
            ("hook.a \"b\" .c\\d.event", "pre-receive"),
            ("receive.fsckobjects", ""),
            ("core.hookspath", " with \"quotes\" \\ # and ; more\nlines "),
            ("core.hookspath", "second"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        fs::write(&path, configuration(&settings)).unwrap();
        let output = Command::new("git")
            .args(["config", "--null", "--list", "--file"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let read: Vec<(String, String)> = text
            .split_terminator('\0')
            .map(|entry| entry.split_once('\n').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(read, settings);
    }
}
