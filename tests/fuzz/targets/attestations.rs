//! Attestations: envelopes, keys, and the statements in them.

use countersign::attest::check::{Expected, check};
use countersign::attest::{SOURCE_REVIEW, VSA, resource};
use countersign::wire::dsse::{Envelope, IN_TOTO, pae};
use countersign::wire::pem::{PublicKey, SecretKey};
use countersign::wire::statement::Statement;

/// What is expected of the statements here.
fn expected() -> Expected {
    Expected {
        keys: vec![SecretKey::from_seed(&[1; 32]).public()],
        threshold: 1,
        commit: "1".repeat(40),
        resource: resource("git.example.com/payments"),
        of: None,
        onto: Some("refs/heads/main".to_owned()),
        verifier: None,
        levels: Vec::new(),
        proven: None,
    }
}

/// An envelope that is read is written and read as the same; nobody else's signature is ours. A key
/// that is read is written as the same key.
pub(crate) fn envelope(raw: &[u8]) -> bool {
    if let Ok(key) = PublicKey::parse(raw) {
        assert_eq!(PublicKey::parse(key.to_pem().as_bytes()), Ok(key));
        return true;
    }
    let Ok(envelope) = Envelope::parse(raw) else {
        return false;
    };
    let again = Envelope::parse(envelope.to_string().as_bytes()).unwrap();
    assert_eq!(again, envelope);
    let Expected { keys, .. } = expected();
    let message = pae(&envelope.payload_type, &envelope.payload);
    let mut signatures = envelope.signatures.iter();
    let is_ours = signatures.any(|signature| keys[0].verify(&message, &signature.sig));
    assert_eq!(envelope.signed_by(&keys) == 1, is_ours);
    if !is_ours {
        assert!(check(raw, &expected()).good.is_empty());
    }
    true
}

/// A statement that is read is written and read as the same; signed by an accepted key, it counts only
/// where it is about the commit, and of a kind that is known.
pub(crate) fn statement(raw: &[u8]) -> bool {
    let secret = SecretKey::from_seed(&[1; 32]);
    let signed = Envelope::sign(IN_TOTO, raw.to_vec(), &[secret]).to_string();
    let checked = check(signed.as_bytes(), &expected());
    assert_eq!(checked.why.is_none(), !checked.good.is_empty());
    let Ok(statement) = Statement::parse(raw) else {
        assert!(checked.good.is_empty());
        return false;
    };
    let again = serde_json::to_vec(&statement).unwrap();
    assert_eq!(Statement::parse(&again).unwrap(), statement);
    if !checked.good.is_empty() {
        assert_eq!(checked.good, std::slice::from_ref(&statement));
        assert!([SOURCE_REVIEW, VSA].contains(&statement.predicate_type.as_str()));
        let mut subjects = statement.subject.iter();
        let commit = expected().commit;
        assert!(subjects.any(|it| it.digest.get("gitCommit") == Some(&commit)));
    }
    true
}
