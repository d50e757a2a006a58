//! The merge of three texts by lines: the part of `merge/v1` that looks into files.
//!
//! 1. A line ends with its line feed, which belongs to it; the last line may have none.
//! 2. Each side's changes are its hunks from base ([`super::diff`]); where these cannot be told, the
//!    file conflicts.
//! 3. Hunks of the two sides that overlap or touch, no unchanged line of base between them, make
//!    one region, and so on with further hunks.
//! 4. A region changed by one side takes that side's lines; one that both have changed to the same
//!    lines takes those; any other conflicts.

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;

use bstr::ByteSlice;

use super::GitError;
use super::diff::{Hunk, hunks};

/// A NUL byte among so many first ones makes a file binary, as in git.
const BINARY_PROBE: usize = 8_000;
/// Most lines of one text.
const LINE_LIMIT: usize = 1_000_000;

/// Merges by lines; `None` for a conflict, where a text is binary, and where there is no diff.
///
/// `searched` counts the lines that the diffs go through, over all texts of a merge.
///
/// # Errors
///
/// [`GitError::Budget`] where a text has more than [`LINE_LIMIT`] lines, or the diffs would go through
/// too many.
pub fn merge_lines(
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
    searched: &mut usize,
) -> Result<Option<Vec<u8>>, GitError> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return Ok(None);
    }
    let mut numbers = HashMap::new();
    let base = Text::new(base)?.numbered(&Text::default(), &mut numbers);
    let ours = Text::new(ours)?.numbered(&base, &mut numbers);
    let theirs = Text::new(theirs)?.numbered(&base, &mut numbers);
    let distinct = numbers.len();
    let ours = Side::new(&base, &ours, distinct, searched)?;
    let theirs = Side::new(&base, &theirs, distinct, searched)?;
    let sides = ours.zip(theirs);
    Ok(sides.and_then(|(ours, theirs)| merge_sides(&base, [ours, theirs])))
}

fn merge_sides(base: &Text, mut sides: [Side<'_>; 2]) -> Option<Vec<u8>> {
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

/// Two texts with what changes from one to the other; nothing where frequent lines leave that open,
/// or too many lines would be gone through.
pub(super) type Compared<'a> = (Text<'a>, Text<'a>, Option<Vec<Hunk>>);

/// Compares two texts as a merge does, to show them.
///
/// # Errors
///
/// [`GitError::Budget`] where a text has more than [`LINE_LIMIT`] lines.
pub(super) fn compare<'a>(
    old: &'a [u8],
    new: &'a [u8],
    searched: &mut usize,
) -> Result<Compared<'a>, GitError> {
    let mut numbers = HashMap::new();
    let old = Text::new(old)?.numbered(&Text::default(), &mut numbers);
    let new = Text::new(new)?.numbered(&old, &mut numbers);
    let changed = match hunks(&old.numbers, &new.numbers, numbers.len(), searched) {
        Err(GitError::Budget { .. }) => None,
        told => told?,
    };
    Ok((old, new, changed))
}

/// Returns whether git would call this binary.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let probe = bytes.get(..BINARY_PROBE).unwrap_or(bytes);
    probe.contains(&0)
}

