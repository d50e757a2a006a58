//! Python packages that tests hold our output against, of fixed versions and hashes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;

/// Installs what a list of requirements names below `target/`, on first use, and returns where.
pub(crate) fn packages(list: &str) -> PathBuf {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(list);
    let text = fs::read_to_string(&list).unwrap();
    let version = text.bytes().fold(0u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let name = format!("python-{version:016x}");
    let there = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if there.is_dir() {
        return there;
    }
    // Several tests may do this at once: the first to be done names it.
    let making = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]);
    command.args(["--disable-pip-version-check", "--root-user-action=ignore"]);
    command.args(["--require-hashes", "--only-binary", ":all:", "--target"]);
    command.arg(making.path()).arg("-r").arg(&list);
    let outcome = Outcome::of(&mut command, b"");
    assert!(
        outcome.ok(),
        "these packages are needed (python3 with pip, and a package index): {outcome}"
    );
    let made = making.keep();
    if fs::rename(&made, &there).is_err() {
        fs::remove_dir_all(&made).unwrap();
    }
    assert!(there.is_dir());
    there
}
