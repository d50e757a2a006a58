//! The message of a review tag: one exact first line, a block of ids, free text.
//!
//! ```text
//! countersign: approve refs/heads/main of git.example.com/payments
//! Base: 0123456789abcdef0123456789abcdef01234567
//!
//! Looks good.
//! ```

use std::fmt;

use bstr::ByteSlice;

use super::name::RefName;
use super::oid::{ObjectFormat, Oid, OidError};
use super::refname::{self, RefNameError};

/// Longest message; with header and signature it must fit a log entry of 64 KiB as base64.
pub const MAX_MESSAGE: usize = 32 * 1024;
/// Most lines in the block.
pub const MAX_BLOCK: usize = 64;

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewVerb {
    /// Vouches for the head.
    Approve,
    /// Blocks the head.
    Reject,
    /// Takes back what the person said of the head.
    Withdraw,
}

impl ReviewVerb {
    /// Returns the word of the first line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
        }
    }
}

impl fmt::Display for ReviewVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A review as its signer wrote it; the head is the tag's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewMessage {
    /// What it says.
    pub verb: ReviewVerb,
    /// The ref the change is for.
    pub target: RefName,
    /// The repository, as its policy names itself.
    pub repository: String,
    /// The tip of the target that the reviewer saw.
    pub base: Option<Oid>,
    /// What landing the head on `base` gives.
    pub tree: Option<Oid>,
    /// Earlier heads whose approvals by this person stay.
    pub keeps: Vec<Oid>,
    /// Heads whose approvals by this person end.
    pub replaces: Vec<Oid>,
    /// Reject tags this approval overrides.
    pub overrides: Vec<Oid>,
    /// For people; without line feeds at either end, anything inside, control characters too.
    pub text: String,
}

/// What is wrong with a review's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Longer than the limit.
    #[error("the message is longer than {MAX_MESSAGE} bytes")]
    Long,
    /// Not text.
    #[error("the message is not UTF-8")]
    Utf8,
    /// The first line is another.
    #[error(
        "the first line is not `countersign: approve|reject|withdraw <full ref> of <repository>`"
    )]
    FirstLine,
    /// A target that no ref can have.
    #[error("the target: {0}")]
    Target(#[from] RefNameError),
    /// A line of the block that is none of the five, or not spelled exactly so.
    #[error(
        "line {line}: not `Base|Tree|Keeps|Replaces|Override: <id>` (an empty line must come before free text)"
    )]
    Block {
        /// Counted from 1.
        line: usize,
    },
    /// A value that is no id.
    #[error("line {line}: {source}")]
    Id {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: OidError,
    },
    /// An id of the other format, or the all-zero one.
    #[error("line {line}: not the id of an object in a {expected:?} repository")]
    Format {
        /// Counted from 1.
        line: usize,
        /// The repository's format.
        expected: ObjectFormat,
    },
    /// A line that may stand once, or the same line twice.
    #[error("line {line}: stands here a second time")]
    Repeated {
        /// Counted from 1.
        line: usize,
    },
    /// More lines in the block than the limit.
    #[error("more than {MAX_BLOCK} lines below the first")]
    TooMany,
}

impl ReviewMessage {
    /// Parses the message of a tag, as [`super::tag::Tag::message`] gives it.
    ///
    /// Only the form is checked; whether the ids are true is for those who know the repository.
    pub fn parse(message: &[u8], format: ObjectFormat) -> Result<Self, ReviewError> {
        if message.len() > MAX_MESSAGE {
            return Err(ReviewError::Long);
        }
        let message = message.to_str().map_err(|_| ReviewError::Utf8)?;
        let (first, mut rest) = message.split_once('\n').unwrap_or((message, ""));
        let mut review = parse_first_line(first)?;
        let mut line = 1usize;
        while !rest.is_empty() {
            let (text, tail) = rest.split_once('\n').unwrap_or((rest, ""));
            if text.is_empty() {
                review.text = tail.trim_matches('\n').to_owned();
                break;
            }
            line = line.saturating_add(1);
            if line > MAX_BLOCK.saturating_add(1) {
                return Err(ReviewError::TooMany);
            }
            review.take_line(text, line, format)?;
            rest = tail;
        }
        Ok(review)
    }

