//! Keys, and the ways that attestations are carried: files, notes, the network, beside a proof.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A note that the server wrote is fetched and read in a clone, beside what others wrote there.
#[test]
fn by_notes() {
    let (server, alice, _, head) = landed();
    server.git(&[
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "notes",
        "add",
        "-m",
        "not ours",
        &head,
    ]);
    server.cli(&["attest", &head, "--notes"]).exits(0);
    server.cli(&["attest", &head, "--notes"]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    alice.git(&["fetch", "-q", "origin", "refs/notes/*:refs/notes/*"]);
    let note = alice.git(&["notes", "show", &head]);
    let lines = note.lines().filter(|line| line.starts_with('{'));
    assert_eq!(lines.count(), 4, "{note}");
    let key = alice_key(&server, &alice);
    let verify = |more: &[&str]| {
        let args = [
            "verify",
            "attestation",
            "--key",
            &key,
            "--repository",
            REPOSITORY,
        ];
        alice.countersign(&[&args[..], more].concat())
    };
    let level = ["--level", "SLSA_SOURCE_LEVEL_4"];
    verify(&[&["--notes", "--commit", &head][..], &level].concat()).exits(0);
    verify(&["--notes=refs/notes/commits", "--commit", "HEAD"]).exits(0);
    verify(&["--notes", "--commit", "HEAD^"])
        .exits(1)
        .says("no note")
        .either();
    verify(&["--notes=refs/notes/other", "--commit", &head]).exits(1);
    // Another ref of notes; a name that is none, or no name.
    server
        .cli(&["attest", &head, "--notes=refs/notes/slsa"])
        .exits(0);
    assert!(server.tip("refs/notes/slsa").is_some());
    for name in [
        "main",
        MAIN,
        "refs/notes/",
        "refs/notes/a..b",
        "refs/countersign/keep",
    ] {
        server
            .cli(&["attest", &head, &format!("--notes={name}")])
            .exits(2);
    }
}

fn alice_key(server: &Server, alice: &Checkout) -> String {
    let pem = server.cli(&["attest", "--public-key"]).accepted().stdout;
    alice.write(&[("server.pem", Some(&pem))]);
    "server.pem".to_owned()
}

/// Where the policy protects the notes, the gate decides, and the command says that nothing was written.
#[test]
fn the_gate_holds_notes_too() {
    let notes = "[[ref]]\nmatch = [\"refs/notes/**\"]\n\n";
    let server = Server::with(&policy(&format!("{notes}{PLAIN_RULE}")), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server
        .cli(&["attest", &head, "--notes"])
        .exits(1)
        .says("was not written")
        .either();
    assert_eq!(server.tip("refs/notes/commits"), None);
}

/// A server that answers every request with this status and body; its address.
fn http(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/a.intoto.jsonl", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let length = body.len();
            // Whoever has read enough hangs up.
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .ok();
        }
    });
    address
}

/// From a file, from standard input and over HTTP the answer is the same; no answer is no yes.
#[test]
fn by_file_pipe_and_network() {
    let (server, .., head) = landed();
    let there = Elsewhere::with(&server, &head, &[]);
    let verify = |source: &str, stdin: &str| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), there.folder.path());
        command.args(["verify", "attestation", source, "--commit", &head]);
        command
            .args(["--repository", REPOSITORY, "--key"])
            .arg(&there.key);
        Outcome::of(&mut command, stdin.as_bytes())
    };
    let good = there.text();
    let bad = good.replace("\"sig\":\"", "\"sig\":\"AAAA");
    verify("-", &good).exits(0);
    verify("-", &bad).exits(1);
    verify("-", "").exits(1);
    verify(&http("200 OK", good.clone()), "").exits(0);
    verify(&http("200 OK", bad), "").exits(1);
    verify(&http("404 Not Found", good.clone()), "").exits(3);
    verify(&http("200 OK", "a".repeat(9 << 20)), "").exits(3);
    verify("/nowhere", &good).exits(2);
}

/// The proof that goes with a statement ties it to the log; another entry's, or a statement that
/// names another entry, does not.
#[test]
fn beside_a_proof() {
    let (server, alice, bob, first) = landed();
    alice.onto("origin/main");
    let second = approved_topic(&alice, &bob, "b.txt");
    alice.land(&second).accepted();
    let file = |name: &str| server.folder().join(name).to_str().unwrap().to_owned();
    let (one, two, key) = (file("1.tlog-proof"), file("2.tlog-proof"), file("vkey"));
    fs::copy(server.record("log/vkey"), &key).unwrap();
    let there = Elsewhere::with(&server, &first, &["--tlog-proof", &one]);
    Elsewhere::with(&server, &second, &["--tlog-proof", &two]);
    let tied = |proof: &str, more: &[&str]| {
        let args = ["--tlog-proof", proof, "--log-key", &key];
        there.verify(&[&args[..], more].concat())
    };
    tied(&one, &["--level", "SLSA_SOURCE_LEVEL_4"]).exits(0);
    tied(&two, &[]).exits(1).says("entry 4").either();
    let mut expected = tied(&one, &["--json"]).json();
    assert_eq!(expected["statements"].take().as_array().unwrap().len(), 2);
    // A statement that the server's own key signed of an entry that says otherwise.
    let text = there.text();
    let forged: String = text
        .lines()
        .map(|line| {
            let envelope = Envelope::parse(line.as_bytes()).unwrap();
            let said = String::from_utf8(envelope.payload).unwrap();
            let said = said.replace("\"index\":2,\"origin\"", "\"index\":4,\"origin\"");
            let secret = fs::read(server.record("attest.key")).unwrap();
            let keys = [countersign::wire::pem::SecretKey::parse(&secret).unwrap()];
            let payload = said.into_bytes();
            format!(
                "{}\n",
                Envelope::sign(&envelope.payload_type, payload, &keys)
            )
        })
        .take(1)
        .collect();
    assert!(!text.contains(forged.trim()));
    fs::write(&there.file, forged).unwrap();
    there.verify(&[]).exits(0);
    tied(&one, &[]).exits(1);
    // On the server itself the record is the proof.
    let pem = there.key.to_str().unwrap();
    for (text, good) in [(text.clone(), 0), (there.text(), 1)] {
        fs::write(&there.file, text).unwrap();
        let path = there.file.to_str().unwrap();
        let args = [
            "verify",
            "attestation",
            path,
            "--key",
            pem,
            "--repository",
            REPOSITORY,
        ];
        let more = ["--commit", &first, "--record"];
        server.cli(&[&args[..], &more].concat()).exits(good);
    }
}

