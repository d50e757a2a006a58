//! The hooks on disk: one `exec` line each, and whatever stood there before.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::config::{self, ConfigFailed};
use super::place::{place, sync_dir};

/// A hook that Countersign stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Decides about a push.
    PreReceive,
    /// Decides about every other write of a ref.
    ReferenceTransaction,
    /// Closes the intents of a push.
    PostReceive,
}

/// What `install` or `remove` did for one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was as it should be.
    Nothing,
    /// Ours was written where there was nothing.
    Written,
    /// Ours was written over an older line of ours.
    Renewed,
    /// Somebody's hook was moved to the given path, and ours written.
    Moved(PathBuf),
    /// Ours was taken away.
    Removed,
    /// Ours was taken away and the previous hook put back.
    Restored,
}

/// Why the hooks cannot be put in place.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// git would not look at the hooks of the repository.
    #[error("`core.hooksPath` is set ({0}), so git never runs the repository's own hooks")]
    HooksPath(String),
    /// git 2.54 and later can switch a hook off; a `proc-receive` hook writes refs of its own.
    #[error("`{0}` is configured, by which refs can move without the hook deciding")]
    HookConfig(String),
    /// The previous hook was moved away once already.
    #[error("{} is not Countersign's, and {} holds an earlier one", hook.display(), previous.display())]
    Occupied {
        /// The hook found.
        hook: PathBuf,
        /// The one moved before.
        previous: PathBuf,
    },
    /// The installed binary has a path that cannot stand in a hook.
    #[error(
        "{0:?} cannot stand in a hook: it must be absolute, without line feeds, and end in `countersign`"
    )]
    Binary(PathBuf),
    /// `git config` did not answer.
    #[error(transparent)]
    Config(#[from] ConfigFailed),
    /// A file that cannot be read, written or moved.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl HooksError {
    /// Returns what to do about it, as commands where there are any.
    pub fn hints(&self, git_dir: &Path) -> Vec<String> {
        match self {
            Self::HooksPath(_) => unset_everywhere(git_dir, "core.hooksPath"),
            Self::HookConfig(key) => unset_everywhere(git_dir, key),
            Self::Occupied { hook, previous } => vec![format!(
                "keep one of the two: remove {}, or move {} into {} under another name",
                quote(previous.as_os_str()),
                quote(hook.as_os_str()),
                quote(previous.parent().unwrap_or(previous).as_os_str()),
            )],
            Self::Binary(_) | Self::Config(_) | Self::File { .. } => Vec::new(),
        }
    }
}

impl Hook {
    /// All of them, in the order git runs them in a push.
    pub const ALL: [Self; 3] = [
        Self::PreReceive,
        Self::ReferenceTransaction,
        Self::PostReceive,
    ];

    /// Returns git's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::ReferenceTransaction => "reference-transaction",
            Self::PostReceive => "post-receive",
        }
    }

    /// Returns the hook of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }

    /// Returns what stands in `hooks/`: one `exec` line.
    ///
    /// git runs the ref hook two or three times for each transaction, and cares for one answer: the
    /// shell gives the others, unless somebody else's hook is there to hear them.
    const fn template(self) -> &'static str {
        match self {
            Self::PreReceive => include_str!("../../hooks/pre-receive"),
            Self::ReferenceTransaction => include_str!("../../hooks/reference-transaction"),
            Self::PostReceive => include_str!("../../hooks/post-receive"),
        }
    }

    /// Returns the bytes of the hook that runs `binary`.
    ///
    /// The absolute path stands in it, quoted for the shell, so that no pusher's `PATH` matters.
    pub fn script(self, binary: &Path) -> Result<Vec<u8>, HooksError> {
        let bytes = binary.as_os_str().as_bytes();
        let fits = binary.is_absolute()
            && binary.file_name() == Some(OsStr::new("countersign"))
            && !bytes.contains(&b'\n');
        if !fits {
            return Err(HooksError::Binary(binary.to_owned()));
        }
        let (head, tail) = self.halves();
        let quoted = quote_bytes(bytes);
        Ok([head.as_bytes(), &quoted, tail.as_bytes()].concat())
    }

    /// Returns whether these are the bytes of a hook of ours, whatever binary it names.
    pub fn is_ours(self, bytes: &[u8]) -> bool {
        let (head, tail) = self.halves();
        let Some(binary) = bytes
            .strip_prefix(head.as_bytes())
            .and_then(|rest| rest.strip_suffix(tail.as_bytes()))
        else {
            return false;
        };
        let name = binary.strip_suffix(b"'").unwrap_or(binary);
        !binary.contains(&b'\n') && (name.ends_with(b"/countersign") || name == b"countersign")
    }

    /// Returns the template before and after the word `countersign`.
    fn halves(self) -> (&'static str, &'static str) {
        let template = self.template();
        template.split_once("countersign").unwrap_or((template, ""))
    }
}

