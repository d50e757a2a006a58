//! Plain ssh keys and security keys.

use countersign::wire::oid::ObjectFormat;
use ed25519_dalek::SigningKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha512};

use super::shop::{Shop, commit_with};
use super::tokens::{Token, blob, ed25519_blob, ed25519_sign, line};
use super::tokens::{sshsig, strings, to_be_signed, wrapped};
use super::{Case, RECEIPT, Row, from_now, other, same};

/// Kinds that ssh-keygen makes without hardware.
const SOFT: &[&str] = &[
    "ed25519",
    "ecdsa-256",
    "ecdsa-384",
    "ecdsa-521",
    "rsa-2048",
    "rsa-3072",
];
const TOKENS: &[&str] = &["sk-ed25519", "sk-ecdsa"];
const ALL: &[&str] = &[
    "ed25519",
    "ecdsa-256",
    "ecdsa-384",
    "ecdsa-521",
    "rsa-2048",
    "rsa-3072",
    "sk-ed25519",
    "sk-ecdsa",
];
const RSA: &[&str] = &["rsa-2048", "rsa-3072"];

/// A day in an allowed signers file.
pub(super) fn day(days: i64) -> String {
    from_now(days).strftime("%Y%m%d").to_string()
}

/// alice's key of a kind, and bob's, known to both sides; her entries carry these terms.
fn known(shop: &Shop, case: Case, kind: &str, terms: &str, options: &str) -> Case {
    let (alice, bob) = (shop.public("alice", kind), shop.public("bob", "ed25519"));
    let people = format!(
        "[people.alice]\nkeys = [{{ ssh = \"{alice}\"{terms} }}]\n\
         [people.bob]\nkeys = [{{ ssh = \"{bob}\" }}]\n"
    );
    let allowed = shop.allow(&format!(
        "alice namespaces=\"git\"{options} {alice}\nbob namespaces=\"git\" {bob}\n"
    ));
    let mut case = Case { people, ..case };
    case.settings.push(allowed);
    case
}

/// A commit of that date by alice, received that many days from now.
fn dated(shop: &Shop, kind: &str, days: i64, received: i64) -> Case {
    let payload = shop.payload(from_now(days));
    let armor = shop.sign("alice", kind, &payload);
    Case {
        at: from_now(received),
        ..shop.commit(commit_with(&payload, &[&armor]))
    }
}

fn signed_with(shop: &Shop, kind: &str) -> Vec<String> {
    shop.public("alice", kind);
    let key = shop.path(&format!("alice.{kind}.pub"));
    vec![
        "gpg.format=ssh".to_owned(),
        format!("user.signingkey={}", key.display()),
    ]
}

fn commit(shop: &Shop, kind: &str) -> Case {
    let case = shop.by_git("commit", &signed_with(shop, kind));
    known(shop, case, kind, "", "")
}

fn tag(shop: &Shop, kind: &str) -> Case {
    let case = shop.by_git("tag", &signed_with(shop, kind));
    known(shop, case, kind, "", "")
}

fn sha256(shop: &Shop, kind: &str) -> Case {
    if !shop.path("sha256").exists() {
        shop.run(
            "git",
            &["init", "-q", "--object-format=sha256", "sha256"],
            b"",
        );
    }
    let mut args = vec!["-C", "sha256"];
    let settings = signed_with(shop, kind);
    settings
        .iter()
        .for_each(|setting| args.extend(["-c", setting]));
    args.extend(["commit", "-q", "--allow-empty", "-S", "-m", "one"]);
    shop.run("git", &args, b"");
    let raw = shop.run("git", &["-C", "sha256", "cat-file", "commit", "HEAD"], b"");
    let case = Case {
        format: ObjectFormat::Sha256,
        ..shop.commit(raw.into_bytes())
    };
    known(shop, case, kind, "", "")
}

fn other_hash(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    shop.public("alice", kind);
    let name = format!("alice.{kind}");
    let args = [
        "-q",
        "-Y",
        "sign",
        "-O",
        "hashalg=sha256",
        "-n",
        "git",
        "-f",
        &name,
    ];
    let armor = shop.run("ssh-keygen", &args, &payload);
    let case = shop.commit(commit_with(&payload, &[armor.as_bytes()]));
    known(shop, case, kind, "", "")
}

fn tampered(shop: &Shop, kind: &str) -> Case {
    let mut case = dated(shop, kind, 0, 0);
    let last = case.raw.len() - 2;
    case.raw[last] ^= 1;
    known(shop, case, kind, "", "")
}

