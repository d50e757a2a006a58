//! Public keys, decoded once.

use super::openpgp::OpenPgpKey;
use super::ssh::SshKey;
use crate::wire::armor::ArmorError;
use crate::wire::openpgp::OpenPgpError;
use crate::wire::sshsig::SshSigError;

/// A decoded public key.
#[derive(Clone, Debug)]
pub enum KeyMaterial {
    /// From a line as in a `.pub` file.
    Ssh(Box<SshKey>),
    /// From an armoured certificate.
    OpenPgp(Box<OpenPgpKey>),
}

/// Why a key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `type base64 [comment]`, or the type is not the one in the base64.
    #[error("not an ssh public key line: `<type> <base64> [comment]`, as in a .pub file")]
    Line,
    /// A type this does not verify.
    #[error("ssh key type {0} is not accepted: Ed25519, ECDSA, RSA and security keys are")]
    Kind(String),
    /// An ssh certificate.
    #[error("a certificate is no key: list the plain public key, or its CA under [[ca]]")]
    Certificate,
    /// A security key of another protocol.
    #[error("the security key's application is {0}, only `ssh:` ones are accepted")]
    Application(String),
    /// Proves nothing.
    #[error("the key is unsafe: {0}")]
    Weak(&'static str),
    /// Too small, or so large that it only costs time.
    #[error("RSA of {0} bits, at least 2048 and at most 8192 are accepted")]
    RsaBits(usize),
    /// ssh wire format.
    #[error(transparent)]
    Ssh(#[from] SshSigError),
    /// The armour of a certificate.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// The packets of a certificate.
    #[error(transparent)]
    Packets(#[from] OpenPgpError),
    /// The certificate.
    #[error("not a usable OpenPGP public key: {0}")]
    OpenPgp(String),
}

/// Reads an ssh public key line; returns its `SHA256:…` fingerprint with it.
pub fn parse_ssh(text: &str) -> Result<(String, KeyMaterial), KeyError> {
    let key = SshKey::parse_line(text)?;
    Ok((key.fingerprint(), KeyMaterial::Ssh(Box::new(key))))
}

/// Reads one armoured OpenPGP certificate; returns the fingerprint of its primary key, in
/// upper-case hexadecimal, with it.
///
/// Self-signatures, bindings and revocations are verified here, once. What they say of time is
/// asked later: see [`OpenPgpKey::standing`].
pub fn parse_openpgp(armored: &[u8]) -> Result<(String, KeyMaterial), KeyError> {
    let key = OpenPgpKey::parse(armored)?;
    Ok((key.fingerprint(), KeyMaterial::OpenPgp(Box::new(key))))
}
