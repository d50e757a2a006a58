//! The grammar of `server.toml`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::pusher::PusherSource;
use super::stores;
use crate::gather::Limits;
use crate::people::ConfigError;
use crate::people::document::{Field, Source, Table};
use crate::policy::Mode;
use crate::record::key::KeyStore;
use crate::record::shared::RepositoryName;
use crate::wire::name::RefName;
use crate::wire::note::is_key_name;
use crate::wire::refname;

/// One file, checked; what it does not say is `None`.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) policy_ref: Option<RefName>,
    pub(super) pusher: Option<PusherSource>,
    pub(super) mode: Option<Mode>,
    pub(super) record: RecordSettings,
    pub(super) limits: SomeLimits,
    pub(super) help: Option<String>,
    /// Where witnesses are, by the names of their keys.
    pub(super) witnesses: BTreeMap<String, String>,
    /// Where the values of top-level keys stand, in bytes.
    pub(super) spans: BTreeMap<String, Range<usize>>,
}

/// Where the record is, as far as one file says.
#[derive(Debug, Default)]
pub(super) struct RecordSettings {
    pub(super) dir: Option<PathBuf>,
    /// The name of the log that many repositories share.
    pub(super) shared: Option<String>,
    /// What the repository is called in it.
    pub(super) name: Option<RepositoryName>,
    /// Where its key is kept.
    pub(super) key: Option<KeyStore>,
    /// Where the key is kept that it goes over to.
    pub(super) next: Option<KeyStore>,
}

/// The limits that a file gives, by name.
#[derive(Debug, Default)]
pub(super) struct SomeLimits(BTreeMap<String, u64>);

impl Settings {
    /// Reads a repository's own file.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::read(path, bytes, RecordSettings::own)
    }

    /// Reads the system-wide file, which gives one record to many repositories only as a shared log.
    pub(super) fn parse_system(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::read(path, bytes, RecordSettings::of_system)
    }

    fn read(
        path: &Path,
        bytes: &[u8],
        record: impl Fn(&Table<'_>) -> Result<RecordSettings, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let source = Source::new(&file, bytes)?;
        let parsed = source.parse()?;
        let root = Table::root(source, &parsed);
        root.only(
            &[
                "policy_ref",
                "pusher",
                "mode",
                "record",
                "limits",
                "alerts",
                "help",
                "witnesses",
            ],
            &[],
        )?;
        if let Some(alerts) = root.get("alerts") {
            let table = alerts.table()?;
            let later: Vec<_> = table.entries().iter().map(|(key, _)| key.text).collect();
            table.only(&[], &later)?;
        }
        let modes = [("enforce", Mode::Enforce), ("dry-run", Mode::DryRun)];
        Ok(Self {
            policy_ref: root
                .get("policy_ref")
                .map(|field| branch(&field))
                .transpose()?,
            pusher: root.get("pusher").map(|field| pusher(&field)).transpose()?,
            mode: root
                .get("mode")
                .map(|field| field.choice(&modes))
                .transpose()?,
            record: match root.get("record") {
                Some(field) => record(&field.table()?)?,
                None => RecordSettings::default(),
            },
            limits: SomeLimits::read(&root)?,
            help: inner(&root, "help", &["url"], "url", url)?,
            witnesses: witnesses(&root)?,
            spans: root
                .entries()
                .iter()
                .map(|(key, value)| (key.text.to_owned(), value.span()))
                .collect(),
        })
    }

    /// Returns these settings, with those of `below` where these say nothing.
    pub(super) fn over(self, below: Self) -> Self {
        let mut limits = below.limits.0;
        limits.extend(self.limits.0);
        let mut witnesses = below.witnesses;
        witnesses.extend(self.witnesses);
        Self {
            policy_ref: self.policy_ref.or(below.policy_ref),
            pusher: self.pusher.or(below.pusher),
            mode: self.mode.or(below.mode),
            record: RecordSettings {
                key: self.record.key.or(below.record.key),
                next: self.record.next.or(below.record.next),
                ..self.record
            },
            limits: SomeLimits(limits),
            help: self.help.or(below.help),
            witnesses,
            spans: self.spans,
        }
    }
}

impl SomeLimits {
    fn read(root: &Table<'_>) -> Result<Self, ConfigError> {
        let Some(field) = root.get("limits") else {
            return Ok(Self::default());
        };
        let table = field.table()?;
        let usual = Limits::default().by_name();
        let known: Vec<_> = usual.keys().map(String::as_str).collect();
        table.only(&known, &[])?;
        let mut limits = BTreeMap::new();
        for (key, value) in table.entries() {
            match value.integer()? {
                0 => return Err(value.invalid("a limit is at least 1")),
                limit => limits.insert(key.text.to_owned(), limit),
            };
        }
        Ok(Self(limits))
    }

    /// Returns all limits, those of `usual` where the file says nothing.
    pub(super) fn over(&self, usual: Limits) -> Limits {
        let mut all = usual.by_name();
        all.extend(self.0.clone());
        Limits::from_names(&all).unwrap_or(usual)
    }
}

