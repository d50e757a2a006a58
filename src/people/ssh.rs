//! ssh public keys, and signatures by them.
//!
//! Key formats: RFC 4253 section 6.6 (RSA), RFC 5656 (ECDSA), RFC 8709 (Ed25519), OpenSSH's
//! `PROTOCOL.u2f` (security keys). Signatures: RFC 8332 for RSA.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256, Sha512};

use super::key::KeyError;
use crate::wire::sshsig::{SshReader, SshSigError};

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
const P256: &str = "ecdsa-sha2-nistp256";
const P384: &str = "ecdsa-sha2-nistp384";
const P521: &str = "ecdsa-sha2-nistp521";
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const SK_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// RSA moduli: below the first is weak, above the second only costs time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// `DigestInfo` of RFC 8017 section 9.2 up to the digest.
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHA512_INFO: [u8; 19] = [
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
    0x00, 0x04, 0x40,
];

/// An ssh public key, decoded once.
#[derive(Clone)]
pub struct SshKey {
    blob: Vec<u8>,
    public: Public,
}

#[derive(Clone)]
enum Public {
    Ed25519(Ed25519Key),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Rsa(RsaPublicKey),
    SkEd25519(Ed25519Key, Vec<u8>),
    SkP256(p256::ecdsa::VerifyingKey, Vec<u8>),
}

/// Why a signature is not by a key over those bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshVerifyError {
    /// Not in ssh wire format, or something trails.
    #[error(transparent)]
    Format(#[from] SshSigError),
    /// Not an algorithm for this key, or one that is too weak.
    #[error("a signature of type {found} by a key of type {key}")]
    Algorithm {
        /// The signature's.
        found: String,
        /// The key's.
        key: &'static str,
    },
    /// A security key that did not ask who its user is.
    #[error("the security key did not verify its user (`verify_required`)")]
    NotVerified,
    /// A security key that nobody touched.
    #[error("the security key was not touched (user presence is not asserted)")]
    NoPresence,
    /// The numbers do not fit.
    #[error("the signature does not match what it signs")]
    Mismatch,
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}

/// Returns what `ssh-keygen -l` prints for a key in wire format: `SHA256:` and unpadded base64.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

impl SshKey {
    /// Reads a line `type base64 [comment]`, as in a `.pub` file.
    pub fn parse_line(text: &str) -> Result<Self, KeyError> {
        if text.len() > 16 * 1024 || text.chars().any(char::is_control) {
            return Err(KeyError::Line);
        }
        let mut words = text.trim_matches(' ').splitn(3, ' ');
        let (kind, data) = words.next().zip(words.next()).ok_or(KeyError::Line)?;
        if !kind_is_known(kind) {
            return Err(refused_kind(kind.as_bytes()));
        }
        let blob = STANDARD.decode(data).map_err(|_| KeyError::Line)?;
        let key = Self::parse_blob(&blob)?;
        if key.kind() != kind {
            return Err(KeyError::Line);
        }
        Ok(key)
    }

