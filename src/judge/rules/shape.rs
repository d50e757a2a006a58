//! Facts that cannot be: gathering has to say why nothing needs approval.

use crate::judge::facts::{Scope, UpdateFacts};
use crate::judge::verdict::{Code, Finding, Severity};

/// Refuses, or leaves undecided, an update that came without the notice or step it must have.
pub(crate) fn finding(update: &UpdateFacts, found: &[Finding]) -> Option<Finding> {
    if found.iter().any(|one| one.severity >= Severity::Undecided) {
        return None;
    }
    match &update.scope {
        Scope::Refused => Some(super::bare(Code::ForbiddenRef, Severity::Refuse)),
        Scope::Protected(_) => {
            let moved = update.from.is_some() && update.to.is_some();
            let about = vec!["no step was gathered for a protected ref".to_owned()];
            (moved && update.steps.is_empty()).then(|| Finding {
                about,
                ..super::bare(Code::Undecidable, Severity::Undecided)
            })
        }
        Scope::Free | Scope::Review | Scope::Proposal => None,
    }
}