    /// Returns the message to sign; [`Self::parse`] reads the same review from it.
    ///
    /// That holds for what `parse` can give: one line of repository, no line feed at either end of
    /// the text. git itself may strip more (`git tag` without `--cleanup=verbatim`).
    pub fn compose(&self) -> String {
        let mut message = format!(
            "countersign: {} {} of {}\n",
            self.verb, self.target, self.repository
        );
        let mut line = |key: &str, oid: &Oid| message.push_str(&format!("{key}: {oid}\n"));
        self.base.iter().for_each(|oid| line("Base", oid));
        self.tree.iter().for_each(|oid| line("Tree", oid));
        self.keeps.iter().for_each(|oid| line("Keeps", oid));
        self.replaces.iter().for_each(|oid| line("Replaces", oid));
        self.overrides.iter().for_each(|oid| line("Override", oid));
        if !self.text.is_empty() {
            message.push('\n');
            message.push_str(&self.text);
            message.push('\n');
        }
        message
    }

    /// Takes one line of the block.
    fn take_line(
        &mut self,
        text: &str,
        line: usize,
        format: ObjectFormat,
    ) -> Result<(), ReviewError> {
        let (key, value) = text.split_once(": ").ok_or(ReviewError::Block { line })?;
        if !matches!(key, "Base" | "Tree" | "Keeps" | "Replaces" | "Override") {
            return Err(ReviewError::Block { line });
        }
        let oid =
            Oid::from_hex(value.as_bytes()).map_err(|source| ReviewError::Id { line, source })?;
        if oid.format() != format || oid.is_zero() {
            return Err(ReviewError::Format {
                line,
                expected: format,
            });
        }
        let fresh = match key {
            "Base" => self.base.replace(oid).is_none(),
            "Tree" => self.tree.replace(oid).is_none(),
            "Keeps" => add(&mut self.keeps, oid),
            "Replaces" => add(&mut self.replaces, oid),
            _ => add(&mut self.overrides, oid),
        };
        fresh.then_some(()).ok_or(ReviewError::Repeated { line })
    }
}

fn parse_first_line(line: &str) -> Result<ReviewMessage, ReviewError> {
    let rest = line
        .strip_prefix("countersign: ")
        .ok_or(ReviewError::FirstLine)?;
    let (verb, rest) = rest.split_once(' ').ok_or(ReviewError::FirstLine)?;
    let verb = match verb {
        "approve" => ReviewVerb::Approve,
        "reject" => ReviewVerb::Reject,
        "withdraw" => ReviewVerb::Withdraw,
        _ => return Err(ReviewError::FirstLine),
    };
    let (target, repository) = rest.split_once(" of ").ok_or(ReviewError::FirstLine)?;
    let blank = repository.trim() != repository || repository.is_empty();
    if blank || repository.chars().any(char::is_control) {
        return Err(ReviewError::FirstLine);
    }
    let target = RefName::from(target);
    refname::check(&target)?;
    Ok(ReviewMessage {
        verb,
        target,
        repository: repository.to_owned(),
        base: None,
        tree: None,
        keeps: Vec::new(),
        replaces: Vec::new(),
        overrides: Vec::new(),
        text: String::new(),
    })
}

