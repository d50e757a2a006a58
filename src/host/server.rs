//! `<git-dir>/countersign/server.toml`: what the host's admin decides about one repository.
//!
//! The file belongs to the host and never travels by push. A system-wide file gives defaults key
//! by key. Both are strict: an unknown key is an error that names file, line and column.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::limits::Limits;
use super::place::place;
use super::pusher::PusherSource;
use crate::policy::Mode;
use crate::wire::name::RefName;

/// Where the system-wide file stands.
pub const SYSTEM_FILE: &str = "/etc/countersign/server.toml";

/// The largest file read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// One repository's settings, both files merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The ref whose recorded tip holds policy and people.
    pub policy_ref: RefName,
    /// Who tells who pushes.
    pub pusher: PusherSource,
    /// Dry run for the whole host, or as the policy says.
    pub mode: Mode,
    /// The directory of the record.
    pub record: PathBuf,
    /// Bounds of one judgement.
    pub limits: Limits,
    /// Where a refused pusher finds help; printed in refusals.
    pub help: Option<String>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no file in the repository.
    #[error("{}: not found; the repository is not enrolled", .0.display())]
    NotEnrolled(PathBuf),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than is read.
    #[error("{}: larger than {MAX_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not what the grammar allows.
    #[error("{file}:{line}:{column}: {message}\n  |\n{line} | {source_line}\n  | {caret}")]
    Invalid {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What was found and what would be right.
        message: String,
        /// The line it stands in.
        source_line: String,
        /// `^` below its first character.
        caret: String,
    },
    /// Neither file says who tells who pushes.
    #[error("{}: `pusher` is missing, and no system-wide file gives it", .0.display())]
    NoPusher(PathBuf),
}

/// What `enroll` decides; a setting that is `None` stays as it is in an existing file.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    /// `policy_ref`, the default unless given.
    pub policy_ref: Option<RefName>,
    /// `pusher`, `{ env = "COUNTERSIGN_PUSHER" }` unless given.
    pub pusher: Option<PusherSource>,
    /// `mode`, enforce unless given.
    pub mode: Option<Mode>,
}

impl Server {
    /// Returns where the file of the repository at `git_dir` stands.
    pub fn path(git_dir: &Path) -> PathBuf {
        git_dir.join("countersign").join("server.toml")
    }

    /// Reads the repository's file over the system-wide one at `system`, which need not exist.
    pub fn load(git_dir: &Path, system: &Path) -> Result<Self, ServerError> {
        let path = Self::path(git_dir);
        let own = read(&path)?.ok_or_else(|| ServerError::NotEnrolled(path.clone()))?;
        let own = Settings::parse(&path, &own)?;
        let defaults = match read(system)? {
            Some(text) => Settings::parse_system(system, &text)?,
            None => Settings::default(),
        };
        own.over(defaults).finish(git_dir, &path)
    }

    /// Writes the repository's file where there is none, else changes only what `initial` gives.
    ///
    /// Everything else in an existing file, comments too, stays byte for byte. The result is read
    /// back before it replaces what is there. Returns whether anything changed.
    pub fn write_initial(git_dir: &Path, initial: &Initial) -> Result<bool, ServerError> {
        let path = Self::path(git_dir);
        let old = read(&path)?;
        let new = match &old {
            None => initial.starter(),
            Some(text) => initial.edit(&path, text)?,
        };
        if old.as_ref() == Some(&new) {
            return Ok(false);
        }
        Settings::parse(&path, &new)?;
        let failed = |source| ServerError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(git_dir.join("countersign")).map_err(failed)?;
        place(&path, new.as_bytes(), 0o644).map_err(failed)?;
        Ok(true)
    }
}

/// One file, checked; what it does not say is `None`.
#[derive(Default)]
struct Settings {
    policy_ref: Option<RefName>,
    pusher: Option<PusherSource>,
    mode: Option<Mode>,
    record: Option<PathBuf>,
    limits: RawLimits,
    help: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    policy_ref: Option<Spanned<String>>,
    pusher: Option<Spanned<toml::Value>>,
    mode: Option<Spanned<Mode>>,
    record: Option<RawRecord>,
    limits: Option<RawLimits>,
    alerts: Option<BTreeMap<Spanned<String>, toml::Value>>,
    help: Option<RawHelp>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    dir: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    refs: Option<Spanned<u64>>,
    objects: Option<Spanned<u64>>,
    paths: Option<Spanned<u64>>,
    bytes: Option<Spanned<u64>>,
    seconds: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHelp {
    url: Option<Spanned<String>>,
}

impl Raw {
    fn read(path: &Path, text: &str) -> Result<Self, ServerError> {
        toml::from_str(text)
            .map_err(|error| invalid(path, text, error.span(), error.message().to_owned()))
    }
}

impl Settings {
    fn parse(path: &Path, text: &str) -> Result<Self, ServerError> {
        let raw = Raw::read(path, text)?;
        let fault = |span, message| invalid(path, text, Some(span), message);
        if let Some(key) = raw.alerts.iter().flatten().map(|(key, _)| key).next() {
            let message = format!("`alerts.{}` is not supported by this version", key.as_ref());
            return Err(fault(key.span(), message));
        }
        let limits = raw.limits.unwrap_or_default();
        if let Some(zero) = limits
            .all()
            .into_iter()
            .flatten()
            .find(|value| *value.as_ref() == 0)
        {
            return Err(fault(zero.span(), "a limit is at least 1".to_owned()));
        }
        Ok(Self {
            policy_ref: checked(raw.policy_ref, branch, fault)?,
            pusher: checked(raw.pusher, pusher, fault)?,
            mode: raw.mode.map(Spanned::into_inner),
            record: checked(raw.record.and_then(|record| record.dir), directory, fault)?,
            limits,
            help: checked(raw.help.and_then(|help| help.url), url, fault)?,
        })
    }

