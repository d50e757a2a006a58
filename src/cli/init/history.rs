//! Who made the newest commits, and which keys signed them.
//!
//! Headers are anybody's word. A signature that verifies shows that whoever holds its key made a commit
//! under that address, which is all that a history can show.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};

use bstr::ByteSlice;
use jiff::Timestamp;

use crate::git::{GitError, Repo};
use crate::people::ssh::SshKey;
use crate::people::verify::issuer;
use crate::wire::allowed_signers::KeyText;
use crate::wire::armor::{self, SignatureBlock};
use crate::wire::commit::Commit;
use crate::wire::ident::Ident;
use crate::wire::object::Signed;
use crate::wire::oid::Oid;
use crate::wire::openpgp::DocumentSignature;
use crate::wire::ssh_certificate::is_certificate;

/// The most commits that are read, newest first.
const NEWEST: usize = 10_000;
/// The most characters that are kept of a name.
const LONGEST_NAME: usize = 100;

/// What the commits say.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By e-mail, in lower case.
    pub(super) addresses: BTreeMap<String, Address>,
    /// ssh keys by fingerprint.
    pub(super) keys: BTreeMap<String, Key>,
    /// How many commits were read.
    pub(super) commits: usize,
    /// Whether there are more.
    pub(super) cut: bool,
    /// Commits that are not what git writes.
    pub(super) malformed: usize,
    /// Commits whose author or committer has no usable address.
    pub(super) nameless: usize,
    /// Commits signed with a key that a CA certifies.
    pub(super) certified: usize,
    /// Signatures that are bad, or of a kind that is not verified.
    pub(super) unusable: usize,
    /// The newest committer date that is not in the future, in seconds.
    pub(super) newest: u64,
}

/// One address in author and committer lines.
#[derive(Debug, Default)]
pub(super) struct Address {
    /// The names beside it, with how often.
    pub(super) names: BTreeMap<String, usize>,
    /// How many commits it has a part in.
    pub(super) commits: usize,
    /// How many of them it committed.
    pub(super) committed: usize,
    /// When the newest of them was committed, in seconds; 0 where every date lies in the future.
    pub(super) newest: u64,
    /// What its OpenPGP signatures name: fingerprints or key ids. Not verified.
    pub(super) openpgp: BTreeSet<String>,
}

/// An ssh key that verified.
#[derive(Debug)]
pub(super) struct Key {
    /// As in a `.pub` file.
    pub(super) text: KeyText,
    /// The committers' addresses, with how often.
    pub(super) signed: BTreeMap<String, usize>,
}

impl History {
    /// Reads the newest commits that lead to `tip`. A shallow clone ends where it ends.
    pub(super) fn read(repo: &Repo, tip: &Oid, now: Timestamp) -> Result<Self, GitError> {
        let mut history = Self::default();
        let mut seen = HashSet::from([*tip]);
        // By date alone, which lies at worst about which commits are the newest.
        let mut open = BinaryHeap::from([(u64::MAX, *tip)]);
        while let Some((_, oid)) = open.pop() {
            if history.commits >= NEWEST {
                history.cut = true;
                break;
            }
            let parents = match repo.commit(&oid) {
                Ok(commit) => {
                    history.take(&commit, now);
                    commit.parents.clone()
                }
                Err(GitError::Missing(_)) if oid != *tip => continue,
                Err(GitError::Malformed { .. }) => {
                    history.malformed = history.malformed.saturating_add(1);
                    repo.parents(&oid)?
                }
                Err(error) => return Err(error),
            };
            history.commits = history.commits.saturating_add(1);
            for parent in parents {
                if seen.insert(parent) {
                    let date = repo
                        .commit(&parent)
                        .map_or(0, |commit| commit.committer.seconds);
                    open.push((date, parent));
                }
            }
        }
        Ok(history)
    }

