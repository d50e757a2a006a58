//! Lists of keys from elsewhere.

use std::collections::BTreeMap;

use countersign::people::import::Import;
use countersign::people::{key, keyring};
use countersign::wire::allowed_signers::{self, SignerLine};
use countersign::wire::armor;
use countersign::wire::keybox;
use countersign::wire::owners as owners_file;
use countersign::wire::sshd;

use super::config::PEOPLE;

/// A list that is read is written so that it reads the same, and only whole keys come out of it.
pub(crate) fn allowed_signers(raw: &[u8]) -> bool {
    let keys = allowed_signers::parse_keys(raw);
    if let Ok(keys) = &keys {
        let text: String = keys.iter().map(|line| format!("{}\n", line.key)).collect();
        let again = allowed_signers::parse_keys(text.as_bytes()).unwrap();
        let bare = |line: &allowed_signers::KeyLine| line.key.clone();
        assert!(keys.iter().map(bare).eq(again.iter().map(bare)), "{text}");
    }
    let Ok(lines) = allowed_signers::parse(raw) else {
        return keys.is_ok_and(|keys| !keys.is_empty());
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let again = allowed_signers::parse(text.as_bytes()).unwrap();
    let placed = |line: &SignerLine| SignerLine {
        line: 0,
        ..line.clone()
    };
    assert!(
        lines.iter().map(placed).eq(again.iter().map(placed)),
        "{text}"
    );
    let files = BTreeMap::new();
    let mut import = Import::new("", &PEOPLE, &files, None).unwrap();
    for line in &lines {
        if let Some(names) = line.principals.names() {
            assert!(names.iter().all(|name| line.principals.matches(name)));
        }
        // Whom it would go to is asked of people that are not in the empty file: an error at most.
        drop(import.signer(line));
    }
    !lines.is_empty()
}

/// What is taken out of a keyring stands alone as a key file, and has no secret in it.
pub(crate) fn keyring(raw: &[u8]) -> bool {
    if let Ok(certificates) = keybox::parse(raw) {
        let bytes: usize = certificates.iter().map(|one| one.len()).sum();
        assert!(bytes < raw.len());
    }
    let Ok(found) = keyring::read(raw) else {
        return false;
    };
    assert!(!found.is_empty());
    for certificate in found {
        let armored = certificate.armored.as_bytes();
        let packets = armor::parse_openpgp_key(armored);
        assert!(packets.is_ok() || armored.len() > armor::MAX_KEY);
        assert!(certificate.emails.iter().all(|email| email.contains('@')));
        if let Ok(fingerprint) = certificate.fingerprint {
            assert_eq!(key::parse_openpgp(armored).unwrap().0, fingerprint);
        }
    }
    true
}

/// Names of an owners file are few and plain, and a file of them alone names the same.
pub(crate) fn owners(raw: &[u8]) -> bool {
    let names = owners_file::names(raw);
    assert!(names.len() <= owners_file::MAX_NAMES);
    for name in &names {
        assert!(name.len() <= owners_file::MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic()));
    }
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let again = owners_file::names(format!("* {}", words.join(" ")).as_bytes());
    assert_eq!(names, again);
    !names.is_empty()
}

/// What is read of sshd's files stands there, in its line, and a command is only one that is forced.
pub(crate) fn sshd(raw: &[u8]) -> bool {
    let lines: Vec<&[u8]> = raw.split(|byte| *byte == b'\n').collect();
    let at = |line: usize| std::str::from_utf8(lines[line - 1]).unwrap();
    let directives = sshd::directives(raw);
    for found in directives.iter().flatten() {
        for word in &found.words {
            assert!(at(found.line).contains(word.as_str()), "{found:?}");
        }
    }
    let admitted = sshd::admitted(raw);
    for found in admitted.iter().flatten() {
        assert!(at(found.line).contains(&found.text), "{found:?}");
        let option = found.text.to_ascii_lowercase().contains("command=\"");
        assert!(option || found.command.is_none(), "{found:?}");
        let again = sshd::admitted(found.text.as_bytes()).unwrap();
        assert_eq!(again[0].command, found.command);
    }
    directives.is_ok_and(|found| !found.is_empty()) || admitted.is_ok_and(|found| !found.is_empty())
}
