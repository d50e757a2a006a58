//! OpenPGP certificates, and signatures by their keys.
//!
//! Phases: parsing verifies every self-signature, binding and revocation once and keeps what they
//! say as plain numbers ([`Statement`]); [`OpenPgpKey::verify`] finds the key that made a
//! signature; [`OpenPgpKey::standing`] asks what the certificate says of that key at an instant.
//! RFC 9580 sections 5.2 and 10.1. Whatever could take validity away but cannot be checked (a
//! revocation by somebody else, an unknown kind of signature) refuses the certificate.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    Packet as PgpPacket, PacketParser, PublicKey, PublicSubkey, Signature, SignatureType,
    SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PublicParams,
    SignatureBytes, Tag,
};
use rsa::traits::PublicKeyParts;

use super::key::KeyError;
use super::openpgp_statement::{Group, Part, Standing, Statement};
use super::ssh::{checked_ed25519, checked_rsa};
use crate::wire::armor;
use crate::wire::openpgp::{self, DocumentSignature, Issuer, Packet};

/// A certificate whose self-signatures were verified.
#[derive(Clone, Debug)]
pub struct OpenPgpKey {
    primary: PublicKey,
    primary_part: Part,
    subkeys: Vec<(PublicSubkey, Part)>,
}

/// Which key of a certificate made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// The primary key.
    Primary,
    /// The subkey of that index.
    Subkey(usize),
}

/// Where in the certificate the next signature belongs.
enum Place {
    Primary,
    User(usize, UserId),
    Subkey,
    /// After a part that is left out: a picture, or a subkey of an unknown algorithm.
    Skipped,
}

impl OpenPgpKey {
    /// Reads one armoured certificate.
    pub fn parse(armored: &[u8]) -> Result<Self, KeyError> {
        let bytes = armor::parse_openpgp_key(armored)?;
        let packets = openpgp::packets(&bytes)?;
        let Some((first, rest)) = packets.split_first() else {
            return Err(refuse("it is empty"));
        };
        let primary = match first.tag {
            6 => match read(first)? {
                PgpPacket::PublicKey(key) => key,
                _ => return Err(refuse("it does not begin with a public key")),
            },
            5 => return Err(refuse("this is a SECRET key: take it away and revoke it")),
            _ => return Err(refuse("it does not begin with a public key")),
        };
        check_version(primary.version())?;
        check_algorithm(primary.public_params())?;
        let mut key = Self {
            primary_part: Part::new(primary.created_at().as_secs()),
            primary,
            subkeys: Vec::new(),
        };
        key.read_parts(rest)?;
        if !key.primary_part.has_strong_statement() {
            return Err(refuse(
                "no valid self-signature with a hash of at least SHA-256: renew it with today's gpg",
            ));
        }
        Ok(key)
    }

