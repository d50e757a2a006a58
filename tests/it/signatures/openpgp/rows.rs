//! The table of OpenPGP.

use super::super::{Case, RECEIPT, Row, from_now, other, same};
use super::{EACH, ED, KINDS, SHORT, SUBKEYS};
use super::{
    added, another, by_git, ended, revoked, sha1_certificate, signature_ended, subkey, tampered,
    today, trailing, two_headers, two_signatures, unknown, version_6, version_6_tampered,
    weak_half,
};

const HASHES: &str = "Weak hashes";
const ALGORITHMS: &str = "Algorithms of OpenPGP";
const REVOKED: &str = "Revocation has a time";

pub(in super::super) const ROWS: &[Row] = &[
    same(
        "an OpenPGP commit",
        KINDS,
        |shop, kind| by_git(shop, kind, "commit"),
        "alice",
        "alice",
    ),
    same(
        "an OpenPGP tag",
        EACH,
        |shop, kind| by_git(shop, kind, "tag"),
        "alice",
        "alice",
    ),
    same(
        "OpenPGP, tampered with",
        EACH,
        tampered,
        "bad-signature",
        "refused",
    ),
    same(
        "an unknown OpenPGP key",
        EACH,
        unknown,
        "unknown-signer",
        "refused",
    ),
    same("another's OpenPGP key", EACH, another, "bob", "bob"),
    same(
        "an expired OpenPGP key, dated back",
        EACH,
        |shop, kind| ended(shop, kind, 0, false),
        "expired-key",
        "refused",
    ),
    other(
        "an OpenPGP key that has expired since receipt",
        EACH,
        |shop, kind| ended(shop, kind, -30, false),
        "alice",
        "refused",
        RECEIPT,
    ),
    same(
        "an OpenPGP key that was renewed",
        EACH,
        |shop, kind| ended(shop, kind, 0, true),
        "alice",
        "alice",
    ),
    other(
        "an OpenPGP key that did not exist at receipt",
        ED,
        |shop, kind| {
            let case = today(shop, kind, &[]);
            Case {
                at: from_now(-1),
                ..case
            }
        },
        "expired-key",
        "alice",
        RECEIPT,
    ),
    same(
        "a signature that has ended",
        EACH,
        signature_ended,
        "expired-key",
        "refused",
    ),
    same(
        "a revoked OpenPGP key",
        EACH,
        |shop, kind| revoked(shop, kind, "0", 0),
        "revoked-key",
        "refused",
    ),
    same(
        "a compromised OpenPGP key, received before",
        EACH,
        |shop, kind| revoked(shop, kind, "1", -30),
        "revoked-key",
        "refused",
    ),
    same(
        "a superseded OpenPGP key",
        ED,
        |shop, kind| revoked(shop, kind, "2", 0),
        "revoked-key",
        "refused",
    ),
    other(
        "a superseded OpenPGP key, received before",
        ED,
        |shop, kind| revoked(shop, kind, "2", -30),
        "alice",
        "refused",
        REVOKED,
    ),
    other(
        "a retired OpenPGP key, received before",
        ED,
        |shop, kind| revoked(shop, kind, "3", -30),
        "alice",
        "refused",
        REVOKED,
    ),
    same(
        "a signing subkey",
        SUBKEYS,
        |shop, kind| subkey(shop, kind, "never"),
        "alice",
        "alice",
    ),
    same(
        "an expired signing subkey",
        SUBKEYS,
        |shop, kind| subkey(shop, kind, "seconds=1728000"),
        "expired-key",
        "refused",
    ),
    same(
        "two OpenPGP signature headers",
        ED,
        two_headers,
        "malformed-object",
        "refused",
    ),
    same(
        "two signatures in one armour",
        ED,
        two_signatures,
        "bad-signature",
        "refused",
    ),
    other(
        "text after OpenPGP armour",
        ED,
        trailing,
        "bad-signature",
        "alice",
        "Armour in one form only",
    ),
    other(
        "a notation added to a signature",
        EACH,
        added,
        "bad-signature",
        "alice",
        "Nothing is added to an OpenPGP signature",
    ),
    same(
        "a comment in the armour",
        ED,
        |shop, kind| today(shop, kind, &["--comment", "a comment"]),
        "alice",
        "alice",
    ),
    same(
        "a notation by the signer",
        ED,
        |shop, kind| today(shop, kind, &["--sig-notation", "a@example.com=b"]),
        "alice",
        "alice",
    ),
    same(
        "a critical notation by the signer",
        ED,
        |shop, kind| today(shop, kind, &["--sig-notation", "!a@example.com=b"]),
        "bad-signature",
        "refused",
    ),
    other(
        "in text mode",
        EACH,
        |shop, kind| today(shop, kind, &["--textmode"]),
        "bad-signature",
        "alice",
        "Text mode of OpenPGP",
    ),
    other(
        "OpenPGP with SHA-1",
        SHORT,
        |shop, kind| today(shop, kind, &["--digest-algo", "SHA1"]),
        "bad-signature",
        "alice",
        HASHES,
    ),
    other(
        "OpenPGP with RIPEMD-160",
        SHORT,
        |shop, kind| today(shop, kind, &["--digest-algo", "RIPEMD160"]),
        "bad-signature",
        "alice",
        HASHES,
    ),
    other(
        "OpenPGP with SHA-224",
        SHORT,
        |shop, kind| today(shop, kind, &["--digest-algo", "SHA224"]),
        "bad-signature",
        "alice",
        HASHES,
    ),
    same(
        "OpenPGP with MD5",
        &["rsa2048"],
        |shop, kind| {
            let options = ["--digest-algo", "MD5", "--allow-weak-digest-algos"];
            today(shop, kind, &options)
        },
        "bad-signature",
        "refused",
    ),
    other(
        "an OpenPGP key bound by SHA-1",
        SHORT,
        sha1_certificate,
        "policy-invalid",
        "alice",
        HASHES,
    ),
    other(
        "a small RSA key of OpenPGP",
        &["rsa1024"],
        |shop, kind| today(shop, kind, &[]),
        "policy-invalid",
        "alice",
        "Small RSA keys",
    ),
    other(
        "an algorithm that few have",
        &["dsa2048", "brainpoolP256r1", "secp256k1"],
        |shop, kind| today(shop, kind, &[]),
        "policy-invalid",
        "alice",
        ALGORITHMS,
    ),
    other(
        "an OpenPGP signature of small order",
        ED,
        weak_half,
        "bad-signature",
        "alice",
        "Ed25519 points of small order",
    ),
    other(
        "OpenPGP version 6",
        &["ed25519", "ed448"],
        version_6,
        "alice",
        "refused",
        "Version 6 of OpenPGP",
    ),
    same(
        "OpenPGP version 6, tampered with",
        &["ed25519", "ed448"],
        version_6_tampered,
        "bad-signature",
        "refused",
    ),
];
