//! OpenPGP packets (RFC 9580 section 4.2) and detached document signatures (section 5.2), read
//! strictly before the OpenPGP library sees them.
//!
//! The library verifies; this decides what is put before it. Section 5.2.3.7 lets anybody add to
//! a signature's unhashed part without breaking it: here it may name the issuer and nothing else.

/// No signature and no certificate needs more.
const MAX_PACKETS: usize = 4096;
/// No file of certificates that is imported needs more.
const MAX_KEYRING_PACKETS: usize = 1 << 20;

/// Subpacket types that are looked at (RFC 9580 section 5.2.3.7).
const CREATED: u8 = 2;
const EXPIRES: u8 = 3;
const ISSUER: u8 = 16;
const SIGNERS_USER_ID: u8 = 28;
const EMBEDDED: u8 = 32;
const ISSUER_FINGERPRINT: u8 = 33;

/// One packet, framed but not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The packet's type id.
    pub tag: u8,
    /// Whether the length is written in as few bytes as can be.
    pub minimal: bool,
    /// Header and body.
    pub whole: &'a [u8],
    /// What follows the header.
    pub body: &'a [u8],
}

/// A detached signature over a binary document: what it says of itself. Not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSignature {
    /// 4 or 6.
    pub version: u8,
    /// Public-key algorithm id (RFC 9580 section 9.1).
    pub algorithm: u8,
    /// When it was made, by the signer's word: seconds since 1970.
    pub created: u32,
    /// Seconds after `created` at which it ends; never zero.
    pub expires_after: Option<u32>,
    /// Whom it names as its maker; at least one.
    pub issuers: Vec<Issuer>,
}

/// How a signature names the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The last or first eight bytes of the fingerprint, by version.
    KeyId([u8; 8]),
    /// Key version and fingerprint.
    Fingerprint(u8, Vec<u8>),
}

/// What is wrong with OpenPGP data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpError {
    /// A length leads past the end.
    #[error("OpenPGP data is truncated")]
    Truncated,
    /// No packet begins here, or its length is open-ended.
    #[error("malformed OpenPGP packet header")]
    Header,
    /// Too many packets.
    #[error("too many OpenPGP packets")]
    TooMany,
    /// Not one signature packet and nothing else.
    #[error("an OpenPGP signature block holds exactly one signature packet")]
    NotOne,
    /// A length or number that could be written shorter, or bytes that follow the end.
    #[error("the OpenPGP signature is not written canonically")]
    NotCanonical,
    /// A version this does not read.
    #[error("OpenPGP signature version {0}, only 4 and 6 are accepted")]
    Version(u8),
    /// Not over a binary document.
    #[error("OpenPGP signature type 0x{0:02x}, only signatures over binary documents are accepted")]
    Type(u8),
    /// MD5, SHA-1, RIPEMD-160, SHA-224 or unknown.
    #[error("OpenPGP hash algorithm {0} is too weak or unknown")]
    Hash(u8),
    /// A public-key algorithm whose signatures this does not read.
    #[error("OpenPGP public-key algorithm {0} is not accepted")]
    Algorithm(u8),
    /// A subpacket twice, of a wrong size, or where it may not be.
    #[error("OpenPGP subpacket {0} is repeated, malformed or misplaced")]
    Subpacket(u8),
    /// The signer asks that who does not understand this refuses.
    #[error("critical OpenPGP subpacket {0} is not understood")]
    Critical(u8),
    /// Names no issuer.
    #[error("the OpenPGP signature does not say whose it is")]
    NoIssuer,
}

/// Frames all packets; every byte belongs to one.
pub fn packets(bytes: &[u8]) -> Result<Vec<Packet<'_>>, OpenPgpError> {
    framed(bytes, MAX_PACKETS)
}

