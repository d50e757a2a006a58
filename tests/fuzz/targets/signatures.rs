//! Signatures and keys.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bstr::ByteSlice;
use countersign::people::openpgp::{MadeBy, OpenPgpKey};
use countersign::people::ssh::SshKey;
use countersign::wire::armor::{self, SignatureBlock};
use countersign::wire::commit::Commit;
use countersign::wire::object::Signed;
use countersign::wire::openpgp::{self, DocumentSignature};
use countersign::wire::ssh_agent;
use countersign::wire::ssh_certificate::{SshCertificate, is_certificate};
use countersign::wire::sshsig::SshSig;
use countersign::wire::tag::Tag;
use jiff::Timestamp;

use super::FORMATS;
use super::config::PEOPLE;

/// What is in armour, armoured again, is the same.
pub(crate) fn armor(raw: &[u8]) -> bool {
    let Ok(block) = armor::parse(raw) else {
        return false;
    };
    let again = match &block {
        SignatureBlock::Ssh(signature) => wrapped("SSH SIGNATURE", "", &ssh_bytes(signature)),
        SignatureBlock::OpenPgp(packets) => wrapped("PGP SIGNATURE", "\n", packets),
        SignatureBlock::X509 => return true,
    };
    assert_eq!(armor::parse(&again), Ok(block));
    true
}

/// Every byte of an SSHSIG is in one of its fields.
pub(crate) fn sshsig(raw: &[u8]) -> bool {
    let Ok(signature) = SshSig::parse(raw) else {
        return false;
    };
    assert_eq!(ssh_bytes(&signature), raw);
    assert!(signature.signed_bytes(raw).starts_with(b"SSHSIG"));
    true
}

/// What an agent answers is keys or a signature, never both, and each byte of them is in the answer.
pub(crate) fn ssh_agent(raw: &[u8]) -> bool {
    let (keys, signature) = (ssh_agent::keys(raw), ssh_agent::signature(raw));
    for key in keys.iter().flatten() {
        assert!(raw.contains_str(ssh_agent::blob(key)));
    }
    if let Ok(signature) = signature {
        assert!(keys.is_err() && raw.len() == 88 && raw.ends_with(&signature));
    }
    keys.is_ok() || signature.is_ok()
}

/// What the corpus's CA did sign.
const CERTIFIED: [&[u8]; 10] = [
    include_bytes!("../../data/corpus/ssh_certificate/ecdsa"),
    include_bytes!("../../data/corpus/ssh_certificate/ed25519"),
    include_bytes!("../../data/corpus/ssh_certificate/grace"),
    include_bytes!("../../data/corpus/ssh_certificate/host"),
    include_bytes!("../../data/corpus/ssh_certificate/nobody"),
    include_bytes!("../../data/corpus/ssh_certificate/options"),
    include_bytes!("../../data/corpus/ssh_certificate/p384"),
    include_bytes!("../../data/corpus/ssh_certificate/p521"),
    include_bytes!("../../data/corpus/ssh_certificate/rsa"),
    include_bytes!("../../data/corpus/ssh_certificate/sk"),
];

/// Every byte of a certificate is signed by its CA or is that signature; no CA vouches for what it
/// did not sign.
pub(crate) fn ssh_certificate(raw: &[u8]) -> bool {
    let Ok(certificate) = SshCertificate::parse(raw) else {
        return false;
    };
    assert!(is_certificate(raw));
    let length = u32::try_from(certificate.signature.len()).unwrap();
    let tail = [&length.to_be_bytes(), &certificate.signature[..]].concat();
    assert_eq!([&certificate.signed[..], &tail].concat(), raw);
    assert!(!is_certificate(&certificate.key));
    for authority in &PEOPLE.authorities {
        let signed = CERTIFIED
            .iter()
            .any(|known| known.starts_with(&certificate.signed));
        assert!(
            signed || authority.vouches(&certificate).is_err(),
            "a forgery"
        );
        for at in [i64::from(i32::MIN), 0, 1_800_000_000] {
            let at = Timestamp::from_second(at).unwrap();
            authority.standing(&certificate, "SHA256:", at);
        }
    }
    true
}

/// Every byte of OpenPGP data is in one packet; a signature is one packet and names its maker.
pub(crate) fn openpgp_signature(raw: &[u8]) -> bool {
    let parsed = DocumentSignature::parse(raw);
    let Ok(packets) = openpgp::packets(raw) else {
        assert!(parsed.is_err());
        return false;
    };
    let whole: Vec<&[u8]> = packets.iter().map(|packet| packet.whole).collect();
    assert_eq!(whole.concat(), raw);
    assert!(
        packets
            .iter()
            .all(|packet| packet.whole.ends_with(packet.body))
    );
    let Ok(signature) = parsed else {
        return false;
    };
    assert_eq!(packets.len(), 1);
    assert!(!signature.issuers.is_empty() && signature.expires_after != Some(0));
    true
}

