//! A strict reader over TOML that knows where everything stands.
//!
//! Source: TOML 1.1 (<https://toml.io/en/v1.1.0>), less multi-line strings, which no key of ours
//! needs. Duplicate keys are errors of the language itself.

use std::ops::Range;

use jiff::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigFault, did_you_mean, one_line, quote};

/// The largest configuration file that is read.
pub const MAX_FILE: usize = 1 << 20;
/// The most dots outside strings in one line. Every dotted key nests one deeper, and what nests
/// is taken apart by recursion.
const MAX_DOTS: usize = 16;

/// A file and its text, for making errors.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    file: &'s str,
    text: &'s str,
}

/// A value with where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Field<'d> {
    source: Source<'d>,
    /// What it is called in messages: the key.
    name: &'d str,
    value: &'d Spanned<DeValue<'d>>,
}

/// A table with where it stands.
#[derive(Clone, Debug)]
pub struct Table<'d> {
    source: Source<'d>,
    /// Where it begins.
    pub span: Range<usize>,
    table: &'d DeTable<'d>,
}

/// A string with where it stands.
#[derive(Clone, Debug)]
pub struct Text<'d> {
    /// The string.
    pub text: &'d str,
    /// Its bytes in the file, quotes included.
    pub span: Range<usize>,
}

impl<'s> Source<'s> {
    /// Takes a file as bytes; refuses what is too large, no UTF-8 or out of bounds for the parser.
    pub fn new(file: &'s str, bytes: &'s [u8]) -> Result<Self, ConfigError> {
        let refuse = |text: &str, span: Range<usize>, message: String| {
            ConfigError::new(file, text, span, ConfigFault::Invalid, message)
        };
        if bytes.len() > MAX_FILE {
            let found = bytes.len();
            let message = format!("{found} bytes, more than {MAX_FILE} are not read");
            return Err(refuse("", 0..0, message));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(fault) => {
                let at = fault.valid_up_to();
                let good = bytes.get(..at).unwrap_or_default();
                let mut good = String::from_utf8_lossy(good).into_owned();
                good.push('\u{fffd}');
                let end = good.len();
                return Err(refuse(&good, at..end, "not UTF-8".to_owned()));
            }
        };
        let source = Self { file, text };
        source.within_bounds()?;
        Ok(source)
    }

    /// Parses the text; the caller keeps the result and looks at it through [`Table::root`].
    pub fn parse(&self) -> Result<Spanned<DeTable<'s>>, ConfigError> {
        DeTable::parse(self.text).map_err(|fault| {
            let span = fault.span().unwrap_or(0..0);
            let message = one_line(fault.message());
            let more = match message.as_str() {
                "duplicate key" => ": it stands further up already",
                _ if message.starts_with("missing comma between array elements") => {
                    "; or a list further up is not closed with `]`"
                }
                _ => "",
            };
            self.invalid(span, format!("{message}{more}"))
        })
    }

    /// Makes an error of kind `Invalid`.
    pub fn invalid(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.file, self.text, span, ConfigFault::Invalid, message)
    }

    /// Makes an error of kind `Unsatisfiable`.
    pub fn unsatisfiable(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let kind = ConfigFault::Unsatisfiable;
        ConfigError::new(self.file, self.text, span, kind, message)
    }

    /// Returns the line, from 1, of a byte of the text.
    pub fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        bytecount(before).saturating_add(1)
    }

    /// Refuses what would make the parser recurse deep, and multi-line strings, without which
    /// every line can be read on its own.
    fn within_bounds(&self) -> Result<(), ConfigError> {
        if self.text.starts_with('\u{feff}') {
            return Err(self.invalid(0..3, "begins with a byte order mark"));
        }
        for quotes in ["\"\"\"", "'''"] {
            if let Some(at) = self.text.find(quotes) {
                let span = at..at.saturating_add(3);
                return Err(self.invalid(span, "multi-line strings are not supported"));
            }
        }
        let mut start = 0usize;
        for line in self.text.split_inclusive('\n') {
            if let Some(at) = deep(line) {
                let at = start.saturating_add(at);
                let span = at..at.saturating_add(1);
                return Err(self.invalid(span, "keys nested too deep"));
            }
            start = start.saturating_add(line.len());
        }
        Ok(())
    }
}

/// Returns where a line has one dot too many outside strings and comments.
fn deep(line: &str) -> Option<usize> {
    let (mut dots, mut quoted, mut escaped) = (0usize, None, false);
    for (at, byte) in line.bytes().enumerate() {
        match (quoted, byte) {
            (Some(b'"'), _) if escaped => escaped = false,
            (Some(b'"'), b'\\') => escaped = true,
            (Some(quote), byte) if quote == byte => quoted = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quoted = Some(byte),
            (None, b'#') => return None,
            (None, b'.') => {
                dots = dots.saturating_add(1);
                if dots > MAX_DOTS {
                    return Some(at);
                }
            }
            (None, _) => {}
        }
    }
    None
}

