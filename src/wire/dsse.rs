//! DSSE envelopes: bytes with their type and any number of signatures over both.
//!
//! ```text
//! {"payload":"<base64>","payloadType":"…","signatures":[{"keyid":"…","sig":"<base64>"}]}
//! ```
//!
//! Source: DSSE v1.0, `protocol.md` and `envelope.md` of <https://github.com/secure-systems-lab/dsse>.
//! Members that are not known are ignored, as it demands: nobody signed them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use serde::Deserialize;
use serde_json::json;

use super::json;
use super::pem::{PublicKey, SecretKey};

/// The type of what in-toto's envelopes carry.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The most bytes of an envelope.
pub const MAX_ENVELOPE: usize = 1 << 20;
/// The most signatures of one.
pub const MAX_SIGNATURES: usize = 32;

/// A parsed envelope: nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The bytes that are signed together with their type.
    pub payload: Vec<u8>,
    /// At least one.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// A hint which key it is by; nobody signed it.
    pub keyid: String,
    /// The signature.
    pub sig: Vec<u8>,
}

/// Why bytes are no envelope.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Larger than [`MAX_ENVELOPE`].
    #[error("an envelope of {0} bytes, at most {MAX_ENVELOPE} are read")]
    TooLarge(usize),
    /// No JSON of an envelope.
    #[error("not a DSSE envelope: {0}")]
    Json(#[from] serde_json::Error),
    /// Not base64.
    #[error("not a DSSE envelope: {0} is not base64")]
    Base64(&'static str),
    /// None, or more than [`MAX_SIGNATURES`].
    #[error("an envelope has 1 to {MAX_SIGNATURES} signatures, not {0}")]
    Signatures(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    payload_type: String,
    payload: String,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
struct RawSignature {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

impl Envelope {
    /// Parses an envelope and verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, DsseError> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(DsseError::TooLarge(bytes.len()));
        }
        let raw: Raw = serde_json::from_value(json::parse(bytes)?)?;
        if raw.signatures.is_empty() || raw.signatures.len() > MAX_SIGNATURES {
            return Err(DsseError::Signatures(raw.signatures.len()));
        }
        let signature = |raw: RawSignature| {
            Ok(EnvelopeSignature {
                keyid: raw.keyid.unwrap_or_default(),
                sig: decode(&raw.sig).ok_or(DsseError::Base64("sig"))?,
            })
        };
        Ok(Self {
            payload_type: raw.payload_type,
            payload: decode(&raw.payload).ok_or(DsseError::Base64("payload"))?,
            signatures: raw
                .signatures
                .into_iter()
                .map(signature)
                .collect::<Result<_, DsseError>>()?,
        })
    }

    /// Signs a payload with each of the keys.
    pub fn sign(payload_type: &str, payload: Vec<u8>, keys: &[SecretKey]) -> Self {
        let message = pae(payload_type, &payload);
        let signature = |key: &SecretKey| EnvelopeSignature {
            keyid: key.public().id(),
            sig: key.sign(&message).to_vec(),
        };
        Self {
            payload_type: payload_type.to_owned(),
            payload,
            signatures: keys.iter().map(signature).collect(),
        }
    }

    /// Returns how many of these keys, each counted once, made a good signature.
    ///
    /// Ids of keys are hints and are not looked at: a signature is held against every key.
    pub fn signed_by(&self, keys: &[PublicKey]) -> usize {
        let message = pae(&self.payload_type, &self.payload);
        let signed = |key: &PublicKey| {
            let mut all = self.signatures.iter();
            all.any(|signature| key.verify(&message, &signature.sig))
        };
        let mut counted: Vec<&PublicKey> = Vec::new();
        for key in keys {
            if !counted.contains(&key) && signed(key) {
                counted.push(key);
            }
        }
        counted.len()
    }
}

/// The envelope as one line, without the line feed.
impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature =
            |it: &EnvelopeSignature| json!({"keyid": it.keyid, "sig": BASE64.encode(&it.sig)});
        let line = json!({
            "payload": BASE64.encode(&self.payload),
            "payloadType": self.payload_type,
            "signatures": self.signatures.iter().map(signature).collect::<Vec<_>>(),
        });
        write!(f, "{line}")
    }
}

/// Returns what is signed: type and payload with their lengths (pre-authentication encoding).
///
/// It begins with `DSSEv1 `, which no text of a signed note that Countersign signs does.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

/// Either alphabet, as the specification has it.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    /// What is signed is laid out as the specification's own example.
    #[test]
    fn encodes_as_specified() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    /// An envelope comes out as it went in, and counts each key once.
    #[test]
    fn round_trips() {
        let signed = Envelope::sign(IN_TOTO, b"{}".to_vec(), &[key(1), key(2)]);
        let read = Envelope::parse(signed.to_string().as_bytes()).unwrap();
        assert_eq!(read, signed);
        let public = |seed| key(seed).public();
        for (keys, count) in [
            (vec![public(1)], 1),
            (vec![public(1), public(2)], 2),
            (vec![public(1), public(1)], 1),
            (vec![public(3)], 0),
            (vec![], 0),
        ] {
            assert_eq!(read.signed_by(&keys), count);
        }
    }

    /// Another payload, another type, or a signature swapped in, and nobody signed it.
    #[test]
    fn signs_type_and_payload() {
        let signed = Envelope::sign(IN_TOTO, b"{}".to_vec(), &[key(1)]);
        let keys = [key(1).public()];
        let mut other = signed.clone();
        other.payload = b"[]".to_vec();
        assert_eq!(other.signed_by(&keys), 0);
        let mut other = signed.clone();
        other.payload_type = "text/plain".to_owned();
        assert_eq!(other.signed_by(&keys), 0);
        let mut other = signed;
        other.signatures = Envelope::sign(IN_TOTO, b"[]".to_vec(), &[key(1)]).signatures;
        assert_eq!(other.signed_by(&keys), 0);
    }

    /// What is no envelope has its error; ids may be missing, unknown members are ignored.
    #[test]
    fn reads_strictly() {
        let text = r#"{"payloadType":"t","payload":"_w==","signatures":[{"sig":"AA=="}],"more":1}"#;
        let read = Envelope::parse(text.as_bytes()).unwrap();
        assert_eq!((read.payload, read.signatures.len()), (vec![0xff], 1));
        for (text, error) in [
            (
                r#"{"payloadType":"t","payload":"AA==","signatures":[]}"#.to_owned(),
                "1 to 32 signatures, not 0",
            ),
            (
                text.replace(r#""more":1"#, r#""payload":"AA==""#),
                "stands twice",
            ),
            (
                text.replace(r#""more":1"#, r#""more":{"a":1,"a":2}"#),
                "stands twice",
            ),
            (text.replace("_w==", "_w"), "payload is not base64"),
            (text.replace("AA==", "!"), "sig is not base64"),
            (text.replace("payloadType", "type"), "missing field"),
            (
                text.replace(
                    r#"[{"sig""#,
                    &format!("[{}{{\"sig\"", r#"{"sig":""},"#.repeat(32)),
                ),
                "not 33",
            ),
            ("a".repeat(MAX_ENVELOPE + 1), "at most"),
        ] {
            let found = Envelope::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(error), "{found}: {error}");
        }
    }
}
