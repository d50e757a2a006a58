//! `people.toml` → [`People`].
//!
//! Everything that could make one person count twice, or two people look like one, is refused
//! here: a key, an e-mail, an account or a login under two people.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Field, Source, Table, Text};
use super::error::{ConfigError, did_you_mean, one_line, quote};
use super::import::named;
use super::{KeyMaterial, People, Person, PersonKey, PersonKind, PersonName, Term, key};

/// The file, from the root of the repository.
pub const FILE: &str = ".countersign/people.toml";
/// The most people.
pub const MAX_PEOPLE: usize = 10_000;
/// The most keys of one person.
pub const MAX_KEYS: usize = 50;
/// The largest key file that is read.
pub const MAX_KEY_FILE: usize = 256 << 10;
/// The forges whose accounts can be named.
const FORGES: &[&str] = &["github", "gitlab", "forgejo", "gitea"];

/// Gives the bytes of a file of the same tree, by its path from the root.
type Files<'f> = &'f dyn Fn(&str) -> Option<Vec<u8>>;

impl People {
    /// Parses `people.toml`.
    ///
    /// `files` gives the key files it names, by path from the root of the same tree. There is no
    /// clock here: a key that ran out is parsed like any other.
    pub fn parse(text: &[u8], files: Files<'_>) -> Result<Self, ConfigError> {
        let source = Source::new(FILE, text)?;
        let parsed = source.parse()?;
        let root = Table::root(source, &parsed);
        let known = ["people", "teams", "ca"];
        let mut tables = root.entries().into_iter();
        let person = tables.find(|(key, field)| {
            let table = field.table();
            !known.contains(&key.text)
                && table.is_ok_and(|table| {
                    ["emails", "keys"]
                        .iter()
                        .any(|key| table.get(key).is_some())
                })
        });
        if let Some((key, _)) = person {
            let right =
                named(key.text).map(|name| format!("; a person stands as `[people.{name}]`"));
            let message = format!(
                "unknown key {}{}",
                quote(key.text),
                right.unwrap_or_default()
            );
            return Err(source.invalid(key.span, message));
        }
        root.only(&known, &[])?;
        let mut reader = Reader {
            source,
            files,
            names: BTreeSet::new(),
            taken: BTreeMap::new(),
        };
        let mut people = Self::default();
        if let Some(field) = root.get("people") {
            people.persons = reader.people(&field)?;
        }
        if let Some(field) = root.get("teams") {
            people.teams = reader.teams(&field, &people)?;
        }
        if let Some(field) = root.get("ca") {
            people.authorities = reader.authorities(&field, &people)?;
        }
        if !people.humans().any(|_| true) {
            let message =
                "no human in `[people]`: the built-in rule `default`, 1 of any, asks for one";
            return Err(source.unsatisfiable(0..0, message));
        }
        Ok(people)
    }
}

struct Reader<'s> {
    source: Source<'s>,
    files: Files<'s>,
    /// Every name of the file, for logins that would read as someone else.
    names: BTreeSet<String>,
    /// What must be one person's, in words → whose it is.
    taken: BTreeMap<String, PersonName>,
}

