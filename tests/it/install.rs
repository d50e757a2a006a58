//! `install.sh`: what it puts below a prefix, and that it takes exactly that away again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bad_input::files_below;
use crate::support::outcome::Outcome;

/// A prefix, and a `cargo` that has built already.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target/debug");
        fs::create_dir_all(&target).unwrap();
        symlink(
            env!("CARGO_BIN_EXE_countersign"),
            target.join("countersign"),
        )
        .unwrap();
        let cargo = folder.path().join("bin/cargo");
        fs::create_dir_all(cargo.parent().unwrap()).unwrap();
        let answer = format!(
            "#!/bin/sh\n[ \"$1\" != metadata ] || echo '{{\"target_directory\":\"{}\"}}'\n",
            folder.path().join("target").display()
        );
        fs::write(&cargo, answer).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.folder.path().join("bin").display());
        let mut command = Command::new("sh");
        command
            .arg(script)
            .args(args)
            .arg("--prefix")
            .arg(self.prefix())
            .env("PATH", path)
            .env("HOME", self.folder.path());
        Outcome::of(&mut command, b"")
    }

    fn files(&self) -> Vec<String> {
        let prefix = self.prefix();
        let mut files: Vec<String> = files_below(&prefix)
            .iter()
            .map(|path| {
                path.strip_prefix(&prefix)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        files.sort();
        files
    }
}

const COMPLETIONS: [&str; 3] = [
    "share/bash-completion/completions/countersign",
    "share/fish/vendor_completions.d/countersign.fish",
    "share/zsh/site-functions/_countersign",
];

/// Everything that is put there stands in the manifest, and nothing else is there.
#[test]
fn installs_and_notes() {
    let place = Place::new();
    place.run(&["--dry-run"]).exits(0).says("man pages in");
    assert!(!place.prefix().exists());
    place.run(&[]).exits(0);
    let manifest = fs::read_to_string(place.prefix().join("share/countersign/manifest")).unwrap();
    let mut noted: Vec<&str> = manifest.lines().collect();
    noted.push("share/countersign/manifest");
    noted.sort_unstable();
    assert_eq!(place.files(), noted);
    for path in COMPLETIONS.iter().chain(&[
        "bin/countersign",
        "bin/git-countersign",
        "share/man/man1/countersign.1",
        "share/man/man1/countersign-check.1",
        "share/man/man1/git-countersign.1",
    ]) {
        assert!(noted.contains(path), "{path}: {noted:?}");
    }
    for path in noted.iter().filter(|path| path.starts_with("share/")) {
        let meta = fs::metadata(place.prefix().join(path)).unwrap();
        assert!(
            meta.len() > 0 && meta.permissions().mode() & 0o444 == 0o444,
            "{path}"
        );
    }
}

/// It takes away what it put there, also what an older version put, and nothing beside that.
#[test]
fn uninstalls_what_it_installed() {
    let place = Place::new();
    place.run(&[]).exits(0);
    let prefix = place.prefix();
    let old = prefix.join("share/man/man1/countersign-bygone.1");
    let other = prefix.join("share/man/man1/other.1");
    let outside = place.folder.path().join("precious.1");
    for path in [&old, &other, &outside] {
        fs::write(path, "text\n").unwrap();
    }
    let manifest = prefix.join("share/countersign/manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    let more = "share/man/man1/countersign-bygone.1\nshare/man/man1/other.1\n\
                share/man/man1/countersign-/../../../../../precious.1\n../precious.1\n/etc/hostname\n";
    fs::write(&manifest, text + more).unwrap();
    fs::create_dir(prefix.join("share/man/man1/countersign-")).unwrap();
    place.run(&[]).exits(0);
    let listed = place.run(&["--uninstall", "--dry-run"]).exits(0).stdout;
    assert!(
        listed.contains("countersign-bygone.1") && !listed.contains("precious"),
        "{listed}"
    );
    assert!(old.exists());
    place.run(&["--uninstall"]).exits(0);
    assert_eq!(place.files(), ["share/man/man1/other.1"]);
    assert!(outside.exists());
    place
        .run(&["--uninstall"])
        .exits(0)
        .says("nothing installed");
}

/// `git help countersign` and `git countersign --help` find the page where the prefix is looked in.
#[test]
fn git_finds_the_page() {
    let place = Place::new();
    place.run(&[]).exits(0);
    let prefix = place.prefix();
    let page = prefix.join("share/man/man1/git-countersign.1");
    assert!(
        fs::read_to_string(&page)
            .unwrap()
            .contains(".TH git-countersign 1")
    );
    // What git asks: a viewer of one's own stands in where man is not installed.
    let viewer = place.folder.path().join("bin/viewer");
    fs::write(&viewer, "#!/bin/sh\necho asked for \"$@\"\n").unwrap();
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    for args in [&["help", "countersign"][..], &["countersign", "--help"]] {
        let asked = git(&place, args, &["man.viewer=own", "man.own.cmd=viewer"]);
        assert_eq!(asked.exits(0).line(), "asked for git-countersign");
        if let Ok(found) = Command::new("man").arg("--version").output()
            && found.stdout.starts_with(b"man ")
        {
            git(&place, args, &[])
                .exits(0)
                .says("Review enforcement for git");
        }
    }
}

fn git(place: &Place, args: &[&str], config: &[&str]) -> Outcome {
    let path = std::env::var("PATH").unwrap();
    let bin = place.folder.path().join("bin");
    let prefix = place.prefix();
    let mut command = Command::new("git");
    for setting in config {
        command.args(["-c", setting]);
    }
    command
        .args(args)
        .env(
            "PATH",
            format!("{}:{}:{path}", bin.display(), prefix.join("bin").display()),
        )
        .env("MANPATH", prefix.join("share/man"))
        .env("HOME", place.folder.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("MANWIDTH", "80")
        .env("PAGER", "cat")
        .env("MANPAGER", "cat");
    Outcome::of(&mut command, b"")
}
