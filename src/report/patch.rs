//! A patch as git writes it, byte for byte; on a terminal, so that it does nothing to it.

use bstr::{BString, ByteVec};

use crate::git::patch::{Content, FilePatch, Hunk, Kind};
use crate::wire::name::RepoPath;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

use super::plain::plain;

/// What reads the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// `git apply`, or a file: the bytes as they are.
    Program,
    /// A terminal: what could steer it, and what is no text, is spelt out.
    Terminal,
}

/// What git puts after a last line that does not end.
const NO_END: &[u8] = b"\\ No newline at end of file\n";

/// Returns one file's part of a patch.
pub fn file(patch: &FilePatch, reader: Reader) -> BString {
    let mut out = header(patch);
    let side = |prefix: &str, there: bool| match there {
        true => quoted(prefix, &patch.path),
        false => BString::from("/dev/null"),
    };
    let sides = [
        side("a/", patch.old.is_some()),
        side("b/", patch.new.is_some()),
    ];
    match &patch.content {
        Content::Same => {}
        Content::Binary | Content::Unread => {
            let [old, new] = &sides;
            out.push_str("Binary files ");
            out.push_str(old);
            out.push_str(" and ");
            out.push_str(new);
            out.push_str(" differ\n");
        }
        Content::Lines(hunks) => {
            for (marks, side) in ["--- ", "+++ "].into_iter().zip(&sides) {
                out.push_str(marks);
                out.push_str(side);
                // Where a name ends must be told from a date behind it.
                out.push_str(if side.contains(&b' ') { "\t\n" } else { "\n" });
            }
            for one in hunks {
                hunk(&mut out, one, reader);
            }
        }
    }
    out
}

/// Names what changes of a file besides its lines.
fn header(patch: &FilePatch) -> BString {
    let mut out = BString::from("diff --git ");
    out.push_str(quoted("a/", &patch.path));
    out.push_str(" ");
    out.push_str(quoted("b/", &patch.path));
    out.push_str("\n");
    let mode = |mode: FileMode| mode.octal();
    let zero = |of: &Oid| Oid::zero(of.format());
    let (lines, index) = match (patch.old, patch.new) {
        (Some((old, a)), Some((new, b))) if old == new => {
            (String::new(), format!("{a}..{b} {}", mode(new)))
        }
        (Some((old, a)), Some((new, b))) => {
            let modes = format!("old mode {}\nnew mode {}\n", mode(old), mode(new));
            (modes, format!("{a}..{b}"))
        }
        (Some((old, a)), None) => {
            let gone = format!("deleted file mode {}\n", mode(old));
            (gone, format!("{a}..{}", zero(&a)))
        }
        (None, Some((new, b))) => {
            let made = format!("new file mode {}\n", mode(new));
            (made, format!("{}..{b}", zero(&b)))
        }
        (None, None) => return out,
    };
    out.push_str(lines);
    let same = patch.old.map(|(_, oid)| oid) == patch.new.map(|(_, oid)| oid);
    if !same {
        out.push_str(format!("index {index}\n"));
    }
    out
}

fn hunk(out: &mut BString, hunk: &Hunk, reader: Reader) {
    let range = |lines: &std::ops::Range<usize>| match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start.saturating_add(1)),
        n => format!("{},{n}", lines.start.saturating_add(1)),
    };
    let (before, after) = (range(&hunk.before), range(&hunk.after));
    out.push_str(format!("@@ -{before} +{after} @@\n"));
    for (kind, lines) in &hunk.blocks {
        let mark = match kind {
            Kind::Stays => b' ',
            Kind::Goes => b'-',
            Kind::Comes => b'+',
        };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            out.push_byte(mark);
            let (text, ends) = match line.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (line, false),
            };
            match reader {
                Reader::Program => out.push_str(text),
                Reader::Terminal => out.push_str(visible(text)),
            }
            out.push_byte(b'\n');
            if !ends {
                out.push_str(NO_END);
            }
        }
    }
}

