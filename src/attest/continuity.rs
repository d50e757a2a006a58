//! Since which revision controls have held on a ref without a gap, by the log's entries.
//!
//! SLSA's source track counts a control from a start revision, and any lapse starts it anew. What
//! starts it anew here:
//!
//! - a move of the ref that is not a reviewed landing: dry run, refused too late, made at a recorded
//!   commit, set back, removed, adopted;
//! - a policy in force, at whatever moment in between, under which the control does not hold;
//! - a policy that was adopted rather than landed;
//! - an incident on record: while it stands nothing holds.
//!
//! What the record cannot show is not in here: an admin of the disk who undid what they did before
//! anything looked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Asked, AttestError, Reviewed};
use crate::admit::replay::is_reviewed;
use crate::gather::Rulebook;
use crate::gather::rulebook::Rulebooks;
use crate::judge::verdict::{Code, Role};
use crate::people::{PersonKind, PersonName};
use crate::policy::{Class, Mode, Place, Rule, Who};
use crate::record::entry::{Decided, Entry, IncidentState, Landed};
use crate::record::{IncidentKey, RecordError};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// Patterns that match every tag.
const EVERY_TAG: [&str; 3] = ["refs/tags/**", "refs/tags/", "refs/**"];

/// Something that holds of every change of a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Branches only move forward, and no tag is ever moved or removed.
    History,
    /// The policy is enforced, not only told.
    Enforced,
    /// Two people stand behind it: a known one who made it and another who approved it, or two who did.
    TwoParty,
    /// A rule of its own asks for approvals of what CI runs.
    Pipelines,
    /// Each first-parent commit is reviewed for itself.
    EveryCommit,
    /// Each commit is signed by somebody known.
    SignedCommits,
}

/// A control, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The control.
    pub control: Control,
    /// Since then without a gap.
    pub start: Start,
}

/// The revision from which on something has held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Every change of the ref after it counts; of it itself nothing is said.
    pub revision: Oid,
    /// The entry that made it the tip.
    pub index: u64,
    /// That entry's time.
    pub at: Timestamp,
}

/// Returns the controls that hold for a reviewed commit, on the ref that it landed on.
pub(super) fn held(asked: &Asked<'_>, reviewed: &Reviewed) -> Result<Vec<Held>, AttestError> {
    let name = &reviewed.landed.name;
    let mut run = Run {
        asked,
        name,
        books: Rulebooks::default(),
        held: BTreeMap::new(),
        tip: None,
        since: None,
        incidents: BTreeSet::new(),
    };
    // What is not under the checkpoint says nothing, nor does what was left out of it.
    asked
        .record
        .checked(|index, entry| match index < reviewed.index {
            true => run.before(index, entry),
            false => Ok(()),
        })?;
    run.landed(reviewed.index, &reviewed.landed)?;
    let since = match asked.since {
        None => None,
        Some(revision) => Some(run.since.clone().ok_or_else(|| AttestError::NoStart {
            since: *revision,
            name: name.clone(),
        })?),
    };
    let held = run.held.into_iter().filter_map(|(control, start)| {
        let start = match &since {
            None => start,
            // What started later did not hold all the time.
            Some(since) if start.index <= since.index => since.clone(),
            Some(_) => return None,
        };
        Some(Held { control, start })
    });
    Ok(held.collect())
}

/// The log up to some entry, as far as it concerns the ref.
struct Run<'a> {
    asked: &'a Asked<'a>,
    name: &'a RefName,
    books: Rulebooks,
    held: BTreeMap<Control, Start>,
    /// Where the ref stands.
    tip: Option<Start>,
    /// Where the ref last stood at the revision that is asked for.
    since: Option<Start>,
    incidents: BTreeSet<IncidentKey>,
}

