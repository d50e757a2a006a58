//! What the record reads back, and the signed notes around it.

use bstr::ByteSlice;
use countersign::record::entry::Entry;
use countersign::record::proof::leaf_hash;
use countersign::record::{Checkpoint, Intent, ProofError, verify_proof, verify_rotation};
use countersign::wire::log_proof::{LogProof, MAX_PATH};
use countersign::wire::note::{Note, NoteKey, NoteSigner};

/// An entry that is read is written as the same bytes.
pub(crate) fn entry(raw: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(raw) else {
        return false;
    };
    let again = entry.encode().expect("what was read can be written");
    assert_eq!(again.as_bstr(), raw.as_bstr());
    true
}

/// An intent that is read, written and read again is written as the same bytes.
pub(crate) fn intent(raw: &[u8]) -> bool {
    let Ok(intent) = serde_json::from_slice::<Intent>(raw) else {
        return false;
    };
    let again = serde_json::to_vec(&intent).unwrap();
    let read: Intent = serde_json::from_slice(&again).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), again);
    assert_eq!(
        (read.id, read.at, read.size),
        (intent.id, intent.at, intent.size)
    );
    true
}

/// A proof that is read is written as the same bytes; without the log's signature it proves nothing,
/// and with it no other entry than that of its root.
pub(crate) fn log_proof(raw: &[u8]) -> bool {
    let signer = NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap();
    let Ok(mut proof) = LogProof::parse(raw) else {
        return false;
    };
    assert_eq!(proof.to_string().as_bytes().as_bstr(), raw.as_bstr());
    assert!(proof.path.len() <= MAX_PATH);
    let of_log = proof.checkpoint.verify(signer.public()).is_ok();
    assert!(of_log || verify_proof(raw, signer.public(), None).is_err());
    assert!(of_log || verify_rotation(raw, signer.public()).is_err());
    // A log of one entry: its proof has no path, and there is no other index.
    let entry = proof.extra.take().unwrap_or_default();
    let checkpoint = Checkpoint {
        origin: "example.com/log".to_owned(),
        size: 1,
        root: leaf_hash(&entry),
    };
    proof.checkpoint = checkpoint.sign(&signer);
    let found = verify_proof(proof.to_string().as_bytes(), signer.public(), Some(&entry));
    let is_included = proof.index == 0 && proof.path.is_empty();
    assert_eq!(
        matches!(found, Ok(_) | Err(ProofError::Entry(_))),
        is_included
    );
    true
}

/// A note or verifier key that is read is written as the same bytes; nobody else's signature
/// makes a checkpoint, and our own makes it of those three lines alone.
pub(crate) fn note(raw: &[u8]) -> bool {
    let signer = NoteSigner::from_seed("example.com/log", &[1; 32]).unwrap();
    if let Some(key) = raw.to_str().ok().and_then(|line| NoteKey::parse(line).ok()) {
        assert_eq!(key.to_string().as_bytes(), raw);
        return true;
    }
    let Ok(note) = Note::parse(raw) else {
        return false;
    };
    assert_eq!(note.to_string().as_bytes(), raw);
    if note.verify(signer.public()).is_err() {
        assert!(Checkpoint::open(raw, signer.public()).is_err());
    }
    let signed = signer.sign(&note.text).to_string();
    if let Ok(checkpoint) = Checkpoint::open(signed.as_bytes(), signer.public()) {
        assert_eq!(checkpoint.sign(&signer).to_string(), signed);
    }
    true
}
