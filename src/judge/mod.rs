//! The decision, and nothing else: `judge(policy, people, facts) → Verdict`.
//!
//! No I/O, no clock, no git: the same facts give the same verdict anywhere, for ever.
//!
//! 1. [`rules::notices`] weighs what gathering saw; [`rules::pusher`] asks who is at the door.
//! 2. [`rules::landing`] finds the sequence of reviewed heads that decides each step, by asking
//!    [`quorum`] about every rule that [`law`] matches at every head.
//! 3. [`rules::missing`], [`rules::rejects`], [`rules::unproven`], [`rules::approvals`] say what
//!    came of it; the strongest finding is the decision.

pub mod explain;
pub mod facts;
pub(crate) mod law;
#[cfg(test)]
mod laws;
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
    findings.extend(rules::missing::findings(law, &landings, facts.now));
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

#[cfg(test)]
mod tests {
    use super::facts::Contributor;
    use super::sample::{N, P, Push, hand, name, oid, protection, rule};
    use super::verdict::Code;
    use super::*;
    use crate::policy::Protection;

    fn dry() -> Scope {
        Scope::Protected(Protection {
            mode: Mode::DryRun,
            ..protection()
        })
    }

    fn together(pushes: &[&Push]) -> Verdict {
        let mut facts = pushes[0].facts();
        facts.updates = pushes.iter().map(|push| push.update.clone()).collect();
        judge(&pushes[0].policy, &pushes[0].people, &facts).verdict
    }

    /// With no policy to judge by, what cannot be decided is undecided, and all else refused.
    #[test]
    fn without_a_policy() {
        let name = RefName::new("refs/heads/main");
        let decided = |code| {
            let notice = Notice {
                code,
                about: Vec::new(),
                paths: Vec::new(),
                at: None,
            };
            refused_for(&name, None, None, &notice).decision
        };
        assert_eq!(decided(Code::Undecidable), Decision::Undecided);
        assert_eq!(decided(Code::PolicyMissing), Decision::Refuse);
        assert_eq!(decided(Code::PolicyInvalid), Decision::Refuse);
    }

    /// One decision for the whole push; dry run holds nothing up, and says so only where nothing
    /// enforced is refused.
    #[test]
    fn decides_for_the_whole_push() {
        use Decision::{Accept, Refuse, Undecided};
        let refused = Push::new("");
        let good = refused.clone().approved(&["bob"]);
        let unsure = good.clone().noticed(Code::Undecidable, &[]);
        let free = Push::new("").approved(&["bob"]).scoped(Scope::Free);
        let (dry_bad, dry_good) = (refused.clone().scoped(dry()), good.clone().scoped(dry()));
        let mut changes = dry_bad.clone();
        changes.update.changes_policy = true;
        for (pushes, decision, mode, admits) in [
            (&[&good][..], Accept, Mode::Enforce, true),
            (&[&refused], Refuse, Mode::Enforce, false),
            (&[&unsure], Undecided, Mode::Enforce, false),
            (&[&unsure, &refused], Refuse, Mode::Enforce, false),
            (&[&dry_bad], Refuse, Mode::DryRun, true),
            (&[&dry_good], Accept, Mode::DryRun, true),
            (&[&dry_good, &free], Accept, Mode::DryRun, true),
            (&[&dry_good, &good], Accept, Mode::Enforce, true),
            (&[&dry_bad, &good], Refuse, Mode::DryRun, true),
            (&[&dry_bad, &refused], Refuse, Mode::Enforce, false),
            (&[&dry_bad, &unsure], Refuse, Mode::Enforce, false),
            (&[&free], Accept, Mode::Enforce, true),
            (&[&changes], Refuse, Mode::Enforce, false),
        ] {
            let verdict = together(pushes);
            let got = (verdict.decision, verdict.mode, verdict.admits());
            assert_eq!(got, (decision, mode, admits));
        }
    }

    /// A push of nothing is not accepted.
    #[test]
    fn nothing_is_not_accepted() {
        let push = Push::new("");
        let mut facts = push.facts();
        facts.updates.clear();
        let verdict = judge(&push.policy, &push.people, &facts).verdict;
        assert_eq!(verdict.decision, Decision::Undecided);
        assert!(!verdict.admits());
    }