/// Bytes, and their lines.
#[derive(Default)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    /// Where lines begin; one more than there are lines: the last is the end.
    starts: Vec<usize>,
    /// For each line a number, the same for the same line in every text.
    numbers: Vec<u32>,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, GitError> {
        let mut starts = vec![0];
        let mut at = 0usize;
        for line in bytes.lines_with_terminator() {
            if starts.len() > LINE_LIMIT {
                return Err(GitError::Budget {
                    what: "lines in a file to merge",
                    limit: LINE_LIMIT as u64,
                });
            }
            at = at.saturating_add(line.len());
            starts.push(at);
        }
        Ok(Self {
            bytes,
            starts,
            numbers: Vec::new(),
        })
    }

    /// Gives the lines their numbers: what both texts begin and end with those of base, without
    /// looking each up.
    fn numbered(mut self, base: &Self, known: &mut HashMap<&'a [u8], u32>) -> Self {
        let (len, base_len) = (self.len(), base.len());
        let shorter = len.min(base_len);
        let head = (0..shorter).take_while(|at| self.line(*at) == base.line(*at));
        let head = head.count();
        let above = |at: usize, len: usize| len.saturating_sub(at).saturating_sub(1);
        let tail = (0..shorter.saturating_sub(head))
            .take_while(|at| self.line(above(*at, len)) == base.line(above(*at, base_len)))
            .count();
        let kept = |range: Range<usize>| base.numbers.get(range).unwrap_or_default();
        let mut numbers = Vec::with_capacity(len);
        numbers.extend_from_slice(kept(0..head));
        for at in head..len.saturating_sub(tail) {
            // Three texts of a million lines have fewer than u32 can count.
            let new = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let line = self.line(at).unwrap_or_default();
            numbers.push(*known.entry(line).or_insert(new));
        }
        numbers.extend_from_slice(kept(base_len.saturating_sub(tail)..base_len));
        self.numbers = numbers;
        self
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn line(&self, at: usize) -> Option<&'a [u8]> {
        self.lines(at..at.checked_add(1)?)
    }

    pub(super) fn lines(&self, range: Range<usize>) -> Option<&'a [u8]> {
        let (from, to) = (self.starts.get(range.start)?, self.starts.get(range.end)?);
        self.bytes.get(*from..*to)
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
    fn new(
        base: &Text<'a>,
        text: &'a Text<'a>,
        distinct: usize,
        searched: &mut usize,
    ) -> Result<Option<Self>, GitError> {
        let hunks = hunks(&base.numbers, &text.numbers, distinct, searched)?;
        Ok(hunks.map(|hunks| Self {
            text,
            hunks: hunks.into_iter().peekable(),
            level: (0, 0),
        }))
    }

    /// Takes the next hunk if it begins at or before this line of base; returns where it ends.
    fn take_until(&mut self, line: usize) -> Option<usize> {
        let hunk = self.hunks.next_if(|hunk| hunk.before.start <= line)?;
        self.level = (hunk.before.end, hunk.after.end);
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
        .filter_map(|side| side.hunks.peek().map(|hunk| hunk.before.start))
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
    use super::*;

    /// Each rule once: one side, the same on both, apart, touching, ends without a line feed.
    #[test]
    fn merges_by_regions() {
        for (base, ours, theirs, expected) in [
            ("1\n2\n3\n", "1\n2\n3\n", "1\nx\n3\n", Some("1\nx\n3\n")),
            ("1\n2\n3\n", "1\nx\n3\n", "1\nx\n3\n", Some("1\nx\n3\n")),
            (
                "1\n2\n3\n",
                "0\n1\n2\n3\n",
                "1\n2\n3\n4\n",
                Some("0\n1\n2\n3\n4\n"),
            ),
            ("1\n2\n3\n", "x\n2\n3\n", "1\n2\ny\n", Some("x\n2\ny\n")),
            ("1\n2\n3\n", "x\n2\n3\n", "1\ny\n3\n", None),
            ("1\n2\n3\n", "2\n3\n", "1\nx\n2\n3\n", None),
            ("1\n2\n3\n", "x\ny\n3\n", "x\n2\n3\n", None),
            ("", "x\n", "x\n", Some("x\n")),
            ("", "x\n", "y\n", None),
            ("1\n2\n3", "0\n1\n2\n3", "1\n2\n3\n", Some("0\n1\n2\n3\n")),
            ("1\n2\n3\n", "1\n2\n3", "x\n2\n3\n", Some("x\n2\n3")),
            ("1\n2\n", "1\r\n2\n", "1\n2\n3\n", Some("1\r\n2\n3\n")),
        ] {
            let merged = |a: &str, b: &str| {
                merge_lines(base.as_bytes(), a.as_bytes(), b.as_bytes(), &mut 0).unwrap()
            };
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(
                merged(ours, theirs),
                expected,
                "{base:?} {ours:?} {theirs:?}"
            );
            assert_eq!(
                merged(theirs, ours),
                expected,
                "{base:?} {theirs:?} {ours:?}"
            );
        }
    }
}
