//! `<git-dir>/countersign/server.toml`: what the host's admin decides about one repository.
//!
//! The file belongs to the host and never travels by push. A system-wide file gives defaults key
//! by key. Both are strict: an unknown key is an error that names file, line and column.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::place::place;
use super::pusher::PusherSource;
use super::settings::{RecordSettings, Settings};
use crate::gather::Limits;
use crate::people::ConfigError;
use crate::policy::Mode;
use crate::record::key::{KeyStore, KeyStores};
use crate::record::shared::RepositoryName;
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
    /// Where the key that signs the record is kept.
    pub keys: KeyStores,
    /// The log that it shares with other repositories, if it does.
    pub shared: Option<SharedLog>,
    /// Bounds of one judgement.
    pub limits: Limits,
    /// Where a refused pusher finds help; printed in refusals.
    pub help: Option<String>,
    /// Where the witnesses of the record are, by the names of their keys.
    pub witnesses: BTreeMap<String, String>,
}

/// The two files of settings as they are, each read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The repository's.
    pub own: Vec<u8>,
    /// The system-wide one, where there is one.
    pub system: Option<Vec<u8>>,
}

impl Written {
    /// Reads them.
    pub fn read(git_dir: &Path, system: &Path) -> Result<Self, ServerError> {
        let path = Server::path(git_dir);
        Ok(Self {
            own: read(&path)?.ok_or(ServerError::NotEnrolled(path))?,
            system: read(system)?,
        })
    }
}

/// A log of many repositories, and which of them this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLog {
    /// The name that its checkpoints bear.
    pub log: String,
    /// What the repository is called in it.
    pub name: RepositoryName,
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
    #[error("{}\n{}", .0, drawing(.0))]
    Invalid(Box<ConfigError>),
    /// Neither file says who tells who pushes.
    #[error("{}: `pusher` is missing, and no system-wide file gives it", .0.display())]
    NoPusher(PathBuf),
    /// A name in a log that neither file gives.
    #[error("{}: `record.name` is there, and no system-wide file gives the shared log", .0.display())]
    NoSharedLog(PathBuf),
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
    /// `[record]`, for a new file alone.
    pub record: InitialRecord,
}

/// Where a new record is to be; by default in the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitialRecord {
    /// `dir`.
    pub dir: Option<PathBuf>,
    /// `shared`: the name of the log.
    pub shared: Option<String>,
    /// `name`: the repository's in it.
    pub name: Option<RepositoryName>,
}

impl Server {
    /// Returns where the file of the repository at `git_dir` stands.
    pub fn path(git_dir: &Path) -> PathBuf {
        git_dir.join("countersign").join("server.toml")
    }

    /// Reads the repository's file over the system-wide one at `system`, which need not exist.
    pub fn load(git_dir: &Path, system: &Path) -> Result<Self, ServerError> {
        Self::of(git_dir, &Written::read(git_dir, system)?, system)
    }

    /// Returns what the settings will be once `initial` is written.
    pub fn planned(git_dir: &Path, initial: &Initial, system: &Path) -> Result<Self, ServerError> {
        let path = Self::path(git_dir);
        let written = Written {
            own: initial.over(&path, read(&path)?.as_deref())?,
            system: read(system)?,
        };
        Self::of(git_dir, &written, system)
    }

    /// Reads what is written in both files.
    pub fn of(git_dir: &Path, written: &Written, system: &Path) -> Result<Self, ServerError> {
        let path = Self::path(git_dir);
        let own = Settings::parse(&path, &written.own)?;
        let defaults = system_settings(system, written.system.as_deref())?;
        let (record, shared) = place_of(&path, git_dir, &own.record, &defaults.record)?;
        let all = own.over(defaults);
        Ok(Self {
            policy_ref: all.policy_ref.unwrap_or_else(default_policy_ref),
            pusher: all.pusher.ok_or(ServerError::NoPusher(path))?,
            mode: all.mode.unwrap_or_default(),
            record,
            shared,
            keys: KeyStores {
                key: all.record.key.unwrap_or_default(),
                next: all.record.next,
            },
            limits: all.limits.over(Limits::default()),
            help: all.help,
            witnesses: all.witnesses,
        })
    }

    /// Returns what the repository is called in the log that it shares.
    pub fn shared_name(&self) -> Option<&RepositoryName> {
        self.shared.as_ref().map(|shared| &shared.name)
    }

