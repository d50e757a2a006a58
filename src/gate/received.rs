//! Who first brought which commits to this server.

use std::collections::BTreeSet;

use crate::gather::{Bringer, Bringers};
use crate::git::{GitError, Repo};
use crate::record::{Record, RecordError};
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::push::RefUpdate;

/// The most tags that are followed from a pushed one to its commit.
const TAG_DEPTH: usize = 8;

/// Answers from the record's notes; what lies in quarantine comes with this very push.
pub(crate) struct Noted<'a> {
    pub(crate) repo: &'a Repo,
    pub(crate) record: &'a Record,
}

impl Bringers for Noted<'_> {
    fn bringer(&self, commit: &Oid) -> Result<Option<Bringer>, RecordError> {
        let noted = self.record.bringer(commit)?;
        Ok(noted.map(|(person, at)| Bringer { person, at }))
    }

    fn arrives(&self, commit: &Oid) -> bool {
        self.repo.arrives(commit)
    }
}

/// Lists the commits that a push brings: reachable from its tips, and only in quarantine.
pub(crate) fn arriving(
    repo: &Repo,
    updates: &[RefUpdate],
    limit: u64,
) -> Result<Vec<Oid>, GitError> {
    let mut stack = Vec::new();
    for update in updates.iter().filter(|update| !update.new.is_zero()) {
        stack.extend(commit_of(repo, &update.new)?);
    }
    let mut new = BTreeSet::new();
    while let Some(oid) = stack.pop() {
        if new.contains(&oid) || !repo.arrives(&oid) {
            continue;
        }
        if new.len() as u64 >= limit {
            return Err(GitError::Budget {
                what: "commits in one push",
                limit,
            });
        }
        stack.extend(repo.parents(&oid)?);
        new.insert(oid);
    }
    Ok(new.into_iter().collect())
}

/// Follows tags to a commit; other objects bring no commits.
fn commit_of(repo: &Repo, oid: &Oid) -> Result<Option<Oid>, GitError> {
    let mut at = *oid;
    for _ in 0..TAG_DEPTH {
        match repo.kind_and_size(&at)?.0 {
            ObjectKind::Commit => return Ok(Some(at)),
            ObjectKind::Tag => at = repo.tag(&at)?.target,
            ObjectKind::Tree | ObjectKind::Blob => return Ok(None),
        }
    }
    Ok(None)
}
