//! Everybody's ssh keys, made once and kept beside the test binary.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Everybody who has a key; `mallory` stands in no people file.
pub(crate) const EVERYBODY: &[&str] = &["alice", "bob", "carol", "dana", "release-bot", "mallory"];

/// Returns the private key's file; the public one has `.pub` at its end.
pub(crate) fn private(person: &str) -> PathBuf {
    let key = folder().join(person);
    assert!(key.exists(), "{person} has no key");
    key
}

/// Returns the public key as one line without a line feed.
pub(crate) fn public(person: &str) -> String {
    let path = private(person).with_extension("pub");
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Makes the folder of keys under a name of its own and moves it into place, so that processes
/// that start at once agree on one.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let ready = root.join("people-keys-1");
        if ready.exists() {
            return ready;
        }
        let draft = tempfile::tempdir_in(&root).unwrap();
        for person in EVERYBODY {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", person, "-f"])
                .arg(draft.path().join(person))
                .status()
                .expect("ssh-keygen is needed: install openssh-client");
            assert!(status.success(), "ssh-keygen failed");
        }
        let draft = draft.keep();
        if fs::rename(&draft, &ready).is_err() {
            fs::remove_dir_all(&draft).unwrap();
        }
        assert!(ready.exists(), "no keys at {}", ready.display());
        ready
    })
}
