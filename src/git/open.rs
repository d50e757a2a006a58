//! Opening a repository without believing anything but where its objects and refs are.
//!
//! Source: gitrepository-layout(5), git's `Documentation/technical/repository-version.adoc`.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::bstr::ByteSlice;

use super::cache::{Aging, Compared, PackCache};
use super::read::{Links, Overlay};
use super::{BLOB_LIMIT, GitError};
use crate::wire::commit::Commit;
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::tree::TreeEntry;

/// Bytes of parsed commits that are kept.
const COMMIT_CACHE: usize = 8 << 20;
/// The packs there is room for, at least.
const PACKS: usize = 256;
/// Bytes of parsed trees that are kept.
const TREE_CACHE: usize = 24 << 20;
/// Bytes of small objects that are kept as they are: one judgement wants some of them twice.
const RAW_CACHE: usize = 1 << 20;
/// Bytes of undeltified objects that are kept, per object store.
const PACK_CACHE: usize = 12 << 20;
/// What a twin keeps of each: it reads what is new, once.
const TWIN_SHARE: usize = 2;
/// Largest configuration file that is read.
const CONFIG_LIMIT: u64 = 1 << 20;

/// Where git puts the objects of a push until its hooks have accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// `GIT_OBJECT_DIRECTORY`.
    pub objects: PathBuf,
    /// The parts of `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    pub alternates: Vec<PathBuf>,
}

