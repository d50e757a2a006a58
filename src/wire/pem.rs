//! Ed25519 keys as PEM: RFC 7468, RFC 8410; what `openssl genpkey -algorithm ed25519` writes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use faster_hex::hex_string;
use sha2::{Digest as _, Sha256};

/// The most bytes of a key file.
pub const MAX_PEM: usize = 4096;

/// What stands before the 32 bytes of a public key (SubjectPublicKeyInfo).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// What stands before the 32 bytes of a private key (PKCS #8, version 1).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// A public key that signs attestations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A private key that signs attestations.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// Why a file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Not one block of the right name.
    #[error("not PEM: `-----BEGIN {0}-----`, base64, `-----END {0}-----`")]
    Shape(&'static str),
    /// A key of another algorithm, or in another form.
    #[error("not an Ed25519 key as RFC 8410 has it")]
    Algorithm,
    /// A point that is no key, or one of small order.
    #[error("a weak key, or none")]
    Weak,
}

impl PublicKey {
    /// Parses a `PUBLIC KEY` block.
    pub fn parse(text: &[u8]) -> Result<Self, PemError> {
        let raw = block(text, "PUBLIC KEY")?;
        let raw = raw.strip_prefix(&SPKI).ok_or(PemError::Algorithm)?;
        let raw = <&[u8; 32]>::try_from(raw).map_err(|_| PemError::Algorithm)?;
        let key = VerifyingKey::from_bytes(raw).map_err(|_| PemError::Weak)?;
        match key.is_weak() || key.to_bytes() != *raw {
            true => Err(PemError::Weak),
            false => Ok(Self(key)),
        }
    }

    /// Returns the `PUBLIC KEY` block.
    pub fn to_pem(&self) -> String {
        written("PUBLIC KEY", &[&SPKI[..], self.0.as_bytes()].concat())
    }

    /// Returns the id by which in-toto's and TUF's libraries know the key: SHA-256 over its canonical
    /// JSON.
    pub fn id(&self) -> String {
        let public = hex_string(self.0.as_bytes());
        let json = format!(
            r#"{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}"#
        );
        hex_string(&Sha256::digest(json))
    }

    /// Returns whether the key made this signature; strictly, as the log's are.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl SecretKey {
    /// Makes the key of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Parses a `PRIVATE KEY` block that nothing encrypts.
    pub fn parse(text: &[u8]) -> Result<Self, PemError> {
        let raw = block(text, "PRIVATE KEY")?;
        let seed = raw.strip_prefix(&PKCS8).ok_or(PemError::Algorithm)?;
        let seed = <&[u8; 32]>::try_from(seed).map_err(|_| PemError::Algorithm)?;
        Ok(Self::from_seed(seed))
    }

    /// Returns the `PRIVATE KEY` block: a secret.
    pub fn to_secret_pem(&self) -> String {
        written("PRIVATE KEY", &[&PKCS8[..], self.0.as_bytes()].concat())
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

/// Returns the bytes of the only block of a text; a line feed may be missing at its end.
fn block(text: &[u8], name: &'static str) -> Result<Vec<u8>, PemError> {
    let shape = || PemError::Shape(name);
    let text = std::str::from_utf8(text).map_err(|_| shape())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let body = text
        .strip_prefix(&format!("-----BEGIN {name}-----\n"))
        .and_then(|rest| rest.strip_suffix(&format!("\n-----END {name}-----")))
        .filter(|body| body.len() <= MAX_PEM)
        .ok_or_else(shape)?;
    BASE64.decode(body).map_err(|_| shape())
}

fn written(name: &str, raw: &[u8]) -> String {
    let body = BASE64.encode(raw);
    format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example key of RFC 8410 section 10, private and public.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    /// The keys of the specification come out as they went in, and are halves of one.
    #[test]
    fn reads_the_specification() {
        let secret = SecretKey::parse(PRIVATE.as_bytes()).unwrap();
        let public = PublicKey::parse(PUBLIC.as_bytes()).unwrap();
        assert_eq!(secret.public(), public);
        assert_eq!(secret.to_secret_pem(), PRIVATE);
        assert_eq!(public.to_pem(), PUBLIC);
        let signature = secret.sign(b"message");
        assert!(public.verify(b"message", &signature));
        assert!(!public.verify(b"another", &signature));
        assert!(!public.verify(b"message", &signature[1..]));
        assert!(!format!("{secret:?}").contains("1NRy"));
    }

    /// Everything else is refused, a private key in a public one's place and a weak one too.
    #[test]
    fn refuses_garbage() {
        let weak = written("PUBLIC KEY", &[&SPKI[..], &[0; 32]].concat());
        for (text, error) in [
            (PRIVATE, PemError::Shape("PUBLIC KEY")),
            ("", PemError::Shape("PUBLIC KEY")),
            (&format!("{PUBLIC}{PUBLIC}"), PemError::Shape("PUBLIC KEY")),
            (&PUBLIC.replace('\n', "\r\n"), PemError::Shape("PUBLIC KEY")),
            (&written("PUBLIC KEY", b"\x30\x03"), PemError::Algorithm),
            (
                &written("PUBLIC KEY", &[&SPKI[..], &[1; 33]].concat()),
                PemError::Algorithm,
            ),
            (&weak, PemError::Weak),
        ] {
            assert_eq!(PublicKey::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert!(SecretKey::parse(PUBLIC.as_bytes()).is_err());
    }
}
