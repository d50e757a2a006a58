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
    let reviews = update.reviews.iter();
    let standing = reviews.filter(|review| in_force(review, landings));
    let found = standing.filter_map(|reject| finding(law, update, landings, reject));
    found.collect()
}

/// A reject is in force where its head is new, or counted. Approvals lapse with time, rejects do not.
fn in_force(review: &ReviewFacts, landings: &[&Landing<'_>]) -> bool {
    let mut heads = landings.iter().flat_map(|landing| &landing.heads);
    let stands = matches!(review.state, ReviewState::Live | ReviewState::Expired);
    let concerns = review.blocks || heads.any(|hearing| hearing.head.head == review.head);
    review.verb == Verb::Reject && stands && concerns
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{N, Push, oid, rule};
    use crate::judge::verdict::{Decision, Role};

    const TAG: u64 = 99;

    fn one_maintainer() -> String {
        rule("one", r#"["1 of @maintainers"]"#, "")
    }

    fn overridden(push: Push, persons: &[&str]) -> Push {
        let add = |push: Push, person: &&str| {
            push.reviewed(person, N, |review| review.overrides = vec![oid(TAG)])
        };
        persons.iter().fold(push, add)
    }

    /// A reject by whom a matching rule names blocks, contributor or not; by others it does not.
    #[test]
    fn blocks_where_a_rule_names_the_rejecter() {
        use Decision::{Accept, Refuse};
        for (person, decision) in [
            ("carol", Refuse),
            ("alice", Refuse),
            ("dana", Accept),
            ("robot", Accept),
            ("github", Accept),
        ] {
            let push = Push::new(&one_maintainer()).approved(&["bob"]);
            let push = push.rejected(person, TAG);
            assert_eq!(push.decision(), decision, "{person}");
            let found = push.found(Code::Rejected);
            assert_eq!(found.len(), usize::from(decision == Refuse));
            for finding in found {
                let about = [person.to_owned(), oid(N).to_string(), oid(TAG).to_string()];
                assert_eq!(finding.about, about);
                assert_eq!(push.judge().chosen, [[None]]);
            }
        }
    }

    /// Only a reject in force blocks; time alone does not end one.
    #[test]
    fn blocks_while_in_force() {
        use ReviewState::{Expired, KeyRevoked, Live, Replaced, Spent, Unknown, Withdrawn};
        let rejected = |state, blocks, head| {
            let push = Push::new("").approved(&["bob"]).rejected("carol", TAG);
            let mut push = push;
            push.update.reviews[1].state = state;
            push.update.reviews[1].blocks = blocks;
            push.update.reviews[1].head = oid(head);
            push.decision() == Decision::Refuse
        };
        for state in [Live, Expired] {
            assert!(rejected(state, true, 77), "{state:?}");
            assert!(rejected(state, false, N), "{state:?}");
            assert!(!rejected(state, false, 77), "{state:?}");
        }
        for state in [KeyRevoked, Replaced, Spent, Unknown, Withdrawn] {
            assert!(!rejected(state, true, N), "{state:?}");
        }
    }

    /// A reject of a head that is not new says nothing of a step that another head covers.
    #[test]
    fn blocks_only_what_counts_its_head() {
        let mut push = Push::new("");
        let heads = [5, 6].map(|head| vec![push.head(head, &["a"], "alice")]);
        push.update.steps[0].sequences = heads.to_vec();
        let push = push.reviewed("bob", 5, |_| ()).reviewed("carol", 6, |_| ());
        for (head, chosen) in [(5, Some(1)), (6, Some(0)), (7, Some(0))] {
            let mut push = push.clone().rejected("dana", TAG);
            push.update.reviews[2].head = oid(head);
            push.update.reviews[2].blocks = false;
            assert_eq!(push.judge().chosen, [[chosen]], "{head}");
        }
    }

    /// One person more than the rule asks overrides, at most everyone eligible but the rejecter.
    #[test]
    fn overriding_takes_one_more() {
        use Decision::{Accept, Refuse};
        let wide = rule("one", r#"["1 of @maintainers|dana|erin"]"#, "");
        let two = rule("two", r#"["2 of @maintainers|dana|erin"]"#, "");
        for (rules, rejecter, overriding, decision) in [
            (&wide, "carol", &["bob"][..], Refuse),
            (&wide, "carol", &["bob", "dana"], Accept),
            (&two, "carol", &["bob", "dana"], Refuse),
            (&two, "carol", &["bob", "dana", "erin"], Accept),
            // bob alone is left beside alice, who contributed, and carol, who rejects.
            (&one_maintainer(), "carol", &["bob"], Accept),
            // alice rejects her own work: bob and carol are left.
            (&one_maintainer(), "alice", &["bob"], Refuse),
            (&one_maintainer(), "alice", &["bob", "carol"], Accept),
            // Nobody the rule does not name.
            (&one_maintainer(), "alice", &["bob", "dana"], Refuse),
        ] {
            let push = overridden(Push::new(rules).rejected(rejecter, TAG), overriding);
            assert_eq!(
                push.decision(),
                decision,
                "{rules} {rejecter} {overriding:?}"
            );
        }
    }

    /// The finding says how many are wanted and who is there.
    #[test]
    fn tells_how_many() {
        let push = Push::new(&rule("one", r#"["1 of @maintainers|dana|erin"]"#, ""));
        let push = overridden(push.rejected("carol", TAG), &["bob"]).approved(&["dana"]);
        let found = push.found(Code::Rejected);
        assert_eq!(found[0].want.as_deref(), Some("2 overriding"));
        assert_eq!(found[0].got, ["bob"]);
        assert_eq!(found[0].rule.as_deref(), Some("one"));
        assert_eq!(found[0].at.as_deref(), Some(".countersign/policy.toml:3"));
    }

    /// Overriding one reject leaves another standing; a contributor, or the rejecter by another
    /// approval, overrides nothing.
    #[test]
    fn overrides_are_exact() {
        let wide = rule("one", r#"["1 of @maintainers|dana|erin"]"#, "");
        let push = overridden(Push::new(&wide).rejected("carol", TAG), &["bob", "dana"]);
        assert_eq!(
            push.clone().rejected("erin", 98).decision(),
            Decision::Refuse
        );
        let hand = push.with("dana", &[Role::CoAuthor]);
        assert_eq!(hand.decision(), Decision::Refuse);
        let own = overridden(Push::new(&wide).rejected("carol", TAG), &["bob", "carol"]);
        assert_eq!(own.decision(), Decision::Refuse);
    }

    /// Every rule that names the rejecter must be overridden, each by people it names.
    #[test]
    fn every_naming_rule_is_overridden() {
        let rules =
            rule("a", r#"["1 of any"]"#, "") + &rule("b", r#"["1 of carol|dana|erin"]"#, "");
        let push = Push::new(&rules).rejected("carol", TAG);
        let one = overridden(push.clone(), &["bob", "dana"]);
        assert_eq!(one.found(Code::Rejected)[0].rule.as_deref(), Some("b"));
        let both = overridden(push, &["dana", "erin"]);
        assert_eq!(both.decision(), Decision::Accept);
    }

    /// Where nobody eligible is left, a reject stands: no people are not enough people.
    #[test]
    fn nobody_overrides_nothing() {
        let rules = rule("own", r#"["1 of carol"]"#, "");
        let push = Push::new(&rules).approved(&["bob"]).rejected("carol", TAG);
        let found = push.found(Code::Rejected);
        assert_eq!(found[0].want.as_deref(), Some("1 overriding"));
    }
}
