//! Hooks on disk, the binary they run, files that change what git sees, and who may write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;

use crate::host::config as git_config;
use crate::host::hooks::{Hook, Hooks, STRANGERS, is_executable, quote};
use crate::host::ownership::{OwnershipError, check_ownership_by};
use crate::host::state::{self, StateError, digest};
use crate::host::user::user_of;
use crate::record::OnRecord;
use crate::record::entry::HostState;

use super::{Audited, Changed, Code, Detail, Family, Finding};

/// Checks the host's disk against what enrolment left.
pub(super) fn check(git_dir: &Path, known: Option<&OnRecord<HostState>>, audited: &mut Audited) {
    let hooks = Hooks::of(git_dir);
    for hook in Hook::ALL {
        match checked(git_dir, &hooks, hook, known) {
            Ok(found) => audited.findings.extend(found),
            Err(error) => audited.unread(Family::Host, error.to_string()),
        }
        match others(git_dir, &hooks, hook, known) {
            Ok(found) => audited.findings.extend(found),
            Err(error) => audited.unread(Family::Host, error.to_string()),
        }
    }
    match strangers(git_dir, &hooks, known) {
        Ok(found) => audited.findings.extend(found),
        Err(error) => audited.unread(Family::Host, error.to_string()),
    }
    if hooks.hands_over() {
        let path = git_dir.join("hooks/proc-receive");
        let about = shown(git_dir, &path);
        let found = "git may hand pushed refs to it".to_owned();
        let finding = Finding::new(Code::ProcReceive, about, found);
        audited.add(finding.expecting("absent").of_file(&path));
    }
    if let Some(known) = known {
        audited.findings.extend(binary(known));
    }
    match files(git_dir, known) {
        Ok(found) => audited.findings.extend(found),
        Err(error) => audited.unread(Family::Host, error.to_string()),
    }
    owners(git_dir, audited);
}

fn checked(
    git_dir: &Path,
    hooks: &Hooks,
    hook: Hook,
    known: Option<&OnRecord<HostState>>,
) -> Result<Option<Finding>, StateError> {
    let path = hooks.path(hook);
    let recorded = known.map(|known| (known.index, known.at));
    let finding = |code, found: String| {
        Finding::new(code, shown(git_dir, &path), found)
            .since(recorded)
            .of_file(&path)
    };
    let enrol = format!("countersign enroll {}", quote(git_dir.as_os_str()));
    let Some(bytes) = state::read(&path)? else {
        let mut found = finding(Code::HookMissing, "absent".to_owned());
        // The folder it was taken from knows when.
        found.changed = path.parent().and_then(changed);
        return Ok(Some(found.with(Detail::Hints(vec![enrol]))));
    };
    let is = digest(&bytes);
    let want = known.and_then(|known| known.what.hooks.get(hook.name()));
    let is_same = match want {
        Some(want) => *want == is,
        // Not on record: at least it must be a line of ours.
        None => hook.is_ours(&bytes),
    };
    if !is_same {
        let found = finding(Code::HookChanged, format!("sha256:{is}"));
        let want = want.map_or("the line that enrolment writes".to_owned(), |want| {
            format!("sha256:{want}")
        });
        let found = found.expecting(want).with(Detail::Hints(vec![enrol]));
        return Ok(Some(found));
    }
    if !is_executable(&path) {
        let found = finding(
            Code::HookNotExecutable,
            "not executable: git passes it over".to_owned(),
        );
        let mend = format!("chmod 0755 {}", quote(path.as_os_str()));
        let found = found.expecting("mode 0755").with(Detail::Hints(vec![mend]));
        return Ok(Some(found));
    }
    Ok(None)
}

/// What runs beside a hook of ours: neither more nor less than is on record, each as it was.
fn others(
    git_dir: &Path,
    hooks: &Hooks,
    hook: Hook,
    known: Option<&OnRecord<HostState>>,
) -> Result<Vec<Finding>, StateError> {
    let folder = format!("{}.d/", hook.name());
    let is = state::others(hooks, hook)?;
    Ok(otherwise(git_dir, known, &is, |name| {
        name.starts_with(&folder)
    }))
}

/// The same of the hooks of git's that are none of ours.
fn strangers(
    git_dir: &Path,
    hooks: &Hooks,
    known: Option<&OnRecord<HostState>>,
) -> Result<Vec<Finding>, StateError> {
    let is = state::strangers(hooks)?;
    Ok(otherwise(git_dir, known, &is, |name| {
        STRANGERS.contains(&name)
    }))
}

