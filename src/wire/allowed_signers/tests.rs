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
