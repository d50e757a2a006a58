//! OpenSSH certificates, as OpenSSH's `PROTOCOL.certkeys` defines them:
//!
//! ```text
//! string  type, which ends in "-cert-v01@openssh.com"
//! string  nonce
//! …       the fields of the certified key
//! uint64  serial
//! uint32  1 for users, 2 for hosts
//! string  key id
//! string  principals, each a string
//! uint64  valid after
//! uint64  valid before
//! string  critical options, each a name and its data
//! string  extensions, likewise
//! string  reserved
//! string  key of the CA
//! string  signature by it over all before
//! ```

use super::sshsig::{SshReader, SshSigError, put_string};

/// OpenSSH takes no more principals either.
const MAX_PRINCIPALS: usize = 256;
/// The most critical options, and the most extensions.
const MAX_OPTIONS: usize = 64;

/// What a certificate's type says of the key in it: the key's own type and how many fields it has.
const KINDS: [(&[u8], &[u8], usize); 7] = [
    (b"ssh-ed25519-cert-v01@openssh.com", b"ssh-ed25519", 1),
    (
        b"ecdsa-sha2-nistp256-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp256",
        2,
    ),
    (
        b"ecdsa-sha2-nistp384-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp384",
        2,
    ),
    (
        b"ecdsa-sha2-nistp521-cert-v01@openssh.com",
        b"ecdsa-sha2-nistp521",
        2,
    ),
    (b"ssh-rsa-cert-v01@openssh.com", b"ssh-rsa", 2),
    (
        b"sk-ssh-ed25519-cert-v01@openssh.com",
        b"sk-ssh-ed25519@openssh.com",
        2,
    ),
    (
        b"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        b"sk-ecdsa-sha2-nistp256@openssh.com",
        3,
    ),
];

/// Name and data of a critical option or an extension.
pub type SshOption = (Vec<u8>, Vec<u8>);

