//! What landed, against history: every first-parent step recorded, everything a replay needs kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::admit::AdmitError;
use crate::admit::replay::passed;
use crate::gather::Limits;
use crate::git::walk::Outside;
use crate::git::{RefValue, Repo};
use crate::record::RecordError;
use crate::record::entry::{DecisionId, Entry, Landed};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::{Audited, Code, Family, Finding, Ground, word};

/// How far a first-parent chain is followed between two recorded tips.
const CHAIN: usize = 2_000_000;

/// Checks every landing of the log against git objects, without deciding it again.
pub(super) fn check(ground: &Ground<'_>, limits: &Limits, audited: &mut Audited) {
    let mut reading = Reading {
        ground,
        tips: BTreeMap::new(),
        was: BTreeMap::new(),
        needed: BTreeMap::new(),
        found: Vec::new(),
    };
    let done = reading.log().and_then(|()| reading.kept(limits.objects()));
    audited.findings.append(&mut reading.found);
    if let Err(error) = done {
        audited.unread(Family::Landings, error.to_string());
    }
}

struct Reading<'a> {
    ground: &'a Ground<'a>,
    /// Where each ref stands after the entries read.
    tips: BTreeMap<RefName, Option<Oid>>,
    /// Where each ref ever stood.
    was: BTreeMap<RefName, BTreeSet<Oid>>,
    /// What a replay needs, with the entry that needs it.
    needed: BTreeMap<Oid, u64>,
    found: Vec<Finding>,
}

impl Reading<'_> {
    fn log(&mut self) -> Result<(), AdmitError> {
        for entry in self.ground.record.entries(0..self.ground.view.size()) {
            let (index, entry) = entry?;
            match entry {
                Entry::Genesis(genesis) => {
                    self.need(genesis.policy.commit, index);
                    for (name, oid) in genesis.tips {
                        self.need(oid, index);
                        self.stands(name, Some(oid));
                    }
                }
                Entry::Adopted(adopted) => {
                    for oid in adopted.old.into_iter().chain(adopted.new) {
                        self.need(oid, index);
                    }
                    self.stands(adopted.name, adopted.new);
                }
                Entry::Landed(landed) => self.landed(index, landed)?,
                Entry::Review(_) | Entry::Incident(_) | Entry::Admin(_) => {}
            }
        }
        Ok(())
    }

    fn need(&mut self, oid: Oid, index: u64) {
        self.needed.entry(oid).or_insert(index);
    }

    fn stands(&mut self, name: RefName, oid: Option<Oid>) {
        let was = self.was.entry(name.clone()).or_default();
        was.extend(oid);
        self.tips.insert(name, oid);
    }

    fn landed(&mut self, index: u64, landed: Landed) -> Result<(), AdmitError> {
        let before = self.tips.get(&landed.name).copied().flatten();
        if before != landed.old {
            let start = landed
                .old
                .map_or("absent".to_owned(), |oid| oid.to_string());
            self.unrecorded(
                index,
                &landed,
                format!("entry {index} starts at {start}"),
                before,
            );
        }
        for oid in landed.old.iter().chain(&landed.new) {
            self.need(*oid, index);
        }
        self.need(landed.policy.commit, index);
        let decided = match &landed.decision {
            DecisionId::Inline(decided) => (**decided).clone(),
            DecisionId::Beside { .. } => self.ground.record.decided(&landed)?,
        };
        for head in &decided.counted {
            self.need(head.head, index);
            self.need(head.base, index);
        }
        if let (Some(old), Some(new)) = (landed.old, landed.new)
            && passed(&landed)
        {
            let was = self.was.get(&landed.name);
            let rewound = was.is_some_and(|was| was.contains(&new));
            if !rewound && reaches(self.ground.repo, &new, &old)? == Some(false) {
                let found = format!("the first parents of {new} do not lead to {old}");
                self.unrecorded(index, &landed, found, Some(old));
            }
        }
        self.stands(landed.name, landed.new);
        Ok(())
    }

    fn unrecorded(&mut self, index: u64, landed: &Landed, found: String, tip: Option<Oid>) {
        let expected = tip.map_or("absent".to_owned(), |oid| oid.to_string());
        let finding = Finding::new(Code::UnrecordedStep, landed.name.to_string(), found)
            .expecting(format!("a step from {expected}"))
            .since(word(&self.ground.view, index));
        self.found.push(finding);
    }

    /// Finds what a replay needs and no ref keeps, or nobody has any more.
    ///
    /// Recorded tips count as kept: a ref that lost its own is a finding itself.
    fn kept(&mut self, limit: usize) -> Result<(), AdmitError> {
        let repo = self.ground.repo;
        let mut tips: BTreeSet<Oid> = self.tips.values().copied().flatten().collect();
        for (_, value) in repo.references()? {
            if let RefValue::Oid(oid) = value {
                tips.insert(oid);
            }
        }
        let mut commits = Vec::new();
        for tip in &tips {
            commits.extend(repo.commit_of(tip)?);
        }
        let (here, gone): (Vec<_>, Vec<_>) = self
            .needed
            .iter()
            .map(|(oid, index)| (*oid, *index))
            .partition(|(oid, _)| repo.exists(oid));
        for (oid, index) in gone {
            let finding = Finding::new(Code::MissingObject, oid.to_string(), "absent".to_owned())
                .expecting(format!("here: entry {index} rests on it"))
                .since(word(&self.ground.view, index));
            self.found.push(finding);
        }
        if self.found.iter().any(|one| one.code == Code::MissingObject) {
            // With a hole in history nothing can be said of what reaches what.
            return Ok(());
        }
        let reached = Outside::new(repo, &commits, &[], limit)?;
        for (oid, index) in here {
            if tips.contains(&oid) || reached.contains(&oid) {
                continue;
            }
            let finding = Finding::new(
                Code::UnkeptObject,
                oid.to_string(),
                "no ref reaches it".to_owned(),
            )
            .expecting(format!("refs/countersign/keep/{oid}"))
            .since(word(&self.ground.view, index));
            self.found.push(finding);
        }
        Ok(())
    }
}

/// Returns whether `old` is on the first-parent chain of `new`; nothing where an object is gone.
fn reaches(repo: &Repo, new: &Oid, old: &Oid) -> Result<Option<bool>, RecordError> {
    let mut at = *new;
    for _ in 0..CHAIN {
        if at == *old {
            return Ok(Some(true));
        }
        if !repo.exists(&at) {
            return Ok(None);
        }
        let Ok(parents) = repo.parents(&at) else {
            // A tag has no parents: create-once refs do not move.
            return Ok(None);
        };
        match parents.first() {
            Some(parent) => at = *parent,
            None => return Ok(Some(false)),
        }
    }
    Ok(None)
}