    /// Reads the system-wide file, which cannot give one record to many repositories.
    fn parse_system(path: &Path, text: &str) -> Result<Self, ServerError> {
        let raw = Raw::read(path, text)?;
        if let Some(dir) = raw.record.and_then(|record| record.dir) {
            let message = "`record.dir` belongs into a repository's own file: two repositories \
                           cannot share a record";
            return Err(invalid(path, text, Some(dir.span()), message.to_owned()));
        }
        Self::parse(path, text)
    }

    fn over(self, below: Self) -> Self {
        Self {
            policy_ref: self.policy_ref.or(below.policy_ref),
            pusher: self.pusher.or(below.pusher),
            mode: self.mode.or(below.mode),
            record: self.record.or(below.record),
            limits: RawLimits {
                refs: self.limits.refs.or(below.limits.refs),
                objects: self.limits.objects.or(below.limits.objects),
                paths: self.limits.paths.or(below.limits.paths),
                bytes: self.limits.bytes.or(below.limits.bytes),
                seconds: self.limits.seconds.or(below.limits.seconds),
            },
            help: self.help.or(below.help),
        }
    }

    fn finish(self, git_dir: &Path, path: &Path) -> Result<Server, ServerError> {
        let usual = Limits::default();
        let or = |given: Option<Spanned<u64>>, usual| given.map_or(usual, Spanned::into_inner);
        Ok(Server {
            policy_ref: self.policy_ref.unwrap_or_else(default_policy_ref),
            pusher: self
                .pusher
                .ok_or_else(|| ServerError::NoPusher(path.to_owned()))?,
            mode: self.mode.unwrap_or_default(),
            record: self.record.unwrap_or_else(|| git_dir.join("countersign")),
            limits: Limits {
                refs: or(self.limits.refs, usual.refs),
                objects: or(self.limits.objects, usual.objects),
                paths: or(self.limits.paths, usual.paths),
                bytes: or(self.limits.bytes, usual.bytes),
                seconds: or(self.limits.seconds, usual.seconds),
            },
            help: self.help,
        })
    }
}

impl RawLimits {
    fn all(&self) -> [Option<&Spanned<u64>>; 5] {
        [
            self.refs.as_ref(),
            self.objects.as_ref(),
            self.paths.as_ref(),
            self.bytes.as_ref(),
            self.seconds.as_ref(),
        ]
    }
}

impl Initial {
    fn starter(&self) -> String {
        let env = PusherSource::Env("COUNTERSIGN_PUSHER".to_owned());
        let policy_ref = self.policy_ref.clone().unwrap_or_else(default_policy_ref);
        format!(
            "# Countersign: settings of this repository's host. Nothing that is pushed changes them.\n\
             policy_ref = \"{policy_ref}\"\n\
             pusher     = {}\n\
             mode       = \"{}\"\n",
            self.pusher.as_ref().unwrap_or(&env).spelled(),
            spelled(self.mode.unwrap_or_default()),
        )
    }