/// Takes a file of certificates apart: each begins with its primary key, public or secret.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<Packet<'_>>>, OpenPgpError> {
    let mut all: Vec<Vec<Packet<'_>>> = Vec::new();
    for packet in framed(bytes, MAX_KEYRING_PACKETS)? {
        match all.last_mut() {
            _ if matches!(packet.tag, 5 | 6) => all.push(vec![packet]),
            Some(certificate) => certificate.push(packet),
            None => return Err(OpenPgpError::Header),
        }
    }
    Ok(all)
}

fn framed(bytes: &[u8], limit: usize) -> Result<Vec<Packet<'_>>, OpenPgpError> {
    let mut reader = Reader { rest: bytes };
    let mut packets = Vec::new();
    while !reader.rest.is_empty() {
        if packets.len() == limit {
            return Err(OpenPgpError::TooMany);
        }
        packets.push(reader.packet()?);
    }
    Ok(packets)
}

impl DocumentSignature {
    /// Reads the packets of a signature block.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenPgpError> {
        let packets = packets(bytes)?;
        let [packet] = packets.as_slice() else {
            return Err(OpenPgpError::NotOne);
        };
        if packet.tag != 2 {
            return Err(OpenPgpError::NotOne);
        }
        if !packet.minimal {
            return Err(OpenPgpError::NotCanonical);
        }
        let parts = Parts::read(packet.body)?;
        if parts.kind != 0 {
            return Err(OpenPgpError::Type(parts.kind));
        }
        // SHA2-256, SHA2-384, SHA2-512, SHA3-256, SHA3-512.
        if !matches!(parts.hash, 8 | 9 | 10 | 12 | 14) {
            return Err(OpenPgpError::Hash(parts.hash));
        }
        check_values(parts.algorithm, parts.values)?;
        let mut issuers = unhashed_issuers(parts.unhashed)?;
        let mut created = None;
        let mut expires_after = None;
        for subpacket in subpackets(parts.hashed)? {
            let again = match subpacket.tag {
                CREATED => created.replace(subpacket.number()?).is_some(),
                EXPIRES => expires_after.replace(subpacket.number()?).is_some(),
                ISSUER | ISSUER_FINGERPRINT => {
                    issuers.push(subpacket.issuer()?);
                    false
                }
                EMBEDDED => true,
                SIGNERS_USER_ID => false,
                other if subpacket.critical => return Err(OpenPgpError::Critical(other)),
                _ => false,
            };
            if again {
                return Err(OpenPgpError::Subpacket(subpacket.tag));
            }
        }
        if issuers.is_empty() {
            return Err(OpenPgpError::NoIssuer);
        }
        Ok(Self {
            version: parts.version,
            algorithm: parts.algorithm,
            created: created.ok_or(OpenPgpError::Subpacket(CREATED))?,
            expires_after: expires_after.filter(|seconds| *seconds != 0),
            issuers,
        })
    }
}

fn unhashed_issuers(area: &[u8]) -> Result<Vec<Issuer>, OpenPgpError> {
    let mut seen = Vec::new();
    let mut issuers = Vec::new();
    for subpacket in subpackets(area)? {
        let repeated = seen.contains(&subpacket.tag);
        if repeated || subpacket.critical || !subpacket.minimal {
            return Err(OpenPgpError::Subpacket(subpacket.tag));
        }
        seen.push(subpacket.tag);
        issuers.push(subpacket.issuer()?);
    }
    Ok(issuers)
}

/// Succeeds if `values` are as many as the algorithm makes, canonical, with nothing after them.
fn check_values(algorithm: u8, values: &[u8]) -> Result<(), OpenPgpError> {
    let numbers = match algorithm {
        // RSA; ECDSA and the EdDSA of before RFC 9580.
        1 | 3 => 1,
        19 | 22 => 2,
        // Ed25519 and Ed448 have a fixed size.
        27 if values.len() == 64 => return Ok(()),
        28 if values.len() == 114 => return Ok(()),
        27 | 28 => return Err(OpenPgpError::NotCanonical),
        other => return Err(OpenPgpError::Algorithm(other)),
    };
    let mut reader = Reader { rest: values };
    for _ in 0..numbers {
        let bits = usize::from(reader.u16()?);
        let digits = reader.take(bits.div_ceil(8))?;
        let first = digits.first().copied().unwrap_or_default();
        let used = digits.len().saturating_mul(8);
        let leading = usize::try_from(first.leading_zeros()).unwrap_or(8);
        if used.checked_sub(leading) != Some(bits) || bits == 0 {
            return Err(OpenPgpError::NotCanonical);
        }
    }
    reader.finish()
}

