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
