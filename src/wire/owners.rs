//! Whom an owners file names: `@user`, `@org/team` or an address.
//!
//! Only that: which dialect it is, and who owns what, is not read here. Source: the `CODEOWNERS` pages
//! of GitHub, GitLab, Gitea and Forgejo.

use std::collections::BTreeSet;

use bstr::ByteSlice;

/// The most names that are taken.
pub const MAX_NAMES: usize = 100;
/// The longest name that is taken.
pub const MAX_NAME: usize = 254;

/// Returns the names, each once; a word that is none is passed over.
///
/// The first word of a line is what is owned, or begins a section; whatever follows ` #` is a
/// comment.
pub fn names(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in bytes.lines() {
        let words = line.fields_with(|c| matches!(c, ' ' | '\t' | '\r'));
        let words = words.take_while(|word| !word.starts_with(b"#"));
        for name in words.skip(1).filter_map(name) {
            if found.len() >= MAX_NAMES {
                return found;
            }
            found.insert(name);
        }
    }
    found
}

fn name(word: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+/@".contains(byte);
    let (user, rest) = word.split_once_str("@")?;
    let plausible = !rest.is_empty()
        && !rest.contains(&b'@')
        && (user.is_empty() || !word.contains(&b'/'))
        && word.len() <= MAX_NAME;
    (plausible && word.iter().all(plain)).then(|| word.to_str_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users, teams and addresses are names; patterns, comments, sections and roles are not.
    #[test]
    fn finds_names() {
        for (text, expected) in [
            (
                "*.rs @alice bob@example.com @org/core\n",
                "@alice @org/core bob@example.com",
            ),
            ("# @nobody\n* @a # @b\r\n", "@a"),
            ("@pattern\n", ""),
            ("[Docs][2] @docs\n^[Ops] @ops", "@docs @ops"),
            ("* @@maintainer a@b@c a/b@c @ @\u{e9} \u{1b}@x @a\n", "@a"),
            ("* @b @b\n* @b\n", "@b"),
            ("", ""),
        ] {
            let found: Vec<String> = names(text.as_bytes()).into_iter().collect();
            assert_eq!(found.join(" "), expected, "{text:?}");
        }
    }

    /// However long the file is, what comes out is bounded.
    #[test]
    fn is_bounded() {
        let text: String = (0..1000)
            .map(|n| format!("* @user{n} @{}\n", "x".repeat(400)))
            .collect();
        assert_eq!(names(text.as_bytes()).len(), MAX_NAMES);
    }
}
