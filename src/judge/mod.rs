//! The decision, and nothing else: `judge(policy, people, facts) → Verdict`.
//!
//! No I/O, no clock, no git: the same facts give the same verdict anywhere, for ever.
//!
//! 1. [`rules::notices`] weighs what gathering saw; [`rules::pusher`] asks who is at the door.
//! 2. [`rules::landing`] finds the sequence of reviewed heads that decides each step, by asking
//!    [`quorum`] about every rule that [`law`] matches at every head.
//! 3. [`rules::missing`], [`rules::rejects`], [`rules::unproven`], [`rules::approvals`] say what
//!    came of it; the strongest finding is the decision.

pub mod facts;
mod law;
mod quorum;
mod rules;
#[cfg(test)]
pub(crate) mod sample;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use crate::people::{People, PersonName};
use crate::policy::{Class, Mode, Policy};
use crate::wire::name::RefName;
use crate::wire::oid::{ObjectFormat, Oid};

use facts::{Facts, Notice, PathFacts, Scope, UpdateFacts};
use law::Law;
use rules::landing::Landing;
use verdict::{Code, ContributorVerdict, Decision, Finding, Role, SCHEMA, Severity};
use verdict::{UpdateVerdict, Verdict};

/// The verdict, and what it rests on that is no part of the answer.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// For each update and step the position of the sequence that decided; none where no sequence
    /// satisfies every rule, or a reject stands.
    pub chosen: Vec<Vec<Option<usize>>>,
}

/// Judges a push by the policy and the people in force.
///
/// Pure and total: every input has a verdict, and the same input the same one. A step is accepted
/// only where a sequence of covering heads satisfies every matching rule at each head.
pub fn judge(policy: &Policy, people: &People, facts: &Facts) -> Judgement {
    let law = Law::new(policy, people);
    let judged = facts.updates.iter();
    let (updates, chosen): (Vec<_>, Vec<_>) = judged
        .map(|update| judge_update(&law, facts, update))
        .unzip();
    let decision = updates.iter().map(|update| update.decision).max();
    let verdict = Verdict {
        schema: SCHEMA.to_owned(),
        // A push of nothing is nobody's question.
        decision: decision.unwrap_or(Decision::Undecided),
        mode: overall_mode(facts, &updates),
        repository: facts.repository.clone(),
        updates,
    };
    Judgement { verdict, chosen }
}

/// Returns whom a rule names that matches these paths on this ref: the people whose reviews are
/// candidates. Bots only where a rule names them.
pub fn named(
    policy: &Policy,
    people: &People,
    name: &RefName,
    paths: &[PathFacts],
) -> BTreeSet<PersonName> {
    let law = Law::new(policy, people);
    let matching = law.matching(name, paths, false);
    let names = matching
        .iter()
        .flat_map(|matched| law.named(&matched.rule.require));
    names.collect()
}

/// Returns the verdict on an update about which nothing but this is known: no policy to judge by.
pub fn refused_for(
    name: &RefName,
    old: Option<Oid>,
    new: Option<Oid>,
    notice: &Notice,
) -> UpdateVerdict {
    let zero = Oid::zero(old.or(new).map_or(ObjectFormat::Sha1, |oid| oid.format()));
    let severity = match notice.code {
        Code::Undecidable => Severity::Undecided,
        _ => Severity::Refuse,
    };
    let findings = vec![Finding {
        at: notice.at.clone(),
        paths: notice.paths.clone(),
        about: notice.about.clone(),
        ..rules::bare(notice.code, severity)
    }];
    UpdateVerdict {
        name: name.clone(),
        old: old.unwrap_or(zero),
        new: new.unwrap_or(zero),
        decision: decision(&findings),
        mode: Mode::Enforce,
        commits: 0,
        classes: Vec::new(),
        contributors: Vec::new(),
        approvals: Vec::new(),
        findings,
    }
}