/// Holds hooks that are not ours against those on record that belong to them.
fn otherwise(
    git_dir: &Path,
    known: Option<&OnRecord<HostState>>,
    is: &BTreeMap<String, String>,
    belongs: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let Some(known) = known else {
        return Vec::new();
    };
    let recorded = known.what.hooks.iter();
    let recorded = recorded.filter(|(name, _)| belongs(name));
    let want = recorded.map(|(name, digest)| (name.clone(), digest.clone()));
    let want = want.collect();
    let differing = differing(&want, is).map(|name| {
        let path = git_dir.join("hooks").join(name);
        Finding::new(
            Code::OtherHook,
            shown(git_dir, &path),
            by_digest(is.get(name)),
        )
        .expecting(by_digest(want.get(name)))
        .since(Some((known.index, known.at)))
        .of_file(&path)
    });
    differing.collect()
}

/// Returns the names whose digests are not the same.
fn differing<'a>(
    want: &'a BTreeMap<String, String>,
    is: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a String> {
    let names: BTreeSet<&String> = want.keys().chain(is.keys()).collect();
    names
        .into_iter()
        .filter(|name| want.get(*name) != is.get(*name))
}

fn by_digest(digest: Option<&String>) -> String {
    match digest {
        Some(digest) => format!("sha256:{digest}"),
        None => "absent".to_owned(),
    }
}

/// The binary that the hooks run: there, executable, and nobody else's to write.
fn binary(known: &OnRecord<HostState>) -> Option<Finding> {
    let path = Path::new(&known.what.binary);
    let found = match fs::metadata(path) {
        Err(error) => error.to_string(),
        Ok(_) if !is_executable(path) => "not executable".to_owned(),
        Ok(meta) if meta.mode() & 0o022 != 0 => {
            format!("others can write it (mode {:04o})", meta.mode() & 0o7777)
        }
        Ok(_) => return None,
    };
    let finding = Finding::new(Code::BinaryUnusable, known.what.binary.clone(), found)
        .expecting("an executable that only its owner can write")
        .since(Some((known.index, known.at)));
    Some(finding.of_file(path))
}

fn files(git_dir: &Path, known: Option<&OnRecord<HostState>>) -> Result<Vec<Finding>, StateError> {
    let now = state::files(git_dir)?;
    let none = BTreeMap::new();
    let want = known.map_or(&none, |known| &known.what.files);
    let mut findings = Vec::new();
    for name in differing(want, &now) {
        let code = match name.as_str() {
            "info/grafts" => Code::Grafts,
            "shallow" => Code::Shallow,
            "info/attributes" => Code::Attributes,
            _ => Code::Alternates,
        };
        let path = git_dir.join(name);
        let finding = Finding::new(code, shown(git_dir, &path), by_digest(now.get(name)))
            .expecting(by_digest(want.get(name)))
            .since(known.map(|known| (known.index, known.at)))
            .of_file(&path);
        findings.push(finding);
    }
    Ok(findings)
}

/// Who may write to the repository; asked by root, whoever the repository belongs to.
fn owners(git_dir: &Path, audited: &mut Audited) {
    let me = rustix::process::geteuid().as_raw();
    let service = match fs::metadata(git_dir) {
        Ok(meta) if me == 0 => meta.uid(),
        _ => me,
    };
    let shared = match git_config::matching(git_dir, "^core\\.sharedrepository$") {
        Ok(shared) => shared
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>(),
        Err(error) => return audited.unread(Family::Config, error.to_string()),
    };
    // Asked apart, so that one does not hide the other.
    let config = check_ownership_by(git_dir, &shared, service);
    if let Err(error @ OwnershipError::Shared(_)) = &config {
        let value = shared.join(", ");
        let finding = Finding::new(
            Code::SharedRepository,
            "core.sharedRepository".to_owned(),
            value,
        );
        let finding = finding
            .expecting("not set")
            .of_file(&git_dir.join("config"))
            .with(Detail::Hints(error.hints(git_dir)));
        audited.add(finding);
    }
    let Err(error) = check_ownership_by(git_dir, &[], service) else {
        return;
    };
    let hints = Detail::Hints(error.hints(git_dir));
    let finding = match &error {
        OwnershipError::Writable {
            path,
            mode,
            by,
            more,
        } => {
            let found = format!("{by} can write it (mode {mode:04o}), and {more} more like it");
            Finding::new(Code::WritableByOthers, shown(git_dir, path), found).of_file(path)
        }
        OwnershipError::Owner { path, owner, user } => {
            let about = shown(git_dir, path);
            let found = format!("belongs to {}", user_of(*owner));
            Finding::new(Code::WrongOwner, about, found)
                .expecting(user_of(*user))
                .of_file(path)
        }
        other => return audited.unread(Family::Host, other.to_string()),
    };
    audited.add(finding.with(hints));
}

/// Returns a file as findings name it: from the repository on where it lies there.
pub(super) fn shown(git_dir: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(git_dir).unwrap_or(path);
    match inside.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => inside.display().to_string(),
    }
}

/// Returns when a file was last changed, and whose it is.
pub(super) fn changed(path: &Path) -> Option<Changed> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(Changed {
        path: path.display().to_string(),
        at: Timestamp::from_second(meta.mtime()).ok()?,
        owner: user_of(meta.uid()),
    })
}
