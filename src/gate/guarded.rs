//! `<git-dir>/countersign/guarded`: the short way past the ref gate for names that nobody guards.
//!
//! Most refs that are written are of no concern to anybody, and to say so wants the policy at the
//! recorded tip: the index, the packs, and every key of `people.toml`. This file keeps what that answer
//! rests on, which seldom changes: the patterns that protect refs and the names on record.
//!
//! ```text
//! SHA-256, in hexadecimal, of the judge's version, the repository's path, `config`, both files of
//!         settings, `log/checkpoint` and the next line
//! {"checkpoint":"…/log/checkpoint","format":"sha1","names":["refs/heads/main"],"patterns":["refs/tags/v*"]}
//! ```
//!
//! So it holds for one checkpoint under one set of settings, as a decision would that is made at the
//! same moment. It only ever says that a name is free; whatever is not so plainly, or where anything
//! differs, cannot be read or is missing, is asked of the policy. Whoever can write it can write
//! `index.db` and the settings too. It is for this moment alone: nothing is synced.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use faster_hex::hex_string;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::admit;
use crate::gather::{Rulebook, scope};
use crate::host::Server;
use crate::host::server::SYSTEM_FILE;
use crate::policy::Pattern;
use crate::record::View;
use crate::wire::name::RefName;
use crate::wire::oid::ObjectFormat;
use crate::wire::transaction::writes;

use super::Site;

/// Changes with the form of the file, and with what it is taken for.
const FORM: &str = concat!("countersign guarded refs 1, ", env!("CARGO_PKG_VERSION"));
/// The most bytes of each file that is read here, this one among them.
const MAX_FILE: u64 = 256 * 1024;
/// The most bytes of a transaction that goes the short way.
const MAX_INPUT: usize = 64 * 1024;
/// The most names and patterns that are kept: each is compared with every name.
const MAX_NAMES: usize = 1_000;

/// What guards names, as of one checkpoint.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Guarded {
    /// Where the checkpoint is.
    checkpoint: PathBuf,
    /// What lines of a transaction look like.
    format: ObjectFormat,
    /// Names on record, the policy ref, and those that the policy has in full.
    names: BTreeSet<RefName>,
    /// What the policy protects.
    patterns: Vec<String>,
}

/// The repository and its settings as they are before anything is decided by them.
pub(super) struct Guards<'a> {
    git_dir: &'a Path,
    /// Of all that the answer rests on but the checkpoint and itself; none where that cannot be read.
    settings: Option<Sha256>,
}

impl<'a> Guards<'a> {
    /// Reads the settings of a repository, which is named as [`crate::git::Repo::git_dir`] does.
    ///
    /// Call it before they are loaded: what is kept later is then of these or of no settings.
    pub(super) fn of(git_dir: &'a Path) -> Self {
        let settings = settings(git_dir);
        Self { git_dir, settings }
    }

    /// Returns whether every line of a transaction is known to write a ref that nobody guards.
    pub(super) fn let_pass(&self, input: &[u8]) -> bool {
        input.len() <= MAX_INPUT && self.are_free(input).unwrap_or(false)
    }

    fn are_free(&self, input: &[u8]) -> Option<bool> {
        let bytes = read(&self.path())?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (digest, body) = bytes.split_at_checked(end.checked_add(1)?)?;
        let known: Guarded = serde_json::from_slice(body).ok()?;
        if digest != self.digest(&read(&known.checkpoint)?, body)?.as_bytes() {
            return None;
        }
        let patterns = known.patterns.iter().map(|text| Pattern::parse(text).ok());
        let patterns: Vec<Pattern> = patterns.collect::<Option<_>>()?;
        for write in writes(input, known.format) {
            let name = write.ok()?.name;
            // What is not below `refs/` is of one working tree.
            let is_ref = name.as_bstr().starts_with(b"refs/");
            if is_ref && !scope::is_free(&patterns, &known.names, &name) {
                return None;
            }
        }
        Some(true)
    }

    /// Writes down what guards names as of the newest checkpoint.
    pub(super) fn renew(&self, site: &Site) {
        let Ok(view) = site.record.view() else {
            return;
        };
        if let Ok(Ok(rules)) = admit::rules(&site.repo, &view, &site.server.policy_ref) {
            self.keep(site, &view, &rules);
        }
    }

    /// Writes down what guards names by the rules in force as of `view`.
    ///
    /// Nothing depends on it: where it cannot be written, the next question goes the long way.
    pub(super) fn keep(&self, site: &Site, view: &View, rules: &Rulebook) {
        self.try_keep(site, view, rules).unwrap_or_default();
    }

    fn try_keep(&self, site: &Site, view: &View, rules: &Rulebook) -> Option<()> {
        // The checkpoint that was read, not the one there is by now.
        let checkpoint = site.record.note_of(view)?;
        let names = scope::real(view, &rules.policy, &site.server.policy_ref).ok()?;
        let patterns = rules.policy.protected_patterns().map(Pattern::to_string);
        let patterns: Vec<String> = patterns.collect();
        // A name is kept as the text that it is, or not at all.
        let is_text = |name: &RefName| name.as_str().is_some_and(|text| text == name.to_string());
        if names.len() > MAX_NAMES || patterns.len() > MAX_NAMES || !names.iter().all(is_text) {
            return None;
        }
        let known = Guarded {
            checkpoint: site.record.checkpoint_file(),
            format: site.repo.format(),
            names,
            patterns,
        };
        let body = serde_json::to_vec(&known).ok()?;
        let path = self.path();
        let mut file = tempfile::Builder::new()
            .prefix(".guarded-")
            .tempfile_in(path.parent()?)
            .ok()?;
        let digest = self.digest(&checkpoint, &body)?;
        file.write_all(digest.as_bytes()).ok()?;
        file.write_all(&body).ok()?;
        file.persist(path).ok().map(drop)
    }

    fn path(&self) -> PathBuf {
        self.git_dir.join("countersign").join("guarded")
    }

    /// Returns the first line of the file.
    fn digest(&self, checkpoint: &[u8], body: &[u8]) -> Option<String> {
        let mut hasher = self.settings.clone()?;
        add(&mut hasher, checkpoint);
        add(&mut hasher, body);
        Some(hex_string(&hasher.finalize()) + "\n")
    }
}

fn settings(git_dir: &Path) -> Option<Sha256> {
    let mut hasher = Sha256::new();
    add(&mut hasher, FORM.as_bytes());
    add(&mut hasher, git_dir.as_os_str().as_bytes());
    add(&mut hasher, &read(&git_dir.join("config"))?);
    add(&mut hasher, &read(&Server::path(git_dir))?);
    let system = Path::new(SYSTEM_FILE);
    match fs::symlink_metadata(system) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => add(&mut hasher, &read(system)?),
    }
    Some(hasher)
}

/// Adds a part, so that no two lists of parts give the same.
fn add(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_FILE).then_some(bytes)
}