/// The fields of a version 4 or 6 signature.
struct Parts<'a> {
    version: u8,
    kind: u8,
    algorithm: u8,
    hash: u8,
    hashed: &'a [u8],
    unhashed: &'a [u8],
    values: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(body: &'a [u8]) -> Result<Self, OpenPgpError> {
        let mut reader = Reader { rest: body };
        let version = reader.u8()?;
        if version != 4 && version != 6 {
            return Err(OpenPgpError::Version(version));
        }
        let kind = reader.u8()?;
        let algorithm = reader.u8()?;
        let hash = reader.u8()?;
        let hashed = reader.area(version)?;
        let unhashed = reader.area(version)?;
        reader.take(2)?;
        if version == 6 {
            let salt = reader.u8()?;
            reader.take(usize::from(salt))?;
        }
        Ok(Self {
            version,
            kind,
            algorithm,
            hash,
            hashed,
            unhashed,
            values: reader.rest,
        })
    }
}

struct Subpacket<'a> {
    tag: u8,
    critical: bool,
    minimal: bool,
    body: &'a [u8],
}

fn subpackets(area: &[u8]) -> Result<Vec<Subpacket<'_>>, OpenPgpError> {
    let mut reader = Reader { rest: area };
    let mut found = Vec::new();
    while !reader.rest.is_empty() {
        let (length, minimal) = reader.new_length(true)?;
        let (first, body) = reader
            .take(length)?
            .split_first()
            .ok_or(OpenPgpError::Truncated)?;
        found.push(Subpacket {
            tag: first & 0x7f,
            critical: first & 0x80 != 0,
            minimal,
            body,
        });
    }
    Ok(found)
}

impl Subpacket<'_> {
    fn number(&self) -> Result<u32, OpenPgpError> {
        let bytes = <[u8; 4]>::try_from(self.body);
        bytes
            .map(u32::from_be_bytes)
            .map_err(|_| OpenPgpError::Subpacket(self.tag))
    }

    fn issuer(&self) -> Result<Issuer, OpenPgpError> {
        let wrong = OpenPgpError::Subpacket(self.tag);
        match (self.tag, self.body) {
            (ISSUER, id) => id.try_into().map(Issuer::KeyId).map_err(|_| wrong),
            (ISSUER_FINGERPRINT, [4, rest @ ..]) if rest.len() == 20 => {
                Ok(Issuer::Fingerprint(4, rest.to_vec()))
            }
            (ISSUER_FINGERPRINT, [6, rest @ ..]) if rest.len() == 32 => {
                Ok(Issuer::Fingerprint(6, rest.to_vec()))
            }
            _ => Err(wrong),
        }
    }
}

