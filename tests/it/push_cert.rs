//! `pusher = "push-cert"`: who pushes is whoever signed the push.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use countersign::people::PersonName;
use countersign::record::Record;
use countersign::record::entry::{Entry, PusherId};

use crate::people::Gpg;
use crate::support::config::PLAIN_RULE;
use crate::support::outcome::Outcome;
use crate::support::server::Format;
use crate::support::{Checkout, MAIN, People, Server, keys, policy};

/// A server on which certificates tell who pushes; what the environment says is somebody else.
fn server(format: Format, people: &People) -> Server {
    let server = Server::of(format, &policy(PLAIN_RULE), people);
    certify(&server);
    server
}

fn certify(server: &Server) {
    server
        .enroll(&["--pusher", "push-cert"])
        .exits(0)
        .says("receive.certNonceSeed");
    let seed = server.git(&["config", "receive.certNonceSeed"]);
    assert_eq!(seed.len(), 32);
    server.enroll(&[]).exits(0).says("record: there already");
    assert_eq!(server.git(&["config", "receive.certNonceSeed"]), seed);
}

/// A checkout whose host says that somebody unheard of is at the door.
fn checkout(server: &Server, person: &'static str) -> Checkout {
    server.checkout(person).env("COUNTERSIGN_PUSHER", "whoever")
}

#[must_use]
fn signed(checkout: &Checkout, refspecs: &[&str]) -> Outcome {
    checkout.try_git(&[&["push", "--signed=yes", "origin"], refspecs].concat())
}

#[must_use]
fn land(checkout: &Checkout, head: &str) -> Outcome {
    signed(checkout, &[&format!("{head}:{MAIN}")])
}

/// Approves a head with a signed push of the review.
fn approve(checkout: &Checkout, head: &str) {
    checkout.git(&["fetch", "-q", "origin", "refs/heads/topic"]);
    let message = crate::support::checkout::review_message("approve", MAIN, &[]);
    let tag = checkout.tag_review(head, &message);
    signed(
        checkout,
        &[&format!(
            "{tag}:refs/countersign/reviews/{head}/{}",
            checkout.person
        )],
    )
    .accepted();
}

