//! The workflows of this repository, and the policy that one of them judges changes by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Outcome;
use crate::support::python::packages;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn zizmor(folder: &Path) -> Outcome {
    let program = packages("tests/data/zizmor.txt").join("bin/zizmor");
    let mut command = Command::new(program);
    command.args(["--offline", "--no-progress", "--persona", "pedantic"]);
    Outcome::of(command.arg(folder), b"")
}

/// zizmor finds nothing in them, and does find an action that is not pinned.
#[test]
fn have_no_holes() {
    let workflows = root().join(".github/workflows");
    zizmor(&workflows).exits(0);
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join(".github/workflows");
    fs::create_dir_all(&copy).unwrap();
    let text = fs::read_to_string(workflows.join("ci.yml")).unwrap();
    let (pinned, rest) = text.split_once("actions/checkout@").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let floating = format!("{pinned}actions/checkout@v4\n{rest}");
    fs::write(copy.join("ci.yml"), floating).unwrap();
    assert!(!zizmor(&copy).ok());
}

/// Policy and people of this repository are valid.
#[test]
fn our_own_policy() {
    let read = |name: &str| fs::read(root().join(".countersign").join(name)).unwrap();
    let people = countersign::people::People::parse(&read("people.toml"), &|_| None).unwrap();
    countersign::policy::Policy::parse(&read("policy.toml"), &people).unwrap();
}