/// A certificate, armoured or not, is read or refused; what is read answers for every key and time.
pub(crate) fn openpgp_key(raw: &[u8]) -> bool {
    let armored = match raw.starts_with(b"-----") {
        true => raw.to_vec(),
        false => wrapped("PGP PUBLIC KEY BLOCK", "\n", raw),
    };
    let Ok(key) = OpenPgpKey::parse(&armored) else {
        return false;
    };
    let fingerprint = key.fingerprint();
    assert!(matches!(fingerprint.len(), 40 | 64));
    for at in [i64::MIN, 0, 1_800_000_000, i64::MAX] {
        key.standing(MadeBy::Primary, at);
        key.standing(MadeBy::Subkey(0), at);
        key.standing(MadeBy::Subkey(usize::MAX), at);
    }
    true
}

/// A key, as a line or in wire format, is read or refused; what follows the line is no signature of
/// its over nothing.
pub(crate) fn ssh_key(raw: &[u8]) -> bool {
    if let Ok(key) = SshKey::parse_blob(raw) {
        assert_eq!(key.blob(), raw);
        return true;
    }
    let (line, signature) = raw.split_once_str("\n").unwrap_or((raw, b""));
    let Some(key) = line
        .to_str()
        .ok()
        .and_then(|line| SshKey::parse_line(line).ok())
    else {
        return false;
    };
    let again = SshKey::parse_blob(key.blob()).expect("a blob that was read");
    assert_eq!(
        (again.kind(), again.fingerprint()),
        (key.kind(), key.fingerprint())
    );
    assert!(line.contains_str(STANDARD.encode(key.blob())));
    let message = b"what nobody has signed";
    assert!(key.verify(message, signature, false).is_err());
    true
}

macro_rules! of_every_key {
    ($($object:literal),+) => {
        [$(
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-ed25519")).as_slice(),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-certified")),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-ecdsa")),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-rsa")),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-openpgp-ed25519")),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-openpgp-rsa")),
            include_bytes!(concat!("../../data/corpus/verify/", $object, "-openpgp-nistp256")),
        )+]
    };
}

/// What the corpus's people did sign: payload → person.
static SIGNED: LazyLock<BTreeMap<Vec<u8>, String>> = LazyLock::new(|| {
    let objects = of_every_key!["sha1-commit", "sha1-tag", "sha256-commit", "sha256-tag"];
    let verified = objects.iter().map(|raw| {
        let signed = signed(raw).expect("the corpus is signed");
        let person = verified(&signed).expect("the corpus's signatures are good");
        (signed.payload, person)
    });
    verified.collect()
});

/// Nothing verifies that its person did not sign.
pub(crate) fn verify(raw: &[u8]) -> bool {
    let Some(person) = signed(raw).and_then(|signed| {
        let person = verified(&signed)?;
        assert_eq!(SIGNED.get(&signed.payload), Some(&person), "a forgery");
        Some(person)
    }) else {
        return false;
    };
    !person.is_empty()
}

fn signed(raw: &[u8]) -> Option<Signed> {
    FORMATS.into_iter().find_map(|format| {
        let of_commit = Commit::parse(raw, format)
            .ok()
            .and_then(|commit| commit.signed);
        of_commit.or_else(|| Tag::parse(raw, format).ok()?.signed)
    })
}

fn verified(signed: &Signed) -> Option<String> {
    let at = Timestamp::from_second(1_800_000_000).ok()?;
    let signer = PEOPLE.verify(signed, at).ok()?;
    Some(signer.person.as_str().to_owned())
}

fn ssh_bytes(signature: &SshSig) -> Vec<u8> {
    let mut out = b"SSHSIG".to_vec();
    out.extend(signature.version.to_be_bytes());
    for field in [
        &signature.public_key,
        &signature.namespace,
        &signature.reserved,
        &signature.hash_algorithm,
        &signature.signature,
    ] {
        out.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        out.extend(field);
    }
    out
}

fn wrapped(label: &str, headers: &str, bytes: &[u8]) -> Vec<u8> {
    let base64 = STANDARD.encode(bytes);
    let lines: Vec<&[u8]> = base64.as_bytes().chunks(64).collect();
    let lines = lines.join(&b'\n');
    let begin = format!("-----BEGIN {label}-----\n{headers}");
    let end = format!("\n-----END {label}-----\n");
    [begin.as_bytes(), &lines, end.as_bytes()].concat()
}
