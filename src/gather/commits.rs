//! New commits, read strictly: on all cores where there are many.
//!
//! What a commit says, whom its signature proves, and whether its trees are sound depends on nothing
//! but what is read. So it does not matter which thread reads it: the facts are the same. Where
//! anything is wrong, all of it is looked at again by one thread, which finds it in order.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bstr::BString;
use jiff::Timestamp;

use crate::git::changes;
use crate::git::{GitError, Repo};
use crate::judge::facts::Notice;
use crate::judge::verdict::Code;
use crate::people::People;
use crate::people::verify::{SignatureFault, Signer};
use crate::wire::oid::Oid;

use super::{Desk, GatherError, fault_code, notice};

/// From so many commits on they are worth threads.
const MANY: usize = 256;
/// How many commits a thread takes at once: neighbours have most of their trees in common.
const BLOCK: usize = 64;
/// The most threads: each keeps what it read.
const MOST_THREADS: usize = 4;

/// The most bytes of names that one commit may say had a hand in it: some hundred co-authors.
const NAMED: usize = 16 << 10;
/// The most bytes that are kept of what commits say; what is beyond is read again.
const KEPT: usize = 32 << 20;

/// What a commit says, and what its signature proves at the time of the question.
#[derive(Debug)]
pub(crate) struct Said {
    /// Of people: mostly the same as many others.
    pub(crate) who: Arc<Who>,
    /// When it was committed and written, by its own word, in seconds.
    pub(crate) seconds: [u64; 2],
}

/// What a commit says of people, and whom its signature proves.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    /// The author's e-mail.
    pub(crate) author: BString,
    /// The committer's e-mail.
    pub(crate) committer: BString,
    /// E-mails, or whole values, of co-author trailers.
    pub(crate) co_authors: Vec<BString>,
    /// None where nobody signed.
    pub(crate) signature: Option<Result<Signer, SignatureFault>>,
}

impl Said {
    /// Reads a commit and verifies its signature.
    ///
    /// # Errors
    ///
    /// [`GitError::Budget`] for more names than anybody means: each of them is told of.
    pub(crate) fn read(
        repo: &Repo,
        people: &People,
        now: Timestamp,
        oid: &Oid,
    ) -> Result<Self, GitError> {
        let commit = repo.commit(oid)?;
        let signed = commit.signed.as_ref();
        let co_authors = commit.co_authors();
        let (author, committer) = (&commit.author.email, &commit.committer.email);
        let names = co_authors.iter().chain([author, committer]);
        let named = names.map(|name| name.len()).fold(0, usize::saturating_add);
        if named > NAMED {
            let (what, limit) = ("bytes of people named in one commit", NAMED as u64);
            return Err(GitError::Budget { what, limit });
        }
        let who = Who {
            author: author.clone(),
            committer: committer.clone(),
            co_authors,
            signature: signed.map(|signed| people.verify(signed, now)),
        };
        Ok(Self {
            who: Arc::new(who),
            seconds: [commit.committer.seconds, commit.author.seconds],
        })
    }
}

impl Who {
    /// Returns what it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let names = self
            .co_authors
            .iter()
            .chain([&self.author, &self.committer]);
        let bytes = names.map(|name| name.len().saturating_add(size_of::<BString>()));
        let fault = self.signature.as_ref().and_then(|it| it.as_ref().err());
        let fault = fault.map_or(0, |fault| fault.to_string().len());
        bytes.fold(
            size_of::<Self>().saturating_add(fault),
            usize::saturating_add,
        )
    }
}

/// Parses strictly every tree that is new, by comparing each commit with its first parent: what
/// that leaves unread was read for the parent, or stood at P.
///
/// Of many commits it keeps at the desk what they say.
pub(crate) fn strict(desk: &Desk<'_>, new: &[Oid]) -> Result<Vec<Notice>, GatherError> {
    if new.len() >= MANY
        && let Some(said) = on_all_cores(desk, new)
    {
        desk.said.replace(said);
        return Ok(Vec::new());
    }
    trees_of(desk, new)
}

