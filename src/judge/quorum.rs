//! Who fills a rule's places at one head, counted in people and assigned exactly.

use std::collections::BTreeSet;

use crate::people::PersonName;
use crate::policy::{BaseWanted, EvidenceWanted, Place, Rule, places};
use crate::wire::name::{RefName, RepoPath};

use super::facts::{HeadFacts, ReviewFacts, ReviewState, Verb};
use super::law::{Law, Matched};
use super::verdict::{Coverage, Evidence, Role};

/// One head of a landing, heard before every rule it must satisfy.
pub(crate) struct Hearing<'a> {
    /// The head.
    pub(crate) head: &'a HeadFacts,
    /// Its approvals that were listened to; none where nothing covers the step.
    pub(crate) approvals: &'a [(usize, Coverage)],
    /// What each rule asks, and who answered.
    pub(crate) asked: Vec<Asked<'a>>,
}

/// What one rule asks at one head, and who answered.
pub(crate) struct Asked<'a> {
    /// The rule.
    pub(crate) rule: &'a Rule,
    /// The paths it matches, sorted.
    pub(crate) paths: Vec<RepoPath>,
    /// Its places, and one more where a commit is unproven.
    pub(crate) places: Vec<Place>,
    /// Positions of the approvals that count for it.
    pub(crate) counted: Vec<usize>,
    /// Whose they are.
    pub(crate) got: BTreeSet<PersonName>,
    /// Whether all places are filled, each by somebody else.
    pub(crate) holds: bool,
}

impl<'a> Hearing<'a> {
    /// Asks every matching rule about `head`, listening to the approvals given.
    pub(crate) fn new(
        law: &'a Law<'_>,
        name: &RefName,
        reviews: &[ReviewFacts],
        head: &'a HeadFacts,
        approvals: &'a [(usize, Coverage)],
    ) -> Self {
        let matching = law.matching(name, &head.paths, head.only_naming);
        let asked = matching
            .into_iter()
            .map(|matched| ask(law, reviews, head, approvals, matched))
            .collect();
        Self {
            head,
            approvals,
            asked,
        }
    }
}

fn ask<'a>(
    law: &'a Law<'_>,
    reviews: &[ReviewFacts],
    head: &HeadFacts,
    approvals: &[(usize, Coverage)],
    matched: Matched<'a>,
) -> Asked<'a> {
    let Matched { rule, paths } = matched;
    let places = wanted(rule, head);
    let mut counted = Vec::new();
    let mut got = BTreeSet::new();
    for (position, coverage) in approvals {
        let Some(review) = reviews.get(*position) else {
            continue;
        };
        if obstacle(law, rule, &places, head, review, *coverage).is_none() {
            counted.push(*position);
            got.insert(review.person.clone());
        }
    }
    let holds = !places.is_empty() && filled(law, &places, &got) == seats(&places);
    Asked {
        rule,
        paths,
        places,
        counted,
        got,
        holds,
    }
}

/// Returns the places to fill: an unproven commit wants one person more, whoever may fill any.
fn wanted(rule: &Rule, head: &HeadFacts) -> Vec<Place> {
    let mut places = rule.require.clone();
    if !head.unproven.is_empty() {
        let who = rule.require.iter().flat_map(|place| place.who.clone());
        places.push(Place {
            count: 1,
            who: who.collect(),
        });
    }
    places
}

/// Why an approval does not count for a rule at a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It is of another head, does not cover the step, or is no approval.
    Uncovering,
    /// Something ended it.
    Ended(ReviewState),
    /// The rule does not name its person.
    Unnamed,
    /// Its person contributed to the head.
    Contributor,
    /// A forge's word, where the rule wants a reviewer's own key.
    Evidence,
    /// The rule wants the very base that the review names.
    Base,
}

/// Returns why this approval does not count for the rule at this head; none if it counts.
pub(crate) fn obstacle(
    law: &Law<'_>,
    rule: &Rule,
    places: &[Place],
    head: &HeadFacts,
    review: &ReviewFacts,
    coverage: Coverage,
) -> Option<Obstacle> {
    let covers = matches!(coverage, Coverage::Identity | Coverage::Replay);
    if !covers || review.verb != Verb::Approve || review.head != head.head {
        return Some(Obstacle::Uncovering);
    }
    if review.state != ReviewState::Live {
        return Some(Obstacle::Ended(review.state));
    }
    let person = law.people.persons.get(&review.person);
    if !person.is_some_and(|person| law.names(places, person)) {
        return Some(Obstacle::Unnamed);
    }
    if contributed(head, &review.person) {
        return Some(Obstacle::Contributor);
    }
    if review.evidence == Evidence::Forge && rule.evidence != EvidenceWanted::Forge {
        return Some(Obstacle::Evidence);
    }
    let exact = coverage == Coverage::Identity && review.names_base;
    if rule.base == BaseWanted::Exact && !exact {
        return Some(Obstacle::Base);
    }
    None
}

