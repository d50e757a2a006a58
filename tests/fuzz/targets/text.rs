//! Names, messages, and texts of files.

use bstr::ByteSlice;
use countersign::git::lines;
use countersign::report::plain;
use countersign::wire::fold::{fold_component, fold_path};
use countersign::wire::hidden::{in_file, in_path};
use countersign::wire::name::{RefName, RepoPath};
use countersign::wire::refname;
use countersign::wire::review::ReviewMessage;

use super::FORMATS;

/// Names that pass are names to git, imitate nothing by being themselves, and have one plain form.
pub(crate) fn ref_name(raw: &[u8]) -> bool {
    let name = RefName::new(raw);
    let plain = refname::plain(&name);
    assert_eq!(refname::plain(&plain), plain, "{name}");
    assert!(!refname::imitates(&name, &name));
    let main = RefName::from("refs/heads/main");
    let twin = refname::imitates(&name, &main);
    assert!(twin || name == main || plain != main, "{name}");
    let good = refname::check(&name).is_ok();
    let own = refname::review_ref(&name).is_some() || refname::proposal_ref(&name).is_some();
    assert!(!own || good);
    assert!(!good || refname::is_valid(raw));
    good
}

/// A review composed from what was read reads the same.
pub(crate) fn review(raw: &[u8]) -> bool {
    let mut parsed = false;
    for format in FORMATS {
        if let Ok(review) = ReviewMessage::parse(raw, format) {
            let again = review.compose();
            let read = ReviewMessage::parse(again.as_bytes(), format);
            assert_eq!(read, Ok(review), "{again:?}");
            parsed = true;
        }
    }
    parsed
}

/// Folding what is folded changes nothing, also for bytes that are no text; case never matters.
pub(crate) fn fold(raw: &[u8]) -> bool {
    let path = fold_path(raw);
    assert_eq!(fold_path(&path), path);
    assert_eq!(
        fold_path(&raw.to_ascii_uppercase()),
        fold_path(&raw.to_ascii_lowercase())
    );
    let parts: Vec<Vec<u8>> = raw
        .split(|byte| *byte == b'/')
        .map(fold_component)
        .collect();
    assert_eq!(parts.join(&b'/'), path);
    true
}

/// Of a path in the first line and a content below it: each reason is said once, in order, at a line
/// that there is.
pub(crate) fn hidden(raw: &[u8]) -> bool {
    let end = raw.iter().position(|byte| *byte == b'\n');
    let (name, content) = raw.split_at(end.map_or(raw.len(), |end| end + 1));
    let path = RepoPath::new(name);
    let found = in_file(&path, content);
    assert!(found.is_sorted_by(|a, b| a.reason < b.reason), "{found:?}");
    for one in &found {
        assert!(
            one.line
                .is_none_or(|line| line >= 1 && line <= content.len() + 1)
        );
    }
    found.is_empty() && in_path(&path).is_none()
}

/// Of three texts divided by lines `=`: a side that changed nothing gives way, both sides that
/// changed alike agree, and the order of the sides does not matter.
pub(crate) fn merge_lines(raw: &[u8]) -> bool {
    let mut texts = raw.splitn_str(3, "=\n");
    let mut next = || texts.next().unwrap_or_default();
    let (base, ours, theirs) = (next(), next(), next());
    let merge = |base: &[u8], ours: &[u8], theirs: &[u8]| {
        let mut searched = 0;
        let merged = lines::merge_lines(base, ours, theirs, &mut searched);
        (merged.expect("short texts are within all limits"), searched)
    };
    let (merged, searched) = merge(base, ours, theirs);
    assert_eq!((merged.clone(), searched), merge(base, theirs, ours));
    let text = |bytes: &[u8]| !bytes[..bytes.len().min(8000)].contains(&0);
    if text(base) && text(ours) {
        // Only lines that stand more than 64 times may leave it open what differs.
        let certain = base.iter().filter(|byte| **byte == b'\n').count() < 64;
        for (ours, theirs, side) in [(ours, base, ours), (base, ours, ours), (ours, ours, ours)] {
            match merge(base, ours, theirs).0 {
                Some(merged) => assert_eq!(merged, side),
                None => assert!(!certain),
            }
        }
    }
    merged.is_some()
}

/// What is shown moves no cursor, reorders nothing, keeps to the width and loses nothing.
pub(crate) fn display(raw: &[u8]) -> bool {
    let text = String::from_utf8_lossy(raw);
    let shown = plain::plain(&text);
    assert_eq!(plain::plain(&shown), shown);
    assert!(!shown.contains(|c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }));
    let lines = plain::wrap(&shown, "  ");
    assert!(
        lines
            .iter()
            .all(|line| plain::width(line) <= plain::COLUMNS)
    );
    let letters = |text: &str| text.replace(' ', "");
    assert_eq!(letters(&lines.concat()), letters(&shown));
    assert!(plain::width(&plain::clip(&shown, 40)) <= 40);
    true
}
