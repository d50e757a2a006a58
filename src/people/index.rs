//! Where each key stands, by what a signature names it with.

use std::collections::BTreeMap;

use super::{KeyMaterial, People, Person, PersonKey, PersonName};
use crate::wire::openpgp::{DocumentSignature, Issuer};

/// Whose key it is, and which of theirs.
type Place = (PersonName, usize);

/// Keys by name. Built once; what it finds is looked at again in [`People`], so that an index that
/// is out of date finds nothing rather than something else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// By fingerprint.
    keys: BTreeMap<String, Vec<Place>>,
    /// OpenPGP certificates, by the key ids of all their keys.
    openpgp: BTreeMap<[u8; 8], Vec<Place>>,
}

impl Index {
    fn new(people: &People) -> Self {
        let mut index = Self::default();
        for person in people.persons.values() {
            for (at, key) in person.keys.iter().enumerate() {
                let place = || (person.name.clone(), at);
                let listed = index.keys.entry(key.fingerprint.clone()).or_default();
                listed.push(place());
                if let KeyMaterial::OpenPgp(certificate) = &key.material {
                    for id in certificate.key_ids() {
                        index.openpgp.entry(id).or_default().push(place());
                    }
                }
            }
        }
        index
    }
}

impl People {
    /// Returns every entry of a key, in the order of people.
    pub(super) fn entries(&self, fingerprint: &str) -> Vec<(&Person, &PersonKey)> {
        let places = self.index().keys.get(fingerprint);
        let entries = places.into_iter().flatten();
        let found = entries.filter_map(|place| self.at(place));
        found
            .filter(|(_, key)| key.fingerprint == fingerprint)
            .collect()
    }

    /// Returns the OpenPGP certificates that may have a key by which `signature` is.
    pub(super) fn certificates(&self, signature: &DocumentSignature) -> Vec<(&Person, &PersonKey)> {
        // All issuers must name the key, so any one will do to find it.
        let id = signature.issuers.first().and_then(key_id);
        let places = id.and_then(|id| self.index().openpgp.get(&id));
        let entries = places.into_iter().flatten();
        entries.filter_map(|place| self.at(place)).collect()
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self))
    }

    fn at(&self, (name, at): &Place) -> Option<(&Person, &PersonKey)> {
        let person = self.persons.get(name)?;
        Some((person, person.keys.get(*at)?))
    }
}

/// Returns the key id of an issuer: the end of a version 4 fingerprint, the start of a version 6
/// one (RFC 9580 section 5.5.4).
fn key_id(issuer: &Issuer) -> Option<[u8; 8]> {
    match issuer {
        Issuer::KeyId(id) => Some(*id),
        Issuer::Fingerprint(4, bytes) => bytes.last_chunk().copied(),
        Issuer::Fingerprint(_, bytes) => bytes.first_chunk().copied(),
    }
}
