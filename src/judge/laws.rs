//! What holds whatever the policy and the push: invariants I3 and I4 of the design.

use super::sample::{EVERYBODY, N, Push, oid, policy, rule};
use super::verdict::{ContributorVerdict, Decision, Evidence, Role, UpdateVerdict};
use proptest::prelude::*;

const WHO: [&str; 7] = [
    "any",
    "@maintainers",
    "@security",
    "bob",
    "carol|dana",
    "robot|frank",
    "alice|@security",
];

/// Rule text without its name.
fn a_rule() -> impl Strategy<Value = (String, String)> {
    let place = (1usize..=2, prop::sample::select(&WHO[..]));
    let place = place.prop_map(|(count, who)| {
        // More than one of one person cannot be satisfied, and is no policy.
        let count = if who == "bob" { 1 } else { count };
        format!("\"{count} of {who}\"")
    });
    let more = prop::sample::select(vec![
        "",
        "paths = [\"src/\"]",
        "class = [\"pipeline\"]",
        "base = \"exact\"",
        "evidence = \"forge\"",
    ]);
    (place, more).prop_map(|(place, more)| (format!("[{place}]"), more.to_owned()))
}

/// Rules named by what they say, so that their order leaves the names alone.
fn text(rules: &[(String, String)]) -> String {
    let tables = rules.iter().enumerate().map(|(at, (require, more))| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = format!("{require}{more}{at}").chars().map(plain).collect();
        rule(&name, require, more)
    });
    tables.collect()
}

fn a_push() -> impl Strategy<Value = Push> {
    let paths = prop::sample::subsequence(
        vec!["src/lib.rs", ".github/workflows/ci.yml", "README"],
        0..=3,
    );
    let approvers = prop::sample::subsequence(EVERYBODY.to_vec(), 0..=8);
    let hands = prop::sample::subsequence(EVERYBODY.to_vec(), 0..=2);
    let flags = (any::<[bool; 4]>(), prop::option::of(0..EVERYBODY.len()));
    (paths, approvers, hands, flags).prop_map(|(paths, approvers, hands, flags)| {
        let ([unproven, forge, base, override_], rejecter) = flags;
        let mut push = Push::new("").changing(&paths);
        for hand in hands {
            push = push.with(hand, &[Role::Committer]);
        }
        for (at, person) in approvers.into_iter().enumerate() {
            push = push.reviewed(person, N, |review| {
                review.names_base = base;
                if forge && at % 2 == 0 {
                    review.evidence = Evidence::Forge;
                }
                if override_ {
                    review.overrides = vec![oid(99)];
                }
            });
        }
        if let Some(rejecter) = rejecter {
            push = push.rejected(EVERYBODY[rejecter], 99);
        }
        push.each_head(|head| {
            if unproven {
                head.unproven = vec![oid(7)];
            }
        })
    })
}

fn under(push: &Push, rules: &[(String, String)]) -> UpdateVerdict {
    let mut push = push.clone();
    push.policy = policy(&text(rules));
    push.verdict()
}

proptest! {
    /// I3: where every path has a rule, one rule more never turns a refusal to an accept.
    #[test]
    fn adding_a_rule_never_helps(
        push in a_push(),
        first in a_rule(),
        rules in prop::collection::vec(a_rule(), 0..3),
        more in a_rule(),
    ) {
        let mut rules = rules;
        rules.push((first.0, String::new()));
        let before = under(&push, &rules).decision;
        rules.push(more);
        let after = under(&push, &rules).decision;
        prop_assert!(before <= after, "{before:?} became {after:?}");
    }

    /// I3: the order of rules changes neither the decision nor what is said of whom.
    #[test]
    fn order_never_matters(
        push in a_push(),
        rules in prop::collection::vec(a_rule(), 0..4),
    ) {
        let mut reversed = push.clone();
        reversed.policy = policy(&text(&rules));
        reversed.policy.rules.reverse();
        prop_assert_eq!(under(&push, &rules), reversed.verdict());
    }

    /// I4: whose hand is in a head is not counted at it, whatever else is true.
    #[test]
    fn contributors_never_count(
        push in a_push(),
        rules in prop::collection::vec(a_rule(), 0..4),
    ) {
        let verdict = under(&push, &rules);
        for approval in verdict.approvals.iter().filter(|approval| approval.counted) {
            let hand = |c: &ContributorVerdict| c.person.as_ref() == Some(&approval.person);
            prop_assert!(!verdict.contributors.iter().any(hand));
        }
    }

    /// Each uncounted approval has one note, each counted one none, and an accepted step
    /// says which sequence decided.
    #[test]
    fn every_approval_is_accounted_for(
        push in a_push(),
        rules in prop::collection::vec(a_rule(), 0..4),
    ) {
        let mut push = push;
        push.policy = policy(&text(&rules));
        let verdict = push.verdict();
        for (review, approval) in push.update.reviews.iter().zip(&verdict.approvals) {
            let tag = review.tag.to_string();
            let notes = verdict.findings.iter().filter(|f| f.about.contains(&tag));
            prop_assert_eq!(notes.count(), usize::from(!approval.counted));
        }
        let decided = push.judge().chosen == [[Some(0)]];
        prop_assert_eq!(decided, verdict.decision == Decision::Accept);
    }
}
