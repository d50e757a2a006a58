//! Which approvals counted, and one note for each that did not.

use crate::judge::facts::{ReviewFacts, ReviewState, UpdateFacts, Verb};
use crate::judge::law::Law;
use crate::judge::quorum::{Hearing, Obstacle, contributed, obstacle};
use crate::judge::verdict::{ApprovalVerdict, Code, Coverage, Finding, Severity};
use crate::people::PersonKind;

use super::landing::Landing;

/// Returns every candidate approval in log order, and the notes.
pub(crate) fn weigh(
    law: &Law<'_>,
    update: &UpdateFacts,
    landings: &[Landing<'_>],
) -> (Vec<ApprovalVerdict>, Vec<Finding>) {
    let mut candidates: Vec<_> = update.reviews.iter().enumerate().collect();
    candidates.retain(|(_, review)| review.verb == Verb::Approve);
    candidates.sort_by_key(|(_, review)| (review.index, review.tag));
    let mut approvals = Vec::new();
    let mut notes = Vec::new();
    for (position, review) in candidates {
        let heard = landings.iter().flat_map(|landing| &landing.heads);
        let mut heard: Vec<_> = heard
            .filter_map(|hearing| Some((hearing, coverage_at(hearing, position)?)))
            .collect();
        let counts = |hearing: &Hearing<'_>| {
            let mut asked = hearing.asked.iter();
            asked.any(|asked| asked.counted.contains(&position))
        };
        let counted = heard.iter().position(|(hearing, _)| counts(hearing));
        // Show the place at which it counted, if there is one.
        heard.rotate_left(counted.unwrap_or(0));
        let place = heard.first().copied();
        approvals.push(ApprovalVerdict {
            person: review.person.clone(),
            commit: review.head,
            evidence: review.evidence,
            coverage: place.map_or(review.coverage, |(_, coverage)| coverage),
            counted: counted.is_some(),
        });
        if counted.is_none() {
            notes.push(note(law, landings, review, place));
        }
    }
    (approvals, notes)
}

fn coverage_at(hearing: &Hearing<'_>, position: usize) -> Option<Coverage> {
    let mut approvals = hearing.approvals.iter();
    approvals
        .find(|(other, _)| *other == position)
        .map(|(_, coverage)| *coverage)
}

