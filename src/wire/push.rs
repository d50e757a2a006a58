//! What `pre-receive` and `post-receive` read: one `<old> <new> <ref>` line per update.
//!
//! Source: githooks(5), "pre-receive".

use super::name::RefName;
use super::oid::{ObjectFormat, Oid, OidError};

/// One proposed movement of one ref; zeros stand for "no such ref".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// What the pusher's client believes the ref to be.
    pub old: Oid,
    /// Where the ref shall point.
    pub new: Oid,
    /// The full name.
    pub name: RefName,
}

/// Everything one push asks for, in the order git gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// At least one, each ref at most once, all ids of one format.
    pub updates: Vec<RefUpdate>,
}

/// What is wrong with the lines a hook was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// No line at all.
    #[error("the hook was given no ref update")]
    Empty,
    /// More lines than the limit.
    #[error("more than {limit} refs in one push")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// A line without its line feed.
    #[error("line {line}: cut off before its line feed")]
    Truncated {
        /// Counted from 1.
        line: usize,
    },
    /// Not `<old> <new> <ref>`.
    #[error("line {line}: not `<old> <new> <ref>`")]
    Shape {
        /// Counted from 1.
        line: usize,
    },
    /// An id that is none.
    #[error("line {line}: {source}")]
    Id {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: OidError,
    },
    /// An id of the other format than the repository's.
    #[error("line {line}: an id that is not {expected:?}")]
    Format {
        /// Counted from 1.
        line: usize,
        /// The repository's format.
        expected: ObjectFormat,
    },
    /// The same ref twice.
    #[error("line {line}: {name} stands here a second time")]
    Repeated {
        /// Counted from 1.
        line: usize,
        /// The ref.
        name: RefName,
    },
}

impl Push {
    /// Parses all of a hook's standard input.
    ///
    /// `limit` bounds the number of lines. Ref names are taken as bytes; whether a name is
    /// allowed is for the judge.
    pub fn parse(input: &[u8], format: ObjectFormat, limit: usize) -> Result<Self, PushError> {
        if input.is_empty() {
            return Err(PushError::Empty);
        }
        let mut updates = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut rest = input;
        let mut line = 0usize;
        while !rest.is_empty() {
            line = line.saturating_add(1);
            if line > limit {
                return Err(PushError::TooMany { limit });
            }
            let end = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .ok_or(PushError::Truncated { line })?;
            let (text, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            let update = parse_line(text, line, format)?;
            if !seen.insert(update.name.clone()) {
                return Err(PushError::Repeated {
                    line,
                    name: update.name,
                });
            }
            updates.push(update);
        }
        Ok(Self { updates })
    }
}

fn parse_line(text: &[u8], line: usize, format: ObjectFormat) -> Result<RefUpdate, PushError> {
    let mut fields = text.splitn(3, |byte| *byte == b' ');
    let mut next = || fields.next().ok_or(PushError::Shape { line });
    let (old, new, name) = (next()?, next()?, next()?);
    if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b' ')) {
        return Err(PushError::Shape { line });
    }
    let id = |hex: &[u8]| match Oid::from_hex(hex) {
        Err(source) => Err(PushError::Id { line, source }),
        Ok(oid) if oid.format() != format => Err(PushError::Format {
            line,
            expected: format,
        }),
        Ok(oid) => Ok(oid),
    };
    Ok(RefUpdate {
        old: id(old)?,
        new: id(new)?,
        name: RefName::new(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef01234567";

    fn parse(text: &str) -> Result<Push, PushError> {
        Push::parse(text.as_bytes(), ObjectFormat::Sha1, 2)
    }

    /// Good lines are read in order, names as bytes.
    #[test]
    fn reads_lines() {
        let push = parse(&format!("{A} {A} refs/heads/a\n{A} {A} refs/heads/b\n")).unwrap();
        assert_eq!(push.updates.len(), 2);
        assert_eq!(push.updates[1].name, RefName::from("refs/heads/b"));
    }

    /// Truncated, garbled, repeated, foreign and too many lines each have their own error.
    #[test]
    fn refuses_garbage() {
        let sha256 = format!("{A}{}", &A[..24]);
        for (text, error) in [
            (String::new(), PushError::Empty),
            (
                format!("{A} {A} refs/heads/a"),
                PushError::Truncated { line: 1 },
            ),
            (format!("{A} {A}\n"), PushError::Shape { line: 1 }),
            (format!("{A} {A} a b\n"), PushError::Shape { line: 1 }),
            (
                format!("{A} {sha256} a\n"),
                PushError::Format {
                    line: 1,
                    expected: ObjectFormat::Sha1,
                },
            ),
            (
                format!("{A} {A} a\n{A} {A} a\n"),
                PushError::Repeated {
                    line: 2,
                    name: RefName::from("a"),
                },
            ),
            (
                format!("{A} {A} a\n{A} {A} b\n{A} {A} c\n"),
                PushError::TooMany { limit: 2 },
            ),
            (
                format!("xyz {A} a\n"),
                PushError::Id {
                    line: 1,
                    source: OidError::Length(3),
                },
            ),
        ] {
            assert_eq!(parse(&text), Err(error), "{text:?}");
        }
    }
}