    /// Returns the log that the system-wide file has new repositories share.
    pub fn system_log(system: &Path) -> Result<Option<String>, ServerError> {
        Ok(system_settings(system, read(system)?.as_deref())?
            .record
            .shared)
    }

    /// Returns the policy ref of repositories whose own file names none.
    pub fn system_policy_ref(system: &Path) -> Result<RefName, ServerError> {
        let own = system_settings(system, read(system)?.as_deref())?.policy_ref;
        Ok(own.unwrap_or_else(default_policy_ref))
    }

    /// Returns each setting by its name, as it is written; a record inside the repository from there
    /// on, so that it may be moved.
    pub fn by_name(&self, git_dir: &Path) -> BTreeMap<String, String> {
        let record = self.record.strip_prefix(git_dir).unwrap_or(&self.record);
        let mut names = BTreeMap::from([
            ("policy_ref".to_owned(), self.policy_ref.to_string()),
            ("pusher".to_owned(), self.pusher.spelled()),
            ("mode".to_owned(), spelled(self.mode).to_owned()),
            ("record.dir".to_owned(), record.display().to_string()),
        ]);
        // As before there was a choice: what was on record of a host stays true.
        if self.keys.key != KeyStore::File {
            names.insert("record.key".to_owned(), self.keys.key.to_string());
        }
        if let Some(next) = &self.keys.next {
            names.insert("record.next".to_owned(), next.to_string());
        }
        if let Some(shared) = &self.shared {
            names.insert("record.shared".to_owned(), shared.log.clone());
            names.insert("record.name".to_owned(), shared.name.as_str().to_owned());
        }
        for (name, limit) in self.limits.by_name() {
            names.insert(format!("limits.{name}"), limit.to_string());
        }
        if let Some(help) = &self.help {
            names.insert("help.url".to_owned(), help.clone());
        }
        for (name, url) in &self.witnesses {
            names.insert(format!("witnesses.{name}"), url.clone());
        }
        names
    }

    /// Writes the repository's file where there is none, else changes only what `initial` gives.
    ///
    /// Everything else in an existing file, comments too, stays byte for byte. The result is
    /// checked before it replaces what is there. Returns whether anything changed.
    pub fn write_initial(git_dir: &Path, initial: &Initial) -> Result<bool, ServerError> {
        let path = Self::path(git_dir);
        let old = read(&path)?;
        let new = initial.over(&path, old.as_deref())?;
        if old.as_ref() == Some(&new) {
            return Ok(false);
        }
        Settings::parse(&path, &new)?;
        let failed = |source| ServerError::File {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(git_dir.join("countersign")).map_err(failed)?;
        place(&path, &new, 0o644).map_err(failed)?;
        Ok(true)
    }
}

impl Initial {
    /// Returns the whole file, from the one that is there or anew.
    fn over(&self, path: &Path, old: Option<&[u8]>) -> Result<Vec<u8>, ServerError> {
        match old {
            None => Ok(self.starter().into_bytes()),
            Some(bytes) => self.edit(path, bytes),
        }
    }

    fn starter(&self) -> String {
        let env = PusherSource::Env("COUNTERSIGN_PUSHER".to_owned());
        let policy_ref = self.policy_ref.clone().unwrap_or_else(default_policy_ref);
        let mut text = format!(
            "# Countersign: settings of this repository's host. Nothing pushed changes them.\n\
             policy_ref = \"{policy_ref}\"\n\
             pusher     = {}\n\
             mode       = \"{}\"\n",
            self.pusher.as_ref().unwrap_or(&env).spelled(),
            spelled(self.mode.unwrap_or_default()),
        );
        let InitialRecord { dir, shared, name } = &self.record;
        let lines = [
            ("dir", dir.as_ref().map(|dir| dir.display().to_string())),
            ("shared", shared.clone()),
            ("name", name.as_ref().map(|name| name.as_str().to_owned())),
        ];
        if self.record != InitialRecord::default() {
            text.push_str("\n[record]\n");
        }
        for (key, value) in lines {
            if let Some(value) = value {
                text.push_str(&format!("{key} = {}\n", toml::Value::String(value)));
            }
        }
        text
    }

