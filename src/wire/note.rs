//! Signed notes: a text with Ed25519 signature lines under it.
//!
//! ```text
//! <text, ends with a line feed>
//! <empty line>
//! — <key name> <base64 of 4 bytes key id and the signature>
//! ```
//!
//! Source: C2SP signed-note v1.0.0, <https://c2sp.org/signed-note>. Key lines are
//! `<name>+<key id, hex>+<base64 of type and key>`; private ones begin with `PRIVATE+KEY+`
//! and carry the 32-byte seed, as Go's `golang.org/x/mod/sumdb/note` writes them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The most bytes a note may have.
pub const MAX_NOTE: usize = 64 * 1024;
/// The most signature lines a note may have.
pub const MAX_SIGNATURES: usize = 100;

pub(super) const ED25519: u8 = 0x01;
const MARK: &str = "\u{2014} ";

/// A parsed note: nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed; ends with a line feed.
    pub text: String,
    /// At least one, in order.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The first four bytes of a hash over name, type and key.
    pub id: [u8; 4],
    /// What follows the id; for Ed25519 64 bytes.
    pub signature: Vec<u8>,
}

/// A public Ed25519 note key (a verifier line).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A private Ed25519 note key.
#[derive(Clone)]
pub struct NoteSigner {
    public: NoteKey,
    key: SigningKey,
}

/// What is wrong with a note or a note key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE`].
    #[error("a note of {0} bytes, at most {MAX_NOTE} are read")]
    TooLarge(usize),
    /// Not UTF-8, or with a control character other than the line feed.
    #[error("a note is UTF-8 without control characters")]
    Characters,
    /// No text, empty line and signature lines.
    #[error("a note is a text, an empty line and signature lines")]
    Shape,
    /// A line below the empty line that is no signature line.
    #[error("signature line {0}: not `— <name> <base64>`")]
    SignatureLine(usize),
    /// More than [`MAX_SIGNATURES`] lines.
    #[error("more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A name that is empty or has a space or a plus sign.
    #[error("a key name is not empty and has neither space nor `+`: {0:?}")]
    Name(String),
    /// A verifier or private key line that does not follow the format.
    #[error("not a note key: {0}")]
    Key(&'static str),
    /// A signature by the key that does not fit.
    #[error("bad signature by {0}")]
    BadSignature(String),
    /// No signature by the key.
    #[error("not signed by {0}")]
    Unsigned(String),
    /// No signature by the key, but one by another key of its name.
    #[error("signed by the key {found} of {name}, not by its key {expected}")]
    OtherKey {
        /// The name.
        name: String,
        /// The id of the key.
        expected: String,
        /// The id on the signature line.
        found: String,
    },
}

impl Note {
    /// Parses a note and verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLarge(bytes.len()));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if all.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Characters);
        }
        let (text, lines) = all.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number >= MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let number = number.saturating_add(1);
            signatures.push(NoteSignature::parse(line).ok_or(NoteError::SignatureLine(number))?);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// Verifies that `key` signed the text.
    ///
    /// Lines of other keys are ignored; every line of this key must be good.
    pub fn verify(&self, key: &NoteKey) -> Result<(), NoteError> {
        let mut found = false;
        for line in &self.signatures {
            if line.name == key.name && line.id == key.id {
                key.signature(&self.text, &line.signature)?;
                found = true;
            }
        }
        if found {
            return Ok(());
        }
        Err(match self.other_keys(key).next() {
            Some(line) => NoteError::OtherKey {
                name: key.name.clone(),
                expected: hex_id(key.id),
                found: hex_id(line.id),
            },
            None => NoteError::Unsigned(key.name.clone()),
        })
    }

    /// Returns the lines by other keys of the key's name; nothing of them is verified.
    pub fn other_keys(&self, key: &NoteKey) -> impl Iterator<Item = &NoteSignature> {
        let lines = self.signatures.iter();
        lines.filter(|line| line.name == key.name && line.id != key.id)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl NoteSignature {
    /// Parses a signature line, without a line feed.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(MARK)?.split_once(' ')?;
        let raw = BASE64.decode(encoded).ok()?;
        let (id, signature) = raw.split_first_chunk::<4>()?;
        (is_key_name(name) && !signature.is_empty()).then(|| Self {
            name: name.to_owned(),
            id: *id,
            signature: signature.to_vec(),
        })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut raw = self.id.to_vec();
        raw.extend_from_slice(&self.signature);
        write!(f, "{MARK}{} {}", self.name, BASE64.encode(raw))
    }
}