fn bytecount(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

impl<'d> Table<'d> {
    /// Looks at the parsed file as a table.
    pub fn root(source: Source<'d>, parsed: &'d Spanned<DeTable<'d>>) -> Self {
        Self {
            source,
            span: 0..0,
            table: parsed.get_ref(),
        }
    }

    /// Refuses keys other than `known`; `later` names those that a later version brings.
    pub fn only(&self, known: &[&str], later: &[&str]) -> Result<(), ConfigError> {
        for (key, _) in self.entries() {
            if later.contains(&key.text) {
                let message = format!(
                    "`{}` is not supported by this version of countersign, and nothing is ignored",
                    key.text
                );
                return Err(self.source.invalid(key.span, message));
            }
            if !known.contains(&key.text) {
                let message = format!(
                    "unknown key {}; known here: {}{}",
                    quote(key.text),
                    known.join(", "),
                    did_you_mean(key.text, known.iter().copied()),
                );
                return Err(self.source.invalid(key.span, message));
            }
        }
        Ok(())
    }

    /// Returns the value of a key.
    pub fn get(&self, name: &'d str) -> Option<Field<'d>> {
        self.table.get(name).map(|value| Field {
            source: self.source,
            name,
            value,
        })
    }

    /// Returns the value of a key that must be there.
    pub fn need(&self, name: &'d str) -> Result<Field<'d>, ConfigError> {
        self.get(name).ok_or_else(|| {
            let message = format!("`{name}` is missing here");
            self.source.invalid(self.span.clone(), message)
        })
    }

    /// Returns keys and values in the order of the file.
    pub fn entries(&self) -> Vec<(Text<'d>, Field<'d>)> {
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name: &'d str = key.get_ref();
                let text = Text {
                    text: name,
                    span: key.span(),
                };
                let source = self.source;
                (
                    text,
                    Field {
                        source,
                        name,
                        value,
                    },
                )
            })
            .collect();
        all.sort_by_key(|(key, _)| key.span.start);
        all
    }
}

impl<'d> Field<'d> {
    /// Returns where the value stands.
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Makes an error at the value.
    pub fn invalid(&self, message: impl Into<String>) -> ConfigError {
        self.source.invalid(self.span(), message)
    }

    fn wrong(&self, wanted: &str) -> ConfigError {
        let found = self.value.get_ref().type_str();
        self.invalid(format!("`{}` must be {wanted}, found {found}", self.name))
    }

    /// Returns whether it is a table.
    pub fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    /// Returns a table.
    pub fn table(&self) -> Result<Table<'d>, ConfigError> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(Table {
                source: self.source,
                span: self.span(),
                table,
            }),
            _ => Err(self.wrong("a table")),
        }
    }

    /// Returns the values of an array.
    pub fn items(&self) -> Result<Vec<Field<'d>>, ConfigError> {
        match self.value.get_ref() {
            DeValue::Array(items) => Ok(items
                .iter()
                .map(|value| Field {
                    source: self.source,
                    name: self.name,
                    value,
                })
                .collect()),
            DeValue::Table(_) => {
                let name = self.name;
                let more = format!("there may be several: double brackets, `[[{name}]]`");
                Err(self.invalid(format!("`{name}` must be an array, found table; {more}")))
            }
            DeValue::String(_) => {
                let name = self.name;
                let more = "put it into brackets, as in [\"…\"]";
                Err(self.invalid(format!("`{name}` must be an array, found string; {more}")))
            }
            _ => Err(self.wrong("an array")),
        }
    }

    /// Returns the string, if it is one.
    pub fn as_str(&self) -> Option<&'d str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a string.
    pub fn text(&self) -> Result<Text<'d>, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(Text {
                text,
                span: self.span(),
            }),
            _ => Err(self.wrong("a string")),
        }
    }

    /// Returns an array of strings, none of them twice.
    pub fn texts(&self) -> Result<Vec<Text<'d>>, ConfigError> {
        let mut seen = std::collections::BTreeSet::new();
        let mut all = Vec::new();
        for item in self.items()? {
            let text = item.text()?;
            if !seen.insert(text.text) {
                let message = format!("{} stands here a second time", quote(text.text));
                return Err(item.invalid(message));
            }
            all.push(text);
        }
        Ok(all)
    }

    /// Returns an array of strings with at least one.
    pub fn some_texts(&self) -> Result<Vec<Text<'d>>, ConfigError> {
        let all = self.texts()?;
        match all.is_empty() {
            true => Err(self.invalid(format!("`{}` is an empty list", self.name))),
            false => Ok(all),
        }
    }

    /// Returns `true` or `false`.
    pub fn bool(&self) -> Result<bool, ConfigError> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// Returns an integer that is not negative.
    pub fn integer(&self) -> Result<u64, ConfigError> {
        match self.value.get_ref() {
            DeValue::Integer(value) => u64::from_str_radix(value.as_str(), value.radix())
                .map_err(|_| self.wrong("an integer from 0")),
            _ => Err(self.wrong("an integer")),
        }
    }

    /// Returns an instant: a date-time with its offset, since a server's zone is nobody's business.
    pub fn instant(&self) -> Result<Timestamp, ConfigError> {
        let DeValue::Datetime(found) = self.value.get_ref() else {
            return Err(self.wrong("a date-time, as in 2026-01-02T00:00:00Z"));
        };
        if found.date.is_none() || found.time.is_none() || found.offset.is_none() {
            let message = format!(
                "`{}` needs date, time and offset, as in 2026-01-02T00:00:00Z",
                self.name
            );
            return Err(self.invalid(message));
        }
        found
            .to_string()
            .parse()
            .map_err(|_| self.invalid(format!("`{}` is no instant", self.name)))
    }

    /// Returns what one of a few words stands for.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text.text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            self.invalid(format!(
                "`{}` is {}, found {}",
                self.name,
                known.join(" or "),
                quote(text.text)
            ))
        })
    }
}
