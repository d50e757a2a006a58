//! Trailers of commit messages: who else a commit says made it.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::commit::Commit;

impl Commit {
    /// Returns the e-mails of `Co-authored-by` lines, sorted, each once.
    ///
    /// Every line of the message that looks like one is taken, trailer block or not, in any case:
    /// co-authors are only ever excluded, so too many is the safe side. A line without `<…>`
    /// gives its whole value.
    pub fn co_authors(&self) -> Vec<BString> {
        let mut found = BTreeSet::new();
        let mut lines = self.message.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(value) = co_author_value(line) else {
                continue;
            };
            let mut value = value.to_vec();
            // A trailer may be folded: lines that begin with blanks belong to it.
            while let Some(more) =
                lines.next_if(|line| line.starts_with_str(" ") || line.starts_with_str("\t"))
            {
                value.extend_from_slice(more);
            }
            emails(&value, &mut found);
        }
        found.into_iter().collect()
    }
}

/// Returns what follows `Co-authored-by:`, whatever the case and the blanks around it.
fn co_author_value(line: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"co-authored-by";
    let line = line.trim_start();
    let (key, rest) = (line.get(..KEY.len())?, line.get(KEY.len()..)?);
    if !key.eq_ignore_ascii_case(KEY) {
        return None;
    }
    rest.trim_start().strip_prefix(b":")
}

fn emails(value: &[u8], found: &mut BTreeSet<BString>) {
    let mut rest = value;
    let mut bracketed = false;
    while let Some((_, tail)) = rest.split_once_str("<") {
        let end = tail.find_byteset(b"<>").unwrap_or(tail.len());
        let (email, after) = tail.split_at(end);
        if !email.trim().is_empty() {
            found.insert(email.trim().into());
            bracketed = true;
        }
        rest = after;
    }
    if !bracketed && !value.trim().is_empty() {
        found.insert(value.trim().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::oid::ObjectFormat;

    const HEADER: &str = "tree 1111111111111111111111111111111111111111\n\
        author A <a@x> 1 +0000\ncommitter C <c@x> 2 +0000\n";

    /// Whatever may be meant as a co-author is one: hiding in odd spellings excludes too.
    #[test]
    fn finds_co_authors() {
        for (message, want) in [
            ("s\n\nCo-authored-by: B <b@x>\n", vec!["b@x"]),
            (
                "s\n\nco-AUTHORED-by : B <b@x>\r\nCo-Authored-By:C<c@x>",
                vec!["b@x", "c@x"],
            ),
            ("s\n\n  Co-authored-by: B <b@x>\n\nmore text\n", vec!["b@x"]),
            ("s\n\nCo-authored-by: B\n <b@x>\n", vec!["b@x"]),
            ("s\n\nCo-authored-by: B <b@x> <c@x>\n", vec!["b@x", "c@x"]),
            ("s\n\nCo-authored-by: B <b@x\n", vec!["b@x"]),
            ("s\n\nCo-authored-by: b@x\n", vec!["b@x"]),
            ("s\n\nCo-authored-by: b@x <>\n", vec!["b@x <>"]),
            (
                "Co-authored-by: B <b@x>\nCo-authored-by: B <b@x>",
                vec!["b@x"],
            ),
            ("s\n\nCo-authored-by:\nSigned-off-by: D <d@x>\n", vec![]),
            ("s\n\nThanks, Co-authored-by: B <b@x>\n", vec![]),
        ] {
            let raw = format!("{HEADER}\n{message}");
            let commit = Commit::parse(raw.as_bytes(), ObjectFormat::Sha1).unwrap();
            assert_eq!(commit.co_authors(), want, "{message:?}");
        }
    }
}
