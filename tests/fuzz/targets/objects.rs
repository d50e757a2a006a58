//! Git objects and the lines a hook is given.

use std::collections::BTreeSet;

use bstr::ByteSlice;
use countersign::wire::commit::Commit;
use countersign::wire::entry_name::check_name;
use countersign::wire::fold::fold_component;
use countersign::wire::ident::Ident;
use countersign::wire::oid::ObjectFormat;
use countersign::wire::push::Push;
use countersign::wire::push_cert::PushCert;
use countersign::wire::tag::Tag;
use countersign::wire::transaction::{RefTarget, writes};
use countersign::wire::tree::{self, FileMode};

use super::FORMATS;

/// A commit's payload and signature, folded again, are its bytes; its header is rebuilt exactly.
pub(crate) fn commit(raw: &[u8]) -> bool {
    FORMATS
        .into_iter()
        .filter(|format| commit_holds(raw, *format))
        .count()
        > 0
}

fn commit_holds(raw: &[u8], format: ObjectFormat) -> bool {
    let Ok(commit) = Commit::parse(raw, format) else {
        return false;
    };
    assert!(commit.co_authors().iter().all(|email| !email.is_empty()));
    let parents = commit.parents.iter().map(|oid| format!("parent {oid}\n"));
    let parents: String = parents.collect();
    let start = format!("tree {}\n{parents}author ", commit.tree);
    assert!(raw.starts_with_str(&start));
    assert!(raw.ends_with(&[b"\n\n", commit.message.as_slice()].concat()));
    let Some(signed) = commit.signed else {
        let (header, _) = raw.split_once_str("\n\n").unwrap();
        assert!(!header.contains_str("\ngpgsig"));
        return true;
    };
    let key = match format {
        ObjectFormat::Sha1 => "gpgsig",
        ObjectFormat::Sha256 => "gpgsig-sha256",
    };
    // Each line feed of the armour but the last is followed by the space of the folding.
    let lines = signed.armor.strip_suffix(b"\n").unwrap();
    let folded = lines.replace("\n", "\n ");
    let header = [b"\n", key.as_bytes(), b" ", &folded, b"\n"].concat();
    let at = raw.find(&header).expect("the signature is in the header");
    let without = [&raw[..=at], &raw[at + header.len()..]].concat();
    assert_eq!(without.as_bstr(), signed.payload.as_bstr());
    let unsigned = Commit::parse(&signed.payload, format).expect("a payload is a commit");
    assert_eq!(
        (unsigned.signed, unsigned.tree, unsigned.parents),
        (None, commit.tree, commit.parents)
    );
    assert_eq!(
        (unsigned.author, unsigned.committer, unsigned.message),
        (commit.author, commit.committer, commit.message)
    );
    true
}

/// A tag's payload and signature are its bytes, and its message stands between.
pub(crate) fn tag(raw: &[u8]) -> bool {
    let parsed = FORMATS
        .into_iter()
        .find_map(|format| Tag::parse(raw, format).ok());
    let Some(tag) = parsed else {
        return false;
    };
    let payload = tag.signed.as_ref().map_or(raw, |signed| &signed.payload);
    let armor = tag.signed.as_ref().map_or(&[][..], |signed| &signed.armor);
    assert_eq!([payload, armor].concat(), raw);
    assert!(payload.ends_with(&[b"\n\n", tag.message.as_slice()].concat()));
    let (kind, name) = (tag.kind.as_str(), tag.name);
    let start = format!("object {}\ntype {kind}\ntag ", tag.target);
    assert!(raw.starts_with(&[start.as_bytes(), &name, b"\n"].concat()));
    true
}

/// A tree written again from its entries is the same bytes; names are safe, in git's order, and no
/// two share a form.
pub(crate) fn tree(raw: &[u8]) -> bool {
    let parsed = FORMATS
        .into_iter()
        .find_map(|format| tree::parse(raw, format).ok());
    let Some(entries) = parsed else {
        return false;
    };
    let mut again = Vec::new();
    let mut forms = BTreeSet::new();
    let mut before = Vec::new();
    for entry in entries {
        let (mode, name) = (entry.mode.octal().as_bytes(), &*entry.name);
        again.extend([mode, b" ", name, b"\0", entry.oid.as_bytes()].concat());
        assert_eq!(check_name(name), Ok(()));
        let key = match entry.mode {
            FileMode::Tree => [name, b"/"].concat(),
            _ => name.to_vec(),
        };
        assert!(before < key);
        before = key;
        let form = fold_component(name);
        assert!(!form.is_empty() && form != b".git");
        assert!(forms.insert(form));
    }
    assert_eq!(again, raw);
    true
}

