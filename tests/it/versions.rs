//! Records of other versions: one from the past, which is read and goes on, and one from the future.
//!
//! `tests/data/record-v1` was made by real pushes with the first version of the format: every kind
//! of entry there was, a decision and a push certificate beside the log, and a rotation. It stays as it is; the keys are made here from seeds of one byte.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign::judge::verdict::Code;
use countersign::record::entry::VERSION;
use countersign::wire::note::NoteSigner;
use ed25519_dalek::SigningKey;

use crate::audit::{codes, copy};
use crate::push::approved_on_main;
use crate::second_verifier::{entries, forge, python};
use crate::support::{Checkout, Format, Outcome, REPOSITORY, Server, approved_topic, two_people};

/// What landed, by the old record.
const LANDED: [&str; 3] = [
    "f83b32700179966c66969ad5814d559287c6e2e7",
    "80b58756c18d9a1cba4d9005bbd67e70e55943e1",
    "0becbd40ff0008ecb23d792912cdfcb129de90f5",
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/record-v1")
}

/// Writes the ssh key of a seed, as OpenSSH does (`PROTOCOL.key` of its sources).
fn ssh_key(path: &Path, seed: u8) {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let public = secret.verifying_key().to_bytes();
    let text = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&len[..], bytes].concat()
    };
    let blob = [text(b"ssh-ed25519"), text(&public)].concat();
    let pair = [&[seed; 32][..], &public].concat();
    let mut private = [&[0; 8][..], &blob, &text(&pair), &text(b"")].concat();
    for pad in 1.. {
        if private.len() % 8 == 0 {
            break;
        }
        private.push(pad);
    }
    let none = text(b"none");
    let all = [
        b"openssh-key-v1\0",
        &none[..],
        &none,
        &text(b""),
        &1_u32.to_be_bytes(),
        &text(&blob),
        &text(&private),
    ]
    .concat();
    let lines = BASE64.encode(all);
    let label = "OPENSSH PRIVATE KEY";
    let pem = format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n");
    fs::write(path, pem).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The old repository with its record, as it was on its server, but for the hooks.
fn old_server() -> Server {
    let server = Server::bare(Format::Sha1);
    let bundle = data().join("repository.bundle");
    server.git(&["fetch", "-q", bundle.to_str().unwrap(), "+refs/*:refs/*"]);
    copy(&data(), &server.record(""));
    fs::remove_file(server.record("repository.bundle")).unwrap();
    fs::create_dir(server.record("intents")).unwrap();
    fs::set_permissions(server.record(""), fs::Permissions::from_mode(0o700)).unwrap();
    let signer = NoteSigner::from_seed(REPOSITORY, &[4; 32]).unwrap();
    fs::write(server.record("key"), signer.to_secret_line() + "\n").unwrap();
    fs::set_permissions(server.record("key"), fs::Permissions::from_mode(0o600)).unwrap();
    server
}

fn person(server: &Server, name: &'static str, seed: u8) -> Checkout {
    let key = server.folder().join(name);
    ssh_key(&key, seed);
    let checkout = server.checkout(name);
    checkout.git(&["config", "user.signingkey", key.to_str().unwrap()]);
    checkout
}

/// A record of the first version is whole to both verifiers, comes out as recorded when decided
/// again, and after enrolling again goes on: the next push lands, and what was signed before is
/// continued.
#[test]
fn first_version_goes_on() {
    let server = old_server();
    python(&[&server.record("")])
        .accepted()
        .says("14 entries, all in order");
    server.log_is_good();
    server.cli(&["verify", "history"]).accepted();
    for commit in LANDED {
        server.cli(&["verify", "commit", commit]).exits(0);
    }
    server
        .enroll(&[])
        .accepted()
        .says("hook pre-receive: installed")
        .says("as entry 14");
    assert_eq!(codes(&server), Vec::<String>::new());
    let (alice, bob) = (person(&server, "alice", 1), person(&server, "bob", 2));
    let head = approved_topic(&alice, &bob, "today.txt");
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["verify", "history"]).accepted();
    let from = data().join("log/checkpoint");
    let args = ["log", "verify", "--from", from.to_str().unwrap()];
    server.cli(&args).accepted();
    python(&[&server.record(""), Path::new("--from"), &from]).accepted();
    // What an outsider has: the published folders, and no repository.
    let published = data();
    let args = ["log", "verify", "--record", published.to_str().unwrap()];
    Outcome::of(&mut server.countersign(&args), b"").accepted();
}

/// The codes that an entry may carry are those of the first version: one more makes another.
#[test]
fn codes_are_of_the_version() {
    assert_eq!(VERSION, 1);
    let page = include_str!("../../docs/spec/record.md");
    let (_, from) = page.split_once("\nCodes: ").unwrap();
    let (list, _) = from.split_once(".\n\n").unwrap();
    let specified: BTreeSet<&str> = list
        .split_whitespace()
        .map(|word| word.trim_matches('`'))
        .collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(known, specified);
}

/// An entry of a later version refuses pushes, verifiers and audits with the way out, as no
/// answer rather than as damage; nothing is appended to it.
#[test]
fn later_version_is_not_guessed() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let next = approved_on_main(&alice, &bob, "b.txt");
    let good = entries(&server);
    let with = |version: &str| {
        let mut all = good.clone();
        let last = all.last_mut().unwrap();
        assert_eq!(last.pop(), Some(b'}'));
        last.extend(format!(",\"version\":{version}}}").bytes());
        all
    };
    let newer = "made by a newer Countersign";
    forge(&server, &with("2"));
    fs::remove_file(server.record("index.db")).unwrap();
    let size = server.log_size();
    server.cli(&["log", "verify"]).exits(3).says(newer);
    python(&[&server.record("")]).exits(1).says("version 2");
    server.cli(&["verify", "history"]).exits(3).says(newer);
    server.cli(&["verify", "commit", &head]).exits(3);
    server.cli(&["log", "show"]).exits(3).says(newer);
    let audit = server.cli(&["audit"]).exits(3).says("of version 2");
    assert!(!audit.stdout.contains("record-damaged"), "{audit}");
    alice.land(&next).refused(&["undecidable"]).says(newer);
    server.cli(&["log", "reconcile"]).exits(3);
    server.enroll(&[]).exits(3).says(newer);
    assert_eq!(server.log_size(), size);
    // Nobody can say that damage, or another way to write what is known, is only new.
    for version in ["1", "0", "-2", "\"2\"", "2.0", "2 "] {
        forge(&server, &with(version));
        server.cli(&["log", "verify"]).exits(1).says("entry 3");
        python(&[&server.record("")]).exits(1);
    }
    forge(&server, &good);
    server.log_is_good();
    let path = server.record("log/tile/entries/000.p/4");
    let newer = with("2");
    let bundle: Vec<u8> = newer
        .iter()
        .flat_map(|raw| {
            let len = u16::try_from(raw.len()).unwrap().to_be_bytes();
            [&len[..], raw].concat()
        })
        .collect();
    fs::write(&path, bundle).unwrap();
    server
        .cli(&["log", "verify"])
        .exits(1)
        .says("not the bytes its hash is of");
    forge(&server, &good);
    alice.land(&next).accepted();
    server.cli(&["verify", "history"]).accepted();
}
