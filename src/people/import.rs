//! Keys that others keep lists of, brought into `people.toml`.
//!
//! Pure: bytes were read before, and what comes out is a text to look at and to have reviewed.
//! Nothing that is there is changed; whatever contradicts it is an error that names the line.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::edit::{Draft, DraftError, NewKey};
use super::key::{self, KeyError};
use super::keyring::Certificate;
use super::{People, PersonName, Term};
use crate::wire::allowed_signers::{KeyLine, KeyText, LineError, SignerLine};

/// The namespace git signs in.
const NAMESPACE: &str = "git";

/// What an import does to the people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody new.
    Person(PersonName),
    /// An e-mail of somebody.
    Email(PersonName, String),
    /// A key of somebody, by its fingerprint.
    Key(PersonName, String),
    /// A key that stands there already.
    Known(PersonName, String),
    /// A key file of somebody is written anew: another state of the same key.
    Renewed(PersonName, String),
    /// Something that is not taken over, from that line on.
    LeftOut(Option<usize>, String),
}

/// Why nothing is imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", .line.map(|line| format!("{line}: ")).unwrap_or_default())]
pub struct ImportError {
    /// In the imported file, from 1.
    pub line: Option<usize>,
    /// What it is.
    pub fault: ImportFault,
}

/// What is in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// The line cannot be read.
    #[error("{0}")]
    Line(String),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The patterns name no one.
    #[error("`{0}` is a pattern, not somebody: say whose key it is with --person")]
    Pattern(String),
    /// Two people at once.
    #[error("`{0}` and `{1}` of people.toml are both meant: a key is one person's")]
    TwoPeople(PersonName, PersonName),
    /// An e-mail of somebody else.
    #[error("the e-mail {0} belongs to {1}")]
    EmailTaken(String, PersonName),
    /// A key of somebody else.
    #[error("the key {0} belongs to {1}")]
    KeyTaken(String, PersonName),
    /// A key that is there, but for another time.
    #[error("the key {0} of {1} stands in people.toml with another from, until or revoked")]
    OtherTimes(String, PersonName),
    /// Somebody of that name is there, and it may be somebody else.
    #[error(
        "is `{0}` of people.toml meant, who does not have the e-mail {1}? say so with --person, or give another name"
    )]
    NameTaken(PersonName, String),
    /// No name can be made of it.
    #[error("no name can be made of `{0}`: give one with --person")]
    NoName(String),
    /// A certificate of nobody known.
    #[error("no user id of the key {0} is an e-mail in people.toml: say whose it is with --person")]
    Nobody(String),
    /// A key file is there with another state of the key.
    #[error("{0} holds another state of the key {1}: --replace takes the new one")]
    FileDiffers(String, String),
    /// The file cannot be edited.
    #[error(transparent)]
    Draft(#[from] DraftError),
}

/// An import at work.
#[derive(Debug)]
pub struct Import<'a> {
    draft: Draft,
    /// Whose everything is, where that was said.
    person: Option<PersonName>,
    names: BTreeSet<PersonName>,
    emails: BTreeMap<String, PersonName>,
    /// By fingerprint: whose, from when, to when.
    keys: BTreeMap<String, (PersonName, Window)>,
    /// Key files that are there: by path below `.countersign/`, with what they hold.
    files: &'a BTreeMap<String, Vec<u8>>,
    /// Key files to write.
    pub written: BTreeMap<String, String>,
    /// What was done, in order.
    pub changes: Vec<Change>,
}

type Window = (Option<Timestamp>, Option<Timestamp>);

impl<'a> Import<'a> {
    /// Begins with the people there are, as text and as read.
    pub fn new(
        text: &str,
        people: &People,
        files: &'a BTreeMap<String, Vec<u8>>,
        person: Option<PersonName>,
    ) -> Result<Self, DraftError> {
        let persons = people.persons.values();
        let emails = persons.clone().flat_map(|person| {
            let emails = person.emails.iter();
            emails.map(|email| (email.clone(), person.name.clone()))
        });
        let keys = persons.clone().flat_map(|person| {
            let keys = person.keys.iter();
            keys.map(|key| {
                (
                    key.fingerprint.clone(),
                    (person.name.clone(), window(&key.term)),
                )
            })
        });
        Ok(Self {
            draft: Draft::new(text)?,
            person,
            names: people.persons.keys().cloned().collect(),
            emails: emails.collect(),
            keys: keys.collect(),
            files,
            written: BTreeMap::new(),
            changes: Vec::new(),
        })
    }

    /// Returns the new `people.toml`.
    pub fn text(&self) -> String {
        self.draft.text()
    }