/// Returns whether the text may name a key.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|char| char.is_whitespace() || char.is_control() || char == '+')
}

impl NoteKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        if key.is_weak() {
            return Err(NoteError::Key("a weak key"));
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, ED25519, key.as_bytes()),
            key,
        })
    }

    /// Parses a verifier line, without a line feed.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, id, raw) = key_fields(line, ED25519)?;
        let key = Self::from_bytes(name, &raw)?;
        if hex_id(key.id) != id {
            return Err(NoteError::Key("its id is not that of its name and key"));
        }
        Ok(key)
    }

    /// Makes a key from a name and the 32 bytes of an Ed25519 public key.
    pub fn from_bytes(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(key)
            .map_err(|_| NoteError::Key("not a point on the curve"))?;
        Self::new(name, key)
    }

    /// Returns the 32 bytes of the Ed25519 public key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns the signature line for a signature, which must be this key's over the text.
    pub fn signature(&self, text: &str, signature: &[u8]) -> Result<NoteSignature, NoteError> {
        ed25519_dalek::Signature::from_slice(signature)
            .and_then(|signature| self.key.verify_strict(text.as_bytes(), &signature))
            .map_err(|_| NoteError::BadSignature(self.name.clone()))?;
        Ok(NoteSignature {
            name: self.name.clone(),
            id: self.id,
            signature: signature.to_vec(),
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key itself, whatever it is called.
    pub(super) fn raw(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex_id(self.id),
            encode_key(ED25519, self.key.as_bytes())
        )
    }
}

impl NoteSigner {
    /// Makes a key from 32 random bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = NoteKey::new(name, key.verifying_key())?;
        Ok(Self { public, key })
    }

    /// Parses a private key line, without a line feed.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let line = line
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(NoteError::Key("not a private key"))?;
        let (name, id, seed) = key_fields(line, ED25519)?;
        let signer = Self::from_seed(name, &seed)?;
        if hex_id(signer.public.id) != id {
            return Err(NoteError::Key("its id is not that of its name and key"));
        }
        Ok(signer)
    }

    /// Returns the private key line: a secret.
    pub fn to_secret_line(&self) -> String {
        format!(
            "PRIVATE+KEY+{}+{}+{}",
            self.public.name,
            hex_id(self.public.id),
            encode_key(ED25519, self.key.as_bytes())
        )
    }

    /// Returns the public half.
    pub fn public(&self) -> &NoteKey {
        &self.public
    }

    /// Signs a text that ends with a line feed.
    pub fn sign(&self, text: &str) -> Note {
        Note {
            text: text.to_owned(),
            signatures: vec![NoteSignature {
                name: self.public.name.clone(),
                id: self.public.id,
                signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
            }],
        }
    }
}

impl fmt::Debug for NoteSigner {
    /// Shows the public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.public)
    }
}

/// Splits a key line into name, id and the 32 bytes of a key of this type.
pub(super) fn key_fields(line: &str, kind: u8) -> Result<(&str, &str, [u8; 32]), NoteError> {
    let mut fields = line.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(NoteError::Key("not `<name>+<id>+<base64>`"));
    };
    let raw = BASE64
        .decode(key)
        .map_err(|_| NoteError::Key("its key is not base64"))?;
    match raw.split_first() {
        Some((found, key)) if *found == kind => key
            .try_into()
            .map(|key| (name, id, key))
            .map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes")),
        _ if kind == ED25519 => Err(NoteError::Key("not an Ed25519 key")),
        _ => Err(NoteError::Key("not an Ed25519 cosignature key")),
    }
}

/// Returns the id of a key of this type.
pub(super) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