    /// Returns the primary key's fingerprint in upper-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.primary.fingerprint())
    }

    /// Returns the key ids of all its keys.
    pub fn key_ids(&self) -> impl Iterator<Item = [u8; 8]> {
        let subkeys = self.subkeys.iter().map(|(key, _)| key.legacy_key_id());
        let ids = std::iter::once(self.primary.legacy_key_id()).chain(subkeys);
        ids.filter_map(|id| id.as_ref().try_into().ok())
    }

    /// Returns the keys that `signature` may be by: those that all its issuers name.
    pub fn candidates(&self, signature: &DocumentSignature) -> Vec<MadeBy> {
        let mut found = Vec::new();
        if names(signature, &self.primary) {
            found.push(MadeBy::Primary);
        }
        for (index, (subkey, _)) in self.subkeys.iter().enumerate() {
            if names(signature, subkey) {
                found.push(MadeBy::Subkey(index));
            }
        }
        found
    }

    /// Succeeds if `signature`, whose packet is `packet`, is that key's over `payload`.
    pub fn verify(
        &self,
        by: MadeBy,
        signature: &DocumentSignature,
        packet: &[u8],
        payload: &[u8],
    ) -> Result<(), KeyError> {
        let parsed = read_signature(packet)?;
        match by {
            MadeBy::Primary => verify_document(&parsed, signature, &self.primary, payload),
            MadeBy::Subkey(index) => match self.subkeys.get(index) {
                Some((subkey, _)) => verify_document(&parsed, signature, subkey, payload),
                None => Err(refuse("no such subkey")),
            },
        }
    }

    /// Returns what the certificate says at `at` (seconds since 1970) of a key of its, for
    /// signing documents.
    ///
    /// A key revoked as compromised, or without a reason, is revoked at all times; one superseded
    /// or retired from the revocation's own time. Expiry counts from the newest self-signature
    /// made by then.
    pub fn standing(&self, by: MadeBy, at: i64) -> Standing {
        match by {
            MadeBy::Primary => self.primary_part.standing(at),
            MadeBy::Subkey(index) => match self.subkeys.get(index) {
                Some((_, part)) => self.primary_part.life(at).and(part.standing(at)),
                None => Standing::Revoked,
            },
        }
    }

    /// Returns the best standing at `at` of any of its keys: whether one can sign documents.
    pub fn best_standing(&self, at: i64) -> Standing {
        let subkeys = (0..self.subkeys.len()).map(MadeBy::Subkey);
        let all = std::iter::once(MadeBy::Primary).chain(subkeys);
        let standings = all.map(|by| self.standing(by, at));
        standings.min().unwrap_or(Standing::NotForSigning)
    }

    fn read_parts(&mut self, packets: &[Packet<'_>]) -> Result<(), KeyError> {
        let mut place = Place::Primary;
        let mut users = 0;
        for packet in packets {
            match packet.tag {
                2 => self.read_signature(&place, packet)?,
                13 => {
                    let PgpPacket::UserId(user) = read(packet)? else {
                        return Err(refuse("a malformed user id"));
                    };
                    place = Place::User(users, user);
                    users += 1;
                }
                14 => place = self.read_subkey(packet)?,
                17 => place = Place::Skipped,
                // Marker, trust, padding.
                10 | 12 | 21 => {}
                6 => return Err(refuse("more than one key: give each a file of its own")),
                tag => return Err(refuse(&format!("a packet of type {tag} in it"))),
            }
        }
        Ok(())
    }

    fn read_subkey(&mut self, packet: &Packet<'_>) -> Result<Place, KeyError> {
        // What cannot be read cannot sign.
        let Ok(PgpPacket::PublicSubkey(subkey)) = read(packet) else {
            return Ok(Place::Skipped);
        };
        let aligned = subkey.version() == self.primary.version();
        if !aligned || check_algorithm(subkey.public_params()).is_err() {
            return Ok(Place::Skipped);
        }
        let part = Part::new(subkey.created_at().as_secs());
        self.subkeys.push((subkey, part));
        Ok(Place::Subkey)
    }

    fn read_signature(&mut self, place: &Place, packet: &Packet<'_>) -> Result<(), KeyError> {
        let signature = read_signature(packet.whole)?;
        let kind = signature
            .typ()
            .ok_or_else(|| refuse("a signature of an unknown version"))?;
        match (kind, place) {
            (SignatureType::KeyRevocation, _) => {
                checkable(signature.verify_key(&self.primary))?;
                self.primary_part.revoke(&signature);
            }
            (SignatureType::SubkeyRevocation, Place::Skipped) => {}
            (SignatureType::SubkeyRevocation, _) => {
                let last = self.subkeys.last_mut();
                let (subkey, part) = last.ok_or_else(|| refuse("a stray revocation"))?;
                checkable(signature.verify_subkey_binding(&self.primary, subkey))?;
                part.revoke(&signature);
            }
            (SignatureType::Key, _) if signature.verify_key(&self.primary).is_ok() => {
                self.primary_part.add(statement(Group::Direct, &signature));
            }
            (_, Place::User(index, user)) if signature.is_certification() => {
                // Others certify user ids too; theirs do not verify here and say nothing.
                let ours = signature.verify_certification(&self.primary, Tag::UserId, user);
                if ours.is_ok() {
                    let mut statement = statement(Group::User(*index), &signature);
                    statement.withdraws = kind == SignatureType::CertRevocation;
                    self.primary_part.add(statement);
                }
            }
            (SignatureType::SubkeyBinding, Place::Subkey) => self.bind(&signature),
            _ => {}
        }
        Ok(())
    }

    /// Takes a binding of the newest subkey; it signs only if it says itself whose it is.
    fn bind(&mut self, signature: &Signature) {
        let Some((subkey, part)) = self.subkeys.last_mut() else {
            return;
        };
        let bound = signature.verify_subkey_binding(&self.primary, subkey);
        if bound.is_err() {
            return;
        }
        let mut statement = statement(Group::Binding, signature);
        let backed = signature.embedded_signature().is_some_and(|back| {
            is_strong(back)
                && back
                    .verify_primary_key_binding(subkey, &self.primary)
                    .is_ok()
        });
        if !backed {
            statement.signs = Some(false);
        }
        part.add(statement);
    }
}

