//! `[[ca]]`, and `verify_required` of keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::people::authority::RevokedBy;
use crate::people::verify::SignatureFault;
use crate::wire::object::Signed;

const WHOLE: &str = r#"
[people.alice]
[people.bob]
keys = [{ ssh = "B" }]

[[ca]]
ssh = "A"
principals = { "alice@example.com" = "alice", bobby = "bob", bob = "bob" }
from = 2026-01-01T00:00:00Z
until = 2027-01-01T00:00:00Z
revocations = [
  { serial = 18446744073709551615, revoked = 2026-02-01T00:00:00Z },
  { key_id = "alice's laptop", revoked = 2026-03-01T00:00:00Z },
  { ssh = "B", revoked = 2026-04-01T00:00:00Z },
]
"#;

/// Everything a CA's table knows ends up where it belongs; a person whom only a CA vouches for may
/// sign while the CA counts.
#[test]
fn reads_everything() {
    let people = parse(WHOLE).unwrap();
    let [authority] = people.authorities.as_slice() else {
        panic!("one CA");
    };
    assert!(authority.fingerprint.starts_with("SHA256:"));
    assert_eq!(authority.principals["bobby"].as_str(), "bob");
    assert_eq!(authority.principals.len(), 3);
    assert!(authority.term.until.is_some() && authority.term.revoked.is_none());
    let of: Vec<_> = authority.revocations.iter().map(|one| &one.of).collect();
    let key = &people.persons.values().nth(1).unwrap().keys[0];
    let wanted = [
        &RevokedBy::Serial(u64::MAX),
        &RevokedBy::KeyId("alice's laptop".to_owned()),
        &RevokedBy::Key(key.fingerprint.clone()),
    ];
    assert_eq!(of, wanted);
    let alice = people.persons.values().next().unwrap();
    let vouching = |at: &str| people.vouching(&alice.name, at.parse().unwrap()).next();
    let may = |at: &str| vouching(at).is_some();
    assert!(!may("2025-12-31T23:59:59Z"));
    assert!(may("2026-06-01T00:00:00Z"));
    assert!(!may("2027-01-01T00:00:00Z"));
}

/// Every fault of a CA is found where it stands.
#[test]
fn refuses_with_place() {
    let head = "[people.alice]\n[people.bob]\nkeys = [{ ssh = \"B\" }]\n[[ca]]\n";
    let revocations = "ssh = \"A\"\nprincipals = { a = \"alice\" }\nrevocations = ";
    for (text, line, message) in [
        ("", 4, "`ssh` is missing here"),
        ("ssh = \"A\"\n", 4, "`principals` is missing here"),
        ("ssh = \"A\"\nprincipals = {}\n", 6, "0 principals"),
        (
            "ssh = \"A\"\nprincipals = [\"alice\"]\n",
            6,
            "`principals` must be a table, found array",
        ),
        (
            "ssh = \"A\"\nprincipals = { a = \"zoe\" }\n",
            6,
            "unknown person `zoe`",
        ),
        (
            "ssh = \"A\"\nprincipals = { bob = \"alice\" }\n",
            6,
            "the principal `bob` is the name of the person bob",
        ),
        (
            "ssh = \"A\"\nprincipals = { \"*\" = \"alice\" }\n",
            6,
            "`*` is no principal, and patterns are none",
        ),
        (
            "ssh = \"A\"\nprincipals = { \"a,b\" = \"alice\" }\n",
            6,
            "`a,b` is no principal",
        ),
        (
            "ssh = \"A\"\nprincipals = { \"\" = \"alice\" }\n",
            6,
            "`` is no principal",
        ),
        (
            "ssh = \"B\"\nprincipals = { a = \"alice\" }\n",
            5,
            "is bob's own, and cannot be a CA's",
        ),
        (
            "ssh = \"ssh-rsa-cert-v01@openssh.com AAAA\"\nprincipals = { a = \"alice\" }\n",
            5,
            "a certificate is no key",
        ),
        (
            "ssh = \"A\"\nprincipals = { a = \"alice\" }\n[[ca]]\nssh = \"A\"\nprincipals = { a = \"alice\" }\n",
            8,
            "stands here a second time",
        ),
        (
            "ssh = \"A\"\nprincipals = { a = \"alice\" }\nname = \"x\"\n",
            7,
            "unknown key `name`; known here: ssh, principals",
        ),
        (
            &format!("{revocations}[{{ serial = 0, revoked = 2026-01-01T00:00:00Z }}]\n"),
            7,
            "0 is the serial of every certificate that has none",
        ),
        (
            &format!("{revocations}[{{ serial = 7 }}]\n"),
            7,
            "`revoked` is missing here",
        ),
        (
            &format!(
                "{revocations}[{{ serial = 7, key_id = \"x\", revoked = 2026-01-01T00:00:00Z }}]\n"
            ),
            7,
            "a revocation names one of",
        ),
    ] {
        let error = parse(&format!("{head}{text}")).unwrap_err();
        assert_eq!(error.line, line, "{text}: {}", error.message);
        assert!(error.message.contains(message), "{text}: {}", error.message);
    }
}