fn pushers(server: &Server) -> Vec<String> {
    let entries = server.cli(&["log", "show", "--json"]).exits(0).stdout;
    let entries = entries
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let landed = entries.filter(|entry| entry["entry"]["kind"] == "landed");
    landed
        .map(|entry| {
            entry["entry"]["pusher"]["person"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// With ssh keys, in both formats: the signer is the pusher, whatever the environment says, and a
/// verifier finds the certificate beside the log.
#[test]
fn the_signer_is_the_pusher() {
    for format in [Format::Sha1, Format::Sha256] {
        let server = server(format, &People::new());
        let (alice, bob) = (checkout(&server, "alice"), checkout(&server, "bob"));
        let head = alice.change("a.txt", "new\n");
        signed(&alice, &[&format!("{head}:refs/heads/topic")]).accepted();
        approve(&bob, &head);
        // A push that is not signed, or by nobody who is known.
        let unsigned = alice.land(&head).refused(&["unknown-pusher"]);
        unsigned.says("git push --signed=yes");
        let mallory = checkout(&server, "mallory");
        mallory.git(&["fetch", "-q", "origin", "refs/heads/topic"]);
        let stranger = land(&mallory, &head).refused(&["unknown-pusher"]);
        let words = stranger.remote_lines().concat().replace(' ', "");
        assert!(words.contains("signedbyakeythatnobodylists"), "{stranger}");
        let carol = checkout(&server, "carol");
        carol.git(&["fetch", "-q", "origin", "refs/heads/topic"]);
        // Another known person who signs is the pusher: that is what it is for.
        land(&carol, &head).accepted();
        assert_eq!(server.main(), head);
        assert_eq!(pushers(&server), ["carol"]);
        server.log_is_good();
        server.cli(&["verify", "history"]).exits(0);
        server
            .cli(&["verify", "commit", &head])
            .exits(0)
            .says("reviewed");
    }
}

/// With GnuPG: the key is that of people.toml, not of any keyring on the server.
#[test]
fn openpgp() {
    let gpg = Gpg::new();
    let key = gpg.make("Alice <alice@example.com>");
    let armored = gpg.run(&["--armor", "--export", &key], b"").stdout;
    let own = format!("{{ ssh = \"{}\"", keys::public("alice"));
    let people = People::new()
        .text()
        .replace(&own, "{ openpgp = \"keys/alice.asc\"");
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", &policy(PLAIN_RULE)),
        (".countersign/people.toml", &people),
        (".countersign/keys/alice.asc", &armored),
    ]);
    server.enroll(&["--pusher", "push-cert"]).exits(0);
    let home = gpg.path().to_str().unwrap().to_owned();
    let alice = checkout(&server, "alice").env("GNUPGHOME", &home);
    alice.git(&["config", "gpg.format", "openpgp"]);
    alice.git(&["config", "user.signingKey", &key]);
    let head = alice.change("a.txt", "new\n");
    signed(&alice, &[&format!("{head}:refs/heads/topic")]).accepted();
    approve(&checkout(&server, "bob"), &head);
    land(&alice, &head).accepted();
    assert_eq!(pushers(&server), ["alice"]);
    server.cli(&["verify", "history"]).exits(0);
}

/// What git gave the hooks of one signed push.
struct Seen {
    env: Vec<(String, String)>,
    cert: String,
    lines: String,
}

/// Pushes with a hook beside ours that keeps what it is given.
fn seen(server: &Server, push: impl FnOnce() -> Outcome) -> Seen {
    let folder = server.repo().join("hooks/pre-receive.d");
    fs::create_dir_all(&folder).unwrap();
    let hook = folder.join("10-keep");
    let kept = server.folder().join("kept");
    let script = format!(
        "#!/bin/sh\nk='{}'\nenv | grep ^GIT_PUSH_ >\"$k.env\"\ncat >\"$k.lines\"\ngit cat-file blob $GIT_PUSH_CERT >\"$k.cert\"\n",
        kept.display()
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    push().accepted();
    fs::remove_file(&hook).unwrap();
    let read = |ending: &str| fs::read_to_string(kept.with_extension(ending)).unwrap();
    let env = read("env");
    let env = env.lines().filter_map(|line| line.split_once('='));
    Seen {
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        cert: read("cert"),
        lines: read("lines"),
    }
}

/// Runs our hook as git would, with another certificate, changed variables or other lines.
#[must_use]
fn hook(server: &Server, seen: &Seen, cert: &str, changes: &[(&str, &str)]) -> Outcome {
    let file = server.folder().join("cert");
    fs::write(&file, cert).unwrap();
    let oid = server.git(&["hash-object", "-w", file.to_str().unwrap()]);
    let mut command = server.countersign(&["hook", "pre-receive"]);
    command
        .current_dir(server.repo())
        .env("GIT_DIR", ".")
        .env("COUNTERSIGN_PUSHER", "alice")
        .envs(seen.env.iter().cloned())
        .env("GIT_PUSH_CERT", oid);
    for (name, value) in changes {
        match *value {
            "-" => command.env_remove(name),
            value => command.env(name, value),
        };
    }
    Outcome::of(&mut command, seen.lines.as_bytes())
}

/// Replayed, bent, or for something else: a certificate that is not of this very push names nobody,
/// whatever git itself makes of it.
#[test]
fn certificates_of_other_pushes() {
    let server = server(Format::Sha1, &People::new());
    server.git(&["config", "receive.advertisePushOptions", "true"]);
    let alice = checkout(&server, "alice");
    let head = alice.change("a.txt", "new\n");
    signed(&alice, &[&format!("{head}:refs/heads/topic")]).accepted();
    // Only known people write here, and only their own.
    let proposal = format!("{head}:refs/countersign/proposals/alice/one");
    let push = || alice.try_git(&["push", "--signed=yes", "-o", "ci.skip", "origin", &proposal]);
    let first = seen(&server, push);
    server.git(&["update-ref", "-d", "refs/countersign/proposals/alice/one"]);
    // The nonce changes with the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = seen(&server, push);
    server.git(&["update-ref", "-d", "refs/countersign/proposals/alice/one"]);
    let cert = &second.cert;
    assert_ne!(first.cert, *cert);
    hook(&server, &second, cert, &[]).exits(0);

    let body = |text: &str| text.split("-----BEGIN").next().unwrap().to_owned();
    let signature = |text: &str| text[body(text).len()..].to_owned();
    let nonce = |seen: &Seen| {
        let found = seen
            .env
            .iter()
            .find(|(name, _)| name == "GIT_PUSH_CERT_NONCE");
        found.unwrap().1.clone()
    };
    let olds = nonce(&first);
    let forged = cert.replace(&nonce(&second), &olds);
    let seed = |status| [("GIT_PUSH_CERT_NONCE_STATUS", status)];
    for (what, cert, changes) in [
        ("replayed", first.cert.clone(), &[][..]),
        (
            "the older nonce put in",
            forged,
            &[("GIT_PUSH_CERT_NONCE", olds.as_str())],
        ),
        (
            "a body of one, the signature of another",
            body(cert) + &signature(&first.cert),
            &[],
        ),
        ("another ref", cert.replace("alice/one", "alice/two"), &[]),
        (
            "another pusher line",
            cert.replacen("pusher ", "pusher x", 1),
            &[],
        ),
        (
            "without its nonce",
            cert.replacen("nonce ", "nunce ", 1),
            &[],
        ),
        ("not signed", body(cert), &[]),
        ("signed twice", cert.clone() + &signature(cert), &[]),
        ("a word behind it", cert.clone() + "x\n", &[]),
        ("empty", String::new(), &[]),
        (
            "other options",
            cert.clone(),
            &[("GIT_PUSH_OPTION_0", "ci.run")],
        ),
        (
            "no options",
            cert.clone(),
            &[("GIT_PUSH_OPTION_COUNT", "-")],
        ),
        (
            "more options",
            cert.clone(),
            &[("GIT_PUSH_OPTION_COUNT", "2"), ("GIT_PUSH_OPTION_1", "x")],
        ),
        ("too old", cert.clone(), &seed("SLOP")),
        ("bad to git", cert.clone(), &seed("BAD")),
        ("no status", cert.clone(), &seed("-")),
        ("no nonce", cert.clone(), &[("GIT_PUSH_CERT_NONCE", "-")]),
        ("no certificate", cert.clone(), &[("GIT_PUSH_CERT", "-")]),
        ("garbage", cert.clone(), &[("GIT_PUSH_CERT", "x")]),
        (
            "an object that is no certificate",
            cert.clone(),
            &[("GIT_PUSH_CERT", head.as_str())],
        ),
    ] {
        let outcome = hook(&server, &second, &cert, changes);
        assert_eq!(outcome.status, Some(1), "{what}: {outcome}");
        outcome.refused(&["unknown-pusher"]);
    }
    let other = Seen {
        env: second.env.clone(),
        cert: cert.clone(),
        lines: second.lines.replace("alice/one", "alice/two"),
    };
    hook(&server, &other, cert, &[]).refused(&["unknown-pusher"]);
    let more = Seen {
        lines: second.lines.clone() + &second.lines.replace("alice/one", "alice/two"),
        ..other
    };
    hook(&server, &more, cert, &[]).refused(&["unknown-pusher"]);
    // Bob is known, but may not write alice's proposals.
    let bob = checkout(&server, "bob");
    bob.git(&["fetch", "-q", "origin", "refs/heads/topic"]);
    signed(&bob, &[&proposal]).refused(&["forbidden-ref"]);
}

/// Evidence that is gone or of another push is found, in the log and in history.
#[test]
fn the_certificate_is_evidence() {
    let server = server(Format::Sha1, &People::new());
    let (alice, bob) = (checkout(&server, "alice"), checkout(&server, "bob"));
    let head = alice.change("a.txt", "new\n");
    signed(&alice, &[&format!("{head}:refs/heads/topic")]).accepted();
    // What signs reviews signs their pushes, too.
    bob.fetch();
    bob.countersign(&["approve", &head, "--onto", "main"])
        .accepted();
    // Once git is told so, a plain push is signed, and so are the commands that refusals show.
    alice.git(&["config", "push.gpgSign", "if-asked"]);
    alice.land(&head).accepted();
    let folder = server.record("evidence");
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(
        text.starts_with("certificate version 0.1\n") && text.contains(&head),
        "{text}"
    );
    server.cli(&["verify", "history"]).exits(0);
    fs::write(&files[0], text.replace("0.1", "0.2")).unwrap();
    server.cli(&["log", "verify"]).exits(1);
    server.cli(&["verify", "history"]).exits(1);
    fs::remove_file(&files[0]).unwrap();
    server.cli(&["log", "verify"]).exits(1);
}

/// The operator, who holds the log's key, cannot say that somebody else pushed what alice signed.
#[test]
fn the_operator_cannot_name_another() {
    let server = server(Format::Sha1, &People::new());
    let (alice, bob) = (checkout(&server, "alice"), checkout(&server, "bob"));
    let head = alice.change("a.txt", "new\n");
    signed(&alice, &[&format!("{head}:refs/heads/topic")]).accepted();
    approve(&bob, &head);
    let (hook, aside) = (
        server.repo().join("hooks/post-receive"),
        server.repo().join("hooks/aside"),
    );
    fs::rename(&hook, &aside).unwrap();
    land(&alice, &head).accepted();
    fs::rename(&aside, &hook).unwrap();
    let record = Record::open(&server.record("")).unwrap();
    let intent = record.open_intents().unwrap().pop().unwrap();
    record.remove_intent(&intent.id).unwrap();
    let mut landed = intent.landed.into_iter().next().unwrap();
    landed.pusher = PusherId::Person(PersonName::new("carol").unwrap());
    let lock = record.lock().unwrap();
    record.append(&lock, &[Entry::Landed(landed)]).unwrap();
    drop(lock);
    server.log_is_good();
    server
        .cli(&["verify", "history"])
        .exits(1)
        .says("the push certificate is not by whom");
}
