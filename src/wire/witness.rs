//! What a log and a witness say to each other.
//!
//! ```text
//! old <size of the checkpoint cosigned last>
//! <base64 of 32 bytes>        the consistency proof, at most 63 lines
//! <empty line>
//! <checkpoint, a signed note>
//! ```
//!
//! is answered by signature lines, or with status 409 by the size that the witness knows. Source:
//! C2SP tlog-witness v1.0.0, <https://c2sp.org/tlog-witness>.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::log_proof::MAX_PATH;
use super::note::{MAX_NOTE, Note, NoteError, NoteSignature};

/// The most bytes of a request: a size, a proof and a note.
pub const MAX_REQUEST: usize = MAX_NOTE + 4096;
/// The most bytes of an answer that are read.
pub const MAX_ANSWER: usize = 16 * 1024;
/// The most signature lines of an answer: a witness has few keys.
pub const MAX_LINES: usize = 16;

/// The body of `POST <prefix>/add-checkpoint`: nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness cosigned last; 0 for none.
    pub old: u64,
    /// The proof that the tree of the checkpoint continues that of the old size.
    pub proof: Vec<[u8; 32]>,
    /// The checkpoint as signed by its log.
    pub checkpoint: Note,
}

/// What is wrong with a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Larger than is read.
    #[error("{found} bytes, at most {limit} are read")]
    TooLarge {
        /// The size.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// No empty line, or bytes that are no ASCII before it.
    #[error("a request is lines of ASCII, an empty line and a checkpoint")]
    Shape,
    /// Not `old` and a decimal number.
    #[error("line 1: not `old <decimal number>`")]
    Old,
    /// A line of the proof that is not 32 bytes of base64.
    #[error("line {0}: not 32 bytes of base64")]
    Hash(usize),
    /// More than [`MAX_PATH`] hashes.
    #[error("more than {MAX_PATH} hashes")]
    TooLong,
    /// The checkpoint.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// An answer that is not signature lines.
    #[error("line {0}: not `— <name> <base64>`")]
    Line(usize),
    /// An answer without a line, or with too many.
    #[error("not 1 to {MAX_LINES} signature lines")]
    Lines,
    /// An answer that is not a size.
    #[error("not a decimal number and a line feed")]
    Size,
}

