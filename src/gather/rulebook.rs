//! The policy, the people and their digest at one commit.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::git::{GitError, Repo};
use crate::people::People;
use crate::people::error::{ConfigError, ConfigFault};
use crate::policy::Policy;
use crate::policy::digest::{covers, digest};
use crate::record::entry::PolicyId;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// Where the policy stands in a tree.
pub const POLICY_FILE: &str = ".countersign/policy.toml";
/// Where the people stand.
pub const PEOPLE_FILE: &str = ".countersign/people.toml";

/// The most bytes one of these files may have.
const FILE_LIMIT: u64 = 1 << 20;
/// The most files that make up a policy.
const FILES_LIMIT: usize = 10_000;

/// Everything that decides, as of one commit of the policy ref.
#[derive(Debug)]
pub struct Rulebook {
    /// The rules.
    pub policy: Policy,
    /// The people they name.
    pub people: People,
    /// The commit and the digest.
    pub id: PolicyId,
}

/// Why there is no policy to judge by.
#[derive(Debug, thiserror::Error)]
pub enum RulebookError {
    /// One of the two files is not there.
    #[error("{file} does not exist at {commit}")]
    Missing {
        /// Which.
        file: &'static str,
        /// Where.
        commit: Oid,
    },
    /// A file says something it may not.
    #[error("{}", .0.rendered)]
    Config(ConfigError),
    /// The objects cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RulebookError {
    /// Returns whether the fault is a rule that nobody can satisfy, rather than a wrong file.
    pub fn is_unsatisfiable(&self) -> bool {
        matches!(self, Self::Config(error) if error.kind == ConfigFault::Unsatisfiable)
    }
}

impl Rulebook {
    /// Reads policy and people at `commit`, strictly.
    ///
    /// Both must be regular files of at most 1 MiB. Nothing outside that commit's tree is read.
    pub fn at(repo: &Repo, commit: &Oid) -> Result<Self, RulebookError> {
        let tree = repo.commit(commit)?.tree;
        let people = read(repo, &tree, PEOPLE_FILE)?.ok_or(RulebookError::Missing {
            file: PEOPLE_FILE,
            commit: *commit,
        })?;
        let policy = read(repo, &tree, POLICY_FILE)?.ok_or(RulebookError::Missing {
            file: POLICY_FILE,
            commit: *commit,
        })?;
        let key_file = |path: &str| read(repo, &tree, path).ok().flatten();
        let people = People::parse(&people, &key_file).map_err(RulebookError::Config)?;
        let policy = Policy::parse(&policy, &people).map_err(RulebookError::Config)?;
        let id = PolicyId {
            commit: *commit,
            digest: tree_digest(repo, &tree)?,
        };
        Ok(Self { policy, people, id })
    }
}

/// Reads a regular file of a tree, or nothing where there is none.
fn read(repo: &Repo, tree: &Oid, path: &str) -> Result<Option<Vec<u8>>, GitError> {
    match repo.file_at(tree, path.as_bytes())? {
        Some((FileMode::File | FileMode::Executable, oid)) => {
            Ok(Some(repo.raw(&oid, ObjectKind::Blob, FILE_LIMIT)?.to_vec()))
        }
        _ => Ok(None),
    }
}

/// Returns the policy digest (design §8): over `.countersign/**` and the owners files.
fn tree_digest(repo: &Repo, tree: &Oid) -> Result<String, GitError> {
    let mut files = BTreeMap::new();
    collect(repo, tree, b"", 0, &mut files)?;
    let mut rows = Vec::with_capacity(files.len());
    for (path, (mode, oid)) in files {
        let sha256 = match mode {
            // What a submodule holds is not here; its id stands for it.
            FileMode::Submodule => hex(&Sha256::digest(oid.as_bytes())),
            _ => {
                let limit = 32 << 20;
                hex(&Sha256::digest(&*repo.raw(
                    &oid,
                    ObjectKind::Blob,
                    limit,
                )?))
            }
        };
        rows.push((mode.octal(), path, sha256));
    }
    Ok(digest(&rows))
}

/// Walks `.countersign/` whole, and the directories an owners file may stand in one level deep.
fn collect(
    repo: &Repo,
    tree: &Oid,
    prefix: &[u8],
    depth: usize,
    files: &mut BTreeMap<Vec<u8>, (FileMode, Oid)>,
) -> Result<(), GitError> {
    if depth > 16 || files.len() > FILES_LIMIT {
        return Err(GitError::Budget {
            what: "policy files",
            limit: FILES_LIMIT as u64,
        });
    }
    for entry in repo.tree(tree)?.iter() {
        let mut path = prefix.to_vec();
        path.extend_from_slice(&entry.name);
        let ours = path == b".countersign" || path.starts_with(b".countersign/");
        match entry.mode {
            FileMode::Tree if ours || (depth == 0 && holds_owners(&path)) => {
                path.push(b'/');
                collect(repo, &entry.oid, &path, depth.saturating_add(1), files)?;
            }
            FileMode::Tree => {}
            mode if covers(&path) => {
                files.insert(path, (mode, entry.oid));
            }
            _ => {}
        }
    }
    Ok(())
}

fn holds_owners(directory: &[u8]) -> bool {
    let mut path = directory.to_vec();
    path.extend_from_slice(b"/CODEOWNERS");
    covers(&path)
}

/// Returns lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
