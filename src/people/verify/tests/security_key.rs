//! Security keys and weak keys, built by hand: software stands in for the hardware.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use p256::ecdsa::SigningKey as P256Key;
use sha2::{Digest, Sha256, Sha512};

use super::*;
use crate::people::key::KeyError;
use crate::wire::sshsig::put_string;

fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        put_string(&mut out, field);
    }
    out
}

fn line(kind: &str, blob: &[u8]) -> String {
    format!("{kind} {}", STANDARD.encode(blob))
}

pub(super) fn ed25519_line() -> String {
    let key = SigningKey::from_bytes(&[9; 32]).verifying_key();
    line("ssh-ed25519", &strings(&[b"ssh-ed25519", key.as_bytes()]))
}

fn armored(blob: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut out = b"SSHSIG\0\0\0\x01".to_vec();
    out.extend(strings(&[blob, b"git", b"", b"sha512", signature]));
    wrapped("SSH SIGNATURE", "", &out)
}

/// Writes armour as ssh-keygen and gpg do.
pub(super) fn wrapped(label: &str, blank: &str, bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes).into_bytes();
    let lines: Vec<&str> = text
        .chunks(64)
        .map(|chunk| std::str::from_utf8(chunk).unwrap())
        .collect();
    let body = lines.join("\n");
    format!("-----BEGIN {label}-----\n{blank}{body}\n-----END {label}-----\n").into_bytes()
}

fn to_be_signed() -> Vec<u8> {
    let mut out = b"SSHSIG".to_vec();
    let digest = Sha512::digest(PAYLOAD);
    out.extend(strings(&[b"git", b"", b"sha512", &digest]));
    out
}

fn touched(application: &[u8], flags: u8) -> Vec<u8> {
    let mut out = Sha256::digest(application).to_vec();
    out.extend_from_slice(&[flags, 0, 0, 0, 7]);
    out.extend_from_slice(&Sha256::digest(to_be_signed()));
    out
}

/// Signs with these flags, and with more after the counter.
type Sign = Box<dyn Fn(u8, &[u8]) -> Vec<u8>>;

/// A security key, and how it signs with those flags and with more after the counter.
struct Token {
    kind: &'static str,
    blob: Vec<u8>,
    sign: Sign,
}

fn tokens(application: &'static [u8]) -> [Token; 2] {
    let tail = |flags: u8, more: &[u8]| [&[flags, 0, 0, 0, 7][..], more].concat();
    let ed = SigningKey::from_bytes(&[3; 32]);
    let kind = "sk-ssh-ed25519@openssh.com";
    let first = Token {
        kind,
        blob: strings(&[kind.as_bytes(), ed.verifying_key().as_bytes(), application]),
        sign: Box::new(move |flags, more| {
            let value = ed.sign(&touched(application, flags)).to_bytes();
            [strings(&[kind.as_bytes(), &value]), tail(flags, more)].concat()
        }),
    };
    let p256 = P256Key::from_slice(&[5; 32]).unwrap();
    let point = p256.verifying_key().to_encoded_point(false);
    let kind = "sk-ecdsa-sha2-nistp256@openssh.com";
    let second = Token {
        kind,
        blob: strings(&[kind.as_bytes(), b"nistp256", point.as_bytes(), application]),
        sign: Box::new(move |flags, more| {
            let value: p256::ecdsa::Signature = p256.sign(&touched(application, flags));
            let (r, s) = value.split_bytes();
            let value = strings(&[&number(&r), &number(&s)]);
            [strings(&[kind.as_bytes(), &value]), tail(flags, more)].concat()
        }),
    };
    [first, second]
}

fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let digits = &bytes[start..];
    let sign: &[u8] = if digits[0] & 0x80 != 0 { &[0] } else { &[] };
    [sign, digits].concat()
}

