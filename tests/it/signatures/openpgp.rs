//! OpenPGP: how each signature is made. What is said of them stands in `rows`.

mod rows;

use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{KeyVersion, Password};
use rsa::rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use super::shop::{Shop, commit_with};
use super::ssh::neutral_signature;
use super::tokens::wrapped;
use super::{Case, from_now};

pub(super) use rows::ROWS;

const KINDS: &[&str] = &[
    "ed25519", "nistp256", "nistp384", "nistp521", "rsa2048", "rsa3072",
];
const ED: &[&str] = &["ed25519"];
/// One of each algorithm, where more take time and show nothing new.
const EACH: &[&str] = &["ed25519", "nistp256", "rsa2048"];

/// What signs hashes that are shorter than itself.
const SHORT: &[&str] = &["ed25519", "rsa2048"];
/// What gpg 2.2 adds as a signing subkey.
const SUBKEYS: &[&str] = &["ed25519", "rsa2048"];

/// Runs gpg as if it were another day.
fn gpg(shop: &Shop, days: i64, args: &[&str], input: &[u8]) -> String {
    let faked = from_now(days).strftime("--faked-system-time=%Y%m%dT%H%M%S!");
    let faked = faked.to_string();
    let base = [
        "-q",
        "--no-tty",
        "--yes",
        "--pinentry-mode=loopback",
        "--passphrase=",
    ];
    let when: &[&str] = if days == 0 { &[] } else { &[&faked] };
    shop.run("gpg", &[&base[..], when, args].concat(), input)
}

/// Makes a key on a day that ends so many days later, or never; returns its fingerprint.
fn make(shop: &Shop, who: &str, kind: &str, (day, ends): (i64, i64), options: &[&str]) -> String {
    let user = format!("{who} <{}@example.com>", shop.fresh(who));
    let ends = match ends {
        0 => "never".to_owned(),
        days => format!("seconds={}", days * 86_400),
    };
    let made = ["--batch", "--quick-gen-key", &user, kind, "sign", &ends];
    gpg(shop, day, &[options, &made].concat(), b"");
    fingerprint(shop, &user)
}

fn fingerprint(shop: &Shop, user: &str) -> String {
    let exact = format!("={user}");
    let listing = gpg(shop, 0, &["--with-colons", "--list-keys", &exact], b"");
    let line = listing.lines().find(|line| line.starts_with("fpr:"));
    line.unwrap().split(':').nth(9).unwrap().to_owned()
}

/// Signs bytes with a key on a day.
fn sign(shop: &Shop, key: &str, day: i64, options: &[&str], payload: &[u8]) -> Vec<u8> {
    let args = [&["--armor", "--detach-sign", "-u", key][..], options].concat();
    gpg(shop, day, &args, payload).into_bytes()
}

/// alice's key file is what gpg exports now; git knows all that gpg does.
fn known(shop: &Shop, case: Case, key: &str) -> Case {
    let exported = gpg(shop, 0, &["--armor", "--export", key], b"");
    filed(case, exported.into_bytes())
}

fn filed(case: Case, file: Vec<u8>) -> Case {
    let mut case = Case {
        people: "[people.alice]\nkeys = [{ openpgp = \"keys/alice.asc\" }]\n".to_owned(),
        ..case
    };
    case.files
        .insert(".countersign/keys/alice.asc".to_owned(), file);
    case
}

/// A commit signed on a day with these options, received on another.
fn made(shop: &Shop, key: &str, (day, received): (i64, i64), options: &[&str]) -> Case {
    let payload = shop.payload(from_now(day));
    let armor = sign(shop, key, day, options, &payload);
    Case {
        at: from_now(received),
        ..shop.commit(commit_with(&payload, &[&armor]))
    }
}

fn by_git(shop: &Shop, kind: &str, object: &'static str) -> Case {
    let key = make(shop, "alice", kind, (0, 0), &[]);
    let settings = [
        "gpg.format=openpgp".to_owned(),
        format!("user.signingkey={key}"),
    ];
    known(shop, shop.by_git(object, &settings), &key)
}

/// A key of today and a signature by it with these options.
fn today(shop: &Shop, kind: &str, options: &[&str]) -> Case {
    let key = make(shop, "alice", kind, (0, 0), &[]);
    known(shop, made(shop, &key, (0, 0), options), &key)
}

fn tampered(shop: &Shop, kind: &str) -> Case {
    let mut case = today(shop, kind, &[]);
    let last = case.raw.len() - 2;
    case.raw[last] ^= 1;
    case
}

/// A key that neither side has.
fn unknown(shop: &Shop, kind: &str) -> Case {
    let alices = make(shop, "alice", "ed25519", (0, 0), &[]);
    let key = make(shop, "mallory", kind, (0, 0), &[]);
    let case = known(shop, made(shop, &key, (0, 0), &[]), &alices);
    gpg(
        shop,
        0,
        &["--batch", "--delete-secret-and-public-key", &key],
        b"",
    );
    case
}