/// Spells out whatever could steer a terminal; a tab stays.
fn visible(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut pieces = chunk.valid().split('\t');
        out.push_str(&plain(pieces.next().unwrap_or_default()));
        for piece in pieces {
            out.push('\t');
            out.push_str(&plain(piece));
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Returns a path as git prints it: in double quotes with octal escapes where it is not plain.
///
/// The escapes leave nothing that could steer a terminal, and git reads them back to the same bytes.
pub fn quoted(prefix: &str, path: &RepoPath) -> BString {
    let path: &[u8] = path.as_bstr();
    let simple = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(byte);
    if path.iter().all(simple) {
        return BString::from([prefix.as_bytes(), path].concat());
    }
    let mut out = BString::from(format!("\"{prefix}"));
    for byte in path {
        let short = match byte {
            b'"' => Some('"'),
            b'\\' => Some('\\'),
            0x07 => Some('a'),
            0x08 => Some('b'),
            b'\t' => Some('t'),
            b'\n' => Some('n'),
            0x0b => Some('v'),
            0x0c => Some('f'),
            b'\r' => Some('r'),
            _ => None,
        };
        match short {
            Some(letter) => out.push_str(format!("\\{letter}")),
            None if simple(byte) => out.push_byte(*byte),
            None => out.push_str(format!("\\{byte:03o}")),
        }
    }
    out.push_byte(b'"');
    out
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    fn a_file(mode: FileMode, byte: u8) -> Option<(FileMode, Oid)> {
        Some((mode, Oid::from_bytes(&[byte; 20]).unwrap()))
    }

    fn lines(blocks: &[(Kind, &str)]) -> Content {
        let count = |other: Kind| {
            let mine = blocks.iter().filter(|(kind, _)| *kind != other);
            mine.map(|(_, text)| text.lines().count()).sum()
        };
        let blocks = blocks.iter().map(|(kind, text)| (*kind, (*text).into()));
        Content::Lines(vec![Hunk {
            before: 0..count(Kind::Comes),
            after: 0..count(Kind::Goes),
            blocks: blocks.collect(),
        }])
    }

    fn text(patch: &FilePatch, reader: Reader) -> String {
        file(patch, reader).to_string()
    }

    /// A changed file, whose last line does not end and whose name needs quotes.
    #[test]
    fn changed() {
        let patch = FilePatch {
            path: RepoPath::from("a \"b\""),
            old: a_file(FileMode::File, 0x11),
            new: a_file(FileMode::Executable, 0x22),
            content: lines(&[
                (Kind::Stays, "same\n"),
                (Kind::Goes, "old\n"),
                (Kind::Comes, "new"),
            ]),
        };
        insta::assert_snapshot!(text(&patch, Reader::Program).replace('\t', "<tab>"), @r#"
        diff --git "a/a \"b\"" "b/a \"b\""
        old mode 100644
        new mode 100755
        index 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222
        --- "a/a \"b\""<tab>
        +++ "b/a \"b\""<tab>
        @@ -1,2 +1,2 @@
         same
        -old
        +new
        \ No newline at end of file
        "#);
    }

    /// What comes, goes, is empty, is no text or was not read.
    #[test]
    fn whole_files() {
        let (one, two) = (
            a_file(FileMode::File, 0x11),
            a_file(FileMode::Symlink, 0x22),
        );
        let patch = |old, new, content| {
            let path = RepoPath::from("a");
            let patch = FilePatch {
                path,
                old,
                new,
                content,
            };
            text(&patch, Reader::Program)
        };
        let gone = patch(one, None, lines(&[(Kind::Goes, "x\n")]));
        let empty = patch(None, one, Content::Same);
        let link = patch(None, two, lines(&[(Kind::Comes, "to")]));
        let binary = patch(one, None, Content::Binary);
        insta::assert_snapshot!([gone, empty, link, binary].concat(), @r"
        diff --git a/a b/a
        deleted file mode 100644
        index 1111111111111111111111111111111111111111..0000000000000000000000000000000000000000
        --- a/a
        +++ /dev/null
        @@ -1 +0,0 @@
        -x
        diff --git a/a b/a
        new file mode 100644
        index 0000000000000000000000000000000000000000..1111111111111111111111111111111111111111
        diff --git a/a b/a
        new file mode 120000
        index 0000000000000000000000000000000000000000..2222222222222222222222222222222222222222
        --- /dev/null
        +++ b/a
        @@ -0,0 +1 @@
        +to
        \ No newline at end of file
        diff --git a/a b/a
        deleted file mode 100644
        index 1111111111111111111111111111111111111111..0000000000000000000000000000000000000000
        Binary files a/a and /dev/null differ
        ");
    }

    /// A program gets the bytes, a terminal nothing that it would obey.
    #[test]
    fn hostile_lines() {
        let evil = "a\u{1b}[2Jb\tc\r\u{202e}d\u{9b}e\n";
        let mut bytes = evil.as_bytes().to_vec();
        bytes.splice(0..0, [0xff]);
        let patch = FilePatch {
            path: RepoPath::new(b"x\x1b\xc3\xa9\xff".to_vec()),
            old: None,
            new: a_file(FileMode::File, 0x11),
            content: Content::Lines(vec![Hunk {
                before: 0..0,
                after: 0..1,
                blocks: vec![(Kind::Comes, bytes.clone())],
            }]),
        };
        let exact = file(&patch, Reader::Program);
        assert!(exact.ends_with(&[b"+", bytes.as_slice()].concat()));
        let shown = file(&patch, Reader::Terminal);
        let line = "+\\xffa\\u{1b}[2Jb\tc\\u{d}\\u{202e}d\\u{9b}e\n";
        assert!(shown.ends_with(line.as_bytes()), "{shown}");
        assert!(shown.contains_str("b/x\\033\\303\\251\\377"), "{shown}");
        let harmless = |byte: &u8| matches!(byte, b'\n' | b'\t' | 0x20..=0x7e);
        assert!(shown.iter().all(harmless), "{shown}");
    }
}
