//! The merge of three texts by lines: the part of `merge/v1` that looks into files.
//!
//! 1. A line ends with its line feed, which belongs to it; the last line may have none.
//! 2. Each side's changes are the hunks of a histogram diff from base, slid down as far as they
//!    go (as git's `xdl_change_compact` without the indent heuristic).
//! 3. Hunks of the two sides that overlap or touch, no unchanged line of base between them, make
//!    one region, and so on with further hunks.
//! 4. A region changed by one side takes that side's lines; one that both have changed to the same
//!    lines takes those; any other conflicts.

use std::iter::Peekable;
use std::ops::Range;

use gix::diff::blob::{Algorithm, Diff, Hunk, InternedInput};

/// A NUL byte among so many first ones makes a file binary, as in git.
const BINARY_PROBE: usize = 8_000;

/// Merges by lines; `None` for a conflict, and where a side is binary.
pub(super) fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return None;
    }
    let base = Text::new(base);
    let (ours, theirs) = (Text::new(ours), Text::new(theirs));
    let mut sides = [Side::new(&base, &ours), Side::new(&base, &theirs)];
    let mut merged = Vec::new();
    let mut done = 0;
    while let Some(region) = next_region(&mut sides) {
        merged.extend_from_slice(base.lines(done..region.base.start)?);
        done = region.base.end;
        let [ours, theirs] = region.sides;
        match (ours, theirs) {
            (Some(text), None) | (None, Some(text)) => merged.extend_from_slice(text),
            (Some(a), Some(b)) if a == b => merged.extend_from_slice(a),
            (Some(_), Some(_)) | (None, None) => return None,
        }
    }
    merged.extend_from_slice(base.lines(done..base.len())?);
    Some(merged)
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(BINARY_PROBE).any(|byte| *byte == 0)
}

/// Bytes, and where their lines begin.
struct Text<'a> {
    bytes: &'a [u8],
    /// One more than there are lines: the last is the end.
    starts: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut starts = vec![0];
        let mut at = 0usize;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at = at.saturating_add(line.len());
            starts.push(at);
        }
        Self { bytes, starts }
    }

    fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn lines(&self, range: Range<usize>) -> Option<&'a [u8]> {
        let (from, to) = (self.starts.get(range.start)?, self.starts.get(range.end)?);
        self.bytes.get(*from..*to)
    }

    fn each(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split_inclusive(|byte| *byte == b'\n')
    }
}

/// One side's text and its changes from base, taken from the top.
struct Side<'a> {
    text: &'a Text<'a>,
    hunks: Peekable<std::vec::IntoIter<Hunk>>,
    /// Line of base and line of this side up to which both are the same or taken.
    level: (usize, usize),
}

impl<'a> Side<'a> {
    fn new(base: &Text<'a>, text: &'a Text<'a>) -> Self {
        let mut input = InternedInput::default();
        input.update_before(base.each());
        input.update_after(text.each());
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_no_heuristic(&input);
        let hunks: Vec<Hunk> = diff.hunks().collect();
        Self {
            text,
            hunks: hunks.into_iter().peekable(),
            level: (0, 0),
        }
    }

    /// Takes the next hunk if it begins at or before this line of base; returns where it ends.
    fn take_until(&mut self, line: usize) -> Option<usize> {
        let hunk = self
            .hunks
            .next_if(|hunk| hunk.before.start as usize <= line)?;
        self.level = (hunk.before.end as usize, hunk.after.end as usize);
        Some(self.level.0)
    }

    /// Returns the line of this side that stands for a line of base outside of its hunks.
    fn line_at(level: (usize, usize), base: usize) -> Option<usize> {
        base.checked_sub(level.0)?.checked_add(level.1)
    }
}

/// What stands between two stretches that nobody changed.
struct Region<'a> {
    /// Lines of base.
    base: Range<usize>,
    /// What each side that changed it has there instead.
    sides: [Option<&'a [u8]>; 2],
}

fn next_region<'a>(sides: &mut [Side<'a>; 2]) -> Option<Region<'a>> {
    let start = sides
        .iter_mut()
        .filter_map(|side| side.hunks.peek().map(|hunk| hunk.before.start as usize))
        .min()?;
    let before = sides.each_ref().map(|side| side.level);
    let mut changed = [false; 2];
    let mut end = start;
    loop {
        let mut grown = false;
        for (side, changed) in sides.iter_mut().zip(&mut changed) {
            while let Some(to) = side.take_until(end) {
                end = end.max(to);
                *changed = true;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    let text = |at: usize| {
        let (side, before) = (sides.get(at)?, *before.get(at)?);
        changed.get(at).filter(|changed| **changed)?;
        let from = Side::line_at(before, start)?;
        let to = Side::line_at(side.level, end)?;
        side.text.lines(from..to)
    };
    Some(Region {
        base: start..end,
        sides: [text(0), text(1)],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::git::fixture::Scratch;
    use crate::wire::oid::ObjectFormat;

    /// Texts of few different lines, some of them without a last line feed or with CR LF.
    fn texts() -> impl Strategy<Value = [String; 3]> {
        let line = prop::sample::select(vec!["a", "b", "c", "d", "", "e\r"]);
        let base = prop::collection::vec(line.clone(), 0..12);
        let edit = (
            any::<prop::sample::Index>(),
            0usize..3,
            prop::collection::vec(line, 0..3),
        );
        let edits = prop::collection::vec(edit, 0..3);
        (
            base,
            edits.clone(),
            edits,
            prop::array::uniform3(any::<bool>()),
        )
            .prop_map(|(base, ours, theirs, ends)| {
                let apply = |edits: Vec<(prop::sample::Index, usize, Vec<&'static str>)>| {
                    let mut lines = base.clone();
                    for (at, gone, new) in edits {
                        let at = at.index(lines.len() + 1);
                        let end = (at + gone).min(lines.len());
                        lines.splice(at..end, new);
                    }
                    lines
                };
                let [base, ours, theirs] = [base.clone(), apply(ours), apply(theirs)];
                let text = |lines: Vec<&str>, end: bool| {
                    let mut text = lines.join("\n");
                    text.push_str(if end && !text.is_empty() { "\n" } else { "" });
                    text
                };
                [
                    text(base, ends[0]),
                    text(ours, ends[1]),
                    text(theirs, ends[2]),
                ]
            })
    }

    /// Line by line, the result is git's: the same bytes, or a conflict for both.
    #[test]
    fn git_merges_lines_alike() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
        runner
            .run(&texts(), |[base, ours, theirs]| {
                if ours == theirs || base == ours || base == theirs {
                    return Ok(());
                }
                for (name, text) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
                    std::fs::write(scratch.home().join(name), text).unwrap();
                }
                let args = [
                    "merge-file",
                    "-p",
                    "-q",
                    "--diff-algorithm=histogram",
                    "../ours",
                    "../base",
                    "../theirs",
                ];
                let (clean, bytes) = scratch.try_git(&args);
                let merged = merge_lines(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
                prop_assert_eq!(merged, clean.then_some(bytes));
                Ok(())
            })
            .unwrap();
    }
}
