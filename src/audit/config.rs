//! git's configuration at every level, and `server.toml`, against what enrolment put on record.

use std::collections::BTreeSet;
use std::path::Path;

use crate::host::Server;
use crate::host::config::{self as git_config, Setting};
use crate::host::hooks::Hook;
use crate::host::server::ServerError;
use crate::host::state::{WATCHED, short, values};
use crate::record::OnRecord;
use crate::record::entry::HostState;

use super::host::shown;
use super::{Audited, Code, Detail, Family, Finding};

/// Checks configuration and settings.
pub(super) fn check(
    git_dir: &Path,
    known: Option<&OnRecord<HostState>>,
    server: &Result<&Server, &ServerError>,
    audited: &mut Audited,
) {
    match git_config::settings(git_dir, WATCHED) {
        Ok(settings) => audited
            .findings
            .extend(configured(git_dir, known, &settings)),
        Err(error) => audited.unread(Family::Config, error.to_string()),
    }
    settings(git_dir, known, server, audited);
}

/// Finds what keeps hooks from running whatever was enrolled, then what else is otherwise.
fn configured(
    git_dir: &Path,
    known: Option<&OnRecord<HostState>>,
    settings: &[Setting],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::from(["core.sharedrepository"]);
    for setting in settings {
        let Some(code) = forbidden(setting) else {
            continue;
        };
        told.insert(setting.key.as_str());
        let finding = finding(git_dir, code, setting, short(&setting.value));
        findings.push(finding.expecting("not set"));
    }
    let Some(known) = known else {
        return findings;
    };
    let now = values(settings);
    let keys: BTreeSet<&String> = known.what.config.keys().chain(now.keys()).collect();
    for key in keys {
        let (is, want) = (now.get(key), known.what.config.get(key));
        if is == want || told.contains(key.as_str()) {
            continue;
        }
        let words = |values: Option<&Vec<String>>| {
            values.map_or("not set".to_owned(), |values| values.join(", "))
        };
        let last = settings.iter().rev().find(|setting| setting.key == *key);
        let found = match last {
            Some(last) => finding(git_dir, Code::ConfigChanged, last, words(is)),
            None => Finding::new(Code::ConfigChanged, key.clone(), words(is))
                .of_file(&git_dir.join("config"))
                .with(Detail::Setting("local".to_owned(), String::new())),
        };
        let since = Some((known.index, known.at));
        findings.push(found.expecting(words(want)).since(since));
    }
    findings
}

/// Returns what a setting is that no enrolled repository may have.
fn forbidden(setting: &Setting) -> Option<Code> {
    let key = setting.key.as_str();
    if key == "core.hookspath" {
        return Some(Code::HooksPath);
    }
    if key == "receive.procreceiverefs" {
        return Some(Code::HookConfig);
    }
    let hook = key.strip_prefix("hook.")?;
    let (name, what) = hook.rsplit_once('.')?;
    let ours = |name: &str| Hook::ALL.iter().any(|hook| hook.name() == name);
    (ours(name) || (what == "event" && ours(&setting.value))).then_some(Code::HookConfig)
}

fn finding(git_dir: &Path, code: Code, setting: &Setting, found: String) -> Finding {
    let finding = Finding::new(code, setting.key.clone(), found);
    let finding = match setting.origin.strip_prefix("file:") {
        Some(file) => finding.of_file(&git_dir.join(file)),
        None => finding,
    };
    let (scope, origin) = (setting.scope.clone(), setting.origin.clone());
    finding.with(Detail::Setting(scope, origin))
}

fn settings(
    git_dir: &Path,
    known: Option<&OnRecord<HostState>>,
    server: &Result<&Server, &ServerError>,
    audited: &mut Audited,
) {
    let path = Server::path(git_dir);
    let server = match server {
        Ok(server) => server,
        Err(ServerError::File { path, source }) => {
            let why = format!("{}: {source}", path.display());
            return audited.unread(Family::Config, why);
        }
        Err(error) => {
            let about = shown(git_dir, &path);
            let finding = Finding::new(Code::SettingsUnusable, about, error.to_string());
            return audited.add(finding.of_file(&path));
        }
    };
    let Some(known) = known else {
        let found = "no entry says how enrolment left the host".to_owned();
        let about = shown(git_dir, &path);
        return audited.add(Finding::new(Code::EnrolmentUnrecorded, about, found));
    };
    let now = server.by_name(git_dir);
    let keys: BTreeSet<_> = now.keys().chain(known.what.settings.keys()).collect();
    for key in keys {
        let (is, want) = (now.get(key), known.what.settings.get(key));
        if is == want {
            continue;
        }
        let words = |value: Option<&String>| value.map_or("not set".to_owned(), Clone::clone);
        let finding = Finding::new(Code::SettingsChanged, key.clone(), words(is))
            .expecting(words(want))
            .since(Some((known.index, known.at)))
            .of_file(&path);
        audited.add(finding);
    }
}
