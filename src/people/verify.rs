//! `verify(signed bytes, at) → Signer`: whose key signed, and whether it was to be believed then.
//!
//! Order: what the signature is, whose key it names, whether it verifies, and only then the times.
//! A signature that does not verify is bad whatever its key's state.

use jiff::Timestamp;

use super::key::{KeyError, KeyMaterial};
use super::openpgp::MadeBy;
use super::openpgp_statement::Standing;
use super::ssh::{self, SshKey};
use super::{People, Person, PersonKey, PersonKind, PersonName};
use crate::wire::armor::{self, SignatureBlock};
use crate::wire::object::Signed;
use crate::wire::openpgp::{DocumentSignature, Issuer, OpenPgpError};
use crate::wire::sshsig::SshSig;

/// The namespace git signs in.
const NAMESPACE: &[u8] = b"git";

/// A known person's key that signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Whose.
    pub person: PersonName,
    /// What they are.
    pub kind: PersonKind,
    /// Which key, as in `people.toml`: an OpenPGP subkey counts as its primary key.
    pub fingerprint: String,
}

/// Why a signature proves nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Malformed, or it does not verify.
    #[error("bad signature: {0}")]
    Bad(String),
    /// A key that nobody lists; its fingerprint, or what the signature says of it.
    #[error("signed by a key that nobody lists: {0}")]
    UnknownSigner(String),
    /// Good, by a key that is not valid yet or no longer.
    #[error("the key {} of {} is not valid at the time of receipt", .0.fingerprint, .0.person)]
    Expired(Signer),
    /// Good, by a key that was revoked.
    #[error("the key {} of {} is revoked", .0.fingerprint, .0.person)]
    Revoked(Signer),
    /// A kind of signature that is not verified here; says what to use instead.
    #[error("unsupported signature: {0}")]
    Unsupported(String),
}

impl People {
    /// Returns whose key signed, if it is to be believed at `at`, the server's time of receipt.
    ///
    /// Dates inside the signature or the object decide nothing but that an OpenPGP signature that
    /// states its own end has ended.
    pub fn verify(&self, signed: &Signed, at: Timestamp) -> Result<Signer, SignatureFault> {
        match armor::parse(&signed.armor).map_err(bad)? {
            SignatureBlock::Ssh(signature) => self.verify_ssh(&signature, &signed.payload, at),
            SignatureBlock::OpenPgp(packets) => self.verify_openpgp(&packets, &signed.payload, at),
            SignatureBlock::X509 => Err(SignatureFault::Unsupported(
                "X.509 (smimesign, gitsign): sign with an ssh or OpenPGP key, \
                 `git config gpg.format ssh`"
                    .to_owned(),
            )),
        }
    }

    /// Returns the first entry of a key, by its fingerprint.
    pub fn key(&self, fingerprint: &str) -> Option<(&Person, &PersonKey)> {
        self.keys().find(|(_, key)| key.fingerprint == fingerprint)
    }

    fn keys(&self) -> impl Iterator<Item = (&Person, &PersonKey)> {
        let persons = self.persons.values();
        persons.flat_map(|person| person.keys.iter().map(move |key| (person, key)))
    }

    fn verify_ssh(
        &self,
        signature: &SshSig,
        payload: &[u8],
        at: Timestamp,
    ) -> Result<Signer, SignatureFault> {
        if signature.namespace != NAMESPACE {
            return Err(SignatureFault::Bad(format!(
                "made in ssh namespace `{}`, not `git`",
                String::from_utf8_lossy(&signature.namespace).escape_default()
            )));
        }
        let fingerprint = ssh::fingerprint(&signature.public_key);
        let Some((person, key)) = self.key(&fingerprint) else {
            return Err(unlisted(&signature.public_key, fingerprint));
        };
        let KeyMaterial::Ssh(material) = &key.material else {
            return Err(SignatureFault::UnknownSigner(fingerprint));
        };
        material
            .verify(&signature.signed_bytes(payload), &signature.signature)
            .map_err(bad)?;
        self.believe(person, key, at, Standing::Live)
    }

