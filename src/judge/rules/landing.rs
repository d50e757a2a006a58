//! Which sequence of reviewed heads decides a step.

use std::collections::BTreeSet;

use crate::judge::facts::{HeadFacts, StepFacts, UpdateFacts};
use crate::judge::law::Law;
use crate::judge::quorum::{Asked, Hearing};
use crate::judge::verdict::Coverage;

use super::rejects;

/// One step as it was heard: by the sequence that decides, or the one worth reporting.
pub(crate) struct Landing<'a> {
    /// The position of that sequence; none when nothing covers the step.
    pub(crate) sequence: Option<usize>,
    /// Its heads; the whole step as one head, without approvals, when nothing covers it.
    pub(crate) heads: Vec<Hearing<'a>>,
    /// Whether every rule holds at every head.
    pub(crate) holds: bool,
}

impl<'a> Landing<'a> {
    /// Returns every rule asked, with the head it was asked at.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&'a HeadFacts, &Asked<'a>)> {
        let heads = self.heads.iter();
        heads.flat_map(|hearing| hearing.asked.iter().map(|asked| (hearing.head, asked)))
    }

    fn failing(&self) -> usize {
        let failing = self.asked().filter(|(_, asked)| !asked.holds);
        let rules: BTreeSet<_> = failing
            .map(|(_, asked)| (&asked.rule.name, asked.rule.line))
            .collect();
        rules.len()
    }
}

/// Hears a step.
///
/// The first sequence at which every rule holds, and over which no reject stands, decides. Where
/// none does, the one with the fewest failing rules is reported, the first on ties.
pub(crate) fn hear<'a>(
    law: &'a Law<'_>,
    update: &'a UpdateFacts,
    step: &'a StepFacts,
) -> Landing<'a> {
    let mut best: Option<Landing<'a>> = None;
    for (position, heads) in step.sequences.iter().enumerate() {
        // No head vouches for nothing.
        if heads.is_empty() {
            continue;
        }
        let heads = heads.iter().map(|head| (head, head.approvals.as_slice()));
        let landing = landing(law, update, Some(position), heads);
        if landing.holds && rejects::findings(law, update, &[&landing]).is_empty() {
            return landing;
        }
        if best
            .as_ref()
            .is_none_or(|best| landing.failing() < best.failing())
        {
            best = Some(landing);
        }
    }
    best.unwrap_or_else(|| {
        let whole = std::iter::once((&step.whole, [].as_slice()));
        landing(law, update, None, whole)
    })
}

fn landing<'a>(
    law: &'a Law<'_>,
    update: &'a UpdateFacts,
    sequence: Option<usize>,
    heads: impl Iterator<Item = (&'a HeadFacts, &'a [(usize, Coverage)])>,
) -> Landing<'a> {
    let hear =
        |(head, approvals)| Hearing::new(law, &update.name, &update.reviews, head, approvals);
    let heads: Vec<_> = heads.map(hear).collect();
    let mut asked = heads.iter().flat_map(|hearing| &hearing.asked);
    let holds = asked.all(|asked| asked.holds);
    Landing {
        sequence,
        heads,
        holds,
    }
}

#[cfg(test)]
mod tests {
    use crate::judge::facts::{ReviewState, StepFacts, Verb};
    use crate::judge::sample::{N, P, Push, oid, rule};
    use crate::judge::verdict::{Code, Decision, Role};

    fn two_rules() -> String {
        let docs = rule("docs", r#"["1 of @security"]"#, r#"paths = ["docs/"]"#);
        docs + &rule("code", r#"["1 of @maintainers"]"#, r#"paths = ["src/"]"#)
    }

    /// Two heads, one for docs and one for code, that land together.
    fn pair() -> Push {
        let mut push = Push::new(&two_rules());
        let docs = push.head(5, &["docs/a"], "bob");
        let code = push.head(6, &["src/a"], "dana");
        push.update.steps[0].sequences = vec![vec![docs, code]];
        push
    }

    /// Each rule holds at each head for what that head changes, by people who did not make it.
    #[test]
    fn rules_hold_at_each_head() {
        let good = pair()
            .reviewed("dana", 5, |_| ())
            .reviewed("bob", 6, |_| ());
        assert_eq!(good.decision(), Decision::Accept);
        assert_eq!(good.judge().chosen, [[Some(0)]]);
        assert_eq!(good.counted(), ["dana", "bob"]);
        // The right people, each at the wrong head.
        let crossed = pair()
            .reviewed("bob", 5, |_| ())
            .reviewed("dana", 6, |_| ());
        assert_eq!(crossed.decision(), Decision::Refuse);
        assert_eq!(crossed.judge().chosen, [[None]]);
        let half = pair().reviewed("dana", 5, |_| ());
        assert_eq!(half.decision(), Decision::Refuse);
    }

    /// The first sequence at which everything holds decides, not the first there is.
    #[test]
    fn first_that_holds_decides() {
        let mut push = Push::new("");
        let heads = [5, 6, 7].map(|head| vec![push.head(head, &["a"], "alice")]);
        push.update.steps[0].sequences = heads.to_vec();
        let push = push.reviewed("bob", 7, |_| ()).reviewed("carol", 6, |_| ());
        assert_eq!(push.judge().chosen, [[Some(1)]]);
        assert_eq!(push.counted(), ["carol"]);
    }

    /// A reject that one sequence overrides and another does not leaves the first to decide.
    #[test]
    fn overriding_sequence_is_preferred() {
        let mut push = Push::new("");
        let heads = [5, 6].map(|head| vec![push.head(head, &["a"], "alice")]);
        push.update.steps[0].sequences = heads.to_vec();
        let push = push.rejected("frank", 99).reviewed("bob", 5, |_| ());
        let over = |push: Push, person| {
            push.reviewed(person, 6, |review| review.overrides = vec![oid(99)])
        };
        let push = over(over(push, "bob"), "carol");
        assert_eq!(push.decision(), Decision::Accept);
        assert_eq!(push.judge().chosen, [[Some(1)]]);
    }

    /// Where none holds, the sequence with the fewest failing rules is told of, and none decides.
    #[test]
    fn reports_the_nearest() {
        let mut push = Push::new(&two_rules());
        let heads = [5, 6, 7].map(|head| vec![push.head(head, &["docs/a", "src/a"], "alice")]);
        push.update.steps[0].sequences = heads.to_vec();
        let push = push.reviewed("bob", 6, |_| ()).reviewed("dana", 7, |_| ());
        assert_eq!(push.judge().chosen, [[None]]);
        assert_eq!(push.counted(), ["bob"]);
        let missing = push.found(Code::MissingApprovals);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].rule.as_deref(), Some("docs"));
    }