/// An ident written again is the same bytes up to its five of offset.
pub(crate) fn ident(raw: &[u8]) -> bool {
    let Ok(ident) = Ident::parse(raw) else {
        return false;
    };
    let start = [
        &ident.name[..],
        b" <",
        &ident.email,
        b"> ",
        ident.seconds.to_string().as_bytes(),
        b" ",
    ]
    .concat();
    assert!(raw.starts_with(&start));
    let offset = raw[start.len()..].to_str().unwrap();
    let (sign, digits) = offset.split_at(1);
    let number: i32 = digits.parse().unwrap();
    let minutes = number / 100 * 60 + number % 100;
    assert_eq!(digits.len(), 4);
    assert_eq!(
        ident.offset_minutes,
        if sign == "-" { -minutes } else { minutes }
    );
    true
}

/// Hook lines written again are the same bytes, and no ref stands there twice.
pub(crate) fn hook_lines(raw: &[u8]) -> bool {
    let parsed = FORMATS
        .into_iter()
        .find_map(|format| Push::parse(raw, format, 1000).ok());
    let Some(push) = parsed else {
        return false;
    };
    let names: BTreeSet<_> = push.updates.iter().map(|update| &update.name).collect();
    assert_eq!(names.len(), push.updates.len());
    let lines = push.updates.iter().map(|update| {
        let ids = format!("{} {} ", update.old, update.new);
        [ids.as_bytes(), update.name.as_bstr(), b"\n"].concat()
    });
    assert_eq!(lines.collect::<Vec<_>>().concat(), raw);
    true
}

/// A certificate is its payload and its signature, and its header is rebuilt exactly.
pub(crate) fn push_cert(raw: &[u8]) -> bool {
    let mut parsed = false;
    for format in FORMATS {
        let Ok(cert) = PushCert::parse(raw, format, 8) else {
            continue;
        };
        assert_eq!(
            [cert.signed.payload.as_slice(), &cert.signed.armor].concat(),
            raw
        );
        let mut text = b"certificate version 0.1\n".to_vec();
        let mut line = |key: &str, value: &[u8]| {
            text.extend_from_slice(&[key.as_bytes(), b" ", value, b"\n"].concat());
        };
        line("pusher", &cert.pusher);
        if let Some(pushee) = &cert.pushee {
            line("pushee", pushee);
        }
        line("nonce", &cert.nonce);
        for option in &cert.options {
            line("push-option", option);
        }
        text.push(b'\n');
        for update in &cert.push.updates {
            let name: &[u8] = update.name.as_bstr();
            text.extend_from_slice(format!("{} {} ", update.old, update.new).as_bytes());
            text.extend_from_slice(&[name, b"\n"].concat());
        }
        assert_eq!(text.as_bstr(), cert.signed.payload.as_bstr());
        parsed = true;
    }
    parsed
}

/// Lines of a transaction written again are the same bytes; after a bad one there is none.
pub(crate) fn ref_writes(raw: &[u8]) -> bool {
    let spelled = |target: &RefTarget| match target {
        RefTarget::Oid(oid) => oid.to_string().into_bytes(),
        RefTarget::Symbolic(name) => [b"ref:", name.as_bstr().as_bytes()].concat(),
    };
    let mut whole = false;
    for format in FORMATS {
        let mut again = Vec::new();
        let mut lines = writes(raw, format);
        let bad = lines.find_map(|line| match line {
            Ok(write) => {
                let fields = [spelled(&write.old), spelled(&write.new)];
                again.extend(fields.join(&b' '));
                again.push(b' ');
                again.extend_from_slice(write.name.as_bstr());
                again.push(b'\n');
                None
            }
            Err(error) => Some(error),
        });
        assert!(raw.starts_with(&again));
        assert_eq!(bad.is_none(), raw == again);
        assert!(lines.next().is_none());
        whole |= bad.is_none();
    }
    whole
}
