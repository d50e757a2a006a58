//! SSHSIG, as OpenSSH's `PROTOCOL.sshsig` defines it:
//!
//! ```text
//! byte[6] "SSHSIG"
//! uint32  1
//! string  public key
//! string  namespace
//! string  reserved
//! string  hash algorithm
//! string  signature
//! ```

use sha2::{Digest, Sha256, Sha512};

/// A signature with the key it claims to be made by. Parsed, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSig {
    /// Always 1.
    pub version: u32,
    /// The public key in ssh wire format.
    pub public_key: Vec<u8>,
    /// What the signature is for; git's is `git`.
    pub namespace: Vec<u8>,
    /// Always empty: OpenSSH leaves what stands here out of what it verifies.
    pub reserved: Vec<u8>,
    /// `sha256` or `sha512`.
    pub hash_algorithm: Vec<u8>,
    /// The signature in ssh wire format.
    pub signature: Vec<u8>,
}

/// What is wrong with an SSHSIG or with a value in ssh wire format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshSigError {
    /// Does not begin with `SSHSIG`.
    #[error("not an ssh signature")]
    Magic,
    /// Another version than 1.
    #[error("ssh signature version {0}, only version 1 is known")]
    Version(u32),
    /// Something stands in the reserved field.
    #[error("the reserved field of the ssh signature is not empty")]
    Reserved,
    /// Neither `sha256` nor `sha512`.
    #[error("the ssh signature hashes with {0}, only sha256 and sha512 are accepted")]
    Hash(String),
    /// A length leads past the end.
    #[error("ssh data is truncated")]
    Truncated,
    /// Something follows.
    #[error("{0} bytes follow the end of ssh data")]
    Trailing(usize),
    /// A number that is negative, zero, or written with more bytes than it needs.
    #[error("a number in ssh data is not written canonically")]
    Number,
}

impl SshSig {
    /// Reads the binary form; every byte must belong to it.
    pub fn parse(bytes: &[u8]) -> Result<Self, SshSigError> {
        let rest = bytes.strip_prefix(b"SSHSIG").ok_or(SshSigError::Magic)?;
        let mut reader = SshReader::new(rest);
        let version = reader.u32()?;
        if version != 1 {
            return Err(SshSigError::Version(version));
        }
        let signature = Self {
            version,
            public_key: reader.string()?.to_vec(),
            namespace: reader.string()?.to_vec(),
            reserved: reader.string()?.to_vec(),
            hash_algorithm: reader.string()?.to_vec(),
            signature: reader.string()?.to_vec(),
        };
        reader.finish()?;
        if !signature.reserved.is_empty() {
            return Err(SshSigError::Reserved);
        }
        if !matches!(signature.hash_algorithm.as_slice(), b"sha256" | b"sha512") {
            let name = String::from_utf8_lossy(&signature.hash_algorithm);
            return Err(SshSigError::Hash(name.escape_default().take(40).collect()));
        }
        Ok(signature)
    }

    /// Returns the bytes that the key signs for `message`.
    pub fn signed_bytes(&self, message: &[u8]) -> Vec<u8> {
        let hash = match self.hash_algorithm.as_slice() {
            b"sha256" => Sha256::digest(message).to_vec(),
            _ => Sha512::digest(message).to_vec(),
        };
        let mut out = b"SSHSIG".to_vec();
        for field in [&self.namespace, &self.reserved, &self.hash_algorithm, &hash] {
            put_string(&mut out, field);
        }
        out
    }
}

/// Appends a `string` of ssh wire format (RFC 4251 section 5).
///
/// Fields come from parsed input and hashes, far below 4 GiB.
pub(crate) fn put_string(out: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(field);
}

/// Reads ssh wire format (RFC 4251 section 5) out of a slice, copying nothing.
#[derive(Clone, Debug)]
pub struct SshReader<'a> {
    rest: &'a [u8],
}