/// bob's key, in a commit that says it is alice's.
fn another(shop: &Shop, kind: &str) -> Case {
    let key = make(shop, "bob", kind, (0, 0), &[]);
    let case = known(shop, made(shop, &key, (0, 0), &[]), &key);
    Case {
        people: case.people.replace("alice]", "bob]"),
        ..case
    }
}

/// A key of 40 days ago that ended 20 days ago, and a signature of 30 days ago.
fn ended(shop: &Shop, kind: &str, received: i64, renewed: bool) -> Case {
    let key = make(shop, "alice", kind, (-40, 20), &[]);
    let case = made(shop, &key, (-30, received), &[]);
    if renewed {
        gpg(shop, 0, &["--batch", "--quick-set-expire", &key, "1y"], b"");
    }
    known(shop, case, &key)
}

fn signature_ended(shop: &Shop, kind: &str) -> Case {
    let key = make(shop, "alice", kind, (-40, 0), &[]);
    let options = ["--default-sig-expire", "5d"];
    known(shop, made(shop, &key, (-30, 0), &options), &key)
}

/// A key revoked ten days ago for a reason as gpg numbers them: none, compromised, superseded, no
/// longer used.
fn revoked(shop: &Shop, kind: &str, reason: &str, received: i64) -> Case {
    let key = make(shop, "alice", kind, (-40, 0), &[]);
    let case = made(shop, &key, (-30, received), &[]);
    let answers = format!("y\n{reason}\n\ny\n");
    let args = ["--command-fd=0", "--armor", "--gen-revoke", &key];
    let revocation = gpg(shop, -10, &args, answers.as_bytes());
    gpg(shop, 0, &["--batch", "--import"], revocation.as_bytes());
    known(shop, case, &key)
}

/// A signature by a subkey of 40 days ago that ends so many days later.
fn subkey(shop: &Shop, kind: &str, ends: &str) -> Case {
    let key = make(shop, "alice", "ed25519", (-40, 0), &[]);
    let add = ["--batch", "--quick-add-key", &key, kind, "sign", ends];
    gpg(shop, -40, &add, b"");
    // gpg takes the newest signing subkey.
    known(shop, made(shop, &key, (-30, 0), &[]), &key)
}

fn two_headers(shop: &Shop, kind: &str) -> Case {
    let key = make(shop, "alice", kind, (0, 0), &[]);
    let bobs = make(shop, "bob", "ed25519", (0, 0), &[]);
    let payload = shop.payload(from_now(0));
    let armors = [&key, &bobs].map(|key| sign(shop, key, 0, &[], &payload));
    let both = commit_with(&payload, &[&armors[0], &armors[1]]);
    known(shop, shop.commit(both), &key)
}

fn two_signatures(shop: &Shop, kind: &str) -> Case {
    let bobs = make(shop, "bob", "ed25519", (0, 0), &[]);
    today(shop, kind, &["-u", &bobs])
}

fn trailing(shop: &Shop, kind: &str) -> Case {
    let key = make(shop, "alice", kind, (0, 0), &[]);
    let payload = shop.payload(from_now(0));
    let armor = [&sign(shop, &key, 0, &[], &payload)[..], b"more\n"].concat();
    known(shop, shop.commit(commit_with(&payload, &[&armor])), &key)
}

/// A notation put into the unhashed part, which anybody can do.
fn added(shop: &Shop, kind: &str) -> Case {
    let key = make(shop, "alice", kind, (0, 0), &[]);
    let payload = shop.payload(from_now(0));
    let packet = shop.path(&shop.fresh("packet"));
    let path = packet.to_str().unwrap();
    gpg(
        shop,
        0,
        &["--detach-sign", "-u", &key, "-o", path],
        &payload,
    );
    let packet = std::fs::read(path).unwrap();
    // An old header with one byte of length, or two where the signature is an RSA key's.
    let header = if packet[0] & 3 == 0 { 2 } else { 3 };
    let mut body = packet[header..].to_vec();
    let hashed = usize::from(body[4]) << 8 | usize::from(body[5]);
    let at = 6 + hashed;
    let unhashed = usize::from(body[at]) << 8 | usize::from(body[at + 1]);
    let notation = [&[17u8, 20, 0, 0, 0, 0, 0, 3, 0, 5][..], b"a@bvalue"].concat();
    let length = u16::try_from(unhashed + notation.len()).unwrap();
    body.splice(at..at + 2, length.to_be_bytes());
    let end = at + 2 + unhashed;
    body.splice(end..end, notation);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let packet = match body.len() {
        ..256 => [&[0x88, length[1]], &body[..]].concat(),
        _ => [&[0x89, length[0], length[1]], &body[..]].concat(),
    };
    let armor = wrapped("PGP SIGNATURE", "\n", &packet);
    known(shop, shop.commit(commit_with(&payload, &[&armor])), &key)
}

