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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::Push;
    use crate::judge::verdict::Decision;

    /// A refused name without a reason is refused all the same.
    #[test]
    fn refused_scope_refuses() {
        let push = Push::new("").scoped(Scope::Refused);
        assert_eq!(push.codes(), [(Code::ForbiddenRef, Severity::Refuse)]);
        let told = push.noticed(Code::ShadowingRef, &[]);
        assert_eq!(told.codes(), [(Code::ShadowingRef, Severity::Refuse)]);
    }

    /// A protected ref that moves without a step to judge is not accepted; one that is created or
    /// deleted may be.
    #[test]
    fn movement_needs_a_step() {
        let mut push = Push::new("");
        push.update.steps.clear();
        assert_eq!(push.decision(), Decision::Undecided);
        let warned = push.clone().noticed(Code::SubmoduleChange, &[]);
        assert_eq!(warned.decision(), Decision::Undecided);
        let to = push.update.to.take();
        assert_eq!(push.decision(), Decision::Accept);
        push.update.to = to;
        push.update.from = None;
        assert_eq!(push.decision(), Decision::Accept);
    }
}