impl<'a> SshReader<'a> {
    /// Begins at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads a `byte`.
    pub fn byte(&mut self) -> Result<u8, SshSigError> {
        let (first, rest) = self.rest.split_first().ok_or(SshSigError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Reads a `uint32`.
    pub fn u32(&mut self) -> Result<u32, SshSigError> {
        let (number, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or(SshSigError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*number))
    }

    /// Reads a `uint64`.
    pub fn u64(&mut self) -> Result<u64, SshSigError> {
        let (number, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or(SshSigError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*number))
    }

    /// Reads a `string`.
    pub fn string(&mut self) -> Result<&'a [u8], SshSigError> {
        let length = usize::try_from(self.u32()?).map_err(|_| SshSigError::Truncated)?;
        let (string, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(SshSigError::Truncated)?;
        self.rest = rest;
        Ok(string)
    }

    /// Reads an `mpint` that must be positive, and returns its bytes without leading zero.
    pub fn positive(&mut self) -> Result<&'a [u8], SshSigError> {
        match self.string()? {
            [0, digits @ ..] if digits.first().is_some_and(|first| first & 0x80 != 0) => Ok(digits),
            digits @ [1..0x80, ..] => Ok(digits),
            _ => Err(SshSigError::Number),
        }
    }

    /// Returns how many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Succeeds if nothing is left.
    pub fn finish(self) -> Result<(), SshSigError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(SshSigError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(version: u32, fields: [&[u8]; 5]) -> Vec<u8> {
        let mut out = b"SSHSIG".to_vec();
        out.extend_from_slice(&version.to_be_bytes());
        for field in fields {
            put_string(&mut out, field);
        }
        out
    }

    /// Only whole, version 1, with nothing reserved and a strong hash.
    #[test]
    fn reads_strictly() {
        use SshSigError::*;
        let good = blob(1, [b"key", b"git", b"", b"sha512", b"sig"]);
        let read = SshSig::parse(&good).unwrap();
        assert_eq!(read.namespace, b"git");
        assert_eq!(read.signature, b"sig");
        let cases = [
            (
                blob(2, [b"key", b"git", b"", b"sha512", b"sig"]),
                Version(2),
            ),
            (blob(1, [b"key", b"git", b"x", b"sha512", b"sig"]), Reserved),
            (
                blob(1, [b"key", b"git", b"", b"sha1", b"sig"]),
                Hash("sha1".into()),
            ),
            ([&good[..], b"x"].concat(), Trailing(1)),
            (good[1..].to_vec(), Magic),
            (vec![], Magic),
        ];
        for (bytes, error) in cases {
            assert_eq!(SshSig::parse(&bytes), Err(error));
        }
        for length in 6..good.len() {
            assert_eq!(SshSig::parse(&good[..length]), Err(Truncated), "{length}");
        }
    }

    /// A number has one spelling, and neither zero nor a negative one is any.
    #[test]
    fn numbers_are_canonical() {
        let cases: &[(&[u8], Option<&[u8]>)] = &[
            (&[1], Some(&[1])),
            (&[0x7f, 0], Some(&[0x7f, 0])),
            (&[0, 0x80], Some(&[0x80])),
            (&[], None),
            (&[0], None),
            (&[0, 1], None),
            (&[0, 0, 0x80], None),
            (&[0x80], None),
        ];
        for (digits, read) in cases {
            let mut bytes = Vec::new();
            put_string(&mut bytes, digits);
            assert_eq!(SshReader::new(&bytes).positive().ok(), *read, "{digits:?}");
        }
    }

    proptest::proptest! {
        /// No bytes make the reader panic, and none are read that are not written back the same.
        #[test]
        fn any_bytes(tail in proptest::collection::vec(0u8..8, 0..60)) {
            let bytes = [b"SSHSIG\x00\x00\x00\x01", &tail[..]].concat();
            if let Ok(read) = SshSig::parse(&bytes) {
                let fields = [&read.public_key[..], &read.namespace, b"", &read.hash_algorithm, &read.signature];
                proptest::prop_assert_eq!(blob(1, fields), bytes);
            }
        }
    }
}
