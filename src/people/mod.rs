//! Who may vouch, and with what: `.countersign/people.toml`.

mod answers;
pub mod authority;
pub mod document;
pub mod edit;
pub mod error;
pub mod export;
pub mod import;
mod index;
pub mod key;
pub mod keyring;
pub mod openpgp;
mod openpgp_statement;
pub mod parse;
pub mod ssh;
pub mod verify;

pub(crate) use answers::Question;
pub use authority::Authority;
pub use error::{ConfigError, ConfigFault};
pub use key::KeyMaterial;
pub use openpgp_statement::Standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A person's name in `people.toml`: `[a-z0-9][a-z0-9-]{0,38}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(String);

impl TryFrom<String> for PersonName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("not a person's name")
    }
}

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
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash,
)]
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

/// A key and when it is to be believed.
#[derive(Clone, Debug)]
pub struct PersonKey {
    /// `SHA256:…` for ssh, upper-case hexadecimal for OpenPGP.
    pub fingerprint: String,
    /// The key itself.
    pub material: KeyMaterial,
    /// When it counts.
    pub term: Term,
    /// Whether each signature must say that the security key knew its user, by PIN or finger.
    pub verify_required: bool,
}

/// When something is to be believed: `from ≤ receipt < until`, and not once revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term {
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
    /// CAs whose certificates count, in the order of the file.
    pub authorities: Vec<Authority>,
    /// Of the keys above, made when it is first asked.
    pub(crate) index: OnceLock<index::Index>,
    /// What is asked again and again.
    pub(crate) answers: answers::Answers,
}

impl Term {
    /// Returns the first instant at which it is over, by itself or by revocation.
    pub fn end(&self) -> Option<Timestamp> {
        [self.until, self.revoked].into_iter().flatten().min()
    }

    /// Returns how what has this term stands at `at`.
    pub fn standing(&self, at: Timestamp) -> Standing {
        if self.revoked.is_some_and(|revoked| revoked <= at) {
            Standing::Revoked
        } else if self.from.is_some_and(|from| at < from)
            || self.until.is_some_and(|until| until <= at)
        {
            Standing::Expired
        } else {
            Standing::Live
        }
    }
}

impl PersonKey {
    /// Returns whether something received at that instant may rest on the key.
    pub fn counts_at(&self, at: Timestamp) -> bool {
        self.term.standing(at) == Standing::Live
    }
}

impl People {
    /// Returns a person by name.
    pub fn person(&self, name: &PersonName) -> Option<&Person> {
        self.persons.get(name)
    }

    /// Returns whose e-mail address it is, without regard to ASCII case.
    pub fn person_by_email(&self, email: &[u8]) -> Option<&Person> {
        let email = std::str::from_utf8(email).ok()?.to_ascii_lowercase();
        self.persons
            .values()
            .find(|person| person.emails.contains(&email))
    }

    /// Returns whose login it is.
    pub fn by_login(&self, login: &str) -> Option<&Person> {
        self.persons
            .values()
            .find(|person| person.logins.contains(login))
    }

    /// Returns whose account on that forge it is.
    pub fn by_account(&self, forge: &str, id: &u64) -> Option<&Person> {
        self.persons
            .values()
            .find(|person| person.accounts.get(forge) == Some(id))
    }

    /// Returns the members of a team, named without `@`.
    pub fn team(&self, name: &str) -> Option<&BTreeSet<PersonName>> {
        self.teams.get(name)
    }

    /// Returns the CAs that may certify a key as that person's at that instant.
    pub fn vouching<'a>(
        &'a self,
        name: &'a PersonName,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Authority> {
        self.authorities.iter().filter(move |authority| {
            authority.persons.contains(name) && authority.term.standing(at) == Standing::Live
        })
    }

    /// Returns every human, by name.
    pub fn humans(&self) -> impl Iterator<Item = &Person> {
        self.persons
            .values()
            .filter(|person| person.kind == PersonKind::Human)
    }
}
