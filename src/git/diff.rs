//! What differs between two texts, by lines: the diff of `merge/v1`.
//!
//! A histogram diff as git's, each choice of it written down in `docs/spec/merge-v1.md`. Where every
//! line that two stretches share is frequent git takes another diff; here there is none then.

use std::ops::Range;

use super::GitError;

/// A line that stands more often in a stretch of base holds nothing together.
const FREQUENT: u32 = 64;
/// Most lines that the searches of one merge go through, each as often as it is gone through.
const SEARCH_LIMIT: usize = 10_000_000;
/// Stands for no place.
const NOWHERE: u32 = u32::MAX;

/// Lines of base, and those that stand there instead; one of them may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) before: Range<usize>,
    pub(super) after: Range<usize>,
}

/// Returns the changes from one text to another, top down, at least one common line between two;
/// `None` where frequent lines leave open which they are.
///
/// Lines are numbers below `distinct`, equal where the lines are. `searched` counts the lines gone
/// through, over all diffs of a merge.
///
/// # Errors
///
/// [`GitError::Budget`] when that becomes more than [`SEARCH_LIMIT`].
pub(super) fn hunks(
    before: &[u32],
    after: &[u32],
    distinct: usize,
    searched: &mut usize,
) -> Result<Option<Vec<Hunk>>, GitError> {
    let mut diff = Diff {
        before,
        after,
        removed: vec![false; before.len()],
        added: vec![false; after.len()],
    };
    if !diff.mark(distinct, searched)? {
        return Ok(None);
    }
    Slide::all(before, &mut diff.removed, &diff.added);
    Slide::all(after, &mut diff.added, &diff.removed);
    Ok(Some(diff.hunks()))
}

/// Two texts, and which of their lines are not in the other.
struct Diff<'t> {
    before: &'t [u32],
    after: &'t [u32],
    removed: Vec<bool>,
    added: Vec<bool>,
}

/// A stretch of either text.
struct Stretch {
    before: Range<usize>,
    after: Range<usize>,
}

/// Lines that two stretches have in common, one below the other.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    before: usize,
    after: usize,
    len: usize,
}

/// What a search comes to.
enum Found {
    Run(Run),
    /// No line is in both stretches.
    Nothing,
    /// Lines are, but frequent ones only.
    Frequent,
}

