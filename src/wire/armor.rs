//! Armour: the text between `-----BEGIN …-----` and `-----END …-----`.
//!
//! ssh: OpenSSH `PROTOCOL.sshsig`. OpenPGP: RFC 9580 section 6, with or without the CRC-24. One
//! block, canonical base64 in lines of one width, nothing before and nothing after it: two texts
//! that mean the same signature are as far as possible not both accepted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sshsig::{SshSig, SshSigError};

/// The longest armoured signature that is read. RSA-16384 under OpenPGP takes about 3 KiB.
pub const MAX_SIGNATURE: usize = 16 * 1024;

/// The longest armoured OpenPGP public key that is read.
pub const MAX_KEY: usize = 256 * 1024;

/// The largest file of armoured OpenPGP public keys that is read.
pub const MAX_KEYS: usize = 64 << 20;

/// The widest line of base64, as in RFC 9580 section 6.2.
const MAX_WIDTH: usize = 76;

/// A signature, taken out of its armour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureBlock {
    /// `SSH SIGNATURE`.
    Ssh(SshSig),
    /// `PGP SIGNATURE`: the packets, not yet looked at.
    OpenPgp(Vec<u8>),
    /// `SIGNED MESSAGE`: CMS, as smimesign and gitsign make it. Not looked at.
    X509,
}

/// What is wrong with armour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// Over the limit.
    #[error("armour of {size} bytes, the limit is {limit}")]
    TooLarge {
        /// What there is.
        size: usize,
        /// What may be.
        limit: usize,
    },
    /// Does not begin with a line this reads.
    #[error("does not begin with a known `-----BEGIN …-----` line")]
    Begin,
    /// No end line, or not as the last line.
    #[error("does not end with `-----END {0}-----`")]
    End(&'static str),
    /// Another block inside, or after.
    #[error("more than one block")]
    Several,
    /// OpenPGP: no empty line between headers and data, or a header that is none.
    #[error("malformed armour headers")]
    Headers,
    /// Lines of uneven or excessive width, or empty ones.
    #[error("base64 lines of uneven width")]
    Lines,
    /// Not canonical base64.
    #[error("not canonical base64")]
    Base64,
    /// The CRC-24 is malformed or wrong.
    #[error("the armour's checksum does not match")]
    Checksum,
    /// The block is well armoured but no SSHSIG.
    #[error(transparent)]
    Ssh(#[from] SshSigError),
}

/// Reads the one signature in `armor`.
///
/// A line feed may follow the end line; after an OpenPGP block also an empty line, because commits
/// that GitHub signs have one.
pub fn parse(armor: &[u8]) -> Result<SignatureBlock, ArmorError> {
    limit(armor, MAX_SIGNATURE)?;
    if armor.starts_with(b"-----BEGIN SSH SIGNATURE-----\n") {
        let body = body(armor, "SSH SIGNATURE")?;
        return Ok(SignatureBlock::Ssh(SshSig::parse(&decode(&body)?)?));
    }
    if armor.starts_with(b"-----BEGIN PGP SIGNATURE-----\n") {
        return openpgp(armor, "PGP SIGNATURE").map(SignatureBlock::OpenPgp);
    }
    if armor.starts_with(b"-----BEGIN SIGNED MESSAGE-----\n") {
        return Ok(SignatureBlock::X509);
    }
    Err(ArmorError::Begin)
}

/// Returns the packets of one armoured OpenPGP public key.
pub fn parse_openpgp_key(armor: &[u8]) -> Result<Vec<u8>, ArmorError> {
    limit(armor, MAX_KEY)?;
    if !armor.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n") {
        return Err(ArmorError::Begin);
    }
    openpgp(armor, "PGP PUBLIC KEY BLOCK")
}

