//! What logs, witnesses and those who trust them say to each other.

use bstr::ByteSlice;
use countersign::wire::cosignature::{Cosigner, CosignerKey};
use countersign::wire::log_policy::LogPolicy;
use countersign::wire::log_proof::MAX_PATH;
use countersign::wire::note::Note;
use countersign::wire::witness::{AddCheckpoint, MAX_LINES, cosignatures, size};

/// A request that is read is written as the same bytes.
pub(crate) fn add_checkpoint(raw: &[u8]) -> bool {
    let Ok(request) = AddCheckpoint::parse(raw) else {
        return false;
    };
    assert_eq!(request.to_string().as_bytes().as_bstr(), raw.as_bstr());
    assert!(request.proof.len() <= MAX_PATH);
    true
}

/// An answer, a size or a key that is read is written as the same bytes; no line of an answer is good
/// for two texts, and none spoils, or is taken for, that of another key.
pub(crate) fn witness_answer(raw: &[u8]) -> bool {
    if let Ok(size) = size(raw) {
        assert_eq!(format!("{size}\n").as_bytes(), raw);
        return true;
    }
    let text = raw.to_str().unwrap_or_default();
    if let Ok(key) = CosignerKey::parse(text) {
        assert_eq!(key.to_string(), text);
        return true;
    }
    let Ok(lines) = cosignatures(raw) else {
        return false;
    };
    let again: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(again.as_bytes().as_bstr(), raw.as_bstr());
    assert!((1..=MAX_LINES).contains(&lines.len()));
    let cosigner = Cosigner::from_seed("witness.example/w3", &[1; 32]).unwrap();
    let mut note = Note {
        text: "example.com/log\n".to_owned(),
        signatures: lines,
    };
    let before = cosigner.public().verify(&note);
    if before == Ok(None) {
        note.signatures.push(cosigner.cosign(&note.text, 7));
        assert_eq!(cosigner.public().verify(&note), Ok(Some(7)));
    }
    note.text.push('\n');
    assert!(!matches!(cosigner.public().verify(&note), Ok(Some(_))));
    true
}

/// A policy that is read reads the same again; a checkpoint that nobody cosigned is enough only where
/// it asks for nobody.
pub(crate) fn log_policy(raw: &[u8]) -> bool {
    let Ok(policy) = LogPolicy::parse(raw) else {
        return false;
    };
    let nobody = Note {
        text: "example.com/log\n".to_owned(),
        signatures: Vec::new(),
    };
    let text = policy.to_string();
    let cosigned = policy.cosigned(&nobody).unwrap();
    assert_eq!(cosigned.enough, text.ends_with("quorum none\n"));
    assert!(cosigned.by.is_empty());
    if raw.to_str().is_ok() {
        assert_eq!(LogPolicy::parse(text.as_bytes()), Ok(policy));
    }
    true
}
