//! `verify(signed bytes, at) → Signer`: whose key signed, and whether it was to be believed then.
//!
//! Order: what the signature is, whose key it names, whether it verifies, and only then the times.
//! A signature that does not verify is bad whatever its key's state.

use jiff::Timestamp;

use super::key::{KeyError, KeyMaterial};
use super::openpgp::{MadeBy, OpenPgpKey};
use super::openpgp_statement::Standing;
use super::ssh::{self, SshKey};
use super::{People, Person, PersonKey, PersonKind, PersonName};
use crate::wire::armor::{self, SignatureBlock};
use crate::wire::object::Signed;
use crate::wire::openpgp::{DocumentSignature, Issuer, OpenPgpError};
use crate::wire::ssh_certificate::{SshCertificate, is_certificate};
use crate::wire::sshsig::SshSig;

/// The namespace git signs in.
const NAMESPACE: &[u8] = b"git";

/// A known person's key that signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signer {
    /// Whose.
    pub person: PersonName,
    /// What they are.
    pub kind: PersonKind,
    /// Which key, as in `people.toml`: an OpenPGP subkey counts as its primary key.
    pub fingerprint: String,
}

/// Why a signature proves nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
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
                "X.509: S/MIME (gpgsm, smimesign) and Sigstore (gitsign) name no key that people.toml \
                 could list; sign with an ssh or OpenPGP key, `git config gpg.format ssh`"
                    .to_owned(),
            )),
        }
    }

    /// Returns the first entry of a key, by its fingerprint.
    pub fn key(&self, fingerprint: &str) -> Option<(&Person, &PersonKey)> {
        self.entries(fingerprint).first().copied()
    }

    fn verify_ssh(
        &self,
        signature: &SshSig,
        payload: &[u8],
        at: Timestamp,
    ) -> Result<Signer, SignatureFault> {
        if signature.namespace != NAMESPACE {
            return Err(SignatureFault::Bad(format!(
                "made in ssh namespace {}, not `git`",
                shown(&signature.namespace)
            )));
        }
        if is_certificate(&signature.public_key) {
            return self.verify_certified(signature, payload, at);
        }
        let fingerprint = ssh::fingerprint(&signature.public_key);
        let entries = self.entries(&fingerprint);
        let Some((_, first)) = entries.first() else {
            return Err(unlisted(&signature.public_key, fingerprint));
        };
        let KeyMaterial::Ssh(material) = &first.material else {
            return Err(SignatureFault::UnknownSigner(fingerprint));
        };
        let verify_required = entries.iter().any(|(_, key)| key.verify_required);
        let message = signature.signed_bytes(payload);
        material
            .verify(&message, &signature.signature, verify_required)
            .map_err(bad)?;
        believe(&fingerprint, &entries, at, Standing::Live)
    }

    /// Verifies a signature whose key comes in a certificate.
    ///
    /// What `people.toml` says of the key itself, if it lists it, holds for it here as well.
    fn verify_certified(
        &self,
        signature: &SshSig,
        payload: &[u8],
        at: Timestamp,
    ) -> Result<Signer, SignatureFault> {
        let certificate = SshCertificate::parse(&signature.public_key).map_err(bad)?;
        let key = SshKey::parse_blob(&certificate.key).map_err(bad)?;
        let fingerprint = key.fingerprint();
        let known = |blob: &[u8]| self.authorities.iter().find(|ca| ca.key.blob() == blob);
        let Some(authority) = known(&certificate.authority) else {
            return Err(self.uncertified(&certificate, &fingerprint));
        };
        let vouched = authority.vouches(&certificate).map_err(bad)?;
        let entries = self.entries(&fingerprint);
        let listed_so = entries.iter().any(|(_, entry)| entry.verify_required);
        let verify_required = vouched.verify_required || listed_so;
        let message = signature.signed_bytes(payload);
        key.verify(&message, &signature.signature, verify_required)
            .map_err(bad)?;
        if known(&certificate.key).is_some() {
            return Err(SignatureFault::Bad(format!(
                "{fingerprint} is a CA's key, certified or not"
            )));
        }
        let Some(person) = vouched.person.and_then(|name| self.person(name)) else {
            return Err(SignatureFault::UnknownSigner(format!(
                "{fingerprint}, certified as {}, whom `[[ca]]` maps to nobody",
                principals(&certificate)
            )));
        };
        let standing = authority.standing(&certificate, &fingerprint, at);
        if entries.is_empty() {
            let signer = Signer::new(person, &fingerprint);
            return signer.standing(standing);
        }
        if let Some((other, _)) = entries.iter().find(|(other, _)| other.name != person.name) {
            return Err(SignatureFault::Bad(format!(
                "key {fingerprint} is certified as {}'s and listed as {}'s",
                person.name, other.name
            )));
        }
        believe(&fingerprint, &entries, at, standing)
    }

    /// Says what is to be said of a certificate by a CA that nobody lists.
    fn uncertified(&self, certificate: &SshCertificate, fingerprint: &str) -> SignatureFault {
        let authority = match SshKey::parse_blob(&certificate.authority) {
            Ok(key) => key.fingerprint(),
            Err(KeyError::Certificate) => {
                return SignatureFault::Bad("a certificate certifies no other".to_owned());
            }
            Err(error) => return SignatureFault::Bad(format!("the CA's key: {error}")),
        };
        let hint = match self.entries(fingerprint).is_empty() {
            true => "",
            false => ": point user.signingkey at the plain public key, which is listed",
        };
        SignatureFault::UnknownSigner(format!(
            "{fingerprint}, certified by {authority}, which is no `[[ca]]` of people.toml{hint}"
        ))
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
        let mut made: Option<(&Person, &PersonKey, &OpenPgpKey, MadeBy)> = None;
        for (person, key) in self.certificates(&signature) {
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
                        None => made = Some((person, key, material, by)),
                    },
                    Err(error) => fault = reworded(error),
                }
            }
        }
        let (_, key, material, by) = made.ok_or(fault)?;
        let mut standing = material.standing(by, at.as_second());
        let end = signature
            .expires_after
            .map(|after| i64::from(signature.created).saturating_add(i64::from(after)));
        if end.is_some_and(|end| end <= at.as_second()) {
            standing = standing.and(Standing::Expired);
        }
        let entries = self.entries(&key.fingerprint);
        believe(&key.fingerprint, &entries, at, standing)
    }
}

