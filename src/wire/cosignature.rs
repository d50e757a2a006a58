//! Cosignatures: a witness's word that a checkpoint continues all it saw of a log before.
//!
//! A signature line of a note, made by a key of type 0x04 over
//!
//! ```text
//! cosignature/v1
//! time <seconds since 1970>
//! <text of the note>
//! ```
//!
//! and written as the time (8 bytes, big-endian) before the Ed25519 signature. Source: C2SP
//! tlog-cosignature v1.0.1, <https://c2sp.org/tlog-cosignature>; of its types that of Ed25519 alone.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::note::{
    Note, NoteError, NoteSignature, encode_key, hex_id, is_key_name, key_fields, key_id,
};

const COSIGNATURE: u8 = 0x04;
/// The latest time that may be written.
const MAX_TIME: u64 = i64::MAX as u64;

/// The public key of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignerKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// The private key of a witness.
#[derive(Clone)]
pub struct Cosigner {
    public: CosignerKey,
    key: SigningKey,
}

impl CosignerKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        if key.is_weak() {
            return Err(NoteError::Key("a weak key"));
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, COSIGNATURE, key.as_bytes()),
            key,
        })
    }

    /// Parses a verifier line, without a line feed.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, id, raw) = key_fields(line, COSIGNATURE)?;
        let key = VerifyingKey::from_bytes(&raw)
            .map_err(|_| NoteError::Key("not a point on the curve"))?;
        let key = Self::new(name, key)?;
        if hex_id(key.id) != id {
            return Err(NoteError::Key("its id is not that of its name and key"));
        }
        Ok(key)
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is the same key, whatever the two are called: a witness under two names is
    /// one witness.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Returns whether a line says that it is by this key.
    pub fn made(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.id == self.id
    }

    /// Returns when this key last cosigned the note, in seconds; nothing where it did not.
    ///
    /// Lines of other keys are ignored; every line of this key must be good.
    pub fn verify(&self, note: &Note) -> Result<Option<u64>, NoteError> {
        let mut latest = None;
        for line in note.signatures.iter().filter(|line| self.made(line)) {
            let bad = || NoteError::BadSignature(self.name.clone());
            let (time, signature) = line.signature.split_first_chunk::<8>().ok_or_else(bad)?;
            let time = u64::from_be_bytes(*time);
            let signature = Signature::from_slice(signature).map_err(|_| bad())?;
            if time > MAX_TIME {
                return Err(bad());
            }
            self.key
                .verify_strict(message(time, &note.text).as_bytes(), &signature)
                .map_err(|_| bad())?;
            latest = latest.max(Some(time));
        }
        Ok(latest)
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = encode_key(COSIGNATURE, self.key.as_bytes());
        write!(f, "{}+{}+{key}", self.name, hex_id(self.id))
    }
}

impl Cosigner {
    /// Makes a key from 32 random bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = CosignerKey::new(name, key.verifying_key())?;
        Ok(Self { public, key })
    }

    /// Parses a private key line, without a line feed.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let line = line
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(NoteError::Key("not a private key"))?;
        let (name, id, seed) = key_fields(line, COSIGNATURE)?;
        let signer = Self::from_seed(name, &seed)?;
        if hex_id(signer.public.id) != id {
            return Err(NoteError::Key("its id is not that of its name and key"));
        }
        Ok(signer)
    }

    /// Returns the private key line: a secret.
    pub fn to_secret_line(&self) -> String {
        let seed = encode_key(COSIGNATURE, self.key.as_bytes());
        format!(
            "PRIVATE+KEY+{}+{}+{seed}",
            self.public.name,
            hex_id(self.public.id)
        )
    }

    /// Returns the public half.
    pub fn public(&self) -> &CosignerKey {
        &self.public
    }

    /// Cosigns a note's text at a time, in seconds.
    pub fn cosign(&self, text: &str, at: u64) -> NoteSignature {
        let at = at.min(MAX_TIME);
        let mut signature = at.to_be_bytes().to_vec();
        let signed = self.key.sign(message(at, text).as_bytes());
        signature.extend_from_slice(&signed.to_bytes());
        NoteSignature {
            name: self.public.name.clone(),
            id: self.public.id,
            signature,
        }
    }
}

impl fmt::Debug for Cosigner {
    /// Shows the public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.public)
    }
}

