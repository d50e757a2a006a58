//! What a push takes whose commits are signed with OpenPGP, beside others that verify such signatures.
//!
//! `cargo bench --bench openpgp -- 2000`: so many commits. In the same run, on the same commits:
//! `git log --format=%G?` by gpg, and `sq-git log` (sequoia-git) where it is installed, which looks
//! at signatures and authorisation as `pre-receive` does, and at nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
mod support;
#[allow(dead_code, reason = "each benchmark uses a part")]
mod workshop;
#[path = "../tests/proof/world.rs"]
#[allow(dead_code, reason = "only its signatures")]
mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign::wire::oid::Oid;
use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{KeyVersion, Password};
use rsa::rand_core::OsRng;

use support::server::scrubbed;
use support::{MAIN, Outcome};
use workshop::{FILES, Taken, Workshop, taken};

/// Commits that gpg verifies; each takes it a process.
const SAMPLE: usize = 200;

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse().ok());
    let count: usize = numbers.next().unwrap_or(500);
    let key = key();
    let certificate = armored(&key);
    let (workshop, mut tree, main) = Workshop::certified(100, Some(&certificate));
    let (mut head, mut first) = (main, None);
    for number in 0..count {
        workshop.edit(&mut tree, number * 37 % FILES, 1_000_000 + number);
        let sign = |payload: &[u8]| signature(&key, payload);
        head = workshop.commit_by("olga", &tree, &[head], &sign);
        first.get_or_insert(head);
    }
    workshop.time_hooks();
    accepted(workshop.push("olga", &format!("{head}:refs/heads/topic")));
    accepted(workshop.push("bob", &workshop.approve("bob", &head)));
    workshop.timed();
    accepted(workshop.push("olga", &format!("{head}:{MAIN}")));
    let hooks = workshop.timed();
    let mut hooks = hooks.iter();
    let hook = hooks.find(|hook| hook.name == "pre-receive").unwrap();
    let ours = count as f64 / hook.cpu_seconds;
    println!("| {count} commits, OpenPGP Ed25519 | a second of CPU | beside ours | cores |");
    println!("|---|---|---|---|");
    let cores = hook.cpu_seconds / hook.wall_seconds;
    println!("| `pre-receive`, all of it | {ours:.0} | 1 | {cores:.1} |");
    let row = |name: &str, sample: usize, took: &Taken| {
        let rate = sample as f64 * 1_000.0 / took.cpu;
        let (times, cores) = (ours / rate, took.cpu / took.wall);
        println!("| `{name}` | {rate:.0} | 1 / {times:.1} | {cores:.1} |");
    };
    let sample = SAMPLE.min(count);
    let file = workshop.server.folder().join("olga.asc");
    fs::write(&file, &certificate).unwrap();
    row(
        "git log --format=%G?",
        sample,
        &git_log(&workshop, &file, &head, sample),
    );
    // What it starts from must be signed as well.
    match sq_git(&workshop, &file, &first.unwrap(), &head) {
        Some(took) => row("sq-git log", count, &took),
        None => println!("sq-git is not installed, and left out"),
    }
}

/// A version 4 key, as GnuPG makes them.
fn key() -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params
        .version(KeyVersion::V4)
        .key_type(KeyType::Ed25519Legacy)
        .can_sign(true)
        .can_certify(true)
        .primary_user_id("olga <olga@example.com>".to_owned());
    params.build().unwrap().generate(OsRng).unwrap()
}

fn armored(key: &SignedSecretKey) -> String {
    let armor = key
        .to_public_key()
        .to_armored_bytes(ArmorOptions::default());
    String::from_utf8(armor.unwrap())
        .unwrap()
        .replace("\r\n", "\n")
}

fn signature(key: &SignedSecretKey, payload: &[u8]) -> Vec<u8> {
    let signature = DetachedSignature::sign_binary_data(
        OsRng,
        &key.primary_key,
        &Password::empty(),
        HashAlgorithm::Sha512,
        payload,
    );
    let armor = signature.unwrap().to_armored_bytes(ArmorOptions::default());
    String::from_utf8(armor.unwrap())
        .unwrap()
        .replace("\r\n", "\n")
        .into_bytes()
}

/// git and gpg, which know the key.
fn git_log(workshop: &Workshop, certificate: &Path, head: &Oid, sample: usize) -> Taken {
    let mut import = scrubbed("gpg", workshop.server.folder());
    import.args(["--batch", "-q", "--import"]).arg(certificate);
    Outcome::of(&mut import, b"").accepted();
    let mut log = workshop.git();
    log.args(["log", "--format=%G?", &format!("{head}~{sample}..{head}")]);
    let (took, outcome) = taken(&mut log);
    // Good, by a key that nobody has said to trust.
    assert!(outcome.stdout.lines().all(|line| line == "U"), "{outcome}");
    assert_eq!(outcome.stdout.lines().count(), sample);
    took
}

/// sq-git, with a policy of its own that lets olga sign commits.
fn sq_git(workshop: &Workshop, certificate: &Path, from: &Oid, to: &Oid) -> Option<Taken> {
    let available = Command::new("sq-git").arg("--help").output();
    available.ok().filter(|output| output.status.success())?;
    let folder = workshop.server.folder();
    let policy = folder.join("openpgp-policy.toml");
    let clone = format!("{}/clone.git", folder.display());
    let run = |args: &[&str]| {
        let mut command = scrubbed("sq-git", folder);
        command.current_dir(&clone).args(args);
        taken(&mut command)
    };
    let (policy, certificate) = (policy.to_str().unwrap(), certificate.to_str().unwrap());
    let authorize = [
        "policy",
        "authorize",
        "--policy-file",
        policy,
        "--sign-commit",
    ];
    accepted(run(&[
        &authorize[..],
        &["--cert-file", certificate, "olga"],
    ]
    .concat()));
    let (from, to) = (from.to_string(), to.to_string());
    Some(accepted(run(&[
        "log",
        "--policy-file",
        policy,
        "--trust-root",
        &from,
        &to,
    ])))
}

fn accepted((taken, outcome): (Taken, Outcome)) -> Taken {
    outcome.accepted();
    taken
}