    /// What is not there shows as the zero id of the repository's format.
    #[test]
    fn shows_both_ends() {
        let zero = Oid::zero(ObjectFormat::Sha1);
        let wide = Oid::from_bytes(&[7; 32]).unwrap();
        for (from, to, shown) in [
            (Some(oid(P)), Some(oid(N)), (oid(P), oid(N))),
            (None, Some(oid(N)), (zero, oid(N))),
            (Some(wide), None, (wide, Oid::zero(ObjectFormat::Sha256))),
            (None, None, (zero, zero)),
        ] {
            let mut push = Push::new("").approved(&["bob"]);
            (push.update.from, push.update.to) = (from, to);
            let verdict = push.verdict();
            assert_eq!((verdict.old, verdict.new), shown);
        }
    }

    /// Contributors are merged over heads, with all they did; strangers show by e-mail.
    #[test]
    fn merges_contributors() {
        let mut push = Push::new("");
        let heads = [5, 6].map(|head| push.head(head, &["src/a"], "alice"));
        push.update.steps[0].sequences = vec![heads.to_vec()];
        push.update.steps[0].sequences[0][1].contributors = vec![
            hand("alice", &[Role::Signer]),
            Contributor {
                person: None,
                email: Some("x@example.com".to_owned()),
                roles: vec![Role::CoAuthor],
            },
        ];
        let verdict = push.verdict();
        let shown: Vec<_> = verdict
            .contributors
            .iter()
            .map(|hand| {
                (
                    hand.person.clone(),
                    hand.email.as_deref(),
                    hand.roles.clone(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (None, Some("x@example.com"), vec![Role::CoAuthor]),
                (Some(name("alice")), None, vec![Role::Author, Role::Signer]),
            ]
        );
        assert_eq!(verdict.classes, [Class::Code]);
    }

    /// Findings come strongest first, and one that was seen twice is told once.
    #[test]
    fn sorts_findings() {
        let push = Push::new("").approved(&["alice"]);
        let push = push.noticed(Code::SubmoduleChange, &["b"]);
        let push = push.noticed(Code::SubmoduleChange, &["a"]);
        let push = push.noticed(Code::UnknownTip, &[]);
        let push = push.noticed(Code::UnknownTip, &[]);
        let codes: Vec<_> = push.codes().into_iter().map(|(code, _)| code).collect();
        assert_eq!(
            codes,
            [
                Code::UnknownTip,
                Code::MissingApprovals,
                Code::SubmoduleChange,
                Code::SubmoduleChange,
                Code::SelfApproval,
            ]
        );
    }

    /// Candidates are whom matching rules name: bots by name alone, forges never.
    #[test]
    fn names_candidates() {
        let rules = rule("ci", r#"["1 of robot|dana"]"#, r#"paths = ["ci/"]"#);
        let push = Push::new(&rules);
        let who = |paths: &[&str]| {
            let paths = push.head(N, paths, "alice").paths;
            let names = named(&push.policy, &push.people, &push.update.name, &paths);
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(who(&["ci/x"]), "dana robot");
        assert_eq!(who(&["src/x"]), "alice bob carol dana erin frank");
        assert_eq!(
            who(&["ci/x", "src/x"]),
            "alice bob carol dana erin frank robot"
        );
        assert_eq!(who(&[]), "dana robot");
    }

    /// A rule for other refs asks nothing here; the built-in one does then.
    #[test]
    fn rules_of_other_refs_are_silent() {
        let rules = rule("v1", r#"["2 of @security"]"#, r#"refs = ["refs/heads/v1"]"#);
        let rules = format!("[[ref]]\nmatch = [\"refs/heads/v1\"]\n{rules}");
        let push = Push::new(&rules).approved(&["bob"]);
        assert_eq!(push.decision(), Decision::Accept);
        let mut there = push.clone();
        there.update.name = RefName::from("refs/heads/v1");
        assert_eq!(there.decision(), Decision::Refuse);
    }
}