    /// Replaces the values of the given keys in place; a key that is not there goes on top.
    fn edit(&self, path: &Path, bytes: &[u8]) -> Result<Vec<u8>, ServerError> {
        let old = Settings::parse(path, bytes)?;
        let mut edits = Vec::new();
        let mut set = |key: &str, value: String| match old.spans.get(key) {
            Some(span) => edits.push((span.clone(), value)),
            None => edits.push((0..0, format!("{key} = {value}\n"))),
        };
        if let Some(name) = &self.policy_ref
            && old.policy_ref.as_ref() != Some(name)
        {
            set("policy_ref", format!("\"{name}\""));
        }
        if let Some(pusher) = &self.pusher
            && old.pusher.as_ref() != Some(pusher)
        {
            set("pusher", pusher.spelled());
        }
        if let Some(mode) = self.mode
            && old.mode != Some(mode)
        {
            set("mode", format!("\"{}\"", spelled(mode)));
        }
        edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut bytes = bytes.to_owned();
        for (span, value) in edits {
            bytes.splice(span, value.into_bytes());
        }
        Ok(bytes)
    }
}

impl From<ConfigError> for ServerError {
    fn from(error: ConfigError) -> Self {
        Self::Invalid(Box::new(error))
    }
}

/// Returns the source line with its caret: the picture without the words above it.
fn drawing(error: &ConfigError) -> String {
    let lines: Vec<_> = error.rendered.trim_end().lines().skip(2).collect();
    lines.join("\n")
}

/// Returns where the record is, by the repository's own file and the system-wide one.
///
/// A repository takes part in the system-wide log only if its own file says by which name.
fn place_of(
    path: &Path,
    git_dir: &Path,
    own: &RecordSettings,
    system: &RecordSettings,
) -> Result<(PathBuf, Option<SharedLog>), ServerError> {
    let (dir, log) = match (&own.dir, &own.name) {
        (Some(dir), _) => (dir, &own.shared),
        (None, None) => return Ok((git_dir.join("countersign"), None)),
        (None, Some(_)) => match &system.dir {
            Some(dir) => (dir, &system.shared),
            None => return Err(ServerError::NoSharedLog(path.to_owned())),
        },
    };
    let shared = log.clone().zip(own.name.clone());
    let shared = shared.map(|(log, name)| SharedLog { log, name });
    Ok((dir.clone(), shared))
}

fn system_settings(system: &Path, written: Option<&[u8]>) -> Result<Settings, ServerError> {
    Ok(match written {
        Some(text) => Settings::parse_system(system, text)?,
        None => Settings::default(),
    })
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

fn read(path: &Path) -> Result<Option<Vec<u8>>, ServerError> {
    let failed = |source| ServerError::File {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    let size = file
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if size as u64 > MAX_FILE {
        return Err(ServerError::TooLarge(path.to_owned()));
    }
    Ok(Some(bytes))
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
            keys: KeyStores::default(),
            shared: None,
            limits: Limits::default(),
            help: None,
            witnesses: BTreeMap::new(),
        };
        assert_eq!(server, want);
    }

    /// The system-wide file gives defaults one key at a time, never a shared record.
    #[test]
    fn merged_key_by_key() {
        let system = "pusher = \"http\"\nmode = \"dry-run\"\n[limits]\nrefs = 5\nseconds = 9\n\
                      [help]\nurl = \"https://example.com/help\"\n\
                      [witnesses]\n\"w.example/1\" = \"https://a\"\n\"w.example/2\" = \"https://b\"\n";
        let own = "mode = \"enforce\"\n[limits]\nrefs = 7\n\
                   [witnesses]\n\"w.example/2\" = \"http://c:1\"\n";
        let server = load(own, Some(system)).unwrap();
        assert_eq!(server.pusher, PusherSource::Http);
        assert_eq!(server.mode, Mode::Enforce);
        assert_eq!((server.limits.refs, server.limits.seconds), (7, 9));
        assert_eq!(server.help.as_deref(), Some("https://example.com/help"));
        let names = server.by_name(Path::new("/"));
        let urls: Vec<_> = names
            .range("w".to_owned()..)
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let want = [
            ("witnesses.w.example/1", "https://a"),
            ("witnesses.w.example/2", "http://c:1"),
        ];
        assert_eq!(urls, want);
        let error = load(own, Some("[record]\ndir = \"/srv/record\"\n")).unwrap_err();
        assert!(
            error.to_string().contains("cannot share a record"),
            "{error}"
        );
        let error = load(own, Some("nonsense = 1\n")).unwrap_err();
        assert!(error.to_string().contains("system.toml:1:1"), "{error}");
    }

    /// A system-wide log is shared by those whose own file says by which name, and by no other.
    #[test]
    fn shared_logs() {
        let system =
            "pusher = \"http\"\n[record]\ndir = \"/srv/log\"\nshared = \"example.com/log\"\n";
        let named = |server: Server| {
            let shared = server
                .shared
                .map(|shared| (shared.log, String::from(shared.name)));
            (server.record.display().to_string(), shared)
        };
        let in_log = |dir: &str, log: &str, name: &str| {
            (dir.to_owned(), Some((log.to_owned(), name.to_owned())))
        };
        let own = load("[record]\nname = \"a\"\n", Some(system)).unwrap();
        assert_eq!(named(own), in_log("/srv/log", "example.com/log", "a"));
        let none = load("", Some(system)).unwrap();
        assert_eq!(none.shared, None);
        assert!(none.record.ends_with("countersign"));
        let elsewhere = load("[record]\ndir = \"/srv/own\"\n", Some(system)).unwrap();
        assert_eq!(named(elsewhere), ("/srv/own".to_owned(), None));
        let another = "[record]\ndir = \"/srv/b\"\nshared = \"b\"\nname = \"b\"\n";
        let another = load(another, Some(system)).unwrap();
        assert_eq!(named(another), in_log("/srv/b", "b", "b"));
        for (own, system, word) in [
            (
                "[record]\nname = \"a\"\n",
                "pusher = \"http\"\n",
                "no system-wide file",
            ),
            (
                "[record]\ndir = \"/a\"\nshared = \"b\"\n",
                "",
                "`name` is missing",
            ),
            (
                "[record]\nshared = \"b\"\nname = \"a\"\n",
                "",
                "needs its `dir`",
            ),
            ("[record]\ndir = \"/a\"\nname = \"a\"\n", "", "share alone"),
            ("[record]\nname = \"../a\"\n", "", "no name in a log"),
            (
                "[record]\ndir = \"/a\"\nshared = \"a b\"\nname = \"a\"\n",
                "",
                "no name of a log",
            ),
            (
                "",
                "[record]\ndir = \"/a\"\nshared = \"a\"\nname = \"a\"\n",
                "own file",
            ),
        ] {
            let error = load(own, Some(system)).unwrap_err().to_string();
            assert!(error.contains(word), "{own:?}, {system:?}: {error}");
        }
    }

    /// Each fault is named with its line and column.
    #[test]
    fn faults() {
        for (text, place, word) in [
            ("x = 1\n", ":1:1:", "unknown key"),
            (
                "pusher = \"http\"\n[limits]\n  rfs = 1\n",
                ":3:3:",
                "unknown key",
            ),
            ("[alerts]\nmail = \"a\"\n", ":2:1:", "not supported"),
            ("pusher = \"gerrit\"\n", ":1:10:", "no pusher preset"),
            ("pusher = { b = 1 }\n", ":1:12:", "unknown key"),
            ("pusher = {}\n", ":1:10:", "missing"),
            (
                "pusher = { env = \"LC_X\" }\n",
                ":1:18:",
                "set by the pusher",
            ),
            (
                "pusher = { env = \"GIT_X\" }\n",
                ":1:18:",
                "set by the pusher",
            ),
            ("pusher = { env = \"me\" }\n", ":1:18:", "variable name"),
            ("pusher = 1\n", ":1:10:", "expected a preset"),
            ("mode = \"off\"\n", ":1:8:", "enforce"),
            ("policy_ref = \"main\"\n", ":1:14:", "refs/heads/"),
            ("policy_ref = \"refs/tags/v1\"\n", ":1:14:", "refs/heads/"),
            (
                "policy_ref = \"refs/heads/../x\"\n",
                ":1:14:",
                "refs/heads/",
            ),
            ("[limits]\nrefs = 0\n", ":2:8:", "at least 1"),
            ("[limits]\nrefs = -1\n", ":2:8:", "integer"),
            ("[record]\ndir = \"here\"\n", ":2:7:", "absolute"),
            (
                "[help]\nurl = \"https://x/\\u001b[3m\"\n",
                ":2:7:",
                "address",
            ),
            ("[help]\nurl = \"javascript:1\"\n", ":2:7:", "address"),
            ("witnesses = 1\n", ":1:13:", "table"),
            ("[witnesses]\n\"w/1\" = \"ftp://a\"\n", ":2:9:", "address"),
            ("[witnesses]\n\"w+1\" = \"http://a\"\n", ":2:9:", "name"),
            ("[witnesses]\nw.example = \"http://a\"\n", ":2:", "string"),
            ("[record]\nkey = \"disk\"\n", ":2:7:", "\"file\""),
            ("[record]\nkey = 1\n", ":2:7:", "expected \"file\""),
            (
                "[record]\nkey = {}\n",
                ":2:7:",
                "`agent`, `pkcs11` or `command`",
            ),
            ("[record]\nkye = \"file\"\n", ":2:1:", "unknown key"),
            (
                "[record]\nkey = { agent = \"a.sock\" }\n",
                ":2:17:",
                "absolute",
            ),
            (
                "[record]\nkey = { agent = \"/a\", pin_file = \"/b\" }\n",
                ":2:23:",
                "unknown key",
            ),
            (
                "[record]\nkey = { agent = \"/a\", fingerprint = \"MD5:00\" }\n",
                ":2:37:",
                "SHA256:",
            ),
            (
                "[record]\nkey = { pkcs11 = \"/a.so\", token = \"t\", label = \"l\" }\n",
                ":2:7:",
                "`pin_file` is missing",
            ),
            (
                "[record]\nkey = { pkcs11 = \"/a.so\", token = \"\", label = \"l\", pin_file = \"/p\" }\n",
                ":2:35:",
                "empty",
            ),
            ("[record]\nkey = { command = [] }\n", ":2:19:", "empty"),
            (
                "[record]\nkey = { command = [\"sign\"] }\n",
                ":2:20:",
                "absolute",
            ),
            (
                "[record]\nkey = { command = \"/sign\" }\n",
                ":2:19:",
                "array",
            ),
            (
                "[record]\nkey = { agent = \"/a\", command = [\"/b\"] }\n",
                ":2:23:",
                "unknown key",
            ),
            ("= 1\n", ":1:1:", ""),
        ] {
            let error = load(text, None).unwrap_err().to_string();
            assert!(
                error.contains(place) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }

    /// Each store is read as it is written, and stands among the settings that an audit looks at; the
    /// usual one does not, as on hosts that were enrolled before there was a choice.
    #[test]
    fn key_stores() {
        let token = "{ pkcs11 = \"/a.so\", token = \"t\", label = \"l\", pin_file = \"/p\" }";
        for (value, shown) in [
            ("\"file\"", None),
            ("{ agent = \"/a b\" }", Some("{ agent = \"/a b\" }")),
            (
                "{ fingerprint = \"SHA256:x\", agent = \"/a\" }",
                Some("{ agent = \"/a\", fingerprint = \"SHA256:x\" }"),
            ),
            (token, Some(token)),
            (
                "{ command = [\"/b\", \"b\", \"b\"] }",
                Some("{ command = [\"/b\", \"b\", \"b\"] }"),
            ),
        ] {
            let text = format!("pusher = \"http\"\n[record]\nkey = {value}\n");
            let settings = load(&text, None).unwrap().by_name(Path::new("/"));
            let found = settings.get("record.key").map(String::as_str);
            assert_eq!(found, shown, "{value}");
        }
        let system = "pusher = \"http\"\n[record]\nkey = { agent = \"/a\" }\n";
        let server = load("[record]\nnext = \"file\"\n", Some(system)).unwrap();
        assert_eq!(server.keys.next, Some(KeyStore::File));
        assert_eq!(server.keys.key.to_string(), "{ agent = \"/a\" }");
        let settings = server.by_name(Path::new("/"));
        assert_eq!(settings.get("record.next").unwrap(), "\"file\"");
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
            Err(ServerError::Invalid(_))
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
            ..Initial::default()
        };
        assert!(Server::write_initial(dir.path(), &initial).unwrap());
        let want = "mode = \"dry-run\"\n# mine\npusher = \"gitolite\" # why\n[limits]\nrefs = 9\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        fs::write(&path, "nonsense = 1\n").unwrap();
        assert!(Server::write_initial(dir.path(), &initial).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense = 1\n");
    }
}
