//! A reject blocks until more people than the rule asks for override it.

use std::collections::BTreeSet;

use crate::judge::facts::{HeadFacts, ReviewFacts, ReviewState, UpdateFacts, Verb};
use crate::judge::law::Law;
use crate::judge::quorum::{Asked, contributed, seats};
use crate::judge::verdict::{Code, Finding, Severity};
use crate::people::PersonName;
use crate::policy::Rule;

use super::landing::Landing;

/// Names every reject that stands against these landings.
pub(crate) fn findings(
    law: &Law<'_>,
    update: &UpdateFacts,
    landings: &[&Landing<'_>],
) -> Vec<Finding> {
    let standing = update.reviews.iter().filter(|review| in_force(review));
    let found = standing.filter_map(|reject| finding(law, update, landings, reject));
    found.collect()
}

/// Approvals lapse with time, rejects do not.
fn in_force(review: &ReviewFacts) -> bool {
    let stands = matches!(review.state, ReviewState::Live | ReviewState::Expired);
    review.verb == Verb::Reject && review.blocks && stands
}

/// Returns the reject as a finding of the rule that is furthest from overriding it.
fn finding(
    law: &Law<'_>,
    update: &UpdateFacts,
    landings: &[&Landing<'_>],
    reject: &ReviewFacts,
) -> Option<Finding> {
    let person = law.people.persons.get(&reject.person)?;
    let mut rules: Vec<(&Rule, Vec<(&HeadFacts, &Asked<'_>)>)> = Vec::new();
    for (head, asked) in landings.iter().flat_map(|landing| landing.asked()) {
        if !law.names(&asked.rule.require, person) {
            continue;
        }
        let same = |known: &&mut (&Rule, _)| std::ptr::eq(known.0, asked.rule);
        match rules.iter_mut().find(same) {
            Some((_, places)) => places.push((head, asked)),
            None => rules.push((asked.rule, vec![(head, asked)])),
        }
    }
    let open = rules.iter().filter_map(|(rule, places)| {
        let need = needed(law, reject, places);
        let have = overriding(update, reject, places);
        let short = need.saturating_sub(have.len());
        (short > 0).then_some((short, *rule, need, have))
    });
    let (_, rule, need, have) = open.min_by(|a, b| (b.0, &a.1.name).cmp(&(a.0, &b.1.name)))?;
    Some(Finding {
        rule: Some(rule.name.clone()),
        at: super::missing::at(rule),
        want: Some(format!("{need} overriding")),
        got: have.iter().map(ToString::to_string).collect(),
        about: vec![
            reject.person.to_string(),
            reject.head.to_string(),
            reject.tag.to_string(),
        ],
        ..super::bare(Code::Rejected, Severity::Refuse)
    })
}

/// One more than the rule asks, at most everyone eligible but the rejecter, and never nobody.
fn needed(law: &Law<'_>, reject: &ReviewFacts, asked: &[(&HeadFacts, &Asked<'_>)]) -> usize {
    let more = asked.iter().map(|(_, asked)| seats(&asked.places));
    let more = more.max().unwrap_or(0).saturating_add(1);
    let mut eligible = BTreeSet::new();
    for (head, asked) in asked {
        let mut named = law.named(&asked.places);
        named.retain(|name| *name != reject.person && !contributed(head, name));
        eligible.extend(named);
    }
    more.min(eligible.len()).max(1)
}

fn overriding(
    update: &UpdateFacts,
    reject: &ReviewFacts,
    asked: &[(&HeadFacts, &Asked<'_>)],
) -> BTreeSet<PersonName> {
    let positions = asked.iter().flat_map(|(_, asked)| &asked.counted);
    let approvals = positions.filter_map(|position| update.reviews.get(*position));
    approvals
        .filter(|approval| approval.overrides.contains(&reject.tag))
        .map(|approval| approval.person.clone())
        .filter(|person| *person != reject.person)
        .collect()
}
