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