/// Returns the packets of each block of a file of armoured OpenPGP public keys.
///
/// Blocks stand one after another, with empty lines between and lines that end as on any system.
pub fn parse_openpgp_keys(text: &[u8]) -> Result<Vec<Vec<u8>>, ArmorError> {
    const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";
    limit(text, MAX_KEYS)?;
    let mut blocks = Vec::new();
    let mut block: Vec<u8> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if block.is_empty() && line.is_empty() {
            continue;
        }
        block.extend_from_slice(line);
        block.push(b'\n');
        if line == END {
            blocks.push(openpgp(&block, "PGP PUBLIC KEY BLOCK")?);
            block.clear();
        }
    }
    match block.is_empty() && !blocks.is_empty() {
        true => Ok(blocks),
        false if block.is_empty() => Err(ArmorError::Begin),
        false => Err(ArmorError::End("PGP PUBLIC KEY BLOCK")),
    }
}

/// Returns the packets as one armoured block that [`parse_openpgp_key`] reads.
pub fn openpgp_key(packets: &[u8]) -> String {
    let text = STANDARD.encode(packets);
    let mut armor = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        armor.push_str(line);
        armor.push('\n');
        rest = tail;
    }
    let [_, crc @ ..] = crc24(packets).to_be_bytes();
    armor.push('=');
    armor.push_str(&STANDARD.encode(crc));
    armor.push_str("\n-----END PGP PUBLIC KEY BLOCK-----\n");
    armor
}

fn limit(armor: &[u8], limit: usize) -> Result<(), ArmorError> {
    let size = armor.len();
    if size > limit {
        return Err(ArmorError::TooLarge { size, limit });
    }
    Ok(())
}

fn openpgp(armor: &[u8], label: &'static str) -> Result<Vec<u8>, ArmorError> {
    let armor = match armor.strip_suffix(b"\n\n") {
        Some(_) => armor.strip_suffix(b"\n").unwrap_or(armor),
        None => armor,
    };
    let lines = body(armor, label)?;
    let empty = lines
        .iter()
        .position(|line| line.is_empty())
        .ok_or(ArmorError::Headers)?;
    let (headers, rest) = lines.split_at(empty);
    if !headers.iter().all(|line| is_header(line)) {
        return Err(ArmorError::Headers);
    }
    let data = rest.get(1..).unwrap_or_default();
    let Some((last, before)) = data.split_last() else {
        return Err(ArmorError::Base64);
    };
    let Some(checksum) = last.strip_prefix(b"=") else {
        return decode(data);
    };
    let bytes = decode(before)?;
    let stated = STANDARD
        .decode(checksum)
        .map_err(|_| ArmorError::Checksum)?;
    let [_, computed @ ..] = crc24(&bytes).to_be_bytes();
    if stated != computed {
        return Err(ArmorError::Checksum);
    }
    Ok(bytes)
}

/// Returns the lines between the first and the last.
fn body<'a>(armor: &'a [u8], label: &'static str) -> Result<Vec<&'a [u8]>, ArmorError> {
    let armor = armor.strip_suffix(b"\n").unwrap_or(armor);
    let mut lines: Vec<&[u8]> = armor.split(|byte| *byte == b'\n').collect();
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    if lines.first() != Some(&begin.as_bytes()) {
        return Err(ArmorError::Begin);
    }
    lines.remove(0);
    if lines.pop() != Some(end.as_bytes()) {
        return Err(ArmorError::End(label));
    }
    if lines.iter().any(|line| line.starts_with(b"-----")) {
        return Err(ArmorError::Several);
    }
    Ok(lines)
}

fn is_header(line: &[u8]) -> bool {
    [
        &b"Version: "[..],
        b"Comment: ",
        b"Charset: ",
        b"Hash: ",
        b"MessageID: ",
    ]
    .iter()
    .any(|key| line.starts_with(key))
        && line.iter().all(|byte| !byte.is_ascii_control())
}

