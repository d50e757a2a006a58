//! Baselines: tips of protected refs that nobody judged, because they were there first.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::gather::rulebook::Rulebook;
use crate::git::{GitError, RefValue, Repo};
use crate::policy::Mode;
use crate::record::View;
use crate::record::entry::Genesis;
use crate::wire::name::RefName;
use crate::wire::oid::{ObjectFormat, Oid};

use super::AdmitError;

/// Returns the genesis of every ref that exists and is protected.
///
/// `mode` is the host's: its dry run weakens what the policy says. A protected name that is a
/// symbolic ref has no tip of its own and is left out.
pub fn baseline(
    repo: &Repo,
    rules: &Rulebook,
    policy_ref: &RefName,
    mode: Mode,
    now: Timestamp,
) -> Result<Genesis, GitError> {
    let refs = repo.references()?;
    Ok(baseline_of(
        refs,
        repo.format(),
        rules,
        policy_ref,
        mode,
        now,
    ))
}

/// Returns the genesis of those of `refs` that are protected.
pub fn baseline_of(
    refs: impl IntoIterator<Item = (RefName, RefValue)>,
    format: ObjectFormat,
    rules: &Rulebook,
    policy_ref: &RefName,
    mode: Mode,
    now: Timestamp,
) -> Genesis {
    let mut genesis = Genesis {
        at: now,
        repository: rules.policy.repository.clone(),
        format,
        policy_ref: policy_ref.clone(),
        tips: BTreeMap::new(),
        dry_run: Vec::new(),
        policy: rules.id.clone(),
        keys: BTreeMap::new(),
        host: None,
    };
    for person in rules.people.persons.values() {
        let keys = person.keys.iter().map(|key| key.fingerprint.clone());
        genesis.keys.insert(person.name.clone(), keys.collect());
    }
    for (name, value) in refs {
        let (Some(protection), RefValue::Oid(oid)) =
            (rules.policy.protection(&name, policy_ref), value)
        else {
            continue;
        };
        if protection.mode.min(mode) == Mode::DryRun {
            genesis.dry_run.push(name.clone());
        }
        genesis.tips.insert(name, oid);
    }
    genesis
}

/// Returns the genesis of refs whose protection begins as the policy ref moves on from where `view`
/// has it to `new`.
///
/// A ref that was protected before and has no recorded tip was made behind the gate: it is unknown,
/// and no baseline. Where the policy before cannot be read nobody can tell, so nothing begins.
pub(super) fn begun(
    repo: &Repo,
    view: &View,
    policy_ref: &RefName,
    new: Option<&Oid>,
    mode: Mode,
    now: Timestamp,
) -> Result<Option<Genesis>, AdmitError> {
    let old = view.tip(policy_ref)?.and_then(|tip| tip.oid);
    let (Some(old), Some(new)) = (old, new) else {
        return Ok(None);
    };
    if Rulebook::is_same(repo, &old, new) {
        return Ok(None);
    }
    let (Ok(before), Ok(after)) = (Rulebook::at(repo, &old), Rulebook::at(repo, new)) else {
        return Ok(None);
    };
    let mut genesis = baseline(repo, &after, policy_ref, mode, now)?;
    for name in genesis.tips.keys().cloned().collect::<Vec<_>>() {
        let was_protected = before.policy.protection(&name, policy_ref).is_some();
        if was_protected || view.tip(&name)?.is_some() {
            genesis.tips.remove(&name);
        }
    }
    genesis
        .dry_run
        .retain(|name| genesis.tips.contains_key(name));
    Ok((!genesis.tips.is_empty()).then_some(genesis))
}
