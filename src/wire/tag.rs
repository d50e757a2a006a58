//! Annotated tags: four header lines, a message, and the signature at its end.
//!
//! Source: git's `tag.c`, `fsck_tag_standalone`, and `gpg-interface.c` (`parse_signed_buffer`).

use bstr::{BString, ByteSlice};

use super::commit::MAX_ARMOR;
use super::ident::Ident;
use super::object::{HeaderError, Headers, ObjectFault, ObjectKind, Signed};
use super::oid::{ObjectFormat, Oid};
use super::refname;

/// Lines at which git begins a signature (it compares beginnings).
const SIGNATURE_BEGINS: [&str; 4] = [
    "-----BEGIN PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
    "-----BEGIN SSH SIGNATURE-----",
    "-----BEGIN SIGNED MESSAGE-----",
];

/// An annotated tag as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it points at.
    pub target: Oid,
    /// What kind of object that is, by the tag's word.
    pub kind: ObjectKind,
    /// The name inside the object; the ref may differ.
    pub name: BString,
    /// Who made it, by the header's word; tags of the oldest git have none.
    pub tagger: Option<Ident>,
    /// Everything below the header, without the signature.
    pub message: BString,
    /// The signature, if there is one; whether it is good is not looked into here.
    pub signed: Option<Signed>,
}

/// What is wrong with a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// git ends the message there, other tools do not.
    #[error("a NUL byte in the tag")]
    Nul,
    /// A line of the header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Not one of the four kinds.
    #[error("`type` is none of commit, tree, blob, tag")]
    Kind,
    /// A name that could not be that of a tag.
    #[error("`tag` is not a name git allows: {0:?}")]
    Name(BString),
    /// More than one line begins a signature: what is signed would depend on the reader.
    #[error("more than one signature")]
    SecondSignature,
    /// Too much after the line that begins the signature.
    #[error("the signature is larger than {MAX_ARMOR} bytes")]
    Armor,
}

impl TagError {
    /// Returns which finding this is.
    pub const fn fault(&self) -> ObjectFault {
        ObjectFault::Malformed
    }
}

impl Tag {
    /// Parses a tag object's content.
    ///
    /// The signature is what git takes for it: from the line that begins it to the end. Signature
    /// headers (git's translation to another object format) are refused with every other header.
    pub fn parse(raw: &[u8], format: ObjectFormat) -> Result<Self, TagError> {
        if raw.find_byte(0).is_some() {
            return Err(TagError::Nul);
        }
        let mut headers = Headers::new(raw);
        let target = headers.oid("object", format)?;
        let kind = ObjectKind::from_word(headers.field("type")?).ok_or(TagError::Kind)?;
        let name = headers.field("tag")?;
        if !refname::is_valid(&[b"refs/tags/", name].concat()) {
            return Err(TagError::Name(name.into()));
        }
        let tagger = match headers.next_is("tagger") {
            true => Some(headers.ident("tagger")?),
            false => None,
        };
        let line = headers.line()?;
        if !line.is_empty() {
            return Err(TagError::Header(HeaderError::Expected {
                want: "an empty line",
                found: super::object::beginning(line),
            }));
        }
        let body = headers.position();
        let (message, signed) = split_signature(raw, body)?;
        Ok(Self {
            target,
            kind,
            name: name.into(),
            tagger,
            message: message.into(),
            signed,
        })
    }
}

