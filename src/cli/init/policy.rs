//! From refs and files to a policy.

use std::collections::{BTreeMap, BTreeSet};

use super::people::{Proposal, remark};
use crate::git::{GitError, RefValue, Repo};
use crate::host::founding::{self, FIRST_RULE, quoted};
use crate::people::PersonName;
use crate::people::document::MAX_FILE;
use crate::policy::Class;
use crate::policy::classes::{self, Classes, OWNERS_FILES};
use crate::report::plain::{clip, plain};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::owners;
use crate::wire::tree::FileMode;

/// The most entries of trees that are looked at for files of pipelines.
const ENTRIES: usize = 100_000;
/// The deepest folder that is looked into.
const DEPTH: usize = 16;
/// The most files that are named.
const NAMED: usize = 5;
/// From how many maintainers on two must see what decides and what builds.
const MANY: usize = 5;

/// What the repository shows of itself.
#[derive(Debug)]
pub(super) struct Site {
    /// `repository` of the policy.
    pub(super) repository: String,
    /// The branch whose tip holds the policy.
    pub(super) branch: RefName,
    /// Patterns of branches that releases are made from.
    pub(super) releases: BTreeSet<String>,
    /// Patterns of tags that name versions.
    pub(super) versions: BTreeSet<String>,
    /// Some files of pipelines, and how many there are.
    pub(super) pipelines: (Vec<String>, usize),
    /// Folders that are not what git writes.
    pub(super) malformed: usize,
    /// Owners files, with whom they name.
    pub(super) owners: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Site {
    /// Looks at the refs, and at the tree of `tip`.
    pub(super) fn of(
        repo: &Repo,
        repository: String,
        branch: RefName,
        tip: &Oid,
    ) -> Result<Self, GitError> {
        let (mut releases, mut versions) = (BTreeSet::new(), BTreeSet::new());
        for (name, value) in repo.references()? {
            let Some(name) = name.as_str().filter(|_| matches!(value, RefValue::Oid(_))) else {
                continue;
            };
            let remote = name.strip_prefix("refs/remotes/origin/");
            if let Some(short) = name.strip_prefix("refs/heads/").or(remote) {
                releases.extend(release(short));
            } else if let Some(short) = name.strip_prefix("refs/tags/") {
                versions.extend(version(short));
            }
        }
        releases.remove(&branch.to_string());
        let tree = repo.commit(tip)?.tree;
        let (pipelines, malformed) = pipelines(repo, &tree)?;
        Ok(Self {
            repository,
            branch,
            releases,
            versions,
            pipelines,
            malformed,
            owners: owners_of(repo, &tree)?,
        })
    }

    /// Returns `policy.toml` for that many people who may approve.
    pub(super) fn text(&self, proposal: &Proposal) -> String {
        let mut branches = vec![self.branch.to_string()];
        branches.extend(self.releases.iter().cloned());
        let mut text = format!(
            "{HEAD}{}",
            founding::protection(&self.repository, &branches)
        );
        if !self.versions.is_empty() {
            let tags: Vec<_> = self.versions.iter().map(|tag| quoted(tag)).collect();
            text.push_str(&format!(
                "# A version is never moved, deleted or made again.\n\
                 [[ref]]\nmatch       = [{}]\ncreate_once = true\n\n",
                tags.join(", ")
            ));
        }
        text.push_str("# Somebody else than whoever wrote it.\n");
        text.push_str(FIRST_RULE);
        if proposal.maintainers().count() >= MANY {
            let files = self.pipelines_told();
            let files = files.map(|files| format!("\n# Here: {}.", remark(&files)));
            let files = files.unwrap_or_default();
            text.push_str(&format!(
                "\n# What decides who must review, and what builds.{files}\n\
                 [[rule]]\nname    = \"policy and pipelines\"\nclass   = [\"policy\", \"pipeline\"]\n\
                 require = [\"2 of @maintainers\"]\n"
            ));
        }
        text + &self.owners_comment(proposal)
    }

    /// Says what was guessed of it.
    pub(super) fn guesses(&self) -> Vec<String> {
        let mut guesses = vec![
            format!("the repository is called {}", self.repository),
            format!("policy and people stand on {}", self.branch),
        ];
        let list =
            |patterns: &BTreeSet<String>| patterns.iter().cloned().collect::<Vec<_>>().join(", ");
        if !self.releases.is_empty() {
            let branches = list(&self.releases);
            guesses.push(format!("releases are made from {branches}"));
        }
        if !self.versions.is_empty() {
            guesses.push(format!("versions are {}", list(&self.versions)));
        }
        if let Some(files) = self.pipelines_told() {
            guesses.push(format!("pipelines and builds read {files}"));
        }
        for file in self.owners.keys() {
            guesses.push(format!(
                "{file} names owners, but this version does not read it"
            ));
        }
        guesses
    }

    /// Names some files of pipelines, and how many more there are.
    pub(super) fn pipelines_told(&self) -> Option<String> {
        let (files, count) = &self.pipelines;
        let more = count.saturating_sub(files.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        (!files.is_empty()).then(|| format!("{}{more}", files.join(", ")))
    }

    /// Lists whom the owners files name, and who of the people that is.
    fn owners_comment(&self, proposal: &Proposal) -> String {
        let mut text = String::new();
        for (file, names) in &self.owners {
            text.push_str(&format!(
                "\n# {file} is not read by this version: write what it asks for as rules with `paths`.\n"
            ));
            for name in names {
                let known = proposal.called(name.trim_start_matches('@'));
                let person = known.map_or("not in people.toml", PersonName::as_str);
                text.push_str(&format!("#   {name}: {person}\n"));
            }
        }
        text
    }
}

/// The first lines of the file.
const HEAD: &str = "\
# Which refs are protected, and who must approve. Proposed by `countersign init`: read every line.
# `repository` is part of every review: a name that stays.

";

/// Returns the pattern for a branch that looks like one that releases are made from.
fn release(short: &str) -> Option<String> {
    const FAMILIES: [&str; 6] = ["hotfix", "lts", "maint", "release", "releases", "stable"];
    const ALONE: [&str; 4] = ["prod", "production", "release", "stable"];
    let begins = |mark: char| {
        let family = short.split_once(mark).map(|(family, _)| family);
        FAMILIES.into_iter().find(|known| family == Some(known))
    };
    if let Some(family) = begins('/') {
        return Some(format!("refs/heads/{family}/**"));
    }
    if let Some(family) = begins('-') {
        return Some(format!("refs/heads/{family}-*"));
    }
    (ALONE.contains(&short) || numbered(short)).then(|| format!("refs/heads/{short}"))
}

/// Returns the pattern for a tag that looks like a version.
fn version(short: &str) -> Option<String> {
    let bare = short.strip_prefix('v').unwrap_or(short);
    let number = bare.starts_with(|c: char| c.is_ascii_digit()) && bare.contains('.');
    let begins = if bare.len() < short.len() { "v" } else { "" };
    number.then(|| format!("refs/tags/{begins}[0-9]*"))
}

/// Returns whether it is a number as of a line of versions: `2.x`, `v1.4`.
fn numbered(short: &str) -> bool {
    let bare = short.strip_prefix('v').unwrap_or(short);
    let parts = bare.split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    bare.contains('.')
        && parts
            .enumerate()
            .all(|(at, part)| is_number(part) || (at > 0 && part == "x"))
}

/// Finds files of pipelines, those of CI systems before what build tools obey, as far as is looked;
/// and counts folders that cannot be read.
fn pipelines(repo: &Repo, root: &Oid) -> Result<((Vec<String>, usize), usize), GitError> {
    let mut found: Vec<(bool, RepoPath)> = Vec::new();
    let built_in = Classes::default();
    let mut malformed = 0usize;
    let mut left = ENTRIES;
    let mut open = vec![(Vec::new(), *root, 0)];
    while let Some((folder, tree, depth)) = open.pop() {
        let entries = match repo.tree(&tree) {
            Err(GitError::Malformed { .. }) => {
                malformed = malformed.saturating_add(1);
                continue;
            }
            entries => entries?,
        };
        for entry in entries.iter() {
            left = left.saturating_sub(1);
            let path = [folder.as_slice(), &entry.name].concat();
            if entry.mode == FileMode::Tree && depth < DEPTH && left > 0 {
                let below = [path.as_slice(), b"/"].concat();
                open.push((below, entry.oid, depth + 1));
                continue;
            }
            let path = RepoPath::new(path);
            if built_in.of(&path).contains(&Class::Pipeline) {
                found.push((!classes::defines_pipeline(&path), path));
            }
        }
    }
    found.sort();
    let named = found.iter().take(NAMED);
    let named = named.map(|(_, path)| clip(&plain(&path.to_string()), 60));
    Ok(((named.collect(), found.len()), malformed))
}

fn owners_of(
    repo: &Repo,
    tree: &Oid,
) -> Result<BTreeMap<&'static str, BTreeSet<String>>, GitError> {
    let mut found = BTreeMap::new();
    for path in OWNERS_FILES {
        let file = match repo.file_at(tree, path.as_bytes()) {
            Err(GitError::Malformed { .. }) => continue,
            file => file?,
        };
        if let Some((FileMode::File | FileMode::Executable, oid)) = file {
            let names = match repo.raw(&oid, ObjectKind::Blob, MAX_FILE as u64) {
                Ok(bytes) => owners::names(&bytes),
                Err(GitError::TooLarge { .. }) => BTreeSet::new(),
                Err(error) => return Err(error),
            };
            found.insert(*path, names);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pattern;

    /// Branches that releases are made from are protected by what they have in common; others are not.
    #[test]
    fn release_branches() {
        for (short, expected) in [
            ("release/1.2", Some("refs/heads/release/**")),
            ("release-1.2", Some("refs/heads/release-*")),
            ("stable", Some("refs/heads/stable")),
            ("2.x", Some("refs/heads/2.x")),
            ("v1.4", Some("refs/heads/v1.4")),
            ("main", None),
            ("releasing", None),
            ("feature/release", None),
            ("x.2", None),
            ("v", None),
            ("1..2", None),
            ("dependabot/1.2", None),
        ] {
            let found = release(short);
            assert_eq!(found.as_deref(), expected, "{short}");
            if let Some(pattern) = found {
                let pattern = Pattern::parse(&pattern).unwrap();
                let name = RefName::new(format!("refs/heads/{short}"));
                assert!(pattern.is_match(name.as_bstr()), "{short}");
            }
        }
    }

    /// Tags that name versions are made once; others are free.
    #[test]
    fn version_tags() {
        for (short, expected) in [
            ("v1.0", Some("refs/tags/v[0-9]*")),
            ("1.2.3-rc1", Some("refs/tags/[0-9]*")),
            ("v", None),
            ("nightly", None),
            ("2024", None),
            ("very.old", None),
        ] {
            let found = version(short);
            assert_eq!(found.as_deref(), expected, "{short}");
            if let Some(pattern) = found {
                let pattern = Pattern::parse(&pattern).unwrap();
                let name = RefName::new(format!("refs/tags/{short}"));
                assert!(pattern.is_match(name.as_bstr()), "{short}");
            }
        }
    }
}
