//! The key that signs attestations: `attest.key`, its public half `attest.pem`.
//!
//! Not the log's key: who has one cannot speak as the other, and each can be replaced alone. Each
//! repository of a shared log has its own: what a policy calls its repository is pushed, and whoever
//! may change that of one must not speak for another.

use super::storage::Storage as _;
use super::{Record, RecordError, disk};
use crate::wire::pem::{MAX_PEM, SecretKey};

impl Record {
    /// Reads the key that signs attestations, and makes one where there is none.
    pub fn attestation_key(&self) -> Result<SecretKey, RecordError> {
        let _lock = self.lock()?;
        let dir = self.own_dir();
        let (secret, public) = (dir.join("attest.key"), dir.join("attest.pem"));
        let limit = u64::try_from(MAX_PEM).unwrap_or(u64::MAX);
        if let Some(bytes) = self.host.read(&secret, limit)? {
            if !disk::is_private(&secret)? {
                return Err(RecordError::KeyExposed(secret));
            }
            return SecretKey::parse(&bytes)
                .map_err(|error| RecordError::damaged(secret.display(), error));
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(RecordError::Random)?;
        let key = SecretKey::from_seed(&seed);
        // The public half first: there is none without it.
        self.host
            .replace(&public, key.public().to_pem().as_bytes())?;
        self.host.replace(&secret, key.to_secret_pem().as_bytes())?;
        Ok(key)
    }
}
