//! What somebody makes of attestations that were good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign::wire::dsse::{IN_TOTO, MAX_ENVELOPE};
use countersign::wire::pem::SecretKey;

use super::*;

/// The key that the server signs with.
fn secret(server: &Server) -> SecretKey {
    SecretKey::parse(&fs::read(server.record("attest.key")).unwrap()).unwrap()
}

/// Whatever is changed in an envelope, neither verifier takes it.
#[test]
fn altered_envelopes() {
    let (server, .., head) = landed();
    let there = Elsewhere::with(&server, &head, &[]);
    let good = there.text();
    let lines: Vec<Value> = good
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let with = |change: &dyn Fn(&mut Value)| -> String {
        let changed = lines.iter().map(|line| {
            let mut line = line.clone();
            change(&mut line);
            format!("{line}\n")
        });
        changed.collect()
    };
    let payload = |from: &'static str, to: &'static str| {
        with(&move |line: &mut Value| {
            let raw = BASE64.decode(line["payload"].as_str().unwrap()).unwrap();
            let text = String::from_utf8(raw).unwrap().replace(from, to);
            line["payload"] = BASE64.encode(text).into();
        })
    };
    let signature = |at: usize| lines[at]["signatures"].clone();
    let mut bad = vec![
        payload("LEVEL_4", "LEVEL_9"),
        payload("git.example.com/payments", "git.example.com/other"),
        payload(":", ": "),
        with(&|line| line["payloadType"] = "application/json".into()),
        with(&|line| line["signatures"] = json!([])),
        with(&|line| line["signatures"][0]["sig"] = BASE64.encode([0; 64]).into()),
        with(&|line| line["signatures"][0]["sig"] = "".into()),
        with(&|line| line["payload"] = json!({})),
        with(&|line| line["signatures"] = signature(if line == &lines[0] { 1 } else { 0 })),
        good.replace("\"payloadType\":", "\"payload\":\"AAAA\",\"payloadType\":"),
        good.replace("\"payloadType\":", "\"payloadType\":\"x\",\"payloadType\":"),
        good.replace("{\"payload\"", "[{\"payload\""),
        "[".repeat(100_000),
        "not JSON\n".to_owned(),
        String::new(),
    ];
    // Deep, or with a member twice, and signed all the same.
    let key = [secret(&server)];
    let resign = |line: usize, change: &dyn Fn(String) -> String| {
        let raw = BASE64
            .decode(lines[line]["payload"].as_str().unwrap())
            .unwrap();
        let text = change(String::from_utf8(raw).unwrap());
        format!("{}\n", Envelope::sign(IN_TOTO, text.into_bytes(), &key))
    };
    let whole = |change: &dyn Fn(String) -> String| resign(0, change) + &resign(1, change);
    assert_eq!(whole(&|text| text), good);
    bad.push(whole(&|text| {
        text.replacen("{\"_type\"", "{\"_type\":\"x\",\"_type\"", 1)
    }));
    bad.push(whole(&|text| {
        text.replacen(
            "\"predicate\":{",
            "\"predicate\":{\"resourceUri\":\"x\",\"target\":{},",
            1,
        )
    }));
    let deep = format!("{{\"x\":{}{},", "[".repeat(500), "]".repeat(500));
    bad.push(whole(&|text| text.replacen('{', &deep, 1)));
    bad.push(whole(&|text| {
        text.replace("Statement/v1", "Statement/v0.1")
    }));
    bad.push(whole(&|text| text.replace("gitCommit", "gitTag")));
    bad.push(whole(&|text| {
        text.replace("PASSED", "FAILED")
            .replace("identity", "residual")
    }));
    let mut files = Vec::new();
    for (number, text) in bad.iter().enumerate() {
        let file = there.folder.path().join(number.to_string());
        fs::write(&file, text).unwrap();
        fs::copy(&file, &there.file).unwrap();
        there
            .verify(&["--level", "SLSA_SOURCE_LEVEL_1"])
            .exits(1)
            .either();
        files.push(file);
    }
    let told = there.in_toto_of(&there.expected(&[]), &files).exits(1);
    assert_eq!(told.stdout.lines().count(), bad.len(), "{told}");
    assert!(!told.stdout.lines().any(|line| line == "ok"), "{told}");
    // What was changed in one is no evidence, and does not make the other one less.
    let text = good.lines().next().unwrap().to_owned();
    let one: Value = serde_json::from_str(&text).unwrap();
    let raw = BASE64.decode(one["payload"].as_str().unwrap()).unwrap();
    let other = String::from_utf8(raw).unwrap().replace("bob", "eve");
    let other = text.replace(one["payload"].as_str().unwrap(), &BASE64.encode(other));
    fs::write(&there.file, &other).unwrap();
    there.verify(&[]).exits(1);
    fs::write(&there.file, good.replace(&text, &other)).unwrap();
    let told = there.verify(&["--json"]).accepted().json();
    assert_eq!(told["statements"].as_array().unwrap().len(), 1);
    assert_eq!(told["passed_over"][0]["line"], 1);
    // Larger than is read, for us alone.
    let huge = good.replacen(
        "{\"payload\"",
        &format!("{{\"x\":\"{}\",\"payload\"", "a".repeat(MAX_ENVELOPE)),
        2,
    );
    fs::write(&there.file, huge).unwrap();
    there.verify(&[]).exits(1).says("at most").either();
    fs::write(&there.file, good.repeat(600)).unwrap();
    there.verify(&[]).exits(1).says("more than 1000").either();
    fs::write(&there.file, &good).unwrap();
    there.both(true, "as it was");
}

