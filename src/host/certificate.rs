//! Who pushes, by a push certificate: the one thing at the door that the pusher signed.
//!
//! git verifies certificates by the keys of whoever runs it and tells the hook what came of that;
//! none of it is believed here. What is taken from git is which certificate came with this push,
//! and which nonce it gave out: without that an old certificate could not be told from a new one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use jiff::Timestamp;

use super::pusher::CERTIFICATE;
use crate::git::{GitError, Repo};
use crate::judge::facts::Pusher;
use crate::people::People;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::push::{Push, RefUpdate};
use crate::wire::push_cert::{PushCert, PushCertError};

/// A certificate of this very push; whose it is, the people in force say.
#[derive(Clone, Debug)]
pub struct Certificate {
    bytes: Arc<[u8]>,
    cert: PushCert,
}

/// Why a push has no certificate of its own. Says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// There is none.
    #[error("there is none; push with git push --signed=yes")]
    Unsigned,
    /// git gives out no nonces.
    #[error(
        "the server gave no nonce; its admin sets receive.certNonceSeed with countersign enroll"
    )]
    NoNonce,
    /// Not the nonce of this push.
    #[error("it is of another push: its nonce is {0} to git; push again")]
    Nonce(String),
    /// Not the refs of this push.
    #[error("it is of other refs or objects than are pushed; push again")]
    Refs,
    /// Not the options of this push.
    #[error("it is of other push options than are pushed; push again")]
    Options,
    /// Malformed.
    #[error(transparent)]
    Malformed(#[from] PushCertError),
    /// The object cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Certificate {
    /// Reads the certificate that git names, and holds it against the push.
    ///
    /// `refs` bounds the number of its refs, `bytes` its size.
    pub fn of_push(
        repo: &Repo,
        env: &dyn Fn(&str) -> Option<OsString>,
        push: &Push,
        refs: usize,
        bytes: u64,
    ) -> Result<Self, CertificateFault> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let oid = set("GIT_PUSH_CERT").ok_or(CertificateFault::Unsigned)?;
        let nonce = set("GIT_PUSH_CERT_NONCE").ok_or(CertificateFault::NoNonce)?;
        let unreadable = |error: GitError| CertificateFault::Unreadable(error.to_string());
        let oid = Oid::from_hex(oid.as_bytes())
            .map_err(|error| CertificateFault::Unreadable(error.to_string()))?;
        let bytes = repo
            .raw(&oid, ObjectKind::Blob, bytes)
            .map_err(unreadable)?;
        let cert = PushCert::parse(&bytes, repo.format(), refs)?;
        // Within receive.certNonceSlop git says OK and names the certificate's own nonce.
        let status = set("GIT_PUSH_CERT_NONCE_STATUS").unwrap_or_default();
        if status != "OK" || nonce.as_bytes() != cert.nonce.as_slice() {
            let status = status.to_string_lossy().into_owned();
            return Err(CertificateFault::Nonce(status));
        }
        if sorted(&cert.push) != sorted(push) {
            return Err(CertificateFault::Refs);
        }
        if !same_options(env, &cert) {
            return Err(CertificateFault::Options);
        }
        Ok(Self { bytes, cert })
    }

    /// Returns the certificate as it was signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns who pushes at `now`: the known person whose key signed the certificate.
pub fn pusher(
    certificate: &Result<Certificate, CertificateFault>,
    people: &People,
    now: Timestamp,
) -> Pusher {
    let signer = match certificate {
        Ok(certificate) => people
            .verify(&certificate.cert.signed, now)
            .map_err(|fault| fault.to_string()),
        Err(fault) => Err(fault.to_string()),
    };
    match signer {
        Ok(signer) => Pusher::Person(signer.person),
        Err(why) => Pusher::Unknown(format!("{CERTIFICATE}{why}")),
    }
}

fn sorted(push: &Push) -> Vec<(&[u8], Oid, Oid)> {
    let line = |update: &'_ RefUpdate| (update.old, update.new);
    let mut lines: Vec<_> = push
        .updates
        .iter()
        .map(|update| {
            let (old, new) = line(update);
            let name: &[u8] = update.name.as_bstr();
            (name, old, new)
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// Returns whether git got the very options that were signed, in their order.
fn same_options(env: &dyn Fn(&str) -> Option<OsString>, cert: &PushCert) -> bool {
    let count = env("GIT_PUSH_OPTION_COUNT").unwrap_or_else(|| "0".into());
    let count = count.to_str().and_then(|count| count.parse::<usize>().ok());
    let option = |at: usize| env(&format!("GIT_PUSH_OPTION_{at}"));
    count == Some(cert.options.len())
        && cert.options.iter().enumerate().all(|(at, signed)| {
            option(at).is_some_and(|found| found.as_bytes() == signed.as_slice())
        })
}
