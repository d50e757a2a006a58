//! What sshd lets a client choose: `AcceptEnv` of sshd_config, forced commands of authorized_keys.
//!
//! Source: sshd_config(5); sshd(8), "AUTHORIZED_KEYS FILE FORMAT". Only what can let somebody past a
//! forced command is read. `Match` is passed over: what is accepted under some condition is accepted.

/// The largest file that is read.
pub const MAX_FILE: usize = 1 << 20;
/// The longest line that is read.
pub const MAX_LINE: usize = 64 << 10;

/// A line of sshd_config that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Where it stands, from 1.
    pub line: usize,
    /// What it is.
    pub kind: DirectiveKind,
    /// Its words.
    pub words: Vec<String>,
}

/// The directives that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectiveKind {
    /// Patterns of variables that a client may set.
    AcceptEnv,
    /// More files.
    Include,
}

/// A line of authorized_keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Where it stands, from 1.
    pub line: usize,
    /// The line, without blanks around it.
    pub text: String,
    /// The forced command, if there is one.
    pub command: Option<String>,
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshdError {
    /// Too large.
    #[error("more than {MAX_FILE} bytes are not read")]
    TooLarge,
    /// A line too long.
    #[error("line {0}: more than {MAX_LINE} bytes")]
    TooLong(usize),
    /// Not text.
    #[error("line {0}: not UTF-8 text")]
    NotText(usize),
    /// A quote that is not closed.
    #[error("line {0}: a quote is not closed")]
    Quote(usize),
}

/// Reads the directives of sshd_config that let a client set variables, or name more files.
pub fn directives(bytes: &[u8]) -> Result<Vec<Directive>, SshdError> {
    let mut found = Vec::new();
    for (line, text) in lines(bytes)? {
        let end = text.find([' ', '\t', '=', '"']).unwrap_or(text.len());
        let (keyword, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let kind = match keyword.to_ascii_lowercase().as_str() {
            "acceptenv" => DirectiveKind::AcceptEnv,
            "include" => DirectiveKind::Include,
            _ => continue,
        };
        let rest = rest.trim_start_matches(BLANKS);
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let words = words(rest).ok_or(SshdError::Quote(line))?;
        found.push(Directive { line, kind, words });
    }
    Ok(found)
}

/// Reads the keys that authorized_keys lets in, each with the command it is held to.
pub fn admitted(bytes: &[u8]) -> Result<Vec<Admitted>, SshdError> {
    let mut found = Vec::new();
    for (line, text) in lines(bytes)? {
        let command = forced(text).ok_or(SshdError::Quote(line))?;
        found.push(Admitted {
            line,
            text: text.to_owned(),
            command,
        });
    }
    Ok(found)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Takes a file apart into lines, leaving out empty ones and comments.
fn lines(bytes: &[u8]) -> Result<Vec<(usize, &str)>, SshdError> {
    if bytes.len() > MAX_FILE {
        return Err(SshdError::TooLarge);
    }
    let mut all = Vec::new();
    for (at, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = at.saturating_add(1);
        if bytes.len() > MAX_LINE {
            return Err(SshdError::TooLong(line));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| SshdError::NotText(line))?;
        let text = text.trim_matches([' ', '\t', '\r', '\u{c}']);
        if !text.is_empty() && !text.starts_with('#') {
            all.push((line, text));
        }
    }
    Ok(all)
}

/// Splits at blanks outside quotes, up to a comment; nothing where a quote stays open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(BLANKS).unwrap_or((rest, "")),
        };
        found.push(word.to_owned());
        rest = after.trim_start_matches(BLANKS);
    }
    Some(found)
}

/// Returns the `command="…"` of a line's options; nothing where a quote stays open.
///
/// Options end at the first blank outside quotes. Of a line without options the key's type is taken for
/// one, which forces nothing.
fn forced(text: &str) -> Option<Option<String>> {
    let mut command = None;
    let mut rest = text;
    loop {
        let end = rest.find(['"', ',', ' ', '\t']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at_checked(end)?;
        let mut tail = tail;
        if let Some(quoted) = tail.strip_prefix('"') {
            let (value, after) = unquoted(quoted)?;
            if name.eq_ignore_ascii_case("command=") {
                // sshd takes the first.
                command.get_or_insert(value);
            }
            tail = after;
        }
        match tail.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some(command),
        }
    }
}

/// Reads up to the quote that ends a value, `\"` being one of its letters, and returns what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(['"', '\\'])?;
        let (head, tail) = rest.split_at_checked(end)?;
        value.push_str(head);
        if let Some(after) = tail.strip_prefix("\\\"") {
            value.push('"');
            rest = after;
        } else if let Some(after) = tail.strip_prefix('\\') {
            value.push('\\');
            rest = after;
        } else {
            return Some((value, tail.strip_prefix('"')?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keywords in any case, with or without `=`, quoted words; nothing else is of interest.
    #[test]
    fn config() {
        let text = "# AcceptEnv NO\nPort 22\n  acceptenv LANG LC_*  # why\nAcceptEnv=GIT_*\n\
                    Match User git\n\tACCEPTENV \"A B\" C\nInclude /etc/ssh/sshd_config.d/*.conf\n\
                    AcceptEnvironment X\n";
        let found = directives(text.as_bytes()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.line, one.kind, one.words.join("|")))
            .collect();
        use DirectiveKind::{AcceptEnv, Include};
        let want = [
            (3, AcceptEnv, "LANG|LC_*"),
            (4, AcceptEnv, "GIT_*"),
            (6, AcceptEnv, "A B|C"),
            (7, Include, "/etc/ssh/sshd_config.d/*.conf"),
        ]
        .map(|(line, kind, words)| (line, kind, words.to_owned()));
        assert_eq!(found, want);
        let open = directives(b"\nAcceptEnv \"X").unwrap_err();
        assert_eq!(open, SshdError::Quote(2));
    }

    /// A command is forced only by the option, wherever it stands among the others.
    #[test]
    fn commands() {
        let line = |text: &str| {
            let mut found = admitted(text.as_bytes()).unwrap();
            found.pop().unwrap().command
        };
        for bare in [
            "ssh-ed25519 AAAA me",
            "restrict,pty ssh-ed25519 AAAA command=\"x\"",
            "environment=\"command=\\\"x\\\"\" ssh-ed25519 AAAA",
            "xcommand=\"x\" ssh-ed25519 AAAA",
        ] {
            assert_eq!(line(bare), None, "{bare}");
        }
        let x = "A=b exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"";
        for held in [
            "restrict,command=\"A=b exec git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" ssh-ed25519 AAAA me",
            "from=\"a b,c\",Command=\"A=b exec git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"\",no-pty ssh-rsa AAAA",
        ] {
            assert_eq!(line(held).as_deref(), Some(x), "{held}");
        }
        let open = admitted(b"command=\"x ssh-rsa AAAA").unwrap_err();
        assert_eq!(open, SshdError::Quote(1));
        assert_eq!(admitted(b"\n# x\n").unwrap(), []);
    }

    /// Sizes have their bounds, and what is no text is no line.
    #[test]
    fn bounds() {
        assert_eq!(
            directives(&vec![b'\n'; MAX_FILE + 1]),
            Err(SshdError::TooLarge)
        );
        assert_eq!(
            admitted(&vec![b'x'; MAX_LINE + 1]),
            Err(SshdError::TooLong(1))
        );
        assert_eq!(admitted(b"\n\xff"), Err(SshdError::NotText(2)));
    }
}
