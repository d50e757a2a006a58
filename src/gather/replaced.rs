//! Whether an approval that its person replaced counts: in a push that also lands what replaces it.

use std::collections::BTreeSet;

use crate::judge::facts::{HeadFacts, ReviewState, StepFacts};
use crate::wire::oid::Oid;

use super::candidates::Candidates;

/// A replaced approval counts only where a head that replaces it lands too.
pub(super) fn stands(candidates: &Candidates, position: usize, landed: &[&[Oid]]) -> bool {
    candidates.all.get(position).is_some_and(|candidate| {
        let lands = |head: &Oid| landed.iter().any(|heads| heads.contains(head));
        candidate.state == ReviewState::Live || candidate.replaced_by.iter().any(lands)
    })
}

/// Leaves out what rests on a replaced approval, once all steps of an update are known, unless a head
/// that replaces it lands: in the same sequence, or in every sequence of another step.
pub(super) fn settle(candidates: &Candidates, steps: &mut [StepFacts]) {
    loop {
        let sure: Vec<Oid> = steps
            .iter()
            .flat_map(|step| in_all(&step.sequences))
            .collect();
        let mut settled = true;
        for step in steps.iter_mut() {
            for sequence in &mut step.sequences {
                let own: Vec<Oid> = sequence.iter().map(|head| head.head).collect();
                for head in sequence {
                    let before = head.approvals.len();
                    head.approvals
                        .retain(|(position, _)| stands(candidates, *position, &[&own, &sure]));
                    settled &= head.approvals.len() == before;
                }
            }
            step.sequences
                .retain(|heads| heads.iter().all(|head| !head.approvals.is_empty()));
        }
        // What is left out may itself have been what replaced another.
        if settled {
            return;
        }
    }
}

/// Returns the heads that land whichever of the sequences decides.
pub(super) fn in_all(sequences: &[Vec<HeadFacts>]) -> BTreeSet<Oid> {
    let heads = sequences
        .iter()
        .map(|sequence| sequence.iter().map(|head| head.head).collect());
    heads
        .reduce(|all: BTreeSet<Oid>, one| &all & &one)
        .unwrap_or_default()
}
