//! OpenSSH's list of allowed signers, and plain lists of ssh public keys.
//!
//! Source: ssh-keygen(1), "ALLOWED SIGNERS"; ssh_config(5), "PATTERNS". One line each:
//! `principals [options] type base64 [comment]`. Stricter than OpenSSH: what is read here it reads
//! alike, and what it would read by guessing (a time without a zone, a quote inside a word) is an
//! error that names the line. A list of keys, as GitHub and GitLab serve them under `<user>.keys`,
//! has neither principals nor options.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::sshsig::SshReader;

/// The largest file that is read.
pub const MAX_FILE: usize = 1 << 20;
/// The longest line that is read.
pub const MAX_LINE: usize = 16 << 10;
/// The most patterns of one list.
pub const MAX_PATTERNS: usize = 64;

/// One line that lets a key sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerLine {
    /// Where it stands, from 1.
    pub line: usize,
    /// Who may sign with the key.
    pub principals: Patterns,
    /// Whether the key certifies others instead.
    pub cert_authority: bool,
    /// What may be signed; anything if none.
    pub namespaces: Option<Patterns>,
    /// First second at which the key is valid.
    pub valid_after: Option<Timestamp>,
    /// Last second at which the key is valid.
    pub valid_before: Option<Timestamp>,
    /// The key.
    pub key: KeyText,
}

/// One line of a list of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// Where it stands, from 1.
    pub line: usize,
    /// The key.
    pub key: KeyText,
}

/// A public key as it is written; whether it is a good one is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText {
    /// The type, which the key repeats inside.
    pub kind: String,
    /// In ssh wire format.
    pub blob: Vec<u8>,
    /// What follows; may be empty.
    pub comment: String,
}

/// Patterns separated by commas, at least one; `!` before one excludes what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<(bool, String)>);

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct LineError {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub fault: LineFault,
}

/// A fault of one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// The file is too large, from this line on.
    #[error("more than {MAX_FILE} bytes are not read")]
    FileTooLarge,
    /// Too long.
    #[error("more than {MAX_LINE} bytes in one line")]
    TooLong,
    /// Not text, or text that steers a terminal.
    #[error("not plain UTF-8 text")]
    NotText,
    /// Fewer fields than needed.
    #[error("not `principals [options] type base64`")]
    Shape,
    /// Fewer fields than needed in a list of keys.
    #[error("not `type base64 [comment]`")]
    KeyShape,
    /// A quote where none may stand, or one that is not closed.
    #[error("a quote encloses a whole field or a whole value, and is closed")]
    Quote,
    /// An empty pattern, or too many.
    #[error("a list of 1 to {MAX_PATTERNS} patterns with commas between, none of them empty")]
    Patterns,
    /// An option that is not known, or not of the form it must have.
    #[error(
        "neither a key type nor one of cert-authority, namespaces=\"…\", valid-after=\"…\", valid-before=\"…\": {0:?}"
    )]
    Option(String),
    /// The same option twice.
    #[error("the option {0} stands here twice")]
    Repeated(&'static str),
    /// Not a time.
    #[error("{0} is not YYYYMMDD[HHMM[SS]]Z")]
    Time(&'static str),
    /// A time that depends on the zone of whoever reads it.
    #[error("{0} has no Z at its end: it would mean another time in every time zone")]
    LocalTime(&'static str),
    /// It ends before it begins.
    #[error("valid-before is not later than valid-after")]
    Window,
    /// Base64, or the type inside.
    #[error("the base64 is not a key of type {0:?}")]
    Key(String),
}

/// Reads a list of allowed signers.
pub fn parse(bytes: &[u8]) -> Result<Vec<SignerLine>, LineError> {
    lines(bytes, signer_line)
}

/// Reads a list of public keys.
pub fn parse_keys(bytes: &[u8]) -> Result<Vec<KeyLine>, LineError> {
    lines(bytes, |line, text| {
        let key = key_text(text).ok_or(LineFault::KeyShape)??;
        Ok(KeyLine { line, key })
    })
}

impl Patterns {
    /// Reads a list as it stands between quotes or blanks.
    pub fn parse(text: &str) -> Option<Self> {
        let patterns = text.split(',').map(|pattern| {
            let (negated, rest) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern),
            };
            let plain = !rest.is_empty() && !rest.contains(['"', '\\']);
            plain.then(|| (negated, rest.to_owned()))
        });
        let patterns = patterns.take(MAX_PATTERNS.saturating_add(1));
        let patterns: Vec<_> = patterns.collect::<Option<_>>()?;
        (patterns.len() <= MAX_PATTERNS).then_some(Self(patterns))
    }

    /// Returns whether one pattern matches and none that excludes does.
    pub fn matches(&self, text: &str) -> bool {
        let hits = |wanted: bool| {
            let mut patterns = self.0.iter().filter(move |(negated, _)| *negated == wanted);
            patterns.any(|(_, pattern)| matches(pattern.as_bytes(), text.as_bytes()))
        };
        hits(false) && !hits(true)
    }

    /// Returns the names, if each pattern is the one name that it matches.
    pub fn names(&self) -> Option<Vec<&str>> {
        let name =
            |(negated, pattern): &'_ (bool, String)| !negated && !pattern.contains(['*', '?']);
        let all = self.0.iter().all(name);
        all.then(|| self.0.iter().map(|(_, pattern)| pattern.as_str()).collect())
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (negated, pattern)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let not = if *negated { "!" } else { "" };
            write!(f, "{comma}{not}{pattern}")?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, STANDARD.encode(&self.blob))?;
        match self.comment.is_empty() {
            true => Ok(()),
            false => write!(f, " {}", self.comment),
        }
    }
}