impl Diff<'_> {
    /// Splits both texts at the run that holds them together best, then what is above and below.
    /// Returns whether each stretch had such a run, or no line in common.
    fn mark(&mut self, distinct: usize, searched: &mut usize) -> Result<bool, GitError> {
        let mut certain = true;
        let mut index = Index::new(self.before.len(), distinct);
        let mut open = vec![Stretch {
            before: 0..self.before.len(),
            after: 0..self.after.len(),
        }];
        while let Some(stretch) = open.pop() {
            if stretch.before.is_empty() || stretch.after.is_empty() {
                self.change(&stretch);
                continue;
            }
            *searched = searched
                .saturating_add(stretch.before.len())
                .saturating_add(stretch.after.len());
            if *searched > SEARCH_LIMIT {
                return Err(GitError::Budget {
                    what: "lines to search in a merge",
                    limit: SEARCH_LIMIT as u64,
                });
            }
            index.fill(self.before, &stretch.before);
            let found = self.search(&index, &stretch);
            index.clear(self.before, &stretch.before);
            match found {
                Found::Nothing => self.change(&stretch),
                Found::Frequent => certain = false,
                Found::Run(run) => {
                    let (above, below) = stretch.around(run);
                    open.push(below);
                    open.push(above);
                }
            }
        }
        Ok(certain)
    }

    /// Tries the runs through each line of the one stretch that is not too frequent in the other,
    /// top down; one that is longer than the best so far, or has a rarer line, takes its place.
    fn search(&self, index: &Index, stretch: &Stretch) -> Found {
        let mut best = Run::default();
        let mut rarest = FREQUENT;
        let mut common = false;
        let mut at = stretch.after.start;
        while at < stretch.after.end {
            let mut next = at.saturating_add(1);
            let seen = self.after.get(at).map(|line| index.seen(*line));
            let seen = seen.unwrap_or_default();
            common |= seen.count > 0;
            let mut place = match seen.count <= rarest {
                true => seen.first,
                false => NOWHERE,
            };
            while place != NOWHERE {
                let run = self.run(stretch, place as usize, at);
                let count = self.rarity(index, &run);
                next = next.max(run.after.saturating_add(run.len));
                if run.len > best.len || count < rarest {
                    best = run;
                    rarest = count;
                }
                // What lies inside of the run is not tried again.
                let end = run.before.saturating_add(run.len);
                while (place as usize) < end {
                    place = index.next(place);
                }
            }
            at = next;
        }
        match (best.len, common) {
            (0, false) => Found::Nothing,
            (0, true) => Found::Frequent,
            _ => Found::Run(best),
        }
    }

    /// Returns the longest run through a line that both stretches have at these places.
    fn run(&self, stretch: &Stretch, before: usize, after: usize) -> Run {
        fn part(text: &[u32], range: Range<usize>) -> &[u32] {
            text.get(range).unwrap_or_default()
        }
        let same = |(a, b): &(&u32, &u32)| a == b;
        let texts = (
            part(self.before, stretch.before.start..before),
            part(self.after, stretch.after.start..after),
        );
        let up = texts.0.iter().rev().zip(texts.1.iter().rev());
        let up = up.take_while(same).count();
        let texts = (
            part(self.before, before..stretch.before.end),
            part(self.after, after..stretch.after.end),
        );
        let down = texts.0.iter().zip(texts.1).take_while(same).count();
        Run {
            before: before.saturating_sub(up),
            after: after.saturating_sub(up),
            len: up.saturating_add(down),
        }
    }

    /// Returns how often the rarest line of a run stands in the stretch of base.
    fn rarity(&self, index: &Index, run: &Run) -> u32 {
        let lines = self.before.iter().skip(run.before).take(run.len);
        let counts = lines.map(|line| index.seen(*line).count);
        counts.min().unwrap_or(NOWHERE)
    }

    /// Notes that nothing of a stretch is in both texts.
    fn change(&mut self, stretch: &Stretch) {
        for (marks, range) in [
            (&mut self.removed, &stretch.before),
            (&mut self.added, &stretch.after),
        ] {
            if let Some(marks) = marks.get_mut(range.clone()) {
                marks.fill(true);
            }
        }
    }

    /// Reads the hunks off the marks.
    fn hunks(&self) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        let (mut before, mut after) = (0usize, 0usize);
        loop {
            let hunk = Hunk {
                before: before..end_of(&self.removed, before),
                after: after..end_of(&self.added, after),
            };
            // One unchanged line further on in each text.
            before = hunk.before.end.saturating_add(1);
            after = hunk.after.end.saturating_add(1);
            if !hunk.before.is_empty() || !hunk.after.is_empty() {
                hunks.push(hunk);
            }
            if before > self.removed.len() || after > self.added.len() {
                return hunks;
            }
        }
    }
}

impl Stretch {
    fn around(&self, run: Run) -> (Self, Self) {
        let above = Self {
            before: self.before.start..run.before,
            after: self.after.start..run.after,
        };
        let below = Self {
            before: run.before.saturating_add(run.len)..self.before.end,
            after: run.after.saturating_add(run.len)..self.after.end,
        };
        (above, below)
    }
}

/// Where each line stands in one stretch of base.
struct Index {
    /// By line.
    seen: Vec<Seen>,
    /// By place: the next place of the same line.
    next: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Seen {
    count: u32,
    first: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            count: 0,
            first: NOWHERE,
        }
    }
}

impl Index {
    fn new(places: usize, distinct: usize) -> Self {
        Self {
            seen: vec![Seen::default(); distinct],
            next: vec![NOWHERE; places],
        }
    }

    fn fill(&mut self, text: &[u32], stretch: &Range<usize>) {
        for place in stretch.clone().rev() {
            let line = text.get(place).map(|line| *line as usize);
            let seen = line.and_then(|line| self.seen.get_mut(line));
            if let (Some(seen), Some(next)) = (seen, self.next.get_mut(place)) {
                *next = seen.first;
                seen.first = u32::try_from(place).unwrap_or(NOWHERE);
                seen.count = seen.count.saturating_add(1);
            }
        }
    }