/// The two-byte form of a length: 192 to 8383 for packets, to 16319 for subpackets.
fn two_bytes(first: u8, second: u8) -> usize {
    let high = usize::from(first).saturating_sub(192).saturating_mul(256);
    high.saturating_add(usize::from(second)).saturating_add(192)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], OpenPgpError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(OpenPgpError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a big-endian number of at most four bytes.
    fn number(&mut self, length: usize) -> Result<usize, OpenPgpError> {
        let bytes = self.take(length)?;
        let number = bytes
            .iter()
            .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        usize::try_from(number).map_err(|_| OpenPgpError::Truncated)
    }

    fn u8(&mut self) -> Result<u8, OpenPgpError> {
        self.take(1)?
            .first()
            .copied()
            .ok_or(OpenPgpError::Truncated)
    }

    fn u16(&mut self) -> Result<u16, OpenPgpError> {
        u16::try_from(self.number(2)?).map_err(|_| OpenPgpError::Truncated)
    }

    fn area(&mut self, version: u8) -> Result<&'a [u8], OpenPgpError> {
        let length = self.number(if version == 6 { 4 } else { 2 })?;
        self.take(length)
    }

    fn finish(self) -> Result<(), OpenPgpError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(OpenPgpError::NotCanonical)
        }
    }

    /// Reads a length of section 4.2.1 (packets) or 5.2.3.7 (subpackets, whose two-byte form
    /// reaches into what are partial lengths for packets), and whether it is the shortest form.
    fn new_length(&mut self, subpacket: bool) -> Result<(usize, bool), OpenPgpError> {
        let first = self.u8()?;
        let two_bytes_to = if subpacket { 254 } else { 223 };
        match first {
            0..192 => Ok((usize::from(first), true)),
            255 => {
                let length = self.number(4)?;
                Ok((length, length > two_bytes(two_bytes_to, 255)))
            }
            _ if first <= two_bytes_to => Ok((two_bytes(first, self.u8()?), true)),
            _ => Err(OpenPgpError::Header),
        }
    }

    fn packet(&mut self) -> Result<Packet<'a>, OpenPgpError> {
        let start = self.rest;
        let first = self.u8()?;
        let (tag, (length, minimal)) = match (first & 0x80 != 0, first & 0x40 != 0) {
            (true, true) => (first & 0x3f, self.new_length(false)?),
            (true, false) => ((first >> 2) & 0x0f, self.old_length(first & 3)?),
            (false, _) => return Err(OpenPgpError::Header),
        };
        let body = self.take(length)?;
        let used = start.len().saturating_sub(self.rest.len());
        Ok(Packet {
            tag,
            minimal,
            whole: start.get(..used).unwrap_or(start),
            body,
        })
    }

    fn old_length(&mut self, form: u8) -> Result<(usize, bool), OpenPgpError> {
        match form {
            0 => Ok((self.number(1)?, true)),
            1 => self.number(2).map(|length| (length, length > 0xff)),
            2 => self.number(4).map(|length| (length, length > 0xffff)),
            _ => Err(OpenPgpError::Header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A well-formed version 4 Ed25519 signature over nothing in particular.
    fn body(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0, 27, 8];
        for area in [hashed, unhashed] {
            body.extend_from_slice(&u16::try_from(area.len()).unwrap().to_be_bytes());
            body.extend_from_slice(area);
        }
        body.extend_from_slice(&[0xab, 0xcd]);
        body.extend_from_slice(&[7; 64]);
        body
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xc2, u8::try_from(body.len()).unwrap()];
        packet.extend_from_slice(body);
        packet
    }

    const CREATED_AT: [u8; 6] = [5, 2, 0, 0, 0, 9];
    const KEY_ID: [u8; 10] = [9, 16, 1, 2, 3, 4, 5, 6, 7, 8];

    /// What gpg writes is read: creation time hashed, the issuer's key id not.
    #[test]
    fn reads_a_signature() {
        let packet = framed(&body(&CREATED_AT, &KEY_ID));
        let signature = DocumentSignature::parse(&packet).unwrap();
        assert_eq!(signature.created, 9);
        assert_eq!(signature.expires_after, None);
        let issuers = vec![Issuer::KeyId([1, 2, 3, 4, 5, 6, 7, 8])];
        assert_eq!(signature.issuers, issuers);
    }

    /// Everything that could stand beside a good signature, or be read twice, is refused.
    #[test]
    fn refuses_what_is_not_canonical() {
        use OpenPgpError::*;
        let good = body(&CREATED_AT, &KEY_ID);
        let changed = |at: usize, to: u8| {
            let mut body = good.clone();
            body[at] = to;
            framed(&body)
        };
        let longer = [good.as_slice(), &[0]].concat();
        let twice = [framed(&good), framed(&good)].concat();
        let size = u8::try_from(good.len()).unwrap();
        let wide = [&[0xc2, 0xff, 0, 0, 0, size][..], &good].concat();
        let old_wide = [&[0x89, 0, size][..], &good].concat();
        let notation = [3, 20, 0, 0];
        let long_id = [&[0xff, 0, 0, 0, 9][..], &KEY_ID[1..]].concat();
        let critical_id = [9, 16 | 0x80, 1, 2, 3, 4, 5, 6, 7, 8];
        let two_times = [CREATED_AT, CREATED_AT].concat();
        let critical = [&CREATED_AT[..], &[2, 0x80 | 100, 0]].concat();
        let embedded = [&CREATED_AT[..], &[2, 32, 0]].concat();
        let cases: &[(&str, Vec<u8>, OpenPgpError)] = &[
            ("two packets", twice, NotOne),
            (
                "another packet",
                changed(0, 4)
                    .iter()
                    .map(|b| if *b == 0xc2 { 0xc6 } else { *b })
                    .collect(),
                NotOne,
            ),
            ("long header", wide, NotCanonical),
            ("long old header", old_wide, NotCanonical),
            ("version 3", changed(0, 3), Version(3)),
            ("text", changed(1, 1), Type(1)),
            ("certification", changed(1, 0x10), Type(0x10)),
            ("DSA", changed(2, 17), Algorithm(17)),
            ("SHA-1", changed(3, 2), Hash(2)),
            ("MD5", changed(3, 1), Hash(1)),
            ("trailing byte", framed(&longer), NotCanonical),
            (
                "notation added",
                framed(&body(&CREATED_AT, &notation)),
                Subpacket(20),
            ),
            (
                "issuer twice",
                framed(&body(&CREATED_AT, &[KEY_ID, KEY_ID].concat())),
                Subpacket(16),
            ),
            (
                "issuer respelled",
                framed(&body(&CREATED_AT, &long_id)),
                Subpacket(16),
            ),
            (
                "issuer critical",
                framed(&body(&CREATED_AT, &critical_id)),
                Subpacket(16),
            ),
            (
                "created twice",
                framed(&body(&two_times, &KEY_ID)),
                Subpacket(2),
            ),
            (
                "created unhashed",
                framed(&body(&[], &[&CREATED_AT[..], &KEY_ID].concat())),
                Subpacket(2),
            ),
            ("never created", framed(&body(&[], &KEY_ID)), Subpacket(2)),
            (
                "critical unknown",
                framed(&body(&critical, &KEY_ID)),
                Critical(100),
            ),
            (
                "embedded signature",
                framed(&body(&embedded, &KEY_ID)),
                Subpacket(32),
            ),
            ("no issuer", framed(&body(&CREATED_AT, &[])), NoIssuer),
            ("nothing", vec![], NotOne),
            ("half a header", vec![0xc2], Truncated),
            ("partial length", vec![0xc2, 0xe1, 0, 0], Header),
            ("open-ended", vec![0x8b, 0], Header),
        ];
        for (name, packet, error) in cases {
            assert_eq!(
                DocumentSignature::parse(packet),
                Err(error.clone()),
                "{name}"
            );
        }
    }

    /// Numbers are written with the bits they have and no more.
    #[test]
    fn numbers_are_canonical() {
        let cases: &[(&[u8], bool)] = &[
            (&[0, 8, 0x80], true),
            (&[0, 9, 1, 0], true),
            (&[0, 16, 0, 0x80], false),
            (&[0, 7, 0x80], false),
            (&[0, 0], false),
            (&[0, 8, 0x80, 0], false),
            (&[0, 8], false),
        ];
        for (values, good) in cases {
            assert_eq!(check_values(1, values).is_ok(), *good, "{values:?}");
        }
    }
}
