//! Public keys, decoded once.

/// A decoded public key.
#[derive(Clone, Debug)]
pub enum KeyMaterial {}
