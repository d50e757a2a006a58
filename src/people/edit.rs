//! `people.toml` with more in it: what is there stays as it is written, comments too.

use jiff::Timestamp;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::PersonName;

/// A `people.toml` that is being added to.
#[derive(Clone, Debug)]
pub struct Draft {
    document: DocumentMut,
}

/// A key to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// `ssh` or `openpgp`.
    pub kind: &'static str,
    /// The line, or the file below `.countersign/`.
    pub text: String,
    /// First instant at which it counts.
    pub from: Option<Timestamp>,
    /// First instant at which it counts no more.
    pub until: Option<Timestamp>,
}

/// The text is not TOML, or not of the shape of a `people.toml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the people file cannot be edited: {0}")]
pub struct DraftError(String);

impl Draft {
    /// Begins with a text that [`People::parse`](super::People::parse) reads, or an empty one.
    pub fn new(text: &str) -> Result<Self, DraftError> {
        let document = text.parse::<DocumentMut>();
        let document = document.map_err(|error| DraftError(error.message().to_owned()))?;
        Ok(Self { document })
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Adds a person without anything.
    pub fn person(&mut self, name: &PersonName) -> Result<(), DraftError> {
        let people = self.document.entry("people").or_insert_with(|| {
            let mut people = Table::new();
            // `[people.alice]` says it all.
            people.set_implicit(true);
            Item::Table(people)
        });
        let people = people.as_table_like_mut().ok_or_else(shape)?;
        let mut person = Table::new();
        person.decor_mut().set_prefix("\n");
        match people.get(name.as_str()) {
            Some(_) => Ok(()),
            None => {
                people.insert(name.as_str(), Item::Table(person));
                Ok(())
            }
        }
    }

    /// Adds an e-mail to a person who is there.
    pub fn email(&mut self, name: &PersonName, email: &str) -> Result<(), DraftError> {
        let person = self.of(name)?;
        let emails = person.entry("emails");
        let emails = emails.or_insert_with(|| Item::Value(Array::new().into()));
        let emails = emails.as_array_mut().ok_or_else(shape)?;
        push(emails, email.into(), false);
        Ok(())
    }

    /// Adds a key to a person who is there.
    pub fn key(&mut self, name: &PersonName, key: &NewKey) -> Result<(), DraftError> {
        let person = self.of(name)?;
        let keys = person.entry("keys");
        let keys = keys.or_insert_with(|| Item::Value(Array::new().into()));
        let mut pairs = vec![(key.kind, Value::from(key.text.as_str()))];
        for (name, at) in [("from", key.from), ("until", key.until)] {
            if let Some(at) = at {
                let at = at.to_string().parse::<toml_edit::Datetime>();
                pairs.push((name, at.map_err(|_| shape())?.into()));
            }
        }
        if let Some(tables) = keys.as_array_of_tables_mut() {
            push_table(tables, pairs);
            return Ok(());
        }
        let keys = keys.as_array_mut().ok_or_else(shape)?;
        let table: InlineTable = pairs.into_iter().collect();
        push(keys, table.into(), true);
        Ok(())
    }

    /// Returns the key files that are named, each with whose it is.
    pub fn key_files(&self) -> Vec<(String, String)> {
        let people = self.document.get("people").and_then(Item::as_table_like);
        let mut files = Vec::new();
        for (name, person) in people.into_iter().flat_map(TableLike::iter) {
            let keys = person.as_table_like().and_then(|person| person.get("keys"));
            let inline = keys.and_then(Item::as_array).into_iter().flatten();
            let inline = inline.filter_map(Value::as_inline_table);
            let tables = keys
                .and_then(Item::as_array_of_tables)
                .into_iter()
                .flatten();
            let paths = inline
                .filter_map(|key| key.get("openpgp"))
                .chain(tables.filter_map(|key| key.get("openpgp")?.as_value()));
            for path in paths.filter_map(Value::as_str) {
                files.push((name.to_owned(), path.to_owned()));
            }
        }
        files
    }

    fn of(&mut self, name: &PersonName) -> Result<&mut dyn TableLike, DraftError> {
        let people = self.document.get_mut("people").ok_or_else(shape)?;
        let person = people.as_table_like_mut().ok_or_else(shape)?;
        let person = person.get_mut(name.as_str()).ok_or_else(shape)?;
        person.as_table_like_mut().ok_or_else(shape)
    }
}

fn shape() -> DraftError {
    DraftError("it does not have the shape of a people.toml".to_owned())
}

fn push_table(tables: &mut ArrayOfTables, pairs: Vec<(&str, Value)>) {
    let mut table = Table::new();
    for (name, value) in pairs {
        table.insert(name, Item::Value(value));
    }
    tables.push(table);
}

/// Appends a value in the way the others stand; `apart` puts each on a line of its own.
///
/// A comment behind the last value stays behind it.
fn push(array: &mut Array, mut value: Value, apart: bool) {
    let spread = array.iter().any(|value| decor(value).contains('\n'))
        || array
            .trailing()
            .as_str()
            .is_some_and(|text| text.contains('\n'));
    let last = array.iter().last().map(decor).unwrap_or_default();
    let after_break = last.rsplit_once('\n').map(|(_, indent)| indent.to_owned());
    let indent = after_break.unwrap_or_else(|| "  ".to_owned());
    if !spread && (!apart || array.is_empty()) {
        let space = if array.is_empty() { "" } else { " " };
        value.decor_mut().set_prefix(space);
        array.push_formatted(value);
        return;
    }
    if !spread {
        for value in array.iter_mut() {
            value.decor_mut().set_prefix("\n  ");
            value.decor_mut().set_suffix("");
        }
    }
    let mut before = String::new();
    let mut take = |text: Option<&str>| {
        before.push_str(
            text.unwrap_or_default()
                .trim_end_matches([' ', '\t', '\n', '\r']),
        );
    };
    // What stood behind the last value, with a comma after it or without.
    if let Some(last) = array.iter_mut().last() {
        take(last.decor().suffix().and_then(|suffix| suffix.as_str()));
        last.decor_mut().set_suffix("");
    }
    take(array.trailing().as_str());
    value.decor_mut().set_prefix(format!("{before}\n{indent}"));
    array.push_formatted(value);
    array.set_trailing("\n");
    array.set_trailing_comma(true);
}

/// Returns what stands before a value.
fn decor(value: &Value) -> String {
    let prefix = value.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PersonName {
        PersonName::new(text).unwrap()
    }

    fn key(text: &str) -> NewKey {
        NewKey {
            kind: "ssh",
            text: text.to_owned(),
            from: None,
            until: None,
        }
    }

    fn edited(text: &str) -> String {
        let mut draft = Draft::new(text).unwrap();
        draft.email(&name("alice"), "a@y").unwrap();
        draft.key(&name("alice"), &key("K")).unwrap();
        draft.text()
    }

    /// However lists are written, what is added stands as the others do and no comment moves away.
    #[test]
    fn keeps_how_it_is_written() {
        for (text, expected) in [
            (
                "# who\n[people.alice] # her\nemails = [\"a@x\"] # work\nkeys = [{ ssh = \"A\" }]\n[teams]\nt = []\n",
                "# who\n[people.alice] # her\nemails = [\"a@x\", \"a@y\"] # work\nkeys = [\n  { ssh = \"A\" },\n  { ssh = \"K\" },\n]\n[teams]\nt = []\n",
            ),
            (
                "[people.alice]\nemails = [\n    \"a@x\",  # work\n]\nkeys = [\n    # laptop\n    { ssh = \"A\" }, # new\n    { ssh = \"B\" } # old\n]\n",
                "[people.alice]\nemails = [\n    \"a@x\",  # work\n    \"a@y\",\n]\nkeys = [\n    # laptop\n    { ssh = \"A\" }, # new\n    { ssh = \"B\" }, # old\n    { ssh = \"K\" },\n]\n",
            ),
            (
                "[people.alice]\n",
                "[people.alice]\nemails = [\"a@y\"]\nkeys = [{ ssh = \"K\" }]\n",
            ),
            (
                "[people]\nalice = { kind = \"bot\" }\n",
                "[people]\nalice = { kind = \"bot\" , emails = [\"a@y\"], keys = [{ ssh = \"K\" }] }\n",
            ),
            (
                "[people.alice]\nemails = []\n[[people.alice.keys]]\nssh = \"A\"\n",
                "[people.alice]\nemails = [\"a@y\"]\n[[people.alice.keys]]\nssh = \"A\"\n\n[[people.alice.keys]]\nssh = \"K\"\n",
            ),
        ] {
            assert_eq!(edited(text), expected, "{text}");
        }
    }

    /// A new person gets a table; times are written as instants.
    #[test]
    fn adds_a_person() {
        let mut draft = Draft::new("[people.alice]\n").unwrap();
        draft.person(&name("alice")).unwrap();
        draft.person(&name("bob")).unwrap();
        let times = NewKey {
            from: Some("2026-01-02T00:00:00Z".parse().unwrap()),
            until: Some("2027-01-02T00:00:01Z".parse().unwrap()),
            kind: "openpgp",
            text: "keys/bob.asc".to_owned(),
        };
        draft.key(&name("bob"), &times).unwrap();
        assert_eq!(
            draft.text(),
            "[people.alice]\n\n[people.bob]\nkeys = [{ openpgp = \"keys/bob.asc\", \
             from = 2026-01-02T00:00:00Z, until = 2027-01-02T00:00:01Z }]\n"
        );
        assert_eq!(
            draft.key_files(),
            [("bob".to_owned(), "keys/bob.asc".to_owned())]
        );
        let mut empty = Draft::new("").unwrap();
        empty.person(&name("bob")).unwrap();
        assert_eq!(empty.text().trim(), "[people.bob]");
    }

    /// What has another shape is an error, never overwritten.
    #[test]
    fn refuses_other_shapes() {
        assert!(Draft::new("= 1").is_err());
        let mut draft = Draft::new("people = 1\n").unwrap();
        assert!(draft.person(&name("alice")).is_err());
        let mut draft = Draft::new("[people.alice]\nkeys = 1\nemails = \"a\"\n").unwrap();
        assert!(draft.key(&name("alice"), &key("K")).is_err());
        assert!(draft.email(&name("alice"), "a@y").is_err());
        assert!(draft.email(&name("bob"), "a@y").is_err());
    }
}