    fn verify_openpgp(
        &self,
        packets: &[u8],
        payload: &[u8],
        at: Timestamp,
    ) -> Result<Signer, SignatureFault> {
        let signature = DocumentSignature::parse(packets).map_err(|error| match error {
            OpenPgpError::Algorithm(_) | OpenPgpError::Type(_) | OpenPgpError::Version(_) => {
                SignatureFault::Unsupported(format!(
                    "{error}: sign with an Ed25519, ECDSA or RSA key in binary mode"
                ))
            }
            other => bad(other),
        })?;
        let mut fault = SignatureFault::UnknownSigner(issuer(&signature));
        let mut made: Option<(&Person, &PersonKey, MadeBy)> = None;
        for (person, key) in self.keys() {
            let KeyMaterial::OpenPgp(material) = &key.material else {
                continue;
            };
            for by in material.candidates(&signature) {
                match material.verify(by, &signature, packets, payload) {
                    Ok(()) => match made {
                        Some((other, ..)) if other.name != person.name => {
                            return Err(SignatureFault::Bad(format!(
                                "made by a key in the certificates of both {} and {}",
                                other.name, person.name
                            )));
                        }
                        Some(_) => {}
                        None => made = Some((person, key, by)),
                    },
                    Err(error) => fault = reworded(error),
                }
            }
        }
        let (person, key, by) = made.ok_or(fault)?;
        let KeyMaterial::OpenPgp(material) = &key.material else {
            return Err(SignatureFault::UnknownSigner(issuer(&signature)));
        };
        let mut standing = material.standing(by, at.as_second());
        let end = signature
            .expires_after
            .map(|after| i64::from(signature.created).saturating_add(i64::from(after)));
        if end.is_some_and(|end| end <= at.as_second()) {
            standing = standing.and(Standing::Expired);
        }
        self.believe(person, key, at, standing)
    }

    /// Asks the times of a key whose signature verified.
    ///
    /// A key listed several times by its one person is believed if one entry says so and none
    /// says that it is revoked.
    fn believe(
        &self,
        person: &Person,
        key: &PersonKey,
        at: Timestamp,
        certificate: Standing,
    ) -> Result<Signer, SignatureFault> {
        let fingerprint = key.fingerprint.clone();
        let mut listed = Standing::Expired;
        for (other, entry) in self.keys() {
            if entry.fingerprint != fingerprint {
                continue;
            }
            if other.name != person.name {
                return Err(SignatureFault::Bad(format!(
                    "key {fingerprint} is listed for both {} and {}",
                    person.name, other.name
                )));
            }
            match listing(entry, at) {
                Standing::Live if listed == Standing::Expired => listed = Standing::Live,
                Standing::Revoked => listed = Standing::Revoked,
                _ => {}
            }
        }
        let signer = Signer {
            person: person.name.clone(),
            kind: person.kind,
            fingerprint,
        };
        match listed.and(certificate) {
            Standing::Live => Ok(signer),
            Standing::Expired => Err(SignatureFault::Expired(signer)),
            Standing::Revoked => Err(SignatureFault::Revoked(signer)),
            Standing::NotForSigning => Err(SignatureFault::Bad(format!(
                "OpenPGP key {} made it with a key that is not for signing",
                signer.fingerprint
            ))),
        }
    }
}

/// Returns what `people.toml` says of a key at `at`: `from ≤ at < until`, and not once revoked.
fn listing(key: &PersonKey, at: Timestamp) -> Standing {
    if key.revoked.is_some_and(|revoked| revoked <= at) {
        Standing::Revoked
    } else if key.from.is_some_and(|from| at < from) || key.until.is_some_and(|until| until <= at) {
        Standing::Expired
    } else {
        Standing::Live
    }
}

/// Says what is to be said of a key that nobody lists, listed or not.
fn unlisted(blob: &[u8], fingerprint: String) -> SignatureFault {
    match SshKey::parse_blob(blob) {
        Ok(_) => SignatureFault::UnknownSigner(fingerprint),
        Err(KeyError::Certificate) => SignatureFault::Unsupported(
            "made with an ssh certificate: point user.signingkey at the plain public key"
                .to_owned(),
        ),
        Err(error @ KeyError::Kind(_)) => SignatureFault::Unsupported(error.to_string()),
        Err(error) => bad(error),
    }
}

fn issuer(signature: &DocumentSignature) -> String {
    let named = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02X}"));
        digits.collect::<String>()
    };
    let fingerprint = signature.issuers.iter().find_map(|issuer| match issuer {
        Issuer::Fingerprint(_, bytes) => Some(named(bytes)),
        Issuer::KeyId(_) => None,
    });
    let key_id = signature.issuers.iter().find_map(|issuer| match issuer {
        Issuer::KeyId(id) => Some(named(id)),
        Issuer::Fingerprint(..) => None,
    });
    fingerprint.or(key_id).unwrap_or_default()
}

fn bad(error: impl std::fmt::Display) -> SignatureFault {
    SignatureFault::Bad(error.to_string())
}

/// Says of a signature what `KeyError` says of a key file.
fn reworded(error: KeyError) -> SignatureFault {
    match error {
        KeyError::OpenPgp(why) => SignatureFault::Bad(why),
        other => bad(other),
    }
}

#[cfg(test)]
mod tests;
