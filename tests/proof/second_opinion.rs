//! git's own merge of the same commits.
//!
//! git follows renames, of files and of directories, and older versions cannot be told not to. So
//! it is asked only where neither side removes one path and adds another: there is nothing to take
//! for a rename.

use std::io::Write;
use std::process::Stdio;
use std::sync::OnceLock;

use countersign::wire::oid::Oid;

use super::history::Making;
use super::world::Files;

/// The oldest git whose `merge-tree --stdin` takes a base.
const OLDEST: [u32; 2] = [2, 41];

/// Has git compute again what the oracle merged.
pub(crate) fn check(making: &mut Making) {
    let merges = std::mem::take(&mut making.merges);
    let asked: Vec<_> = merges
        .into_iter()
        .filter(|(sides, _)| {
            let [base, ours, theirs] = sides.map(|at| &making.history.nodes[at].files);
            !may_rename(base, ours) && !may_rename(base, theirs)
        })
        .collect();
    if asked.is_empty() || !is_new_enough(making) {
        return;
    }
    let mut input = String::new();
    for (sides, _) in &asked {
        let [base, ours, theirs] = sides.map(|at| making.history.nodes[at].oid);
        input += &format!("{base} -- {ours} {theirs}\n");
    }
    let mut git = making.world.git();
    git.args(["merge-tree", "--stdin", "-z", "--no-messages"]);
    git.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = git.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers = answers(&output.stdout);
    assert_eq!(answers.len(), asked.len());
    for ((sides, merged), theirs) in asked.iter().zip(answers) {
        making.tally.merges += 1;
        making.tally.conflicts += usize::from(merged.is_none());
        let ours = merged.as_ref().map(|files| making.world.tree(files));
        assert_eq!(ours, theirs, "{sides:?} {merged:?}");
    }
}

/// Returns whether a path went and another came.
fn may_rename(base: &Files, side: &Files) -> bool {
    base.keys().any(|path| !side.contains_key(path))
        && side.keys().any(|path| !base.contains_key(path))
}

/// Reads `<clean> NUL <tree> NUL (<conflicted file> NUL)* NUL` for each merge.
fn answers(stdout: &[u8]) -> Vec<Option<Oid>> {
    let mut fields = stdout.split(|byte| *byte == 0);
    let mut answers = Vec::new();
    while let (Some(status @ [_, ..]), Some(tree)) = (fields.next(), fields.next()) {
        answers.push((status == b"1").then(|| Oid::from_hex(tree).unwrap()));
        while fields.next().is_some_and(|field| !field.is_empty()) {}
    }
    answers
}

fn is_new_enough(making: &Making) -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| ask_version(making))
}

fn ask_version(making: &Making) -> bool {
    let output = making.world.git().arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = text.trim_start_matches("git version ").split('.');
    let version: Vec<u32> = numbers.filter_map(|part| part.parse().ok()).collect();
    let known = version.as_slice() >= OLDEST.as_slice();
    if !known {
        eprintln!("SKIPPED: no second opinion on merges from {text}");
    }
    known
}
