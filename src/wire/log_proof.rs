//! Proofs that an entry is in a log, for those who have nothing but the log's key.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>              the line is left out where there is none
//! index <decimal>
//! <base64 of 32 bytes>        sibling of the leaf first, child of the root last
//! <empty line>
//! <checkpoint, a signed note>
//! ```
//!
//! Source: C2SP tlog-proof, <https://c2sp.org/tlog-proof>. In our proofs `extra` is the entry, "data
//! necessary to reconstruct the record hash": one file is enough, and the proof authenticates it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::note::{Note, NoteError};

/// The most bytes a proof may have: an entry, a path and a note, in base64.
pub const MAX_PROOF: usize = 256 * 1024;
/// The most hashes a path may have: no log has 2^63 entries.
pub const MAX_PATH: usize = 63;

const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// A parsed proof: nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Data of the application, which nobody signed.
    pub extra: Option<Vec<u8>>,
    /// Where the entry stands.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub path: Vec<[u8; 32]>,
    /// The checkpoint as signed.
    pub checkpoint: Note,
}

/// What is wrong with something that should be a proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// Larger than [`MAX_PROOF`].
    #[error("a proof of {0} bytes, at most {MAX_PROOF} are read")]
    TooLarge(usize),
    /// No empty line, or bytes that are no ASCII before it.
    #[error("a proof is lines of ASCII, an empty line and a checkpoint")]
    Shape,
    /// Another format, or another version of it.
    #[error("the first line is {FIRST}, found {0:?}")]
    Format(String),
    /// The line of `extra` is no base64.
    #[error("extra is not base64")]
    Extra,
    /// No `index`, or no decimal number without leading zeros behind it.
    #[error("line {0}: not `index <decimal number>`")]
    Index(usize),
    /// A line of the path that is not 32 bytes of base64.
    #[error("line {0}: not 32 bytes of base64")]
    Hash(usize),
    /// More than [`MAX_PATH`] hashes.
    #[error("more than {MAX_PATH} hashes")]
    TooLong,
    /// The checkpoint.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
}

impl LogProof {
    /// Parses a proof and verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogProofError> {
        if bytes.len() > MAX_PROOF {
            return Err(LogProofError::TooLarge(bytes.len()));
        }
        let end = bytes
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .ok_or(LogProofError::Shape)?;
        let (head, rest) = bytes.split_at_checked(end).ok_or(LogProofError::Shape)?;
        let note = rest.get(2..).ok_or(LogProofError::Shape)?;
        let head = std::str::from_utf8(head).map_err(|_| LogProofError::Shape)?;
        if !head.is_ascii() {
            return Err(LogProofError::Shape);
        }
        let mut lines = (1..).zip(head.split('\n')).peekable();
        let first = lines.next().map_or("", |(_, line)| line);
        if first != FIRST {
            let shown: String = first.chars().take(80).collect();
            return Err(LogProofError::Format(shown));
        }
        let extra = lines
            .next_if(|(_, line)| line.starts_with("extra "))
            .map(|(_, line)| extra(line))
            .transpose()?;
        let (number, line) = lines.next().unwrap_or((2, ""));
        let index = index(line).ok_or(LogProofError::Index(number))?;
        let mut path = Vec::new();
        for (number, line) in lines {
            if path.len() >= MAX_PATH {
                return Err(LogProofError::TooLong);
            }
            path.push(hash(line).ok_or(LogProofError::Hash(number))?);
        }
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: Note::parse(note)?,
        })
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

fn extra(line: &str) -> Result<Vec<u8>, LogProofError> {
    let encoded = line.strip_prefix("extra ").ok_or(LogProofError::Extra)?;
    BASE64.decode(encoded).map_err(|_| LogProofError::Extra)
}

fn index(line: &str) -> Option<u64> {
    let digits = line.strip_prefix("index ")?;
    let index = digits.parse::<u64>().ok()?;
    (index.to_string() == digits).then_some(index)
}

fn hash(line: &str) -> Option<[u8; 32]> {
    BASE64.decode(line).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::note::NoteSigner;

    fn checkpoint() -> Note {
        let signer = NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap();
        signer.sign("example.com/log\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
    }

    fn hash_line(byte: u8) -> String {
        BASE64.encode([byte; 32])
    }

    /// With and without extra data, with and without a path, a proof comes out as it went in.
    #[test]
    fn round_trips() {
        for extra in [None, Some(Vec::new()), Some(b"{}".to_vec())] {
            for count in [0, 1, 63] {
                let proof = LogProof {
                    extra: extra.clone(),
                    index: u64::MAX,
                    path: vec![[7; 32]; count],
                    checkpoint: checkpoint(),
                };
                let text = proof.to_string();
                assert_eq!(LogProof::parse(text.as_bytes()), Ok(proof), "{text}");
            }
        }
    }

    /// The lines stand in the order of the specification.
    #[test]
    fn is_laid_out_as_specified() {
        let proof = LogProof {
            extra: Some(b"{}".to_vec()),
            index: 1,
            path: vec![[0; 32], [255; 32]],
            checkpoint: checkpoint(),
        };
        let expected = format!(
            "c2sp.org/tlog-proof@v1\nextra e30=\nindex 1\n{}\n{}\n\n{}",
            hash_line(0),
            hash_line(255),
            checkpoint()
        );
        assert_eq!(proof.to_string(), expected);
    }

    /// Everything that is not a proof has its error.
    #[test]
    fn refuses_garbage() {
        let note = checkpoint().to_string();
        let with = |head: &str| format!("{head}\n\n{note}");
        let first = FIRST;
        let one = hash_line(0);
        for (text, error) in [
            (String::new(), LogProofError::Shape),
            (format!("{first}\nindex 0\n"), LogProofError::Shape),
            (
                with("c2sp.org/tlog-proof@v1\nindex 0\n\u{e9}"),
                LogProofError::Shape,
            ),
            (
                with("c2sp.org/tlog-proof@v2\nindex 0"),
                LogProofError::Format("c2sp.org/tlog-proof@v2".to_owned()),
            ),
            (with(first), LogProofError::Index(2)),
            (with(&format!("{first}\nindex 00")), LogProofError::Index(2)),
            (with(&format!("{first}\nindex -1")), LogProofError::Index(2)),
            (
                with(&format!("{first}\nindex 1\r")),
                LogProofError::Index(2),
            ),
            (with(&format!("{first}\nindex  1")), LogProofError::Index(2)),
            (
                with(&format!("{first}\nindex 18446744073709551616")),
                LogProofError::Index(2),
            ),
            (
                with(&format!("{first}\nindex 0\nextra e30=")),
                LogProofError::Hash(3),
            ),
            (with(&format!("{first}\nextra e30")), LogProofError::Extra),
            (
                with(&format!("{first}\nextra e30=\nextra e30=\nindex 0")),
                LogProofError::Index(3),
            ),
            (
                with(&format!("{first}\nindex 0\n{}", &one[..40])),
                LogProofError::Hash(3),
            ),
            (
                with(&format!(
                    "{first}\nindex 0{}",
                    format!("\n{one}").repeat(64)
                )),
                LogProofError::TooLong,
            ),
            (
                format!("{first}\nindex 0\n\nno note\n"),
                LogProofError::Note(NoteError::Shape),
            ),
            (
                "a".repeat(MAX_PROOF + 1),
                LogProofError::TooLarge(MAX_PROOF + 1),
            ),
        ] {
            assert_eq!(LogProof::parse(text.as_bytes()), Err(error), "{text:.80}");
        }
    }
}
