//! Files of OpenPGP certificates, as GnuPG, GitHub and GitLab give them.

use super::key::{self, KeyError};
use crate::wire::armor::{self, ArmorError};
use crate::wire::keybox::{self, KeyboxError};
use crate::wire::openpgp::{self, OpenPgpError, Packet};

/// One certificate of a file.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The addresses of its user ids, in lower case: its owner's own word.
    pub emails: Vec<String>,
    /// As `people.toml` names it.
    pub armored: String,
    /// Its fingerprint, or why it cannot be used.
    pub fingerprint: Result<String, KeyError>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Armour.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// Packets.
    #[error(transparent)]
    Packets(#[from] OpenPgpError),
    /// Keybox.
    #[error(transparent)]
    Keybox(#[from] KeyboxError),
    /// A secret key.
    #[error("there is a SECRET key in it: take it away; give the output of `gpg --export`")]
    Secret,
    /// Nothing at all.
    #[error("there is no OpenPGP key in it")]
    Empty,
}

/// Reads an armoured file, a file of packets (`gpg --export`, `pubring.gpg`) or a keybox.
///
/// What only the keyring's owner says of a key (trust) is left out.
pub fn read(bytes: &[u8]) -> Result<Vec<Certificate>, KeyringError> {
    let parts: Vec<Vec<u8>> = match bytes.first() {
        _ if keybox::is_keybox(bytes) => {
            let found = keybox::parse(bytes)?;
            found.into_iter().map(<[u8]>::to_vec).collect()
        }
        Some(first) if first & 0x80 != 0 => vec![bytes.to_vec()],
        _ => armor::parse_openpgp_keys(bytes)?,
    };
    let mut found = Vec::new();
    for part in &parts {
        for packets in openpgp::certificates(part)? {
            found.push(certificate(&packets)?);
        }
    }
    match found.is_empty() {
        true => Err(KeyringError::Empty),
        false => Ok(found),
    }
}

/// Returns whether this could be such a file, rather than one of ssh keys.
pub fn is_keyring(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    keybox::is_keybox(bytes)
        || bytes.first().is_some_and(|first| first & 0x80 != 0)
        || text.starts_with(b"-----BEGIN PGP")
}

fn certificate(packets: &[Packet<'_>]) -> Result<Certificate, KeyringError> {
    const SECRET: [u8; 2] = [5, 7];
    const TRUST: u8 = 12;
    const USER_ID: u8 = 13;
    if packets.iter().any(|packet| SECRET.contains(&packet.tag)) {
        return Err(KeyringError::Secret);
    }
    let kept = packets.iter().filter(|packet| packet.tag != TRUST);
    let bytes: Vec<u8> = kept.flat_map(|packet| packet.whole).copied().collect();
    let users = packets.iter().filter(|packet| packet.tag == USER_ID);
    let mut emails: Vec<String> = users.filter_map(|packet| address(packet.body)).collect();
    emails.sort();
    emails.dedup();
    let armored = armor::openpgp_key(&bytes);
    let fingerprint = key::parse_openpgp(armored.as_bytes()).map(|(fingerprint, _)| fingerprint);
    Ok(Certificate {
        emails,
        armored,
        fingerprint,
    })
}

/// Returns the address of `Name <address>`, or of a user id that is nothing else.
fn address(user: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(user).ok()?.trim();
    let address = match text.strip_suffix('>') {
        Some(text) => text.rsplit_once('<')?.1,
        None => text,
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    (address.contains('@') && !address.contains(odd)).then(|| address.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address is what stands between the last brackets, and nothing that only looks like one.
    #[test]
    fn addresses() {
        for (user, found) in [
            (
                "Alice (work) <Alice@Example.com>",
                Some("alice@example.com"),
            ),
            ("alice@example.com", Some("alice@example.com")),
            ("a <b@x> <c@x>", Some("c@x")),
            ("Alice", None),
            ("Alice <alice>", None),
            ("a@x b", None),
            ("<a@x> b", None),
            ("a <b\u{1b}@x>", None),
        ] {
            assert_eq!(address(user.as_bytes()).as_deref(), found, "{user}");
        }
        assert_eq!(address(b"a\xff@x"), None);
    }

    /// Nothing, garbage and half of something are errors.
    #[test]
    fn refuses_what_is_none() {
        for bytes in [
            &b""[..],
            b"\n\n",
            b"ssh-ed25519 AAAA\n",
            b"\x99\x00",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