/// Reads one key of a table that has no others than the known ones.
fn inner<T>(
    root: &Table<'_>,
    table: &'static str,
    known: &[&str],
    key: &'static str,
    read: impl Fn(&Field<'_>) -> Result<T, ConfigError>,
) -> Result<Option<T>, ConfigError> {
    let Some(field) = root.get(table) else {
        return Ok(None);
    };
    let table = field.table()?;
    table.only(known, &[])?;
    table.get(key).map(|field| read(&field)).transpose()
}

fn branch(field: &Field<'_>) -> Result<RefName, ConfigError> {
    let name = RefName::from(field.text()?.text);
    let is_branch = name
        .as_str()
        .is_some_and(|text| text.starts_with("refs/heads/"));
    if !is_branch || refname::check(&name).is_err() {
        return Err(field.invalid("no branch; a branch reads `refs/heads/<name>`"));
    }
    Ok(name)
}

fn pusher(field: &Field<'_>) -> Result<PusherSource, ConfigError> {
    if let Some(text) = field.as_str() {
        return PusherSource::preset(text).map_err(|message| field.invalid(message));
    }
    let table = field
        .table()
        .map_err(|_| field.invalid("expected a preset or `{ env = \"NAME\" }`"))?;
    table.only(&["env"], &[])?;
    let name = table.need("env")?;
    PusherSource::variable_of_choice(name.text()?.text).map_err(|message| name.invalid(message))
}

impl RecordSettings {
    fn read(table: &Table<'_>) -> Result<Self, ConfigError> {
        table.only(&["dir", "shared", "name", "key", "next"], &[])?;
        let store = |name: &'static str| {
            let field = table.get(name);
            field.map(|field| stores::store(&field)).transpose()
        };
        let record = Self {
            dir: table
                .get("dir")
                .map(|field| record_dir(&field))
                .transpose()?,
            shared: table
                .get("shared")
                .map(|field| log_name(&field))
                .transpose()?,
            name: table
                .get("name")
                .map(|field| repository_name(&field))
                .transpose()?,
            key: store("key")?,
            next: store("next")?,
        };
        match (table.get("shared"), &record.dir) {
            (Some(shared), None) => Err(shared.invalid("a shared log needs its `dir` beside it")),
            _ => Ok(record),
        }
    }

    fn own(table: &Table<'_>) -> Result<Self, ConfigError> {
        let record = Self::read(table)?;
        match (table.get("shared"), table.get("name")) {
            (Some(shared), None) => Err(shared.invalid(
                "`name` is missing beside it: what this repository is called in the shared log",
            )),
            (None, Some(name)) if record.dir.is_some() => {
                Err(name.invalid("repositories have names in a log that they share alone"))
            }
            _ => Ok(record),
        }
    }

    fn of_system(table: &Table<'_>) -> Result<Self, ConfigError> {
        let record = Self::read(table)?;
        match (table.get("name"), table.get("dir"), &record.shared) {
            (Some(name), _, _) => {
                Err(name.invalid("`record.name` belongs into a repository's own file"))
            }
            (None, Some(dir), None) => Err(dir.invalid(
                "without `shared`, `record.dir` belongs into a repository's own file: two \
                 repositories cannot share a record",
            )),
            _ => Ok(record),
        }
    }
}

/// Takes what may name a log in its checkpoints, on one line and without a plus sign.
fn log_name(field: &Field<'_>) -> Result<String, ConfigError> {
    let text = field.text()?.text;
    let is_name = (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"+\"\\".contains(&byte));
    match is_name {
        true => Ok(text.to_owned()),
        false => Err(field.invalid("no name of a log, such as `git.example.com/log`")),
    }
}

fn repository_name(field: &Field<'_>) -> Result<RepositoryName, ConfigError> {
    RepositoryName::new(field.text()?.text)
        .ok_or_else(|| field.invalid("no name in a log: `[a-z0-9][a-z0-9._-]*`, at most 100 bytes"))
}

fn record_dir(field: &Field<'_>) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(field.text()?.text);
    if !path.is_absolute() {
        return Err(field.invalid("`record.dir` must be absolute"));
    }
    Ok(path)
}

/// Reads the addresses of witnesses, by the names of their keys.
fn witnesses(root: &Table<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut found = BTreeMap::new();
    for (key, field) in root
        .get("witnesses")
        .map(|field| field.table())
        .transpose()?
        .iter()
        .flat_map(Table::entries)
    {
        if !is_key_name(key.text) {
            let message = "no name of a witness's key: that is what stands before its first `+`";
            return Err(field.invalid(message));
        }
        found.insert(key.text.to_owned(), url(&field)?);
    }
    Ok(found)
}

/// Takes only what is safe to print on a pusher's terminal.
fn url(field: &Field<'_>) -> Result<String, ConfigError> {
    let text = field.text()?.text;
    let web = text.starts_with("https://") || text.starts_with("http://");
    if !web || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(field.invalid("no address that begins with `https://`"));
    }
    Ok(text.to_owned())
}
