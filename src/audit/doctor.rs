//! Proves that the gate is shut, and names everything that is open.
//!
//! 1. what an audit finds, sorted by what it is about;
//! 2. the proof: an unreviewed commit, pushed and then written to the policy ref of a copy by the hooks
//!    that are installed ([`proof`]);
//! 3. what an audit does not look at: dry run, git, the binary, who can approve, how people get in.
//!
//! Nothing here writes to the repository or its record, but for `index.db`.

mod check;
mod proof;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{Audited, Finding, Weight};
use crate::gather::Rulebook;
use crate::git::{RefValue, Repo};
use crate::host::config as git_config;
use crate::host::login;
use crate::host::user::user_of;
use crate::host::{PusherSource, Server};
use crate::people::export::authorized_keys;
use crate::policy::Mode;
use crate::policy::roster::Remark;
use crate::record::Record;
use crate::wire::name::RefName;
use crate::wire::sshd::Admitted;

pub use check::{Check, Open, State, Topic, worst};
pub use proof::Tried;

/// The oldest git that runs the ref hook.
pub const OLDEST_GIT: (u32, u32) = (2, 28);
/// Keys that end within this time are named.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is examined.
pub struct Examining<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The host's settings, where they can be read.
    pub server: Option<&'a Server>,
    /// Its record, where it can be read.
    pub record: Option<&'a Record>,
    /// What an audit of it found.
    pub audited: &'a Audited,
    /// This binary.
    pub binary: &'a Path,
    /// sshd's settings.
    pub sshd_config: &'a Path,
    /// The keys that sshd lets in; those of the repository's owner unless given.
    pub authorized_keys: Option<&'a Path>,
    /// Server time.
    pub now: Timestamp,
}

/// What is said of a proof that was not made.
const NOT_MINE: &str =
    "not tried: only the account that owns the repository runs what is in its hooks";

/// What is open, by topic.
type Found = BTreeMap<Topic, Vec<Open>>;

