//! gpg's and git's OpenPGP signatures.

use super::*;
use crate::people::key::KeyError;

/// A GnuPG home; its agent ends with it.
pub(super) struct Gpg(TempDir);

impl Drop for Gpg {
    fn drop(&mut self) {
        run(self.0.path(), "gpgconf", &["--kill", "all"], b"");
    }
}

impl Gpg {
    pub(super) fn new() -> Self {
        Self(home())
    }

    pub(super) fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let base = [
            "-q",
            "--no-tty",
            "--yes",
            "--pinentry-mode=loopback",
            "--passphrase=",
        ];
        run(self.0.path(), "gpg", &[&base[..], args].concat(), input)
    }

    /// Makes a key at a time and returns its fingerprint as gpg lists it.
    pub(super) fn make(&self, user: &str, kind: &str, options: &[&str]) -> String {
        let make = ["--batch", "--quick-gen-key", user, kind, "sign"];
        self.run(&[options, &make[..], &["never"]].concat(), b"");
        let listing = self.run(&["--with-colons", "--list-keys", user], b"");
        let listing = String::from_utf8(listing).unwrap();
        let line = listing.lines().find(|line| line.starts_with("fpr:"));
        line.unwrap().split(':').nth(9).unwrap().to_owned()
    }

    pub(super) fn export(&self, key: &str) -> Vec<u8> {
        self.run(&["--armor", "--export", key], b"")
    }

    pub(super) fn listed(&self, key: &str) -> PersonKey {
        listed(parse_openpgp(&self.export(key)).unwrap())
    }

    pub(super) fn sign(&self, options: &[&str]) -> Signed {
        let armor = self.run(
            &[&["--armor", "--detach-sign"][..], options].concat(),
            PAYLOAD,
        );
        signed(PAYLOAD, armor)
    }
}

const LONG_AGO: [&str; 1] = ["--faked-system-time=20250101T000000!"];

/// Every kind of signing key in use signs, is named as gpg names it, and one changed byte of what
/// was signed is a bad signature.
#[test]
fn every_kind_of_key() {
    let gpg = Gpg::new();
    for kind in [
        "ed25519", "nistp256", "nistp384", "nistp521", "rsa2048", "rsa3072",
    ] {
        let fingerprint = gpg.make(kind, kind, &[]);
        let key = gpg.listed(&fingerprint);
        assert_eq!(key.fingerprint, fingerprint);
        let people = alice(key);
        let good = gpg.sign(&["-u", &fingerprint]);
        let now = Timestamp::now();
        let signer = people.verify(&good, now).unwrap();
        assert_eq!(signer.fingerprint, fingerprint, "{kind}");
        let mut tampered = good.clone();
        tampered.payload[5] ^= 1;
        let fault = people.verify(&tampered, now).unwrap_err();
        assert!(matches!(fault, SignatureFault::Bad(_)), "{kind}: {fault}");
    }
}

/// Commits and tags that git signs with gpg are good.
#[test]
fn git_signs() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice@example.com", "ed25519", &[]);
    let people = alice(gpg.listed(&fingerprint));
    let git = |args: &[&str]| run(gpg.0.path(), "git", args, b"");
    git(&["init", "-q"]);
    git(&["config", "user.signingkey", &fingerprint]);
    git(&["commit", "-q", "--allow-empty", "-S", "-m", "one"]);
    git(&["tag", "-s", "v1", "-m", "the tag"]);
    let commit = split_commit(&git(&["cat-file", "commit", "HEAD"]));
    let tag = split_tag(&git(&["cat-file", "tag", "v1"]));
    for signed in [&commit, &tag] {
        let signer = people.verify(signed, Timestamp::now()).unwrap();
        assert_eq!(signer.person.as_str(), "alice");
    }
}

