//! What a reviewer is told: what their review did, and what is still missing.

use crate::admit::Admission;
use crate::admit::rehearse::Rehearsed;
use crate::gather::candidates::message_of;
use crate::git::Repo;
use crate::report::terminal::{ReviewAct, ReviewOutcome};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

use super::GateError;

/// The most reviews of one push that are looked into.
const LIMIT: usize = 16;

/// Finds what each new review of an accepted push did.
///
/// `ask` decides what landing a head now would be answered. A reply is only words: where that
/// cannot be found out, it says so.
pub(crate) fn outcomes(
    repo: &Repo,
    admission: &Admission,
    ask: &dyn Fn(&RefName, &Oid) -> Result<Rehearsed, GateError>,
) -> Vec<ReviewOutcome> {
    let reviews = admission.reviews.iter().take(LIMIT);
    reviews
        .map(|review| {
            let verb = message_of(review, repo.format()).map(|message| message.verb);
            let (how, admission) = match ask(&review.target, &review.head) {
                Ok(rehearsed) => (Some(rehearsed.how), rehearsed.admission),
                Err(_) => (None, None),
            };
            let now = admission.and_then(|it| it.verdict.updates.into_iter().next());
            ReviewOutcome {
                person: review.person.to_string(),
                act: match verb {
                    Some(ReviewVerb::Reject) => ReviewAct::Rejects,
                    Some(ReviewVerb::Withdraw) => ReviewAct::Withdraws,
                    _ => ReviewAct::Approves,
                },
                head: review.head,
                target: review.target.clone(),
                how,
                now,
            }
        })
        .collect()
}
