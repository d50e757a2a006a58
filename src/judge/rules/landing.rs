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
        Landing {
            // Nothing that covers the step was listened to, so nothing can hold.
            holds: false,
            ..landing(law, update, None, whole)
        }
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