/// A key's end is the newest self-signature's, asked at receipt: renewed, it counts again; the
/// signature's own date never matters.
#[test]
fn keys_expire_and_are_renewed() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "ed25519", &LONG_AGO);
    let expire = ["--batch", "--quick-set-expire", &fingerprint];
    let then = ["--faked-system-time=20250102T000000!"];
    gpg.run(&[&then[..], &expire, &["seconds=864000"]].concat(), b"");
    let good = gpg.sign(&["--faked-system-time=20250103T000000!"]);
    let mut bad = good.clone();
    bad.payload.push(b'x');
    let people = alice(gpg.listed(&fingerprint));
    assert!(people.verify(&good, at("2025-01-03T00:00:00Z")).is_ok());
    // Counted from 2025-01-02 by gpg, so it ends on the 12th.
    assert!(people.verify(&good, at("2025-01-11T23:00:00Z")).is_ok());
    for time in [
        "2025-01-12T00:00:01Z",
        "2026-01-01T00:00:00Z",
        "2024-12-31T00:00:00Z",
    ] {
        let fault = people.verify(&good, at(time)).unwrap_err();
        assert!(
            matches!(fault, SignatureFault::Expired(_)),
            "{time}: {fault}"
        );
        let fault = people.verify(&bad, at(time)).unwrap_err();
        assert!(matches!(fault, SignatureFault::Bad(_)), "{time}: {fault}");
    }
    let later = ["--faked-system-time=20250201T000000!"];
    gpg.run(&[&later[..], &expire, &["1y"]].concat(), b"");
    let renewed = alice(gpg.listed(&fingerprint));
    assert!(renewed.verify(&good, at("2025-06-01T00:00:00Z")).is_ok());
    assert!(renewed.verify(&good, at("2026-06-01T00:00:00Z")).is_err());
}

/// What `people.toml` says of time holds beside what the certificate says.
#[test]
fn listed_times_hold_too() {
    let gpg = Gpg::new();
    let mut key = gpg.listed(&gpg.make("alice", "ed25519", &LONG_AGO));
    let good = gpg.sign(&LONG_AGO);
    key.term.until = Some(at("2026-01-01T00:00:00Z"));
    assert!(
        alice(key.clone())
            .verify(&good, at("2025-12-31T00:00:00Z"))
            .is_ok()
    );
    let fault = alice(key.clone()).verify(&good, at("2026-01-01T00:00:00Z"));
    assert!(
        matches!(fault, Err(SignatureFault::Expired(_))),
        "{fault:?}"
    );
    key.term.revoked = Some(at("2025-06-01T00:00:00Z"));
    let fault = alice(key).verify(&good, at("2026-01-01T00:00:00Z"));
    assert!(
        matches!(fault, Err(SignatureFault::Revoked(_))),
        "{fault:?}"
    );
}

/// A signature that states its own end has one.
#[test]
fn signatures_expire() {
    let gpg = Gpg::new();
    let people = alice(gpg.listed(&gpg.make("alice", "ed25519", &LONG_AGO)));
    let good = gpg.sign(&[&LONG_AGO[..], &["--default-sig-expire", "5d"]].concat());
    assert!(people.verify(&good, at("2025-01-05T00:00:00Z")).is_ok());
    let fault = people.verify(&good, at("2025-01-07T00:00:00Z"));
    assert!(
        matches!(fault, Err(SignatureFault::Expired(_))),
        "{fault:?}"
    );
}

