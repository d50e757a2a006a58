//! Merges by lines, many thousands, by us and by git: one `git merge-tree` merges a tree of texts.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::Scratch;
use super::lines::merge_lines;
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};

/// Base and two edits of it.
pub(super) type Texts = [Vec<u8>; 3];

/// Numbers that look random, the same in every run (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % limit as u64).unwrap()
    }

    /// Returns a stretch of at most `longest` among so many lines.
    fn stretch(&mut self, lines: usize, longest: usize) -> (usize, usize) {
        let from = self.below(lines + 1);
        (from, (from + self.below(longest + 1)).min(lines))
    }

    fn lines(&mut self, few: &[&str], most: usize) -> Vec<String> {
        let count = self.below(most + 1);
        (0..count)
            .map(|_| few[self.below(few.len())].to_owned())
            .collect()
    }

    /// Replaces, removes, adds, repeats or moves some lines.
    fn edit(&mut self, lines: &mut Vec<String>, new: Vec<String>, longest: usize) {
        let (from, to) = self.stretch(lines.len(), longest);
        match self.below(5) {
            0 => drop(lines.splice(from..to, new)),
            1 => drop(lines.drain(from..to)),
            2 => drop(lines.splice(from..from, new)),
            3 => {
                let copy = lines[from..to].to_vec();
                let at = self.below(lines.len() + 1);
                lines.splice(at..at, copy);
            }
            _ => {
                let moved: Vec<String> = lines.drain(from..to).collect();
                let at = self.below(lines.len() + 1);
                lines.splice(at..at, moved);
            }
        }
    }
}

/// Returns texts of `length` lines out of a few, with some edits on each side.
pub(super) fn random_texts(
    random: &mut Random,
    few: &[&str],
    length: usize,
    edits: usize,
) -> Texts {
    let base = random.lines(few, length);
    let ends = [0; 3].map(|_| random.below(4) > 0);
    let side = |random: &mut Random| {
        let mut lines = base.clone();
        for _ in 0..random.below(edits) + 1 {
            let new = random.lines(few, 3);
            random.edit(&mut lines, new, 1 + length / 6);
        }
        lines
    };
    let (ours, theirs) = (side(random), side(random));
    let mut ends = ends.into_iter();
    [base, ours, theirs].map(|lines| {
        let end = ends.next().unwrap() && !lines.is_empty();
        (lines.join("\n") + if end { "\n" } else { "" }).into_bytes()
    })
}

/// Returns how often to try as many others: `COUNTERSIGN_MERGE_ROUNDS`, for measuring.
fn rounds() -> usize {
    let rounds = std::env::var("COUNTERSIGN_MERGE_ROUNDS");
    rounds.map_or(1, |text| text.parse().unwrap())
}

/// How many of the texts both merge to the same, only one of them does, both refuse.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    only_we: usize,
    only_git: usize,
    neither: usize,
}

impl Tally {
    fn total(&self) -> usize {
        self.same + self.only_we + self.only_git + self.neither
    }
}

/// Merges by us and by git. Never do both come to different bytes.
fn compare(mut texts: impl FnMut() -> Vec<Texts>) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..rounds() {
        compare_once(&texts(), &mut tally);
    }
    tally
}