/// Hooks that receive-pack and gc run beside ours (githooks(5)); `proc-receive` is a finding of its own.
pub const STRANGERS: [&str; 4] = ["update", "post-update", "push-to-checkout", "pre-auto-gc"];

/// The hooks directory of one repository.
#[derive(Clone, Debug)]
pub struct Hooks {
    dir: PathBuf,
}

impl Hooks {
    /// Returns the hooks of the repository at `git_dir`.
    pub fn of(git_dir: &Path) -> Self {
        Self {
            dir: git_dir.join("hooks"),
        }
    }

    /// Returns where the hook stands: in the forge's own `<hook>.d` where a forge owns the hook.
    pub fn path(&self, hook: Hook) -> PathBuf {
        if self.forge_owns(hook) {
            return self.more(hook).join("countersign");
        }
        self.dir.join(hook.name())
    }

    /// Returns whether the hook is there, ours, of this binary, and executable.
    pub fn is_installed(&self, hook: Hook, binary: &Path) -> Result<bool, HooksError> {
        let path = self.path(hook);
        let want = hook.script(binary)?;
        Ok(read(&path)?.as_deref() == Some(want.as_slice()) && is_executable(&path))
    }

    /// Puts the hook in place; somebody's hook moves to `<hook>.d/50-previous` first.
    pub fn install(&self, hook: Hook, binary: &Path) -> Result<Change, HooksError> {
        let change = self.would_install(hook, binary)?;
        let path = self.path(hook);
        create_dir(&self.dir)?;
        match &change {
            Change::Nothing => return Ok(change),
            Change::Moved(to) => self.move_away(hook, &path, to)?,
            Change::Written | Change::Renewed | Change::Removed | Change::Restored => {}
        }
        place(&path, &hook.script(binary)?, 0o755).map_err(|source| file(&path, source))?;
        Ok(change)
    }

    /// Returns what [`Hooks::install`] would do.
    pub fn would_install(&self, hook: Hook, binary: &Path) -> Result<Change, HooksError> {
        let script = hook.script(binary)?;
        let path = self.path(hook);
        Ok(match look(&path)? {
            Found::Nothing => Change::Written,
            Found::File(bytes) if bytes == script && is_executable(&path) => Change::Nothing,
            Found::File(bytes) if hook.is_ours(&bytes) => Change::Renewed,
            Found::File(_) | Found::Link(_) => {
                let to = self.more(hook).join(PREVIOUS);
                if fs::symlink_metadata(&to).is_ok() {
                    return Err(HooksError::Occupied {
                        hook: path,
                        previous: to,
                    });
                }
                Change::Moved(to)
            }
        })
    }