/// A key revoked without a reason is revoked for all time, one retired only from then on; a
/// revocation by somebody else makes the file unusable rather than being left out.
#[test]
fn revoked_certificates() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "ed25519", &LONG_AGO);
    let untouched = gpg.export(&fingerprint);
    let good = gpg.sign(&LONG_AGO);
    let revoke = |reason: &str| {
        let args = [
            "--faked-system-time=20250601T000000!",
            "--command-fd=0",
            "--armor",
        ];
        let args = [&args[..], &["--gen-revoke", &fingerprint]].concat();
        let answers = format!("y\n{reason}\n\ny\n");
        let revocation = gpg.run(&args, answers.as_bytes());
        [untouched.clone(), revocation]
            .map(|part| unarmored(&part))
            .concat()
    };
    let verify = |bytes: &[u8], time: &str| {
        let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", bytes);
        alice(listed(parse_openpgp(&armor).unwrap())).verify(&good, at(time))
    };
    let before = "2025-05-31T23:00:00Z";
    let after = "2025-06-01T00:00:00Z";
    for (reason, holds_before) in [("0", false), ("1", false), ("2", true), ("3", true)] {
        let bytes = revoke(reason);
        let fault = verify(&bytes, after);
        assert!(
            matches!(fault, Err(SignatureFault::Revoked(_))),
            "{reason}: {fault:?}"
        );
        assert_eq!(verify(&bytes, before).is_ok(), holds_before, "{reason}");
    }
    let other = gpg.make("mallory", "ed25519", &LONG_AGO);
    let foreign = [unarmored(&gpg.export(&other)), revoke("0")].concat();
    let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &foreign);
    assert!(parse_openpgp(&armor).is_err(), "two certificates");
    let own = unarmored(&gpg.export(&other));
    let revocation = revoke("0").split_off(unarmored(&untouched).len());
    let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &[own, revocation].concat());
    let refused = parse_openpgp(&armor).unwrap_err().to_string();
    assert!(refused.contains("cannot be checked"), "{refused}");
}

fn unarmored(armor: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(armor.to_vec()).unwrap();
    let start = text.find("-----BEGIN PGP PUBLIC").unwrap();
    // gpg puts a comment into revocations, and both end with a checksum.
    crate::wire::armor::parse_openpgp_key(&text.as_bytes()[start..]).unwrap()
}

/// A signing subkey signs for its person, under the primary key's name, until it ends.
#[test]
fn subkeys_sign() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "ed25519", &LONG_AGO);
    let add = [
        "--batch",
        "--quick-add-key",
        &fingerprint,
        "ed25519",
        "sign",
        "seconds=864000",
    ];
    gpg.run(&[&LONG_AGO[..], &add].concat(), b"");
    let encrypts = [
        "--batch",
        "--quick-add-key",
        &fingerprint,
        "cv25519",
        "encr",
        "never",
    ];
    gpg.run(&[&LONG_AGO[..], &encrypts].concat(), b"");
    let people = alice(gpg.listed(&fingerprint));
    // gpg takes the newest signing subkey.
    let good = gpg.sign(&LONG_AGO);
    let signer = people.verify(&good, at("2025-01-05T00:00:00Z")).unwrap();
    assert_eq!(signer.fingerprint, fingerprint);
    let fault = people.verify(&good, at("2025-01-12T00:00:00Z"));
    assert!(
        matches!(fault, Err(SignatureFault::Expired(_))),
        "{fault:?}"
    );
    let primary = format!("{fingerprint}!");
    let by_primary = gpg.sign(&[&LONG_AGO[..], &["-u", &primary]].concat());
    assert!(
        people
            .verify(&by_primary, at("2025-01-12T00:00:00Z"))
            .is_ok()
    );
    // The same certificate before it had the subkey knows nothing of it.
    let bytes = unarmored(&gpg.export(&fingerprint));
    let packets = crate::wire::openpgp::packets(&bytes).unwrap();
    let without: Vec<u8> = packets[..3]
        .iter()
        .flat_map(|packet| packet.whole.to_vec())
        .collect();
    let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &without);
    let people = alice(listed(parse_openpgp(&armor).unwrap()));
    let fault = people.verify(&good, at("2025-01-05T00:00:00Z"));
    assert!(
        matches!(fault, Err(SignatureFault::UnknownSigner(_))),
        "{fault:?}"
    );
}

