//! `countersign init`: policy and people proposed from what a repository shows.
//!
//! 1. The newest commits say who works here ([`history`], [`people`]).
//! 2. Lists of keys, and signatures that verify, say with what they sign ([`keys`]).
//! 3. Refs and files say what to protect ([`policy`]), or one of the starters does ([`starter`]).
//!
//! All of it is guessed, and said to be. Nothing that is there is changed, and nothing is run but git,
//! for names and configuration.

mod history;
mod keys;
mod people;
mod policy;
mod starter;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use self::history::History;
use self::people::{Candidate, Proposal};
use self::policy::Site;
use self::starter::Starter;
use super::enroll::called;
use super::git::{line_of, revision, scrubbed, worktree};
use super::{CliError, Exit, Kind, Session, repository};
use crate::git::{RefValue, Repo};
use crate::host::clock;
use crate::host::place::place;
use crate::people::{ConfigError, People};
use crate::policy::Policy;
use crate::policy::roster::{Remark, may_sign};
use crate::report;
use crate::report::plain::{counted, plain};
use crate::wire::name::RefName;

/// The folder of both files.
const FOLDER: &str = crate::gather::rulebook::FOLDER;

/// Propose policy and people from this repository's history, keys and files, and say what was guessed
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Show both files, write nothing (so in a bare repository)
    #[arg(long)]
    print: bool,
    /// The policy to begin with (default: one for as many people as there are)
    #[arg(long, value_enum, value_name = "name")]
    starter: Option<Starter>,
    /// Keys: a list of allowed signers, an OpenPGP keyring, `<person>.pub`, or a folder of these
    #[arg(long, value_name = "file or folder")]
    keys: Vec<PathBuf>,
    /// What the policy calls the repository (default: where origin is, else the directory's name)
    #[arg(long, value_name = "name")]
    name: Option<String>,
}

/// What is proposed.
struct Proposed {
    proposal: Proposal,
    site: Site,
    people: String,
    policy: String,
    /// Key files, by path below `.countersign/`.
    files: BTreeMap<String, String>,
    /// Who has no key, each with the command that adds one.
    keyless: Vec<String>,
    /// What will not work yet.
    warnings: Vec<String>,
}

impl Init {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        let root = worktree(session)?;
        let root = root.filter(|_| !self.print);
        if let Some(root) = &root {
            nothing_there(root)?;
        }
        let proposed = self.propose(&repo, session)?;
        if let Some(root) = &root {
            proposed.write(&root.join(FOLDER))?;
        }
        proposed.tell(root.is_some(), session)?;
        Ok(Exit::Fine)
    }

    fn propose(&self, repo: &Repo, session: &Session<'_>) -> Result<Proposed, CliError> {
        let now = clock();
        let unread = |error| CliError::new(Kind::Undecided, error);
        let tip = revision(session, repo, "HEAD").map_err(|_| {
            let message = "there is no commit yet, so nobody to propose";
            CliError::words(Kind::Usage, message).hint([
                "for a new repository: countersign enroll <repository> --init <person> --key <file>, \
                 for two people or more"
                    .to_owned(),
            ])
        })?;
        let history = History::read(repo, &tip, now).map_err(unread)?;
        let mut proposal = Proposal::of(&history);
        if proposal.maintainers().next().is_none() {
            let message = format!(
                "{} read, and no human in them whom a policy could ask",
                counted(history.commits, "commit")
            );
            return Err(CliError::words(Kind::Usage, message));
        }
        proposal.tell_of(&history);
        let name = self.name.clone().unwrap_or_else(|| named(repo));
        let site = Site::of(repo, name, branch(repo, session)?, &tip).map_err(unread)?;
        proposal.guesses.extend(site.guesses());
        if site.malformed > 0 {
            let folders = counted(site.malformed, "folder");
            let why = format!("{folders} with names that no policy takes: not looked into");
            proposal.left_out.push(why);
        }
        let keyed = keys::keyed(&mut proposal, &self.keys, repo, session)?;
        let policy = match self.starter {
            Some(starter) => starter.fitted(&site).map_err(unread_starter)?,
            None => site.text(&proposal),
        };
        Proposed::checked(proposal, site, keyed, policy, now)
    }
}