    /// Takes the hook away and puts back what was there before.
    pub fn remove(&self, hook: Hook) -> Result<Change, HooksError> {
        let change = self.would_remove(hook)?;
        let path = self.path(hook);
        match change {
            Change::Restored => {
                let previous = self.more(hook).join(PREVIOUS);
                fs::rename(&previous, &path).map_err(|source| file(&previous, source))?;
                // Only an empty directory goes; what an admin put there stays.
                if fs::remove_dir(self.more(hook)).is_ok() {
                    sync_dir(&self.dir).map_err(|source| file(&self.dir, source))?;
                }
            }
            Change::Removed => {
                fs::remove_file(&path).map_err(|source| file(&path, source))?;
                let dir = path.parent().unwrap_or(&self.dir);
                sync_dir(dir).map_err(|source| file(dir, source))?;
            }
            Change::Nothing | Change::Written | Change::Renewed | Change::Moved(_) => {}
        }
        Ok(change)
    }

    /// Returns what [`Hooks::remove`] would do.
    pub fn would_remove(&self, hook: Hook) -> Result<Change, HooksError> {
        match look(&self.path(hook))? {
            Found::File(bytes) if hook.is_ours(&bytes) => {}
            Found::File(_) | Found::Link(_) | Found::Nothing => return Ok(Change::Nothing),
        }
        let previous = self.more(hook).join(PREVIOUS);
        let restores = !self.forge_owns(hook) && fs::symlink_metadata(previous).is_ok();
        Ok(if restores {
            Change::Restored
        } else {
            Change::Removed
        })
    }

    /// Returns what is to run before ours, in order: every executable file of `<hook>.d`.
    ///
    /// Nothing where a forge owns the hook, for it runs them itself, ours among them. Where a forge is
    /// gone and left ours there, it would run itself without end.
    pub fn previous(&self, hook: Hook) -> Result<Vec<PathBuf>, HooksError> {
        match self.forge_owns(hook) {
            true => Ok(Vec::new()),
            false => self.others(hook),
        }
    }

    /// Returns every executable file of `<hook>.d` but ours, in order, whoever runs them.
    pub fn others(&self, hook: Hook) -> Result<Vec<PathBuf>, HooksError> {
        let dir = self.more(hook);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| file(&dir, source))?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| file(&dir, source))?.path();
            let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
            let aside = name.starts_with(b".") || name.ends_with(b"~");
            if !aside && is_executable(&path) && !is_any_of_ours(&path)? {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Returns those hooks of git's that are none of ours and run as refs are written: they can write
    /// others by the way.
    pub fn strangers(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let hooks = STRANGERS.into_iter();
        hooks
            .map(|name| (name, self.dir.join(name)))
            .filter(|(_, path)| is_executable(path))
    }

    /// Returns whether git may hand pushed refs to a `proc-receive` hook (githooks(5)), which can
    /// move any other ref instead, unseen by `pre-receive`.
    ///
    /// A forge's own only makes pull requests; that one is the forge's to answer for.
    pub fn hands_over(&self) -> bool {
        is_executable(&self.dir.join("proc-receive")) && !self.forge_owns(Hook::PreReceive)
    }

    /// Moves somebody's hook to where ours runs it; a relative link is made to point the same way.
    ///
    /// It gets a second name first, so that at no moment the hook is missing.
    fn move_away(&self, hook: Hook, path: &Path, to: &Path) -> Result<(), HooksError> {
        create_dir(&self.more(hook))?;
        match look(path)? {
            Found::File(_) => fs::hard_link(path, to).map_err(|source| file(to, source))?,
            Found::Link(target) => {
                let dir = fs::canonicalize(&self.dir).map_err(|source| file(&self.dir, source))?;
                let target = dir.join(target);
                std::os::unix::fs::symlink(target, to).map_err(|source| file(to, source))?;
            }
            Found::Nothing => {}
        }
        sync_dir(&self.more(hook)).map_err(|source| file(to, source))
    }

    fn more(&self, hook: Hook) -> PathBuf {
        self.dir.join(format!("{}.d", hook.name()))
    }

    /// Forgejo and Gitea write the hook themselves and run every file of `<hook>.d`.
    pub fn forge_owns(&self, hook: Hook) -> bool {
        ["gitea", "forgejo"]
            .iter()
            .any(|name| self.more(hook).join(name).is_file())
    }
}

