//! Signatures verified per CPU-second, beside what ssh-keygen and git take for the same.
//!
//! `cargo bench --bench signatures`. All on one thread, counted in CPU time as the kernel has it, so
//! that a busy machine says the same; children by theirs. Among 1,000 people each of whom has a key.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints, runs ssh-keygen and git, and ends by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::people::People;
use countersign::wire::object::Signed;
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use sha2::{Digest, Sha256, Sha512};

/// People who have a key.
const PEOPLE: u32 = 1000;
/// Different commits, each by another person.
const COMMITS: u32 = 1000;
/// How often each is verified.
const ROUNDS: u32 = 40;
/// How many children are started.
const CHILDREN: usize = 100;

fn main() {
    // `cargo test --benches` asks for a list and wants none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let people = people();
    let commits: Vec<Signed> = (0..COMMITS).map(commit).collect();
    let now = Timestamp::now();
    let verify = |signed: &Signed| {
        let signer = people.verify(signed, now).unwrap();
        assert!(signer.person.as_str().starts_with("person-"));
    };
    // The first one builds the index of keys.
    commits.iter().for_each(verify);
    let before = thread_seconds();
    for _ in 0..ROUNDS {
        commits.iter().for_each(verify);
    }
    let ours = f64::from(COMMITS * ROUNDS) / (thread_seconds() - before);
    println!("verifications per CPU-second, Ed25519 over ssh, one thread");
    println!("  countersign, strict      {ours:>9.0}");

    let home = tempfile::tempdir().unwrap();
    let (signed, key) = sample(home.path());
    let children = [
        (
            "ssh-keygen -Y verify",
            ssh_keygen(home.path(), &signed, &key),
        ),
        ("git verify-commit", git(home.path(), &signed, &key)),
    ];
    for (name, theirs) in children {
        let times = ours / theirs;
        println!("  {name:<24} {theirs:>9.0}   {times:.0} times slower");
    }
}

/// Bytes of a string as ssh writes them.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend_from_slice(bytes);
}

fn key(person: u32) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest(person.to_be_bytes()).into())
}

fn blob(key: &SigningKey) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, b"ssh-ed25519");
    string(&mut out, key.verifying_key().as_bytes());
    out
}

fn line(key: &SigningKey) -> String {
    format!("ssh-ed25519 {}", STANDARD.encode(blob(key)))
}

fn people() -> People {
    let entry = |person| {
        let line = line(&key(person));
        format!("[people.person-{person}]\nkeys = [{{ ssh = \"{line}\" }}]\n")
    };
    let text: String = (0..PEOPLE).map(entry).collect();
    People::parse(text.as_bytes(), &|_| None).unwrap()
}

/// A commit of the size they usually have, signed as ssh-keygen does.
fn commit(number: u32) -> Signed {
    let key = key(number % PEOPLE);
    let payload = format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
         author A U Thor <author@example.com> {0} +0000\n\
         committer A U Thor <author@example.com> {0} +0000\n\n\
         A change\n\nThat is explained in a line or two, and why it is wanted.\n",
        1_700_000_000 + number
    );
    let mut message = b"SSHSIG".to_vec();
    for field in [&b"git"[..], b"", b"sha512", &Sha512::digest(&payload)] {
        string(&mut message, field);
    }
    let mut signature = Vec::new();
    string(&mut signature, b"ssh-ed25519");
    string(&mut signature, &key.sign(&message).to_bytes());
    let mut out = b"SSHSIG\0\0\0\x01".to_vec();
    for field in [&blob(&key)[..], b"git", b"", b"sha512", &signature] {
        string(&mut out, field);
    }
    let base64 = STANDARD.encode(out);
    let lines: Vec<&[u8]> = base64.as_bytes().chunks(70).collect();
    let lines = String::from_utf8(lines.join(&b'\n')).unwrap();
    Signed {
        payload: payload.into_bytes(),
        armor: format!("-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n")
            .into_bytes(),
    }
}

/// One commit, and the allowed signers file that has its key.
fn sample(home: &Path) -> (Signed, String) {
    let allowed = home.join("allowed");
    fs::write(
        &allowed,
        format!("person namespaces=\"git\" {}\n", line(&key(0))),
    )
    .unwrap();
    (commit(0), allowed.display().to_string())
}

fn ssh_keygen(home: &Path, signed: &Signed, allowed: &str) -> f64 {
    let file = home.join("signature");
    fs::write(&file, &signed.armor).unwrap();
    let payload = home.join("payload");
    fs::write(&payload, &signed.payload).unwrap();
    let file = file.display().to_string();
    let args = [
        "-Y", "verify", "-n", "git", "-I", "person", "-f", allowed, "-s", &file,
    ];
    per_second("ssh-keygen", home, &args, Some(&payload))
}

fn git(home: &Path, signed: &Signed, allowed: &str) -> f64 {
    let payload = String::from_utf8(signed.payload.clone()).unwrap();
    let armor = String::from_utf8(signed.armor.clone()).unwrap();
    let (headers, body) = payload.split_once("\n\n").unwrap();
    let armor = armor.trim_end().replace('\n', "\n ");
    let raw = home.join("commit");
    fs::write(&raw, format!("{headers}\ngpgsig {armor}\n\n{body}")).unwrap();
    let run = |args: &[&str]| {
        let output = command("git", home).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["init", "-q", "."]);
    let oid = run(&[
        "hash-object",
        "-t",
        "commit",
        "-w",
        &raw.display().to_string(),
    ]);
    let allowed = format!("gpg.ssh.allowedSignersFile={allowed}");
    per_second(
        "git",
        home,
        &["-c", &allowed, "verify-commit", oid.trim()],
        None,
    )
}

fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(home)
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// Runs a child many times, each of which must succeed.
fn per_second(program: &str, home: &Path, args: &[&str], stdin: Option<&Path>) -> f64 {
    let before = children_seconds();
    for _ in 0..CHILDREN {
        let stdin = stdin.map_or(Stdio::null(), |path| fs::File::open(path).unwrap().into());
        let output = command(program, home).args(args).stdin(stdin).output();
        assert!(output.unwrap().status.success(), "{program} {args:?}");
    }
    let seconds = children_seconds() - before;
    u32::try_from(CHILDREN).map(f64::from).unwrap() / seconds
}

/// CPU seconds of this thread, to the nanosecond.
fn thread_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// CPU seconds of all children that have ended, theirs included, to the clock tick (proc(5)).
fn children_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    // Fields 16 and 17, counted from the third.
    let ticks: f64 = [13, 14]
        .map(|at| fields[at].parse::<f64>().unwrap())
        .iter()
        .sum();
    ticks / 100.0
}