/// A statement about one commit is none about another, though the server signed both, and though
/// both have the same tree.
#[test]
fn swapped_statements() {
    let (server, alice, bob, first) = landed();
    alice.onto("origin/main");
    let second = approved_topic(&alice, &bob, "b.txt");
    alice.land(&second).accepted();
    let (one, other) = (
        Elsewhere::with(&server, &first, &[]),
        Elsewhere::with(&server, &second, &[]),
    );
    let (mine, theirs) = (one.text(), other.text());
    fs::write(&one.file, &theirs).unwrap();
    one.both(false, "another commit's");
    // The review of one and the VSA of another are no pair.
    let mixed: String = [mine.lines().next(), theirs.lines().nth(1)]
        .map(|line| format!("{}\n", line.unwrap()))
        .concat();
    fs::write(&one.file, mixed).unwrap();
    one.both(false, "mixed");
    // An unreviewed commit with the reviewed tree.
    let tree = alice.tree(&first);
    let twin = alice.git(&["commit-tree", &tree, "-m", "twin"]);
    fs::write(&one.file, &mine).unwrap();
    one.verify(&["--commit", &twin])
        .exits(1)
        .says("not about")
        .either();
    // Both together are evidence for each: what is about something else is passed over.
    fs::write(&one.file, mine + &theirs).unwrap();
    for commit in [&first, &second] {
        let level = [
            "--commit",
            commit.as_str(),
            "--level",
            "SLSA_SOURCE_LEVEL_4",
        ];
        one.verify(&level).exits(0);
    }
}

/// What was signed for one repository, ref or verifier is nothing for another.
#[test]
fn replayed_elsewhere() {
    let (server, .., head) = landed();
    let there = Elsewhere::with(&server, &head, &[]);
    for name in [
        "git.example.com/other",
        "payments",
        "https://git.example.com/payments",
        "",
    ] {
        there.verify(&["--repository", name]).exits(1);
    }
    there.verify(&["--repository", RESOURCE]).exits(0);
    there.verify(&["--onto", "release/1"]).exits(1);
    there.verify(&["--onto", "refs/tags/main"]).exits(1);
    there
        .verify(&[
            "--verifier-id",
            "https://example.com",
            "--level",
            "SLSA_SOURCE_LEVEL_1",
        ])
        .exits(1);
    for (member, value) in [
        ("resource", "git+https://git.example.com/other"),
        ("ref", "refs/heads/release/1"),
        ("verifier", "https://example.com"),
    ] {
        let mut expected = there.expected(&[]);
        expected[member] = value.into();
        there.in_toto(&expected).exits(1);
    }
    // A server of another repository has another key.
    let (other, .., theirs) = landed();
    let pem = other.cli(&["attest", "--public-key"]).accepted().stdout;
    fs::write(&there.key, pem).unwrap();
    there.both(false, "another server's key");
    // One that calls itself the same signs with its own.
    let there = Elsewhere::with(&other, &theirs, &[]);
    let pem = server.cli(&["attest", "--public-key"]).accepted().stdout;
    fs::write(&there.key, pem).unwrap();
    there.both(false, "another server's statement");
}

/// A record that was tampered with attests nothing.
#[test]
fn a_damaged_record() {
    let (server, .., head) = landed();
    // An entry that never was in the log, where the index looks for it.
    let tile = server.record("log/tile/entries/000.p/3");
    let text = fs::read(&tile).unwrap();
    let found = text.windows(5).position(|it| it == b"alice").unwrap();
    let mut other = text.clone();
    other[found..found + 5].copy_from_slice(b"carol");
    fs::write(&tile, other).unwrap();
    let outcome = server.cli(&["attest", &head]);
    assert_ne!(outcome.status, Some(0), "{outcome}");
    assert!(!outcome.stdout.contains("payload"), "{outcome}");
    fs::write(&tile, text).unwrap();
    server.cli(&["attest", &head]).exits(0);
}