fn compare_once(texts: &[Texts], tally: &mut Tally) {
    let scratch = Scratch::new(ObjectFormat::Sha1);
    let mut stream = Vec::new();
    for (side, name) in ["base", "ours", "theirs"].into_iter().enumerate() {
        stream.extend(
            format!("commit refs/heads/{name}\ncommitter A <a@example.com> 1 +0000\ndata 0\n")
                .bytes(),
        );
        if side > 0 {
            stream.extend(b"from refs/heads/base\n");
        }
        for (at, texts) in texts.iter().enumerate() {
            let text = &texts[side];
            stream.extend(format!("M 100644 inline f{at}\ndata {}\n", text.len()).bytes());
            stream.extend(text);
            stream.push(b'\n');
        }
    }
    scratch.feed(&["fast-import", "--quiet"], &stream);
    let merge = [
        "merge-tree",
        "--write-tree",
        "-z",
        "--name-only",
        "--no-messages",
        "ours",
        "theirs",
    ];
    let (_, out) = scratch.try_git(&merge);
    let out = String::from_utf8(out).unwrap();
    let mut names = out.split('\0').filter(|name| !name.is_empty());
    let tree = names.next().unwrap();
    let conflicts: HashSet<&str> = names.collect();
    let listing = scratch.git(&["ls-tree", tree]);
    let merged: HashMap<&str, Oid> = listing
        .lines()
        .map(|line| {
            let (entry, name) = line.split_once('\t').unwrap();
            (name, entry.split(' ').nth(2).unwrap().parse().unwrap())
        })
        .collect();
    for (at, texts) in texts.iter().enumerate() {
        let name = format!("f{at}");
        let git = (!conflicts.contains(name.as_str())).then(|| merged[name.as_str()]);
        let [base, ours, theirs] = texts;
        let mine = merge_lines(base, ours, theirs, &mut 0).unwrap();
        let mine = mine.map(|bytes| scratch.repo.hash(ObjectKind::Blob, &bytes).unwrap());
        *match (mine, git) {
            (Some(mine), Some(git)) if mine == git => &mut tally.same,
            (Some(_), None) => &mut tally.only_we,
            (None, Some(_)) => &mut tally.only_git,
            (None, None) => &mut tally.neither,
            (Some(_), Some(_)) => panic!(
                "merged otherwise: {:?}",
                texts.each_ref().map(bstr::BStr::new)
            ),
        } += 1;
    }
}

/// Texts of few different lines: the diffs are git's, and so is what comes of them.
#[test]
fn repeated_lines_merge_alike() {
    let mut random = Random(1);
    let few = ["a", "b", "c", "", "{", "}", "e\r"];
    let mut one = || {
        let kinds = 1 + random.below(few.len());
        let length = [6, 16, 40][random.below(3)];
        random_texts(&mut random, &few[..kinds], length, 4)
    };
    let tally = compare(|| (0..5_000).map(|_| one()).collect());
    eprintln!("repeated: {tally:?}");
    assert_eq!((tally.only_we, tally.only_git), (0, 0), "{tally:?}");
    assert!(tally.same > tally.total() / 10 && tally.neither > tally.total() / 10);
}

/// Lines that stand more than 64 times: where git takes another diff there is a conflict, and what is
/// merged is merged as git does.
#[test]
fn frequent_lines_never_merge_otherwise() {
    let mut random = Random(2);
    let few = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut one = || {
        let kinds = 1 + random.below(few.len());
        let length = [150, 300, 600][random.below(3)];
        random_texts(&mut random, &few[..kinds], length, 3)
    };
    let tally = compare(|| (0..1_000).map(|_| one()).collect());
    eprintln!("frequent: {tally:?}");
    assert_eq!(tally.only_we, 0, "{tally:?}");
    assert!(
        tally.same > tally.total() / 20 && tally.only_git > 0,
        "{tally:?}"
    );
}

/// Edits at two places on each side of this package's own files.
#[test]
fn source_files_merge_alike() {
    let files = source_files(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut random = Random(3);
    let mut some_of = |text: &str| -> Vec<Texts> {
        let base: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let mut side = || {
            let mut lines = base.clone();
            for _ in 0..2 {
                let (from, to) = random.stretch(base.len(), 4);
                random.edit(&mut lines, base[from..to].to_vec(), 6);
            }
            lines.join("\n").into_bytes()
        };
        (0..4).map(|_| [text.into(), side(), side()]).collect()
    };
    let tally = compare(|| files.iter().flat_map(|text| some_of(text)).collect());
    eprintln!("source: {tally:?}");
    let (total, apart) = (tally.total(), tally.only_we + tally.only_git);
    assert!(total > 500 && apart <= total / 200, "{tally:?}");
    assert!(tally.same > total / 2, "{tally:?}");
}

/// Returns the texts of the package's files, with folders in the order of their names.
fn source_files(folder: &Path) -> Vec<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["target", ".git", "data"].contains(&name) {
            texts.extend(source_files(&path));
        } else if [".rs", ".md", ".toml", ".sh", ".lock"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}
