//! Security keys in software, and whatever else ssh-keygen does not make.
//!
//! Formats: OpenSSH's `PROTOCOL.u2f`, `PROTOCOL.sshsig` and `PROTOCOL.certkeys`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use p256::ecdsa::SigningKey as P256Key;
use sha2::{Digest, Sha256, Sha512};

/// Fields of ssh wire format.
pub(super) fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// A public key line.
pub(super) fn line(kind: &str, blob: &[u8]) -> String {
    format!("{kind} {}", STANDARD.encode(blob))
}

/// The wire format of a public key line or a certificate's.
pub(super) fn blob(line: &str) -> Vec<u8> {
    STANDARD
        .decode(line.split(' ').nth(1).unwrap().trim())
        .unwrap()
}

/// What an SSHSIG of sha512 over a message has signed.
pub(super) fn to_be_signed(namespace: &str, message: &[u8]) -> Vec<u8> {
    let digest = Sha512::digest(message);
    let fields = strings(&[namespace.as_bytes(), b"", b"sha512", &digest]);
    [b"SSHSIG", &fields[..]].concat()
}

/// An armoured SSHSIG.
pub(super) fn sshsig(public_key: &[u8], namespace: &str, signature: &[u8]) -> Vec<u8> {
    let fields = [public_key, namespace.as_bytes(), b"", b"sha512", signature];
    let bytes = [b"SSHSIG\0\0\0\x01", &strings(&fields)[..]].concat();
    wrapped("SSH SIGNATURE", "", &bytes)
}

/// Writes armour as ssh-keygen and gpg do.
pub(super) fn wrapped(label: &str, blank: &str, bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes).into_bytes();
    let lines: Vec<&[u8]> = text.chunks(70).collect();
    let body = String::from_utf8(lines.join(&b'\n')).unwrap();
    format!("-----BEGIN {label}-----\n{blank}{body}\n-----END {label}-----\n").into_bytes()
}

/// A number of ssh wire format.
fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let sign: &[u8] = if bytes[start] & 0x80 != 0 { &[0] } else { &[] };
    [sign, &bytes[start..]].concat()
}

/// A security key whose secret is known.
pub(super) enum Token {
    Ed25519(SigningKey, &'static str),
    P256(P256Key, &'static str),
}

impl Token {
    /// The token of a person, if that is the kind of key: one that ends in `-web` belongs to a
    /// web site.
    pub(super) fn new(who: &str, kind: &str) -> Option<Self> {
        let secret: [u8; 32] = Sha256::digest(format!("{who} {kind}")).into();
        let application = if kind.ends_with("-web") {
            "https://example.com"
        } else {
            "ssh:"
        };
        match kind.trim_end_matches("-web") {
            "sk-ed25519" => Some(Self::Ed25519(SigningKey::from_bytes(&secret), application)),
            "sk-ecdsa" => {
                let key = P256Key::from_slice(&secret).unwrap();
                Some(Self::P256(key, application))
            }
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Ed25519(..) => "sk-ssh-ed25519@openssh.com",
            Self::P256(..) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn blob(&self) -> Vec<u8> {
        let kind = self.kind().as_bytes();
        match self {
            Self::Ed25519(key, application) => {
                let key = key.verifying_key();
                strings(&[kind, key.as_bytes(), application.as_bytes()])
            }
            Self::P256(key, application) => {
                let point = key.verifying_key().to_encoded_point(false);
                let fields = [kind, b"nistp256", point.as_bytes(), application.as_bytes()];
                strings(&fields)
            }
        }
    }

    /// The public key line.
    pub(super) fn line(&self) -> String {
        line(self.kind(), &self.blob())
    }

    /// Signs: flag 1 is a touch, 4 a PIN or finger.
    pub(super) fn sign(&self, message: &[u8], flags: u8) -> Vec<u8> {
        let counter = [flags, 0, 0, 0, 7];
        let application = match self {
            Self::Ed25519(_, application) | Self::P256(_, application) => application,
        };
        let mut signed = Sha256::digest(application).to_vec();
        signed.extend(counter);
        signed.extend(Sha256::digest(message));
        let value = match self {
            Self::Ed25519(key, _) => key.sign(&signed).to_bytes().to_vec(),
            Self::P256(key, _) => {
                let signature: p256::ecdsa::Signature = key.sign(&signed);
                let (r, s) = signature.split_bytes();
                strings(&[&number(&r), &number(&s)])
            }
        };
        [strings(&[self.kind().as_bytes(), &value]), counter.to_vec()].concat()
    }

    /// Signs as ssh-keygen would.
    pub(super) fn armor(&self, namespace: &str, message: &[u8], flags: u8) -> Vec<u8> {
        let signature = self.sign(&to_be_signed(namespace, message), flags);
        sshsig(&self.blob(), namespace, &signature)
    }
}

/// A certificate for an Ed25519 key whose every field is ours to choose.
pub(super) struct Forgery {
    pub(super) principals: Vec<&'static [u8]>,
    pub(super) critical: Vec<u8>,
    /// The CA's key as the certificate has it.
    pub(super) authority: Vec<u8>,
}

impl Forgery {
    /// Writes it for the key of that blob, signed by `sign`.
    pub(super) fn write(&self, key: &[u8], sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let public = &key[key.len() - 32..];
        let mut out = strings(&[b"ssh-ed25519-cert-v01@openssh.com", b"nonce", public]);
        out.extend(7u64.to_be_bytes());
        out.extend(1u32.to_be_bytes());
        out.extend(strings(&[b"id", &strings(&self.principals)]));
        out.extend(0u64.to_be_bytes());
        out.extend(u64::MAX.to_be_bytes());
        out.extend(strings(&[&self.critical, b"", b"", &self.authority]));
        let signature = sign(&out);
        out.extend(strings(&[&signature]));
        out
    }
}

/// An Ed25519 key whose secret is known, in ssh wire format.
pub(super) fn ed25519_blob(key: &SigningKey) -> Vec<u8> {
    strings(&[b"ssh-ed25519", key.verifying_key().as_bytes()])
}

/// Its signature in ssh wire format.
pub(super) fn ed25519_sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    strings(&[b"ssh-ed25519", &key.sign(message).to_bytes()])
}
