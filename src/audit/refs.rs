//! Refs as they are, against the record and against names that mislead.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::admit::RefState;
use crate::admit::history::{Drift, unexplained};
use crate::admit::unknown::Telling;
use crate::gather::scope::{Real, stands_for};
use crate::gather::{Bringers, Limits};
use crate::git::RefValue;
use crate::record::TipKind;
use crate::wire::name::RefName;
use crate::wire::refname;

use super::{Audited, Code, Detail, Family, Finding, Ground, word};

/// What is looked at, and by which bounds.
pub(super) struct Look<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) limits: &'a Limits,
    pub(super) bringers: &'a dyn Bringers,
    pub(super) now: Timestamp,
}

/// Compares refs with recorded tips; to be called under the record's lock.
pub(super) fn compare(ground: &Ground<'_>, audited: &mut Audited) {
    let found = unexplained(ground.repo, ground.record, &ground.view, &ground.policy_ref);
    let (drifts, pending) = match found {
        Ok(found) => found,
        Err(error) => return audited.unread(Family::Refs, error.to_string()),
    };
    audited.pending = pending;
    match ground.view.tips() {
        Ok(tips) => {
            audited.refs = tips.values().filter(|tip| tip.oid.is_some()).count();
            let adopted = |(name, tip): (RefName, crate::record::Tip)| {
                (tip.how == TipKind::Adopted).then_some(name)
            };
            audited.adopted = tips.into_iter().filter_map(adopted).collect();
        }
        Err(error) => audited.unread(Family::Refs, error.to_string()),
    }
    for drift in drifts {
        audited.add(drifted(ground, drift));
    }
}

fn drifted(ground: &Ground<'_>, drift: Drift) -> Finding {
    let tip = ground.view.tip(&drift.name).ok().flatten();
    let (code, found) = match &drift.actual {
        RefState::Absent => (Code::MissingRef, "absent".to_owned()),
        RefState::At(oid) => (Code::UnknownTip, oid.to_string()),
        RefState::Symbolic(to) => (Code::SymrefAlias, format!("symbolic ref to {to}")),
    };
    let expected = match &drift.recorded {
        Some(oid) => oid.to_string(),
        None => "absent".to_owned(),
    };
    let file = file_of(ground.repo.git_dir(), &drift.name);
    Finding::new(code, drift.name.to_string(), found)
        .expecting(expected)
        .since(tip.and_then(|tip| word(&ground.view, tip.index)))
        .of_file(&file)
        .with(Detail::Tip(drift, None))
}

/// The file a ref stands in: its own, else the one for all packed ones.
fn file_of(git_dir: &Path, name: &RefName) -> PathBuf {
    let loose = name.as_str().map(|name| git_dir.join(name));
    loose
        .filter(|path| path.is_file())
        .unwrap_or_else(|| git_dir.join("packed-refs"))
}

impl Look<'_> {
    /// Tells what unknown tips bring, and looks at refs that nothing protects.
    pub(super) fn run(&self, audited: &mut Audited) {
        for finding in &mut audited.findings {
            self.tell(finding);
        }
        let refs = match self.ground.repo.references() {
            Ok(refs) => refs,
            Err(error) => return audited.unread(Family::Refs, error.to_string()),
        };
        let recorded = match self.ground.view.names(usize::MAX) {
            Ok(names) => names,
            Err(error) => return audited.unread(Family::Refs, error.to_string()),
        };
        let policy = self.ground.rules.as_ref().map(|rules| &*rules.policy);
        let real = Real::of(recorded, policy, &self.ground.policy_ref);
        for (name, value) in refs {
            if let Some(finding) = self.stray(&real, &name, &value) {
                let file = file_of(self.ground.repo.git_dir(), &name);
                audited.add(finding.of_file(&file));
            }
        }
    }

    fn tell(&self, finding: &mut Finding) {
        let Detail::Tip(drift, step) = &mut finding.detail else {
            return;
        };
        let to = match &drift.actual {
            RefState::At(oid) => Some(*oid),
            RefState::Absent | RefState::Symbolic(_) => return,
        };
        let telling = Telling {
            repo: self.ground.repo,
            view: &self.ground.view,
            policy_ref: &self.ground.policy_ref,
            limits: self.limits,
            now: self.now,
            bringers: self.bringers,
        };
        // An object that cannot be read leaves the tip as unknown as it is.
        *step = telling
            .tell(&drift.name, drift.recorded, to)
            .ok()
            .map(Box::new);
    }

    /// Finds what is wrong with a ref that is not the record's own business.
    fn stray(&self, real: &Real, name: &RefName, value: &RefValue) -> Option<Finding> {
        let held = match value {
            RefValue::Oid(oid) => oid.to_string(),
            RefValue::Symbolic(to) => format!("symbolic ref to {to}"),
        };
        let found = |code| Some(Finding::new(code, name.to_string(), held.clone()));
        let bytes: &[u8] = name.as_bstr();
        if bytes.starts_with(b"refs/replace/") {
            return found(Code::ReplaceRef).map(|finding| finding.expecting("absent"));
        }
        let protects = |name: &RefName| {
            let rules = self.ground.rules.as_ref();
            real.contains(name)
                || rules.is_some_and(|rules| {
                    let policy_ref = &self.ground.policy_ref;
                    rules.policy.protection(name, policy_ref).is_some()
                })
        };
        if protects(name) {
            return None;
        }
        if let RefValue::Symbolic(to) = value
            && protects(to)
        {
            return found(Code::SymrefAlias).map(|finding| finding.expecting("absent"));
        }
        if bytes.starts_with(b"refs/countersign/") {
            let known = bytes.starts_with(b"refs/countersign/keep/")
                || refname::review_ref(name).is_some()
                || refname::proposal_ref(name).is_some();
            let stray = !known || matches!(value, RefValue::Symbolic(_));
            return stray
                .then(|| found(Code::ForbiddenRef))
                .flatten()
                .map(|finding| finding.expecting("absent"));
        }
        let rules = self.ground.rules.as_ref()?;
        let like = stands_for(&rules.policy, &self.ground.policy_ref, real, name)?;
        found(Code::ShadowingRef)
            .map(|finding| finding.expecting(format!("absent: it can be taken for {like}")))
    }
}
