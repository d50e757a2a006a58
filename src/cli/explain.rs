//! `countersign explain`: who must approve a change, before there is one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;

use super::fetched::Fetched;
use super::ground::{Where, no_site, undecided};
use super::{CliError, Exit, Kind, Session, git, repository};
use crate::admit;
use crate::gate::Site;
use crate::gather::Rulebook;
use crate::gather::scope::{Real, stands_for};
use crate::git::Repo;
use crate::host::clock;
use crate::judge::explain::explain;
use crate::policy::Mode;
use crate::report::explain::{self as words, About};
use crate::wire::entry_name::check_name;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// Say who must approve a change of these paths, before there is one
///
/// On the server the policy in force decides; in a clone that of the remote-tracking branch.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Paths from here, or on the server from the root, whether they exist or not
    #[arg(value_name = "path", required = true)]
    paths: Vec<OsString>,
    #[command(flatten)]
    place: Where,
}

/// What is judged by, and what there is already.
struct Basis {
    repo: Repo,
    rules: Rulebook,
    policy_ref: RefName,
    /// Whether the host has everything in dry run.
    mode: Mode,
    /// Recorded refs; in a clone those that were fetched and are protected.
    names: BTreeSet<RefName>,
    /// Where the ref stands.
    tip: Option<Oid>,
    /// Whether all of it is as a clone has fetched it.
    fetched: bool,
}

