//! GnuPG's keybox, `pubring.kbx`: blobs one after another, the first of which is a header.
//!
//! Source: GnuPG, `kbx/keybox-blob.c`. What a blob of type 2 frames is an OpenPGP certificate;
//! its checksum and index fields are not looked at, since a certificate vouches for itself.
//!
//! ```text
//! uint32  length of the blob, this field included
//! byte    type: 0 empty, 1 header, 2 OpenPGP, 3 X.509
//! byte    version
//! byte[2] flags
//! uint32  OpenPGP: where the certificate begins in the blob; header: "KBXf"
//! uint32  OpenPGP: its length
//! ```

/// The largest keybox that is read.
pub const MAX_KEYBOX: usize = 64 << 20;
/// The most blobs.
pub const MAX_BLOBS: usize = 100_000;

/// What is wrong with a keybox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyboxError {
    /// Too large, or too many blobs.
    #[error("a keybox of more than {MAX_KEYBOX} bytes or {MAX_BLOBS} blobs is not read")]
    TooLarge,
    /// Does not begin with a header blob.
    #[error("not a GnuPG keybox")]
    Header,
    /// A length leads past the end, or is too short for its blob.
    #[error("the keybox is damaged at byte {0}")]
    Damaged(usize),
    /// A type this does not know.
    #[error("the keybox has a blob of type {0}")]
    Type(u8),
}

/// Returns whether the bytes begin as a keybox does.
pub fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&1) && bytes.get(8..12) == Some(b"KBXf")
}

/// Returns the packets of each OpenPGP certificate.
pub fn parse(bytes: &[u8]) -> Result<Vec<&[u8]>, KeyboxError> {
    if bytes.len() > MAX_KEYBOX {
        return Err(KeyboxError::TooLarge);
    }
    if !is_keybox(bytes) {
        return Err(KeyboxError::Header);
    }
    let mut certificates = Vec::new();
    let mut rest = bytes;
    let mut blobs = 0usize;
    while !rest.is_empty() {
        let damaged = KeyboxError::Damaged(bytes.len().saturating_sub(rest.len()));
        blobs = blobs.saturating_add(1);
        if blobs > MAX_BLOBS {
            return Err(KeyboxError::TooLarge);
        }
        let length = number(rest, 0).ok_or(damaged)?;
        let (blob, tail) = rest.split_at_checked(length).ok_or(damaged)?;
        rest = tail;
        match blob.get(4).ok_or(damaged)? {
            1 if blobs == 1 => {}
            0 | 3 => {}
            2 => {
                let (from, size) = (number(blob, 8), number(blob, 12));
                let (from, size) = from.zip(size).ok_or(damaged)?;
                let to = from.checked_add(size).ok_or(damaged)?;
                let certificate = blob.get(from..to).filter(|_| from >= 16);
                certificates.push(certificate.ok_or(damaged)?);
            }
            other => return Err(KeyboxError::Type(*other)),
        }
    }
    Ok(certificates)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let (number, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*number)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: u8, words: &[&[u8]]) -> Vec<u8> {
        let body = words.concat();
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], &[kind, 1, 0, 0], &body].concat()
    }

    fn header() -> Vec<u8> {
        blob(1, &[b"KBXf", &[0; 20]])
    }

    fn certificate(from: u32, size: u32) -> Vec<u8> {
        blob(
            2,
            &[&from.to_be_bytes(), &size.to_be_bytes(), b"__packets__"],
        )
    }

    /// Certificates are taken out whole; empty blobs and X.509 are passed over.
    #[test]
    fn reads_blobs() {
        let file = [
            header(),
            blob(0, &[b"gone"]),
            certificate(18, 7),
            blob(3, &[]),
        ]
        .concat();
        assert_eq!(parse(&file).unwrap(), [b"packets".as_slice()]);
        assert!(parse(&header()).unwrap().is_empty());
    }

    /// Lengths that lead elsewhere, and what is no keybox, are refused.
    #[test]
    fn refuses_damage() {
        use KeyboxError::*;
        let at = header().len();
        let with = |blob: Vec<u8>| [header(), blob].concat();
        for (file, error) in [
            (Vec::new(), Header),
            (certificate(18, 7), Header),
            (header()[..20].to_vec(), Damaged(0)),
            (with(vec![0, 0, 0]), Damaged(at)),
            (with(vec![0, 0, 0, 0, 2]), Damaged(at)),
            (with(certificate(18, 100)), Damaged(at)),
            (with(certificate(u32::MAX, u32::MAX)), Damaged(at)),
            (with(certificate(2, 7)), Damaged(at)),
            (with(blob(2, &[])), Damaged(at)),
            (with(header()), Type(1)),
            (with(blob(9, &[])), Type(9)),
        ] {
            assert_eq!(parse(&file), Err(error), "{file:?}");
        }
    }
}
