//! ssh-keygen's and git's ssh signatures.

use super::*;
use crate::people::key::KeyError;

pub(super) fn keygen(dir: &Path, name: &str, kind: &[&str]) -> String {
    let args = [
        &["-q", "-N", "", "-C", "alice laptop", "-f", name][..],
        kind,
    ]
    .concat();
    run(dir, "ssh-keygen", &args, b"");
    let line = std::fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap();
    line.trim_end().to_owned()
}

pub(super) fn sign(dir: &Path, name: &str, namespace: &str) -> Vec<u8> {
    let args = ["-q", "-Y", "sign", "-n", namespace, "-f", name];
    run(dir, "ssh-keygen", &args, PAYLOAD)
}

/// Every kind of key that ssh-keygen makes without hardware signs, with both hashes, and is named
/// by the fingerprint ssh-keygen prints; one changed byte of what was signed is a bad signature.
#[test]
fn every_kind_of_key() {
    let home = home();
    let dir = home.path();
    let now = Timestamp::now();
    let kinds: &[&[&str]] = &[
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "3072"],
    ];
    for (index, kind) in kinds.iter().enumerate() {
        let name = format!("key{index}");
        let key = listed(parse_ssh(&keygen(dir, &name, kind)).unwrap());
        let shown = run(dir, "ssh-keygen", &["-l", "-f", &name], b"");
        assert!(String::from_utf8(shown).unwrap().contains(&key.fingerprint));
        let fingerprint = key.fingerprint.clone();
        let people = alice(key);
        for hash in ["sha256", "sha512"] {
            let option = format!("hashalg={hash}");
            let args = ["-q", "-Y", "sign", "-O", &option, "-n", "git", "-f", &name];
            let armor = run(dir, "ssh-keygen", &args, PAYLOAD);
            let signer = people.verify(&signed(PAYLOAD, armor.clone()), now).unwrap();
            assert_eq!(signer.person.as_str(), "alice");
            assert_eq!(signer.fingerprint, fingerprint);
            let mut tampered = PAYLOAD.to_vec();
            tampered[5] ^= 1;
            let fault = people.verify(&signed(&tampered, armor), now).unwrap_err();
            assert!(matches!(fault, SignatureFault::Bad(_)), "{kind:?} {fault}");
        }
    }
}

/// `from` is the first instant, `until` and `revoked` are the first no longer; a bad signature is
/// bad whatever the key's times say.
#[test]
fn times_of_a_key() {
    let home = home();
    let mut key = listed(parse_ssh(&keygen(home.path(), "k", &["-t", "ed25519"])).unwrap());
    key.term.from = Some(at("2026-01-01T00:00:00Z"));
    key.term.until = Some(at("2027-01-01T00:00:00Z"));
    let good = signed(PAYLOAD, sign(home.path(), "k", "git"));
    let bad = signed(b"other", good.armor.clone());
    let signer = Signer {
        person: PersonName::new("alice").unwrap(),
        kind: PersonKind::Human,
        fingerprint: key.fingerprint.clone(),
    };
    let expired = Err(SignatureFault::Expired(signer.clone()));
    let cases = [
        ("2025-12-31T23:59:59Z", expired.clone()),
        ("2026-01-01T00:00:00Z", Ok(signer.clone())),
        ("2026-12-31T23:59:59Z", Ok(signer.clone())),
        ("2027-01-01T00:00:00Z", expired),
    ];
    for (time, answer) in cases {
        let people = alice(key.clone());
        assert_eq!(people.verify(&good, at(time)), answer, "{time}");
        let fault = people.verify(&bad, at(time)).unwrap_err();
        assert!(matches!(fault, SignatureFault::Bad(_)), "{time}: {fault}");
    }
    key.term.revoked = Some(at("2026-06-01T00:00:00Z"));
    let people = alice(key);
    assert!(people.verify(&good, at("2026-05-31T23:59:59Z")).is_ok());
    let revoked = Err(SignatureFault::Revoked(signer));
    assert_eq!(people.verify(&good, at("2026-06-01T00:00:00Z")), revoked);
    assert_eq!(people.verify(&good, at("2028-06-01T00:00:00Z")), revoked);
    let fault = people.verify(&bad, at("2026-06-01T00:00:00Z")).unwrap_err();
    assert!(matches!(fault, SignatureFault::Bad(_)), "{fault}");
}