impl Explain {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let target = self.place.target()?;
        let paths = self.paths(session)?;
        let basis = self.basis(session, &target)?;
        let absent = basis.absent(&paths)?;
        let Basis {
            rules,
            policy_ref,
            mode,
            names,
            tip,
            fetched,
            ..
        } = basis;
        let mut protection = rules.policy.protection(&target, &policy_ref);
        if let Some(protection) = &mut protection {
            protection.mode = protection.mode.min(mode);
        }
        let asks = match &protection {
            Some(_) => explain(&rules.policy, &rules.people, &target, &paths, clock()),
            None => Vec::new(),
        };
        let real = Real::of(names, Some(&rules.policy), &policy_ref);
        let about = About {
            target: &target,
            rules: &rules,
            is_policy_ref: target == policy_ref,
            exists: tip.is_some(),
            fetched,
            absent: &absent,
            stands_for: stands_for(&rules.policy, &policy_ref, &real, &target),
            protection: protection.as_ref(),
            paths: &asks,
        };
        if let Some(other) = self.meant(&about, &policy_ref) {
            session.say(&format!("hint: {other} is protected: --onto {other}"));
        }
        let text = match session.json() {
            true => format!("{}\n", words::json(&about)),
            false => words::text(&about),
        };
        session.print(&text)?;
        Ok(Exit::Fine)
    }

    /// Returns the paths from the root, each once.
    fn paths(&self, session: &Session<'_>) -> Result<Vec<RepoPath>, CliError> {
        let mut command = git::scrubbed(session)?;
        command.args(["rev-parse", "--show-prefix"]);
        let prefix = git::line_of(command).unwrap_or_default();
        if prefix.contains(char::REPLACEMENT_CHARACTER) {
            let message = "this folder's name is not UTF-8: name paths from the top";
            return Err(CliError::words(Kind::Usage, message));
        }
        let mut paths = Vec::new();
        for path in &self.paths {
            let path = repo_path(prefix.as_bytes(), path.as_bytes())?;
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Returns the ref that is protected where the one that was named is not, but looks as if it meant
    /// that.
    fn meant(&self, about: &About<'_>, policy_ref: &RefName) -> Option<RefName> {
        let short = about.target.as_str()?.strip_prefix("refs/heads/")?;
        let branch = short.strip_prefix(&format!("{}/", self.place.remote));
        let tag = Some(format!("refs/tags/{short}"));
        let others = tag
            .into_iter()
            .chain(branch.map(|it| format!("refs/heads/{it}")));
        let mut others = others.map(RefName::new);
        let protects = |name: &RefName| about.rules.policy.protection(name, policy_ref).is_some();
        let other = others.find(protects);
        other.filter(|_| about.protection.is_none())
    }

    /// Finds the policy that a push would be judged by.
    fn basis(&self, session: &mut Session<'_>, target: &RefName) -> Result<Basis, CliError> {
        let repo = repository::discover(session)?;
        if repository::server(&repo)?.is_some() {
            let site = Site::open(repo.git_dir(), None).map_err(no_site)?;
            let policy_ref = site.server.policy_ref.clone();
            let view = site.record.view().map_err(undecided)?;
            let rules = admit::rules(&site.repo, &view, &policy_ref).map_err(undecided)?;
            return Ok(Basis {
                rules: rules.map_err(repository::unusable)?,
                policy_ref,
                mode: site.server.mode,
                names: view.names(usize::MAX).map_err(undecided)?,
                tip: view.tip(target).map_err(undecided)?.and_then(|tip| tip.oid),
                repo: site.repo,
                fetched: false,
            });
        }
        let policy_ref = repository::full_name(&self.place.policy_ref);
        let fetched = Fetched::read(&repo, &self.place.remote)?;
        let rules = fetched.rules(&repo, &policy_ref)?;
        let names = fetched.tips.keys().cloned();
        let protected = |name: &RefName| rules.policy.protection(name, &policy_ref).is_some();
        Ok(Basis {
            names: names.filter(protected).collect(),
            mode: Mode::Enforce,
            tip: fetched.tips.get(target).copied(),
            policy_ref,
            rules,
            repo,
            fetched: true,
        })
    }
}

impl Basis {
    /// Returns the paths that are not there; a directory is none, for what is asked differs below it.
    fn absent(&self, paths: &[RepoPath]) -> Result<BTreeSet<RepoPath>, CliError> {
        let tree = self.tip.and_then(|tip| self.repo.commit(&tip).ok());
        let Some(tree) = tree.map(|commit| commit.tree) else {
            return Ok(BTreeSet::new());
        };
        let mut absent = BTreeSet::new();
        for path in paths {
            match self.repo.file_at(&tree, path.as_bstr()) {
                Ok(Some((FileMode::Tree, _))) => return Err(directory(path)),
                Ok(None) => drop(absent.insert(path.clone())),
                _ => {}
            }
        }
        Ok(absent)
    }
}

fn directory(path: &RepoPath) -> CliError {
    let message = format!("{path} is a directory: name the files below it");
    CliError::words(Kind::Usage, message)
}

/// Takes a path from a folder as trees have it, and nothing else.
fn repo_path(folder: &[u8], given: &[u8]) -> Result<RepoPath, CliError> {
    let whole = RepoPath::new(given);
    if given.ends_with(b"/") {
        return Err(directory(&whole));
    }
    let wrong = |why: &str| {
        let message = format!("{whole}: no path of a file in the repository: {why}");
        let hint = "a path reads src/main.rs, from here or from the root".to_owned();
        CliError::words(Kind::Usage, message).hint([hint])
    };
    let mut parts: Vec<&[u8]> = folder.split(|byte| *byte == b'/').collect();
    parts.retain(|part| !part.is_empty());
    for part in given.split(|byte| *byte == b'/') {
        match part {
            b"." => {}
            b".." => {
                let above = || wrong("it leads out of the repository");
                parts.pop().ok_or_else(above)?;
            }
            _ => {
                check_name(part).map_err(|fault| wrong(&fault.to_string()))?;
                parts.push(part);
            }
        }
    }
    match parts.is_empty() {
        true => Err(directory(&whole)),
        false => Ok(RepoPath::new(parts.join(&b'/'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what a tree could hold is a path; what is given is from a folder.
    #[test]
    fn paths() {
        for (folder, given, path) in [
            ("", "README.md", "README.md"),
            ("src/", ".github/ci.yml", "src/.github/ci.yml"),
            ("", "./a", "a"),
            ("src/", "../a b/\u{fc}", "a b/\u{fc}"),
            ("", "a/../b", "b"),
        ] {
            let found = repo_path(folder.as_bytes(), given.as_bytes());
            assert_eq!(found.ok(), Some(RepoPath::from(path)), "{given}");
        }
        for given in [
            "",
            "/etc/passwd",
            "..",
            "a/../..",
            "src/",
            "a//b",
            ".git/x",
            "a\nb",
            ".",
        ] {
            assert!(repo_path(b"", given.as_bytes()).is_err(), "{given:?}");
        }
    }
}