/// Splits at the one line that begins a signature; `body` is where the message starts.
fn split_signature(raw: &[u8], body: usize) -> Result<(&[u8], Option<Signed>), TagError> {
    let mut at = body;
    let mut begin = None;
    for line in raw.get(body..).unwrap_or_default().lines_with_terminator() {
        if SIGNATURE_BEGINS
            .iter()
            .any(|marker| line.starts_with_str(marker))
            && begin.replace(at).is_some()
        {
            return Err(TagError::SecondSignature);
        }
        at = at.saturating_add(line.len());
    }
    let end = begin.unwrap_or(raw.len());
    let message = raw.get(body..end).unwrap_or_default();
    if begin.is_none() {
        return Ok((message, None));
    }
    let (payload, armor) = raw.split_at_checked(end).unwrap_or((raw, &[]));
    if armor.len() > MAX_ARMOR {
        return Err(TagError::Armor);
    }
    let signed = Signed {
        payload: payload.to_vec(),
        armor: armor.to_vec(),
    };
    Ok((message, Some(signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/data/wire/", $name)).as_slice()
        };
    }

    const OBJECT: &str = "object 1111111111111111111111111111111111111111\n";
    const REST: &str = "type commit\ntag v1\ntagger T <t@x> 1 +0000\n";

    fn parse(text: &str) -> Result<Tag, TagError> {
        Tag::parse(text.as_bytes(), ObjectFormat::Sha1)
    }

    /// What `git tag` writes is read, in both formats; the review in it parses.
    #[test]
    fn reads_what_git_writes() {
        use ObjectFormat::{Sha1, Sha256};
        let review =
            "countersign: approve refs/heads/main of git.example.com/payments\n\nLooks good.\n";
        for (raw, format, name, signature, message) in [
            (sample!("sha1-tag-ssh"), Sha1, "v1-ssh", "SSH", review),
            (sample!("sha256-tag-ssh"), Sha256, "v1-ssh", "SSH", review),
            (
                sample!("sha1-tag-openpgp"),
                Sha1,
                "v1-openpgp",
                "PGP",
                review,
            ),
            (
                sample!("sha256-tag-openpgp"),
                Sha256,
                "v1-openpgp",
                "PGP",
                review,
            ),
            (sample!("sha1-tag-plain"), Sha1, "plain", "", "Not signed\n"),
            (
                sample!("sha256-tag-plain"),
                Sha256,
                "plain",
                "",
                "Not signed\n",
            ),
            (sample!("sha1-tag-empty"), Sha1, "empty", "", ""),
            (sample!("sha256-tag-empty"), Sha256, "empty", "", ""),
        ] {
            let tag = Tag::parse(raw, format).unwrap();
            assert_eq!(
                (tag.name.to_str().unwrap(), tag.message.to_str().unwrap()),
                (name, message)
            );
            assert_eq!(
                (tag.kind, tag.tagger.unwrap().seconds),
                (ObjectKind::Commit, 1_700_000_001)
            );
            match tag.signed {
                None => assert_eq!(signature, ""),
                Some(signed) => {
                    assert_eq!([signed.payload.as_slice(), &signed.armor].concat(), raw);
                    assert!(signed.payload.ends_with_str(message));
                    assert!(
                        signed
                            .armor
                            .starts_with_str(format!("-----BEGIN {signature} SIGNATURE-----\n"))
                    );
                    let review =
                        crate::wire::review::ReviewMessage::parse(&tag.message, format).unwrap();
                    assert_eq!(review.text, "Looks good.");
                }
            }
        }
    }

    /// Old tags without a tagger, names with dots and slashes, and every kind are tags.
    #[test]
    fn reads_other_tags() {
        for kind in ["commit", "tree", "blob", "tag"] {
            let tag = parse(&format!(
                "{OBJECT}type {kind}\ntag countersign/v1.0-rc.1\n\nx"
            ))
            .unwrap();
            assert_eq!(
                (tag.kind.as_str(), tag.tagger, tag.message.to_str().unwrap()),
                (kind, None, "x")
            );
        }
    }

    /// Two signatures, other headers, other orders: what is signed must not depend on the reader.
    #[test]
    fn refuses_what_readers_differ_in() {
        let ssh = "-----BEGIN SSH SIGNATURE-----\nx\n";
        let pgp = "-----BEGIN PGP MESSAGE-----";
        for text in [
            format!("{OBJECT}{REST}\nm\n{ssh}{ssh}"),
            format!("{OBJECT}{REST}\n{ssh}m\n{pgp}"),
        ] {
            assert_eq!(parse(&text), Err(TagError::SecondSignature), "{text:?}");
        }
        let mid = parse(&format!("{OBJECT}{REST}\nm {ssh}")).unwrap();
        assert_eq!(mid.signed, None);
        for text in [
            format!("{OBJECT}{REST}tagger U <u@x> 1 +0000\n\n"),
            format!("{OBJECT}{REST}gpgsig-sha256 A\n\n"),
            format!("{OBJECT}{REST} A\n\n"),
            format!("{OBJECT}{REST}"),
            format!("{OBJECT}tag v1\ntype commit\n\n"),
            format!("{OBJECT}{OBJECT}{REST}\n"),
            format!("type commit\n{OBJECT}tag v1\n\n"),
            format!("{}{REST}\n", OBJECT.replace('1', "F")),
            format!("{OBJECT}type commit\ntag v1\ntagger T <t@x> <u@x> 1 +0000\n\n"),
        ] {
            assert!(matches!(parse(&text), Err(TagError::Header(_))), "{text:?}");
        }
        for name in ["", "a b", "a..b", "-", "a\tb", "a.lock", "/a"] {
            let result = parse(&format!("{OBJECT}type commit\ntag {name}\n\n"));
            assert_eq!(result.is_ok(), name == "-", "{name:?}");
        }
        assert_eq!(
            parse(&format!("{OBJECT}type Commit\ntag v1\n\n")),
            Err(TagError::Kind)
        );
        assert_eq!(parse(&format!("{OBJECT}{REST}\na\0b")), Err(TagError::Nul));
        let large = format!("{OBJECT}{REST}\n{ssh}{}", "x".repeat(MAX_ARMOR));
        assert_eq!(parse(&large), Err(TagError::Armor));
    }
}