impl Reader<'_> {
    fn people(&mut self, field: &Field<'_>) -> Result<BTreeMap<PersonName, Person>, ConfigError> {
        let entries = field.table()?.entries();
        if entries.len() > MAX_PEOPLE {
            let found = entries.len();
            return Err(field.invalid(format!("{found} people, at most {MAX_PEOPLE} are read")));
        }
        self.names = entries.iter().map(|(key, _)| key.text.to_owned()).collect();
        let mut persons = BTreeMap::new();
        for (key, field) in entries {
            let name = self.name("person", &key)?;
            let person = self.person(&name, &field.table()?)?;
            persons.insert(name, person);
        }
        Ok(persons)
    }

    fn name(&self, what: &str, text: &Text<'_>) -> Result<PersonName, ConfigError> {
        let refuse = |message| Err(self.source.invalid(text.span.clone(), message));
        let Some(name) = PersonName::new(text.text) else {
            let would = named(text.text).map(|name| format!("; `{name}` would do"));
            return refuse(format!(
                "a {what} is named [a-z0-9][a-z0-9-]{{0,38}}, found {}{}",
                quote(text.text),
                would.unwrap_or_default()
            ));
        };
        match name.as_str() {
            "any" => refuse(format!("`any` means any human, no {what} can be named so")),
            _ => Ok(name),
        }
    }

    fn person(&mut self, name: &PersonName, table: &Table<'_>) -> Result<Person, ConfigError> {
        let known = ["kind", "emails", "accounts", "logins", "keys"];
        let dotted = table.entries().into_iter();
        let mut dotted =
            dotted.filter(|(key, field)| !known.contains(&key.text) && field.is_table());
        if let Some((key, _)) = dotted.next() {
            let right = named(&format!("{name}-{}", key.text));
            let right = right.map(|name| format!(", as in `[people.{name}]`"));
            let message = format!(
                "unknown key {}; no name has a dot in it{}",
                quote(key.text),
                right.unwrap_or_default()
            );
            return Err(self.source.invalid(key.span, message));
        }
        table.only(&known, &[])?;
        let kinds = [
            ("human", PersonKind::Human),
            ("bot", PersonKind::Bot),
            ("forge", PersonKind::Forge),
        ];
        let mut person = Person {
            name: name.clone(),
            kind: PersonKind::Human,
            emails: BTreeSet::new(),
            accounts: BTreeMap::new(),
            logins: BTreeSet::new(),
            keys: Vec::new(),
        };
        if let Some(field) = table.get("kind") {
            person.kind = field.choice(&kinds)?;
        }
        if let Some(field) = table.get("emails") {
            person.emails = self.emails(name, &field)?;
        }
        if let Some(field) = table.get("accounts") {
            person.accounts = self.accounts(name, &field.table()?)?;
        }
        if let Some(field) = table.get("logins") {
            person.logins = self.logins(name, &field)?;
        }
        if let Some(field) = table.get("keys") {
            let items = field.items()?;
            if items.len() > MAX_KEYS {
                let found = items.len();
                return Err(field.invalid(format!("{found} keys, at most {MAX_KEYS} are read")));
            }
            for item in items {
                if !item.is_table() {
                    let message = "a key is `{ ssh = \"…\" }` or `{ openpgp = \"…\" }`";
                    return Err(item.invalid(message));
                }
                person.keys.push(self.key(name, &item.table()?)?);
            }
        }
        Ok(person)
    }

    /// Refuses what another person, or the same one, already has.
    fn take(
        &mut self,
        owner: &PersonName,
        what: String,
        span: std::ops::Range<usize>,
    ) -> Result<(), ConfigError> {
        match self.taken.get(&what) {
            Some(other) if other == owner => {
                let message = format!("{what} stands under {owner} twice");
                Err(self.source.invalid(span, message))
            }
            Some(other) => {
                let message = format!("{what} already belongs to {other}");
                Err(self.source.invalid(span, message))
            }
            None => {
                self.taken.insert(what, owner.clone());
                Ok(())
            }
        }
    }

    fn emails(
        &mut self,
        owner: &PersonName,
        field: &Field<'_>,
    ) -> Result<BTreeSet<String>, ConfigError> {
        let mut emails = BTreeSet::new();
        for text in field.texts()? {
            let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
            if text.text.is_empty() || text.text.len() > 254 || text.text.contains(odd) {
                let message = format!("{} is no e-mail address", quote(text.text));
                return Err(self.source.invalid(text.span, message));
            }
            let email = text.text.to_ascii_lowercase();
            self.take(
                owner,
                format!("the e-mail {}", quote_all(&email)),
                text.span,
            )?;
            emails.insert(email);
        }
        Ok(emails)
    }

    fn accounts(
        &mut self,
        owner: &PersonName,
        table: &Table<'_>,
    ) -> Result<BTreeMap<String, u64>, ConfigError> {
        table.only(FORGES, &[])?;
        let mut accounts = BTreeMap::new();
        for (forge, field) in table.entries() {
            let id = field.integer()?;
            if id == 0 {
                return Err(field.invalid("an account id is a number from 1"));
            }
            self.take(
                owner,
                format!("the {} account {id}", forge.text),
                field.span(),
            )?;
            accounts.insert(forge.text.to_owned(), id);
        }
        Ok(accounts)
    }

    fn logins(
        &mut self,
        owner: &PersonName,
        field: &Field<'_>,
    ) -> Result<BTreeSet<String>, ConfigError> {
        let mut logins = BTreeSet::new();
        for text in field.texts()? {
            let odd = |c: char| c.is_control() || c.is_whitespace();
            if text.text.is_empty() || text.text.len() > 255 || text.text.contains(odd) {
                let message = format!("{} is no login", quote(text.text));
                return Err(self.source.invalid(text.span, message));
            }
            // A host that names people or logins could not tell the two apart.
            if text.text != owner.as_str() && self.names.contains(text.text) {
                let message = format!("the login `{0}` is the name of the person {0}", text.text);
                return Err(self.source.invalid(text.span, message));
            }
            self.take(
                owner,
                format!("the login {}", quote_all(text.text)),
                text.span,
            )?;
            logins.insert(text.text.to_owned());
        }
        Ok(logins)
    }

    fn key(&mut self, owner: &PersonName, table: &Table<'_>) -> Result<PersonKey, ConfigError> {
        let known = [
            "ssh",
            "openpgp",
            "from",
            "until",
            "revoked",
            "verify_required",
        ];
        table.only(&known, &[])?;
        let (field, (fingerprint, material)) = match (table.get("ssh"), table.get("openpgp")) {
            (Some(field), None) => (field, self.ssh(&field)?),
            (None, Some(field)) => (field, self.openpgp(&field)?),
            (None, None) | (Some(_), Some(_)) => {
                let message = "a key is either `ssh = …` or `openpgp = …`";
                return Err(self.source.invalid(table.span.clone(), message));
            }
        };
        self.take(owner, format!("the key {fingerprint}"), field.span())?;
        let mut verify_required = false;
        if let Some(field) = table.get("verify_required") {
            verify_required = field.bool()?;
            let able = matches!(&material, KeyMaterial::Ssh(key) if key.is_security_key());
            if verify_required && !able {
                return Err(field.invalid("only a security key (`sk-…`) can verify its user"));
            }
        }
        Ok(PersonKey {
            fingerprint,
            material,
            term: self.term(table)?,
            verify_required,
        })
    }

    fn term(&self, table: &Table<'_>) -> Result<Term, ConfigError> {
        let instant = |name| table.get(name).map(|field: Field<'_>| field.instant());
        let (from, until) = (instant("from").transpose()?, instant("until").transpose()?);
        if let (Some(from), Some(until), Some(field)) = (from, until, table.get("until"))
            && from >= until
        {
            return Err(field.invalid("`until` must be later than `from`"));
        }
        Ok(Term {
            from,
            until,
            revoked: instant("revoked").transpose()?,
        })
    }

    fn ssh(&self, field: &Field<'_>) -> Result<(String, KeyMaterial), ConfigError> {
        let text = field.text()?;
        if text.text.contains(char::is_control) {
            return Err(field.invalid("a key is one line"));
        }
        key::parse_ssh(text.text).map_err(|fault| field.invalid(one_line(&fault.to_string())))
    }

    fn openpgp(&self, field: &Field<'_>) -> Result<(String, KeyMaterial), ConfigError> {
        let text = field.text()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@/".contains(&byte);
        let simple = text.text.bytes().all(plain)
            && text.text.len() <= 255
            && text
                .text
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..");
        if !simple {
            let message = format!(
                "{} is no path below .countersign/, as in \"keys/alice.asc\"",
                quote(text.text)
            );
            return Err(field.invalid(message));
        }
        let path = format!(".countersign/{}", text.text);
        let Some(bytes) = (self.files)(&path) else {
            return Err(field.invalid(format!("there is no file {path}")));
        };
        if bytes.len() > MAX_KEY_FILE {
            let message = format!("{path} has more than {MAX_KEY_FILE} bytes");
            return Err(field.invalid(message));
        }
        key::parse_openpgp(&bytes).map_err(|fault| {
            let message = format!("{path}: {}", one_line(&fault.to_string()));
            field.invalid(message)
        })
    }

    fn teams(
        &self,
        field: &Field<'_>,
        people: &People,
    ) -> Result<BTreeMap<String, BTreeSet<PersonName>>, ConfigError> {
        let mut teams = BTreeMap::new();
        for (key, field) in field.table()?.entries() {
            let team = self.name("team", &key)?;
            let mut members = BTreeSet::new();
            for text in field.texts()? {
                let known =
                    PersonName::new(text.text).filter(|name| people.persons.contains_key(name));
                let Some(name) = known else {
                    let names = people.persons.keys().map(PersonName::as_str);
                    let meant = did_you_mean(text.text, names);
                    let message = format!("unknown person {}{meant}", quote(text.text));
                    return Err(self.source.invalid(text.span, message));
                };
                members.insert(name);
            }
            teams.insert(team.as_str().to_owned(), members);
        }
        Ok(teams)
    }
}

/// Quotes in full: what is compared must not be cut.
fn quote_all(text: &str) -> String {
    format!("`{}`", one_line(text))
}

mod authorities;

#[cfg(test)]
mod tests;