/// Asks the times of a key whose signature verified, by all its entries.
///
/// A key listed several times by its one person is believed if one entry says so and none
/// says that it is revoked.
fn believe(
    fingerprint: &str,
    entries: &[(&Person, &PersonKey)],
    at: Timestamp,
    certificate: Standing,
) -> Result<Signer, SignatureFault> {
    let Some((person, _)) = entries.first() else {
        return Err(SignatureFault::UnknownSigner(fingerprint.to_owned()));
    };
    let mut listed = Standing::Expired;
    for (other, entry) in entries {
        if other.name != person.name {
            return Err(SignatureFault::Bad(format!(
                "key {fingerprint} is listed for both {} and {}",
                person.name, other.name
            )));
        }
        match entry.term.standing(at) {
            Standing::Live if listed == Standing::Expired => listed = Standing::Live,
            Standing::Revoked => listed = Standing::Revoked,
            _ => {}
        }
    }
    Signer::new(person, fingerprint).standing(listed.and(certificate))
}

impl Signer {
    fn new(person: &Person, fingerprint: &str) -> Self {
        Self {
            person: person.name.clone(),
            kind: person.kind,
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// Returns the signer if their key stands so.
    fn standing(self, standing: Standing) -> Result<Self, SignatureFault> {
        match standing {
            Standing::Live => Ok(self),
            Standing::Expired => Err(SignatureFault::Expired(self)),
            Standing::Revoked => Err(SignatureFault::Revoked(self)),
            Standing::NotForSigning => Err(SignatureFault::Bad(format!(
                "OpenPGP key {} made it with a key that is not for signing",
                self.fingerprint
            ))),
        }
    }
}

/// Lists whom a certificate is for, shortened.
fn principals(certificate: &SshCertificate) -> String {
    let names = certificate.principals.iter().take(3);
    names.map(|name| shown(name)).collect::<Vec<_>>().join(", ")
}

/// Returns the beginning of what a signature calls something, whatever that is.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let shown: String = name.escape_default().take(60).collect();
    format!("`{shown}`")
}

/// Says what is to be said of a key that nobody lists, listed or not.
fn unlisted(blob: &[u8], fingerprint: String) -> SignatureFault {
    match SshKey::parse_blob(blob) {
        Ok(_) => SignatureFault::UnknownSigner(fingerprint),
        Err(error @ KeyError::Kind(_)) => SignatureFault::Unsupported(error.to_string()),
        Err(error) => bad(error),
    }
}

/// Returns the fingerprint that a signature names as its maker's, else the key id.
pub fn issuer(signature: &DocumentSignature) -> String {
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
