//! Push certificates: what `git push --signed` signs.
//!
//! Source: gitprotocol-pack(5), "Push Certificate". Lines in this order and no others:
//!
//! ```text
//! certificate version 0.1
//! pusher <who, by the client's word> <seconds> <zone>
//! pushee <url>                        none or one
//! nonce <what the server gave>
//! push-option <option>                any number
//!
//! <old> <new> <ref>                   one or more
//! -----BEGIN …-----                   the signature over everything above it
//! ```

use bstr::BString;

use super::object::Signed;
use super::oid::ObjectFormat;
use super::push::{Push, PushError};

/// The most push options.
pub const MAX_OPTIONS: usize = 1024;
/// The longest value of a header line.
pub const MAX_VALUE: usize = 64 << 10;

/// A certificate. Parsed, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushCert {
    /// Who pushes, by the client's word; the signature says whose key it was.
    pub pusher: BString,
    /// Where the client pushes to, by its word.
    pub pushee: Option<BString>,
    /// What the server gave to be signed.
    pub nonce: BString,
    /// In order.
    pub options: Vec<BString>,
    /// The ref updates.
    pub push: Push,
    /// The bytes that are signed, and the signature.
    pub signed: Signed,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushCertError {
    /// Another first line.
    #[error("not a push certificate of version 0.1")]
    Version,
    /// A line that is missing, or stands elsewhere.
    #[error("the push certificate has no `{0}` where it belongs")]
    Missing(&'static str),
    /// A value that is empty, too long or no plain text.
    #[error("the push certificate's `{0}` is malformed")]
    Value(&'static str),
    /// Too many.
    #[error("more than {MAX_OPTIONS} push options in the push certificate")]
    TooManyOptions,
    /// The ref lines.
    #[error("the push certificate's refs: {0}")]
    Refs(#[from] PushError),
    /// No signature.
    #[error("the push certificate is not signed")]
    Unsigned,
}

impl PushCert {
    /// Reads a certificate; `limit` bounds the number of refs.
    pub fn parse(raw: &[u8], format: ObjectFormat, limit: usize) -> Result<Self, PushCertError> {
        let end = signature(raw).ok_or(PushCertError::Unsigned)?;
        let (payload, armor) = raw.split_at_checked(end).ok_or(PushCertError::Unsigned)?;
        let mut header = Header { rest: payload };
        if header.line() != Some(b"certificate version 0.1") {
            return Err(PushCertError::Version);
        }
        let pusher = header
            .value("pusher")?
            .ok_or(PushCertError::Missing("pusher"))?;
        if !is_dated(&pusher) {
            return Err(PushCertError::Value("pusher"));
        }
        let pushee = header.value("pushee")?;
        let nonce = header
            .value("nonce")?
            .ok_or(PushCertError::Missing("nonce"))?;
        if !nonce.iter().all(u8::is_ascii_graphic) {
            return Err(PushCertError::Value("nonce"));
        }
        let mut options = Vec::new();
        while let Some(option) = header.value("push-option")? {
            if options.len() == MAX_OPTIONS {
                return Err(PushCertError::TooManyOptions);
            }
            options.push(option);
        }
        if header.line() != Some(b"") {
            return Err(PushCertError::Missing("empty line"));
        }
        Ok(Self {
            pusher,
            pushee,
            nonce,
            options,
            push: Push::parse(header.rest, format, limit)?,
            signed: Signed {
                payload: payload.to_vec(),
                armor: armor.to_vec(),
            },
        })
    }
}

/// Returns where the first line stands that begins a signature.
fn signature(raw: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"-----BEGIN ") {
            return Some(at);
        }
        at = at.saturating_add(line.len());
    }
    None
}

/// Returns whether the value ends with a time: `<seconds> <zone>`.
fn is_dated(value: &[u8]) -> bool {
    let mut words = value.rsplitn(3, |byte| *byte == b' ');
    let (zone, seconds, who) = (words.next(), words.next(), words.next());
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let zoned = zone.is_some_and(|zone| match zone {
        [b'+' | b'-', hours @ ..] => hours.len() == 4 && digits(hours),
        _ => false,
    });
    zoned && seconds.is_some_and(digits) && who.is_some_and(|who| !who.is_empty())
}

struct Header<'a> {
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, tail) = self.rest.split_at_checked(end)?;
        self.rest = tail.get(1..)?;
        Some(line)
    }

    /// Takes the next line if it is that one.
    fn value(&mut self, key: &'static str) -> Result<Option<BString>, PushCertError> {
        let value = self.rest.strip_prefix(key.as_bytes());
        if value.and_then(|value| value.first()) != Some(&b' ') {
            return Ok(None);
        }
        let line = self.line().ok_or(PushCertError::Missing(key))?;
        let value = line.get(key.len().saturating_add(1)..).unwrap_or_default();
        let plain = !value.iter().any(u8::is_ascii_control);
        // An option may be empty; nothing else is.
        let full = !value.is_empty() || key == "push-option";
        match plain && full && value.len() <= MAX_VALUE {
            true => Ok(Some(value.into())),
            false => Err(PushCertError::Value(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::RefName;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn parse(text: &str) -> Result<PushCert, PushCertError> {
        PushCert::parse(text.as_bytes(), ObjectFormat::Sha1, 2)
    }

    fn good() -> String {
        format!(
            "certificate version 0.1\npusher A <a@x> 1700000000 +0100\npushee file:///x\nnonce 1-ab\n\
             push-option a b\npush-option \n\n{ID} {ID} refs/heads/a\n-----BEGIN SSH SIGNATURE-----\nx\n"
        )
    }

    /// Each line is taken; what is signed ends where the signature begins.
    #[test]
    fn reads_a_certificate() {
        let cert = parse(&good()).unwrap();
        assert_eq!(cert.pusher, "A <a@x> 1700000000 +0100");
        assert_eq!(cert.pushee.unwrap(), "file:///x");
        assert_eq!(cert.nonce, "1-ab");
        assert_eq!(cert.options, ["a b", ""]);
        assert_eq!(cert.push.updates[0].name, RefName::from("refs/heads/a"));
        assert!(cert.signed.payload.ends_with(b"refs/heads/a\n"));
        assert_eq!(cert.signed.armor, b"-----BEGIN SSH SIGNATURE-----\nx\n");
        let short = good().replace("pushee file:///x\n", "");
        assert_eq!(parse(&short).unwrap().pushee, None);
    }

    /// Another order, a line more or less, and values that are none have each their error.
    #[test]
    fn refuses_other_shapes() {
        use PushCertError::*;
        let with = |old: &str, new: &str| {
            let text = good();
            assert!(text.contains(old), "{old}");
            text.replacen(old, new, 1)
        };
        let two = format!("{ID} {ID} refs/heads/a\n");
        for (text, error) in [
            (String::new(), Unsigned),
            (with("-----BEGIN", "----BEGIN"), Unsigned),
            (with("0.1", "0.2"), Version),
            (with("certificate", "\ncertificate"), Version),
            (with("pusher A", "Pusher A"), Missing("pusher")),
            (with("nonce 1-ab\n", ""), Missing("nonce")),
            (
                with("nonce 1-ab\n", "nonce 1-ab\nnonce 1-ab\n"),
                Missing("empty line"),
            ),
            (with("\n\n", "\n"), Missing("empty line")),
            (with("pushee file:///x\n", "x y\n"), Missing("nonce")),
            (with("nonce 1-ab", "nonce 1 ab"), Value("nonce")),
            (with("nonce 1-ab", "nonce "), Value("nonce")),
            (with("A <a@x> 1700000000 +0100", "A <a@x>"), Value("pusher")),
            (with("A <a@x> 1700000000", "1700000000"), Value("pusher")),
            (with("file:///x", "\u{1b}[2J"), Value("pushee")),
            (
                with("a b", &"x".repeat(MAX_VALUE + 1)),
                Value("push-option"),
            ),
            (
                with("push-option a b\n", &"push-option x\n".repeat(MAX_OPTIONS)),
                TooManyOptions,
            ),
            (with(&two, ""), Refs(PushError::Empty)),
            (
                with(&two, &two.repeat(2)),
                Refs(PushError::Repeated {
                    line: 2,
                    name: RefName::from("refs/heads/a"),
                }),
            ),
        ] {
            assert_eq!(parse(&text), Err(error), "{text}");
        }
    }
}
