//! Checkpoints: origin, size and root of the log, as a signed note.
//!
//! ```text
//! git.example.com/payments
//! 42
//! 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//!
//! — git.example.com/payments <signature>
//! ```
//!
//! Source: C2SP tlog-checkpoint v1.0.0, <https://c2sp.org/tlog-checkpoint>; without extension
//! lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::proof::{Hash, empty_root};
use crate::wire::note::{Note, NoteError, NoteKey, NoteSigner};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, which is that of its key.
    pub origin: String,
    /// How many entries there are.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note, or its signature.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines.
    #[error("a checkpoint is three lines: origin, size and root")]
    Shape,
    /// Not a decimal number without leading zeros.
    #[error("the size is a decimal number, found {0:?}")]
    Size(String),
    /// Not 32 bytes of base64.
    #[error("the root is 32 bytes of base64, found {0:?}")]
    Root(String),
    /// Signed by the log's key, but for another log.
    #[error("the checkpoint is of {found}, expected {expected}")]
    Origin {
        /// The name of the key.
        expected: String,
        /// The first line.
        found: String,
    },
}

impl Checkpoint {
    /// Returns the checkpoint of a log without entries.
    pub fn empty(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            size: 0,
            root: empty_root(),
        }
    }

    /// Parses a checkpoint that must be signed by the log's key.
    pub fn open(bytes: &[u8], key: &NoteKey) -> Result<Self, CheckpointError> {
        Self::of_note(&Note::parse(bytes)?, key)
    }

    /// Reads the checkpoint of a note that must be signed by the log's key.
    pub fn of_note(note: &Note, key: &NoteKey) -> Result<Self, CheckpointError> {
        note.verify(key)?;
        let checkpoint = Self::parse(&note.text)?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::Origin {
                expected: key.name().to_owned(),
                found: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }

    /// Parses the text of a note that somebody else verifies.
    pub(super) fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(digits), Some(encoded), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Shape);
        };
        let size = digits
            .parse::<u64>()
            .ok()
            .filter(|size| size.to_string() == digits)
            .ok_or_else(|| CheckpointError::Size(digits.to_owned()))?;
        let root = BASE64
            .decode(encoded)
            .ok()
            .and_then(|raw| Hash::try_from(raw).ok())
            .ok_or_else(|| CheckpointError::Root(encoded.to_owned()))?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// Returns the text that is signed.
    pub fn text(&self) -> String {
        let root = BASE64.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Returns the note signed by a key that is at hand.
    pub fn sign(&self, key: &NoteSigner) -> Note {
        key.sign(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> NoteSigner {
        NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap()
    }

    /// A checkpoint comes out as it went in; that of the empty log has the specified root.
    #[test]
    fn round_trips() {
        let checkpoint = Checkpoint::empty("example.com/log");
        let note = checkpoint.sign(&key());
        assert_eq!(
            note.text,
            "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        );
        let read = Checkpoint::open(note.to_string().as_bytes(), key().public());
        assert_eq!(read, Ok(checkpoint));
    }

    /// Another key, another log and every deviation from the three lines is refused.
    #[test]
    fn refuses_garbage() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let size = |text: &str| CheckpointError::Size(text.to_owned());
        for (text, error) in [
            ("example.com/log\n0\n".to_owned(), CheckpointError::Shape),
            (
                format!("example.com/log\n0\n{root}\nmore\n"),
                CheckpointError::Shape,
            ),
            (format!("example.com/log\n00\n{root}\n"), size("00")),
            (format!("example.com/log\n+1\n{root}\n"), size("+1")),
            (
                format!("example.com/log\n18446744073709551616\n{root}\n"),
                size("18446744073709551616"),
            ),
            (
                "example.com/log\n0\nAAAA\n".to_owned(),
                CheckpointError::Root("AAAA".to_owned()),
            ),
            (
                format!("example.com/other\n0\n{root}\n"),
                CheckpointError::Origin {
                    expected: "example.com/log".to_owned(),
                    found: "example.com/other".to_owned(),
                },
            ),
        ] {
            let note = key().sign(&text).to_string();
            assert_eq!(
                Checkpoint::open(note.as_bytes(), key().public()),
                Err(error),
                "{text:?}"
            );
        }
        let other = NoteSigner::from_seed("example.com/log", &[2; 32]).unwrap();
        let note = Checkpoint::empty("example.com/log")
            .sign(&other)
            .to_string();
        let found = Checkpoint::open(note.as_bytes(), key().public());
        assert!(matches!(
            found,
            Err(CheckpointError::Note(NoteError::OtherKey { .. }))
        ));
    }
}