impl Run<'_> {
    /// Takes in an entry before the one that is asked about.
    fn before(&mut self, index: u64, entry: &Entry) -> Result<(), AttestError> {
        match entry {
            Entry::Review(_) | Entry::Admin(_) => {}
            Entry::Genesis(genesis) => {
                if let Some(tip) = genesis.tips.get(self.name) {
                    self.held.clear();
                    self.stands(index, genesis.at, Some(*tip));
                }
            }
            Entry::Incident(incident) => {
                match incident.state {
                    IncidentState::Found => self.incidents.insert(incident.key()),
                    IncidentState::Over => self.incidents.remove(&incident.key()),
                };
                self.held.clear();
            }
            Entry::Adopted(adopted) => {
                if adopted.name == *self.name || adopted.name == *self.asked.policy_ref {
                    self.held.clear();
                } else if is_tag(&adopted.name) {
                    self.held.remove(&Control::History);
                }
                if adopted.name == *self.name {
                    self.stands(index, adopted.at, adopted.new);
                }
            }
            Entry::Landed(landed) => {
                if landed.name == *self.name {
                    self.landed(index, landed)?;
                    self.stands(index, landed.at, landed.new);
                } else if is_tag(&landed.name)
                    && (landed.old.is_some() || landed.mode == Mode::DryRun)
                {
                    self.held.remove(&Control::History);
                }
                if landed.name == *self.asked.policy_ref {
                    self.policy(landed.new)?;
                }
            }
        }
        Ok(())
    }

    fn stands(&mut self, index: u64, at: Timestamp, tip: Option<Oid>) {
        self.tip = tip.map(|revision| Start {
            revision,
            index,
            at,
        });
        if tip.is_some() && tip.as_ref() == self.asked.since {
            self.since.clone_from(&self.tip);
        }
    }

    /// Takes in a move of the ref itself.
    fn landed(&mut self, index: u64, landed: &Landed) -> Result<(), AttestError> {
        let good = self.good(index, landed)?;
        self.held.retain(|control, _| good.contains(control));
        let Some(new) = landed.new else {
            return Ok(());
        };
        let created = Start {
            revision: new,
            index,
            at: landed.at,
        };
        let start = self.tip.clone().unwrap_or(created);
        for control in good {
            self.held.entry(control).or_insert_with(|| start.clone());
        }
        Ok(())
    }

    /// The controls that one landing does not break.
    fn good(&self, index: u64, landed: &Landed) -> Result<BTreeSet<Control>, AttestError> {
        let follows = landed.old == self.tip.as_ref().map(|tip| tip.revision);
        if !is_reviewed(landed) || !follows || !self.incidents.is_empty() {
            return Ok(BTreeSet::new());
        }
        let decided = self.asked.record.decided(landed)?;
        let mut findings = decided.verdict.findings.iter();
        if findings.any(|it| it.code == Code::BreakglassUsed) {
            return Ok(BTreeSet::new());
        }
        let rules = self.books.at(self.asked.repo, &landed.policy.commit)?;
        // Of a policy that is not the one on record nothing follows.
        if rules.id != landed.policy {
            return Err(RecordError::Damaged {
                what: format!("entry {index}"),
                why: format!("its policy is not that of {}", landed.policy.commit),
            }
            .into());
        }
        let mut controls = controls(&rules, self.name, self.asked.policy_ref);
        if !self.two_party(&rules, &decided)? {
            controls.remove(&Control::TwoParty);
        }
        Ok(controls)
    }

    /// Returns whether two people stand behind each head that landed.
    fn two_party(&self, rules: &Rulebook, decided: &Decided) -> Result<bool, AttestError> {
        let is_human = |name: &PersonName| {
            let person = rules.people.person(name);
            person.is_some_and(|person| person.kind == PersonKind::Human)
        };
        let verdict = &decided.verdict;
        let unproven = verdict
            .findings
            .iter()
            .any(|it| it.code == Code::UnprovenCommit);
        // What came in by another branch was made by people who are not among the contributors.
        let protection = rules.policy.protection(self.name, self.asked.policy_ref);
        let trusting = protection.is_none_or(|protection| !protection.trusts.is_empty());
        // Headers prove nobody; a signature and a push do.
        let made = verdict.contributors.iter().filter(|it| {
            !unproven
                && !trusting
                && (it.roles.contains(&Role::Signer) || it.roles.contains(&Role::Pusher))
        });
        let made: BTreeSet<PersonName> = made
            .filter_map(|it| it.person.clone())
            .filter(|name| is_human(name))
            .collect();
        for head in &decided.counted {
            let mut parties = made.clone();
            let mut approved = false;
            for index in &head.reviews {
                if let Entry::Review(review) = self.asked.record.entry(*index)?
                    && is_human(&review.person)
                {
                    approved = true;
                    parties.insert(review.person);
                }
            }
            if !approved || parties.len() < 2 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes in another policy: what does not hold under it is over, whether or not the ref moves.
    fn policy(&mut self, commit: Option<Oid>) -> Result<(), AttestError> {
        let controls = match commit.map(|commit| self.books.at(self.asked.repo, &commit)) {
            Some(Ok(rules)) => controls(&rules, self.name, self.asked.policy_ref),
            Some(Err(crate::gather::RulebookError::Git(error))) => return Err(error.into()),
            Some(Err(_)) | None => BTreeSet::new(),
        };
        self.held.retain(|control, _| controls.contains(control));
        Ok(())
    }
}

fn is_tag(name: &RefName) -> bool {
    name.as_bstr().starts_with(b"refs/tags/")
}

/// Returns what a policy holds every change of a ref to.
fn controls(rules: &Rulebook, name: &RefName, policy_ref: &RefName) -> BTreeSet<Control> {
    let policy = &rules.policy;
    let Some(protection) = policy.protection(name, policy_ref) else {
        return BTreeSet::new();
    };
    if protection.mode != Mode::Enforce {
        return BTreeSet::new();
    }
    let default = Rule::default_rule();
    let matching = || policy.rules.iter().filter(|rule| rule.matches_ref(name));
    // Of several tables that match a tag the strictest value holds: one is enough.
    let tags = policy.refs.iter().any(|table| {
        let every =
            |pattern: &crate::policy::Pattern| EVERY_TAG.contains(&pattern.to_string().as_str());
        table.protection.create_once
            && table.protection.mode == Mode::Enforce
            && table.matches.iter().any(every)
    });
    let humans = |place: &Place| {
        place.who.iter().all(|who| match who {
            Who::Any | Who::Team(_) => true,
            Who::Person(name) => {
                let person = rules.people.person(name);
                person.is_some_and(|person| person.kind == PersonKind::Human)
            }
        })
    };
    let mut all_ask = matching().chain([&default]);
    let two_party = all_ask.all(|rule| rule.require.iter().any(humans));
    let pipelines = matching().any(|rule| {
        let all_of_them = rule.paths.is_empty() && rule.classes.contains(&Class::Pipeline);
        all_of_them && rule.require.iter().any(humans)
    });
    [
        (
            Control::History,
            tags && !protection.allow_rewind && !protection.allow_delete,
        ),
        (Control::Enforced, true),
        (Control::TwoParty, two_party),
        (Control::Pipelines, pipelines),
        (Control::EveryCommit, protection.every_commit),
        (Control::SignedCommits, protection.signed_commits),
    ]
    .into_iter()
    .filter_map(|(control, holds)| holds.then_some(control))
    .collect()
}

/// Returns the level of SLSA's source track that these controls give, with its start; none where it
/// is the first, which needs no continuity.
pub fn level(held: &[Held]) -> (u8, Option<&Start>) {
    let start = |control| held.iter().find(|it| it.control == control);
    let mut level = (1, None::<&Start>);
    for (number, control) in [
        (2, Control::History),
        (3, Control::Enforced),
        (4, Control::TwoParty),
    ] {
        let Some(found) = start(control) else {
            break;
        };
        let latest = level.1.into_iter().chain([&found.start]);
        level = (number, latest.max_by_key(|start| start.index));
    }
    level
}

/// Returns the words for what was verified: the level, then properties, each with its start.
pub fn levels(held: &[Held]) -> Vec<(String, Option<&Start>)> {
    let (number, start) = level(held);
    let mut all = vec![(format!("SLSA_SOURCE_LEVEL_{number}"), start)];
    for Held { control, start } in held {
        let word = match control {
            Control::History | Control::Enforced => continue,
            Control::TwoParty => "SLSA_SOURCE_TWO_PARTY_REVIEWED",
            Control::Pipelines => "ORG_SOURCE_CI_DEFS_REVIEWED",
            Control::EveryCommit => "ORG_SOURCE_EVERY_COMMIT_REVIEWED",
            Control::SignedCommits => "ORG_SOURCE_COMMITS_SIGNED",
        };
        all.push((word.to_owned(), Some(start)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(index: u64) -> Start {
        Start {
            revision: "1".repeat(40).parse().unwrap(),
            index,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    /// A level wants all below it, and starts where the last of them did.
    #[test]
    fn levels_build_on_each_other() {
        use Control::{Enforced, History, TwoParty};
        for (controls, expected) in [
            (&[][..], (1, None)),
            (&[(TwoParty, 1)], (1, None)),
            (&[(Enforced, 1), (TwoParty, 1)], (1, None)),
            (&[(History, 3)], (2, Some(3))),
            (&[(History, 3), (Enforced, 1)], (3, Some(3))),
            (&[(History, 3), (TwoParty, 9)], (2, Some(3))),
            (&[(History, 3), (Enforced, 1), (TwoParty, 9)], (4, Some(9))),
        ] {
            let held: Vec<Held> = controls
                .iter()
                .map(|(control, index)| Held {
                    control: *control,
                    start: start(*index),
                })
                .collect();
            let (number, found) = level(&held);
            assert_eq!((number, found.map(|start| start.index)), expected);
        }
    }
}