    /// Takes a line of a list of allowed signers.
    pub fn signer(&mut self, line: &SignerLine) -> Result<(), ImportError> {
        let refuse = |fault| ImportError {
            line: Some(line.line),
            fault,
        };
        let mut left_out = |why: &str| {
            let change = Change::LeftOut(Some(line.line), why.to_owned());
            self.changes.push(change);
            Ok(())
        };
        if line.cert_authority {
            return left_out("a certificate authority: [[ca]] maps its principals to people");
        }
        if line
            .namespaces
            .as_ref()
            .is_some_and(|names| !names.matches(NAMESPACE))
        {
            return left_out("a key that does not sign in git's namespace");
        }
        let until = line.valid_before.map(|last| later(last, 1));
        let names = line.principals.names();
        let take = || {
            let names = match (names, &self.person) {
                (Some(names), _) => names,
                // Patterns name nobody; whose it is was said.
                (None, Some(_)) => Vec::new(),
                (None, None) => {
                    return Err(ImportFault::Pattern(line.principals.to_string()));
                }
            };
            let person = self.owner(&names)?;
            for name in names.iter().filter(|name| name.contains('@')) {
                self.email(&person, name)?;
            }
            self.ssh(&person, &line.key, Some((line.valid_after, until)))
        };
        take().map_err(refuse)
    }

    /// Takes a line of a list of keys, all of the person that was named.
    pub fn key(&mut self, line: &KeyLine) -> Result<(), ImportError> {
        let mut take = || {
            let person = self.owner(&[])?;
            self.ssh(&person, &line.key, None)
        };
        take().map_err(|fault| ImportError {
            line: Some(line.line),
            fault,
        })
    }

    /// Takes a key that somebody says is this person's, at any time.
    pub fn key_of(&mut self, person: &PersonName, key: &KeyText) -> Result<(), ImportFault> {
        self.person(person)?;
        self.ssh(person, key, None)
    }

    /// Takes a certificate: of the person that was named, else of whom its user ids name.
    ///
    /// One of nobody known is left out, `strict` or an error. `replace` lets another state of a
    /// key that is there take the place of its file.
    pub fn certificate(
        &mut self,
        certificate: &Certificate,
        strict: bool,
        replace: bool,
    ) -> Result<(), ImportError> {
        let mut take = || {
            let mut owners = certificate
                .emails
                .iter()
                .filter_map(|email| self.emails.get(email));
            let known = owners.next().cloned();
            if let (Some(one), Some(two), None) = (
                &known,
                owners.find(|other| Some(*other) != known.as_ref()),
                &self.person,
            ) {
                return Err(ImportFault::TwoPeople(one.clone(), two.clone()));
            }
            let emails = certificate.emails.join(", ");
            if self.person.is_none() && known.is_none() {
                let called = match &certificate.fingerprint {
                    Ok(fingerprint) => format!("{fingerprint} ({emails})"),
                    Err(_) => emails,
                };
                if strict {
                    return Err(ImportFault::Nobody(called));
                }
                let why = format!("a key of nobody in people.toml: {called}");
                self.changes.push(Change::LeftOut(None, why));
                return Ok(());
            }
            let fingerprint = certificate.fingerprint.clone()?;
            let person = match known {
                Some(known) if self.person.is_none() => known,
                _ => self.owner(&[])?,
            };
            self.openpgp(&person, fingerprint, &certificate.armored, replace)
        };
        take().map_err(|fault| ImportError { line: None, fault })
    }

    fn openpgp(
        &mut self,
        person: &PersonName,
        fingerprint: String,
        armored: &str,
        replace: bool,
    ) -> Result<(), ImportFault> {
        let Some((owner, _)) = self.keys.get(&fingerprint) else {
            let path = self.free_path(person);
            let key = NewKey {
                kind: "openpgp",
                text: path.clone(),
                from: None,
                until: None,
            };
            self.draft.key(person, &key)?;
            self.written.insert(path, armored.to_owned());
            self.took(person, fingerprint, (None, None));
            return Ok(());
        };
        if owner != person {
            return Err(ImportFault::KeyTaken(fingerprint, owner.clone()));
        }
        let holds =
            |bytes: &[u8]| key::parse_openpgp(bytes).is_ok_and(|(found, _)| found == fingerprint);
        let there = self.files.iter().find(|(_, bytes)| holds(bytes));
        let change = match there {
            Some((path, bytes)) if bytes != armored.as_bytes() => {
                if !same_packets(bytes, armored) {
                    if !replace {
                        let file = format!(".countersign/{path}");
                        return Err(ImportFault::FileDiffers(file, fingerprint));
                    }
                    self.written.insert(path.clone(), armored.to_owned());
                    Change::Renewed(person.clone(), fingerprint)
                } else {
                    Change::Known(person.clone(), fingerprint)
                }
            }
            _ => Change::Known(person.clone(), fingerprint),
        };
        self.changes.push(change);
        Ok(())
    }

    /// Returns a name for a key file that no file has.
    fn free_path(&self, person: &PersonName) -> String {
        let taken =
            |path: &String| self.files.contains_key(path) || self.written.contains_key(path);
        let mut path = format!("keys/{person}.asc");
        let mut number = 2usize;
        while taken(&path) {
            path = format!("keys/{person}-{number}.asc");
            number = number.saturating_add(1);
        }
        path
    }