fn add(list: &mut Vec<Oid>, oid: Oid) -> bool {
    let fresh = !list.contains(&oid);
    list.push(oid);
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "countersign: approve refs/heads/main of git.example.com/payments";
    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    fn parse(text: &str) -> Result<ReviewMessage, ReviewError> {
        ReviewMessage::parse(text.as_bytes(), ObjectFormat::Sha1)
    }

    /// The three verbs, every line of the block, and free text, with or without a last line feed.
    #[test]
    fn reads_reviews() {
        let (a, b) = (A.parse().unwrap(), B.parse().unwrap());
        for verb in [
            ReviewVerb::Approve,
            ReviewVerb::Reject,
            ReviewVerb::Withdraw,
        ] {
            for end in ["", "\n", "\n\n", "\n\n\n"] {
                let text =
                    format!("countersign: {verb} refs/heads/release/1.0 of My Repo of tools{end}");
                let review = parse(&text).unwrap();
                assert_eq!(
                    (review.verb, review.target.to_string().as_str()),
                    (verb, "refs/heads/release/1.0")
                );
                assert_eq!(
                    (review.repository.as_str(), review.text.as_str()),
                    ("My Repo of tools", "")
                );
            }
        }
        let block = format!(
            "Keeps: {A}\nBase: {A}\nReplaces: {A}\nOverride: {B}\nTree: {B}\nKeeps: {B}\nOverride: {A}"
        );
        let review = parse(&format!("{FIRST}\n{block}\n\n\nBase: x\n\nLooks good.\n\n")).unwrap();
        assert_eq!((review.base, review.tree), (Some(a), Some(b)));
        assert_eq!(
            (review.keeps, review.replaces, review.overrides),
            (vec![a, b], vec![a], vec![b, a])
        );
        assert_eq!(review.text, "Base: x\n\nLooks good.");
    }

    /// A first line that is not exactly right is no review.
    #[test]
    fn refuses_other_first_lines() {
        for text in [
            "",
            "\n",
            "Looks good",
            "Countersign: approve refs/heads/main of r",
            " countersign: approve refs/heads/main of r",
            "\u{feff}countersign: approve refs/heads/main of r",
            "countersign:approve refs/heads/main of r",
            "countersign: Approve refs/heads/main of r",
            "countersign: approved refs/heads/main of r",
            "countersign: approve refs/heads/main",
            "countersign: approve refs/heads/main of ",
            "countersign: approve refs/heads/main of  r",
            "countersign: approve refs/heads/main of r ",
            "countersign: approve refs/heads/main of r\r\n",
            "countersign: approve refs/heads/main of r\tx",
            "\ncountersign: approve refs/heads/main of r",
        ] {
            assert_eq!(parse(text), Err(ReviewError::FirstLine), "{text:?}");
        }
        for target in [
            "main",
            " refs/heads/main",
            "heads/main",
            "refs/heads/ma*n",
            "refs/heads/main refs/heads/x",
            "refs/heads/ma\u{200d}in",
        ] {
            let text = format!("countersign: approve {target} of r");
            assert!(
                matches!(parse(&text), Err(ReviewError::Target(_))),
                "{target:?}"
            );
        }
    }

    /// Anything in the block that is not one of the five lines, exactly, is an error with its line.
    #[test]
    fn refuses_other_blocks() {
        use ReviewError::*;
        let expected = ObjectFormat::Sha1;
        for (block, error) in [
            ("Looks good.".to_owned(), Block { line: 2 }),
            (format!("Base: {A}\nLooks good."), Block { line: 3 }),
            (format!("base: {A}"), Block { line: 2 }),
            (format!("Base:{A}"), Block { line: 2 }),
            (format!(" Base: {A}"), Block { line: 2 }),
            (format!("Overrides: {A}"), Block { line: 2 }),
            (format!("Base: {A}\n \nx"), Block { line: 3 }),
            (
                format!("Base: {A} "),
                Id {
                    line: 2,
                    source: OidError::Length(41),
                },
            ),
            (
                format!("Base: {A}\r"),
                Id {
                    line: 2,
                    source: OidError::Length(41),
                },
            ),
            (
                "Base: 1111111".to_owned(),
                Id {
                    line: 2,
                    source: OidError::Length(7),
                },
            ),
            (
                format!("Base: {}", A.replace('1', "A")),
                Id {
                    line: 2,
                    source: OidError::Digit(b'A'),
                },
            ),
            (
                format!("Base: {}", "0".repeat(40)),
                Format { line: 2, expected },
            ),
            (
                format!("Base: {}", "1".repeat(64)),
                Format { line: 2, expected },
            ),
            (format!("Base: {A}\nBase: {B}"), Repeated { line: 3 }),
            (format!("Tree: {A}\nTree: {A}"), Repeated { line: 3 }),
            (format!("Keeps: {A}\nKeeps: {A}"), Repeated { line: 3 }),
            (
                (0..=MAX_BLOCK)
                    .map(|i| format!("Keeps: {:040x}\n", i + 1))
                    .collect(),
                TooMany,
            ),
        ] {
            assert_eq!(
                parse(&format!("{FIRST}\n{block}\n")),
                Err(error),
                "{block:?}"
            );
        }
        assert_eq!(
            parse(&format!("{FIRST}\n\n{}", "x".repeat(MAX_MESSAGE))),
            Err(Long)
        );
        let bytes = [FIRST.as_bytes(), b"\n\n\xff"].concat();
        assert_eq!(ReviewMessage::parse(&bytes, ObjectFormat::Sha1), Err(Utf8));
    }
}