/// Writes the line as OpenSSH and [`parse`] read it.
impl fmt::Display for SignerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principals = self.principals.to_string();
        match principals.starts_with('#') || principals.contains(' ') {
            true => write!(f, "\"{principals}\" ")?,
            false => write!(f, "{principals} ")?,
        }
        let mut options = Vec::new();
        if self.cert_authority {
            options.push("cert-authority".to_owned());
        }
        if let Some(namespaces) = &self.namespaces {
            options.push(format!("namespaces=\"{namespaces}\""));
        }
        for (name, at) in [
            ("valid-after", self.valid_after),
            ("valid-before", self.valid_before),
        ] {
            if let Some(at) = at {
                options.push(format!("{name}=\"{}\"", at.strftime("%Y%m%d%H%M%SZ")));
            }
        }
        if !options.is_empty() {
            write!(f, "{} ", options.join(","))?;
        }
        write!(f, "{}", self.key)
    }
}

/// Takes a file apart into lines, leaving out empty ones and comments.
fn lines<T>(
    bytes: &[u8],
    read: impl Fn(usize, &str) -> Result<T, LineFault>,
) -> Result<Vec<T>, LineError> {
    let mut all = Vec::new();
    let mut used = 0usize;
    for (at, bytes) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = at.saturating_add(1);
        let refuse = |fault| LineError { line, fault };
        used = used.saturating_add(bytes.len());
        if used > MAX_FILE {
            return Err(refuse(LineFault::FileTooLarge));
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() > MAX_LINE {
            return Err(refuse(LineFault::TooLong));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| refuse(LineFault::NotText))?;
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err(refuse(LineFault::NotText));
        }
        let text = trimmed(text);
        if !text.is_empty() && !text.starts_with('#') {
            all.push(read(line, text).map_err(refuse)?);
        }
    }
    Ok(all)
}

fn signer_line(line: usize, text: &str) -> Result<SignerLine, LineFault> {
    let (principals, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (inner, rest) = quoted.split_once('"').ok_or(LineFault::Quote)?;
            if !rest.starts_with(BLANKS) || inner.contains('\t') {
                return Err(LineFault::Quote);
            }
            (inner, rest)
        }
        None => text.split_once(BLANKS).ok_or(LineFault::Shape)?,
    };
    if principals.contains('"') {
        return Err(LineFault::Quote);
    }
    let mut read = SignerLine {
        line,
        principals: Patterns::parse(principals).ok_or(LineFault::Patterns)?,
        cert_authority: false,
        namespaces: None,
        valid_after: None,
        valid_before: None,
        key: KeyText {
            kind: String::new(),
            blob: Vec::new(),
            comment: String::new(),
        },
    };
    let mut rest = trimmed(rest);
    let first = rest.split(BLANKS).next().unwrap_or_default();
    if !is_type(first) || first.eq_ignore_ascii_case(AUTHORITY) {
        rest = trimmed(options(&mut read, rest)?);
    }
    if let (Some(after), Some(before)) = (read.valid_after, read.valid_before)
        && before <= after
    {
        return Err(LineFault::Window);
    }
    read.key = key_text(rest).ok_or(LineFault::Shape)??;
    Ok(read)
}

const BLANKS: [char; 2] = [' ', '\t'];
const AUTHORITY: &str = "cert-authority";

