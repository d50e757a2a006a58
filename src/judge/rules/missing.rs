//! `missing-approvals`: one for each rule that does not hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::judge::facts::HeadFacts;
use crate::judge::law::Law;
use crate::judge::quorum::Asked;
use crate::judge::verdict::{Code, Finding, Severity};
use crate::policy::Rule;
use crate::policy::roster::may_approve;

use super::landing::Landing;

/// Names each failing rule once, whatever heads and steps it fails at.
pub(crate) fn findings(law: &Law<'_>, landings: &[Landing<'_>], now: Timestamp) -> Vec<Finding> {
    let mut failing: BTreeMap<_, Vec<(&HeadFacts, &Asked<'_>)>> = BTreeMap::new();
    let asked = landings.iter().flat_map(Landing::asked);
    for (head, asked) in asked.filter(|(_, asked)| !asked.holds) {
        let key = (&asked.rule.name, asked.rule.line);
        failing.entry(key).or_default().push((head, asked));
    }
    let rules = failing.into_values();
    rules
        .filter_map(|failures| finding(law, &failures, now))
        .collect()
}

/// Returns who is missing: who counts at every failing head, and who could help at any; nobody is sent
/// for who could not sign now.
fn finding(
    law: &Law<'_>,
    failures: &[(&HeadFacts, &Asked<'_>)],
    now: Timestamp,
) -> Option<Finding> {
    let (_, first) = failures.first()?;
    let mut paths = BTreeSet::new();
    let mut could = BTreeSet::new();
    let mut got = first.got.clone();
    for (head, asked) in failures {
        paths.extend(asked.paths.iter().cloned());
        could.extend(asked.could(law, head));
        got.retain(|name| asked.got.contains(name));
    }
    could.retain(|name| {
        let person = law.people.person(name);
        person.is_some_and(|person| may_approve(law.people, person, first.rule, now))
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{N, Push, name, oid, rule};
    use crate::judge::verdict::{Decision, Role};

    fn two_rules() -> String {
        rule("everyone", r#"["1 of @maintainers"]"#, "")
            + &rule(
                "pipelines",
                r#"["2 of @maintainers", "1 of @security|carol"]"#,
                "class = [\"pipeline\"]",
            )
    }

    /// Each failing rule is told once, with who counts, and who would bring it nearer.
    #[test]
    fn tells_each_rule_once() {
        let ci = ".github/workflows/ci.yml";
        let push = Push::new(&two_rules()).changing(&[ci, "src/lib.rs"]);
        let push = push.approved(&["bob"]);
        let found = push.found(Code::MissingApprovals);
        assert_eq!(found.len(), 1);
        let finding = &found[0];
        assert_eq!(finding.rule.as_deref(), Some("pipelines"));
        assert_eq!(finding.at.as_deref(), Some(".countersign/policy.toml:7"));
        assert_eq!(
            finding.want.as_deref(),
            Some("2 of @maintainers, 1 of @security|carol")
        );
        assert_eq!(finding.got, ["bob"]);
        // alice contributed; frank could fill nothing.
        assert_eq!(finding.about, ["carol", "dana", "erin"]);
        let paths: Vec<_> = finding.paths.iter().map(ToString::to_string).collect();
        assert_eq!(paths, [ci]);
        let none = Push::new(&two_rules()).changing(&[ci, "src/lib.rs"]);
        assert_eq!(none.found(Code::MissingApprovals).len(), 2);
    }

    /// Whoever would fill nothing more is not sent for.
    #[test]
    fn asks_only_those_who_help() {
        let rules = rule("both", r#"["1 of @maintainers", "1 of @security"]"#, "");
        let push = Push::new(&rules).approved(&["bob"]);
        assert_eq!(
            push.found(Code::MissingApprovals)[0].about,
            ["dana", "erin"]
        );
    }

    /// Nor is whoever has no key that counts, though the rule names them.
    #[test]
    fn asks_nobody_without_a_key() {
        let mut push = Push::new(&rule("one", r#"["1 of @maintainers"]"#, ""));
        let asked = |push: &Push| push.found(Code::MissingApprovals)[0].about.clone();
        assert_eq!(asked(&push), ["bob", "carol"]);
        push.people
            .persons
            .get_mut(&name("bob"))
            .unwrap()
            .keys
            .clear();
        assert_eq!(asked(&push), ["carol"]);
    }

    /// What no rule matches falls under the built-in one, which stands in no file.
    #[test]
    fn default_stands_nowhere() {
        let rules = rule("docs", r#"["1 of @maintainers"]"#, r#"paths = ["docs/"]"#);
        let push = Push::new(&rules).changing(&["docs/a.md", "src/lib.rs"]);
        let found = push.found(Code::MissingApprovals);
        let rules: Vec<_> = found
            .iter()
            .map(|finding| finding.rule.as_deref())
            .collect();
        assert_eq!(rules, [Some("default"), Some("docs")]);
        assert_eq!(found[0].at, None);
        assert_eq!(found[0].want.as_deref(), Some("1 of any"));
        let paths: Vec<_> = found[0].paths.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["src/lib.rs"]);
        assert_eq!(push.approved(&["bob"]).decision(), Decision::Accept);
    }

    /// Over several heads got is who counts at each, paths are those of each.
    #[test]
    fn merges_heads() {
        let mut push = Push::new(&rule("two", r#"["2 of @maintainers|frank"]"#, ""));
        let first = push.head(5, &["b"], "alice");
        let second = push.head(N, &["a"], "alice");
        push.update.steps[0].sequences = vec![vec![first, second]];
        let push = push
            .approved(&["bob", "frank"])
            .reviewed("bob", 5, |_| ())
            .with("dana", &[Role::Author]);
        let found = push.found(Code::MissingApprovals);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].got, ["bob"]);
        assert_eq!(found[0].about, ["carol", "frank"]);
        let push = push.reviewed("carol", N, |review| review.head = oid(N));
        assert_eq!(
            push.found(Code::MissingApprovals)[0].about,
            ["carol", "frank"]
        );
        assert_eq!(
            push.reviewed("carol", 5, |_| ()).decision(),
            Decision::Accept
        );
    }

    /// Who counts at one failing head alone is not told as counting.
    #[test]
    fn got_counts_everywhere() {
        let mut push = Push::new(&rule("three", r#"["3 of @maintainers|frank|dana"]"#, ""));
        let heads = [N, 5].map(|head| push.head(head, &["a"], "alice"));
        push.update.steps[0].sequences = vec![heads.to_vec()];
        let push = push.approved(&["bob", "frank"]).reviewed("bob", 5, |_| ());
        assert_eq!(push.found(Code::MissingApprovals)[0].got, ["bob"]);
    }
}