/// Says why an approval was not counted: what ended it, then whose it is, then what it covers.
fn note(
    law: &Law<'_>,
    landings: &[Landing<'_>],
    review: &ReviewFacts,
    place: Option<(&Hearing<'_>, Coverage)>,
) -> Finding {
    let (code, why) = ended(review.state)
        .or_else(|| unfit(law, landings, review, place))
        .or_else(|| place.map(|(hearing, coverage)| unanswering(law, review, hearing, coverage)))
        .unwrap_or_else(|| uncovering(review));
    let mut about = vec![
        review.person.to_string(),
        review.head.to_string(),
        review.tag.to_string(),
    ];
    about.push(why.to_owned());
    Finding {
        about,
        paths: match code {
            Code::UnreviewedResidual => review.residual.clone(),
            _ => Vec::new(),
        },
        ..super::bare(code, Severity::Note)
    }
}

type Why = (Code, &'static str);

fn ended(state: ReviewState) -> Option<Why> {
    Some(match state {
        ReviewState::Live => return None,
        ReviewState::Expired => (Code::StaleApproval, "expired"),
        ReviewState::Replaced => (Code::StaleApproval, "replaced"),
        ReviewState::Withdrawn => (Code::StaleApproval, "withdrawn"),
        ReviewState::Unknown => (Code::StaleApproval, "unknown"),
        ReviewState::KeyRevoked => (Code::RevokedKey, "revoked"),
        ReviewState::Spent => (Code::SpentApproval, "spent"),
    })
}

/// Whose approval could not count here whatever it covers.
fn unfit(
    law: &Law<'_>,
    landings: &[Landing<'_>],
    review: &ReviewFacts,
    place: Option<(&Hearing<'_>, Coverage)>,
) -> Option<Why> {
    let named = |hearing: &Hearing<'_>| {
        let person = law.people.persons.get(&review.person);
        let mut asked = hearing.asked.iter();
        person.is_some_and(|person| asked.any(|asked| law.names(&asked.places, person)))
    };
    let heads = || landings.iter().flat_map(|landing| &landing.heads);
    match review.kind {
        PersonKind::Forge => return Some((Code::BotApproval, "forge")),
        PersonKind::Bot if !heads().any(named) => return Some((Code::BotApproval, "bot")),
        PersonKind::Bot | PersonKind::Human => {}
    }
    let hand = |hearing: &Hearing<'_>| contributed(hearing.head, &review.person);
    let own = match place {
        Some((hearing, _)) => hand(hearing),
        // It covers nothing that was heard; it is their own where they made that very head.
        None => heads().any(|hearing| hearing.head.head == review.head && hand(hearing)),
    };
    own.then_some((Code::SelfApproval, "contributor"))
}

/// Why an approval that covers the step counts for no rule there.
fn unanswering(
    law: &Law<'_>,
    review: &ReviewFacts,
    hearing: &Hearing<'_>,
    coverage: Coverage,
) -> Why {
    let obstacles: Vec<_> = hearing
        .asked
        .iter()
        .filter_map(|asked| {
            let (rule, places) = (asked.rule, &asked.places);
            obstacle(law, rule, places, hearing.head, review, coverage)
        })
        .collect();
    if obstacles.contains(&Obstacle::Uncovering) {
        uncovering(review)
    } else if obstacles.contains(&Obstacle::Evidence) {
        (Code::WeakEvidence, "forge")
    } else if obstacles.contains(&Obstacle::Base) {
        (Code::StaleApproval, "base")
    } else {
        // Named for other paths than this head changes.
        (Code::WeakEvidence, "unasked")
    }
}

fn uncovering(review: &ReviewFacts) -> Why {
    match review.coverage {
        Coverage::Unverifiable => (Code::Unverifiable, "unverifiable"),
        Coverage::Residual => (Code::UnreviewedResidual, "residual"),
        // It would cover the step, but another sequence of heads was heard.
        Coverage::Identity | Coverage::Replay => (Code::UnreviewedResidual, "other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{N, Push, hand, oid, rule};
    use crate::judge::verdict::{Decision, Evidence, Role};
    use crate::wire::name::RepoPath;

    /// The one note of the last approval, as code and reason.
    fn why(push: &Push) -> (Code, String) {
        let last = push.update.reviews.last().unwrap();
        let tag = last.tag.to_string();
        let findings = push.verdict().findings.into_iter();
        let mine: Vec<_> = findings.filter(|f| f.about.contains(&tag)).collect();
        assert_eq!(mine.len(), 1, "{mine:?}");
        assert_eq!(mine[0].severity, Severity::Note);
        assert_eq!(mine[0].about[0], last.person.to_string());
        assert_eq!(mine[0].about[1], last.head.to_string());
        assert!(!push.verdict().approvals.last().unwrap().counted);
        (mine[0].code, mine[0].about[3].clone())
    }

    /// Whatever ended an approval is the reason, before all others.
    #[test]
    fn ended_approvals() {
        for (state, code, reason) in [
            (ReviewState::Expired, Code::StaleApproval, "expired"),
            (ReviewState::Replaced, Code::StaleApproval, "replaced"),
            (ReviewState::Withdrawn, Code::StaleApproval, "withdrawn"),
            (ReviewState::Unknown, Code::StaleApproval, "unknown"),
            (ReviewState::KeyRevoked, Code::RevokedKey, "revoked"),
            (ReviewState::Spent, Code::SpentApproval, "spent"),
        ] {
            for person in ["bob", "alice", "robot"] {
                let push = Push::new("").reviewed(person, N, |review| review.state = state);
                assert_eq!(why(&push), (code, reason.to_owned()), "{person}");
            }
        }
    }

    /// Each other reason has its own code, once.
    #[test]
    fn uncounted_approvals() {
        let exact = rule("x", r#"["1 of any"]"#, "base = \"exact\"");
        let approved = |rules: &str, person: &str| Push::new(rules).approved(&[person]);
        let covering = |coverage| {
            Push::new("").reviewed("bob", N, move |review| {
                review.coverage = coverage;
                review.residual = vec![RepoPath::from("left")];
            })
        };
        let base = |names_base, coverage| {
            Push::new(&exact).reviewed("bob", N, move |review| {
                review.names_base = names_base;
                review.coverage = coverage;
            })
        };
        let weak = Push::new("").reviewed("bob", N, |review| review.evidence = Evidence::Forge);
        for (push, code, reason) in [
            (approved("", "alice"), Code::SelfApproval, "contributor"),
            (approved("", "robot"), Code::BotApproval, "bot"),
            (approved("", "github"), Code::BotApproval, "forge"),
            (weak, Code::WeakEvidence, "forge"),
            (base(false, Coverage::Identity), Code::StaleApproval, "base"),
            (base(true, Coverage::Replay), Code::StaleApproval, "base"),
            (
                covering(Coverage::Residual),
                Code::UnreviewedResidual,
                "residual",
            ),
            (
                covering(Coverage::Unverifiable),
                Code::Unverifiable,
                "unverifiable",
            ),
            (
                approved(&rule("m", r#"["1 of @maintainers"]"#, ""), "frank"),
                Code::WeakEvidence,
                "unasked",
            ),
        ] {
            assert_eq!(why(&push), (code, reason.to_owned()));
            assert_eq!(push.decision(), Decision::Refuse, "{reason}");
        }
        let residual = covering(Coverage::Residual).found(Code::UnreviewedResidual);
        assert_eq!(residual[0].paths, [RepoPath::from("left")]);
        let good = base(true, Coverage::Identity);
        assert_eq!(good.decision(), Decision::Accept);
    }

    /// An approval of a head that another sequence made needless says so.
    #[test]
    fn another_head() {
        let mut push = Push::new("");
        let heads = [5, 6].map(|head| vec![push.head(head, &["a"], "alice")]);
        push.update.steps[0].sequences = heads.to_vec();
        let push = push.reviewed("bob", 5, |_| ()).reviewed("carol", 6, |_| ());
        assert_eq!(push.decision(), Decision::Accept);
        assert_eq!(why(&push), (Code::UnreviewedResidual, "other".to_owned()));
    }

    /// Bots count where a rule names them and nowhere else; a forge's word where a rule takes it.
    #[test]
    fn bots_and_forges_where_named() {
        let bot = rule("bot", r#"["1 of robot"]"#, "");
        assert_eq!(
            Push::new(&bot).approved(&["robot"]).decision(),
            Decision::Accept
        );
        // Where it is named it hears what is wrong with its approval.
        let uncovering = |review: &mut ReviewFacts| review.coverage = Coverage::Residual;
        let push = Push::new(&bot).reviewed("robot", N, uncovering);
        assert_eq!(why(&push).0, Code::UnreviewedResidual);
        let weak = rule("weak", r#"["1 of any"]"#, "evidence = \"forge\"");
        let push = Push::new(&weak).reviewed("bob", N, |review| review.evidence = Evidence::Forge);
        assert_eq!(push.decision(), Decision::Accept);
        let strict = weak + &rule("strict", r#"["1 of any"]"#, "");
        let push = Push::new(&strict).reviewed("bob", N, |r| r.evidence = Evidence::Forge);
        assert_eq!(push.decision(), Decision::Refuse);
        assert_eq!(push.counted(), ["bob"], "it counts for the other rule");
    }

    /// Approvals come in log order, with the coverage they had where they were heard.
    #[test]
    fn in_log_order() {
        let mut push = Push::new("")
            .approved(&["bob", "carol"])
            .rejected("dana", 99);
        push.update.reviews[0].index = 50;
        push.update.reviews[1].coverage = Coverage::Residual;
        let approvals = push.verdict().approvals;
        let shown: Vec<_> = approvals
            .iter()
            .map(|approval| (approval.person.as_str(), approval.coverage))
            .collect();
        assert_eq!(
            shown,
            [("carol", Coverage::Identity), ("bob", Coverage::Identity)]
        );
        assert_eq!(approvals[0].commit, oid(N));
    }

    /// Who made a head does not approve it, though what is pushed is something else.
    #[test]
    fn own_head_uncovered() {
        let push = Push::new("").with("bob", &[Role::Signer]);
        let push = push.reviewed("bob", N, |review| review.coverage = Coverage::Residual);
        assert_eq!(why(&push).0, Code::SelfApproval);
        let other = Push::new("").with("bob", &[Role::Signer]);
        let other = other.reviewed("bob", 9, |review| review.coverage = Coverage::Residual);
        assert_eq!(why(&other).0, Code::UnreviewedResidual);
    }

    /// The coverage shown is that of the place where the approval counted.
    #[test]
    fn shows_where_it_counted() {
        let mut push = Push::new("").approved(&["bob"]);
        let mut first = push.update.steps[0].clone();
        first.sequences[0][0].approvals = vec![(0, Coverage::Replay)];
        first.sequences[0][0]
            .contributors
            .push(hand("bob", &[Role::Author]));
        push.update.steps.insert(0, first);
        let approvals = push.verdict().approvals;
        assert!(approvals[0].counted);
        assert_eq!(approvals[0].coverage, Coverage::Identity);
    }
}