impl Proposed {
    /// Reads both texts as a push would.
    fn checked(
        proposal: Proposal,
        site: Site,
        keyed: keys::Keyed,
        policy: String,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let wrong = |error: ConfigError| {
            let words = format!("what would be proposed cannot stand\n{}", error.rendered);
            CliError::words(Kind::Usage, words.trim_end().to_owned())
        };
        let keys::Keyed { text, files } = keyed;
        let read = |path: &str| {
            let file = files.get(path.strip_prefix(".countersign/")?)?;
            Some(file.as_bytes().to_vec())
        };
        let people = People::parse(text.as_bytes(), &read).map_err(wrong)?;
        let parsed = Policy::parse(policy.as_bytes(), &people).map_err(wrong)?;
        let has_key = |candidate: &&Candidate| {
            let person = people.person(&candidate.name);
            person.is_some_and(|person| may_sign(&people, person, now))
        };
        let (keyed, keyless): (Vec<_>, Vec<_>) = proposal.maintainers().partition(has_key);
        let mut warnings = Vec::new();
        if proposal.maintainers().count() < 2 {
            warnings.push(
                "one person alone can land nothing: put a second one into people.toml before you \
                 enrol"
                    .to_owned(),
            );
        } else if let [only] = keyed.as_slice() {
            warnings.push(format!(
                "only {} can approve, and not their own changes",
                only.name
            ));
        }
        for remark in parsed.roster(&people, now, SignedDuration::ZERO) {
            if matches!(remark, Remark::Unsatisfiable(..)) {
                warnings.push(report::people::words(&remark));
            }
        }
        let keyless = keyless.into_iter().map(Candidate::key_wanted).collect();
        Ok(Self {
            proposal,
            site,
            people: text,
            policy,
            files,
            keyless,
            warnings,
        })
    }

    /// Writes key files first, and the policy last: each names only what is there.
    fn write(&self, folder: &Path) -> Result<(), CliError> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text));
        let files = files.chain([("people.toml", &self.people), ("policy.toml", &self.policy)]);
        for (path, text) in files {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| place(&path, text.as_bytes(), 0o644))
                .map_err(|error| failed(&path, &error))?;
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = (String, &String)> {
        let files = self.files.iter();
        let files = files.map(|(path, text)| (format!("{FOLDER}/{path}"), text));
        files.chain([
            (crate::people::parse::FILE.to_owned(), &self.people),
            (crate::policy::parse::FILE.to_owned(), &self.policy),
        ])
    }

    /// Says what was guessed, what is missing, and what comes next.
    fn tell(&self, written: bool, session: &mut Session<'_>) -> Result<(), CliError> {
        let next = self.next(written);
        let Proposal {
            guesses, left_out, ..
        } = &self.proposal;
        if session.json() {
            let told = json!({
                "schema": "countersign.init/v1",
                "people": self.people,
                "policy": self.policy,
                "files": self.files,
                "written": written,
                "guessed": guesses,
                "left_out": left_out,
                "no_key": self.keyless,
                "warnings": self.warnings,
                "next": next,
            });
            return Ok(session.print(&format!("{told}\n"))?);
        }
        let mut say = |what: &str, lines: &[String]| {
            for line in lines {
                session.say(&plain(&format!("{what}: {line}")));
            }
        };
        say("guessed", guesses);
        say("left out", left_out);
        say("no key", &self.keyless);
        say("warning", &self.warnings);
        for (path, text) in self.paths() {
            match written {
                true => session.say(&format!("written: {path}")),
                false => session.print(&format!("# ==> {path} <==\n{text}\n"))?,
            }
        }
        session.say("next:");
        for line in next {
            session.say(&format!("  {}", plain(&line)));
        }
        Ok(())
    }

    fn next(&self, written: bool) -> Vec<String> {
        let branch = self.site.branch.to_string();
        // In a command stands nothing that a shell would read as more than a name.
        let letter = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        let branch = match branch.strip_prefix("refs/heads/") {
            Some(short) if short.chars().all(letter) => short,
            _ => "<branch>",
        };
        let mut next = vec![match written {
            true => format!("read {FOLDER}/people.toml and {FOLDER}/policy.toml"),
            false => format!("put the files into {FOLDER}/ of a clone"),
        }];
        next.extend([
            "countersign policy check".to_owned(),
            format!("git add {FOLDER}"),
            "git commit -m \"Say who reviews what\"".to_owned(),
            format!("git push origin {branch}"),
            "and on the server, as the account that owns the repository:".to_owned(),
        ]);
        let policy_ref = match branch {
            "main" => String::new(),
            other => format!(" --policy-ref {other}"),
        };
        next.push(format!(
            "countersign enroll <repository> --mode dry-run{policy_ref}"
        ));
        next
    }
}