/// Refuses where git's configuration keeps it from running the repository's own hooks.
///
/// Asks the git command, with the environment as it is, since that is what decides for pushes of
/// the same account: repository, global and system files, includes and `GIT_CONFIG_*`.
pub fn check_config(git_dir: &Path) -> Result<(), HooksError> {
    if let Some(value) = config::value(git_dir, "core.hooksPath")? {
        return Err(HooksError::HooksPath(value));
    }
    for hook in Hook::ALL {
        let pattern = format!("^hook\\.{}\\.", hook.name());
        if let Some((key, _)) = config::matching(git_dir, &pattern)?.pop() {
            return Err(HooksError::HookConfig(key));
        }
    }
    if config::value(git_dir, "receive.procReceiveRefs")?.is_some() {
        return Err(HooksError::HookConfig("receive.procReceiveRefs".to_owned()));
    }
    Ok(())
}

/// Returns the commands that take a key out of every file it stands in, then enrolment.
fn unset_everywhere(git_dir: &Path, key: &str) -> Vec<String> {
    let pattern = format!("^{}$", key.to_lowercase().replace('.', "\\."));
    let settings = config::settings(git_dir, &pattern).unwrap_or_default();
    let files: BTreeSet<String> = settings.into_iter().map(|it| it.origin).collect();
    let commands = files.iter().map(|file| config::unset(git_dir, file, key));
    let again = format!("countersign enroll {}", word(git_dir.as_os_str()));
    commands.chain([again]).collect()
}

/// Returns a word for a POSIX shell, quoted where it must be.
pub fn word(text: &OsStr) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:@+=,".contains(byte);
    match text.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| plain(&byte)) => text.to_owned(),
        _ => quote(text),
    }
}

/// Quotes one word for a POSIX shell.
pub fn quote(word: &OsStr) -> String {
    String::from_utf8_lossy(&quote_bytes(word.as_bytes())).into_owned()
}

