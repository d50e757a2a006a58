//! `missing-approvals`: one for each rule that does not hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::facts::HeadFacts;
use crate::judge::law::Law;
use crate::judge::quorum::Asked;
use crate::judge::verdict::{Code, Finding, Severity};
use crate::policy::Rule;

use super::landing::Landing;

/// Names each failing rule once, whatever heads and steps it fails at.
pub(crate) fn findings(law: &Law<'_>, landings: &[Landing<'_>]) -> Vec<Finding> {
    let mut failing: BTreeMap<_, Vec<(&HeadFacts, &Asked<'_>)>> = BTreeMap::new();
    let asked = landings.iter().flat_map(Landing::asked);
    for (head, asked) in asked.filter(|(_, asked)| !asked.holds) {
        let key = (&asked.rule.name, asked.rule.line);
        failing.entry(key).or_default().push((head, asked));
    }
    let rules = failing.into_values();
    rules
        .filter_map(|failures| finding(law, &failures))
        .collect()
}

/// Returns who is missing: who counts at every failing head, and who could help at any.
fn finding(law: &Law<'_>, failures: &[(&HeadFacts, &Asked<'_>)]) -> Option<Finding> {
    let (_, first) = failures.first()?;
    let mut paths = BTreeSet::new();
    let mut could = BTreeSet::new();
    let mut got = first.got.clone();
    for (head, asked) in failures {
        paths.extend(asked.paths.iter().cloned());
        could.extend(asked.could(law, head));
        got.retain(|name| asked.got.contains(name));
    }
    let unproven = failures.iter().any(|(head, _)| !head.unproven.is_empty());
    Some(Finding {
        rule: Some(first.rule.name.clone()),
        at: at(first.rule),
        paths: paths.into_iter().collect(),
        want: Some(want(first.rule, unproven)),
        got: got.iter().map(ToString::to_string).collect(),
        about: could.iter().map(ToString::to_string).collect(),
        ..super::bare(Code::MissingApprovals, Severity::Refuse)
    })
}

/// Returns where a rule stands; the built-in one stands nowhere.
pub(super) fn at(rule: &Rule) -> Option<String> {
    (rule.line > 0).then(|| rule.at())
}

fn want(rule: &Rule, unproven: bool) -> String {
    let places: Vec<_> = rule.require.iter().map(ToString::to_string).collect();
    let more = if unproven {
        " + 1 more (unproven commit)"
    } else {
        ""
    };
    format!("{}{more}", places.join(", "))
}
