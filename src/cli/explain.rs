//! `countersign explain`: who must approve a change, before there is one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;

use super::fetched::Fetched;
use super::ground::{Where, no_site, undecided};
use super::{CliError, Exit, Kind, Session, repository};
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
    /// Paths from the root of the repository, whether they exist or not
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
}

impl Explain {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let target = self.place.target()?;
        let paths = self.paths.iter().map(|path| repo_path(path.as_bytes()));
        let paths: Vec<_> = paths.collect::<Result<_, _>>()?;
        let basis = self.basis(session, &target)?;
        basis.only_files(&paths)?;
        let Basis {
            rules,
            policy_ref,
            mode,
            names,
            tip,
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
            stands_for: stands_for(&rules.policy, &policy_ref, &real, &target),
            protection: protection.as_ref(),
            paths: &asks,
        };
        let text = match session.json() {
            true => format!("{}\n", words::json(&about)),
            false => words::text(&about),
        };
        session.print(&text)?;
        Ok(Exit::Fine)
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
        })
    }
}

impl Basis {
    /// Rules are about files: a directory is none, and what is asked differs below it.
    fn only_files(&self, paths: &[RepoPath]) -> Result<(), CliError> {
        let tree = self.tip.and_then(|tip| self.repo.commit(&tip).ok());
        let Some(tree) = tree.map(|commit| commit.tree) else {
            return Ok(());
        };
        let is_tree = |path: &&RepoPath| {
            let found = self.repo.file_at(&tree, path.as_bstr());
            matches!(found, Ok(Some((FileMode::Tree, _))))
        };
        match paths.iter().find(is_tree) {
            None => Ok(()),
            Some(path) => {
                let message = format!("{path} is a directory: name the files below it");
                Err(CliError::words(Kind::Usage, message))
            }
        }
    }
}

/// Takes a path as trees have it, and nothing else.
fn repo_path(bytes: &[u8]) -> Result<RepoPath, CliError> {
    let path = RepoPath::new(bytes);
    let mut names = bytes.split(|byte| *byte == b'/');
    match names.try_for_each(check_name) {
        Ok(()) => Ok(path),
        Err(fault) => {
            let message = format!("{path}: no path of a file in a repository: {fault}");
            let hint = "paths are from the repository's root, such as src/main.rs".to_owned();
            Err(CliError::words(Kind::Usage, message).hint([hint]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what a tree could hold is a path.
    #[test]
    fn paths() {
        for path in ["README.md", ".github/workflows/ci.yml", "a b/ü"] {
            assert!(repo_path(path.as_bytes()).is_ok(), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "./a",
            "a/../b",
            "src/",
            "a//b",
            ".git/x",
            "a\nb",
        ] {
            assert!(repo_path(path.as_bytes()).is_err(), "{path:?}");
        }
    }
}
