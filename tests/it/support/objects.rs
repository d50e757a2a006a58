//! Objects that git itself would not make.

use super::checkout::Checkout;
use super::keys;
use super::outcome::Outcome;
use super::server::Server;

/// Writes any bytes as an object of any kind.
#[track_caller]
pub(crate) fn write(at: &Checkout, kind: &str, bytes: &[u8]) -> String {
    at.git_with(
        &["hash-object", "--literally", "-t", kind, "-w", "--stdin"],
        bytes,
    )
}

/// Writes a tree of `(mode, name, id)` in just that order.
#[track_caller]
pub(crate) fn tree(at: &Checkout, entries: &[(&str, &[u8], &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, oid) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend(unhex(oid));
    }
    write(at, "tree", &bytes)
}

/// Returns the raw bytes of an object as latin-1 text, for headers to be edited in.
pub(crate) fn raw(at: &Checkout, oid: &str) -> String {
    let kind = at.git(&["cat-file", "-t", oid]);
    let output = at
        .command("git")
        .args(["cat-file", &kind, oid])
        .output()
        .unwrap();
    output.stdout.iter().map(|byte| char::from(*byte)).collect()
}

/// Returns the entries of a commit's root tree, to build another from.
pub(crate) fn root_entries(at: &Checkout, commit: &str) -> Vec<(String, String, String)> {
    at.git(&["ls-tree", commit])
        .lines()
        .map(|line| {
            let (meta, name) = line.split_once('\t').unwrap();
            let mut fields = meta.split(' ');
            let mode = fields.next().unwrap().trim_start_matches('0').to_owned();
            (mode, name.to_owned(), fields.nth(1).unwrap().to_owned())
        })
        .collect()
}

/// Commits a tree on top of a parent, signed by the checkout's person.
#[track_caller]
pub(crate) fn commit_tree(at: &Checkout, tree: &str, parents: &[&str]) -> String {
    let mut args = vec!["commit-tree", "-S", tree, "-m", "a change"];
    for parent in parents {
        args.extend(["-p", parent]);
    }
    at.git(&args)
}

/// A commit on top of main whose root tree is main's with more entries, in git's order.
#[track_caller]
pub(crate) fn commit_with_entries(at: &Checkout, more: &[(&str, &[u8], &str)]) -> String {
    let old = root_entries(at, "HEAD");
    let mut entries: Vec<(&str, &[u8], &str)> = old
        .iter()
        .map(|(mode, name, oid)| (mode.as_str(), name.as_bytes(), oid.as_str()))
        .collect();
    entries.extend_from_slice(more);
    entries.sort_by_key(|(mode, name, _)| {
        let mut key = name.to_vec();
        if *mode == "40000" {
            key.push(b'/');
        }
        key
    });
    let tree = tree(at, &entries);
    let head = at.head();
    commit_tree(at, &tree, &[&head])
}

/// Signs bytes with the person's own key, in a namespace of ssh signatures (git's is `git`).
pub(crate) fn sign(at: &Checkout, namespace: &str, payload: &str) -> String {
    let mut command = at.command("ssh-keygen");
    command.args(["-Y", "sign", "-n", namespace, "-f"]);
    command.arg(keys::private(at.person));
    let outcome = Outcome::of(&mut command, payload.as_bytes()).accepted();
    outcome.stdout
}

/// Writes a blob.
#[track_caller]
pub(crate) fn blob(at: &Checkout, text: &str) -> String {
    write(at, "blob", text.as_bytes())
}

fn unhex(hex: &str) -> impl Iterator<Item = u8> + '_ {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
}

/// Puts an object of a checkout into the server's object store, past every gate.
pub(crate) fn write_on_server(server: &Server, at: &Checkout, oid: &str) {
    let kind = at.git(&["cat-file", "-t", oid]);
    let file = server.folder().join(format!("object-{oid}"));
    let bytes: Vec<u8> = raw(at, oid).chars().map(|letter| letter as u8).collect();
    std::fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let written = server.git(&["hash-object", "--literally", "-t", &kind, "-w", path]);
    assert_eq!(written, oid);
}