    /// Reads ssh wire format; every byte must belong to the key.
    pub fn parse_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut reader = SshReader::new(blob);
        let kind = reader.string()?;
        let public = match std::str::from_utf8(kind).unwrap_or_default() {
            ED25519 => Public::Ed25519(ed25519(&mut reader)?),
            P256 => Public::P256(p256_key(&mut reader)?),
            P384 => {
                let point = point(&mut reader, b"nistp384", 97)?;
                Public::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(weak)?)
            }
            P521 => {
                let point = point(&mut reader, b"nistp521", 133)?;
                Public::P521(p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(weak)?)
            }
            RSA => Public::Rsa(rsa_key(&mut reader)?),
            SK_ED25519 => Public::SkEd25519(ed25519(&mut reader)?, application(&mut reader)?),
            SK_P256 => Public::SkP256(p256_key(&mut reader)?, application(&mut reader)?),
            _ => return Err(refused_kind(kind)),
        };
        reader.finish()?;
        let blob = blob.to_vec();
        Ok(Self { blob, public })
    }

    /// Returns the key in ssh wire format.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Returns `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// Returns the name of the key's type.
    pub fn kind(&self) -> &'static str {
        match self.public {
            Public::Ed25519(_) => ED25519,
            Public::P256(_) => P256,
            Public::P384(_) => P384,
            Public::P521(_) => P521,
            Public::Rsa(_) => RSA,
            Public::SkEd25519(..) => SK_ED25519,
            Public::SkP256(..) => SK_P256,
        }
    }

    /// Returns whether the key is in hardware that can tell who uses it.
    pub fn is_security_key(&self) -> bool {
        matches!(self.public, Public::SkEd25519(..) | Public::SkP256(..))
    }

    /// Succeeds if `signature`, in ssh wire format, is this key's over `message`.
    ///
    /// A security key must have been touched, and with `verify_required` also have verified its
    /// user; no other key can have.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        verify_required: bool,
    ) -> Result<(), SshVerifyError> {
        if verify_required && !self.is_security_key() {
            return Err(SshVerifyError::NotVerified);
        }
        let mut reader = SshReader::new(signature);
        let algorithm = reader.string()?;
        let value = reader.string()?;
        let rsa = matches!(self.public, Public::Rsa(_));
        let fits = match algorithm {
            b"rsa-sha2-256" | b"rsa-sha2-512" => rsa,
            other => !rsa && other == self.kind().as_bytes(),
        };
        if !fits {
            return Err(SshVerifyError::Algorithm {
                found: shown(algorithm),
                key: self.kind(),
            });
        }
        match &self.public {
            Public::SkEd25519(key, application) => {
                let message = touched(reader, application, message, verify_required)?;
                verify_ed25519(key, &message, value)
            }
            Public::SkP256(key, application) => {
                let message = touched(reader, application, message, verify_required)?;
                verify_p256(key, &message, value)
            }
            Public::Ed25519(key) => {
                reader.finish()?;
                verify_ed25519(key, message, value)
            }
            Public::P256(key) => {
                reader.finish()?;
                verify_p256(key, message, value)
            }
            Public::P384(key) => {
                reader.finish()?;
                let scalars = scalars(value, 48)?;
                let signature = p384::ecdsa::Signature::from_slice(&scalars).map_err(mismatch)?;
                key.verify(message, &signature).map_err(mismatch)
            }
            Public::P521(key) => {
                reader.finish()?;
                let scalars = scalars(value, 66)?;
                let signature = p521::ecdsa::Signature::from_slice(&scalars).map_err(mismatch)?;
                key.verify(message, &signature).map_err(mismatch)
            }
            Public::Rsa(key) => {
                reader.finish()?;
                verify_rsa(key, algorithm, message, value)
            }
        }
    }
}

fn kind_is_known(kind: &str) -> bool {
    [ED25519, P256, P384, P521, RSA, SK_ED25519, SK_P256].contains(&kind)
}

fn refused_kind(kind: &[u8]) -> KeyError {
    if kind.ends_with(b"-cert-v01@openssh.com") {
        KeyError::Certificate
    } else {
        KeyError::Kind(shown(kind))
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}

fn weak<E>(_: E) -> KeyError {
    KeyError::Weak("it is no point of its curve")
}

fn mismatch<E>(_: E) -> SshVerifyError {
    SshVerifyError::Mismatch
}

fn ed25519(reader: &mut SshReader<'_>) -> Result<Ed25519Key, KeyError> {
    let bytes = <[u8; 32]>::try_from(reader.string()?).map_err(weak)?;
    checked_ed25519(&bytes)
}

/// Returns the key unless it is one that some signature fits any message for (small order), or
/// a second spelling of a key (y not below p).
pub(super) fn checked_ed25519(bytes: &[u8; 32]) -> Result<Ed25519Key, KeyError> {
    let [first, middle @ .., last] = bytes;
    if *first >= 0xed && last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff) {
        return Err(KeyError::Weak("its encoding is not canonical"));
    }
    let key = Ed25519Key::from_bytes(bytes).map_err(weak)?;
    if key.is_weak() {
        return Err(KeyError::Weak("it is of small order"));
    }
    Ok(key)
}

fn p256_key(reader: &mut SshReader<'_>) -> Result<p256::ecdsa::VerifyingKey, KeyError> {
    let point = point(reader, b"nistp256", 65)?;
    p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(weak)
}

/// Reads curve name and point; OpenSSH writes points uncompressed only.
fn point<'a>(reader: &mut SshReader<'a>, curve: &[u8], size: usize) -> Result<&'a [u8], KeyError> {
    let named = reader.string()?;
    let point = reader.string()?;
    if named != curve || point.len() != size || point.first() != Some(&4) {
        return Err(KeyError::Weak("its curve or point is not as its type says"));
    }
    Ok(point)
}