impl AddCheckpoint {
    /// Parses a request and verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, WitnessError> {
        within(bytes, MAX_REQUEST)?;
        let end = bytes
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .ok_or(WitnessError::Shape)?;
        let (head, rest) = bytes.split_at_checked(end).ok_or(WitnessError::Shape)?;
        let note = rest.get(2..).ok_or(WitnessError::Shape)?;
        let head = std::str::from_utf8(head).map_err(|_| WitnessError::Shape)?;
        if !head.is_ascii() {
            return Err(WitnessError::Shape);
        }
        let mut lines = (1..).zip(head.split('\n'));
        let first = lines.next().and_then(|(_, line)| line.strip_prefix("old "));
        let old = first.and_then(decimal).ok_or(WitnessError::Old)?;
        let mut proof = Vec::new();
        for (number, line) in lines {
            if proof.len() >= MAX_PATH {
                return Err(WitnessError::TooLong);
            }
            proof.push(hash(line).ok_or(WitnessError::Hash(number))?);
        }
        Ok(Self {
            old,
            proof,
            checkpoint: Note::parse(note)?,
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Parses the answer to an accepted request: signature lines, at least one.
pub fn cosignatures(bytes: &[u8]) -> Result<Vec<NoteSignature>, WitnessError> {
    within(bytes, MAX_ANSWER)?;
    let text = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .ok_or(WitnessError::Lines)?;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if found.len() >= MAX_LINES {
            return Err(WitnessError::Lines);
        }
        let odd = line.chars().any(char::is_control);
        let line = NoteSignature::parse(line).filter(|_| !odd);
        found.push(line.ok_or(WitnessError::Line(number))?);
    }
    Ok(found)
}

/// Parses the answer to a conflict: the size that the witness knows.
pub fn size(bytes: &[u8]) -> Result<u64, WitnessError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .and_then(decimal)
        .ok_or(WitnessError::Size)
}

fn within(bytes: &[u8], limit: usize) -> Result<(), WitnessError> {
    let found = bytes.len();
    match found > limit {
        true => Err(WitnessError::TooLarge { found, limit }),
        false => Ok(()),
    }
}

/// Reads a decimal number that is written in the one way there is.
fn decimal(digits: &str) -> Option<u64> {
    let number = digits.parse::<u64>().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn hash(line: &str) -> Option<[u8; 32]> {
    BASE64.decode(line).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::note::NoteSigner;

    /// The specification's request, with the hashes and signatures that it shows.
    const SPECIFIED: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
    /// And its answer.
    const ANSWER: &str = "\u{2014} witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n\
        \u{2014} witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n\
        \u{2014} witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n";

    fn checkpoint() -> Note {
        let signer = NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap();
        signer.sign("example.com/log\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
    }

    /// The specification's request and answer are read as they are meant, and written as they were.
    #[test]
    fn reads_the_specified_ones() {
        let request = AddCheckpoint::parse(SPECIFIED.as_bytes()).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert_eq!(request.checkpoint.signatures.len(), 2);
        assert_eq!(request.to_string(), SPECIFIED);
        let lines = cosignatures(ANSWER.as_bytes()).unwrap();
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "witness.example/w1",
                "witness.example/w1",
                "witness.example/w2"
            ]
        );
        assert!(lines.iter().all(|line| line.signature.len() == 72));
    }

    /// Requests of all lengths come out as they went in.
    #[test]
    fn round_trips() {
        for (old, count) in [(0, 0), (1, 1), (u64::MAX, MAX_PATH)] {
            let request = AddCheckpoint {
                old,
                proof: vec![[9; 32]; count],
                checkpoint: checkpoint(),
            };
            let text = request.to_string();
            assert!(text.len() < MAX_REQUEST);
            assert_eq!(AddCheckpoint::parse(text.as_bytes()), Ok(request));
        }
    }

    /// Everything that is not a request has its error.
    #[test]
    fn refuses_requests() {
        let note = checkpoint().to_string();
        let with = |head: &str| format!("{head}\n\n{note}");
        let one = BASE64.encode([9; 32]);
        for (text, error) in [
            (String::new(), WitnessError::Shape),
            ("old 0\n".to_owned(), WitnessError::Shape),
            (with("old 0\n\u{e9}"), WitnessError::Shape),
            (with("old 00"), WitnessError::Old),
            (with("old +1"), WitnessError::Old),
            (with("old -1"), WitnessError::Old),
            (with("old  1"), WitnessError::Old),
            (with("old 1 "), WitnessError::Old),
            (with("old 1\r"), WitnessError::Old),
            (with("Old 1"), WitnessError::Old),
            (with("old"), WitnessError::Old),
            (with("old 18446744073709551616"), WitnessError::Old),
            (
                with(&format!("old 1\n{}", &one[..40])),
                WitnessError::Hash(2),
            ),
            (
                with(&format!("old 1\n{one}\n {one}")),
                WitnessError::Hash(3),
            ),
            (
                with(&format!("old 1{}", format!("\n{one}").repeat(64))),
                WitnessError::TooLong,
            ),
            (
                "old 0\n\nno note\n".to_owned(),
                WitnessError::Note(NoteError::Shape),
            ),
            (
                "a".repeat(MAX_REQUEST + 1),
                WitnessError::TooLarge {
                    found: MAX_REQUEST + 1,
                    limit: MAX_REQUEST,
                },
            ),
        ] {
            let found = AddCheckpoint::parse(text.as_bytes());
            assert_eq!(found, Err(error), "{text:.60}");
        }
    }

    /// Everything that is not an answer has its error.
    #[test]
    fn refuses_answers() {
        let line = ANSWER.lines().next().unwrap();
        for (text, error) in [
            (String::new(), WitnessError::Lines),
            ("\n".to_owned(), WitnessError::Line(1)),
            (line.to_owned(), WitnessError::Lines),
            (format!("{line}\n\n"), WitnessError::Line(2)),
            (format!("{line}\r\n"), WitnessError::Line(1)),
            (format!("{line}\nOK\n"), WitnessError::Line(2)),
            (format!("{line}\n").repeat(17), WitnessError::Lines),
            (
                "a".repeat(MAX_ANSWER + 1),
                WitnessError::TooLarge {
                    found: MAX_ANSWER + 1,
                    limit: MAX_ANSWER,
                },
            ),
        ] {
            let found = cosignatures(text.as_bytes());
            assert_eq!(found, Err(error), "{text:.60}");
        }
        assert_eq!(size(b"0\n"), Ok(0));
        assert_eq!(size(b"18446744073709551615\n"), Ok(u64::MAX));
        for bytes in [
            &b"0"[..],
            b"\n",
            b"",
            b"01\n",
            b" 1\n",
            b"1\n\n",
            b"-1\n",
            b"1\r\n",
        ] {
            assert_eq!(size(bytes), Err(WitnessError::Size), "{bytes:?}");
        }
    }
}