/// Returns whether someone had a hand in what they would approve; landing it is none.
pub(crate) fn contributed(head: &HeadFacts, person: &PersonName) -> bool {
    let mut hands = head.contributors.iter();
    hands.any(|hand| hand.person.as_ref() == Some(person) && hand.roles != [Role::Lander])
}

/// Returns how many people the places ask for.
pub(crate) fn seats(places: &[Place]) -> usize {
    places.iter().map(|place| place.count).sum()
}

/// Returns how many seats these people can take at once, one each.
pub(crate) fn filled(law: &Law<'_>, places: &[Place], names: &BTreeSet<PersonName>) -> usize {
    let persons = names.iter().filter_map(|name| law.people.persons.get(name));
    let persons: Vec<_> = persons.collect();
    places::fill(places, &persons, law.people).filled
}

impl Asked<'_> {
    /// Returns who else could approve this head and would bring the rule nearer.
    pub(crate) fn could(&self, law: &Law<'_>, head: &HeadFacts) -> BTreeSet<PersonName> {
        let have = filled(law, &self.places, &self.got);
        let mut could = law.named(&self.places);
        could.retain(|name| {
            let mut with = self.got.clone();
            with.insert(name.clone())
                && !contributed(head, name)
                && filled(law, &self.places, &with) > have
        });
        could
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{self, Push, policy};
    use crate::judge::verdict::Decision;
    use crate::people::People;
    use proptest::prelude::*;

    const HUMANS: [&str; 5] = ["bob", "carol", "dana", "erin", "frank"];

    /// Tries every way to give each seat somebody else.
    fn brute(seats: &[&Place], free: &[&str], people: &People) -> bool {
        let Some((seat, rest)) = seats.split_first() else {
            return true;
        };
        free.iter().enumerate().any(|(at, person)| {
            let mut left = free.to_vec();
            left.remove(at);
            let person = &people.persons[&sample::name(person)];
            seat.admits(person, people) && brute(rest, &left, people)
        })
    }

    /// What does not cover the step, is no approval or is of another head does not count, whatever
    /// else holds of it.
    #[test]
    fn counts_only_covering_approvals_of_the_head() {
        let push = Push::new(&sample::rule("r", r#"["1 of any"]"#, "")).approved(&["bob"]);
        let law = Law::new(&push.policy, &push.people);
        let (rule, review) = (&push.policy.rules[0], &push.update.reviews[0]);
        let head = &push.update.steps[0].sequences[0][0];
        let ask = |review: &ReviewFacts, coverage| {
            obstacle(&law, rule, &rule.require, head, review, coverage)
        };
        assert_eq!(ask(review, Coverage::Identity), None);
        assert_eq!(ask(review, Coverage::Replay), None);
        let uncovering = Some(Obstacle::Uncovering);
        assert_eq!(ask(review, Coverage::Residual), uncovering);
        assert_eq!(ask(review, Coverage::Unverifiable), uncovering);
        let rejects = ReviewFacts {
            verb: Verb::Reject,
            ..review.clone()
        };
        assert_eq!(ask(&rejects, Coverage::Identity), uncovering);
        let other = ReviewFacts {
            head: sample::oid(9),
            ..review.clone()
        };
        assert_eq!(ask(&other, Coverage::Identity), uncovering);
    }

    proptest! {
        /// A rule holds exactly when some assignment gives each place its own person.
        #[test]
        fn assignment_is_exact(
            places in prop::collection::vec(
                (1usize..=2, prop::sample::subsequence(HUMANS.to_vec(), 2..=4)),
                1..=3,
            ),
            approvers in prop::sample::subsequence(HUMANS.to_vec(), 0..=5),
        ) {
            let places = places.iter().map(|(count, who)| format!("{count} of {}", who.join("|")));
            let places: Vec<_> = places.map(|text| Place::parse(&text).unwrap()).collect();
            let mut push = Push::new("");
            push.policy = policy(&sample::rule("r", r#"["1 of any"]"#, ""));
            push.policy.rules[0].require = places.clone();
            let seats: Vec<_> = places
                .iter()
                .flat_map(|place| std::iter::repeat_n(place, place.count))
                .collect();
            let expected = brute(&seats, &approvers, &push.people);
            let accepted = push.approved(&approvers).decision() == Decision::Accept;
            prop_assert_eq!(accepted, expected);
        }
    }

    /// A rule that asks for nobody is satisfied by nobody.
    #[test]
    fn no_places_never_hold() {
        let mut push = Push::new(&sample::rule("r", r#"["1 of any"]"#, ""));
        push.policy.rules[0].require.clear();
        assert_eq!(
            push.approved(&["bob", "carol"]).decision(),
            Decision::Refuse
        );
    }
}
