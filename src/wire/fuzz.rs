//! Mutated samples through every parser: none may panic, and what parses keeps its promises.
//!
//! The same sequence every run, bounded; coverage-guided fuzzing is for `fuzz/`.

use bstr::ByteSlice;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::commit::Commit;
use super::fold::{fold_component, fold_path};
use super::ident::Ident;
use super::name::RefName;
use super::oid::ObjectFormat;
use super::push::Push;
use super::refname;
use super::review::ReviewMessage;
use super::tag::Tag;
use super::tree;

const ROUNDS: usize = 2_000;
const FORMATS: [ObjectFormat; 2] = [ObjectFormat::Sha1, ObjectFormat::Sha256];

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        [$(include_bytes!(concat!("../../tests/data/wire/", $name)).as_slice()),+]
    };
}

/// Pieces that mean something to one parser or another.
const WORDS: [&[u8]; 24] = [
    b"\n",
    b"\n\n",
    b" ",
    b"\0",
    b"\r",
    b"<",
    b"> ",
    b": ",
    b"/",
    b".",
    b"\\",
    b"~1",
    b":$",
    b"\xff",
    b"gpgsig ",
    b"gpgsig-sha256 x\n",
    b"parent ",
    b"tree ",
    b"tagger ",
    b"Keeps: ",
    b"40000 a\0",
    b"-----BEGIN SSH SIGNATURE-----\n",
    "\u{200d}".as_bytes(),
    "\u{345}".as_bytes(),
];

struct Mutations {
    rng: TestRng,
}

impl Mutations {
    fn new() -> Self {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        Self { rng }
    }

    fn below(&mut self, limit: usize) -> usize {
        use proptest::prelude::Rng;
        usize::try_from(self.rng.next_u64() % (limit.max(1) as u64)).unwrap()
    }