/// A subkey that somebody else's certificate binds, without the subkey's own word, is not theirs.
#[test]
fn stolen_subkeys_do_not_count() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "ed25519", &LONG_AGO);
    let other = gpg.make("mallory", "ed25519", &LONG_AGO);
    let add = [
        "--batch",
        "--quick-add-key",
        &fingerprint,
        "ed25519",
        "sign",
        "never",
    ];
    gpg.run(&[&LONG_AGO[..], &add].concat(), b"");
    let good = gpg.sign(&[&LONG_AGO[..], &["-u", &fingerprint]].concat());
    let alices = unarmored(&gpg.export(&fingerprint));
    let packets = crate::wire::openpgp::packets(&alices).unwrap();
    let subkey: Vec<u8> = packets[3..]
        .iter()
        .flat_map(|packet| packet.whole.to_vec())
        .collect();
    let stolen = [unarmored(&gpg.export(&other)), subkey].concat();
    let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &stolen);
    let mallory = people(vec![person(
        "mallory",
        vec![listed(parse_openpgp(&armor).unwrap())],
    )]);
    let fault = mallory.verify(&good, at("2025-01-05T00:00:00Z"));
    assert!(fault.is_err(), "{fault:?}");
    assert!(
        alice(gpg.listed(&fingerprint))
            .verify(&good, at("2025-01-05T00:00:00Z"))
            .is_ok()
    );
}

/// Weak hashes, text mode, several signers, DSA, an unlisted key: each is refused as what it is.
#[test]
fn refused_signatures() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "rsa2048", &[]);
    let other = gpg.make("bob", "ed25519", &[]);
    let dsa = gpg.make("carol", "dsa2048", &[]);
    let people = alice(gpg.listed(&fingerprint));
    let of = |options: &[&str]| {
        people
            .verify(&gpg.sign(options), Timestamp::now())
            .unwrap_err()
    };
    let words = of(&["-u", &fingerprint, "--digest-algo", "SHA1"]).to_string();
    assert!(words.contains("hash algorithm 2 is too weak"), "{words}");
    let fault = of(&["-u", &fingerprint, "--textmode"]);
    assert!(matches!(fault, SignatureFault::Unsupported(_)), "{fault}");
    let fault = of(&["-u", &dsa]);
    assert!(matches!(fault, SignatureFault::Unsupported(_)), "{fault}");
    let words = of(&["-u", &fingerprint, "-u", &other]).to_string();
    assert!(words.contains("exactly one signature packet"), "{words}");
    assert_eq!(of(&["-u", &other]), SignatureFault::UnknownSigner(other));
}

/// Key files that hold too little, too much, or what is too weak are no keys.
#[test]
fn refused_keys() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("alice", "ed25519", &[]);
    let small = gpg.make("small", "rsa1024", &[]);
    assert_eq!(
        parse_openpgp(&gpg.export(&small)).unwrap_err(),
        KeyError::RsaBits(1024)
    );
    let weak = gpg.make("weak", "ed25519", &["--cert-digest-algo", "SHA1"]);
    let refused = parse_openpgp(&gpg.export(&weak)).unwrap_err().to_string();
    assert!(refused.contains("no valid self-signature"), "{refused}");
    let dsa = gpg.make("dsa", "dsa2048", &[]);
    assert!(parse_openpgp(&gpg.export(&dsa)).is_err());
    let two = gpg.run(&["--armor", "--export", &fingerprint, &weak], b"");
    let refused = parse_openpgp(&two).unwrap_err().to_string();
    assert!(refused.contains("more than one key"), "{refused}");
    let secret = gpg.run(&["--armor", "--export-secret-keys", &fingerprint], b"");
    assert!(parse_openpgp(&secret).is_err());
    let good = gpg.export(&fingerprint);
    assert!(parse_openpgp(&good).is_ok());
    assert!(parse_openpgp(&good.repeat(2)).is_err());
    for end in (0..good.len() - 1).step_by(7) {
        assert!(parse_openpgp(&good[..end]).is_err(), "{end}");
    }
    // A certificate whose user id was exchanged has no self-signature left.
    let mut bytes = unarmored(&good);
    let name = bytes.windows(5).position(|part| part == b"alice").unwrap();
    bytes[name] = b'x';
    let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &bytes);
    assert!(parse_openpgp(&armor).is_err());
}