/// A key listed twice counts while one entry holds, but a revocation in any entry ends it; a key
/// of two people proves neither.
#[test]
fn a_key_listed_twice() {
    let home = home();
    let key = listed(parse_ssh(&keygen(home.path(), "k", &["-t", "ed25519"])).unwrap());
    let good = signed(PAYLOAD, sign(home.path(), "k", "git"));
    let now = at("2026-06-01T00:00:00Z");
    let mut over = key.clone();
    over.term.until = Some(at("2026-01-01T00:00:00Z"));
    let mut revoked = key.clone();
    revoked.term.revoked = Some(at("2026-01-01T00:00:00Z"));
    let with = |keys: Vec<PersonKey>| people(vec![person("alice", keys)]).verify(&good, now);
    assert!(with(vec![over, key.clone()]).is_ok());
    for keys in [
        vec![key.clone(), revoked.clone()],
        vec![revoked, key.clone()],
    ] {
        let fault = with(keys).unwrap_err();
        assert!(matches!(fault, SignatureFault::Revoked(_)), "{fault}");
    }
    let both = people(vec![
        person("alice", vec![key.clone()]),
        person("bob", vec![key]),
    ]);
    let fault = both.verify(&good, now).unwrap_err();
    assert!(matches!(fault, SignatureFault::Bad(_)), "{fault}");
}

/// A signature for files, mail or anything but git is not one for git.
#[test]
fn other_namespaces() {
    let home = home();
    let people = alice(listed(
        parse_ssh(&keygen(home.path(), "k", &["-t", "ed25519"])).unwrap(),
    ));
    for namespace in ["file", "GIT", "git@example.com", "gi"] {
        let armor = sign(home.path(), "k", namespace);
        let fault = people.verify(&signed(PAYLOAD, armor), Timestamp::now());
        let words = fault.unwrap_err().to_string();
        assert!(words.contains("namespace"), "{namespace}: {words}");
    }
}

/// Somebody else's good signature is named by its key.
#[test]
fn unknown_key() {
    let home = home();
    let dir = home.path();
    let people = alice(listed(
        parse_ssh(&keygen(dir, "k", &["-t", "ed25519"])).unwrap(),
    ));
    let (other, _) = parse_ssh(&keygen(dir, "other", &["-t", "ed25519"])).unwrap();
    let signed = signed(PAYLOAD, sign(dir, "other", "git"));
    let fault = people.verify(&signed, Timestamp::now());
    assert_eq!(fault, Err(SignatureFault::UnknownSigner(other)));
}

/// Cut anywhere, followed by anything, or doubled: bad.
#[test]
fn bent_armor() {
    let home = home();
    let dir = home.path();
    let people = alice(listed(
        parse_ssh(&keygen(dir, "k", &["-t", "ed25519"])).unwrap(),
    ));
    let good = sign(dir, "k", "git");
    let now = Timestamp::now();
    assert!(people.verify(&signed(PAYLOAD, good.clone()), now).is_ok());
    let cut = good.len() - 1;
    let mut cases: Vec<Vec<u8>> = (0..cut).map(|end| good[..end].to_vec()).collect();
    cases.push(good.repeat(2));
    cases.push([&good[..], b"x"].concat());
    cases.push([&good[..], b"\n"].concat());
    cases.push([b"\n", &good[..]].concat());
    let text = String::from_utf8(good).unwrap();
    cases.push(text.replace('\n', "\r\n").into_bytes());
    for armor in cases {
        let shown = String::from_utf8_lossy(&armor).into_owned();
        let fault = people.verify(&signed(PAYLOAD, armor), now);
        assert!(
            matches!(fault, Err(SignatureFault::Bad(_))),
            "{shown}: {fault:?}"
        );
    }
}