impl Examining<'_> {
    /// Makes every check, and returns one line for each.
    pub fn run(&self) -> Vec<Check> {
        let mut found: Found = BTreeMap::new();
        self.audit(&mut found);
        let mut tried = BTreeMap::new();
        let owner = self.owner();
        match self.rules() {
            Ok((server, rules)) => {
                let proofs = proof::Proof {
                    repo: self.repo,
                    server,
                    rules: &rules,
                    now: self.now,
                };
                for topic in [Topic::Push, Topic::RefWrite] {
                    let (outcome, open) = match (&owner, topic) {
                        (Ok(None), Topic::Push) => attempt(proofs.push()),
                        (Ok(None), _) => attempt(proofs.write()),
                        // Whatever stands in its hooks would run as this account.
                        _ => (None, Some(Open::Unread(NOT_MINE.to_owned()))),
                    };
                    tried.insert(topic, outcome);
                    found.entry(topic).or_default().extend(open);
                }
                self.dry_run(server, &rules, &mut found);
                self.people(server, &rules, &mut found);
                self.ssh(server, Some(&rules), &mut found);
            }
            Err(why) => {
                for topic in [
                    Topic::Push,
                    Topic::RefWrite,
                    Topic::DryRun,
                    Topic::People,
                    Topic::Rules,
                ] {
                    add(&mut found, topic, Open::Unread(why.clone()));
                }
                match self.server {
                    Some(server) => self.ssh(server, None, &mut found),
                    None => {
                        for topic in [Topic::Environment, Topic::Login] {
                            add(&mut found, topic, Open::Unread(why.clone()));
                        }
                    }
                }
            }
        }
        self.git(&mut found);
        self.binary(&owner, &mut found);
        match owner {
            Ok(None) => {}
            // They have a configuration of their own, which only they see.
            Ok(Some(owner)) => add(&mut found, Topic::Owner, Open::OtherAccount(owner)),
            Err(error) => add(&mut found, Topic::Owner, Open::Unread(error.to_string())),
        }
        Topic::ALL
            .into_iter()
            .map(|topic| Check {
                topic,
                open: found.remove(&topic).unwrap_or_default(),
                tried: tried.remove(&topic).flatten(),
            })
            .collect()
    }

    /// Sorts what the audit found, notes aside.
    fn audit(&self, found: &mut Found) {
        let loud = |finding: &&Finding| finding.code.weight() > Weight::Note;
        for finding in self.audited.findings.iter().filter(loud) {
            let open = Open::Found(Box::new(finding.clone()));
            add(found, Topic::of(finding.code), open);
        }
        if self.audited.omitted > 0 {
            let why = format!("{} more findings are not listed", self.audited.omitted);
            add(found, Topic::Refs, Open::Unread(why));
        }
        for unread in &self.audited.unread {
            for topic in Topic::of_family(unread.family) {
                add(found, *topic, Open::Unread(unread.why.clone()));
            }
        }
    }

    /// Returns the settings, and the policy in force by the record.
    fn rules(&self) -> Result<(&Server, Rulebook), String> {
        let server = self
            .server
            .ok_or("the host's settings cannot be read".to_owned())?;
        let record = self.record.ok_or("the record cannot be read".to_owned())?;
        let text = |error: &dyn ToString| error.to_string();
        let view = record.view().map_err(|error| text(&error))?;
        let rules = crate::admit::rules(self.repo, &view, &server.policy_ref);
        let rules = rules.map_err(|error| text(&error))?;
        Ok((server, rules.map_err(|error| text(&error))?))
    }

    fn dry_run(&self, server: &Server, rules: &Rulebook, found: &mut Found) {
        if server.mode == Mode::DryRun {
            add(found, Topic::DryRun, Open::HostDryRun);
        }
        let refs = match self.repo.references() {
            Ok(refs) => refs,
            Err(error) => return add(found, Topic::DryRun, Open::Unread(error.to_string())),
        };
        let is_dry = |name: &RefName| {
            let protection = rules.policy.protection(name, &server.policy_ref);
            protection.is_some_and(|protection| protection.mode == Mode::DryRun)
        };
        let names: Vec<RefName> = refs
            .into_iter()
            .filter(|(name, value)| matches!(value, RefValue::Oid(_)) && is_dry(name))
            .map(|(name, _)| name)
            .collect();
        if !names.is_empty() {
            add(found, Topic::DryRun, Open::RefsDryRun(names));
        }
    }

    fn people(&self, server: &Server, rules: &Rulebook, found: &mut Found) {
        for remark in rules.policy.roster(&rules.people, self.now, SOON) {
            if !remark.needs_action() {
                continue;
            }
            let topic = match remark {
                Remark::Unsatisfiable(..) | Remark::HangsOn(..) | Remark::BotsAlone(..) => {
                    Topic::Rules
                }
                _ => Topic::People,
            };
            add(found, topic, Open::Remark(remark));
        }
        let nobody = proof::pusher(&server.pusher, &rules.people).is_none();
        if server.pusher != PusherSource::PushCert && nobody {
            add(found, Topic::People, Open::Nobody(server.pusher.clone()));
        }
    }

    /// How people get in over ssh; their keys only where a forced command says who pushes.
    fn ssh(&self, server: &Server, rules: Option<&Rulebook>, found: &mut Found) {
        let variable = server.pusher.variable();
        match login::accepted(self.sshd_config, variable) {
            Ok(lines) => {
                let open = lines.into_iter().map(Open::Accepted);
                found.entry(Topic::Environment).or_default().extend(open);
            }
            Err(error) => add(found, Topic::Environment, Open::Unread(error.to_string())),
        }
        let is_forced = matches!(
            server.pusher,
            PusherSource::Env(_) | PusherSource::Gitolite | PusherSource::Forgejo
        );
        if !is_forced {
            return;
        }
        let unread = |why: String| Open::Unread(why);
        let owner = match fs::metadata(self.repo.git_dir()) {
            Ok(meta) => meta.uid(),
            Err(error) => return add(found, Topic::Login, unread(error.to_string())),
        };
        let account = login::account(owner);
        if let Some(account) = account.as_ref().filter(|account| !account.runs_commands()) {
            let open = Open::Shell(account.name.clone(), account.shell.clone());
            add(found, Topic::Login, open);
        }
        let usual = account.map(|account| account.home.join(".ssh/authorized_keys"));
        let Some(file) = self.authorized_keys.map(Path::to_owned).or(usual) else {
            let why = format!("{} has no line in /etc/passwd", user_of(owner));
            return add(found, Topic::Login, unread(why));
        };
        if let Some(why) = login::exposed(&file, owner) {
            add(found, Topic::Login, Open::Exposed(file.clone(), why));
        }
        let keys = match login::keys(&file) {
            Ok(keys) => keys,
            Err(error) => return add(found, Topic::Login, unread(error.to_string())),
        };
        let known = rules.map(|rules| authorized_keys(&rules.people, variable, self.now));
        for key in keys {
            let open = match &key.command {
                None => Open::Unforced(file.clone(), key.line),
                Some(command) if command.contains(&format!("{variable}=")) => match &known {
                    Some(known) if known.iter().any(|line| is_same(line, &key)) => continue,
                    Some(_) => Open::Stranger(file.clone(), key.line),
                    None => continue,
                },
                // It does something else, whatever that is; it is no shell.
                Some(_) => continue,
            };
            add(found, Topic::Login, open);
        }
    }

    fn git(&self, found: &mut Found) {
        let open = match git_config::version() {
            Err(error) => Open::Unread(error.to_string()),
            Ok(text) => match numbers(&text) {
                None => Open::Unread(format!("git calls itself {text:?}")),
                Some(version) if version < OLDEST_GIT => Open::OldGit(text),
                Some(_) => return,
            },
        };
        add(found, Topic::Git, open);
    }

    /// Compares the binary that hooks run with this one.
    fn binary(&self, owner: &io::Result<Option<String>>, found: &mut Found) {
        let Some(record) = self.record else {
            return add(
                found,
                Topic::Binary,
                Open::Unread("the record cannot be read".to_owned()),
            );
        };
        let host = record.view().and_then(|view| view.host());
        let Ok(Some(host)) = host else {
            // Enrolment put nothing on record, which is said elsewhere.
            return;
        };
        let theirs = PathBuf::from(host.what.binary);
        match same_bytes(&theirs, self.binary) {
            Ok(true) => {}
            Ok(false) => {
                let version = match owner {
                    Ok(None) => proof::version_of(&theirs),
                    Ok(Some(_)) | Err(_) => "not asked".to_owned(),
                };
                add(found, Topic::Binary, Open::OtherBinary(theirs, version));
            }
            // A binary that is gone is found by the audit.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let why = format!("{}: {error}", theirs.display());
                add(found, Topic::Binary, Open::Unread(why));
            }
        }
    }

    /// Returns whose the repository is, where that is somebody else.
    fn owner(&self) -> io::Result<Option<String>> {
        let me = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(self.repo.git_dir())?.uid();
        Ok((owner != me).then(|| user_of(owner)))
    }
}