fn decode(lines: &[&[u8]]) -> Result<Vec<u8>, ArmorError> {
    let Some((last, before)) = lines.split_last() else {
        return Err(ArmorError::Base64);
    };
    let width = lines.first().map_or(0, |line| line.len());
    let even = before.iter().all(|line| line.len() == width);
    if !even || last.is_empty() || last.len() > width || width > MAX_WIDTH {
        return Err(ArmorError::Lines);
    }
    STANDARD
        .decode(lines.concat())
        .map_err(|_| ArmorError::Base64)
}

/// RFC 9580 section 6.1.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pgp(middle: &str) -> String {
        format!("-----BEGIN PGP SIGNATURE-----\n{middle}-----END PGP SIGNATURE-----\n")
    }

    /// Headers, checksum and GitHub's empty line are part of armour; the bytes come out.
    #[test]
    fn reads_openpgp() {
        let bytes = Ok(SignatureBlock::OpenPgp(b"abcdef".to_vec()));
        let checksum = STANDARD.encode(&crc24(b"abcdef").to_be_bytes()[1..]);
        let good = [
            pgp("\nYWJjZGVm\n"),
            pgp("\nYWJj\nZGVm\n"),
            pgp("Version: GnuPG v1\nComment: x\n\nYWJjZGVm\n"),
            pgp(&format!("\nYWJjZGVm\n={checksum}\n")),
            pgp("\nYWJjZGVm\n") + "\n",
        ];
        for text in good {
            assert_eq!(parse(text.as_bytes()), bytes, "{text}");
        }
        // The check value of CRC-24/OPENPGP.
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
    }

    /// Whatever could hide a second reading is refused.
    #[test]
    fn refuses_loose_armor() {
        use ArmorError::*;
        let good = pgp("\nYWJjZGVm\n");
        let cases = [
            (String::new(), Begin),
            (format!(" {good}"), Begin),
            (good.replace("SIGNATURE", "MESSAGE"), Begin),
            (good.replace('\n', "\r\n"), Begin),
            (
                good.replace("-----END PGP SIGNATURE-----\n", ""),
                End("PGP SIGNATURE"),
            ),
            (good.replace("END PGP", "END SSH"), End("PGP SIGNATURE")),
            (format!("{good}x"), End("PGP SIGNATURE")),
            (format!("{good}\n\n"), End("PGP SIGNATURE")),
            (good.repeat(2), Several),
            (pgp("YWJjZGVm\n"), Headers),
            (pgp("Evil: yes\n\nYWJjZGVm\n"), Headers),
            (pgp("\n"), Base64),
            (pgp("\n\nYWJjZGVm\n"), Lines),
            (pgp("\nYWJj\nZGVmYWJj\n"), Lines),
            (pgp(&format!("\n{}\n", "YWJj".repeat(20))), Lines),
            (pgp("\nYWJjZG Vm\n"), Base64),
            (pgp("\nYWJjZGV\n"), Base64),
            (pgp("\nYWI\n"), Base64),
            (pgp("\nYWJ=\n"), Base64),
            (pgp("\nYWJjZGVm\n=AAAA\n"), Checksum),
            (pgp("\nYWJjZGVm\n=\n"), Checksum),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
        let size = MAX_SIGNATURE + 1;
        let limit = MAX_SIGNATURE;
        assert_eq!(parse(&vec![b'a'; size]), Err(TooLarge { size, limit }));
    }

    /// X.509 is recognised, so that the refusal can name it.
    #[test]
    fn names_x509() {
        let block = parse(b"-----BEGIN SIGNED MESSAGE-----\nMII\n-----END SIGNED MESSAGE-----\n");
        assert_eq!(block, Ok(SignatureBlock::X509));
    }

    proptest::proptest! {
        /// No text makes the reader panic.
        #[test]
        fn any_text(text in "(-----BEGIN (SSH|PGP) SIGNATURE-----\n)?[a-zA-Z=\n]{0,80}\n?(-----END (SSH|PGP) SIGNATURE-----\n?)?") {
            if let Ok(SignatureBlock::OpenPgp(bytes)) = parse(text.as_bytes()) {
                drop(super::super::openpgp::DocumentSignature::parse(&bytes));
            }
        }
    }
}