/// Touched counts, with or without a PIN; untouched does not, nor anything after the counter.
#[test]
fn presence_is_required() {
    for token in tokens(b"ssh:") {
        let people = alice(listed(parse_ssh(&line(token.kind, &token.blob)).unwrap()));
        let verify = |flags, more: &[u8]| {
            let armor = armored(&token.blob, &(token.sign)(flags, more));
            people.verify(&signed(PAYLOAD, armor), Timestamp::now())
        };
        assert_eq!(verify(1, b"").unwrap().person.as_str(), "alice");
        assert!(verify(5, b"").is_ok(), "{}", token.kind);
        for flags in [0, 4] {
            let fault = verify(flags, b"").unwrap_err().to_string();
            assert!(fault.contains("not touched"), "{}: {fault}", token.kind);
        }
        assert!(verify(1, b"x").is_err(), "{}", token.kind);
    }
}

/// Flags are under the signature: setting the bit afterwards does not help.
#[test]
fn presence_cannot_be_added() {
    for token in tokens(b"ssh:work") {
        let people = alice(listed(parse_ssh(&line(token.kind, &token.blob)).unwrap()));
        let mut signature = (token.sign)(0, b"");
        let flags = signature.len() - 5;
        signature[flags] = 1;
        let armor = armored(&token.blob, &signature);
        let fault = people.verify(&signed(PAYLOAD, armor), Timestamp::now());
        assert!(matches!(fault, Err(SignatureFault::Bad(_))), "{fault:?}");
    }
}

/// A key enrolled for a web site is no ssh key.
#[test]
fn application_is_ssh() {
    for token in tokens(b"https://example.com") {
        let refused = parse_ssh(&line(token.kind, &token.blob)).unwrap_err();
        assert!(matches!(refused, KeyError::Application(_)), "{refused}");
    }
}

/// Under a key of small order one signature fits every message for a plain verifier; here neither
/// key nor signature is taken.
#[test]
fn small_order_keys() {
    let mut identity = [0u8; 32];
    identity[0] = 1;
    let forged = [identity, [0; 32]].concat();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&identity).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&forged).unwrap();
    let plain = ed25519_dalek::Verifier::verify(&key, &to_be_signed(), &signature);
    assert!(plain.is_ok(), "the forgery is real");
    let mut second_spelling = [0xff; 32];
    second_spelling[0] = 0xee;
    second_spelling[31] = 0x7f;
    for bytes in [identity, [0; 32], second_spelling] {
        let blob = strings(&[b"ssh-ed25519", &bytes]);
        let refused = parse_ssh(&line("ssh-ed25519", &blob)).unwrap_err();
        assert!(matches!(refused, KeyError::Weak(_)), "{refused}");
        let armor = armored(&blob, &strings(&[b"ssh-ed25519", &forged]));
        let fault = People::default().verify(&signed(PAYLOAD, armor), Timestamp::now());
        assert!(matches!(fault, Err(SignatureFault::Bad(_))), "{fault:?}");
    }
}

/// The SHA-1 signatures of old ssh, and one algorithm's under another's key, are refused by name.
#[test]
fn algorithms_fit_their_keys() {
    let home = home();
    let rsa = super::ssh::keygen(home.path(), "k", &["-t", "rsa", "-b", "2048"]);
    for (text, algorithm) in [
        (rsa.clone(), "ssh-rsa"),
        (rsa, "ssh-ed25519"),
        (ed25519_line(), "rsa-sha2-512"),
        (ed25519_line(), "sk-ssh-ed25519@openssh.com"),
    ] {
        let key = listed(parse_ssh(&text).unwrap());
        let KeyMaterial::Ssh(material) = &key.material else {
            panic!("an ssh key");
        };
        let value = strings(&[algorithm.as_bytes(), &[1; 64]]);
        let armor = armored(material.blob(), &value);
        let fault = alice(key.clone()).verify(&signed(PAYLOAD, armor), Timestamp::now());
        let words = fault.unwrap_err().to_string();
        assert!(words.contains(&format!("of type {algorithm}")), "{words}");
    }
}