fn namespace(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = shop.sign_in("alice", kind, "file", &payload);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

fn unknown(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = shop.sign("mallory", kind, &payload);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

/// A commit that says it is alice's.
fn another(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = shop.sign("bob", "ed25519", &payload);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

/// A key that ended ten days ago.
fn ended(shop: &Shop, case: Case, kind: &str) -> Case {
    let terms = format!(", until = {}", from_now(-10));
    let options = format!(",valid-before=\"{}\"", day(-10));
    known(shop, case, kind, &terms, &options)
}

/// A key that begins in ten days.
fn begins(shop: &Shop, case: Case, kind: &str) -> Case {
    let terms = format!(", from = {}", from_now(10));
    let options = format!(",valid-after=\"{}\"", day(10));
    known(shop, case, kind, &terms, &options)
}

fn revoked(shop: &Shop, case: Case, kind: &str) -> Case {
    let terms = format!(", revoked = {}", from_now(-10));
    let mut case = known(shop, case, kind, &terms, "");
    let list = shop.write(&shop.fresh("revoked"), shop.public("alice", kind) + "\n");
    case.settings.push(shop.revoke(list.as_ref()));
    case
}

fn two_headers(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let alices = shop.sign("alice", kind, &payload);
    let bobs = shop.sign("bob", "ed25519", &payload);
    let case = shop.commit(commit_with(&payload, &[&alices, &bobs]));
    known(shop, case, kind, "", "")
}

fn trailing(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = [&shop.sign("alice", kind, &payload)[..], b"more\n"].concat();
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

/// The base64 of the signature in one line, which no ssh-keygen writes.
fn unwrapped(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = String::from_utf8(shop.sign("alice", kind, &payload)).unwrap();
    let lines: Vec<&str> = armor.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let armor = format!("{first}\n{}\n{last}\n", lines[1..lines.len() - 1].concat());
    let case = shop.commit(commit_with(&payload, &[armor.as_bytes()]));
    known(shop, case, kind, "", "")
}

fn small_rsa(shop: &Shop, kind: &str) -> Case {
    known(shop, dated(shop, kind, 0, 0), kind, "", "")
}

/// A signature of SHA-1, which ssh-keygen no longer makes.
fn sha1_rsa(shop: &Shop, kind: &str) -> Case {
    const SHA1_INFO: [u8; 15] = [
        0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
    ];
    let payload = shop.payload(from_now(0));
    let public = blob(&shop.public("alice", kind));
    let pem = std::fs::read_to_string(shop.path(&format!("alice.{kind}"))).unwrap();
    let key = RsaPrivateKey::from_pkcs1_pem(&pem).unwrap();
    let file = shop.write("to-be-signed", to_be_signed("git", &payload));
    let sum = shop.run("sha1sum", &["-b", &file], b"");
    let digest: Vec<u8> = (0..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&sum[at..at + 2], 16).unwrap())
        .collect();
    let scheme = Pkcs1v15Sign {
        hash_len: Some(20),
        prefix: SHA1_INFO.into(),
    };
    let value = key.sign(scheme, &digest).unwrap();
    let armor = sshsig(&public, "git", &strings(&[b"ssh-rsa", &value]));
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

/// The key that is the neutral point: `R` the same and `S` zero fit every message.
fn weak_key(shop: &Shop, _: &str) -> Case {
    let mut identity = [0u8; 32];
    identity[0] = 1;
    let key = strings(&[b"ssh-ed25519", &identity]);
    let forged = strings(&[b"ssh-ed25519", &[identity, [0; 32]].concat()]);
    let payload = shop.payload(from_now(0));
    let case = shop.commit(commit_with(&payload, &[&sshsig(&key, "git", &forged)]));
    let listed = line("ssh-ed25519", &key);
    let mut case = Case {
        people: format!("[people.alice]\nkeys = [{{ ssh = \"{listed}\" }}]\n"),
        ..case
    };
    case.settings.push(shop.allow(&format!("alice {listed}\n")));
    case
}

/// A good key's signature whose `R` is the neutral point, which only its owner can make: `S` is
/// `k` times the secret.
fn weak_half(shop: &Shop, _: &str) -> Case {
    let seed = [7u8; 32];
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    let key = strings(&[b"ssh-ed25519", public.as_bytes()]);
    let payload = shop.payload(from_now(0));
    let value = neutral_signature(&seed, &to_be_signed("git", &payload));
    let armor = sshsig(&key, "git", &strings(&[b"ssh-ed25519", &value]));
    let listed = line("ssh-ed25519", &key);
    let mut case = Case {
        people: format!("[people.alice]\nkeys = [{{ ssh = \"{listed}\" }}]\n"),
        ..shop.commit(commit_with(&payload, &[&armor]))
    };
    case.settings.push(shop.allow(&format!("alice {listed}\n")));
    case
}

/// RFC 8032 section 5.1.6 with `r = 0`.
pub(super) fn neutral_signature(seed: &[u8; 32], message: &[u8]) -> Vec<u8> {
    let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
    let mut secret: [u8; 32] = Sha512::digest(seed)[..32].try_into().unwrap();
    secret[0] &= 248;
    secret[31] = secret[31] & 63 | 64;
    let mut neutral = [0u8; 32];
    neutral[0] = 1;
    let k = Sha512::digest([&neutral[..], public.as_bytes(), message].concat());
    let order = b"7237005577332262213973186563042994240857116359379907606001950938285454250989";
    let order = BigUint::parse_bytes(order, 10).unwrap();
    let s = BigUint::from_bytes_le(&secret) * BigUint::from_bytes_le(&k) % order;
    let mut digits = s.to_bytes_le();
    digits.resize(32, 0);
    [&neutral[..], &digits].concat()
}

fn token(shop: &Shop, kind: &str, flags: u8, terms: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let token = Token::new("alice", kind).unwrap();
    let armor = token.armor("git", &payload, flags);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, terms, "")
}

/// More after the counter.
fn token_trailing(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let token = Token::new("alice", kind).unwrap();
    let mut signature = token.sign(&to_be_signed("git", &payload), 1);
    signature.push(0);
    let armor = sshsig(&blob(&token.line()), "git", &signature);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

/// Something in the reserved field, which OpenSSH leaves out of what it verifies.
fn reserved(shop: &Shop, _: &str) -> Case {
    let key = SigningKey::from_bytes(&[5; 32]);
    let public = ed25519_blob(&key);
    let payload = shop.payload(from_now(0));
    let signature = ed25519_sign(&key, &to_be_signed("git", &payload));
    let fields = [&public[..], b"git", b"more", b"sha512", &signature];
    let bytes = [b"SSHSIG\0\0\0\x01", &strings(&fields)[..]].concat();
    let armor = wrapped("SSH SIGNATURE", "", &bytes);
    let listed = line("ssh-ed25519", &public);
    let mut case = Case {
        people: format!("[people.alice]\nkeys = [{{ ssh = \"{listed}\" }}]\n"),
        ..shop.commit(commit_with(&payload, &[&armor]))
    };
    case.settings.push(shop.allow(&format!("alice {listed}\n")));
    case
}

/// alice's key listed as bob's as well.
fn two_people(shop: &Shop, kind: &str) -> Case {
    let case = known(shop, dated(shop, kind, 0, 0), kind, "", "");
    let (alice, bob) = (shop.public("alice", kind), shop.public("bob", "ed25519"));
    Case {
        people: case.people.replace(&bob, &alice),
        ..case
    }
}

const PIN: &str = ", verify_required = true";

/// Flags are under the signature.
fn touch_added(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let token = Token::new("alice", kind).unwrap();
    let mut signature = token.sign(&to_be_signed("git", &payload), 0);
    let flags = signature.len() - 5;
    signature[flags] = 1;
    let armor = sshsig(&blob(&token.line()), "git", &signature);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    known(shop, case, kind, "", "")
}

const ED: &[&str] = &["ed25519"];

pub(super) const ROWS: &[Row] = &[
    same("a commit", SOFT, commit, "alice", "alice"),
    same("a tag", SOFT, tag, "alice", "alice"),
    same(
        "a commit of a SHA-256 repository",
        SOFT,
        sha256,
        "alice",
        "alice",
    ),
    same("hashed with SHA-256", SOFT, other_hash, "alice", "alice"),
    same("tampered with", ALL, tampered, "bad-signature", "refused"),
    same(
        "another namespace",
        ALL,
        namespace,
        "bad-signature",
        "refused",
    ),
    same("an unknown key", ALL, unknown, "unknown-signer", "refused"),
    same("another's key", ALL, another, "bob", "bob"),
    other(
        "a key of two people",
        ALL,
        two_people,
        "policy-invalid",
        "alice",
        "A key is one person's",
    ),
    same(
        "an expired key",
        ALL,
        |shop, kind| ended(shop, dated(shop, kind, 0, 0), kind),
        "expired-key",
        "refused",
    ),
    other(
        "an expired key, dated back",
        ALL,
        |shop, kind| ended(shop, dated(shop, kind, -20, 0), kind),
        "expired-key",
        "alice",
        RECEIPT,
    ),
    same(
        "a key that has expired since receipt",
        ALL,
        |shop, kind| ended(shop, dated(shop, kind, -20, -20), kind),
        "alice",
        "alice",
    ),
    same(
        "a key that is not valid yet",
        ALL,
        |shop, kind| begins(shop, dated(shop, kind, 0, 0), kind),
        "expired-key",
        "refused",
    ),
    other(
        "a key that is not valid yet, dated ahead",
        ALL,
        |shop, kind| begins(shop, dated(shop, kind, 20, 0), kind),
        "expired-key",
        "alice",
        RECEIPT,
    ),
    other(
        "dated before its key is valid, received after",
        ALL,
        |shop, kind| begins(shop, dated(shop, kind, 0, 20), kind),
        "alice",
        "refused",
        RECEIPT,
    ),
    same(
        "a revoked key",
        ALL,
        |shop, kind| revoked(shop, dated(shop, kind, 0, 0), kind),
        "revoked-key",
        "refused",
    ),
    same(
        "a revoked key, dated back",
        ALL,
        |shop, kind| revoked(shop, dated(shop, kind, -20, 0), kind),
        "revoked-key",
        "refused",
    ),
    other(
        "a key that was revoked after receipt",
        ALL,
        |shop, kind| revoked(shop, dated(shop, kind, -20, -20), kind),
        "alice",
        "refused",
        "Revocation has a time",
    ),
    other(
        "two signature headers",
        ALL,
        two_headers,
        "malformed-object",
        "alice",
        "Two signatures in one commit",
    ),
    other(
        "text after the armour",
        ALL,
        trailing,
        "bad-signature",
        "alice",
        "A signature in one form only",
    ),
    other(
        "armour in one long line",
        ALL,
        unwrapped,
        "bad-signature",
        "alice",
        "A signature in one form only",
    ),
    other(
        "something in the reserved field",
        ED,
        reserved,
        "bad-signature",
        "alice",
        "A signature in one form only",
    ),
    other(
        "a small RSA key",
        &["rsa-1024"],
        small_rsa,
        "policy-invalid",
        "alice",
        "Small RSA keys",
    ),
    same("RSA with SHA-1", RSA, sha1_rsa, "bad-signature", "refused"),
    other(
        "a key of small order",
        ED,
        weak_key,
        "policy-invalid",
        "alice",
        "Ed25519 points of small order",
    ),
    other(
        "a signature of small order",
        ED,
        weak_half,
        "bad-signature",
        "alice",
        "Ed25519 points of small order",
    ),
];

pub(super) const TOKEN_ROWS: &[Row] = &[
    same(
        "touched",
        TOKENS,
        |shop, kind| token(shop, kind, 1, ""),
        "alice",
        "alice",
    ),
    same(
        "touched, with a PIN",
        TOKENS,
        |shop, kind| token(shop, kind, 5, ""),
        "alice",
        "alice",
    ),
    other(
        "not touched",
        TOKENS,
        |shop, kind| token(shop, kind, 0, ""),
        "bad-signature",
        "alice",
        "Security keys are touched",
    ),
    other(
        "not touched, with a PIN",
        TOKENS,
        |shop, kind| token(shop, kind, 4, ""),
        "bad-signature",
        "alice",
        "Security keys are touched",
    ),
    same(
        "a touch that was added",
        TOKENS,
        touch_added,
        "bad-signature",
        "refused",
    ),
    same(
        "more after the counter",
        TOKENS,
        token_trailing,
        "bad-signature",
        "refused",
    ),
    same(
        "a PIN where one is asked for",
        TOKENS,
        |shop, kind| token(shop, kind, 5, PIN),
        "alice",
        "alice",
    ),
    other(
        "no PIN where one is asked for",
        TOKENS,
        |shop, kind| token(shop, kind, 1, PIN),
        "bad-signature",
        "alice",
        "Security keys can be asked to verify their user",
    ),
    other(
        "a PIN but no touch where one is asked for",
        TOKENS,
        |shop, kind| token(shop, kind, 4, PIN),
        "bad-signature",
        "alice",
        "Security keys are touched",
    ),
    other(
        "a key for a web site",
        &["sk-ed25519-web", "sk-ecdsa-web"],
        |shop, kind| token(shop, kind, 1, ""),
        "policy-invalid",
        "alice",
        "Security keys for ssh only",
    ),
];