/// RSA below 2048 bits, DSA, certificates and a line whose type lies are no keys.
#[test]
fn refused_keys() {
    let home = home();
    let dir = home.path();
    let small = keygen(dir, "small", &["-t", "rsa", "-b", "1024"]);
    assert_eq!(parse_ssh(&small).unwrap_err(), KeyError::RsaBits(1024));
    let line = keygen(dir, "k", &["-t", "ed25519"]);
    let lies = line.replacen("ssh-ed25519", "ssh-rsa", 1);
    assert_eq!(parse_ssh(&lies).unwrap_err(), KeyError::Line);
    keygen(dir, "ca", &["-t", "ed25519"]);
    certify(dir);
    let certificate = std::fs::read_to_string(dir.join("k-cert.pub")).unwrap();
    let refused = parse_ssh(certificate.trim_end()).unwrap_err();
    assert_eq!(refused, KeyError::Certificate);
    for text in [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !",
        "ssh-dss AAAA",
        "ssh-ed25519 AAAA\nx",
    ] {
        assert!(parse_ssh(text).is_err(), "{text}");
    }
    let word = line.split(' ').nth(1).unwrap();
    assert!(
        parse_ssh(&format!("ssh-ed25519 {word}")).is_ok(),
        "without a comment"
    );
    assert!(
        parse_ssh(&format!("ssh-ed25519 {word}AAAA")).is_err(),
        "bytes too many"
    );
}

fn certify(dir: &Path) {
    let args = ["-q", "-s", "ca", "-I", "id", "-n", "alice", "k.pub"];
    run(dir, "ssh-keygen", &args, b"");
}

/// A signature made with a small RSA key, or with a certificate by a CA nobody lists, says so.
#[test]
fn refused_signatures() {
    let home = home();
    let dir = home.path();
    keygen(dir, "small", &["-t", "rsa", "-b", "1024"]);
    let small = signed(PAYLOAD, sign(dir, "small", "git"));
    let fault = People::default().verify(&small, Timestamp::now());
    assert!(matches!(fault, Err(SignatureFault::Bad(_))), "{fault:?}");
    keygen(dir, "ca", &["-t", "ed25519"]);
    let people = alice(listed(
        parse_ssh(&keygen(dir, "k", &["-t", "ed25519"])).unwrap(),
    ));
    certify(dir);
    // ssh-keygen looks for the private key beside the certificate.
    std::fs::copy(dir.join("k"), dir.join("k-cert")).unwrap();
    let certified = signed(PAYLOAD, sign(dir, "k-cert.pub", "git"));
    let fault = people.verify(&certified, Timestamp::now());
    let Err(SignatureFault::UnknownSigner(words)) = fault else {
        panic!("{fault:?}");
    };
    assert!(words.contains("the plain public key"), "{words}");
}

/// Commits and tags that git itself signs are good, and their signatures cannot be swapped.
#[test]
fn git_signs() {
    let home = home();
    let dir = home.path();
    let people = alice(listed(
        parse_ssh(&keygen(dir, "k", &["-t", "ed25519"])).unwrap(),
    ));
    let git = |args: &[&str]| {
        let config = ["-c", "gpg.format=ssh", "-c", "user.signingkey=k.pub"];
        run(dir, "git", &[&config[..], args].concat(), b"")
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-S", "-m", "one\n\ntwo"]);
    git(&["tag", "-s", "v1", "-m", "the tag"]);
    let commit = split_commit(&git(&["cat-file", "commit", "HEAD"]));
    let tag = split_tag(&git(&["cat-file", "tag", "v1"]));
    for signed in [&commit, &tag] {
        let signer = people.verify(signed, Timestamp::now()).unwrap();
        assert_eq!(signer.person.as_str(), "alice");
    }
    let crossed = signed(&commit.payload, tag.armor);
    assert!(people.verify(&crossed, Timestamp::now()).is_err());
}