fn quote_bytes(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The name somebody's hook gets in `<hook>.d`.
const PREVIOUS: &str = "50-previous";

enum Found {
    Nothing,
    File(Vec<u8>),
    Link(PathBuf),
}

fn look(path: &Path) -> Result<Found, HooksError> {
    match fs::read_link(path) {
        Ok(target) => return Ok(Found::Link(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(_) => {}
    }
    Ok(read(path)?.map_or(Found::Nothing, Found::File))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, HooksError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|source| file(path, source)),
    }
}

fn create_dir(path: &Path) -> Result<(), HooksError> {
    fs::create_dir_all(path).map_err(|source| file(path, source))
}

/// Returns whether a file is a hook of ours, for whatever event.
fn is_any_of_ours(path: &Path) -> Result<bool, HooksError> {
    /// More than any of ours has.
    const MOST: u64 = 8192;
    let mut bytes = Vec::new();
    let opened = fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    match opened {
        Ok(_) => Ok(Hook::ALL.iter().any(|hook| hook.is_ours(&bytes))),
        // What can be executed and not read is none of ours.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(source) => Err(file(path, source)),
    }
}

/// Returns whether somebody may execute what stands there, links followed.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn file(path: &Path, source: io::Error) -> HooksError {
    HooksError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const BINARY: &str = "/opt/it's here/countersign";

    fn repo() -> (tempfile::TempDir, Hooks) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("hooks")).unwrap();
        let hooks = Hooks::of(dir.path());
        (dir, hooks)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    /// The hook is one exec line, and a quote in the path cannot end the word.
    #[test]
    fn script() {
        let script = Hook::PreReceive.script(Path::new(BINARY)).unwrap();
        assert_eq!(
            String::from_utf8(script).unwrap(),
            "#!/bin/sh\nexec '/opt/it'\\''s here/countersign' hook pre-receive \"$@\"\n"
        );
        for bad in [
            "countersign",
            "/bin/countersign\n/countersign",
            "/bin/true",
            "/",
        ] {
            assert!(Hook::PreReceive.script(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    /// Every template has one place for the binary, and its hook is known again, of any binary.
    #[test]
    fn every_hook() {
        for hook in Hook::ALL {
            let script = hook.script(Path::new(BINARY)).unwrap();
            assert!(hook.is_ours(&script) && hook.is_ours(hook.template().as_bytes()));
            let text = String::from_utf8(script).unwrap();
            let end = format!(
                "exec '/opt/it'\\''s here/countersign' hook {} \"$@\"\n",
                hook.name()
            );
            assert!(
                text.starts_with("#!/bin/sh\n") && text.ends_with(&end),
                "{text}"
            );
            assert_eq!(text.lines().count(), 2);
            assert_eq!(Hook::named(hook.name()), Some(hook));
        }
    }

    /// Only a whole line of ours is ours; anything more is somebody's.
    #[test]
    fn ours() {
        let line = |text: &str| Hook::PreReceive.is_ours(text.as_bytes());
        let ours = String::from_utf8(Hook::PreReceive.script(Path::new(BINARY)).unwrap()).unwrap();
        assert!(line(&ours));
        assert!(line(
            "#!/bin/sh\nexec countersign hook pre-receive \"$@\"\n"
        ));
        for other in [
            "",
            "#!/bin/sh\nexec '/bin/notcountersign' hook pre-receive \"$@\"\n",
            "#!/bin/sh\nexit 0\nexec countersign hook pre-receive \"$@\"\n",
            "#!/bin/sh\nexec true\nexec countersign hook pre-receive \"$@\"\n",
            "#!/bin/sh\nexec countersign hook pre-receive \"$@\"\nexit 0\n",
            "#!/bin/sh\nexec countersign hook post-receive \"$@\"\n",
        ] {
            assert!(!line(other), "{other:?}");
        }
    }

    /// Installing twice changes nothing, another binary renews the line, removing leaves nothing.
    #[test]
    fn install_is_idempotent() {
        let (_dir, hooks) = repo();
        let hook = Hook::PreReceive;
        let binary = Path::new(BINARY);
        assert_eq!(hooks.install(hook, binary).unwrap(), Change::Written);
        assert!(hooks.is_installed(hook, binary).unwrap());
        assert_eq!(hooks.install(hook, binary).unwrap(), Change::Nothing);
        fs::set_permissions(hooks.path(hook), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!hooks.is_installed(hook, binary).unwrap());
        assert_eq!(hooks.install(hook, binary).unwrap(), Change::Renewed);
        let other = Path::new("/new/countersign");
        assert_eq!(hooks.install(hook, other).unwrap(), Change::Renewed);
        assert!(hooks.previous(hook).unwrap().is_empty());
        assert_eq!(hooks.remove(hook).unwrap(), Change::Removed);
        assert_eq!(hooks.remove(hook).unwrap(), Change::Nothing);
        assert!(!hooks.path(hook).exists());
    }

    /// Somebody's hook runs before ours and comes back, whole and executable, on removal.
    #[test]
    fn moves_and_restores() {
        let (dir, hooks) = repo();
        let hook = Hook::PreReceive;
        let binary = Path::new(BINARY);
        write(&hooks.path(hook), "#!/bin/sh\nexit 1\n", 0o755);
        let moved = dir.path().join("hooks/pre-receive.d/50-previous");
        let change = hooks.install(hook, binary).unwrap();
        assert_eq!(change, Change::Moved(moved.clone()));
        assert_eq!(hooks.previous(hook).unwrap(), std::slice::from_ref(&moved));
        assert_eq!(hooks.install(hook, binary).unwrap(), Change::Nothing);
        // Someone puts a third hook over ours: neither is lost, and it is said.
        write(&hooks.path(hook), "third", 0o755);
        let error = hooks.install(hook, binary).unwrap_err();
        assert!(matches!(error, HooksError::Occupied { .. }), "{error}");
        assert_eq!(text(&hooks.path(hook)), "third");
        assert_eq!(hooks.remove(hook).unwrap(), Change::Nothing);
        fs::write(hooks.path(hook), hook.script(binary).unwrap()).unwrap();
        assert_eq!(hooks.remove(hook).unwrap(), Change::Restored);
        assert_eq!(text(&hooks.path(hook)), "#!/bin/sh\nexit 1\n");
        assert!(is_executable(&hooks.path(hook)));
        assert!(!moved.parent().unwrap().exists());
    }

    /// A hook that is a relative link still points to the same file after it moved.
    #[test]
    fn moves_a_link() {
        let (dir, hooks) = repo();
        let hook = Hook::PostReceive;
        write(&dir.path().join("shared"), "#!/bin/sh\n", 0o755);
        std::os::unix::fs::symlink("../shared", hooks.path(hook)).unwrap();
        hooks.install(hook, Path::new(BINARY)).unwrap();
        let moved = hooks.previous(hook).unwrap();
        assert_eq!(text(moved.first().unwrap()), "#!/bin/sh\n");
        assert_eq!(text(&dir.path().join("shared")), "#!/bin/sh\n");
        hooks.remove(hook).unwrap();
        assert_eq!(text(&hooks.path(hook)), "#!/bin/sh\n");
        assert!(hooks.path(hook).is_symlink());
    }

    /// What runs before ours runs in the order of names; files git would not run are left out.
    #[test]
    fn order_of_previous() {
        let (dir, hooks) = repo();
        let more = dir.path().join("hooks/pre-receive.d");
        for (name, mode) in [
            ("90-z", 0o755),
            ("10-a", 0o755),
            ("20-b", 0o644),
            (".x", 0o755),
        ] {
            write(&more.join(name), "", mode);
        }
        std::os::unix::fs::symlink("nowhere", more.join("30-gone")).unwrap();
        // Left behind by a forge that is gone: it would run itself without end.
        let ours = Hook::PreReceive.script(Path::new(BINARY)).unwrap();
        write(
            &more.join("countersign"),
            std::str::from_utf8(&ours).unwrap(),
            0o755,
        );
        let want = [more.join("10-a"), more.join("90-z")];
        assert_eq!(hooks.previous(Hook::PreReceive).unwrap(), want);
    }

    /// Where a forge owns the hook, ours goes beside the forge's and runs nobody else's.
    #[test]
    fn forge() {
        let (dir, hooks) = repo();
        let hook = Hook::PreReceive;
        let more = dir.path().join("hooks/pre-receive.d");
        write(&more.join("gitea"), "gitea", 0o755);
        write(&dir.path().join("hooks/pre-receive"), "forge's", 0o755);
        hooks.install(hook, Path::new(BINARY)).unwrap();
        assert_eq!(hooks.path(hook), more.join("countersign"));
        assert_eq!(text(&dir.path().join("hooks/pre-receive")), "forge's");
        assert!(hooks.previous(hook).unwrap().is_empty());
        assert_eq!(hooks.remove(hook).unwrap(), Change::Removed);
        assert_eq!(fs::read_dir(more).unwrap().count(), 1);
    }

    fn git(dir: &Path, args: &[&str]) {
        let status = Command::new("git").arg("-C").arg(dir).args(args).status();
        assert!(status.unwrap().success());
    }

    /// A repository whose hooks git would not run is refused, with the value found.
    #[test]
    fn hooks_path() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare"]);
        check_config(dir.path()).unwrap();
        git(dir.path(), &["config", "core.hooksPath", "/nowhere"]);
        let error = check_config(dir.path()).unwrap_err();
        assert!(matches!(&error, HooksError::HooksPath(path) if path == "/nowhere"));
        git(dir.path(), &["config", "--unset", "core.hooksPath"]);
        git(dir.path(), &["config", "hook.pre-receive.enabled", "false"]);
        let error = check_config(dir.path()).unwrap_err();
        assert!(matches!(&error, HooksError::HookConfig(key) if key == "hook.pre-receive.enabled"));
    }
}