    fn take(&mut self, commit: &Commit, now: Timestamp) {
        let date = commit.committer.seconds;
        let past = i64::try_from(date).is_ok_and(|date| date <= now.as_second());
        let date = if past { date } else { 0 };
        self.newest = self.newest.max(date);
        let author = self.part(&commit.author, date);
        let committer = self.part(&commit.committer, date);
        if author.is_none() || committer.is_none() {
            self.nameless = self.nameless.saturating_add(1);
        }
        let Some(committer) = committer else {
            return;
        };
        if author.as_ref() == Some(&committer)
            && let Some(address) = self.addresses.get_mut(&committer)
        {
            // Both lines are one part in one commit.
            address.commits = address.commits.saturating_sub(1);
        }
        // What a forge commits, its author had it commit.
        let by = match is_forge(&committer) {
            true => author.as_ref(),
            false => Some(&committer),
        };
        if let Some(address) = by.and_then(|email| self.addresses.get_mut(email)) {
            address.committed = address.committed.saturating_add(1);
        }
        if let Some(signed) = &commit.signed {
            self.signature(signed, &committer);
        }
    }

    /// Counts one line of a commit and returns its address, if it is one that people.toml takes.
    fn part(&mut self, ident: &Ident, date: u64) -> Option<String> {
        let email = ident.email.to_str().ok()?.to_ascii_lowercase();
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
        if email.is_empty() || email.len() > 254 || email.contains(odd) {
            return None;
        }
        let address = self.addresses.entry(email.clone()).or_default();
        let name = ident.name.to_str_lossy();
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let count = address.names.entry(name).or_default();
        *count = count.saturating_add(1);
        address.commits = address.commits.saturating_add(1);
        address.newest = address.newest.max(date);
        Some(email)
    }

    fn signature(&mut self, signed: &Signed, committer: &str) {
        match Made::by(signed) {
            Made::Ssh(key) => {
                let text = KeyText {
                    kind: key.kind().to_owned(),
                    blob: key.blob().to_vec(),
                    comment: String::new(),
                };
                let key = self.keys.entry(key.fingerprint()).or_insert_with(|| Key {
                    text,
                    signed: BTreeMap::new(),
                });
                let count = key.signed.entry(committer.to_owned()).or_default();
                *count = count.saturating_add(1);
            }
            Made::OpenPgp(name) => {
                if let Some(address) = self.addresses.get_mut(committer) {
                    address.openpgp.insert(name);
                }
            }
            Made::Certified => self.certified = self.certified.saturating_add(1),
            Made::Unusable => self.unusable = self.unusable.saturating_add(1),
        }
    }
}

/// Returns whether it is the address of a forge, or of a program that wants no answer; people who
/// hide theirs behind GitHub's `users.noreply` have a name before it.
pub(super) fn is_forge(email: &str) -> bool {
    let local = email.split('@').next().unwrap_or_default();
    let local = local.replace(['-', '_', '.'], "");
    matches!(local.as_str(), "noreply" | "donotreply")
}

/// What a signature shows by itself.
enum Made {
    /// It verifies by this key, which it carries.
    Ssh(Box<SshKey>),
    /// It names this OpenPGP key, which must be looked at elsewhere.
    OpenPgp(String),
    /// The key is certified: by whom, `[[ca]]` would have to say.
    Certified,
    /// Bad, or of another kind.
    Unusable,
}

impl Made {
    fn by(signed: &Signed) -> Self {
        match armor::parse(&signed.armor) {
            Ok(SignatureBlock::Ssh(signature)) if is_certificate(&signature.public_key) => {
                Self::Certified
            }
            Ok(SignatureBlock::Ssh(signature)) if signature.namespace == b"git" => {
                let message = signature.signed_bytes(&signed.payload);
                match SshKey::parse_blob(&signature.public_key) {
                    Ok(key) if key.verify(&message, &signature.signature, false).is_ok() => {
                        Self::Ssh(Box::new(key))
                    }
                    Ok(_) | Err(_) => Self::Unusable,
                }
            }
            Ok(SignatureBlock::OpenPgp(packets)) => match DocumentSignature::parse(&packets) {
                Ok(signature) => Self::OpenPgp(issuer(&signature)),
                Err(_) => Self::Unusable,
            },
            Ok(SignatureBlock::Ssh(_) | SignatureBlock::X509) | Err(_) => Self::Unusable,
        }
    }
}
