//! A CA of ssh certificates, and what it certifies.

use std::cell::Cell;
use std::fs;

use tempfile::TempDir;

use super::checkout::Checkout;
use super::outcome::Outcome;
use super::server::scrubbed;

/// A CA with its key in a folder.
pub(crate) struct Authority {
    folder: TempDir,
    count: Cell<u32>,
}

impl Authority {
    /// Makes the CA's key.
    pub(crate) fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            count: Cell::new(0),
        };
        this.keygen(&["-t", "ed25519", "-N", "", "-C", "", "-f", "ca"]);
        this
    }

    fn keygen(&self, args: &[&str]) {
        let mut command = scrubbed("ssh-keygen", self.folder.path());
        Outcome::of(command.arg("-q").args(args), b"").accepted();
    }

    /// The lines of `[[ca]]` for these principals, as `principal = "person"`, and more terms.
    pub(crate) fn table(&self, principals: &str, terms: &str) -> String {
        let key = fs::read_to_string(self.folder.path().join("ca.pub")).unwrap();
        let key = key.trim();
        format!("[[ca]]\nssh = \"{key}\"\nprincipals = {{ {principals} }}\n{terms}\n")
    }

    /// Has a checkout sign with a key of its own that the CA certifies with these options of
    /// ssh-keygen.
    pub(crate) fn equip(&self, checkout: &Checkout, options: &[&str]) {
        self.count.set(self.count.get() + 1);
        let name = format!("key{}", self.count.get());
        self.keygen(&["-t", "ed25519", "-N", "", "-C", "", "-f", &name]);
        let public = format!("{name}.pub");
        let sign = ["-s", "ca", "-I", "a key id"];
        self.keygen(&[&sign[..], options, &[&public]].concat());
        let certificate = self.folder.path().join(format!("{name}-cert.pub"));
        checkout.git(&["config", "user.signingkey", certificate.to_str().unwrap()]);
    }
}