fn refuse(why: &str) -> KeyError {
    KeyError::OpenPgp(why.to_owned())
}

fn checkable(verified: pgp::errors::Result<()>) -> Result<(), KeyError> {
    verified
        .map_err(|_| refuse("a revocation in it is not by the key itself and cannot be checked"))
}

fn read(packet: &Packet<'_>) -> Result<PgpPacket, KeyError> {
    let mut parser = PacketParser::new(packet.whole);
    match parser.next() {
        Some(Ok(read)) => Ok(read),
        Some(Err(error)) => Err(refuse(&error.to_string())),
        None => Err(refuse("a truncated packet")),
    }
}

fn read_signature(packet: &[u8]) -> Result<Signature, KeyError> {
    match PacketParser::new(packet).next() {
        Some(Ok(PgpPacket::Signature(signature))) => Ok(signature),
        Some(Err(error)) => Err(refuse(&error.to_string())),
        _ => Err(refuse("a malformed signature")),
    }
}

fn check_version(version: KeyVersion) -> Result<(), KeyError> {
    match version {
        KeyVersion::V4 | KeyVersion::V6 => Ok(()),
        other => Err(refuse(&format!(
            "key version {}, only 4 and 6 are accepted",
            u8::from(other)
        ))),
    }
}

/// Succeeds for the algorithms and sizes whose signatures are believed.
fn check_algorithm(params: &PublicParams) -> Result<(), KeyError> {
    match params {
        PublicParams::RSA(rsa) => checked_rsa(rsa.key.n().clone(), rsa.key.e().clone()).map(|_| ()),
        PublicParams::ECDSA(
            EcdsaPublicParams::P256 { .. }
            | EcdsaPublicParams::P384 { .. }
            | EcdsaPublicParams::P521 { .. },
        )
        | PublicParams::Ed448(_) => Ok(()),
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { key }) => {
            checked_ed25519(key.as_bytes()).map(|_| ())
        }
        PublicParams::Ed25519(params) => checked_ed25519(params.key.as_bytes()).map(|_| ()),
        _ => Err(refuse(
            "its algorithm is not accepted: RSA, ECDSA on NIST curves, Ed25519 and Ed448 are",
        )),
    }
}

fn is_strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

/// Returns what a verified self-signature says; only its hashed part speaks.
fn statement(group: Group, signature: &Signature) -> Statement {
    let understood = signature.config().is_some_and(|config| {
        config.hashed_subpackets().all(|subpacket| {
            let unknown = matches!(
                subpacket.data,
                SubpacketData::Notation(_)
                    | SubpacketData::Other(..)
                    | SubpacketData::Experimental(..)
            );
            !(subpacket.is_critical && unknown)
        })
    });
    let signs = signature.config().and_then(|config| {
        config
            .hashed_subpackets()
            .find_map(|subpacket| match &subpacket.data {
                SubpacketData::KeyFlags(flags) => Some(flags.sign()),
                _ => None,
            })
    });
    let seconds = |duration: pgp::types::Duration| Some(duration.as_secs()).filter(|s| *s != 0);
    Statement {
        group,
        created: signature
            .created()
            .map_or(u32::MAX, |created| created.as_secs()),
        key_expires_after: signature.key_expiration_time().and_then(seconds),
        expires_after: signature.signature_expiration_time().and_then(seconds),
        signs,
        usable: understood && is_strong(signature),
        withdraws: false,
    }
}