/// A principal is one person's, whichever CA certifies it.
#[test]
fn principals_are_one_persons() {
    let with = |owner: &str| {
        parse(&format!(
            "[people.alice]\n[people.bob]\n[[ca]]\nssh = \"A\"\nprincipals = {{ x = \"alice\" }}\n\
             [[ca]]\nssh = \"B\"\nprincipals = {{ x = \"{owner}\" }}\n"
        ))
    };
    assert!(with("alice").is_ok());
    let error = with("bob").unwrap_err();
    assert_eq!((error.line, error.column), (8, 16));
    assert!(
        error.message.contains("already belongs to alice"),
        "{}",
        error.message
    );
}

/// Only what can verify its user can be asked to.
#[test]
fn verify_required_is_for_security_keys() {
    let blob: Vec<u8> = [
        &b"\0\0\0\x1ask-ssh-ed25519@openssh.com\0\0\0\x20"[..],
        ed25519_dalek::SigningKey::from_bytes(&[3; 32])
            .verifying_key()
            .as_bytes(),
        b"\0\0\0\x04ssh:",
    ]
    .concat();
    let token = format!("sk-ssh-ed25519@openssh.com {}", STANDARD.encode(blob));
    let with = |key: &str, value: &str| {
        let text =
            format!("[people.a]\nkeys = [{{ ssh = \"{key}\", verify_required = {value} }}]\n");
        parse(&text)
    };
    assert!(
        with(&token, "true")
            .unwrap()
            .persons
            .values()
            .all(|person| person.keys[0].verify_required)
    );
    assert!(with("A", "false").is_ok());
    let error = with("A", "true").unwrap_err();
    assert!(
        error.message.contains("only a security key"),
        "{}",
        error.message
    );
    let error = with(&token, "1").unwrap_err();
    assert!(
        error.message.contains("must be true or false"),
        "{}",
        error.message
    );
}

/// X.509 is refused by the names of what makes it, with what to use instead.
#[test]
fn names_what_makes_x509() {
    let signed = Signed {
        payload: b"tree".to_vec(),
        armor: b"-----BEGIN SIGNED MESSAGE-----\nMII=\n-----END SIGNED MESSAGE-----\n".to_vec(),
    };
    let people = parse(WHOLE).unwrap();
    let fault = people.verify(&signed, "2026-06-01T00:00:00Z".parse().unwrap());
    let Err(SignatureFault::Unsupported(words)) = fault else {
        panic!("{fault:?}");
    };
    for word in ["S/MIME", "gpgsm", "gitsign", "gpg.format ssh"] {
        assert!(words.contains(word), "{words}");
    }
}