    /// A sequence of no heads, and no sequence at all, accept nothing; nor does an approval that
    /// is only claimed for the whole.
    #[test]
    fn nothing_vouches_for_nothing() {
        for sequences in [vec![], vec![vec![]]] {
            let mut push = Push::new("");
            push.update.steps[0].sequences = sequences;
            let mut push = push.approved(&["bob"]);
            push.update.steps[0].whole.approvals = vec![(0, super::Coverage::Identity)];
            assert_eq!(push.decision(), Decision::Refuse);
            assert_eq!(push.judge().chosen, [[None]]);
            assert_eq!(push.counted(), [""; 0]);
            assert_eq!(push.found(Code::MissingApprovals).len(), 1);
        }
    }

    /// Every step must hold; what fails in several is told once.
    #[test]
    fn every_step_holds() {
        let mut push = Push::new("");
        let first = push.head(8, &["a"], "alice");
        let steps = &mut push.update.steps;
        steps.insert(
            0,
            StepFacts {
                from: Some(oid(P)),
                to: oid(8),
                whole: first.clone(),
                sequences: vec![vec![first]],
            },
        );
        assert_eq!(push.found(Code::MissingApprovals).len(), 1);
        let push = push.approved(&["bob"]);
        assert_eq!(push.judge().chosen, [[None, Some(0)]]);
        assert_eq!(push.decision(), Decision::Refuse);
        let push = push.reviewed("carol", 8, |_| ());
        assert_eq!(push.judge().chosen, [[Some(0), Some(0)]]);
        assert_eq!(push.decision(), Decision::Accept);
    }

    /// An update that changes no path is judged by every rule of the ref.
    #[test]
    fn no_path_is_judged_by_every_rule() {
        let push = Push::new(&two_rules()).changing(&[]);
        assert_eq!(push.found(Code::MissingApprovals).len(), 2);
        assert_eq!(push.clone().approved(&["bob"]).decision(), Decision::Refuse);
        let both = push.approved(&["bob", "dana"]);
        assert_eq!(both.decision(), Decision::Accept);
        let none = Push::new("").changing(&[]);
        assert_eq!(none.found(Code::MissingApprovals).len(), 1);
    }

    /// Only people, live approvals and this very head count; a lander is not excluded.
    #[test]
    fn who_counts() {
        use ReviewState::{Expired, KeyRevoked, Live, Replaced, Spent, Unknown, Withdrawn};
        for state in [
            Expired, KeyRevoked, Replaced, Spent, Unknown, Withdrawn, Live,
        ] {
            let push = Push::new("").reviewed("bob", N, |review| review.state = state);
            let accepted = push.decision() == Decision::Accept;
            assert_eq!(accepted, state == Live, "{state:?}");
        }
        use Role::{Author, CoAuthor, Committer, Lander, Pusher, Signer};
        for role in [Author, CoAuthor, Committer, Pusher, Signer, Lander] {
            let push = Push::new("").with("bob", &[role]).approved(&["bob"]);
            let accepted = push.decision() == Decision::Accept;
            assert_eq!(accepted, role == Lander, "{role:?}");
        }
        for roles in [&[Lander, Author][..], &[]] {
            let push = Push::new("").with("bob", roles).approved(&["bob"]);
            assert_eq!(push.decision(), Decision::Refuse, "{roles:?}");
        }
        let mut push = Push::new("").approved(&["bob"]);
        push.update.reviews[0].head = oid(77);
        assert_eq!(push.decision(), Decision::Refuse, "of another head");
        let mut push = Push::new("").approved(&["bob"]);
        push.update.reviews[0].verb = Verb::Reject;
        assert_eq!(push.decision(), Decision::Refuse, "a reject is no approval");
    }
}
