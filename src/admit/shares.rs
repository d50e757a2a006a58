//! Replaying a log in shares, at once.
//!
//! Each entry is held against the log before it, never against what another replay found: so what
//! comes out does not depend on the shares.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::git::Repo;
use crate::record::Record;
use crate::record::entry::Genesis;

use super::AdmitError;
use super::history::{History, Replay};

/// The fewest entries that are worth a thread of their own.
const SHARE: u64 = 512;
/// How often is looked how far they are.
const LOOK: Duration = Duration::from_millis(20);

/// Cuts a range of entries into about equal ones, as many as there are cores, none too small to be
/// worth a thread.
pub fn shares(whole: Range<u64>) -> Vec<Range<u64>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cut(whole, u64::try_from(cores).unwrap_or(1))
}

fn cut(whole: Range<u64>, cores: u64) -> Vec<Range<u64>> {
    let len = whole.end.saturating_sub(whole.start);
    let share = len.div_ceil(cores.max(1)).max(SHARE);
    let mut shares = Vec::new();
    let mut start = whole.start;
    while start < whole.end {
        let end = start.saturating_add(share).min(whole.end);
        shares.push(start..end);
        start = end;
    }
    shares
}

/// Replays shares of the log at once: each entry is held against the log before it, never against
/// what another replay found.
pub(super) fn side_by_side(
    repo: &Repo,
    record: &Record,
    genesis: &Genesis,
    shares: &[Range<u64>],
    progress: &mut dyn FnMut(u64),
) -> Result<History, AdmitError> {
    // Built here, for all of them.
    record.view()?;
    let (git_dir, door) = (repo.git_dir(), record.door());
    let done = AtomicU64::new(0);
    let replay = |range: &Range<u64>| {
        let repo = Repo::open(git_dir, None)?;
        let record = door.open()?;
        Replay::new(&repo, &record, genesis).over(range.clone(), &mut |_| {
            done.fetch_add(1, Ordering::Relaxed);
        })
    };
    let replay = &replay;
    let results: Vec<Result<History, AdmitError>> = thread::scope(|scope| {
        let workers: Vec<_> = shares
            .iter()
            .map(|range| scope.spawn(move || replay(range)))
            .collect();
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            thread::sleep(LOOK);
            progress(done.load(Ordering::Relaxed));
        }
        let joined = workers.into_iter().map(ScopedJoinHandle::join);
        // A panic is one of the whole, and ends it.
        joined
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = History::default();
    for history in results {
        all.add(history?);
    }
    Ok(all)
}

impl History {
    fn add(&mut self, other: Self) {
        let Self {
            entries,
            reviews,
            reviewed,
            dry_run,
            unasked,
            late,
            pending,
            adopted,
            incidents,
            problems,
        } = other;
        self.entries += entries;
        self.reviews += reviews;
        self.reviewed += reviewed;
        self.dry_run += dry_run;
        self.unasked += unasked;
        self.late += late;
        self.pending += pending;
        self.adopted += adopted;
        self.incidents += incidents;
        self.problems.extend(problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares follow one another and are the whole, at most one for each core.
    #[test]
    fn shares_are_the_whole() {
        for (whole, cores, expected) in [
            (0..0, 4, "[]"),
            (7..8, 4, "[7..8]"),
            (0..SHARE, 4, "[0..512]"),
            (3..1_030, 0, "[3..1030]"),
            (3..1_031, 2, "[3..517, 517..1031]"),
            (0..100_001, 3, "[0..33334, 33334..66668, 66668..100001]"),
        ] {
            assert_eq!(format!("{:?}", cut(whole, cores)), expected);
        }
    }
}
