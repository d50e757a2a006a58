use std::fs;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG";

fn one(text: &str) -> Result<SignerLine, LineFault> {
    let mut lines = parse(text.as_bytes()).map_err(|error| error.fault)?;
    assert_eq!(lines.len(), 1, "{text}");
    Ok(lines.remove(0))
}

/// Everything a line may say is read, and written again so that it reads the same.
#[test]
fn reads_lines() {
    for (text, written) in [
        (format!("a@x {KEY}"), format!("a@x {KEY}")),
        (
            format!("  \"a b@x,*@y,!c@y\"\tNAMESPACES=\"git,file\" {KEY} at work\r"),
            format!("\"a b@x,*@y,!c@y\" namespaces=\"git,file\" {KEY} at work"),
        ),
        (
            format!(
                "a@x valid-before=\"20300101Z\",cert-authority,valid-after=\"202001020304Z\"   {KEY}"
            ),
            format!(
                "a@x cert-authority,valid-after=\"20200102030400Z\",valid-before=\"20300101000000Z\" {KEY}"
            ),
        ),
        (
            format!("\"#a\" cert-authority {KEY}"),
            format!("\"#a\" cert-authority {KEY}"),
        ),
    ] {
        let read = one(&text).unwrap();
        assert_eq!(read.to_string(), written);
        assert_eq!(one(&written).unwrap(), read);
    }
    let text = format!("# a\n\n \t# b\na@x {KEY}\r\nb@x {KEY}");
    let lines = parse(text.as_bytes()).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.line).collect::<Vec<_>>(),
        [4, 5]
    );
}

/// Each fault is named with its line; nothing is guessed.
#[test]
fn refuses_lines() {
    use LineFault::*;
    let option = |text: &str| Option(text.to_owned());
    for (text, fault) in [
        (
            KEY.to_owned(),
            option("AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Y"),
        ),
        ("a@x".to_owned(), Shape),
        ("a@x ssh-ed25519".to_owned(), Shape),
        (format!("\"a@x {KEY}"), Quote),
        (format!("\"a@x\"b {KEY}"), Quote),
        (format!("a\"b\" {KEY}"), Quote),
        (format!("a@x, {KEY}"), Patterns),
        (format!("a@x,! {KEY}"), Patterns),
        (format!("\"\" {KEY}"), Patterns),
        (format!("{} {KEY}", vec!["a"; 65].join(",")), Patterns),
        (format!("a@x namespaces=git {KEY}"), option("namespaces")),
        (
            format!("a@x namespaces=\"a\\\"b\" {KEY}"),
            option("namespaces"),
        ),
        (format!("a@x command=\"x\" {KEY}"), option("command")),
        (format!("a@x restrict {KEY}"), Key("restrict".to_owned())),
        (
            format!("a@x cert-authority=\"\" {KEY}"),
            option("cert-authority"),
        ),
        (format!("a@x cert-authority, {KEY}"), option("")),
        (
            format!("a@x cert-authority,cert-authority {KEY}"),
            Repeated("cert-authority"),
        ),
        (
            format!("a@x namespaces=\"a\",namespaces=\"b\" {KEY}"),
            Repeated("namespaces"),
        ),
        (
            format!("a@x valid-after=\"20200101\" {KEY}"),
            LocalTime("valid-after"),
        ),
        (
            format!("a@x valid-before=\"2020010112\" {KEY}"),
            Time("valid-before"),
        ),
        (
            format!("a@x valid-before=\"20201301Z\" {KEY}"),
            Time("valid-before"),
        ),
        (
            format!("a@x valid-before=\"20200101000060Z\" {KEY}"),
            Time("valid-before"),
        ),
        (
            format!("a@x valid-before=\"19700101Z\" {KEY}"),
            Time("valid-before"),
        ),
        (
            format!("a@x valid-before=\"0x12345Z\" {KEY}"),
            Time("valid-before"),
        ),
        (
            format!("a@x valid-after=\"20200101Z\",valid-before=\"20200101Z\" {KEY}"),
            Window,
        ),
        (
            "a@x ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA".to_owned(),
            Key("ssh-rsa".to_owned()),
        ),
        (
            "a@x ssh-ed25519 AAA".to_owned(),
            Key("ssh-ed25519".to_owned()),
        ),
        (format!("a@x {KEY} \u{1b}[2J"), NotText),
        (format!("a@x {KEY} {}", "x".repeat(MAX_LINE)), TooLong),
    ] {
        assert_eq!(one(&text), Err(fault), "{text}");
    }
    let error = parse(format!("# a\na@x {KEY}\nb\n").as_bytes()).unwrap_err();
    assert_eq!((error.line, error.fault), (3, Shape));
    assert_eq!(parse(b"a\xff").unwrap_err().fault, NotText);
    let long = b"#\n".repeat(MAX_FILE / 2 + 1);
    assert_eq!(parse(&long).unwrap_err().fault, FileTooLarge);
}

/// A list of keys has neither principals nor options.
#[test]
fn reads_keys() {
    let text = format!("# mine\n{KEY}\n{KEY} Alice (gitlab.example.com)\n");
    let keys = parse_keys(text.as_bytes()).unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1].key.comment, "Alice (gitlab.example.com)");
    assert_eq!(keys[0].key.to_string(), KEY);
    let forced = format!("restrict,command=\"x\" {KEY}\n");
    let error = parse_keys(forced.as_bytes()).unwrap_err();
    assert!(matches!(error.fault, LineFault::Option(_)), "{error}");
    assert_eq!(
        parse_keys(b"ssh-rsa\n").unwrap_err().fault,
        LineFault::KeyShape
    );
}

/// Stars and question marks match as OpenSSH's do, in time that does not explode.
#[test]
fn patterns() {
    for (list, text, matched) in [
        ("*", "", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*@x,!b@x", "a@x", true),
        ("*@x,!b@x", "b@x", false),
        ("!b@x", "a@x", false),
        ("*a*b", "xxaxxb", true),
        ("*a*b", "xxaxxbc", false),
        ("A", "a", false),
    ] {
        assert_eq!(
            Patterns::parse(list).unwrap().matches(text),
            matched,
            "{list} {text}"
        );
    }
    let slow = Patterns::parse(&format!("{}b", "*a".repeat(2000))).unwrap();
    assert!(!slow.matches(&"a".repeat(10_000)));
}

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
        one(&format!("x {}", self.keys[0])).unwrap().key.blob
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