/// A repository opened for strict reading.
///
/// Objects are found in the quarantine, the repository's own object store, its alternates and the
/// quarantine's. Objects that another process adds later are found too, except in the quarantine,
/// which is complete when a hook runs. Not `Sync`: one thread, one `Repo`, see [`Repo::twin`].
pub struct Repo {
    pub(super) format: ObjectFormat,
    pub(super) git_dir: PathBuf,
    pub(super) objects_dir: PathBuf,
    pub(super) quarantine: Option<gix::odb::Handle>,
    pub(super) stores: Vec<gix::odb::Handle>,
    pub(super) refs: gix::refs::file::Store,
    pub(super) raws: RefCell<Aging<(ObjectKind, Box<[u8]>)>>,
    pub(super) commits: RefCell<Aging<Commit>>,
    pub(super) trees: RefCell<Aging<Vec<TreeEntry>>>,
    pub(super) compared: RefCell<Compared>,
    pub(super) overlay: RefCell<Overlay>,
    pub(super) buffer: RefCell<Vec<u8>>,
    pub(super) empty_tree: OnceCell<Oid>,
    pub(super) links: RefCell<HashMap<Oid, Arc<Links>>>,
    /// Whether the stores have listed their packs.
    pub(super) listed: Cell<bool>,
    config: HashMap<String, String>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo")
            .field("git_dir", &self.git_dir)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Repo {
    /// Opens a bare repository, or the directory that holds a `.git`.
    ///
    /// Reads no environment and no configuration besides the repository's own file, of which no
    /// includes are followed. Ownership is not checked: nothing that is read is ever executed.
    ///
    /// # Errors
    ///
    /// [`GitError::Unsupported`] for reftable, an unknown `extensions.*`, an unknown format version
    /// and whatever is no repository.
    pub fn open(dir: &Path, quarantine: Option<&Quarantine>) -> Result<Self, GitError> {
        let git_dir = git_dir_at(dir)?.ok_or_else(|| {
            GitError::Unsupported(format!("{} is not a git repository", dir.display()))
        })?;
        let common = common_dir(&git_dir)?;
        let config = read_config(&common.join("config"))?;
        let format = check_format(&config)?;
        let objects_dir = absolute(&common.join("objects"))?;
        let main = store_at(&objects_dir, format)?;
        let mut stores = vec![main];
        let mut known = vec![objects_dir.clone()];
        let mut incoming = None;
        if let Some(quarantine) = quarantine {
            let dir = absolute(&quarantine.objects)?;
            if dir != objects_dir {
                let mut handle = store_at(&dir, format)?;
                handle.refresh_never();
                incoming = Some(handle);
                known.push(dir);
            }
            for alternate in &quarantine.alternates {
                let dir = absolute(alternate)?;
                if !known.contains(&dir) {
                    stores.push(store_at(&dir, format)?);
                    known.push(dir);
                }
            }
        }
        let refs = ref_store(&git_dir, &common, format);
        Ok(Self::with(
            format,
            common,
            objects_dir,
            incoming,
            stores,
            refs,
            config,
        ))
    }

    /// Returns the same repository for another thread. It shares what was opened and mapped, and has
    /// smaller caches of its own; objects that exist in memory only it does not have.
    pub fn twin(&self) -> Self {
        let store = |store: &gix::odb::Handle| {
            let mut store = store.clone();
            store.set_pack_cache(|| Box::new(PackCache::new(PACK_CACHE / TWIN_SHARE)));
            store
        };
        Self {
            commits: RefCell::new(Aging::new(COMMIT_CACHE / TWIN_SHARE)),
            trees: RefCell::new(Aging::new(TREE_CACHE / TWIN_SHARE)),
            ..Self::with(
                self.format,
                self.git_dir.clone(),
                self.objects_dir.clone(),
                self.quarantine.as_ref().map(store),
                self.stores.iter().map(store).collect(),
                self.refs.clone(),
                self.config.clone(),
            )
        }
    }

    fn with(
        format: ObjectFormat,
        git_dir: PathBuf,
        objects_dir: PathBuf,
        quarantine: Option<gix::odb::Handle>,
        stores: Vec<gix::odb::Handle>,
        refs: gix::refs::file::Store,
        config: HashMap<String, String>,
    ) -> Self {
        Self {
            format,
            git_dir,
            objects_dir,
            quarantine,
            stores,
            refs,
            raws: RefCell::new(Aging::new(RAW_CACHE)),
            commits: RefCell::new(Aging::new(COMMIT_CACHE)),
            trees: RefCell::new(Aging::new(TREE_CACHE)),
            compared: RefCell::default(),
            overlay: RefCell::default(),
            buffer: RefCell::default(),
            empty_tree: OnceCell::new(),
            links: RefCell::default(),
            listed: Cell::new(false),
            config,
        }
    }

    /// Opens the repository that `dir` lies in, as git does: the nearest one upwards.
    pub fn discover(dir: &Path) -> Result<Self, GitError> {
        let start = absolute(dir)?;
        for candidate in start.ancestors() {
            if git_dir_at(candidate)?.is_some() {
                return Self::open(candidate, None);
            }
        }
        Err(GitError::Unsupported(format!(
            "{} is not in a git repository",
            dir.display()
        )))
    }

    /// Returns the hash the repository names its objects by.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns the repository's directory: `.git`, or the bare repository; of a linked worktree,
    /// the one it shares with the others.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Returns a value of the repository's own `config` file, the last one where there are several.
    ///
    /// `key` is `section.name` or `section.subsection.name`, section and name in lower case.
    /// A name without `=` counts as `true`. Includes, the user's and the system's files are not
    /// read.
    pub fn config(&self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }
}

/// Returns the repository directory at exactly this place: itself, its `.git`, or where `.git` points.
fn git_dir_at(dir: &Path) -> Result<Option<PathBuf>, GitError> {
    let dot_git = dir.join(".git");
    if dot_git.is_dir() && is_git_dir(&dot_git) {
        return Ok(Some(dot_git));
    }
    if dot_git.is_file() {
        let text = read_small(&dot_git)?;
        let target = text
            .strip_prefix(b"gitdir: ")
            .map(|rest| rest.trim_end_with(|c| c == '\n' || c == '\r'))
            .and_then(|path| path.to_path().ok())
            .ok_or_else(|| {
                GitError::Unsupported(format!("{} names no directory", dot_git.display()))
            })?;
        return Ok(Some(dir.join(target)));
    }
    Ok(is_git_dir(dir).then(|| dir.to_path_buf()))
}

/// Returns whether a directory looks like a repository itself.
pub fn is_git_dir(dir: &Path) -> bool {
    let head = dir.join("HEAD");
    let has_head = head.is_file() || head.is_symlink();
    let shared = dir.join("commondir").is_file();
    has_head && (shared || (dir.join("objects").is_dir() && dir.join("refs").is_dir()))
}

/// Returns the directory of the repository at exactly this place, as [`Repo::git_dir`] would, without
/// opening it.
pub fn directory_at(dir: &Path) -> Result<PathBuf, GitError> {
    let git_dir = git_dir_at(dir)?.ok_or_else(|| {
        GitError::Unsupported(format!("{} is not a git repository", dir.display()))
    })?;
    common_dir(&git_dir)
}

fn common_dir(git_dir: &Path) -> Result<PathBuf, GitError> {
    let link = git_dir.join("commondir");
    if !link.is_file() {
        return absolute(git_dir);
    }
    let text = read_small(&link)?;
    let path = text
        .trim_end_with(|c| c == '\n' || c == '\r')
        .to_path()
        .map_err(|_| GitError::Unsupported(format!("{} is no path", link.display())))?;
    absolute(&git_dir.join(path))
}

fn absolute(dir: &Path) -> Result<PathBuf, GitError> {
    dir.canonicalize()
        .map_err(|error| GitError::Store(format!("{}: {error}", dir.display())))
}

fn read_small(file: &Path) -> Result<Vec<u8>, GitError> {
    let fail = |error: std::io::Error| GitError::Store(format!("{}: {error}", file.display()));
    let size = file.metadata().map_err(fail)?.len();
    if size > CONFIG_LIMIT {
        return Err(GitError::Budget {
            what: "bytes in a configuration file",
            limit: CONFIG_LIMIT,
        });
    }
    std::fs::read(file).map_err(fail)
}

/// Reads every value of one file, without includes; later ones win.
fn read_config(file: &Path) -> Result<HashMap<String, String>, GitError> {
    let text = read_small(file)?;
    let fail = |detail: String| GitError::Unsupported(format!("{}: {detail}", file.display()));
    let metadata = gix::config::file::Metadata::from(gix::config::Source::Local);
    let parsed = gix::config::File::from_bytes_no_includes(&text, metadata, Default::default())
        .map_err(|error| fail(error.to_string()))?;
    let mut values = HashMap::new();
    for section in parsed.sections() {
        let header = section.header();
        let mut prefix = header.name().to_str_lossy().to_lowercase();
        if let Some(subsection) = header.subsection_name() {
            prefix = format!("{prefix}.{}", subsection.to_str_lossy());
        }
        let body = section.body();
        for name in body.value_names() {
            let key = format!("{prefix}.{}", name.to_lowercase());
            let value = body.value_implicit(&name).flatten();
            let text = value.map_or_else(|| "true".to_owned(), |value| value.to_string());
            values.insert(key, text);
        }
    }
    Ok(values)
}

/// Returns the object format, or why this is a repository that must not be opened.
///
/// Every extension that git does not document, or that changes how refs and objects are stored, is
/// an error: reading past it would mean reading something else than git does.
fn check_format(config: &HashMap<String, String>) -> Result<ObjectFormat, GitError> {
    let unsupported = |text: String| Err(GitError::Unsupported(text));
    let version = config
        .get("core.repositoryformatversion")
        .map_or("0", String::as_str);
    if !matches!(version, "0" | "1") {
        return unsupported(format!("repository format version {version} is unknown"));
    }
    let mut format = ObjectFormat::Sha1;
    for (key, value) in config {
        let Some(extension) = key.strip_prefix("extensions.") else {
            continue;
        };
        match (extension, value.to_lowercase().as_str()) {
            ("objectformat", "sha1") => format = ObjectFormat::Sha1,
            ("objectformat", "sha256") if version == "1" => format = ObjectFormat::Sha256,
            ("refstorage", "files") => {}
            ("refstorage", other) => {
                return unsupported(format!(
                    "refs stored as {other} are not supported, only files"
                ));
            }
            // A partial clone lacks objects: they are then missing, which refuses.
            ("noop" | "noop-v1" | "preciousobjects" | "partialclone", _) => {}
            ("worktreeconfig" | "relativeworktrees", _) => {}
            (other, value) => {
                return unsupported(format!(
                    "repository extension {other} = {value} is not supported"
                ));
            }
        }
    }
    Ok(format)
}

fn store_at(dir: &Path, format: ObjectFormat) -> Result<gix::odb::Handle, GitError> {
    let options = gix::odb::store::init::Options {
        // Others' pushes bring packs while a long one is read, and gc does: gix has room for those it
        // found, and a tenth more.
        slots: gix::odb::store::init::Slots::AsNeededByDiskState {
            multiplier: 2.0,
            minimum: PACKS,
        },
        // Checked by gix before it inflates anything; what is smaller is checked in `read`.
        alloc_limit_bytes: usize::try_from(BLOB_LIMIT).ok(),
        ..Default::default()
    };
    let mut handle = gix::odb::at_opts(dir, hash_kind(format), None, options)
        .map_err(|error| GitError::Store(format!("{}: {error}", dir.display())))?;
    handle.set_pack_cache(|| Box::new(PackCache::new(PACK_CACHE)));
    Ok(handle)
}

fn ref_store(git_dir: &Path, common: &Path, format: ObjectFormat) -> gix::refs::file::Store {
    let options = gix::refs::store::init::Options {
        write_reflog: gix::refs::store::WriteReflog::Disable,
        ..Default::default()
    };
    let kind = hash_kind(format);
    if git_dir.join("commondir").is_file() {
        gix::refs::file::Store::for_linked_worktree_opts(
            git_dir.to_path_buf(),
            common.to_path_buf(),
            kind,
            options,
        )
    } else {
        gix::refs::file::Store::at_opts(common.to_path_buf(), kind, options)
    }
}

/// Returns gix's name for the format.
pub(super) fn hash_kind(format: ObjectFormat) -> gix::hash::Kind {
    match format {
        ObjectFormat::Sha1 => gix::hash::Kind::Sha1,
        ObjectFormat::Sha256 => gix::hash::Kind::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::{BOTH, Scratch};

    /// Bare, with a working tree, linked and from below: the same repository each time.
    #[test]
    fn finds_repositories() {
        for format in BOTH {
            let scratch = Scratch::new(format);
            assert_eq!(scratch.repo.format(), format);
            let tree = scratch.tree(&[("100644", "d/a", "1\n")]);
            let commit = scratch.commit(tree, &[], 1);
            scratch.git(&["update-ref", "refs/heads/main", &commit.to_string()]);
            scratch.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
            let linked = scratch.home().join("linked");
            scratch.git(&[
                "worktree",
                "add",
                "-q",
                "-f",
                linked.to_str().unwrap(),
                "main",
            ]);
            let cloned = scratch.home().join("cloned");
            scratch.git(&["clone", "-q", "--shared", ".", cloned.to_str().unwrap()]);
            for dir in [scratch.dir.join("refs"), linked.join("d"), cloned.join("d")] {
                let repo = Repo::discover(&dir).unwrap();
                assert_eq!(repo.format(), format);
                assert_eq!(repo.commit(&commit).unwrap().tree, tree, "{dir:?}");
            }
            let shared = Repo::open(&linked, None).unwrap();
            assert_eq!(shared.git_dir(), scratch.dir.canonicalize().unwrap());
            let name = crate::wire::name::RefName::from("refs/heads/main");
            assert!(shared.reference(&name).unwrap().is_some());
        }
    }

    /// Packs that come while a repository is open are found, more of them than it had.
    #[test]
    fn packs_that_come_later() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let repo = Repo::open(&scratch.dir, None).unwrap();
        let mut commits: Vec<Oid> = Vec::new();
        for second in 1..=40 {
            let tree = scratch.tree(&[("100644", "a", &second.to_string())]);
            let commit = scratch.commit(tree, &Vec::from_iter(commits.last().copied()), second);
            scratch.git(&["update-ref", "refs/heads/main", &commit.to_string()]);
            scratch.git(&["repack", "-q", "-d"]);
            commits.push(commit);
        }
        let packs = std::fs::read_dir(scratch.dir.join("objects/pack")).unwrap();
        assert!(packs.count() >= 80);
        for commit in &commits {
            assert!(repo.commit(commit).is_ok(), "{commit}");
        }
    }

    /// A way to keep refs or objects that is not known is refused by name, not read past.
    #[test]
    fn refuses_other_layouts() {
        for (setting, value, words) in [
            ("core.repositoryFormatVersion", "2", "version 2"),
            ("extensions.refStorage", "reftable", "reftable"),
            ("extensions.objectFormat", "sha512", "objectformat"),
            (
                "extensions.compatObjectFormat",
                "sha256",
                "compatobjectformat",
            ),
            ("extensions.somethingNew", "true", "somethingnew"),
        ] {
            let scratch = Scratch::new(ObjectFormat::Sha1);
            let file = scratch.dir.join("config");
            let (section, name) = setting.split_once('.').unwrap();
            let mut text = std::fs::read_to_string(&file).unwrap();
            text += &format!("[{section}]\n\t{name} = {value}\n");
            std::fs::write(&file, text).unwrap();
            match Repo::open(&scratch.dir, None) {
                Err(GitError::Unsupported(text)) => assert!(text.contains(words), "{text}"),
                other => panic!("{setting}: {other:?}"),
            }
        }
        let empty = tempfile::tempdir().unwrap();
        let error = Repo::open(empty.path(), None).unwrap_err();
        assert!(matches!(error, GitError::Unsupported(_)), "{error}");
    }

    /// Settings are the repository's own: last value wins, includes are not followed.
    #[test]
    fn reads_its_own_settings() {
        let scratch = Scratch::new(ObjectFormat::Sha1);
        let other = scratch.home().join("other");
        std::fs::write(&other, "[core]\n\tsharedRepository = group\n").unwrap();
        scratch.git(&["config", "include.path", other.to_str().unwrap()]);
        scratch.git(&["config", "--add", "receive.fsckObjects", "false"]);
        scratch.git(&["config", "--add", "receive.fsckObjects", "true"]);
        scratch.git(&["config", "remote.Up.url", "x"]);
        let repo = Repo::open(&scratch.dir, None).unwrap();
        assert_eq!(repo.config("core.sharedrepository"), None);
        assert_eq!(repo.config("receive.fsckobjects").as_deref(), Some("true"));
        assert_eq!(repo.config("remote.Up.url").as_deref(), Some("x"));
    }
}