/// A certificate with the CA's key it claims to be signed by. Parsed, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshCertificate {
    /// The certified public key, in ssh wire format as if it stood alone.
    pub key: Vec<u8>,
    /// The number the CA gave it; 0 where it counts none.
    pub serial: u64,
    /// Whether it is a host's, not a user's.
    pub is_host: bool,
    /// What the CA calls it.
    pub key_id: Vec<u8>,
    /// Whom it vouches for.
    pub principals: Vec<Vec<u8>>,
    /// First second, since 1970, at which it is valid.
    pub valid_after: u64,
    /// First second at which it is valid no more.
    pub valid_before: u64,
    /// What must be understood; in order, each once.
    pub critical_options: Vec<SshOption>,
    /// What may be ignored; in order, each once.
    pub extensions: Vec<SshOption>,
    /// The CA's public key in ssh wire format.
    pub authority: Vec<u8>,
    /// What the CA signed.
    pub signed: Vec<u8>,
    /// The CA's signature in ssh wire format.
    pub signature: Vec<u8>,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshCertificateError {
    /// A type this does not read.
    #[error("ssh certificate type {0} is not accepted")]
    Kind(String),
    /// Neither a user's nor a host's.
    #[error("an ssh certificate of role {0}, only users and hosts have some")]
    Role(u32),
    /// More names than anybody needs.
    #[error("an ssh certificate with more than {MAX_PRINCIPALS} principals")]
    Principals,
    /// Options out of order, twice, or too many.
    #[error("the options of the ssh certificate are repeated, out of order or too many")]
    Options,
    /// Something stands in the reserved field.
    #[error("the reserved field of the ssh certificate is not empty")]
    Reserved,
    /// ssh wire format.
    #[error(transparent)]
    Format(#[from] SshSigError),
}

/// Returns whether a key in ssh wire format is a certificate, of whatever type.
pub fn is_certificate(blob: &[u8]) -> bool {
    let kind = SshReader::new(blob).string().unwrap_or_default();
    kind.ends_with(b"-cert-v01@openssh.com") || kind.ends_with(b"-cert-v00@openssh.com")
}

impl SshCertificate {
    /// Reads ssh wire format; every byte must belong to the certificate.
    pub fn parse(blob: &[u8]) -> Result<Self, SshCertificateError> {
        let mut reader = SshReader::new(blob);
        let kind = reader.string()?;
        let Some((_, plain, fields)) = KINDS.iter().find(|(named, ..)| *named == kind) else {
            let kind = String::from_utf8_lossy(kind);
            let shown = kind.escape_default().take(60).collect();
            return Err(SshCertificateError::Kind(shown));
        };
        reader.string()?;
        let mut key = Vec::new();
        put_string(&mut key, plain);
        for _ in 0..*fields {
            put_string(&mut key, reader.string()?);
        }
        let serial = reader.u64()?;
        let is_host = match reader.u32()? {
            1 => false,
            2 => true,
            role => return Err(SshCertificateError::Role(role)),
        };
        let key_id = reader.string()?.to_vec();
        let principals = principals(reader.string()?)?;
        let (valid_after, valid_before) = (reader.u64()?, reader.u64()?);
        let critical_options = options(reader.string()?)?;
        let extensions = options(reader.string()?)?;
        if !reader.string()?.is_empty() {
            return Err(SshCertificateError::Reserved);
        }
        let authority = reader.string()?.to_vec();
        let signed = blob.len().saturating_sub(reader.left());
        let signed = blob.get(..signed).unwrap_or_default().to_vec();
        let signature = reader.string()?.to_vec();
        reader.finish()?;
        Ok(Self {
            key,
            serial,
            is_host,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
            signed,
            signature,
        })
    }
}

fn principals(bytes: &[u8]) -> Result<Vec<Vec<u8>>, SshCertificateError> {
    let mut reader = SshReader::new(bytes);
    let mut names = Vec::new();
    while reader.left() > 0 {
        if names.len() == MAX_PRINCIPALS {
            return Err(SshCertificateError::Principals);
        }
        names.push(reader.string()?.to_vec());
    }
    Ok(names)
}

/// Reads names with their data, in the order of their bytes and none of them twice.
fn options(bytes: &[u8]) -> Result<Vec<SshOption>, SshCertificateError> {
    let mut reader = SshReader::new(bytes);
    let mut found: Vec<SshOption> = Vec::new();
    while reader.left() > 0 {
        let (name, data) = (reader.string()?.to_vec(), reader.string()?.to_vec());
        let ordered = found.last().is_none_or(|(last, _)| *last < name);
        if !ordered || found.len() == MAX_OPTIONS {
            return Err(SshCertificateError::Options);
        }
        found.push((name, data));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(fields: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        fields.iter().for_each(|field| put_string(&mut out, field));
        out
    }

    /// The variable parts of a certificate for an Ed25519 key.
    struct Parts {
        kind: &'static [u8],
        role: u32,
        principals: Vec<u8>,
        critical: Vec<u8>,
        extensions: Vec<u8>,
        reserved: &'static [u8],
    }

    impl Default for Parts {
        fn default() -> Self {
            Self {
                kind: b"ssh-ed25519-cert-v01@openssh.com",
                role: 1,
                principals: strings(&[b"alice", b"admin"]),
                critical: strings(&[b"verify-required", b""]),
                extensions: strings(&[b"permit-pty", b"", b"permit-user-rc", b"x"]),
                reserved: b"",
            }
        }
    }

    impl Parts {
        fn blob(&self) -> Vec<u8> {
            let mut out = strings(&[self.kind, b"nonce", &[7; 32]]);
            out.extend(9u64.to_be_bytes());
            out.extend(self.role.to_be_bytes());
            out.extend(strings(&[b"id", &self.principals]));
            out.extend(3u64.to_be_bytes());
            out.extend(u64::MAX.to_be_bytes());
            out.extend(strings(&[&self.critical, &self.extensions, self.reserved]));
            out.extend(strings(&[b"the CA", b"its signature"]));
            out
        }
    }

    /// Every field comes out, the certified key as if it stood alone; what is signed is all but the
    /// signature.
    #[test]
    fn reads_every_field() {
        let blob = Parts::default().blob();
        let read = SshCertificate::parse(&blob).unwrap();
        assert_eq!(read.key, strings(&[b"ssh-ed25519", &[7; 32]]));
        assert_eq!((read.serial, read.is_host), (9, false));
        assert_eq!(read.key_id, b"id");
        assert_eq!(read.principals, [&b"alice"[..], b"admin"]);
        assert_eq!((read.valid_after, read.valid_before), (3, u64::MAX));
        assert_eq!(
            read.critical_options,
            [(b"verify-required".to_vec(), vec![])]
        );
        assert_eq!(read.extensions.len(), 2);
        assert_eq!(read.authority, b"the CA");
        assert_eq!(read.signature, b"its signature");
        let tail = strings(&[b"its signature"]);
        assert_eq!([read.signed, tail].concat(), blob);
        assert!(is_certificate(&blob) && !is_certificate(&blob[4..]));
    }

    /// Whatever is cut, follows, repeats or is of an unknown kind is refused as what it is.
    #[test]
    fn reads_strictly() {
        use SshCertificateError::*;
        let with = |change: &dyn Fn(&mut Parts)| {
            let mut parts = Parts::default();
            change(&mut parts);
            SshCertificate::parse(&parts.blob()).map(|read| read.is_host)
        };
        assert_eq!(with(&|_| ()), Ok(false));
        assert_eq!(with(&|parts| parts.role = 2), Ok(true));
        assert_eq!(with(&|parts| parts.role = 3), Err(Role(3)));
        assert_eq!(with(&|parts| parts.reserved = b"x"), Err(Reserved));
        let kinds: [&[u8]; 3] = [b"ssh-dss-cert-v01@openssh.com", b"ssh-ed25519", b"\n"];
        for kind in kinds {
            let refused = with(&|parts| parts.kind = kind);
            assert!(matches!(refused, Err(Kind(_))), "{refused:?}");
        }
        let lists: [&[&[u8]]; 2] = [&[b"b", b"", b"a", b""], &[b"a", b"", b"a", b""]];
        for list in lists {
            assert_eq!(with(&|parts| parts.critical = strings(list)), Err(Options));
            assert_eq!(
                with(&|parts| parts.extensions = strings(list)),
                Err(Options)
            );
        }
        let many = vec![&b"p"[..]; MAX_PRINCIPALS + 1];
        assert_eq!(
            with(&|parts| parts.principals = strings(&many)),
            Err(Principals)
        );
        let truncated = Err(Format(SshSigError::Truncated));
        assert_eq!(with(&|parts| parts.principals.push(0)), truncated);
        assert_eq!(with(&|parts| parts.critical = strings(&[b"a"])), truncated);
        let good = Parts::default().blob();
        let longer = [&good[..], b"x"].concat();
        let trailing = SshCertificate::parse(&longer).unwrap_err();
        assert_eq!(trailing, Format(SshSigError::Trailing(1)));
        for length in 40..good.len() {
            assert!(SshCertificate::parse(&good[..length]).is_err(), "{length}");
        }
    }
}
