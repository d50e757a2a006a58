//! What a reviewer would not see of a change, looked for in the new side of every changed path.
//!
//! Only what is read here depends on content; who must approve never does. Bounds: a file above
//! `bytes` of the limits is not read but said to be large, and all that is read of one step together
//! is no more than [`FILES`] times that.

use std::collections::BTreeMap;

use crate::git::changes::Change;
use crate::git::{GitError, Repo};
use crate::judge::facts::Notice;
use crate::judge::verdict::Code;
use crate::policy::{Class, Policy};
use crate::wire::hidden::{self, Hidden, Reason};
use crate::wire::name::RepoPath;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

use super::{Desk, GatherError, notice};

/// How many files as large as allowed may change in one step.
const FILES: u64 = 32;
/// The most paths that one notice lists.
const LISTED: usize = 100;

/// Returns one notice for each reason and set of classes, with the paths it holds for.
///
/// What severity that is depends on the classes alone, so paths of unlike classes are kept apart;
/// else one image more would drown what matters. Paths that the policy exempts are not looked at.
pub(crate) fn look(desk: &Desk<'_>, changed: &[Change]) -> Result<Vec<Notice>, GatherError> {
    let mut budget = Budget::of(desk.limits.bytes);
    let mut seen = Seen::default();
    let mut wrong = Vec::new();
    for (count, change) in changed.iter().enumerate() {
        if count.is_multiple_of(64) {
            desk.check_time()?;
        }
        let policy = &desk.rules.policy;
        let Some((mode, oid)) = change.new.filter(|_| !policy.may_hide(&change.path)) else {
            continue;
        };
        let mut all: Vec<Hidden> = hidden::in_path(&change.path).into_iter().collect();
        if mode != FileMode::Submodule && !same_file(change) {
            match content(desk.repo, &change.path, &oid, &mut budget) {
                Ok(found) => all.extend(found),
                Err(GitError::WrongKind { .. }) => {
                    let why = "no blob, where its mode says so".to_owned();
                    wrong.push(Notice {
                        paths: vec![change.path.clone()],
                        ..notice(Code::MalformedObject, [oid.to_string(), why])
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        seen.add(policy, &change.path, all);
    }
    wrong.truncate(LISTED);
    Ok(wrong.into_iter().chain(seen.notices()).collect())
}

/// Returns whether only the executable bit changed.
fn same_file(change: &Change) -> bool {
    let file = |mode| matches!(mode, FileMode::File | FileMode::Executable);
    match (change.old, change.new) {
        (Some((old_mode, old)), Some((new_mode, new))) => {
            old == new && file(old_mode) && file(new_mode)
        }
        _ => false,
    }
}

fn content(
    repo: &Repo,
    path: &RepoPath,
    oid: &Oid,
    budget: &mut Budget,
) -> Result<Vec<Hidden>, GitError> {
    let (_, size) = repo.kind_and_size(oid)?;
    if size > budget.single {
        return Ok(vec![Hidden::large(size)]);
    }
    budget.spend(size)?;
    match repo.raw(oid, ObjectKind::Blob, budget.single) {
        Ok(bytes) => Ok(hidden::in_file(path, &bytes)),
        // More than the object store inflates, whatever the limits say.
        Err(GitError::TooLarge { size, .. }) => Ok(vec![Hidden::large(size)]),
        Err(error) => Err(error),
    }
}

struct Budget {
    single: u64,
    total: u64,
    left: u64,
}

impl Budget {
    fn of(bytes: u64) -> Self {
        let total = bytes.saturating_mul(FILES);
        Self {
            single: bytes,
            total,
            left: total,
        }
    }

    fn spend(&mut self, size: u64) -> Result<(), GitError> {
        self.left = self.left.checked_sub(size).ok_or(GitError::Budget {
            what: "bytes of changed files",
            limit: self.total,
        })?;
        Ok(())
    }
}

/// What was found so far, by reason and classes.
#[derive(Default)]
struct Seen {
    groups: BTreeMap<(Reason, Vec<Class>), Group>,
}

struct Group {
    first: Hidden,
    paths: Vec<RepoPath>,
    more: usize,
}

impl Seen {
    fn add(&mut self, policy: &Policy, path: &RepoPath, found: Vec<Hidden>) {
        if found.is_empty() {
            return;
        }
        let classes = policy.classes(path);
        for hidden in found {
            let key = (hidden.reason, classes.clone());
            let group = self.groups.entry(key).or_insert_with(|| Group {
                first: hidden,
                paths: Vec::new(),
                more: 0,
            });
            match group.paths.len() < LISTED {
                true => group.paths.push(path.clone()),
                false => group.more = group.more.saturating_add(1),
            }
        }
    }

    fn notices(self) -> impl Iterator<Item = Notice> {
        self.groups.into_values().map(|group| {
            let Group { first, paths, more } = group;
            let at = first.line.zip(paths.first());
            let mut about = vec![first.reason.to_string()];
            about.extend((!first.what.is_empty()).then_some(first.what));
            about.extend((more > 0).then(|| format!("and {more} more paths")));
            Notice {
                code: Code::HiddenContent,
                about,
                at: at.map(|(line, path)| format!("{path}:{line}")),
                paths,
            }
        })
    }
}