fn add(found: &mut Found, topic: Topic, open: Open) {
    found.entry(topic).or_default().push(open);
}

/// Says of an attempt what is open by it.
fn attempt(outcome: Result<Tried, proof::ProofError>) -> (Option<Tried>, Option<Open>) {
    match outcome {
        Ok(tried) => {
            let open = match &tried {
                Tried::Refused | Tried::WouldRefuse => None,
                Tried::Landed => Some(Open::Landed),
                Tried::Otherwise(why) => Some(Open::Otherwise(why.clone())),
            };
            (Some(tried), open)
        }
        Err(error) => (None, Some(Open::Unread(error.to_string()))),
    }
}

/// Returns whether a key of the file is the line that is exported, whatever comment follows.
fn is_same(exported: &str, key: &Admitted) -> bool {
    let without_comment = exported.rsplit_once(' ').map_or(exported, |(line, _)| line);
    let rest = key.text.strip_prefix(without_comment);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Reads the first two numbers of a version.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(['.', ' ', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (a, b) = (fs::metadata(one)?, fs::metadata(other)?);
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Ok(true);
    }
    if a.len() != b.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (
        BufReader::new(File::open(one)?),
        BufReader::new(File::open(other)?),
    );
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let count = left.len().min(right.len());
        if left.get(..count) != right.get(..count) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(left.len() == right.len());
        }
        a.consume(count);
        b.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions as distributions write them are read; what is none is not guessed at.
    #[test]
    fn versions() {
        for (text, want) in [
            ("2.39.5", Some((2, 39))),
            ("2.47.3 (Apple Git-1)", Some((2, 47))),
            ("2.20.1.windows.1", Some((2, 20))),
            ("2.51.rc1", Some((2, 51))),
            ("two", None),
            ("", None),
        ] {
            assert_eq!(numbers(text), want, "{text}");
        }
        assert!((2, 20) < OLDEST_GIT && (3, 0) > OLDEST_GIT);
    }

    /// The comment of an exported key may be another; the key and what it is held to may not.
    #[test]
    fn exported_keys() {
        let line = "restrict,command=\"A=b\" ssh-ed25519 AAAA alice";
        let is = |text: &str| {
            let key = Admitted {
                line: 1,
                text: text.to_owned(),
                command: None,
            };
            is_same(line, &key)
        };
        assert!(is(line) && is("restrict,command=\"A=b\" ssh-ed25519 AAAA"));
        assert!(is("restrict,command=\"A=b\" ssh-ed25519 AAAA at home"));
        assert!(!is("restrict,command=\"A=c\" ssh-ed25519 AAAA alice"));
        assert!(!is("restrict,command=\"A=b\" ssh-ed25519 AAAAB alice"));
    }

    /// Binaries are compared by their bytes.
    #[test]
    fn binaries() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![7; 40_000];
        let mut other = long.clone();
        other[39_999] = 8;
        let a = file("a", &long);
        assert!(same_bytes(&a, &a).unwrap());
        assert!(same_bytes(&a, &file("b", &long)).unwrap());
        assert!(!same_bytes(&a, &file("c", &other)).unwrap());
        assert!(!same_bytes(&a, &file("d", &long[1..])).unwrap());
        assert!(same_bytes(&a, Path::new("/nonexistent")).is_err());
    }
}