/// Not random at all: the library's keys are the same in every run.
struct Sevens;

impl RngCore for Sevens {
    fn next_u32(&mut self) -> u32 {
        0x0707_0707
    }

    fn next_u64(&mut self) -> u64 {
        0x0707_0707_0707_0707
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Sevens {}

fn by_library(version: KeyVersion, kind: KeyType, signs: bool) -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params
        .version(version)
        .key_type(kind)
        .can_sign(signs)
        .can_certify(true)
        .primary_user_id("alice <library@example.com>".to_owned());
    params.build().unwrap().generate(Sevens).unwrap()
}

fn exported(key: &SignedSecretKey) -> Vec<u8> {
    let public = key.to_public_key();
    let armor = public.to_armored_bytes(ArmorOptions::default()).unwrap();
    let text = String::from_utf8(armor).unwrap();
    text.replace("\r\n", "\n").into_bytes()
}

/// A key and a signature of RFC 9580, which GnuPG does not read.
fn version_6(shop: &Shop, kind: &str) -> Case {
    let kind = match kind {
        "ed448" => KeyType::Ed448,
        _ => KeyType::Ed25519,
    };
    let key = by_library(KeyVersion::V6, kind, true);
    let payload = shop.payload(from_now(0));
    let armor = library_signature(&key, &payload);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    filed(case, exported(&key))
}

fn library_signature(key: &SignedSecretKey, payload: &[u8]) -> Vec<u8> {
    let signature = DetachedSignature::sign_binary_data(
        Sevens,
        &key.primary_key,
        &Password::empty(),
        HashAlgorithm::Sha512,
        payload,
    );
    let armor = signature.unwrap().to_armored_bytes(ArmorOptions::default());
    armor.unwrap()
}

fn version_6_tampered(shop: &Shop, kind: &str) -> Case {
    let mut case = version_6(shop, kind);
    let last = case.raw.len() - 2;
    case.raw[last] ^= 1;
    case
}

/// A signature by a key that is for certifying only.
fn not_for_signing(shop: &Shop, _: &str) -> Case {
    let key = by_library(KeyVersion::V4, KeyType::Ed25519Legacy, false);
    let file = exported(&key);
    gpg(shop, 0, &["--batch", "--import"], &file);
    let payload = shop.payload(from_now(0));
    let armor = library_signature(&key, &payload);
    filed(shop.commit(commit_with(&payload, &[&armor])), file)
}

/// A good key's signature whose `R` is the neutral point (see the ssh table).
fn weak_half(shop: &Shop, _: &str) -> Case {
    let key = by_library(KeyVersion::V4, KeyType::Ed25519Legacy, true);
    let file = exported(&key);
    gpg(shop, 0, &["--batch", "--import"], &file);
    let fingerprint = fingerprint(shop, "alice <library@example.com>");
    let payload = shop.payload(from_now(0));
    let now = u32::try_from(from_now(0).as_second() + 1).unwrap();
    let bytes: Vec<u8> = (0..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&fingerprint[at..at + 2], 16).unwrap())
        .collect();
    let hashed = [&[5, 2], &now.to_be_bytes()[..], &[22, 33, 4], &bytes].concat();
    let length = u16::try_from(hashed.len()).unwrap().to_be_bytes();
    let head = [&[4, 0, 22, 8], &length[..], &hashed].concat();
    let size = u32::try_from(head.len()).unwrap().to_be_bytes();
    let digest = Sha256::digest([&payload[..], &head, &[4, 0xff], &size].concat());
    let value = neutral_signature(&[7; 32], &digest);
    let number = |digits: &[u8]| {
        let start = digits.iter().position(|byte| *byte != 0).unwrap();
        let digits = &digits[start..];
        let bits = digits.len() * 8 - digits[0].leading_zeros() as usize;
        let bits = u16::try_from(bits).unwrap().to_be_bytes();
        [&bits[..], digits].concat()
    };
    let (r, s) = value.split_at(32);
    let body = [&head[..], &[0, 0], &digest[..2], &number(r), &number(s)].concat();
    let packet = [&[0x88, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    let armor = wrapped("PGP SIGNATURE", "\n", &packet);
    filed(shop.commit(commit_with(&payload, &[&armor])), file)
}

/// A certificate whose own signature is by SHA-1.
fn sha1_certificate(shop: &Shop, kind: &str) -> Case {
    let options = ["--cert-digest-algo", "SHA1"];
    let key = make(shop, "alice", kind, (0, 0), &options);
    known(shop, made(shop, &key, (0, 0), &[]), &key)
}
