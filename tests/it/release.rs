//! What a release consists of: packed for real, unpacked for real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn package(out: &Path) {
    let output = Command::new(root().join("tools/package.sh"))
        .arg("--binary")
        .arg(env!("CARGO_BIN_EXE_countersign"))
        .arg(out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Tarball and Debian package hold one tree whose binary runs, the sums are theirs, and a second
/// packing gives the same bytes.
#[test]
fn packages() {
    let scratch = tempfile::tempdir().unwrap();
    let [once, again] = ["once", "again"].map(|name| scratch.path().join(name));
    package(&once);
    package(&again);
    let version = env!("CARGO_PKG_VERSION");
    let mut names: Vec<String> = fs::read_dir(&once)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in &names {
        let [one, other] = [&once, &again].map(|dir| fs::read(dir.join(name)).unwrap());
        assert!(one == other, "{name} differs from one packing to the next");
    }
    run(Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(&once));

    let [tarball, deb] = ["unpacked", "installed"].map(|name| scratch.path().join(name));
    fs::create_dir(&tarball).unwrap();
    run(Command::new("tar")
        .arg("-xzf")
        .arg(once.join(&names[1]))
        .arg("-C")
        .arg(&tarball));
    run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(once.join(&names[2]))
        .arg(&deb));
    let tarball = tarball.join(format!("countersign-{version}"));
    for installed in [tarball, deb.join("usr")] {
        let told = run(Command::new(installed.join("bin/git-countersign")).arg("--version"));
        assert_eq!(told, format!("countersign {version}\n"));
        for file in [
            "share/man/man1/countersign-check.1.gz",
            "share/man/man1/git-countersign.1.gz",
            "share/bash-completion/completions/countersign",
            "share/doc/countersign/SHORTCOMINGS.md",
            "share/countersign/templates/service/countersign-audit@.timer",
        ] {
            assert!(installed.join(file).is_file(), "{file}");
        }
    }
    let depends = run(Command::new("dpkg-deb")
        .arg("-f")
        .arg(once.join(&names[2]))
        .arg("Depends"));
    assert!(depends.starts_with("libc6 (>= 2."), "{depends}");
}

/// Wrong arguments write nothing and say what would be right.
#[test]
fn wrong_arguments() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    for args in [
        &["--frob"][..],
        &[],
        &["--binary"],
        &["--binary", "/bin/true", "out"],
    ] {
        let output = Command::new(root().join("tools/package.sh"))
            .args(args)
            .current_dir(scratch.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "));
    }
    assert!(!out.exists());
}
