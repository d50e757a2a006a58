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
use crate::wire::name::RefName;
use crate::wire::note::is_key_name;
use crate::wire::refname;

/// The keys of `[record]`.
const RECORD: &[&str] = &["dir", "key", "next"];

/// One file, checked; what it does not say is `None`.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) policy_ref: Option<RefName>,
    pub(super) pusher: Option<PusherSource>,
    pub(super) mode: Option<Mode>,
    pub(super) record: Option<PathBuf>,
    pub(super) key: Option<KeyStore>,
    pub(super) next: Option<KeyStore>,
    pub(super) limits: SomeLimits,
    pub(super) help: Option<String>,
    /// Where witnesses are, by the names of their keys.
    pub(super) witnesses: BTreeMap<String, String>,
    /// Where the values of top-level keys stand, in bytes.
    pub(super) spans: BTreeMap<String, Range<usize>>,
}

/// The limits that a file gives, by name.
#[derive(Debug, Default)]
pub(super) struct SomeLimits(BTreeMap<String, u64>);

impl Settings {
    /// Reads a repository's own file.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::read(path, bytes, record_dir)
    }

    /// Reads the system-wide file, which cannot give one record to many repositories.
    pub(super) fn parse_system(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::read(path, bytes, |field| {
            Err(field.invalid(
                "`record.dir` belongs into a repository's own file: two repositories cannot \
                 share a record",
            ))
        })
    }

    fn read(
        path: &Path,
        bytes: &[u8],
        dir: impl Fn(&Field<'_>) -> Result<PathBuf, ConfigError>,
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
            record: inner(&root, "record", RECORD, "dir", dir)?,
            key: inner(&root, "record", RECORD, "key", stores::store)?,
            next: inner(&root, "record", RECORD, "next", stores::store)?,
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
            record: self.record.or(below.record),
            key: self.key.or(below.key),
            next: self.next.or(below.next),
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
    if let Ok(text) = field.text() {
        return PusherSource::preset(text.text).map_err(|message| field.invalid(message));
    }
    let table = field
        .table()
        .map_err(|_| field.invalid("expected a preset or `{ env = \"NAME\" }`"))?;
    table.only(&["env"], &[])?;
    let name = table.need("env")?;
    PusherSource::variable_of_choice(name.text()?.text).map_err(|message| name.invalid(message))
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
