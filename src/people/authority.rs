//! Certificate authorities: `[[ca]]` of `people.toml`, and what a certificate by one says.
//!
//! A CA vouches for nobody but those to whom its entry maps a principal, and a certificate is one
//! person's or nobody's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::openpgp_statement::Standing;
use super::ssh::SshKey;
use super::{PersonName, Term};
use crate::wire::ssh_certificate::SshCertificate;
use crate::wire::sshsig::SshReader;

/// A CA whose user certificates are believed.
#[derive(Clone, Debug)]
pub struct Authority {
    /// `SHA256:…` of its key.
    pub fingerprint: String,
    /// The key that signs certificates.
    pub key: SshKey,
    /// When the CA is to be believed.
    pub term: Term,
    /// Principal → whose it is.
    pub principals: BTreeMap<String, PersonName>,
    /// Everybody to whom a principal is mapped.
    pub persons: BTreeSet<PersonName>,
    /// Which of its certificates are not to be believed.
    pub revocations: Vec<Revocation>,
}

/// Certificates of a CA that are taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which.
    pub of: RevokedBy,
    /// Since when, for receipts at or after that instant.
    pub since: Timestamp,
}

/// What a revocation knows certificates by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokedBy {
    /// The CA's number.
    Serial(u64),
    /// The CA's name for it.
    KeyId(String),
    /// The fingerprint of the certified key.
    Key(String),
}

/// Why a certificate by a known CA proves nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// For a machine.
    #[error("made with an ssh host certificate: only users sign")]
    Host,
    /// The CA did not sign it.
    #[error("the ssh certificate is not signed by the CA it names: {0}")]
    Forged(String),
    /// OpenSSH takes it as anybody's elsewhere.
    #[error("the ssh certificate names no principal")]
    NoPrincipals,
    /// Two people in one certificate.
    #[error("the ssh certificate's principals are those of both {0} and {1}")]
    Several(PersonName, PersonName),
    /// The CA asks that who does not understand this refuses.
    #[error("critical option {0} of the ssh certificate is not understood")]
    Critical(String),
}

/// What a certificate says that its CA signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// For whom; nobody if `people.toml` maps none of the principals.
    pub person: Option<&'a PersonName>,
    /// Whether each signature must say that the security key knew its user.
    pub verify_required: bool,
}

impl Authority {
    /// Checks all of a certificate but its times, and returns what it says.
    pub fn vouches(&self, certificate: &SshCertificate) -> Result<Vouched<'_>, CertificateError> {
        if certificate.is_host {
            return Err(CertificateError::Host);
        }
        self.key
            .verify(&certificate.signed, &certificate.signature, false)
            .map_err(|error| CertificateError::Forged(error.to_string()))?;
        let mut verify_required = false;
        for (name, data) in &certificate.critical_options {
            match name.as_slice() {
                b"verify-required" if data.is_empty() => verify_required = true,
                // They narrow what one may log in for and from where, not what one signs; OpenSSH
                // takes them so as well.
                b"force-command" | b"source-address" if is_one_string(data) => {}
                _ => return Err(CertificateError::Critical(shown(name))),
            }
        }
        Ok(Vouched {
            person: self.person(certificate)?,
            verify_required,
        })
    }

    fn person(
        &self,
        certificate: &SshCertificate,
    ) -> Result<Option<&PersonName>, CertificateError> {
        if certificate.principals.is_empty() {
            return Err(CertificateError::NoPrincipals);
        }
        let names = certificate.principals.iter();
        let mut mapped = names.filter_map(|name| {
            let name = std::str::from_utf8(name).ok()?;
            self.principals.get(name)
        });
        let Some(person) = mapped.next() else {
            return Ok(None);
        };
        match mapped.find(|other| *other != person) {
            Some(other) => Err(CertificateError::Several(person.clone(), other.clone())),
            None => Ok(Some(person)),
        }
    }

    /// Returns how a certificate for the key of that fingerprint stands at `at`, by its own times,
    /// the CA's and the revocations.
    pub fn standing(&self, certificate: &SshCertificate, key: &str, at: Timestamp) -> Standing {
        let revoked = self.revocations.iter().any(|revocation| {
            let meant = match &revocation.of {
                RevokedBy::Serial(serial) => *serial == certificate.serial,
                RevokedBy::KeyId(id) => id.as_bytes() == certificate.key_id,
                RevokedBy::Key(fingerprint) => fingerprint == key,
            };
            meant && revocation.since <= at
        });
        // Before 1970 nothing is valid.
        let second = u64::try_from(at.as_second());
        let valid = second.is_ok_and(|second| {
            certificate.valid_after <= second && second < certificate.valid_before
        });
        let own = match (revoked, valid) {
            (true, _) => Standing::Revoked,
            (false, true) => Standing::Live,
            (false, false) => Standing::Expired,
        };
        own.and(self.term.standing(at))
    }
}

fn is_one_string(data: &[u8]) -> bool {
    let mut reader = SshReader::new(data);
    reader.string().is_ok() && reader.finish().is_ok()
}

fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}
