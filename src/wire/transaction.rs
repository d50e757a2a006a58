//! What `reference-transaction` reads: one `<old> <new> <ref>` line per ref of the transaction.
//!
//! Either value is an id, zeros where git has none or was told none, or since git 2.46
//! `ref:<target>` for a symbolic ref.
//!
//! Source: githooks(5), "reference-transaction".

use super::name::RefName;
use super::oid::{ObjectFormat, Oid, OidError};

/// What a ref holds, as git says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefTarget {
    /// An object; zeros for none, or for whatever is there.
    Oid(Oid),
    /// Another ref.
    Symbolic(RefName),
}

/// One line: what is to become of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefWrite {
    /// What the writer said the ref is; zeros where it did not say.
    pub old: RefTarget,
    /// What it shall be.
    pub new: RefTarget,
    /// Its name, `HEAD` and the like among them.
    pub name: RefName,
}

/// What is wrong with the lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
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
}

/// The lines of one transaction, one after the other; after an error there are no more.
///
/// Nothing is kept of a line that was read: packing the refs of a large repository sends them all.
#[derive(Clone, Debug)]
pub struct Writes<'a> {
    rest: &'a [u8],
    format: ObjectFormat,
    line: usize,
}

/// Reads all of a hook's standard input; none at all is a transaction of no refs.
pub fn writes(input: &[u8], format: ObjectFormat) -> Writes<'_> {
    Writes {
        rest: input,
        format,
        line: 0,
    }
}

impl Iterator for Writes<'_> {
    type Item = Result<RefWrite, TransactionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.line = self.line.saturating_add(1);
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

impl Writes<'_> {
    fn read(&mut self) -> Result<RefWrite, TransactionError> {
        let line = self.line;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or(TransactionError::Truncated { line })?;
        let (text, tail) = self.rest.split_at(end);
        self.rest = tail.get(1..).unwrap_or_default();
        let mut fields = text.splitn(3, |byte| *byte == b' ');
        let mut next = || fields.next().ok_or(TransactionError::Shape { line });
        let (old, new, name) = (next()?, next()?, next()?);
        Ok(RefWrite {
            old: self.target(old)?,
            new: self.target(new)?,
            name: self.name(name)?,
        })
    }

    fn target(&self, text: &[u8]) -> Result<RefTarget, TransactionError> {
        if let Some(target) = text.strip_prefix(b"ref:") {
            return Ok(RefTarget::Symbolic(self.name(target)?));
        }
        let line = self.line;
        match Oid::from_hex(text) {
            Err(source) => Err(TransactionError::Id { line, source }),
            Ok(oid) if oid.format() != self.format => Err(TransactionError::Format {
                line,
                expected: self.format,
            }),
            Ok(oid) => Ok(RefTarget::Oid(oid)),
        }
    }

    fn name(&self, text: &[u8]) -> Result<RefName, TransactionError> {
        match text.is_empty() || text.iter().any(|byte| matches!(byte, 0 | b' ')) {
            true => Err(TransactionError::Shape { line: self.line }),
            false => Ok(RefName::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef01234567";

    fn read(text: &str) -> Result<Vec<RefWrite>, TransactionError> {
        writes(text.as_bytes(), ObjectFormat::Sha1).collect()
    }

    /// Ids, zeros and symbolic values are told apart; no line is no ref.
    #[test]
    fn reads_lines() {
        let zero = "0".repeat(40);
        let text = format!("{zero} {A} HEAD\n{A} ref:refs/heads/b refs/heads/a\n");
        let lines = read(&text).unwrap();
        let oid = |hex: &str| RefTarget::Oid(hex.parse().unwrap());
        let target = RefTarget::Symbolic(RefName::from("refs/heads/b"));
        assert_eq!(
            lines,
            [
                RefWrite {
                    old: oid(&zero),
                    new: oid(A),
                    name: RefName::from("HEAD"),
                },
                RefWrite {
                    old: oid(A),
                    new: target,
                    name: RefName::from("refs/heads/a"),
                },
            ]
        );
        assert_eq!(read(""), Ok(Vec::new()));
    }

    /// The first line that is not as git writes them ends it, with its number.
    #[test]
    fn refuses_garbage() {
        let sha256 = format!("{A}{}", &A[..24]);
        let line = 1;
        for (text, error) in [
            (
                format!("{A} {A} HEAD\n{A} {A} x"),
                TransactionError::Truncated { line: 2 },
            ),
            (format!("{A} {A}\n"), TransactionError::Shape { line }),
            ("\n".to_owned(), TransactionError::Shape { line }),
            (format!("{A} {A} a b\n"), TransactionError::Shape { line }),
            (format!("{A} {A} \n"), TransactionError::Shape { line }),
            (format!("{A} {A} a\0\n"), TransactionError::Shape { line }),
            (format!("{A} ref: HEAD\n"), TransactionError::Shape { line }),
            (
                format!("{A} {sha256} a\n{A} {A} b\n"),
                TransactionError::Format {
                    line,
                    expected: ObjectFormat::Sha1,
                },
            ),
            (
                format!("refs/heads/a {A} HEAD\n"),
                TransactionError::Id {
                    line,
                    source: OidError::Length(12),
                },
            ),
        ] {
            assert_eq!(read(&text), Err(error), "{text:?}");
            let mut lines = writes(text.as_bytes(), ObjectFormat::Sha1);
            assert!(lines.by_ref().any(|line| line.is_err()));
            assert_eq!(lines.next(), None);
        }
    }
}
