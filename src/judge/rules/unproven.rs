//! `unproven-commit`: says that every rule wanted one approval more.

use std::collections::BTreeSet;

use crate::judge::verdict::{Code, Finding, Severity};

use super::landing::Landing;

/// Names the unproven commits; a note where the approvals more are there.
pub(crate) fn finding(landings: &[Landing<'_>]) -> Option<Finding> {
    let heads = landings.iter().flat_map(|landing| &landing.heads);
    let commits: BTreeSet<_> = heads.flat_map(|hearing| &hearing.head.unproven).collect();
    let severity = if landings.iter().all(|landing| landing.holds) {
        Severity::Note
    } else {
        Severity::Warn
    };
    (!commits.is_empty()).then(|| Finding {
        about: commits.iter().map(ToString::to_string).collect(),
        ..super::bare(Code::UnprovenCommit, severity)
    })
}