pub(super) fn hex_id(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

pub(super) fn encode_key(kind: u8, key: &[u8; 32]) -> String {
    let mut raw = vec![kind];
    raw.extend_from_slice(key);
    BASE64.encode(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of the specification's example.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const TEXT: &str = "This is an example message.\n";

    fn signer() -> NoteSigner {
        NoteSigner::from_seed("git.example.com/payments", &[7; 32]).unwrap()
    }

    /// The specification's verifier line is read and comes out as it went in.
    #[test]
    fn reads_the_specified_key() {
        let key = NoteKey::parse(VKEY).unwrap();
        assert_eq!(key.name(), "example.com/foo");
        assert_eq!(key.to_string(), VKEY);
    }

    /// A private key line round-trips and what it signs verifies under its public half alone.
    #[test]
    fn signs_and_verifies() {
        let signer = NoteSigner::parse(&signer().to_secret_line()).unwrap();
        let note = signer.sign(TEXT);
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read, note);
        let public = NoteKey::parse(&signer.public().to_string()).unwrap();
        read.verify(&public).unwrap();
        assert_eq!(
            read.verify(&NoteKey::parse(VKEY).unwrap()),
            Err(NoteError::Unsigned("example.com/foo".to_owned()))
        );
    }

    /// One changed byte of the text, or a second, bad line of a known key, is a bad signature.
    #[test]
    fn notices_changes() {
        let signer = signer();
        let mut note = signer.sign(TEXT);
        note.text = "This is an example massage.\n".to_owned();
        assert!(matches!(
            note.verify(signer.public()),
            Err(NoteError::BadSignature(_))
        ));
        let mut note = signer.sign(TEXT);
        let mut second = note.signatures[0].clone();
        second.signature[0] ^= 1;
        note.signatures.push(second);
        assert!(matches!(
            note.verify(signer.public()),
            Err(NoteError::BadSignature(_))
        ));
    }

    /// The text may contain empty lines: the last one separates.
    #[test]
    fn splits_at_the_last_empty_line() {
        let note = signer().sign("a\n\nb\n");
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read.text, "a\n\nb\n");
        read.verify(signer().public()).unwrap();
    }

    /// Everything that is not a note has its error.
    #[test]
    fn refuses_garbage() {
        let good = signer().sign(TEXT).to_string();
        let line = good.lines().last().unwrap();
        for (bytes, error) in [
            (b"".to_vec(), NoteError::Shape),
            (b"text\n".to_vec(), NoteError::Shape),
            (good.trim_end().as_bytes().to_vec(), NoteError::Shape),
            (b"a\rb\n\n".to_vec(), NoteError::Characters),
            (b"\xff\n\n".to_vec(), NoteError::Characters),
            (b"text\n\n\n".to_vec(), NoteError::Shape),
            (
                b"text\n\n- foo AAAAAAA=\n".to_vec(),
                NoteError::SignatureLine(1),
            ),
            (
                format!("text\n\n{line}\n\u{2014} a+b AAAAAAA=\n").into_bytes(),
                NoteError::SignatureLine(2),
            ),
            (
                "text\n\n\u{2014} foo AAAAAA==\n".as_bytes().to_vec(),
                NoteError::SignatureLine(1),
            ),
            (
                format!("text\n\n{}", format!("{line}\n").repeat(101)).into_bytes(),
                NoteError::TooManySignatures,
            ),
            (vec![b'a'; MAX_NOTE + 1], NoteError::TooLarge(MAX_NOTE + 1)),
        ] {
            assert_eq!(Note::parse(&bytes), Err(error), "{:?}", bytes.get(..40));
        }
    }

    /// Keys with a wrong id, type, length or name are no keys, and a weak point is none either.
    #[test]
    fn refuses_bad_keys() {
        for line in [
            "",
            "example.com/foo",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+Aeky",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert!(NoteKey::parse(line).is_err(), "{line}");
        }
        let mut identity = [0; 32];
        identity[0] = 1;
        let point = VerifyingKey::from_bytes(&identity).unwrap();
        assert_eq!(NoteKey::new("a", point), Err(NoteError::Key("a weak key")));
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb"] {
            assert_eq!(
                NoteSigner::from_seed(name, &[7; 32]).unwrap_err(),
                NoteError::Name(name.to_owned())
            );
        }
    }

    /// Debug output never shows the secret.
    #[test]
    fn hides_the_secret() {
        let secret = signer().to_secret_line();
        let secret = secret.rsplit('+').next().unwrap();
        assert!(!format!("{:?}", signer()).contains(secret));
    }
}