fn rsa_key(reader: &mut SshReader<'_>) -> Result<RsaPublicKey, KeyError> {
    let e = BigUint::from_bytes_be(reader.positive()?);
    let n = BigUint::from_bytes_be(reader.positive()?);
    checked_rsa(n, e)
}

/// Returns the key if modulus and exponent are within reason.
pub(super) fn checked_rsa(n: BigUint, e: BigUint) -> Result<RsaPublicKey, KeyError> {
    if !RSA_BITS.contains(&n.bits()) {
        return Err(KeyError::RsaBits(n.bits()));
    }
    if e < BigUint::from(3u8) || e.to_bytes_le().first().is_none_or(|low| low & 1 == 0) {
        return Err(KeyError::Weak("its exponent is even or below 3"));
    }
    RsaPublicKey::new_with_max_size(n, e, *RSA_BITS.end())
        .map_err(|_| KeyError::Weak("its modulus or exponent is out of range"))
}

/// Reads a security key's application; anything but `ssh:…` belongs to another protocol.
fn application(reader: &mut SshReader<'_>) -> Result<Vec<u8>, KeyError> {
    let application = reader.string()?;
    if !application.starts_with(b"ssh:") {
        return Err(KeyError::Application(shown(application)));
    }
    Ok(application.to_vec())
}

/// Reads flags and counter, and returns what a security key signs (`PROTOCOL.u2f`).
fn touched(
    mut reader: SshReader<'_>,
    application: &[u8],
    message: &[u8],
    verify_required: bool,
) -> Result<Vec<u8>, SshVerifyError> {
    let flags = reader.byte()?;
    let counter = reader.u32()?;
    reader.finish()?;
    if flags & 1 == 0 {
        return Err(SshVerifyError::NoPresence);
    }
    if verify_required && flags & 4 == 0 {
        return Err(SshVerifyError::NotVerified);
    }
    let mut signed = Sha256::digest(application).to_vec();
    signed.push(flags);
    signed.extend_from_slice(&counter.to_be_bytes());
    signed.extend_from_slice(&Sha256::digest(message));
    Ok(signed)
}

fn verify_ed25519(key: &Ed25519Key, message: &[u8], value: &[u8]) -> Result<(), SshVerifyError> {
    let signature = ed25519_dalek::Signature::from_slice(value).map_err(mismatch)?;
    key.verify_strict(message, &signature).map_err(mismatch)
}

fn verify_p256(
    key: &p256::ecdsa::VerifyingKey,
    message: &[u8],
    value: &[u8],
) -> Result<(), SshVerifyError> {
    let scalars = scalars(value, 32)?;
    let signature = p256::ecdsa::Signature::from_slice(&scalars).map_err(mismatch)?;
    key.verify(message, &signature).map_err(mismatch)
}

/// Reads r and s (RFC 5656 section 3.1.2), and returns each as wide as the curve's order.
fn scalars(value: &[u8], width: usize) -> Result<Vec<u8>, SshVerifyError> {
    let mut reader = SshReader::new(value);
    let numbers = [reader.positive()?, reader.positive()?];
    reader.finish()?;
    let mut wide = Vec::new();
    for number in numbers {
        let missing = width.checked_sub(number.len());
        let missing = missing.ok_or(SshVerifyError::Mismatch)?;
        wide.resize(wide.len() + missing, 0);
        wide.extend_from_slice(number);
    }
    Ok(wide)
}

fn verify_rsa(
    key: &RsaPublicKey,
    algorithm: &[u8],
    message: &[u8],
    value: &[u8],
) -> Result<(), SshVerifyError> {
    if value.len() != key.size() {
        return Err(SshVerifyError::Mismatch);
    }
    let (prefix, digest) = match algorithm {
        b"rsa-sha2-256" => (SHA256_INFO, Sha256::digest(message).to_vec()),
        _ => (SHA512_INFO, Sha512::digest(message).to_vec()),
    };
    let scheme = Pkcs1v15Sign {
        hash_len: Some(digest.len()),
        prefix: prefix.into(),
    };
    key.verify(scheme, &digest, value).map_err(mismatch)
}
