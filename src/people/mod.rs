//! Who may vouch, and with what: `.countersign/people.toml`.

pub mod key;
pub mod openpgp;
mod openpgp_statement;
pub mod ssh;
pub mod verify;

pub use key::KeyMaterial;
pub use openpgp_statement::Standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A person's name in `people.toml`: `[a-z0-9][a-z0-9-]{0,38}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonName(String);

impl PersonName {
    /// Returns the name if it follows the grammar.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        (plain(first) && text.len() <= 39 && bytes.all(|byte| plain(byte) || byte == b'-'))
            .then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person is; decides which places they may fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonKind {
    /// Fills places.
    #[default]
    Human,
    /// Fills a place only where a rule names it.
    Bot,
    /// A forge's own key: never fills a place.
    Forge,
}

/// One person with everything known of them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The key of the table.
    pub name: PersonName,
    /// Human unless the file says otherwise.
    pub kind: PersonKind,
    /// Compared without regard to ASCII case.
    pub emails: BTreeSet<String>,
    /// Forge name → immutable account id.
    pub accounts: BTreeMap<String, u64>,
    /// Names the host's admin assigns.
    pub logins: BTreeSet<String>,
    /// In the order of the file.
    pub keys: Vec<PersonKey>,
}

/// A key and when it is to be believed: `from ≤ receipt < until`, and not once revoked.
#[derive(Clone, Debug)]
pub struct PersonKey {
    /// `SHA256:…` for ssh, upper-case hexadecimal for OpenPGP.
    pub fingerprint: String,
    /// The key itself.
    pub material: KeyMaterial,
    /// First instant at which it counts.
    pub from: Option<Timestamp>,
    /// First instant at which it counts no more.
    pub until: Option<Timestamp>,
    /// Since when it is not to be believed, for receipts at or after that instant.
    pub revoked: Option<Timestamp>,
}

/// Everyone, and the teams they are in.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// By name.
    pub persons: BTreeMap<PersonName, Person>,
    /// Team name (without `@`) → members.
    pub teams: BTreeMap<String, BTreeSet<PersonName>>,
}