    /// Adds a key that is not there; a list without times contradicts none.
    fn ssh(
        &mut self,
        person: &PersonName,
        key: &KeyText,
        window: Option<Window>,
    ) -> Result<(), ImportFault> {
        let (fingerprint, _) = key::parse_ssh(&format!("{} {}", key.kind, encoded(key)))?;
        match self.keys.get(&fingerprint) {
            Some((owner, _)) if owner != person => {
                Err(ImportFault::KeyTaken(fingerprint, owner.clone()))
            }
            Some((_, known)) if window.is_some_and(|window| *known != window) => {
                Err(ImportFault::OtherTimes(fingerprint, person.clone()))
            }
            Some(_) => {
                self.changes
                    .push(Change::Known(person.clone(), fingerprint));
                Ok(())
            }
            None => {
                let (from, until) = window.unwrap_or_default();
                let key = NewKey {
                    kind: "ssh",
                    text: key.to_string(),
                    from,
                    until,
                };
                self.draft.key(person, &key)?;
                self.took(person, fingerprint, (from, until));
                Ok(())
            }
        }
    }

    fn took(&mut self, person: &PersonName, fingerprint: String, window: Window) {
        let change = Change::Key(person.clone(), fingerprint.clone());
        self.keys.insert(fingerprint, (person.clone(), window));
        self.changes.push(change);
    }

    fn email(&mut self, person: &PersonName, email: &str) -> Result<(), ImportFault> {
        let email = email.to_ascii_lowercase();
        match self.emails.get(&email) {
            Some(owner) if owner == person => Ok(()),
            Some(owner) => Err(ImportFault::EmailTaken(email, owner.clone())),
            None => {
                self.draft.email(person, &email)?;
                self.emails.insert(email.clone(), person.clone());
                self.changes.push(Change::Email(person.clone(), email));
                Ok(())
            }
        }
    }

    /// Returns whose names these are: whom that was said of, else who has one of them, else
    /// somebody new who is called like the first.
    fn owner(&mut self, names: &[&str]) -> Result<PersonName, ImportFault> {
        if let Some(person) = self.person.clone() {
            self.person(&person)?;
            return Ok(person);
        }
        let mut owner: Option<PersonName> = None;
        for name in names {
            let known = match name.contains('@') {
                true => self.emails.get(&name.to_ascii_lowercase()).cloned(),
                false => PersonName::new(name).filter(|name| self.names.contains(name)),
            };
            match (&owner, known) {
                (Some(one), Some(two)) if *one != two => {
                    return Err(ImportFault::TwoPeople(one.clone(), two));
                }
                (None, known) => owner = known,
                _ => {}
            }
        }
        if let Some(owner) = owner {
            return Ok(owner);
        }
        let first = names.first().copied().unwrap_or_default();
        let name = named(first).ok_or_else(|| ImportFault::NoName(first.to_owned()))?;
        if self.names.contains(&name) {
            return Err(ImportFault::NameTaken(name, first.to_owned()));
        }
        self.person(&name)?;
        Ok(name)
    }

    fn person(&mut self, name: &PersonName) -> Result<(), ImportFault> {
        if self.names.insert(name.clone()) {
            self.draft.person(name)?;
            self.changes.push(Change::Person(name.clone()));
        }
        Ok(())
    }
}

impl From<LineError> for ImportError {
    fn from(error: LineError) -> Self {
        Self {
            line: Some(error.line),
            fault: ImportFault::Line(error.fault.to_string()),
        }
    }
}

/// Returns when a key counts, in whole seconds as a list of allowed signers has them.
pub(super) fn window(term: &Term) -> Window {
    (term.from.map(whole), term.end().map(whole))
}

/// Returns the first whole second at or after `at`.
fn whole(at: Timestamp) -> Timestamp {
    let floor = Timestamp::from_second(at.as_second()).unwrap_or(at);
    match floor < at {
        true => later(floor, 1),
        false => floor,
    }
}

/// Returns the instant that many seconds later, or the same at the end of time.
pub(super) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_add(seconds)).unwrap_or(at)
}

fn encoded(key: &KeyText) -> String {
    let bare = KeyText {
        comment: String::new(),
        ..key.clone()
    };
    let text = bare.to_string();
    text.split_once(' ')
        .map_or(text.clone(), |(_, data)| data.to_owned())
}

/// Makes a person's name of the first part of an address, or of a name.
pub fn named(text: &str) -> Option<PersonName> {
    let local = text.split('@').next().unwrap_or_default();
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let name: String = local.chars().map(plain).take(39).collect();
    let name = PersonName::new(name.trim_matches('-'))?;
    (name.as_str() != "any").then_some(name)
}

fn same_packets(one: &[u8], other: &str) -> bool {
    let read = |armor: &[u8]| crate::wire::armor::parse_openpgp_key(armor).ok();
    read(one) == read(other.as_bytes())
}

#[cfg(test)]
mod tests;