    /// Replaces the values of the given keys in place; a key that is not there goes on top.
    fn edit(&self, path: &Path, text: &str) -> Result<String, ServerError> {
        let raw = Raw::read(path, text)?;
        let settings = Settings::parse(path, text)?;
        let mut edits = Vec::new();
        let mut set = |key: &str, span: Option<Range<usize>>, value: String| match span {
            Some(span) => edits.push((span, value)),
            None => edits.push((0..0, format!("{key} = {value}\n"))),
        };
        if let Some(name) = self
            .policy_ref
            .as_ref()
            .filter(|new| settings.policy_ref.as_ref() != Some(new))
        {
            set(
                "policy_ref",
                raw.policy_ref.map(|old| old.span()),
                format!("\"{name}\""),
            );
        }
        if let Some(new) = self
            .pusher
            .as_ref()
            .filter(|new| settings.pusher.as_ref() != Some(new))
        {
            set("pusher", raw.pusher.map(|old| old.span()), new.spelled());
        }
        if let Some(new) = self.mode.filter(|new| settings.mode != Some(*new)) {
            set(
                "mode",
                raw.mode.map(|old| old.span()),
                format!("\"{}\"", spelled(new)),
            );
        }
        edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = text.to_owned();
        for (span, value) in edits {
            text.replace_range(span, &value);
        }
        Ok(text)
    }
}

fn default_policy_ref() -> RefName {
    RefName::from("refs/heads/main")
}

fn spelled(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}

/// Applies a check to a value and puts its complaint where the value stands.
fn checked<T, U>(
    value: Option<Spanned<T>>,
    check: impl Fn(T) -> Result<U, String>,
    fault: impl Fn(Range<usize>, String) -> ServerError,
) -> Result<Option<U>, ServerError> {
    let Some(value) = value else { return Ok(None) };
    let span = value.span();
    check(value.into_inner())
        .map(Some)
        .map_err(|message| fault(span, message))
}

fn branch(text: String) -> Result<RefName, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\~^:?*[`$;&|<>(){}!#".contains(&byte);
    let short = text.strip_prefix("refs/heads/").unwrap_or_default();
    let components = short
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with(".lock"));
    if !components || !short.bytes().all(plain) || short.contains("..") || short.contains("@") {
        return Err(format!(
            "`{text}` is no branch; expected `refs/heads/<name>`"
        ));
    }
    Ok(RefName::from(text.as_str()))
}

fn pusher(value: toml::Value) -> Result<PusherSource, String> {
    let shape = "expected a preset or `{ env = \"NAME\" }`";
    match value {
        toml::Value::String(text) => PusherSource::preset(&text),
        toml::Value::Table(table) => match (table.len(), table.get("env")) {
            (1, Some(toml::Value::String(name))) => PusherSource::variable_of_choice(name),
            _ => Err(shape.to_owned()),
        },
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_) => Err(shape.to_owned()),
    }
}

fn directory(text: String) -> Result<PathBuf, String> {
    let path = PathBuf::from(&text);
    if !path.is_absolute() {
        return Err(format!("`{text}` is not absolute"));
    }
    Ok(path)
}

/// Takes only what is safe to print on a pusher's terminal.
fn url(text: String) -> Result<String, String> {
    let web = text.starts_with("https://") || text.starts_with("http://");
    if !web || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{text:?} is no address that begins with `https://`"
        ));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Option<String>, ServerError> {
    let failed = |source| ServerError::File {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut text = String::new();
    let read = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if read as u64 > MAX_FILE {
        return Err(ServerError::TooLarge(path.to_owned()));
    }
    Ok(Some(text))
}

/// Finds the line and column of `span` and the line itself.
fn invalid(path: &Path, text: &str, span: Option<Range<usize>>, message: String) -> ServerError {
    let start = span.map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(begin..).unwrap_or_default().chars().count() + 1;
    let source_line = text.get(begin..).unwrap_or_default();
    ServerError::Invalid {
        file: path.display().to_string(),
        line: before.matches('\n').count() + 1,
        column,
        message: message.trim_end().to_owned(),
        source_line: source_line.lines().next().unwrap_or_default().to_owned(),
        caret: format!("{}^", " ".repeat(column - 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn repo(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("countersign")).unwrap();
        fs::write(Server::path(dir.path()), text).unwrap();
        dir
    }

    fn load(text: &str, system: Option<&str>) -> Result<Server, ServerError> {
        let dir = repo(text);
        let system_file = dir.path().join("system.toml");
        if let Some(text) = system {
            fs::write(&system_file, text).unwrap();
        }
        Server::load(dir.path(), &system_file)
    }

    /// What the file does not say has its default; the record stands beside the file.
    #[test]
    fn defaults() {
        let dir = repo("pusher = \"gitolite\"\n[alerts]\n");
        let server = Server::load(dir.path(), Path::new("/nonexistent")).unwrap();
        let want = Server {
            policy_ref: RefName::from("refs/heads/main"),
            pusher: PusherSource::Gitolite,
            mode: Mode::Enforce,
            record: dir.path().join("countersign"),
            limits: Limits::default(),
            help: None,
        };
        assert_eq!(server, want);
    }

    /// The system-wide file gives defaults one key at a time, never a shared record.
    #[test]
    fn merged_key_by_key() {
        let system = "pusher = \"http\"\nmode = \"dry-run\"\n[limits]\nrefs = 5\nseconds = 9\n\
                      [help]\nurl = \"https://example.com/help\"\n";
        let own = "mode = \"enforce\"\n[limits]\nrefs = 7\n";
        let server = load(own, Some(system)).unwrap();
        assert_eq!(server.pusher, PusherSource::Http);
        assert_eq!(server.mode, Mode::Enforce);
        assert_eq!((server.limits.refs, server.limits.seconds), (7, 9));
        assert_eq!(server.help.as_deref(), Some("https://example.com/help"));
        let error = load(own, Some("[record]\ndir = \"/srv/record\"\n")).unwrap_err();
        assert!(
            error.to_string().contains("cannot share a record"),
            "{error}"
        );
        let error = load(own, Some("nonsense = 1\n")).unwrap_err();
        assert!(error.to_string().contains("system.toml:1:1"), "{error}");
    }

    /// Each fault is named with its line and column.
    #[test]
    fn faults() {
        for (text, place, word) in [
            ("x = 1\n", ":1:1:", "unknown field"),
            (
                "pusher = \"http\"\n[limits]\n  rfs = 1\n",
                ":3:3:",
                "unknown field",
            ),
            (
                "pusher = \"http\"\n[alerts]\nmail = \"a\"\n",
                ":3:1:",
                "alerts.mail",
            ),
            ("pusher = \"push-cert\"\n", ":1:10:", "not supported"),
            ("pusher = \"gerrit\"\n", ":1:10:", "no pusher preset"),
            (
                "pusher = { env = \"A\", b = 1 }\n",
                ":1:10:",
                "expected a preset",
            ),
            (
                "pusher = { env = \"LC_PUSHER\" }\n",
                ":1:10:",
                "set by the pusher",
            ),
            (
                "pusher = { env = \"GIT_PROTOCOL\" }\n",
                ":1:10:",
                "set by the pusher",
            ),
            ("pusher = { env = \"pusher\" }\n", ":1:10:", "variable name"),
            ("pusher = 1\n", ":1:10:", "expected a preset"),
            ("mode = \"off\"\n", ":1:8:", "unknown variant"),
            ("policy_ref = \"main\"\n", ":1:14:", "refs/heads/"),
            ("policy_ref = \"refs/tags/v1\"\n", ":1:14:", "refs/heads/"),
            (
                "policy_ref = \"refs/heads/../x\"\n",
                ":1:14:",
                "refs/heads/",
            ),
            ("[limits]\nrefs = 0\n", ":2:8:", "at least 1"),
            ("[limits]\nrefs = -1\n", ":2:8:", "invalid value"),
            ("[record]\ndir = \"here\"\n", ":2:7:", "not absolute"),
            (
                "[help]\nurl = \"https://x/\\u001b[31m\"\n",
                ":2:7:",
                "address",
            ),
            ("[help]\nurl = \"javascript:1\"\n", ":2:7:", "address"),
            ("= 1\n", ":1:1:", ""),
        ] {
            let error = load(text, None).unwrap_err().to_string();
            assert!(
                error.contains(place) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }

    /// No file, no pusher, a huge file, bytes that are no text: errors, never defaults.
    #[test]
    fn unusable() {
        let dir = tempfile::tempdir().unwrap();
        let none = Path::new("/nonexistent");
        assert!(matches!(
            Server::load(dir.path(), none),
            Err(ServerError::NotEnrolled(_))
        ));
        assert!(matches!(load("", None), Err(ServerError::NoPusher(_))));
        assert!(matches!(
            load(&"#".repeat(70_000), None),
            Err(ServerError::TooLarge(_))
        ));
        let dir = repo("");
        fs::write(Server::path(dir.path()), b"\xff").unwrap();
        assert!(matches!(
            Server::load(dir.path(), none),
            Err(ServerError::File { .. })
        ));
    }

    /// The first write is complete; later ones change only what is asked and keep comments.
    #[test]
    fn write_initial() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Server::write_initial(dir.path(), &Initial::default()).unwrap());
        assert!(!Server::write_initial(dir.path(), &Initial::default()).unwrap());
        let server = Server::load(dir.path(), Path::new("/nonexistent")).unwrap();
        assert_eq!(
            server.pusher,
            PusherSource::Env("COUNTERSIGN_PUSHER".into())
        );
        let path = Server::path(dir.path());
        fs::write(
            &path,
            "# mine\npusher = \"http\" # why\n[limits]\nrefs = 9\n",
        )
        .unwrap();
        let initial = Initial {
            pusher: Some(PusherSource::Gitolite),
            mode: Some(Mode::DryRun),
            policy_ref: None,
        };
        assert!(Server::write_initial(dir.path(), &initial).unwrap());
        let want = "mode = \"dry-run\"\n# mine\npusher = \"gitolite\" # why\n[limits]\nrefs = 9\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        fs::write(&path, "nonsense = 1\n").unwrap();
        assert!(Server::write_initial(dir.path(), &initial).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense = 1\n");
    }
}