impl Candidate {
    /// Says how to add a key of somebody who has none.
    fn key_wanted(&self) -> String {
        let name = &self.name;
        match self.openpgp.first() {
            Some(key) => format!(
                "{name}, who signs with an OpenPGP key: gpg --export --armor {key} > {name}.asc; \
                 countersign people import --keyring {name}.asc --person {name} --write"
            ),
            None => format!(
                "{name}: countersign people import --keys <their .pub file> --person {name} --write"
            ),
        }
    }
}

/// Refuses where something would be overwritten, or written through a link to elsewhere.
fn nothing_there(root: &Path) -> Result<(), CliError> {
    let folder = root.join(FOLDER);
    for (path, is_folder) in [
        (folder.clone(), true),
        (folder.join("keys"), true),
        (folder.join("people.toml"), false),
        (folder.join("policy.toml"), false),
    ] {
        let hint = "countersign init --print shows what it would propose";
        match fs::symlink_metadata(&path) {
            Ok(meta) if is_folder && meta.is_dir() => {}
            Ok(_) => {
                let message = format!("{} is there already", path.display());
                return Err(CliError::words(Kind::Usage, message).hint([hint.to_owned()]));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Ok(())
}

/// Returns the branch that others start from: a bare repository's own; origin's, else one of the usual
/// names, else what is checked out.
fn branch(repo: &Repo, session: &Session<'_>) -> Result<RefName, CliError> {
    let value = |name: &str| {
        let value = repo.reference(&RefName::from(name));
        value.map_err(|error| CliError::new(Kind::Undecided, error))
    };
    let mut command = scrubbed(session)?;
    command.args(["symbolic-ref", "-q", "HEAD"]);
    let checked_out = line_of(command).unwrap_or("refs/heads/main".to_owned());
    if repo.config("core.bare").as_deref() == Some("true") {
        return Ok(RefName::new(checked_out));
    }
    if let Some(RefValue::Symbolic(target)) = value("refs/remotes/origin/HEAD")?
        && let Some(short) = target
            .as_str()
            .and_then(|name| name.strip_prefix("refs/remotes/origin/"))
    {
        return Ok(RefName::new(format!("refs/heads/{short}")));
    }
    for short in ["main", "master"] {
        let full = format!("refs/heads/{short}");
        if value(&full)?.is_some() || value(&format!("refs/remotes/origin/{short}"))?.is_some() {
            return Ok(RefName::new(full));
        }
    }
    Ok(RefName::new(checked_out))
}

/// Names the repository after where origin is, without credentials, port and `.git`.
fn named(repo: &Repo) -> String {
    let directory = || {
        let git_dir = repo.git_dir();
        match git_dir.ends_with(".git") {
            true => called(git_dir.parent().unwrap_or(git_dir)),
            false => called(git_dir),
        }
    };
    let origin = repo.config("remote.origin.url");
    let name = origin
        .as_deref()
        .and_then(name_of_url)
        .unwrap_or_else(directory);
    let odd = |c: char| c.is_control() || c.is_whitespace();
    name.replace(odd, "-")
}

/// Returns `host/path` of a URL or of `host:path`; nothing for what is on this machine.
fn name_of_url(url: &str) -> Option<String> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url
            .split_once(':')
            .filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

fn unread_starter(error: toml_edit::TomlError) -> CliError {
    CliError::new(Kind::Usage, error)
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::words(Kind::Usage, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository is called after its host and path; no password, port or ending is in the name.
    #[test]
    fn names_of_urls() {
        for (url, name) in [
            (
                "https://git.example.com/payments.git",
                Some("git.example.com/payments"),
            ),
            (
                "https://me:secret@git.example.com:8443/a/b.git/",
                Some("git.example.com/a/b"),
            ),
            (
                "ssh://git@git.example.com:22/srv/x",
                Some("git.example.com/srv/x"),
            ),
            (
                "git@git.example.com:payments.git",
                Some("git.example.com/payments"),
            ),
            (
                "git.example.com:/srv/git/payments.git",
                Some("git.example.com/srv/git/payments"),
            ),
            ("https://[2001:db8::1]/x", Some("[2001:db8::1]/x")),
            ("file:///srv/git/payments.git", None),
            ("/srv/git/payments.git", None),
            ("../payments.git", None),
            ("./a:b", None),
            ("https://git.example.com", None),
            ("", None),
        ] {
            assert_eq!(name_of_url(url).as_deref(), name, "{url}");
        }
    }
}