    fn clear(&mut self, text: &[u32], stretch: &Range<usize>) {
        for line in text.get(stretch.clone()).unwrap_or_default() {
            if let Some(seen) = self.seen.get_mut(*line as usize) {
                *seen = Seen::default();
            }
        }
    }

    fn seen(&self, line: u32) -> Seen {
        self.seen.get(line as usize).copied().unwrap_or_default()
    }

    fn next(&self, place: u32) -> u32 {
        self.next.get(place as usize).copied().unwrap_or(NOWHERE)
    }
}

/// Moves the changed lines of one text, where they could as well be others, to where they meet
/// changed lines of the other text, else down as far as it goes.
///
/// Both texts have the same unchanged lines, and so the same gaps between these, in which the changed
/// ones stand. `here` and `there` always are the same gap.
struct Slide<'t> {
    lines: &'t [u32],
    changed: &'t mut [bool],
    other: &'t [bool],
    here: Range<usize>,
    there: Range<usize>,
}

impl<'t> Slide<'t> {
    fn all(lines: &'t [u32], changed: &'t mut [bool], other: &'t [bool]) {
        let (here, there) = (0..end_of(changed, 0), 0..end_of(other, 0));
        let mut slide = Self {
            lines,
            changed,
            other,
            here,
            there,
        };
        loop {
            if !slide.here.is_empty() {
                slide.settle();
            }
            if slide.here.end >= slide.changed.len() {
                return;
            }
            slide.here = gap_below(slide.changed, &slide.here);
            slide.there = gap_below(slide.other, &slide.there);
        }
    }

    fn settle(&mut self) {
        let mut met;
        loop {
            let size = self.here.len();
            while self.up() {}
            met = !self.there.is_empty();
            while self.down() {
                met |= !self.there.is_empty();
            }
            // What was met on the way belongs to it now, and may let it go further up.
            if self.here.len() == size {
                break;
            }
        }
        while met && self.there.is_empty() && self.up() {}
    }

    /// Moves by one line if the line above equals the last; joins what it then touches.
    fn up(&mut self) -> bool {
        let Some(above) = self.here.start.checked_sub(1) else {
            return false;
        };
        let last = self.here.end.saturating_sub(1);
        if self.lines.get(above) != self.lines.get(last) {
            return false;
        }
        set(self.changed, above, true);
        set(self.changed, last, false);
        self.here = start_of(self.changed, above)..last;
        let end = self.there.start.saturating_sub(1);
        self.there = start_of(self.other, end)..end;
        true
    }

    /// Moves by one line if the line below equals the first; joins what it then touches.
    fn down(&mut self) -> bool {
        let (first, below) = (self.here.start, self.here.end);
        if below >= self.lines.len() || self.lines.get(first) != self.lines.get(below) {
            return false;
        }
        set(self.changed, first, false);
        set(self.changed, below, true);
        self.here = first.saturating_add(1)..end_of(self.changed, below);
        self.there = gap_below(self.other, &self.there);
        true
    }
}

fn set(marks: &mut [bool], at: usize, value: bool) {
    if let Some(mark) = marks.get_mut(at) {
        *mark = value;
    }
}

/// Returns the gap below the unchanged line that ends this one.
fn gap_below(marks: &[bool], gap: &Range<usize>) -> Range<usize> {
    let start = gap.end.saturating_add(1);
    start..end_of(marks, start)
}

/// Returns where the marked places from `at` on end.
fn end_of(marks: &[bool], at: usize) -> usize {
    let rest = marks.get(at..).unwrap_or_default();
    at.saturating_add(rest.iter().take_while(|mark| **mark).count())
}

/// Returns where the marked places right above `at` begin.
fn start_of(marks: &[bool], at: usize) -> usize {
    let rest = marks.get(..at).unwrap_or_default();
    at.saturating_sub(rest.iter().rev().take_while(|mark| **mark).count())
}