fn judge_update(
    law: &Law<'_>,
    facts: &Facts,
    update: &UpdateFacts,
) -> (UpdateVerdict, Vec<Option<usize>>) {
    let mut findings = rules::notices::findings(law.policy, update);
    findings.extend(rules::pusher::finding(&facts.pusher, &update.scope));
    findings.extend(rules::shape::finding(update, &findings));
    let steps = match update.scope {
        Scope::Protected(_) => update.steps.as_slice(),
        Scope::Free | Scope::Review | Scope::Proposal | Scope::Refused => &[],
    };
    let hear = |step| rules::landing::hear(law, update, step);
    let landings: Vec<_> = steps.iter().map(hear).collect();
    let rejects = rules::rejects::findings(law, update, &landings.iter().collect::<Vec<_>>());
    let chosen = landings.iter().map(|landing| {
        let decided = landing.holds && rejects.is_empty();
        landing.sequence.filter(|_| decided)
    });
    let chosen = chosen.collect();
    let (approvals, notes) = rules::approvals::weigh(law, update, &landings);
    findings.extend(rules::missing::findings(law, &landings));
    findings.extend(rules::unproven::finding(&landings));
    findings.extend(rejects);
    findings.extend(notes);
    sort(&mut findings);
    let (old, new) = ends(update);
    let verdict = UpdateVerdict {
        name: update.name.clone(),
        old,
        new,
        decision: decision(&findings),
        mode: mode(update),
        commits: update.commits,
        classes: classes(update, &landings),
        contributors: contributors(&landings),
        approvals,
        findings,
    };
    (verdict, chosen)
}

/// Strongest first, then by everything else, each once: the order of rules leaves no trace.
fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.code, f.rule.clone(), f.at.clone());
        b.severity
            .cmp(&a.severity)
            .then_with(|| key(a).cmp(&key(b)))
            .then_with(|| (&a.about, &a.paths).cmp(&(&b.about, &b.paths)))
    });
    findings.dedup();
}

fn decision(findings: &[Finding]) -> Decision {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Refuse) => Decision::Refuse,
        Some(Severity::Undecided) => Decision::Undecided,
        Some(Severity::Warn | Severity::Note) | None => Decision::Accept,
    }
}

fn mode(update: &UpdateFacts) -> Mode {
    match &update.scope {
        Scope::Protected(protection) if !update.changes_policy => protection.mode,
        Scope::Protected(_) | Scope::Free | Scope::Review | Scope::Proposal | Scope::Refused => {
            Mode::Enforce
        }
    }
}

/// Dry run where everything that would be refused is; where nothing is, where every protected ref is.
fn overall_mode(facts: &Facts, updates: &[UpdateVerdict]) -> Mode {
    let refused = updates.iter().filter(|u| u.decision != Decision::Accept);
    let mut modes: Vec<_> = refused.map(|update| update.mode).collect();
    if modes.is_empty() {
        let protected = facts.updates.iter();
        modes = protected
            .filter(|update| matches!(update.scope, Scope::Protected(_)))
            .map(mode)
            .collect();
    }
    modes.into_iter().max().unwrap_or(Mode::Enforce)
}

/// Both ends, with the zero id of the other's format for what is not there.
fn ends(update: &UpdateFacts) -> (Oid, Oid) {
    let known = update.from.or(update.to);
    let zero = Oid::zero(known.map_or(ObjectFormat::Sha1, |oid| oid.format()));
    (update.from.unwrap_or(zero), update.to.unwrap_or(zero))
}

fn classes(update: &UpdateFacts, landings: &[Landing<'_>]) -> Vec<Class> {
    let wholes = update.steps.iter().map(|step| &step.whole);
    let heads = landings.iter().flat_map(|landing| &landing.heads);
    let paths = wholes
        .chain(heads.map(|hearing| hearing.head))
        .flat_map(|head| &head.paths);
    let classes: BTreeSet<_> = paths.flat_map(|facts| facts.classes.clone()).collect();
    classes.into_iter().collect()
}

/// Everyone with a hand in what was heard, each once with all they did.
fn contributors(landings: &[Landing<'_>]) -> Vec<ContributorVerdict> {
    let mut hands: BTreeMap<_, BTreeSet<Role>> = BTreeMap::new();
    let heads = landings.iter().flat_map(|landing| &landing.heads);
    for hand in heads.flat_map(|hearing| &hearing.head.contributors) {
        let who = (hand.person.clone(), hand.email.clone());
        hands.entry(who).or_default().extend(hand.roles.iter());
    }
    let merged = hands
        .into_iter()
        .map(|((person, email), roles)| ContributorVerdict {
            person,
            email,
            roles: roles.into_iter().collect(),
        });
    merged.collect()
}
