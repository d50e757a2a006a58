//! `<git-dir>/countersign/guarded`: the short way past the ref gate for names that nobody guards.
//!
//! Most refs that are written are of no concern to anybody, and to say so wants the policy at the
//! recorded tip: the index, the packs, and every key of `people.toml`. This file keeps what that answer
//! rests on, which seldom changes: the patterns that protect refs, and the forms in which those names
//! are written that others must not be taken for.
//!
//! ```text
//! SHA-256, in hexadecimal, of the judge's version, the repository's path, `config`, both files of
//!         settings, the signed checkpoint and all that follows
//! {"checkpoint":"…/log/checkpoint","format":"sha1","patterns":["refs/heads/main","refs/tags/v*"]}
//! heads/main
//! main
//! refs/heads/main
//! ```
//!
//! So it holds for one checkpoint under one set of settings, as a decision would that is made at the
//! same moment. It only ever says that a name is free; whatever is not so plainly, or where anything
//! differs, cannot be read or is missing, is asked of the policy. Whoever can write it can write
//! `index.db` and the settings too. It is for this moment alone: nothing is synced.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use faster_hex::hex_string;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::admit;
use crate::gather::Rulebook;
use crate::gather::scope::{self, Real};
use crate::host::server::{SYSTEM_FILE, Written};
use crate::policy::Pattern;
use crate::record::View;
use crate::wire::oid::ObjectFormat;
use crate::wire::transaction::writes;

use super::Site;

/// Changes with the form of the file, and with what it is taken for.
const FORM: &str = concat!("countersign guarded refs 1, ", env!("CARGO_PKG_VERSION"));
/// The most bytes of each file that is read here, this one among them.
const MAX_FILE: u64 = 256 * 1024;
/// The most bytes of a transaction that goes the short way.
const MAX_INPUT: usize = 64 * 1024;
/// The most names on record, and patterns, that are kept: more take too long to find at each landing.
const MAX_NAMES: usize = 1_000;

/// The second line of the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Where the checkpoint is.
    checkpoint: PathBuf,
    /// What lines of a transaction look like.
    format: ObjectFormat,
    /// What the policy protects.
    patterns: Vec<String>,
}

/// Returns whether every line of a transaction is known to write a ref that nobody guards.
///
/// The repository is named as [`crate::git::Repo::git_dir`] does.
pub(super) fn are_free(git_dir: &Path, input: &[u8]) -> bool {
    input.len() <= MAX_INPUT && known_free(git_dir, input).unwrap_or(false)
}

fn known_free(git_dir: &Path, input: &[u8]) -> Option<bool> {
    let bytes = read(&path(git_dir))?;
    let (digest, body) = std::str::from_utf8(&bytes).ok()?.split_once('\n')?;
    let (head, forms) = body.split_once('\n')?;
    let head: Head = serde_json::from_str(head).ok()?;
    let written = Written::read(git_dir, Path::new(SYSTEM_FILE)).ok()?;
    let checkpoint = read(&head.checkpoint)?;
    if digest != digest_of(git_dir, &written, &checkpoint, body)? {
        return None;
    }
    let patterns = head.patterns.iter().map(|text| Pattern::parse(text).ok());
    let patterns: Vec<Pattern> = patterns.collect::<Option<_>>()?;
    let forms: Vec<&str> = forms.lines().collect();
    let is_form = |form: &str| forms.binary_search(&form).is_ok();
    for write in writes(input, head.format) {
        let name = write.ok()?.name;
        // What is not below `refs/` is of one working tree.
        let is_ref = name.as_bstr().starts_with(b"refs/");
        if is_ref && !scope::is_free(&patterns, &is_form, &name) {
            return None;
        }
    }
    Some(true)
}

/// Writes down what guards names as of the newest checkpoint.
pub(super) fn renew(site: &Site) {
    let Ok(view) = site.record.view() else {
        return;
    };
    if let Ok(Ok(rules)) = admit::rules(&site.repo, &view, &site.server.policy_ref) {
        keep(site, &view, &rules);
    }
}

/// Writes down what guards names by the rules in force as of `view`.
///
/// Nothing depends on it: where it cannot be written, the next question goes the long way.
pub(super) fn keep(site: &Site, view: &View, rules: &Rulebook) {
    try_keep(site, view, rules).unwrap_or_default();
}

fn try_keep(site: &Site, view: &View, rules: &Rulebook) -> Option<()> {
    let git_dir = site.repo.git_dir();
    // The checkpoint that the answer is of, not the one there is by now; so are the settings.
    let checkpoint = site.record.note_of(view)?;
    let patterns = rules.policy.protected_patterns().map(Pattern::to_string);
    let patterns: Vec<String> = patterns.collect();
    let recorded = view.names(MAX_NAMES + 1).ok()?;
    if recorded.len() > MAX_NAMES || patterns.len() > MAX_NAMES {
        return None;
    }
    let head = Head {
        checkpoint: site.record.checkpoint_file(),
        format: site.repo.format(),
        patterns,
    };
    let real = Real::of(recorded, Some(&rules.policy), &site.server.policy_ref);
    let mut body = serde_json::to_string(&head).ok()?;
    for form in real.forms() {
        // No name that git takes has one.
        if form.contains(['\n', '\r']) {
            return None;
        }
        body.push('\n');
        body.push_str(form);
    }
    let digest = digest_of(git_dir, &site.written, &checkpoint, &body)?;
    let text = format!("{digest}\n{body}");
    if text.len() as u64 > MAX_FILE {
        return None;
    }
    // Of two that write at once, one gets the other's bytes, or a mixture that nobody believes.
    let (path, new) = (path(git_dir), path(git_dir).with_extension("new"));
    let mut file = opened(
        OpenOptions::new().write(true).create(true).truncate(true),
        &new,
    )?;
    file.write_all(text.as_bytes()).ok()?;
    fs::rename(new, path).ok()
}

fn path(git_dir: &Path) -> PathBuf {
    git_dir.join("countersign").join("guarded")
}

/// Returns the first line of the file.
fn digest_of(git_dir: &Path, written: &Written, checkpoint: &[u8], body: &str) -> Option<String> {
    let config = read(&git_dir.join("config"))?;
    let system = written.system.as_deref();
    let parts = [
        FORM.as_bytes(),
        git_dir.as_os_str().as_bytes(),
        &config,
        &written.own,
        if system.is_some() { b"+" } else { b"-" },
        system.unwrap_or_default(),
        checkpoint,
        body.as_bytes(),
    ];
    let mut hasher = Sha256::new();
    for part in parts {
        // So that no two lists of parts give the same.
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Some(hex_string(&hasher.finalize()))
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = opened(OpenOptions::new().read(true), path)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_FILE).then_some(bytes)
}

/// Opens a file, if it is one: a pipe in its place is not waited for.
fn opened(options: &mut OpenOptions, path: &Path) -> Option<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    let file = options.mode(0o600).custom_flags(flags).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}