/// The record's own key is made once, stays its owner's secret, and is what openssl takes for one.
#[test]
fn the_key() {
    let (server, .., head) = landed();
    let pem = server.cli(&["attest", "--public-key"]).accepted().stdout;
    assert_eq!(server.cli(&["attest", "--public-key"]).stdout, pem);
    assert_eq!(
        fs::read_to_string(server.record("attest.pem")).unwrap(),
        pem
    );
    let secret = server.record("attest.key");
    let mode = fs::metadata(&secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut openssl = scrubbed("openssl", server.folder());
    openssl.args(["pkey", "-pubout", "-in"]).arg(&secret);
    assert_eq!(Outcome::of(&mut openssl, b"").accepted().stdout, pem);
    // It is not the log's.
    let vkey = fs::read_to_string(server.record("log/vkey")).unwrap();
    let log = vkey.trim().rsplit('+').next().unwrap().to_owned();
    assert!(
        !log.ends_with(
            pem.lines()
                .nth(1)
                .unwrap()
                .trim_start_matches("MCowBQYDK2VwAyEA")
        )
    );
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    server
        .cli(&["attest", &head])
        .exits(3)
        .says("others than its owner")
        .either();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&secret, "no key\n").unwrap();
    server.cli(&["attest", &head]).exits(1);
}

/// Several keys sign one envelope, and a verifier may want more than one of them.
#[test]
fn several_keys() {
    let (server, .., head) = landed();
    let folder = server.folder();
    let mut files = Vec::new();
    for name in ["one", "two"] {
        let (secret, public) = (folder.join(name), folder.join(format!("{name}.pem")));
        let mut openssl = scrubbed("openssl", folder);
        openssl
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(&secret);
        Outcome::of(&mut openssl, b"").accepted();
        let mut openssl = scrubbed("openssl", folder);
        openssl
            .args(["pkey", "-pubout", "-in"])
            .arg(&secret)
            .arg("-out")
            .arg(&public);
        Outcome::of(&mut openssl, b"").accepted();
        files.push([secret, public].map(|path| path.to_str().unwrap().to_owned()));
    }
    let [[one, one_pem], [two, two_pem]] = files.try_into().unwrap();
    let there = Elsewhere::with(&server, &head, &["--key", &one, "--key", &two]);
    there.verify(&[]).exits(1).says("signed by 0").either();
    fs::copy(&one_pem, &there.key).unwrap();
    let both = ["--key", &two_pem, "--threshold", "2"];
    there.verify(&both).exits(0);
    there
        .verify(&["--key", &one_pem, "--threshold", "2"])
        .exits(1);
    there.verify(&["--threshold", "2"]).exits(2);
    there.verify(&["--threshold", "0"]).exits(2);
    let mut expected = there.expected(&["SLSA_SOURCE_LEVEL_4"]);
    expected["keys"] = json!([one_pem, two_pem]);
    expected["threshold"] = 2.into();
    there.in_toto(&expected).accepted().either();
    let alone = Elsewhere::with(&server, &head, &["--key", &one]);
    fs::copy(&one_pem, &alone.key).unwrap();
    alone.verify(&both).exits(1);
    alone.in_toto(&expected).exits(1);
    server.cli(&["attest", &head, "--key", &one_pem]).exits(2);
}

/// The names that statements speak under may be given, and are what is then expected.
#[test]
fn under_other_names() {
    let (server, .., head) = landed();
    let (resource, verifier) = (
        "git+https://mirror.example.com/p",
        "https://example.com/gate",
    );
    let names = ["--resource-uri", resource, "--verifier-id", verifier];
    let there = Elsewhere::with(&server, &head, &names);
    there.both(false, "by other names");
    let mine = ["--repository", resource, "--verifier-id", verifier];
    there.verify(&mine).exits(0);
    let mut expected = there.expected(&[]);
    expected["resource"] = resource.into();
    expected["verifier"] = verifier.into();
    there.in_toto(&expected).accepted().either();
}