/// What is signed.
fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::note::{NoteKey, NoteSigner};

    const TEXT: &str = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    /// What a public witness said of a public log's checkpoint in 2026, with its key.
    const LIVE: &str = "coachandhorses2026h1.staging.certificate.transparency.goog\n185550722\n\
        YXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=\n\n\
        \u{2014} witness.navigli.sunlight.geomys.org o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==\n";
    const LIVE_KEY: &str =
        "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G";

    fn cosigner() -> Cosigner {
        Cosigner::from_seed("witness.example.com/w1", &[3; 32]).unwrap()
    }

    fn note(lines: Vec<NoteSignature>) -> Note {
        Note {
            text: TEXT.to_owned(),
            signatures: lines,
        }
    }

    /// A cosignature that a public witness gave verifies, and only over what it gave it for.
    #[test]
    fn reads_a_live_one() {
        let key = CosignerKey::parse(LIVE_KEY).unwrap();
        assert_eq!(key.to_string(), LIVE_KEY);
        let mut note = Note::parse(LIVE.as_bytes()).unwrap();
        assert_eq!(key.verify(&note), Ok(Some(1_785_704_691)));
        note.text = note.text.replace("185550722", "185550723");
        assert!(key.verify(&note).is_err());
    }

    /// The specification's example names the id and the time that its bytes say.
    #[test]
    fn reads_the_specified_line() {
        let line = "\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";
        let line = NoteSignature::parse(line).unwrap();
        assert_eq!(hex_id(line.id), "8d66cf3f");
        assert_eq!(line.signature.len(), 72);
        let time: [u8; 8] = line.signature[..8].try_into().unwrap();
        assert_eq!(u64::from_be_bytes(time), 1_679_315_147);
    }

    /// Key lines round-trip; what is signed verifies under the public half; the latest time is told.
    #[test]
    fn cosigns_and_verifies() {
        let signer = Cosigner::parse(&cosigner().to_secret_line()).unwrap();
        let public = CosignerKey::parse(&signer.public().to_string()).unwrap();
        assert_eq!(public.verify(&note(Vec::new())), Ok(None));
        let lines = vec![signer.cosign(TEXT, 7), signer.cosign(TEXT, 5)];
        let read = Note::parse(note(lines).to_string().as_bytes()).unwrap();
        assert_eq!(public.verify(&read), Ok(Some(7)));
    }

    /// Other text, another time, another length, a plain signature by the same key: each is bad.
    #[test]
    fn notices_changes() {
        let signer = cosigner();
        let good = signer.cosign(TEXT, 7);
        let of = |signature: Vec<u8>| NoteSignature {
            signature,
            ..good.clone()
        };
        let mut later = good.signature.clone();
        later[7] ^= 1;
        let mut high = good.signature.clone();
        high[0] = 0x80;
        let plain = NoteSigner::from_seed("witness.example.com/w1", &[3; 32]).unwrap();
        let plain = plain.sign(TEXT).signatures.remove(0).signature;
        let timed = [&7u64.to_be_bytes()[..], &plain].concat();
        for bad in [
            later,
            high,
            good.signature[..71].to_vec(),
            good.signature[8..].to_vec(),
            good.signature[..7].to_vec(),
            [&good.signature[..], &[0]].concat(),
            timed,
            signer.cosign("other\n", 7).signature,
        ] {
            let with_good = note(vec![good.clone(), of(bad)]);
            let found = signer.public().verify(&with_good);
            assert!(
                matches!(found, Err(NoteError::BadSignature(_))),
                "{found:?}"
            );
        }
    }

    /// A time that may not be written is not written.
    #[test]
    fn bounds_time() {
        let line = cosigner().cosign(TEXT, u64::MAX);
        let found = cosigner().public().verify(&note(vec![line]));
        assert_eq!(found, Ok(Some(MAX_TIME)));
    }

    /// A log's key is no witness's, nor the other way round, even with the same bytes.
    #[test]
    fn keeps_the_types_apart() {
        let log = NoteSigner::from_seed("witness.example.com/w1", &[3; 32]).unwrap();
        assert!(CosignerKey::parse(&log.public().to_string()).is_err());
        assert!(Cosigner::parse(&log.to_secret_line()).is_err());
        assert!(NoteKey::parse(&cosigner().public().to_string()).is_err());
        assert!(NoteSigner::parse(&cosigner().to_secret_line()).is_err());
        let note = note(vec![cosigner().cosign(TEXT, 7)]);
        assert!(matches!(
            note.verify(log.public()),
            Err(NoteError::OtherKey { .. })
        ));
    }

    /// Debug output never shows the secret.
    #[test]
    fn hides_the_secret() {
        let secret = cosigner().to_secret_line();
        let secret = secret.rsplit('+').next().unwrap();
        assert!(!format!("{:?}", cosigner()).contains(secret));
    }
}
