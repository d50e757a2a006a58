//! Policy and people as they stand at one commit, with the digest that names them.

use std::cell::RefCell;
use std::sync::Arc;

use faster_hex::hex_string;
use sha2::{Digest, Sha256};

use crate::git::{GitError, Repo};
use crate::people::{ConfigError, People};
use crate::policy::classes::OWNERS_FILES;
use crate::policy::{Policy, digest};
use crate::record::entry::PolicyId;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// The folder that policy and people stand in.
pub const FOLDER: &str = ".countersign";
/// The most files below it.
const MAX_FILES: usize = 10_000;
/// The most bytes of one of them.
const MAX_BYTES: u64 = 1 << 20;
/// How deep folders below it may nest.
const MAX_DEPTH: usize = 16;

/// Everything that decides who must review, as of one commit.
#[derive(Clone, Debug)]
pub struct Rulebook {
    /// The commit it was read from, and SHA-256 over every file that belongs to it.
    pub id: PolicyId,
    /// `people.toml` and the key files it names.
    pub people: Arc<People>,
    /// `policy.toml`.
    pub policy: Arc<Policy>,
    /// All that it was read from.
    source: Source,
}

/// What stands at [`FOLDER`] and at each path of [`OWNERS_FILES`].
type Source = Vec<Option<(FileMode, Oid)>>;

