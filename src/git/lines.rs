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
pub fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
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

/// Returns how many lines the two diffs have to tell apart: those between what base and a side
/// have in common at the beginning and at the end. Histogram diffs of unlike texts with few
/// different lines take more than linear time. Line feeds are counted.
pub fn effort(base: &[u8], ours: &[u8], theirs: &[u8]) -> usize {
    let side = |side: &[u8]| {
        let same = |(a, b): &(&u8, &u8)| a == b;
        let head = base.iter().zip(side).take_while(same).count();
        let (base, side) = (
            base.get(head..).unwrap_or_default(),
            side.get(head..).unwrap_or_default(),
        );
        let (a, b) = (base.iter().rev(), side.iter().rev());
        let tail = a.zip(b).take_while(same).count();
        let lines = |bytes: &[u8]| {
            let end = bytes.len().saturating_sub(tail);
            let bytes = bytes.iter().take(end);
            bytes.filter(|byte| **byte == b'\n').count()
        };
        lines(base).saturating_add(lines(side))
    };
    side(ours).saturating_add(side(theirs))
}

/// Returns whether git would call this binary.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(BINARY_PROBE).any(|byte| *byte == 0)
}

/// Bytes, and where their lines begin.
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    /// One more than there are lines: the last is the end.
    starts: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut starts = vec![0];
        let mut at = 0usize;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at = at.saturating_add(line.len());
            starts.push(at);
        }
        Self { bytes, starts }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn lines(&self, range: Range<usize>) -> Option<&'a [u8]> {
        let (from, to) = (self.starts.get(range.start)?, self.starts.get(range.end)?);
        self.bytes.get(*from..*to)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &'a [u8]> {
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

    /// Three texts: base and two edits of it. Lines are all different, or drawn from very few; some
    /// end in CR LF, and the last may have no line feed.
    fn texts(repeat: bool) -> impl Strategy<Value = [String; 3]> {
        let few = ["a", "b", "c", "d", "", "e\r"].map(str::to_owned).to_vec();
        let line = prop::sample::select(few);
        let base = prop::collection::vec(line.clone(), 0..16);
        let new = prop::collection::vec(line, 0..3);
        let edit = (any::<prop::sample::Index>(), 0usize..3, new);
        let edits = prop::collection::vec(edit, 0..3);
        let ends = prop::array::uniform3(any::<bool>());
        (base, edits.clone(), edits, ends).prop_map(move |(mut base, ours, theirs, ends)| {
            if !repeat {
                let number = |(at, line): (usize, &mut String)| line.insert_str(0, &at.to_string());
                base.iter_mut().enumerate().for_each(number);
            }
            let apply = |edits: Vec<(prop::sample::Index, usize, Vec<String>)>| {
                let mut lines = base.clone();
                for (at, gone, new) in edits {
                    let at = at.index(lines.len() + 1);
                    let end = (at + gone).min(lines.len());
                    lines.splice(at..end, new);
                }
                lines
            };
            let text = |lines: Vec<String>, end: bool| {
                let end = if end && !lines.is_empty() { "\n" } else { "" };
                lines.join("\n") + end
            };
            let (ours, theirs) = (apply(ours), apply(theirs));
            [
                text(base, ends[0]),
                text(ours, ends[1]),
                text(theirs, ends[2]),
            ]
        })
    }

    /// Merges by us and by git.
    fn both(scratch: &Scratch, texts: &[String; 3]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let files = ["base", "ours", "theirs"];
        for (name, text) in files.iter().zip(texts) {
            std::fs::write(scratch.home().join(name), text).unwrap();
        }
        let histogram = "--diff-algorithm=histogram";
        let args = [
            "merge-file",
            "-pq",
            histogram,
            "../ours",
            "../base",
            "../theirs",
        ];
        let (clean, bytes) = scratch.try_git(&args);
        let [base, ours, theirs] = texts.each_ref().map(String::as_bytes);
        (merge_lines(base, ours, theirs), clean.then_some(bytes))
    }

    fn compare(repeat: bool, same: impl Fn(Option<Vec<u8>>, Option<Vec<u8>>) -> bool) {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
        let clean = std::cell::Cell::new(0);
        runner
            .run(&texts(repeat), |texts| {
                let (mine, git) = both(&scratch, &texts);
                clean.set(clean.get() + usize::from(mine.is_some()));
                prop_assert!(same(mine.clone(), git.clone()), "{mine:?} {git:?}");
                Ok(())
            })
            .unwrap();
        assert!(clean.get() > 20, "too few merged cleanly to say anything");
    }

    /// Of lines that can be told apart the merge is git's: the same bytes, or a conflict for both.
    #[test]
    fn git_merges_lines_alike() {
        compare(false, |mine, git| mine == git);
    }

    /// Where a diff is ambiguous one may see a conflict and the other not, but never other bytes.
    #[test]
    fn git_never_merges_otherwise() {
        compare(true, |mine, git| {
            mine == git || mine.is_none() || git.is_none()
        });
    }

    /// What costs is what lies between the first and the last difference, not the file.
    #[test]
    fn effort_is_what_differs() {
        let base = "same\n".repeat(1000);
        let end = format!("{base}more\n");
        let middle = format!("{base}1\n2\n{base}");
        let twice = base.repeat(2);
        let effort = |a: &str, b: &str, c: &str| effort(a.as_bytes(), b.as_bytes(), c.as_bytes());
        assert_eq!(effort(&base, &base, &base), 0);
        assert_eq!(effort(&base, &end, &base), 1);
        assert_eq!(effort(&twice, &middle, &twice), 2);
        assert_eq!(effort(&base, &"x\n".repeat(500), &end), 999 + 499 + 1);
    }

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
            let merged =
                |a: &str, b: &str| merge_lines(base.as_bytes(), a.as_bytes(), b.as_bytes());
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