fn names(signature: &DocumentSignature, key: &impl KeyDetails) -> bool {
    let fingerprint = key.fingerprint();
    let version = u8::from(key.version());
    signature.issuers.iter().all(|issuer| match issuer {
        Issuer::KeyId(id) => key.legacy_key_id().as_ref() == id,
        Issuer::Fingerprint(of, bytes) => {
            *of == version && fingerprint.as_bytes() == bytes.as_slice()
        }
    })
}

fn verify_document<K>(
    parsed: &Signature,
    signature: &DocumentSignature,
    key: &K,
    payload: &[u8],
) -> Result<(), KeyError>
where
    K: pgp::types::VerifyingKey + Serialize,
{
    if signature.algorithm != u8::from(key.algorithm()) {
        return Err(refuse("the signature's algorithm is not the key's"));
    }
    if signature.version != u8::from(key.version()) {
        return Err(refuse("the signature's version is not the key's"));
    }
    if signature.created < key.created_at().as_secs() {
        return Err(refuse("the signature is older than its key"));
    }
    check_commitment(parsed, signature.algorithm)?;
    parsed
        .verify(key, payload)
        .map_err(|_| refuse("the signature does not match what it signs"))
}

/// Refuses an Ed25519 signature whose first half is of small order, which the library
/// takes: it says less of what was signed than it should.
fn check_commitment(parsed: &Signature, algorithm: u8) -> Result<(), KeyError> {
    let half = match (algorithm, parsed.signature()) {
        (22, Some(SignatureBytes::Mpis(numbers))) => numbers.first().map(|r| r.as_ref()),
        (27, Some(SignatureBytes::Native(bytes))) => bytes.get(..32),
        _ => return Ok(()),
    };
    let digits = half.filter(|digits| digits.len() <= 32).unwrap_or_default();
    let mut point = [0; 32];
    let start = point.len().saturating_sub(digits.len());
    if let Some(end) = point.get_mut(start..) {
        end.copy_from_slice(digits);
    }
    checked_ed25519(&point).map(|_| ()).map_err(|_| weak_half())
}

fn weak_half() -> KeyError {
    refuse("the signature's first half is no point of full order")
}

#[cfg(test)]
mod tests {
    use pgp::types::Ed448PublicParams;

    /// The library reads no point of small order as an Ed448 key, nor, by the same function, as the
    /// first half of a signature; here is why nothing is checked again.
    #[test]
    fn small_order_ed448() {
        let read = |bytes: [u8; 57]| Ed448PublicParams::try_from_reader(&bytes[..]).is_ok();
        // y = 1 and -1, and y = 0 with either x.
        let (mut one, mut minus_one) = ([0; 57], [0xff; 57]);
        one[0] = 1;
        minus_one[0] = 0xfe;
        minus_one[28] = 0xfe;
        minus_one[56] = 0;
        let mut zero = [0; 57];
        zero[56] = 0x80;
        for weak in [one, minus_one, [0; 57], zero] {
            assert!(!read(weak), "{weak:02x?}");
        }
        // The first public key of RFC 8032 section 7.4.
        let good = [
            0x5f, 0xd7, 0x44, 0x9b, 0x59, 0xb4, 0x61, 0xfd, 0x2c, 0xe7, 0x87, 0xec, 0x61, 0x6a,
            0xd4, 0x6a, 0x1d, 0xa1, 0x34, 0x24, 0x85, 0xa7, 0x0e, 0x1f, 0x8a, 0x0e, 0xa7, 0x5d,
            0x80, 0xe9, 0x67, 0x78, 0xed, 0xf1, 0x24, 0x76, 0x9b, 0x46, 0xc7, 0x06, 0x1b, 0xd6,
            0x78, 0x3d, 0xf1, 0xe5, 0x0f, 0x6c, 0xd1, 0xfa, 0x1a, 0xbe, 0xaf, 0xe8, 0x25, 0x61,
            0x80,
        ];
        assert!(read(good));
    }
}