/// Reads all of them; nothing where there is but one core, anything is wrong, or time is over.
fn on_all_cores(desk: &Desk<'_>, new: &[Oid]) -> Option<HashMap<Oid, Said>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = Some(cores.min(MOST_THREADS)).filter(|threads| *threads > 1)?;
    let (people, now, limit) = (&*desk.rules.people, desk.now, desk.limits.paths());
    let (next, wrong) = (AtomicUsize::new(0), AtomicBool::new(false));
    let all = Mutex::new(All::default());
    let read = |repo: &Repo, expired: &dyn Fn() -> bool| {
        let mut seen = HashSet::new();
        while !wrong.load(Ordering::Relaxed) {
            let start = next.fetch_add(BLOCK, Ordering::Relaxed);
            let Some(block) = new.get(start..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let one = |oid: &Oid| -> Result<(Oid, Said), GitError> {
                let pair = trees(repo, oid)?;
                if seen.insert(pair) {
                    compare(repo, pair, limit)?;
                }
                Ok((*oid, Said::read(repo, people, now, oid)?))
            };
            let block: Result<Vec<_>, _> = block.iter().take(BLOCK).map(one).collect();
            match block {
                Ok(block) if !expired() => {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    block.into_iter().for_each(|one| all.add(one));
                }
                _ => wrong.store(true, Ordering::Relaxed),
            }
        }
    };
    let twins: Vec<Repo> = (1..threads).map(|_| desk.repo.twin()).collect();
    thread::scope(|scope| {
        for repo in twins {
            let read = &read;
            scope.spawn(move || read(&repo, &|| false));
        }
        read(desk.repo, desk.expired);
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(all.said).filter(|_| !wrong.into_inner())
}

/// What many commits say; of what several say alike, it keeps one.
#[derive(Default)]
struct All {
    said: HashMap<Oid, Said>,
    who: HashSet<Arc<Who>>,
    bytes: usize,
}

impl All {
    /// Keeps what a commit says, while there is room.
    fn add(&mut self, (oid, mut said): (Oid, Said)) {
        let known = self.who.get(&said.who);
        let new = known.map_or_else(|| said.who.bytes(), |_| 0);
        let bytes = new.saturating_add(size_of::<(Oid, Said)>());
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > KEPT {
            return;
        }
        self.bytes = bytes;
        match known {
            Some(known) => said.who = Arc::clone(known),
            None => drop(self.who.insert(Arc::clone(&said.who))),
        }
        self.said.insert(oid, said);
    }
}

/// The same, and nothing of what commits say.
pub(crate) fn trees_of(desk: &Desk<'_>, new: &[Oid]) -> Result<Vec<Notice>, GatherError> {
    let mut seen = HashSet::new();
    for (count, oid) in new.iter().enumerate() {
        if count.is_multiple_of(BLOCK) {
            desk.check_time()?;
        }
        let pair = trees(desk.repo, oid)?;
        if !seen.insert(pair) {
            continue;
        }
        match compare(desk.repo, pair, desk.limits.paths()) {
            Ok(()) => {}
            Err(GitError::Malformed { .. }) => return tree_faults(desk, &pair.1),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Vec::new())
}

/// Returns the trees of a commit's first parent, if it has one, and of the commit.
fn trees(repo: &Repo, oid: &Oid) -> Result<(Option<Oid>, Oid), GitError> {
    let commit = repo.commit(oid)?;
    let parent = commit.parents.first();
    let parent = parent.map(|parent| repo.commit(parent)).transpose()?;
    Ok((parent.map(|parent| parent.tree), commit.tree))
}

/// Reads the trees that the second has and the first has not.
fn compare(repo: &Repo, (old, new): (Option<Oid>, Oid), limit: usize) -> Result<(), GitError> {
    changes::changes(repo, old.as_ref(), &new, limit).map(drop)
}

/// Finds where in a tree, and what, the strict parser refuses.
fn tree_faults(desk: &Desk<'_>, tree: &Oid) -> Result<Vec<Notice>, GatherError> {
    let mut seen = HashSet::new();
    let faults = changes::check_trees(desk.repo, &[*tree], &mut seen, desk.limits.objects())?;
    if faults.is_empty() {
        // The other side of the comparison: what stood there before is what is malformed.
        let about = [tree.to_string(), "it replaces a malformed tree".to_owned()];
        return Ok(vec![notice(Code::MalformedObject, about)]);
    }
    let notices = faults.into_iter().take(20).map(|fault| Notice {
        code: fault_code(fault.fault),
        about: vec![fault.tree.to_string(), fault.detail],
        paths: vec![fault.path],
        at: None,
    });
    Ok(notices.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::oid::ObjectFormat;

    /// What commits say that each name others takes no more than there is room for; what all name alike is
    /// kept once.
    #[test]
    fn keeps_within_bounds() {
        let oid = |n: usize| {
            let mut id = [0; 20];
            id[..8].copy_from_slice(&n.to_be_bytes());
            Oid::from_bytes(&id).unwrap()
        };
        assert_eq!(oid(1).format(), ObjectFormat::Sha1);
        for (count, differ) in [(4_000, true), (1_000, false)] {
            let mut all = All::default();
            for n in 0..count {
                let number = if differ { n } else { 0 };
                let who = Who {
                    author: BString::from(format!("{number}-{}", "x".repeat(15 << 10))),
                    committer: BString::default(),
                    co_authors: Vec::new(),
                    signature: None,
                };
                let (who, seconds) = (Arc::new(who), [0; 2]);
                all.add((oid(n), Said { who, seconds }));
            }
            let named: usize = all.who.iter().map(|who| who.bytes()).sum();
            let said = all.said.len() * size_of::<(Oid, Said)>();
            assert!(named + said <= KEPT && said > 0, "{named}, {said}");
            let (kept, who) = (all.said.len(), all.who.len());
            match differ {
                true => assert!(kept < count && who == kept, "{kept}, {who}"),
                false => assert_eq!((kept, who), (count, 1)),
            }
        }
    }
}
