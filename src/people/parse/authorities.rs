//! `[[ca]]` of `people.toml`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::authority::{Authority, Revocation, RevokedBy};
use super::super::ssh::SshKey;
use super::super::{KeyMaterial, People, PersonName};
use super::{ConfigError, Field, MAX_PEOPLE, Reader, Table, Text, quote, quote_all};

/// The most CAs.
const MAX_AUTHORITIES: usize = 100;
/// The most revocations of one CA.
const MAX_REVOCATIONS: usize = 10_000;

impl Reader<'_> {
    pub(super) fn authorities(
        &mut self,
        field: &Field<'_>,
        people: &People,
    ) -> Result<Vec<Authority>, ConfigError> {
        let items = field.items()?;
        if items.len() > MAX_AUTHORITIES {
            let found = items.len();
            return Err(field.invalid(format!("{found} CAs, at most {MAX_AUTHORITIES} are read")));
        }
        let mut fingerprints = BTreeSet::new();
        let mut authorities = Vec::new();
        for item in items {
            let table = item.table()?;
            let authority = self.authority(&table, people)?;
            if !fingerprints.insert(authority.fingerprint.clone()) {
                let message = format!("the CA {} stands here a second time", authority.fingerprint);
                return Err(table.need("ssh")?.invalid(message));
            }
            authorities.push(authority);
        }
        Ok(authorities)
    }

    fn authority(&mut self, table: &Table<'_>, people: &People) -> Result<Authority, ConfigError> {
        let known = [
            "ssh",
            "principals",
            "from",
            "until",
            "revoked",
            "revocations",
        ];
        table.only(&known, &[])?;
        let field = table.need("ssh")?;
        let (fingerprint, key) = self.plain_key(&field)?;
        if let Some(owner) = self.taken.get(&format!("the key {fingerprint}")) {
            let message = format!("the key {fingerprint} is {owner}'s own, and cannot be a CA's");
            return Err(field.invalid(message));
        }
        let principals = table.need("principals")?;
        let term = self.term(table)?;
        let mut revocations = Vec::new();
        if let Some(field) = table.get("revocations") {
            let items = field.items()?;
            if items.len() > MAX_REVOCATIONS {
                let found = items.len();
                let message = format!("{found} revocations, at most {MAX_REVOCATIONS} are read");
                return Err(field.invalid(message));
            }
            for item in items {
                revocations.push(self.revocation(&item.table()?)?);
            }
        }
        let principals = self.principals(&principals, people)?;
        Ok(Authority {
            fingerprint,
            key,
            term,
            persons: principals.values().cloned().collect(),
            principals,
            revocations,
        })
    }

    fn plain_key(&self, field: &Field<'_>) -> Result<(String, SshKey), ConfigError> {
        match self.ssh(field)? {
            (fingerprint, KeyMaterial::Ssh(key)) => Ok((fingerprint, *key)),
            (_, KeyMaterial::OpenPgp(_)) => Err(field.invalid("not an ssh key")),
        }
    }

    /// Reads `{ principal = person }`. A principal is one person's, whichever CA certifies it.
    fn principals(
        &mut self,
        field: &Field<'_>,
        people: &People,
    ) -> Result<BTreeMap<String, PersonName>, ConfigError> {
        let entries = field.table()?.entries();
        if entries.is_empty() || entries.len() > MAX_PEOPLE {
            let found = entries.len();
            let message = format!("{found} principals, from 1 to {MAX_PEOPLE} are read");
            return Err(field.invalid(message));
        }
        let mut principals = BTreeMap::new();
        for (principal, field) in entries {
            let text = field.text()?;
            let known = PersonName::new(text.text).filter(|name| people.persons.contains_key(name));
            let Some(owner) = known else {
                let message = format!("unknown person {}", quote(text.text));
                return Err(self.source.invalid(text.span, message));
            };
            self.principal(&owner, &principal)?;
            principals.insert(principal.text.to_owned(), owner);
        }
        Ok(principals)
    }

    fn principal(&mut self, owner: &PersonName, text: &Text<'_>) -> Result<(), ConfigError> {
        // A pattern would be taken for whoever it matches by whoever knows OpenSSH's.
        let odd = |c: char| c.is_control() || c.is_whitespace() || "*?!,\"".contains(c);
        if text.text.is_empty() || text.text.len() > 255 || text.text.contains(odd) {
            let message = format!(
                "{} is no principal, and patterns are none",
                quote(text.text)
            );
            return Err(self.source.invalid(text.span.clone(), message));
        }
        if text.text != owner.as_str() && self.names.contains(text.text) {
            let message = format!(
                "the principal `{0}` is the name of the person {0}",
                text.text
            );
            return Err(self.source.invalid(text.span.clone(), message));
        }
        let what = format!("the principal {}", quote_all(text.text));
        match self.taken.get(&what) {
            Some(other) if other == owner => Ok(()),
            _ => self.take(owner, what, text.span.clone()),
        }
    }

    fn revocation(&self, table: &Table<'_>) -> Result<Revocation, ConfigError> {
        table.only(&["serial", "key_id", "ssh", "revoked"], &[])?;
        let of = match (table.get("serial"), table.get("key_id"), table.get("ssh")) {
            (Some(field), None, None) => match field.integer()? {
                0 => {
                    let message = "0 is the serial of every certificate that has none: name its \
                                   `key_id` or its key";
                    return Err(field.invalid(message));
                }
                serial => RevokedBy::Serial(serial),
            },
            (None, Some(field), None) => RevokedBy::KeyId(field.text()?.text.to_owned()),
            (None, None, Some(field)) => RevokedBy::Key(self.plain_key(&field)?.0),
            _ => {
                let message = "a revocation names one of `serial`, `key_id`, `ssh`";
                return Err(self.source.invalid(table.span.clone(), message));
            }
        };
        let since = table.need("revoked")?.instant()?;
        Ok(Revocation { of, since })
    }
}
