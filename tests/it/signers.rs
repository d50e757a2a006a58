//! Lists of allowed signers: what is read here means the same to OpenSSH.

use std::fs;
use std::process::{Command, Stdio};

use countersign::wire::allowed_signers::{SignerLine, parse};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Keys, and a signature by the first in git's namespace, as OpenSSH makes them.
struct Signed {
    dir: tempfile::TempDir,
    keys: [String; 2],
}

impl Signed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let path = dir.path().join(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(&path)
                .status();
            assert!(made.unwrap().success());
            let text = fs::read_to_string(path.with_extension("pub")).unwrap();
            text.trim().to_owned()
        };
        let keys = [key("a"), key("b")];
        fs::write(dir.path().join("message"), "hello\n").unwrap();
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "git", "-f"])
            .args([dir.path().join("a"), dir.path().join("message")])
            .stderr(Stdio::null())
            .status();
        assert!(signed.unwrap().success());
        Self { dir, keys }
    }

    /// Whether OpenSSH takes the signature, given this list, as that principal's at that time.
    fn verifies(&self, list: &str, principal: &str, time: &str) -> bool {
        let file = |name: &str| self.dir.path().join(name);
        fs::write(file("allowed"), list).unwrap();
        let status = Command::new("ssh-keygen")
            .env("TZ", "Asia/Tokyo")
            .args(["-q", "-Y", "verify", "-n", "git", "-I", principal])
            .arg(format!("-Overify-time={time}"))
            .arg("-f")
            .arg(file("allowed"))
            .arg("-s")
            .arg(file("message.sig"))
            .stdin(fs::File::open(file("message")).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap().success()
    }

    /// Whom OpenSSH finds.
    fn finds(&self, list: &str, time: &str) -> Option<String> {
        let file = |name: &str| self.dir.path().join(name);
        fs::write(file("allowed"), list).unwrap();
        let output = Command::new("ssh-keygen")
            .args(["-Y", "find-principals"])
            .arg(format!("-Overify-time={time}"))
            .arg("-f")
            .arg(file("allowed"))
            .arg("-s")
            .arg(file("message.sig"))
            .output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output
            .status
            .success()
            .then(|| text.trim_end_matches('\n').to_owned())
    }

    fn blob(&self) -> Vec<u8> {
        parse(format!("x {}", self.keys[0]).as_bytes()).unwrap()[0]
            .key
            .blob
            .clone()
    }
}

/// What the lines say of a signature in git's namespace.
fn accepts(lines: &[SignerLine], blob: &[u8], principal: &str, at: Timestamp) -> bool {
    lines.iter().any(|line| {
        line.key.blob == blob
            && !line.cert_authority
            && line.principals.matches(principal)
            && line
                .namespaces
                .as_ref()
                .is_none_or(|names| names.matches("git"))
            && line.valid_after.is_none_or(|after| after <= at)
            && line.valid_before.is_none_or(|before| at <= before)
    })
}

fn fragments() -> impl Strategy<Value = (String, String, usize, String)> {
    let principals = prop::sample::select(vec![
        "a@x",
        "b@x",
        "a@x,b@x",
        "*@x",
        "*@x,!a@x",
        "!a@x,*",
        "\"a@x\"",
        "\"a@x,b c\"",
        "?@x",
        "A@X",
        "a@x,",
        "\"a@x",
        "a\"@x\"",
        "*",
        "#a@x",
        "\"#a@x,a@x\"",
    ]);
    let option = prop::sample::select(vec![
        "cert-authority",
        "Cert-Authority",
        "namespaces=\"git\"",
        "namespaces=\"file,g*\"",
        "NameSpaces=\"file\"",
        "namespaces=\"*,!git\"",
        "namespaces=git",
        "namespaces=\"\"",
        "valid-after=\"20200101Z\"",
        "valid-after=\"202301010000Z\"",
        "valid-before=\"20230101000000Z\"",
        "valid-before=\"20190101Z\"",
        "valid-before=\"20300101Z\"",
        "valid-after=\"20230101000001Z\"",
        "valid-before=\"20230230Z\"",
        "valid-after=\"\"",
        "restrict",
        "",
    ]);
    let options = prop::collection::vec(option, 0..3).prop_map(|all| all.join(","));
    let tail = prop::sample::select(vec!["", " note", "\t# x", " \"quoted"]);
    (principals, options, 0..2usize, tail).prop_map(|(principals, options, key, tail)| {
        (principals.to_owned(), options, key, tail.to_owned())
    })
}

/// Of every list that is read here, OpenSSH believes the same signatures of the same people.
#[test]
fn agrees_with_openssh() {
    let signed = Signed::new();
    let blob = signed.blob();
    let at: Timestamp = "2023-01-01T00:00:00Z".parse().unwrap();
    // The zone of the process above.
    let local = "20230101090000";
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let (mut good, mut bad, mut refused) = (0, 0, 0);
    for _ in 0..200 {
        let (principals, options, key, tail) = fragments().new_tree(&mut runner).unwrap().current();
        let list = format!(
            "# a list\n\n{principals} {options} {}{tail}\n",
            signed.keys[key]
        );
        let Ok(lines) = parse(list.as_bytes()) else {
            refused += 1;
            continue;
        };
        let ours = accepts(&lines, &blob, "a@x", at);
        assert_eq!(signed.verifies(&list, "a@x", local), ours, "{list}");
        let written: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(signed.verifies(&written, "a@x", local), ours, "{written}");
        *(if ours { &mut good } else { &mut bad }) += 1;
    }
    assert!(
        good > 10 && bad > 10 && refused > 10,
        "{good} {bad} {refused}"
    );
}

/// OpenSSH finds the principals of the line that is read here as the key's.
#[test]
fn finds_the_same_principals() {
    let signed = Signed::new();
    let list = format!(
        "# people\nb@x namespaces=\"git\" {}\n\"a@x,a b@x\" namespaces=\"git\" {} at work\n",
        signed.keys[1], signed.keys[0],
    );
    let lines = parse(list.as_bytes()).unwrap();
    let mine = lines
        .iter()
        .find(|line| line.key.blob == signed.blob())
        .unwrap();
    let found = signed.finds(&list, "20230101000000").unwrap();
    // One a line, or as the list has them, by OpenSSH's version.
    let found: Vec<_> = found.split(['\n', ',']).collect();
    assert_eq!(mine.principals.names().unwrap(), found);
    assert_eq!(found, ["a@x", "a b@x"]);
    let other = format!("b@x {}\n", signed.keys[1]);
    assert_eq!(signed.finds(&other, "20230101000000"), None);
}