    /// Returns one of the samples with up to three edits.
    fn next(&mut self, samples: &[&[u8]]) -> Vec<u8> {
        let mut bytes = samples[self.below(samples.len())].to_vec();
        for _ in 0..self.below(4) {
            let (one, other) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let (start, end) = (one.min(other), one.max(other));
            match self.below(6) {
                0 => bytes.truncate(one),
                1 => drop(bytes.drain(start..end.min(start + 8))),
                2 => {
                    let copy = bytes[start..end.min(start + 64)].to_vec();
                    bytes.splice(one..one, copy);
                }
                3 if one < bytes.len() => bytes[one] = self.below(256) as u8,
                4 => {
                    // A whole line again, elsewhere: what header smuggling does.
                    let lines: Vec<Vec<u8>> =
                        bytes.lines_with_terminator().map(<[u8]>::to_vec).collect();
                    if !lines.is_empty() {
                        let mut lines = lines;
                        let copy = lines[self.below(lines.len())].clone();
                        lines.insert(self.below(lines.len()), copy);
                        bytes = lines.concat();
                    }
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())];
                    bytes.splice(one..one, word.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Runs `check` on mutated samples; it says whether they parsed. Both must have happened.
fn run(samples: &[&[u8]], mut check: impl FnMut(&[u8]) -> bool) {
    let mut mutations = Mutations::new();
    let parsed = (0..ROUNDS)
        .filter(|_| check(&mutations.next(samples)))
        .count();
    assert!((1..ROUNDS).contains(&parsed), "{parsed} of {ROUNDS} parsed");
}

/// A commit's payload and signature, folded again, are its bytes; its header is rebuilt exactly.
#[test]
fn commits() {
    let samples = samples![
        "sha1-commit-plain",
        "sha1-commit-ssh",
        "sha1-commit-openpgp",
        "sha1-commit-mergetag-ssh",
        "sha1-commit-encoding-openpgp",
        "sha1-commit-empty-message",
        "sha1-commit-no-line-feed",
        "sha256-commit-ssh",
        "sha256-commit-mergetag-openpgp",
    ];
    run(&samples, |raw| {
        FORMATS.into_iter().any(|format| commit_holds(raw, format))
    });
}

fn commit_holds(raw: &[u8], format: ObjectFormat) -> bool {
    let Ok(commit) = Commit::parse(raw, format) else {
        return false;
    };
    commit.co_authors();
    let parents: String = commit
        .parents
        .iter()
        .map(|oid| format!("parent {oid}\n"))
        .collect();
    let start = format!("tree {}\n{parents}author ", commit.tree);
    assert!(raw.starts_with_str(&start));
    assert!(raw.ends_with(&[b"\n\n", commit.message.as_slice()].concat()));
    let Some(signed) = commit.signed else {
        assert!(
            !raw.split_once_str("\n\n")
                .unwrap()
                .0
                .contains_str("\ngpgsig")
        );
        return true;
    };
    let key = if format == ObjectFormat::Sha1 {
        "gpgsig"
    } else {
        "gpgsig-sha256"
    };
    let folded = signed.armor.trim_end_with(|c| c == '\n');
    let lost = signed.armor.len() - folded.len() - 1;
    let folded = [folded, &b"\n".repeat(lost)].concat().replace("\n", "\n ");
    let header = [b"\n", key.as_bytes(), b" ", &folded, b"\n"].concat();
    let at = raw
        .find(&header)
        .expect("the folded signature is in the header");
    let without = [&raw[..=at], &raw[at + header.len()..]].concat();
    assert_eq!(without.as_bstr(), signed.payload.as_bstr());
    let unsigned = Commit::parse(&signed.payload, format).expect("a payload is a commit");
    assert_eq!(
        (unsigned.signed, unsigned.tree, unsigned.message),
        (None, commit.tree, commit.message)
    );
    true
}

/// A tag's payload and signature are its bytes, and its message stands between.
#[test]
fn tags() {
    let samples = samples![
        "sha1-tag-ssh",
        "sha1-tag-openpgp",
        "sha1-tag-plain",
        "sha1-tag-empty",
        "sha256-tag-ssh",
    ];
    run(&samples, |raw| {
        let Some(tag) = FORMATS
            .into_iter()
            .find_map(|format| Tag::parse(raw, format).ok())
        else {
            return false;
        };
        let payload = tag.signed.as_ref().map_or(raw, |signed| &signed.payload);
        let armor = tag.signed.as_ref().map_or(&[][..], |signed| &signed.armor);
        assert_eq!([payload, armor].concat(), raw);
        assert!(payload.ends_with(&[b"\n\n", tag.message.as_slice()].concat()));
        true
    });
}

/// A tree written again from its entries is the same bytes, and no two entries share a form.
#[test]
fn trees() {
    let samples = samples!["sha1-tree", "sha256-tree"];
    run(&samples, |raw| {
        let Some(entries) = FORMATS
            .into_iter()
            .find_map(|format| tree::parse(raw, format).ok())
        else {
            return false;
        };
        let mut again = Vec::new();
        let mut forms = std::collections::BTreeSet::new();
        for entry in entries {
            again.extend(
                [
                    entry.mode.octal().as_bytes(),
                    b" ",
                    &entry.name,
                    b"\0",
                    entry.oid.as_bytes(),
                ]
                .concat(),
            );
            assert!(forms.insert(fold_component(&entry.name)));
        }
        assert_eq!(again, raw);
        true
    });
}

/// A review composed from what was read reads the same.
#[test]
fn reviews() {
    let (a, b) = ("1".repeat(40), "2".repeat(64));
    let first = "countersign: approve refs/heads/main of git.example.com/payments\n";
    let samples = [
        format!("{first}\nLooks good.\n"),
        format!("{first}Base: {a}\nTree: {a}\nKeeps: {a}\n\nx\n\ny\n"),
        format!(
            "{first}Replaces: {b}\nOverride: {b}\nOverride: {}\n",
            "3".repeat(64)
        ),
    ];
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    run(&samples, |raw| {
        let mut parsed = false;
        for format in FORMATS {
            if let Ok(review) = ReviewMessage::parse(raw, format) {
                let again = review.compose();
                assert_eq!(
                    ReviewMessage::parse(again.as_bytes(), format),
                    Ok(review),
                    "{again:?}"
                );
                parsed = true;
            }
        }
        parsed
    });
}

/// An ident written again is the same bytes up to its five of offset.
#[test]
fn idents() {
    let samples: [&[u8]; 3] = [
        b"A U Thor <a@x> 1700000000 +0130",
        b" <> 0 -0800",
        b"\xe9 <a> 9 +0000",
    ];
    run(&samples, |raw| {
        let Ok(ident) = Ident::parse(raw) else {
            return false;
        };
        let seconds = ident.seconds.to_string();
        let start = [
            &ident.name[..],
            b" <",
            &ident.email,
            b"> ",
            seconds.as_bytes(),
            b" ",
        ];
        assert_eq!(raw.len(), start.concat().len() + 5);
        assert!(raw.starts_with(&start.concat()));
        true
    });
}

/// Names that pass are names to git, imitate nothing by being themselves, and have one plain form.
#[test]
fn ref_names() {
    let head = "1".repeat(40);
    let samples = [
        "refs/heads/main".to_owned(),
        "refs/tags/v1.0".to_owned(),
        "refs/heads/ma\u{200d}in/caf\u{e9}".to_owned(),
        format!("refs/countersign/reviews/{head}/bob"),
        "refs/countersign/proposals/alice/x".to_owned(),
    ];
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    run(&samples, |raw| {
        let name = RefName::new(raw);
        let plain = refname::plain(&name);
        assert_eq!(refname::plain(&plain), plain, "{name}");
        assert!(!refname::imitates(&name, &name));
        refname::imitates(&name, &RefName::from("refs/heads/main"));
        let own = refname::review_ref(&name).is_some() || refname::proposal_ref(&name).is_some();
        let good = refname::check(&name).is_ok();
        assert!(!own || good);
        assert!(
            !good || git2::Reference::is_valid_name(name.as_str().unwrap()),
            "{name}"
        );
        good
    });
}

/// Hook lines written again are the same bytes.
#[test]
fn pushes() {
    let (a, b) = ("1".repeat(40), "0".repeat(40));
    let text = format!("{a} {b} refs/heads/main\n{b} {a} refs/tags/v1\n");
    run(&[text.as_bytes()], |raw| {
        let Ok(push) = Push::parse(raw, ObjectFormat::Sha1, 3) else {
            return false;
        };
        let lines = push.updates.iter().map(|update| {
            [
                format!("{} {} ", update.old, update.new).as_bytes(),
                update.name.as_bstr(),
                b"\n",
            ]
            .concat()
        });
        assert_eq!(lines.collect::<Vec<_>>().concat(), raw);
        true
    });
}

/// Folding what is folded changes nothing, also for bytes that are no text.
#[test]
fn folds() {
    let samples: [&[u8]; 3] = [
        b".GitHub/Workflows/CI.yml",
        "A\u{345}\u{301}/\u{1e9e}\u{130}. ".as_bytes(),
        b"a\xe2\x80/b",
    ];
    let mut mutations = Mutations::new();
    for _ in 0..ROUNDS {
        let once = fold_path(&mutations.next(&samples));
        assert_eq!(fold_path(&once), once);
    }
}