/// Why a commit gives no rulebook.
#[derive(Debug, thiserror::Error)]
pub enum RulebookError {
    /// One of the two files is not there: `policy-missing`.
    #[error("{file} is missing in {commit}")]
    Missing {
        /// Where it was looked for.
        commit: Oid,
        /// Which.
        file: &'static str,
    },
    /// A link or a folder stands where a file must: `unsafe-mode`.
    #[error("{path} is no plain file (mode {mode})")]
    NotAFile {
        /// Where.
        path: String,
        /// As trees spell it.
        mode: &'static str,
    },
    /// More files, or deeper, than is read.
    #[error("more than {MAX_FILES} files, or deeper than {MAX_DEPTH} folders, below {FOLDER}")]
    TooMany,
    /// A file that says something that is not allowed: `policy-invalid`, `unsatisfiable-rule`.
    #[error(transparent)]
    Invalid(#[from] Box<ConfigError>),
    /// git could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Rulebook {
    /// Reads the rulebook of a commit.
    ///
    /// Depends on the commit alone: no clock, no configuration.
    pub fn at(repo: &Repo, commit: &Oid) -> Result<Self, RulebookError> {
        Reader::new(repo, commit)?.read()
    }

    /// Returns whether two commits are known to have the same files, whatever these say.
    pub fn is_same(repo: &Repo, one: &Oid, other: &Oid) -> bool {
        let source = |commit| Reader::new(repo, commit)?.source();
        matches!((source(one), source(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Reads the rulebook of another commit, which mostly is the same one.
    pub fn beside(&self, repo: &Repo, commit: &Oid) -> Result<Self, RulebookError> {
        let reader = Reader::new(repo, commit)?;
        // Whatever cannot be looked up has its error in its order.
        if reader.source().ok().as_ref() != Some(&self.source) {
            return reader.read();
        }
        let id = PolicyId {
            commit: *commit,
            digest: self.id.digest.clone(),
        };
        Ok(Self {
            id,
            people: Arc::clone(&self.people),
            policy: Arc::clone(&self.policy),
            source: self.source.clone(),
        })
    }
}

/// The rulebook that was read last: in a long replay it seldom changes.
#[derive(Debug, Default)]
pub struct Rulebooks(RefCell<Option<Rulebook>>);

impl Rulebooks {
    /// Reads the rulebook of a commit, as [`Rulebook::at`] does.
    pub fn at(&self, repo: &Repo, commit: &Oid) -> Result<Rulebook, RulebookError> {
        let last = self.0.borrow().clone();
        let read = match last {
            Some(last) => last.beside(repo, commit)?,
            None => Rulebook::at(repo, commit)?,
        };
        self.0.replace(Some(read.clone()));
        Ok(read)
    }
}

struct Reader<'r> {
    repo: &'r Repo,
    commit: Oid,
    tree: Oid,
}

impl<'r> Reader<'r> {
    fn new(repo: &'r Repo, commit: &Oid) -> Result<Self, RulebookError> {
        Ok(Self {
            repo,
            commit: *commit,
            tree: repo.commit(commit)?.tree,
        })
    }

    fn source(&self) -> Result<Source, RulebookError> {
        let paths = std::iter::once(FOLDER).chain(OWNERS_FILES.iter().copied());
        let found = paths.map(|path| self.repo.file_at(&self.tree, path.as_bytes()));
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn read(&self) -> Result<Rulebook, RulebookError> {
        let people = self.people()?;
        let text = self.must(crate::policy::parse::FILE)?;
        let policy = Policy::parse(&text, &people).map_err(Box::new)?;
        let id = PolicyId {
            commit: self.commit,
            digest: self.digest()?,
        };
        Ok(Rulebook {
            id,
            people: Arc::new(people),
            policy: Arc::new(policy),
            source: self.source()?,
        })
    }

    fn people(&self) -> Result<People, RulebookError> {
        let text = self.must(crate::people::parse::FILE)?;
        // What git says about a key file, for the parser only knows that there is none.
        let failed = RefCell::new(None);
        let files = |path: &str| match self.file(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                failed.replace(Some(error));
                None
            }
        };
        let people = People::parse(&text, &files);
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(people.map_err(Box::new)?),
        }
    }

    fn must(&self, file: &'static str) -> Result<Vec<u8>, RulebookError> {
        self.file(file)?.ok_or(RulebookError::Missing {
            commit: self.commit,
            file,
        })
    }

    fn file(&self, path: &str) -> Result<Option<Vec<u8>>, RulebookError> {
        match self.repo.file_at(&self.tree, path.as_bytes())? {
            None => Ok(None),
            Some((FileMode::File | FileMode::Executable, oid)) => {
                let bytes = self.repo.raw(&oid, ObjectKind::Blob, MAX_BYTES)?;
                Ok(Some(bytes.to_vec()))
            }
            Some((mode, _)) => Err(RulebookError::NotAFile {
                path: path.to_owned(),
                mode: mode.octal(),
            }),
        }
    }

    fn digest(&self) -> Result<String, RulebookError> {
        let mut files = Vec::new();
        if let Some((FileMode::Tree, oid)) = self.repo.file_at(&self.tree, FOLDER.as_bytes())? {
            self.collect(&oid, FOLDER.as_bytes(), MAX_DEPTH, &mut files)?;
        }
        for path in OWNERS_FILES {
            if let Some((mode, oid)) = self.repo.file_at(&self.tree, path.as_bytes())?
                && mode != FileMode::Tree
            {
                files.push(self.hashed(mode, path.as_bytes().to_vec(), &oid)?);
            }
        }
        Ok(digest::digest(&files))
    }

    fn collect(
        &self,
        tree: &Oid,
        folder: &[u8],
        depth: usize,
        files: &mut Vec<(&'static str, Vec<u8>, String)>,
    ) -> Result<(), RulebookError> {
        let below = depth.checked_sub(1).ok_or(RulebookError::TooMany)?;
        for entry in self.repo.tree(tree)?.iter() {
            let path = [folder, b"/", &entry.name].concat();
            if entry.mode == FileMode::Tree {
                self.collect(&entry.oid, &path, below, files)?;
            } else {
                files.push(self.hashed(entry.mode, path, &entry.oid)?);
            }
            if files.len() > MAX_FILES {
                return Err(RulebookError::TooMany);
            }
        }
        Ok(())
    }

    /// A submodule's content is elsewhere; its commit id stands for it.
    fn hashed(
        &self,
        mode: FileMode,
        path: Vec<u8>,
        oid: &Oid,
    ) -> Result<(&'static str, Vec<u8>, String), RulebookError> {
        let hash = match mode {
            FileMode::Submodule => Sha256::digest(oid.to_string()),
            FileMode::Tree | FileMode::File | FileMode::Executable | FileMode::Symlink => {
                Sha256::digest(&self.repo.raw(oid, ObjectKind::Blob, MAX_BYTES)?)
            }
        };
        Ok((mode.octal(), path, hex_string(&hash)))
    }
}