fn trimmed(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

fn is_type(word: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-@.".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

/// Reads options up to the blank that ends them, and returns what follows.
fn options<'t>(read: &mut SignerLine, text: &'t str) -> Result<&'t str, LineFault> {
    let mut rest = text;
    loop {
        let end = rest.find(['=', ',', ' ', '\t']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let unknown = || LineFault::Option(name.chars().take(40).collect());
        let lower = name.to_ascii_lowercase();
        rest = match lower.as_str() {
            AUTHORITY => {
                if std::mem::replace(&mut read.cert_authority, true) {
                    return Err(LineFault::Repeated(AUTHORITY));
                }
                tail
            }
            "namespaces" => {
                let (text, tail) = quoted(tail).ok_or_else(unknown)?;
                let patterns = Patterns::parse(text).ok_or(LineFault::Patterns)?;
                once(&mut read.namespaces, patterns, "namespaces")?;
                tail
            }
            "valid-after" => {
                let (text, tail) = quoted(tail).ok_or_else(unknown)?;
                once(
                    &mut read.valid_after,
                    time(text, "valid-after")?,
                    "valid-after",
                )?;
                tail
            }
            "valid-before" => {
                let (text, tail) = quoted(tail).ok_or_else(unknown)?;
                once(
                    &mut read.valid_before,
                    time(text, "valid-before")?,
                    "valid-before",
                )?;
                tail
            }
            _ => return Err(unknown()),
        };
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.starts_with(BLANKS) => return Ok(rest),
            None if rest.is_empty() => return Err(LineFault::Shape),
            None => return Err(unknown()),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), LineFault> {
    match slot.replace(value) {
        Some(_) => Err(LineFault::Repeated(name)),
        None => Ok(()),
    }
}

/// Takes `="…"` off; a backslash has no meaning worth guessing at.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (inner, rest) = text.strip_prefix("=\"")?.split_once('"')?;
    (!inner.contains(['\\', '\t'])).then_some((inner, rest))
}

/// Reads a time in UTC; OpenSSH takes 1970-01-01T00:00:00Z for no time at all.
fn time(text: &str, name: &'static str) -> Result<Timestamp, LineFault> {
    let wrong = || LineFault::Time(name);
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let known = matches!(digits.len(), 8 | 12 | 14);
    if !known || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    if digits.len() == text.len() {
        return Err(LineFault::LocalTime(name));
    }
    let number = |from: usize, to: usize| -> i8 {
        let digits = digits.get(from..to);
        digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_default()
    };
    let year = digits.get(..4).and_then(|year| year.parse::<i16>().ok());
    let year = year.filter(|year| *year >= 1970).ok_or_else(wrong)?;
    let [month, day, hour, minute, second] =
        [(4, 6), (6, 8), (8, 10), (10, 12), (12, 14)].map(|(from, to)| number(from, to));
    let at = DateTime::new(year, month, day, hour, minute, second, 0);
    let at = at.and_then(|at| at.to_zoned(TimeZone::UTC));
    let at = at.map_err(|_| wrong())?.timestamp();
    (at.as_second() > 0).then_some(at).ok_or_else(wrong)
}

/// Reads `type base64 [comment]`; nothing where a field is missing.
fn key_text(text: &str) -> Option<Result<KeyText, LineFault>> {
    let (kind, rest) = text.split_once(BLANKS)?;
    let rest = trimmed(rest);
    if rest.is_empty() {
        return None;
    }
    let (data, comment) = rest.split_once(BLANKS).unwrap_or((rest, ""));
    if !is_type(kind) {
        return Some(Err(LineFault::Option(kind.chars().take(40).collect())));
    }
    let blob = STANDARD.decode(data).ok().filter(|blob| {
        let named = SshReader::new(blob).string();
        named == Ok(kind.as_bytes())
    });
    Some(match blob {
        Some(blob) => Ok(KeyText {
            kind: kind.to_owned(),
            blob,
            comment: trimmed(comment).to_owned(),
        }),
        None => Err(LineFault::Key(kind.chars().take(40).collect())),
    })
}

/// Matches `*` and `?` without going back further than to the latest `*`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0usize, 0usize);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(seen)) {
            (Some(b'*'), _) => {
                retry = Some((at, seen));
                at = at.saturating_add(1);
            }
            (Some(wanted), Some(found)) if *wanted == b'?' || wanted == found => {
                (at, seen) = (at.saturating_add(1), seen.saturating_add(1));
            }
            (None, None) => return true,
            _ => {
                let Some((star, from)) = retry.filter(|(_, from)| *from < text.len()) else {
                    return false;
                };
                let from = from.saturating_add(1);
                retry = Some((star, from));
                (at, seen) = (star.saturating_add(1), from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
